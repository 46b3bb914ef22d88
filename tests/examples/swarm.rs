//! Runs any number of seeds of the simulated world: `cargo run --release -p tests --example swarm -- FIRST COUNT`.
//! A failing seed panics with its number; the same number replays it, `--trace SEED` with every step printed.

use std::time::Instant;

use clap::Parser;
use tests::sim::{Sabotage, swarm, trace};

/// Runs seeds of the simulated world.
#[derive(Parser)]
struct Options {
    /// The first seed.
    #[arg(default_value_t = 0)]
    first: u64,
    /// How many seeds.
    #[arg(default_value_t = 1_000)]
    count: u64,
    /// Runs only this seed, and prints every step.
    #[arg(long, value_name = "SEED")]
    trace: Option<u64>,
}

fn main() {
    let Options {
        first,
        count,
        trace,
    } = Options::parse();
    if let Some(seed) = trace {
        trace::print();
        let summary = swarm::run(seed, Sabotage::None);
        println!("{summary:?}");
        return;
    }
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
