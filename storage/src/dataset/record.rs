//! Records on disk: the keys and values of one database in the kv engine.
//!
//! | key | value |
//! |---|---|
//! | `01` slot:u16 db:u8 `00` hash:u32 key | one key: format, kind and encoding, write index, expiry, payload |
//! | `01` slot:u16 db:u8 `01` incarnation:u64 hash:u32 rest | one element of a large collection, or a node of a few: a byte of flags, payload |
//! | `01` slot:u16 db:u8 `01` incarnation + 1:u64 expiry:u64 hash:u32 field | one field of a large hash that expires, in the order of times: a byte of flags |
//! | `01` slot:u16 db:u8 `01` incarnation + 1:u64 score:u64 member | one member of a large sorted set, in their order: a byte of flags; one more for a score of -0 |
//!
//! Integers are big endian, so that the order on disk is the order of SCAN. `db` is the physical database: SWAPDB only
//! changes which logical one it is. A key of [`LONG_KEY_BYTES`] or more is cut and completed by a keyed digest, because
//! the engine bounds keys; the value then holds it in full. The value: a format byte, a byte of kind, encoding and
//! flags, the write index as varint, the expiry as varint if flagged, the key if it is a long one, then the payload: of
//! a string or flat collection its bytes, of a large collection its incarnation as varint and what its type says.
//!
//! An incarnation is an even number made from the index of the entry in which the collection became large, so that it is unique in
//! the Region, and RENAME within a slot, DEL and overwriting need not touch elements: another incarnation hides the old one's.
//! For members and fields, `hash` is their keyed hash and `rest` the bytes: on disk, too, they lie in order of SCAN. A member of
//! [`LONG_KEY_BYTES`] or more is cut as keys are; its value then begins with its length as varint and the member.
//!
//! A record whose write index, or the index in whose incarnation, is below its database's `flushed_at` is not there.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use super::position::{Position, spread};
use crate::ids::LogIndex;
use crate::types::{Encoding, KeyHasher, Kind};
use crate::{Error, Result};

const DATA: u8 = 0x01;
const META: u8 = 0x00;
const ELEMENT: u8 = 0x01;

/// Keys from this length on are cut on disk.
pub(super) const LONG_KEY_BYTES: usize = 1024;
const DIGEST_BYTES: usize = 16;

/// What stands before the key.
pub(super) const PREFIX_BYTES: usize = 9;
/// What stands before an element's hash.
pub(super) const ELEMENTS_PREFIX_BYTES: usize = 13;
/// What stands before the rest of an element's key.
pub(super) const ELEMENT_HEAD_BYTES: usize = 17;
/// Bits of an incarnation below the log index.
const INCARNATION_BITS: u32 = 21;
/// From one collection's incarnation to the next one's: two, the second for the times at which fields expire, or the order of
/// members with scores.
const INCARNATION_STEP: u64 = 2;
/// The time at the beginning of the key of an expiry.
pub(super) const TIME_BYTES: usize = 8;
/// In an element's value: the member stands before the payload.
pub(super) const LONG_MEMBER: u8 = 0x01;

const FORMAT: u8 = 1;
const KIND_MASK: u8 = 0x0f;
const ENCODING_SHIFT: u8 = 4;
const ENCODING_MASK: u8 = 0x03;
const LONG_KEY: u8 = 0x40;
const EXPIRES: u8 = 0x80;

/// A physical database: SWAPDB changes which logical one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PhysicalDb(pub(super) u8);

/// Which life of a large collection an element belongs to: the index of the entry in which it became large, and a number
/// within the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Incarnation(pub(super) u64);

impl Incarnation {
    /// The `nth` one of an entry.
    pub(super) fn new(index: LogIndex, nth: u32) -> Self {
        let nth = u64::from(nth) * INCARNATION_STEP;
        assert!(
            nth >> INCARNATION_BITS == 0,
            "an entry that makes a million large collections does not fit the log"
        );
        Self(index.get() << INCARNATION_BITS | nth)
    }

