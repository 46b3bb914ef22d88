//! Timing and limits of a Peer.

use std::sync::Arc;

use parking_lot::RwLock;
use storage::ids::{LogIndex, PeerId, RegionId, StoreId};
use storage::proto::command as pb;
use storage::types::Limits;

use super::election::MAX_GROWTH;
use super::lease::LEASE_MARGIN_PERCENT;
use super::peer::mix;
use super::priority::SharedPriority;

/// Bytes of one coalesced entry: what waits beyond it goes into the next. Keeps an apply under the exclusive lock short.
pub(super) const MAX_ENTRY_BYTES: usize = 256 << 10;

/// Bytes of entries in one append message.
const MAX_APPEND_BYTES: u64 = 1 << 20;

/// Append messages to one follower that may be unanswered.
const MAX_INFLIGHT_APPENDS: usize = 256;

/// Bytes of entries that a leader appends before a quorum has them; beyond it proposals are dropped and held.
const MAX_UNCOMMITTED_BYTES: u64 = 256 << 20;

/// Bytes of committed entries that one Ready hands to the apply worker.
const MAX_COMMITTED_BYTES: u64 = 4 << 20;

/// What a Peer is told when it is made.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// The Region.
    pub region: RegionId,
    /// This Peer.
    pub peer: PeerId,
    /// The Store that it lives on.
    pub store: StoreId,
    /// Length of one tick; `tick` is called at most once in this time, never in a burst.
    pub tick_ms: u64,
    /// Ticks between heartbeats, at most.
    pub heartbeat_ticks: usize,
    /// Ticks between heartbeats where the round trip is long, at least.
    pub heartbeat_min_ticks: usize,
    /// Ticks for which a voter that has heard from a leader neither campaigns nor votes for another. See the module `election`.
    pub loyalty_ticks: usize,
    /// Ticks for which a leader may be silent before others act, at least; each Peer draws from its patience up to twice that.
    pub election_ticks: usize,
    /// Seed of the election time-outs.
    pub seed: u64,
    /// Bytes of log kept behind the checkpoint for followers that are behind.
    pub log_retention_bytes: u64,
    /// See [`SharedPriority`].
    pub priority: SharedPriority,
    /// Stamped into entries while this Peer leads.
    pub limits: SharedLimits,
}

/// When flat collections become large, as the operator set it last. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedLimits(Arc<RwLock<Limits>>);

impl SharedLimits {
    /// At first.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(RwLock::new(limits)))
    }

    /// From the next entry on.
    pub fn set(&self, limits: Limits) {
        *self.0.write() = limits;
    }

    /// As entries carry them; none stands for the defaults.
    pub(super) fn message(&self) -> Option<pb::Limits> {
        let limits = *self.0.read();
        (limits != Limits::default()).then(|| limits.into())
    }
}

impl PeerConfig {
    /// The shortest time for which a voter that heard from the leader stays loyal, in nanoseconds. The first tick may
    /// follow at once, so one tick of the time-out does not count.
    pub fn loyalty_ns(&self) -> u64 {
        (self.loyalty_ticks as u64 - 1) * self.tick_ms * 1_000_000
    }

    /// How long a leader may be silent at least, in nanoseconds.
    pub(super) fn patience_ns(&self) -> u64 {
        self.election_ticks as u64 * self.tick_ms * 1_000_000
    }

    /// How long a lease lasts from the moment when the heartbeat was sent, in nanoseconds.
    pub fn lease_ns(&self) -> u64 {
        self.loyalty_ns() / 100 * LEASE_MARGIN_PERCENT
    }

    /// The same in whole ticks.
    pub(super) fn lease_ticks(&self) -> usize {
        (self.lease_ns() / (self.tick_ms * 1_000_000)) as usize
    }

    /// A number drawn from the seed rather than from the thread's randomness, so that a simulation repeats; another one in every
    /// term and attempt.
    pub(super) fn draw(&self, term: u64, elections: u64) -> u64 {
        let own = self.seed ^ self.peer.get().rotate_left(32);
        mix(mix(own ^ term) ^ elections)
    }

    /// So many microseconds in ticks, rounded up.
    pub(super) fn ticks_of_us(&self, us: u64) -> usize {
        us.div_ceil(self.tick_ms * 1_000) as usize
    }

    /// The `raft` crate's own configuration.
    pub(super) fn raft(&self, applied: LogIndex) -> raft::Config {
        raft::Config {
            id: self.peer.get(),
            election_tick: self.loyalty_ticks,
            // What is drawn replaces what Raft draws.
            max_election_tick: 2 * MAX_GROWTH * self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            applied: applied.get(),
            max_size_per_msg: MAX_APPEND_BYTES,
            max_inflight_msgs: MAX_INFLIGHT_APPENDS,
            check_quorum: true,
            pre_vote: true,
            read_only_option: raft::ReadOnlyOption::Safe,
            max_uncommitted_size: MAX_UNCOMMITTED_BYTES,
            max_committed_size_per_ready: MAX_COMMITTED_BYTES,
            // A follower hears of a commit with the next append or heartbeat: a message of its own, and the answer to it,
            // for each group commit would be half of all messages.
            skip_bcast_commit: true,
            ..raft::Config::default()
        }
    }
}
