//! How the disks of the voters are: a leader whose own has become slow, or nearly full, hands over to a voter whose is not.
//!
//! A disk that stalls for longer than an election time-out costs the leader its leadership anyway: it sends no heartbeats while it
//! waits. This is about one that is slow all the time, or was until just now, and about `everysec`, where nobody waits for the disk.
//!
//! DiskRoom ends in two steps. From [`DiskRoom::Low`] on the leader refuses what would take more of it, and proposes only what deletes, so
//! that users can make room; so it does when a majority of the voters is that low, because without them nothing is committed.
//! At [`DiskRoom::None`] it proposes nothing. Below that the engines refuse to write, and the Peer waits: [`Unsaved`].

use std::collections::BTreeMap;

use raft::Ready;
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

/// While the disk is full, a Ready is tried again after so long.
const RETRY_NS: u64 = 100_000_000;

/// How much room a disk has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskRoom {
    /// For nothing more.
    None,
    /// For what deletes.
    Low,
    /// For everything.
    #[default]
    Enough,
}

/// A Ready that the disk had no room for. Until it is saved Raft gets no entry and no vote, and nothing leaves: to the others this
/// Peer is as silent as one whose disk stalls. It hears who leads.
pub(super) struct Unsaved {
    pub(super) ready: Ready,
    pub(super) retry_ns: u64,
}

impl Unsaved {
    pub(super) fn new(ready: Ready, now: Now) -> Self {
        Self {
            ready,
            retry_ns: now.monotonic_ns + RETRY_NS,
        }
    }
}

/// What is known of a voter's disk.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    us: u64,
    low: bool,
}

/// What is known of the disks.
#[derive(Debug, Default)]
pub(super) struct Disks {
    own_us: u64,
    own_room: DiskRoom,
    told: BTreeMap<PeerId, Told>,
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

    pub(super) fn own_room(&self) -> DiskRoom {
        self.own_room
    }

    pub(super) fn record(&mut self, voter: PeerId, us: u64, low: bool) {
        self.told.insert(voter, Told { us, low });
    }

    fn is_low(&self, voter: PeerId) -> bool {
        self.told.get(&voter).is_some_and(|told| told.low)
    }

    /// Whether this one is slow compared with the own disk, or nearly full.
    pub(super) fn is_worse(&self, voter: PeerId) -> bool {
        let told = self.told.get(&voter).copied().unwrap_or_default();
        let is_slow = told.us >= SLOW_US && told.us / TIMES >= self.own_us;
        is_slow || (told.low && self.own_room == DiskRoom::Enough)
    }

    /// Of these, the one with the fastest disk that has room, if it is so much faster than the own, or the own has no room, that
    /// leadership should move.
    fn better(&self, voters: impl Iterator<Item = u64>) -> Option<PeerId> {
        let of = |voter: u64| Some((*self.told.get(&PeerId(voter))?, PeerId(voter)));
        let with_room = voters.filter_map(of).filter(|(told, _)| !told.low);
        let fastest = with_room.map(|(told, voter)| (told.us, voter)).min();
        let is_slow = |us: u64| self.own_us >= SLOW_US && us <= self.own_us / TIMES;
        fastest
            .filter(|(us, _)| self.own_room < DiskRoom::Enough || is_slow(*us))
            .map(|(_, voter)| voter)
    }
}

impl Peer {
    /// Something was made durable outside of a Ready, or still is being: it took so long.
    pub fn note_disk_ns(&mut self, ns: u64) {
        self.disks.note_ns(ns);
    }

    /// Tells how much room the disk has.
    pub fn set_room(&mut self, room: DiskRoom) {
        self.disks.own_room = room;
    }

    /// Whether this Peer waits for room on the disk, to persist what Raft has decided.
    pub fn waits_for_room(&self) -> bool {
        self.unsaved.is_some()
    }

    /// What may be proposed: as much as the own disk and those of a majority have room for.
    pub fn room(&self) -> DiskRoom {
        if self.waits_for_room() {
            return DiskRoom::None;
        }
        let own = self.disks.own_room();
        if self.is_alone() {
            return own;
        }
        let voters = self.voters();
        let me = self.config.peer.get();
        let low = voters
            .iter()
            .filter(|&&voter| voter != me && self.disks.is_low(PeerId(voter)))
            .count();
        let is_low = low + usize::from(own < DiskRoom::Enough) > (voters.len().max(1) - 1) / 2;
        match is_low {
            true => own.min(DiskRoom::Low),
            false => own,
        }
    }

    /// Called once a tick: a leader with a slow or full disk hands over.
    pub(super) fn mind_disk(&mut self, now: Now) {
        let disks = &mut self.disks;
        disks.wait_ticks = disks.wait_ticks.saturating_sub(1);
        if (disks.own_us < SLOW_US && disks.own_room == DiskRoom::Enough)
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
        let Some(better) = self.disks.better(ready) else {
            return;
        };
        if self.disks.own_room < DiskRoom::Enough {
            tracing::warn!("the disk is nearly full: node {better}, whose disk is not, is to lead");
        } else {
            tracing::warn!(
                "the disk takes {} ms to make a write durable: node {better}, whose disk takes {} ms, is to lead. Check this \
                 node's disk",
                self.disks.own_us / 1_000,
                self.disks.told.get(&better).map_or(0, |told| told.us) / 1_000
            );
        }
        self.disks.wait_ticks = AGAIN_TICKS;
        self.transfer_leader(better, now);
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskRoom, Disks};
    use storage::ids::PeerId;

    #[test]
    fn leadership_moves_from_a_slow_disk_to_a_fast_one_only() {
        let mut disks = Disks::default();
        disks.record(PeerId(2), 1_000, false);
        disks.record(PeerId(3), 200_000, false);
        let voters = || [2, 3].into_iter();
        disks.note_ns(150_000_000);
        assert_eq!(disks.better(voters()), None, "once is not always");
        for _ in 0..20 {
            disks.note_ns(150_000_000);
        }
        assert!((100_000..150_000).contains(&disks.own_us()));
        assert_eq!(disks.better(voters()), Some(PeerId(2)));
        assert_eq!(disks.better([3].into_iter()), None);
        disks.record(PeerId(2), 60_000, false);
        assert_eq!(disks.better(voters()), None, "it is slow as well");
        for _ in 0..40 {
            disks.note_ns(1_000_000);
        }
        assert!(disks.own_us() < 5_000);
        assert!(disks.is_worse(PeerId(3)) && !disks.is_worse(PeerId(2)));
    }

    #[test]
    fn leadership_moves_from_a_full_disk_to_one_with_room_only() {
        let mut disks = Disks::default();
        disks.record(PeerId(2), 1_000, true);
        disks.record(PeerId(3), 2_000, false);
        assert_eq!(disks.better([2, 3].into_iter()), None);
        assert!(disks.is_worse(PeerId(2)) && !disks.is_worse(PeerId(3)));
        disks.own_room = DiskRoom::Low;
        assert_eq!(disks.better([2, 3].into_iter()), Some(PeerId(3)));
        assert_eq!(disks.better([2].into_iter()), None);
        assert!(!disks.is_worse(PeerId(2)), "it has as little as this one");
    }
}
