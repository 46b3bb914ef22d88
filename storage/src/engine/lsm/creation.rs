//! Removes what an interrupted creation of a database left.
//!
//! fjall writes its version file last, when journal and folders are there, and takes a directory without it for a new
//! one; but then the journal that is there already makes it fail. A process that was killed in the first milliseconds of
//! its life would never start again.
//!
//! It also syncs what is in the directories that it makes, but not the names of some of them in their parents: a power cut
//! could take a whole keyspace, and everything acknowledged with it.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::{Error, Result};

pub(super) const VERSION: &str = "version";
/// A mark and the version.
const VERSION_BYTES: usize = 4;
pub(super) const LOCK: &str = "lock";
const FIRST_JOURNAL: &str = "0.jnl";
const KEYSPACES: &str = "keyspaces";

/// Makes `dir` as if the creation had not begun, if nothing was ever written there. Refuses a directory that has data
/// but no version file: that is damage, and not for us to remove.
pub(super) fn clear_unfinished(dir: &Path) -> Result<()> {
    let version = dir.join(VERSION);
    if is_whole(&version)? {
        return Ok(());
    }
    let lock = dir.join(LOCK);
    // Whoever is creating it right now holds the lock. After a power cut there may be none.
    if lock.exists() && File::open(lock)?.try_lock().is_err() {
        return Ok(());
    }
    let journal = dir.join(FIRST_JOURNAL);
    if has_data(&journal, &dir.join(KEYSPACES))? {
        return Err(Error::corrupt(
            "data directory",
            format!(
                "{} is missing or damaged, but there is data beside it",
                version.display()
            ),
        ));
    }
    for path in [&journal, &version] {
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether the version file says which version it is. A power cut may leave it empty, cut, or with zeros.
fn is_whole(version: &Path) -> Result<bool> {
    let mut head = Vec::new();
    if version.exists() {
        File::open(version)?
            .take(VERSION_BYTES as u64)
            .read_to_end(&mut head)?;
    }
    Ok(head.len() == VERSION_BYTES && head.iter().any(|byte| *byte != 0))
}

/// Makes the names of the database's directories durable, its own included.
pub(super) fn sync_names(dir: &Path) -> Result<()> {
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    for named in [&dir.join(KEYSPACES), dir, parent] {
        File::open(named)?.sync_all()?;
    }
    Ok(())
}

/// A new journal holds zeros only, and there is no keyspace before the version file.
fn has_data(journal: &Path, keyspaces: &Path) -> Result<bool> {
    if keyspaces.exists() && fs::read_dir(keyspaces)?.next().is_some() {
        return Ok(true);
    }
    if !journal.exists() {
        return Ok(false);
    }
    let mut head = Vec::new();
    File::open(journal)?.take(4096).read_to_end(&mut head)?;
    Ok(head.iter().any(|byte| *byte != 0))
}
