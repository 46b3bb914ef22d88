//! Cuts the torn tail off a journal that fjall refuses to open.
//!
//! A power cut may write the pages of an unsynced batch in any order: its end marker may be on the disk and its middle
//! not. fjall's recovery takes that for corruption. Such a batch was never acknowledged, so it may go; a bad batch with
//! whole ones behind it is another matter, see [`super::LsmOptions::unsynced_tail`].
//!
//! The journal, as fjall 3 writes it without compression (integers little endian): batches, each a start (`01`,
//! items:u32, seqno:u64), items (`02`, kind:u8, compression:u8, keyspace:u64, key:u16, value:u32, stored:u32, key,
//! value) or clears (`04`, keyspace:u64), and an end (`03`, xxh3 of the items:u64, "FJL" 3). Zeros follow.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::{Error, Result};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const MAGIC: [u8; 4] = [b'F', b'J', b'L', 3];

/// Cuts the newest journal in `dir` at its first torn batch. `reason` is fjall's, for messages. With `unsynced_tail`
/// also when whole batches follow it; otherwise that is an error.
pub(super) fn cut_torn_tail(
    dir: &Path,
    reason: &fjall::JournalRecoveryError,
    unsynced_tail: bool,
) -> Result<()> {
    let Some(path) = newest_journal(dir)? else {
        return Err(Error::Engine(format!(
            "{} has no journal to repair: {reason}",
            dir.display()
        )));
    };
    let Tail {
        whole_bytes,
        whole_behind,
    } = find_tail(&path)?;
    if whole_behind && !unsynced_tail {
        return Err(Error::corrupt(
            "journal",
            format!(
                "{} is damaged at byte {whole_bytes}, before writes that were synced ({reason}); restore this Store from \
                 its peers or from a backup",
                path.display()
            ),
        ));
    }
    tracing::warn!(
        "{}: cutting off an incomplete write at byte {whole_bytes}, left by a power cut ({reason})",
        path.display()
    );
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(whole_bytes)?;
    file.sync_all()?;
    Ok(())
}

/// The journal with the greatest number.
/// The journal that is written.
pub(super) fn newest_journal(dir: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .extension()
            .filter(|extension| *extension == "jnl")
            .and_then(|_| path.file_stem()?.to_str()?.parse::<u64>().ok());
        if let Some(number) = number
            && newest
                .as_ref()
                .is_none_or(|(greatest, _)| number > *greatest)
        {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

struct Tail {
    /// The journal is whole up to here.
    whole_bytes: u64,
    /// A whole batch follows the first one that is not.
    whole_behind: bool,
}

fn find_tail(path: &Path) -> Result<Tail> {
    let mut journal = Journal {
        reader: BufReader::new(File::open(path)?),
        position: 0,
    };
    loop {
        let start = journal.position;
        match journal.batch() {
            Ok(true) => {}
            Ok(false) => {
                // The batch has a shape but the wrong content: look once behind it.
                let whole_behind = journal.batch().unwrap_or(false);
                return Ok(Tail {
                    whole_bytes: start,
                    whole_behind,
                });
            }
            Err(_) => {
                return Ok(Tail {
                    whole_bytes: start,
                    whole_behind: false,
                });
            }
        }
    }
}

struct Journal {
    reader: BufReader<File>,
    position: u64,
}

impl Journal {
    /// Reads one batch: true when it is whole, false when its shape is right and its content is not.
    fn batch(&mut self) -> std::io::Result<bool> {
        if self.u8()? != START {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let items = u32::from_le_bytes(self.array()?);
        self.array::<8>()?;
        let mut checksum = Xxh3::new();
        let mut found = 0;
        loop {
            let tag = self.u8()?;
            match tag {
                ITEM => self.item(&mut checksum)?,
                CLEAR => {
                    checksum.update(&[CLEAR]);
                    checksum.update(&self.array::<8>()?);
                }
                END => {
                    let expected = u64::from_le_bytes(self.array()?);
                    let whole =
                        self.array()? == MAGIC && found == items && checksum.digest() == expected;
                    return Ok(whole);
                }
                _ => return Err(std::io::ErrorKind::InvalidData.into()),
            }
            found += 1;
        }
    }

    fn item(&mut self, checksum: &mut Xxh3) -> std::io::Result<()> {
        let head: [u8; 10] = self.array()?;
        let key_length: [u8; 2] = self.array()?;
        let value_length: [u8; 4] = self.array()?;
        let stored_length: [u8; 4] = self.array()?;
        let length = u64::from(u16::from_le_bytes(key_length))
            + u64::from(u32::from_le_bytes(stored_length));
        let mut body = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.position += length;
        for part in [
            &[ITEM][..],
            &head,
            &key_length,
            &value_length,
            &stored_length,
            &body,
        ] {
            checksum.update(part);
        }
        Ok(())
    }

    fn u8(&mut self) -> std::io::Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }
}
