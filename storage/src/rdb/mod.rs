//! Redis's payload format of DUMP and RESTORE: one value as in an RDB file, a version, a checksum.
//!
//! A payload is a type byte, the value, the RDB version (2 bytes, little endian) and a CRC64 (8 bytes, little endian) of all
//! before it. Payloads written here are read by redis-server from 7.0 on, and equal to its own byte for byte where the
//! representation is the same. Whole files are in [`mod@file`].

pub mod file;
mod lzf;
mod object;
mod old;
mod stream;
mod string;
mod value;

use std::fmt;

use crc::{CRC_64_REDIS, Crc, Table};

use crate::dataset::Object;
use crate::types::stream::StreamRef;

pub use value::{ExpiringField, Value};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// What strings are written in: that of Redis 7.0, so that every server from 7.0 on reads it.
const VERSION: u16 = 10;
/// The newest version read, that of Redis 7.4 and 8.0.
const VERSION_MAX: u16 = 12;

const FOOTER_BYTES: usize = 10;
const CHECKSUM_BYTES: usize = 8;

/// Why a payload is refused. The texts are Redis's replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The version is newer than any known, the checksum does not match, or it is no payload at all.
    VersionOrChecksum,
    /// Version and checksum are right, but the value does not decode.
    Format,
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VersionOrChecksum => "ERR DUMP payload version or checksum are wrong",
            Self::Format => "ERR Bad data format",
        })
    }
}

impl std::error::Error for PayloadError {}

/// The payload of DUMP.
pub fn dump(object: &Object<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let version = object::write(&mut out, object);
    finish(&mut out, version);
    out
}

/// The payload of a string.
pub fn dump_string(value: &[u8]) -> Vec<u8> {
    let mut out = vec![object::STRING];
    string::write(&mut out, value);
    finish(&mut out, VERSION);
    out
}

/// The payload of a stream with the groups of `stream`, their consumers and what is pending, and without an entry ever added.
pub fn dump_stream_without_entries(stream: StreamRef<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    stream::write_without_entries(&mut out, stream);
    finish(&mut out, VERSION_MAX);
    out
}

/// The checksum of everything before it.
pub fn checksum(bytes: &[u8]) -> u64 {
    CRC64.checksum(bytes)
}

/// Appends version and checksum.
fn finish(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&CRC64.checksum(out).to_le_bytes());
}

/// The value in a payload of RESTORE.
pub fn restore(payload: &[u8]) -> Result<Value, PayloadError> {
    let mut input = check(payload).ok_or(PayloadError::VersionOrChecksum)?;
    let &kind = input.split_off_first().ok_or(PayloadError::Format)?;
    object::read(kind, &mut input).ok_or(PayloadError::Format)
}

