//! Random swarms from seeds, and the proof that the checkers notice a broken rule.
//!
//! More seeds: `cargo run --release -p tests --example swarm -- 1000 10000` (first seed, number of seeds).

use std::panic::{AssertUnwindSafe, catch_unwind};

use tests::sim::{Sabotage, swarm};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 240;

/// Seeds among which a broken rule must be noticed.
const SABOTAGE_SEEDS: u64 = 200;

fn run_seeds(seeds: std::ops::Range<u64>) -> u64 {
    seeds
        .map(|seed| swarm::run(seed, Sabotage::None).acknowledged)
        .sum()
}

#[test]
fn no_seed_breaks_a_promise() {
    let half = SEEDS / 2;
    let acknowledged = std::thread::scope(|scope| {
        let other = scope.spawn(|| run_seeds(half..SEEDS));
        run_seeds(0..half)
            + other
                .join()
                .expect("a seed failed; its number is in the message above")
    });
    assert!(
        acknowledged > SEEDS * 50,
        "the load hardly got through: {acknowledged} operations"
    );
}

/// How many of the seeds fail when a rule is broken.
fn noticed(sabotage: Sabotage) -> u64 {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut failures = 0;
    for seed in 0..SABOTAGE_SEEDS {
        failures +=
            u64::from(catch_unwind(AssertUnwindSafe(|| swarm::run(seed, sabotage))).is_err());
        if failures > 0 {
            break;
        }
    }
    std::panic::set_hook(quiet);
    failures
}

#[test]
fn a_log_that_is_not_synced_is_noticed() {
    assert!(noticed(Sabotage::SkipFsync) > 0);
}

#[test]
fn reads_without_a_lease_are_noticed() {
    assert!(noticed(Sabotage::IgnoreLease) > 0);
}

#[test]
fn reads_without_read_index_are_noticed() {
    assert!(noticed(Sabotage::SkipReadIndex) > 0);
}
