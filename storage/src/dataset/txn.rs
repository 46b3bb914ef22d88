//! Writes: the execution of one log entry.

mod collections;
mod fields;
mod keyspace;
mod parts;
mod recent;
mod strings;

use super::Dataset;
use super::collection::Incarnations;
use super::object::{Object, is_expired};
use super::part::Focus;
use super::position::Position;
use super::record::{PhysicalDb, RecordKey};
use super::view::View;
use super::warm::{Ahead, Taken};
use crate::Result;
use crate::ids::{DbIndex, LogIndex};
use crate::random;
use crate::types::Limits;

/// What happens to a key's expiry when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The key does not expire any more.
    Clear,
    /// As it was (KEEPTTL).
    Keep,
    /// At a time in milliseconds of Unix time.
    AtMs(u64),
}

/// Something that happened to a key, for keyspace notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's name, as in Redis: `set`, `del`, `expired`, …
    pub kind: &'static str,
    /// The logical database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
}

/// Executes one log entry. Everything here is deterministic: the same entries on the same state give the same state.
///
/// A key that has expired at the entry's time is removed when it is met, which is counted and noted as an event.
///
/// The commands of an entry often change one collection many times. Its own record goes to the write set when another
/// collection is changed, and at the end: see `write_back_later`.
pub struct Txn<'a> {
    dataset: &'a mut Dataset,
    db: DbIndex,
    physical: PhysicalDb,
    index: LogIndex,
    now_ms: u64,
    seed: u64,
    touches: bool,
    limits: Limits,
    incarnations: Incarnations,
    /// Expired fields that this entry may still remove because it was asked to.
    removable_fields: usize,
    recent: recent::Recent,
    /// The collection whose own record is still to be written.
    unwritten: Option<recent::Unwritten>,
    /// What the command at work looks at, of keys that are only on disk.
    focus: Vec<Focus>,
}

impl Drop for Txn<'_> {
    fn drop(&mut self) {
        self.write_back_now();
    }
}

impl<'a> Txn<'a> {
    pub(super) fn new(dataset: &'a mut Dataset, seed: u64) -> Self {
        let db = DbIndex(0);
        let physical = dataset.physical(db);
        let (index, now_ms) = (
            LogIndex(dataset.applied.applied_index),
            dataset.applied.now_ms,
        );
        Self {
            dataset,
            db,
            physical,
            index,
            now_ms,
            seed,
            touches: true,
            limits: Limits::default(),
            incarnations: Incarnations { index, begun: 0 },
            removable_fields: fields::REMOVED_FIELDS,
            recent: recent::Recent::default(),
            unwritten: None,
            focus: Vec::new(),
        }
    }

    /// Works on another database from now on.
    pub fn select(&mut self, db: DbIndex) {
        self.db = db;
        self.physical = self.dataset.physical(db);
    }

    /// Whether lookups count as uses of keys from now on (CLIENT NO-TOUCH). They do at first.
    pub fn set_touching(&mut self, touches: bool) {
        self.touches = touches;
    }

    /// See [`Dataset::note_reply`].
    pub fn note_reply(&mut self, reply: &[u8]) {
        self.dataset.note_reply(reply);
    }

    /// The database at work.
    pub fn db(&self) -> DbIndex {
        self.db
    }

    /// The entry's index.
    pub fn index(&self) -> LogIndex {
        self.index
    }

    /// The entry's time, in milliseconds of Unix time.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// A number from the entry's seed; each call gives another.
    pub fn random(&mut self) -> u64 {
        random::next(&mut self.seed)
    }

