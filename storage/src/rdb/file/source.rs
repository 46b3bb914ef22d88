//! Bytes of a file, counted and summed up as they are read.

use std::io::Read;

use crc::{Digest, Table};

use super::FileError;
use crate::rdb::{CRC64, string};

/// A file that is being read.
pub(super) struct Source<R> {
    input: R,
    digest: Digest<'static, u64, Table<16>>,
    read: u64,
    scratch: Vec<u8>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            digest: CRC64.digest(),
            read: 0,
            scratch: Vec::new(),
        }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    /// The checksum of everything read so far.
    pub(super) fn checksum(&self) -> u64 {
        self.digest.clone().finalize()
    }

    pub(super) fn format(&self, what: impl Into<String>) -> FileError {
        FileError::Format {
            what: what.into(),
            at: self.read,
        }
    }

    /// Appends `len` bytes to `out`. A length that the file cannot hold allocates no more than the file's rest.
    pub(super) fn bytes(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), FileError> {
        let start = out.len();
        let got = (&mut self.input).take(len).read_to_end(out)?;
        self.read += got as u64;
        self.digest.update(out.get(start..).unwrap_or_default());
        if (got as u64) < len {
            return Err(FileError::Truncated { at: self.read });
        }
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FileError> {
        let mut array = [0; N];
        let mut filled = 0;
        while let Some(rest) = array.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest)? {
                0 => return Err(FileError::Truncated { at: self.read }),
                got => {
                    filled += got;
                    self.read += got as u64;
                }
            }
        }
        self.digest.update(&array);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FileError> {
        self.array().map(|[byte]| byte)
    }

    /// Appends a length as it stands to `out`; answers what it says.
    pub(super) fn length(&mut self, out: &mut Vec<u8>) -> Result<u64, FileError> {
        let start = out.len();
        self.bytes(1, out)?;
        let first = out.get(start).copied().unwrap_or_default();
        let Some(more) = string::length_bytes(first) else {
            return Err(self.format("a length was expected"));
        };
        self.bytes(more, out)?;
        let mut encoded = out.get(start..).unwrap_or_default();
        string::read_length(&mut encoded)
            .map(|length| length as u64)
            .ok_or_else(|| self.format("a length was expected"))
    }

    /// A length that is wanted only as a number.
    pub(super) fn number(&mut self) -> Result<u64, FileError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let number = self.length(&mut scratch);
        self.scratch = scratch;
        number
    }

    /// Appends a string as it stands to `out`: its length or special encoding, and its bytes.
    pub(super) fn string(&mut self, out: &mut Vec<u8>) -> Result<(), FileError> {
        let first = self.byte()?;
        out.push(first);
        if let Some(bytes) = string::number_bytes(first) {
            return self.bytes(bytes, out);
        }
        if first == string::COMPRESSED {
            let compressed = self.length(out)?;
            self.length(out)?;
            return self.bytes(compressed, out);
        }
        let start = out.len() - 1;
        let Some(more) = string::length_bytes(first) else {
            return Err(self.format("a string was expected"));
        };
        self.bytes(more, out)?;
        let mut encoded = out.get(start..).unwrap_or_default();
        let length = string::read_length(&mut encoded);
        let length = length.ok_or_else(|| self.format("a string was expected"))?;
        self.bytes(length as u64, out)
    }

    /// A string that is wanted decoded.
    pub(super) fn text(&mut self) -> Result<Vec<u8>, FileError> {
        let mut encoded = Vec::new();
        self.string(&mut encoded)?;
        string::read(&mut encoded.as_slice())
            .ok_or_else(|| self.format("a compressed string does not decompress"))
    }
}
