//! Bringing most of the journal to the disk without its lock.
//!
//! Where writes are not synced one by one (`appendfsync everysec`), a sync finds up to a second's worth of them, and fjall holds
//! the lock of the journal while it waits for the disk: 30 to 77 ms under MSET at -P 16, in which nothing can be appended. A flush of the
//! memtable begins with such a sync, too. So before either, the file is synced through a descriptor of its own, while writes go
//! on; what is left for fjall is what was written meanwhile. fjall's own sync is the one that counts.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::journal::newest_journal;

/// The second time it is what was written during the first.
const PASSES: usize = 2;

/// The journal of a database.
#[derive(Clone)]
pub(super) struct Presync {
    dir: PathBuf,
}

impl Presync {
    /// Of the database in `dir`.
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Syncs what the newest journal holds. An error is as fatal as one of fjall's own sync, which will meet it too: the system
    /// tells it once to each who has the file open, and may have dropped what it could not write.
    pub(super) fn run(&self) -> io::Result<()> {
        for _ in 0..PASSES {
            let Some(newest) = newest_journal(&self.dir)? else {
                return Ok(());
            };
            match File::open(newest) {
                Ok(journal) => journal.sync_data()?,
                // Deleted since, and with that another one is the newest, which was synced when it was made.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_the_newest_journal_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let presync = Presync::new(dir.path());
        presync.run().unwrap();
        std::fs::write(dir.path().join("9.jnl"), b"batch").unwrap();
        presync.run().unwrap();
        let cannot_be_opened = |name: &str| {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink(&path, &path).unwrap();
        };
        cannot_be_opened("8.jnl");
        presync.run().unwrap();
        cannot_be_opened("10.jnl");
        presync.run().unwrap_err();
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let presync = Presync::new(dir.path());
        drop(dir);
        assert_eq!(presync.run().unwrap_err().kind(), ErrorKind::NotFound);
    }
}
