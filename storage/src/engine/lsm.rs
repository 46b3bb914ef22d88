//! The LSM engine: one fjall database with one keyspace, so that an ingestion is atomic over all its records.
//!
//! What fjall 3.1 (with lsm-tree 3.1) does that its user must know, from its source:
//!
//! - **Commit.** A batch is encoded into the journal under one lock, flushed, `fdatasync`ed when asked, and only then
//!   becomes visible. The lock is held across the fsync.
//! - **Journal files** are 64 MB sparse files, so most syncs also allocate blocks. They rotate only when a memtable is
//!   flushed and the journal has passed 64 MB: disk use of the journal is 64 to 128 MB plus a memtable, whatever
//!   `journal_bytes` says below that.
//! - **Ingestion** writes tables (each fsynced, and its folder), then under the journal lock flushes the memtable and
//!   registers all tables in a new manifest, which is fsynced and renamed into place. So it is durable when it returns,
//!   all or nothing, and takes earlier unsynced writes along. Tables of an ingestion that did not finish are removed
//!   at the next start.
//! - **Recovery** replays the journal up to the first thing that does not decode and cuts the rest off, as a torn tail
//!   must be, but also what lies behind a damaged byte. A batch whose length is right and whose checksum is wrong makes it
//!   refuse to open instead; after a power cut the last, unsynced batch can look like that. `repair` looks first, tells the
//!   one from the other, and leaves nothing to be cut. Then the journal is synced: what a killed process wrote last counts.
//! - **Manifests** have a checksum that recovery does not compare. `archive` does.
//! - **Creation** that was interrupted makes every later opening fail, and the names of new keyspaces are not synced.
//!   `creation` clears that up.
//! - **Options of a keyspace** (memtable size, block size, filters) are stored when it is created; later openings use
//!   the stored ones. Cache size, journal limit and threads are those of the present opening.
//! - **Errors** of a write or of a background flush poison the database until it is opened again. Running out of disk is
//!   therefore noticed before it happens: below `reserve_bytes` of free space writes are refused with [`Error::Full`],
//!   fjall is not touched, and work goes on when there is room.

mod archive;
mod creation;
mod journal;
mod keeper;
mod obsolete;
mod presync;
mod reclaim;
mod repair;
mod trim;
mod writeback;
mod zeros;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy, PartitioningPolicy};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
    Readable, Snapshot,
};
use parking_lot::{Mutex, RwLock};

use super::{Durability, Engine, MAX_KEY_BYTES, Reader, Scan, SortedRecords, WriteBatch};
use crate::error::ADVICE;
use crate::{Error, Result};

use keeper::Keeper;
use obsolete::Obsolete;
pub use obsolete::ObsoleteFilter;
use presync::Presync;
use reclaim::Reclaimer;
use trim::Trimmer;
use writeback::Writeback;
use zeros::Zeros;

const KEYSPACE: &str = "records";

/// Runs of tables in the first level from which on they are compacted into the next. Each checkpoint adds one, and all of them
/// overlap: a large collection's first record is written again and again. With lsm-tree's 4, p99 at -P 16 was an eighth longer.
const L0_TABLES: u8 = 8;

/// Free space is asked for again after so many bytes of writes. Small against every sensible reserve.
const SPACE_CHECK_INTERVAL_BYTES: u64 = 1024 * 1024;

/// Of the reserve, an ingestion leaves one part in so many.
const INGESTION_RESERVE_PART: u64 = 4;

