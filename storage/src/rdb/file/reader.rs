//! Reads a file, key by key.

use std::io::Read;

use super::source::Source;
use super::{FileError, layout};
use crate::rdb::{CRC64, PayloadError, VERSION_MAX, Value, object};

/// The oldest version read, that of Redis 2.6.
const VERSION_MIN: u16 = 6;

/// What a file is made of.
#[derive(Debug)]
pub enum FilePart {
    /// A fact about the file: name and value.
    Aux(Vec<u8>, Vec<u8>),
    /// How many keys follow, and how many of them expire. Advice.
    Sizes(u64, u64),
    /// A key.
    Key(FileKey),
    /// Something that has no place here and was passed over; what it is.
    Skipped(&'static str),
}

/// A key out of a file, its value not decoded yet.
#[derive(Debug, PartialEq, Eq)]
pub struct FileKey {
    /// Number of the database.
    pub db: u64,
    /// The key.
    pub key: Vec<u8>,
    /// When it expires, in milliseconds of Unix time; none: never.
    pub expire_at_ms: Option<u64>,
    /// Seconds since it was last used, if the file tells.
    pub idle_seconds: Option<u64>,
    /// How often it was used, as Redis's LFU counts, if the file tells.
    pub frequency: Option<u8>,
    version: u16,
    /// Type and value.
    encoded: Vec<u8>,
}

impl FileKey {
    /// Bytes of the value as it stands in the file.
    pub fn encoded_bytes(&self) -> usize {
        self.encoded.len()
    }

    /// The value as RESTORE takes it.
    pub fn payload(&self) -> Vec<u8> {
        let mut payload = self.encoded.clone();
        payload.extend_from_slice(&self.version.to_le_bytes());
        payload.extend_from_slice(&CRC64.checksum(&payload).to_le_bytes());
        payload
    }

    /// The value.
    pub fn value(&self) -> Result<Value, PayloadError> {
        let (&kind, mut input) = self.encoded.split_first().ok_or(PayloadError::Format)?;
        object::read(kind, &mut input).ok_or(PayloadError::Format)
    }
}

/// Reads a file of version 6 to 12, key by key.
pub struct FileReader<R> {
    source: Source<R>,
    version: u16,
    db: u64,
    at_end: bool,
}

/// What was said of the next key.
#[derive(Default)]
struct Said {
    expire_at_ms: Option<u64>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl<R: Read> FileReader<R> {
    /// Reads the beginning.
    pub fn new(input: R) -> Result<Self, FileError> {
        let mut source = Source::new(input);
        let header: [u8; 9] = source.array()?;
        let (magic, digits) = header.split_at(super::MAGIC.len());
        if magic != super::MAGIC {
            return Err(source.format("this is no RDB file"));
        }
        let version = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<u16>().ok());
        let version = version.filter(|version| (VERSION_MIN..=VERSION_MAX).contains(version));
        let version = version.ok_or_else(|| {
            let digits = digits.escape_ascii();
            source.format(format!(
                "the file has RDB version {digits}; {VERSION_MIN} to {VERSION_MAX} can be read"
            ))
        })?;
        Ok(Self {
            source,
            version,
            db: 0,
            at_end: false,
        })
    }

    /// The version of the file.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.source.position()
    }

    /// The next part; none at the end, when the checksum was right. After an error nothing that follows makes sense.
    pub fn next_part(&mut self) -> Result<Option<FilePart>, FileError> {
        let mut said = Said::default();
        while !self.at_end {
            let part = match self.source.byte()? {
                super::EXPIRY_MS => {
                    said.expire_at_ms = Some(u64::from_le_bytes(self.source.array()?));
                    continue;
                }
                super::EXPIRY_SECONDS => {
                    let seconds = u32::from_le_bytes(self.source.array()?);
                    said.expire_at_ms = Some(u64::from(seconds) * 1000);
                    continue;
                }
                super::IDLE => {
                    said.idle_seconds = Some(self.source.number()?);
                    continue;
                }
                super::FREQUENCY => {
                    said.frequency = Some(self.source.byte()?);
                    continue;
                }
                super::SELECT_DB => {
                    self.db = self.source.number()?;
                    continue;
                }
                super::SLOT_INFO => {
                    for _ in 0..3 {
                        self.source.number()?;
                    }
                    continue;
                }
                super::END => {
                    self.end()?;
                    break;
                }
                super::AUX => FilePart::Aux(self.source.text()?, self.source.text()?),
                super::SIZES => FilePart::Sizes(self.source.number()?, self.source.number()?),
                super::FUNCTION => {
                    self.source.text()?;
                    FilePart::Skipped("a library of functions")
                }
                super::MODULE_AUX => {
                    self.skip_module_data()?;
                    FilePart::Skipped("data of a module")
                }
                kind => FilePart::Key(self.key(kind, said)?),
            };
            return Ok(Some(part));
        }
        Ok(None)
    }

    fn key(&mut self, kind: u8, said: Said) -> Result<FileKey, FileError> {
        let known = object::is_known(kind);
        let unsupported = layout::unsupported(kind);
        if !known && unsupported.is_none() {
            return Err(self.source.format(format!("an unknown type, {kind}")));
        }
        let key = self.source.text()?;
        let mut encoded = vec![kind];
        if let Some(what) = unsupported {
            return Err(FileError::Unsupported { key, what });
        }
        layout::copy(kind, &mut self.source, &mut encoded)?;
        Ok(FileKey {
            db: self.db,
            key,
            expire_at_ms: said.expire_at_ms,
            idle_seconds: said.idle_seconds,
            frequency: said.frequency,
            version: self.version,
            encoded,
        })
    }

    /// A module's number, a moment, and tagged values up to tag 0.
    fn skip_module_data(&mut self) -> Result<(), FileError> {
        self.source.number()?;
        let mut skipped = Vec::new();
        loop {
            match self.source.number()? {
                0 => return Ok(()),
                1 | 2 => self.source.number().map(drop)?,
                3 => self.source.array::<4>().map(drop)?,
                4 => self.source.array::<8>().map(drop)?,
                5 => self.source.string(&mut skipped)?,
                tag => {
                    let what = format!("a module's data has an unknown tag, {tag}");
                    return Err(self.source.format(what));
                }
            }
            skipped.clear();
        }
    }

    fn end(&mut self) -> Result<(), FileError> {
        let expected = self.source.checksum();
        let found = u64::from_le_bytes(self.source.array()?);
        if found != 0 && found != expected {
            return Err(self.source.format("the checksum is wrong"));
        }
        self.at_end = true;
        Ok(())
    }
}
