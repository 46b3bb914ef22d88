//! When a Peer that hears from no leader campaigns.
//!
//! | what is known | it campaigns |
//! |---|---|
//! | nothing: the leader may be slow, or the network | after the patience, lengthened by up to as much again, drawn from the seed |
//! | the leader's process is gone: its host refuses connections | as soon as the voters' loyalty allows, one voter after the other |
//! | this Peer led, and lost touch with its majority | soon, and again |
//! | such a quick attempt failed | soon, and again, a few times |
//!
//! The *loyalty* (`election-timeout-min-ms`) is the time for which a voter that has heard from a leader neither campaigns nor votes
//! for another; leases are shorter ([`super::lease`]). The *patience* (`election-timeout-ms`) is how long a leader may be silent
//! before others act. It adapts: to ten times the round trip that the leader measures and tells with its heartbeats, and to twice
//! the longest silence after which the leader was heard again lately, up to [`MAX_GROWTH`] times what is configured. So a
//! crashed process is replaced quickly, and a busy machine or a long line does not cause elections.
//!
//! Heartbeats adapt, too. A lease counts from when a heartbeat was sent, so what a round trip takes is missing at its end: a leader
//! tells that it is there [`HEARTBEATS_IN_LEASE`] times in what is left, though no more often than `heartbeat-interval-min-ms`
//! and no more rarely than `heartbeat-interval-ms` says.
//!
//! Nothing here is a matter of safety but the rule that nobody campaigns within its loyalty, which [`Election::is_due`] asserts.
//! That a process is gone is a hint, which may be wrong: pre-vote asks the other voters, who keep their own loyalty.

use std::collections::BTreeMap;

use storage::ids::{PeerId, StoreId};

use super::config::PeerConfig;
use super::peer::{mix, store_of};

/// The patience grows to so many times what is configured at most.
pub(super) const MAX_GROWTH: usize = 8;

/// Round trips that fit into the patience.
const ROUND_TRIPS: u64 = 10;

/// Heartbeats in what a round trip leaves of a lease: the lease outlives the loss of all but one of them.
const HEARTBEATS_IN_LEASE: usize = 3;

/// Ticks by which the first voter waits longer than its loyalty: the others' clocks tick at other moments, and they may have heard
/// the leader's last word a little later.
const MARGIN_TICKS: usize = 2;

/// Least ticks between the voters' attempts: longer than an election takes in a local network.
const SPACING_TICKS: usize = 3;

/// Quick attempts before the patience counts again.
const QUICK_ATTEMPTS: usize = 10;

/// Ticks after which a long silence counts half as much.
const FORGET_TICKS: usize = 1_000;

/// Why a Peer may be quick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The leader's process is gone; noticed when it had been silent for so many ticks.
    LeaderGone {
        leader: StoreId,
        silent_ticks: usize,
    },
    /// This Peer led until it lost touch with its majority.
    SteppedDown,
}

/// The state of one Peer.
#[derive(Debug, Default)]
pub(super) struct Election {
    reason: Option<Reason>,
    /// Quick ones since there was a leader.
    attempts: usize,
    /// Since the last of them, or since this Peer stepped down.
    since_attempt_ticks: usize,
    /// The longest silence of a leader that was then heard again; halves with time.
    longest_silence_ticks: usize,
    forget_in_ticks: usize,
    /// As the leader told it last.
    round_trip_us: u64,
    /// Of a leader: smoothed round trips to the voters.
    round_trips_us: BTreeMap<PeerId, u64>,
}

impl Election {
    /// A leader is known, or another one than before: what was known of the last one is over.
    pub(super) fn on_leader(&mut self) {
        self.reason = None;
        self.attempts = 0;
    }

    /// This Peer leads no more, and nobody else does.
    pub(super) fn on_step_down(&mut self) {
        self.reason = Some(Reason::SteppedDown);
        self.attempts = 0;
        self.since_attempt_ticks = 0;
    }

    /// The leader was heard after so many ticks.
    pub(super) fn on_word(&mut self, silent_ticks: usize, round_trip_us: u64) {
        self.on_leader();
        if silent_ticks >= self.longest_silence_ticks {
            self.longest_silence_ticks = silent_ticks;
            self.forget_in_ticks = FORGET_TICKS;
        }
        if round_trip_us > 0 {
            self.round_trip_us = round_trip_us;
        }
    }

    /// The leader's host refuses connections.
    pub(super) fn on_gone(&mut self, leader: StoreId, silent_ticks: usize) {
        let known = matches!(self.reason, Some(Reason::LeaderGone { leader: known, .. }) if known == leader);
        if !known {
            self.reason = Some(Reason::LeaderGone {
                leader,
                silent_ticks,
            });
            self.attempts = 0;
        }
    }

