//! What is in memory: completeness, loading, dropping, and what each costs the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use storage::dataset::{Dataset, Expiry, Obsolete, SweepCursor};
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engine, Reader, Scan, SortedRecords, WriteBatch};
use storage::ids::{DbIndex, FIRST_REGION};

use crate::support::Bench;

/// Counts the reads of another engine.
struct Counting {
    inner: Arc<MemoryEngine>,
    gets: AtomicU64,
}

impl Reader for Counting {
    fn get(&self, key: &[u8]) -> storage::Result<Option<Bytes>> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.inner.scan(start, end)
    }

    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.inner.scan_back(start, end)
    }
}

impl Engine for Counting {
    fn write(&self, batch: WriteBatch, durability: Durability) -> storage::Result<()> {
        self.inner.write(batch, durability)
    }

    fn sync(&self) -> storage::Result<()> {
        self.inner.sync()
    }

    fn ingest(&self, records: SortedRecords<'_>) -> storage::Result<()> {
        self.inner.ingest(records)
    }

    fn check_room(&self, bytes: u64) -> storage::Result<()> {
        self.inner.check_room(bytes)
    }

    fn forget(&self, start: &[u8], end: &[u8]) {
        self.inner.forget(start, end);
    }

    fn view(&self) -> Arc<dyn Reader> {
        self.inner.view()
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }
}

fn counting() -> (Bench, Arc<Counting>) {
    let engine = Arc::new(Counting {
        inner: MemoryEngine::new(),
        gets: AtomicU64::new(0),
    });
    let mut bench = Bench::memory();
    bench.engine = Arc::clone(&engine) as Arc<dyn Engine>;
    bench.reopen();
    (bench, engine)
}

fn key(n: usize) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

#[test]
fn while_memory_is_complete_a_miss_costs_no_look_at_the_disk() {
    let (mut bench, engine) = counting();
    (0..1000).for_each(|n| bench.set(&key(n), b"value"));
    bench.checkpoint();
    bench.reopen();
    while bench.dataset.load_next(100).unwrap() {}
    let before = engine.gets.load(Ordering::Relaxed);
    for n in 0..3000 {
        assert_eq!(bench.get(0, &key(n)).is_some(), n < 1000);
        bench.set(&key(n), b"other");
    }
    bench.checkpoint();
    assert_eq!(engine.gets.load(Ordering::Relaxed), before);
    assert_eq!(bench.dataset.stats().resident, 3000);
}

#[test]
fn a_key_found_on_disk_is_promoted_once() {
    let (mut bench, engine) = counting();
    (0..100).for_each(|n| bench.set(&key(n), b"value"));
    bench.checkpoint();
    bench.reopen();
    let opened = engine.gets.load(Ordering::Relaxed);
    assert_eq!(bench.get(0, &key(7)).as_deref(), Some(&b"value"[..]));
    assert_eq!(bench.get(0, b"absent"), None);
    assert_eq!(bench.dataset.stats().resident, 0);
    assert_eq!(bench.dataset.promote(100).unwrap(), 1);
    assert_eq!(bench.dataset.stats().resident, 1);
    let promoted = engine.gets.load(Ordering::Relaxed);
    assert!(promoted > opened);
    assert!(bench.get(0, &key(7)).is_some());
    assert_eq!(engine.gets.load(Ordering::Relaxed), promoted);
}

#[test]
fn above_its_limit_memory_drops_what_was_not_used_for_long() {
    let (mut bench, _) = counting();
    for n in 0..20_000 {
        bench.set(&key(n), &[b'v'; 100]);
    }
    bench.checkpoint();
    bench.now_ms += 60_000;
    // An entry moves the data set's clock; every tenth key is used.
    bench.set(b"clock", b"x");
    bench.checkpoint();
    for n in (0..20_000).step_by(10) {
        assert!(bench.get(0, &key(n)).is_some());
    }
    let full = bench.dataset.memory_used();
    bench.dataset.set_maxmemory(full * 6 / 10);
    let mut calls = 0;
    while bench.dataset.memory_used() > full * 6 / 10 {
        assert!(bench.dataset.drop_cold(64) <= 64);
        calls += 1;
        assert!(calls < 2000, "it comes to an end");
    }
    assert_eq!(
        bench.dataset.drop_cold(64),
        0,
        "below the limit nothing is dropped"
    );
    let stats = bench.dataset.stats();
    assert_eq!(stats.keys[0], 20_001);
    assert!(
        stats.dropped > 5000 && stats.dropped + stats.resident == 20_001,
        "{stats:?}"
    );
    let memory_only = |n: usize| bench.view(0).peek(&key(n)).unwrap().unwrap().freq() > 0;
    let used: usize = (0..20_000).step_by(10).filter(|&n| memory_only(n)).count();
    let unused = (1..20_000).step_by(10).filter(|&n| memory_only(n)).count();
    assert!(
        used > 1900 && unused < 1700,
        "used {used}, unused {unused} of 2000 stayed"
    );
    assert!(!bench.dataset.load_next(10).unwrap() || bench.dataset.memory_used() <= full * 6 / 10);
}

