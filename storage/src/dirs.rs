//! Directories that a power cut does not take away.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a directory if it is not there, and its name durable.
pub fn make(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    // Of `.` and the like the name stands elsewhere.
    match dir.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
