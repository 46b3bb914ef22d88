//! The client's side of replies: owned values of every kind, and the decoder that yields them.

mod decoder;

pub use decoder::{FrameDecoder, FrameError};

use bytes::Bytes;

/// A reply, of any kind of RESP2 or RESP3. Order and repetition in maps and sets are kept as they were sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// `+`: a status.
    Simple(Bytes),
    /// `-`: an error, its code included.
    Error(Bytes),
    /// `!`: an error that may hold line ends.
    BulkError(Bytes),
    /// `:`
    Integer(i64),
    /// `$`: a string of any bytes.
    Bulk(Bytes),
    /// `_`, or RESP2's `$-1`.
    Null,
    /// RESP2's `*-1`.
    NullArray,
    /// `,`
    Double(f64),
    /// `#`
    Boolean(bool),
    /// `(`: decimal digits, perhaps after a sign.
    BigNumber(Bytes),
    /// `=`: text with the three bytes of its format, such as `txt`.
    Verbatim {
        /// The format.
        format: [u8; 3],
        /// The text without the format.
        text: Bytes,
    },
    /// `*`
    Array(Vec<Frame>),
    /// `%`
    Map(Vec<(Frame, Frame)>),
    /// `~`
    Set(Vec<Frame>),
    /// `>`: a message out of turn.
    Push(Vec<Frame>),
    /// `|`: attributes, and the reply that they belong to.
    Attribute {
        /// Names and values.
        pairs: Vec<(Frame, Frame)>,
        /// The reply itself.
        reply: Box<Frame>,
    },
}

impl Frame {
    /// The bytes of a string of any kind or of an error.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Frame::Simple(text)
            | Frame::Error(text)
            | Frame::BulkError(text)
            | Frame::Bulk(text)
            | Frame::BigNumber(text) => Some(text),
            Frame::Verbatim { text, .. } => Some(text),
            _ => None,
        }
    }

    /// As [`Frame::as_bytes`], where they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The value of an integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Frame::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of an array, a set or a push.
    pub fn as_slice(&self) -> Option<&[Frame]> {
        match self {
            Frame::Array(items) | Frame::Set(items) | Frame::Push(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this is an error of either kind.
    pub fn is_error(&self) -> bool {
        matches!(self, Frame::Error(_) | Frame::BulkError(_))
    }

    /// Whether this says that there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Frame::Null | Frame::NullArray)
    }
}