/// How an [`LsmEngine`] uses memory, disk and threads. Start from [`LsmOptions::kv`] or [`LsmOptions::raft`].
#[derive(Clone)]
pub struct LsmOptions {
    /// Block cache: decoded blocks of tables.
    pub cache_bytes: u64,
    /// A memtable that has grown to this is flushed to a table; while it is, a second one fills.
    pub memtable_bytes: u64,
    /// Old journals above this make their memtables flush. At least 64 MiB.
    pub journal_bytes: u64,
    /// Writes are refused with [`Error::Full`] while the file system has less room than this. 0: no check.
    pub reserve_bytes: u64,
    /// Threads that flush and compact.
    pub worker_threads: usize,
    /// Target size of a data block, before compression.
    pub block_bytes: u32,
    /// Bloom filters, for engines that are asked for keys that they do not have.
    pub filters: bool,
    /// LZ4 from the third level on.
    pub compress: bool,
    /// A power cut may have torn more than the last write, because writes are not all synced (`appendfsync everysec` or
    /// `no`): then everything from the first torn one is cut off. Otherwise a torn write with whole ones after it is
    /// damage, and the engine refuses to open.
    pub unsynced_tail: bool,
    /// Zeros are written ahead of the journal's end, so that syncing a write does not wait for blocks to be found for it. For
    /// an engine whose writes are synced one by one.
    pub zeros_ahead: bool,
    /// Tells a compaction which pairs nobody can see any more.
    pub obsolete: Option<ObsoleteFilter>,
}

impl LsmOptions {
    /// For records: written by ingestion, read by key and by range.
    pub fn kv() -> Self {
        Self {
            cache_bytes: 16 * 1024 * 1024,
            memtable_bytes: 8 * 1024 * 1024,
            journal_bytes: 64 * 1024 * 1024,
            reserve_bytes: 64 * 1024 * 1024,
            worker_threads: 1,
            block_bytes: 4 * 1024,
            filters: true,
            compress: true,
            unsynced_tail: false,
            zeros_ahead: false,
            obsolete: None,
        }
    }

    /// For the log: written by small synced batches, read seldom and in order, short-lived. The memtable has room for more log than
    /// is written from one checkpoint's beginning to the next one's end, so that `trim` flushes it, when most of it is dead, and not
    /// fjall, which would write it all: the log's `fdatasync` waited for up to 30 ms meanwhile. One thread: with more, fjall
    /// keeps the first for flushes, and that one spins while a compaction waits for another (12 percent of the process's
    /// CPU under SET -P 16). Flushes and compactions of a log that is dropped behind checkpoints are short.
    pub fn raft() -> Self {
        Self {
            cache_bytes: 2 * 1024 * 1024,
            memtable_bytes: 256 * 1024 * 1024,
            journal_bytes: 64 * 1024 * 1024,
            reserve_bytes: 64 * 1024 * 1024,
            worker_threads: 1,
            block_bytes: 32 * 1024,
            filters: false,
            compress: false,
            unsynced_tail: false,
            zeros_ahead: true,
            obsolete: None,
        }
    }

    fn keyspace(&self) -> KeyspaceCreateOptions {
        let mut options = KeyspaceCreateOptions::default()
            .max_memtable_size(self.memtable_bytes)
            .data_block_size_policy(BlockSizePolicy::all(self.block_bytes))
            .filter_block_partitioning_policy(PartitioningPolicy::all(true))
            .index_block_partitioning_policy(PartitioningPolicy::all(true))
            .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(L0_TABLES)))
            .manual_journal_persist(true);
        if !self.filters {
            options = options.filter_policy(FilterPolicy::disabled());
        }
        if !self.compress {
            options = options.data_block_compression_policy(CompressionPolicy::disabled());
        }
        options
    }
}

/// A fjall database in a directory of its own.
pub struct LsmEngine {
    database: Database,
    keyspace: Keyspace,
    obsolete: Arc<Obsolete>,
    trimmer: Trimmer,
    reclaimer: Reclaimer,
    zeros: Option<Arc<Zeros>>,
    /// Where writes are not synced one by one.
    presync: Option<Presync>,
    _keeper: Keeper,
    /// Held while a snapshot is being opened.
    opening: Arc<RwLock<()>>,
    space: Space,
    failure: Failure,
}

