//! Members and fields drawn at random from what is only on disk: the same as would be drawn in memory, and few others are read.

use storage::dataset::{Looks, Point, Txn};
use storage::random;
use storage::types::{Drawn, Kind};

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

fn look(key: &[u8], drawn: Drawn) -> Point<'_> {
    Point {
        key,
        looks: Looks::Draw(drawn),
    }
}

/// Takes members out as SPOP does; answers them, and how many were in memory meanwhile.
fn pop(txn: &mut Txn<'_>, count: usize) -> (Vec<Vec<u8>>, usize) {
    txn.focus([look(b"set", Drawn::Taken(count))]);
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
        for seed in 0..150 {
            // A single one, several, and several different ones.
            let drawn = match seed % 3 {
                0 => Drawn::Different(1),
                1 => Drawn::Repeated(5),
                _ => Drawn::Different(7),
            };
            let found = [&on_disk, &in_memory].map(|bench| {
                let mut view = bench.view(0).refusing_cold();
                view.focus(KEYS.map(|key| look(key, drawn)), seed);
                KEYS.map(|key| {
                    let object = view.lookup(key).unwrap().unwrap();
                    let mut numbers = seed;
                    let one = || -> Vec<u8> {
                        let random = &mut || random::next(&mut numbers);
                        let item = match object.kind() {
                            Kind::Set => object.set().unwrap().random(random),
                            _ => object
                                .hash()
                                .unwrap()
                                .random(random)
                                .map(|(field, _)| field),
                        };
                        item.expect("there are some").to_vec()
                    };
                    draws(drawn, one)
                })
            });
            assert_eq!(found[0], found[1], "{seed}");
            for field in &found[0][1] {
                let number = String::from_utf8_lossy(&field["member:".len()..]);
                let number: u32 = number.parse().unwrap();
                assert!(!some_have_expired || !number.is_multiple_of(3));
            }
        }
    }
    assert_eq!(on_disk.dataset.stats().resident, 0);
}

const KEYS: [&[u8]; 2] = [b"set", b"hash"];

/// What a command draws that leaves the elements where they are.
fn draws(drawn: Drawn, mut one: impl FnMut() -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    match drawn {
        Drawn::Taken(count) | Drawn::Repeated(count) => found.extend((0..count).map(|_| one())),
        Drawn::Different(count) => {
            while found.len() < count {
                let element = one();
                if !found.contains(&element) {
                    found.push(element);
                }
            }
        }
    }
    found
}

/// A sorted set on disk draws by hashes, one in memory by ranks: either way the members have equal chances.
#[test]
fn members_of_a_sorted_set_on_disk_have_equal_chances() {
    const MEMBERS: usize = 300;
    let mut bench = Bench::lsm();
    bench.entry(0, |txn| {
        let fill = txn.edit_zset(b"zset", |set, edit| {
            (0..MEMBERS).for_each(|n| {
                set.insert(&member(n as u32), n as f64, edit);
            });
        });
        fill.unwrap();
    });
    bench.checkpoint();
    bench.reopen();
    let mut drawn = vec![0_usize; MEMBERS];
    for seed in 0..600 {
        let mut view = bench.view(0).refusing_cold();
        view.focus([look(b"zset", Drawn::Different(3))], seed);
        let object = view.lookup(b"zset").unwrap().unwrap();
        let mut numbers = seed;
        let found = draws(Drawn::Different(3), || {
            let random = &mut || random::next(&mut numbers);
            let (item, score) = object
                .zset()
                .unwrap()
                .random(random)
                .expect("there are some");
            drawn[score as usize] += 1;
            item.to_vec()
        });
        assert_eq!(found.len(), 3);
    }
    // By chance alone 1 on average, and below 0.75 or above 1.3 about once in a thousand such tests; the seeds are fixed.
    let mean = drawn.iter().sum::<usize>() as f64 / MEMBERS as f64;
    let deviations = drawn
        .iter()
        .map(|&times| (times as f64 - mean).powi(2) / mean);
    let deviation = deviations.sum::<f64>() / MEMBERS as f64;
    assert!((0.75..1.3).contains(&deviation), "{deviation}: {drawn:?}");
    assert_eq!(bench.dataset.stats().resident, 0);
}