    /// The entry in which it began.
    pub(super) fn index(self) -> LogIndex {
        LogIndex(self.0 >> INCARNATION_BITS)
    }
}

/// The engine key of a record, in two parts.
pub(super) struct RecordKey<'a> {
    head: [u8; ELEMENT_HEAD_BYTES],
    head_bytes: u8,
    pub(super) rest: Cow<'a, [u8]>,
    pub(super) position: Position,
}

impl<'a> RecordKey<'a> {
    /// Of the key at `position`.
    #[inline]
    pub(super) fn new(
        hasher: &KeyHasher,
        db: PhysicalDb,
        position: Position,
        key: &'a [u8],
    ) -> Self {
        let [a, b, c, d, e, f, g, h, i] = prefix(db, position);
        Self {
            head: [a, b, c, d, e, f, g, h, i, 0, 0, 0, 0, 0, 0, 0, 0],
            head_bytes: PREFIX_BYTES as u8,
            rest: bounded(hasher, key),
            position,
        }
    }

    /// Of an element.
    #[inline]
    pub(super) fn element(
        hasher: &KeyHasher,
        place: ElementPlace,
        hash: u32,
        rest: &'a [u8],
    ) -> Self {
        Self::with_rest(place, hash, bounded(hasher, rest))
    }

    /// Of the element with this engine key; none if it is no element's.
    pub(super) fn of_element(key: &'a [u8]) -> Option<Self> {
        let &[DATA, s0, s1, db, ELEMENT, a, b, c, d, e, f, g, h] = key.first_chunk()? else {
            return None;
        };
        let place = ElementPlace {
            slot: u16::from_be_bytes([s0, s1]),
            db: PhysicalDb(db),
            incarnation: Incarnation(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        };
        let (hash, rest) = key.get(ELEMENTS_PREFIX_BYTES..)?.split_first_chunk()?;
        Some(Self::with_rest(
            place,
            u32::from_be_bytes(*hash),
            Cow::Borrowed(rest),
        ))
    }

    /// Whether the rest of an element's key is only the beginning of a longer one.
    pub(super) fn is_cut(&self) -> bool {
        self.rest.len() >= LONG_KEY_BYTES
    }

    #[inline]
    fn with_rest(place: ElementPlace, hash: u32, rest: Cow<'a, [u8]>) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m] = place.prefix();
        let [n, o, p, q] = hash.to_be_bytes();
        // Members differ in the hash already; nodes of lists and records of streams differ in the rest.
        let mut mixed = place.incarnation.0 ^ u64::from(hash).rotate_left(32);
        for part in rest.chunks(size_of::<u64>()).take(4) {
            let word = part
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
            mixed = spread((mixed >> 32) as u32 ^ mixed as u32) ^ word;
        }
        let mixed = spread((mixed >> 32) as u32 ^ mixed as u32) >> 32;
        Self {
            head: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q],
            head_bytes: ELEMENT_HEAD_BYTES as u8,
            rest,
            position: Position {
                slot: place.slot,
                hash: mixed as u32,
            },
        }
    }

    /// What stands before the key or the rest of an element's key.
    #[inline]
    pub(super) fn head(&self) -> &[u8] {
        self.head
            .get(..usize::from(self.head_bytes))
            .unwrap_or_default()
    }

    /// Number of bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.head_bytes) + self.rest.len()
    }

    /// In one piece, as the engine wants it.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        [self.head(), &self.rest].concat()
    }
}

/// Where the elements of a large collection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ElementPlace {
    pub(super) slot: u16,
    pub(super) db: PhysicalDb,
    pub(super) incarnation: Incarnation,
}

impl ElementPlace {
    /// The start of the engine keys of all elements.
    pub(super) fn prefix(self) -> [u8; ELEMENTS_PREFIX_BYTES] {
        let [s0, s1] = self.slot.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = self.incarnation.0.to_be_bytes();
        [DATA, s0, s1, self.db.0, ELEMENT, a, b, c, d, e, f, g, h]
    }

