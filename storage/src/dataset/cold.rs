//! What is only on disk: reading it, loading it, and dropping objects that are not used.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::Dataset;
use super::access::Access;
use super::collection::{self, Collected};
use super::database::{Database, SlotTable};
use super::entry::{Entry, Flat, Value};
use super::evict;
use super::position::Position;
use super::record::{self, ElementPlace, Incarnation, ParsedKey, PhysicalDb, RecordKey, Stored};
use crate::engine::Reader;
use crate::ids::{DB_COUNT, LogIndex, SLOT_COUNT};
use crate::types::Kind;
use crate::{Error, Result, keys};

/// Keys that readers may note between two calls of [`Dataset::promote`]; further ones are read from the disk once more.
const WANTED_MAX: usize = 4096;

/// Objects whose last uses are compared before the less used half of them is dropped. More choose better and cost more.
const SAMPLE_ENTRIES: usize = 256;
/// Entries looked at per object to be dropped: most may be in the write set, and one call must not take long.
const LOOKS_PER_DROP: usize = 32;

/// A key that a reader found on disk.
pub(super) struct Wanted {
    db: PhysicalDb,
    key: Box<[u8]>,
}

/// How far loading after the start has come.
#[derive(Default)]
pub(super) struct WarmUp {
    next: Place,
    done: bool,
}

/// A place in the order of records on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u16,
    pub(super) db: u8,
    pub(super) hash: u32,
}

impl Place {
    /// After all records.
    pub(super) const END: Self = Self {
        slot: SLOT_COUNT,
        db: 0,
        hash: 0,
    };

    pub(super) fn of(db: PhysicalDb, position: Position) -> Self {
        Self {
            slot: position.slot,
            db: db.0,
            hash: position.hash,
        }
    }

    pub(super) fn position(self) -> Position {
        Position {
            slot: self.slot,
            hash: self.hash,
        }
    }

    /// In the same slot of the same database.
    pub(super) fn is_with(self, other: Self) -> bool {
        (self.slot, self.db) == (other.slot, other.db)
    }

    /// The beginning of the next database's records of the slot, or of the next slot.
    pub(super) fn next_database(self) -> Self {
        let (slot, db) = if self.db + 1 < DB_COUNT {
            (self.slot, self.db + 1)
        } else {
            (self.slot + 1, 0)
        };
        Self { slot, db, hash: 0 }
    }
}

/// Where dropping goes on: over the slots of one database after the other.
#[derive(Default)]
pub(super) struct Hand {
    db: u8,
    slot: u16,
}

impl Dataset {
    /// The record of a key that is not in memory. The caller knows that the slot is not complete.
    #[cold]
    pub(super) fn read_cold(&self, db: PhysicalDb, key: &RecordKey<'_>) -> Result<Option<Stored>> {
        let Some(value) = self.read_record(db, key)? else {
            return Ok(None);
        };
        let stored = Stored::decode(&value)?;
        Ok((stored.index >= self.database(db).flushed_at).then_some(stored))
    }

    /// True when the key changed since the last durable checkpoint. Of a key that is not in memory: it was deleted, or a part of
    /// it was changed.
    pub(super) fn is_pending(&self, db: PhysicalDb, key: &RecordKey<'_>) -> bool {
        self.database(db).write_set.pending(key).is_some()
            || self
                .frozen
                .as_ref()
                .is_some_and(|frozen| frozen.pending(db, key).is_some())
    }

    /// Notes that a reader found a key on disk.
    pub(super) fn want(&self, db: PhysicalDb, key: &[u8]) {
        if let Some(mut wanted) = self.wanted.try_lock()
            && wanted.len() < WANTED_MAX
        {
            wanted.push(Wanted {
                db,
                key: key.into(),
            });
        }
    }

    /// Takes a record into memory.
    pub(super) fn admit(
        &mut self,
        db: PhysicalDb,
        at: Position,
        key: &[u8],
        stored: &Stored,
    ) -> Result<()> {
        let access = Access::new(self.now_ms());
        let entry = if stored.encoding.is_flat() {
            let parts = Flat {
                value: &stored.payload,
                kind: stored.kind,
                encoding: stored.encoding,
                expire_at_ms: stored.expire_at_ms,
            };
            Entry::flat(at.hash, key, parts, access)
        } else {
            let (incarnation, object) = self.read_elements(db, at.slot, stored)?;
            let value = Value::Collected {
                incarnation,
                object,
            };
            Entry::large(at.hash, key, value, stored.expire_at_ms, access)
        };
        self.database_mut(db).insert(at, entry);
        self.counters.loads += 1;
        Ok(())
    }

