//! Giving back the space of what nobody can see any more.
//!
//! A flush only hides records, and a deletion is a pair more on the disk until a compaction meets what it deletes. fjall compacts
//! when something is written, so an engine at rest would keep all of it for ever. A thread of its own therefore compacts
//! everything into the last level once half of it is dead: that reads each dead pair once, and writes no more than there was
//! dead.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{AbstractTree, Database, Keyspace, UserKey};
use parking_lot::RwLock;

use super::obsolete::ObsoleteFilter;
use super::trim::release_old_states;
use crate::Result;

/// Less than this on disk is not worth a compaction.
const MIN_BYTES: u64 = 16 << 20;
/// Where pairs are looked at in each table, to learn how many of it are dead.
const SAMPLES: u32 = 6;
/// How many there.
const SAMPLE_PAIRS: usize = 16;
/// Tables are cut at this size, as fjall's own compactions cut them.
const TABLE_BYTES: u64 = 64_000_000;
/// After this it looks whether the files that a compaction has replaced can go.
const RELEASE_LOOK_INTERVAL: Duration = Duration::from_millis(100);

thread_local! {
    static STOP: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// What breaks off a compaction of this thread. Only the reclaiming thread's: an error in one of fjall's own would make the
/// database refuse all writes.
pub(super) fn stop_of_this_thread() -> Option<Arc<AtomicBool>> {
    STOP.with(|stop| stop.borrow().clone())
}

/// The error with which a compaction is broken off.
pub(super) fn broken_off() -> fjall::LsmError {
    fjall::LsmError::Io(io::Error::from(io::ErrorKind::Interrupted))
}

/// The thread that reclaims.
pub(super) struct Reclaimer {
    requests: Option<Sender<()>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reclaimer {
    /// Whoever opens a snapshot of the database holds `opening`.
    pub(super) fn start(
        database: &Database,
        keyspace: &Keyspace,
        opening: &Arc<RwLock<()>>,
        filter: Option<ObsoleteFilter>,
    ) -> Result<Self> {
        let (requests, received) = channel();
        let worker = Worker {
            database: database.clone(),
            keyspace: keyspace.clone(),
            opening: Arc::clone(opening),
            filter,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("reclaim".to_owned())
            .spawn(move || {
                STOP.with(|stop| *stop.borrow_mut() = Some(stopped));
                worker.run(&received);
            })?;
        Ok(Self {
            requests: Some(requests),
            stop,
            thread: Some(thread),
        })
    }

    /// Looks soon whether a compaction is worth it, and runs it.
    pub(super) fn request(&self) {
        if let Some(requests) = &self.requests {
            // The thread ends with this value only.
            let _ = requests.send(());
        }
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Worker {
    database: Database,
    keyspace: Keyspace,
    opening: Arc<RwLock<()>>,
    filter: Option<ObsoleteFilter>,
}

impl Worker {
    fn run(&self, requests: &Receiver<()>) {
        let mut releasing = false;
        loop {
            let request = if releasing {
                requests.recv_timeout(RELEASE_LOOK_INTERVAL)
            } else {
                requests.recv().map_err(RecvTimeoutError::from)
            };
            match request {
                Ok(()) => {
                    // Requests that came meanwhile are answered by the same look.
                    while requests.try_recv().is_ok() {}
                    releasing |= self.reclaim();
                }
                Err(RecvTimeoutError::Timeout) => {
                    releasing = !release_old_states(&self.database, &self.keyspace, &self.opening);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Compacts if it is worth it; answers whether it has replaced files.
    fn reclaim(&self) -> bool {
        let before = self.keyspace.disk_space();
        if before < MIN_BYTES || !self.is_half_dead() {
            return false;
        }
        match self.keyspace.tree.major_compact(TABLE_BYTES, self.seqno()) {
            Ok(()) => {
                let after = self.keyspace.disk_space();
                tracing::debug!(before, after, "reclaimed disk space");
                true
            }
            Err(error) => {
                // Everything is as it was, and a later request tries again. A disk without room is told by the next write.
                tracing::debug!("reclaiming disk space was broken off: {error}");
                false
            }
        }
    }

    /// What is older than this may be dropped when it is deleted or overwritten: no snapshot sees it.
    fn seqno(&self) -> u64 {
        // Nobody is about to open one meanwhile.
        let _opening = self.opening.write();
        let snapshots = &self.database.supervisor.snapshot_tracker;
        if snapshots.open_snapshots() > 0 {
            snapshots.get_seqno_safe_to_gc()
        } else {
            snapshots.get()
        }
    }

    /// Whether at least half of the pairs on disk are obsolete, deletions, or deleted by one. Obsolete ones are counted among some
    /// pairs of every table.
    fn is_half_dead(&self) -> bool {
        let (mut pairs, mut dead) = (0, 0);
        for table in self.keyspace.tree.current_version().iter_tables() {
            let (total, deletions) = (table.metadata.item_count, table.tombstone_count());
            let range = &table.metadata.key_range;
            let (mut seen, mut obsolete) = (0, 0);
            for start in sample_starts(range.min(), range.max()) {
                // A pair that cannot be read is met by who needs it.
                let some = table.range(UserKey::from(start)..).flatten();
                for pair in some.take(SAMPLE_PAIRS) {
                    seen += 1;
                    let is_obsolete =
                        !pair.is_tombstone() && self.is_obsolete(&pair.key.user_key, &pair.value);
                    obsolete += u64::from(is_obsolete);
                }
            }
            pairs += total;
            dead += 2 * deletions + total * obsolete / u64::max(seen, 1);
        }
        dead > 0 && dead * 2 >= pairs
    }

    fn is_obsolete(&self, key: &[u8], value: &[u8]) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|filter| filter(key, value))
    }
}

/// Where samples of a table begin, ever nearer to its last key: its first pairs may all be of another kind than the others.
fn sample_starts(first: &[u8], last: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    let head = |key: &[u8]| {
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip(key) {
            *to = *from;
        }
        u64::from_be_bytes(head)
    };
    let (first, last) = (head(first), head(last));
    (1..=SAMPLES).map(move |nth| (last - (last.saturating_sub(first) >> nth)).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::{LsmEngine, LsmOptions};
    use super::*;
    use crate::engine::{Engine, Reader};
    use bytes::Bytes;

    const VALUE_BYTES: usize = 1000;

    fn ingest(engine: &LsmEngine, first: u8, count: u32, live: bool) {
        let mut seed = u64::from(first) + 1;
        let mut records = (0..count).map(|number| {
            let [a, b, c, d] = number.to_be_bytes();
            // Not compressible.
            let value = std::iter::repeat_with(|| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            });
            let value: Bytes = value.take(VALUE_BYTES).collect();
            (
                Bytes::copy_from_slice(&[first, a, b, c, d]),
                live.then_some(value),
            )
        });
        engine.ingest(&mut records).unwrap();
    }

    fn tables(engine: &LsmEngine) -> u64 {
        engine.keyspace.disk_space()
    }

    /// Waits, with a bound, until the tables take less than `bytes`.
    fn shrinks_below(engine: &LsmEngine, bytes: u64) -> bool {
        let (_open, never) = channel::<()>();
        (0..3000).any(|_| {
            let _ = never.recv_timeout(Duration::from_millis(10));
            tables(engine) < bytes
        })
    }

    #[test]
    fn samples_come_nearer_to_the_last_key() {
        let starts: Vec<[u8; 8]> = sample_starts(&[0, 2], &[1, 0x3f, 0xff]).collect();
        assert!(starts.is_sorted() && starts.len() == SAMPLES as usize);
        // Between system records and data the gap is wide: most samples are behind it nevertheless.
        let behind = starts.iter().filter(|start| start[0] == 1).count();
        assert!(behind >= 4, "{starts:02x?}");
        assert_eq!(
            sample_starts(b"same key", b"same key, longer").next(),
            Some(*b"same key")
        );
    }

    #[test]
    fn obsolete_pairs_leave_the_disk_without_a_write() {
        let flushed = Arc::new(AtomicBool::new(false));
        let filter: ObsoleteFilter = {
            let flushed = Arc::clone(&flushed);
            Arc::new(move |key, _| flushed.load(Ordering::Relaxed) && key.first() == Some(&1))
        };
        let dir = tempfile::tempdir().unwrap();
        let options = LsmOptions {
            obsolete: Some(filter),
            compress: false,
            ..LsmOptions::kv()
        };
        let engine = LsmEngine::open(dir.path(), options).unwrap();
        ingest(&engine, 0, 1000, true);
        ingest(&engine, 1, 20_000, true);
        let full = tables(&engine);
        assert!(full > MIN_BYTES, "{full}");
        let view = engine.view();
        flushed.store(true, Ordering::Relaxed);
        engine.reclaim();
        assert!(
            shrinks_below(&engine, full / 10),
            "{} of {full}",
            tables(&engine)
        );
        assert_eq!(engine.scan(b"", b"").count(), 1000);
        assert_eq!(view.scan(b"", b"").count(), 21_000, "an older view");
    }

    #[test]
    fn deleted_pairs_leave_the_disk_and_few_of_them_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::kv()).unwrap();
        ingest(&engine, 0, 30_000, true);
        let full = tables(&engine);
        ingest(&engine, 0, 5_000, false);
        let worker = Worker {
            database: engine.database.clone(),
            keyspace: engine.keyspace.clone(),
            opening: Arc::clone(&engine.opening),
            filter: None,
        };
        assert!(!worker.reclaim(), "a sixth is deleted");
        ingest(&engine, 0, 29_000, false);
        assert!(worker.reclaim());
        assert!(tables(&engine) < full / 10, "{} of {full}", tables(&engine));
        assert_eq!(engine.scan(b"", b"").count(), 1000);
    }

    #[test]
    fn an_engine_closes_while_it_reclaims_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::kv()).unwrap();
        ingest(&engine, 0, 30_000, true);
        ingest(&engine, 0, 20_000, false);
        engine.reclaim();
        drop(engine);
        let engine = LsmEngine::open(dir.path(), LsmOptions::kv()).unwrap();
        assert_eq!(engine.scan(b"", b"").count(), 10_000);
    }
}
