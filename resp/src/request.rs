//! The server's side of requests: limits, the parsed request, and the incremental parser.

use crate::error::{ProtocolError, Violation};
use crate::inline;
use crate::number::{parse_i64, parse_short_header};
use smallvec::SmallVec;

/// Before authentication: the most arguments of a request, and the most bytes of one, as in Redis.
const UNAUTHENTICATED_MAX_ARGS: usize = 10;
const UNAUTHENTICATED_MAX_BULK_LEN: usize = 16 * 1024;

/// The longest header of an array or a bulk string, up to its `\r`: far beyond any number, as in Redis.
const MAX_HEADER_LEN: usize = 64 * 1024;

/// A [`Request`] gives memory back when a new request begins and more than this is held, so that one giant request
/// does not weigh on an idle connection for ever. Below it nothing is allocated in steady state.
const KEPT_SPANS: usize = 4096;
const KEPT_SCRATCH_BYTES: usize = 64 * 1024;

/// What a request may cost. All lengths in bytes. Can be changed between calls of [`RequestParser::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest argument (`proto-max-bulk-len`). Beyond: "invalid bulk length".
    pub max_bulk_len: usize,
    /// The most arguments of one request. Beyond: "invalid multibulk length".
    pub max_args: usize,
    /// The longest inline request, without its line end's `\n`.
    pub max_inline_len: usize,
    /// The most bytes of one request (`client-query-buffer-limit`). Beyond: the connection is closed without a word.
    pub query_buffer_limit: usize,
    /// False while the connection still has to authenticate: then 10 arguments of 16 KB are the most.
    pub authenticated: bool,
}

impl Default for Limits {
    /// Redis's defaults; the number of arguments is bounded as Redis up to 6.2 did (a million), where 7.0 relies on the query buffer alone.
    fn default() -> Self {
        Limits {
            max_bulk_len: 512 * 1024 * 1024,
            max_args: 1024 * 1024,
            max_inline_len: 64 * 1024,
            query_buffer_limit: 1024 * 1024 * 1024,
            authenticated: true,
        }
    }
}

/// The place of an argument, in the read buffer or in [`Request::scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// The arguments of one request, the command's name first, as spans of the buffer they were parsed from.
///
/// Reused from request to request. The accessors take the buffer, beginning at the same byte as when it was parsed; after the request's bytes
/// have been dropped from it, the spans mean nothing.
#[derive(Debug, Default)]
pub struct Request {
    spans: Vec<Span>,
    /// Unescaped arguments of an inline request with quotes: these do not stand in the read buffer as they are.
    scratch: Vec<u8>,
    in_scratch: bool,
}

impl Request {
    /// An empty request, to be filled by [`RequestParser::parse`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of arguments, the command's name included.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is nothing to run: such a request is skipped without a reply.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The `i`th argument, 0 being the command's name; empty beyond the end.
    #[inline]
    pub fn arg<'a>(&'a self, buf: &'a [u8], i: usize) -> &'a [u8] {
        self.spans.get(i).map_or(&[], |span| self.slice(buf, *span))
    }

    /// All arguments in order.
    pub fn args<'a>(&'a self, buf: &'a [u8]) -> SmallVec<[&'a [u8]; 8]> {
        self.iter(buf).collect()
    }

    /// All arguments in order, without collecting them.
    pub fn iter<'a>(&'a self, buf: &'a [u8]) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.spans.iter().map(move |span| self.slice(buf, *span))
    }

    #[inline]
    fn slice<'a>(&'a self, buf: &'a [u8], span: Span) -> &'a [u8] {
        let source = if self.in_scratch { &self.scratch } else { buf };
        source
            .get(span.start..span.start + span.len)
            .unwrap_or_default()
    }

    fn clear(&mut self) {
        if self.spans.capacity() > KEPT_SPANS {
            self.spans = Vec::new();
        }
        if self.scratch.capacity() > KEPT_SCRATCH_BYTES {
            self.scratch = Vec::new();
        }
        self.spans.clear();
        self.scratch.clear();
        self.in_scratch = false;
    }
}

/// What the bytes at [`RequestParser::at`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// The first byte of a request.
    Start,
    /// The header of a bulk string.
    BulkHeader,
    /// The payload of a bulk string of this many bytes, and two more.
    Bulk(usize),
}

/// Splits a stream of bytes into requests. Resumes where it stopped; no byte of a payload is ever looked at.
#[derive(Debug)]
pub struct RequestParser {
    limits: Limits,
    expect: Expect,
    /// Everything before this byte of the buffer has been dealt with.
    at: usize,
    /// From `at` on, this many bytes hold no end of line.
    scanned: usize,
    /// Arguments still to come, the current one included.
    args_left: usize,
}