#[test]
fn room_is_made_for_what_is_about_to_come_and_no_more_than_half() {
    let mut bench = Bench::memory();
    (0..20_000).for_each(|n| bench.set(&key(n), &[b'v'; 100]));
    bench.checkpoint();
    let full = bench.dataset.memory_used();
    bench.dataset.set_maxmemory(full);
    let left_after = |bench: &mut Bench| {
        while bench.dataset.drop_cold(1000) > 0 {}
        bench.dataset.memory_used() * 100 / full
    };
    let mut headroom = bench.dataset.headroom();
    assert_eq!(left_after(&mut bench), 100);
    headroom.set(full / 4);
    assert!((70..=75).contains(&left_after(&mut bench)));
    headroom.set(full * 10);
    let half = left_after(&mut bench);
    assert!((45..=50).contains(&half), "{half}");
    drop(headroom);
    bench.dataset.set_maxmemory(full * 6 / 10);
    assert_eq!(left_after(&mut bench), half, "it was given back");
}

#[test]
fn what_is_not_durable_yet_is_never_dropped() {
    let (mut bench, engine) = counting();
    (0..2000).for_each(|n| bench.set(&key(n), b"first"));
    let checkpoint = bench.dataset.freeze().unwrap();
    (0..500).for_each(|n| bench.set(&key(n), b"second"));
    bench.dataset.set_maxmemory(1);
    assert_eq!(bench.dataset.drop_cold(10_000), 0);
    assert_eq!(bench.dataset.drop_all_clean(), 0);
    let done = checkpoint.run(&*engine).unwrap();
    assert_eq!(
        bench.dataset.drop_all_clean(),
        0,
        "durable, but not known to be"
    );
    bench.dataset.checkpoint_done(done);
    assert_eq!(bench.dataset.drop_all_clean(), 1500);
    for n in 0..2000 {
        assert_eq!(
            bench.get(0, &key(n)).unwrap(),
            if n < 500 { &b"second"[..] } else { b"first" }
        );
    }
}

#[test]
fn a_blind_write_of_a_cold_key_counts_it_once() {
    let (mut bench, _) = counting();
    let at_ms = bench.now_ms + 1000;
    bench
        .entry(0, |txn| txn.set_string(b"{t}a", b"1", Expiry::AtMs(at_ms)))
        .unwrap();
    bench.set(b"{t}b", b"2");
    bench.checkpoint();
    bench.reopen();
    assert_eq!((bench.view(0).len(), bench.view(0).expires_len()), (2, 1));
    bench
        .entry(0, |txn| txn.set_string(b"{t}a", b"3", Expiry::Keep))
        .unwrap();
    bench.set(b"{t}c", b"4");
    assert_eq!((bench.view(0).len(), bench.view(0).expires_len()), (3, 1));
    assert_eq!(
        bench.view(0).peek(b"{t}a").unwrap().unwrap().expire_at_ms(),
        Some(at_ms)
    );
    bench.set(b"{t}a", b"5");
    assert_eq!((bench.view(0).len(), bench.view(0).expires_len()), (3, 0));
    assert!(bench.entry(0, |txn| txn.remove(b"{t}b")).unwrap());
    assert_eq!(
        bench.get(0, b"{t}b"),
        None,
        "the deletion hides the record on disk"
    );
    bench.checkpoint();
    bench.reopen();
    assert_eq!((bench.view(0).len(), bench.get(0, b"{t}b")), (2, None));
}

#[test]
fn a_flush_hides_records_and_names_them_obsolete_once_durable() {
    let (mut bench, engine) = counting();
    let obsolete = Obsolete::default();
    bench.dataset.set_obsolete(obsolete.clone());
    (0..100).for_each(|n| bench.set(&key(n), b"value"));
    bench.checkpoint();
    bench.entry(0, |txn| {
        txn.set_string(b"before", b"x", Expiry::Clear).unwrap();
        txn.flush_db();
        txn.set_string(b"after", b"y", Expiry::Clear).unwrap();
    });
    assert_eq!(bench.dataset.take_garbage().len(), 1);
    let hidden = || {
        let records = engine.scan(&[1], &[2]).map(Result::unwrap);
        records
            .filter(|(key, value)| obsolete.is_obsolete(key, value))
            .count()
    };
    assert_eq!(hidden(), 0, "a crash now would bring them back");
    assert_eq!(
        (
            bench.view(0).len(),
            bench.get(0, &key(1)),
            bench.get(0, b"before")
        ),
        (1, None, None)
    );
    bench.checkpoint();
    assert_eq!(hidden(), 100);
    bench.reopen();
    assert_eq!((bench.view(0).len(), bench.get(0, &key(1))), (1, None));
    assert_eq!(bench.get(0, b"after").as_deref(), Some(&b"y"[..]));
    let reopened = Obsolete::default();
    bench.dataset.set_obsolete(reopened.clone());
    assert_eq!(
        engine
            .scan(&[1], &[2])
            .filter(|pair| pair.as_ref().is_ok_and(|(k, v)| reopened.is_obsolete(k, v)))
            .count(),
        100
    );
    while bench.dataset.load_next(10).unwrap() {}
    assert_eq!(bench.dataset.stats().resident, 1);
}