impl LsmEngine {
    /// Opens the database in `dir`, creating it if needed, and recovers what was written.
    pub fn open(dir: &Path, options: LsmOptions) -> Result<Self> {
        let obsolete = Arc::new(Obsolete::new(options.obsolete.clone()));
        creation::clear_unfinished(dir)?;
        repair::check_journals(dir, options.unsynced_tail)?;
        archive::check_archives(dir)?;
        let database =
            open_database(dir, &options, &obsolete).map_err(|error| open_error(dir, error))?;
        let keyspace = database
            .keyspace(KEYSPACE, || options.keyspace())
            .map_err(|error| open_error(dir, error))?;
        obsolete.set_tables(tables(&keyspace));
        creation::sync_names(dir)?;
        let space = Space::new(dir, options.reserve_bytes);
        let opening = Arc::default();
        let zeros = match options.zeros_ahead {
            true => Zeros::start(dir)?.map(Arc::new),
            false => None,
        };
        let presync = options.unsynced_tail.then(|| Presync::new(dir));
        let trimmer = Trimmer::start(
            &database,
            &keyspace,
            &opening,
            zeros.clone(),
            presync.clone(),
        )?;
        let reclaimer = Reclaimer::start(&database, &keyspace, &opening, options.obsolete.clone())?;
        Ok(Self {
            database,
            keyspace,
            obsolete,
            trimmer,
            reclaimer,
            zeros,
            presync,
            _keeper: Keeper::start(dir)?,
            opening,
            space,
            failure: Failure::default(),
        })
    }

    fn view_now(&self) -> LsmView {
        let _opening = self.opening.read();
        LsmView {
            snapshot: self.database.snapshot(),
            keyspace: self.keyspace.clone(),
        }
    }

    fn commit(&self, batch: WriteBatch, durability: Durability) -> fjall::Result<()> {
        let mode = match durability {
            Durability::Buffered => PersistMode::Buffer,
            Durability::Synced => PersistMode::SyncData,
        };
        let mut commit = OwnedWriteBatch::with_capacity(self.database.clone(), batch.len())
            .durability(Some(mode));
        let bytes = batch.size_bytes();
        for (key, value) in batch.into_ops() {
            match value {
                Some(value) => commit.insert(&self.keyspace, key, value),
                None => commit.remove(&self.keyspace, key),
            }
        }
        let _writing = self.zeros.as_ref().map(|zeros| zeros.writing(bytes));
        commit.commit()
    }

    fn ingest_all(&self, records: SortedRecords<'_>) -> fjall::Result<()> {
        let mut writeback = Writeback::new(tables(&self.keyspace));
        let mut ingestion = self.keyspace.start_ingestion()?;
        for (key, value) in records {
            writeback.wrote(key.len() + value.as_ref().map_or(0, Bytes::len));
            match value {
                Some(value) => ingestion.write(key, value)?,
                None => ingestion.write_tombstone(key)?,
            }
        }
        ingestion.finish()
    }
}

impl Reader for LsmEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self
            .keyspace
            .get(key)
            .map_err(engine_error)?
            .map(Into::into))
    }

    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.view_now().scan_owned(start, end)
    }

    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.view_now().scan_back_owned(start, end)
    }
}

impl Engine for LsmEngine {
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<()> {
        self.failure.check()?;
        if let Some((key, _)) = batch
            .ops()
            .iter()
            .find(|(key, _)| key.len() > MAX_KEY_BYTES)
        {
            return Err(Error::Engine(format!(
                "a key of {} bytes is longer than {MAX_KEY_BYTES}",
                key.len()
            )));
        }
        self.space.reserve(batch.size_bytes() as u64)?;
        if batch.is_empty() {
            return if durability == Durability::Synced {
                self.sync()
            } else {
                Ok(())
            };
        }
        self.commit(batch, durability)
            .map_err(|error| self.failure.record(error))
    }

    fn sync(&self) -> Result<()> {
        self.sync_ahead()?;
        self.database
            .persist(PersistMode::SyncData)
            .map_err(|error| self.failure.record(error))
    }

