//! Which keys go when memory is full.

use storage::dataset::{EvictionPolicy, Expiry};

use crate::support::Bench;

const KEYS: u64 = 4000;

fn key(n: u64) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

/// Keys of which the even ones expire, the later the higher their number, and the lower half is used again much later.
fn filled(policy: EvictionPolicy) -> Bench {
    let mut bench = Bench::memory();
    let now_ms = bench.now_ms;
    bench.entry(0, |txn| {
        for n in 0..KEYS {
            let expiry = match n % 2 {
                0 => Expiry::AtMs(now_ms + 1_000_000_000 + n * 1000),
                _ => Expiry::Clear,
            };
            txn.set_string(&key(n), &[b'v'; 100], expiry).unwrap();
        }
    });
    bench.checkpoint();
    bench.now_ms += 600_000;
    bench.entry(0, |txn| {
        for n in 0..KEYS / 2 {
            (0..50).for_each(|_| assert!(txn.touch(&key(n)).unwrap()));
        }
    });
    bench.dataset.set_eviction_policy(policy);
    let used = bench.dataset.memory_used();
    bench.dataset.set_maxmemory(used - used / 4);
    bench
}

/// Evicts until memory is within its limit, or nothing may go; answers which keys are left.
fn evict(bench: &mut Bench) -> Vec<u64> {
    for random in 1.. {
        let bytes = bench.dataset.bytes_to_evict();
        let victims = bench.dataset.victims(bytes, random);
        if bytes == 0 || victims.is_empty() {
            break;
        }
        for victim in victims {
            let evicted = bench.entry(victim.db.get(), |txn| txn.evict(&victim.key));
            assert!(evicted.unwrap());
        }
        // What was deleted waits to be written; on disk it takes no memory.
        bench.checkpoint();
    }
    let view = bench.view(0);
    (0..KEYS)
        .filter(|&n| view.exists(&key(n)).unwrap())
        .collect()
}

#[test]
fn what_was_used_lately_or_often_stays() {
    for policy in [EvictionPolicy::AllKeysLru, EvictionPolicy::AllKeysLfu] {
        let mut bench = filled(policy);
        let left = evict(&mut bench);
        assert_eq!(bench.dataset.bytes_to_evict(), 0);
        let used = left.iter().filter(|&&n| n < KEYS / 2).count() as u64;
        assert!(
            used > KEYS / 2 - KEYS / 100,
            "{policy:?}: {used} of those in use are left"
        );
        assert!(
            left.len() as u64 > KEYS / 2,
            "{policy:?}: no more goes than must"
        );
        assert_eq!(bench.dataset.stats().evicted_keys, KEYS - left.len() as u64);
    }
}

#[test]
fn without_an_order_all_have_the_same_chance() {
    let left = evict(&mut filled(EvictionPolicy::AllKeysRandom));
    let lower = left.iter().filter(|&&n| n < KEYS / 2).count() as f64 / left.len() as f64;
    assert!((0.45..0.55).contains(&lower), "{lower}");
}

#[test]
fn volatile_policies_spare_what_does_not_expire() {
    for policy in [
        EvictionPolicy::VolatileLru,
        EvictionPolicy::VolatileLfu,
        EvictionPolicy::VolatileRandom,
        EvictionPolicy::VolatileTtl,
    ] {
        let mut bench = filled(policy);
        let left = evict(&mut bench);
        let lasting = left.iter().filter(|&&n| n % 2 == 1).count() as u64;
        assert_eq!(lasting, KEYS / 2, "{policy:?}");
        bench.dataset.set_maxmemory(1);
        let left = evict(&mut bench);
        assert_eq!(
            left.len() as u64,
            KEYS / 2,
            "{policy:?}: everything that expires may go"
        );
    }
}

#[test]
fn what_expires_next_goes_first() {
    let left = evict(&mut filled(EvictionPolicy::VolatileTtl));
    let expiring: Vec<u64> = left.into_iter().filter(|n| n % 2 == 0).collect();
    // Keys that share a slot with an early one may go a little before their time.
    let last_gone = (0..KEYS)
        .filter(|n| n % 2 == 0 && !expiring.contains(n))
        .max()
        .unwrap();
    let early_left = expiring.iter().filter(|&&n| n < last_gone).count();
    assert!(
        early_left < expiring.len() / 10,
        "{early_left} of {}",
        expiring.len()
    );
}
