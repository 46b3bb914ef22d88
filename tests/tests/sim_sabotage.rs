//! The proof that the checkers notice a broken rule: builds that break one on purpose, each of which some check must catch.
//!
//! Most are caught by the swarm within a few seeds. Where chance would have to be kind, a scenario leads to the spot; without the
//! broken rule it must pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use storage::proto::command::RequestHeader;
use storage::proto::store::RegionEpoch;
use tests::sim::{Client, Options, Outcome, Sabotage, World, swarm};

/// Seeds among which a broken rule must be noticed.
const SEEDS: u64 = 200;

/// Longer than any election.
const LONG_MS: u64 = 3_000;

/// Whether a check fails in what `run` does; what it says is not printed.
fn fails(run: impl FnOnce()) -> bool {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failed = catch_unwind(AssertUnwindSafe(run)).is_err();
    std::panic::set_hook(quiet);
    failed
}

/// The swarm must fail with one of the seeds.
fn assert_noticed(sabotage: Sabotage) {
    let noticed = (0..SEEDS).any(|seed| {
        fails(|| {
            swarm::run(seed, sabotage);
        })
    });
    assert!(noticed, "{sabotage:?} is not noticed within {SEEDS} seeds");
}

fn world(seed: u64, sabotage: Sabotage) -> World {
    World::new(Options {
        sabotage,
        ..Options::new(seed)
    })
}

#[test]
fn a_log_that_is_not_synced_is_noticed() {
    assert_noticed(Sabotage::SkipFsync);
}

#[test]
fn acknowledgements_before_the_fsync_are_noticed() {
    assert_noticed(Sabotage::AcknowledgeBeforeFsync);
}

#[test]
fn a_log_compacted_beyond_the_durable_checkpoint_is_noticed() {
    assert_noticed(Sabotage::CompactBeyondCheckpoint);
}

#[test]
fn replicas_that_execute_at_random_are_noticed() {
    assert_noticed(Sabotage::ApplyAtRandom);
}

#[test]
fn reads_without_a_lease_are_noticed() {
    assert_noticed(Sabotage::IgnoreLease);
}

#[test]
fn reads_without_read_index_are_noticed() {
    assert_noticed(Sabotage::SkipReadIndex);
}

/// A follower gets a snapshot, and its power fails with the `nth` write to its disk from then on.
fn cut_power_while_installing(nth: u64, sabotage: Sabotage) {
    let mut world = World::new(Options {
        sabotage,
        log_retention_bytes: 0,
        ..Options::new(4)
    });
    let leader = world.elect();
    let follower = leader % 3 + 1;
    for value in 0..10 {
        world.write(leader, value as u8, value);
    }
    world.checkpoint(follower);
    world.crash(follower);
    for value in 10..50 {
        world.write(leader, (value % 5) as u8, value);
    }
    world.checkpoint(leader);
    world.restart(follower);
    world.cut_power_at(follower, nth);
    world.run_ms(LONG_MS);
    world.converge();
}

#[test]
fn an_installation_without_its_mark_is_noticed() {
    let writes = || 1..30;
    for nth in writes() {
        cut_power_while_installing(nth, Sabotage::None);
    }
    let noticed =
        writes().any(|nth| fails(|| cut_power_while_installing(nth, Sabotage::InstallWithoutMark)));
    assert!(noticed);
}

/// A leader does not hear that the others have its entry, and is deposed; they commit it.
fn commit_what_the_leader_lost(sabotage: Sabotage) {
    let mut world = world(1, sabotage);
    let leader = world.elect();
    world.write(leader, 1, 1);
    for other in (1..=3).filter(|other| *other != leader) {
        world.cut(other, leader);
    }
    world.invoke(leader, 1, Client::Write(2));
    // Longer than it waits for the outcome.
    world.run_ms(10 * LONG_MS);
    world.converge();
    let new = world.elect();
    assert_eq!(world.read(new, 1), Some(Some(2)));
    world.assert_linearizable();
}

#[test]
fn an_unknown_outcome_that_is_called_a_refusal_is_noticed() {
    commit_what_the_leader_lost(Sabotage::None);
    assert!(fails(|| commit_what_the_leader_lost(
        Sabotage::RefuseTheUnknown
    )));
}

