//! The receiver's file, read and verified.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use raft::eraftpb;
use xxhash_rust::xxh3::Xxh3;

use super::{FORMAT, MAGIC, MAX_HEADER_BYTES};
use crate::engine::MAX_KEY_BYTES;
use crate::ids::{LogIndex, RegionId, SLOT_COUNT, Term};
use crate::proto::store::{RaftApplyState, Region, SnapshotHeader};
use crate::{Error, Result, dirs, keys};

pub(super) const FINISHED: &str = "snap";
pub(super) const PARTIAL: &str = "part";

/// A whole, verified, durable snapshot file.
#[derive(Clone, Debug)]
pub struct ReceivedSnapshot {
    path: PathBuf,
    header: SnapshotHeader,
}

impl ReceivedSnapshot {
    /// Opens the file and verifies all of it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut records = SnapshotRecords::open(path)?;
        let header = records.header().clone();
        while records.next_record()?.is_some() {}
        Ok(Self {
            path: path.to_owned(),
            header,
        })
    }

    /// The file of this snapshot in `dir`, wherever it came from.
    pub(crate) fn path_of(dir: &Path, region: RegionId, index: LogIndex, term: Term) -> PathBuf {
        dir.join(format!("{region}-{index}-{term}.{FINISHED}"))
    }

    /// The same file under another name.
    pub(super) fn renamed(self, path: &Path) -> Result<Self> {
        fs::rename(&self.path, path)?;
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(Self {
            path: path.to_owned(),
            ..self
        })
    }

    /// The Region as the sender knew it.
    pub fn region(&self) -> Region {
        self.header.region.clone().unwrap_or_default()
    }

    /// Bytes of the file.
    pub fn size_bytes(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }

    /// RaftApplyState of the records.
    pub fn apply_state(&self) -> RaftApplyState {
        self.header.apply_state.clone().unwrap_or_default()
    }

    /// The last index whose effect is in the snapshot.
    pub fn index(&self) -> LogIndex {
        LogIndex(self.apply_state().applied_index)
    }

    /// The term of the entry at [`Self::index`].
    pub fn term(&self) -> Term {
        Term(self.apply_state().applied_term)
    }

    /// What raft needs to know of it.
    pub fn metadata(&self) -> eraftpb::SnapshotMetadata {
        metadata(&self.apply_state())
    }

    /// Starts reading its records.
    pub fn records(&self) -> Result<SnapshotRecords> {
        SnapshotRecords::open(&self.path)
    }

    /// Removes the file. Errors are not important: what is left is removed at the next start.
    pub fn discard(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(
                "cannot remove the snapshot {}: {error}",
                self.path.display()
            );
        }
    }
}

/// Reads the records of a snapshot file in order. Everything is verified on the way: after `None` the whole file is known
/// to be good.
pub struct SnapshotRecords {
    reader: BufReader<File>,
    path: PathBuf,
    digest: Xxh3,
    header: SnapshotHeader,
    ranges: [(Bytes, Bytes); 2],
    last_key: Bytes,
    records: u64,
    done: bool,
}

