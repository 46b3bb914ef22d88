//! From the write set to the disk: frozen at once, written in the background by one sorted ingestion.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use prost::Message;

use super::Dataset;
use super::ranks::RankRecords;
use super::record::{self, ParsedKey, PhysicalDb, RecordKey};
use super::system;
use super::write_set::{FrozenSet, KeyRange, Pending, PendingNodes, WriteSet};
use crate::engine::Engine;
use crate::ids::{DB_COUNT, LogIndex};
use crate::proto::store::{PeerState, RegionLocalState};
use crate::{Result, keys};

/// What changed up to an entry, immutable. Lookups ask it until the checkpoint is durable.
pub(super) struct Frozen {
    index: LogIndex,
    /// RaftApplyState and the system records.
    system: Vec<(Bytes, Option<Bytes>)>,
    /// By physical database.
    sets: Vec<FrozenSet>,
    flushed_at: [LogIndex; DB_COUNT as usize],
}

impl Frozen {
    pub(super) fn pending(&self, db: PhysicalDb, key: &RecordKey<'_>) -> Option<Pending> {
        self.sets.get(usize::from(db.0))?.pending(key)
    }

    /// See [`FrozenSet::get`].
    pub(super) fn get(&self, db: PhysicalDb, key: &RecordKey<'_>) -> Option<Option<Bytes>> {
        self.sets.get(usize::from(db.0))?.get(key)
    }

    /// What changed in a database.
    pub(super) fn set(&self, db: PhysicalDb) -> Option<&FrozenSet> {
        self.sets.get(usize::from(db.0))
    }

    /// See [`FrozenSet::nodes`].
    pub(super) fn nodes(
        &self,
        db: PhysicalDb,
        range: KeyRange<'_>,
    ) -> Option<Box<dyn PendingNodes + '_>> {
        Some(self.sets.get(usize::from(db.0))?.nodes(range))
    }

    /// See [`FrozenSet::gather`].
    pub(super) fn gather(
        &self,
        db: PhysicalDb,
        prefix: &[u8],
        into: &mut BTreeMap<Bytes, Option<Bytes>>,
    ) {
        if let Some(set) = self.sets.get(usize::from(db.0)) {
            set.gather(prefix, into);
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.sets.iter().map(FrozenSet::size_bytes).sum()
    }
}

/// A checkpoint to be written. Runs on any thread, while the data set goes on.
pub struct Checkpoint {
    frozen: Arc<Frozen>,
}

/// A durable checkpoint, for [`Dataset::checkpoint_done`].
pub struct CheckpointDone {
    index: LogIndex,
    flushed_at: [LogIndex; DB_COUNT as usize],
}

impl Checkpoint {
    /// The last entry whose effects it holds.
    pub fn index(&self) -> LogIndex {
        self.frozen.index
    }

    /// Number of records, the system's included.
    pub fn records(&self) -> usize {
        self.frozen.system.len() + self.frozen.sets.iter().map(FrozenSet::len).sum::<usize>()
    }

    /// Writes all records and RaftApplyState, atomically and durably, by one ingestion into the kv engine. An error other
    /// than [`crate::Error::Full`] is fatal; after that one it may be run again.
    pub fn run(&self, engine: &dyn Engine) -> Result<CheckpointDone> {
        engine.check_room(self.frozen.size_bytes() as u64)?;
        let sets = &self.frozen.sets;
        let mut order: Vec<_> = sets
            .iter()
            .flat_map(|set| set.records().map(move |record| (record, set)))
            .collect();
        order.sort_unstable_by(|(a, a_set), (b, b_set)| {
            a.order()
                .cmp(&b.order())
                .then_with(|| a_set.key(*a).cmp(b_set.key(*b)))
        });
        let mut data = order
            .into_iter()
            .map(|(record, set)| set.record(record))
            .peekable();
        let mut ranks = RankRecords::of(sets).peekable();
        let data = std::iter::from_fn(|| match (data.peek(), ranks.peek()) {
            (Some((key, _)), Some((rank, _))) if rank < key => ranks.next(),
            (None, _) => ranks.next(),
            _ => data.next(),
        });
        // The system's keys come before all data.
        engine.ingest(&mut self.frozen.system.iter().cloned().chain(data))?;
        Ok(CheckpointDone {
            index: self.frozen.index,
            flushed_at: self.frozen.flushed_at,
        })
    }
}

impl Dataset {
    /// Bytes of the records that changed since the last freeze.
    pub fn write_set_bytes(&self) -> usize {
        self.databases
            .iter()
            .map(|database| database.write_set.size_bytes())
            .sum()
    }

    /// Number of the records that changed since the last freeze.
    pub fn write_set_records(&self) -> usize {
        self.databases
            .iter()
            .map(|database| database.write_set.len())
            .sum()
    }