    /// Reads the elements of a large collection whose record was found.
    pub(super) fn read_elements(
        &self,
        db: PhysicalDb,
        slot: u16,
        stored: &Stored,
    ) -> Result<(Incarnation, Collected)> {
        let (incarnation, meta) = collection::parse_payload(&stored.payload)?;
        let place = ElementPlace {
            slot,
            db,
            incarnation,
        };
        let pending = self.pending_elements(stored, place);
        let disk: &dyn Reader = self.engine.as_ref();
        let object = load_elements(disk, place, &pending, stored.kind, meta)?;
        Ok((incarnation, object))
    }

    /// Loads objects that readers found on disk, at most `budget`. Answers how many keys were looked at.
    pub fn promote(&mut self, budget: usize) -> Result<usize> {
        let wanted: Vec<Wanted> = {
            let queue = self.wanted.get_mut();
            queue.drain(..budget.min(queue.len())).collect()
        };
        for Wanted { db, key } in &wanted {
            let at = self.hasher.position(key);
            if self.database(*db).find(at, key).is_some() || self.database(*db).is_complete(at.slot)
            {
                continue;
            }
            if let Some(stored) =
                self.read_cold(*db, &RecordKey::new(&self.hasher, *db, at, key))?
            {
                self.admit(*db, at, key, &stored)?;
            }
        }
        Ok(wanted.len())
    }

    /// Loads about `budget` further records after [`Dataset::open`], in the order of the disk, while memory has room. False
    /// when there is nothing left to load, or no room.
    pub fn load_next(&mut self, budget: usize) -> Result<bool> {
        if self.warm_up.done
            || (self.maxmemory_bytes > 0 && self.bytes_to_weigh() >= self.drop_above_bytes())
        {
            return Ok(false);
        }
        let mut seen = 0;
        while seen < budget {
            let Some(from) = self.next_incomplete(self.warm_up.next) else {
                self.warm_up.done = true;
                return Ok(false);
            };
            seen += self.load_from(from, budget - seen)?.max(1);
        }
        Ok(true)
    }

    /// Loads up to `budget` records from `from` on, until a slot that is complete, and notes where to go on.
    fn load_from(&mut self, from: Place, budget: usize) -> Result<usize> {
        let engine = Arc::clone(&self.engine);
        let start = record::prefix(PhysicalDb(from.db), from.position());
        let (_, end) = keys::data_records(0, SLOT_COUNT);
        let mut seen = 0;
        for pair in engine.scan(&start, &end) {
            let (key, value) = pair?;
            let ParsedKey::Meta { db, position, rest } = record::parse_key(&key)? else {
                // Elements stand after all keys of their slot and database, and are read with their keys.
                self.warm_up.next = self.warm_up.next.next_database();
                return Ok(seen);
            };
            let place = Place::of(db, position);
            let resumed = place != self.warm_up.next;
            self.warm_up.next = place;
            // All keys of one place are loaded together, or the next call would not know where to go on.
            if resumed
                && (seen >= budget
                    || (db.0 < DB_COUNT && self.database(db).is_complete(place.slot)))
            {
                return Ok(seen);
            }
            seen += 1;
            self.load_record(db, position, rest, &value)?;
        }
        self.warm_up.next = Place::END;
        Ok(seen)
    }

    fn load_record(
        &mut self,
        db: PhysicalDb,
        at: Position,
        rest: &[u8],
        value: &Bytes,
    ) -> Result<()> {
        if db.0 >= DB_COUNT {
            return Err(Error::corrupt("record key", format!("database {}", db.0)));
        }
        let stored = Stored::decode(value)?;
        let long_key = stored.long_key.clone();
        let key = long_key.as_deref().unwrap_or(rest);
        if stored.index < self.database(db).flushed_at
            || self.database(db).find(at, key).is_some()
            || self.is_pending(db, &RecordKey::new(&self.hasher, db, at, key))
        {
            return Ok(());
        }
        if self.is_to_be_recalled(&stored)? {
            self.recall(db, key);
            return Ok(());
        }
        self.admit(db, at, key, &stored)
    }

    /// The first place from `from` on whose slot has keys that are not in memory.
    pub(super) fn next_incomplete(&self, from: Place) -> Option<Place> {
        let incomplete = |slot: u16, db: u8| !self.database(PhysicalDb(db)).is_complete(slot);
        (from.slot..SLOT_COUNT).find_map(|slot| {
            let first = if slot == from.slot { from.db } else { 0 };
            let db = (first..DB_COUNT).find(|&db| incomplete(slot, db))?;
            let same = slot == from.slot && db == from.db;
            Some(Place {
                slot,
                db,
                hash: if same { from.hash } else { 0 },
            })
        })
    }

