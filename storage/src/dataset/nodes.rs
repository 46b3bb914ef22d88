//! Walks over the nodes of a list or stream that is only on disk, newest records first considered: what parts of lists and
//! streams are made of.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::{Bound, RangeInclusive};

use bytes::Bytes;

use super::Dataset;
use super::collection::Collected;
use super::part::Looks;
use super::record::{self, ElementPlace, RecordKey};
use super::scored::ElementsPrefix;
use super::write_set::{FrozenSet, KeyRange, PendingNodes, WriteSet};
use crate::engine::Scan;
use crate::types::listpack::ListpackRef;
use crate::types::stream::{Keep, Shape, StreamId};
use crate::types::{JOINED_MAX_BYTES, Kind, ListEnds, Missing};
use crate::{Error, Result};

/// A part has no more nodes than these: what needs more needs the whole. Reading so many takes a few milliseconds.
const PART_MAX_NODES: usize = 1024;
/// Nodes behind those that elements are taken from: with them the ends are known, and what is joined when elements are gone.
const SPARE_NODES: usize = 2;

/// Nodes and other records of a part, by the elements' keys (hash and rest).
pub(super) type PartRecords = BTreeMap<Bytes, Bytes>;

/// The records of a part, and what is known of others.
#[derive(Default)]
pub(super) struct PartNodes {
    pub(super) records: PartRecords,
    pub(super) missing: Missing,
}

impl PartNodes {
    /// The part of a collection with this meta; none of a type that has no parts.
    pub(super) fn load(&self, kind: Kind, meta: &[u8]) -> Result<Option<Collected>> {
        let records = self.records.iter();
        let mut elements = records.map(|(key, value)| Ok((key.clone(), value.clone())));
        Collected::load_part(kind, meta, &mut elements, &self.missing)
    }
}

/// Records that wait to be written, in order or in opposite order.
type Pending<'d> = Box<dyn Iterator<Item = (Bytes, Option<Bytes>)> + 'd>;

/// A walk over records that are waiting to be written, being written, and on disk: the newest of each key.
pub(super) struct Walk<'d> {
    pending: [Peekable<Pending<'d>>; 2],
    durable: Peekable<Scan<'d>>,
    backwards: bool,
}

impl Walk<'_> {
    /// Whether `key` comes before `other`, or is it.
    fn is_first(&self, key: &Bytes, other: &Bytes) -> bool {
        if self.backwards {
            key >= other
        } else {
            key <= other
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut first: Option<Bytes> = None;
            for source in 0..3 {
                let key = match self.pending.get_mut(source) {
                    Some(pending) => pending.peek().map(|(key, _)| key.clone()),
                    None => match self.durable.peek() {
                        Some(Ok((key, _))) => Some(key.clone()),
                        Some(Err(_)) => return self.durable.next(),
                        None => None,
                    },
                };
                let Some(key) = key else {
                    continue;
                };
                if first
                    .as_ref()
                    .is_none_or(|first| !self.is_first(first, &key))
                {
                    first = Some(key);
                }
            }
            let first = first?;
            // Of the same key the first source has the newest record.
            let mut newest: Option<Option<Bytes>> = None;
            for pending in &mut self.pending {
                if let Some((_, value)) = pending.next_if(|(key, _)| *key == first) {
                    newest.get_or_insert(value);
                }
            }
            let is_here =
                |pair: &Result<(Bytes, Bytes)>| pair.as_ref().is_ok_and(|(key, _)| *key == first);
            if let Some(Ok((_, value))) = self.durable.next_if(is_here) {
                newest.get_or_insert(Some(value));
            }
            if let Some(Some(value)) = newest {
                return Some(record::decode_element(&first, &value));
            }
        }
    }
}

