//! The Raft log and state of one Peer, over the two engines.
//!
//! [`PeerStorage`] is what `RawNode` reads from (`raft::Storage`) and what the raft loop writes to on every Ready. One file
//! per verb:
//!
//! | file | what it does |
//! |---|---|
//! | [`bootstrap`] | the first records of a new Store; whose directory this is |
//! | `founding` | what a founder must not forget of the others |
//! | [`open`] | reads and checks everything at start, finishes an interrupted installation |
//! | [`append`] | entries into the raft batch; the stale tail is deleted |
//! | [`ready`] | `save_ready_state`: the pair of batches, one fsync |
//! | [`compact`] | moves the truncated index up to a durable checkpoint |
//! | [`snapshot`] | hands out snapshots that raft asked for |
//! | [`install`] | installs a received snapshot, resumable after a crash at any point |
//! | [`read`] | `raft::Storage`, from the cached tail and below it from the engine |
//! | [`invariants`] | what must always hold |
//!
//! The life of an entry here: `save_ready_state` appends it (cache and engine, one fsync for all entries of the Ready);
//! raft reads it back from the cache to send and to apply it; [`PeerStorage::set_applied`] lets the cache drop it;
//! [`PeerStorage::checkpointed`] says that its effect is in the kv engine; [`PeerStorage::compact`] gives it up.
//!
//! Errors: [`crate::Error::Full`] means that nothing happened, and the same call with the same Ready may be made again
//! when there is room. Every other error is fatal to the Store.

pub mod append;
pub mod bootstrap;
mod cache;
pub mod compact;
mod entry;
mod founding;
pub mod install;
pub mod invariants;
pub mod open;
pub mod read;
pub mod ready;
pub mod recover;
pub mod snapshot;

use std::path::PathBuf;

use parking_lot::Mutex;
use prost::Message;
use raft::eraftpb::{ConfState, HardState};

use crate::engine::{Durability, Engines};
use crate::ids::{LogIndex, RegionId, Term};
use crate::keys;
use crate::proto::store::{FoundingState, RaftLocalState, Region};
use crate::snapshot::ReceivedSnapshot;
use cache::LogCache;
use invariants::Positions;
use snapshot::SnapshotSlot;

pub use ready::Saved;
pub use snapshot::SnapshotTask;

/// How a [`PeerStorage`] behaves.
#[derive(Clone, Debug)]
pub struct PeerStorageOptions {
    /// Of entries. Terms and votes are always synced: a vote that is forgotten could elect two leaders.
    pub durability: Durability,
    /// Entries kept in memory for followers that are a little behind. Entries that are not yet applied are kept in any
    /// case, and counted.
    pub log_cache_bytes: usize,
    /// Where received snapshots lie.
    pub snapshot_dir: PathBuf,
}

/// The Raft log and state of one Peer. Owned by `RawNode`.
///
/// Invariants, see [`invariants`]: `truncated ≤ checkpoint ≤ applied ≤ commit ≤ last`; the engine holds every entry in
/// `truncated + 1 ..= last`, but for those of a write that failed with [`crate::Error::Full`]; the cache holds a
/// contiguous tail of the log, with every entry appended since the start that is not yet applied.
pub struct PeerStorage {
    engines: Engines,
    options: PeerStorageOptions,
    region_id: RegionId,
    region: Region,
    founding: FoundingState,
    conf_state: ConfState,
    /// The entry that changed the configuration last, if it was handed over since the start.
    configured_index: LogIndex,
    hard_state: HardState,
    truncated_index: LogIndex,
    truncated_term: Term,
    checkpoint_index: LogIndex,
    applied_index: LogIndex,
    last_index: LogIndex,
    last_term: Term,
    /// The greatest index that the engine may hold; above `last_index` between an append and its commit.
    stored_last_index: LogIndex,
    cache: LogCache,
    log_bytes: u64,
    snapshots: Mutex<SnapshotSlot>,
    received: Option<ReceivedSnapshot>,
}

impl PeerStorage {
    /// The engines underneath.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// The Region, with the committed changes of its configuration.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The Region's id.
    pub fn region_id(&self) -> RegionId {
        self.region_id
    }