    /// The limit of memory, in bytes; 0: none.
    pub fn maxmemory(&self) -> u64 {
        self.maxmemory_bytes
    }

    /// Sets the limit of memory, in bytes; 0: none.
    pub fn set_maxmemory(&mut self, bytes: u64) {
        let grown = bytes == 0 || (self.maxmemory_bytes > 0 && bytes > self.maxmemory_bytes);
        self.maxmemory_bytes = bytes;
        if grown {
            self.warm_up = WarmUp::default();
        }
    }

    /// What the data may take when less than the limit of memory is left for it, because the process needs the rest: caches of
    /// the engines, the log, buffers, what the allocator holds. Objects are dropped above it; keys are evicted only
    /// above the limit itself.
    pub fn set_room(&mut self, bytes: u64) {
        self.room_bytes = bytes;
    }

    /// The memory above which objects are dropped.
    pub(super) fn drop_above_bytes(&self) -> u64 {
        let slack = if self.eviction.evicts() {
            self.maxmemory_bytes / evict::SLACK_PARTS
        } else {
            0
        };
        self.maxmemory_bytes
            .saturating_add(slack)
            .min(self.room_bytes)
            .saturating_sub(self.headroom_bytes())
    }

    /// Drops up to `budget` objects from memory that are on disk as they are and were not used for long, while memory
    /// exceeds its limit. Answers how many. Commands see no difference.
    pub fn drop_cold(&mut self, budget: usize) -> usize {
        let mut dropped = 0;
        let mut looks = budget.saturating_mul(LOOKS_PER_DROP).max(SAMPLE_ENTRIES);
        while dropped < budget
            && looks > 0
            && self.maxmemory_bytes > 0
            && self.bytes_to_weigh() > self.drop_above_bytes()
        {
            let Some((sample, entries)) = self.next_sample() else {
                break;
            };
            let gone = self.drop_half(&sample, budget - dropped);
            dropped += gone;
            looks = looks.saturating_sub(entries);
            if gone == 0 && entries < SAMPLE_ENTRIES {
                // These are all that there are, and finding them took a walk over all slots.
                break;
            }
        }
        self.counters.dropped += dropped as u64;
        dropped
    }

    /// Drops every object that is on disk as it is, whatever the limit. Answers how many.
    pub fn drop_all_clean(&mut self) -> usize {
        let mut dropped = 0;
        for db in (0..DB_COUNT).map(PhysicalDb) {
            let slots: Vec<u16> = self.used_slots(db, 0).collect();
            dropped += slots
                .into_iter()
                .map(|slot| self.drop_from(db, slot, |_| true))
                .sum::<usize>();
        }
        self.counters.dropped += dropped as u64;
        dropped
    }

    /// The next slots that have objects in memory, enough of them for a sample, and how many objects they have.
    pub(super) fn next_sample(&mut self) -> Option<(Vec<(PhysicalDb, u16)>, usize)> {
        let mut sample = Vec::new();
        let mut entries = 0;
        // Once round at most, from the place where the last sample ended.
        for _ in 0..=DB_COUNT {
            let db = PhysicalDb(self.hand.db);
            let mut full = None;
            for slot in self.used_slots(db, self.hand.slot) {
                let found = self.database(db).slot(slot).map_or(0, SlotTable::len);
                if found > 0 {
                    sample.push((db, slot));
                    entries += found;
                }
                if entries >= SAMPLE_ENTRIES {
                    full = Some(slot);
                    break;
                }
            }
            if let Some(slot) = full {
                self.hand.slot = slot + 1;
                return Some((sample, entries));
            }
            self.hand = Hand {
                db: (db.0 + 1) % DB_COUNT,
                slot: 0,
            };
        }
        (entries > 0).then_some((sample, entries))
    }

    /// Drops the less used half of the objects of some slots, at most `budget`.
    fn drop_half(&mut self, sample: &[(PhysicalDb, u16)], budget: usize) -> usize {
        let now_ms = self.now_ms();
        // Longest unused first, then least often used; the hash tells the rest apart.
        let staleness = |entry: &Entry| {
            let access = entry.access();
            let rarity = u64::from(u8::MAX - access.frequency(now_ms));
            (access.idle_ms(now_ms) / 1000) << 40 | rarity << 32 | u64::from(entry.hash())
        };
        let slots = sample
            .iter()
            .filter_map(|(db, slot)| self.database(*db).slot(*slot));
        let mut stale: Vec<u64> = slots.flat_map(|slot| slot.iter().map(staleness)).collect();
        let middle = stale.len() / 2;
        let threshold = *stale.select_nth_unstable(middle).1;
        let mut dropped = 0;
        for &(db, slot) in sample {
            let mut left = budget - dropped;
            dropped += self.drop_from(db, slot, |entry| {
                let goes = left > 0 && staleness(entry) >= threshold;
                left -= usize::from(goes);
                goes
            });
        }
        dropped
    }

