//! Writes a file, key by key.

use std::io::{self, Seek, SeekFrom, Write};

use crc::{Digest, Table};

use crate::dataset::Object;
use crate::rdb::{CRC64, object, string};

/// Writes a file. The version that a reader must know is only known at the end, when the head is written anew: so there are two
/// checksums, as if it had had either version from the start.
pub struct FileWriter<W> {
    out: W,
    digests: [(u16, Digest<'static, u64, Table<16>>); 2],
    version: u16,
    buffer: Vec<u8>,
}

fn head(version: u16) -> Vec<u8> {
    [super::MAGIC, format!("{version:04}").as_bytes()].concat()
}

impl<W: Write + Seek> FileWriter<W> {
    /// Begins a file at the start of `out`, which should be buffered.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&head(object::COMMON))?;
        let digests = [object::COMMON, object::WITH_EXPIRING_FIELDS].map(|version| {
            let mut digest = CRC64.digest();
            digest.update(&head(version));
            (version, digest)
        });
        Ok(Self {
            out,
            digests,
            version: object::COMMON,
            buffer: Vec::new(),
        })
    }

    /// A fact about the file.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.buffer.push(super::AUX);
        string::write(&mut self.buffer, name);
        string::write(&mut self.buffer, value);
        self.put()
    }

    /// The database of the keys that follow, how many there are, and how many of them expire.
    pub fn database(&mut self, db: u8, keys: u64, expiring: u64) -> io::Result<()> {
        self.buffer.push(super::SELECT_DB);
        string::write_length(&mut self.buffer, usize::from(db));
        self.buffer.push(super::SIZES);
        string::write_length(&mut self.buffer, keys as usize);
        string::write_length(&mut self.buffer, expiring as usize);
        self.put()
    }

    /// A key.
    pub fn key(&mut self, key: &[u8], object: &Object<'_>) -> io::Result<()> {
        if let Some(at_ms) = object.expire_at_ms() {
            self.buffer.push(super::EXPIRY_MS);
            self.buffer.extend_from_slice(&at_ms.to_le_bytes());
        }
        let kind_at = self.buffer.len();
        let version = object::write(&mut self.buffer, object);
        self.version = self.version.max(version);
        // The key stands between the type, which depends on the value, and the value.
        let mut encoded_key = Vec::new();
        string::write(&mut encoded_key, key);
        let value = self.buffer.split_off(kind_at + 1);
        self.put()?;
        self.put_bytes(&encoded_key)?;
        self.put_bytes(&value)
    }

    /// Ends the file, and gives back what it was written to, flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.buffer.push(super::END);
        self.put()?;
        let mut checksum = 0;
        for (version, digest) in self.digests {
            if version == self.version {
                checksum = digest.finalize();
            }
        }
        self.out.write_all(&checksum.to_le_bytes())?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&head(self.version))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.put_bytes(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        for (_, digest) in &mut self.digests {
            digest.update(bytes);
        }
        self.out.write_all(bytes)
    }
}
