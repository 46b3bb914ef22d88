//! Forgetting the log behind a durable checkpoint.

use storage::ids::LogIndex;

use super::peer::Peer;

impl Peer {
    /// A checkpoint up to `index` is durable: entries at or below it are no longer needed here. They are kept for followers
    /// that still need them, while they take no more than `log_retention_bytes`; a follower that is further behind gets a
    /// snapshot.
    pub fn on_checkpoint(&mut self, index: LogIndex) -> storage::Result<()> {
        self.raw.mut_store().checkpointed(index);
        let to = if self.raw.store().log_bytes() > self.config.log_retention_bytes {
            index
        } else {
            index.min(self.needed_by_all())
        };
        if to >= self.raw.store().first_index() {
            match self.raw.mut_store().compact(to) {
                // With the next checkpoint, then.
                Err(storage::Error::Full) => {}
                compacted => compacted?,
            }
        }
        Ok(())
    }

    /// The index that every other Peer has. Only the leader knows; a follower keeps what its retention allows, because it
    /// may have to serve the others when it leads.
    fn needed_by_all(&self) -> LogIndex {
        let others = self
            .raw
            .raft
            .prs()
            .iter()
            .filter(|(id, _)| **id != self.config.peer.get());
        let slowest = others.map(|(_, progress)| progress.matched).min();
        match slowest {
            None => LogIndex(u64::MAX),
            Some(matched) if self.is_leader() => LogIndex(matched),
            Some(_) => LogIndex(0),
        }
    }
}
