//! Whether the replicas agree: the leader has all of them digest a part of the data now and then, and compares what they found.
//!
//! A check is an entry, so every replica makes it of the same state ([`storage::dataset::Dataset::check`]). Members tell what they
//! found in what they answer to heartbeats. When one is missing or found something else, the next check says what a majority of the
//! voters has found, and a replica that found something else stops. The leader is no judge: it may be the one that has gone wrong;
//! nor are learners, but they are judged, before they vote.

use std::collections::BTreeMap;

use storage::dataset::Checked;
use storage::ids::{LogIndex, PeerId};
use storage::proto::command::StateCheck;

use super::clock::Now;
use super::peer::Peer;
use super::propose::Work;

/// Ticks between two checks.
const INTERVAL_TICKS: u32 = 50;

/// Intervals that members have to tell what they found.
const PATIENCE_INTERVALS: u32 = 4;

/// What a leader knows of checks; it begins anew with each term.
#[derive(Debug, Default)]
pub(super) struct Consistency {
    wait_ticks: u32,
    /// The entry of the check that was proposed last.
    proposed: LogIndex,
    /// The first slot of the next check.
    from_slot: u16,
    /// Something else was appended since the first slot was checked last, so that the slots are to be checked again.
    is_dirty: bool,
    /// Intervals since the last check was executed.
    waited: u32,
    told: BTreeMap<PeerId, (LogIndex, u64)>,
    /// What a majority has found, for those who did not tell it.
    agreed: Option<(LogIndex, u64)>,
}

/// What comes of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Comparison {
    /// All members have found the same.
    Same,
    /// Some have not told yet.
    Incomplete,
    /// A majority of the voters has found this; these members have not, or did not tell.
    Majority(u64, Vec<PeerId>),
    /// There is no majority: some differ, and nobody knows who is wrong.
    Undecided,
}

impl Consistency {
    /// This Peer leads from now on.
    pub(super) fn on_lead(&mut self) {
        *self = Self {
            wait_ticks: INTERVAL_TICKS,
            is_dirty: true,
            ..Self::default()
        };
    }

    pub(super) fn record(&mut self, member: PeerId, index: u64, digest: u64) {
        if index != 0 {
            self.told.insert(member, (LogIndex(index), digest));
        }
    }

    /// Compares what the members found at `index`.
    fn compare(&self, index: LogIndex, voters: &[u64], learners: &[u64]) -> Comparison {
        let of = |member: &u64| {
            let (at, digest) = self.told.get(&PeerId(*member))?;
            (*at == index).then_some(*digest)
        };
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for digest in voters.iter().filter_map(of) {
            *counts.entry(digest).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        match most.filter(|(_, count)| *count > voters.len() / 2) {
            Some((digest, _)) => {
                let members = voters.iter().chain(learners);
                let others = members.filter(|member| of(member) != Some(digest));
                let others: Vec<PeerId> = others.map(|id| PeerId(*id)).collect();
                match others[..] {
                    [] => Comparison::Same,
                    _ => Comparison::Majority(digest, others),
                }
            }
            None if voters.iter().any(|voter| of(voter).is_none()) => Comparison::Incomplete,
            None => Comparison::Undecided,
        }
    }
}

impl Peer {
    /// Called once a tick: a leader proposes the next check when the last one is compared.
    pub(super) fn mind_consistency(&mut self, now: Now) {
        if !self.leads_with_all() || self.is_alone() {
            return;
        }
        self.consistency.wait_ticks = self.consistency.wait_ticks.saturating_sub(1);
        if self.consistency.wait_ticks > 0 || self.is_changing() || self.stopped {
            return;
        }
        self.consistency.wait_ticks = INTERVAL_TICKS;
        if self.consistency.proposed.get() != 0 && !self.compare_last_check() {
            return;
        }
        self.propose_check(now);
    }

