//! Fields of hashes that expire: found where they are, invisible at once, removed within limits.

use storage::dataset::{Point, SweepCursor};
use storage::ids::DbIndex;
use storage::proto::command::ExpiredKey;
use storage::types::Encoding;

use crate::support::Bench;

fn field(number: u32) -> Vec<u8> {
    format!("field:{number}").into_bytes()
}

/// A hash of so many fields, of which the first `expiring` expire at a time.
fn fill(bench: &mut Bench, key: &[u8], fields: u32, expiring: u32, at_ms: u64) {
    let fill = |txn: &mut storage::dataset::Txn<'_>| {
        txn.edit_hash(key, |hash, edit| {
            for number in 0..fields {
                hash.set(&field(number), b"value", edit);
            }
            for number in 0..expiring {
                assert!(hash.set_expiry(&field(number), Some(at_ms), edit));
            }
        })
    };
    bench.entry(0, fill).unwrap();
}

fn len(bench: &Bench, key: &[u8]) -> Option<usize> {
    let view = bench.view(0);
    let object = view.peek(key).unwrap()?;
    Some(object.hash().unwrap().len())
}

fn swept(bench: &Bench) -> Vec<ExpiredKey> {
    let from = SweepCursor::default();
    let swept = bench.dataset.expired_on_disk(from, bench.now_ms, 100_000);
    swept.unwrap().expired
}

fn to_load(bench: &Bench) -> Vec<Vec<u8>> {
    let from = SweepCursor::default();
    let swept = bench
        .dataset
        .expired_on_disk(from, bench.now_ms, 100_000)
        .unwrap();
    let keys = swept.to_load.into_iter();
    keys.map(|cold| cold.key.into()).collect()
}

fn remove(bench: &mut Bench, found: &[ExpiredKey]) {
    for found in found {
        assert!(found.fields);
        bench
            .entry(found.db as u8, |txn| txn.remove_expired_fields(&found.key))
            .unwrap();
    }
}

#[test]
fn hashes_with_expired_fields_are_found_in_memory_and_on_disk() {
    let mut bench = Bench::lsm();
    let at_ms = bench.now_ms + 10;
    fill(&mut bench, b"flat", 10, 3, at_ms);
    fill(&mut bench, b"large", 1000, 300, at_ms + 1);
    fill(&mut bench, b"flat gone", 10, 10, at_ms + 2);
    fill(&mut bench, b"large gone", 1000, 1000, at_ms + 3);
    fill(&mut bench, b"later", 10, 3, at_ms + 1000);
    fill(&mut bench, b"never", 10, 0, 0);
    assert!(bench.dataset.expired(at_ms, 100).is_empty());
    bench.now_ms = at_ms + 4;
    let keys = |found: &[ExpiredKey]| -> Vec<Vec<u8>> {
        found.iter().map(|found| found.key.to_vec()).collect()
    };
    let all: [&[u8]; 4] = [b"flat", b"large", b"flat gone", b"large gone"];
    let found = bench.dataset.expired(bench.now_ms, 100);
    assert_eq!(keys(&found), all);
    assert_eq!(keys(&bench.dataset.expired(bench.now_ms, 2)), all[..2]);
    bench.checkpoint();
    bench.reopen();
    assert!(bench.dataset.expired(bench.now_ms, 100).is_empty());
    let mut found = swept(&bench);
    found.sort_by_key(|found| found.expire_at_ms);
    // One of a large hash would have to be looked for: it is to be loaded, if that does not fill the memory.
    assert_eq!(keys(&found), [all[0], all[2], all[3]]);
    assert_eq!(to_load(&bench), [b"large".to_vec()]);
    bench.dataset.set_maxmemory(1 << 19);
    assert!(to_load(&bench).is_empty());
    bench.dataset.set_maxmemory(0);
    // On disk as in memory they are invisible.
    let visible = |bench: &Bench| all.map(|key| len(bench, key));
    let expected = [Some(7), Some(700), None, None];
    assert_eq!(visible(&bench), expected);
    let mut walked = bench.scan_all(0, 10);
    walked.sort();
    assert_eq!(walked, [&b"flat"[..], b"large", b"later", b"never"]);
    assert_eq!(bench.view(0).len(), 6, "counted until they are removed");
    remove(&mut bench, &found);
    assert_eq!(visible(&bench), expected);
    assert_eq!(bench.view(0).len(), 4);
    bench.checkpoint();
    bench.reopen();
    assert!(swept(&bench).is_empty());
    // As the leader does, without the lock.
    let cold = bench
        .dataset
        .cold(DbIndex(0), b"large", None, false)
        .unwrap();
    let loaded = cold
        .expect("it is large and only on disk")
        .load(|_| {})
        .unwrap();
    assert!(bench.dataset.admit_loaded(loaded).unwrap());
    assert!(to_load(&bench).is_empty());
    let found = bench.dataset.expired(bench.now_ms, 100);
    assert_eq!(keys(&found), [b"large"]);
    remove(&mut bench, &found);
    assert!(bench.dataset.expired(bench.now_ms, 100).is_empty());
    assert_eq!(visible(&bench), expected);
}

