//! Whole streams, node by node and group by group, for formats that hold them so.

use super::group::Group;
use super::id::StreamId;
use super::node::Node;
use super::{NAMED_BYTES, PENDING_BYTES, Stream, StreamLog, StreamRef};
use crate::types::Large;
use crate::types::edit::Edit;
use crate::types::listpack::ListpackRef;

impl<'a> StreamRef<'a> {
    /// The nodes in Redis's own layout with their first ids, in order.
    pub(crate) fn raw_nodes(
        self,
    ) -> impl ExactSizeIterator<Item = (StreamId, ListpackRef<'a>)> + use<'a> {
        let nodes = self.0.nodes.iter();
        nodes.map(|(&first, node)| (first, node.listpack()))
    }
}

impl StreamLog {
    /// Adds a node behind the others. None if the bytes are no node, or its ids are not greater than those before.
    pub(crate) fn push_node(&mut self, first: StreamId, bytes: Vec<u8>) -> Option<()> {
        let before = self.nodes.last_key_value().map(|(_, node)| node.last());
        if before.is_some_and(|before| first <= before) {
            return None;
        }
        let node = Node::checked(first, bytes)?;
        self.len += node.live();
        self.bytes += node.capacity();
        self.last_id = node.last();
        self.nodes.insert(first, node);
        Some(())
    }

    /// Sets what is known besides the nodes, which are all there. None if the entries contradict it.
    pub(crate) fn set_head(
        &mut self,
        len: usize,
        last_id: StreamId,
        max_deleted_id: StreamId,
        entries_added: u64,
    ) -> Option<()> {
        if self.len != len || last_id < self.last_id || entries_added < len as u64 {
            return None;
        }
        self.last_id = last_id;
        self.max_deleted_id = max_deleted_id;
        self.entries_added = entries_added;
        Some(())
    }

    /// Adds a group. None if there is one of this name.
    pub(crate) fn push_group(&mut self, name: &[u8], mut group: Group) -> Option<()> {
        if self.groups.contains_key(name) {
            return None;
        }
        self.groups_made += 1;
        group.number = self.groups_made;
        self.bytes += name.len() + NAMED_BYTES + group.pending.len() * PENDING_BYTES;
        for consumer in group.consumers.keys() {
            self.bytes += consumer.len() + NAMED_BYTES;
        }
        self.groups.insert(name.into(), group);
        Some(())
    }
}

impl Stream {
    /// Becomes a whole stream; it was new.
    pub(crate) fn set_whole(&mut self, log: &StreamLog, edit: &mut Edit<'_>) {
        *self.0 = log.clone();
        self.0.forget_all_deleted();
        self.0.write_all(edit);
        edit.changed();
    }
}
