//! The engine of tests and of the simulated world: a sorted map, deterministic, whose unsynced writes a power cut loses
//! and whose disk can fail or be full on command.
//!
//! It is harsher than the LSM where the contract leaves room: [`Engine::forget`] takes effect at once, and a power cut
//! loses every write that was not synced, unless the caller asks for a random prefix of them to survive.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Durability, Engine, Reader, Scan, SortedRecords, WriteBatch};
use crate::{Error, Result};

type Map = BTreeMap<Bytes, Bytes>;
type Ops = Vec<(Bytes, Option<Bytes>)>;

/// An ordered map that behaves as a disk would. Shared as `Arc<MemoryEngine>`.
#[derive(Default)]
pub struct MemoryEngine {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What readers see. Views share it; the first write after a view was taken copies it.
    visible: Arc<Map>,
    durable: Map,
    unsynced: Vec<Ops>,
    faults: Faults,
    counts: Counts,
}

#[derive(Default)]
struct Faults {
    /// Why every write is refused from now on.
    dead: Option<String>,
    full: bool,
    fail_next_sync: bool,
    writes_before_failure: Option<u64>,
}

/// How often the engine was asked to do what; for tests of "one fsync per Ready" and the like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches and ingestions that succeeded.
    pub writes: u64,
    /// Those of them that were durable when they returned, and explicit syncs.
    pub syncs: u64,
}

impl MemoryEngine {
    /// An empty engine.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The power fails. Returns the engine as it is after the restart: what was synced, and with a `seed` also a prefix
    /// of the unsynced writes, chosen by it. This engine refuses everything from now on, as its process is gone.
    pub fn power_cut(&self, seed: Option<u64>) -> Arc<Self> {
        let mut inner = self.inner.lock();
        inner.faults.dead = Some("the power failed".to_owned());
        let mut map = inner.durable.clone();
        let survivors = seed.map_or(0, |seed| {
            (mix(seed) % (inner.unsynced.len() as u64 + 1)) as usize
        });
        for ops in inner.unsynced.iter().take(survivors) {
            apply(&mut map, ops.clone());
        }
        Self::holding(map)
    }

    /// The process is killed. Returns the engine as the next process finds it: everything written. This engine refuses
    /// everything from now on.
    pub fn kill(&self) -> Arc<Self> {
        let mut inner = self.inner.lock();
        inner.faults.dead = Some("the process was killed".to_owned());
        let next = Self::holding(inner.durable.clone());
        {
            let mut restarted = next.inner.lock();
            restarted.visible = Arc::clone(&inner.visible);
            restarted.unsynced = inner.unsynced.clone();
        }
        next
    }

    /// From now on (or no longer) every write is refused with [`Error::Full`] and changes nothing.
    pub fn set_full(&self, full: bool) {
        self.inner.lock().faults.full = full;
    }

    /// The next sync, explicit or of a write, fails; the write stays unsynced and the engine refuses all later ones.
    pub fn fail_next_sync(&self) {
        self.inner.lock().faults.fail_next_sync = true;
    }

    /// `writes` more batches or ingestions succeed, then one fails without effect and the engine refuses all later ones.
    pub fn fail_after(&self, writes: u64) {
        self.inner.lock().faults.writes_before_failure = Some(writes);
    }

    /// How many writes and syncs succeeded.
    pub fn counts(&self) -> Counts {
        self.inner.lock().counts
    }

    fn holding(map: Map) -> Arc<Self> {
        let visible = Arc::new(map.clone());
        Arc::new(Self {
            inner: Mutex::new(Inner {
                visible,
                durable: map,
                ..Inner::default()
            }),
        })
    }
}

