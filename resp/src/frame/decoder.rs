//! Bytes to [`Frame`]s, resuming where it stopped.
//!
//! Scalars are decoded by `redis-protocol`, RESP3's decoder first and RESP2's for `$-1` and `*-1`. Aggregates are gathered here, on a stack of
//! our own: `redis-protocol` would recurse as deep as the peer says, start again from the first byte whenever one is missing, forget the
//! order of maps, and refuse a null of RESP2 within an array.

use super::Frame;
use bytes::{Bytes, BytesMut};
use redis_protocol::resp3::types::RangeFrame;

/// How deep aggregates may be nested; Redis's own replies stay below 20. It also bounds the recursion of dropping and comparing frames.
const MAX_DEPTH: usize = 128;

/// The longest line of a kind that is not a bulk string: statuses, errors and numbers, big ones included.
const MAX_LINE_LEN: usize = 1024 * 1024;

/// The longest bulk string: Redis's default of `proto-max-bulk-len`.
const MAX_BULK_LEN: usize = 512 * 1024 * 1024;

/// An announced number of elements reserves room for no more than this; what arrives makes the rest.
const RESERVED_ITEMS: usize = 64;

/// Bytes that are no reply. The link cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A byte that begins no kind known here. Streamed strings and aggregates (`$?`, `*?`), which Redis never sends, are refused as lengths.
    #[error("unknown kind of reply: byte {0:#04x}")]
    UnknownKind(u8),
    /// A length or a number of elements that is none.
    #[error("invalid length of a reply")]
    InvalidLength,
    /// A line or a string that is longer than any that Redis sends.
    #[error("a reply is too long")]
    TooLong,
    /// More than 128 aggregates within each other.
    #[error("replies are nested too deep")]
    TooDeep,
    /// A string without its line end, or an attribute without its reply.
    #[error("malformed reply")]
    Malformed,
    /// What the decoder of scalars said.
    #[error("malformed reply: {0}")]
    Scalar(String),
}

/// An aggregate whose elements are still arriving.
#[derive(Debug)]
struct Open {
    kind: Aggregate,
    items: Vec<Frame>,
    /// Elements still to come: of a map two for each pair, of an attribute the reply itself too.
    left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Array,
    Map,
    Set,
    Push,
    Attribute,
}

/// Turns bytes into [`Frame`]s. Give it what arrives with [`FrameDecoder::push`], take frames until there is none.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buf: BytesMut,
    /// The first bytes of `buf` that are known to hold no line end.
    scanned: usize,
    /// Where the whole scalar at the start of `buf` ends, once its header has been read.
    end: Option<usize>,
    open: Vec<Open>,
}

/// What stands at the start of the buffer.
enum Item {
    Scalar(Frame),
    Open(Aggregate, usize),
}

impl FrameDecoder {
    /// A decoder at the start of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The buffer itself, to read a socket into its end. Nothing but appending is allowed.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// Whether all bytes given so far have been made into frames.
    pub fn is_idle(&self) -> bool {
        self.buf.is_empty() && self.open.is_empty()
    }