/// Where records wait to be written.
#[derive(Clone, Copy)]
enum Waiting<'d> {
    Newest(&'d WriteSet),
    Frozen(&'d FrozenSet),
}

/// Elements' records that wait to be written, fetched some at a time.
struct InPieces<'d> {
    waiting: Waiting<'d>,
    prefix: ElementsPrefix,
    piece: std::vec::IntoIter<(Bytes, Option<Bytes>)>,
    /// Behind which key the next piece begins; none at the end.
    next: Option<Bound<Bytes>>,
}

/// Records fetched at a time.
const PIECE: usize = 128;

impl<'d> InPieces<'d> {
    fn new(waiting: Waiting<'d>, place: ElementPlace, start: &[u8]) -> Self {
        Self {
            waiting,
            prefix: place.prefix(),
            piece: Vec::new().into_iter(),
            next: Some(Bound::Included(Bytes::copy_from_slice(start))),
        }
    }
}

impl Iterator for InPieces<'_> {
    type Item = (Bytes, Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.piece.next() {
            return Some(record);
        }
        let from = self.next.take()?;
        let from = from.as_ref().map(|key| &key[..]);
        let piece = match self.waiting {
            Waiting::Newest(set) => set.elements(&self.prefix, from, PIECE),
            Waiting::Frozen(set) => set.elements(&self.prefix, from, PIECE),
        };
        if piece.len() == PIECE {
            self.next = piece.last().map(|(key, _)| Bound::Excluded(key.clone()));
        }
        self.piece = piece.into_iter();
        self.piece.next()
    }
}

/// Where the elements of a collection are looked for.
pub(super) struct Nodes<'d> {
    pub(super) dataset: &'d Dataset,
    pub(super) place: ElementPlace,
    /// Whether the newest records may wait to be written.
    pub(super) pending: bool,
}

