//! Loading a large collection that is only on disk without holding anybody up: what is to be read is noted under the lock, read
//! without it, and taken into memory if it has not changed meanwhile, or else lent to the one who asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Dataset;
use super::access::Access;
use super::cold::elements_from;
use super::collection::{self, Collected};
use super::entry::{Entry, Value};
use super::object::{Found, is_expired};
use super::part::{Afar, ELEMENT_BYTES, Focus, Looks, Point, walked};
use super::ranks::{Changes, Effort, Order};
use super::record::{ElementPlace, PhysicalDb, RecordKey, Stored};
use crate::Result;
use crate::engine::Reader;
use crate::ids::DbIndex;
use crate::types::{KeyHasher, Kind, Limits};

/// How often a load tells how far it is.
const PROGRESS_BYTES: u64 = 256 << 10;

/// A part that is read without the lock takes no more than one part in so many of the memory.
const LENT_PARTS: u64 = 8;

/// A key whose collection is large and only on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ColdKey {
    /// The logical database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
    /// What a command looks at, if that is read instead of all because all would take too much memory.
    pub looks: Option<Afar>,
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
    looks: Option<Afar>,
    /// What may be done for a part.
    effort: Effort,
}

/// A collection that was read, on its way into memory, or a part of it.
pub struct Loaded {
    pub(super) cold: Cold,
    pub(super) object: Collected,
}

/// A collection as it was at one moment, or a part of it, for the one who asked: it is not in memory for others.
pub struct Loan {
    db: PhysicalDb,
    key: Box<[u8]>,
    looks: Option<Afar>,
    pub(super) found: Found,
}

impl Loan {
    /// Whether it is what somebody looks for.
    pub(super) fn is_for(&self, db: PhysicalDb, key: &[u8], focus: Option<&Focus>) -> bool {
        let has_looks =
            |looks| focus.and_then(|focus| focus.afar(&self.found.stored)) == Some(looks);
        (self.db, &*self.key) == (db, key) && self.looks.clone().is_none_or(has_looks)
    }

    /// Whether it is a part of a collection.
    pub fn is_part(&self) -> bool {
        self.looks.is_some()
    }

    /// Whether the collection is still as it was, according to its newest record.
    pub(super) fn is_as(&self, newest: &Stored) -> bool {
        self.found.stored.is_unchanged(newest)
    }
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
        let elements = self.elements_from(0).inspect(|element| {
            read += element
                .as_ref()
                .map_or(0, |(key, value)| key.len() + value.len()) as u64;
            if read - told >= PROGRESS_BYTES {
                told = read;
                progress(read);
            }
        });
        let object = Collected::load(self.stored.kind, meta, &mut { elements })?;
        Ok(Loaded { cold: self, object })
    }

    fn elements_from(&self, hash: u32) -> impl Iterator<Item = Result<(Bytes, Bytes)>> {
        elements_from(self.disk.as_ref(), self.place, hash, &self.pending)
    }

    /// Reads only what is looked at, if that is asked for and can be told.
    fn part(&self, progress: &mut impl FnMut(u64)) -> Result<Option<Collected>> {
        let (_, meta) = collection::parse_payload(&self.stored.payload)?;
        let order = Order {
            disk: self.disk.as_ref(),
            hasher: &self.hasher,
            place: self.place,
            changes: Changes::Noted(&self.pending),
        };
        let found = match &self.looks {
            Some(Afar::Ranks(looks)) => order.part(meta, looks, self.effort)?,
            &Some(Afar::Walk { cursor, count }) if count <= self.effort.members => {
                match u32::try_from(cursor) {
                    Ok(from) => Some(walked(self.elements_from(from), count)?),
                    Err(_) => None,
                }
            }
            _ => None,
        };
        let Some(mut found) = found else {
            return Ok(None);
        };
        let bytes = |(key, value): (&Bytes, &Bytes)| (key.len() + value.len()) as u64;
        progress(found.records.iter().map(bytes).sum());
        if self.stored.kind == Kind::ZSet {
            found.know_scores(&order, meta)?;
        }
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

    /// How many elements a part may have that is read without the lock.
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

    /// Takes a collection into memory. What is only a part, or has changed since it was read, is the caller's instead.
    pub fn admit_loaded(&mut self, loaded: Loaded) -> Result<Option<Loan>> {
        let Loaded { cold, object } = loaded;
        let (db, key) = (cold.db, &cold.key[..]);
        let at = self.hasher.position(key);
        if self.database(db).find(at, key).is_some() {
            return Ok(None);
        }
        let now = self.read_cold(db, &RecordKey::new(&self.hasher, db, at, key))?;
        let (is_there, is_whole) = (now.is_some(), cold.looks.is_none());
        let Some(now) = now.filter(|now| is_whole && cold.stored.is_unchanged(now)) else {
            if is_there && is_whole {
                self.recall_changing(db, key, cold.stored.kind);
            }
            return Ok(Some(Loan {
                db,
                key: cold.key,
                looks: cold.looks,
                found: Found {
                    stored: cold.stored,
                    object: Some(object),
                },
            }));
        };
        let value = Value::Collected {
            incarnation: cold.place.incarnation,
            object,
        };
        let access = Access::new(self.now_ms());
        let entry = Entry::large(at.hash, key, value, now.expire_at_ms, access);
        self.database_mut(db).insert(at, entry);
        self.counters.loads += 1;
        Ok(None)
    }

    /// Whether reading all elements of a key that is only on disk takes so long that others should not wait for it.
    pub(super) fn is_large_on_disk(&self, stored: &Stored) -> Result<bool> {
        Ok(!is_expired(stored.expire_at_ms, self.now_ms()) && self.has_parts(stored)?)
    }
}
