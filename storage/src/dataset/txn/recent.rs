//! What a transaction remembers of the key that it worked on last: commands look a key up before they change it, and the
//! commands of a pipeline often have one key.

use smallvec::SmallVec;

use super::Txn;
use crate::dataset::collection::ElementRecords;
use crate::dataset::position::Position;
use crate::dataset::record::PhysicalDb;
use crate::types::{Edit, KeyHasher};

/// Longer keys are not remembered.
const KEY_MAX_BYTES: usize = 32;

/// The position of the key that was asked for last.
pub(super) struct Recent {
    key: SmallVec<[u8; KEY_MAX_BYTES]>,
    at: Option<Position>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            key: SmallVec::new(),
            at: None,
        }
    }
}

impl Recent {
    /// Slot and hash of `key`.
    #[inline]
    pub(super) fn position(&mut self, hasher: &KeyHasher, key: &[u8]) -> Position {
        if let Some(at) = self.at.filter(|_| *self.key == *key) {
            return at;
        }
        let at = hasher.position(key);
        if key.len() <= KEY_MAX_BYTES {
            self.key.clear();
            self.key.extend_from_slice(key);
            self.at = Some(at);
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
