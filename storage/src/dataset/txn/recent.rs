//! What a transaction remembers of the key that it worked on last: commands look a key up before they change it, and the
//! commands of a pipeline often have one key.

use smallvec::SmallVec;

use super::Txn;
use crate::dataset::collection::ElementRecords;
use crate::dataset::position::Position;
use crate::dataset::record::PhysicalDb;
use crate::dataset::warm::WARM_KEYS;
use crate::types::{Edit, KeyHasher};

/// Longer keys are not remembered.
const KEY_MAX_BYTES: usize = 32;

/// The positions of the keys that were announced, or of the one that was asked for last.
#[derive(Default)]
pub(super) struct Recent {
    known: SmallVec<[Known; WARM_KEYS]>,
    /// Which of them was asked for last.
    current: usize,
}

struct Known {
    key: SmallVec<[u8; KEY_MAX_BYTES]>,
    at: Position,
}

impl Recent {
    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.current = 0;
    }

    /// This key will be asked for after those that were announced before it.
    #[inline]
    pub(super) fn announce(&mut self, key: &[u8], at: Position) {
        if key.len() <= KEY_MAX_BYTES && self.known.last().is_none_or(|known| *known.key != *key) {
            let key = SmallVec::from_slice(key);
            self.known.push(Known { key, at });
        }
    }

    /// Slot and hash of `key`.
    #[inline]
    pub(super) fn position(&mut self, hasher: &KeyHasher, key: &[u8]) -> Position {
        let ahead = self.known.iter().skip(self.current).take(2);
        for (further, known) in ahead.enumerate() {
            if *known.key == *key {
                self.current += further;
                return known.at;
            }
        }
        let at = hasher.position(key);
        // Out of turn: what was announced is of use again when the turn of its keys comes.
        if self.current + 1 >= self.known.len() {
            self.forget();
            self.announce(key, at);
        }
        at
    }
}

/// A collection that was changed, and whose own record was not written since.
pub(super) struct Unwritten {
    db: PhysicalDb,
    at: Position,
    key: SmallVec<[u8; KEY_MAX_BYTES]>,
}

impl Txn<'_> {
    /// Has the record of a collection in memory written when another one is changed, or at the end of the entry, with what
    /// the collection itself has left for later. What is written is what is there then; who deletes or replaces a key deals with
    /// its records, and who gives its value to another key writes them first.
    pub(super) fn write_back_later(&mut self, db: PhysicalDb, at: Position, key: &[u8]) {
        let is_same = |unwritten: &Unwritten| unwritten.db == db && *unwritten.key == *key;
        if self.unwritten.as_ref().is_some_and(is_same) {
            return;
        }
        self.write_back_now();
        self.unwritten = Some(Unwritten {
            db,
            at,
            key: SmallVec::from_slice(key),
        });
    }

    /// Writes the record that [`Self::write_back_later`] was told of, and what the collection has left for later, if the key is
    /// still there.
    pub(super) fn write_back_now(&mut self) {
        let Some(Unwritten { db, at, key }) = self.unwritten.take() else {
            return;
        };
        let (now_ms, index) = (self.now_ms, self.index);
        let record_key = self.record_key(db, at, &key);
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
        let there = database.edit(at, &key, |entry, write_set, dead| {
            let Some((incarnation, object)) = entry.collected_mut() else {
                return;
            };
            let mut records = ElementRecords {
                write_set,
                dead,
                hasher,
                incarnations,
                db,
                slot: at.slot,
                kind: object.kind(),
                incarnation: Some(*incarnation),
            };
            object.write_unwritten(&mut Edit::new(limits, hasher, now_ms, &mut records));
        });
        if there.is_some() {
            database.write_back(&record_key, &key, index);
        }
    }
}
