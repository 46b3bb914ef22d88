//! Members and fields drawn at random from what is only on disk: the same as would be drawn in memory, and few others are read.

use storage::dataset::{Looks, Point, Txn};
use storage::random;

use crate::support::Bench;

const MEMBERS: u32 = 3000;

fn member(n: u32) -> Vec<u8> {
    format!("member:{n}").into_bytes()
}

fn filled() -> Bench {
    let mut bench = Bench::lsm();
    let soon_ms = bench.now_ms + 10;
    bench.entry(0, |txn| {
        let fill = txn.edit_set(b"set", |set, edit| {
            (0..MEMBERS).for_each(|n| assert!(set.insert(&member(n), edit)));
        });
        fill.unwrap();
        let fill = txn.edit_hash(b"hash", |hash, edit| {
            for n in 0..MEMBERS {
                hash.set(&member(n), b"value", edit);
                if n % 3 == 0 {
                    hash.set_expiry(&member(n), Some(soon_ms), edit);
                }
            }
        });
        fill.unwrap();
    });
    bench.checkpoint();
    bench
}

fn look(key: &[u8], taken: usize) -> Point<'_> {
    Point {
        key,
        looks: Looks::Draw { taken },
    }
}

/// Takes members out as SPOP does; answers them, and how many were in memory meanwhile.
fn pop(txn: &mut Txn<'_>, count: usize) -> (Vec<Vec<u8>>, usize) {
    txn.focus([look(b"set", count)]);
    let mut seed = txn.random();
    let popped = txn.edit_set(b"set", |set, edit| {
        let mut popped = Vec::new();
        for _ in 0..count {
            let drawn = set.as_ref().random(&mut || random::next(&mut seed));
            let drawn = drawn.expect("there are some").to_vec();
            assert!(set.remove(&drawn, edit));
            popped.push(drawn);
        }
        (popped, set.as_ref().iter().count())
    });
    popped.unwrap()
}

#[test]
fn what_is_taken_is_the_same_on_disk_and_in_memory() {
    let (mut on_disk, mut in_memory) = (filled(), filled());
    on_disk.reopen();
    let mut left = MEMBERS as usize;
    for round in 0..400 {
        let count = 1 + round % 5;
        let (popped, others) = on_disk.entry(0, |txn| pop(txn, count));
        assert_eq!(
            popped,
            in_memory.entry(0, |txn| pop(txn, count)).0,
            "{round}"
        );
        left -= count;
        assert!(others < 100 * count + 200, "{others} for {count}");
        let view = on_disk.view(0);
        assert_eq!(
            view.lookup(b"set").unwrap().unwrap().set().unwrap().len(),
            left
        );
        drop(view);
        if round % 70 == 30 {
            on_disk.checkpoint();
        }
        if round % 140 == 40 {
            on_disk.checkpoint();
            on_disk.reopen();
        }
    }
    assert_eq!(on_disk.dataset.stats().resident, 0);
}

#[test]
fn what_is_drawn_from_the_disk_is_what_memory_would_give() {
    let (mut on_disk, mut in_memory) = (filled(), filled());
    on_disk.reopen();
    for some_have_expired in [false, true] {
        if some_have_expired {
            on_disk.now_ms += 11;
            in_memory.now_ms += 11;
        }
        for seed in 0..500 {
            let drawn = [&on_disk, &in_memory].map(|bench| {
                let mut view = bench.view(0).refusing_cold();
                view.focus([look(b"set", 0), look(b"hash", 0)], seed);
                let set = view.lookup(b"set").unwrap().unwrap();
                let hash = view.lookup(b"hash").unwrap().unwrap();
                let mut numbers = [seed; 2];
                let [a, b] = &mut numbers;
                let member = set.set().unwrap().random(&mut || random::next(a));
                let field = hash.hash().unwrap().random(&mut || random::next(b));
                let (field, _) = field.expect("there are some");
                (member.expect("there are some").to_vec(), field.to_vec())
            });
            assert_eq!(drawn[0], drawn[1], "{seed}");
            let number: u32 = String::from_utf8_lossy(&drawn[0].1["member:".len()..])
                .parse()
                .unwrap();
            assert!(!some_have_expired || !number.is_multiple_of(3));
        }
    }
    assert_eq!(on_disk.dataset.stats().resident, 0);
}
