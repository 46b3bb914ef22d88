//! Replies: every kind of RESP3, lowered to RESP2 here and nowhere else.

use crate::double::DoubleBuffer;
use bytes::{BufMut, BytesMut};

/// The version of the protocol that a connection speaks; `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Version 2: strings, errors, integers, bulk strings, arrays.
    #[default]
    Resp2,
    /// Version 3: all kinds.
    Resp3,
}

/// A place in the output to which [`Writer::truncate`] can return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// Appends replies to a byte buffer.
///
/// An aggregate (`array`, `map`, …) is written as its header; its elements follow as replies of their own. Nothing checks that as many
/// follow as were announced.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
    protocol: Protocol,
}

/// The longest header: a kind, a sign, 20 digits and the line's end.
const HEADER_LEN: usize = 24;

/// A reply that is longer than this will probably be much longer.
const LONG_LEN: usize = 256 << 10;

/// Then its buffer grows by so many times its length,
const LONG_STRIDE: usize = 7;

/// but by no more than this, which a system that promises no more memory than it has must have at hand.
const MOST_STRIDE_BYTES: usize = 128 << 20;

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut BytesMut, protocol: Protocol) -> Self {
        Writer { out, protocol }
    }

    /// The version that is being written.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the version for what follows: the reply to `HELLO 3` is already RESP3.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// A status, such as `OK`. Line ends within become spaces.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// The status `OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// An error: its whole text, the code included (`ERR syntax error`). Line ends around it are cut, those within become spaces, as in Redis.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// As [`Writer::error`], for texts that repeat a client's bytes.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let from = text
            .iter()
            .position(|byte| !is_line_end(byte))
            .unwrap_or(text.len());
        let to = text
            .iter()
            .rposition(|byte| !is_line_end(byte))
            .map_or(from, |last| last + 1);
        self.line(b'-', text.get(from..to).unwrap_or_default());
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        if let digit @ 0..=9 = value {
            self.out
                .extend_from_slice(&[b':', b'0' + digit as u8, b'\r', b'\n']);
            return;
        }
        let mut buffer = itoa::Buffer::new();
        self.scalar(b':', buffer.format(value).as_bytes());
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, payload: &[u8]) {
        self.reserve(HEADER_LEN + payload.len() + 2);
        push_header(self.out, b'$', payload.len());
        self.out.put_slice(payload);
        self.out.put_slice(b"\r\n");
    }

    /// Makes room for so many more bytes.
    #[inline]
    fn reserve(&mut self, bytes: usize) {
        if self.out.capacity() - self.out.len() < bytes {
            self.grow(bytes);
        }
    }

    /// A long reply grows in long strides: what is moved is in memory twice meanwhile, what is not used yet is not.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        let stride = match self.out.len() {
            len if len >= LONG_LEN => len.saturating_mul(LONG_STRIDE).min(MOST_STRIDE_BYTES),
            _ => 0,
        };
        self.out.reserve(bytes.max(stride));
    }

    /// An integer as a bulk string.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value, where there might have been one.
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() {
            b"_\r\n"
        } else {
            b"$-1\r\n"
        });
    }

    /// No value, where there might have been an array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() {
            b"_\r\n"
        } else {
            b"*-1\r\n"
        });
    }

    /// An array of `len` replies, which follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        push_header(self.out, b'*', len);
    }

    /// A map of `pairs` pairs; key and value by turns follow, twice as many replies.
    pub fn map(&mut self, pairs: usize) {
        let (kind, len) = self.map_header(pairs);
        push_header(self.out, kind, len);
    }

    /// A set of `len` replies, which follow.
    pub fn set(&mut self, len: usize) {
        let kind = self.lowered(b'~');
        push_header(self.out, kind, len);
    }

    /// A message out of turn (of a subscription, of invalidation) of `len` replies, which follow.
    pub fn push(&mut self, len: usize) {
        let kind = self.lowered(b'>');
        push_header(self.out, kind, len);
    }

    /// Attributes of the reply that follows them: `pairs` pairs, as in a map.
    ///
    /// Answers whether they were written. RESP2 has none: then nothing was, and the caller leaves the pairs out too.
    #[must_use = "in RESP2 the pairs must not be written"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        if self.is_resp3() {
            push_header(self.out, b'|', pairs);
        }
        self.is_resp3()
    }

    /// A double, in the text of [`DoubleBuffer`].
    pub fn double(&mut self, value: f64) {
        let mut buffer = DoubleBuffer::new();
        let text = buffer.format(value).as_bytes();
        if self.is_resp3() {
            self.scalar(b',', text);
        } else {
            self.bulk(text);
        }
    }

    /// A truth value.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.protocol, value) {
            (Protocol::Resp3, true) => b"#t\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp2, false) => b":0\r\n",
        });
    }

    /// An integer of any size, in decimal digits. Line ends within become spaces.
    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() {
            self.line(b'(', digits.as_bytes());
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    /// Text to be shown to a person as it is. `format` is of three bytes (`txt`, `mkd`); it is cut or filled with spaces to that.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(text);
        }
        let mut prefix = [b' ', b' ', b' ', b':'];
        for (slot, byte) in prefix.iter_mut().take(3).zip(format.bytes()) {
            *slot = byte;
        }
        push_header(self.out, b'=', prefix.len() + text.len());
        self.out.extend_from_slice(&prefix);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Bytes that are already encoded, in the right version.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// The present end of the output.
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// Whether nothing was written since `mark`.
    pub fn is_empty_since(&self, mark: Mark) -> bool {
        self.out.len() == mark.0
    }

    /// The bytes written since `mark`.
    pub fn since(&self, mark: Mark) -> &[u8] {
        self.out.get(mark.0..).unwrap_or_default()
    }

    /// Takes back all that was written since `mark`, to write an error in its place.
    pub fn truncate(&mut self, mark: Mark) {
        self.out.truncate(mark.0);
    }

    /// Puts an array's header before what was written since `mark`, when the number of elements is known only after them.
    pub fn array_since(&mut self, mark: Mark, len: usize) {
        self.header_since(mark, b'*', len);
    }

    /// As [`Writer::array_since`], for a map of `pairs` pairs.
    pub fn map_since(&mut self, mark: Mark, pairs: usize) {
        let (kind, len) = self.map_header(pairs);
        self.header_since(mark, kind, len);
    }

    /// As [`Writer::array_since`], for a set.
    pub fn set_since(&mut self, mark: Mark, len: usize) {
        let kind = self.lowered(b'~');
        self.header_since(mark, kind, len);
    }

    fn header_since(&mut self, mark: Mark, kind: u8, len: usize) {
        let end = self.out.len();
        push_header(self.out, kind, len);
        let header_len = self.out.len() - end;
        if let Some(since) = self.out.get_mut(mark.0..) {
            since.rotate_right(header_len);
        }
    }

    fn map_header(&self, pairs: usize) -> (u8, usize) {
        if self.is_resp3() {
            (b'%', pairs)
        } else {
            (b'*', pairs * 2)
        }
    }

    fn lowered(&self, kind: u8) -> u8 {
        if self.is_resp3() { kind } else { b'*' }
    }

    /// A kind of one line whose text holds no line end.
    fn scalar(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.put_u8(kind);
        self.out.put_slice(text);
        self.out.put_slice(b"\r\n");
    }

    /// A kind of one line whose text may hold anything.
    fn line(&mut self, kind: u8, text: &[u8]) {
        let start = self.out.len() + 1;
        self.scalar(kind, text);
        for byte in self.out.iter_mut().skip(start).take(text.len()) {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
}

/// Appends a kind, a length and a line's end.
#[inline]
pub(crate) fn push_header(out: &mut BytesMut, kind: u8, len: usize) {
    if let digit @ 0..=9 = len {
        out.extend_from_slice(&[kind, b'0' + digit as u8, b'\r', b'\n']);
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(len).as_bytes();
    out.reserve(HEADER_LEN);
    out.put_u8(kind);
    out.put_slice(digits);
    out.put_slice(b"\r\n");
}
