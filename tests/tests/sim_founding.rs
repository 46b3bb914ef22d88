//! Founders of a cluster that are late, and founders that come back without what they had.

use storage::proto::command::MemberAction::{AddLearner, Remove};
use tests::sim::{Options, World};

/// Long enough for many elections.
const LONG_MS: u64 = 20_000;

/// A world in which everybody takes part: the leader, and the others.
fn founded(seed: u64) -> (World, u64, [u64; 2]) {
    let mut world = World::new(Options::new(seed));
    world.run_until(10_000, "all take part", |world| {
        (1..=3).all(|store| world.is_admitted(store))
    });
    let leader = world.elect();
    let [second, third] = [leader % 3 + 1, (leader + 1) % 3 + 1];
    (world, leader, [second, third])
}

/// A world whose third Store never started.
fn without_the_third(seed: u64) -> World {
    let mut world = World::new(Options::new(seed));
    world.wipe(3);
    world
}

#[test]
fn a_voter_without_its_disk_elects_nobody_who_lacks_what_it_had_acknowledged() {
    for seed in 0..20 {
        let (mut world, leader, [acknowledges, behind]) = founded(seed);
        world.isolate(behind);
        world.write(leader, 1, 7);
        world.crash(leader);
        world.wipe(acknowledges);
        world.heal();
        world.restart(acknowledges);
        world.run_ms(LONG_MS);
        assert_eq!(world.leader(), None, "seed {seed}");
        assert!(world.refusal(acknowledges).is_some(), "seed {seed}");
        world.restart(leader);
        world.elect();
        world.run_ms(1_000);
        let leader = world.elect();
        assert_eq!(world.read(leader, 1), Some(Some(7)), "seed {seed}");
        // Another Store takes its place.
        let new = world.spawn();
        for _ in 0..20 {
            world.change(leader, &[(AddLearner, new), (Remove, acknowledges)]);
            world.run_ms(200);
        }
        let members = world.members(leader).expect("it runs").list;
        let members: Vec<u64> = members.iter().map(|member| member.store.get()).collect();
        assert!(!members.contains(&acknowledges), "seed {seed}: {members:?}");
        world.converge();
        assert_eq!(world.peek(new, 1), Some(7), "seed {seed}");
    }
}

#[test]
fn a_voter_without_its_disk_stops_and_the_others_go_on() {
    for seed in 0..20 {
        let (mut world, leader, [lost, _]) = founded(seed);
        world.write(leader, 1, 7);
        let term = world.term(leader);
        world.wipe(lost);
        world.restart(lost);
        world.run_until(10_000, "it is told", |world| world.refusal(lost).is_some());
        let reason = world.refusal(lost).unwrap_or_default();
        let advice = format!("RAFT.NODE REMOVE {lost}");
        assert!(reason.contains(&advice), "{reason}");
        world.write(leader, 1, 8);
        assert_eq!(world.term(leader), term, "seed {seed}");
        world.converge();
    }
}

#[test]
fn two_of_three_found_a_cluster_and_the_third_is_let_in() {
    for seed in 0..20 {
        let mut world = without_the_third(seed);
        let leader = world.elect();
        world.write(leader, 1, 7);
        world.run_ms(1_000);
        world.restart(3);
        world.run_until(10_000, "the third has everything", |world| {
            world.peek(3, 1) == Some(7)
        });
        // It counts.
        let leader = world.elect();
        world.crash(if leader == 3 { 1 } else { 3 - leader });
        world.write(leader, 1, 8);
    }
}

#[test]
fn one_alone_founds_nothing() {
    for seed in 0..10 {
        let mut world = without_the_third(seed);
        world.crash(2);
        world.run_ms(LONG_MS);
        assert_eq!((world.leader(), world.is_admitted(1)), (None, false));
        world.restart(2);
        world.elect();
    }
}

/// The third has heard from the leader when that dies, though it was never let in.
#[test]
fn a_late_founder_does_not_found_a_second_cluster_with_one_that_has_lost_its_disk() {
    for seed in 0..20 {
        let mut world = without_the_third(seed);
        let leader = world.elect();
        let other = leader % 2 + 1;
        world.write(leader, 1, 7);
        world.cut(3, other);
        world.cut(other, 3);
        world.restart(3);
        world.run_ms(1_000);
        assert!(!world.is_admitted(3), "seed {seed}: one is not enough");
        world.crash(leader);
        world.wipe(other);
        world.heal();
        world.restart(other);
        world.run_ms(LONG_MS);
        assert_eq!(world.leader(), None, "seed {seed}");
        assert!(world.refusal(other).is_some(), "seed {seed}");
        assert!(!world.is_admitted(3), "seed {seed}");
    }
}