    fn sync_ahead(&self) -> Result<()> {
        self.failure.check()?;
        let synced = self.presync.as_ref().map_or(Ok(()), Presync::run);
        synced.map_err(|error| self.failure.record(error.into()))
    }

    fn ingest(&self, records: SortedRecords<'_>) -> Result<()> {
        self.failure.check()?;
        self.check_room(SPACE_CHECK_INTERVAL_BYTES)?;
        self.ingest_all(records)
            .map_err(|error| self.failure.record(error))
    }

    fn check_room(&self, bytes: u64) -> Result<()> {
        self.space.check(bytes)
    }

    fn forget(&self, start: &[u8], end: &[u8]) {
        if let Some(start) = self.obsolete.forget(start, end) {
            self.trimmer.trim(&start, end);
        }
    }

    fn reclaim(&self) {
        self.reclaimer.request();
    }

    fn view(&self) -> Arc<dyn Reader> {
        Arc::new(self.view_now())
    }

    fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

struct LsmView {
    snapshot: Snapshot,
    keyspace: Keyspace,
}

impl LsmView {
    /// The iterator keeps the snapshot alive by itself, so it may outlive this view.
    fn range(&self, start: &[u8], end: &[u8]) -> Option<fjall::Iter> {
        if end.is_empty() {
            Some(self.snapshot.range(&self.keyspace, start..))
        } else if start < end {
            Some(self.snapshot.range(&self.keyspace, start..end))
        } else {
            None
        }
    }

    fn scan_owned(&self, start: &[u8], end: &[u8]) -> Scan<'static> {
        let pairs = self.range(start, end).into_iter().flatten();
        Box::new(pairs.map(read_pair))
    }

    fn scan_back_owned(&self, start: &[u8], end: &[u8]) -> Scan<'static> {
        let pairs = self.range(start, end).map(Iterator::rev);
        Box::new(pairs.into_iter().flatten().map(read_pair))
    }
}

fn read_pair(pair: fjall::Guard) -> Result<(Bytes, Bytes)> {
    let (key, value) = pair.into_inner().map_err(engine_error)?;
    Ok((key.into(), value.into()))
}

impl Reader for LsmView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self
            .snapshot
            .get(&self.keyspace, key)
            .map_err(engine_error)?
            .map(Into::into))
    }

    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.scan_owned(start, end)
    }

    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_> {
        self.scan_back_owned(start, end)
    }
}

/// The first failed write; all later ones are refused.
#[derive(Default)]
struct Failure {
    failed: AtomicBool,
    reason: Mutex<String>,
}

impl Failure {
    fn check(&self) -> Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::Engine(format!(
                "writes are refused after: {}",
                self.reason.lock()
            )));
        }
        Ok(())
    }

    fn record(&self, error: fjall::Error) -> Error {
        let mut reason = self.reason.lock();
        if !self.failed.swap(true, Ordering::AcqRel) {
            *reason = error.to_string();
        }
        engine_error(error)
    }
}

/// Notices a disk that is nearly full before a write fails on it.
struct Space {
    dir: PathBuf,
    reserve_bytes: u64,
    /// Bytes that may be written before asking again.
    credit_bytes: AtomicU64,
}

impl Space {
    fn new(dir: &Path, reserve_bytes: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            reserve_bytes,
            credit_bytes: AtomicU64::new(0),
        }
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        if self.reserve_bytes == 0 {
            return Ok(());
        }
        let credit = self.credit_bytes.load(Ordering::Relaxed);
        if bytes < credit {
            self.credit_bytes.store(credit - bytes, Ordering::Relaxed);
            return Ok(());
        }
        if self.free_bytes()? < self.reserve_bytes.saturating_add(bytes) {
            self.credit_bytes.store(0, Ordering::Relaxed);
            return Err(Error::Full);
        }
        self.credit_bytes
            .store(SPACE_CHECK_INTERVAL_BYTES, Ordering::Relaxed);
        Ok(())
    }

    /// As [`Self::reserve`], for an ingestion, which may use most of the reserve: a checkpoint is what the log waits for to become
    /// shorter, and deletions to make room.
    fn check(&self, bytes: u64) -> Result<()> {
        if self.reserve_bytes == 0 {
            return Ok(());
        }
        let reserve_bytes = self.reserve_bytes / INGESTION_RESERVE_PART;
        match self.free_bytes()? < reserve_bytes.saturating_add(bytes) {
            true => Err(Error::Full),
            false => Ok(()),
        }
    }

    fn free_bytes(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.dir).map_err(io::Error::from)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Where a keyspace's tables are.
