//! What can go wrong below the commands. Never turned into a reply: an error of this kind stops the process, except
//! [`Error::Full`], which makes the Store read-only until there is room, and [`Error::Cold`].

use std::io;

use crate::dataset::ColdKey;

/// What to do about files that cannot be trusted any more; the end of a message.
pub const ADVICE: &str = "a node of a cluster is replaced (RAFT.NODE REMOVE with its id on another node, then start it with an \
                          empty data directory and --join), a single node needs its backup";

/// I/O failed, or what was read is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),
    /// The LSM engine failed.
    #[error("engine error: {0}")]
    Engine(String),
    /// Bytes on disk or from a peer do not decode, or contradict an invariant.
    #[error("corrupt {what}: {detail}")]
    Corrupt {
        /// The record or structure.
        what: &'static str,
        /// What was found, for the operator.
        detail: String,
    },
    /// A large collection is only on disk, and a reader that asked to be told is to load it first: see
    /// [`crate::dataset::Dataset::cold`]. Stops nothing.
    #[error("a large collection is only on disk")]
    Cold(Box<ColdKey>),
    /// The disk has no room left.
    #[error("no space left on the disk")]
    Full,
    /// The directory belongs to another Store or cluster.
    #[error("{0}")]
    Foreign(String),
    /// A newer TinyKV wrote this; this one does not know how to read it.
    #[error("{what} has format {found}, this version reads up to {known}: upgrade tinykv-server")]
    Format {
        /// What was read.
        what: &'static str,
        /// Its format number.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
}

impl Error {
    /// Shorthand for [`Error::Corrupt`].
    pub fn corrupt(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            what,
            detail: detail.into(),
        }
    }
}

/// The result of everything in this crate that touches an engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;
