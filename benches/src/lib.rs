//! What the micro benchmarks in `benches/` share: keys and values as in the comparison with redis-server, a data set that is
//! filled with them, an engine that keeps nothing.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use storage::dataset::{Dataset, DatasetOptions, Expiry};
use storage::engine::{Durability, Engine, Reader, Scan, SortedRecords, WriteBatch};
use storage::ids::{FIRST_REGION, LogIndex, Term};

/// What is set.
pub const VALUE: [u8; 64] = [b'x'; 64];
/// The Region's logical time, in milliseconds of Unix time.
pub const NOW_MS: u64 = 1_700_000_000_000;
/// Writes of one log entry: a pipelined batch.
pub const ENTRY_WRITES: usize = 16;

/// The name of a key of this number.
pub fn key(n: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let digits = format!("{n:012}");
    key[4..].copy_from_slice(digits.as_bytes());
    key
}

/// Keys of numbers below `bound` without a pattern, the same in every run.
pub fn draws(count: usize, bound: usize) -> Vec<[u8; 16]> {
    let mut state = 1u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        key((state >> 33) as usize % bound)
    };
    (0..count).map(|_| draw()).collect()
}

/// A data set over `engine`, everything in memory.
pub fn open(engine: Arc<dyn Engine>) -> Dataset {
    let options = DatasetOptions {
        maxmemory_bytes: 0,
        hash_seed: *b"0123456789abcdef",
        ..DatasetOptions::default()
    };
    Dataset::open(FIRST_REGION, engine, options).expect("a data set opens")
}

/// How the keys of a batch are looked up.
#[derive(Clone, Copy, PartialEq)]
pub enum Batching {
    /// One after the other, as if each came alone.
    Alone,
    /// Announced first, as those of a pipelined batch are.
    Together,
}

/// Sets all keys, [`ENTRY_WRITES`] in an entry.
pub fn set_all<'k>(
    dataset: &mut Dataset,
    keys: impl Iterator<Item = &'k [u8; 16]>,
    batching: Batching,
) {
    let mut keys = keys.peekable();
    while keys.peek().is_some() {
        let index = LogIndex(dataset.apply_state().applied_index + 1);
        let mut txn = dataset.begin(index, Term(1), NOW_MS, 1);
        let batch: [Option<&[u8; 16]>; ENTRY_WRITES] = std::array::from_fn(|_| keys.next());
        if batching == Batching::Together {
            txn.warm(batch.iter().flatten().map(|key| &key[..]));
        }
        for key in batch.into_iter().flatten() {
            txn.set_string(key, &VALUE, Expiry::Clear)
                .expect("memory suffices");
        }
    }
}

/// Takes every record and keeps none, so that only the data set's own work is measured.
pub struct Sink;

impl Reader for Sink {
    fn get(&self, _: &[u8]) -> storage::Result<Option<Bytes>> {
        Ok(None)
    }

    fn scan(&self, _: &[u8], _: &[u8]) -> Scan<'_> {
        Box::new(std::iter::empty())
    }

    fn scan_back(&self, _: &[u8], _: &[u8]) -> Scan<'_> {
        Box::new(std::iter::empty())
    }
}

impl Engine for Sink {
    fn write(&self, _: WriteBatch, _: Durability) -> storage::Result<()> {
        Ok(())
    }

    fn sync(&self) -> storage::Result<()> {
        Ok(())
    }

    fn ingest(&self, records: SortedRecords<'_>) -> storage::Result<()> {
        records.for_each(|record| drop(black_box(record)));
        Ok(())
    }

    fn check_room(&self, _: u64) -> storage::Result<()> {
        Ok(())
    }

    fn forget(&self, _: &[u8], _: &[u8]) {}

    fn view(&self) -> Arc<dyn Reader> {
        Arc::new(Self)
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}
