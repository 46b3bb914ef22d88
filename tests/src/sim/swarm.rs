//! Random load and random faults from one seed.

use rand::Rng;

use super::client::Client;
use super::network::Weather;
use super::world::{Options, Sabotage, World};

/// Registers that the load uses.
const KEYS: u8 = 6;

/// Rounds of load and fault.
const ROUNDS: u32 = 120;

/// One run.
pub fn run(seed: u64, sabotage: Sabotage) -> Summary {
    let stores = if seed.is_multiple_of(4) { 5 } else { 3 };
    let log_retention_bytes = if seed.is_multiple_of(2) {
        2_000
    } else {
        1 << 20
    };
    let options = Options {
        seed,
        stores,
        weather: Weather::FOUL,
        log_retention_bytes,
        sabotage,
    };
    let mut world = World::new(options);
    world.elect();
    for round in 0..ROUNDS {
        trouble(&mut world);
        load(&mut world, round);
        let ms = world.rng.random_range(1..60);
        world.run_ms(ms);
    }
    world.converge();
    world.assert_linearizable();
    Summary {
        acknowledged: world.acknowledged(),
        simulated_ms: world.time_ns / 1_000_000,
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Operations that were answered.
    pub acknowledged: u64,
    /// Milliseconds of the world's time.
    pub simulated_ms: u64,
}

/// At most one new fault, and sometimes a repair.
fn trouble(world: &mut World) {
    let store = world.rng.random_range(1..=world.options.stores);
    let other = world.rng.random_range(1..=world.options.stores);
    match world.rng.random_range(0..100) {
        0..4 if world.is_up(store) => world.crash(store),
        4..10 if !world.is_up(store) => world.restart(store),
        10..13 => world.isolate(store),
        13..16 => world.cut(store, other),
        16..24 => world.heal(),
        24..28 => {
            let ms = world.rng.random_range(10..1_500);
            world.pause(store, ms);
        }
        28..30 => {
            let ms = world.rng.random_range(-3_600_000..3_600_000);
            world.jump_clock(store, ms);
        }
        30..33 => {
            if let Some(leader) = world.leader() {
                world.transfer(leader, other);
            }
        }
        33..34 => {
            // The power fails everywhere.
            for store in 1..=world.options.stores {
                if world.is_up(store) {
                    world.crash(store);
                    world.restart(store);
                }
            }
        }
        _ => {}
    }
}

/// A few operations: most at the Store that leads, some at any.
fn load(world: &mut World, round: u32) {
    for nth in 0..world.rng.random_range(0..4u64) {
        let any = world.rng.random_range(1..=world.options.stores);
        let store = match world.rng.random_ratio(3, 4) {
            true => world.leader().unwrap_or(any),
            false => any,
        };
        let key = world.rng.random_range(0..KEYS);
        let action = match world.rng.random_range(0..10) {
            0..4 => Client::Read,
            4..7 => Client::Increment,
            _ => Client::Write(u64::from(round) * 1_000 + 100 + nth),
        };
        world.invoke(store, key, action);
    }
}
