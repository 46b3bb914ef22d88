//! Random swarms from seeds.
//!
//! More seeds: `cargo run --release -p tests --example swarm -- 1000 10000` (first seed, number of seeds).

use tests::sim::{Sabotage, swarm};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 240;

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