fn tables(keyspace: &Keyspace) -> PathBuf {
    keyspace.path().join("tables")
}

fn open_database(
    dir: &Path,
    options: &LsmOptions,
    obsolete: &Arc<Obsolete>,
) -> fjall::Result<Database> {
    let obsolete = Arc::clone(obsolete);
    Database::builder(dir)
        .cache_size(options.cache_bytes)
        .manual_journal_persist(true)
        // The journal lives for seconds and is on the path of every acknowledgement: not worth compressing.
        .journal_compression(CompressionType::None)
        .max_journaling_size(options.journal_bytes.max(64 * 1024 * 1024))
        .worker_threads(options.worker_threads.max(1))
        .with_compaction_filter_factories(Arc::new(move |_| Some(Obsolete::factory(&obsolete))))
        .open()
}

fn open_error(dir: &Path, error: fjall::Error) -> Error {
    match error {
        fjall::Error::Locked => Error::Foreign(format!(
            "{} is in use by another process: stop it first",
            dir.display()
        )),
        other => match engine_error(other) {
            Error::Engine(reason) => {
                Error::Engine(format!("cannot open {}: {reason}", dir.display()))
            }
            other => other,
        },
    }
}

fn engine_error(error: fjall::Error) -> Error {
    let io = match error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => io,
        fjall::Error::Poisoned | fjall::Error::KeyspaceDeleted | fjall::Error::Locked => {
            return Error::Engine(error.to_string());
        }
        // A checksum is wrong, or what it covers does not decode.
        damaged => {
            return Error::corrupt(
                "database",
                format!("{damaged}: a file is damaged. Check the disk; {ADVICE}"),
            );
        }
    };
    match io.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::Io(io),
    }
}

#[cfg(test)]
mod tests {
    use fjall::AbstractTree;

    use super::*;

    fn put(engine: &LsmEngine, keys: std::ops::Range<u32>) {
        let mut batch = WriteBatch::new();
        for key in keys {
            batch.put(key.to_be_bytes().to_vec(), "value");
        }
        engine.write(batch, Durability::Buffered).unwrap();
    }

    fn count(reader: &dyn Reader) -> usize {
        reader.scan(b"", b"").count()
    }

    fn compact(engine: &LsmEngine) {
        engine.keyspace.rotate_memtable_and_wait().unwrap();
        engine.keyspace.major_compact().unwrap();
    }