impl Inner {
    /// The checks before a write; counts down to an injected failure.
    fn admit(&mut self) -> Result<()> {
        if let Some(reason) = &self.faults.dead {
            return Err(Error::Engine(format!("writes are refused: {reason}")));
        }
        if self.faults.full {
            return Err(Error::Full);
        }
        match &mut self.faults.writes_before_failure {
            Some(0) => Err(self.die("injected write failure")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<()> {
        if std::mem::take(&mut self.faults.fail_next_sync) {
            return Err(self.die("injected sync failure"));
        }
        for ops in self.unsynced.drain(..) {
            apply(&mut self.durable, ops);
        }
        self.counts.syncs += 1;
        Ok(())
    }

    fn write(&mut self, ops: Ops, durability: Durability) -> Result<()> {
        apply(Arc::make_mut(&mut self.visible), ops.clone());
        self.unsynced.push(ops);
        if durability == Durability::Synced {
            self.sync()?;
        }
        self.counts.writes += 1;
        Ok(())
    }

    fn die(&mut self, reason: &str) -> Error {
        self.faults.dead = Some(reason.to_owned());
        Error::Io(io::Error::other(reason.to_owned()))
    }
}

impl Reader for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.inner.lock().visible.get(key).cloned())
    }

    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        let map = Arc::clone(&self.inner.lock().visible);
        Box::new(MapScan::new(map, start, end))
    }

    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        let map = Arc::clone(&self.inner.lock().visible);
        Box::new(MapScanBack::new(map, start, end))
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.admit()?;
        inner.write(batch.into_ops(), durability)
    }

    fn sync(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        match &inner.faults.dead {
            Some(reason) => Err(Error::Engine(format!("writes are refused: {reason}"))),
            None => inner.sync(),
        }
    }

    fn ingest(&self, records: SortedRecords<'_>) -> Result<()> {
        let mut ops: Ops = Vec::new();
        for (key, value) in records {
            assert!(
                ops.last().is_none_or(|(last, _)| *last < key),
                "records to ingest are not in ascending key order"
            );
            ops.push((key, value));
        }
        let mut inner = self.inner.lock();
        inner.admit()?;
        inner.write(ops, Durability::Synced)
    }

    fn check_room(&self, _bytes: u64) -> Result<()> {
        match self.inner.lock().faults.full {
            true => Err(Error::Full),
            false => Ok(()),
        }
    }

    fn forget(&self, start: &[u8], end: &[u8]) {
        let forgotten =
            |key: &Bytes| key.as_ref() >= start && (end.is_empty() || key.as_ref() < end);
        let mut inner = self.inner.lock();
        Arc::make_mut(&mut inner.visible).retain(|key, _| !forgotten(key));
        inner.durable.retain(|key, _| !forgotten(key));
        for ops in &mut inner.unsynced {
            ops.retain(|(key, _)| !forgotten(key));
        }
    }

    fn view(&self) -> Arc<dyn Reader> {
        Arc::new(MemoryView {
            map: Arc::clone(&self.inner.lock().visible),
        })
    }

    fn disk_bytes(&self) -> u64 {
        let inner = self.inner.lock();
        inner
            .visible
            .iter()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum()
    }
}

struct MemoryView {
    map: Arc<Map>,
}

impl Reader for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        Box::new(MapScan::new(Arc::clone(&self.map), start, end))
    }

    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        Box::new(MapScanBack::new(Arc::clone(&self.map), start, end))
    }
}

/// Walks a shared map by looking up each key's successor, so that it borrows nothing.
struct MapScan {
    map: Arc<Map>,
    next: Bound<Bytes>,
    end: Bytes,
}

impl MapScan {
    fn new(map: Arc<Map>, start: &[u8], end: &[u8]) -> Self {
        Self {
            map,
            next: Bound::Included(Bytes::copy_from_slice(start)),
            end: Bytes::copy_from_slice(end),
        }
    }
}

impl Iterator for MapScan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self
            .map
            .range((self.next.clone(), Bound::Unbounded))
            .next()?;
        if !self.end.is_empty() && *key >= self.end {
            return None;
        }
        self.next = Bound::Excluded(key.clone());
        Some(Ok((key.clone(), value.clone())))
    }
}

/// The same from the end on.
struct MapScanBack {
    map: Arc<Map>,
    start: Bytes,
    next: Bound<Bytes>,
}

impl MapScanBack {
    fn new(map: Arc<Map>, start: &[u8], end: &[u8]) -> Self {
        let next = match end {
            [] => Bound::Unbounded,
            end => Bound::Excluded(Bytes::copy_from_slice(end)),
        };
        Self {
            map,
            start: Bytes::copy_from_slice(start),
            next,
        }
    }
}

