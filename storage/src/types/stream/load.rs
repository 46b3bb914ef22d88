//! The records of a stream, and the stream of its records.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::group::{Consumer, Group, Pending};
use super::id::StreamId;
use super::node::Node;
use super::{DELETED_MAX, NAMED_BYTES, PENDING_BYTES, StreamLog};
use crate::types::edit::Edit;
use crate::types::kind::Encoding;
use crate::types::{Elements, Large, Missing, digest, split_key};
use crate::{Error, Result};

/// The first four bytes of the keys of groups, consumers, pending entries, deleted entries; nodes' begin with a zero byte.
const GROUP: u32 = 1 << 24;
const CONSUMER: u32 = 2 << 24;
const PENDING: u32 = 3 << 24;
const DELETED: u32 = 4 << 24;

/// Bytes of an id.
const ID_BYTES: usize = 16;
/// Bytes of the first ids of the last and of the first node, at the end of the stream's own record.
const END_NODES_BYTES: usize = 2 * ID_BYTES;

/// In place of a number that is not known.
const UNKNOWN: u64 = u64::MAX;

fn node_key(first: StreamId) -> (u32, [u8; 13]) {
    let [a, b, c, rest @ ..] = first.to_bytes();
    (u32::from_be_bytes([0, a, b, c]), rest)
}

pub(super) fn put_node(node: &Node, edit: &mut Edit<'_>) {
    let (hash, rest) = node_key(node.first());
    edit.put(hash, &rest, &[node.listpack().bytes()]);
}

pub(super) fn delete_node(first: StreamId, edit: &mut Edit<'_>) {
    let (hash, rest) = node_key(first);
    edit.delete(hash, &rest);
}

pub(super) fn put_group(name: &[u8], group: &Group, edit: &mut Edit<'_>) {
    let value = [
        &group.number.to_le_bytes()[..],
        &group.last_id.to_bytes(),
        &group.entries_read.unwrap_or(UNKNOWN).to_le_bytes(),
    ];
    edit.put(GROUP, name, &value);
}

pub(super) fn delete_group(name: &[u8], edit: &mut Edit<'_>) {
    edit.delete(GROUP, name);
}

/// What the keys of records of the group with this number go on with.
fn in_group(number: u64, rest: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], rest].concat()
}

pub(super) fn put_consumer(group: u64, name: &[u8], consumer: &Consumer, edit: &mut Edit<'_>) {
    let value = [
        &consumer.seen_ms.to_le_bytes()[..],
        &consumer.active_ms.unwrap_or(UNKNOWN).to_le_bytes(),
    ];
    edit.put(CONSUMER, &in_group(group, name), &value);
}

pub(super) fn delete_consumer(group: u64, name: &[u8], edit: &mut Edit<'_>) {
    edit.delete(CONSUMER, &in_group(group, name));
}

pub(super) fn put_pending(group: u64, id: StreamId, pending: &Pending, edit: &mut Edit<'_>) {
    let value = [
        &pending.delivered_ms.to_le_bytes()[..],
        &pending.count.to_le_bytes(),
        &pending.consumer,
    ];
    edit.put(PENDING, &in_group(group, &id.to_bytes()), &value);
}

pub(super) fn delete_pending(group: u64, id: StreamId, edit: &mut Edit<'_>) {
    edit.delete(PENDING, &in_group(group, &id.to_bytes()));
}

/// Notes that an entry is not there any more which the record of its node has.
pub(super) fn put_deleted(id: StreamId, edit: &mut Edit<'_>) {
    edit.put(DELETED, &id.to_bytes(), &[]);
}

pub(super) fn delete_deleted(id: StreamId, edit: &mut Edit<'_>) {
    edit.delete(DELETED, &id.to_bytes());
}

fn number(input: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*input.split_off(..8)?.first_chunk()?))
}

fn id(input: &mut &[u8]) -> Option<StreamId> {
    Some(StreamId::from_bytes(*input.split_off(..16)?.first_chunk()?))
}

/// True of the beginning of keys of nodes and of deleted entries.
pub(crate) fn is_of_entries(kind: u32) -> bool {
    matches!(kind & 0xff00_0000, 0 | DELETED)
}

/// What a stream's own record tells of its nodes.
pub(crate) struct Shape {
    pub(crate) len: usize,
    pub(crate) last_id: StreamId,
    pub(crate) max_deleted_id: StreamId,
    /// The first ids of the first and of the last node, if they are known.
    pub(crate) first: Option<StreamId>,
    pub(crate) last: Option<StreamId>,
}

