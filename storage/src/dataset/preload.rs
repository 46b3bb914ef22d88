//! Loading a large collection that is only on disk without holding anybody up: what is to be read is noted under the lock, read
//! without it, and taken into memory if it has not changed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Dataset;
use super::access::Access;
use super::cold::elements_from;
use super::collection::{self, Collected};
use super::entry::{Entry, Value};
use super::object::is_expired;
use super::part::{ELEMENT_BYTES, Focus, Looks, Point};
use super::ranks::{Changes, Effort, Order, RankLooks};
use super::record::{ElementPlace, PhysicalDb, RecordKey, Stored};
use crate::Result;
use crate::engine::Reader;
use crate::ids::{DbIndex, LogIndex};
use crate::types::{KeyHasher, Limits};

/// How often a load tells how far it is.
const PROGRESS_BYTES: u64 = 256 << 10;

/// Whoever asked for a part comes back at once. It is forgotten when it was kept for so many calls of [`Dataset::age_lent`].
const LENT_AGES: u32 = 50;
/// Parts that are lent take no more than one part in so many of the memory.
const LENT_PARTS: u64 = 8;
/// What a part takes besides its members, about.
const LENT_BYTES: usize = 1 << 10;

/// A key whose collection is large and only on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ColdKey {
    /// The logical database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
    /// Instead of all members of a sorted set, what a command looks at by their order: finding it takes long, but little memory.
    pub looks: Option<RankLooks>,
}

/// A large collection that is only on disk, as it was at one moment.
pub struct Cold {
    pub(super) db: PhysicalDb,
    pub(super) key: Box<[u8]>,
    pub(super) stored: Stored,
    pub(super) place: ElementPlace,
    /// What was waiting to be written to disk.
    pending: BTreeMap<Bytes, Option<Bytes>>,
    disk: Arc<dyn Reader>,
    pub(super) hasher: KeyHasher,
    /// See [`ColdKey`].
    looks: Option<RankLooks>,
    /// What may be done for a part.
    effort: Effort,
}

/// A collection that was read, on its way into memory, or a part of it.
pub struct Loaded {
    pub(super) cold: Cold,
    pub(super) object: Collected,
}

/// A part of a sorted set that somebody waits for.
pub(super) struct Lent {
    db: PhysicalDb,
    key: Box<[u8]>,
    index: LogIndex,
    payload: Bytes,
    looks: RankLooks,
    object: Collected,
    age: u32,
}

impl Cold {
    /// Reads it. A million elements take about a second. [`Dataset::admit_loaded`] takes only what has not changed since, on disk or
    /// elsewhere.
    ///
    /// `progress` is told how many bytes of elements were read so far, after every 256 KB; of a part, once.
    pub fn load(mut self, mut progress: impl FnMut(u64)) -> Result<Loaded> {
        if let Some(object) = self.part(&mut progress)? {
            return Ok(Loaded { cold: self, object });
        }
        self.looks = None;
        let (_, meta) = collection::parse_payload(&self.stored.payload)?;
        let (mut read, mut told) = (0, 0);
        let elements = elements_from(self.disk.as_ref(), self.place, 0, &self.pending);
        let mut elements = elements.inspect(|element| {
            read += element
                .as_ref()
                .map_or(0, |(key, value)| key.len() + value.len()) as u64;
            if read - told >= PROGRESS_BYTES {
                told = read;
                progress(read);
            }
        });
        let object = Collected::load(self.stored.kind, meta, &mut elements)?;
        drop(elements);
        Ok(Loaded { cold: self, object })
    }

    /// Reads only what is looked at, if that is asked for and can be told.
    fn part(&self, progress: &mut impl FnMut(u64)) -> Result<Option<Collected>> {
        let Some(looks) = &self.looks else {
            return Ok(None);
        };
        let (_, meta) = collection::parse_payload(&self.stored.payload)?;
        let order = Order {
            disk: self.disk.as_ref(),
            hasher: &self.hasher,
            place: self.place,
            changes: Changes::Noted(&self.pending),
        };
        let Some(mut found) = order.part(meta, looks, self.effort)? else {
            return Ok(None);
        };
        let bytes = |(key, value): (&Bytes, &Bytes)| (key.len() + value.len()) as u64;
        progress(found.records.iter().map(bytes).sum());
        found.know_scores(&order, meta)?;
        found.load(self.stored.kind, meta)
    }
}

impl Dataset {
    /// What is to be read before a command runs that needs the whole collection at `key`, or `point` of it. None if it is in
    /// memory, or not there, or need not be loaded, or is small.
    pub fn cold(&self, db: DbIndex, key: &[u8], point: Option<&Point<'_>>) -> Result<Option<Cold>> {
        let (at, db) = (self.hasher.position(key), self.physical(db));
        if !self.may_be_cold(db, at) || self.database(db).find(at, key).is_some() {
            return Ok(None);
        }
        let Some(stored) = self.read_cold(db, &RecordKey::new(&self.hasher, db, at, key))? else {
            return Ok(None);
        };
        if !self.is_large_on_disk(&stored)? {
            return Ok(None);
        }
        if let Some(point) = point {
            let now_ms = self.now_ms();
            let focus = Focus::new(point.clone(), &Limits::default(), 0);
            let (next, _) = stored.field_expiries_ms();
            let (_, meta) = collection::parse_payload(&stored.payload)?;
            let is_small = match point.looks {
                Looks::Draw(drawn) => self.may_draw(meta, drawn),
                _ => point.looks.is_small(),
            };
            let is_small = is_small && !is_expired(next, now_ms);
            if is_small
                || self
                    .part_of(db, at.slot, &stored, &focus, now_ms)?
                    .is_some()
            {
                return Ok(None);
            }
        }
        self.cold_of(db, at.slot, key, stored).map(Some)
    }

