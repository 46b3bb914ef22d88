//! `append`: entries into the raft write batch.

use raft::eraftpb::Entry;
use raft::util::entry_approximate_size;

use super::{PeerStorage, entry};
use crate::engine::WriteBatch;
use crate::ids::{LogIndex, Term};
use crate::{Result, keys};

impl PeerStorage {
    /// Puts `entries` into `batch` and moves `last_index` and `last_term` to the last of them. They can be read at once,
    /// before the batch is committed. If they overwrite a conflicting tail that is longer than they are, the rest of that
    /// tail is deleted: left there, it could be taken for entries of this log after a restart.
    ///
    /// Appending the same entries again, after their batch was refused, puts the same operations into the new batch.
    ///
    /// # Panics
    /// When `entries` have a gap, leave one behind the log, or overwrite what is committed: raft never does.
    pub fn append(&mut self, entries: &[Entry], batch: &mut WriteBatch) -> Result<()> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        self.assert_appendable(LogIndex(first.index), entries);
        for entry in entries {
            batch.put(
                keys::log_entry(self.region_id, LogIndex(entry.index)),
                entry::encode(entry)?,
            );
        }
        for stale in last.index + 1..=self.stored_last_index.get() {
            batch.delete(keys::log_entry(self.region_id, LogIndex(stale)));
        }
        let stale_bytes = self.cache.append(entries) as u64;
        let bytes: usize = entries.iter().map(entry_approximate_size).sum();
        self.log_bytes = self.log_bytes.saturating_sub(stale_bytes) + bytes as u64;
        self.stored_last_index = self.stored_last_index.max(LogIndex(last.index));
        self.last_index = LogIndex(last.index);
        self.last_term = Term(last.term);
        Ok(())
    }

    fn assert_appendable(&self, first: LogIndex, entries: &[Entry]) {
        assert!(
            first <= self.last_index.next(),
            "Region {}: entry {first} would leave a gap after {}",
            self.region_id,
            self.last_index
        );
        assert!(
            first > self.applied_index && first > self.truncated_index,
            "Region {}: entry {first} would overwrite what is applied up to {}",
            self.region_id,
            self.applied_index
        );
        assert!(
            entries.is_sorted_by(
                |earlier, later| earlier.index + 1 == later.index && earlier.term <= later.term
            ),
            "Region {}: appended entries have a gap",
            self.region_id
        );
    }
}
