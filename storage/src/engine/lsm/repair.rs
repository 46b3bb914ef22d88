//! Looks through the journals before fjall does, and tells a write that did not finish from damage.
//!
//! fjall's recovery takes nearly everything that does not decode for the journal's end and cuts the rest off. That is right
//! for the last write, when a power cut came before its fsync returned: nobody was told that it is done. It is wrong for a
//! byte that has changed in the middle: acknowledged entries and votes behind it would be gone, and nothing would show it.
//!
//! **What must hold** where every write is synced before the next one begins (`unsynced_tail: false`): whatever has a whole
//! batch behind it is on the disk, all but the newest journal are whole, and numbers rise from batch to batch.
//!
//! **The last batch.** Of a write that did not finish, sectors of 512 bytes, or everything from some place on, are still zeros
//! or beyond the file's end. A last batch that is bad and does not look like that was finished, synced and acknowledged: it
//! is damaged. What cannot be told from an unfinished write, and is cut off, is damage of a last batch that has at least 8
//! zeros in front of a sector's end anyway, and the last byte of all turned to zero where a sector begins with it.
//!
//! **What else cannot be seen here:** the number of a journal's first batch that was changed, but not beyond that of its
//! neighbour. Only an error of a few is possible, and matters when the batch is the oldest of all and follows a flush.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use super::creation::{LOCK, VERSION};
use super::journal::{Batches, Found, MAGIC, START, journals};
use crate::error::ADVICE;
use crate::{Error, Result};

/// A disk writes at least so much at once.
const SECTOR_BYTES: u64 = 512;

/// So many zeros where a sector ends show that it was not written. Other than in values they do not come together in a
/// batch: numbers have 7 at most.
const MISSING_BYTES: usize = 8;

/// Numbers are also used up by flushes and compactions, but not so many from one batch to the next.
const MAX_SEQNO_GAP: u64 = 1 << 32;

/// Greater numbers are none.
const MAX_SEQNO: u64 = 1 << 56;

const READ_BYTES: usize = 256 << 10;

/// Checks the journals in `dir`, and cuts the newest one where an unfinished write begins. [`Error::Corrupt`] when something that
/// was synced is damaged. With `unsynced_tail`, where a power cut may have torn more than the last write, the newest journal is
/// cut at the first batch that is not whole, whatever is behind it.
pub(super) fn check_journals(dir: &Path, unsynced_tail: bool) -> Result<()> {
    let lock = dir.join(LOCK);
    if !lock.exists() {
        return Ok(());
    }
    let lock = OpenOptions::new().read(true).write(true).open(lock)?;
    // Whoever writes into the journals right now holds the lock: opening the database will tell.
    match lock.try_lock() {
        Ok(()) => check_locked(dir, unsynced_tail),
        Err(_) => Ok(()),
    }
}

fn check_locked(dir: &Path, unsynced_tail: bool) -> Result<()> {
    let journals = journals(dir)?;
    let Some((newest, sealed)) = journals.split_last() else {
        return match dir.join(VERSION).exists() {
            true => Err(damaged(dir, "it has no journal")),
            false => Ok(()),
        };
    };
    let mut seqno = None;
    for journal in sealed {
        // It was synced before its successor was made.
        if let Some(rest) = read(journal, &mut seqno)? {
            return Err(damaged(journal, &rest.place()));
        }
    }
    let Some(rest) = read(newest, &mut seqno)? else {
        return Ok(());
    };
    if !unsynced_tail && (rest.has_whole_batch(seqno) || !rest.may_be_unfinished()) {
        return Err(damaged(newest, &rest.place()));
    }
    cut(newest, &rest)
}

fn damaged(path: &Path, place: &str) -> Error {
    Error::corrupt(
        "journal",
        format!(
            "{} is damaged: {place}, where writes were synced. If this node ran with another appendfsync than always until now, \
             start it once with that. Otherwise check the disk; the node cannot go on with these files: {ADVICE}",
            path.display()
        ),
    )
}

