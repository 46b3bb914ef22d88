//! One element of a collection.

use super::kind::parse_int;

/// One element as it is stored: bytes, or a number that stands for its decimal form. [`Item::of`] gives each byte string one
/// form only, so that items of it are equal when the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Bytes that are not the canonical decimal form of a number of 64 bits, or that nobody looked at.
    Bytes(&'a [u8]),
    /// A number.
    Int(i64),
}

impl<'a> Item<'a> {
    /// How flat collections store `bytes`.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        parse_int(bytes).map_or(Self::Bytes(bytes), Self::Int)
    }

    /// The bytes; `buffer` holds those of a number.
    #[inline]
    pub fn bytes<'b>(self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Int(number) => buffer.format(number).as_bytes(),
        }
    }

    /// The bytes, copied.
    pub fn to_vec(self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// True when the bytes are these.
    #[inline]
    pub fn is(self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(own) => own == bytes,
            Self::Int(number) => itoa::Buffer::new().format(number).as_bytes() == bytes,
        }
    }

    /// Number of bytes.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Int(number) => itoa::Buffer::new().format(number).len(),
        }
    }

    /// True without bytes.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The number that the bytes are the canonical decimal form of.
    #[inline]
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Bytes(bytes) => parse_int(bytes),
            Self::Int(number) => Some(number),
        }
    }
}
