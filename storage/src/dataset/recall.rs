//! Large collections come back into memory when they are used much, and after a start, without holding anybody up: a thread reads
//! all of one while commands go on, on parts of it; what they have changed meanwhile is read again, a piece at a time, until so little is
//! left that the lock is held for it.
//!
//! What has changed is known because the write set notes it: see [`Followed`].

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Dataset;
use super::access::Access;
use super::collection::{self, Collected};
use super::entry::{Entry, Value};
use super::part::{ELEMENT_BYTES, LOADED_MAX_ELEMENTS, elements_of};
use super::preload::{Cold, Loaded};
use super::record::{self, ELEMENTS_PREFIX_BYTES, Incarnation, PhysicalDb, RecordKey, Stored};
use crate::Result;
use crate::types::{Discard, Edit, KeyHasher, Kind, Limits};

/// A collection that takes more than one part in so many of the memory stays on disk, however much it is used.
const RECALLED_PARTS: u64 = 8;
/// It is worth the load when it has been used once for so many of its elements: a use of a part takes some tens of microseconds, loading an
/// element about one.
const ELEMENTS_PER_USE: u64 = 32;
/// Collections whose uses are counted.
const MAX_COUNTED: usize = 16;
/// A collection that changes too fast, or otherwise than is followed, is tried again so many times.
const TRIES: usize = 3;
/// Changes that are read again while the lock is held: some milliseconds.
const CHANGES_AT_ONCE: usize = 2048;
/// More changes than this are not followed.
const MAX_FOLLOWED: usize = 1 << 20;

/// Which elements of one collection have changed since it was noted to be read, by engine key.
pub(super) struct Followed {
    prefix: [u8; ELEMENTS_PREFIX_BYTES],
    changed: BTreeSet<Box<[u8]>>,
    /// There were too many.
    lost: bool,
}

impl Followed {
    /// An element's record has changed.
    #[inline]
    pub(super) fn note(&mut self, key: &RecordKey<'_>) {
        if key.head().starts_with(&self.prefix) {
            self.note_own(key);
        }
    }

    fn note_own(&mut self, key: &RecordKey<'_>) {
        self.lost |= self.changed.len() >= MAX_FOLLOWED;
        if !self.lost {
            self.changed.insert(key.to_vec().into());
        }
    }
}

/// Which collections are to come back, and which one is on its way.
#[derive(Default)]
pub(super) struct Recalls {
    /// How often parts of some were used.
    uses: Mutex<Vec<Uses>>,
    due: VecDeque<Due>,
    under_way: Option<UnderWay>,
}

struct Uses {
    db: PhysicalDb,
    key: Box<[u8]>,
    /// How many elements might have been loaded instead.
    worth: u64,
    elements: u64,
}

struct Due {
    db: PhysicalDb,
    key: Box<[u8]>,
    tries_left: usize,
}

struct UnderWay {
    due: Due,
    incarnation: Incarnation,
}

/// How far a collection has come that was read while others changed it.
pub enum Recalled {
    /// These changes are to be made to it, without the lock; then the question is asked again.
    Behind(Box<Loaded>, Changes),
    /// It is in memory.
    Admitted,
    /// It stays on disk for now: it is gone, or in memory already, or has changed otherwise.
    Left,
}

/// Elements that have changed, with their newest records.
pub struct Changes(Vec<(Bytes, Option<Bytes>)>);

impl Loaded {
    /// Makes changes to it, while it is nobody else's.
    pub fn catch_up(&mut self, changes: Changes) -> Result<()> {
        overlay(&mut self.object, &self.cold.hasher, changes)
    }
}

fn overlay(object: &mut Collected, hasher: &KeyHasher, changes: Changes) -> Result<()> {
    let (limits, mut discard) = (Limits::default(), Discard);
    let mut edit = Edit::new(&limits, hasher, 0, &mut discard);
    for (key, value) in changes.0 {
        let (key, value) = match value {
            Some(value) => {
                let (key, value) = record::decode_element(&key, &value)?;
                (key, Some(value))
            }
            None => (key.slice(ELEMENTS_PREFIX_BYTES..), None),
        };
        let (_, element) = crate::types::split_key(&key)?;
        object.overlay(element, value.as_deref(), &mut edit)?;
    }
    Ok(())
}