#[test]
fn fields_of_a_large_hash_on_disk_are_read_without_the_others() {
    let mut bench = Bench::lsm();
    let at_ms = bench.now_ms + 10;
    fill(&mut bench, b"large", 1000, 300, at_ms);
    bench.checkpoint();
    bench.reopen();
    let is_there = |bench: &Bench, number: u32| {
        let name = field(number);
        let mut view = bench.view(0).refusing_cold();
        view.focus([Point::new(b"large", [&name[..]])]);
        let object = view.lookup(b"large").unwrap().unwrap();
        let found = object
            .hash()
            .unwrap()
            .get(&name, |field| view.element_hash(field));
        assert!(
            view.take_expired().is_empty(),
            "all would have to be read to remove some"
        );
        found.is_some()
    };
    let counted = |bench: &Bench| {
        let mut view = bench.view(0).refusing_cold();
        view.focus([Point::new(b"large", [])]);
        let object = view.lookup(b"large")?;
        Ok::<_, storage::Error>(object.map(|object| object.hash().unwrap().len()))
    };
    let cold = |bench: &Bench, changes| {
        let name = field(7);
        let point = Point::new(b"large", [&name[..]]);
        let cold = bench
            .dataset
            .cold(DbIndex(0), b"large", Some(&point), changes);
        cold.unwrap().is_some()
    };
    assert!(is_there(&bench, 7) && is_there(&bench, 999) && !is_there(&bench, 1000));
    assert_eq!(counted(&bench).unwrap(), Some(1000));
    assert!(!cold(&bench, false) && cold(&bench, true));
    bench.now_ms = at_ms + 1;
    assert!(!is_there(&bench, 7) && is_there(&bench, 999));
    let refused = counted(&bench);
    assert!(matches!(refused, Err(storage::Error::Cold(_))));
    assert_eq!(bench.dataset.stats().resident, 0);
    assert!(!cold(&bench, false), "the field at least");
}

#[test]
fn a_read_that_meets_expired_fields_tells_so() {
    let mut bench = Bench::memory();
    let at_ms = bench.now_ms;
    fill(&mut bench, b"some", 4, 1, at_ms);
    fill(&mut bench, b"all", 4, 4, at_ms);
    let view = bench.view(0);
    view.lookup(b"some").unwrap().unwrap();
    assert!(view.take_expired().is_empty());
    drop(view);
    bench.now_ms += 1;
    let view = bench.view(0);
    assert!(view.exists(b"some").unwrap() && !view.exists(b"all").unwrap());
    let met = view.take_expired();
    drop(view);
    assert_eq!(met.len(), 2);
    assert!(met.iter().all(|key| key.expire_at_ms == at_ms));
    remove(&mut bench, &met);
    let view = bench.view(0);
    assert!(view.exists(b"some").unwrap() && !view.exists(b"all").unwrap());
    assert!(view.take_expired().is_empty());
}

#[test]
fn an_entry_removes_no_more_fields_than_it_has_time_for() {
    let mut bench = Bench::memory();
    let at_ms = bench.now_ms;
    fill(&mut bench, b"huge", 30_000, 29_999, at_ms);
    fill(&mut bench, b"gone", 30_000, 30_000, at_ms);
    fill(&mut bench, b"huge too", 10_000, 9_999, at_ms);
    bench.now_ms += 1;
    assert_eq!(
        (len(&bench, b"huge"), len(&bench, b"gone")),
        (Some(1), None)
    );
    let mut entries = 0;
    loop {
        let found = bench.dataset.expired(bench.now_ms, 100);
        if found.is_empty() {
            break;
        }
        let before = bench.dataset.stats().expired_fields;
        bench.entry(0, |txn| {
            for found in &found {
                txn.remove_expired_fields(&found.key).unwrap();
            }
        });
        let removed = bench.dataset.stats().expired_fields - before;
        // The hash that goes as a whole costs nothing.
        assert!(matches!(removed, 1..=4096 | 30_000..=34_096), "{removed}");
        entries += 1;
        assert_eq!(
            (len(&bench, b"huge"), len(&bench, b"gone")),
            (Some(1), None)
        );
        // Meanwhile such a field counts as not there for writes too.
        let set = |txn: &mut storage::dataset::Txn<'_>| {
            txn.edit_hash(b"huge", |hash, edit| {
                let added = hash.set(&field(29_998), b"new", edit);
                (added, hash.remove(&field(29_998), edit))
            })
        };
        assert_eq!(bench.entry(0, set).unwrap(), (true, true));
    }
    assert!(entries > 5, "{entries}");
    let object = bench
        .view(0)
        .peek(b"huge")
        .unwrap()
        .map(|object| object.encoding());
    assert_eq!(object, Some(Encoding::Hashtable));
}