    /// The end, not included, of the engine keys of all elements.
    pub(super) fn end(self) -> [u8; ELEMENTS_PREFIX_BYTES] {
        self.behind(1).prefix()
    }

    /// The end, not included, of the engine keys of elements, and of their expiries or ranks.
    pub(super) fn end_of_all(self) -> [u8; ELEMENTS_PREFIX_BYTES] {
        self.behind(INCARNATION_STEP).prefix()
    }

    /// Where the elements' expiries are: see [`expiry_key`].
    pub(super) fn expiries(self) -> Self {
        self.behind(1)
    }

    /// Where a sorted set's members are in their order: see [`super::ranks`].
    pub(super) fn ranks(self) -> Self {
        self.behind(1)
    }

    fn behind(self, step: u64) -> Self {
        Self {
            incarnation: Incarnation(self.incarnation.0 + step),
            ..self
        }
    }
}

/// Hash and rest of the record, in [`ElementPlace::expiries`], that tells when an element expires.
pub(super) fn expiry_key(at_ms: u64, hash: u32, rest: &[u8]) -> (u32, SmallVec<[u8; 64]>) {
    let mut key = SmallVec::new();
    key.extend_from_slice(&(at_ms as u32).to_be_bytes());
    key.extend_from_slice(&hash.to_be_bytes());
    key.extend_from_slice(rest);
    ((at_ms >> 32) as u32, key)
}

/// An element as read from the disk: its key without the incarnation (hash and rest), and its payload.
pub(super) fn decode_element(key: &Bytes, value: &Bytes) -> Result<(Bytes, Bytes)> {
    let decode = || {
        let (&flags, mut input) = value.split_first()?;
        let hash_and_rest = key.slice_ref(key.get(ELEMENTS_PREFIX_BYTES..)?);
        if flags & LONG_MEMBER == 0 {
            return Some((hash_and_rest, value.slice_ref(input)));
        }
        let length = usize::try_from(take_varint(&mut input)?).ok()?;
        let member = take(&mut input, length)?;
        let hash = hash_and_rest.get(..4)?;
        Some(([hash, member].concat().into(), value.slice_ref(input)))
    };
    decode().ok_or_else(|| Error::corrupt("element", format!("key {key:02x?}")))
}

/// What stands before an element's payload.
#[inline]
pub(super) fn element_head(rest: &[u8]) -> SmallVec<[u8; 32]> {
    let mut head = SmallVec::new();
    if rest.len() < LONG_KEY_BYTES {
        head.push(0);
    } else {
        head.push(LONG_MEMBER);
        put_varint(&mut head, rest.len() as u64);
        head.extend_from_slice(rest);
    }
    head
}

#[inline]
fn bounded<'a>(hasher: &KeyHasher, key: &'a [u8]) -> Cow<'a, [u8]> {
    if key.len() < LONG_KEY_BYTES {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(cut(hasher, key))
    }
}

#[cold]
fn cut(hasher: &KeyHasher, key: &[u8]) -> Vec<u8> {
    let mut rest = key
        .get(..LONG_KEY_BYTES - DIGEST_BYTES)
        .unwrap_or(key)
        .to_vec();
    rest.extend_from_slice(&hasher.digest(key));
    rest
}

/// The start of the records of all keys at `position`, and of those at later hashes of the slot.
#[inline]
pub(super) fn prefix(db: PhysicalDb, position: Position) -> [u8; PREFIX_BYTES] {
    let [slot_high, slot_low] = position.slot.to_be_bytes();
    let [a, b, c, d] = position.hash.to_be_bytes();
    [DATA, slot_high, slot_low, db.0, META, a, b, c, d]
}

/// The end, not included, of the records of all keys of a slot in a database.
pub(super) fn slot_end(db: PhysicalDb, slot: u16) -> [u8; 5] {
    let [slot_high, slot_low] = slot.to_be_bytes();
    [DATA, slot_high, slot_low, db.0, META + 1]
}

/// What a key of the engine names.
pub(super) enum ParsedKey<'a> {
    /// A key's record; `rest` is the key unless it is a long one.
    Meta {
        db: PhysicalDb,
        position: Position,
        rest: &'a [u8],
    },
    /// An element of a collection.
    Element {
        db: PhysicalDb,
        incarnation: Incarnation,
    },
}

