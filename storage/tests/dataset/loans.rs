//! Large collections that are only on disk, read without the lock for one reader: as they were at one moment.

use std::collections::BTreeSet;

use storage::dataset::{Afar, ColdKey, Loan, Looks, Members, Point, Recalled};
use storage::ids::DbIndex;

use crate::support::Bench;

const FIELDS: u32 = 20_000;
const KEY: &[u8] = b"hash";

fn field(n: u32) -> Vec<u8> {
    format!("field:{n}").into_bytes()
}

/// A hash that is only on disk.
fn filled(maxmemory_bytes: u64) -> Bench {
    let mut bench = Bench::memory();
    bench.entry(0, |txn| {
        let filled = txn.edit_hash(KEY, |hash, edit| {
            (0..FIELDS).for_each(|n| {
                hash.set(&field(n), b"old", edit);
            });
        });
        filled.unwrap();
    });
    bench.checkpoint();
    bench.options.maxmemory_bytes = maxmemory_bytes;
    bench.reopen();
    bench
}

/// Changes a field without loading the others.
fn change(bench: &mut Bench, n: u32) {
    let name = field(n);
    bench.entry(0, |txn| {
        txn.focus([Point::new(KEY, [&name[..]])]);
        let changed = txn.edit_hash(KEY, |hash, edit| hash.set(&name, b"new", edit));
        changed.unwrap();
    });
}

/// One step of a walk, by a reader who has these loans.
fn step(
    bench: &Bench,
    (cursor, count): (u64, usize),
    loans: &[Loan],
) -> Result<(u64, Vec<Vec<u8>>), Box<ColdKey>> {
    let view = bench.view(0).refusing_cold();
    let mut view = view.with_loans(loans, false);
    let looks = Looks::<Members<'_>>::Walk { cursor, count };
    view.focus([Point { key: KEY, looks }], 7);
    match view.lookup(KEY) {
        Err(storage::Error::Cold(key)) => Err(key),
        found => {
            let object = found.unwrap().unwrap();
            let (next, fields) = object.hash().unwrap().scan(cursor, count);
            let names = fields.into_iter().map(|(name, _)| name.to_vec());
            Ok((next, names.collect()))
        }
    }
}

#[test]
fn a_long_step_of_a_walk_is_read_without_the_lock() {
    // Less than the hash takes.
    let bench = filled(1 << 20);
    let hot = {
        let mut hot = filled(0);
        hot.entry(0, |txn| assert!(txn.lookup(KEY).unwrap().is_some()));
        hot
    };
    let mut bench = bench;
    let (mut cursor, mut seen) = (0, BTreeSet::new());
    loop {
        let asked = (cursor, 3000);
        let key = step(&bench, asked, &[]).expect_err("it takes too long under the lock");
        let (looked, count) = (cursor, 3000);
        assert_eq!(
            key.looks,
            Some(Afar::Walk {
                cursor: looked,
                count
            })
        );
        let cold = bench.dataset.cold_key(&key).unwrap().expect("it is cold");
        let loaded = cold.load(|_| ()).unwrap();
        let loan = bench.dataset.admit_loaded(loaded).unwrap();
        let loan = loan.expect("a part is not taken into memory");
        let found = step(&bench, asked, &[loan]).expect("it was lent");
        assert_eq!(found, step(&hot, asked, &[]).expect("it is in memory"));
        for name in found.1 {
            assert!(seen.insert(name), "once");
        }
        cursor = found.0;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), FIELDS as usize);
    assert_eq!(bench.dataset.stats().resident, 0);
}

/// How many fields have the new value, for a reader who needs all of them.
fn changed(bench: &Bench, loans: &[Loan], as_of_then: bool) -> Option<usize> {
    let view = bench.view(0).refusing_cold();
    let view = view.with_loans(loans, as_of_then);
    match view.lookup(KEY) {
        Err(storage::Error::Cold(_)) => None,
        found => {
            let object = found.unwrap().unwrap();
            let fields = object.hash().unwrap().iter();
            Some(fields.filter(|(_, value)| value.to_vec() == b"new").count())
        }
    }
}

#[test]
fn what_changes_while_it_is_read_is_lent_as_it_was() {
    let mut bench = filled(0);
    change(&mut bench, 1);
    let key = ColdKey {
        db: DbIndex(0),
        key: KEY.into(),
        looks: None,
    };
    let cold = bench.dataset.cold_key(&key).unwrap().expect("it is cold");
    change(&mut bench, 2);
    let loan = bench.dataset.admit_loaded(cold.load(|_| ()).unwrap());
    let loan = [loan.unwrap().expect("it has changed")];
    assert!(!loan[0].is_part());
    assert_eq!(changed(&bench, &loan, true), Some(1));
    assert_eq!(
        changed(&bench, &loan, false),
        None,
        "it is not as it is now"
    );

    // It comes into memory, however it changes.
    let cold = bench.dataset.next_recall().unwrap().expect("it is due");
    change(&mut bench, 3);
    let mut loaded = cold.load(|_| ()).unwrap();
    loop {
        match bench.dataset.admit_recalled(loaded).unwrap() {
            Recalled::Behind(behind, changes) => {
                loaded = *behind;
                loaded.catch_up(changes).unwrap();
            }
            Recalled::Admitted => break,
            Recalled::Left => panic!("it stays on disk"),
        }
    }
    assert!(bench.dataset.next_recall().unwrap().is_none());
    assert_eq!(
        changed(&bench, &loan, true),
        Some(3),
        "what is in memory is newer"
    );
}