    /// One tick of Raft's clock.
    pub(super) fn tick(&mut self) {
        self.since_attempt_ticks += 1;
        self.forget_in_ticks = self.forget_in_ticks.saturating_sub(1);
        if self.forget_in_ticks == 0 {
            self.longest_silence_ticks /= 2;
            self.forget_in_ticks = FORGET_TICKS;
        }
    }

    /// Whether to campaign now, out of turn, as one of `voters`. Raft campaigns by itself when the time-out of
    /// [`Election::timeout_ticks`] has passed.
    pub(super) fn is_due(&self, config: &PeerConfig, voters: &[u64], now: Moment) -> bool {
        if self.attempts >= QUICK_ATTEMPTS {
            return false;
        }
        let spacing_ticks = self.spacing_ticks(config);
        let again = || {
            let drawn = config.draw(now.term, now.elections) as usize % (4 * spacing_ticks);
            self.since_attempt_ticks >= 2 * spacing_ticks + drawn
        };
        match self.reason {
            None => false,
            Some(Reason::SteppedDown) => again(),
            Some(Reason::LeaderGone { .. }) if self.attempts > 0 => again(),
            Some(Reason::LeaderGone {
                leader,
                silent_ticks,
            }) => {
                let place = place(voters, config.peer, leader, now.term);
                let first_ticks = config.loyalty_ticks.max(silent_ticks) + MARGIN_TICKS;
                let due = now.silent_ticks >= first_ticks + place * spacing_ticks;
                assert!(!due || now.silent_ticks >= config.loyalty_ticks, "disloyal");
                due
            }
        }
    }

    /// A quick attempt begins.
    pub(super) fn on_attempt(&mut self) {
        self.attempts += 1;
        self.since_attempt_ticks = 0;
    }

    /// After how long a silence Raft campaigns by itself.
    pub(super) fn timeout_ticks(&self, config: &PeerConfig, term: u64, elections: u64) -> usize {
        let patience_ticks = self.patience_ticks(config);
        let drawn = config.draw(term, elections) as usize % patience_ticks;
        let ticks = patience_ticks + drawn;
        assert!(ticks >= config.loyalty_ticks, "disloyal");
        ticks
    }

    /// See the module.
    pub(super) fn patience_ticks(&self, config: &PeerConfig) -> usize {
        let least = config.election_ticks;
        let round_trips = config.ticks_of_us(ROUND_TRIPS * self.round_trip_us);
        let wanted = round_trips.max(2 * self.longest_silence_ticks);
        wanted.clamp(least, MAX_GROWTH * least)
    }

    fn spacing_ticks(&self, config: &PeerConfig) -> usize {
        let round_trips = config.ticks_of_us(3 * self.round_trip_us);
        round_trips.clamp(SPACING_TICKS, config.election_ticks.max(SPACING_TICKS))
    }

    /// A voter has answered what this leader sent so long ago.
    pub(super) fn on_round_trip(&mut self, voter: PeerId, round_trip_ns: u64) {
        let sample_us = round_trip_ns / 1_000;
        let smoothed = self.round_trips_us.entry(voter).or_insert(sample_us);
        *smoothed = (*smoothed * 7 + sample_us) / 8;
    }

    /// The longest of the voters' round trips, which a leader tells with its heartbeats, in microseconds.
    pub(super) fn round_trip_us(&self, voters: &[u64]) -> u64 {
        let of_voters = voters
            .iter()
            .filter_map(|&voter| self.round_trips_us.get(&PeerId(voter)));
        of_voters.copied().max().unwrap_or(0)
    }

    /// Ticks between the heartbeats of a leader.
    pub(super) fn heartbeat_ticks(&self, config: &PeerConfig, voters: &[u64]) -> usize {
        let round_trip = config.ticks_of_us(self.round_trip_us(voters));
        let left = config.lease_ticks().saturating_sub(round_trip);
        let most = config.heartbeat_ticks;
        (left / HEARTBEATS_IN_LEASE).clamp(config.heartbeat_min_ticks.min(most), most)
    }

    /// A term begins in which this Peer leads.
    pub(super) fn on_lead(&mut self) {
        self.on_leader();
        self.round_trips_us.clear();
    }
}

/// What the decision depends on besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Ticks since the leader was heard, or since this Peer last voted or campaigned.
    pub(super) silent_ticks: usize,
    pub(super) term: u64,
    pub(super) elections: u64,
}

/// A voter's place in the queue when `gone` leads no more: another order in every term, the same everywhere.
fn place(voters: &[u64], me: PeerId, gone: StoreId, term: u64) -> usize {
    let rank = |voter: u64| (mix(voter ^ mix(term)), voter);
    let others = voters
        .iter()
        .filter(|&&voter| voter != me.get() && store_of(voter) != gone);
    others
        .filter(|&&voter| rank(voter) < rank(me.get()))
        .count()
}