    /// The next whole reply, or `None` until more bytes have been pushed.
    ///
    /// # Errors
    ///
    /// The bytes are no reply; the decoder must not be used again.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        while let Some(item) = self.next_item()? {
            let mut frame = match item {
                Item::Scalar(frame) => frame,
                Item::Open(kind, left) if left > 0 => {
                    if self.open.len() == MAX_DEPTH {
                        return Err(FrameError::TooDeep);
                    }
                    self.open.push(Open {
                        kind,
                        items: Vec::with_capacity(left.min(RESERVED_ITEMS)),
                        left,
                    });
                    continue;
                }
                Item::Open(kind, _) => close(kind, Vec::new())?,
            };
            // Give the frame to the innermost aggregate; when that is full it is a frame itself.
            loop {
                let Some(mut innermost) = self.open.pop() else {
                    return Ok(Some(frame));
                };
                innermost.items.push(frame);
                innermost.left -= 1;
                if innermost.left > 0 {
                    self.open.push(innermost);
                    break;
                }
                frame = close(innermost.kind, innermost.items)?;
            }
        }
        Ok(None)
    }

    fn next_item(&mut self) -> Result<Option<Item>, FrameError> {
        if let Some(end) = self.end {
            return self.take_scalar(end);
        }
        let Some(&kind) = self.buf.first() else {
            return Ok(None);
        };
        let Some(line_end) = self.find_line_end()? else {
            return Ok(None);
        };
        let line = self.buf.get(1..line_end).unwrap_or_default();
        let after = line_end + 2;
        let aggregate = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => return self.take_scalar(after),
            b'$' | b'*' if line == b"-1" => return self.take_null(after, kind),
            b'$' | b'!' | b'=' => {
                let len = parse_len(line)?;
                if len > MAX_BULK_LEN {
                    return Err(FrameError::TooLong);
                }
                return self.take_scalar(after + len + 2);
            }
            b'*' => Aggregate::Array,
            b'%' => Aggregate::Map,
            b'~' => Aggregate::Set,
            b'>' => Aggregate::Push,
            b'|' => Aggregate::Attribute,
            _ => return Err(FrameError::UnknownKind(kind)),
        };
        let len = parse_len(line)?;
        let left = match aggregate {
            Aggregate::Map => len.checked_mul(2),
            Aggregate::Attribute => len.checked_mul(2).and_then(|len| len.checked_add(1)),
            _ => Some(len),
        };
        self.consume(after);
        Ok(Some(Item::Open(
            aggregate,
            left.ok_or(FrameError::InvalidLength)?,
        )))
    }

    /// The offset of the first `\r\n`. Each byte is looked at once, however often this is called.
    fn find_line_end(&mut self) -> Result<Option<usize>, FrameError> {
        let unseen = self.buf.get(self.scanned..).unwrap_or_default();
        if let Some(offset) = unseen.windows(2).position(|pair| pair == b"\r\n") {
            return Ok(Some(self.scanned + offset));
        }
        // The last byte may be a '\r' whose '\n' is still to come.
        self.scanned = self.buf.len().saturating_sub(1);
        if self.buf.len() > MAX_LINE_LEN {
            Err(FrameError::TooLong)
        } else {
            Ok(None)
        }
    }

    fn take_scalar(&mut self, end: usize) -> Result<Option<Item>, FrameError> {
        if self.buf.len() < end {
            self.end = Some(end);
            return Ok(None);
        }
        let bytes = self.consume(end);
        if !bytes.ends_with(b"\r\n") {
            return Err(FrameError::Malformed);
        }
        decode_scalar(&bytes).map(|frame| Some(Item::Scalar(frame)))
    }

    fn take_null(&mut self, end: usize, kind: u8) -> Result<Option<Item>, FrameError> {
        let bytes = self.consume(end);
        let null = match redis_protocol::resp2::decode::decode_range(&bytes) {
            Ok(Some((redis_protocol::resp2::types::RangeFrame::Null, _))) if kind == b'$' => {
                Frame::Null
            }
            Ok(Some((redis_protocol::resp2::types::RangeFrame::Null, _))) => Frame::NullArray,
            Ok(_) => return Err(FrameError::Malformed),
            Err(error) => return Err(FrameError::Scalar(error.details().to_owned())),
        };
        Ok(Some(Item::Scalar(null)))
    }

    fn consume(&mut self, len: usize) -> Bytes {
        self.scanned = 0;
        self.end = None;
        self.buf.split_to(len).freeze()
    }
}

/// Makes a frame of an aggregate whose elements are all there.
fn close(kind: Aggregate, mut items: Vec<Frame>) -> Result<Frame, FrameError> {
    Ok(match kind {
        Aggregate::Array => Frame::Array(items),
        Aggregate::Set => Frame::Set(items),
        Aggregate::Push => Frame::Push(items),
        Aggregate::Map => Frame::Map(pairs(items)),
        Aggregate::Attribute => {
            let reply = items.pop().ok_or(FrameError::Malformed)?;
            Frame::Attribute {
                pairs: pairs(items),
                reply: Box::new(reply),
            }
        }
    })
}

fn pairs(items: Vec<Frame>) -> Vec<(Frame, Frame)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// One whole scalar, from its kind to its line end.
fn decode_scalar(bytes: &Bytes) -> Result<Frame, FrameError> {
    if bytes.starts_with(b"=") {
        return decode_verbatim(bytes);
    }
    let (range, consumed) = match redis_protocol::resp3::decode::complete::decode_range(bytes) {
        Ok(Some(decoded)) => decoded,
        Ok(None) => return Err(FrameError::Malformed),
        Err(error) => return Err(FrameError::Scalar(error.details().to_owned())),
    };
    if consumed != bytes.len() {
        return Err(FrameError::Malformed);
    }
    let slice = |(start, end): (usize, usize)| bytes.slice(start..end);
    Ok(match range {
        RangeFrame::SimpleString { data, .. } => Frame::Simple(slice(data)),
        RangeFrame::SimpleError { data, .. } => Frame::Error(slice(data)),
        RangeFrame::BlobString { data, .. } => Frame::Bulk(slice(data)),
        RangeFrame::BlobError { data, .. } => Frame::BulkError(slice(data)),
        RangeFrame::BigNumber { data, .. } => Frame::BigNumber(slice(data)),
        RangeFrame::Number { data, .. } => Frame::Integer(data),
        RangeFrame::Double { data, .. } => Frame::Double(data),
        RangeFrame::Boolean { data, .. } => Frame::Boolean(data),
        RangeFrame::Null => Frame::Null,
        _ => return Err(FrameError::Malformed),
    })
}

/// Verbatim text of any format: `redis-protocol` knows two of them, but a script may answer with any.
fn decode_verbatim(bytes: &Bytes) -> Result<Frame, FrameError> {
    let header_len = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(FrameError::Malformed)?
        + 1;
    let body = bytes
        .get(header_len..bytes.len() - 2)
        .ok_or(FrameError::Malformed)?;
    match body {
        [a, b, c, b':', ..] => Ok(Frame::Verbatim {
            format: [*a, *b, *c],
            text: bytes.slice(header_len + 4..bytes.len() - 2),
        }),
        _ => Err(FrameError::Malformed),
    }
}

fn parse_len(text: &[u8]) -> Result<usize, FrameError> {
    crate::number::parse_i64(text)
        .and_then(|len| usize::try_from(len).ok())
        .ok_or(FrameError::InvalidLength)
}
