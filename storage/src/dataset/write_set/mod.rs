//! The records of one database that changed since the last checkpoint, coalesced.
//!
//! Small records are copied, as they will be on disk, into an append-only arena with a hash index; writing a key again
//! overwrites its record in place where it fits. A large value is only marked: its bytes are shared with the checkpoint
//! when the set is frozen. Everything is moved, never walked, at a freeze, except the marks of large values.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use smallvec::SmallVec;

use super::asked::Asked;
use super::position::spread;
use super::ranks::{self, RankPlace};
use super::recall::Followed;
use super::record::RecordKey;
use super::scored::{ElementsPrefix, RankOrder, ScoredSets};
use super::warm::WARM_KEYS;
use crate::prefetch;

/// Values above this are marked instead of copied at every write.
pub(super) const LARGE_BYTES: usize = 4096;

const FIRST_CHUNK_BYTES: usize = 16 << 10;
const LAST_CHUNK_BYTES: usize = 1 << 20;

/// Lengths before each record: of the key, of the room for the value, of the value.
const LENGTHS_BYTES: usize = 12;
/// In place of the value's length.
const TOMBSTONE: u32 = u32::MAX;
const LARGE: u32 = u32::MAX - 1;
/// Room beyond the value, for a number or an expiry that becomes longer.
const SPARE_BYTES: usize = 3;

/// Most records are not longer: so much of one is asked for ahead.
const USUAL_BYTES: usize = 128;

/// What a key's last write was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Put,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    chunk: u32,
    offset: u32,
}

#[derive(Clone, Copy)]
struct Indexed {
    hash: u32,
    place: Place,
}

/// Records in chunks, found by engine key. `C` holds a chunk's bytes.
struct Records<C> {
    index: HashTable<Indexed>,
    chunks: Vec<C>,
    /// Where the records are that are looked for in their order, by engine key.
    nodes: BTreeMap<Box<[u8]>, Place>,
    /// Where the records of members with scores are.
    scored: ScoredSets<Place>,
    /// Where other elements' records are, in order, as far as somebody has asked for it.
    asked: Asked<Place>,
}

/// The score before the first change, at the end of the room of a record with a score; NaN: there was none.
const SCORE_BYTES: usize = size_of::<f64>();

/// A member's record that was written since the last freeze.
pub(super) struct Scored<'a> {
    /// The engine key.
    pub(super) key: &'a [u8],
    /// The record, which ends with the score; none: the member is gone.
    pub(super) value: Option<&'a [u8]>,
    /// The score before.
    pub(super) was: Option<f64>,
}

/// What a node in the order of records takes besides its key, about.
const ORDERED_BYTES: usize = 40;
/// What the first of a sorted set's members' records takes besides itself, about.
const SCORED_SET_BYTES: usize = 96;

struct Lengths {
    key: usize,
    room: usize,
    value: u32,
}

