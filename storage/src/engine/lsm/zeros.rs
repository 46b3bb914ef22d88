//! Writing zeros ahead of the journal's end, so that the fsync of a write has only that write to bring to the disk.
//!
//! fjall makes a journal as a hole of 64 MB. A write into a hole needs blocks, and its `fdatasync` must commit the file
//! system's own journal for them: 300 to 420 µs for 4.8 KB, against 190 to 260 into blocks that were written before. So a
//! thread of its own fills the hole a little ahead of the writes.
//!
//! It may never overwrite what was written, and nobody may notice it:
//!
//! - A hole reads as zeros, so filling it with zeros changes nothing that a recovery could see.
//! - Where the hole begins is asked of the file system, and the zeros are written, under the lock that all of this engine's
//!   writes into the journal take: between the two nothing is written. What is filled is read first; if anything is there,
//!   the file system does not tell the truth, and the thread ends.
//! - Never beyond the file's end: a journal that was recovered has been cut to what it holds, and fjall appends to it. Such
//!   a journal has no hole, and is left alone; its successor has one.
//! - Only where the file system is known to answer truly, and overwrites in place ([`FILE_SYSTEMS`]).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::journal::newest_journal;
use crate::Result;

/// Zeros written at once: an fsync of the log that begins meanwhile waits for them too.
const CHUNK_BYTES: usize = 128 << 10;

/// Kept filled behind the journal's end: a tenth of a second of the fastest writing.
const AHEAD_BYTES: i64 = 2 << 20;

/// While writes are larger than this, no zeros are asked for: what they cost grows with the bytes, what they spare does not.
/// 1,000,000 SETs at -P 16, about 60 KB at once, became no faster with them.
const SMALL_BYTES: i64 = 8 << 10;

/// In the usual size of a write, the newest write counts for one part in so many.
const PART: i64 = 16;

/// Once nothing is left to fill, how often it looks for the next journal. No write wakes it meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// ext4 (and 2 and 3) and XFS, by the magic numbers of `statfs`.
const FILE_SYSTEMS: [u64; 2] = [0xef53, 0x5846_5342];

/// The thread that fills, and the lock that keeps it apart from the writes.
pub(super) struct Zeros {
    shared: Arc<Shared>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Held while the journal is written.
    journal: Mutex<()>,
    /// Zeros that the journal has not reached yet; an estimate, on which only speed depends.
    ahead_bytes: AtomicI64,
    /// How large a write is of late; only speed depends on it.
    usual_bytes: AtomicI64,
    /// The journal has no hole left.
    is_full: AtomicBool,
}

impl Zeros {
    /// For the database in `dir`; `None` where it would not help.
    pub(super) fn start(dir: &Path) -> Result<Option<Self>> {
        if !is_known(dir)? {
            return Ok(None);
        }
        let (wake, woken) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let filler = Filler {
            dir: dir.to_owned(),
            shared: Arc::clone(&shared),
            journal: None,
        };
        let thread = std::thread::Builder::new()
            .name("zeros".to_owned())
            .spawn(move || filler.run(&woken))?;
        Ok(Some(Self {
            shared,
            wake: Some(wake),
            thread: Some(thread),
        }))
    }

    /// Hold this while writing about so many bytes into the journal.
    pub(super) fn writing(&self, bytes: usize) -> MutexGuard<'_, ()> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let usual = self.shared.usual_bytes.load(Ordering::Relaxed);
        let usual = usual + (bytes - usual) / PART;
        self.shared.usual_bytes.store(usual, Ordering::Relaxed);
        let before = self.shared.ahead_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if usual <= SMALL_BYTES
            && !self.shared.is_full.load(Ordering::Relaxed)
            && before - bytes < AHEAD_BYTES
            && let Some(wake) = &self.wake
        {
            // Full: it is about to look anyway. Closed: it has given up.
            let _ = wake.try_send(());
        }
        self.shared.journal.lock()
    }
}

impl Drop for Zeros {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Filler {
    dir: PathBuf,
    shared: Arc<Shared>,
    /// The newest journal when it looked last.
    journal: Option<PathBuf>,
}

impl Filler {
    fn run(mut self, woken: &Receiver<()>) {
        let mut full = false;
        loop {
            let woken = match full {
                true => woken.recv_timeout(LOOK_INTERVAL),
                false => woken.recv().map_err(RecvTimeoutError::from),
            };
            if woken == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            match self.fill() {
                Ok(is_full) => full = is_full,
                // Writes are refused meanwhile, too.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => full = true,
                Err(error) => {
                    tracing::warn!(
                        "{}: the journal is not filled ahead any more, which makes writes slower: {error}",
                        self.dir.display()
                    );
                    return;
                }
            }
            self.shared.is_full.store(full, Ordering::Relaxed);
        }
    }

