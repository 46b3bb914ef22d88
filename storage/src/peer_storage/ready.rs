//! `save_ready_state`: what a Ready asks to be persisted.

use raft::Ready;
use raft::eraftpb::HardState;

use super::{PeerStorage, encode_local_state};
use crate::engine::{Durability, WriteBatch};
use crate::ids::LogIndex;
use crate::{Result, keys};

/// What [`PeerStorage::save_ready_state`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// A snapshot at this index was installed: the Region's memory must be opened again from the kv engine.
    pub snapshot: Option<LogIndex>,
    /// Everything saved so far is on the disk; otherwise it is with the operating system.
    pub synced: bool,
}

impl PeerStorage {
    /// Persists the snapshot, the entries and the HardState of `ready`.
    ///
    /// The raft half is one batch: entries, deletions of a stale tail, and RaftLocalState, committed with one fsync when
    /// durability is [`Durability::Synced`] or when term or vote changed. The kv half is empty but for a snapshot, whose
    /// installation writes both engines in its own order ([`super::install`]).
    ///
    /// A new commit index alone is not written at all: it travels with the next batch. It may be lost anyway without
    /// harm, because a leader tells it again, and followers of a busy leader would pay one more write per batch of
    /// entries for it.
    ///
    /// On [`crate::Error::Full`] call again with the same `ready`: nothing was taken from it.
    ///
    /// # Panics
    /// When the invariants do not hold.
    pub fn save_ready_state(&mut self, ready: &mut Ready) -> Result<Saved> {
        let mut saved = Saved::default();
        if !ready.snapshot().is_empty() {
            saved.snapshot = Some(self.install_snapshot(ready)?);
            saved.synced = true;
        }
        let mut hard_state = ready
            .hs()
            .cloned()
            .unwrap_or_else(|| self.hard_state.clone());
        // It may be known to be further already, from `set_applied`.
        hard_state.commit = hard_state.commit.max(self.hard_state.commit);
        let elected =
            (hard_state.term, hard_state.vote) != (self.hard_state.term, self.hard_state.vote);
        if ready.entries().is_empty() && !elected {
            self.assert_positions(LogIndex(hard_state.commit));
            self.hard_state = hard_state;
            return Ok(saved);
        }
        let durability = if elected {
            Durability::Synced
        } else {
            self.options.durability
        };
        let mut batch = WriteBatch::new();
        self.append(ready.entries(), &mut batch)?;
        self.assert_positions(LogIndex(hard_state.commit));
        self.put_local_state(&hard_state, &mut batch);
        self.engines.raft.write(batch, durability)?;
        self.stored_last_index = self.last_index;
        self.hard_state = hard_state;
        saved.synced = durability == Durability::Synced;
        Ok(saved)
    }

    /// Writes RaftLocalState with the newest commit index, as durable as entries are. For the end of a process, so that the
    /// next one can apply at once what this one knew to be committed.
    pub fn save_commit(&mut self) -> Result<()> {
        let mut batch = WriteBatch::new();
        self.put_local_state(&self.hard_state, &mut batch);
        self.engines.raft.write(batch, self.options.durability)
    }

    pub(super) fn put_local_state(&self, hard_state: &HardState, batch: &mut WriteBatch) {
        let last = (self.last_index, self.last_term);
        let truncated = (self.truncated_index, self.truncated_term);
        batch.put(
            keys::raft_state(self.region_id),
            encode_local_state(hard_state, last, truncated),
        );
    }
}
