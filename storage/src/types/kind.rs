//! Types of values and how they are represented.

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

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::String => 0,
            Self::List => 1,
            Self::Set => 2,
            Self::ZSet => 3,
            Self::Hash => 4,
            Self::Stream => 5,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
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

/// How a value is represented, as OBJECT ENCODING names it. It follows Redis's rules for which command gives which,
/// and is persisted, so that replay, reload and replicas agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Any bytes; everything longer than 44, and what was edited in place.
    Raw,
    /// A canonical signed 64-bit decimal number.
    Int,
    /// At most 44 bytes, never edited in place.
    Embstr,
    /// A flat collection.
    Listpack,
    /// A flat hash of which some fields expire.
    ListpackEx,
    /// A flat set of numbers.
    Intset,
    /// A large set or hash.
    Hashtable,
    /// A large sorted set.
    Skiplist,
    /// A large list.
    Quicklist,
    /// A stream.
    Stream,
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
            Self::Listpack => "listpack",
            Self::ListpackEx => "listpackex",
            Self::Intset => "intset",
            Self::Hashtable => "hashtable",
            Self::Skiplist => "skiplist",
            Self::Quicklist => "quicklist",
            Self::Stream => "stream",
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

    /// True of values in one buffer, false of structures with records of their own.
    #[inline]
    pub(crate) fn is_flat(self) -> bool {
        match self {
            Self::Raw | Self::Int | Self::Embstr => true,
            Self::Listpack | Self::ListpackEx | Self::Intset => true,
            Self::Hashtable | Self::Skiplist | Self::Quicklist | Self::Stream => false,
        }
    }

    /// Two bits that tell it from the other encodings of its type.
    #[inline]
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Raw | Self::Listpack => 0,
            Self::Int | Self::Intset | Self::ListpackEx => 1,
            Self::Embstr | Self::Hashtable | Self::Skiplist | Self::Quicklist | Self::Stream => 2,
        }
    }

    /// The encoding of a type with this code.
    #[inline]
    pub(crate) fn from_code(kind: Kind, code: u8) -> Option<Self> {
        Some(match (kind, code) {
            (Kind::String, 0) => Self::Raw,
            (Kind::String, 1) => Self::Int,
            (Kind::String, 2) => Self::Embstr,
            (Kind::List | Kind::Set | Kind::ZSet | Kind::Hash, 0) => Self::Listpack,
            (Kind::Set, 1) => Self::Intset,
            (Kind::Hash, 1) => Self::ListpackEx,
            (Kind::Set | Kind::Hash, 2) => Self::Hashtable,
            (Kind::ZSet, 2) => Self::Skiplist,
            (Kind::List, 2) => Self::Quicklist,
            (Kind::Stream, 2) => Self::Stream,
            _ => return None,
        })
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
        let kinds = [
            Kind::String,
            Kind::List,
            Kind::Set,
            Kind::ZSet,
            Kind::Hash,
            Kind::Stream,
        ];
        let mut encodings = 0;
        for (kind, code) in kinds
            .into_iter()
            .flat_map(|kind| (0..4).map(move |code| (kind, code)))
        {
            if let Some(encoding) = Encoding::from_code(kind, code) {
                assert_eq!(encoding.code(), code);
                encodings += 1;
            }
        }
        assert_eq!(encodings, 14);
    }

    #[test]
    fn kinds_come_back_from_their_codes() {
        for code in 0..=5 {
            assert_eq!(Kind::from_code(code).map(Kind::code), Some(code));
        }
        assert_eq!(Kind::from_code(6), None);
    }
}