impl<C: AsRef<[u8]>> Records<C> {
    fn lengths(&self, place: Place) -> Option<Lengths> {
        let chunk = self.chunks.get(place.chunk as usize)?.as_ref();
        let bytes = chunk
            .get(place.offset as usize..)?
            .first_chunk::<LENGTHS_BYTES>()?;
        let &[a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        Some(Lengths {
            key: u32::from_le_bytes([a, b, c, d]) as usize,
            room: u32::from_le_bytes([e, f, g, h]) as usize,
            value: u32::from_le_bytes([i, j, k, l]),
        })
    }

    /// The engine key of a record.
    fn key(&self, place: Place) -> Option<&[u8]> {
        let lengths = self.lengths(place)?;
        let start = place.offset as usize + LENGTHS_BYTES;
        self.chunks
            .get(place.chunk as usize)?
            .as_ref()
            .get(start..start + lengths.key)
    }

    #[inline]
    fn holds(&self, place: Place, key: &RecordKey<'_>) -> bool {
        let head = key.head();
        self.key(place)
            .and_then(|key| key.split_at_checked(head.len()))
            .is_some_and(|(own_head, rest)| own_head == head && *rest == *key.rest)
    }

    fn find(&self, key: &RecordKey<'_>) -> Option<Place> {
        let hash = key.position.hash;
        let found = self.index.find(spread(hash), |at| {
            at.hash == hash && self.holds(at.place, key)
        })?;
        Some(found.place)
    }

    fn pending(&self, key: &RecordKey<'_>) -> Option<Pending> {
        let lengths = self.lengths(self.find(key)?)?;
        Some(if lengths.value == TOMBSTONE {
            Pending::Delete
        } else {
            Pending::Put
        })
    }
}

impl<C: AsRef<[u8]>> Records<C> {
    /// A record's value, copied; none: deleted, or only marked, which is in memory.
    fn value(&self, place: Place) -> Option<Bytes> {
        let lengths = self.lengths(place)?;
        if lengths.value == TOMBSTONE || lengths.value == LARGE {
            return None;
        }
        let start = place.offset as usize + LENGTHS_BYTES + lengths.key;
        let chunk = self.chunks.get(place.chunk as usize)?.as_ref();
        let value = chunk.get(start..start + lengths.value as usize)?;
        Some(Bytes::copy_from_slice(value))
    }

    fn get(&self, key: &RecordKey<'_>) -> Option<Option<Bytes>> {
        Some(self.value(self.find(key)?))
    }

    fn nodes(&self, range: KeyRange<'_>) -> Box<dyn PendingNodes + '_> {
        let nodes = self.nodes.range::<[u8], _>(range);
        Box::new(nodes.map(|(key, &place)| (Bytes::copy_from_slice(key), self.value(place))))
    }

    /// The next records of a collection's elements in order of their keys, at most `most`.
    fn elements(
        &self,
        prefix: &ElementsPrefix,
        from: Bound<&[u8]>,
        most: usize,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        let own = |at: &Indexed| {
            let key = self.key(at.place).filter(|key| key.starts_with(prefix))?;
            Some((key.into(), at.place))
        };
        let some = self
            .asked
            .some(prefix, from, most, || self.index.iter().filter_map(own));
        some.into_iter()
            .map(|(key, place)| (Bytes::from(key), self.value(place)))
            .collect()
    }

    /// Gives `read` the members of a sorted set that have changed and are there, in order.
    fn in_order<R>(
        &self,
        prefix: &ElementsPrefix,
        read: impl FnOnce(&RankOrder) -> R,
    ) -> Option<R> {
        self.scored
            .in_order(prefix, |place| self.ranked_at(place), read)
    }

    fn ranked_at(&self, place: Place) -> Option<(RankPlace, f64)> {
        let scored = self.scored_at(place)?;
        let (score, member) = scored.ranked()?;
        Some((ranks::place_of(score, member), score))
    }

    fn scored_at(&self, place: Place) -> Option<Scored<'_>> {
        let lengths = self.lengths(place)?;
        let chunk = self.chunks.get(place.chunk as usize)?.as_ref();
        let record = chunk.get(place.offset as usize + LENGTHS_BYTES..)?;
        let (key, rest) = record.split_at_checked(lengths.key)?;
        let (room, was) = rest.get(..lengths.room)?.split_last_chunk()?;
        let was = f64::from_le_bytes(*was);
        let value = match lengths.value {
            TOMBSTONE => None,
            length => Some(room.get(..length as usize)?),
        };
        Some(Scored {
            key,
            value,
            was: (!was.is_nan()).then_some(was),
        })
    }

