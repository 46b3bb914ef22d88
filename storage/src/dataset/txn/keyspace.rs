//! Writes of keys, whatever they hold, and of whole databases.

use super::Txn;
use crate::Result;
use crate::dataset::access::Access;
use crate::dataset::collection::{Collected, ElementRecords};
use crate::dataset::entry::{Entry, Value};
use crate::dataset::object::is_expired;
use crate::dataset::position::Position;
use crate::dataset::record::PhysicalDb;
use crate::ids::DbIndex;
use crate::types::Edit;

impl Txn<'_> {
    /// Deletes `key`. True when it was there.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let at = self.position(key);
        let database = self.dataset.database(self.physical);
        if database.find(at, key).is_none()
            && !database.is_complete(at.slot)
            && self.remove_cold(at, key)?
        {
            return Ok(true);
        }
        let there = self.bring(self.physical, at, key)?;
        if there {
            self.erase(self.physical, at, key)?;
        }
        Ok(there)
    }

    /// Deletes `key` if it had the expiry `expire_at_ms` and that has passed: what a leader found by
    /// [`crate::dataset::Dataset::expired`] may have changed since. True when it was deleted; that is counted and noted as `expired`.
    pub fn remove_expired(&mut self, key: &[u8], expire_at_ms: u64) -> Result<bool> {
        let at = self.position(key);
        let database = self.dataset.database(self.physical);
        let goes = |own: Option<u64>, now_ms| {
            own == Some(expire_at_ms) && is_expired(Some(expire_at_ms), now_ms)
        };
        // It may be only on disk: found there, or dropped from memory by this replica.
        let (db, now_ms) = (self.physical, self.now_ms);
        if let Some(entry) = database.find(at, key) {
            if !goes(entry.expire_at_ms(), now_ms) {
                return Ok(false);
            }
            self.erase(db, at, key)?;
        } else {
            if database.is_complete(at.slot) {
                return Ok(false);
            }
            let stored = self
                .dataset
                .read_cold(db, &self.record_key(db, at, key))?
                .filter(|stored| goes(stored.expire_at_ms, now_ms));
            let Some(stored) = stored else {
                return Ok(false);
            };
            self.erase_cold(db, at, key, &stored)?;
        }
        self.note_expired(db, key);
        Ok(true)
    }

    /// Deletes `key` to make room. True when it was there; that is counted and noted as `evicted`.
    pub fn evict(&mut self, key: &[u8]) -> Result<bool> {
        let evicted = self.remove(key)?;
        if evicted {
            self.dataset.counters.evicted_keys += 1;
            self.notify("evicted", key);
        }
        Ok(evicted)
    }

    /// Sets or clears the expiry of `key`. True when the key is there.
    pub fn set_expiry(&mut self, key: &[u8], expire_at_ms: Option<u64>) -> Result<bool> {
        let at = self.position(key);
        let (db, index) = (self.physical, self.index);
        if !self.focus.is_empty()
            && let Some(part) = self.part(at, key)?
        {
            self.set_expiry_of_part(at, key, &part, expire_at_ms);
            return Ok(true);
        }
        if !self.bring(db, at, key)? {
            return Ok(false);
        }
        let record_key = self.record_key(db, at, key);
        let database = self.dataset.database_mut(db);
        database.update(at, key, |entry| entry.set_expire(expire_at_ms));
        database.write_back(&record_key, key, index);
        Ok(true)
    }

    /// Notes a use of `key`. True when it is there.
    pub fn touch(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.lookup(key)?.is_some())
    }

    /// Makes `key` look as if it was last used `idle_ms` ago, or so often (RESTORE). Each replica's own, as every use is.
    pub fn pretend_use(
        &mut self,
        key: &[u8],
        idle_ms: Option<u64>,
        frequency: Option<u8>,
    ) -> Result<()> {
        if let Some(object) = self.peek(key)? {
            object.pretend_use(idle_ms, frequency);
        }
        Ok(())
    }

    /// Gives the value and expiry of `from` to `to`, replacing what was there. False when `from` is not there.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<bool> {
        let at = self.position(from);
        if !self.bring(self.physical, at, from)? {
            return Ok(false);
        }
        if from != to {
            self.transfer(at, from, self.physical, to)?;
        }
        Ok(true)
    }

    /// Gives a copy of value and expiry of `from` to `to` in database `to_db`, replacing what was there. False when `from`
    /// is not there. Source and destination must differ.
    pub fn copy(&mut self, from: &[u8], to: &[u8], to_db: DbIndex) -> Result<bool> {
        let at = self.position(from);
        if !self.bring(self.physical, at, from)? {
            return Ok(false);
        }
        let to_db = self.dataset.physical(to_db);
        if from != to || to_db != self.physical {
            self.duplicate(at, from, to_db, to)?;
        }
        Ok(true)
    }

    /// Moves `key` to another database. False when it is not there, or there already is one.
    pub fn move_to(&mut self, key: &[u8], to_db: DbIndex) -> Result<bool> {
        let at = self.position(key);
        let to_db = self.dataset.physical(to_db);
        if to_db == self.physical
            || !self.bring(self.physical, at, key)?
            || self.bring(to_db, at, key)?
        {
            return Ok(false);
        }
        self.transfer(at, key, to_db, key)?;
        Ok(true)
    }

    /// Makes room for a key that is to be stored.
    fn clear(&mut self, db: PhysicalDb, key: &[u8]) -> Result<Position> {
        let at = self.position(key);
        if db == self.physical {
            self.remove(key)?;
        } else if self.bring(db, at, key)? {
            self.erase(db, at, key)?;
        }
        Ok(at)
    }

    /// Copies an entry that is in memory over another key.
    fn duplicate(&mut self, at: Position, from: &[u8], to_db: PhysicalDb, to: &[u8]) -> Result<()> {
        self.write_back_now();
        let to_at = self.clear(to_db, to)?;
        let access = Access::new(self.now_ms);
        let Some(source) = self.dataset.database(self.physical).find(at, from) else {
            return Ok(());
        };
        let expire_at_ms = source.expire_at_ms();
        let entry = match source.collected() {
            Some((_, object)) => {
                let object = object.duplicate();
                self.settle(to_db, to_at, to, object, expire_at_ms)
            }
            None => source.with_key(to_at.hash, to, access),
        };
        self.place(to_db, to_at, to, entry);
        Ok(())
    }

    /// Moves an entry that is in memory over another key.
    fn transfer(&mut self, at: Position, from: &[u8], to_db: PhysicalDb, to: &[u8]) -> Result<()> {
        self.write_back_now();
        let to_at = self.clear(to_db, to)?;
        let (db, access) = (self.physical, Access::new(self.now_ms));
        let record_key = self.record_key(db, at, from);
        let database = self.dataset.database_mut(db);
        let Some(entry) = database.take(at, from) else {
            return Ok(());
        };
        database.counts.subtract(at.slot);
        database.count_expiring(entry.expire_at_ms(), None);
        database.write_set.delete(&record_key);
        let mut entry = entry.rekeyed(to_at.hash, to, access);
        // Elements' records belong to a slot of a database, not to a key.
        if (db, at.slot) != (to_db, to_at.slot) && entry.collected().is_some() {
            database.bury(db, at.slot, &entry);
            self.resettle(to_db, to_at, &mut entry);
        }
        self.place(to_db, to_at, to, Some(entry));
        Ok(())
    }

    /// Writes all elements of a large collection for another place, and makes its entry.
    fn settle(
        &mut self,
        db: PhysicalDb,
        at: Position,
        key: &[u8],
        object: Collected,
        expire_at_ms: Option<u64>,
    ) -> Option<Entry> {
        let incarnation = self.incarnations.next();
        let value = Value::Collected {
            incarnation,
            object,
        };
        let access = Access::new(self.now_ms);
        let mut entry = Entry::large(at.hash, key, value, expire_at_ms, access);
        self.resettle(db, at, &mut entry);
        Some(entry)
    }

    /// Writes all elements of a large collection under a new incarnation.
    fn resettle(&mut self, db: PhysicalDb, at: Position, entry: &mut Entry) {
        let now_ms = self.now_ms;
        let Self {
            dataset,
            incarnations,
            limits,
            ..
        } = self;
        let hasher = &dataset.hasher;
        let Some(database) = dataset.databases.get_mut(usize::from(db.0)) else {
            return;
        };
        let mut records = ElementRecords {
            write_set: &mut database.write_set,
            dead: &mut database.dead,
            hasher,
            incarnations,
            db,
            slot: at.slot,
            kind: entry.kind(),
            incarnation: None,
        };
        if let Some((own, object)) = entry.collected_mut() {
            object.write_all(&mut Edit::new(limits, hasher, now_ms, &mut records));
            if let Some(incarnation) = records.incarnation {
                *own = incarnation;
            }
        }
    }

    /// Takes an entry into memory that did not exist, and writes its record.
    fn place(&mut self, db: PhysicalDb, at: Position, key: &[u8], entry: Option<Entry>) {
        let Some(entry) = entry else {
            return;
        };
        let index = self.index;
        let record_key = self.record_key(db, at, key);
        let database = self.dataset.database_mut(db);
        database.counts.add(at.slot);
        database.count_expiring(None, entry.expire_at_ms());
        database.insert(at, entry);
        database.write_back(&record_key, key, index);
    }

    /// Deletes all keys of the database at work. O(1); memory is freed by who takes the garbage.
    pub fn flush_db(&mut self) {
        self.flush(self.physical);
    }

    /// Deletes all keys of all databases. O(1).
    pub fn flush_all(&mut self) {
        for physical in self.dataset.mapping {
            self.flush(physical);
        }
    }

    fn flush(&mut self, db: PhysicalDb) {
        let index = self.index;
        let garbage = self.dataset.database_mut(db).flush(index);
        self.dataset.garbage.push(garbage);
    }

    /// Exchanges the contents of two databases. O(1).
    pub fn swap_db(&mut self, a: DbIndex, b: DbIndex) {
        self.dataset
            .mapping
            .swap(usize::from(a.get()), usize::from(b.get()));
        self.select(self.db);
    }
}