impl<'d> Nodes<'d> {
    /// The records of elements whose keys are in a range, in order or in opposite order.
    pub(super) fn walk(&self, from: &[u8], to: &[u8], backwards: bool) -> Walk<'d> {
        let prefix = self.place.prefix();
        let start = [&prefix[..], from].concat();
        // The end is included: one more zero byte is what comes next.
        let end = [&prefix[..], to, &[0]].concat();
        let range: KeyRange<'_> = (Bound::Included(&start), Bound::Excluded(&end));
        let turn = |nodes: Option<Box<dyn PendingNodes + 'd>>| -> Pending<'d> {
            match nodes {
                Some(nodes) if backwards => Box::new(nodes.rev()),
                Some(nodes) => Box::new(nodes),
                None => Box::new(std::iter::empty()),
            }
        };
        let db = self.place.db;
        let newest = self
            .pending
            .then(|| self.dataset.database(db).write_set.nodes(range));
        let frozen = self.dataset.frozen.as_ref().filter(|_| self.pending);
        let frozen = frozen.and_then(|frozen| frozen.nodes(db, range));
        let engine = &self.dataset.engine;
        Walk {
            pending: [turn(newest).peekable(), turn(frozen).peekable()],
            durable: if backwards {
                engine.scan_back(&start, &end).peekable()
            } else {
                engine.scan(&start, &end).peekable()
            },
            backwards,
        }
    }

    /// The elements of a hash, set or sorted set from a hash on, in order of their keys.
    pub(super) fn elements_from(&self, hash: u32) -> Walk<'d> {
        let start = [&self.place.prefix()[..], &hash.to_be_bytes()].concat();
        let waiting = |source: Option<Waiting<'d>>| -> Pending<'d> {
            match source {
                Some(set) => Box::new(InPieces::new(set, self.place, &start)),
                None => Box::new(std::iter::empty()),
            }
        };
        let (dataset, db) = (self.dataset, self.place.db);
        let newest = self
            .pending
            .then(|| Waiting::Newest(&dataset.database(db).write_set));
        let frozen = dataset.frozen.as_ref().filter(|_| self.pending);
        let frozen = frozen.and_then(|frozen| frozen.set(db));
        Walk {
            pending: [
                waiting(newest).peekable(),
                waiting(frozen.map(Waiting::Frozen)).peekable(),
            ],
            durable: dataset.engine.scan(&start, &self.place.end()).peekable(),
            backwards: false,
        }
    }

    /// The element of this key, which is known to be there.
    pub(super) fn element(&self, key: &[u8]) -> Result<(Bytes, Bytes)> {
        let (hash, rest) = crate::types::split_key(key)?;
        let record = RecordKey::element(&self.dataset.hasher, self.place, hash, rest);
        match self.dataset.read_record(self.place.db, &record)? {
            Some(value) => record::decode_element(&record.to_vec().into(), &value),
            None => Err(Error::corrupt(
                "collection",
                format!("no record {key:02x?}"),
            )),
        }
    }

    /// The nodes of a list that a command looks at; none if these are too many.
    pub(super) fn of_list(&self, ends: &ListEnds, looks: &Looks) -> Result<Option<PartNodes>> {
        let Some(reach) = ListReach::of(looks, ends.len) else {
            return Ok(None);
        };
        let mut part = PartNodes::default();
        let Some(head) = self.run(ends, reach.head, false, &mut part.records)? else {
            return Ok(None);
        };
        let mut behind = PartRecords::new();
        if self.run(ends, reach.tail, true, &mut behind)?.is_none() {
            return Ok(None);
        }
        part.missing.gap = behind.keys().next().filter(|first| **first > head).cloned();
        part.records.append(&mut behind);
        Ok(Some(part))
    }

    /// Takes the nodes at one end of a list that hold so many elements; answers the last one's key.
    fn run(
        &self,
        ends: &ListEnds,
        reach: EndReach,
        backwards: bool,
        into: &mut PartRecords,
    ) -> Result<Option<Bytes>> {
        let end = if backwards { &ends.last } else { &ends.first };
        let (key, value) = self.element(end)?;
        if reach.is_within(&value, backwards) {
            into.insert(key.clone(), value);
            return Ok(Some(key));
        }
        let (mut elements, mut spare, mut last) = (0, 0, None);
        for (nodes, pair) in self.walk(&ends.first, &ends.last, backwards).enumerate() {
            if nodes >= PART_MAX_NODES {
                return Ok(None);
            }
            let (key, value) = pair?;
            elements += ListpackRef::new(&value).len();
            last = Some(key.clone());
            into.insert(key, value);
            if elements >= reach.elements && spare >= reach.spare {
                break;
            }
            spare += usize::from(elements > reach.elements);
        }
        Ok(last)
    }

    /// The nodes of a stream that a command looks at, and the records of their deleted entries; none if these are too many.
    pub(super) fn of_stream(&self, shape: &Shape, looks: &Looks) -> Result<Option<PartNodes>> {
        let mut part = StreamPart {
            nodes: self,
            shape,
            records: PartRecords::new(),
            deleted: &[],
        };
        if let Looks::Delete(ids) = looks {
            part.deleted = ids;
        }
        let found = part.ends()?
            && match looks {
                Looks::Entries {
                    ids,
                    count,
                    backwards,
                } => part.entries(ids, *count, *backwards)?,
                Looks::Delete(ids) => part.around(ids)?,
                Looks::KeepEntries { keep, limit } => part.trimmed(*keep, *limit)?,
                _ => true,
            };
        Ok(found.then_some(PartNodes {
            records: part.records,
            missing: Missing::default(),
        }))
    }
}

/// How far a command looks into a list from one end.
#[derive(Clone, Copy, Default)]
struct EndReach {
    elements: usize,
    /// Further nodes.
    spare: usize,
}

impl EndReach {
    /// Whether the node at the end is all that is looked at: it has the elements, and what is left of it is not joined with others.
    fn is_within(self, node: &[u8], backwards: bool) -> bool {
        let node = ListpackRef::new(node);
        let Some(left) = node.len().checked_sub(self.elements) else {
            return false;
        };
        if self.spare == 0 {
            return true;
        }
        let cut = node
            .iter_at(if backwards { left } else { self.elements })
            .offset();
        let rest = if backwards {
            cut
        } else {
            node.bytes().len() - cut
        };
        left > 0 && rest > JOINED_MAX_BYTES
    }
}

