//! Large files that are written from beginning to end, and reach the disk as they are written.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// What is written is made durable in pieces of so many bytes, a few milliseconds' work of a disk. All at once at the end would keep
/// it from everybody else for a second or more: from the log, too.
const PIECE_BYTES: usize = 1 << 20;

/// A new file. Whoever has written all of it calls [`PacedFile::finish`].
pub struct PacedFile {
    file: File,
    unsynced_bytes: usize,
}

impl PacedFile {
    /// An empty `file`, to be written.
    pub fn new(file: File) -> Self {
        Self {
            file,
            unsynced_bytes: 0,
        }
    }

    /// Makes all of it durable; its name is not.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Write for PacedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced_bytes += written;
        if self.unsynced_bytes >= PIECE_BYTES {
            self.file.sync_data()?;
            self.unsynced_bytes = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for PacedFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..PIECE_BYTES * 2 + 7).map(|at| at as u8).collect();
        let mut file = PacedFile::new(File::create(&path).unwrap());
        for piece in bytes.chunks(1_000_000) {
            file.write_all(piece).unwrap();
            assert!(file.unsynced_bytes < PIECE_BYTES);
        }
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