    /// The ConfState at the checkpoint that was durable when this was opened, or as it was changed since.
    pub fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// The committed entry at `index` has changed the configuration. It becomes durable with the checkpoint that holds this
    /// index; until then the log has it. Snapshots from before it are not handed out any more: a new member would not find
    /// itself in them.
    pub fn set_configuration(&mut self, index: LogIndex, conf_state: ConfState, region: Region) {
        self.configured_index = index;
        self.conf_state = conf_state;
        self.region = region;
    }

    /// Term, vote and commit index as last saved.
    pub fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// The oldest index whose entry is there.
    pub fn first_index(&self) -> LogIndex {
        self.truncated_index.next()
    }

    /// The newest index; equal to [`Self::truncated_index`] when the log is empty.
    pub fn last_index(&self) -> LogIndex {
        self.last_index
    }

    /// The term of the entry at [`Self::last_index`].
    pub fn last_term(&self) -> Term {
        self.last_term
    }

    /// The newest index whose entry was given up.
    pub fn truncated_index(&self) -> LogIndex {
        self.truncated_index
    }

    /// The commit index as last saved or learned from [`Self::set_applied`].
    pub fn commit_index(&self) -> LogIndex {
        LogIndex(self.hard_state.commit)
    }

    /// The newest index that the apply worker reported.
    pub fn applied_index(&self) -> LogIndex {
        self.applied_index
    }

    /// The index of the newest durable checkpoint: replay begins after it.
    pub fn checkpoint_index(&self) -> LogIndex {
        self.checkpoint_index
    }

    /// Bytes of the log's entries, approximately; entries that were there before the last start's checkpoint are not
    /// counted.
    pub fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    /// Bytes of the entries in memory.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// How entries are written.
    pub fn durability(&self) -> Durability {
        self.options.durability
    }

    /// From the next Ready on.
    pub fn set_durability(&mut self, durability: Durability) {
        self.options.durability = durability;
    }

    /// The apply worker has applied everything up to `index`. An applied entry is committed by definition: raft also
    /// hands out committed entries with a LightReady, whose commit index is in no HardState yet.
    pub fn set_applied(&mut self, index: LogIndex) {
        assert!(
            index >= self.applied_index,
            "applied index went from {} back to {index}",
            self.applied_index
        );
        self.applied_index = index;
        self.hard_state.commit = self.hard_state.commit.max(index.get());
        self.assert_positions(self.commit_index());
        self.cache.shrink(index, self.options.log_cache_bytes);
    }

    /// A checkpoint at `index` is durable in the kv engine.
    pub fn checkpointed(&mut self, index: LogIndex) {
        assert!(
            index >= self.checkpoint_index,
            "checkpoint went from {} back to {index}",
            self.checkpoint_index
        );
        self.checkpoint_index = index;
        if index > self.applied_index {
            self.set_applied(index);
        }
        self.assert_positions(self.commit_index());
    }

    fn positions(&self, commit: LogIndex) -> Positions {
        Positions {
            truncated: self.truncated_index,
            checkpoint: self.checkpoint_index,
            applied: self.applied_index,
            commit,
            last: self.last_index,
        }
    }

    fn assert_positions(&self, commit: LogIndex) {
        if let Err(violation) = self.positions(commit).check() {
            panic!("Region {}: {violation}", self.region_id);
        }
    }
}

/// RaftLocalState as it is written.
fn encode_local_state(
    hard_state: &HardState,
    last: (LogIndex, Term),
    truncated: (LogIndex, Term),
) -> Vec<u8> {
    RaftLocalState {
        hard_state: Some(crate::proto::raft::HardState {
            term: hard_state.term,
            vote: hard_state.vote,
            commit: hard_state.commit,
        }),
        last_index: last.0.get(),
        last_term: last.1.get(),
        truncated_index: truncated.0.get(),
        truncated_term: truncated.1.get(),
    }
    .encode_to_vec()
}

/// Tells the raft engine that the entries up to `truncated` are not needed any more.
fn forget_log(engines: &Engines, region: RegionId, truncated: LogIndex) {
    engines.raft.forget(
        &keys::log_entry(region, LogIndex(0)),
        &keys::log_entry(region, truncated.next()),
    );
}
