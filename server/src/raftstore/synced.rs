//! Up to where logs are on disks: what WAITAOF answers from.
//!
//! With `appendfsync always` that is wherever they end. In the weaker modes an acknowledgement says that a majority has an entry in
//! its log; a sync in the background makes it durable, every second or when somebody wants it. Voters tell the leader in what they
//! answer to it, and the leader tells in its heartbeats what a majority has, so that every Store can answer.

use std::collections::BTreeMap;

use raft::eraftpb::MessageType;
use storage::ids::{LogIndex, PeerId};

use super::peer::Peer;

/// What is known of it. Of a log that was just opened nothing is: the process before may have left writes to the system.
#[derive(Debug, Default)]
pub(super) struct Synced {
    /// Of the own log.
    own: LogIndex,
    /// Where the sync under way will have led.
    pending: Option<LogIndex>,
    /// What voters have told this leader. Their tails may not be the leader's.
    told: BTreeMap<PeerId, LogIndex>,
    /// What the leader has told of a majority that it belongs to: of committed entries, which never change.
    majority: LogIndex,
    /// Somebody waits for this one.
    wanted: LogIndex,
}

impl Synced {
    /// Up to where the own log is on the disk.
    pub(super) fn own(&self) -> LogIndex {
        self.own
    }

    /// The entries from `first` on are about to be written, over others if there were any.
    pub(super) fn on_append(&mut self, first: LogIndex) {
        let before = LogIndex(first.get().saturating_sub(1));
        self.own = self.own.min(before);
        self.pending = self.pending.map(|pending| pending.min(before));
    }

    /// The whole log, which ends at `last`, has been made durable.
    pub(super) fn on_saved(&mut self, last: LogIndex) {
        self.own = last;
    }

    pub(super) fn record(&mut self, voter: PeerId, index: u64) {
        self.told.insert(voter, LogIndex(index));
    }

    pub(super) fn on_lead(&mut self) {
        self.told.clear();
    }

    /// What this voter has on its disk of the leader's log, which it has up to `matched`.
    pub(super) fn of(&self, voter: PeerId, matched: LogIndex) -> LogIndex {
        let told = self.told.get(&voter).copied();
        told.map_or(LogIndex(0), |told| told.min(matched))
    }

    pub(super) fn want(&mut self, index: LogIndex) {
        self.wanted = self.wanted.max(index);
    }
}

impl Peer {
    /// Somebody waits until the log is on disks up to `index`.
    pub fn want_synced(&mut self, index: LogIndex) {
        self.synced.want(index);
    }

    /// Whether a sync of the log is wanted, which would bring something.
    pub fn needs_sync(&self) -> bool {
        let wanted = self.synced.wanted.min(self.stored_last());
        self.synced.own < wanted && self.synced.pending.is_none()
    }

    /// A sync of everything that is written now begins.
    pub fn sync_begins(&mut self) {
        self.synced.pending = Some(self.stored_last());
    }

    /// The sync that began last has ended.
    pub fn sync_ended(&mut self) {
        if let Some(index) = self.synced.pending.take() {
            self.synced.own = self.synced.own.max(index);
        }
    }

    /// Up to where the logs of a majority that the leader belongs to are on disks.
    pub(super) fn majority_synced(&self) -> LogIndex {
        if !self.is_leader() {
            return self.synced.majority;
        }
        let tracker = self.raw.raft.prs();
        let voters = self.voters();
        let me = self.config.peer.get();
        let mut others: Vec<LogIndex> = tracker
            .iter()
            .filter(|&(id, _)| *id != me && voters.contains(id))
            .map(|(&id, progress)| self.synced.of(PeerId(id), LogIndex(progress.matched)))
            .collect();
        others.sort_unstable();
        // With the leader itself, so many others make a majority.
        let needed = voters.len() / 2;
        let least = needed.checked_sub(1).map_or(self.synced.own, |at| {
            others.iter().rev().nth(at).copied().unwrap_or_default()
        });
        least
            .min(self.synced.own)
            .min(LogIndex(self.raw.raft.raft_log.committed))
    }

    /// What a message tells: up to where logs are on disks, and up to where somebody waits for that.
    pub(super) fn synced_stamps(&self, kind: MessageType) -> (LogIndex, LogIndex) {
        match kind {
            MessageType::MsgHeartbeat => (self.majority_synced(), self.synced.wanted),
            MessageType::MsgHeartbeatResponse => (self.synced.own, self.synced.wanted),
            MessageType::MsgAppendResponse => (self.synced.own, LogIndex(0)),
            _ => (LogIndex(0), LogIndex(0)),
        }
    }

    /// What a message of the present leader tells.
    pub(super) fn on_majority_synced(&mut self, index: u64) {
        self.synced.majority = self.synced.majority.max(LogIndex(index));
    }

    fn stored_last(&self) -> LogIndex {
        self.raw.store().last_index()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_were_written_over_are_not_synced() {
        let mut synced = Synced {
            own: LogIndex(9),
            ..Synced::default()
        };
        synced.pending = Some(LogIndex(12));
        synced.on_append(LogIndex(13));
        assert_eq!(
            (synced.own(), synced.pending),
            (LogIndex(9), Some(LogIndex(12)))
        );
        synced.on_append(LogIndex(6));
        assert_eq!(
            (synced.own(), synced.pending),
            (LogIndex(5), Some(LogIndex(5)))
        );
        synced.on_saved(LogIndex(7));
        assert_eq!(synced.own(), LogIndex(7));
    }

    #[test]
    fn of_a_voter_counts_what_it_has_of_this_log() {
        let mut synced = Synced::default();
        assert_eq!(synced.of(PeerId(2), LogIndex(8)), LogIndex(0));
        synced.record(PeerId(2), 10);
        assert_eq!(synced.of(PeerId(2), LogIndex(8)), LogIndex(8));
        assert_eq!(synced.of(PeerId(2), LogIndex(20)), LogIndex(10));
        synced.on_lead();
        assert_eq!(synced.of(PeerId(2), LogIndex(8)), LogIndex(0));
    }
}
