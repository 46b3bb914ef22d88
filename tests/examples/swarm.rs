//! Runs any number of seeds of the simulated world: `cargo run --release -p tests --example swarm -- FIRST COUNT`.
//! A failing seed panics with its number; the same number replays it, `--trace SEED` with every step printed.

use std::time::Instant;

use tests::sim::{Sabotage, swarm, trace};

fn main() {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if_eq("--trace").is_some() {
        trace::print();
        let seed = words.next().expect("usage: swarm --trace SEED");
        let summary = swarm::run(seed.parse().expect("a number"), Sabotage::None);
        println!("{summary:?}");
        return;
    }
    let mut numbers = words.map(|text| text.parse::<u64>().expect("usage: swarm [FIRST] [COUNT]"));
    let first = numbers.next().unwrap_or(0);
    let count = numbers.next().unwrap_or(1_000);
    let started = Instant::now();
    let (mut acknowledged, mut member_changes, mut simulated_ms) = (0, 0, 0);
    for (done, seed) in (first..first + count).enumerate() {
        let summary = swarm::run(seed, Sabotage::None);
        acknowledged += summary.acknowledged;
        member_changes += summary.member_changes;
        simulated_ms += summary.simulated_ms;
        if (done + 1).is_multiple_of(100) {
            println!(
                "{} seeds, {acknowledged} operations, {:.0} s",
                done + 1,
                started.elapsed().as_secs_f64()
            );
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{count} seeds passed: {acknowledged} operations, {member_changes} changes of members, in {:.0} simulated seconds, {seconds:.1} s, {:.0} seeds per minute",
        simulated_ms as f64 / 1_000.0,
        count as f64 * 60.0 / seconds
    );
}
