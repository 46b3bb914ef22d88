//! Fields of hashes that have expired.
//!
//! As with keys: they are invisible from their time on, and removed by an entry. Every write that meets a hash with such fields
//! removes them, within a limit; so does what a leader proposes, because a read met one or its index told so.

use super::Txn;
use super::parts::Part;
use crate::Result;
use crate::dataset::collection;
use crate::dataset::object::is_expired;
use crate::dataset::part::elements_of;
use crate::dataset::position::Position;
use crate::dataset::record::{PhysicalDb, Stored};
use crate::types::{Edit, Hash};

/// Fields that a write removes which meets them: what it does itself must not wait for more. Those that are left stay
/// invisible, and are found again.
pub(super) const MET_FIELDS: usize = 256;

/// Fields that one entry removes because it was asked to, of all hashes together: a few milliseconds' work, every 50 ms.
pub(super) const REMOVED_FIELDS: usize = 4096;

impl Txn<'_> {
    /// Removes fields of the hash at `key` that have expired, and the hash if all have. Nothing happens if there are none any
    /// more, if it is another type by now, or if this entry has removed a great many already: they will be found again.
    pub fn remove_expired_fields(&mut self, key: &[u8]) -> Result<()> {
        let at = self.position(key);
        let db = self.physical;
        let database = self.dataset.database(db);
        if database.find(at, key).is_none() {
            if database.is_complete(at.slot) {
                return Ok(());
            }
            let stored = self
                .dataset
                .read_cold(db, &self.record_key(db, at, key))?
                .filter(|stored| !is_expired(stored.expire_at_ms, self.now_ms));
            // A key that has expired itself is not this one's business, in memory or not.
            let Some(stored) = stored else {
                return Ok(());
            };
            if !stored.encoding.is_flat() {
                return self.remove_fields_on_disk(at, key, stored);
            }
            self.dataset.admit(db, at, key, &stored)?;
        }
        let entry = self.dataset.database(db).find(at, key);
        let next = entry.and_then(|entry| entry.next_field_expiry_ms());
        let key_is_there =
            entry.is_some_and(|entry| !is_expired(entry.expire_at_ms(), self.now_ms));
        if key_is_there && is_expired(next, self.now_ms) && self.removable_fields > 0 {
            let removed = self.remove_fields(db, at, key, self.removable_fields)?;
            self.removable_fields -= removed.unwrap_or(1).min(self.removable_fields);
        }
        Ok(())
    }

    /// The same of a large hash that is only on disk, where it stays.
    fn remove_fields_on_disk(&mut self, at: Position, key: &[u8], stored: Stored) -> Result<()> {
        let (next, last) = stored.field_expiries_ms();
        if !is_expired(next, self.now_ms) || self.removable_fields == 0 {
            return Ok(());
        }
        let removed = if is_expired(last, self.now_ms) {
            self.erase_expired_hash(at, key, &stored)?;
            1
        } else {
            self.remove_fields_of_part(at, key, stored, self.removable_fields)?
        };
        self.removable_fields -= removed.min(self.removable_fields);
        Ok(())
    }

    /// Deletes a large hash that is only on disk, of which all fields have expired.
    pub(super) fn erase_expired_hash(
        &mut self,
        at: Position,
        key: &[u8],
        stored: &Stored,
    ) -> Result<()> {
        let db = self.physical;
        let (_, meta) = collection::parse_payload(&stored.payload)?;
        self.dataset.counters.expired_fields += elements_of(meta);
        self.note(db, "hexpired", key);
        self.erase_cold(db, at, key, stored)?;
        self.note(db, "del", key);
        Ok(())
    }

    /// Removes up to `limit` fields that have expired of a large hash that is only on disk, of which others have not; answers how
    /// many.
    pub(super) fn remove_fields_of_part(
        &mut self,
        at: Position,
        key: &[u8],
        stored: Stored,
        limit: usize,
    ) -> Result<usize> {
        let (db, now_ms) = (self.physical, self.now_ms);
        let part = self
            .dataset
            .expired_part(db, at.slot, &stored, now_ms, limit)?;
        let Some((incarnation, object)) = part else {
            return Ok(0);
        };
        let part = Part {
            stored,
            incarnation,
            object,
        };
        self.note(db, "hexpired", key);
        let remove = |hash: &mut Hash, edit: &mut Edit<'_>| hash.remove_expired(limit, edit);
        let removed = self.edit_part(at, key, part, remove)?;
        self.dataset.counters.expired_fields += removed as u64;
        Ok(removed)
    }

    /// Removes fields that have expired, which a write met, of a hash in memory. True if the hash is still there.
    #[cold]
    pub(super) fn bring_fields(
        &mut self,
        db: PhysicalDb,
        at: Position,
        key: &[u8],
    ) -> Result<bool> {
        let removed = self.remove_fields(db, at, key, MET_FIELDS)?;
        Ok(removed.is_some())
    }

    /// Removes up to `limit` fields that have expired of a hash in memory; answers how many. None if the whole hash went.
    fn remove_fields(
        &mut self,
        db: PhysicalDb,
        at: Position,
        key: &[u8],
        limit: usize,
    ) -> Result<Option<usize>> {
        let entry = self.dataset.database(db).find(at, key);
        let hash = entry.and_then(|entry| entry.expiring_hash());
        let last = hash.and_then(|hash| hash.last_expiry_ms());
        let fields = hash.map_or(0, |hash| hash.len());
        self.note(db, "hexpired", key);
        if is_expired(last, self.now_ms) {
            // However many they are: the whole goes at once.
            self.dataset.counters.expired_fields += fields as u64;
            self.erase(db, at, key)?;
            self.note(db, "del", key);
            return Ok(None);
        }
        let removed = self.edit_present(db, at, key, |hash: &mut Hash, edit: &mut Edit<'_>| {
            hash.remove_expired(limit, edit)
        })?;
        self.dataset.counters.expired_fields += removed as u64;
        Ok(Some(removed))
    }
}
