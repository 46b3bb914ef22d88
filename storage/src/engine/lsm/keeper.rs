//! Keeping deleted files open for a moment, so that the disk's work of freeing them falls on a thread that nobody waits for, in small
//! pieces.
//!
//! fjall deletes the tables that a compaction has replaced while it holds the lock that every read takes. Taking the name away
//! is quick; freeing the blocks, when the last descriptor is closed, takes a disk tens of milliseconds for each table
//! (mounted with `discard`; reads waited for up to 190 ms). With a descriptor of ours still open, that happens when we let go of it.
//!
//! The file system's own journal then commits what was freed, and tells the disk, before it commits anything else: an `fdatasync` of the
//! log beside the end of a file of 64 MB took up to 11 ms, 0.4 otherwise. So a file is cut shorter by and by, with others'
//! commits in between: 3.6 ms at most, measured with 4 MB every 5 ms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Result;

/// How often it looks for new and deleted files: no table is replaced sooner after it was made, nearly always.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// What of a deleted file is freed at once, and after which pause more of it: 800 MB/s, and a look at the directory takes no longer.
const FREED_BYTES: u64 = 4 << 20;
const FREE_INTERVAL: Duration = Duration::from_millis(5);
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
        let files = Files::new(dir);
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
    /// Deleted, and being freed from the end.
    dying: VecDeque<File>,
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            open: BTreeMap::new(),
            dying: VecDeque::new(),
        }
    }

    fn run(mut self, stopped: &Receiver<()>) {
        loop {
            self.look();
            let mut left = LOOK_INTERVAL;
            while !left.is_zero() {
                let pause = match self.dying.is_empty() {
                    true => left,
                    false => left.min(FREE_INTERVAL),
                };
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                left -= pause;
                self.free_some();
            }
        }
    }

    /// Opens what is new, and begins to free what is not there any more.
    fn look(&mut self) {
        let mut seen = BTreeSet::new();
        let dir = self.dir.clone();
        self.look_in(&dir, 0, &mut seen);
        let (open, gone) = std::mem::take(&mut self.open)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(inode, _)| seen.contains(inode));
        self.open = open;
        // Whatever has another name yet, or whose state is not known, is only closed.
        let is_deleted = |file: &File| file.metadata().is_ok_and(|file| file.nlink() == 0);
        self.dying.extend(gone.into_values().filter(is_deleted));
    }

    /// Frees a piece of a deleted file. fjall takes a file's name away when nothing of it will be read any more: a table's, when its
    /// last user has let go of it.
    fn free_some(&mut self) {
        if let Some(file) = self.dying.front()
            // The rest of a file that cannot be cut is freed when it is closed.
            && shorten(file).unwrap_or(0) == 0
        {
            self.dying.pop_front();
        }
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
        let mut options = OpenOptions::new();
        if is_large && let Ok(file) = options.read(true).write(true).open(entry.path()) {
            self.open.insert(entry.ino(), file);
        }
    }
}

/// Cuts a piece off the file's end; answers how long it still is.
fn shorten(file: &File) -> io::Result<u64> {
    let left = file.metadata()?.size().saturating_sub(FREED_BYTES);
    file.set_len(left)?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_files_are_freed_in_pieces_and_closed() {
        let dir = tempfile::tempdir().unwrap();
        let tables = dir.path().join("keyspaces/1/tables");
        std::fs::create_dir_all(&tables).unwrap();
        let bytes = FREED_BYTES + MIN_BYTES;
        std::fs::write(tables.join("1"), vec![0; bytes as usize]).unwrap();
        std::fs::write(tables.join("2"), vec![0; MIN_BYTES as usize]).unwrap();
        std::fs::write(tables.join("small"), b"small").unwrap();
        let mut files = Files::new(dir.path());
        files.look();
        assert_eq!(files.open.len(), 2);
        std::fs::remove_file(tables.join("1")).unwrap();
        let left = |file: &File| file.metadata().unwrap().size();
        assert!(files.open.values().any(|file| left(file) == bytes));
        files.look();
        assert_eq!(files.open.len(), 1);
        assert_eq!(files.dying.iter().map(left).collect::<Vec<_>>(), [bytes]);
        files.free_some();
        assert_eq!(
            files.dying.iter().map(left).collect::<Vec<_>>(),
            [MIN_BYTES]
        );
        files.free_some();
        assert!(files.dying.is_empty());
    }

    #[test]
    fn what_has_another_name_keeps_its_bytes() {
        let root = tempfile::tempdir().unwrap();
        let (dir, kept) = (root.path().join("engine"), root.path().join("kept"));
        std::fs::create_dir(&dir).unwrap();
        let journal = dir.join("0.jnl");
        std::fs::write(&journal, vec![1; MIN_BYTES as usize]).unwrap();
        let mut files = Files::new(&dir);
        files.look();
        std::fs::hard_link(&journal, &kept).unwrap();
        std::fs::remove_file(&journal).unwrap();
        files.look();
        assert!(files.open.is_empty() && files.dying.is_empty());
        assert_eq!(std::fs::read(kept).unwrap().len() as u64, MIN_BYTES);
    }
}
