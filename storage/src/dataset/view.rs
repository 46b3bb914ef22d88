//! Reads of one database at one logical time.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use super::Dataset;
use super::evict::EvictionPolicy;
use super::object::{Object, is_expired};
use super::part::{Focus, Point};
use super::position::Position;
use super::preload::{ColdKey, Loan};
use super::record::{PhysicalDb, RecordKey};
use super::walk::{self, Found, Range};
use super::warm::Ahead;
use crate::ids::{DbIndex, SLOT_COUNT, Slot};
use crate::proto::command::ExpiredKey;
use crate::random;
use crate::types::{Kind, Limits};
use crate::{Error, Result};

/// Keys that a window of the hash space holds on average, when a random key is drawn from it.
const WINDOW_KEYS: u64 = 8;
/// More keys than this are never in a window, for all practical purposes: on average there are 8 to 16.
const WINDOW_MAX_KEYS: u64 = 48;
/// Windows tried before any is taken: one in six is accepted at worst.
const WINDOW_TRIES: usize = 200;
/// Keys drawn that turn out to have expired, before the next one in order is taken instead.
const EXPIRED_TRIES: usize = 100;

/// Bytes of expired keys that one view notes; further ones wait for the next view, or for the leader's own search.
const MET_MAX_BYTES: usize = 64 << 10;

/// Reads one database at one logical time: what has expired is not there. Counts hits and misses, which reach the data set
/// when the view is dropped.
pub struct View<'a> {
    dataset: &'a Dataset,
    db: DbIndex,
    physical: PhysicalDb,
    now_ms: u64,
    touches: bool,
    hits: Cell<u64>,
    misses: Cell<u64>,
    random: Cell<u64>,
    met: RefCell<Met>,
    focus: Cow<'a, [Focus]>,
    /// Large collections that are only on disk are not read: the caller is told.
    refuses_cold: bool,
    loans: &'a [Loan],
    /// The loans count though their keys have changed since.
    as_of_loans: bool,
}

/// Expired keys that a view met.
#[derive(Default)]
struct Met {
    keys: Vec<ExpiredKey>,
    bytes: usize,
}

/// A key that a scan met.
pub struct ScannedKey<'a> {
    /// The key.
    pub key: Cow<'a, [u8]>,
    /// Its type.
    pub kind: Kind,
}

impl<'a> View<'a> {
    pub(super) fn new(dataset: &'a Dataset, db: DbIndex, now_ms: u64) -> Self {
        Self {
            dataset,
            db,
            physical: dataset.physical(db),
            now_ms,
            touches: true,
            hits: Cell::new(0),
            misses: Cell::new(0),
            random: Cell::new(now_ms),
            met: RefCell::default(),
            focus: Cow::Borrowed(&[]),
            refuses_cold: false,
            loans: &[],
            as_of_loans: false,
        }
    }

