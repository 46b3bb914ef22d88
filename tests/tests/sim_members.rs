//! Members change in the simulated world: what broke RedisRaft, and what must not disturb anybody.

use storage::proto::command::MemberAction::{self, AddLearner, Remove};
use tests::sim::{Client, Options, World};

fn voters(world: &World, store: u64) -> Vec<u64> {
    let members = world.members(store).unwrap_or_default();
    let voters = members.list.iter().filter(|member| member.voter);
    voters.map(|member| member.store.get()).collect()
}

/// A world with its leader.
fn elected(seed: u64) -> (World, u64) {
    let mut world = World::new(Options::new(seed));
    let leader = world.elect();
    (world, leader)
}

/// Asks again and again: a change is refused while another one is under way, and by a leader that does not know yet who answers.
fn change(
    world: &mut World,
    leader: u64,
    steps: &[(MemberAction, u64)],
    done: impl Fn(&World) -> bool,
) {
    for _ in 0..100 {
        if done(world) {
            return;
        }
        world.change(leader, steps);
        world.run_ms(100);
    }
    panic!("{steps:?} is not done:\n{}", world.describe());
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
    change(world, leader, &[(AddLearner, new)], |world| {
        is_member(world, leader, new)
    });
    world.run_until(10_000, "the new Store votes", |world| {
        voters(world, leader).contains(&new) && voters(world, new).contains(&new)
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
fn a_change_during_a_partition_is_made_by_one_side_only() {
    for seed in 0..20 {
        let (mut world, leader) = elected(seed);
        world.write(leader, 1, 7);
        // The old leader is alone with its wish; the others elect another one and remove it.
        world.isolate(leader);
        let new = world.spawn();
        world.change(leader, &[(AddLearner, new)]);
        world.run_until(10_000, "another leader", |world| {
            world.leader().is_some_and(|other| other != leader)
        });
        let other = world.elect();
        world.run_ms(1_000);
        change(&mut world, other, &[(Remove, leader)], |world| {
            voters(world, other).len() == 2
        });
        world.write(other, 1, 8);
        world.heal();
        world.run_ms(3_000);
        assert!(!voters(&world, other).contains(&leader), "seed {seed}");
        assert_eq!(world.leader(), Some(other), "seed {seed}");
        world.converge();
    }
}

#[test]
fn a_removed_store_that_runs_on_disturbs_nobody() {
    for seed in 0..10 {
        let (mut world, leader) = elected(seed);
        let removed = leader % 3 + 1;
        // It does not learn of its removal.
        world.isolate(removed);
        change(&mut world, leader, &[(Remove, removed)], |world| {
            voters(world, leader).len() == 2
        });
        let term = world.term(leader);
        world.heal();
        for value in 0..20 {
            world.write(leader, 2, value);
            world.run_ms(200);
        }
        assert_eq!(
            world.term(leader),
            term,
            "seed {seed}: there was an election"
        );
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
        change(
            &mut world,
            leader,
            &[(AddLearner, new), (Remove, old)],
            |world| !is_member(world, leader, old),
        );
        world.run_until(10_000, "the new Store votes", |world| {
            voters(world, leader) == expected
        });
        assert_eq!(voters(&world, leader), expected, "seed {seed}");
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
        change(&mut world, leader, &[(AddLearner, new)], |world| {
            is_member(world, leader, new)
        });
        for _ in 0..5 {
            world.run_ms(7 + seed * 5);
            world.crash(new);
            world.restart(new);
        }
        world.run_until(20_000, "the new Store votes", |world| {
            voters(world, leader).contains(&new)
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
    change(&mut world, leader, &[(AddLearner, new)], |world| {
        is_member(world, leader, new)
    });
    for value in 0..rounds {
        if voters(&world, leader).contains(&new) {
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
        voters(&world, leader).contains(&new),
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
    assert!(!voters(&world, leader).contains(&new));
    world.slow_snapshots(30);
    world.run_until(70_000, "it votes when the load is over", |world| {
        voters(world, leader).contains(&new)
    });
    world.converge();
}
