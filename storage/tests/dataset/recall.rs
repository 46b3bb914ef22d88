//! Large collections that come back into memory while commands change them: what is there then is what the commands made.

use storage::dataset::{Looks, Members, Point, Recalled, Txn};
use storage::ids::DbIndex;
use storage::random;
use storage::types::{Change, Drawn};

use crate::support::Bench;

/// More than are loaded at once.
const ELEMENTS: u64 = 20_500;
const KEYS: [&[u8]; 3] = [b"hash", b"set", b"zset"];

fn element(number: u64) -> Vec<u8> {
    format!("element:{number}").into_bytes()
}

fn change(txn: &mut Txn<'_>, key: &[u8], number: u64, to: u64) {
    let name = element(number);
    txn.focus([Point::new(key, [&name[..]])]);
    let remove = to.is_multiple_of(3);
    match key {
        b"hash" => txn.edit_hash(key, |hash, edit| {
            if remove {
                hash.remove(&name, edit);
            } else {
                hash.set(&name, &element(to), edit);
                if to.is_multiple_of(2) {
                    hash.set_expiry(&name, Some(10_000_000 + to), edit);
                }
            }
        }),
        b"set" => txn.edit_set(key, |set, edit| {
            if remove {
                set.remove(&name, edit);
            } else {
                set.insert(&name, edit);
            }
        }),
        _ => txn.edit_zset(key, |set, edit| {
            if remove {
                set.remove(&name, edit);
            } else {
                // One in four is -0.
                let score = if to % 4 == 1 { -0.0 } else { to as f64 };
                let _: Change = set.insert(&name, score, edit);
            }
        }),
    }
    .unwrap();
    txn.unfocus();
}

/// The same three collections, on disk only.
fn filled() -> Bench {
    let mut bench = Bench::memory();
    for key in KEYS {
        bench.entry(0, |txn| {
            (0..ELEMENTS).for_each(|number| change(txn, key, number, number * 3 + 1));
        });
    }
    bench.checkpoint();
    bench.reopen();
    bench
}

fn change_some(bench: &mut Bench, changes: u64, seed: &mut u64) {
    for _ in 0..changes {
        let [key, number, to] = [(); 3].map(|()| random::next(seed));
        bench.entry(0, |txn| {
            let key = KEYS[key as usize % KEYS.len()];
            change(txn, key, number % (ELEMENTS + 100), to >> 20);
        });
    }
}

/// Brings one collection back, while `meanwhile` happens whenever others may do something. Whether it is in memory then.
fn recall(bench: &mut Bench, mut meanwhile: impl FnMut(&mut Bench, usize)) -> bool {
    let cold = bench.dataset.next_recall().unwrap().expect("one is due");
    assert!(
        bench.dataset.next_recall().unwrap().is_none(),
        "one at a time"
    );
    meanwhile(bench, 0);
    let mut loaded = cold.load(|_| ()).unwrap();
    for nth in 1.. {
        match bench.dataset.admit_recalled(loaded).unwrap() {
            Recalled::Behind(behind, changes) => {
                loaded = *behind;
                meanwhile(bench, nth);
                loaded.catch_up(changes).unwrap();
            }
            Recalled::Admitted => return true,
            Recalled::Left => return false,
        }
    }
    unreachable!("it ends")
}

/// Has all three come back, as after a start.
fn ask_for_all(bench: &mut Bench) {
    while bench.dataset.load_next(1000).unwrap() {}
    assert_eq!(
        bench.dataset.stats().resident,
        0,
        "they are too large to be loaded at once"
    );
}

