//! Replicas whose data differs, in the simulated world: found by comparing, and stopped.

use storage::proto::command::MemberAction;
use tests::sim::{Options, World};

/// Many checks.
const LONG_MS: u64 = 20_000;

fn world() -> (World, u64, u64) {
    let mut world = World::new(Options::new(1));
    let leader = world.elect();
    for key in 0..8 {
        world.write(leader, key, 1);
    }
    (world, leader, leader % 3 + 1)
}

#[test]
fn a_follower_that_has_lost_a_command_is_stopped() {
    let (mut world, leader, wrong) = world();
    world.forget(wrong);
    world.write(leader, 3, 2);
    world.run_until(LONG_MS, "the wrong one stops", |world| !world.is_up(wrong));
    world.run_ms(LONG_MS);
    let right = (1..=3).filter(|&store| store != wrong);
    assert!(right.clone().all(|store| world.is_up(store)));
    for store in right {
        assert_eq!(world.read(store, 3), Some(Some(2)));
    }
}

#[test]
fn a_leader_whose_data_is_wrong_stops_itself() {
    let (mut world, leader, wrong) = world();
    world.forget(wrong);
    world.write(leader, 3, 2);
    world.transfer(leader, wrong);
    world.run_until(LONG_MS, "the wrong one stops", |world| !world.is_up(wrong));
    let leader = world.elect();
    assert_ne!(leader, wrong);
    assert_eq!(world.read(leader, 3), Some(Some(2)));
    world.write(leader, 4, 3);
}

#[test]
fn replicas_that_agree_are_left_in_peace_and_then_alone() {
    let (mut world, leader, _) = world();
    world.run_ms(LONG_MS);
    let settled = world.applied(leader);
    world.run_ms(LONG_MS);
    assert_eq!(world.applied(leader), settled, "nothing has changed since");
    world.write(leader, 1, 2);
    world.run_ms(LONG_MS);
    assert!(
        world.applied(leader) > settled.next(),
        "what is new is checked"
    );
    assert!((1..=3).all(|store| world.is_up(store)));
}

#[test]
fn a_replica_that_was_away_finds_out_by_itself() {
    let (mut world, leader, wrong) = world();
    world.forget(wrong);
    world.write(leader, 3, 2);
    world.run_until(LONG_MS, "it has forgotten", |world| {
        world.applied(wrong) == world.applied(leader)
    });
    world.isolate(wrong);
    let leader = world.elect();
    world.write(leader, 4, 2);
    world.run_ms(LONG_MS);
    assert!(world.is_up(wrong), "nobody could tell it");
    world.heal();
    world.run_until(LONG_MS, "the wrong one stops", |world| !world.is_up(wrong));
}

#[test]
fn a_learner_that_has_lost_a_command_is_stopped() {
    let (mut world, leader, _) = world();
    let learner = world.spawn();
    world.change_until(leader, &[(MemberAction::AddLearner, learner)], |world| {
        let members = world.members(leader).unwrap_or_default();
        members.list.len() == 4
    });
    // What it is to lose comes behind the snapshot.
    world.cut(leader, learner);
    world.write(leader, 3, 2);
    // Nobody is promoted while a disk is nearly full.
    for store in 1..=3 {
        world.lower_disk(store, true);
    }
    world.forget(learner);
    world.heal();
    world.run_until(LONG_MS, "it stops", |world| !world.is_up(learner));
    let members = world.members(leader).unwrap_or_default();
    assert_eq!(members.list.iter().filter(|member| member.voter).count(), 3);
    assert!((1..=3).all(|store| world.is_up(store)));
}