impl SnapshotRecords {
    /// Opens the file and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        let reader = BufReader::with_capacity(256 * 1024, File::open(path)?);
        let mut records = Self {
            reader,
            path: path.to_owned(),
            digest: Xxh3::new(),
            header: SnapshotHeader::default(),
            ranges: Default::default(),
            last_key: Bytes::new(),
            records: 0,
            done: false,
        };
        records.read_header()?;
        Ok(records)
    }

    /// The stream's header.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// The next record; `None` at the end, when count and digest are right.
    pub fn next_record(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        if self.done {
            return Ok(None);
        }
        let key_length = u32::from_le_bytes(self.array()?);
        if key_length == 0 {
            self.read_trailer()?;
            self.done = true;
            return Ok(None);
        }
        let value_length = u32::from_le_bytes(self.array()?);
        if key_length as usize > MAX_KEY_BYTES {
            return Err(self.corrupt(format!("a key of {key_length} bytes")));
        }
        let key = self.bytes(key_length)?;
        let value = self.bytes(value_length)?;
        if key <= self.last_key {
            return Err(self.corrupt("keys out of order".to_owned()));
        }
        if !self
            .ranges
            .iter()
            .any(|(start, end)| *start <= key && key < *end)
        {
            return Err(self.corrupt("a record of another Region".to_owned()));
        }
        self.last_key = key.clone();
        self.records += 1;
        Ok(Some((key, value)))
    }

    fn read_header(&mut self) -> Result<()> {
        if self.array()? != MAGIC {
            return Err(self.corrupt("not a snapshot".to_owned()));
        }
        let length = u32::from_le_bytes(self.array()?);
        if length > MAX_HEADER_BYTES {
            return Err(self.corrupt(format!("a header of {length} bytes")));
        }
        let header = self.bytes(length)?;
        let header = SnapshotHeader::decode(header)
            .map_err(|error| self.corrupt(format!("header: {error}")))?;
        if header.format > FORMAT {
            return Err(Error::Format {
                what: "snapshot",
                found: header.format,
                known: FORMAT,
            });
        }
        let (Some(region), Some(_)) = (&header.region, &header.apply_state) else {
            return Err(self.corrupt("header without Region or RaftApplyState".to_owned()));
        };
        self.ranges = ranges(region)?;
        self.header = header;
        Ok(())
    }

    fn read_trailer(&mut self) -> Result<()> {
        let count = u64::from_le_bytes(self.array()?);
        let expected = self.digest.digest();
        let digest = u64::from_le_bytes(self.array()?);
        if count != self.records || digest != expected {
            return Err(self.corrupt(format!(
                "{} records, digest {expected:x}; it says {count}, {digest:x}",
                self.records
            )));
        }
        if self.reader.read(&mut [0])? != 0 {
            return Err(self.corrupt("bytes behind its end".to_owned()));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => self.corrupt("it ends early".to_owned()),
                _ => Error::Io(error),
            })?;
        self.digest.update(&bytes);
        Ok(bytes)
    }

    /// Allocates as bytes arrive, not what a length claims.
    fn bytes(&mut self, length: u32) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(length.min(64 * 1024) as usize);
        (&mut self.reader)
            .take(u64::from(length))
            .read_to_end(&mut bytes)?;
        if bytes.len() != length as usize {
            return Err(self.corrupt("it ends early".to_owned()));
        }
        self.digest.update(&bytes);
        Ok(bytes.into())
    }

    fn corrupt(&self, detail: String) -> Error {
        Error::corrupt("snapshot", format!("{}: {detail}", self.path.display()))
    }
}

/// Removes every snapshot file in `dir`, finished or not; creates the folder if needed. For the start of a Store, when no
/// installation is pending.
pub fn clean(dir: &Path) -> Result<()> {
    dirs::make(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == FINISHED || extension == PARTIAL)
        {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The two ranges of a Region's records, ascending.
pub(crate) fn ranges(region: &Region) -> Result<[(Bytes, Bytes); 2]> {
    let slot = |slot: u32| u16::try_from(slot).ok().filter(|slot| *slot <= SLOT_COUNT);
    let (Some(start), Some(end)) = (slot(region.start_slot), slot(region.end_slot)) else {
        return Err(Error::corrupt(
            "Region",
            format!("slots {} to {}", region.start_slot, region.end_slot),
        ));
    };
    Ok([
        keys::system_records(RegionId(region.id)),
        keys::data_records(start, end),
    ])
}

pub(super) fn metadata(state: &RaftApplyState) -> eraftpb::SnapshotMetadata {
    eraftpb::SnapshotMetadata {
        conf_state: Some(eraftpb::ConfState::from(
            state.conf_state.clone().unwrap_or_default(),
        ))
        .into(),
        index: state.applied_index,
        term: state.applied_term,
        ..Default::default()
    }
}