/// Takes an engine key apart.
pub(super) fn parse_key(key: &[u8]) -> Result<ParsedKey<'_>> {
    let parsed = match key.split_first_chunk::<PREFIX_BYTES>() {
        Some((&[DATA, s0, s1, db, META, h0, h1, h2, h3], rest)) => ParsedKey::Meta {
            db: PhysicalDb(db),
            position: Position {
                slot: u16::from_be_bytes([s0, s1]),
                hash: u32::from_be_bytes([h0, h1, h2, h3]),
            },
            rest,
        },
        Some((&[DATA, _, _, db, ELEMENT, a, b, c, d], &[e, f, g, h, ..])) => ParsedKey::Element {
            db: PhysicalDb(db),
            incarnation: Incarnation(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        },
        _ => return Err(Error::corrupt("record key", format!("{key:02x?}"))),
    };
    Ok(parsed)
}

/// Everything of a record's value but the payload.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    pub(super) index: LogIndex,
    pub(super) expire_at_ms: Option<u64>,
    pub(super) key: &'a [u8],
}

impl Head<'_> {
    /// As it stands before the payload.
    #[inline]
    pub(super) fn encode(&self) -> SmallVec<[u8; 32]> {
        let long = self.key.len() >= LONG_KEY_BYTES;
        let mut flags = self.kind.code() | self.encoding.code() << ENCODING_SHIFT;
        flags |= if self.expire_at_ms.is_some() {
            EXPIRES
        } else {
            0
        };
        flags |= if long { LONG_KEY } else { 0 };
        let mut out = SmallVec::new();
        out.push(FORMAT);
        out.push(flags);
        put_varint(&mut out, self.index.get());
        if let Some(expire_at_ms) = self.expire_at_ms {
            put_varint(&mut out, expire_at_ms);
        }
        if long {
            put_varint(&mut out, self.key.len() as u64);
            out.extend_from_slice(self.key);
        }
        out
    }
}

/// A record as read from the disk.
pub(super) struct Stored {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    pub(super) index: LogIndex,
    pub(super) expire_at_ms: Option<u64>,
    /// The key when it is a long one.
    pub(super) long_key: Option<Bytes>,
    pub(super) payload: Bytes,
}

impl Stored {
    /// Whether its key is still as it was, according to the newest record; of a large collection: its elements, too.
    pub(super) fn is_unchanged(&self, newest: &Self) -> bool {
        (self.index, &self.payload) == (newest.index, &newest.payload)
    }

    /// Decodes a record's value.
    pub(super) fn decode(value: &Bytes) -> Result<Self> {
        let mut input: &[u8] = value;
        Self::decode_parts(&mut input, value).ok_or_else(|| match value.first() {
            Some(&found) if found > FORMAT => Error::Format {
                what: "record",
                found: found.into(),
                known: FORMAT.into(),
            },
            _ => Error::corrupt(
                "record",
                format!("{} bytes starting {:02x?}", value.len(), value.get(..16)),
            ),
        })
    }

    fn decode_parts(input: &mut &[u8], value: &Bytes) -> Option<Self> {
        let [format, flags] = *take(input, 2)?.first_chunk::<2>()?;
        if format != FORMAT {
            return None;
        }
        let index = LogIndex(take_varint(input)?);
        let expire_at_ms = if flags & EXPIRES == 0 {
            None
        } else {
            Some(take_varint(input)?)
        };
        let long_key = if flags & LONG_KEY == 0 {
            None
        } else {
            let length = usize::try_from(take_varint(input)?).ok()?;
            Some(value.slice_ref(take(input, length)?))
        };
        let kind = Kind::from_code(flags & KIND_MASK)?;
        Some(Self {
            kind,
            encoding: Encoding::from_code(kind, flags >> ENCODING_SHIFT & ENCODING_MASK)?,
            index,
            expire_at_ms,
            long_key,
            payload: value.slice_ref(input),
        })
    }
}

