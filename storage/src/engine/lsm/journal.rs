//! The files of fjall's journal, and what they hold.
//!
//! As fjall 3 writes them without compression (integers little endian): batches, each a start (`01`, items:u32, seqno:u64),
//! items (`02`, kind:u8, compression:u8, keyspace:u64, key:u16, value:u32, stored:u32, key, value) or clears (`04`,
//! keyspace:u64), and an end (`03`, xxh3 of the items:u64, "FJL" 3). Zeros follow. The checksum does not cover the start.

use std::fs;
use std::io::{self, BufRead, ErrorKind};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

pub(super) const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// The last bytes of every batch.
pub(super) const MAGIC: [u8; 4] = [b'F', b'J', b'L', 3];

/// Bytes of an end behind its tag.
const END_BYTES: u64 = 12;

/// What is at a place of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A batch as it was written, but for its number, which only its neighbours can confirm.
    Whole { seqno: u64 },
    /// Something else.
    Broken,
    /// A batch that is longer than what is there.
    Cut {
        /// Where its end would end, if the end is what was cut.
        end: Option<u64>,
    },
}

/// Reads batches one after the other.
pub(super) struct Batches<R> {
    reader: R,
    /// Bytes read.
    pub(super) position: u64,
}

impl<R: BufRead> Batches<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            position: 0,
        }
    }

    /// What is next. After anything but a whole batch the position means nothing.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        let mut end = None;
        match self.batch(&mut end) {
            Ok(Some(seqno)) => Ok(Found::Whole { seqno }),
            Ok(None) => Ok(Found::Broken),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Found::Cut { end }),
            Err(error) => Err(error),
        }
    }

    /// The number of a whole batch. `end` is set when its end is reached.
    fn batch(&mut self, end: &mut Option<u64>) -> io::Result<Option<u64>> {
        if self.array()? != [START] {
            return Ok(None);
        }
        let items = u32::from_le_bytes(self.array()?);
        let seqno = u64::from_le_bytes(self.array()?);
        let mut checksum = Xxh3::new();
        let mut found = 0;
        loop {
            match self.array()? {
                [ITEM] if found < items => self.item(&mut checksum)?,
                [CLEAR] if found < items => {
                    checksum.update(&[CLEAR]);
                    checksum.update(&self.array::<8>()?);
                }
                [END] => {
                    *end = Some(self.position + END_BYTES);
                    let expected = u64::from_le_bytes(self.array()?);
                    let is_whole =
                        self.array()? == MAGIC && found == items && checksum.digest() == expected;
                    return Ok(is_whole.then_some(seqno));
                }
                _ => return Ok(None),
            }
            found += 1;
        }
    }

    fn item(&mut self, checksum: &mut Xxh3) -> io::Result<()> {
        let head: [u8; 10] = self.array()?;
        let key_bytes: [u8; 2] = self.array()?;
        let value_bytes: [u8; 4] = self.array()?;
        let stored_bytes: [u8; 4] = self.array()?;
        for part in [&[ITEM][..], &head, &key_bytes, &value_bytes, &stored_bytes] {
            checksum.update(part);
        }
        let body =
            u64::from(u16::from_le_bytes(key_bytes)) + u64::from(u32::from_le_bytes(stored_bytes));
        self.body(body, checksum)
    }

    /// Adds the next bytes to the checksum without keeping them: a length that was damaged asks for gigabytes.
    fn body(&mut self, bytes: u64, checksum: &mut Xxh3) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let there = self.reader.fill_buf()?;
            let take = usize::try_from(left).map_or(there.len(), |left| left.min(there.len()));
            if take == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            checksum.update(there.get(..take).unwrap_or_default());
            self.reader.consume(take);
            self.position += take as u64;
            left -= take as u64;
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }
}

/// The journals in `dir`, the oldest first.
pub(super) fn journals(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .extension()
            .filter(|extension| *extension == "jnl")
            .and_then(|_| path.file_stem()?.to_str()?.parse::<u64>().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The journal that is written.
pub(super) fn newest_journal(dir: &Path) -> io::Result<Option<PathBuf>> {
    Ok(journals(dir)?.pop())
}
