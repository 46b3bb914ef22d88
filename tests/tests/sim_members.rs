//! Members change in the simulated world; what broke RedisRaft there is in `redisraft_regressions`.

use storage::proto::command::MemberAction::{AddLearner, Remove};
use tests::sim::{Client, Options, World};

/// A world with its leader.
fn elected(seed: u64) -> (World, u64) {
    let mut world = World::new(Options::new(seed));
    let leader = world.elect();
    (world, leader)
}

fn is_member(world: &World, leader: u64, store: u64) -> bool {
    world.members(leader).is_some_and(|members| {
        members
            .list
            .iter()
            .any(|member| member.store.get() == store)
    })
}

/// Adds a Store and waits until it votes.
fn grow(world: &mut World, leader: u64) -> u64 {
    let new = world.spawn();
    world.change_until(leader, &[(AddLearner, new)], |world| {
        is_member(world, leader, new)
    });
    world.run_until(10_000, "the new Store votes", |world| {
        world.voters(leader).contains(&new) && world.voters(new).contains(&new)
    });
    new
}

#[test]
fn a_new_store_gets_everything_and_counts_for_a_majority() {
    for seed in 0..10 {
        let (mut world, leader) = elected(seed);
        world.write(leader, 1, 7);
        let fourth = grow(&mut world, leader);
        let fifth = grow(&mut world, leader);
        assert_eq!(world.peek(fourth, 1), Some(7));
        // Two of the founders may go now.
        let others: Vec<u64> = (1..=3).filter(|store| *store != leader).collect();
        for other in others {
            world.crash(other);
        }
        world.write(leader, 1, 8);
        world.run_ms(500);
        assert_eq!(world.peek(fifth, 1), Some(8));
        world.converge();
    }
}

#[test]
fn a_store_is_replaced_by_a_joint_change() {
    for seed in 0..10 {
        let (mut world, leader) = elected(seed);
        let (new, old) = (world.spawn(), leader % 3 + 1);
        let mut expected: Vec<u64> = (1..=3).filter(|store| *store != old).collect();
        expected.push(new);
        world.change_until(leader, &[(AddLearner, new), (Remove, old)], |world| {
            !is_member(world, leader, old)
        });
        world.run_until(10_000, "the new Store votes", |world| {
            world.voters(leader) == expected
        });
        assert_eq!(world.voters(leader), expected, "seed {seed}");
        world.converge();
    }
}

#[test]
fn a_joining_store_crashes_at_any_moment_and_joins_all_the_same() {
    for seed in 0..20 {
        let (mut world, leader) = elected(seed);
        for value in 0..30 {
            world.write(leader, 3, value);
        }
        let new = world.spawn();
        world.change_until(leader, &[(AddLearner, new)], |world| {
            is_member(world, leader, new)
        });
        for _ in 0..5 {
            world.run_ms(7 + seed * 5);
            world.crash(new);
            world.restart(new);
        }
        world.run_until(20_000, "the new Store votes", |world| {
            world.voters(leader).contains(&new)
        });
        world.converge();
    }
}

/// A leader that keeps little of the log, under a load that never ends, while a new Store gets a snapshot that takes long.
fn joins_under_load(log_retention_bytes: u64, snapshot_ms: u64, rounds: u64) -> (World, u64, u64) {
    let mut world = World::new(Options {
        log_retention_bytes,
        ..Options::new(9)
    });
    let leader = world.elect();
    world.slow_snapshots(snapshot_ms);
    let new = world.spawn();
    world.change_until(leader, &[(AddLearner, new)], |world| {
        is_member(world, leader, new)
    });
    for value in 0..rounds {
        if world.voters(leader).contains(&new) {
            break;
        }
        world.invoke(leader, 4, Client::Write(value));
        world.run_ms(10);
        if value % 10 == 0 {
            world.checkpoint(leader);
        }
        let bytes = world.log_bytes(leader);
        assert!(
            bytes <= 10 * log_retention_bytes,
            "the log has {bytes} bytes after {value} writes:\n{}",
            world.describe()
        );
    }
    (world, leader, new)
}

#[test]
fn a_joining_store_whose_snapshot_takes_long_catches_up_under_load() {
    let (mut world, leader, new) = joins_under_load(20_000, 1_000, 400);
    assert!(
        world.voters(leader).contains(&new),
        "it needed {} snapshots:\n{}",
        world.snapshots_sent(),
        world.describe()
    );
    assert_eq!(world.snapshots_sent(), 1);
    world.converge();
}

#[test]
fn the_log_does_not_grow_without_bound_for_a_store_that_is_too_slow() {
    let (mut world, leader, new) = joins_under_load(20_000, 60_000, 1_000);
    assert!(!world.voters(leader).contains(&new));
    world.slow_snapshots(30);
    world.run_until(70_000, "it votes when the load is over", |world| {
        world.voters(leader).contains(&new)
    });
    world.converge();
}
