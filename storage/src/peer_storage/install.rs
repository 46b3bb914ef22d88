//! Installs a received snapshot.
//!
//! Two engines must change together, so the steps are ordered and each can be repeated. A crash after any of them is
//! finished at the next start ([`super::open`]) by going through all of them again:
//!
//! 1. kv: RegionLocalState := Applying, with the snapshot's metadata, which names the file. From here on the old state is
//!    given up, and the file must stay.
//! 2. raft: RaftLocalState begins and ends at the snapshot's index; entries above it are deleted.
//! 3. kv: one ingestion with RaftApplyState, the snapshot's records, and a deletion of each old record that is not among
//!    them. It is atomic: readers of the engine see the old records or the new.
//! 4. kv: RegionLocalState := Normal, with the snapshot's Region. Only after the file was read to its end and found good.
//! 5. the file is removed, and the engine may drop the old entries.
//!
//! No checkpoint may be running meanwhile: its records are older than the snapshot's and would win.

use std::cmp::Ordering;
use std::iter::Peekable;

use bytes::Bytes;
use prost::Message;
use raft::Ready;
use raft::eraftpb::HardState;

use super::{PeerStorage, encode_local_state, forget_log};
use crate::engine::{Durability, Engines, Scan, WriteBatch};
use crate::ids::{LogIndex, RegionId, Term};
use crate::proto::store::{PeerState, Region, RegionLocalState};
use crate::snapshot::{ReceivedSnapshot, SnapshotRecords};
use crate::{Error, Result, keys};

impl PeerStorage {
    /// Installs the snapshot of `ready` from the received file and returns its index.
    pub(super) fn install_snapshot(&mut self, ready: &Ready) -> Result<LogIndex> {
        let metadata = ready.snapshot().get_metadata();
        let file = self
            .received
            .clone()
            .filter(|file| {
                (file.index().get(), file.term().get()) == (metadata.index, metadata.term)
            })
            .ok_or_else(|| {
                Error::corrupt(
                    "snapshot",
                    format!(
                        "raft accepted one at {} that was not received",
                        metadata.index
                    ),
                )
            })?;
        assert!(
            file.index() > self.applied_index,
            "Region {}: a snapshot at {} is older than the applied index {}",
            self.region_id,
            metadata.index,
            self.applied_index
        );
        // The old records go only when the new ones are there.
        self.engines.kv.check_room(file.size_bytes()?)?;
        let hard_state = ready
            .hs()
            .cloned()
            .unwrap_or_else(|| self.hard_state.clone());
        let installation = Installation {
            engines: &self.engines,
            region_id: self.region_id,
            old_region: &self.region,
            file: &file,
            hard_state: &raised(&hard_state, &file),
            stored_last_index: self.stored_last_index,
        };
        installation.run()?;
        self.hard_state = installation.hard_state.clone();
        self.region = file.region();
        self.conf_state = file.metadata().take_conf_state();
        self.truncated_index = file.index();
        self.truncated_term = file.term();
        self.checkpoint_index = file.index();
        self.applied_index = file.index();
        self.last_index = file.index();
        self.last_term = file.term();
        self.stored_last_index = file.index();
        self.cache.clear();
        self.log_bytes = 0;
        self.received = None;
        self.release_snapshot();
        let index = file.index();
        file.discard();
        Ok(index)
    }
}

/// The state to go on with: the snapshot's entry is committed, and its term has been. A vote belongs to its term.
pub(super) fn raised(hard_state: &HardState, file: &ReceivedSnapshot) -> HardState {
    let mut raised = hard_state.clone();
    if raised.term < file.term().get() {
        raised.term = file.term().get();
        raised.vote = 0;
    }
    raised.commit = raised.commit.max(file.index().get());
    raised
}

/// Everything that the steps need.
pub(super) struct Installation<'a> {
    pub(super) engines: &'a Engines,
    pub(super) region_id: RegionId,
    pub(super) old_region: &'a Region,
    pub(super) file: &'a ReceivedSnapshot,
    pub(super) hard_state: &'a HardState,
    pub(super) stored_last_index: LogIndex,
}

