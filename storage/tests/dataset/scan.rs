//! SCAN's guarantee, and who RANDOMKEY draws.

use std::collections::{BTreeMap, BTreeSet};

use storage::dataset::{Expiry, Looks, Point};
use storage::ids::Slot;

use crate::support::Bench;

fn key(n: usize) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

/// Keys of one slot.
fn tagged(n: usize) -> Vec<u8> {
    format!("{{tag}}:{n}").into_bytes()
}

/// Walks while `disturb` changes other keys between the steps. Every one of `stay` must be given once.
fn scan_disturbed(
    bench: &mut Bench,
    stay: &BTreeSet<Vec<u8>>,
    mut disturb: impl FnMut(&mut Bench, usize),
) {
    let mut seen = BTreeMap::<Vec<u8>, usize>::new();
    let mut cursor = 0;
    for step in 0.. {
        let (next, found) = bench.view(0).scan(cursor, 10).unwrap();
        for found in found {
            *seen.entry(found.key.into_owned()).or_default() += 1;
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
        assert!(cursor < 1 << 63);
        disturb(bench, step);
    }
    for key in stay {
        assert_eq!(seen.get(key), Some(&1), "{}", String::from_utf8_lossy(key));
    }
}

#[test]
fn keys_that_stay_are_given_once_while_the_table_grows() {
    for name in [key, tagged] {
        let mut bench = Bench::memory();
        (0..3000).for_each(|n| bench.set(&name(n), b"v"));
        let stay = (0..3000).map(name).collect();
        scan_disturbed(&mut bench, &stay, |bench, step| {
            (0..40).for_each(|n| bench.set(&name(10_000 + step * 40 + n), b"v"));
        });
    }
}

#[test]
fn keys_that_stay_are_given_once_while_the_table_shrinks() {
    for name in [key, tagged] {
        let mut bench = Bench::memory();
        (0..6000).for_each(|n| bench.set(&name(n), b"v"));
        let stay = (0..6000).filter(|n| n % 10 == 0).map(name).collect();
        scan_disturbed(&mut bench, &stay, |bench, step| {
            for n in (step * 30..step * 30 + 30).filter(|n| n % 10 != 0) {
                bench.entry(0, |txn| txn.remove(&name(n))).unwrap();
            }
        });
    }
}

#[test]
fn keys_that_stay_are_given_once_while_they_move_between_memory_and_disk() {
    for name in [key, tagged] {
        let mut bench = Bench::memory();
        (0..3000).for_each(|n| bench.set(&name(n), b"v"));
        let stay = (0..3000).map(name).collect();
        scan_disturbed(&mut bench, &stay, |bench, step| match step % 5 {
            0 => assert!(bench.dataset.freeze().is_none_or(|checkpoint| {
                let done = checkpoint.run(&*bench.engine).unwrap();
                bench.dataset.checkpoint_done(done);
                true
            })),
            1 => {
                bench.dataset.drop_all_clean();
            }
            2 => {
                bench.dataset.load_next(200).unwrap();
            }
            3 => bench.set(&name(step * 7 % 3000), b"changed"),
            _ => {
                assert!(bench.get(0, &name(step * 11 % 3000)).is_some());
                bench.dataset.promote(10).unwrap();
            }
        });
    }
}

#[test]
fn any_cursor_is_accepted() {
    let mut bench = Bench::memory();
    (0..100).for_each(|n| bench.set(&key(n), b"v"));
    for cursor in [
        1,
        12345,
        1 << 40,
        1 << 46,
        u64::MAX,
        u64::MAX - 1,
        0x8000_0000_0000_0000,
    ] {
        let (next, found) = bench.view(0).scan(cursor, 5).unwrap();
        assert!(next == 0 || !found.is_empty());
    }
    assert_eq!(bench.scan_all(0, 1).len(), 100);
    assert_eq!(bench.scan_all(0, 0).len(), 100);
    assert_eq!(bench.scan_all(0, usize::MAX).len(), 100);
    assert_eq!(bench.scan_all(1, 10).len(), 0);
}

#[test]
fn expired_keys_are_not_given_and_end_no_walk() {
    let mut bench = Bench::memory();
    for n in 0..200 {
        let at_ms = bench.now_ms + 10;
        let expiry = if n % 4 == 0 {
            Expiry::Clear
        } else {
            Expiry::AtMs(at_ms)
        };
        bench
            .entry(0, |txn| txn.set_string(&key(n), b"v", expiry))
            .unwrap();
    }
    bench.now_ms += 10;
    assert_eq!(
        bench.scan_all(0, 7).len(),
        200,
        "the last millisecond counts"
    );
    bench.now_ms += 1;
    assert_eq!(bench.scan_all(0, 7).len(), 50);
    assert_eq!(bench.view(0).len(), 200, "counted until they are removed");
}

#[test]
fn slots_list_their_keys() {
    let mut bench = Bench::memory();
    (0..50).for_each(|n| bench.set(&tagged(n), b"v"));
    let slot = storage::dataset::slot_of(b"tag");
    for _ in 0..2 {
        let view = bench.view(0);
        assert_eq!(view.count_keys_in_slot(slot), 50);
        assert_eq!(view.keys_in_slot(slot, 10).unwrap().len(), 10);
        assert_eq!(view.keys_in_slot(slot, 100).unwrap().len(), 50);
        assert_eq!(
            view.keys_in_slot(Slot(slot.get() ^ 1), 100).unwrap().len(),
            0
        );
        assert_eq!(view.keys_in_slot(Slot(20_000), 100).unwrap().len(), 0);
        drop(view);
        bench.checkpoint();
        bench.dataset.drop_all_clean();
    }
}

/// Pearson's chi-squared statistic of draws that should all be as likely.
fn chi_squared(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts
        .iter()
        .map(|&count| (count as f64 - expected).powi(2) / expected)
        .sum()
}

#[test]
fn every_key_is_drawn_with_the_same_chance_wherever_it_is() {
    // A giant hash tag beside scattered keys; a third of each only on disk.
    let names: Vec<Vec<u8>> = (0..60).map(key).chain((0..140).map(tagged)).collect();
    let mut bench = Bench::memory();
    names.iter().for_each(|name| bench.set(name, b"v"));
    bench.checkpoint();
    bench.reopen();
    for name in names.iter().step_by(3) {
        assert!(bench.get(0, name).is_some());
    }
    bench.dataset.promote(1000).unwrap();
    let mut counts = vec![0u64; names.len()];
    let numbers: BTreeMap<&[u8], usize> = names
        .iter()
        .enumerate()
        .map(|(n, name)| (&name[..], n))
        .collect();
    for seed in 0..20_000u64 {
        let drawn = bench.view(0).random_key(seed).unwrap().unwrap();
        counts[numbers[&drawn[..]]] += 1;
    }
    // 199 degrees of freedom: mean 199, standard deviation 20; five deviations.
    let statistic = chi_squared(&counts);
    assert!(statistic < 300.0, "{statistic}");
}

#[test]
fn the_same_number_draws_the_same_key_whatever_is_in_memory() {
    let mut bench = Bench::memory();
    (0..500).for_each(|n| bench.set(&tagged(n), b"v"));
    let draw = |bench: &Bench| {
        (0..200)
            .map(|seed| bench.view(0).random_key(seed).unwrap())
            .collect::<Vec<_>>()
    };
    let before = draw(&bench);
    bench.checkpoint();
    bench.reopen();
    assert_eq!(draw(&bench), before);
    assert!(bench.view(1).random_key(1).unwrap().is_none());
}

#[test]
fn a_live_key_is_drawn_among_many_expired_ones() {
    let mut bench = Bench::memory();
    let at_ms = bench.now_ms;
    for n in 0..2000 {
        bench
            .entry(0, |txn| txn.set_string(&key(n), b"v", Expiry::AtMs(at_ms)))
            .unwrap();
    }
    bench.set(b"alive", b"v");
    bench.now_ms += 1;
    for seed in 0..20 {
        assert_eq!(
            bench.view(0).random_key(seed).unwrap().as_deref(),
            Some(&b"alive"[..])
        );
    }
}

/// The large collections whose elements are walked over.
const KINDS: [&[u8]; 3] = [b"hash", b"set", b"zset"];

fn member(n: usize) -> Vec<u8> {
    // Some are longer than what an engine key holds of them.
    format!("member:{n}{}", "+".repeat(n % 50 / 49 * 700)).into_bytes()
}

/// Adds an element to the collections, or removes it, by commands that say that they look at nothing else.
fn change(bench: &mut Bench, n: usize, value: &[u8], there: bool) {
    let name = member(n);
    bench.entry(0, |txn| {
        txn.focus(KINDS.map(|key| Point::new(key, [&name[..]])));
        let hash = txn.edit_hash(b"hash", |hash, edit| match there {
            true => hash.set(&name, value, edit),
            false => hash.remove(&name, edit),
        });
        hash.unwrap();
        let set = txn.edit_set(b"set", |set, edit| match there {
            true => set.insert(&name, edit),
            false => set.remove(&name, edit),
        });
        set.unwrap();
        let zset = txn.edit_zset(b"zset", |zset, edit| match there {
            true => drop(zset.insert(&name, n as f64, edit)),
            false => drop(zset.remove(&name, edit)),
        });
        zset.unwrap();
    });
}

/// A step of a walk, as a command does it: the next cursor, what was found, and how many elements were read for it.
fn step(bench: &Bench, key: &[u8], cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>, usize) {
    let mut view = bench.view(0);
    view.focus(
        [Point {
            key,
            looks: Looks::Walk { cursor, count },
        }],
        0,
    );
    let object = view.lookup(key).unwrap().unwrap();
    match key {
        b"hash" => {
            let hash = object.hash().unwrap();
            let (next, found) = hash.scan(cursor, count);
            let found = found.into_iter();
            let pairs = found.map(|(field, value)| [field.to_vec(), value.to_vec()].concat());
            (next, pairs.collect(), hash.iter().count())
        }
        b"set" => {
            let set = object.set().unwrap();
            let (next, found) = set.scan(cursor, count);
            let found = found.into_iter().map(|member| member.to_vec());
            (next, found.collect(), set.iter().count())
        }
        _ => {
            let zset = object.zset().unwrap();
            let (next, found) = zset.scan(cursor, count);
            let found = found.into_iter();
            let pairs = found
                .map(|(member, score)| [member.to_vec(), score.to_string().into_bytes()].concat());
            (next, pairs.collect(), zset.iter().count())
        }
    }
}

/// A whole walk, element by element, and the most that was read for one step.
fn walk(bench: &Bench, key: &[u8], count: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut cursor, mut all, mut most) = (0, Vec::new(), 0);
    loop {
        let (next, found, read) = step(bench, key, cursor, count);
        all.extend(found);
        most = most.max(read);
        match next {
            0 => return (all, most),
            next => cursor = next,
        }
    }
}