impl Dataset {
    /// Notes that a part of a collection that is only on disk was used instead of the whole.
    pub(super) fn note_use_of_part(&self, db: PhysicalDb, key: &[u8], stored: &Stored) {
        let Ok((_, meta)) = collection::parse_payload(&stored.payload) else {
            return;
        };
        let elements = elements_of(meta);
        if elements <= LOADED_MAX_ELEMENTS
            || !has_changes(stored.kind)
            || !self.has_room_for(elements, RECALLED_PARTS)
        {
            return;
        }
        // Whoever holds the lock counts another use: one less does not matter.
        let Some(mut uses) = self.recalls.uses.try_lock() else {
            return;
        };
        let own = |uses: &&mut Uses| uses.db == db && *uses.key == *key;
        if let Some(uses) = uses.iter_mut().find(own) {
            uses.worth += ELEMENTS_PER_USE;
            uses.elements = elements;
            return;
        }
        if uses.len() >= MAX_COUNTED {
            let least = uses.iter().enumerate().min_by_key(|(_, uses)| uses.worth);
            if let Some((least, _)) = least {
                uses.swap_remove(least);
            }
        }
        uses.push(Uses {
            db,
            key: key.into(),
            worth: ELEMENTS_PER_USE,
            elements,
        });
    }

    /// A large collection that was met on disk after the start is to come into memory, too.
    pub(super) fn recall(&mut self, db: PhysicalDb, key: &[u8]) {
        self.recalls.due.push_back(Due {
            db,
            key: key.into(),
            tries_left: TRIES,
        });
    }

    /// A collection changed while all of it was read for somebody: it is read again, for everybody, and what changes is followed.
    pub(super) fn recall_changing(&mut self, db: PhysicalDb, key: &[u8], kind: Kind) {
        let Recalls { due, under_way, .. } = &self.recalls;
        let under_way = under_way.iter().map(|under_way| &under_way.due);
        let is_known = due
            .iter()
            .chain(under_way)
            .any(|due| due.db == db && *due.key == *key);
        if has_changes(kind) && !is_known {
            self.recall(db, key);
        }
    }

    /// Whether a collection is too large to be read while the lock is held.
    pub(super) fn is_to_be_recalled(&self, stored: &Stored) -> Result<bool> {
        if stored.encoding.is_flat() {
            return Ok(false);
        }
        let (_, meta) = collection::parse_payload(&stored.payload)?;
        Ok(elements_of(meta) > LOADED_MAX_ELEMENTS)
    }

    /// The next large collection to be brought back: to be read on a thread of its own, and then to be given to
    /// [`Self::admit_recalled`]. None while one is under way, or none is to come.
    pub fn next_recall(&mut self) -> Result<Option<Cold>> {
        if self.recalls.under_way.is_some() {
            return Ok(None);
        }
        self.note_due();
        while let Some(due) = self.recalls.due.pop_front() {
            let at = self.hasher.position(&due.key);
            if self.database(due.db).find(at, &due.key).is_some() {
                continue;
            }
            let record_key = RecordKey::new(&self.hasher, due.db, at, &due.key);
            let stored = self.read_cold(due.db, &record_key)?;
            let Some(stored) = stored.filter(|stored| !stored.encoding.is_flat()) else {
                continue;
            };
            let (incarnation, meta) = collection::parse_payload(&stored.payload)?;
            if !self.has_room_now_for(elements_of(meta)) {
                continue;
            }
            let cold = self.cold_of(due.db, at.slot, &due.key, stored)?;
            let follow = Box::new(Followed {
                prefix: cold.place.prefix(),
                changed: BTreeSet::new(),
                lost: false,
            });
            self.database_mut(due.db).write_set.follow(Some(follow));
            self.recalls.under_way = Some(UnderWay { due, incarnation });
            return Ok(Some(cold));
        }
        Ok(None)
    }