#[test]
fn warm_up_stops_at_the_limit_and_goes_on_when_it_is_raised() {
    let (mut bench, _) = counting();
    (0..5000).for_each(|n| bench.set(&key(n), &[b'v'; 200]));
    bench.checkpoint();
    bench.options.maxmemory_bytes = 1_500_000;
    bench.reopen();
    while bench.dataset.load_next(50).unwrap() {}
    let loaded = bench.dataset.stats().resident;
    assert!(loaded > 100 && loaded < 5000, "{loaded}");
    bench.dataset.set_maxmemory(0);
    while bench.dataset.load_next(50).unwrap() {}
    assert_eq!(bench.dataset.stats().resident, 5000);
}

#[test]
fn a_system_record_of_no_database_is_corrupt() {
    let (bench, engine) = counting();
    let mut batch = WriteBatch::new();
    let key = storage::keys::system_record(FIRST_REGION, b"n\x10\x00");
    batch.put(key, Bytes::from_static(&[0; 128]));
    engine.write(batch, Durability::Synced).unwrap();
    assert!(Dataset::open(FIRST_REGION, engine, bench.options.clone()).is_err());
}

#[test]
fn opening_a_damaged_record_is_an_error_and_not_a_missing_key() {
    let (mut bench, engine) = counting();
    bench.set(b"k", b"v");
    bench.checkpoint();
    let (record, _) = engine.scan(&[1], &[2]).next().unwrap().unwrap();
    let mut batch = WriteBatch::new();
    batch.put(record, Bytes::from_static(&[1]));
    engine.write(batch, Durability::Synced).unwrap();
    bench.reopen();
    assert!(bench.view(0).lookup(b"k").is_err());
    assert!(bench.dataset.load_next(10).is_err());
    assert!(Dataset::open(FIRST_REGION, engine, bench.options.clone()).is_ok());
}

/// A sweep in slices of any size finds every key once, in every database, and spares what changed.
#[test]
fn expired_keys_on_disk_are_found() {
    let mut bench = Bench::lsm();
    let at_ms = bench.now_ms + 10;
    for number in 0..300_u32 {
        let key = format!("key:{number}");
        let expiry = match number % 3 {
            0 => Expiry::AtMs(at_ms),
            1 => Expiry::AtMs(at_ms + 1_000_000),
            _ => Expiry::Clear,
        };
        bench.entry((number % 5) as u8, |txn| {
            txn.set_string(key.as_bytes(), b"v", expiry).unwrap();
        });
    }
    let long = vec![b'l'; 100_000];
    bench
        .entry(1, |txn| txn.set_string(&long, b"v", Expiry::AtMs(at_ms)))
        .unwrap();
    bench.entry(0, |txn| txn.swap_db(DbIndex(1), DbIndex(9)));
    assert!(!bench.dataset.has_cold_keys());
    bench.checkpoint();
    bench.reopen();
    assert!(bench.dataset.has_cold_keys());
    bench.entry(0, |txn| {
        // In memory, or changed since: not this search's.
        assert!(txn.set_expiry(b"key:0", None).unwrap());
        assert!(txn.remove(b"key:15").unwrap());
    });
    for budget in [1, 7, 20, 100, 100_000] {
        let mut found = Vec::new();
        let mut next = Some(SweepCursor::default());
        while let Some(from) = next {
            let swept = bench
                .dataset
                .expired_on_disk(from, at_ms + 1, budget)
                .unwrap();
            assert!(swept.cost <= budget + 17);
            found.extend(swept.expired);
            next = swept.next;
        }
        assert_eq!(found.len(), 100 - 2 + 1, "by {budget}");
        assert!(
            found
                .iter()
                .all(|key| key.expire_at_ms == at_ms && key.db != 1)
        );
        found.sort_by(|a, b| (a.db, &a.key).cmp(&(b.db, &b.key)));
        found.dedup();
        assert_eq!(found.len(), 99, "each once, by {budget}");
        assert!(found.iter().any(|key| key.db == 9 && key.key == long));
    }
    let before = bench
        .dataset
        .expired_on_disk(SweepCursor::default(), at_ms, 100_000);
    assert!(before.unwrap().expired.is_empty(), "not before their time");
}