    #[test]
    fn forgotten_pairs_disappear_with_a_compaction_and_stay_in_older_views() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::raft()).unwrap();
        put(&engine, 0..100);
        let view = engine.view();
        engine.forget(&0u32.to_be_bytes(), &60u32.to_be_bytes());
        assert_eq!(count(&engine), 100, "nothing happens before a compaction");
        compact(&engine);
        assert_eq!(count(&engine), 40);
        assert_eq!(count(view.as_ref()), 100);
    }

    #[test]
    fn what_is_synced_ahead_and_what_is_written_since_is_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let options = LsmOptions {
            unsynced_tail: true,
            ..LsmOptions::raft()
        };
        let engine = LsmEngine::open(dir.path(), options.clone()).unwrap();
        put(&engine, 0..100);
        engine.sync_ahead().unwrap();
        put(&engine, 100..200);
        engine.forget(&0u32.to_be_bytes(), &50u32.to_be_bytes());
        engine.sync().unwrap();
        drop(engine);
        let engine = LsmEngine::open(dir.path(), options).unwrap();
        let left = (50..200u32).filter(|n| engine.get(&n.to_be_bytes()).unwrap().is_some());
        assert_eq!(left.count(), 150);
    }

    #[test]
    fn much_that_is_alive_does_not_stay_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::raft()).unwrap();
        let start = 0u32.to_be_bytes();
        engine.forget(&start, &start);
        let mebibyte = Bytes::from(vec![0; 1 << 20]);
        for n in 0..65u32 {
            let mut batch = WriteBatch::new();
            batch.put(Bytes::copy_from_slice(&n.to_be_bytes()), mebibyte.clone());
            engine.write(batch, Durability::Buffered).unwrap();
        }
        let in_memory = || engine.keyspace.tree.version_memtable_size_sum();
        assert!(in_memory() > 64 << 20, "nobody has flushed it yet");
        engine.forget(&start, &start);
        let (_open, never) = std::sync::mpsc::channel::<()>();
        let wait = || never.recv_timeout(std::time::Duration::from_millis(10));
        let left = (0..3_000).map(|_| {
            let _ = wait();
            in_memory()
        });
        assert!(left.into_iter().any(|bytes| bytes < 1 << 20));
        assert_eq!(count(&engine), 65);
    }

    #[test]
    fn what_was_flushed_does_not_stay_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::raft()).unwrap();
        let start = 0u32.to_be_bytes();
        engine.forget(&start, &start);
        put(&engine, 0..10_000);
        let full = engine.keyspace.tree.version_memtable_size_sum();
        let view = engine.view();
        engine.forget(&start, &9_990u32.to_be_bytes());
        let (_open, never) = std::sync::mpsc::channel::<()>();
        let wait = || never.recv_timeout(std::time::Duration::from_millis(10));
        while engine.keyspace.tree.sealed_memtable_count() > 0 || count(&engine) > 10 {
            let _ = wait();
        }
        assert_eq!(count(view.as_ref()), 10_000, "an older view sees all");
        drop(view);
        let left = (0..1_000)
            .map(|_| {
                let _ = wait();
                engine.keyspace.tree.version_memtable_size_sum()
            })
            .find(|bytes| *bytes < full / 2);
        assert!(left.is_some(), "{full} bytes stay in memory");
        assert_eq!(count(&engine), 10);
    }

    #[test]
    fn what_is_forgotten_while_in_memory_is_not_written_to_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::raft()).unwrap();
        let start = 0u32.to_be_bytes();
        engine.forget(&start, &start);
        put(&engine, 0..1000);
        engine.forget(&start, &990u32.to_be_bytes());
        // Joins the thread that trims.
        drop(engine);
        let engine = LsmEngine::open(dir.path(), LsmOptions::raft()).unwrap();
        assert_eq!(count(&engine), 10);
    }

    #[test]
    fn obsolete_pairs_disappear_with_a_compaction() {
        let dir = tempfile::tempdir().unwrap();
        let even: ObsoleteFilter = Arc::new(|key, value| {
            value == b"value" && key.last().is_some_and(|last| last % 2 == 0)
        });
        let engine = LsmEngine::open(
            dir.path(),
            LsmOptions {
                obsolete: Some(even),
                ..LsmOptions::kv()
            },
        )
        .unwrap();
        put(&engine, 0..10);
        compact(&engine);
        assert_eq!(count(&engine), 5);
    }

    #[test]
    fn after_a_failure_every_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::kv()).unwrap();
        let first = engine.failure.record(fjall::Error::Io(io::Error::from(
            io::ErrorKind::StorageFull,
        )));
        assert!(matches!(first, Error::Full));
        let mut batch = WriteBatch::new();
        batch.put("key", "value");
        assert!(matches!(
            engine.write(batch, Durability::Synced),
            Err(Error::Engine(_))
        ));
        assert!(matches!(engine.sync(), Err(Error::Engine(_))));
        assert!(matches!(
            engine.ingest(&mut std::iter::empty()),
            Err(Error::Engine(_))
        ));
    }
}
