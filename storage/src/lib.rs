//! Everything that a Store keeps, in memory and on disk.
//!
//! Deterministic and synchronous: nothing here reads a clock, draws a random number, spawns a thread or depends on the
//! order of a randomly seeded table. The same log applied twice gives the same bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | newtypes for every id and index |
//! | [`proto`] | our own messages (prost), on the wire and on disk, and their conversion to the `raft` crate's |
//! | [`engine`] | the [`engine::Engine`] trait, the LSM behind it and an in-memory one that can lose unsynced writes |
//! | [`keys`] | the layout of every key in the two engines |
//! | [`peer_storage`] | the Raft log and state of one Peer: `append`, `save_ready_state`, compaction, invariants |
//! | [`dirs`], [`paced`] | directories whose names are durable, large files that reach the disk as they are written |
//! | [`snapshot`] | a checkpoint of a Region as a stream of checksummed chunks, and its installation |
//! | [`dataset`] | the Region's memory: databases, objects, expiry, the write set and its checkpoint |
//! | `prefetch` | memory that will be read soon |
//! | [`random`] | numbers that follow from a seed |
//! | [`rdb`] | Redis's payload format of DUMP and RESTORE |
//! | [`types`] | the data types behind keys, in memory: flat when small, structures of their own when large |
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

pub mod dataset;
pub mod dirs;
pub mod engine;
pub mod error;
pub mod ids;
pub mod keys;
pub mod paced;
pub mod peer_storage;
mod prefetch;
pub mod proto;
pub mod random;
pub mod rdb;
pub mod snapshot;
pub mod types;

pub use error::{Error, Result};
