//! Directed scenarios in the simulated world. Each is a rule of Raft or a bug that somebody had, told in verbs.

use tests::sim::{Client, Options, World};

/// Longer than any election.
const LONG_MS: u64 = 3_000;

fn world() -> World {
    World::new(Options::new(1))
}

/// Any Store but this one.
fn other_than(store: u64) -> u64 {
    store % 3 + 1
}

#[test]
fn a_leader_is_elected_and_only_one() {
    let mut world = world();
    let leader = world.elect();
    world.run_ms(LONG_MS);
    assert_eq!(
        world.leader(),
        Some(leader),
        "nobody disturbs a healthy leader"
    );
}

#[test]
fn nobody_who_answers_is_called_lost() {
    let mut world = world();
    let leader = world.elect();
    for _ in 0..LONG_MS / 10 {
        assert_eq!(world.lost(leader), [0; 0]);
        world.run_ms(10);
    }
    let gone = other_than(leader);
    world.crash(gone);
    world.run_until(LONG_MS, "the leader misses it", |world| {
        world.lost(leader) == [gone]
    });
}

#[test]
fn what_was_written_is_read() {
    let mut world = world();
    let leader = world.elect();
    world.write(leader, 1, 42);
    assert_eq!(world.read(leader, 1), Some(Some(42)));
    assert_eq!(world.read(leader, 2), Some(None));
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_follower_reads_linearizably_by_read_index() {
    let mut world = world();
    let leader = world.elect();
    let follower = other_than(leader);
    world.cut(leader, follower);
    world.write(leader, 1, 7);
    assert_eq!(
        world.peek(follower, 1),
        None,
        "the follower has not heard of it"
    );
    world.heal();
    assert_eq!(world.read(follower, 1), Some(Some(7)));
}

#[test]
fn acknowledged_writes_survive_the_crash_of_all() {
    let mut world = world();
    let leader = world.elect();
    for value in 0..20 {
        world.write(leader, (value % 4) as u8, value);
    }
    for store in 1..=3 {
        world.crash(store);
    }
    for store in 1..=3 {
        world.restart(store);
    }
    let leader = world.elect();
    for key in 0..4u8 {
        assert_eq!(world.read(leader, key), Some(Some(16 + u64::from(key))));
    }
    world.converge();
}

#[test]
fn acknowledged_writes_survive_the_loss_of_the_leader() {
    let mut world = world();
    let leader = world.elect();
    world.write(leader, 1, 5);
    world.crash(leader);
    let next = world.elect();
    assert_ne!(next, leader);
    assert_eq!(world.read(next, 1), Some(Some(5)));
    world.restart(leader);
    world.converge();
    assert_eq!(world.peek(leader, 1), Some(5));
}

#[test]
fn a_minority_acknowledges_nothing() {
    let mut world = world();
    let leader = world.elect();
    world.isolate(leader);
    let acknowledged = world.acknowledged();
    world.invoke(leader, 1, Client::Write(1));
    world.invoke(leader, 1, Client::Increment);
    world.run_ms(LONG_MS);
    assert_eq!(world.acknowledged(), acknowledged);
    world.converge();
    world.assert_linearizable();
}

#[test]
fn the_stale_tail_of_a_deposed_leader_is_replaced() {
    let mut world = world();
    let old = world.elect();
    world.write(old, 1, 1);
    world.isolate(old);
    for value in 100..110 {
        world.invoke(old, 1, Client::Write(value));
    }
    world.run_until(LONG_MS, "another leader", |world| {
        world.leader().is_some_and(|leader| leader != old)
    });
    let new = world.elect();
    world.write(new, 1, 2);
    world.write(new, 2, 3);
    // The deposed leader restarts with its longer, uncommitted tail still on its disk.
    world.crash(old);
    world.heal();
    world.restart(old);
    world.converge();
    assert_eq!(world.peek(old, 1), Some(2));
    assert_eq!(world.peek(old, 2), Some(3));
    world.assert_linearizable();
}

#[test]
fn a_leader_cut_off_loses_its_lease_before_another_leads() {
    let mut world = world();
    let old = world.elect();
    world.write(old, 1, 1);
    world.isolate(old);
    world.run_until(LONG_MS, "another leader", |world| {
        world.leader().is_some_and(|leader| leader != old)
    });
    assert!(!world.has_lease(old));
    let new = world.elect();
    world.write(new, 1, 2);
    assert_eq!(
        world.read(old, 1),
        None,
        "refused, not answered from old memory"
    );
    world.assert_linearizable();
}

#[test]
fn a_leader_paused_beyond_its_lease_does_not_answer_from_it() {
    let mut world = world();
    let old = world.elect();
    world.write(old, 1, 1);
    world.pause(old, 2_000);
    world.run_until(LONG_MS, "another leader", |world| {
        world.leader().is_some_and(|leader| leader != old)
    });
    let new = world.elect();
    world.write(new, 1, 2);
    assert!(
        !world.has_lease(old),
        "its clock went on while it was paused"
    );
    world.invoke(old, 1, Client::Read);
    world.run_ms(LONG_MS);
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_voter_that_restarts_does_not_help_to_break_a_lease() {
    // It has promised loyalty to the leader and forgets it in the restart.
    for seed in 0..20 {
        let mut world = World::new(Options::new(seed));
        let leader = world.elect();
        let voter = other_than(leader);
        let rival = other_than(voter);
        assert_ne!(rival, leader);
        world.cut(leader, rival);
        world.run_ms(250);
        world.crash(voter);
        world.restart(voter);
        world.cut(leader, voter);
        world.run_until(LONG_MS, "a rival or the end of the lease", |world| {
            world.leader() != Some(leader) || !world.has_lease(leader)
        });
        assert!(
            !world.has_lease(leader),
            "seed {seed}: two Stores could answer reads"
        );
    }
}

#[test]
fn leadership_moves_on_request_and_the_lease_with_it() {
    let mut world = world();
    let leader = world.elect();
    let target = other_than(leader);
    world.write(leader, 1, 1);
    world.transfer(leader, target);
    assert!(
        !world.has_lease(leader),
        "the target may campaign at any moment"
    );
    world.run_until(LONG_MS, "the target to lead", |world| {
        world.leader() == Some(target)
    });
    let now = world.elect();
    world.write(now, 1, 2);
    assert_eq!(world.read(now, 1), Some(Some(2)));
    world.assert_linearizable();
}

#[test]
fn the_log_is_compacted_behind_a_checkpoint_and_replayed_from_it() {
    let mut world = World::new(Options {
        stores: 1,
        ..Options::new(3)
    });
    let only = world.elect();
    for value in 0..50 {
        world.write(only, (value % 5) as u8, value);
    }
    world.checkpoint(only);
    assert!(world.first_log_index(only).get() > 50, "compacted");
    world.write(only, 1, 1_000);
    world.crash(only);
    world.restart(only);
    world.elect();
    assert_eq!(
        world.read(only, 1),
        Some(Some(1_000)),
        "from the log after the checkpoint"
    );
    assert_eq!(world.read(only, 2), Some(Some(47)), "from the checkpoint");
}

#[test]
fn a_follower_that_fell_behind_the_log_catches_up_by_snapshot() {
    let mut world = World::new(Options {
        log_retention_bytes: 0,
        ..Options::new(4)
    });
    let leader = world.elect();
    let follower = other_than(leader);
    world.crash(follower);
    for value in 0..40 {
        world.write(leader, (value % 5) as u8, value);
    }
    world.checkpoint(leader);
    let compacted = world.first_log_index(leader);
    assert!(
        compacted > world.applied(follower),
        "the follower needs entries that are gone"
    );
    world.restart(follower);
    world.run_until(LONG_MS, "the follower to catch up", |world| {
        world.applied(follower).next() >= compacted
    });
    world.converge();
    assert_eq!(world.peek(follower, 4), Some(39));
}

/// What it proposed in its former term, and cannot tell the outcome of, is not mixed up with what it proposes now.
#[test]
fn a_leader_that_leads_again_answers_for_what_it_proposes_now() {
    let mut world = world();
    let leader = world.elect();
    world.isolate(leader);
    for value in 0..20 {
        world.invoke(leader, 2, Client::Write(value));
        world.run_ms(10);
    }
    world.run_until(LONG_MS, "another leader", |world| {
        world.leader().is_some_and(|other| other != leader)
    });
    world.heal();
    let other = world.elect();
    assert_ne!(other, leader);
    world.transfer(other, leader);
    world.run_until(LONG_MS, "it leads again", |world| {
        world.leader() == Some(leader)
    });
    // Longer than it waits to hear of the former ones.
    for value in 0..1_000 {
        world.write(leader, 1, value);
        world.run_ms(5);
    }
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_one_way_cut_does_not_stop_the_cluster() {
    let mut world = world();
    let leader = world.elect();
    let deaf = other_than(leader);
    world.cut(leader, deaf);
    world.run_ms(LONG_MS);
    let leader = world.elect();
    world.write(leader, 1, 9);
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_clock_that_jumps_changes_no_history() {
    let mut world = world();
    let leader = world.elect();
    world.write(leader, 1, 1);
    world.jump_clock(leader, -3_600_000);
    world.write(leader, 1, 2);
    world.jump_clock(leader, 7_200_000);
    world.write(leader, 1, 3);
    assert_eq!(world.read(leader, 1), Some(Some(3)));
    world.converge();
    world.assert_linearizable();
}

/// The answer to a read that a Store asked for before it crashed may arrive when it asks for another one.
#[test]
fn an_answer_to_the_former_process_is_not_taken_for_one_to_the_new() {
    let mut world = world();
    let leader = world.elect();
    let follower = other_than(leader);
    world.write(leader, 1, 1);
    world.run_ms(100);
    world.hold(leader, follower);
    world.invoke(follower, 1, Client::Read);
    world.run_ms(10);
    world.crash(follower);
    world.restart(follower);
    world.write(leader, 1, 2);
    world.run_ms(1);
    let mut released = 0;
    // Each time it has heard a little more: first who leads, then the answer.
    while released < 20 && world.release_one() {
        world.invoke(follower, 1, Client::Read);
        released += 1;
    }
    assert!(released > 2);
    world.run_ms(LONG_MS);
    world.assert_linearizable();
}

#[test]
fn leadership_goes_to_the_store_of_the_highest_priority_and_comes_back_to_it() {
    let mut world = world();
    let leader = world.elect();
    let better = other_than(leader);
    world.prefer(better, 1);
    world.run_until(30_000, "the better one leads", |world| {
        world.leader() == Some(better)
    });
    world.crash(better);
    world.run_until(LONG_MS, "another one leads", |world| {
        world.leader().is_some_and(|leader| leader != better)
    });
    world.restart(better);
    world.run_until(60_000, "the better one leads again", |world| {
        world.leader() == Some(better)
    });
    world.run_ms(30_000);
    assert_eq!(world.leader(), Some(better), "it stays");
    world.converge();
}

#[test]
fn a_follower_with_a_full_disk_waits_and_then_has_everything() {
    let mut world = world();
    let leader = world.elect();
    let full = other_than(leader);
    world.fill_disk(full, true);
    for value in 0..20 {
        world.write(leader, 1, value);
    }
    let applied = world.applied(full);
    world.run_ms(LONG_MS);
    assert_eq!(world.leader(), Some(leader), "it disturbs nobody");
    assert_eq!(world.applied(full), applied, "and takes part in nothing");
    world.fill_disk(full, false);
    world.converge();
    assert_eq!(world.peek(full, 1), Some(19));
    world.assert_linearizable();
}

#[test]
fn a_leader_whose_disk_fills_up_acknowledges_nothing_and_is_replaced() {
    let mut world = world();
    let full = world.elect();
    world.write(full, 1, 1);
    world.fill_disk(full, true);
    let acknowledged = world.acknowledged();
    world.invoke(full, 1, Client::Write(2));
    world.run_until(LONG_MS, "another one leads", |world| {
        world.leader().is_some_and(|other| other != full)
    });
    let leader = world.elect();
    assert_eq!(world.acknowledged(), acknowledged);
    for value in 10..20 {
        world.write(leader, 2, value);
    }
    assert!(!world.has_lease(full));
    world.fill_disk(full, false);
    world.converge();
    assert_eq!(world.peek(full, 2), Some(19));
    world.assert_linearizable();
}

#[test]
fn all_with_full_disks_go_on_when_there_is_room() {
    let mut world = world();
    let leader = world.elect();
    world.write(leader, 1, 1);
    for store in 1..=3 {
        world.fill_disk(store, true);
    }
    let acknowledged = world.acknowledged();
    world.invoke(leader, 1, Client::Write(2));
    world.run_ms(LONG_MS);
    assert_eq!(world.acknowledged(), acknowledged);
    world.crash(leader);
    world.fill_disk(leader, false);
    for store in 1..=3 {
        world.fill_disk(store, false);
    }
    world.restart(leader);
    let leader = world.elect();
    world.write(leader, 1, 3);
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_leader_whose_disk_is_nearly_full_hands_over_to_one_with_room() {
    let mut world = world();
    let leader = world.elect();
    // One of the others has no room either.
    let low = other_than(leader);
    let roomy = other_than(low);
    world.lower_disk(low, true);
    world.lower_disk(leader, true);
    world.run_until(LONG_MS, "the one with room leads", |world| {
        world.leader() == Some(roomy)
    });
    world.run_ms(LONG_MS);
    assert_eq!(world.leader(), Some(roomy));
    world.write(roomy, 1, 1);
    world.converge();
}

#[test]
fn a_leader_with_a_slow_disk_hands_over_to_one_with_a_fast_one() {
    let mut world = world();
    let leader = world.elect();
    world.slow_disk(leader, 300);
    let writes = (0..500).take_while(|&value| {
        // Refused while leadership is being handed over.
        world.perform(leader, 1, Client::Write(value));
        world.run_ms(10);
        world.leader() == Some(leader)
    });
    assert!(writes.count() < 500, "it goes on leading");
    world.run_until(LONG_MS, "another one leads", |world| {
        world.leader().is_some_and(|other| other != leader)
    });
    // When all are slow, it stays where it is.
    let leader = world.elect();
    for store in 1..=3 {
        world.slow_disk(store, 300);
    }
    for value in 1_000..1_200 {
        world.write(leader, 1, value);
        world.run_ms(20);
    }
    assert_eq!(world.leader(), Some(leader));
    world.converge();
}

#[test]
fn on_a_long_line_heartbeats_are_so_frequent_that_the_lease_does_not_end() {
    let mut world = world();
    world.lengthen_lines(50);
    let leader = world.elect();
    world.run_ms(2_000);
    for _ in 0..1_000 {
        world.run_ms(2);
        assert!(world.has_lease(leader));
    }
}