    /// Takes a collection into memory that was read for [`Self::next_recall`], or tells what has changed in it since.
    pub fn admit_recalled(&mut self, loaded: Loaded) -> Result<Recalled> {
        let place = loaded.cold.place;
        let is_it = |under_way: &UnderWay| {
            (under_way.due.db, &under_way.due.key, under_way.incarnation)
                == (place.db, &loaded.cold.key, place.incarnation)
        };
        // Another memory may have taken the place of the one that has begun.
        if !self.recalls.under_way.as_ref().is_some_and(is_it) {
            return Ok(Recalled::Left);
        }
        let followed = self.database_mut(place.db).write_set.followed();
        let Some(followed) = followed.filter(|followed| !followed.lost) else {
            return Ok(self.leave());
        };
        let mut keys = Vec::new();
        while keys.len() < CHANGES_AT_ONCE
            && let Some(key) = followed.changed.pop_first()
        {
            keys.push(key);
        }
        let is_behind = !followed.changed.is_empty();
        let mut changes = Changes(Vec::with_capacity(keys.len()));
        for key in keys {
            let record_key = RecordKey::of_element(&key);
            let Some(record_key) = record_key.filter(|_| has_changes(loaded.cold.stored.kind))
            else {
                return Ok(self.leave());
            };
            let newest = self.read_record(place.db, &record_key)?;
            // Which one a long element was that is gone, its key does not tell.
            if newest.is_none() && record_key.is_cut() {
                return Ok(self.leave());
            }
            changes.0.push((Bytes::from(key.into_vec()), newest));
        }
        if is_behind {
            return Ok(Recalled::Behind(Box::new(loaded), changes));
        }
        let Loaded { cold, mut object } = loaded;
        overlay(&mut object, &self.hasher, changes)?;
        let at = self.hasher.position(&cold.key);
        let now = self.read_cold(
            cold.db,
            &RecordKey::new(&self.hasher, cold.db, at, &cold.key),
        )?;
        let is_cold = self.database(cold.db).find(at, &cold.key).is_none();
        // The record of a collection tells what it holds: the number of its elements, the first and the last.
        let same = now.filter(|now| {
            now.payload == collection::payload(place.incarnation, &object)[..] && is_cold
        });
        let Some(now) = same else {
            return Ok(self.leave());
        };
        self.end_recall();
        let value = Value::Collected {
            incarnation: place.incarnation,
            object,
        };
        let access = Access::new(self.now_ms());
        let entry = Entry::large(at.hash, &cold.key, value, now.expire_at_ms, access);
        self.database_mut(cold.db).insert(at, entry);
        self.counters.loads += 1;
        Ok(Recalled::Admitted)
    }

    /// Notes that a collection could not be read for [`Self::next_recall`].
    pub fn recall_failed(&mut self) {
        self.leave();
    }

    fn leave(&mut self) -> Recalled {
        if let Some(UnderWay { mut due, .. }) = self.end_recall()
            && due.tries_left > 1
        {
            due.tries_left -= 1;
            self.recalls.due.push_back(due);
        }
        Recalled::Left
    }

    fn end_recall(&mut self) -> Option<UnderWay> {
        let under_way = self.recalls.under_way.take()?;
        self.database_mut(under_way.due.db).write_set.follow(None);
        Some(under_way)
    }

    /// Takes note of those that have been used enough.
    fn note_due(&mut self) {
        let Recalls { uses, due, .. } = &mut self.recalls;
        for used in uses
            .get_mut()
            .extract_if(.., |uses| uses.worth >= uses.elements)
        {
            due.push_back(Due {
                db: used.db,
                key: used.key,
                tries_left: TRIES,
            });
        }
    }

    /// Whether memory has room for so many elements: they are few, or others need not be dropped for them.
    fn has_room_now_for(&self, elements: u64) -> bool {
        let after = self
            .bytes_to_weigh()
            .saturating_add(elements.saturating_mul(ELEMENT_BYTES));
        self.has_room_for(elements, RECALLED_PARTS) || after < self.drop_above_bytes()
    }
}

/// Whether changes of elements of this type are made to a collection that was read before.
fn has_changes(kind: Kind) -> bool {
    matches!(kind, Kind::Hash | Kind::Set | Kind::ZSet)
}