/// The write index of a record's value, without decoding the rest.
pub(super) fn write_index(value: &[u8]) -> Option<LogIndex> {
    let mut input = value;
    let head = take(&mut input, 2)?;
    if head.first() != Some(&FORMAT) {
        return None;
    }
    take_varint(&mut input).map(LogIndex)
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(taken)
}

/// Appends `value` in groups of seven bits, the lowest first.
#[inline]
pub(super) fn put_varint(out: &mut impl Extend<u8>, mut value: u64) {
    while value >= 0x80 {
        out.extend([value as u8 | 0x80]);
        value >>= 7;
    }
    out.extend([value as u8]);
}

/// Takes a number written by [`put_varint`] off the front.
pub(super) fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: PhysicalDb = PhysicalDb(3);

    #[test]
    fn varints_come_back() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(take_varint(&mut &bytes[..]), Some(value));
            assert_eq!(take_varint(&mut &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(take_varint(&mut &[0xff; 11][..]), None);
    }

    #[test]
    fn records_come_back() {
        let long = vec![b'x'; LONG_KEY_BYTES];
        for key in [&b"key"[..], &long] {
            for expire_at_ms in [None, Some(1_700_000_000_000)] {
                let head = Head {
                    kind: Kind::String,
                    encoding: Encoding::Int,
                    index: LogIndex(77),
                    expire_at_ms,
                    key,
                };
                let mut value = head.encode().to_vec();
                value.extend_from_slice(b"12");
                assert_eq!(write_index(&value), Some(LogIndex(77)));
                let stored = Stored::decode(&Bytes::from(value.clone())).unwrap();
                assert_eq!(
                    (stored.kind, stored.encoding, stored.index),
                    (Kind::String, Encoding::Int, LogIndex(77))
                );
                assert_eq!(
                    (stored.expire_at_ms, &stored.payload[..]),
                    (expire_at_ms, &b"12"[..])
                );
                assert_eq!(
                    stored.long_key.as_deref(),
                    (key.len() >= LONG_KEY_BYTES).then_some(key)
                );
                for cut in 0..value.len() - 2 {
                    assert!(Stored::decode(&Bytes::from(value[..cut].to_vec())).is_err());
                }
            }
        }
        assert!(matches!(
            Stored::decode(&Bytes::from_static(&[9, 0, 0])),
            Err(Error::Format { found: 9, .. })
        ));
    }

    #[test]
    fn keys_sort_as_positions_do() {
        let hasher = KeyHasher::new(&[1; 16]);
        let key = |slot, hash, key: &'static [u8]| {
            RecordKey::new(&hasher, DB, Position { slot, hash }, key).to_vec()
        };
        let sorted = [
            key(0, 0, b""),
            key(0, 0, b"a"),
            key(0, 1, b""),
            key(0, u32::MAX, b"z"),
            slot_end(DB, 0).to_vec(),
            key(1, 0, b""),
            key(16383, u32::MAX, b"z"),
            slot_end(DB, 16383).to_vec(),
        ];
        assert!(sorted.is_sorted());
        let Ok(ParsedKey::Meta { db, position, rest }) = parse_key(&sorted[3]) else {
            panic!()
        };
        assert_eq!(
            (db, position, rest),
            (
                DB,
                Position {
                    slot: 0,
                    hash: u32::MAX
                },
                &b"z"[..]
            )
        );
        assert!(parse_key(b"short").is_err());
    }

    #[test]
    fn long_keys_have_bounded_and_distinct_records() {
        let hasher = KeyHasher::new(&[1; 16]);
        let position = Position { slot: 0, hash: 0 };
        let (a, mut b) = (vec![b'k'; 100_000], vec![b'k'; 100_000]);
        b[99_999] = b'l';
        let [a, b] = [&a, &b].map(|key| RecordKey::new(&hasher, DB, position, key).to_vec());
        assert_eq!(a.len(), PREFIX_BYTES + LONG_KEY_BYTES);
        assert_ne!(a, b);
    }
}