struct ListReach {
    head: EndReach,
    tail: EndReach,
}

impl ListReach {
    /// None if the command looks at too much.
    fn of(looks: &Looks, len: usize) -> Option<Self> {
        let read = |elements| EndReach { elements, spare: 0 };
        let taken = |elements: usize| EndReach {
            elements: elements.min(len),
            spare: if elements > 0 { SPARE_NODES } else { 0 },
        };
        let (head, tail) = match *looks {
            Looks::Range { start, stop } => match resolve(start, stop, len) {
                None => (read(0), read(0)),
                Some((from, to)) if to <= len - from => (read(to), read(0)),
                Some((from, _)) => (read(0), read(len - from)),
            },
            Looks::Take { head, tail } => (taken(head), taken(tail)),
            Looks::KeepRange { start, stop } => match resolve(start, stop, len) {
                None => (read(0), read(0)),
                Some((from, to)) => (taken(from), taken(len - to)),
            },
            _ => (read(0), read(0)),
        };
        // A node has an element at least, and about a dozen of a usual length.
        let most = PART_MAX_NODES * 64;
        (head.elements.saturating_add(tail.elements) <= most).then_some(Self { head, tail })
    }
}

/// The half-open range of elements that a first and a last index mean, negative ones counted from the end; none if it is empty.
pub(super) fn resolve(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    (start <= stop).then_some((start as usize, stop as usize + 1))
}

/// A part of a stream, being gathered.
struct StreamPart<'n, 'd> {
    nodes: &'n Nodes<'d>,
    shape: &'n Shape,
    records: PartRecords,
    /// Entries that are about to be deleted: nodes without any stay, and are what the ends are known by.
    deleted: &'n [StreamId],
}

