//! What is to be written: many small frames gathered for one system call, large payloads referred to, not copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use super::frame::{HEADER_BYTES, Kind, header};

/// From this size on a payload is kept as its own segment: a system call with more segments costs less than the copy.
const OWN_SEGMENT_BYTES: usize = 8 * 1024;

/// A buffer that a burst has grown beyond this is given back when it is empty.
const KEEP_BYTES: usize = 1024 * 1024;

/// Encoded frames in the order of the wire. [`Buf`] is the writing side.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Before `tail`; never empty ones.
    segments: VecDeque<Bytes>,
    tail: BytesMut,
    remaining: usize,
    pushed: u64,
}

impl Outbox {
    /// A frame with a prost message as its payload.
    pub(super) fn push_message(&mut self, kind: Kind, message: &impl Message) {
        self.push_with(kind, Bytes::new(), |out| {
            message.encode(out).expect("a BytesMut has no end")
        });
    }

    /// A frame whose payload is what `head` writes, then `body`. A large body is not copied.
    pub(super) fn push_with(&mut self, kind: Kind, body: Bytes, head: impl FnOnce(&mut BytesMut)) {
        let start = self.tail.len();
        self.tail.put_bytes(0, HEADER_BYTES);
        head(&mut self.tail);
        let payload = &self.tail[start + HEADER_BYTES..];
        let frame = header(kind, &[payload, &body]);
        let head_bytes = HEADER_BYTES + payload.len();
        self.tail[start..start + HEADER_BYTES].copy_from_slice(&frame);
        let body_bytes = body.len();
        if body_bytes >= OWN_SEGMENT_BYTES {
            self.segments.push_back(self.tail.split().freeze());
            self.segments.push_back(body);
        } else {
            self.tail.extend_from_slice(&body);
        }
        self.remaining += head_bytes + body_bytes;
        self.pushed += (head_bytes + body_bytes) as u64;
    }

    /// Bytes pushed since the connection began: the position of the last frame's end in the stream.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Bytes that the kernel has taken since the connection began.
    pub(super) fn written(&self) -> u64 {
        self.pushed - self.remaining as u64
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        match self.segments.front() {
            Some(segment) => segment,
            None => &self.tail,
        }
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "cannot write more than there is");
        self.remaining -= count;
        let mut left = count;
        while let Some(segment) = self.segments.front_mut() {
            if left < segment.len() {
                segment.advance(left);
                return;
            }
            left -= segment.len();
            self.segments.pop_front();
        }
        self.tail.advance(left);
        if self.tail.is_empty() && self.tail.capacity() > KEEP_BYTES {
            self.tail = BytesMut::new();
        }
    }

    fn chunks_vectored<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let all = self
            .segments
            .iter()
            .map(|segment| &segment[..])
            .chain([&self.tail[..]]);
        let mut used = 0;
        for (slot, chunk) in out.iter_mut().zip(all.filter(|chunk| !chunk.is_empty())) {
            *slot = IoSlice::new(chunk);
            used += 1;
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::{Buf, BufMut, Bytes};

    use super::{OWN_SEGMENT_BYTES, Outbox};
    use crate::transport::frame::{FrameReader, Kind};

    fn filled() -> (Outbox, Vec<Vec<u8>>) {
        let mut out = Outbox::default();
        let mut expected = Vec::new();
        for (number, body_bytes) in [3, OWN_SEGMENT_BYTES, 0, 2 * OWN_SEGMENT_BYTES, 5]
            .into_iter()
            .enumerate()
        {
            let body = vec![number as u8; body_bytes];
            out.push_with(Kind::ForwardRequest, Bytes::from(body.clone()), |head| {
                head.put_u64_le(9)
            });
            expected.push([&9u64.to_le_bytes()[..], &body].concat());
        }
        (out, expected)
    }

    fn payloads(stream: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = FrameReader::default();
        reader.space().extend_from_slice(stream);
        std::iter::from_fn(|| reader.next(&[Kind::ForwardRequest]).expect("good frames"))
            .map(|frame| frame.payload.to_vec())
            .collect()
    }

    #[test]
    fn what_is_pushed_comes_out_in_order_however_little_is_taken_at_a_time() {
        for step in [1, 7, 100, 8192, 1 << 20] {
            let (mut out, expected) = filled();
            let all = out.remaining();
            let mut stream = Vec::new();
            while out.has_remaining() {
                let count = out.chunk().len().min(step);
                stream.extend_from_slice(&out.chunk()[..count]);
                out.advance(count);
                assert_eq!(out.written(), stream.len() as u64);
            }
            assert_eq!((stream.len(), out.pushed()), (all, all as u64));
            assert_eq!(payloads(&stream), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn vectored_chunks_are_the_whole() {
        let (out, expected) = filled();
        let mut slices = [IoSlice::new(&[]); 16];
        let used = out.chunks_vectored(&mut slices);
        let stream: Vec<u8> = slices[..used]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        assert_eq!(payloads(&stream), expected);
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = Bytes::from(vec![1; OWN_SEGMENT_BYTES]);
        let mut out = Outbox::default();
        out.push_with(Kind::ForwardRequest, body.clone(), |head| {
            head.put_u64_le(1)
        });
        out.advance(out.chunk().len());
        assert_eq!(out.chunk().as_ptr(), body.as_ptr());
    }
}
