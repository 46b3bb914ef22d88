//! Which Store should lead (`leader-priority`): a leader hands over to a voter of higher priority that has caught up.
//!
//! The `raft` crate has priorities of its own, which are not used: a voter refuses a candidate of lower priority unless its log has a
//! higher index, whatever its term. A voter with a longer log of an older term then refuses the only one that could be elected, for
//! ever; the simulated world found it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use storage::ids::PeerId;

use super::clock::Now;
use super::peer::Peer;

/// Ticks after which a transfer is tried again. One that fails costs the lease of the term, so it is not tried often.
const AGAIN_TICKS: u32 = 1_000;

/// Ticks after which a new leader may hand over.
const FIRST_TICKS: u32 = 100;

/// The own priority, as the operator set it last. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedPriority(Arc<AtomicI64>);

impl SharedPriority {
    /// At first.
    pub fn new(priority: i64) -> Self {
        Self(Arc::new(AtomicI64::new(priority)))
    }

    /// From now on.
    pub fn set(&self, priority: i64) {
        self.0.store(priority, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a leader knows of the voters' priorities.
#[derive(Debug, Default)]
pub(super) struct Priorities {
    told: BTreeMap<PeerId, i64>,
    wait_ticks: u32,
}

impl Priorities {
    /// This Peer leads from now on.
    pub(super) fn on_lead(&mut self) {
        self.told.clear();
        self.wait_ticks = FIRST_TICKS;
    }

    pub(super) fn record(&mut self, voter: PeerId, priority: i64) {
        self.told.insert(voter, priority);
    }

    /// One tick; true when the leader may hand over.
    fn tick(&mut self) -> bool {
        self.wait_ticks = self.wait_ticks.saturating_sub(1);
        self.wait_ticks == 0
    }

    /// Of these, the one with the highest priority above `own`; the lowest id of several.
    fn better(&self, own: i64, voters: impl Iterator<Item = u64>) -> Option<PeerId> {
        let of = |voter: u64| Some((*self.told.get(&PeerId(voter))?, voter));
        let higher = voters
            .filter_map(of)
            .filter(|(priority, _)| *priority > own);
        let best = higher.max_by_key(|(priority, voter)| (*priority, std::cmp::Reverse(*voter)));
        best.map(|(_, voter)| PeerId(voter))
    }
}

impl Peer {
    /// Called once a tick: a leader hands over to a better voter.
    pub(super) fn mind_priority(&mut self, now: Now) {
        if !self.is_leader() || !self.priorities.tick() || self.is_changing() || self.stopped {
            return;
        }
        let own = self.config.priority.get();
        let me = self.config.peer.get();
        let voters = self.voters();
        let ready = voters
            .into_iter()
            .filter(|&voter| voter != me && self.has_caught_up(voter))
            .filter(|&voter| !self.disks.is_worse(PeerId(voter)));
        if let Some(better) = self.priorities.better(own, ready) {
            tracing::info!("node {better} has a higher leader-priority and is to lead");
            self.priorities.wait_ticks = AGAIN_TICKS;
            self.transfer_leader(better, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_above_the_own_is_better() {
        let mut priorities = Priorities::default();
        assert_eq!(priorities.better(0, [1, 2, 3].into_iter()), None);
        priorities.record(PeerId(1), 50);
        priorities.record(PeerId(2), 60);
        priorities.record(PeerId(3), 60);
        assert_eq!(
            priorities.better(50, [1, 2, 3].into_iter()),
            Some(PeerId(2))
        );
        assert_eq!(priorities.better(50, [1, 3].into_iter()), Some(PeerId(3)));
        assert_eq!(priorities.better(60, [1, 2, 3].into_iter()), None);
    }
}