    /// Takes what changed since the last call as a checkpoint to be run. None when no entry was applied since, or while
    /// a checkpoint is under way. Its cost does not depend on how much changed, but for values above 4 KB, each of
    /// which costs the sharing of a pointer.
    pub fn freeze(&mut self) -> Option<Checkpoint> {
        let index = LogIndex(self.applied.applied_index);
        if self.frozen.is_some() || index <= self.checkpoint_index {
            return None;
        }
        let mut system = vec![(
            keys::apply_state(self.region),
            Some(Bytes::from(self.applied.encode_to_vec())),
        )];
        if let Some(region) = self.configured.take() {
            let state = RegionLocalState {
                state: PeerState::Normal.into(),
                region: Some(region),
                snapshot: None,
            };
            system.push((
                keys::region_state(self.region),
                Some(Bytes::from(state.encode_to_vec())),
            ));
        }
        system.extend(system::records(self));
        system.sort_unstable();
        let hasher = &self.hasher;
        let freeze = |database: &mut super::database::Database| {
            let mut fresh = WriteSet::with_capacity(database.write_set.len());
            fresh.follow(database.write_set.take_followed());
            let set = std::mem::replace(&mut database.write_set, fresh);
            set.freeze(|key| database.large_value(hasher.position(key), key, index))
        };
        let sets = self.databases.iter_mut().map(freeze).collect();
        let flushed_at = self
            .databases
            .each_ref()
            .map(|database| database.flushed_at);
        let frozen = Arc::new(Frozen {
            index,
            system,
            sets,
            flushed_at,
        });
        self.frozen = Some(Arc::clone(&frozen));
        Some(Checkpoint { frozen })
    }

    /// Takes note that a checkpoint is durable. What it wrote may now be dropped from memory. Answers whether a flush became
    /// durable with it, so that what it hid is only in the way on the disk.
    pub fn checkpoint_done(&mut self, done: CheckpointDone) -> bool {
        debug_assert!(
            self.frozen
                .as_ref()
                .is_some_and(|frozen| frozen.index == done.index)
        );
        self.frozen = None;
        self.checkpoint_index = done.index;
        self.cleaning.burials_are_durable();
        self.obsolete.set(&done.flushed_at)
    }

    /// Whether a database was flushed and no checkpoint was begun since.
    pub fn has_new_flush(&self) -> bool {
        let begun = self.frozen.as_ref().map(|frozen| frozen.index);
        let since = begun.unwrap_or(self.checkpoint_index);
        self.databases
            .iter()
            .any(|database| database.flushed_at > since)
    }

    /// Whether a checkpoint was frozen and is not durable yet.
    pub fn is_checkpointing(&self) -> bool {
        self.frozen.is_some()
    }

    /// The last entry whose effects are durable in the kv engine.
    pub fn checkpoint_index(&self) -> LogIndex {
        self.checkpoint_index
    }

    /// Lets `obsolete` follow the durable flushes of this data set.
    pub fn set_obsolete(&mut self, obsolete: Obsolete) {
        // Between checkpoints only what is durable counts: after a crash the flush would not have happened.
        obsolete.copy_from(&self.obsolete);
        self.obsolete = obsolete;
    }
}

/// Tells which records on disk a durable FLUSHDB, FLUSHALL has hidden for good, so that compactions of the kv engine can
/// drop them. Cheap to clone; all clones agree. Made before the engine is opened, then given to [`Dataset::set_obsolete`].
#[derive(Clone, Default)]
pub struct Obsolete {
    flushed_at: Arc<[AtomicU64; DB_COUNT as usize]>,
}

impl Obsolete {
    /// True when the record `key`, `value` of the kv engine, and all older values of the key, can never be seen again.
    pub fn is_obsolete(&self, key: &[u8], value: &[u8]) -> bool {
        let (db, written) = match record::parse_key(key) {
            Ok(ParsedKey::Meta { db, .. }) => (db, record::write_index(value)),
            Ok(ParsedKey::Element { db, incarnation }) => (db, Some(incarnation.index())),
            Err(_) => return false,
        };
        let flushed_at = self.flushed_at.get(usize::from(db.0));
        flushed_at
            .zip(written)
            .is_some_and(|(flushed_at, index)| index.get() < flushed_at.load(Ordering::Relaxed))
    }

    /// Answers whether something changed.
    pub(super) fn set(&self, flushed_at: &[LogIndex; DB_COUNT as usize]) -> bool {
        let mut changed = false;
        for (shared, index) in self.flushed_at.iter().zip(flushed_at) {
            changed |= shared.swap(index.get(), Ordering::Relaxed) != index.get();
        }
        changed
    }

    fn copy_from(&self, other: &Self) {
        for (shared, index) in self.flushed_at.iter().zip(other.flushed_at.iter()) {
            shared.store(index.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