impl StreamPart<'_, '_> {
    fn walk(&self, ids: RangeInclusive<StreamId>, backwards: bool) -> Walk<'_> {
        let (start, end) = ids.into_inner();
        let (from, to) = (Shape::node_key(start), Shape::node_key(end));
        self.nodes.walk(&from, &to, backwards)
    }

    /// Takes nodes until `is_enough`, told of each its first id and the bytes; false if these are too many.
    fn take(
        &mut self,
        ids: RangeInclusive<StreamId>,
        backwards: bool,
        mut is_enough: impl FnMut(StreamId, &[u8]) -> bool,
    ) -> Result<bool> {
        let mut taken: Vec<(StreamId, Bytes, Bytes)> = Vec::new();
        let mut done = false;
        for pair in self.walk(ids, backwards) {
            if taken.len() >= PART_MAX_NODES {
                return Ok(false);
            }
            let (key, value) = pair?;
            let first = Shape::first_of(&key)?;
            done = is_enough(first, &value);
            taken.push((first, key, value));
            if done {
                break;
            }
        }
        if backwards {
            taken.reverse();
        }
        if let (Some((first, ..)), Some((last, _, bytes))) = (taken.first(), taken.last()) {
            self.take_deletions(*first, Shape::last_in(*last, bytes))?;
        }
        let nodes = taken.into_iter().map(|(_, key, value)| (key, value));
        self.records.extend(nodes);
        Ok(done || self.records.len() < PART_MAX_NODES)
    }

    /// Takes the records of entries between two ids that were deleted alone.
    fn take_deletions(&mut self, first: StreamId, last: StreamId) -> Result<()> {
        if self.shape.max_deleted_id < first {
            return Ok(());
        }
        let (from, to) = (Shape::deletion_key(first), Shape::deletion_key(last));
        for pair in self.nodes.walk(&from, &to, false) {
            let (key, value) = pair?;
            self.records.insert(key, value);
        }
        Ok(())
    }

    /// The first and the last node that will be there when the command is done, and those before and behind these.
    fn ends(&mut self) -> Result<bool> {
        if let (true, Some(first), Some(last)) =
            (self.deleted.is_empty(), self.shape.first, self.shape.last)
        {
            for node in [first, last] {
                let (key, value) = self.nodes.element(&Shape::node_key(node))?;
                self.take_deletions(node, Shape::last_in(node, &value))?;
                self.records.insert(key, value);
            }
            return Ok(true);
        }
        let deleted = self.deleted;
        let mut behind = StreamId::MAX;
        let last = self.take(StreamId::MIN..=StreamId::MAX, true, |first, _| {
            let stays = !deleted.iter().any(|id| (first..=behind).contains(id));
            behind = first;
            stays
        })?;
        let first = self.shape.first.unwrap_or(StreamId::MIN);
        let head = self.take(first..=StreamId::MAX, false, |first, bytes| {
            let ids = first..=Shape::last_in(first, bytes);
            !deleted.iter().any(|id| ids.contains(id))
        })?;
        Ok(last && head)
    }

    /// The first id of the node that an id is in, or would be.
    fn node_of(&self, id: StreamId) -> Result<Option<StreamId>> {
        let mut nodes = self.walk(StreamId::MIN..=id, true);
        let node = nodes.next().transpose()?;
        node.map(|(key, _)| Shape::first_of(&key)).transpose()
    }

    /// So many entries of these ids, from one end.
    fn entries(
        &mut self,
        ids: &RangeInclusive<StreamId>,
        count: usize,
        backwards: bool,
    ) -> Result<bool> {
        let (&start, &end) = (ids.start(), ids.end());
        if start > end || count == 0 || start > self.shape.last_id {
            return Ok(true);
        }
        let mut found = 0;
        // Deletions that have records of their own are not counted: as many nodes more are read as entries may be missing.
        let mut count_in = |first: StreamId, bytes: &[u8], shape: &Shape| {
            found += shape.live_at_least(first, bytes, start..=end);
            found >= count
        };
        let shape = self.shape;
        if backwards {
            return self.take(StreamId::MIN..=end, true, |first, bytes| {
                count_in(first, bytes, shape) || first <= start
            });
        }
        let from = match self.node_of(start)? {
            Some(from) => from,
            None => self.shape.first.unwrap_or(StreamId::MIN),
        };
        self.take(from..=end, false, |first, bytes| {
            count_in(first, bytes, shape)
        })
    }

    /// The nodes of these ids.
    fn around(&mut self, ids: &[StreamId]) -> Result<bool> {
        for &id in ids {
            self.take(StreamId::MIN..=id, true, |_, _| true)?;
        }
        Ok(self.records.len() < PART_MAX_NODES)
    }

    /// The nodes that are trimmed, and one more.
    fn trimmed(&mut self, keep: Keep, limit: usize) -> Result<bool> {
        let first = self.shape.first.unwrap_or(StreamId::MIN);
        let most = if limit == 0 { usize::MAX } else { limit };
        // An entry may be added before.
        let excess = match keep {
            Keep::Last(kept) => (self.shape.len + 1).saturating_sub(kept),
            Keep::From(_) => usize::MAX,
        };
        if excess == 0 {
            return Ok(true);
        }
        let excess = excess.min(most);
        let (mut live, mut spare) = (0, 0);
        let shape = self.shape;
        self.take(first..=StreamId::MAX, false, |first, bytes| {
            let stays = live > excess || matches!(keep, Keep::From(id) if first >= id);
            spare += usize::from(stays);
            live += shape.live_at_least(first, bytes, StreamId::MIN..=StreamId::MAX);
            spare > 1
        })
    }
}

impl Looks {
    /// Whether what is gathered for this is enough, though elements go: a list must not become flat.
    pub(super) fn keeps_large(&self, part: &Collected, limits: &crate::types::Limits) -> bool {
        match self {
            Self::Take { .. } | Self::KeepRange { .. } => part.stays_large(limits),
            _ => true,
        }
    }
}