/// Type and value of a payload whose version is known and whose checksum matches.
fn check(payload: &[u8]) -> Option<&[u8]> {
    let (value, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER_BYTES)?)?;
    let (version, checksum) = footer.split_first_chunk::<2>()?;
    let covered = payload.get(..payload.len() - CHECKSUM_BYTES)?;
    let matches = checksum == CRC64.checksum(covered).to_le_bytes();
    (u16::from_le_bytes(*version) <= VERSION_MAX && matches).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values and what DUMP of redis-server 7.0.15 gave for them, in hexadecimal.
    const VECTORS: &str = include_str!("vectors.txt");

    /// Names and what DUMP of redis-server 7.0.15 gave for collections of every encoding, in hexadecimal.
    const COLLECTIONS: &str = include_str!("collections.txt");

    /// Type and value of each.
    fn collections() -> Vec<(&'static str, Vec<u8>)> {
        let lines = COLLECTIONS.lines().filter(|line| !line.starts_with('#'));
        let named = lines.map(|line| line.split_once(' ').unwrap());
        named
            .map(|(name, payload)| (name, check(&unhex(payload)).unwrap().to_vec()))
            .collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits = text
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        digits
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    #[test]
    fn payloads_are_those_of_redis() {
        let mut vectors = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let (value, payload) = line.split_once(' ').unwrap();
            let (value, payload) = (unhex(value), unhex(payload));
            assert_eq!(dump_string(&value), payload, "{line}");
            assert_eq!(restore(&payload), Ok(Value::String(value)), "{line}");
            vectors += 1;
        }
        assert!(vectors > 50);
    }

    #[test]
    fn collections_of_redis_are_read() {
        let words = |words: &str| -> Vec<Vec<u8>> {
            let words = words.split(' ');
            words.map(|word| word.as_bytes().to_vec()).collect()
        };
        let fields = |pairs: Vec<Vec<u8>>| {
            let pairs = pairs
                .chunks(2)
                .map(|pair| (pair[0].clone(), pair[1].clone(), None));
            Value::Hash(pairs.collect())
        };
        let (m, v) = ("m".repeat(70), "v".repeat(70));
        let mut list = words("a b c 1 -1 300 70000 9223372036854775807 1.5");
        list.push(vec![b'x'; 70]);
        let mut quicklist: Vec<Vec<u8>> = (0..8).map(|n| format!("element {n}").into()).collect();
        quicklist.extend(words("7 8 9"));
        let expected = |name| match name {
            "list" => Value::List(list.clone()),
            "intset16" => Value::Set(words("-5 1 2 3")),
            "intset32" => Value::Set(words("-5 3 100000")),
            "intset64" => Value::Set(words("3 100000 9223372036854775807")),
            "hash" => fields(vec![
                b"f".into(),
                b"v".into(),
                b"1".into(),
                b"2".into(),
                b"empty".into(),
                b"".into(),
                b"n".into(),
                b"-0".into(),
            ]),
            "quicklist" => Value::List(quicklist.clone()),
            "plainlist" => Value::List(vec![b"x".into(), vec![b'y'; 9000], b"z".into()]),
            "set" => Value::Set(vec![
                b"1".into(),
                b"a".into(),
                b"b".into(),
                b"longer member".into(),
            ]),
            "hashtable" => Value::Set(words(&format!("5 {m} n"))),
            "hashtable2" => fields(words(&format!("f {v} g 5"))),
            "zset" => Value::ZSet(
                [
                    ("least", f64::NEG_INFINITY),
                    ("eighth", 0.125),
                    ("one", 1.0),
                    ("two", 2.5),
                    ("3", 3.0),
                    ("far", 1e100),
                    ("most", f64::INFINITY),
                ]
                .map(|(member, score)| (member.into(), score))
                .to_vec(),
            ),
            _ => Value::ZSet(
                [
                    ("p", f64::INFINITY),
                    ("r", 2.0),
                    (m.as_str(), 1.5),
                    ("n", -3.0),
                    ("q", f64::NEG_INFINITY),
                ]
                .map(|(member, score)| (member.into(), score))
                .to_vec(),
            ),
        };
        let mut names = Vec::new();
        for (name, body) in collections() {
            let mut value = object::read(body[0], &mut &body[1..]).unwrap();
            match &mut value {
                Value::Set(members) if name.contains("set") && !name.starts_with("int") => {
                    members.sort()
                }
                Value::Set(members) if name == "hashtable" => members.sort(),
                Value::Hash(fields) if name == "hashtable2" => fields.sort(),
                _ => {}
            }
            assert_eq!(value, expected(name), "{name}");
            names.push(name);
        }
        assert_eq!(names.len(), 12);
    }

    #[test]
    fn damage_is_told_from_bad_format() {
        let good = dump_string(b"value");
        for cut in 0..good.len() {
            assert_eq!(restore(&good[..cut]), Err(PayloadError::VersionOrChecksum));
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(restore(&bad), Err(PayloadError::VersionOrChecksum));
        }
        let with_footer = |body: &[u8], version: u16| {
            let mut payload = [body, &version.to_le_bytes()].concat();
            payload.extend_from_slice(&CRC64.checksum(&payload).to_le_bytes());
            payload
        };
        assert_eq!(
            restore(&with_footer(b"\x00\x05value", 12)),
            Ok(Value::String(b"value".to_vec()))
        );
        assert_eq!(
            restore(&with_footer(b"\x00\x05value", 6)),
            Ok(Value::String(b"value".to_vec()))
        );
        assert_eq!(
            restore(&with_footer(b"\x00\x05value", 13)),
            Err(PayloadError::VersionOrChecksum)
        );
        let bad_bodies: [&[u8]; 9] = [
            b"",
            b"\x00",
            b"\x00\x05valu",
            b"\x0d\x01x",
            b"\x00\xc4",
            b"\x00\xc2\x01\x02\x03",
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffx",
            b"\x00\xc3\x02\x80\xff\xff\xff\xff\x00x",
            b"\x00\xc3\x03\x0a\x20\x05x",
        ];
        for body in bad_bodies {
            assert_eq!(
                restore(&with_footer(body, 10)),
                Err(PayloadError::Format),
                "{body:02x?}"
            );
        }
        assert_eq!(PayloadError::Format.to_string(), "ERR Bad data format");
    }

    proptest! {
        #[test]
        fn every_string_comes_back(value in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 0..600)) {
            prop_assert_eq!(restore(&dump_string(&value)), Ok(Value::String(value)));
        }

        /// Bytes of every encoding that were changed, cut or lengthened are read or refused, and nothing else. What is read is
        /// no larger than the bytes can stand for.
        #[test]
        fn hostile_collections_cost_nothing_but_an_error(
            which in any::<prop::sample::Index>(),
            kind in prop_oneof![4 => Just(None), 1 => (0..=25u8).prop_map(Some)],
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
            cut in any::<prop::sample::Index>(),
            more in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let collections = collections();
            let mut body = which.get(&collections).1.clone();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if cut.index(3) == 0 {
                body.truncate(1 + cut.index(body.len()));
            }
            body.extend(more);
            body[0] = kind.unwrap_or(body[0]);
            let elements = match object::read(body[0], &mut &body[1..]) {
                None => 0,
                Some(Value::String(value)) => value.len(),
                Some(Value::List(elements) | Value::Set(elements)) => elements.len(),
                Some(Value::ZSet(members)) => members.len(),
                Some(Value::Hash(fields)) => fields.len(),
                Some(Value::Stream(log)) => log.view().len(),
            };
            prop_assert!(elements <= body.len() * 264);
        }

        #[test]
        fn hostile_values_cost_nothing_but_an_error(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut payload = [b"\x00\xc3", &body[..], &10u16.to_le_bytes()].concat();
            payload.extend_from_slice(&CRC64.checksum(&payload).to_le_bytes());
            if let Ok(Value::String(value)) = restore(&payload) {
                prop_assert!(value.len() <= body.len() * 264);
            }
        }
    }
}
