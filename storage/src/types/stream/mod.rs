//! Streams: entries by ascending id, and groups of consumers that read them.
//!
//! Records: one for each node of entries, each group, each consumer, each pending entry. The first four bytes of a record's key
//! tell which: of a node 0 and the beginning of its first id, of the others 1, 2, 3 in the first byte. An entry that is deleted
//! alone has a record (4), so that its node need not be written again, until many of a node are.

mod group;
mod id;
mod load;
mod node;
mod whole;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use group::{Consumer, Group, Pending};
pub use id::StreamId;
pub(crate) use load::{Shape, is_of_entries};
pub use node::Entry;

use super::edit::Edit;
use super::kind::{Encoding, Kind};
use super::{Collection, Parts};
use node::{Mark, Node};

/// Bytes that a pending entry takes: in its group and in its consumer, in nodes of trees that are two thirds full.
const PENDING_BYTES: usize = 120;
/// Bytes that a consumer or a group takes besides its name.
const NAMED_BYTES: usize = 160;

/// A node is written again when more of its entries than these have been deleted since it was. Few in tests, so that it happens.
const DELETED_MAX: usize = if cfg!(test) { 2 } else { 16 };
/// A smaller node is written again at once.
const NODE_SMALL_BYTES: usize = if cfg!(test) { 32 } else { 512 };
/// Bytes that it takes to remember an entry that was deleted.
const DELETED_BYTES: usize = 32;

/// A stream.
#[derive(Default)]
pub struct Stream(Box<StreamLog>);

/// A stream to read.
#[derive(Clone, Copy)]
pub struct StreamRef<'a>(&'a StreamLog);

/// The entries and groups of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamLog {
    /// By first id.
    nodes: BTreeMap<StreamId, Node>,
    len: usize,
    last_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: BTreeMap<Arc<[u8]>, Group>,
    groups_made: u64,
    bytes: usize,
    /// The first id of the node that was changed last, whose record is still to be put: entries are often added, or deleted, one
    /// after the other.
    unwritten: Option<StreamId>,
    /// By the first ids of their nodes, the entries that have records of their deletion.
    deleted: BTreeMap<StreamId, Vec<StreamId>>,
}

/// The id that XADD is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdRequest {
    /// `*`: the present millisecond, or the next id.
    Auto,
    /// `ms-*`: this millisecond, the next number.
    AutoSeq(u64),
    /// Exactly this one.
    Exact(StreamId),
}

/// What trimming keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many entries, the last ones.
    Last(usize),
    /// Entries from this id on.
    From(StreamId),
}