#[cfg(test)]
mod tests {
    use storage::ids::RegionId;

    use super::*;
    use crate::raftstore::{SharedLimits, SharedPriority};

    fn config(peer: u64) -> PeerConfig {
        PeerConfig {
            region: RegionId(1),
            peer: PeerId(peer),
            store: StoreId(peer),
            tick_ms: 10,
            heartbeat_ticks: 5,
            heartbeat_min_ticks: 1,
            loyalty_ticks: 25,
            election_ticks: 50,
            seed: peer,
            log_retention_bytes: 0,
            limits: SharedLimits::default(),
            priority: SharedPriority::default(),
        }
    }

    /// The tick at which a Peer campaigns that notices at `noticed` that Store 1, its leader, is gone.
    fn campaigns_at(peer: u64, voters: &[u64], noticed: usize) -> usize {
        let (config, mut election) = (config(peer), Election::default());
        election.on_gone(StoreId(1), noticed);
        let due = |silent_ticks: &usize| {
            let now = Moment {
                silent_ticks: *silent_ticks,
                term: 7,
                elections: 0,
            };
            election.is_due(&config, voters, now)
        };
        (0..1_000).find(due).expect("it campaigns")
    }

    #[test]
    fn voters_of_a_leader_that_is_gone_campaign_one_after_the_other() {
        let voters = [1, 2, 3, 4, 5];
        let mut at: Vec<usize> = (2..=5).map(|peer| campaigns_at(peer, &voters, 4)).collect();
        at.sort_unstable();
        assert_eq!(at, [27, 30, 33, 36]);
        let mut late: Vec<usize> = (2..=5)
            .map(|peer| campaigns_at(peer, &voters, 40))
            .collect();
        late.sort_unstable();
        assert_eq!(late, [42, 45, 48, 51]);
    }

    #[test]
    fn quick_attempts_are_few_and_end_with_a_leader() {
        let (config, mut election) = (config(2), Election::default());
        election.on_step_down();
        let mut attempts = 0;
        for elections in 0..10_000 {
            election.tick();
            let now = Moment {
                silent_ticks: 0,
                term: 3,
                elections,
            };
            if election.is_due(&config, &[1, 2, 3], now) {
                election.on_attempt();
                attempts += 1;
            }
        }
        assert_eq!(attempts, QUICK_ATTEMPTS);
        election.on_step_down();
        election.on_word(1, 0);
        for _ in 0..100 {
            election.tick();
        }
        let now = Moment {
            silent_ticks: 100,
            term: 3,
            elections: 0,
        };
        assert!(!election.is_due(&config, &[1, 2, 3], now));
    }

    #[test]
    fn patience_follows_silences_and_round_trips_within_bounds() {
        let (config, mut election) = (config(2), Election::default());
        assert_eq!(election.patience_ticks(&config), 50);
        election.on_word(5, 300);
        assert_eq!(election.patience_ticks(&config), 50);
        election.on_word(40, 0);
        assert_eq!(election.patience_ticks(&config), 80);
        for _ in 0..FORGET_TICKS {
            election.tick();
        }
        assert_eq!(election.patience_ticks(&config), 50);
        election.on_word(1, 150_000);
        assert_eq!(election.patience_ticks(&config), 150);
        election.on_word(100_000, 0);
        assert_eq!(election.patience_ticks(&config), 400);
    }

    #[test]
    fn heartbeats_are_more_frequent_on_a_long_line_within_bounds() {
        let config = config(1);
        assert_eq!(config.lease_ticks(), 20);
        let after = |round_trip_ms: u64| {
            let mut election = Election::default();
            election.on_round_trip(PeerId(2), round_trip_ms * 1_000_000);
            election.heartbeat_ticks(&config, &[1, 2, 3])
        };
        assert_eq!(after(1), 5);
        assert_eq!(after(50), 5);
        assert_eq!(after(80), 4);
        assert_eq!(after(140), 2);
        assert_eq!(after(190), 1);
        assert_eq!(after(5_000), 1);
    }

    #[test]
    fn a_leader_tells_the_longest_round_trip_of_its_voters() {
        let mut election = Election::default();
        for _ in 0..100 {
            election.on_round_trip(PeerId(2), 400_000);
            election.on_round_trip(PeerId(3), 2_000_000);
            election.on_round_trip(PeerId(9), 9_000_000);
        }
        let told = election.round_trip_us(&[1, 2, 3]);
        assert!((1_900..=2_000).contains(&told), "{told}");
    }
}
