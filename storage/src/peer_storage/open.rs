//! `open`: reads what an earlier process left, checks it, and finishes what was interrupted.

use parking_lot::Mutex;
use prost::Message;
use raft::eraftpb::{ConfState, HardState};
use raft::util::entry_approximate_size;

use super::cache::LogCache;
use super::install::{Installation, raised};
use super::{PeerStorage, PeerStorageOptions, encode_local_state, entry, forget_log};
use crate::engine::{Durability, Engine, Engines, WriteBatch};
use crate::error::ADVICE;
use crate::ids::{LogIndex, RegionId, Term};
use crate::proto::store::{PeerState, RaftApplyState, RaftLocalState, Region, RegionLocalState};
use crate::snapshot::{self, ReceivedSnapshot};
use crate::{Error, Result, keys};

impl PeerStorage {
    /// Opens the Region `region_id` of a bootstrapped Store.
    ///
    /// An interrupted snapshot installation is finished, and snapshot files that nothing refers to are removed. When the
    /// log ends before the checkpoint, as a power cut in a weaker fsync mode may leave it, it begins anew at the
    /// checkpoint; where entries are synced that is damage. The tail after the checkpoint is read once, to know that it is whole. [`Error::Corrupt`] when the
    /// invariants do not hold.
    pub fn open(
        engines: Engines,
        region_id: RegionId,
        options: PeerStorageOptions,
    ) -> Result<Self> {
        let region = finish_installation(&engines, region_id, &options)?;
        snapshot::clean(&options.snapshot_dir)?;
        let apply_state = apply_state(&engines, region_id)?;
        let checkpoint = (
            LogIndex(apply_state.applied_index),
            Term(apply_state.applied_term),
        );
        let mut state = local_state(&engines, region_id)?;
        if state.last_index < apply_state.applied_index {
            if options.durability == Durability::Synced {
                return Err(lost_entries(&state, checkpoint.0));
            }
            state = restart_log(&engines, region_id, &state, checkpoint)?;
        }
        let mut hard_state = HardState::from(state.hard_state.unwrap_or_default());
        // The commit index is written with the next batch only, so it may lag; what a checkpoint holds is committed.
        hard_state.commit = hard_state.commit.max(apply_state.applied_index);
        let mut storage = Self {
            conf_state: ConfState::from(apply_state.conf_state.unwrap_or_default()),
            configured_index: LogIndex(0),
            region_id,
            founding: super::founding::read(&engines, &region)?,
            engines,
            options,
            region,
            hard_state,
            truncated_index: LogIndex(state.truncated_index),
            truncated_term: Term(state.truncated_term),
            checkpoint_index: checkpoint.0,
            applied_index: checkpoint.0,
            last_index: LogIndex(state.last_index),
            last_term: Term(state.last_term),
            stored_last_index: LogIndex(state.last_index),
            cache: LogCache::default(),
            log_bytes: 0,
            snapshots: Mutex::default(),
            received: None,
        };
        storage
            .positions(storage.commit_index())
            .check()
            .map_err(|violation| Error::corrupt("Raft state", violation))?;
        storage.read_tail()?;
        forget_log(&storage.engines, region_id, storage.truncated_index);
        Ok(storage)
    }

    /// Reads the entries after the checkpoint: they must be there, in order, and end with the last term.
    fn read_tail(&mut self) -> Result<()> {
        let mut next = self.checkpoint_index.max(self.truncated_index).next();
        let mut term = Term(0);
        let start = keys::log_entry(self.region_id, next);
        let end = keys::log_entry(self.region_id, self.last_index.next());
        let engines = self.engines.clone();
        for pair in engines.raft.scan(&start, &end) {
            let (key, value) = pair?;
            if keys::parse_log_entry(self.region_id, &key) != Some(next) {
                break;
            }
            let entry = entry::decode(next, value)?;
            if Term(entry.term) < term {
                return Err(Error::corrupt(
                    "log",
                    format!("the term falls at entry {next}"),
                ));
            }
            term = Term(entry.term);
            self.log_bytes += entry_approximate_size(&entry) as u64;
            self.cache.append(std::slice::from_ref(&entry));
            // What is not applied may be read from the engine after a start: memory is bounded from the beginning.
            self.cache.shrink(next, self.options.log_cache_bytes);
            next = next.next();
        }
        if next != self.last_index.next() {
            return Err(Error::corrupt(
                "log",
                format!("entry {next} is missing, the last is {}", self.last_index),
            ));
        }
        if term != Term(0) && term != self.last_term {
            return Err(Error::corrupt(
                "log",
                format!("the last entry has term {term}, not {}", self.last_term),
            ));
        }
        Ok(())
    }
}

