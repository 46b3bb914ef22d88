//! Writes of keys, whatever they hold, and of whole databases.

use super::Txn;
use crate::Result;
use crate::dataset::access::Access;
use crate::dataset::entry::Entry;
use crate::dataset::object::is_expired;
use crate::dataset::position::Position;
use crate::dataset::record::PhysicalDb;
use crate::ids::DbIndex;

impl Txn<'_> {
    /// Deletes `key`. True when it was there.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let at = self.position(key);
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
        // It may be only on disk: found there, or dropped from memory by this replica.
        let in_memory = match database.find(at, key) {
            Some(_) => true,
            None => !database.is_complete(at.slot) && self.load(self.physical, at, key)?.is_some(),
        };
        let entry = self
            .dataset
            .database(self.physical)
            .find(at, key)
            .filter(|_| in_memory);
        let goes = entry.and_then(Entry::expire_at_ms) == Some(expire_at_ms)
            && is_expired(Some(expire_at_ms), self.now_ms);
        if goes {
            self.erase(self.physical, at, key)?;
            self.note_expired(self.physical, key);
        }
        Ok(goes)
    }

    /// Sets or clears the expiry of `key`. True when the key is there.
    pub fn set_expiry(&mut self, key: &[u8], expire_at_ms: Option<u64>) -> Result<bool> {
        let at = self.position(key);
        let (db, index) = (self.physical, self.index);
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
            self.duplicate(at, from, self.physical, to)?;
            self.erase(self.physical, at, from)?;
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
        self.duplicate(at, key, to_db, key)?;
        self.erase(self.physical, at, key)?;
        Ok(true)
    }

    /// Copies an entry that is in memory over another key.
    fn duplicate(&mut self, at: Position, from: &[u8], to_db: PhysicalDb, to: &[u8]) -> Result<()> {
        let to_at = self.position(to);
        if self.bring(to_db, to_at, to)? {
            self.erase(to_db, to_at, to)?;
        }
        let (now_ms, index) = (self.now_ms, self.index);
        let Some(entry) = self.dataset.database(self.physical).find(at, from) else {
            return Ok(());
        };
        let entry = entry.with_key(to_at.hash, to, Access::new(now_ms));
        let record_key = self.record_key(to_db, to_at, to);
        let database = self.dataset.database_mut(to_db);
        database.counts.add(to_at.slot);
        database.count_expiring(None, entry.expire_at_ms());
        database.insert(to_at, entry);
        database.write_back(&record_key, to, index);
        Ok(())
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
