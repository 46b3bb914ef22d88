//! What a lookup gives.

use std::borrow::Cow;

use super::entry::Entry;
use super::record::Stored;

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    ZSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
}

impl Kind {
    /// The word of TYPE and of SCAN's TYPE option.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::ZSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::String => 0,
            Self::List => 1,
            Self::Set => 2,
            Self::ZSet => 3,
            Self::Hash => 4,
            Self::Stream => 5,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        [
            Self::String,
            Self::List,
            Self::Set,
            Self::ZSet,
            Self::Hash,
            Self::Stream,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// How a string is represented, as OBJECT ENCODING names it. It follows Redis's rules for which command gives which,
/// and is persisted, so that replay, reload and replicas agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Any bytes; everything longer than 44, and what was edited in place.
    Raw,
    /// A canonical signed 64-bit decimal number.
    Int,
    /// At most 44 bytes, never edited in place.
    Embstr,
}

/// The longest string that Redis allocates together with its object.
const EMBSTR_MAX_BYTES: usize = 44;
/// The longest decimal form of a signed 64-bit number.
const INT_MAX_BYTES: usize = 20;

impl Encoding {
    /// The word of OBJECT ENCODING.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Int => "int",
            Self::Embstr => "embstr",
        }
    }

    /// What SET and most commands store `value` as.
    #[inline]
    pub fn of(value: &[u8]) -> Self {
        if parse_int(value).is_some() {
            Self::Int
        } else {
            Self::of_text(value)
        }
    }

    /// What commands store `value` as that do not look for a number in it, such as INCRBYFLOAT.
    #[inline]
    pub fn of_text(value: &[u8]) -> Self {
        if value.len() <= EMBSTR_MAX_BYTES {
            Self::Embstr
        } else {
            Self::Raw
        }
    }

    #[inline]
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Int => 1,
            Self::Embstr => 2,
        }
    }

    #[inline]
    pub(super) fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Int,
            2 => Self::Embstr,
            _ => Self::Raw,
        }
    }
}

/// The number that `bytes` are the canonical decimal form of: no sign but `-`, no leading zero, no space. What Redis
/// takes for an integer in a string value.
#[inline]
pub fn parse_int(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > INT_MAX_BYTES {
        return None;
    }
    let (negative, digits) = match bytes.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, bytes),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// A key's value: borrowed from memory, or just read from the disk.
pub struct Object<'a> {
    source: Source<'a>,
    now_ms: u64,
}

enum Source<'a> {
    Memory(&'a Entry),
    Disk(Box<Stored>),
}

impl<'a> Object<'a> {
    #[inline]
    pub(super) fn memory(entry: &'a Entry, now_ms: u64) -> Self {
        Self {
            source: Source::Memory(entry),
            now_ms,
        }
    }

    pub(super) fn disk(stored: Stored, now_ms: u64) -> Self {
        Self {
            source: Source::Disk(Box::new(stored)),
            now_ms,
        }
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        match &self.source {
            Source::Memory(entry) => entry.kind(),
            Source::Disk(stored) => stored.kind,
        }
    }

    /// The representation.
    pub fn encoding(&self) -> Encoding {
        match &self.source {
            Source::Memory(entry) => entry.encoding(),
            Source::Disk(stored) => stored.encoding,
        }
    }

    /// When it expires, in milliseconds of Unix time; none: never.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<u64> {
        match &self.source {
            Source::Memory(entry) => entry.expire_at_ms(),
            Source::Disk(stored) => stored.expire_at_ms,
        }
    }

    /// The bytes of a string; none of any other type. Integers are in their decimal form.
    #[inline]
    pub fn string(&self) -> Option<Cow<'_, [u8]>> {
        if self.kind() != Kind::String {
            return None;
        }
        Some(Cow::Borrowed(match &self.source {
            Source::Memory(entry) => entry.bytes(),
            Source::Disk(stored) => &stored.payload,
        }))
    }

    /// Milliseconds since the last use; 0 of an object just read from the disk.
    pub fn idle_ms(&self) -> u64 {
        match &self.source {
            Source::Memory(entry) => entry.access().idle_ms(self.now_ms),
            Source::Disk(_) => 0,
        }
    }

    /// A logarithmic counter of uses that decays by one per minute without use, as Redis's LFU; 0 of an object just
    /// read from the disk.
    pub fn freq(&self) -> u8 {
        match &self.source {
            Source::Memory(entry) => entry.access().frequency(self.now_ms),
            Source::Disk(_) => 0,
        }
    }

    /// Bytes that key and value take in memory, their share of the table included; of an object just read from the
    /// disk, what they would take.
    pub fn memory_bytes(&self) -> usize {
        let allocated = match &self.source {
            Source::Memory(entry) => entry.allocated_bytes(),
            Source::Disk(stored) => stored.payload.len() + size_of::<Stored>(),
        };
        allocated + size_of::<Entry>() + 1
    }

    /// Notes a use.
    #[inline]
    pub(super) fn touch(&self, random: u64) {
        if let Source::Memory(entry) = &self.source {
            entry.access().touch(self.now_ms, random);
        }
    }

    /// See [`super::Txn::pretend_use`].
    pub(super) fn pretend_use(&self, idle_ms: Option<u64>, frequency: Option<u8>) {
        if let Source::Memory(entry) = &self.source {
            entry.access().pretend(self.now_ms, idle_ms, frequency);
        }
    }

    #[inline]
    pub(super) fn is_expired(&self) -> bool {
        is_expired(self.expire_at_ms(), self.now_ms)
    }
}

/// A key is there in its last millisecond, as in Redis.
#[inline]
pub(super) fn is_expired(expire_at_ms: Option<u64>, now_ms: u64) -> bool {
    expire_at_ms.is_some_and(|at_ms| now_ms > at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_canonical_decimal_numbers() {
        for number in [
            0,
            1,
            -1,
            9,
            10,
            12345,
            i64::MAX,
            i64::MIN,
            i64::MAX - 1,
            i64::MIN + 1,
        ] {
            assert_eq!(parse_int(number.to_string().as_bytes()), Some(number));
        }
        let not_numbers = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            "1 ",
            " 1",
            "1.0",
            "1e3",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "123456789012345678901",
        ];
        for text in not_numbers {
            assert_eq!(parse_int(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn encodings_are_redis_s() {
        assert_eq!(Encoding::of(b"12"), Encoding::Int);
        assert_eq!(Encoding::of(b"012"), Encoding::Embstr);
        assert_eq!(Encoding::of(&[b'x'; 44]), Encoding::Embstr);
        assert_eq!(Encoding::of(&[b'x'; 45]), Encoding::Raw);
        assert_eq!(Encoding::of_text(b"12"), Encoding::Embstr);
        for encoding in [Encoding::Raw, Encoding::Int, Encoding::Embstr] {
            assert_eq!(Encoding::from_code(encoding.code()), encoding);
        }
    }

    #[test]
    fn kinds_come_back_from_their_codes() {
        for code in 0..=5 {
            assert_eq!(Kind::from_code(code).map(Kind::code), Some(code));
        }
        assert_eq!(Kind::from_code(6), None);
    }
}
