//! Forgetting the log behind a durable checkpoint.

use std::collections::BTreeMap;

use raft::ProgressState;
use storage::ids::{LogIndex, PeerId, StoreId};

use super::disk::DiskRoom;
use super::peer::Peer;

/// The log may grow to so many times `log_retention_bytes` for a follower that is catching up: one that gets a snapshot, or has
/// one and answers. Otherwise a follower whose snapshot takes longer than the retention lasts would need another one, each time.
/// One that is too slow even for this gets another snapshot.
const CATCH_UP_FACTOR: u64 = 8;

/// How long a follower may be silent after its snapshot arrived: it installs it, and answers nothing meanwhile.
const INSTALLATION_NS: u64 = 60_000_000_000;

/// A leader's knowledge of followers that have received a snapshot and not answered since.
#[derive(Debug, Default)]
pub(super) struct Installing(BTreeMap<PeerId, Arrived>);

/// A snapshot that is over there.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    index: LogIndex,
    at_ns: u64,
}

impl Peer {
    /// A checkpoint up to `index` is durable: entries at or below it are no longer needed here. They are kept for followers
    /// that still need them, while they take no more than `log_retention_bytes`, or eight times as much (`CATCH_UP_FACTOR`) for those
    /// that are catching up; a follower that is further behind gets a snapshot.
    pub fn on_checkpoint(&mut self, index: LogIndex) -> storage::Result<()> {
        self.raw.mut_store().checkpointed(index);
        let to = index.min(self.needed());
        if to >= self.raw.store().first_index() {
            match self.raw.mut_store().compact(to) {
                // With the next checkpoint, then.
                Err(storage::Error::Full) => {}
                compacted => compacted?,
            }
        } else {
            self.raw.store().spill();
        }
        Ok(())
    }

    /// A snapshot to this Store arrived whole, or did not.
    pub fn report_snapshot(&mut self, store: StoreId, ok: bool) {
        let progress = self.raw.raft.prs().get(store.get());
        if ok
            && let Some(progress) = progress
            && progress.state == ProgressState::Snapshot
        {
            let arrived = Arrived {
                index: LogIndex(progress.pending_snapshot),
                at_ns: self.last_tick_ns,
            };
            self.installing.0.insert(PeerId(store.get()), arrived);
        }
        let status = if ok {
            raft::SnapshotStatus::Finish
        } else {
            raft::SnapshotStatus::Failure
        };
        self.raw.report_snapshot(store.get(), status);
    }

    /// The index up to which nobody needs the log who is to be waited for.
    fn needed(&self) -> LogIndex {
        let (bytes, retention) = (
            self.raw.store().log_bytes(),
            self.config.log_retention_bytes,
        );
        let everything = LogIndex(u64::MAX);
        let is_alone = self.raw.raft.prs().iter().count() <= 1;
        let others = || {
            let all = self.raw.raft.prs().iter();
            all.map(|(id, _)| *id)
                .filter(|id| *id != self.config.peer.get())
        };
        if is_alone {
            everything
        } else if bytes <= retention {
            // Only the leader knows; a follower keeps what its retention allows, because it may have to serve the others when it
            // leads.
            match self.is_leader() {
                true => others().map(|id| self.needed_by(id)).min(),
                false => Some(LogIndex(0)),
            }
            .unwrap_or(everything)
        } else if self.is_leader()
            && bytes <= retention * CATCH_UP_FACTOR
            && self.disks.own_room() == DiskRoom::Enough
        {
            let catching_up = others().filter(|id| self.catches_up(*id));
            let slowest = catching_up.map(|id| self.needed_by(id)).min();
            slowest.unwrap_or(everything)
        } else {
            everything
        }
    }

    /// What a follower has, or has been sent.
    fn needed_by(&self, id: u64) -> LogIndex {
        let progress = self.raw.raft.prs().get(id);
        let matched = progress.map_or(0, |progress| progress.matched);
        let sent = progress.map_or(0, |progress| progress.pending_snapshot);
        let arrived = self.arrived(id).unwrap_or(LogIndex(0));
        LogIndex(matched.max(sent)).max(arrived)
    }

    fn catches_up(&self, id: u64) -> bool {
        let progress = self.raw.raft.prs().get(id);
        let receives = progress.is_some_and(|it| it.state == ProgressState::Snapshot);
        receives || self.answers(id) || self.arrived(id).is_some()
    }

    /// The snapshot that this follower seems to install.
    fn arrived(&self, id: u64) -> Option<LogIndex> {
        let arrived = self.installing.0.get(&PeerId(id))?;
        let is_recent = self.last_tick_ns < arrived.at_ns + INSTALLATION_NS;
        is_recent.then_some(arrived.index)
    }

    /// Another term, or other members: what was known does not count any more.
    pub(super) fn forget_installing(&mut self) {
        self.installing.0.clear();
    }
}