    /// Says that these keys are about to be read and written. See [`View::warm`].
    pub fn warm<'k>(&mut self, keys: impl IntoIterator<Item = &'k [u8]>) {
        self.warm_commands(keys.into_iter().map(|key| (key, &[][..])));
    }

    /// The same of commands: the members and fields that they look for in large collections, too.
    pub fn warm_commands<'k>(&mut self, commands: impl IntoIterator<Item = Ahead<'k>>) {
        let Self {
            dataset,
            physical,
            recent,
            ..
        } = self;
        let database = dataset.database(*physical);
        recent.forget();
        database.warm(&dataset.hasher, *physical, commands, true, |key, at| {
            recent.announce(key, at);
        });
    }

    /// Says that so many commands are about to take an element each out of the collection at `key`: drawn with the sequence of
    /// numbers that begins with the one that [`Self::random`] gives the command, or from an end.
    pub fn warm_taken(&mut self, key: &[u8], taken: Taken, commands: usize) {
        let place = (self.position(key), key, self.physical);
        let dataset = &self.dataset;
        let database = dataset.database(self.physical);
        database.warm_taken(&dataset.hasher, place, taken, commands, self.seed);
    }

    /// Reads the database at work at the entry's time.
    pub fn view(&self) -> View<'_> {
        let view = View::new(self.dataset, self.db, self.now_ms).with_focus(&self.focus);
        if self.touches {
            view
        } else {
            view.without_touching()
        }
    }

    /// Reads another database at the entry's time.
    pub fn view_of(&self, db: DbIndex) -> View<'_> {
        View::new(self.dataset, db, self.now_ms)
    }

    /// The data set, for its statistics.
    pub fn dataset(&self) -> &Dataset {
        self.dataset
    }

    /// Notes an event of a key in the database at work, if events are kept. Counts as a change.
    pub fn notify(&mut self, kind: &'static str, key: &[u8]) {
        self.dataset.counters.changes += 1;
        let db = self.db;
        if let Some(events) = &mut self.dataset.events {
            events.push(Event {
                kind,
                db,
                key: key.into(),
            });
        }
    }

    /// Where events are kept; none unless [`Dataset::record_events`] asked for them.
    pub fn events(&mut self) -> Option<&mut Vec<Event>> {
        self.dataset.events.as_mut()
    }

    /// The value of `key`, brought into memory; counts as a use of it.
    pub fn lookup(&mut self, key: &[u8]) -> Result<Option<Object<'_>>> {
        if !self.focus.is_empty() {
            let at = self.position(key);
            if let Some(part) = self.part(at, key)? {
                return Ok(Some(self.part_object(part)));
            }
        }
        let found = self.peek_at(key)?;
        let random = self.now_ms.wrapping_mul(self.index.get()).wrapping_add(1);
        let object = found.map(|at| self.object(at, key));
        let object = object.flatten();
        if let Some(object) = object.as_ref().filter(|_| self.touches) {
            object.touch(random::next(&mut { random }));
        }
        Ok(object)
    }

    /// The value of `key`, brought into memory, without counting as a use of it.
    pub fn peek(&mut self, key: &[u8]) -> Result<Option<Object<'_>>> {
        if !self.focus.is_empty() {
            let at = self.position(key);
            if let Some(part) = self.part(at, key)? {
                return Ok(Some(self.part_object(part)));
            }
        }
        let found = self.peek_at(key)?;
        Ok(found.and_then(|at| self.object(at, key)))
    }

    /// True when `key` is there. No use of it.
    pub fn exists(&mut self, key: &[u8]) -> Result<bool> {
        if !self.focus.is_empty() {
            let at = self.position(key);
            if self.part(at, key)?.is_some() {
                return Ok(true);
            }
        }
        Ok(self.peek_at(key)?.is_some())
    }

    fn peek_at(&mut self, key: &[u8]) -> Result<Option<Position>> {
        let at = self.position(key);
        Ok(self.bring(self.physical, at, key)?.then_some(at))
    }

    fn object(&self, at: Position, key: &[u8]) -> Option<Object<'_>> {
        let entry = self.dataset.database(self.physical).find(at, key)?;
        Some(Object::memory(entry, self.now_ms))
    }

    #[inline]
    fn position(&mut self, key: &[u8]) -> Position {
        self.recent.position(&self.dataset.hasher, key)
    }

    #[inline]
    fn record_key<'k>(&self, db: PhysicalDb, at: Position, key: &'k [u8]) -> RecordKey<'k> {
        RecordKey::new(&self.dataset.hasher, db, at, key)
    }

    /// Makes sure that `key` is in memory if it is there at all; removes it if it has expired, or those of its fields that
    /// have. True when it is there.
    #[inline]
    fn bring(&mut self, db: PhysicalDb, at: Position, key: &[u8]) -> Result<bool> {
        let database = self.dataset.database(db);
        let entry = match database.find(at, key) {
            Some(entry) => entry,
            None if database.is_complete(at.slot) => return Ok(false),
            None => {
                if !self.load(db, at, key)? {
                    return Ok(false);
                }
                match self.dataset.database(db).find(at, key) {
                    Some(entry) => entry,
                    None => return Ok(false),
                }
            }
        };
        let (expire_at_ms, fields) = (entry.expire_at_ms(), entry.next_field_expiry_ms());
        if is_expired(expire_at_ms, self.now_ms) {
            self.erase(db, at, key)?;
            self.note_expired(db, key);
            return Ok(false);
        }
        if is_expired(fields, self.now_ms) {
            return self.bring_fields(db, at, key);
        }
        Ok(true)
    }

    /// Loads a key from the disk; true if it is there. One that has expired is deleted without being loaded, as is a large hash of
    /// which all fields have.
    #[cold]
    fn load(&mut self, db: PhysicalDb, at: Position, key: &[u8]) -> Result<bool> {
        let Some(stored) = self.dataset.read_cold(db, &self.record_key(db, at, key))? else {
            return Ok(false);
        };
        if is_expired(stored.expire_at_ms, self.now_ms) {
            self.erase_cold(db, at, key, &stored)?;
            self.note_expired(db, key);
            return Ok(false);
        }
        let (_, last) = stored.field_expiries_ms();
        if !stored.encoding.is_flat() && is_expired(last, self.now_ms) && db == self.physical {
            self.erase_expired_hash(at, key, &stored)?;
            return Ok(false);
        }
        self.dataset.admit(db, at, key, &stored)?;
        Ok(true)
    }

    /// Deletes a key that is in memory.
    fn erase(&mut self, db: PhysicalDb, at: Position, key: &[u8]) -> Result<()> {
        let record_key = self.record_key(db, at, key);
        self.dataset.database_mut(db).erase(&record_key, db, key);
        Ok(())
    }

    #[cold]
    fn note_expired(&mut self, db: PhysicalDb, key: &[u8]) {
        self.dataset.counters.expired_keys += 1;
        self.note(db, "expired", key);
    }

    /// Notes an event of a key in any database.
    fn note(&mut self, db: PhysicalDb, kind: &'static str, key: &[u8]) {
        self.dataset.counters.changes += 1;
        let logical = self
            .dataset
            .mapping
            .iter()
            .position(|&physical| physical == db);
        if let (Some(events), Some(logical)) = (&mut self.dataset.events, logical) {
            events.push(Event {
                kind,
                db: DbIndex(logical as u8),
                key: key.into(),
            });
        }
    }
}