    /// Fills until enough is filled; true when the journal has no hole left.
    fn fill(&mut self) -> io::Result<bool> {
        let newest = newest_journal(&self.dir)?;
        if newest != self.journal {
            self.shared.ahead_bytes.store(0, Ordering::Relaxed);
            self.journal = newest;
        }
        let Some(path) = &self.journal else {
            return Ok(true);
        };
        // Not kept open: fjall deletes it in the end, and its blocks are to be free then.
        let journal = OpenOptions::new().read(true).write(true).open(path)?;
        // Below 0 the journal has passed the zeros: they begin anew at its end.
        self.shared.ahead_bytes.fetch_max(0, Ordering::Relaxed);
        while self.shared.ahead_bytes.load(Ordering::Relaxed) < AHEAD_BYTES {
            let writing = self.shared.journal.lock();
            let filled = fill_hole(&journal, CHUNK_BYTES)?;
            drop(writing);
            if filled == 0 {
                return Ok(true);
            }
            // So that the next write's fsync has as little as possible of it left to do.
            journal.sync_data()?;
            let filled = i64::try_from(filled).unwrap_or(i64::MAX);
            self.shared.ahead_bytes.fetch_add(filled, Ordering::Relaxed);
        }
        Ok(false)
    }
}

/// Writes zeros to where the first hole of `file` begins, `most` at most; how many. Nobody else may write meanwhile.
fn fill_hole(file: &File, most: usize) -> io::Result<usize> {
    let end = file.metadata()?.len();
    if end == 0 {
        // Just made, and not yet as long as it will be; or cut to nothing.
        return Ok(0);
    }
    let Some(start) = first_hole(file)? else {
        return Ok(0);
    };
    let bytes = usize::try_from(end.saturating_sub(start)).map_or(most, |left| left.min(most));
    let mut content = vec![0; bytes];
    file.read_exact_at(&mut content, start)?;
    if content.iter().any(|byte| *byte != 0) {
        return Err(io::Error::other(format!(
            "the file system calls a hole at {start} what is not one"
        )));
    }
    file.write_all_at(&content, start)?;
    Ok(bytes)
}

#[cfg(target_os = "linux")]
fn first_hole(file: &File) -> io::Result<Option<u64>> {
    Ok(Some(rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(0))?))
}

#[cfg(not(target_os = "linux"))]
fn first_hole(_file: &File) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(target_os = "linux")]
fn is_known(dir: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(dir)?.f_type;
    Ok(u64::try_from(kind).is_ok_and(|kind| FILE_SYSTEMS.contains(&kind)))
}

#[cfg(not(target_os = "linux"))]
fn is_known(_dir: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn journal(bytes: u64, written: &[u8]) -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(dir.path().join("1.jnl"))
            .unwrap();
        file.set_len(bytes).unwrap();
        file.write_all_at(written, 0).unwrap();
        (dir, file)
    }

    #[test]
    fn what_is_written_stays_and_the_rest_is_filled_to_the_end() {
        let (_dir, file) = journal(1 << 20, &[7; 10_000]);
        let mut filled = 0;
        loop {
            match fill_hole(&file, CHUNK_BYTES).unwrap() {
                0 => break,
                bytes => filled += bytes,
            }
        }
        assert!(((1 << 20) - 12_288..(1 << 20) - 4096).contains(&filled));
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        assert!(file.metadata().unwrap().blocks() >= 2048);
        let mut content = vec![1; 1 << 20];
        file.read_exact_at(&mut content, 0).unwrap();
        assert!(content[..10_000].iter().all(|byte| *byte == 7));
        assert!(content[10_000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_journal_that_was_cut_is_not_made_longer() {
        for bytes in [10_000, 0] {
            let (_dir, file) = journal(bytes, &[7; 10_000][..bytes as usize]);
            assert_eq!(fill_hole(&file, CHUNK_BYTES).unwrap(), 0);
            assert_eq!(file.metadata().unwrap().len(), bytes);
        }
    }
}