/// The Region, after a snapshot's installation was finished if one was under way.
fn finish_installation(
    engines: &Engines,
    region_id: RegionId,
    options: &PeerStorageOptions,
) -> Result<Region> {
    let state: RegionLocalState = read(
        engines.kv.as_ref(),
        &keys::region_state(region_id),
        "RegionLocalState",
    )?;
    let region = state
        .region
        .clone()
        .ok_or_else(|| Error::corrupt("RegionLocalState", "it has no Region"))?;
    match state.state() {
        PeerState::Normal => return Ok(region),
        PeerState::Tombstone => {
            return Err(Error::corrupt(
                "RegionLocalState",
                format!("Region {region_id} was removed from this Store"),
            ));
        }
        PeerState::Applying => {}
    }
    let metadata = state
        .snapshot
        .ok_or_else(|| Error::corrupt("RegionLocalState", "Applying without a snapshot"))?;
    let (index, term) = (LogIndex(metadata.index), Term(metadata.term));
    let path = ReceivedSnapshot::path_of(&options.snapshot_dir, region_id, index, term);
    tracing::info!("finishing the installation of the snapshot at index {index}, term {term}");
    let file = ReceivedSnapshot::open(&path)?;
    let local = local_state(engines, region_id)?;
    let hard_state = HardState::from(local.hard_state.unwrap_or_default());
    Installation {
        engines,
        region_id,
        old_region: &region,
        file: &file,
        hard_state: &raised(&hard_state, &file),
        stored_last_index: LogIndex(local.last_index),
    }
    .run()?;
    Ok(file.region())
}

/// Entries were executed, so they were synced, and they are not there: with them votes may be gone.
fn lost_entries(state: &RaftLocalState, checkpoint: LogIndex) -> Error {
    Error::corrupt(
        "log",
        format!(
            "it ends at index {}, before the checkpoint at {checkpoint}, though every entry was synced. If this node ran with \
             another appendfsync than always until now, start it once with that. Otherwise the node cannot go on with these \
             files: {ADVICE}",
            state.last_index
        ),
    )
}

/// A log that begins and ends at the checkpoint, because what was behind it is lost.
fn restart_log(
    engines: &Engines,
    region_id: RegionId,
    state: &RaftLocalState,
    checkpoint: (LogIndex, Term),
) -> Result<RaftLocalState> {
    tracing::warn!(
        "the log ends at index {}, before the checkpoint at {}: unsynced entries were lost, the log begins anew there",
        state.last_index,
        checkpoint.0
    );
    let mut hard_state = HardState::from(state.hard_state.unwrap_or_default());
    if hard_state.term < checkpoint.1.get() {
        hard_state.term = checkpoint.1.get();
        hard_state.vote = 0;
    }
    hard_state.commit = checkpoint.0.get();
    let mut batch = WriteBatch::new();
    batch.put(
        keys::raft_state(region_id),
        encode_local_state(&hard_state, checkpoint, checkpoint),
    );
    engines.raft.write(batch, Durability::Synced)?;
    local_state(engines, region_id)
}

fn apply_state(engines: &Engines, region_id: RegionId) -> Result<RaftApplyState> {
    read(
        engines.kv.as_ref(),
        &keys::apply_state(region_id),
        "RaftApplyState",
    )
}

fn local_state(engines: &Engines, region_id: RegionId) -> Result<RaftLocalState> {
    read(
        engines.raft.as_ref(),
        &keys::raft_state(region_id),
        "RaftLocalState",
    )
}

fn read<M: Message + Default>(engine: &dyn Engine, key: &[u8], what: &'static str) -> Result<M> {
    let value = engine
        .get(key)?
        .ok_or_else(|| Error::corrupt(what, "it is missing"))?;
    M::decode(value).map_err(|error| Error::corrupt(what, error.to_string()))
}