impl Stream {
    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> StreamRef<'_> {
        StreamRef(&self.0)
    }

    /// Adds an entry; answers its id. None if that would not be greater than the last one.
    pub fn add(
        &mut self,
        request: IdRequest,
        fields: &[[&[u8]; 2]],
        edit: &mut Edit<'_>,
    ) -> Option<StreamId> {
        let log = &mut *self.0;
        let last = log.last_id;
        let id = match request {
            IdRequest::Auto if edit.now_ms() > last.ms => StreamId {
                ms: edit.now_ms(),
                seq: 0,
            },
            IdRequest::Auto => last.next()?,
            IdRequest::AutoSeq(ms) if ms == last.ms => StreamId {
                ms,
                seq: last.seq.checked_add(1)?,
            },
            IdRequest::AutoSeq(ms) => StreamId { ms, seq: 0 },
            IdRequest::Exact(id) => id,
        };
        if id <= last {
            return None;
        }
        let limits = edit.limits();
        let size = fields.as_flattened().iter().map(|bytes| bytes.len()).sum();
        let (max_bytes, max_entries) =
            (limits.stream_node_max_bytes, limits.stream_node_max_entries);
        let full = |node: &Node| node.is_full_for(size, max_bytes, max_entries);
        let tail = log.nodes.last_key_value();
        let first = match tail.filter(|(_, node)| !full(node)) {
            Some((&first, _)) => first,
            None => {
                if let Some(mut tail) = log.nodes.last_entry() {
                    let before = tail.get().capacity();
                    tail.get_mut().shrink_to_fit();
                    log.bytes = log.bytes + tail.get().capacity() - before;
                }
                let names = fields.iter().map(|[name, _]| *name);
                let node = Node::new(id, names);
                log.bytes += node.capacity();
                log.nodes.insert(id, node);
                id
            }
        };
        log.change_node(first, edit, |node| node.append(id, fields));
        log.len += 1;
        log.last_id = id;
        log.entries_added += 1;
        Some(id)
    }

    /// Removes the oldest entries. With `whole_nodes`, only as long as whole nodes go, and at most `limit` entries (0: any
    /// number), as Redis does it. Answers how many.
    pub fn trim(
        &mut self,
        keep: Keep,
        whole_nodes: bool,
        limit: usize,
        edit: &mut Edit<'_>,
    ) -> usize {
        let log = &mut *self.0;
        let mut removed = 0;
        while let Some((&first, node)) = log.nodes.first_key_value() {
            let live = node.live();
            let done = matches!(keep, Keep::Last(kept) if log.len <= kept);
            if done || (limit > 0 && removed + live > limit) {
                break;
            }
            let goes = match keep {
                Keep::Last(kept) => log.len - live >= kept,
                Keep::From(id) => node.last() < id,
            };
            if goes {
                log.remove_node(first, edit);
                log.len -= live;
                removed += live;
                continue;
            }
            if whole_nodes {
                break;
            }
            let mut excess = match keep {
                Keep::Last(kept) => log.len - kept,
                Keep::From(_) => usize::MAX,
            };
            let mut deleted = 0;
            log.change_node(first, edit, |node| {
                deleted = node.delete(|id| {
                    let goes = excess > 0 && !matches!(keep, Keep::From(from) if id >= from);
                    excess -= usize::from(goes);
                    goes.then_some(true)
                });
            });
            log.len -= deleted;
            removed += deleted;
            break;
        }
        removed
    }

    /// Removes an entry. True if it was there.
    pub fn delete(&mut self, id: StreamId, edit: &mut Edit<'_>) -> bool {
        let log = &mut *self.0;
        let Some((&first, node)) = log.nodes.range(..=id).next_back() else {
            return false;
        };
        let Some(mark) = node.mark_of(id) else {
            return false;
        };
        if node.live() == 1 {
            log.remove_node(first, edit);
        } else if log.is_to_be_written(first, node) {
            log.change_node(first, edit, |node| node.delete_marked(&[mark]));
        } else {
            log.delete_alone(first, id, mark, edit);
        }
        log.len -= 1;
        log.max_deleted_id = log.max_deleted_id.max(id);
        true
    }

    /// Sets the last id (XSETID), and what is given besides it.
    pub fn set_id(
        &mut self,
        last_id: StreamId,
        entries_added: Option<u64>,
        max_deleted_id: Option<StreamId>,
        edit: &mut Edit<'_>,
    ) {
        let log = &mut *self.0;
        log.last_id = last_id;
        log.entries_added = entries_added.unwrap_or(log.entries_added);
        log.max_deleted_id = max_deleted_id.unwrap_or(log.max_deleted_id);
        edit.changed();
    }

    /// Adds a group. False if there is one of this name.
    pub fn create_group(
        &mut self,
        name: &[u8],
        last_id: StreamId,
        entries_read: Option<u64>,
        edit: &mut Edit<'_>,
    ) -> bool {
        let log = &mut *self.0;
        if log.groups.contains_key(name) {
            return false;
        }
        log.groups_made += 1;
        log.bytes += name.len() + NAMED_BYTES;
        let group = Group {
            number: log.groups_made,
            last_id,
            entries_read,
            ..Group::default()
        };
        load::put_group(name, &group, edit);
        log.groups.insert(name.into(), group);
        true
    }

    /// Removes a group with all that it has. True if it was there.
    pub fn destroy_group(&mut self, name: &[u8], edit: &mut Edit<'_>) -> bool {
        let Some(group) = self.0.groups.remove(name) else {
            return false;
        };
        for (consumer, known) in &group.consumers {
            self.0.bytes -= consumer.len() + NAMED_BYTES + known.pending.len() * PENDING_BYTES;
            load::delete_consumer(group.number, consumer, edit);
        }
        for &id in group.pending.keys() {
            load::delete_pending(group.number, id, edit);
        }
        self.0.bytes -= name.len() + NAMED_BYTES;
        load::delete_group(name, edit);
        true
    }

    /// Sets how far a group has read.
    pub fn set_group(
        &mut self,
        name: &[u8],
        last_id: StreamId,
        entries_read: Option<u64>,
        edit: &mut Edit<'_>,
    ) {
        if let Some(group) = self.0.groups.get_mut(name) {
            (group.last_id, group.entries_read) = (last_id, entries_read);
            load::put_group(name, group, edit);
        }
    }

    /// Notes that a consumer was seen at `seen_ms`, and perhaps got something then. True if the consumer is new.
    pub fn see_consumer(
        &mut self,
        name: &[u8],
        consumer: &[u8],
        seen_ms: u64,
        active: bool,
        edit: &mut Edit<'_>,
    ) -> bool {
        let Some(group) = self.0.groups.get_mut(name) else {
            return false;
        };
        let is_new = !group.consumers.contains_key(consumer);
        if is_new {
            self.0.bytes += consumer.len() + NAMED_BYTES;
            group.consumers.insert(consumer.into(), Consumer::default());
        }
        if let Some(known) = group.consumers.get_mut(consumer) {
            known.seen_ms = seen_ms;
            if active {
                known.active_ms = Some(seen_ms);
            }
            load::put_consumer(group.number, consumer, known, edit);
        }
        is_new
    }

    /// Removes a consumer and what is pending of it; answers how many entries that were, none if there is no such consumer.
    pub fn delete_consumer(
        &mut self,
        name: &[u8],
        consumer: &[u8],
        edit: &mut Edit<'_>,
    ) -> Option<usize> {
        let group = self.0.groups.get_mut(name)?;
        let gone = group.consumers.remove(consumer)?;
        for id in &gone.pending {
            group.pending.remove(id);
            load::delete_pending(group.number, *id, edit);
        }
        self.0.bytes -= consumer.len() + NAMED_BYTES + gone.pending.len() * PENDING_BYTES;
        load::delete_consumer(group.number, consumer, edit);
        Some(gone.pending.len())
    }

    /// Notes that an entry was delivered to a consumer, who is in the group, whoever had it before.
    pub fn set_pending(
        &mut self,
        name: &[u8],
        id: StreamId,
        consumer: &[u8],
        delivered_ms: u64,
        count: u64,
        edit: &mut Edit<'_>,
    ) {
        let Some(group) = self.0.groups.get_mut(name) else {
            return;
        };
        let Some((owner, known)) = group.consumers.get_key_value(consumer) else {
            return;
        };
        let pending = Pending {
            consumer: Arc::clone(owner),
            delivered_ms,
            count,
        };
        let is_new = !known.pending.contains(&id);
        load::put_pending(group.number, id, &pending, edit);
        if let Some(before) = group.pending.insert(id, pending) {
            if before.consumer[..] != *consumer
                && let Some(previous) = group.consumers.get_mut(&before.consumer)
            {
                previous.pending.remove(&id);
            }
        } else {
            self.0.bytes += PENDING_BYTES;
        }
        if is_new && let Some(known) = group.consumers.get_mut(consumer) {
            known.pending.insert(id);
        }
    }

    /// Removes a pending entry. True if it was there.
    pub fn remove_pending(&mut self, name: &[u8], id: StreamId, edit: &mut Edit<'_>) -> bool {
        let Some(group) = self.0.groups.get_mut(name) else {
            return false;
        };
        let Some(gone) = group.pending.remove(&id) else {
            return false;
        };
        if let Some(known) = group.consumers.get_mut(&gone.consumer) {
            known.pending.remove(&id);
        }
        self.0.bytes -= PENDING_BYTES;
        load::delete_pending(group.number, id, edit);
        true
    }
}

