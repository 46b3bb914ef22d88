//! How fast the disks of the voters are: a leader whose own has become slow hands over to a voter with a fast one.
//!
//! A disk that stalls for longer than an election time-out costs the leader its leadership anyway: it sends no heartbeats while it
//! waits. This is about one that is slow all the time, or was until just now, and about `everysec`, where nobody waits for the disk.

use std::collections::BTreeMap;

use storage::ids::PeerId;

use super::clock::Now;
use super::peer::Peer;

/// From here on a disk is slow, if another one is not.
const SLOW_US: u64 = 100_000;

/// The other one must be so many times as fast.
const TIMES: u64 = 4;

/// Of the smoothed time, the newest counts one part in so many.
const PARTS: u64 = 8;

/// Ticks after which leadership is handed on again at the earliest.
const AGAIN_TICKS: u32 = 1_000;

/// What is known of the disks.
#[derive(Debug, Default)]
pub(super) struct Disks {
    own_us: u64,
    told_us: BTreeMap<PeerId, u64>,
    wait_ticks: u32,
}

impl Disks {
    /// The own disk took so long to make something durable.
    pub(super) fn note_ns(&mut self, ns: u64) {
        self.own_us = self.own_us - self.own_us / PARTS + ns / 1_000 / PARTS;
    }

    /// The smoothed time that the own disk takes, in microseconds.
    pub(super) fn own_us(&self) -> u64 {
        self.own_us
    }

    pub(super) fn record(&mut self, voter: PeerId, us: u64) {
        self.told_us.insert(voter, us);
    }

    /// Whether this one is slow compared with the own disk.
    pub(super) fn is_slow(&self, voter: PeerId) -> bool {
        let told = self.told_us.get(&voter);
        told.is_some_and(|us| *us >= SLOW_US && *us / TIMES >= self.own_us)
    }

    /// Of these, the one with the fastest disk, if it is so much faster than the own that leadership should move.
    fn faster(&self, voters: impl Iterator<Item = u64>) -> Option<PeerId> {
        let of = |voter: u64| Some((*self.told_us.get(&PeerId(voter))?, PeerId(voter)));
        let fastest = voters.filter_map(of).min();
        fastest
            .filter(|(us, _)| self.own_us >= SLOW_US && *us <= self.own_us / TIMES)
            .map(|(_, voter)| voter)
    }
}

impl Peer {
    /// Something was made durable outside of a Ready, or still is being: it took so long.
    pub fn note_disk_ns(&mut self, ns: u64) {
        self.disks.note_ns(ns);
    }

    /// Called once a tick: a leader with a slow disk hands over.
    pub(super) fn mind_disk(&mut self, now: Now) {
        let disks = &mut self.disks;
        disks.wait_ticks = disks.wait_ticks.saturating_sub(1);
        if disks.own_us < SLOW_US
            || disks.wait_ticks > 0
            || !self.is_leader()
            || self.is_changing()
            || self.stopped
        {
            return;
        }
        let me = self.config.peer.get();
        let voters = self.voters();
        let ready = voters
            .into_iter()
            .filter(|&voter| voter != me && self.has_caught_up(voter));
        let Some(faster) = self.disks.faster(ready) else {
            return;
        };
        tracing::warn!(
            "the disk takes {} ms to make a write durable: node {faster}, whose disk takes {} ms, is to lead. Check this \
             node's disk",
            self.disks.own_us / 1_000,
            self.disks.told_us.get(&faster).copied().unwrap_or(0) / 1_000
        );
        self.disks.wait_ticks = AGAIN_TICKS;
        self.transfer_leader(faster, now);
    }
}

#[cfg(test)]
mod tests {
    use super::Disks;
    use storage::ids::PeerId;

    #[test]
    fn leadership_moves_from_a_slow_disk_to_a_fast_one_only() {
        let mut disks = Disks::default();
        disks.record(PeerId(2), 1_000);
        disks.record(PeerId(3), 200_000);
        let voters = || [2, 3].into_iter();
        disks.note_ns(150_000_000);
        assert_eq!(disks.faster(voters()), None, "once is not always");
        for _ in 0..20 {
            disks.note_ns(150_000_000);
        }
        assert!((100_000..150_000).contains(&disks.own_us()));
        assert_eq!(disks.faster(voters()), Some(PeerId(2)));
        assert_eq!(disks.faster([3].into_iter()), None);
        disks.record(PeerId(2), 60_000);
        assert_eq!(disks.faster(voters()), None, "it is slow as well");
        for _ in 0..40 {
            disks.note_ns(1_000_000);
        }
        assert!(disks.own_us() < 5_000);
        assert!(disks.is_slow(PeerId(3)) && !disks.is_slow(PeerId(2)));
    }
}