    fn gather(&self, prefix: &[u8], into: &mut BTreeMap<Bytes, Option<Bytes>>) {
        for at in &self.index {
            if let Some(key) = self.key(at.place).filter(|key| key.starts_with(prefix)) {
                into.insert(Bytes::copy_from_slice(key), self.value(at.place));
            }
        }
    }
}

/// Bounds of engine keys.
pub(super) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Engine keys and records in order; no record: it is deleted.
pub(super) trait PendingNodes: DoubleEndedIterator<Item = (Bytes, Option<Bytes>)> {}

impl<I: DoubleEndedIterator<Item = (Bytes, Option<Bytes>)>> PendingNodes for I {}

struct LargeMark {
    key: Box<[u8]>,
    bytes: usize,
}

/// Records since the last freeze.
pub(super) struct WriteSet {
    records: Records<Vec<u8>>,
    large: BTreeMap<Place, LargeMark>,
    arena_bytes: usize,
    large_bytes: usize,
    /// Taken by what finds nodes and members with scores.
    nodes_bytes: usize,
    /// Notes what changes in one large collection.
    followed: Option<Box<Followed>>,
    /// What the records of members with scores will take on disk in the order of scores, at most.
    ranks_bytes: usize,
}

impl Default for WriteSet {
    fn default() -> Self {
        let records = Records {
            index: HashTable::new(),
            chunks: Vec::new(),
            nodes: BTreeMap::new(),
            scored: ScoredSets::default(),
            asked: Asked::default(),
        };
        Self {
            records,
            large: BTreeMap::new(),
            arena_bytes: 0,
            large_bytes: 0,
            nodes_bytes: 0,
            followed: None,
            ranks_bytes: 0,
        }
    }
}

impl WriteSet {
    /// An empty set with an index for so many records: it need not grow under the writers.
    pub(super) fn with_capacity(records: usize) -> Self {
        let mut set = Self::default();
        set.records
            .index
            .reserve(records, |at: &Indexed| spread(at.hash));
        set
    }

    /// Notes what changes in a collection from now on, or no more.
    pub(super) fn follow(&mut self, followed: Option<Box<Followed>>) {
        self.followed = followed;
    }

    /// What has been noted.
    pub(super) fn followed(&mut self) -> Option<&mut Followed> {
        self.followed.as_deref_mut()
    }

    /// The set that comes behind this one goes on noting.
    pub(super) fn take_followed(&mut self) -> Option<Box<Followed>> {
        self.followed.take()
    }

    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.records.index.len()
    }

    /// Bytes held, the large values that are only marked included.
    pub(super) fn size_bytes(&self) -> usize {
        self.arena_bytes + self.large_bytes + self.len() * size_of::<Indexed>()
    }

    /// Bytes allocated here.
    pub(super) fn memory_bytes(&self) -> usize {
        let chunks: usize = self.records.chunks.iter().map(Vec::capacity).sum();
        let orders = self.records.scored.order_bytes() + self.records.asked.memory_bytes();
        chunks + self.records.index.allocation_size() + self.nodes_bytes + orders
    }

    /// Asks for the records of the keys with these hashes, at most [`WARM_KEYS`]: for their places first, so that the records
    /// are waited for together.
    #[inline]
    pub(super) fn warm(&self, hashes: impl Iterator<Item = u32>) {
        let index = &self.records.index;
        let indexed: SmallVec<[&Indexed; WARM_KEYS]> = hashes
            .filter_map(|hash| index.iter_hash(spread(hash)).next())
            .collect();
        for at in indexed {
            let chunk = self.records.chunks.get(at.place.chunk as usize);
            let record = chunk.and_then(|chunk| chunk.get(at.place.offset as usize..));
            if let Some(record) = record {
                prefetch::object(record.get(..USUAL_BYTES).unwrap_or(record));
            }
        }
    }

    /// The last write of a key; none: not since the last freeze.
    pub(super) fn pending(&self, key: &RecordKey<'_>) -> Option<Pending> {
        self.records.pending(key)
    }

    /// The last record of a key; none: not written since; an inner none: deleted.
    pub(super) fn get(&self, key: &RecordKey<'_>) -> Option<Option<Bytes>> {
        self.records.get(key)
    }