impl StreamLog {
    /// To read it.
    pub fn view(&self) -> StreamRef<'_> {
        StreamRef(self)
    }

    /// Changes a node, and has its record put.
    fn change_node(
        &mut self,
        first: StreamId,
        edit: &mut Edit<'_>,
        change: impl FnOnce(&mut Node),
    ) {
        if let Some(node) = self.nodes.get_mut(&first) {
            let before = node.capacity();
            change(node);
            self.bytes = self.bytes + node.capacity() - before;
            edit.changed();
            if self.unwritten != Some(first) {
                self.write_unwritten_node(edit);
                self.unwritten = Some(first);
            }
        }
    }

    fn write_unwritten_node(&mut self, edit: &mut Edit<'_>) {
        let Some(first) = self.unwritten.take() else {
            return;
        };
        if let Some(node) = self.nodes.get(&first) {
            load::put_node(node, edit);
        }
        self.forget_deleted(first, edit);
    }

    /// Whether a node of which an entry is deleted is written again.
    fn is_to_be_written(&self, first: StreamId, node: &Node) -> bool {
        let deleted = self.deleted.get(&first).map_or(0, Vec::len);
        self.unwritten == Some(first)
            || deleted >= DELETED_MAX
            || node.listpack().bytes().len() < NODE_SMALL_BYTES
    }

    /// Deletes an entry, and puts a record of that instead of the node's.
    fn delete_alone(&mut self, first: StreamId, id: StreamId, mark: Mark, edit: &mut Edit<'_>) {
        if let Some(node) = self.nodes.get_mut(&first) {
            let before = node.capacity();
            node.delete_marked(&[mark]);
            self.bytes = self.bytes + node.capacity() - before;
            self.note_deleted(first, id);
            load::put_deleted(id, edit);
        }
    }

    fn note_deleted(&mut self, first: StreamId, id: StreamId) {
        self.deleted.entry(first).or_default().push(id);
        self.bytes += DELETED_BYTES;
    }

    /// All nodes are written, of a new incarnation.
    fn forget_all_deleted(&mut self) {
        let deleted: usize = self.deleted.values().map(Vec::len).sum();
        self.bytes -= deleted * DELETED_BYTES;
        self.deleted.clear();
    }

    /// The node was written, or is gone: what was deleted of it needs no records any more.
    fn forget_deleted(&mut self, first: StreamId, edit: &mut Edit<'_>) {
        for id in self.deleted.remove(&first).unwrap_or_default() {
            self.bytes -= DELETED_BYTES;
            load::delete_deleted(id, edit);
        }
    }

    fn remove_node(&mut self, first: StreamId, edit: &mut Edit<'_>) {
        if let Some(node) = self.nodes.remove(&first) {
            self.bytes -= node.capacity();
            if self.unwritten == Some(first) {
                self.unwritten = None;
                load::put_node(&node, edit);
            }
            load::delete_node(first, edit);
            self.forget_deleted(first, edit);
        }
    }
}