impl Shape {
    pub(crate) fn of(meta: &[u8]) -> Option<Self> {
        let (log, len, mut ends) = StreamLog::load_meta(meta)?;
        let last = id(&mut ends);
        Some(Self {
            last,
            len,
            last_id: log.last_id,
            max_deleted_id: log.max_deleted_id,
            first: id(&mut ends),
        })
    }

    /// The key of the node with this first id.
    pub(crate) fn node_key(first: StreamId) -> Vec<u8> {
        let (high, rest) = node_key(first);
        [&high.to_be_bytes()[..], &rest].concat()
    }

    /// The key of the record of this entry's deletion.
    pub(crate) fn deletion_key(id: StreamId) -> Vec<u8> {
        [&DELETED.to_be_bytes()[..], &id.to_bytes()].concat()
    }

    /// The first id of the node with this key.
    pub(crate) fn first_of(key: &[u8]) -> Result<StreamId> {
        let id = key.get(1..).and_then(|id| id.first_chunk());
        id.map(|id| StreamId::from_bytes(*id))
            .ok_or_else(|| Error::corrupt("node of a stream", format!("key {key:02x?}")))
    }

    /// The last id in a node, of an entry that is there or not.
    pub(crate) fn last_in(first: StreamId, bytes: &[u8]) -> StreamId {
        Node::from_bytes(first, bytes.to_vec()).last()
    }

    /// How many entries of a node with ids of a range there are at least: it may have deleted ones that it does not know of.
    pub(crate) fn live_at_least(
        &self,
        first: StreamId,
        bytes: &[u8],
        ids: RangeInclusive<StreamId>,
    ) -> usize {
        let node = Node::from_bytes(first, bytes.to_vec());
        let found = node
            .entries()
            .filter(|entry| ids.contains(&entry.id))
            .count();
        let unknown = if self.max_deleted_id < first {
            0
        } else {
            DELETED_MAX
        };
        found.saturating_sub(unknown)
    }
}

/// Names of groups by their numbers.
type Numbers = BTreeMap<u64, Box<[u8]>>;

/// A number that may not be known.
fn known(number: u64) -> Option<u64> {
    Some(number).filter(|&number| number != UNKNOWN)
}

impl StreamLog {
    /// The stream without its nodes, their number of entries, and the first ids of the last and the first node.
    fn load_meta(meta: &[u8]) -> Option<(Self, usize, &[u8])> {
        let mut input = meta;
        let len = usize::try_from(number(&mut input)?).ok()?;
        let log = Self {
            last_id: id(&mut input)?,
            max_deleted_id: id(&mut input)?,
            entries_added: number(&mut input)?,
            groups_made: number(&mut input)?,
            ..Self::default()
        };
        matches!(input.len(), 0 | ID_BYTES | END_NODES_BYTES).then_some((log, len, input))
    }

    /// Takes in a record; those of nodes come before those of groups, these before consumers, pending entries and deleted ones.
    fn load_record(
        &mut self,
        numbers: &mut Numbers,
        kind: u32,
        rest: &[u8],
        mut value: &[u8],
    ) -> Option<()> {
        match kind {
            GROUP => {
                let group = Group {
                    number: number(&mut value)?,
                    last_id: id(&mut value)?,
                    entries_read: known(number(&mut value)?),
                    ..Group::default()
                };
                self.bytes += rest.len() + NAMED_BYTES;
                numbers.insert(group.number, rest.into());
                self.groups.insert(rest.into(), group);
            }
            CONSUMER => {
                let (group, name) = self.group_of(numbers, rest)?;
                let consumer = Consumer {
                    seen_ms: number(&mut value)?,
                    active_ms: known(number(&mut value)?),
                    ..Consumer::default()
                };
                group.consumers.insert(name.into(), consumer);
                self.bytes += name.len() + NAMED_BYTES;
            }
            PENDING => {
                let (group, mut rest) = self.group_of(numbers, rest)?;
                let id = id(&mut rest)?;
                let (delivered_ms, count) = (number(&mut value)?, number(&mut value)?);
                let consumer = Arc::clone(group.consumers.get_key_value(value)?.0);
                group.consumers.get_mut(value)?.pending.insert(id);
                let pending = Pending {
                    consumer,
                    delivered_ms,
                    count,
                };
                group.pending.insert(id, pending);
                self.bytes += PENDING_BYTES;
            }
            DELETED => {
                let mut rest = rest;
                let id = id(&mut rest)?;
                let (&first, node) = self.nodes.range_mut(..=id).next_back()?;
                let mark = node.mark_of(id)?;
                node.delete_marked(&[mark]);
                self.len -= 1;
                self.note_deleted(first, id);
            }
            _ => {
                let [zero, a, b, c] = kind.to_be_bytes();
                let first = StreamId::from_bytes(*[&[a, b, c][..], rest].concat().first_chunk()?);
                let node = Node::from_bytes(first, value.to_vec());
                self.len += node.live();
                self.bytes += node.capacity();
                self.nodes.insert(first, node);
                return (zero == 0 && rest.len() == 13).then_some(());
            }
        }
        Some(())
    }

