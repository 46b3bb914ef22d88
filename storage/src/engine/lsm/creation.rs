//! Removes what an interrupted creation of a database left.
//!
//! fjall writes its version file last, when journal and folders are there, and takes a directory without it for a new
//! one; but then the journal that is there already makes it fail. A process that was killed in the first milliseconds of
//! its life would never start again.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;

use crate::{Error, Result};

pub(super) const VERSION: &str = "version";
pub(super) const LOCK: &str = "lock";
const FIRST_JOURNAL: &str = "0.jnl";
const KEYSPACES: &str = "keyspaces";

/// Makes `dir` as if the creation had not begun, if nothing was ever written there. Refuses a directory that has data
/// but no version file: that is damage, and not for us to remove.
pub(super) fn clear_unfinished(dir: &Path) -> Result<()> {
    let version = dir.join(VERSION);
    if fs::metadata(&version).is_ok_and(|file| file.len() > 0) || !dir.join(LOCK).exists() {
        return Ok(());
    }
    // Whoever is creating it right now holds the lock.
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .open(dir.join(LOCK))?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    let journal = dir.join(FIRST_JOURNAL);
    if has_data(&journal, &dir.join(KEYSPACES))? {
        return Err(Error::corrupt(
            "data directory",
            format!(
                "{} is missing or empty, but there is data beside it",
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