    /// Takes all records whose engine keys begin so into `into`.
    pub(super) fn gather(&self, prefix: &[u8], into: &mut BTreeMap<Bytes, Option<Bytes>>) {
        self.records.gather(prefix, into);
    }

    /// The next records of a collection's elements from an engine key on, in order, at most `most`.
    pub(super) fn elements(
        &self,
        prefix: &ElementsPrefix,
        from: Bound<&[u8]>,
        most: usize,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        self.records.elements(prefix, from, most)
    }

    /// The records whose engine keys are in a range, of those that were written by [`Self::put_node`] or
    /// [`Self::delete_node`].
    pub(super) fn nodes(&self, range: KeyRange<'_>) -> Box<dyn PendingNodes + '_> {
        self.records.nodes(range)
    }

    /// Gives `read` the members of a sorted set that were written by [`Self::put_score`] and are there, in order; none: nothing has
    /// changed.
    pub(super) fn in_order<R>(
        &self,
        prefix: &ElementsPrefix,
        read: impl FnOnce(&RankOrder) -> R,
    ) -> Option<R> {
        self.records.in_order(prefix, read)
    }

    /// A member's record becomes `head` and the score; `old` is the one that it had.
    pub(super) fn put_score(
        &mut self,
        key: &RecordKey<'_>,
        head: &[u8],
        score: f64,
        old: Option<f64>,
    ) {
        let length = head.len() + SCORE_BYTES;
        let before = self.rank_in_order(key);
        let place = self.scored_place(key, length, old);
        self.write_value(
            place,
            length as u32,
            &[head, &score.to_le_bytes()],
            key.len(),
        );
        self.keep_order(key, before, place);
    }

    /// The record of a member that had the score `old` is to be deleted; `head_bytes` stand before the score.
    pub(super) fn delete_score(&mut self, key: &RecordKey<'_>, head_bytes: usize, old: f64) {
        let before = self.rank_in_order(key);
        let place = self.scored_place(key, head_bytes + SCORE_BYTES, Some(old));
        self.write_value(place, TOMBSTONE, &[], key.len());
        self.keep_order(key, before, place);
    }

    /// Where a member stands in an order that was asked for.
    #[inline]
    fn rank_in_order(&mut self, key: &RecordKey<'_>) -> Option<RankPlace> {
        let prefix = key.head().first_chunk()?;
        if !self.records.scored.has_order(prefix) {
            return None;
        }
        let (place, _) = self.records.ranked_at(self.records.find(key)?)?;
        Some(place)
    }

    /// Where it stands now.
    #[inline]
    fn keep_order(&mut self, key: &RecordKey<'_>, before: Option<RankPlace>, place: Place) {
        if let Some(prefix) = key.head().first_chunk()
            && self.records.scored.has_order(prefix)
        {
            let now = self.records.ranked_at(place);
            self.records.scored.changed(prefix, before, now);
        }
    }

    /// The place of a member's record, which always takes `length` bytes. The first time, `old` is noted.
    fn scored_place(&mut self, key: &RecordKey<'_>, length: usize, old: Option<f64>) -> Place {
        self.note_change(key);
        if let Some(place) = self.records.find(key) {
            return place;
        }
        let place = self.append(key, length + SCORE_BYTES);
        let was = old.unwrap_or(f64::NAN).to_le_bytes();
        self.write_room(place, key.len() + length, &was);
        let hash = key.position.hash;
        self.records
            .index
            .insert_unique(spread(hash), Indexed { hash, place }, |at| spread(at.hash));
        if let Some(prefix) = key.head().first_chunk() {
            let is_first = self.records.scored.add(*prefix, place);
            self.nodes_bytes += if is_first {
                SCORED_SET_BYTES
            } else {
                size_of::<Place>()
            };
        }
        self.ranks_bytes += 2 * (LENGTHS_BYTES + key.len() + length);
        self.keep_asked(key, place);
        place
    }

    /// Writes bytes of a record behind its lengths.
    fn write_room(&mut self, place: Place, at: usize, bytes: &[u8]) {
        let at = place.offset as usize + LENGTHS_BYTES + at;
        let chunk = self.records.chunks.get_mut(place.chunk as usize);
        if let Some(room) = chunk.and_then(|chunk| chunk.get_mut(at..at + bytes.len())) {
            room.copy_from_slice(bytes);
        }
    }

    /// The record becomes these parts, one behind the other.
    #[inline]
    pub(super) fn put(&mut self, key: &RecordKey<'_>, parts: &[&[u8]]) {
        self.put_at(key, parts);
    }

    /// Where it was put.
    #[inline]
    fn put_at(&mut self, key: &RecordKey<'_>, parts: &[&[u8]]) -> Place {
        let length = parts.iter().map(|part| part.len()).sum();
        let (place, was) = self.place(key, length);
        if was == LARGE {
            self.unmark(place);
        }
        self.write_value(place, length as u32, parts, key.len());
        place
    }

    /// [`Self::put`] of a record that will be looked for in the order of records.
    pub(super) fn put_node(&mut self, key: &RecordKey<'_>, parts: &[&[u8]]) {
        let appended = self.arena_bytes;
        let place = self.put_at(key, parts);
        if self.arena_bytes > appended {
            self.note_node(key, place);
        }
    }

    /// [`Self::delete`] of such a record.
    pub(super) fn delete_node(&mut self, key: &RecordKey<'_>) {
        let appended = self.arena_bytes;
        let place = self.delete_at(key);
        if self.arena_bytes > appended {
            self.note_node(key, place);
        }
    }

    fn note_node(&mut self, key: &RecordKey<'_>, place: Place) {
        let key = key.to_vec().into_boxed_slice();
        let bytes = key.len() + ORDERED_BYTES;
        if self.records.nodes.insert(key, place).is_none() {
            self.nodes_bytes += bytes;
        }
    }

    /// The value of `key`, which is too large to be copied now, is to be taken from memory at the freeze.
    pub(super) fn put_large(&mut self, key: &RecordKey<'_>, full_key: &[u8], bytes: usize) {
        let (place, was) = self.place(key, 0);
        if was == LARGE {
            self.unmark(place);
        }
        self.write_value(place, LARGE, &[], key.len());
        self.large.insert(
            place,
            LargeMark {
                key: full_key.into(),
                bytes,
            },
        );
        self.large_bytes += bytes;
    }

    /// The record is to be deleted.
    pub(super) fn delete(&mut self, key: &RecordKey<'_>) {
        self.delete_at(key);
    }

    fn delete_at(&mut self, key: &RecordKey<'_>) -> Place {
        let (place, was) = self.place(key, 0);
        if was == LARGE {
            self.unmark(place);
        }
        self.write_value(place, TOMBSTONE, &[], key.len());
        place
    }

    fn unmark(&mut self, place: Place) {
        if let Some(mark) = self.large.remove(&place) {
            self.large_bytes -= mark.bytes;
        }
    }

    /// A place for the key with room for `length` bytes of value, and the present value's length (0 if new).
    #[inline]
    fn place(&mut self, key: &RecordKey<'_>, length: usize) -> (Place, u32) {
        self.note_change(key);
        let (place, was) = self.find_place(key, length);
        self.keep_asked(key, place);
        (place, was)
    }

    /// Orders that somebody has asked for stay whole.
    #[inline]
    fn keep_asked(&mut self, key: &RecordKey<'_>, place: Place) {
        let asked = &mut self.records.asked;
        if asked.has_any() {
            asked.wrote(|| key.to_vec(), key.head(), place);
        }
    }

    fn find_place(&mut self, key: &RecordKey<'_>, length: usize) -> (Place, u32) {
        let hash = key.position.hash;
        let Some(old) = self.records.find(key) else {
            let place = self.append(key, length + SPARE_BYTES);
            self.records
                .index
                .insert_unique(spread(hash), Indexed { hash, place }, |at| spread(at.hash));
            return (place, 0);
        };
        let was = self
            .records
            .lengths(old)
            .map_or((0, 0), |lengths| (lengths.room, lengths.value));
        if was.0 >= length {
            return (old, was.1);
        }
        if was.1 == LARGE {
            self.unmark(old);
        }
        // What has grown is likely to grow again: the copies that are left behind are no more than the last one.
        let place = self.append(key, (2 * length).min(length.max(LARGE_BYTES)) + SPARE_BYTES);
        if let TableEntry::Occupied(mut found) =
            self.records
                .index
                .entry(spread(hash), |at| at.place == old, |at| spread(at.hash))
        {
            found.get_mut().place = place;
        }
        (place, 0)
    }

    #[inline]
    fn note_change(&mut self, key: &RecordKey<'_>) {
        if let Some(followed) = &mut self.followed {
            followed.note(key);
        }
    }

    fn append(&mut self, key: &RecordKey<'_>, room: usize) -> Place {
        let total = LENGTHS_BYTES + key.len() + room;
        let chunks = &mut self.records.chunks;
        if chunks
            .last()
            .is_none_or(|last| last.capacity() - last.len() < total)
        {
            let size = FIRST_CHUNK_BYTES
                .checked_shl(chunks.len() as u32)
                .unwrap_or(0);
            let size = if size == 0 {
                LAST_CHUNK_BYTES
            } else {
                size.min(LAST_CHUNK_BYTES)
            };
            chunks.push(Vec::with_capacity(size.max(total)));
        }
        let number = chunks.len() - 1;
        self.arena_bytes += total;
        let Some(chunk) = chunks.last_mut() else {
            return Place {
                chunk: 0,
                offset: 0,
            };
        };
        let offset = chunk.len();
        chunk.extend_from_slice(&(key.len() as u32).to_le_bytes());
        chunk.extend_from_slice(&(room as u32).to_le_bytes());
        chunk.extend_from_slice(&0u32.to_le_bytes());
        chunk.extend_from_slice(key.head());
        chunk.extend_from_slice(&key.rest);
        chunk.resize(offset + total, 0);
        Place {
            chunk: number as u32,
            offset: offset as u32,
        }
    }

    /// Writes a record's value into the room that [`Self::place`] made.
    #[inline]
    fn write_value(&mut self, place: Place, marker: u32, parts: &[&[u8]], key_bytes: usize) {
        let Some(chunk) = self.records.chunks.get_mut(place.chunk as usize) else {
            return;
        };
        let start = place.offset as usize;
        if let Some(length) = chunk.get_mut(start + 8..start + LENGTHS_BYTES) {
            length.copy_from_slice(&marker.to_le_bytes());
        }
        let mut at = start + LENGTHS_BYTES + key_bytes;
        for part in parts {
            if let Some(room) = chunk.get_mut(at..at + part.len()) {
                room.copy_from_slice(part);
            }
            at += part.len();
        }
    }

    /// What changed, for good. `value_of` gives a large value's head and bytes by its key.
    pub(super) fn freeze(self, mut value_of: impl FnMut(&[u8]) -> Option<LargeValue>) -> FrozenSet {
        let large = self.large.into_iter();
        let large = large
            .filter_map(|(place, mark)| Some((place, value_of(&mark.key)?)))
            .collect();
        let chunks = self.records.chunks.into_iter().map(Bytes::from).collect();
        FrozenSet {
            records: Records {
                index: self.records.index,
                chunks,
                nodes: self.records.nodes,
                scored: self.records.scored,
                asked: self.records.asked,
            },
            large,
            size_bytes: self.arena_bytes + self.large_bytes + self.ranks_bytes,
        }
    }
}

/// A large value of a frozen set.
pub(super) struct LargeValue {
    pub(super) head: SmallVec<[u8; 32]>,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// A database's part of a checkpoint.
pub(super) struct FrozenSet {
    records: Records<Bytes>,
    large: BTreeMap<Place, LargeValue>,
    size_bytes: usize,
}

/// Where a frozen record is, and the part of its engine key that tells nearly all apart.
#[derive(Clone, Copy)]
pub(super) struct FrozenRecord {
    order: u128,
    place: Place,
}

impl FrozenRecord {
    /// Slot, database, kind; then hash and start of the key, or incarnation and hash of the element.
    pub(super) fn order(self) -> u128 {
        self.order
    }
}

impl FrozenSet {
    /// The last record of a key; none: not written since; an inner none: deleted.
    pub(super) fn get(&self, key: &RecordKey<'_>) -> Option<Option<Bytes>> {
        self.records.get(key)
    }

