//! What has arrived on a connection, parsed in place: requests are spans of one buffer.

use bytes::{Buf, BytesMut};
use resp::{Limits, ProtocolError, Request, RequestParser};

/// Requests that one round takes; the rest of a longer pipeline waits for the next. Bounds the spans kept per connection,
/// and for how long one connection keeps its thread.
const MAX_REQUESTS_PER_ROUND: usize = 1024;

/// Room that a read finds at least.
const READ_BYTES: usize = 16 << 10;

/// Most room that is reserved at once for a large argument, whatever length it announces.
const MAX_RESERVE_BYTES: usize = 1 << 20;

/// Parsed requests kept for the next round; a longer pipeline gives the memory of further ones back.
const KEEP_REQUESTS: usize = 256;

/// Where an argument begins and its length.
const SPAN_BYTES: usize = 2 * size_of::<usize>();

/// A buffer larger than this is given back when it is empty.
const KEEP_BYTES: usize = 64 << 10;

/// The arguments of one request, in the buffer that they arrived in.
pub(super) type RequestArgs<'p> = smallvec::SmallVec<[&'p [u8]; 8]>;

/// Received bytes and the requests found in them.
pub(super) struct Pipeline {
    buffer: BytesMut,
    parser: RequestParser,
    /// Reused: the first `count` are of this round, each with the position where it begins.
    requests: Vec<(usize, Request)>,
    count: usize,
    consumed: usize,
}

impl Pipeline {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            buffer: BytesMut::new(),
            parser: RequestParser::new(limits),
            requests: Vec::new(),
            count: 0,
            consumed: 0,
        }
    }

    pub(super) fn limits_mut(&mut self) -> &mut Limits {
        self.parser.limits_mut()
    }

    /// Where to read into.
    pub(super) fn space(&mut self) -> &mut BytesMut {
        let needed = self
            .parser
            .needed(self.buffer.len())
            .clamp(READ_BYTES, MAX_RESERVE_BYTES);
        if self.buffer.capacity() - self.buffer.len() < READ_BYTES.min(needed) {
            self.buffer.reserve(needed);
        }
        &mut self.buffer
    }

    /// Bytes received, those of the requests of this round included.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Room for received bytes, used or not.
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Memory of the parsed arguments of this round; they are spans of the buffer, nothing is copied.
    pub(super) fn spans_bytes(&self) -> usize {
        let requests = self.requests.iter().take(self.count);
        let arguments: usize = requests.map(|(_, request)| request.len()).sum();
        arguments * SPAN_BYTES
    }

    /// Parses up to `most` requests. An error stands after the requests that were found before it.
    pub(super) fn parse(&mut self, most: usize) -> Result<(), ProtocolError> {
        debug_assert_eq!(
            (self.count, self.consumed),
            (0, 0),
            "the last round is finished"
        );
        while self.count < most.min(MAX_REQUESTS_PER_ROUND) {
            if self.count == self.requests.len() {
                self.requests.push((0, Request::new()));
            }
            let (start, request) = &mut self.requests[self.count];
            *start = self.consumed;
            match self.parser.parse(&self.buffer[self.consumed..], request)? {
                Some(bytes) => {
                    self.consumed += bytes;
                    self.count += usize::from(!request.is_empty());
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Requests of this round.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The arguments of a request of this round.
    pub(super) fn args(&self, nth: usize) -> RequestArgs<'_> {
        let (start, request) = &self.requests[nth];
        request.args(&self.buffer[*start..])
    }

    /// Forgets the requests of this round; true if more bytes wait.
    pub(super) fn finish(&mut self) -> bool {
        let parsed = self.count > 0 || self.consumed > 0;
        self.buffer.advance(self.consumed);
        if self.count < self.requests.len() {
            // Of a request whose rest has not arrived the parser has already put arguments here; it goes on with it first.
            self.requests.swap(0, self.count);
        }
        self.requests.truncate(KEEP_REQUESTS);
        (self.count, self.consumed) = (0, 0);
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BYTES {
            self.buffer = BytesMut::new();
        }
        parsed && !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REQUESTS_PER_ROUND, Pipeline};
    use resp::Limits;

    /// What a connection does with bytes that arrive in two parts.
    fn run(parts: [&[u8]; 2]) -> Vec<Vec<Vec<u8>>> {
        let mut pipeline = Pipeline::new(Limits::default());
        let mut commands = Vec::new();
        for part in parts {
            pipeline.space().extend_from_slice(part);
            loop {
                pipeline.parse(usize::MAX).expect("well-formed");
                let ran = pipeline.len();
                for nth in 0..ran {
                    commands.push(pipeline.args(nth).iter().map(|arg| arg.to_vec()).collect());
                }
                if !pipeline.finish() || ran == 0 {
                    break;
                }
            }
        }
        commands
    }

    #[test]
    fn a_pipeline_may_be_split_anywhere() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n11\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\nPING \"x y\"\r\n\r\n\
            *4\r\n$3\r\nSET\r\n$1\r\nc\r\n$0\r\n\r\n$2\r\nNX\r\n*1\r\n$4\r\nPING\r\n";
        let whole = run([bytes, b""]);
        let names: Vec<_> = whole.iter().map(|args| args.len()).collect();
        assert_eq!(names, [3, 2, 2, 4, 1]);
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(run([first, second]), whole, "split at {at}");
        }
    }

    #[test]
    fn a_long_pipeline_takes_several_rounds() {
        let count = 2 * MAX_REQUESTS_PER_ROUND + 2;
        let one = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let bytes = one.repeat(count);
        let cut = MAX_REQUESTS_PER_ROUND * one.len() + one.len() / 2;
        for at in [0, cut, cut + one.len()] {
            let commands = run([&bytes[..at], &bytes[at..]]);
            assert_eq!(commands.len(), count);
            assert!(
                commands
                    .iter()
                    .all(|args| *args == [b"GET".to_vec(), b"k".to_vec()])
            );
        }
    }
}
