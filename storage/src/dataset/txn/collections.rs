//! Writes of collections.

use super::Txn;
use crate::dataset::access::Access;
use crate::dataset::collection::{ElementRecords, IsCollected};
use crate::dataset::entry::{Entry, Flat, Value};
use crate::dataset::position::Position;
use crate::dataset::record::PhysicalDb;
use crate::types::stream::Stream;
use crate::types::{Edit, Hash, Limits, List, Parts, Records, Set, SortedSet};
use crate::{Error, Result};

impl Txn<'_> {
    /// Changes the list at `key`. See [`Self::edit_set`].
    pub fn edit_list<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut List, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        self.edit(key, change)
    }

    /// Changes the stream at `key`. See [`Self::edit_set`]; it may stay without entries.
    pub fn edit_stream<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Stream, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        self.edit(key, change)
    }

    /// Changes the hash at `key`. See [`Self::edit_set`].
    pub fn edit_hash<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Hash, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        self.edit(key, change)
    }

    /// Changes the set at `key`; an empty one if there is none. Left empty, the key is deleted. Its expiry stays. The caller
    /// has checked that it is a set.
    pub fn edit_set<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Set, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        self.edit(key, change)
    }

    /// Changes the sorted set at `key`. See [`Self::edit_set`].
    pub fn edit_zset<R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut SortedSet, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        self.edit(key, change)
    }

    /// When flat collections become large.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sets [`Self::limits`], which are Redis's defaults at first.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn edit<C: IsCollected, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut C, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        let at = self.position(key);
        if !self.focus.is_empty()
            && let Some(part) = self.part(at, key)?
        {
            return self.edit_part(at, key, part, change);
        }
        if self.bring(self.physical, at, key)? {
            self.edit_present(self.physical, at, key, change)
        } else {
            self.edit_absent(at, key, change)
        }
    }

    pub(super) fn edit_present<C: IsCollected, R>(
        &mut self,
        db: PhysicalDb,
        at: Position,
        key: &[u8],
        change: impl FnOnce(&mut C, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        let now_ms = self.now_ms;
        let Self {
            dataset,
            incarnations,
            limits,
            touches,
            ..
        } = self;
        let (hasher, scratch) = (&dataset.hasher, &mut dataset.scratch);
        let Some(database) = dataset.databases.get_mut(usize::from(db.0)) else {
            return Err(wrong_type(key));
        };
        let edited = database.edit(at, key, |entry, write_set, dead| {
            if entry.kind() != C::KIND {
                return None;
            }
            if *touches {
                entry.access().touch(now_ms, u64::from(at.hash) << 32);
            }
            let mut records = ElementRecords {
                write_set,
                dead,
                hasher,
                incarnations,
                db,
                slot: at.slot,
                kind: C::KIND,
                incarnation: entry.collected().map(|(incarnation, _)| incarnation),
            };
            let mut value = take::<C>(entry, scratch)?;
            let mut edit = Edit::new(limits, hasher, now_ms, &mut records);
            let result = change(&mut value, &mut edit);
            let changed = edit.is_changed();
            let vacant = value.is_vacant();
            put(entry, value, &records, scratch);
            Some((result, changed, vacant))
        });
        let (result, changed, vacant) = edited.flatten().ok_or_else(|| wrong_type(key))?;
        if vacant {
            self.erase(db, at, key)?;
        } else if changed {
            self.write_back_later(db, at, key);
        }
        Ok(result)
    }

    fn edit_absent<C: IsCollected, R>(
        &mut self,
        at: Position,
        key: &[u8],
        change: impl FnOnce(&mut C, &mut Edit<'_>) -> R,
    ) -> Result<R> {
        let (db, now_ms) = (self.physical, self.now_ms);
        let Self {
            dataset,
            incarnations,
            limits,
            ..
        } = self;
        let hasher = &dataset.hasher;
        let Some(database) = dataset.databases.get_mut(usize::from(db.0)) else {
            return Err(wrong_type(key));
        };
        let mut records = ElementRecords {
            write_set: &mut database.write_set,
            dead: &mut database.dead,
            hasher,
            incarnations,
            db,
            slot: at.slot,
            kind: C::KIND,
            incarnation: None,
        };
        let mut value = C::default();
        if C::IS_ALWAYS_LARGE {
            records.begin();
        }
        let mut edit = Edit::new(limits, hasher, now_ms, &mut records);
        let result = change(&mut value, &mut edit);
        if !edit.is_changed() || value.is_vacant() {
            records.abandon();
            return Ok(result);
        }
        let incarnation = records.incarnation;
        let access = Access::new(now_ms);
        let entry = match (value.into_parts(), incarnation) {
            (Parts::Flat(encoding, bytes), _) => {
                let parts = Flat {
                    value: &bytes,
                    kind: C::KIND,
                    encoding,
                    expire_at_ms: None,
                };
                Entry::flat(at.hash, key, parts, access)
            }
            (Parts::Large(large), Some(incarnation)) => {
                let value = Value::Collected {
                    incarnation,
                    object: C::wrap(large),
                };
                Entry::large(at.hash, key, value, None, access)
            }
            (Parts::Large(_), None) => return Err(wrong_type(key)),
        };
        database.counts.add(at.slot);
        database.insert(at, entry);
        self.write_back_later(db, at, key);
        Ok(result)
    }
}

/// Takes a collection out of its entry; [`put`] is to follow.
fn take<C: IsCollected>(entry: &mut Entry, scratch: &mut Vec<u8>) -> Option<C> {
    let encoding = entry.encoding();
    if encoding.is_flat() {
        return Some(C::from_flat(encoding, entry.take_bytes(scratch)));
    }
    Some(C::from_large(C::unwrap(entry.take_collected()?)?))
}

/// Puts a collection back into its entry.
fn put<C: IsCollected>(
    entry: &mut Entry,
    value: C,
    records: &ElementRecords<'_>,
    scratch: &mut Vec<u8>,
) {
    match (value.into_parts(), records.incarnation) {
        (Parts::Flat(encoding, bytes), _) => entry.put_bytes(C::KIND, encoding, bytes, scratch),
        (Parts::Large(large), Some(incarnation)) => {
            entry.set_collected(incarnation, C::wrap(large));
        }
        (Parts::Large(_), None) => debug_assert!(false, "what is large has begun an incarnation"),
    }
}

#[cold]
pub(super) fn wrong_type(key: &[u8]) -> Error {
    Error::corrupt(
        "data set",
        format!("{} is edited as another type", key.escape_ascii()),
    )
}
