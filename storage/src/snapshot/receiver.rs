//! The receiver's side: chunks into a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::file::{PARTIAL, ReceivedSnapshot};
use super::{SnapshotChunk, TRAILER_BYTES};
use crate::ids::{LogIndex, RegionId, Term};
use crate::paced::PacedFile;
use crate::{Error, Result, dirs};

/// Parts of the same snapshot that may be under way at once, from different senders or attempts.
const MAX_ATTEMPTS: u32 = 64;

/// Writes the chunks of one snapshot to a file. Dropped before [`SnapshotReceiver::finish`], it removes what it wrote.
pub struct SnapshotReceiver {
    file: Option<PacedFile>,
    partial: PathBuf,
    finished: PathBuf,
    index: LogIndex,
    term: Term,
    next_sequence: u64,
    bytes: u64,
    last_seen: bool,
}

impl SnapshotReceiver {
    /// Expects the snapshot of `region` at `index` and `term`, as the MsgSnapshot said. Creates `dir` if needed.
    pub fn create(dir: &Path, region: RegionId, index: LogIndex, term: Term) -> Result<Self> {
        // A snapshot whose installation has begun must be found after a power cut.
        dirs::make(dir)?;
        let finished = ReceivedSnapshot::path_of(dir, region, index, term);
        let (file, partial) = create_partial(&finished)?;
        Ok(Self {
            file: Some(file),
            partial,
            finished,
            index,
            term,
            next_sequence: 0,
            bytes: 0,
            last_seen: false,
        })
    }

    /// Bytes received so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes one chunk. An error means that the transfer must start again with a new receiver.
    pub fn accept(&mut self, chunk: &SnapshotChunk) -> Result<()> {
        if chunk.sequence != self.next_sequence || self.last_seen {
            return Err(self.corrupt(format!(
                "chunk {} came, {} was due",
                chunk.sequence, self.next_sequence
            )));
        }
        if crc32fast::hash(&chunk.bytes) != chunk.crc32 {
            return Err(self.corrupt(format!("the checksum of chunk {} is wrong", chunk.sequence)));
        }
        let Some(file) = &mut self.file else {
            return Err(self.corrupt("it is finished".to_owned()));
        };
        file.write_all(&chunk.bytes).map_err(full_or_io)?;
        self.next_sequence += 1;
        self.bytes += chunk.bytes.len() as u64;
        self.last_seen = chunk.last;
        Ok(())
    }

    /// All chunks came: makes the file durable, verifies it from beginning to end, and gives it its name.
    pub fn finish(mut self) -> Result<ReceivedSnapshot> {
        if !self.last_seen || self.bytes < TRAILER_BYTES as u64 {
            return Err(self.corrupt("its last chunk has not come".to_owned()));
        }
        if let Some(file) = self.file.take() {
            file.finish().map_err(full_or_io)?;
        }
        let received = ReceivedSnapshot::open(&self.partial)?;
        if (received.index(), received.term()) != (self.index, self.term) {
            return Err(self.corrupt(format!(
                "it is of index {}, term {}",
                received.index(),
                received.term()
            )));
        }
        received.renamed(&self.finished)
    }

    fn corrupt(&self, detail: String) -> Error {
        Error::corrupt(
            "snapshot",
            format!("index {}, term {}: {detail}", self.index, self.term),
        )
    }
}

impl Drop for SnapshotReceiver {
    fn drop(&mut self) {
        self.file = None;
        // After a rename there is nothing to remove; otherwise the next start removes what is left.
        if let Err(error) = fs::remove_file(&self.partial)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(
                "cannot remove the partial snapshot {}: {error}",
                self.partial.display()
            );
        }
    }
}

fn create_partial(finished: &Path) -> Result<(PacedFile, PathBuf)> {
    for attempt in 0..MAX_ATTEMPTS {
        let partial = finished.with_extension(format!("{attempt}.{PARTIAL}"));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&partial)
        {
            Ok(file) => return Ok((PacedFile::new(file), partial)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(full_or_io(error)),
        }
    }
    Err(Error::corrupt(
        "snapshot",
        format!(
            "{MAX_ATTEMPTS} transfers of {} are under way",
            finished.display()
        ),
    ))
}

fn full_or_io(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::Io(error),
    }
}
