//! A checkpoint of a Region as a stream of checksummed chunks, and the file that a receiver makes of it.
//!
//! A snapshot is a view of the kv engine. The kv engine changes only by checkpoints, and RaftApplyState is ingested with
//! the records that it describes, so a view taken at any moment is the state at exactly the index, term and ConfState that
//! it contains: nothing has to stop, and nothing can disagree. Taking one is O(1); records are read as chunks are asked for.
//!
//! The stream, which is also the file (integers little endian):
//!
//! | part | bytes |
//! |---|---|
//! | magic | `TKVSNAP` and a format byte |
//! | header | length:u32, SnapshotHeader (Region, RaftApplyState) |
//! | each record, ascending by key | key length:u32 (never 0), value length:u32, key, value |
//! | trailer | 0:u32, number of records:u64, xxh3 of everything before it:u64 |
//!
//! It travels as [`SnapshotChunk`]s of about [`CHUNK_BYTES`], each with a CRC-32 of its own, so that a bad chunk is
//! noticed at once and not after gigabytes. The sender is a [`SnapshotSource`], the receiver a [`SnapshotReceiver`]; a
//! broken transfer starts again from the first chunk. What was received is verified from beginning to end and fsynced
//! before it is called a [`ReceivedSnapshot`].

mod file;
mod receiver;
mod source;

use bytes::Bytes;

pub use file::{ReceivedSnapshot, SnapshotRecords, clean};
pub use receiver::SnapshotReceiver;
pub use source::SnapshotSource;

pub(crate) use file::ranges;

/// Size of a chunk, but for the last one.
pub const CHUNK_BYTES: usize = 128 * 1024;

/// The newest format of snapshots that this version reads, and the one that it writes.
pub const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"TKVSNAP\x01";
/// A header holds the Region's peers and little else.
const MAX_HEADER_BYTES: u32 = 1024 * 1024;
const TRAILER_BYTES: usize = 4 + 8 + 8;

/// A piece of a snapshot's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// 0 for the first chunk, then one more each.
    pub sequence: u64,
    /// CRC-32 of `bytes`.
    pub crc32: u32,
    /// The next bytes of the stream.
    pub bytes: Bytes,
    /// Nothing follows.
    pub last: bool,
    /// How much of the stream is sent with this chunk, 0 to 100, by the slots that its records have reached: a stream's length
    /// is not known before its end.
    pub percent: u8,
}