    /// False while there is something to wait for.
    fn compare_last_check(&mut self) -> bool {
        let proposed = self.consistency.proposed;
        let Some(own) = self.checked.filter(|own| own.index == proposed) else {
            // Not executed yet.
            return self.applied >= proposed;
        };
        let me = self.config.peer;
        self.consistency.record(me, own.index.get(), own.digest);
        self.consistency.waited += 1;
        let conf = self.raw.raft.prs().conf().to_conf_state();
        let patient = self.consistency.waited < PATIENCE_INTERVALS;
        match self
            .consistency
            .compare(proposed, &conf.voters, &conf.learners)
        {
            Comparison::Same => {}
            Comparison::Incomplete | Comparison::Majority(..) if patient => return false,
            Comparison::Incomplete => {}
            Comparison::Majority(digest, others) => {
                let told = &self.consistency.told;
                let wrong: Vec<&PeerId> = others
                    .iter()
                    .filter(|other| told.get(other).is_some_and(|(at, _)| *at == proposed))
                    .collect();
                if !wrong.is_empty() {
                    tracing::error!(
                        "the data of nodes {wrong:?} differs from that of a majority at log index {proposed}: they are told to stop"
                    );
                    self.consistency.is_dirty = true;
                }
                self.consistency.agreed = Some((proposed, digest));
            }
            Comparison::Undecided => tracing::error!(
                "the data of the nodes differs at log index {proposed}, and no majority tells which is right: {:?}. Compare \
                 RAFT.DIGEST of the nodes, keep a copy of each directory, and report it",
                self.consistency.told
            ),
        }
        self.consistency.from_slot = own.next_slot;
        true
    }

    fn propose_check(&mut self, now: Now) {
        let last = LogIndex(self.raw.raft.raft_log.last_index());
        let consistency = &mut self.consistency;
        consistency.is_dirty |= last != consistency.proposed;
        if consistency.from_slot == 0 && !std::mem::take(&mut consistency.is_dirty) {
            return;
        }
        let (index, digest) = consistency.agreed.take().unwrap_or_default();
        consistency.waited = 0;
        let check = StateCheck {
            from_slot: consistency.from_slot.into(),
            agreed_index: index.get(),
            agreed_digest: digest,
        };
        self.propose_work(Work::Check(check), now);
        let appended = LogIndex(self.raw.raft.raft_log.last_index());
        if appended > last {
            self.consistency.proposed = appended;
        }
    }

    /// What a member tells its leader: (index, digest).
    pub(super) fn found(&self) -> (u64, u64) {
        let found = self.checked.as_ref();
        found.map_or((0, 0), |Checked { index, digest, .. }| {
            (index.get(), *digest)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Consistency};
    use storage::ids::{LogIndex, PeerId};

    #[test]
    fn a_majority_decides() {
        let mut told = Consistency::default();
        let voters = [1, 2, 3];
        let at = LogIndex(9);
        assert_eq!(told.compare(at, &voters, &[]), Comparison::Incomplete);
        told.record(PeerId(1), 9, 7);
        told.record(PeerId(2), 8, 7);
        assert_eq!(
            told.compare(at, &voters, &[]),
            Comparison::Incomplete,
            "the second one told of another check"
        );
        told.record(PeerId(2), 9, 7);
        let majority = |others: &[u64]| {
            Comparison::Majority(7, others.iter().map(|&other| PeerId(other)).collect())
        };
        assert_eq!(told.compare(at, &voters, &[]), majority(&[3]));
        told.record(PeerId(3), 9, 7);
        assert_eq!(told.compare(at, &voters, &[]), Comparison::Same);
        told.record(PeerId(1), 9, 6);
        assert_eq!(told.compare(at, &voters, &[]), majority(&[1]));
        told.record(PeerId(3), 9, 5);
        assert_eq!(told.compare(at, &voters, &[]), Comparison::Undecided);
        assert_eq!(told.compare(at, &[1, 2], &[]), Comparison::Undecided);
    }

    #[test]
    fn learners_are_judged_and_do_not_judge() {
        let mut told = Consistency::default();
        let at = LogIndex(9);
        told.record(PeerId(1), 9, 7);
        told.record(PeerId(2), 9, 7);
        let differs = Comparison::Majority(7, vec![PeerId(3)]);
        assert_eq!(told.compare(at, &[1, 2], &[3]), differs, "it did not tell");
        told.record(PeerId(3), 9, 6);
        assert_eq!(told.compare(at, &[1, 2], &[3]), differs);
        told.record(PeerId(3), 9, 7);
        assert_eq!(told.compare(at, &[1, 2], &[3]), Comparison::Same);
        told.record(PeerId(2), 9, 6);
        assert_eq!(told.compare(at, &[1, 2], &[3]), Comparison::Undecided);
    }
}
