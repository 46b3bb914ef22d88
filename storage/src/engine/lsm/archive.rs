//! Looks at manifests and at the ends of tables before fjall does, for damage that it would not notice.
//!
//! A **manifest** (`v` and its number) says which tables count, in which order, and from which number on each hides what is older. The file
//! `current` has its number and its checksum, which is written and never compared: a changed byte made old values come back.
//!
//! **Tables** and manifests are archives: sections, then a table of contents ("TOC!", how many entries, the entries), then a trailer
//! that says where that table begins. The reader makes room for as many entries as that number says before it compares the
//! checksum; where a byte of it has changed that is up to 200 GB, and the process ends without a word about the disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::ADVICE;
use crate::{Error, Result};

/// The kind of checksum in `current`.
const XXH3: u8 = 0;

const CONTENTS_MAGIC: &[u8; 4] = b"TOC!";
const TRAILER_MAGIC: &[u8; 4] = b"SFA!";

/// Magic, version, kind of checksum, checksum, where the table of contents is, and how long.
const TRAILER_BYTES: usize = 4 + 1 + 1 + 16 + 8 + 8;
const CONTENTS_AT: usize = 4 + 1 + 1 + 16;
/// Position, length, and the length of the name.
const LEAST_ENTRY_BYTES: u64 = 8 + 8 + 2;

/// [`Error::Corrupt`] when something of that is damaged in `dir`, a database's directory.
pub(super) fn check_archives(dir: &Path) -> Result<()> {
    let keyspaces = dir.join("keyspaces");
    if !keyspaces.exists() {
        return Ok(());
    }
    for keyspace in fs::read_dir(keyspaces)? {
        let keyspace = keyspace?.path();
        check_manifest(&keyspace)?;
        let tables = keyspace.join("tables");
        if tables.is_dir() {
            for table in fs::read_dir(tables)? {
                check_table(&table?.path())?;
            }
        }
    }
    Ok(())
}

/// A file that is gone, because a process still runs that works on it, is none: opening the database will tell.
fn if_there<T>(read: std::io::Result<T>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read?)),
    }
}

fn check_manifest(keyspace: &Path) -> Result<()> {
    let current = keyspace.join("current");
    let Some(bytes) = if_there(fs::read(&current))? else {
        return Ok(());
    };
    let parts = bytes.split_first_chunk::<8>();
    let Some((number, Some((checksum, &[XXH3])))) =
        parts.map(|(number, rest)| (number, rest.split_first_chunk::<16>()))
    else {
        return Err(damaged(&current, "is not a number and a checksum"));
    };
    let manifest = keyspace.join(format!("v{}", u64::from_le_bytes(*number)));
    let Some(bytes) = if_there(fs::read(&manifest))? else {
        return Ok(());
    };
    if xxh3_128(&bytes) != u128::from_le_bytes(*checksum) {
        return Err(damaged(
            &manifest,
            "has another checksum than it was written with",
        ));
    }
    Ok(())
}

fn damaged(path: &Path, how: &str) -> Error {
    Error::corrupt(
        "database",
        format!(
            "{} {how}: it is damaged. Check the disk; {ADVICE}",
            path.display()
        ),
    )
}

/// What is no archive, or cut off, is left to fjall.
fn check_table(path: &Path) -> Result<()> {
    let Some(mut file) = if_there(File::open(path))? else {
        return Ok(());
    };
    let bytes = file.metadata()?.len();
    let Some(trailer_at) = bytes.checked_sub(TRAILER_BYTES as u64) else {
        return Ok(());
    };
    let mut trailer = [0; TRAILER_BYTES];
    file.seek(SeekFrom::Start(trailer_at))?;
    file.read_exact(&mut trailer)?;
    let Some(contents_at) = contents_at(&trailer).filter(|&at| at + 8 <= trailer_at) else {
        return Ok(());
    };
    let mut head = [0; 8];
    file.seek(SeekFrom::Start(contents_at))?;
    file.read_exact(&mut head)?;
    let [magic @ .., a, b, c, d] = &head;
    let entries = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    if magic == CONTENTS_MAGIC && entries * LEAST_ENTRY_BYTES > trailer_at - contents_at {
        let how = format!("has a table of contents with {entries} entries");
        return Err(damaged(path, &how));
    }
    Ok(())
}

fn contents_at(trailer: &[u8; TRAILER_BYTES]) -> Option<u64> {
    if !trailer.starts_with(TRAILER_MAGIC) {
        return None;
    }
    let at = trailer.get(CONTENTS_AT..)?.first_chunk()?;
    Some(u64::from_le_bytes(*at)).filter(|&at| at < u64::MAX / 2)
}
