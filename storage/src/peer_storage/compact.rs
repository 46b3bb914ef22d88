//! `compact`: gives up entries whose effect is durable in the kv engine.

use super::{PeerStorage, encode_local_state, forget_log};
use crate::engine::{Durability, WriteBatch};
use crate::ids::LogIndex;
use crate::{Error, Result, keys};

impl PeerStorage {
    /// `truncated_index := to`. Does nothing when it is there already. A snapshot that was being handed out and is now too
    /// old is dropped, so that its view does not hold back files.
    ///
    /// The new state is synced before the engine may drop the entries: they disappear whenever a compaction of the LSM
    /// meets them, and after a power cut a state that still names them would be a log with a hole. This is one fsync per
    /// call, so call it per checkpoint and not per entry. The entries are not deleted one by one; see
    /// [`crate::engine::Engine::forget`].
    ///
    /// # Panics
    /// When `to` is above the newest durable checkpoint: replay would have a hole.
    pub fn compact(&mut self, to: LogIndex) -> Result<()> {
        assert!(
            to <= self.checkpoint_index,
            "Region {}: the log cannot be compacted to {to}, the checkpoint is at {}",
            self.region_id,
            self.checkpoint_index
        );
        if to <= self.truncated_index {
            return Ok(());
        }
        let term = self
            .term_of(to)?
            .ok_or_else(|| Error::corrupt("log", format!("entry {to} is missing")))?;
        let mut batch = WriteBatch::new();
        let last = (self.last_index, self.last_term);
        let state = encode_local_state(&self.hard_state, last, (to, term));
        batch.put(keys::raft_state(self.region_id), state);
        self.engines.raft.write(batch, Durability::Synced)?;
        self.shrink_log_bytes(to);
        self.truncated_index = to;
        self.truncated_term = term;
        self.assert_positions(self.commit_index());
        self.cache.compact(to);
        self.drop_old_snapshot();
        forget_log(&self.engines, self.region_id, to);
        Ok(())
    }

    /// Nothing of the log can be given up now: what is kept of it leaves the engine's memory, if it is much.
    pub fn spill(&self) {
        forget_log(&self.engines, self.region_id, self.truncated_index);
    }

    /// The entries that go were not all in memory, so their share is taken to be that of their number.
    fn shrink_log_bytes(&mut self, to: LogIndex) {
        let entries = self.last_index.get() - self.truncated_index.get();
        let left = self.last_index.get() - to.get();
        let bytes = u128::from(self.log_bytes) * u128::from(left) / u128::from(entries.max(1));
        self.log_bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    }
}
