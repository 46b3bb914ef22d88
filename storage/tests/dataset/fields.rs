//! Fields of hashes that expire: found where they are, invisible at once, removed within limits.

use storage::dataset::{ColdKey, Expiry, Point, SweepCursor};
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

/// The large hashes that may have lost only some of the fields that have expired.
fn partly(bench: &Bench) -> Vec<ColdKey> {
    let from = SweepCursor::default();
    let swept = bench
        .dataset
        .expired_on_disk(from, bench.now_ms, 100_000)
        .unwrap();
    swept.partly
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
    assert_eq!(keys(&found), all);
    let large = partly(&bench);
    assert_eq!(
        large,
        [ColdKey {
            db: DbIndex(0),
            key: b"large".as_slice().into(),
            looks: None,
        }]
    );
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
    assert_eq!(bench.dataset.stats().expired_fields, 3 + 300 + 10 + 1000);
    for key in &large {
        let left = bench.dataset.expired_fields_on_disk(key, bench.now_ms);
        assert_eq!(left.unwrap(), None);
    }
    bench.checkpoint();
    bench.reopen();
    assert!(swept(&bench).is_empty() && partly(&bench).is_empty());
    assert_eq!(visible(&bench), expected);
}

/// A million fields would be too many to be loaded: what expires leaves where it is, a bounded number at a time.
#[test]
fn fields_of_a_large_hash_leave_while_it_stays_on_disk() {
    let mut bench = Bench::lsm();
    let at_ms = bench.now_ms + 10;
    fill(&mut bench, b"large", 10_000, 9_000, at_ms);
    bench.checkpoint();
    bench.reopen();
    bench.now_ms = at_ms + 1;
    let [key] = &partly(&bench)[..] else {
        panic!("it is one")
    };
    let mut removals = 0;
    while let Some(found) = bench
        .dataset
        .expired_fields_on_disk(key, bench.now_ms)
        .unwrap()
    {
        assert_eq!((&found.key[..], found.expire_at_ms), (&b"large"[..], at_ms));
        remove(&mut bench, &[found]);
        removals += 1;
        if removals % 2 == 0 {
            bench.checkpoint();
        }
    }
    assert_eq!((removals, bench.dataset.stats().expired_fields), (3, 9000));
    assert_eq!(bench.dataset.stats().resident, 0);
    assert_eq!(len(&bench, b"large"), Some(1000));
    bench.checkpoint();
    bench.reopen();
    assert_eq!(len(&bench, b"large"), Some(1000));
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
        view.focus([Point::new(b"large", [&name[..]])], 0);
        let object = view.lookup(b"large").unwrap().unwrap();
        let found = object
            .hash()
            .unwrap()
            .get(&name, |field| view.element_hash(field));
        let met = view.take_expired();
        assert_eq!(met.len(), usize::from(bench.now_ms > at_ms));
        found.is_some()
    };
    let counted = |bench: &Bench| {
        let mut view = bench.view(0).refusing_cold();
        view.focus([Point::new(b"large", [])], 0);
        let object = view.lookup(b"large")?;
        Ok::<_, storage::Error>(object.map(|object| object.hash().unwrap().len()))
    };
    let must_be_loaded = |bench: &Bench| {
        let name = field(7);
        let point = Point::new(b"large", [&name[..]]);
        let cold = bench.dataset.cold(DbIndex(0), b"large", Some(&point));
        cold.unwrap().is_some()
    };
    assert!(is_there(&bench, 7) && is_there(&bench, 999) && !is_there(&bench, 1000));
    assert_eq!(counted(&bench).unwrap(), Some(1000));
    assert!(!must_be_loaded(&bench));
    bench.now_ms = at_ms + 1;
    assert!(!is_there(&bench, 7) && is_there(&bench, 999));
    assert_eq!(counted(&bench).unwrap(), Some(700));
    assert!(!must_be_loaded(&bench));
    // Of very many that have expired it is not known how many are left.
    let at_ms = bench.now_ms + 10;
    fill(&mut bench, b"large", 6000, 5999, at_ms);
    bench.checkpoint();
    bench.reopen();
    bench.now_ms = at_ms + 1;
    let refused = counted(&bench);
    assert!(matches!(refused, Err(storage::Error::Cold(_))));
    bench
        .entry(0, |txn| txn.set_int(b"other", 1, Expiry::Clear))
        .unwrap();
    assert!(must_be_loaded(&bench));
    assert_eq!(bench.dataset.stats().resident, 1);
}

/// What changes a hash on disk leaves it there, and says of it what it would say of one in memory.
#[test]
fn a_large_hash_of_which_fields_expire_is_changed_on_disk_as_in_memory() {
    let mut on_disk = Bench::lsm();
    let mut in_memory = Bench::lsm();
    let mut last_ms = on_disk.now_ms;
    for bench in [&mut on_disk, &mut in_memory] {
        fill(bench, b"large", 2000, 0, 0);
        bench.checkpoint();
    }
    on_disk.reopen();
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for round in 0..600 {
        let names: Vec<Vec<u8>> = (0..1 + random(3))
            .map(|_| field(random(1000) as u32))
            .collect();
        let (action, after_ms) = (random(5), random(40));
        let mut replies = Vec::new();
        for bench in [&mut on_disk, &mut in_memory] {
            bench.now_ms = last_ms;
            let at_ms = bench.now_ms + after_ms;
            let reply = bench.entry(0, |txn| {
                let point = || Point::new(b"large", names.iter().map(|name| &name[..]));
                txn.focus([point()]);
                txn.edit_hash(b"large", |hash, edit| {
                    let mut reply = Vec::new();
                    for name in &names {
                        reply.push(match action {
                            0 => hash.set(name, b"changed", edit),
                            1 => hash.remove(name, edit),
                            2 => hash.set_expiry(name, None, edit),
                            _ => hash.set_expiry(name, Some(at_ms), edit),
                        });
                    }
                    let found = hash.as_ref().at(edit.now_ms());
                    (
                        reply,
                        found.len(),
                        found.next_expiry_ms(),
                        found.last_expiry_ms(),
                    )
                })
            });
            replies.push(reply.unwrap());
        }
        assert_eq!(replies[0], replies[1], "round {round}");
        assert_eq!(on_disk.dataset.stats().resident, 0);
        last_ms += random(4);
        match round % 50 {
            17 => drop(on_disk.checkpoint()),
            33 => drop(in_memory.checkpoint()),
            49 => {
                on_disk.checkpoint();
                on_disk.reopen();
            }
            _ => {}
        }
    }
    for bench in [&mut on_disk, &mut in_memory] {
        bench.checkpoint();
        bench.reopen();
    }
    let digests = [&on_disk, &in_memory].map(|bench| {
        let view = bench.view(0);
        let object = view.peek(b"large").unwrap().unwrap();
        let fields = object.hash().unwrap().iter_expiring();
        let mut fields: Vec<_> = fields
            .map(|(field, value, at_ms)| (field.to_vec(), value.to_vec(), at_ms))
            .collect();
        fields.sort();
        fields
    });
    assert!(digests[0].len() > 1000);
    assert_eq!(digests[0], digests[1]);
    // Nothing is left of it, the times of its fields included.
    for bench in [&mut on_disk, &mut in_memory] {
        assert!(bench.entry(0, |txn| txn.remove(b"large")).unwrap());
    }
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