    /// Drops the objects of a slot that `goes` and that are on disk as they are. Of a large collection the newest records may
    /// also wait to be written, where reads find them: one that changes all the time could not be dropped otherwise.
    fn drop_from(
        &mut self,
        db: PhysicalDb,
        slot: u16,
        mut goes: impl FnMut(&Entry) -> bool,
    ) -> usize {
        let Self {
            databases,
            hasher,
            frozen,
            parts_from_elements,
            engine,
            ..
        } = self;
        let Some(database) = databases.get_mut(usize::from(db.0)) else {
            return 0;
        };
        let flushed_at = database.flushed_at;
        Database::drop_entries(database, slot, |write_set, entry| {
            let key = RecordKey::new(
                hasher,
                db,
                Position {
                    slot,
                    hash: entry.hash(),
                },
                entry.key(),
            );
            let at_least = *parts_from_elements;
            let has_parts = || is_findable(engine.as_ref(), &key, entry, at_least, flushed_at);
            let is_clean = || {
                write_set.pending(&key).is_none()
                    && frozen
                        .as_ref()
                        .is_none_or(|frozen| frozen.pending(db, &key).is_none())
            };
            goes(entry) && (is_clean() || has_parts())
        })
    }
}

/// Builds a collection from its records on disk and those that wait to be written.
pub(super) fn load_elements(
    disk: &dyn Reader,
    place: ElementPlace,
    pending: &BTreeMap<Bytes, Option<Bytes>>,
    kind: Kind,
    meta: &[u8],
) -> Result<Collected> {
    let mut elements = elements_from(disk, place, 0, pending);
    Collected::load(kind, meta, &mut elements)
}

/// The elements of a collection whose hashes are not less than `hash`, in order of their keys, which is that of hashes and of a
/// list's nodes: from disk, with those that are `pending` in place of older ones.
pub(super) fn elements_from<'a>(
    disk: &'a dyn Reader,
    place: ElementPlace,
    hash: u32,
    pending: &'a BTreeMap<Bytes, Option<Bytes>>,
) -> impl Iterator<Item = Result<(Bytes, Bytes)>> + 'a {
    let start = [&place.prefix()[..], &hash.to_be_bytes()].concat();
    let mut durable = disk.scan(&start, &place.end()).peekable();
    let from = (Bound::Included(&start[..]), Bound::Unbounded);
    let mut newer = pending.range::<[u8], _>(from).peekable();
    std::iter::from_fn(move || {
        loop {
            let is_newer = match (newer.peek(), durable.peek()) {
                (Some((key, _)), Some(Ok((other, _)))) => *key <= other,
                (Some(_), None) => true,
                _ => false,
            };
            if !is_newer {
                let pair = durable.next()?;
                return Some(pair.and_then(|(key, value)| record::decode_element(&key, &value)));
            }
            let (key, value) = newer.next()?;
            durable.next_if(|pair| pair.as_ref().is_ok_and(|(other, _)| other == key));
            if let Some(value) = value {
                return Some(record::decode_element(key, value));
            }
        }
    })
}

/// True of a large collection whose key is on disk as it was before: whoever walks over the records finds the key there, and its
/// newest records where they wait to be written.
fn is_findable(
    engine: &dyn Reader,
    key: &RecordKey<'_>,
    entry: &Entry,
    at_least: u64,
    flushed_at: LogIndex,
) -> bool {
    let Some((incarnation, object)) = entry.collected() else {
        return false;
    };
    if (object.len() as u64) < at_least {
        return false;
    }
    // What cannot be read is not dropped; the next write meets the error.
    let stored = engine.get(&key.to_vec()).ok().flatten();
    let Some(stored) = stored.and_then(|value| Stored::decode(&value).ok()) else {
        return false;
    };
    let same = collection::parse_payload(&stored.payload).is_ok_and(|(own, _)| own == incarnation);
    same && !stored.encoding.is_flat()
        && stored.kind == object.kind()
        && stored.index >= flushed_at
        && stored.expire_at_ms == entry.expire_at_ms()
}