impl<'a> StreamRef<'a> {
    /// Number of entries.
    pub fn len(self) -> usize {
        self.0.len
    }

    /// True without entries.
    pub fn is_empty(self) -> bool {
        self.0.len == 0
    }

    /// Number of nodes.
    pub fn nodes(self) -> usize {
        self.0.nodes.len()
    }

    /// The last id that was given, to an entry that may be gone.
    pub fn last_id(self) -> StreamId {
        self.0.last_id
    }

    /// The greatest id that was deleted by name.
    pub fn max_deleted_id(self) -> StreamId {
        self.0.max_deleted_id
    }

    /// How many entries were ever added.
    pub fn entries_added(self) -> u64 {
        self.0.entries_added
    }

    /// The id of the first entry; [`StreamId::MIN`] without entries.
    pub fn first_id(self) -> StreamId {
        let first = self.entries(StreamId::MIN..=StreamId::MAX).next();
        first.map_or(StreamId::MIN, |entry| entry.id)
    }

    /// The id of the last entry that is there; none without entries.
    pub fn last_entry_id(self) -> Option<StreamId> {
        let mut entries = self.entries_back(StreamId::MIN..=StreamId::MAX);
        entries.next().map(|entry| entry.id)
    }

    /// The entries with these ids, in order.
    pub fn entries(self, ids: RangeInclusive<StreamId>) -> impl Iterator<Item = Entry<'a>> {
        let (start, end) = ids.into_inner();
        let from = self.0.nodes.range(..=start).next_back();
        let from = from.map_or(StreamId::MIN, |(&first, _)| first);
        // A range that ends before it begins has no nodes.
        let nodes = (start <= end).then(|| self.0.nodes.range(from..=end));
        nodes
            .into_iter()
            .flatten()
            .flat_map(|(_, node)| node.entries())
            .skip_while(move |entry| entry.id < start)
            .take_while(move |entry| entry.id <= end)
    }

    /// The entries with these ids, in opposite order.
    pub fn entries_back(self, ids: RangeInclusive<StreamId>) -> impl Iterator<Item = Entry<'a>> {
        let (start, end) = ids.into_inner();
        let from = self.0.nodes.range(..=start).next_back();
        let from = from.map_or(StreamId::MIN, |(&first, _)| first);
        let nodes = (start <= end).then(|| self.0.nodes.range(from..=end));
        nodes
            .into_iter()
            .flatten()
            .rev()
            .flat_map(|(_, node)| {
                let entries: Vec<Entry<'a>> = node.entries().collect();
                entries.into_iter().rev()
            })
            .skip_while(move |entry| entry.id > end)
            .take_while(move |entry| entry.id >= start)
    }

    /// The entry of this id.
    pub fn entry(self, id: StreamId) -> Option<Entry<'a>> {
        self.entries(id..=id).next()
    }

    /// A group by its name.
    pub fn group(self, name: &[u8]) -> Option<&'a Group> {
        self.0.groups.get(name)
    }

    /// All groups with their names, in order of these.
    pub fn groups(self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a Group)> {
        self.0.groups.iter().map(|(name, group)| (&name[..], group))
    }

    /// True if an entry after `id` may have been deleted by name: then counting does not tell how many follow.
    pub fn has_gaps_after(self, id: StreamId) -> bool {
        let deleted = self.0.max_deleted_id;
        !self.is_empty() && deleted != StreamId::MIN && self.first_id() <= deleted && id <= deleted
    }

    /// How many entries were added up to `id`, if that can be told.
    pub fn entries_up_to(self, id: StreamId) -> Option<u64> {
        let (added, len) = (self.0.entries_added, self.0.len as u64);
        if added == 0 {
            return Some(0);
        }
        if (len == 0 && id <= self.0.last_id) || id == self.0.last_id {
            return Some(added);
        }
        if id > self.0.last_id {
            return None;
        }
        let (first, deleted) = (self.first_id(), self.0.max_deleted_id);
        if deleted != StreamId::MIN && deleted >= first {
            return None;
        }
        match id.cmp(&first) {
            std::cmp::Ordering::Less => Some(added - len),
            std::cmp::Ordering::Equal => Some(added - len + 1),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many entries a group has not been given yet, if that can be told.
    pub fn lag(self, group: &Group) -> Option<u64> {
        if self.0.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_gaps_after(group.last_id) => Some(read),
            _ => self.entries_up_to(group.last_id),
        };
        // A client may have told any number of entries read.
        Some(self.0.entries_added.wrapping_sub(read?))
    }
}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;
    const IS_ALWAYS_LARGE: bool = true;
    type Large = StreamLog;
    type Ref<'a> = StreamRef<'a>;

    fn from_flat(_: Encoding, _: Vec<u8>) -> Self {
        Self::default()
    }

    fn from_large(large: Box<StreamLog>) -> Self {
        Self(large)
    }

    fn into_parts(self) -> Parts<StreamLog> {
        Parts::Large(self.0)
    }

    fn flat_ref(_: Encoding, _: &[u8]) -> StreamRef<'_> {
        static EMPTY: std::sync::LazyLock<StreamLog> = std::sync::LazyLock::new(StreamLog::default);
        StreamRef(&EMPTY)
    }

    fn large_ref(large: &StreamLog) -> StreamRef<'_> {
        StreamRef(large)
    }

    /// A stream may have no entries.
    fn is_vacant(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
