//! The leader's lease: for how long it may answer reads without a message.
//!
//! A voter that has heard from the leader at time *r* neither campaigns nor votes for another before *r* plus the
//! election time-out (check-quorum and pre-vote, Raft thesis section 6.4.1 and 9.6). The leader stamps what it sends with
//! its own monotonic clock (`probe_ns`), voters echo the newest stamp, and the lease counts from the stamp that a quorum
//! has echoed: from when the message was *sent*, which is before it was received. No clock is compared with another
//! Store's; only their rates matter, and [`LEASE_MARGIN_PERCENT`] covers their drift.
//!
//! What the lease does not survive: a transfer of leadership in the same term (the target is told to campaign at once,
//! and voters obey), and a voter that restarts and forgets whom it heard (it therefore refuses to vote for one election
//! time-out, see `Peer::may_vote`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use storage::ids::PeerId;

use super::clock::monotonic_ns;

/// The part of the shortest election time-out that a lease may last; the rest is for clocks of different speed.
pub(super) const LEASE_MARGIN_PERCENT: u64 = 85;

/// Until when this Store may answer reads of the Region on its own. Shared with every connection.
#[derive(Debug, Default)]
pub struct Lease {
    valid_until_ns: AtomicU64,
}

impl Lease {
    /// True while the lease holds now. A read is linearizable if this is true *after* the state was read.
    pub fn is_valid(&self) -> bool {
        match self.valid_until_ns.load(Ordering::Acquire) {
            0 => false,
            u64::MAX => true,
            until => monotonic_ns() < until,
        }
    }

    /// The same at a given reading of the monotonic clock.
    pub fn is_valid_at(&self, now_ns: u64) -> bool {
        now_ns < self.valid_until_ns.load(Ordering::Acquire)
    }

    /// For how long the lease holds from now on, in nanoseconds: 0 without one, `u64::MAX` for a Store that is alone.
    pub fn left_ns(&self) -> u64 {
        match self.valid_until_ns.load(Ordering::Acquire) {
            u64::MAX => u64::MAX,
            until => until.saturating_sub(monotonic_ns()),
        }
    }

    /// Publishes the end of the lease; 0 revokes it.
    pub(super) fn set(&self, valid_until_ns: u64) {
        self.valid_until_ns.store(valid_until_ns, Ordering::Release);
    }
}

/// The newest stamp that each voter has echoed in the present term.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    newest_ns: BTreeMap<PeerId, u64>,
}

impl Echoes {
    pub(super) fn clear(&mut self) {
        self.newest_ns.clear();
    }

    pub(super) fn record(&mut self, peer: PeerId, probe_ns: u64) {
        let newest = self.newest_ns.entry(peer).or_default();
        *newest = probe_ns.max(*newest);
    }

    /// The newest stamp that this one has echoed.
    pub(super) fn newest_ns(&self, peer: PeerId) -> Option<u64> {
        self.newest_ns.get(&peer).copied()
    }

    /// The newest stamp that a majority of `voters` has echoed; `me` echoes `now_ns`. `None` for an empty set.
    pub(super) fn quorum_ns(&self, voters: &[u64], me: PeerId, now_ns: u64) -> Option<u64> {
        let mut stamps: Vec<u64> = voters
            .iter()
            .map(|&voter| {
                let voter = PeerId(voter);
                if voter == me {
                    now_ns
                } else {
                    self.newest_ns.get(&voter).copied().unwrap_or(0)
                }
            })
            .collect();
        stamps.sort_unstable_by(|a, b| b.cmp(a));
        stamps.get(voters.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_stamp_that_a_majority_has_echoed() {
        let mut echoes = Echoes::default();
        let voters = [1, 2, 3, 4, 5];
        assert_eq!(echoes.quorum_ns(&voters, PeerId(1), 100), Some(0));
        echoes.record(PeerId(2), 50);
        assert_eq!(echoes.quorum_ns(&voters, PeerId(1), 100), Some(0));
        echoes.record(PeerId(3), 70);
        assert_eq!(echoes.quorum_ns(&voters, PeerId(1), 100), Some(50));
        echoes.record(PeerId(2), 40);
        assert_eq!(
            echoes.quorum_ns(&voters, PeerId(1), 100),
            Some(50),
            "an old echo does not shorten"
        );
        assert_eq!(echoes.quorum_ns(&[1], PeerId(1), 100), Some(100));
        assert_eq!(echoes.quorum_ns(&[], PeerId(1), 100), None);
    }

    #[test]
    fn a_revoked_lease_is_not_valid() {
        let lease = Lease::default();
        assert!(!lease.is_valid());
        lease.set(u64::MAX);
        assert!(lease.is_valid());
        assert_eq!(lease.left_ns(), u64::MAX);
        lease.set(1);
        assert!(!lease.is_valid());
        assert_eq!(lease.left_ns(), 0);
        assert!(lease.is_valid_at(0));
    }
}