impl Iterator for MapScanBack {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = (Bound::Unbounded, self.next.clone());
        let (key, value) = self.map.range(range).next_back()?;
        if *key < self.start {
            return None;
        }
        self.next = Bound::Excluded(key.clone());
        Some(Ok((key.clone(), value.clone())))
    }
}

fn apply(map: &mut Map, ops: Ops) {
    for (key, value) in ops {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}

/// SplitMix64's finalizer: spreads neighbouring seeds.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(engine: &MemoryEngine, key: &'static str, durability: Durability) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(key, "value");
        engine.write(batch, durability)
    }

    fn keys(engine: &MemoryEngine) -> Vec<String> {
        engine
            .scan(b"", b"")
            .map(|pair| String::from_utf8(pair.unwrap().0.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn a_power_cut_loses_what_was_not_synced() {
        let engine = MemoryEngine::new();
        put(&engine, "a", Durability::Synced).unwrap();
        put(&engine, "b", Durability::Buffered).unwrap();
        assert_eq!(keys(&engine), ["a", "b"]);
        assert_eq!(keys(&engine.power_cut(None)), ["a"]);
        assert!(
            put(&engine, "c", Durability::Synced).is_err(),
            "the old process is gone"
        );
    }

    #[test]
    fn a_synced_write_takes_earlier_ones_along() {
        let engine = MemoryEngine::new();
        put(&engine, "a", Durability::Buffered).unwrap();
        put(&engine, "b", Durability::Synced).unwrap();
        assert_eq!(keys(&engine.power_cut(None)), ["a", "b"]);
    }

    #[test]
    fn some_seed_keeps_each_prefix_and_none_keeps_a_hole() {
        let engine = MemoryEngine::new();
        for key in ["a", "b", "c"] {
            put(&engine, key, Durability::Buffered).unwrap();
        }
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            seen.insert(keys(&engine.power_cut(Some(seed))));
        }
        let prefixes: Vec<Vec<String>> = seen.into_iter().collect();
        assert_eq!(
            prefixes,
            [vec![], vec!["a"], vec!["a", "b"], vec!["a", "b", "c"]]
        );
    }

    #[test]
    fn a_kill_keeps_everything_but_unsynced_stays_unsynced() {
        let engine = MemoryEngine::new();
        put(&engine, "a", Durability::Buffered).unwrap();
        let next = engine.kill();
        assert_eq!(keys(&next), ["a"]);
        assert!(keys(&next.power_cut(None)).is_empty());
    }

    #[test]
    fn after_a_failed_sync_every_write_is_refused() {
        let engine = MemoryEngine::new();
        engine.fail_next_sync();
        assert!(matches!(
            put(&engine, "a", Durability::Synced),
            Err(Error::Io(_))
        ));
        assert!(matches!(
            put(&engine, "b", Durability::Synced),
            Err(Error::Engine(_))
        ));
        assert!(matches!(engine.sync(), Err(Error::Engine(_))));
        assert!(keys(&engine.power_cut(None)).is_empty());
    }

    #[test]
    fn a_full_disk_recovers() {
        let engine = MemoryEngine::new();
        engine.set_full(true);
        assert!(matches!(
            put(&engine, "a", Durability::Synced),
            Err(Error::Full)
        ));
        engine.set_full(false);
        put(&engine, "a", Durability::Synced).unwrap();
        assert_eq!(
            engine.counts(),
            Counts {
                writes: 1,
                syncs: 1
            }
        );
    }

    #[test]
    fn a_view_does_not_see_later_writes() {
        let engine = MemoryEngine::new();
        put(&engine, "a", Durability::Buffered).unwrap();
        let view = engine.view();
        put(&engine, "b", Durability::Buffered).unwrap();
        engine.forget(b"a", b"b");
        assert_eq!(view.scan(b"", b"").count(), 1);
        assert!(view.get(b"a").unwrap().is_some());
        assert_eq!(keys(&engine), ["b"]);
    }
}
