//! Keeping deleted files open for a moment, so that the disk's work of freeing them falls on a thread that nobody waits for.
//!
//! fjall deletes the tables that a compaction has replaced while it holds the lock that every read takes. Taking the name away
//! is quick; freeing the blocks, when the last descriptor is closed, takes a disk tens of milliseconds for each table
//! (mounted with `discard`; reads waited for up to 190 ms). With a descriptor of ours still open, that happens when we close it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Result;

/// How often it looks for new and deleted files: no table is replaced sooner after it was made, nearly always.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Smaller files are freed quickly.
const MIN_BYTES: u64 = 16 << 10;
/// Files kept open at most, because descriptors are for clients; those beyond are freed where they are deleted.
const MAX_FILES: usize = 512;
/// Directories are looked at so deep: keyspaces, one of them, its tables.
const MAX_DEPTH: usize = 3;

/// The thread that keeps files open.
pub(super) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Watches the files under `dir`.
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let (stop, stopped) = channel();
        let files = Files {
            dir: dir.to_owned(),
            open: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name("free".to_owned())
            .spawn(move || files.run(&stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Files {
    dir: PathBuf,
    /// By inode.
    open: BTreeMap<u64, File>,
}

impl Files {
    fn run(mut self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            self.look();
        }
    }

    /// Opens what is new, and closes what is not there any more.
    fn look(&mut self) {
        let mut seen = BTreeSet::new();
        let dir = self.dir.clone();
        self.look_in(&dir, 0, &mut seen);
        // Closing one may take long; nobody waits.
        self.open.retain(|inode, _| seen.contains(inode));
    }

    /// What cannot be read is not kept open: whoever needs it meets the error.
    fn look_in(&mut self, dir: &Path, depth: usize, seen: &mut BTreeSet<u64>) {
        let Ok(entries) = std::fs::read_dir(dir) else {
            return;
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && depth < MAX_DEPTH {
                self.look_in(&entry.path(), depth + 1, seen);
            } else if kind.is_file() {
                seen.insert(entry.ino());
                self.keep(&entry);
            }
        }
    }

    fn keep(&mut self, entry: &std::fs::DirEntry) {
        if self.open.contains_key(&entry.ino()) || self.open.len() >= MAX_FILES {
            return;
        }
        let is_large = entry.metadata().is_ok_and(|file| file.size() >= MIN_BYTES);
        if is_large && let Ok(file) = File::open(entry.path()) {
            self.open.insert(entry.ino(), file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_files_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let tables = dir.path().join("keyspaces/1/tables");
        std::fs::create_dir_all(&tables).unwrap();
        std::fs::write(tables.join("1"), vec![0; MIN_BYTES as usize]).unwrap();
        std::fs::write(tables.join("2"), vec![0; MIN_BYTES as usize]).unwrap();
        std::fs::write(tables.join("small"), b"small").unwrap();
        let mut files = Files {
            dir: dir.path().to_owned(),
            open: BTreeMap::new(),
        };
        files.look();
        assert_eq!(files.open.len(), 2);
        std::fs::remove_file(tables.join("1")).unwrap();
        let links = |files: &Files| -> Vec<u64> {
            let links = files
                .open
                .values()
                .map(|file| file.metadata().unwrap().nlink());
            links.collect()
        };
        assert!(links(&files).contains(&0), "still open");
        files.look();
        assert_eq!(links(&files), [1]);
    }
}