#[test]
fn what_changes_meanwhile_is_in_it() {
    let (mut bench, mut in_memory) = (filled(), filled());
    ask_for_all(&mut bench);
    let (mut seed, mut other_seed) = (1, 1);
    for round in 0..KEYS.len() {
        let admitted = recall(&mut bench, |bench, nth| {
            // More than are caught up with at once, then less and less; checkpoints come in between.
            change_some(bench, 6000 >> (2 * nth.min(6)), &mut seed);
            change_some(&mut in_memory, 6000 >> (2 * nth.min(6)), &mut other_seed);
            if nth == round {
                bench.checkpoint();
            }
        });
        assert!(admitted);
        assert_eq!(bench.dataset.stats().resident, round as u64 + 1);
        assert_eq!(
            bench.dataset.digest().unwrap(),
            in_memory.dataset.digest().unwrap()
        );
    }
    // Changed in memory from now on, with the same records.
    change_some(&mut bench, 3000, &mut seed);
    change_some(&mut in_memory, 3000, &mut other_seed);
    bench.checkpoint();
    in_memory.checkpoint();
    let records = |bench: &Bench| -> Vec<_> {
        bench
            .engine
            .scan(b"\x01", b"")
            .map(Result::unwrap)
            .collect()
    };
    assert!(records(&bench) == records(&in_memory));
    bench.reopen();
    assert_eq!(
        bench.dataset.digest().unwrap(),
        in_memory.dataset.digest().unwrap()
    );
}

fn remove_all(bench: &mut Bench) {
    for key in KEYS {
        assert!(bench.entry(0, |txn| txn.remove(key)).unwrap());
    }
}

#[test]
fn what_is_gone_or_replaced_or_in_memory_already_is_left() {
    let replace_all = |bench: &mut Bench| {
        remove_all(bench);
        for key in KEYS {
            bench.entry(0, |txn| (0..1000).for_each(|n| change(txn, key, n, 1)));
        }
    };
    let load_all = |bench: &mut Bench| {
        for key in KEYS {
            let cold = bench.dataset.cold(DbIndex(0), key, None).unwrap();
            let loaded = cold.expect("it is on disk").load(|_| ()).unwrap();
            assert!(bench.dataset.admit_loaded(loaded).unwrap().is_none());
        }
    };
    let all: [&dyn Fn(&mut Bench); 3] = [&remove_all, &replace_all, &load_all];
    for (nth, (meanwhile, resident)) in all.into_iter().zip([0, 3, 3]).enumerate() {
        let mut bench = filled();
        ask_for_all(&mut bench);
        let mut expected = filled();
        meanwhile(&mut expected);
        assert!(!recall(&mut bench, |bench, _| meanwhile(bench)), "{nth}");
        assert!(bench.dataset.next_recall().unwrap().is_none(), "{nth}");
        assert_eq!(bench.dataset.stats().resident, resident, "{nth}");
        let digests = [&bench, &expected].map(|bench| bench.dataset.digest().unwrap());
        assert_eq!(digests[0], digests[1], "{nth}");
    }
}

#[test]
fn what_is_used_much_comes_back() {
    let mut bench = filled();
    let looks: [Looks<Members<'static>>; 2] = [
        Looks::Elements(Members::new()),
        Looks::Draw(Drawn::Different(1)),
    ];
    let mut uses = 0;
    while bench.dataset.next_recall().unwrap().is_none() {
        let mut view = bench.view(0);
        let looks = looks[uses % 2].clone();
        view.focus([Point { key: b"set", looks }], uses as u64);
        assert_eq!(
            view.lookup(b"set").unwrap().unwrap().set().unwrap().len() as u64,
            ELEMENTS
        );
        uses += 1;
        assert!(uses < 2000, "it is worth it by now");
    }
    assert!(uses > 300, "{uses} uses are less work than loading it");
    bench.dataset.recall_failed();
    assert!(recall(&mut bench, |_, _| ()), "it is tried again");
    assert_eq!(bench.dataset.stats().resident, 1);
    // Where it takes much of the memory it stays on disk.
    let mut small = filled();
    small.options.maxmemory_bytes = 8 << 20;
    small.reopen();
    for seed in 0..2000 {
        let mut view = small.view(0);
        view.focus([Point::new(b"set", [])], seed);
        view.lookup(b"set").unwrap();
    }
    assert!(small.dataset.next_recall().unwrap().is_none());
}