/// A deposed leader's tail is longer than what replaces it, and it restarts.
fn replace_a_longer_tail(sabotage: Sabotage) {
    let mut world = world(1, sabotage);
    let old = world.elect();
    world.write(old, 1, 1);
    world.isolate(old);
    // Two entries; what comes later waits for them.
    world.invoke(old, 1, Client::Write(100));
    world.run_ms(1);
    world.invoke(old, 1, Client::Write(101));
    world.run_until(LONG_MS, "another leader", |world| {
        world.leader().is_some_and(|leader| leader != old)
    });
    // One entry, which opens its term.
    let new = world.elect();
    world.heal();
    world.run_until(LONG_MS, "the old leader has it", |world| {
        world.applied(old) == world.applied(new)
    });
    world.crash(old);
    world.restart(old);
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_stale_tail_that_stays_is_noticed() {
    replace_a_longer_tail(Sabotage::None);
    assert!(fails(|| replace_a_longer_tail(Sabotage::KeepStaleTail)));
}

/// A voter elects a leader, restarts, and is asked by another candidate of the same term, which has not heard of that leader.
fn vote_twice(sabotage: Sabotage) {
    let mut world = world(1, sabotage);
    let late = world.elect();
    world.write(late, 1, 1);
    world.run_ms(LONG_MS);
    world.crash(late);
    world.run_until(LONG_MS, "a leader of the next term", |world| {
        world.leader().is_some()
    });
    let elected = world.leader().expect("just elected");
    let voter = 6 - late - elected;
    // What the new leader sends reaches nobody.
    world.crash(voter);
    world.isolate(elected);
    world.invoke(elected, 1, Client::Write(2));
    world.run_ms(200);
    world.restart(late);
    world.restart(voter);
    world.run_until(LONG_MS, "a leader of the other two", |world| {
        world.has_lease(late) || world.has_lease(voter)
    });
    let other = if world.has_lease(late) { late } else { voter };
    world.write(other, 1, 3);
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_forgotten_vote_is_noticed() {
    vote_twice(Sabotage::None);
    assert!(fails(|| vote_twice(Sabotage::ForgetVote)));
}

/// A voter on which the leader's lease rests restarts again and again, while another Store, which does not hear the leader, asks for
/// its vote.
fn campaign_under_a_lease(seed: u64, sabotage: Sabotage) {
    let mut world = world(seed, sabotage);
    let leader = world.elect();
    let (voter, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    world.write(leader, 1, 1);
    world.cut(leader, other);
    world.cut(other, leader);
    for round in 0..100 {
        world.crash(voter);
        world.restart(voter);
        for _ in 0..10 {
            world.run_ms(7);
            if world.leader() == Some(other) {
                world.invoke(other, 1, Client::Write(round + 2));
            }
            if world.has_lease(leader) {
                world.invoke(leader, 1, Client::Read);
            }
        }
        if world.leader() == Some(other) {
            break;
        }
    }
    world.converge();
    world.assert_linearizable();
}

#[test]
fn loyalty_that_is_forgotten_in_a_restart_is_noticed() {
    for seed in 0..3 {
        campaign_under_a_lease(seed, Sabotage::None);
    }
    let noticed =
        (0..SEEDS).any(|seed| fails(|| campaign_under_a_lease(seed, Sabotage::ForgetLoyalty)));
    assert!(noticed);
}

/// What was made for another Region, epoch or term must be refused, and leave nothing behind.
fn propose_the_outdated(sabotage: Sabotage) {
    let mut world = world(1, sabotage);
    let leader = world.elect();
    let current = RequestHeader {
        region_id: 1,
        epoch: Some(RegionEpoch {
            conf_ver: 1,
            version: 1,
        }),
        term: world.term(leader).get(),
        ..RequestHeader::default()
    };
    let written = world.write_made_for(leader, 1, 1, current);
    assert_eq!(written, Outcome::Written);
    let outdated = [
        RequestHeader {
            region_id: 2,
            ..current
        },
        RequestHeader {
            epoch: Some(RegionEpoch {
                conf_ver: 1,
                version: 2,
            }),
            ..current
        },
        RequestHeader {
            epoch: Some(RegionEpoch {
                conf_ver: 2,
                version: 1,
            }),
            ..current
        },
        RequestHeader {
            term: current.term - 1,
            ..current
        },
    ];
    for header in outdated {
        let outcome = world.write_made_for(leader, 1, 2, header);
        assert_eq!(outcome, Outcome::Refused, "{header:?}");
        assert_eq!(world.read(leader, 1), Some(Some(1)));
    }
    world.converge();
    world.assert_linearizable();
}

#[test]
fn an_epoch_that_nobody_checks_is_noticed() {
    propose_the_outdated(Sabotage::None);
    assert!(fails(|| propose_the_outdated(Sabotage::IgnoreEpoch)));
}

/// A follower forwards an increment, and does not hear that it was executed.
fn forward_unheard(sabotage: Sabotage) {
    let mut world = world(1, sabotage);
    let leader = world.elect();
    let follower = leader % 3 + 1;
    world.run_ms(100);
    world.cut(leader, follower);
    let id = world.ask(follower, 1, Client::Increment);
    world.run_ms(1_500);
    world.heal();
    world.run_until(LONG_MS, "an answer", |world| !world.is_waiting(id));
    assert_eq!(world.outcome(id), Some(Outcome::Number(1)));
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_forwarded_write_that_is_sent_twice_is_noticed() {
    forward_unheard(Sabotage::None);
    assert!(fails(|| forward_unheard(Sabotage::SendTwice)));
}

/// A forwarded increment is under way for so long that its leader leads again, in a later term, when it comes.
fn forward_late(sabotage: Sabotage) {
    let mut world = world(1, sabotage);
    let leader = world.elect();
    let (follower, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    world.run_ms(100);
    // For longer than a connection may be silent: then the log is asked, and the request is sent again.
    world.lengthen_lines(1_500);
    let id = world.ask(follower, 1, Client::Increment);
    world.lengthen_lines(0);
    world.transfer(leader, other);
    world.run_until(LONG_MS, "the other one leads", |world| {
        world.leader() == Some(other)
    });
    assert_eq!(world.elect(), other);
    world.transfer(other, leader);
    world.run_until(LONG_MS, "it leads again", |world| {
        world.leader() == Some(leader)
    });
    world.run_until(LONG_MS, "an answer", |world| !world.is_waiting(id));
    assert_eq!(world.outcome(id), Some(Outcome::Number(1)));
    world.run_ms(LONG_MS);
    assert_eq!(world.elect(), leader);
    assert_eq!(world.read(leader, 1), Some(Some(1)));
    world.converge();
    world.assert_linearizable();
}

#[test]
fn a_forwarded_write_that_is_bound_to_no_term_is_noticed() {
    forward_late(Sabotage::None);
    assert!(fails(|| forward_late(Sabotage::UnbindForwarded)));
}

/// A snapshot takes the place of the entry that a forwarded increment is in.
fn forward_behind_a_snapshot(sabotage: Sabotage) {
    let mut world = World::new(Options {
        sabotage,
        log_retention_bytes: 0,
        ..Options::new(1)
    });
    let leader = world.elect();
    let (follower, other) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    world.run_ms(100);
    world.cut(leader, follower);
    world.cut(other, follower);
    let id = world.ask(follower, 1, Client::Increment);
    world.run_ms(200);
    world.transfer(leader, other);
    world.run_until(LONG_MS, "the other one leads", |world| {
        world.leader() == Some(other)
    });
    assert_eq!(world.elect(), other);
    world.write(other, 2, 1);
    world.run_ms(100);
    world.checkpoint(leader);
    world.checkpoint(other);
    world.run_ms(900);
    world.heal();
    world.run_until(LONG_MS, "an answer", |world| !world.is_waiting(id));
    assert!(world.snapshots_sent() > 0);
    world.converge();
    world.assert_linearizable();
    let leader = world.elect();
    assert_eq!(world.read(leader, 1), Some(Some(1)));
}

#[test]
fn a_claim_that_outlives_a_snapshot_is_noticed() {
    forward_behind_a_snapshot(Sabotage::None);
    assert!(fails(|| forward_behind_a_snapshot(Sabotage::KeepClaims)));
}
