//! An ordered key-value engine: the seam between TinyKV and the LSM.
//!
//! A Store has two, [`Engines::kv`] and [`Engines::raft`], in directories of their own, because one database holds its
//! journal lock across fsync and across an ingestion's end: in one database a checkpoint would stall log appends.
//!
//! Two implementations: the LSM (fjall) and an in-memory one whose unsynced writes can be dropped, as a power cut would.

pub mod lsm;
pub mod memory;

use std::sync::Arc;

use bytes::Bytes;

use crate::Result;

/// The longest key, in bytes. The LSM's journal keeps a key's length in 16 bits.
pub const MAX_KEY_BYTES: usize = 65_535;

/// How durable a batch is when [`Engine::write`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Handed to the operating system; a crash of the process keeps it, a power cut may not.
    Buffered,
    /// On the disk (`fdatasync`).
    Synced,
}

/// Puts and deletes that become visible and durable together or not at all. A later operation on a key wins.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    ops: Vec<(Bytes, Option<Bytes>)>,
    bytes: usize,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.ops.push((key, Some(value)));
    }

    /// Deletes `key`.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        let key = key.into();
        self.bytes += key.len();
        self.ops.push((key, None));
    }

    /// True without operations.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Bytes of keys and values.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The operations in order; `None` deletes.
    pub fn ops(&self) -> &[(Bytes, Option<Bytes>)] {
        &self.ops
    }

    /// The operations in order; `None` deletes.
    pub fn into_ops(self) -> Vec<(Bytes, Option<Bytes>)> {
        self.ops
    }
}

/// Pairs in key order; an item is an error when the engine cannot read on.
pub type Scan<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes)>> + 'a>;

/// Records in strictly ascending key order; `None` deletes the key.
pub type SortedRecords<'a> = &'a mut dyn Iterator<Item = (Bytes, Option<Bytes>)>;

/// Reads of one consistent state.
pub trait Reader: Send + Sync {
    /// The value of `key`. It may share memory with the block that it was read from: copy what is kept for long.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;
    /// The pairs with `start <= key < end`, ascending. An empty `end` means no upper bound.
    fn scan(&self, start: &[u8], end: &[u8]) -> Scan<'_>;
    /// The pairs with `start <= key < end`, descending. An empty `end` means no upper bound. Reads only what is asked for.
    fn scan_back(&self, start: &[u8], end: &[u8]) -> Scan<'_>;
}

/// An ordered key-value engine. Shared between threads; every method may be called at any time.
pub trait Engine: Reader + 'static {
    /// Commits `batch` atomically. [`crate::Error::Full`] means that nothing was written and a later attempt may succeed.
    /// After any other error the engine refuses every further write: a failed fsync is never retried, because the
    /// system may report success the second time without having written anything.
    fn write(&self, batch: WriteBatch, durability: Durability) -> Result<()>;
    /// Makes everything written so far durable.
    fn sync(&self) -> Result<()>;
    /// Brings what was written and not synced to the disk while others go on writing: whatever syncs next has little left to do. It
    /// promises nothing, and does nothing where each write is synced.
    fn sync_ahead(&self) -> Result<()> {
        Ok(())
    }
    /// Adds sorted records, atomically and durably when it returns, together with everything written before, over
    /// which they win. Errors as [`Engine::write`].
    fn ingest(&self, records: SortedRecords<'_>) -> Result<()>;
    /// [`crate::Error::Full`] when the disk has no room for an ingestion of so many bytes. One that begins and finds no room leaves
    /// what it has written until the next start.
    fn check_room(&self, bytes: u64) -> Result<()>;
    /// The pairs with `start <= key < end` will never be read again: the engine may drop them whenever it likes, without
    /// a write. Not remembered over a restart. A later call with the same `start` replaces the earlier one. What is
    /// left leaves memory, if that is much.
    fn forget(&self, start: &[u8], end: &[u8]);
    /// Gives the space of what was deleted, or is obsolete, back in the background if that is much of what is on disk. Returns at
    /// once, and changes nothing that can be read.
    fn reclaim(&self) {}
    /// A consistent view of the present state, unaffected by later writes. It holds back the removal of old files.
    fn view(&self) -> Arc<dyn Reader>;
    /// Bytes on disk, approximately.
    fn disk_bytes(&self) -> u64;
}

/// The two engines of a Store.
#[derive(Clone)]
pub struct Engines {
    /// Records of the Regions and their apply state; written by checkpoints.
    pub kv: Arc<dyn Engine>,
    /// Raft logs and Raft state; written on every Ready.
    pub raft: Arc<dyn Engine>,
}
