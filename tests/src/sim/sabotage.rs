//! Rules broken on purpose, to prove that the checkers notice, and the disk of a Store: the seam at which most are broken.
//!
//! Production code knows nothing of this: a [`Disk`] stands between it and a [`MemoryEngine`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use prost::Message as _;
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engine, Reader, Scan, SortedRecords, WriteBatch};
use storage::ids::FIRST_REGION;
use storage::proto::store::{PeerState, RaftLocalState, RegionLocalState};
use storage::{Error, Result, keys};

/// One rule broken on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing is broken.
    #[default]
    None,
    /// The Raft log is never synced.
    SkipFsync,
    /// The Raft log is synced by the next write only, when its acknowledgement has left.
    AcknowledgeBeforeFsync,
    /// Votes are not written.
    ForgetVote,
    /// A conflicting tail of the log stays where the new entries end before it.
    KeepStaleTail,
    /// A checkpoint is called durable, and the log before it given up, while it is not synced.
    CompactBeyondCheckpoint,
    /// The installation of a snapshot is not marked before data is touched.
    InstallWithoutMark,
    /// A voter that restarts owes no loyalty to the leader it had heard.
    ForgetLoyalty,
    /// Replicas draw different random numbers.
    ApplyAtRandom,
    /// A request is proposed whatever epoch and term it was made for.
    IgnoreEpoch,
    /// A write whose outcome is unknown is said to be not executed.
    RefuseTheUnknown,
    /// A forwarded write whose leader does not answer is sent again, whatever the log says.
    SendTwice,
    /// A forwarded write is appended in any term.
    UnbindForwarded,
    /// Whoever waits for a forwarded write is not told that a snapshot may have hidden it.
    KeepClaims,
    /// Reads are answered by whoever believes to lead, without a look at the lease.
    IgnoreLease,
    /// Reads are answered by any replica as it stands.
    SkipReadIndex,
}

/// Writes that still succeed before the power fails; shared by the disks of a Store.
#[derive(Clone, Default)]
pub(super) struct Fuse(Arc<AtomicU64>);

/// A fuse that never burns.
const NEVER: u64 = 0;

impl Fuse {
    /// The power fails with the `nth` write from now, counted from 1.
    pub(super) fn set(&self, nth: u64) {
        self.0.store(nth + 1, Ordering::Relaxed);
    }

    /// The power is back.
    pub(super) fn clear(&self) {
        self.0.store(NEVER, Ordering::Relaxed);
    }

    pub(super) fn has_burnt(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }

    /// One write more; true if the power fails with it.
    fn burn(&self) -> bool {
        match self.0.load(Ordering::Relaxed) {
            NEVER => false,
            1 => true,
            left => {
                self.0.store(left - 1, Ordering::Relaxed);
                left == 2
            }
        }
    }
}

/// An engine that breaks one rule, and whose power may fail in the middle of anything.
pub(super) struct Disk {
    pub(super) engine: Arc<MemoryEngine>,
    pub(super) sabotage: Sabotage,
    pub(super) fuse: Fuse,
}

impl Disk {
    fn check_power(&self) -> Result<()> {
        match self.fuse.burn() {
            true => Err(Error::Engine("the power fails".to_owned())),
            false => Ok(()),
        }
    }

    /// The batch as a build with the broken rule writes it.
    fn broken(&self, batch: WriteBatch) -> Result<WriteBatch> {
        let mut broken = WriteBatch::new();
        for (key, value) in batch.into_ops() {
            match (self.sabotage, value) {
                (Sabotage::KeepStaleTail, None) if is_log_entry(&key) => {}
                (Sabotage::KeepStaleTail, Some(value)) if key == keys::raft_state(FIRST_REGION) => {
                    let value = self.with_longer_log(&value)?;
                    broken.put(key, value);
                }
                (Sabotage::ForgetVote, Some(value)) if key == keys::raft_state(FIRST_REGION) => {
                    let mut state = RaftLocalState::decode(value).expect("our own");
                    if let Some(hard_state) = &mut state.hard_state {
                        hard_state.vote = 0;
                    }
                    broken.put(key, state.encode_to_vec());
                }
                (Sabotage::InstallWithoutMark, Some(value)) if is_mark(&key, &value) => {}
                (_, Some(value)) => broken.put(key, value),
                (_, None) => broken.delete(key),
            }
        }
        Ok(broken)
    }

    /// The state with the end of the log that is on the disk, if that is longer.
    fn with_longer_log(&self, value: &[u8]) -> Result<Vec<u8>> {
        let mut state = RaftLocalState::decode(value).expect("our own");
        if let Some(old) = self.engine.get(&keys::raft_state(FIRST_REGION))? {
            let old = RaftLocalState::decode(old).expect("our own");
            if old.last_index > state.last_index {
                (state.last_index, state.last_term) = (old.last_index, old.last_term);
            }
        }
        Ok(state.encode_to_vec())
    }
}

fn is_log_entry(key: &[u8]) -> bool {
    keys::parse_log_entry(FIRST_REGION, key).is_some()
}

fn is_mark(key: &[u8], value: &[u8]) -> bool {
    key == keys::region_state(FIRST_REGION)
        && RegionLocalState::decode(value).is_ok_and(|state| state.state() == PeerState::Applying)
}

impl Reader for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.engine.get(key)
    }

    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.engine.scan(start, end)
    }

    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.engine.scan_back(start, end)
    }
}

impl Engine for Disk {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<()> {
        let batch = self.broken(batch)?;
        if self.check_power().is_err() {
            // It may have reached the disk, or not.
            self.engine.write(batch, Durability::Buffered)?;
            return Err(Error::Engine("the power fails".to_owned()));
        }
        match self.sabotage {
            Sabotage::SkipFsync => self.engine.write(batch, Durability::Buffered),
            Sabotage::AcknowledgeBeforeFsync => {
                self.engine.sync()?;
                self.engine.write(batch, Durability::Buffered)
            }
            _ => self.engine.write(batch, durability),
        }
    }

    fn sync(&self) -> Result<()> {
        self.check_power()?;
        match self.sabotage {
            Sabotage::SkipFsync => Ok(()),
            _ => self.engine.sync(),
        }
    }

    fn ingest(&self, records: SortedRecords<'_>) -> Result<()> {
        self.check_power()?;
        if self.sabotage != Sabotage::CompactBeyondCheckpoint {
            return self.engine.ingest(records);
        }
        let mut batch = WriteBatch::new();
        for (key, value) in records {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        self.engine.write(batch, Durability::Buffered)
    }

    fn check_room(&self, bytes: u64) -> Result<()> {
        self.engine.check_room(bytes)
    }

    fn forget(&self, start: &[u8], end: &[u8]) {
        self.engine.forget(start, end);
    }

    fn view(&self) -> Arc<dyn Reader> {
        self.engine.view()
    }

    fn disk_bytes(&self) -> u64 {
        self.engine.disk_bytes()
    }
}
