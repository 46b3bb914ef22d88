//! What INFO tells about the data set.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Dataset;
use super::checkpoint::Frozen;
use crate::ids::{DB_COUNT, SLOT_COUNT};

const DBS: usize = DB_COUNT as usize;

/// Counts since the start; readers add to the first two.
#[derive(Default)]
pub(super) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    pub(super) expired_keys: u64,
    pub(super) expired_fields: u64,
    pub(super) loads: u64,
    pub(super) dropped: u64,
    pub(super) evicted_keys: u64,
    /// Never set back.
    pub(super) changes: u64,
}

impl Counters {
    pub(super) fn add_lookups(&self, hits: u64, misses: u64) {
        if hits > 0 {
            self.hits.fetch_add(hits, Ordering::Relaxed);
        }
        if misses > 0 {
            self.misses.fetch_add(misses, Ordering::Relaxed);
        }
    }
}

/// Figures of a data set at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetStats {
    /// Keys of each logical database.
    pub keys: [u64; DBS],
    /// Of these, keys that have an expiry.
    pub expires: [u64; DBS],
    /// Average time to live of the keys in memory that have an expiry, in milliseconds.
    pub avg_ttl_ms: [u64; DBS],
    /// Lookups by reads that found a key, since the start.
    pub hits: u64,
    /// Lookups by reads that found none, since the start.
    pub misses: u64,
    /// Keys removed because they had expired, since the start.
    pub expired_keys: u64,
    /// Fields of hashes removed because they had expired, since the start.
    pub expired_fields: u64,
    /// Objects loaded from the disk, since the start.
    pub loads: u64,
    /// Objects dropped from memory, since the start.
    pub dropped: u64,
    /// Keys deleted to make room, since the start.
    pub evicted_keys: u64,
    /// Changes of keys: what Redis tells as events; since the start, the entries that it executes again included.
    pub changes: u64,
    /// Keys in memory.
    pub resident: u64,
    /// Accounted bytes of memory.
    pub memory_bytes: u64,
}

impl Dataset {
    /// Accounted bytes: objects, tables, indexes, the write set and the checkpoint under way.
    pub fn memory_used(&self) -> u64 {
        let databases: usize = self
            .databases
            .iter()
            .map(super::database::Database::memory_bytes)
            .sum();
        let frozen = self.frozen.as_deref().map_or(0, Frozen::size_bytes);
        (databases + frozen) as u64
    }

    /// Accounted bytes of what waits to be written to disk: the write set and the checkpoint under way.
    pub(super) fn waiting_bytes(&self) -> u64 {
        let sets = self.databases.iter();
        let waiting: usize = sets.map(|database| database.write_set.memory_bytes()).sum();
        let frozen = self.frozen.as_deref().map_or(0, Frozen::size_bytes);
        (waiting + frozen) as u64
    }

    /// Figures for INFO.
    pub fn stats(&self) -> DatasetStats {
        let databases = self.mapping.map(|physical| self.database(physical));
        DatasetStats {
            keys: databases.map(|database| database.counts.total()),
            expires: databases.map(|database| database.expiring),
            avg_ttl_ms: databases.map(|database| database.expiry.average_ttl_ms(self.now_ms())),
            hits: self.counters.hits.load(Ordering::Relaxed),
            misses: self.counters.misses.load(Ordering::Relaxed),
            expired_keys: self.counters.expired_keys,
            expired_fields: self.counters.expired_fields,
            loads: self.counters.loads,
            dropped: self.counters.dropped,
            evicted_keys: self.counters.evicted_keys,
            changes: self.counters.changes,
            resident: databases.iter().map(|database| database.resident).sum(),
            memory_bytes: self.memory_used(),
        }
    }

    /// Sets hits, misses, expired keys, loads and drops back to 0 (CONFIG RESETSTAT).
    pub fn reset_stats(&mut self) {
        self.counters = Counters {
            changes: self.counters.changes,
            ..Counters::default()
        };
    }

    /// A digest of the whole logical state, what is only on disk included: equal on replicas at equal applied indexes.
    pub fn digest(&self) -> crate::Result<u64> {
        super::walk::digest(self)
    }

    /// The slots that have keys, in order.
    pub(super) fn used_slots(
        &self,
        db: super::record::PhysicalDb,
        from: u16,
    ) -> impl Iterator<Item = u16> {
        let counts = &self.database(db).counts;
        let next = move |slot: u16| {
            (slot < SLOT_COUNT)
                .then(|| counts.next_used(slot))
                .flatten()
        };
        std::iter::successors(next(from), move |&slot| next(slot + 1))
    }
}
