//! Snapshots for followers that fell behind the log.
//!
//! Raft asks ([`raft::Storage::snapshot`]), is told "temporarily unavailable", and asks again with the next heartbeat
//! response. In between the raft loop takes the [`SnapshotTask`], runs it, and brings the source with
//! [`PeerStorage::set_snapshot`]; raft then gets its metadata and sends the MsgSnapshot, which the transport accompanies
//! with the chunks of [`PeerStorage::snapshot_source`].
//!
//! While a follower receives a snapshot, the caller does not compact the log beyond its index, within reason: what was truncated
//! meanwhile would make it need another one.

use std::sync::Arc;

use raft::eraftpb::SnapshotMetadata;

use super::PeerStorage;
use crate::Result;
use crate::engine::Engine;
use crate::ids::{LogIndex, RegionId};
use crate::snapshot::{ReceivedSnapshot, SnapshotSource};

/// What raft asked for and what it can have.
#[derive(Default)]
pub(super) struct SnapshotSlot {
    wanted: bool,
    under_way: bool,
    source: Option<SnapshotSource>,
}

/// Takes a snapshot; may run on any thread.
pub struct SnapshotTask {
    kv: Arc<dyn Engine>,
    region: RegionId,
}

impl SnapshotTask {
    /// The state of the newest durable checkpoint. O(1) in the size of the data.
    pub fn run(&self) -> Result<SnapshotSource> {
        SnapshotSource::new(self.kv.view(), self.region)
    }
}

impl PeerStorage {
    /// Raft asked for a snapshot since the last call and none is under way: run the task, then call
    /// [`Self::set_snapshot`] or [`Self::snapshot_failed`].
    pub fn snapshot_needed(&mut self) -> Option<SnapshotTask> {
        let slot = self.snapshots.get_mut();
        if !slot.wanted || slot.under_way {
            return None;
        }
        slot.wanted = false;
        slot.under_way = true;
        Some(SnapshotTask {
            kv: Arc::clone(&self.engines.kv),
            region: self.region_id,
        })
    }

    /// The task's result. Raft gets it when it asks again.
    pub fn set_snapshot(&mut self, source: SnapshotSource) {
        let slot = self.snapshots.get_mut();
        slot.under_way = false;
        slot.source = Some(source);
        self.drop_old_snapshot();
    }

    /// The task failed; raft's next request makes a new one.
    pub fn snapshot_failed(&mut self) {
        self.snapshots.get_mut().under_way = false;
    }

    /// The snapshot whose metadata raft was given, positioned at its first chunk.
    pub fn snapshot_source(&self, index: LogIndex) -> Option<SnapshotSource> {
        self.snapshots
            .lock()
            .source
            .clone()
            .filter(|source| source.index() == index)
    }

    /// The index of the snapshot that is being handed out.
    pub fn snapshot_index(&self) -> Option<LogIndex> {
        self.snapshots
            .lock()
            .source
            .as_ref()
            .map(SnapshotSource::index)
    }

    /// No follower needs the snapshot any more: lets go of its view.
    pub fn release_snapshot(&mut self) {
        self.snapshots.get_mut().source = None;
    }

    /// The file that the next Ready's snapshot is installed from. Call before raft steps the MsgSnapshot. An earlier file
    /// that raft did not want is removed.
    pub fn receive(&mut self, file: ReceivedSnapshot) {
        if let Some(unused) = self.received.take()
            && (unused.index(), unused.term()) != (file.index(), file.term())
        {
            unused.discard();
        }
        self.received = Some(file);
    }

    /// What raft may send now, or a note that it wants one.
    pub(super) fn serve_snapshot(&self, request_index: LogIndex) -> Option<SnapshotMetadata> {
        // Raft refuses a snapshot at index 0, and one below the truncated index could not be followed by entries.
        let least = request_index
            .max(self.truncated_index)
            .max(self.configured_index)
            .max(LogIndex(1));
        let mut slot = self.snapshots.lock();
        let served = slot
            .source
            .as_ref()
            .filter(|source| source.index() >= least)
            .map(SnapshotSource::metadata);
        slot.wanted |= served.is_none();
        served
    }

    pub(super) fn drop_old_snapshot(&mut self) {
        let slot = self.snapshots.get_mut();
        if slot
            .source
            .as_ref()
            .is_some_and(|source| source.index() < self.truncated_index)
        {
            slot.source = None;
        }
    }
}