    /// Takes all records whose engine keys begin so into `into`.
    pub(super) fn gather(&self, prefix: &[u8], into: &mut BTreeMap<Bytes, Option<Bytes>>) {
        self.records.gather(prefix, into);
    }

    /// See [`WriteSet::in_order`].
    pub(super) fn in_order<R>(
        &self,
        prefix: &ElementsPrefix,
        read: impl FnOnce(&RankOrder) -> R,
    ) -> Option<R> {
        self.records.in_order(prefix, read)
    }

    /// The records of all sorted sets' members, in no particular order.
    pub(super) fn all_scored(&self) -> impl Iterator<Item = Scored<'_>> {
        let places = self.records.scored.places();
        places.filter_map(|place| self.records.scored_at(place))
    }

    /// See [`WriteSet::elements`].
    pub(super) fn elements(
        &self,
        prefix: &ElementsPrefix,
        from: Bound<&[u8]>,
        most: usize,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        self.records.elements(prefix, from, most)
    }

    /// See [`WriteSet::nodes`].
    pub(super) fn nodes(&self, range: KeyRange<'_>) -> Box<dyn PendingNodes + '_> {
        self.records.nodes(range)
    }

    pub(super) fn pending(&self, key: &RecordKey<'_>) -> Option<Pending> {
        self.records.pending(key)
    }

    pub(super) fn len(&self) -> usize {
        self.records.index.len()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// All records, in no particular order.
    pub(super) fn records(&self) -> impl Iterator<Item = FrozenRecord> {
        self.records.index.iter().map(|at| {
            let key = self.records.key(at.place).unwrap_or_default();
            // Behind the first byte, which all share.
            let mut order = [0; size_of::<u128>()];
            for (to, &from) in order.iter_mut().zip(key.iter().skip(1)) {
                *to = from;
            }
            FrozenRecord {
                order: u128::from_be_bytes(order),
                place: at.place,
            }
        })
    }

    /// The engine key of one of [`Self::records`].
    pub(super) fn key(&self, record: FrozenRecord) -> &[u8] {
        self.records.key(record.place).unwrap_or_default()
    }

    /// Engine key and value of one of [`Self::records`]; no value: the key is to be deleted.
    pub(super) fn record(&self, record: FrozenRecord) -> (Bytes, Option<Bytes>) {
        let place = record.place;
        let (Some(lengths), Some(chunk)) = (
            self.records.lengths(place),
            self.records.chunks.get(place.chunk as usize),
        ) else {
            return (Bytes::new(), None);
        };
        let start = place.offset as usize + LENGTHS_BYTES;
        let end = start + lengths.key;
        let value = match lengths.value {
            TOMBSTONE => None,
            LARGE => self.large.get(&place).map(|value| {
                let mut bytes = Vec::with_capacity(value.head.len() + value.bytes.len());
                bytes.extend_from_slice(&value.head);
                bytes.extend_from_slice(&value.bytes);
                Bytes::from(bytes)
            }),
            length => Some(chunk.slice(end..end + length as usize)),
        };
        (chunk.slice(start..end), value)
    }
}