#[test]
fn a_walk_over_a_collection_on_disk_reads_what_it_gives() {
    let mut bench = Bench::memory();
    (0..1000).for_each(|n| change(&mut bench, n, b"old", true));
    assert!(bench.checkpoint());
    let compare = |bench: &mut Bench| {
        let cold: Vec<_> = KINDS
            .iter()
            .flat_map(|key| [1, 10, 100, 2000].map(|count| (*key, count)))
            .map(|(key, count)| (key, count, walk(bench, key, count)))
            .collect();
        bench.checkpoint();
        for key in KINDS {
            // Into memory.
            bench.entry(0, |txn| assert!(txn.peek(key).unwrap().is_some()));
        }
        for (key, count, (found, most)) in cold {
            assert!(most <= count + 2, "{most} were read for {count}");
            assert_eq!(found, walk(bench, key, count).0, "by {count}");
            assert_eq!(found.len(), found.iter().collect::<BTreeSet<_>>().len());
        }
    };
    bench.dataset.drop_all_clean();
    compare(&mut bench);
    // Changes that wait to be written, some of them in a checkpoint under way.
    bench.dataset.drop_all_clean();
    (0..1100)
        .step_by(7)
        .for_each(|n| change(&mut bench, n, b"new", true));
    let checkpoint = bench.dataset.freeze().unwrap();
    (0..1100)
        .step_by(5)
        .for_each(|n| change(&mut bench, n, b"", false));
    (0..1100)
        .step_by(35)
        .for_each(|n| change(&mut bench, n, b"newest", true));
    let (found, most) = walk(&bench, b"hash", 10);
    assert!(
        most <= 12 && found.len() < 1000,
        "{most} of {}",
        found.len()
    );
    let done = checkpoint.run(&*bench.engine).unwrap();
    bench.dataset.checkpoint_done(done);
    assert_eq!(found, walk(&bench, b"hash", 10).0);
    compare(&mut bench);
}

#[test]
fn a_cursor_that_no_step_gave_ends_the_walk() {
    let mut bench = Bench::memory();
    (0..600).for_each(|n| change(&mut bench, n, b"v", true));
    bench.checkpoint();
    bench.dataset.drop_all_clean();
    for key in KINDS {
        assert_eq!(step(&bench, key, u64::MAX, 10).0, 0);
        let (next, found, _) = step(&bench, key, u64::from(u32::MAX), 10);
        assert!(next == 0 && found.len() <= 1);
    }
}
