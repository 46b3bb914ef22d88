//! RDB files: a data set in one file, as redis-server saves and loads it.
//!
//! `REDIS` and four digits of the version, then opcodes, the last one being the end; then a CRC64 of all before it (8 bytes,
//! little endian; 0: not computed). An opcode is a byte:
//!
//! | byte | what follows |
//! |---|---|
//! | 0 to 25 | a type: the key as a string, the value |
//! | 244 | a slot: its number, its keys, those that expire, as lengths |
//! | 245 | a library of functions, as a string |
//! | 247 | what a module saved besides keys |
//! | 248, 249 | seconds since the next key was used, as a length; how often it was, one byte |
//! | 250 | a fact about the file: name and value, as strings |
//! | 251 | keys of the database and those that expire, as lengths |
//! | 252, 253 | when the next key expires: milliseconds, 8 bytes; seconds, 4 bytes; little endian |
//! | 254 | the database of the keys that follow, as a length |
//! | 255 | the end |
//!
//! [`FileReader`] reads versions 6 to 12 as a stream: of the file only one key and its value are in memory at a time.
//! [`FileWriter`] writes version 10, which every server from 7.0 on reads, or 12 where fields of hashes expire.

mod layout;
mod reader;
mod save;
mod source;
mod writer;

#[cfg(test)]
mod tests;

use std::io;

pub use reader::{FileKey, FilePart, FileReader};
pub use save::{SaveFacts, Saved, save};
pub use writer::FileWriter;

const MAGIC: &[u8; 5] = b"REDIS";

const SLOT_INFO: u8 = 244;
const FUNCTION: u8 = 245;
const MODULE_AUX: u8 = 247;
const IDLE: u8 = 248;
const FREQUENCY: u8 = 249;
const AUX: u8 = 250;
const SIZES: u8 = 251;
const EXPIRY_MS: u8 = 252;
const EXPIRY_SECONDS: u8 = 253;
const SELECT_DB: u8 = 254;
const END: u8 = 255;

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file ends too early.
    #[error("the file ends within a value, at byte {at}")]
    Truncated {
        /// Bytes that there are.
        at: u64,
    },
    /// It holds what cannot be read.
    #[error("{what}, at byte {at}")]
    Format {
        /// What is wrong.
        what: String,
        /// Bytes read before it.
        at: u64,
    },
    /// It is sound, but holds what this server has no place for.
    #[error("key \"{}\" holds {what}", key.escape_ascii())]
    Unsupported {
        /// The key.
        key: Vec<u8>,
        /// Its value.
        what: &'static str,
    },
    /// The data set to be saved cannot be read.
    #[error("{0}")]
    Storage(#[from] crate::Error),
}
