//! Changes of keys that are only on disk, without bringing them into memory.

use super::Txn;
use super::fields::MET_FIELDS;
use crate::Result;
use crate::dataset::collection::{self, Collected, ElementRecords, IsCollected};
use crate::dataset::object::{Object, is_expired};
use crate::dataset::part::{Focus, Point};
use crate::dataset::position::Position;
use crate::dataset::record::{ElementPlace, Head, Incarnation, PhysicalDb, Stored};
use crate::random;
use crate::types::{Edit, Large, Parts};

/// A part of a collection that is only on disk.
pub(super) struct Part {
    pub(super) stored: Stored,
    pub(super) incarnation: Incarnation,
    pub(super) object: Collected,
}

impl Txn<'_> {
    /// Says that until the next call, these points are all of the collections at their keys that is looked at or changed, besides
    /// how many elements they have: one that is large and only on disk need not be loaded. What is drawn is drawn by the sequence of
    /// numbers that begins with the next one of [`Self::random`].
    pub fn focus<'m>(&mut self, points: impl IntoIterator<Item = Point<'m>>) {
        self.focus.clear();
        for point in points {
            let at = self.position(point.key);
            let database = self.dataset.database(self.physical);
            if self.dataset.may_be_cold(self.physical, at) && database.find(at, point.key).is_none()
            {
                let seed = random::next(&mut { self.seed });
                self.focus.push(Focus::new(point, &self.limits, seed));
            }
        }
    }

    /// True when all keys of the database at work are in memory, and a focus means nothing.
    pub fn is_complete(&self) -> bool {
        self.dataset.database(self.physical).is_all_in_memory()
    }

    /// The command looks at whatever it likes.
    pub fn unfocus(&mut self) {
        self.focus.clear();
    }

    /// What the focus shows of `key`, if it is a large collection that is only on disk.
    ///
    /// As whatever meets a hash, it removes fields that have expired, within a limit.
    #[cold]
    pub(super) fn part(&mut self, at: Position, key: &[u8]) -> Result<Option<Part>> {
        let db = self.physical;
        let Some(nth) = self.focus.iter().position(|focus| *focus.key == *key) else {
            return Ok(None);
        };
        if self.dataset.database(db).find(at, key).is_some() {
            return Ok(None);
        }
        let Some(mut stored) = self.dataset.read_cold(db, &self.record_key(db, at, key))? else {
            return Ok(None);
        };
        let (next, last) = stored.field_expiries_ms();
        if is_expired(stored.expire_at_ms, self.now_ms) || is_expired(last, self.now_ms) {
            return Ok(None);
        }
        if !self.dataset.has_parts(&stored)? {
            return Ok(None);
        }
        if is_expired(next, self.now_ms) {
            // Whether a part is made is known before anything is removed: else what comes instead would remove more.
            let (incarnation, meta) = collection::parse_payload(&stored.payload)?;
            let nodes = self.dataset.nodes(db, at.slot, incarnation, &stored);
            if nodes.has_many_over(meta, self.now_ms)? {
                return Ok(None);
            }
            self.remove_fields_of_part(at, key, stored, MET_FIELDS)?;
            match self.dataset.read_cold(db, &self.record_key(db, at, key))? {
                Some(rest) => stored = rest,
                None => return Ok(None),
            }
        }
        let Some(focus) = self.focus.get(nth) else {
            return Ok(None);
        };
        let part = self
            .dataset
            .part_of(db, at.slot, &stored, focus, self.now_ms)?;
        if part.is_some() {
            self.dataset.want_whole(db, key, &stored);
        }
        Ok(part.map(|(incarnation, object)| Part {
            stored,
            incarnation,
            object,
        }))
    }

    pub(super) fn part_object(&self, part: Part) -> Object<'_> {
        Object::disk(part.stored, Some(part.object), self.now_ms)
    }

    /// Changes a part of a collection. Its own record is written at once.
    pub(super) fn edit_part<C: IsCollected, R>(
        &mut self,
        at: Position,
        key: &[u8],
        part: Part,
        change: impl FnOnce(&mut C, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        let (db, now_ms, index) = (self.physical, self.now_ms, self.index);
        let record_key = self.record_key(db, at, key);
        let Part {
            stored,
            incarnation,
            object,
        } = part;
        let Self {
            dataset,
            incarnations,
            limits,
            ..
        } = self;
        let hasher = &dataset.hasher;
        let (Some(database), Some(large)) = (
            dataset.databases.get_mut(usize::from(db.0)),
            C::unwrap(object),
        ) else {
            return Err(super::collections::wrong_type(key));
        };
        let mut records = ElementRecords {
            write_set: &mut database.write_set,
            dead: &mut database.dead,
            hasher,
            incarnations,
            db,
            slot: at.slot,
            kind: C::KIND,
            incarnation: Some(incarnation),
        };
        let mut value = C::from_large(large);
        let mut edit = Edit::new(limits, hasher, now_ms, &mut records);
        let result = change(&mut value, &mut edit);
        let changed = edit.is_changed();
        if value.is_vacant() {
            self.erase_cold(db, at, key, &stored)?;
            return Ok(result);
        }
        let Parts::Large(mut large) = value.into_parts() else {
            return Err(super::collections::wrong_type(key));
        };
        if changed {
            large.write_unwritten(&mut Edit::new(limits, hasher, now_ms, &mut records));
            let head = Head {
                kind: stored.kind,
                encoding: stored.encoding,
                index,
                expire_at_ms: stored.expire_at_ms,
                key,
            };
            let payload = collection::payload(incarnation, &C::wrap(large));
            database
                .write_set
                .put(&record_key, &[&head.encode(), &payload]);
        }
        Ok(result)
    }

    /// Sets or clears the expiry of a collection that is only on disk.
    pub(super) fn set_expiry_of_part(
        &mut self,
        at: Position,
        key: &[u8],
        part: &Part,
        expire_at_ms: Option<u64>,
    ) {
        let (db, index) = (self.physical, self.index);
        let record_key = self.record_key(db, at, key);
        let head = Head {
            kind: part.stored.kind,
            encoding: part.stored.encoding,
            index,
            expire_at_ms,
            key,
        };
        let database = self.dataset.database_mut(db);
        database.count_expiring(part.stored.expire_at_ms, expire_at_ms);
        database
            .write_set
            .put(&record_key, &[&head.encode(), &part.stored.payload]);
    }

    /// Deletes a key that is only on disk.
    pub(super) fn erase_cold(
        &mut self,
        db: PhysicalDb,
        at: Position,
        key: &[u8],
        stored: &Stored,
    ) -> Result<()> {
        let record_key = self.record_key(db, at, key);
        let dead = if stored.encoding.is_flat() {
            None
        } else {
            let (incarnation, _) = collection::parse_payload(&stored.payload)?;
            Some(ElementPlace {
                slot: at.slot,
                db,
                incarnation,
            })
        };
        let database = self.dataset.database_mut(db);
        database.counts.subtract(at.slot);
        database.count_expiring(stored.expire_at_ms, None);
        database.write_set.delete(&record_key);
        database.dead.extend(dead);
        Ok(())
    }

    /// Deletes `key` if it is a large collection that is only on disk and has not expired; true if so.
    #[cold]
    pub(super) fn remove_cold(&mut self, at: Position, key: &[u8]) -> Result<bool> {
        let db = self.physical;
        let Some(stored) = self.dataset.read_cold(db, &self.record_key(db, at, key))? else {
            return Ok(false);
        };
        let (next, last) = stored.field_expiries_ms();
        let simple = !stored.encoding.is_flat()
            && !is_expired(stored.expire_at_ms, self.now_ms)
            && !is_expired(last, self.now_ms);
        if !simple {
            return Ok(false);
        }
        if is_expired(next, self.now_ms) {
            self.remove_fields_of_part(at, key, stored, MET_FIELDS)?;
            let rest = self.dataset.read_cold(db, &self.record_key(db, at, key))?;
            if let Some(rest) = rest {
                self.erase_cold(db, at, key, &rest)?;
            }
        } else {
            self.erase_cold(db, at, key, &stored)?;
        }
        Ok(true)
    }
}
