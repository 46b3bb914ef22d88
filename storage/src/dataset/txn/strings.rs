//! Writes of strings.

use super::{Expiry, Txn};
use crate::Result;
use crate::dataset::collection;
use crate::dataset::entry::{Entry, Flat};
use crate::dataset::object::is_expired;
use crate::dataset::position::Position;
use crate::dataset::record::ElementPlace;
use crate::types::{Encoding, Kind};

impl Txn<'_> {
    /// Sets `key` to a string, whatever it was; a canonical number becomes an integer.
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<()> {
        self.store(key, value, Encoding::of(value), expiry)
    }

    /// Sets `key` to a string that is not looked at for a number, as INCRBYFLOAT does.
    pub fn set_text(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<()> {
        self.store(key, value, Encoding::of_text(value), expiry)
    }

    /// Sets `key` to a string that may be changed in place next, as BITOP does.
    pub fn set_raw(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<()> {
        self.store(key, value, Encoding::Raw, expiry)
    }

    /// Sets `key` to a number.
    pub fn set_int(&mut self, key: &[u8], value: i64, expiry: Expiry) -> Result<()> {
        self.store(
            key,
            itoa::Buffer::new().format(value).as_bytes(),
            Encoding::Int,
            expiry,
        )
    }

    #[inline]
    fn store(
        &mut self,
        key: &[u8],
        value: &[u8],
        encoding: Encoding,
        expiry: Expiry,
    ) -> Result<()> {
        let at = self.position(key);
        let (db, now_ms) = (self.physical, self.now_ms);
        let record_key = self.record_key(db, at, key);
        let database = self.dataset.database_mut(db);
        let replaced = database.update(at, key, |entry| {
            let old = entry.expire_at_ms();
            let parts = Flat {
                value,
                kind: Kind::String,
                encoding,
                expire_at_ms: expiry.after(old, now_ms),
            };
            let mut gone = None;
            if entry.collected().is_some() {
                let fresh = Entry::flat(at.hash, key, parts, entry.access().clone());
                gone = Some(std::mem::replace(entry, fresh));
            } else {
                entry.set_flat(parts);
            }
            entry.access().touch(now_ms, u64::from(at.hash) << 32);
            (old, parts, gone)
        });
        let (old_expire, parts) = match replaced {
            Some((old, parts, gone)) => {
                if let Some(gone) = gone {
                    database.bury(db, at.slot, &gone);
                    database.discard(gone);
                }
                (old, parts)
            }
            None if database.is_complete(at.slot) => {
                let parts = Flat {
                    value,
                    kind: Kind::String,
                    encoding,
                    expire_at_ms: expiry.after(None, now_ms),
                };
                database.create_flat(at, key, parts, now_ms);
                (None, parts)
            }
            None => self.store_cold(
                at,
                key,
                Flat {
                    value,
                    kind: Kind::String,
                    encoding,
                    expire_at_ms: None,
                },
                expiry,
            )?,
        };
        self.dataset
            .database_mut(db)
            .write_flat(&record_key, key, parts, self.index);
        if is_expired(old_expire, now_ms) {
            self.note_expired(db, key);
        }
        Ok(())
    }

    /// Stores a key that is not in memory but may be on disk. Answers its old expiry, and the string as stored.
    #[cold]
    fn store_cold<'v>(
        &mut self,
        at: Position,
        key: &[u8],
        parts: Flat<'v>,
        expiry: Expiry,
    ) -> Result<(Option<u64>, Flat<'v>)> {
        let (db, now_ms) = (self.physical, self.now_ms);
        let stored = self.dataset.read_cold(db, &self.record_key(db, at, key))?;
        let database = self.dataset.database_mut(db);
        let old_expire = stored.as_ref().and_then(|stored| stored.expire_at_ms);
        if stored.is_some() {
            // The key is counted already; what replaces it counts it again.
            database.counts.subtract(at.slot);
            database.count_expiring(old_expire, None);
        }
        if let Some(stored) = stored.filter(|stored| !stored.encoding.is_flat()) {
            let (incarnation, _) = collection::parse_payload(&stored.payload)?;
            database.dead.push(ElementPlace {
                slot: at.slot,
                db,
                incarnation,
            });
        }
        let parts = Flat {
            expire_at_ms: expiry.after(old_expire, now_ms),
            ..parts
        };
        database.create_flat(at, key, parts, now_ms);
        Ok((old_expire, parts))
    }

    /// Changes the bytes of the string at `key` in place, an empty one if there is none. Its encoding becomes raw, its
    /// expiry stays. Amortised O(change) above 1 KB. The caller has checked that it is a string.
    pub fn edit_string<R>(
        &mut self,
        key: &[u8],
        edit: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> Result<R> {
        let at = self.position(key);
        let (db, now_ms, index) = (self.physical, self.now_ms, self.index);
        let record_key = self.record_key(db, at, key);
        if !self.bring(db, at, key)? {
            let mut value = Vec::new();
            let result = edit(&mut value);
            self.store(key, &value, Encoding::Raw, Expiry::Clear)?;
            return Ok(result);
        }
        let database = self.dataset.database_mut(db);
        let mut edit = Some(edit);
        let result = database.update(at, key, |entry| {
            entry.access().touch(now_ms, u64::from(at.hash) << 32);
            edit.take().map(|edit| entry.edit_string(edit))
        });
        database.write_back(&record_key, key, index);
        result
            .flatten()
            .ok_or_else(|| crate::Error::corrupt("data set", "a key vanished while it was edited"))
    }
}

impl Expiry {
    /// The expiry of a key that had `old` until `now_ms`.
    #[inline]
    fn after(self, old: Option<u64>, now_ms: u64) -> Option<u64> {
        match self {
            Self::Clear => None,
            Self::Keep => old.filter(|_| !is_expired(old, now_ms)),
            Self::AtMs(at_ms) => Some(at_ms),
        }
    }
}