fn cut(journal: &Path, rest: &Rest) -> Result<()> {
    tracing::warn!(
        "{}: {}: cutting off {} bytes of writes that did not finish",
        journal.display(),
        rest.place(),
        rest.bytes.len()
    );
    let file = OpenOptions::new().write(true).open(journal)?;
    file.set_len(rest.start)?;
    file.sync_all()?;
    Ok(())
}

/// Whether a batch with the number `next` may come after that with `seqno`.
fn follows(seqno: Option<u64>, next: u64) -> bool {
    next < MAX_SEQNO && seqno.is_none_or(|seqno| next > seqno && next - seqno <= MAX_SEQNO_GAP)
}

/// What a journal holds behind its whole batches, up to the last byte that is not zero.
struct Rest {
    /// Where it begins.
    start: u64,
    bytes: Vec<u8>,
    /// Where the file ends.
    file_bytes: u64,
}

/// Reads the whole batches of a journal, whose numbers rise from `seqno`, which is set to the last. What is behind them, if it
/// is anything but zeros.
fn read(journal: &Path, seqno: &mut Option<u64>) -> Result<Option<Rest>> {
    let file = File::open(journal)?;
    let file_bytes = file.metadata()?.len();
    let mut batches = Batches::new(BufReader::with_capacity(READ_BYTES, &file));
    let mut start = 0;
    while let Found::Whole { seqno: next } = batches.next()? {
        if !follows(*seqno, next) {
            break;
        }
        *seqno = Some(next);
        start = batches.position;
    }
    let end = last_written(&file, start)?;
    if end == start {
        return Ok(None);
    }
    let mut rest = &file;
    rest.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    rest.take(end - start).read_to_end(&mut bytes)?;
    Ok(Some(Rest {
        start,
        bytes,
        file_bytes,
    }))
}

static ZEROS: [u8; READ_BYTES] = [0; READ_BYTES];

/// Where the last byte that is not zero ends, from `start` on; `start` if there is none. Holes, which most of a journal is, are not
/// read: the system would make pages of zeros of them first.
fn last_written(mut file: &File, start: u64) -> std::io::Result<u64> {
    let (mut position, mut written) = (start, start);
    while let Some((from, to)) = next_data(file, position)? {
        file.seek(SeekFrom::Start(from))?;
        position = from;
        let mut data = BufReader::with_capacity(READ_BYTES, file.take(to - from));
        loop {
            let there = data.fill_buf()?;
            if there.is_empty() {
                break;
            }
            // Nearly all of it is: compared as a whole, which takes no time even without optimisation.
            let zeros = ZEROS.get(..there.len());
            if zeros != Some(there)
                && let Some(last) = there.iter().rposition(|byte| *byte != 0)
            {
                written = position + last as u64 + 1;
            }
            let bytes = there.len();
            position += bytes as u64;
            data.consume(bytes);
        }
        if position < to {
            // It has become shorter.
            break;
        }
    }
    Ok(written)
}