    /// See [`super::Txn::focus`]: what this view will be asked for. With `seed` begin the numbers by which elements are drawn.
    pub fn focus<'m>(&mut self, points: impl IntoIterator<Item = Point<'m>>, seed: u64) {
        let mut focus = Vec::new();
        for point in points {
            let at = self.dataset.hasher.position(point.key);
            let database = self.dataset.database(self.physical);
            if self.dataset.may_be_cold(self.physical, at) && database.find(at, point.key).is_none()
            {
                focus.push(Focus::new(point, &Limits::default(), seed));
            }
        }
        self.focus = Cow::Owned(focus);
    }

    /// True when all keys of the database are in memory, and a focus means nothing.
    pub fn is_complete(&self) -> bool {
        self.dataset.database(self.physical).is_all_in_memory()
    }

    /// With the focus of a transaction.
    pub(super) fn with_focus(mut self, focus: &'a [Focus]) -> Self {
        self.focus = Cow::Borrowed(focus);
        self
    }

    /// The same view, which answers [`Error::Cold`] when all of a large collection is asked for that is only on disk, instead of
    /// reading it.
    pub fn refusing_cold(mut self) -> Self {
        self.refuses_cold = true;
        self
    }

    /// The same view, with what was read for the caller since it was refused. With `as_of_then` also what has changed meanwhile: a command that
    /// looks at one key only then sees it as it was at a moment after the command had come.
    pub fn with_loans(mut self, loans: &'a [Loan], as_of_then: bool) -> Self {
        self.loans = loans;
        self.as_of_loans = as_of_then;
        self
    }

    /// The same view, whose lookups do not count as uses of the keys (CLIENT NO-TOUCH).
    pub fn without_touching(mut self) -> Self {
        self.touches = false;
        self
    }

    /// Expired keys that were met since the last call, and hashes with expired fields. They are not there for anybody any more, but still take room and are
    /// counted until an entry removes them: what a leader proposes to delete.
    pub fn take_expired(&self) -> Vec<ExpiredKey> {
        if self.met.borrow().keys.is_empty() {
            return Vec::new();
        }
        self.met.take().keys
    }

    /// False for a key that has expired, or a hash of which all fields have. Both are noted, as is a hash of which some fields
    /// have expired.
    #[inline]
    fn is_there(&self, key: &[u8], object: &Object<'_>) -> bool {
        if object.is_expired() {
            self.note_expired(key, object.expire_at_ms(), false);
            return false;
        }
        let (next, last) = object.field_expiries_ms();
        if !is_expired(next, self.now_ms) {
            return true;
        }
        self.note_expired(key, next, true);
        !is_expired(last, self.now_ms)
    }

    #[cold]
    fn note_expired(&self, key: &[u8], expire_at_ms: Option<u64>, fields: bool) {
        let mut met = self.met.borrow_mut();
        if let Some(expire_at_ms) = expire_at_ms
            && met.bytes < MET_MAX_BYTES
        {
            met.bytes += size_of::<ExpiredKey>() + key.len();
            met.keys.push(ExpiredKey {
                db: self.db.get().into(),
                key: bytes::Bytes::copy_from_slice(key),
                expire_at_ms,
                fields,
            });
        }
    }

    /// Which keys go when memory is full.
    pub fn eviction_policy(&self) -> EvictionPolicy {
        self.dataset.eviction_policy()
    }

    /// The keyed hash of an element, for lookups in collections.
    #[inline]
    pub fn element_hash(&self, element: &[u8]) -> u32 {
        self.dataset.hasher.hash(element)
    }

    /// The time of the view, in milliseconds of Unix time.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The data set that is read, for its statistics.
    pub fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// Says that these keys are about to be looked up. Their memory is fetched at once (of the
    /// first 16), which is several times faster than one lookup after the other when they are many. Changes nothing.
    pub fn warm<'k>(&self, keys: impl IntoIterator<Item = &'k [u8]>) {
        self.warm_commands(keys.into_iter().map(|key| (key, &[][..])));
    }

    /// The same of commands: the members and fields that they look for in large collections, too.
    pub fn warm_commands<'k>(&self, commands: impl IntoIterator<Item = Ahead<'k>>) {
        let database = self.dataset.database(self.physical);
        database.warm(
            &self.dataset.hasher,
            self.physical,
            commands,
            false,
            |_, _| (),
        );
    }

    /// The value of `key`; counts as a use of it.
    #[inline]
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Object<'a>>> {
        self.find(key, self.touches, true)
    }

    /// The value of `key`; counts as a use of it whatever [`Self::without_touching`] says (TOUCH).
    pub fn touch(&self, key: &[u8]) -> Result<Option<Object<'a>>> {
        self.find(key, true, true)
    }

    /// The value of `key`, without counting as a use of it (TYPE, TTL, OBJECT).
    pub fn peek(&self, key: &[u8]) -> Result<Option<Object<'a>>> {
        self.find(key, false, true)
    }

    /// True when `key` is there. No use of it; the elements of a large collection are not read.
    pub fn exists(&self, key: &[u8]) -> Result<bool> {
        Ok(self.find(key, false, false)?.is_some())
    }

    #[inline]
    fn find(&self, key: &[u8], touch: bool, elements: bool) -> Result<Option<Object<'a>>> {
        let at = self.dataset.hasher.position(key);
        let database = self.dataset.database(self.physical);
        let found = match database.find(at, key) {
            Some(entry) => Some(Object::memory(entry, self.now_ms)),
            None if database.is_complete(at.slot) => None,
            None => self.find_cold(at, key, elements)?,
        };
        let found = found.filter(|object| self.is_there(key, object));
        match &found {
            Some(object) => {
                self.hits.set(self.hits.get() + 1);
                if touch {
                    let mut state = self.random.get();
                    object.touch(random::next(&mut state));
                    self.random.set(state);
                }
            }
            None => self.misses.set(self.misses.get() + 1),
        }
        Ok(found)
    }

    #[cold]
    fn find_cold(&self, at: Position, key: &[u8], elements: bool) -> Result<Option<Object<'a>>> {
        let focus = self.focus.iter().find(|focus| *focus.key == *key);
        let mut loans = self.loans.iter();
        let loan = loans.find(|loan| loan.is_for(self.physical, key, focus));
        let lent = |loan: &'a Loan| Some(Object::lent(&loan.found, self.now_ms));
        if let Some(loan) = loan.filter(|_| self.as_of_loans) {
            return Ok(lent(loan));
        }
        let record_key = RecordKey::new(&self.dataset.hasher, self.physical, at, key);
        let Some(stored) = self.dataset.read_cold(self.physical, &record_key)? else {
            return Ok(None);
        };
        let (_, last) = stored.field_expiries_ms();
        if is_expired(stored.expire_at_ms, self.now_ms) || is_expired(last, self.now_ms) {
            return Ok(Some(Object::disk(stored, None, self.now_ms)));
        }
        let has_parts = self.dataset.has_parts(&stored)?;
        if !elements && has_parts {
            self.dataset.want_whole(self.physical, key, &stored);
            return Ok(Some(Object::disk(stored, None, self.now_ms)));
        }
        if let Some(loan) = loan.filter(|loan| loan.is_as(&stored)) {
            return Ok(lent(loan));
        }
        if let Some(focus) = focus
            && has_parts
            && let Some((_, part)) =
                self.dataset
                    .part_of(self.physical, at.slot, &stored, focus, self.now_ms)?
        {
            self.dataset.want_whole(self.physical, key, &stored);
            return Ok(Some(Object::disk(stored, Some(part), self.now_ms)));
        }
        if self.refuses_cold && has_parts {
            return Err(Error::Cold(Box::new(ColdKey {
                db: self.db,
                key: key.into(),
                looks: self.dataset.looks_afar(&stored, focus),
            })));
        }
        self.dataset.want(self.physical, key);
        let mut object = None;
        if !stored.encoding.is_flat() {
            let (_, elements) = self
                .dataset
                .read_elements(self.physical, at.slot, &stored)?;
            object = Some(elements);
        }
        Ok(Some(Object::disk(stored, object, self.now_ms)))
    }

    /// Number of keys, those included that have expired and are not removed yet, as Redis counts.
    pub fn len(&self) -> u64 {
        self.dataset.database(self.physical).counts.total()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys that have an expiry.
    pub fn expires_len(&self) -> u64 {
        self.dataset.database(self.physical).expiring
    }

    /// Walks on from `cursor` (0: from the start) until about `count` keys were visited. Answers the next cursor, 0 at the
    /// end, and the keys. Every key that is there during a whole walk is given exactly once, whatever else changes, on
    /// whichever replica each step runs. Any number is accepted as a cursor.
    pub fn scan(&self, cursor: u64, count: usize) -> Result<(u64, Vec<ScannedKey<'a>>)> {
        let Some(start) = Position::from_cursor(cursor) else {
            return Ok((0, Vec::new()));
        };
        let mut keys = Vec::new();
        let mut visited = 0;
        for slot in self.dataset.used_slots(self.physical, start.slot) {
            let from = if slot == start.slot {
                start
            } else {
                Position { slot, hash: 0 }
            };
            let mut next = None;
            let flow = walk::walk_slot(self.dataset, self.range(from, u32::MAX), |hash, group| {
                visited += group.len();
                let there = group.drain(..).filter(|found| self.finds(found));
                keys.extend(there.map(|found| ScannedKey {
                    kind: found.object.kind(),
                    key: found.key,
                }));
                next = Position { slot, hash }.next();
                if visited >= count {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if flow.is_break() {
                return Ok((next.map_or(0, Position::cursor), keys));
            }
        }
        Ok((0, keys))
    }

    /// Gives `visit` every key with its value, in the order of [`Self::scan`].
    pub fn for_each_key(&self, mut visit: impl FnMut(&[u8], &Object<'a>)) -> Result<()> {
        for slot in self.dataset.used_slots(self.physical, 0) {
            self.for_each_in_slot(slot, |key, object| {
                visit(key, object);
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    /// Gives `visit` every key with its whole value, elements of large collections that are only on disk included, in the order
    /// of [`Self::scan`], until it breaks. Of a key that has expired and is still counted, no value.
    pub fn for_each_value(
        &self,
        mut visit: impl FnMut(&[u8], Option<&Object<'a>>) -> ControlFlow<()>,
    ) -> Result<()> {
        for slot in self.dataset.used_slots(self.physical, 0) {
            let mut range = self.range(Position { slot, hash: 0 }, u32::MAX);
            range.elements = true;
            let flow = walk::walk_slot(self.dataset, range, |_, group| {
                group.iter().try_for_each(|found| {
                    visit(&found.key, self.finds(found).then_some(&found.object))
                })
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Number of keys of a slot, counted as [`Self::len`] counts.
    pub fn count_keys_in_slot(&self, slot: Slot) -> u64 {
        self.dataset
            .database(self.physical)
            .counts
            .of(slot.get())
            .into()
    }

    /// The first keys of a slot in the order of [`Self::scan`], at most `limit`.
    pub fn keys_in_slot(&self, slot: Slot, limit: usize) -> Result<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        if limit > 0 && slot.get() < SLOT_COUNT {
            self.for_each_in_slot(slot.get(), |key, _| {
                keys.push(key.to_vec());
                if keys.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
        }
        Ok(keys)
    }

    fn for_each_in_slot(
        &self,
        slot: u16,
        mut visit: impl FnMut(&[u8], &Object<'a>) -> ControlFlow<()>,
    ) -> Result<()> {
        let range = self.range(Position { slot, hash: 0 }, u32::MAX);
        let _ = walk::walk_slot(self.dataset, range, |_, group| {
            let mut there = group.iter().filter(|found| self.finds(found));
            there.try_for_each(|found| visit(&found.key, &found.object))
        })?;
        Ok(())
    }

    fn finds(&self, found: &Found<'_>) -> bool {
        self.is_there(&found.key, &found.object)
    }

    fn range(&self, from: Position, last_hash: u32) -> Range {
        Range {
            db: self.physical,
            from,
            last_hash,
            now_ms: self.now_ms,
            elements: false,
        }
    }

    /// A key drawn with equal chances from all that are there, in memory or on disk; none of an empty database. The same
    /// `random` gives the same key on every replica.
    pub fn random_key(&self, random: u64) -> Result<Option<Vec<u8>>> {
        let mut state = random;
        let counts = &self.dataset.database(self.physical).counts;
        for _ in 0..EXPIRED_TRIES {
            let Some(nth) = random::next(&mut state).checked_rem(counts.total()) else {
                return Ok(None);
            };
            let Some(slot) = counts.slot_of_nth(nth) else {
                return Ok(None);
            };
            if let Some(key) = self.random_in_slot(slot, &mut state)? {
                return Ok(Some(key));
            }
        }
        self.next_key(random::next(&mut state))
    }

    /// Draws a narrow window of the slot's hashes until one is accepted, with a chance in proportion to the keys in it,
    /// then one of its keys: each key has the same chance, and only few are looked at. None if it has expired.
    fn random_in_slot(&self, slot: u16, state: &mut u64) -> Result<Option<Vec<u8>>> {
        let count = u64::from(self.dataset.database(self.physical).counts.of(slot));
        let bits = (count / WINDOW_KEYS).checked_ilog2().unwrap_or(0).min(31);
        let width = (u64::from(u32::MAX) + 1) >> bits;
        for attempt in 0..WINDOW_TRIES {
            let first = (u64::from(random::next(state) as u32) / width) * width;
            let (first, last) = (first as u32, (first + width - 1) as u32);
            let (choice, chance) = (random::next(state), random::next(state));
            let mut keys: Vec<Option<Vec<u8>>> = Vec::new();
            let _ = walk::walk_slot(
                self.dataset,
                self.range(Position { slot, hash: first }, last),
                |_, group| {
                    keys.extend(
                        group
                            .drain(..)
                            .map(|found| self.finds(&found).then(|| found.key.into_owned())),
                    );
                    ControlFlow::Continue(())
                },
            )?;
            let found = keys.len() as u64;
            let accepted =
                bits == 0 || chance % WINDOW_MAX_KEYS < found || attempt + 1 == WINDOW_TRIES;
            if accepted && found > 0 {
                return Ok(keys.swap_remove((choice % found) as usize));
            }
        }
        Ok(None)
    }

    /// The first key from a random position on, and round: when most keys have expired.
    fn next_key(&self, random: u64) -> Result<Option<Vec<u8>>> {
        let start = Position {
            slot: (random >> 32) as u16 % SLOT_COUNT,
            hash: random as u32,
        };
        for mut cursor in [start.cursor(), 0] {
            loop {
                let (next, mut keys) = self.scan(cursor, 1)?;
                if !keys.is_empty() {
                    return Ok(Some(keys.swap_remove(0).key.into_owned()));
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(None)
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        self.dataset
            .counters
            .add_lookups(self.hits.get(), self.misses.get());
    }
}
