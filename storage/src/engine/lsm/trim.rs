//! Deleting forgotten pairs while they are still in memory.
//!
//! A log entry lives for seconds: written, applied, and behind a checkpoint. A memtable that is flushed with it in it
//! writes it to a table for nothing, and that write competes with the fsync of the log for the disk (8 to 10 ms of every
//! 350 under SET -P 16). So whenever a range is forgotten, a thread of its own deletes what of it the engine has, and
//! flushes the memtable right then, when nearly everything in it is dead: the flush drops a deleted pair together with
//! its value, and writes what is left.
//!
//! fjall keeps the state before a flush, with the memtable in it, until the next one, which is one checkpoint later: up to
//! as much memory again as the log between two checkpoints takes. So the thread lets go of it once the flush is done.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{AbstractTree, Database, Keyspace, OwnedWriteBatch, PersistMode, Readable, UserKey};

use parking_lot::RwLock;

use super::presync::Presync;
use super::zeros::Zeros;
use crate::Result;

/// Pairs deleted by one batch: the journal's lock is held for each and its fsync, and an acknowledgement may wait for it.
const PAIRS_PER_BATCH: usize = 256;

/// Where nothing is dead, because others still need the log, the memtable is flushed from this size on. Sooner, each small table would
/// span all of the log that is kept, since the Raft state is in each of them too, and compactions would write all of it again and again.
const MUCH_ALIVE_BYTES: u64 = 64 << 20;

/// After this it looks whether the flush is done.
const FLUSH_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The thread that trims.
pub(super) struct Trimmer {
    ranges: Option<Sender<(Vec<u8>, Vec<u8>)>>,
    thread: Option<JoinHandle<()>>,
}

impl Trimmer {
    /// Whoever opens a snapshot of the database holds `opening`. Deletions are synced unless there is a `presync`: then writes
    /// are not synced either.
    pub(super) fn start(
        database: &Database,
        keyspace: &Keyspace,
        opening: &Arc<RwLock<()>>,
        zeros: Option<Arc<Zeros>>,
        presync: Option<Presync>,
    ) -> Result<Self> {
        let (ranges, received) = channel();
        let worker = Worker {
            database: database.clone(),
            keyspace: keyspace.clone(),
            opening: Arc::clone(opening),
            zeros,
            presync,
        };
        let thread = std::thread::Builder::new()
            .name("trim".to_owned())
            .spawn(move || worker.run(&received))?;
        Ok(Self {
            ranges: Some(ranges),
            thread: Some(thread),
        })
    }

    /// Deletes what the engine has of `start <= key < end`, soon.
    pub(super) fn trim(&self, start: &[u8], end: &[u8]) {
        if let Some(ranges) = &self.ranges {
            // An error means that the thread has ended after a failed write, which the next write will meet too.
            let _ = ranges.send((start.to_vec(), end.to_vec()));
        }
    }
}

impl Drop for Trimmer {
    fn drop(&mut self) {
        self.ranges = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Lets go of the states before the newest, with memtables that were flushed and tables that were replaced; false if somebody
/// still needs one. Snapshots that are opened from now on see the newest state or a later one, and reads without one always the
/// newest.
pub(super) fn release_old_states(
    database: &Database,
    keyspace: &Keyspace,
    opening: &RwLock<()>,
) -> bool {
    // Nobody is about to open one meanwhile.
    let _opening = opening.write();
    let snapshots = &database.supervisor.snapshot_tracker;
    if snapshots.open_snapshots() > 0 || keyspace.tree.sealed_memtable_count() > 0 {
        return false;
    }
    let mut states = keyspace.tree.get_version_history_lock();
    // What could not be deleted is deleted with the next flush.
    let _ = states.maintenance(keyspace.path(), snapshots.get());
    true
}

struct Worker {
    database: Database,
    keyspace: Keyspace,
    opening: Arc<RwLock<()>>,
    zeros: Option<Arc<Zeros>>,
    presync: Option<Presync>,
}

impl Worker {
    fn run(&self, ranges: &Receiver<(Vec<u8>, Vec<u8>)>) {
        let mut flushing = false;
        loop {
            let range = if flushing {
                ranges.recv_timeout(FLUSH_LOOK_INTERVAL)
            } else {
                ranges.recv().map_err(RecvTimeoutError::from)
            };
            match range {
                Ok((start, end)) => match self.trim(&start, &end) {
                    Ok(()) => flushing = true,
                    // It has poisoned the database: the store thread's next write meets the same error, and stops.
                    Err(_) => return,
                },
                Err(RecvTimeoutError::Timeout) => {
                    flushing = !release_old_states(&self.database, &self.keyspace, &self.opening);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn trim(&self, start: &[u8], end: &[u8]) -> fjall::Result<()> {
        let keys = self.keys(start, end)?;
        if keys.is_empty() && self.keyspace.tree.active_memtable().size() < MUCH_ALIVE_BYTES {
            return Ok(());
        }
        // One that is not synced may be torn while the next is whole.
        let mode = match self.presync {
            Some(_) => PersistMode::Buffer,
            None => PersistMode::SyncData,
        };
        for keys in keys.chunks(PAIRS_PER_BATCH) {
            let mut batch = OwnedWriteBatch::with_capacity(self.database.clone(), keys.len())
                .durability(Some(mode));
            let mut bytes = 0;
            for key in keys {
                bytes += key.len();
                batch.remove(&self.keyspace, key.clone());
            }
            let _writing = self.zeros.as_ref().map(|zeros| zeros.writing(bytes));
            batch.commit()?;
        }
        if let Some(presync) = &self.presync
            && let Err(error) = presync.run()
        {
            // The flush syncs it too, and meets the same error: the system tells it to each who has the file open.
            tracing::error!("sync of the log failed: {error}");
        }
        self.keyspace.rotate_memtable()?;
        Ok(())
    }

    /// The snapshot is gone when this returns: while it lives, a flush keeps what it can see.
    fn keys(&self, start: &[u8], end: &[u8]) -> fjall::Result<Vec<UserKey>> {
        let snapshot = self.database.snapshot();
        snapshot
            .range(&self.keyspace, start..end)
            .map(fjall::Guard::key)
            .collect()
    }
}