/// The bytes from `position` on, or behind it, that are no hole; `None` if only a hole follows, or nothing.
#[cfg(target_os = "linux")]
fn next_data(file: &File, position: u64) -> std::io::Result<Option<(u64, u64)>> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    match seek(file, SeekFrom::Data(position)) {
        Ok(from) => Ok(Some((from, seek(file, SeekFrom::Hole(from))?))),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The bytes from `position` on: where holes are is not known.
#[cfg(not(target_os = "linux"))]
fn next_data(file: &File, position: u64) -> std::io::Result<Option<(u64, u64)>> {
    let end = file.metadata()?.len();
    Ok((position < end).then_some((position, end)))
}

impl Rest {
    fn place(&self) -> String {
        format!("what is at byte {} is no whole write", self.start)
    }

    /// Whether a batch that may come after `seqno` is anywhere in here. The first one counts with any number: it is whole, so its
    /// number is damaged.
    fn has_whole_batch(&self, seqno: Option<u64>) -> bool {
        let found = self.bytes.iter().enumerate().try_for_each(|(at, tag)| {
            let here = self.bytes.get(at..).unwrap_or_default();
            if *tag != START {
                return ControlFlow::Continue(());
            }
            match Batches::new(here).next() {
                Ok(Found::Whole { seqno: next }) if at == 0 || follows(seqno, next) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        });
        found.is_break()
    }

    /// Whether this may be a single batch of which not everything was written.
    fn may_be_unfinished(&self) -> bool {
        self.lacks_a_sector() || self.lacks_its_end()
    }

    /// Whether a sector was not written, or not up to its end, though a later one was.
    fn lacks_a_sector(&self) -> bool {
        let mut sector = self.start;
        let mut left = self.bytes.as_slice();
        loop {
            let end = (sector + 1).next_multiple_of(SECTOR_BYTES);
            let Some((here, behind)) = usize::try_from(end - sector)
                .ok()
                .and_then(|bytes| left.split_at_checked(bytes))
                .filter(|(_, behind)| !behind.is_empty())
            else {
                return false;
            };
            if here.iter().rev().take(MISSING_BYTES).all(|byte| *byte == 0) {
                return true;
            }
            (sector, left) = (end, behind);
        }
    }

    /// Whether the batch goes on where nothing was written. Its end, which is written at once, is cut between sectors only.
    fn lacks_its_end(&self) -> bool {
        if self.bytes.ends_with(&MAGIC) {
            return false;
        }
        match Batches::new(self.bytes.as_slice()).next() {
            Ok(Found::Cut { end: None }) => true,
            Ok(Found::Cut { end: Some(end) }) => {
                let written = self.start + self.bytes.len() as u64;
                let boundary = written.next_multiple_of(SECTOR_BYTES).min(self.file_bytes);
                boundary < self.start + end
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::engine::lsm::{LsmEngine, LsmOptions};
    use crate::engine::{Durability, Engine, WriteBatch};

    const BATCHES: usize = 7;

    /// A directory with a journal that fjall has written, followed by `zeros`.
    struct Dir {
        dir: tempfile::TempDir,
        journal: PathBuf,
        /// What was written.
        bytes: Vec<u8>,
        zeros: usize,
    }

    impl Dir {
        fn new(zeros: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let engine = LsmEngine::open(dir.path(), LsmOptions::raft()).unwrap();
            for number in 0..BATCHES {
                let mut batch = WriteBatch::new();
                batch.put(format!("entry {number}"), "v".repeat(number.pow(4) / 2));
                batch.put("state", format!("the last is {number}"));
                if let Some(old) = number.checked_sub(3) {
                    batch.delete(format!("entry {old}"));
                }
                engine.write(batch, Durability::Synced).unwrap();
            }
            drop(engine);
            let journal = dir.path().join("0.jnl");
            let mut bytes = fs::read(&journal).unwrap();
            bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
            Self {
                dir,
                journal,
                bytes,
                zeros,
            }
        }

        /// Whole batches after a check of `bytes`; `None` when it refuses.
        fn check(&self, bytes: &[u8], unsynced_tail: bool) -> Option<usize> {
            let mut file = bytes.to_vec();
            file.resize(file.len().max(self.bytes.len() + self.zeros), 0);
            fs::write(&self.journal, file).unwrap();
            match check_journals(self.dir.path(), unsynced_tail) {
                Ok(()) => Some(count(&self.journal)),
                Err(Error::Corrupt {
                    what: "journal", ..
                }) => None,
                Err(other) => panic!("{other}"),
            }
        }

        /// Where the batches begin, and where the last one ends.
        fn starts(&self) -> Vec<usize> {
            let mut batches = Batches::new(self.bytes.as_slice());
            let mut starts = vec![0];
            while matches!(batches.next().unwrap(), Found::Whole { .. }) {
                starts.push(batches.position as usize);
            }
            starts
        }
    }

    /// Whole batches; there must be nothing behind them.
    fn count(journal: &Path) -> usize {
        let bytes = fs::read(journal).unwrap();
        let mut batches = Batches::new(bytes.as_slice());
        let (mut found, mut end) = (0, 0);
        while matches!(batches.next().unwrap(), Found::Whole { .. }) {
            found += 1;
            end = batches.position as usize;
        }
        assert!(bytes[end..].iter().all(|byte| *byte == 0));
        found
    }

    #[test]
    fn no_changed_byte_takes_a_batch_away() {
        let dir = Dir::new(512);
        assert_eq!(dir.check(&dir.bytes, false), Some(BATCHES));
        let numbers: Vec<_> = dir
            .starts()
            .iter()
            .map(|start| start + 5..start + 13)
            .collect();
        for at in 0..dir.bytes.len() {
            let is_number = numbers.iter().any(|number| number.contains(&at));
            for change in [1 << (at % 8), 255, dir.bytes[at]] {
                let mut bytes = dir.bytes.clone();
                bytes[at] ^= change;
                if bytes[at] == dir.bytes[at] {
                    continue;
                }
                match dir.check(&bytes, false) {
                    None => {}
                    // A number may be another one, as long as the order is the same.
                    Some(found) => assert!(
                        found == BATCHES && is_number,
                        "{found} after {at} ^ {change}"
                    ),
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_behind_the_last_batch_takes_nothing_away() {
        let dir = Dir::new(2048);
        for at in dir.bytes.len()..dir.bytes.len() + 2048 {
            let mut bytes = dir.bytes.clone();
            bytes.resize(at, 0);
            bytes.push(1);
            assert!(
                matches!(dir.check(&bytes, false), None | Some(BATCHES)),
                "{at}"
            );
        }
    }

    #[test]
    fn a_last_write_that_did_not_finish_is_cut_off() {
        let dir = Dir::new(512);
        let starts = dir.starts();
        let [.., start, end] = starts[..] else {
            panic!("no batches")
        };
        // Everything from some place on: between the parts of a batch, as they are written, and between sectors.
        for cut in (start..end - 13).chain([end - 13]) {
            assert_eq!(
                dir.check(&dir.bytes[..cut], false),
                Some(BATCHES - 1),
                "{cut}"
            );
        }
        // Any of its sectors.
        let sectors = start / 512..end.div_ceil(512);
        for missing in sectors.clone() {
            let mut bytes = dir.bytes.clone();
            bytes[(missing * 512).max(start)..((missing + 1) * 512).min(end)].fill(0);
            assert_eq!(dir.check(&bytes, false), Some(BATCHES - 1), "{missing}");
        }
        assert!(sectors.len() > 1);
    }

    #[test]
    fn where_writes_are_not_synced_everything_from_the_first_bad_one_on_is_cut_off() {
        let dir = Dir::new(512);
        let starts = dir.starts();
        for batch in 0..BATCHES {
            let mut bytes = dir.bytes.clone();
            bytes[starts[batch] + 14] ^= 1;
            assert_eq!(dir.check(&bytes, true), Some(batch));
        }
    }

    #[test]
    fn only_the_newest_journal_may_end_with_an_unfinished_write() {
        let dir = Dir::new(512);
        fs::write(dir.dir.path().join("1.jnl"), [0; 512]).unwrap();
        assert_eq!(dir.check(&dir.bytes, false), Some(BATCHES));
        for unsynced_tail in [false, true] {
            let unfinished = &dir.bytes[..dir.bytes.len() - 20];
            assert_eq!(dir.check(unfinished, unsynced_tail), None);
        }
    }

    #[test]
    fn a_database_without_a_journal_is_refused() {
        let dir = Dir::new(0);
        fs::remove_file(&dir.journal).unwrap();
        assert!(check_journals(dir.dir.path(), false).is_err());
    }
}
