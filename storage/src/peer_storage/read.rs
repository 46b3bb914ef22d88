//! `raft::Storage`: what raft reads.

use raft::eraftpb::{Entry, Snapshot};
use raft::util::{NO_LIMIT, entry_approximate_size};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

use super::{PeerStorage, entry};
use crate::ids::{LogIndex, Term};
use crate::{Error, Result, keys};

impl PeerStorage {
    /// The entries `low <= index < high`, up to `max_bytes` but at least one. All of them must be in the log.
    pub fn read_entries(
        &self,
        low: LogIndex,
        high: LogIndex,
        max_bytes: u64,
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if low >= high {
            return Ok(entries);
        }
        let mut budget = Budget {
            left: max_bytes,
            first: true,
        };
        let cached = self.cache.first_index().unwrap_or(high).clamp(low, high);
        if low < cached {
            let (start, end) = (
                keys::log_entry(self.region_id, low),
                keys::log_entry(self.region_id, cached),
            );
            let mut next = low;
            for pair in self.engines.raft.scan(&start, &end) {
                let (key, value) = pair?;
                if keys::parse_log_entry(self.region_id, &key) != Some(next) {
                    break;
                }
                let entry = entry::decode(next, value)?;
                if !budget.take(&entry) {
                    return Ok(entries);
                }
                entries.push(entry);
                next = next.next();
            }
            if next != cached {
                return Err(Error::corrupt("log", format!("entry {next} is missing")));
            }
        }
        for entry in self
            .cache
            .from(cached)
            .take_while(|entry| entry.index < high.get())
        {
            if !budget.take(entry) {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    /// The term of the entry at `index`, or of the truncated one; `None` when the log does not reach there.
    pub(super) fn term_of(&self, index: LogIndex) -> Result<Option<Term>> {
        if index == self.truncated_index {
            return Ok(Some(self.truncated_term));
        }
        if index == self.last_index {
            return Ok(Some(self.last_term));
        }
        if index < self.truncated_index || index > self.last_index {
            return Ok(None);
        }
        if let Some(term) = self.cache.term(index) {
            return Ok(Some(term));
        }
        let value = self
            .engines
            .raft
            .get(&keys::log_entry(self.region_id, index))?
            .ok_or_else(|| Error::corrupt("log", format!("entry {index} is missing")))?;
        entry::term(index, value).map(Some)
    }
}

/// Bytes that may still be returned; the first entry always may.
struct Budget {
    left: u64,
    first: bool,
}

impl Budget {
    fn take(&mut self, entry: &Entry) -> bool {
        let bytes = entry_approximate_size(entry) as u64;
        if !self.first && bytes > self.left {
            return false;
        }
        self.first = false;
        self.left = self.left.saturating_sub(bytes);
        true
    }
}

impl Storage for PeerStorage {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(
            self.hard_state.clone(),
            self.conf_state.clone(),
        ))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.truncated_index.get() {
            return Err(StorageError::Compacted.into());
        }
        assert!(
            high <= self.last_index.next().get(),
            "Region {}: entries up to {high} were asked for, the last is {}",
            self.region_id,
            self.last_index
        );
        let max_bytes = max_size.into().unwrap_or(NO_LIMIT);
        self.read_entries(LogIndex(low), LogIndex(high), max_bytes)
            .map_err(storage_error)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.truncated_index.get() {
            return Err(StorageError::Compacted.into());
        }
        match self.term_of(LogIndex(index)).map_err(storage_error)? {
            Some(term) => Ok(term.get()),
            None => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(PeerStorage::first_index(self).get())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(PeerStorage::last_index(self).get())
    }

    fn snapshot(&self, request_index: u64, _: u64) -> raft::Result<Snapshot> {
        match self.serve_snapshot(LogIndex(request_index)) {
            Some(metadata) => Ok(Snapshot {
                metadata: Some(metadata).into(),
                ..Default::default()
            }),
            None => Err(StorageError::SnapshotTemporarilyUnavailable.into()),
        }
    }
}

fn storage_error(error: Error) -> raft::Error {
    StorageError::Other(Box::new(error)).into()
}