impl Installation<'_> {
    /// Steps 1 to 4 and the second half of 5; the caller removes the file.
    pub(super) fn run(&self) -> Result<()> {
        self.mark_applying()?;
        self.reset_log()?;
        self.replace_records()?;
        self.mark_normal()?;
        forget_log(self.engines, self.region_id, self.file.index());
        Ok(())
    }

    fn mark_applying(&self) -> Result<()> {
        self.put_region_state(RegionLocalState {
            state: PeerState::Applying.into(),
            region: Some(self.old_region.clone()),
            snapshot: Some(self.file.metadata().into()),
        })
    }

    fn reset_log(&self) -> Result<()> {
        let at: (LogIndex, Term) = (self.file.index(), self.file.term());
        let mut batch = WriteBatch::new();
        for stale in at.0.get() + 1..=self.stored_last_index.get() {
            batch.delete(keys::log_entry(self.region_id, LogIndex(stale)));
        }
        batch.put(
            keys::raft_state(self.region_id),
            encode_local_state(self.hard_state, at, at),
        );
        self.engines.raft.write(batch, Durability::Synced)
    }

    fn replace_records(&self) -> Result<()> {
        let new = crate::snapshot::ranges(&self.file.region())?;
        let old = crate::snapshot::ranges(self.old_region)?;
        let view = self.engines.kv.view();
        let [system, data] = union(old, new);
        let old_records: Scan<'_> = Box::new(
            view.scan(&system.0, &system.1)
                .chain(view.scan(&data.0, &data.1)),
        );
        let mut replacement = Replacement {
            head: Some((
                keys::apply_state(self.region_id),
                self.file.apply_state().encode_to_vec().into(),
            )),
            old: old_records.peekable(),
            new: self.file.records()?,
            next: None,
            failed: None,
        };
        self.engines.kv.ingest(&mut replacement)?;
        match replacement.failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn mark_normal(&self) -> Result<()> {
        self.put_region_state(RegionLocalState {
            state: PeerState::Normal.into(),
            region: Some(self.file.region()),
            snapshot: None,
        })
    }

    fn put_region_state(&self, state: RegionLocalState) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(keys::region_state(self.region_id), state.encode_to_vec());
        self.engines.kv.write(batch, Durability::Synced)
    }
}

type Ranges = [(Bytes, Bytes); 2];

/// The smallest ranges that hold both; a Region's slots before and after always overlap.
fn union([system, old]: Ranges, [_, new]: Ranges) -> Ranges {
    [system, (old.0.min(new.0), old.1.max(new.1))]
}

/// Merges the old keys and the new records, both ascending: a new record replaces, an old key without one is deleted.
/// After an error it ends early and leaves the error in `failed`; the state is then still Applying.
struct Replacement<'a> {
    head: Option<(Bytes, Bytes)>,
    old: Peekable<Scan<'a>>,
    new: SnapshotRecords,
    /// The record read ahead; `Some(None)` at the end.
    next: Option<Option<(Bytes, Bytes)>>,
    failed: Option<Error>,
}

impl Replacement<'_> {
    fn step(&mut self) -> Result<Option<(Bytes, Option<Bytes>)>> {
        if let Some((key, value)) = self.head.take() {
            return Ok(Some((key, Some(value))));
        }
        let new = match self.next.take() {
            Some(new) => new,
            None => self.new.next_record()?,
        };
        let order = match (self.old.peek(), &new) {
            (None, _) => Ordering::Greater,
            (Some(Ok((old, _))), Some((new, _))) => old.cmp(new),
            (Some(_), _) => Ordering::Less,
        };
        if order == Ordering::Greater {
            return Ok(new.map(|(key, value)| (key, Some(value))));
        }
        let old = self.old.next().transpose()?;
        if order == Ordering::Equal {
            return Ok(new.map(|(key, value)| (key, Some(value))));
        }
        self.next = Some(new);
        Ok(old.map(|(key, _)| (key, None)))
    }
}

impl Iterator for Replacement<'_> {
    type Item = (Bytes, Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        match self.step() {
            Ok(item) => item,
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}
