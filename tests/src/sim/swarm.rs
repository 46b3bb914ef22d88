//! Random load and random faults from one seed.

use rand::Rng;
use storage::proto::command::MemberAction;

use super::client::{Client, Outcome};
use super::network::Weather;
use super::sabotage::Sabotage;
use super::world::{Options, World};

/// Registers that the load uses.
const KEYS: u8 = 6;

/// Clients that stay connected to a Store.
const SESSIONS: usize = 2;

/// Values of sessions are above those of other clients.
const FIRST_OF_SESSIONS: u64 = 1_000_000;

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
    let mut sessions = [Session::default(); SESSIONS];
    for round in 0..ROUNDS {
        trouble(&mut world);
        load(&mut world, round);
        for session in &mut sessions {
            session.go_on(&mut world);
        }
        let ms = world.rng.random_range(1..60);
        world.run_ms(ms);
    }
    world.converge();
    world.assert_linearizable();
    Summary {
        member_changes: world.newest_members().conf_ver - 1,
        acknowledged: world.acknowledged(),
        simulated_ms: world.time_ns / 1_000_000,
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Operations that were answered.
    pub acknowledged: u64,
    /// Times that the members changed.
    pub member_changes: u64,
    /// Milliseconds of the world's time.
    pub simulated_ms: u64,
}

/// At most one new fault, and sometimes a repair.
fn trouble(world: &mut World) {
    let stores = world.stores();
    let store = stores[world.rng.random_range(0..stores.len())];
    let other = stores[world.rng.random_range(0..stores.len())];
    match world.rng.random_range(0..100) {
        0..4 if world.is_up(store) => world.crash(store),
        4..10 | 46..50 if !world.is_up(store) => world.restart(store),
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
            for store in stores {
                if world.is_up(store) {
                    world.crash(store);
                    world.restart(store);
                }
            }
        }
        34..40 if loses_disks(world) => lose_disk(world, store),
        34..40 => change_members(world, store),
        43..45 => {
            let priority = world.rng.random_range(0..3);
            world.prefer(store, priority);
        }
        45 => {
            let nth = world.rng.random_range(1..12);
            world.cut_power_at(store, nth);
        }
        // A firewall refuses what the process would take.
        40..43 => world.refuse(store, other),
        _ => {}
    }
}

/// Some worlds lose a disk, and the others change members: where both happened, a majority might be lost.
fn loses_disks(world: &World) -> bool {
    world.options.seed % 5 == 1
}

/// One Store for good, once all have taken part.
fn lose_disk(world: &mut World, store: u64) {
    let whole = world
        .nodes
        .values()
        .all(|node| !node.is_lost && world.is_admitted(node.store.get()));
    if whole {
        world.wipe(store);
    }
}

/// Stores that a world may come to have.
const MOST_STORES: usize = 9;

/// A Store joins, leaves, or takes another one's place, if there is a leader to ask.
fn change_members(world: &mut World, store: u64) {
    let Some(leader) = world.leader() else { return };
    match world.rng.random_range(0..6) {
        0..2 if world.stores().len() < MOST_STORES => {
            let new = world.spawn();
            world.change(leader, &[(MemberAction::AddLearner, new)]);
        }
        2..4 => world.change(leader, &[(MemberAction::Remove, store)]),
        4 if world.stores().len() < MOST_STORES => {
            let new = world.spawn();
            world.change(
                leader,
                &[
                    (MemberAction::AddLearner, new),
                    (MemberAction::Remove, store),
                ],
            );
        }
        _ => {
            // A learner becomes a voter in the same change in which a voter leaves.
            let members = world.members(leader).unwrap_or_default();
            let learner = members.list.iter().find(|member| !member.voter);
            if let Some(learner) = learner.map(|member| member.store.get()) {
                world.change(
                    leader,
                    &[
                        (MemberAction::AddVoter, learner),
                        (MemberAction::Remove, store),
                    ],
                );
            }
        }
    }
}

/// A client that is connected to one Store, whichever that is, and asks for one thing at a time.
#[derive(Clone, Copy, Default)]
struct Session {
    /// None: its connection broke.
    store: Option<u64>,
    operation: Option<u64>,
}

impl Session {
    /// Asks for the next thing if the last one is answered.
    fn go_on(&mut self, world: &mut World) {
        if let Some(id) = self.operation {
            if world.is_waiting(id) {
                return;
            }
            self.operation = None;
            let answered = world.outcome(id);
            if !matches!(answered, Some(outcome) if outcome != Outcome::Refused) {
                self.store = None;
            }
        }
        let stores = world.stores();
        let any = stores[world.rng.random_range(0..stores.len())];
        let store = *self.store.get_or_insert(any);
        if !world.is_up(store) {
            self.store = None;
            return;
        }
        let key = world.rng.random_range(0..KEYS);
        let action = match world.rng.random_range(0..10) {
            0..3 => Client::Read,
            3..8 => Client::Increment,
            _ => Client::Write(FIRST_OF_SESSIONS + 1_000 * world.asked()),
        };
        self.operation = Some(world.ask(store, key, action));
    }
}

/// A few operations: most at the Store that leads, some at any.
fn load(world: &mut World, round: u32) {
    for nth in 0..world.rng.random_range(0..4u64) {
        let stores = world.stores();
        let any = stores[world.rng.random_range(0..stores.len())];
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