    /// The group whose number is at the start, and what follows.
    fn group_of<'r>(
        &mut self,
        numbers: &Numbers,
        rest: &'r [u8],
    ) -> Option<(&mut Group, &'r [u8])> {
        let (number, rest) = rest.split_first_chunk()?;
        let name = numbers.get(&u64::from_be_bytes(*number))?;
        Some((self.groups.get_mut(&name[..])?, rest))
    }
}

impl Large for StreamLog {
    const ENCODING: Encoding = Encoding::Stream;

    fn len(&self) -> usize {
        self.len
    }

    fn memory_bytes(&self) -> usize {
        // Nodes of the tree are two thirds full or better.
        size_of::<Self>() + self.bytes + self.nodes.len() * size_of::<Node>() * 3 / 2
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len as u64).to_le_bytes());
        out.extend_from_slice(&self.last_id.to_bytes());
        out.extend_from_slice(&self.max_deleted_id.to_bytes());
        out.extend_from_slice(&self.entries_added.to_le_bytes());
        out.extend_from_slice(&self.groups_made.to_le_bytes());
        let (first, last) = (self.nodes.keys().next(), self.nodes.keys().next_back());
        for end in [last, first].into_iter().flatten() {
            out.extend_from_slice(&end.to_bytes());
        }
    }

    fn load_part(meta: &[u8], elements: &mut Elements<'_>, _: &Missing) -> Result<Option<Self>> {
        let corrupt = |what: &[u8]| Error::corrupt("stream", format!("{what:02x?}"));
        let (mut log, len, _) = Self::load_meta(meta).ok_or_else(|| corrupt(meta))?;
        let mut numbers = Numbers::new();
        for element in elements {
            let (key, value) = element?;
            let (kind, rest) = split_key(&key)?;
            log.load_record(&mut numbers, kind, rest, &value)
                .ok_or_else(|| corrupt(&key))?;
        }
        log.len = len;
        Ok(Some(log))
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let corrupt = |what: &[u8]| Error::corrupt("stream", format!("{what:02x?}"));
        let (mut log, len, _) = Self::load_meta(meta).ok_or_else(|| corrupt(meta))?;
        let mut numbers = Numbers::new();
        for element in elements {
            let (key, value) = element?;
            let (kind, rest) = split_key(&key)?;
            log.load_record(&mut numbers, kind, rest, &value)
                .ok_or_else(|| corrupt(&key))?;
        }
        if log.len != len {
            return Err(corrupt(meta));
        }
        Ok(log)
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for node in self.nodes.values() {
            put_node(node, edit);
        }
        for (name, group) in &self.groups {
            put_group(name, group, edit);
            for (name, consumer) in &group.consumers {
                put_consumer(group.number, name, consumer, edit);
            }
            for (&id, pending) in &group.pending {
                put_pending(group.number, id, pending, edit);
            }
        }
    }

    fn write_unwritten(&mut self, edit: &mut Edit<'_>) {
        self.write_unwritten_node(edit);
    }

    fn digest(&self) -> u64 {
        let mut bytes = Vec::new();
        self.meta(&mut bytes);
        for node in self.nodes.values() {
            bytes.extend_from_slice(&node.first().to_bytes());
            bytes.extend_from_slice(node.listpack().bytes());
        }
        for (name, group) in &self.groups {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&group.last_id.to_bytes());
            bytes.extend_from_slice(&group.entries_read.unwrap_or(UNKNOWN).to_le_bytes());
            for (name, consumer) in &group.consumers {
                bytes.extend_from_slice(name);
                bytes.extend_from_slice(&consumer.seen_ms.to_le_bytes());
                bytes.extend_from_slice(&consumer.active_ms.unwrap_or(UNKNOWN).to_le_bytes());
            }
            for (id, pending) in &group.pending {
                bytes.extend_from_slice(&id.to_bytes());
                bytes.extend_from_slice(&pending.consumer);
                bytes.extend_from_slice(&pending.delivered_ms.to_le_bytes());
                bytes.extend_from_slice(&pending.count.to_le_bytes());
            }
        }
        digest(&bytes)
    }
}