impl RequestParser {
    /// A parser at the start of a request.
    pub fn new(limits: Limits) -> Self {
        RequestParser {
            limits,
            expect: Expect::Start,
            at: 0,
            scanned: 0,
            args_left: 0,
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits, to be changed at run time (configuration, authentication). They hold for what has not been parsed yet.
    pub fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Looks for one request at the start of `buf`.
    ///
    /// `buf` begins at the first byte not yet consumed, and may only grow at its end between calls that answer `Ok(None)`; those calls must also
    /// be given the same `request`, which holds what has been found so far.
    ///
    /// `Ok(Some(n))`: `request` is made of the first `n` bytes; it may be empty, then the caller skips it.
    ///
    /// # Errors
    ///
    /// The bytes are no request or exceed a limit; the connection is to be closed and the parser not to be used again.
    #[inline]
    pub fn parse(
        &mut self,
        buf: &[u8],
        request: &mut Request,
    ) -> Result<Option<usize>, ProtocolError> {
        // Whatever stands beyond the limit is not looked at, so that the way the bytes are split changes nothing.
        let scope = buf.get(..self.limits.query_buffer_limit).unwrap_or(buf);
        match self.step(scope, request)? {
            Some(consumed) => {
                self.expect = Expect::Start;
                self.at = 0;
                self.scanned = 0;
                Ok(Some(consumed))
            }
            None if scope.len() < buf.len() => Err(Violation::QueryBufferLimit.into()),
            None => Ok(None),
        }
    }

    /// How many bytes must at least still arrive before the request can be complete, given that `buf_len` have.
    ///
    /// At least 1. It is what a peer announced, up to [`Limits::max_bulk_len`]: a size for the next read, but never one to reserve at once.
    pub fn needed(&self, buf_len: usize) -> usize {
        // The least that an argument takes: "$0\r\n\r\n".
        const LEAST_ARG: usize = 6;
        let end = match self.expect {
            Expect::Start => 0,
            Expect::BulkHeader => self
                .at
                .saturating_add(self.args_left.saturating_mul(LEAST_ARG)),
            Expect::Bulk(len) => self.at.saturating_add(len).saturating_add(2),
        };
        end.saturating_sub(buf_len).max(1)
    }

    #[inline]
    fn step(&mut self, buf: &[u8], request: &mut Request) -> Result<Option<usize>, Violation> {
        if self.expect == Expect::Start {
            match buf.first() {
                None => return Ok(None),
                Some(b'*') => {}
                Some(_) => return self.step_inline(buf, request),
            }
            let Some((count, after)) = self.multibulk_header(buf)? else {
                return Ok(None);
            };
            request.clear();
            self.at = after;
            self.scanned = 0;
            self.args_left = count;
            self.expect = Expect::BulkHeader;
        }
        self.step_args(buf, request)
    }

    #[inline]
    fn step_args(&mut self, buf: &[u8], request: &mut Request) -> Result<Option<usize>, Violation> {
        while self.args_left > 0 {
            let len = match self.expect {
                Expect::Bulk(len) => len,
                _ => {
                    let Some((len, after)) = self.bulk_header(buf)? else {
                        return Ok(None);
                    };
                    self.at = after;
                    self.scanned = 0;
                    len
                }
            };
            // The two bytes after the payload are not looked at: neither does Redis.
            let next = self.at.saturating_add(len).saturating_add(2);
            if buf.len() < next {
                self.expect = Expect::Bulk(len);
                return Ok(None);
            }
            request.spans.push(Span {
                start: self.at,
                len,
            });
            self.at = next;
            self.expect = Expect::BulkHeader;
            self.args_left -= 1;
        }
        Ok(Some(self.at))
    }

    /// The number of arguments and the offset after the header; none or negative counts are 0.
    #[inline]
    fn multibulk_header(&mut self, buf: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
        let (count, after) = match buf.get(1..).and_then(parse_short_header) {
            Some((count, len)) => (count, 1 + len),
            None => {
                let Some((text, after)) = self.header_line(buf, Violation::MultibulkCountTooBig)?
                else {
                    return Ok(None);
                };
                let count = text
                    .get(1..)
                    .and_then(parse_i64)
                    .ok_or(Violation::MultibulkLength)?;
                (usize::try_from(count).unwrap_or(0), after)
            }
        };
        if count > self.limits.max_args {
            return Err(Violation::MultibulkLength);
        }
        if count > UNAUTHENTICATED_MAX_ARGS && !self.limits.authenticated {
            return Err(Violation::UnauthenticatedMultibulkLength);
        }
        Ok(Some((count, after)))
    }

    /// The length of a bulk string and the offset of its payload.
    #[inline]
    fn bulk_header(&mut self, buf: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
        let short = match buf.get(self.at..) {
            Some([b'$', digits @ ..]) => parse_short_header(digits),
            _ => None,
        };
        let (len, after) = match short {
            Some((len, header_len)) => (len, self.at + 1 + header_len),
            None => {
                let Some((text, after)) = self.header_line(buf, Violation::BulkCountTooBig)? else {
                    return Ok(None);
                };
                let digits = match text {
                    [b'$', digits @ ..] => digits,
                    // A line that is empty but for its end: the '\r' itself stands where '$' should.
                    other => {
                        return Err(Violation::ExpectedDollar(
                            other.first().copied().unwrap_or(b'\r'),
                        ));
                    }
                };
                let len = parse_i64(digits)
                    .and_then(|len| usize::try_from(len).ok())
                    .ok_or(Violation::BulkLength)?;
                (len, after)
            }
        };
        if len > self.limits.max_bulk_len {
            return Err(Violation::BulkLength);
        }
        if len > UNAUTHENTICATED_MAX_BULK_LEN && !self.limits.authenticated {
            return Err(Violation::UnauthenticatedBulkLength);
        }
        Ok(Some((len, after)))
    }

    /// The line at `at` up to its `\r`, and the offset after the byte that follows that (which Redis does not look at either).
    #[cold]
    fn header_line<'a>(
        &mut self,
        buf: &'a [u8],
        too_big: Violation,
    ) -> Result<Option<(&'a [u8], usize)>, Violation> {
        let rest = buf.get(self.at..).unwrap_or_default();
        let Some(end) = self.find_line_end(rest, b'\r', MAX_HEADER_LEN, too_big)? else {
            return Ok(None);
        };
        if rest.len() < end + 2 {
            return Ok(None);
        }
        Ok(rest.get(..end).map(|text| (text, self.at + end + 2)))
    }

    fn step_inline(
        &mut self,
        buf: &[u8],
        request: &mut Request,
    ) -> Result<Option<usize>, Violation> {
        let Some(end) = self.find_line_end(
            buf,
            b'\n',
            self.limits.max_inline_len,
            Violation::InlineTooBig,
        )?
        else {
            return Ok(None);
        };
        let line = buf.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        request.clear();
        if line.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
            request.in_scratch = true;
            inline::split_quoted(line, &mut request.scratch, &mut request.spans)?;
        } else {
            inline::split_plain(line, 0, &mut request.spans);
        }
        Ok(Some(end + 1))
    }

