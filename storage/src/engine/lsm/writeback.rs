//! Tables go to the disk while they are written.
//!
//! lsm-tree syncs a table when an ingestion or a compaction has completed it. All of its megabytes are to be written then,
//! and a sync of the log, which the acknowledgement of every write waits for, waits behind them: 22 ms instead of 0.5 behind
//! a checkpoint's 16 MB. So after every piece the system is told to begin writing what is there. Only speed depends on it:
//! the sync at the end comes as ever.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The system is told after so many bytes of pairs: a few milliseconds' work of a disk.
const PIECE_BYTES: usize = 1 << 20;

/// The tables of one ingestion or compaction.
pub(super) struct Writeback {
    /// Where tables are, a file each, named by their numbers.
    tables: PathBuf,
    /// Tables from this number on are new, and not known to be whole.
    first: u64,
    /// How far the system was told to write each of them.
    begun: BTreeMap<u64, u64>,
    /// Bytes of pairs since it was told.
    untold_bytes: usize,
}

impl Writeback {
    /// For the tables that are made in this directory from now on.
    pub(super) fn new(tables: PathBuf) -> Self {
        let first = match numbers(&tables) {
            Ok(numbers) => numbers.max().map_or(0, |last| last + 1),
            // None is new then.
            Err(_) => u64::MAX,
        };
        Self {
            tables,
            first,
            begun: BTreeMap::new(),
            untold_bytes: 0,
        }
    }

    /// So many bytes of pairs were written to the newest table.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.untold_bytes += bytes;
        if self.untold_bytes < PIECE_BYTES {
            return;
        }
        self.untold_bytes = 0;
        if let Err(error) = self.begin() {
            tracing::debug!(
                "{}: tables are written late: {error}",
                self.tables.display()
            );
        }
    }

    /// Of a table that another thread has just replaced nothing is left to be written.
    fn begin(&mut self) -> io::Result<()> {
        let new: Vec<u64> = numbers(&self.tables)?
            .filter(|number| *number >= self.first)
            .collect();
        let mut growing = None;
        for number in new {
            let Ok(table) = File::open(self.tables.join(number.to_string())) else {
                continue;
            };
            let begun = self.begun.entry(number).or_default();
            let end = table.metadata()?.len();
            if *begun < end {
                begin_writing(&table, *begun, end)?;
                *begun = end;
                growing = Some(growing.map_or(number, |least: u64| least.min(number)));
            }
        }
        // The table that is being written has grown since: those before are not looked at again, however many there will be.
        if let Some(first) = growing {
            self.first = first;
            self.begun = self.begun.split_off(&first);
        }
        Ok(())
    }
}

fn numbers(tables: &Path) -> io::Result<impl Iterator<Item = u64> + use<>> {
    let entries = std::fs::read_dir(tables)?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Begins to write these bytes of the file to the disk, without waiting for it: that is what the system does when it is told that
/// bytes in its memory that are not on the disk yet are not needed there.
#[cfg(target_os = "linux")]
fn begin_writing(file: &File, start: u64, end: u64) -> io::Result<()> {
    let bytes = std::num::NonZeroU64::new(end - start);
    Ok(rustix::fs::fadvise(
        file,
        start,
        bytes,
        rustix::fs::Advice::DontNeed,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn begin_writing(_file: &File, _start: u64, _end: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tables_are_told_of_as_they_grow() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| {
            std::fs::write(dir.path().join(name), vec![7; bytes]).unwrap();
        };
        write("8", 100);
        let mut writeback = Writeback::new(dir.path().to_owned());
        write("9", 200);
        write("9.tmp", 1);
        writeback.wrote(PIECE_BYTES - 1);
        assert!(writeback.begun.is_empty(), "too little");
        writeback.wrote(1);
        assert_eq!(writeback.begun, BTreeMap::from([(9, 200)]));
        write("9", 300);
        write("10", 50);
        writeback.wrote(PIECE_BYTES);
        assert_eq!(writeback.begun, BTreeMap::from([(9, 300), (10, 50)]));
        write("10", 60);
        writeback.wrote(PIECE_BYTES);
        assert_eq!(writeback.begun, BTreeMap::from([(10, 60)]), "9 is whole");
        assert_eq!(std::fs::read(dir.path().join("9")).unwrap(), [7; 300]);
    }
}