    /// What is to be read of the large collection at a key, whose newest record this is.
    pub(super) fn cold_of(
        &self,
        db: PhysicalDb,
        slot: u16,
        key: &[u8],
        stored: Stored,
    ) -> Result<Cold> {
        let (incarnation, _) = collection::parse_payload(&stored.payload)?;
        let place = ElementPlace {
            slot,
            db,
            incarnation,
        };
        Ok(Cold {
            db,
            key: key.into(),
            pending: self.pending_elements(&stored, place),
            stored,
            place,
            // As it is now, whatever is written meanwhile.
            disk: match &self.source {
                Some(engine) => engine.view(),
                None => Arc::clone(&self.engine),
            },
            hasher: self.hasher.clone(),
            looks: None,
            effort: Effort {
                members: self.most_lent_elements(),
                steps: usize::MAX,
            },
        })
    }

    /// How many members a part may have that is lent.
    fn most_lent_elements(&self) -> usize {
        let share = self.maxmemory_bytes / LENT_PARTS / ELEMENT_BYTES;
        Effort::UNDER_LOCK.members.max(share as usize)
    }

    /// What is to be read for a reader that was refused.
    pub fn cold_key(&self, key: &ColdKey) -> Result<Option<Cold>> {
        let cold = self.cold(key.db, &key.key, None)?;
        Ok(cold.map(|cold| Cold {
            looks: key.looks.clone(),
            ..cold
        }))
    }

    /// The part of a sorted set that was read for these looks, if the set has not changed since.
    pub(super) fn lent(
        &self,
        db: PhysicalDb,
        key: &[u8],
        stored: &Stored,
        looks: &RankLooks,
    ) -> Option<Collected> {
        let is_it = |lent: &&Lent| {
            (lent.db, lent.index) == (db, stored.index)
                && (&*lent.key, &lent.payload, &lent.looks) == (key, &stored.payload, looks)
        };
        self.lent
            .iter()
            .find(is_it)
            .map(|lent| lent.object.duplicate())
    }

    /// Takes a collection into memory, or keeps the part of it for the reader who comes back. False if it has changed since: then it is to
    /// be read again.
    pub fn admit_loaded(&mut self, loaded: Loaded) -> Result<bool> {
        let Loaded { cold, object } = loaded;
        let (db, key) = (cold.db, &cold.key[..]);
        let at = self.hasher.position(key);
        if self.database(db).find(at, key).is_some() {
            return Ok(true);
        }
        let now = self.read_cold(db, &RecordKey::new(&self.hasher, db, at, key))?;
        let Some(now) = now else {
            return Ok(false);
        };
        let is_same = (now.index, &now.payload) == (cold.stored.index, &cold.stored.payload);
        if let (true, Some(looks)) = (is_same, cold.looks) {
            self.lend(Lent {
                db,
                key: cold.key,
                index: now.index,
                payload: now.payload,
                looks,
                object,
                age: 0,
            });
        } else if is_same {
            let value = Value::Collected {
                incarnation: cold.place.incarnation,
                object,
            };
            let access = Access::new(self.now_ms());
            let entry = Entry::large(at.hash, key, value, now.expire_at_ms, access);
            self.database_mut(db).insert(at, entry);
            self.counters.loads += 1;
        }
        Ok(is_same)
    }

    /// Keeps a part, and as many of those that were lent before as take no more than their share of memory, the newest first.
    fn lend(&mut self, lent: Lent) {
        self.lent.insert(0, lent);
        let most = (self.maxmemory_bytes / LENT_PARTS) as usize;
        let mut bytes = 0;
        let mut is_first = true;
        self.lent.retain(|lent| {
            bytes += lent.object.memory_bytes() + LENT_BYTES;
            std::mem::take(&mut is_first) || bytes <= most
        });
    }

    /// Forgets parts that were lent and that nobody has come back for: to be called some times in a second.
    pub fn age_lent(&mut self) {
        self.lent.retain_mut(|lent| {
            lent.age += 1;
            lent.age < LENT_AGES
        });
    }

    /// Bytes of the parts that are lent.
    pub(super) fn lent_bytes(&self) -> usize {
        let objects = self.lent.iter().map(|lent| &lent.object);
        objects.map(Collected::memory_bytes).sum()
    }

    /// Whether reading all elements of a key that is only on disk takes so long that others should not wait for it.
    pub(super) fn is_large_on_disk(&self, stored: &Stored) -> Result<bool> {
        Ok(!is_expired(stored.expire_at_ms, self.now_ms()) && self.has_parts(stored)?)
    }
}