    /// The offset in `rest` (the buffer from `at` on) of the first `delimiter`. Each byte is looked at once, however often it is called.
    ///
    /// Refuses a line by its length alone and not by how much of it has arrived, so that the way the bytes are split changes nothing.
    fn find_line_end(
        &mut self,
        rest: &[u8],
        delimiter: u8,
        max_len: usize,
        too_big: Violation,
    ) -> Result<Option<usize>, Violation> {
        let scope = rest.get(..=max_len).unwrap_or(rest);
        let unseen = scope.get(self.scanned..).unwrap_or_default();
        if let Some(offset) = unseen.iter().position(|byte| *byte == delimiter) {
            let end = self.scanned + offset;
            // A lone '\r' is found again when the byte after it arrives.
            self.scanned = end;
            return Ok(Some(end));
        }
        self.scanned = self.scanned.max(scope.len());
        if rest.len() > max_len {
            Err(too_big)
        } else {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expect, Limits, Request, RequestParser};

    /// The offset up to which the parser never looks again.
    fn looked_at(parser: &RequestParser) -> usize {
        match parser.expect {
            Expect::Bulk(_) => parser.at,
            _ => parser.at + parser.scanned,
        }
    }

    #[test]
    fn an_unfinished_line_is_scanned_once() {
        for line in [
            "*000000000000000000000000",
            "$abc",
            "SET key value of an inline request",
        ] {
            let mut parser = RequestParser::new(Limits::default());
            let mut request = Request::new();
            for len in 1..=line.len() {
                assert_eq!(
                    parser.parse(&line.as_bytes()[..len], &mut request),
                    Ok(None)
                );
                assert_eq!(looked_at(&parser), len, "{line:?}");
            }
        }
    }

    #[test]
    fn a_payload_is_never_scanned() {
        let mut parser = RequestParser::new(Limits::default());
        let mut request = Request::new();
        let mut bytes = b"*2\r\n$3\r\nGET\r\n$1000\r\n".to_vec();
        let start = bytes.len();
        while bytes.len() < start + 1001 {
            assert_eq!(parser.parse(&bytes, &mut request), Ok(None));
            assert_eq!((looked_at(&parser), request.len()), (start, 1));
            assert_eq!(parser.needed(bytes.len()), start + 1002 - bytes.len());
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        assert_eq!(parser.parse(&bytes, &mut request), Ok(Some(bytes.len())));
    }

    #[test]
    fn a_giant_request_gives_its_memory_back() {
        let mut parser = RequestParser::new(Limits::default());
        let mut request = Request::new();
        let count = 10_000;
        let many = format!("*{count}\r\n{}", "$0\r\n\r\n".repeat(count));
        assert_eq!(
            parser.parse(many.as_bytes(), &mut request),
            Ok(Some(many.len()))
        );
        assert_eq!(request.len(), count);
        let long = format!("\"{}\"\r\n", "x".repeat(65_000));
        assert_eq!(
            parser.parse(long.as_bytes(), &mut request),
            Ok(Some(long.len()))
        );
        assert!(request.spans.capacity() <= super::KEPT_SPANS);
        assert_eq!(parser.parse(b"PING\r\n", &mut request), Ok(Some(6)));
        assert!(request.scratch.capacity() <= super::KEPT_SCRATCH_BYTES);
    }
}
