//! Point operations on large collections that are only on disk: what a command says that it will look at is read, the rest
//! stays where it is.
//!
//! A command says so with [`Focus`]: its key, and the members or fields that it names. When the key's collection is large and not in
//! memory, the command sees a part of it: a structure that holds these elements, and counts the others. Of a list or stream the
//! part is the nodes at its ends, which are all that adding elements and counting them need. What changes goes
//! to the write set as it does for a collection in memory, so that records, replies and replicas are the same whether it was
//! in memory or not. From then on until the next checkpoint the newest record of a key that is not in memory may be in
//! the write set, or in the checkpoint under way: all reads of records ask there first.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Dataset;
use super::collection::{self, Collected};
use super::position::Position;
use super::record::{self, ElementPlace, Incarnation, PhysicalDb, RecordKey, Stored};
use crate::types::Kind;
use crate::{Error, Result};

/// Larger collections are not loaded because of point operations: it would take tens of milliseconds under the lock.
const LOADED_MAX_ELEMENTS: u64 = 20_000;
/// What an element takes in memory, about.
const ELEMENT_BYTES: u64 = 128;
/// A collection that takes more than one part in so many of the memory is not loaded because of point operations either.
const LOADED_PARTS: u64 = 32;

/// The only elements of the collection at a key that a command looks at, besides how many there are.
#[derive(Clone, Debug)]
pub(super) struct Focus {
    pub(super) key: Box<[u8]>,
    members: Vec<Box<[u8]>>,
}

impl Focus {
    pub(super) fn new<'m>(key: &[u8], members: impl IntoIterator<Item = &'m [u8]>) -> Self {
        Self {
            key: key.into(),
            members: members.into_iter().map(Box::from).collect(),
        }
    }
}

/// How many elements a record says that its collection has.
fn elements_of(meta: &[u8]) -> u64 {
    meta.first_chunk().map_or(0, |len| u64::from_le_bytes(*len))
}

impl Dataset {
    /// The newest record with this key: of the write set, of the checkpoint under way, or on disk.
    pub(super) fn read_record(&self, db: PhysicalDb, key: &RecordKey<'_>) -> Result<Option<Bytes>> {
        match self.pending_record(db, key) {
            Some(record) => Ok(record),
            None => self.engine.get(&key.to_vec()),
        }
    }

    /// The record that waits to be written to disk under this key; an inner none: its deletion.
    pub(super) fn pending_record(
        &self,
        db: PhysicalDb,
        key: &RecordKey<'_>,
    ) -> Option<Option<Bytes>> {
        let written = self.database(db).write_set.get(key);
        written.or_else(|| self.frozen.as_ref()?.get(db, key))
    }

    /// The part of a large collection that a command looks at; none if the collection is to be loaded instead.
    pub(super) fn read_part(
        &self,
        db: PhysicalDb,
        slot: u16,
        stored: &Stored,
        focus: &Focus,
    ) -> Result<Option<(Incarnation, Collected)>> {
        if stored.encoding.is_flat() || stored.field_expiries_ms().0.is_some() {
            return Ok(None);
        }
        let (incarnation, meta) = collection::parse_payload(&stored.payload)?;
        if elements_of(meta) < self.parts_from_elements {
            return Ok(None);
        }
        let place = ElementPlace {
            slot,
            db,
            incarnation,
        };
        let mut found = Vec::new();
        if matches!(stored.kind, Kind::List | Kind::Stream) {
            let Some(ends) = Collected::ends(stored.kind, meta) else {
                return Ok(None);
            };
            for (hash, rest) in ends {
                let key = RecordKey::element(&self.hasher, place, hash, &rest);
                let Some(value) = self.read_record(db, &key)? else {
                    return Err(Error::corrupt(
                        "collection",
                        format!("no record {rest:02x?}"),
                    ));
                };
                found.push(record::decode_element(&key.to_vec().into(), &value));
            }
        } else {
            let members: BTreeSet<&[u8]> = focus.members.iter().map(AsRef::as_ref).collect();
            for member in members {
                let hash = self.hasher.hash(member);
                let key = RecordKey::element(&self.hasher, place, hash, member);
                if let Some(value) = self.read_record(db, &key)? {
                    found.push(record::decode_element(&key.to_vec().into(), &value));
                }
            }
        }
        let object = Collected::load_part(stored.kind, meta, &mut found.into_iter())?;
        Ok(object.map(|object| (incarnation, object)))
    }

    /// Notes that a reader found a collection on disk and looked at a part: it is loaded unless that takes too much.
    pub(super) fn want_whole(&self, db: PhysicalDb, key: &[u8], stored: &Stored) {
        let Ok((_, meta)) = collection::parse_payload(&stored.payload) else {
            return;
        };
        let elements = elements_of(meta);
        let fits = self.maxmemory_bytes == 0
            || elements.saturating_mul(ELEMENT_BYTES) < self.maxmemory_bytes / LOADED_PARTS;
        if elements <= LOADED_MAX_ELEMENTS && fits {
            self.want(db, key);
        }
    }

    /// The elements of a collection that is not in memory whose records wait to be written, by engine key; none: deleted.
    pub(super) fn pending_elements(
        &self,
        stored: &Stored,
        place: ElementPlace,
    ) -> BTreeMap<Bytes, Option<Bytes>> {
        let mut pending = BTreeMap::new();
        // Whoever changes an element writes the key's own record too.
        if stored.index <= self.checkpoint_index {
            return pending;
        }
        let prefix = place.prefix();
        if let Some(frozen) = &self.frozen {
            frozen.gather(place.db, &prefix, &mut pending);
        }
        self.database(place.db)
            .write_set
            .gather(&prefix, &mut pending);
        pending
    }

    /// True when a key at this place may be on disk only.
    pub(super) fn may_be_cold(&self, db: PhysicalDb, at: Position) -> bool {
        !self.database(db).is_complete(at.slot)
    }
}
