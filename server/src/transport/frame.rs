//! Frames: the only thing that a peer link carries.
//!
//! ```text
//! kind u8 | length u32 LE | crc32 u32 LE, over kind, length and payload | payload
//! ```
//!
//! A frame's kind fixes how long it may be, and a length is never believed before the bytes are there: the read buffer
//! grows with what has arrived, at most to twice that.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 9;

/// Room that a read always finds. A quiet link holds no more than this.
const READ_BYTES: usize = 64 * 1024;

/// Below this much room the buffer is renewed before reading.
const READ_LOW_BYTES: usize = 4 * 1024;

/// What a frame carries. The numbers are the wire's; none is a printable character or the start of TLS, so that a client
/// of another protocol is known by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Dialer: who I am, whom I want, for what; and a nonce.
    Hello = 0xA1,
    /// Acceptor: its nonce.
    Challenge = 0xA2,
    /// Dialer: proof of the secret over all of the above.
    Proof = 0xA3,
    /// Acceptor: its own proof. From here on the link is open.
    Welcome = 0xA4,
    /// Acceptor: why not. The connection ends.
    Refused = 0xA5,
    /// Dialer: are you there.
    Ping = 0xB1,
    /// Acceptor: yes. Also unasked, while it reads nothing because it has enough to do.
    Pong = 0xB2,
    /// One `RaftMessage`.
    Raft = 0xC1,
    /// `id u64`, then a `Request`.
    ForwardRequest = 0xD1,
    /// `id u64 | status u8`, then what the status says.
    ForwardResponse = 0xD2,
    /// The `RaftMessage` (MsgSnapshot) that a stream belongs to.
    SnapshotBegin = 0xE1,
    /// `sequence u64 | crc32 u32 | 1 for the last, else 2 + percent sent u8`, then the chunk.
    SnapshotChunk = 0xE2,
    /// Receiver: `ok u8`, then text. The stream is over.
    SnapshotEnd = 0xE3,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0xA1 => Self::Hello,
            0xA2 => Self::Challenge,
            0xA3 => Self::Proof,
            0xA4 => Self::Welcome,
            0xA5 => Self::Refused,
            0xB1 => Self::Ping,
            0xB2 => Self::Pong,
            0xC1 => Self::Raft,
            0xD1 => Self::ForwardRequest,
            0xD2 => Self::ForwardResponse,
            0xE1 => Self::SnapshotBegin,
            0xE2 => Self::SnapshotChunk,
            0xE3 => Self::SnapshotEnd,
            _ => return None,
        })
    }

    /// The longest payload of this kind, in bytes; the contract page gives the reasons.
    pub(super) const fn max_bytes(self) -> usize {
        match self {
            Self::Ping | Self::Pong => 0,
            Self::Hello => super::auth::HELLO_BYTES,
            Self::Challenge | Self::Proof | Self::Welcome => 32,
            Self::Refused | Self::SnapshotEnd => 256,
            Self::SnapshotBegin | Self::SnapshotChunk => 1024 * 1024,
            Self::Raft | Self::ForwardRequest | Self::ForwardResponse => 1024 * 1024 * 1024,
        }
    }
}

/// A frame that has arrived whole and whose checksum is right.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// A slice of the read buffer, not a copy.
    pub(super) payload: Bytes,
}

/// Why bytes are no frame. The connection ends: there is no way to find the next frame.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum FrameError {
    #[error("unknown frame kind {0:#04x}")]
    UnknownKind(u8),
    #[error("unexpected {0:?} frame")]
    Unexpected(Kind),
    #[error("{kind:?} frame of {length} bytes, at most {max} allowed")]
    TooLong {
        kind: Kind,
        length: usize,
        max: usize,
    },
    #[error("{0:?} frame with a wrong checksum: bytes were damaged on the way")]
    Checksum(Kind),
    #[error("{0:?} frame whose payload does not decode")]
    Payload(Kind),
}

/// A header that has passed the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) length: usize,
    crc32: u32,
}

impl Header {
    /// Checks kind and length against what may come now, before anything is allocated for the payload.
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES], accepts: &[Kind]) -> Result<Self, FrameError> {
        let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = *bytes;
        let kind = Kind::from_byte(kind).ok_or(FrameError::UnknownKind(kind))?;
        if !accepts.contains(&kind) {
            return Err(FrameError::Unexpected(kind));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let max = kind.max_bytes();
        if length > max {
            return Err(FrameError::TooLong { kind, length, max });
        }
        Ok(Self {
            kind,
            length,
            crc32: u32::from_le_bytes([c0, c1, c2, c3]),
        })
    }

    /// Compares the payload with the checksum.
    pub(super) fn verify(&self, payload: &[u8]) -> Result<(), FrameError> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if checksum(self.kind, length, &[payload]) == self.crc32 {
            Ok(())
        } else {
            Err(FrameError::Checksum(self.kind))
        }
    }
}

/// The header of a frame whose payload is `parts`, one after the other.
pub(super) fn header(kind: Kind, parts: &[&[u8]]) -> [u8; HEADER_BYTES] {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    assert!(
        length <= kind.max_bytes(),
        "{kind:?} frame of {length} bytes: senders check their limits first"
    );
    let length = length as u32;
    let mut header = [0; HEADER_BYTES];
    let mut out = &mut header[..];
    out.put_u8(kind as u8);
    out.put_u32_le(length);
    out.put_u32_le(checksum(kind, length, parts));
    header
}

fn checksum(kind: Kind, length: u32, parts: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[kind as u8]);
    crc.update(&length.to_le_bytes());
    for part in parts {
        crc.update(part);
    }
    crc.finalize()
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    buffer: BytesMut,
    /// Payload bytes still to come of the frame at the buffer's start, as far as its header is known.
    missing: usize,
}

impl FrameReader {
    /// Where the next read appends. There is always room, and never more than about twice what has arrived.
    pub(super) fn space(&mut self) -> &mut BytesMut {
        let room = self.buffer.capacity() - self.buffer.len();
        let needed = if self.missing == 0 {
            READ_LOW_BYTES
        } else {
            self.missing.min(READ_LOW_BYTES)
        };
        if room < needed {
            self.buffer
                .reserve(READ_BYTES.max(self.missing.min(self.buffer.len())));
        }
        &mut self.buffer
    }

    /// The next whole frame, or `None` until more has been read.
    pub(super) fn next(&mut self, accepts: &[Kind]) -> Result<Option<Frame>, FrameError> {
        let Some(first) = self.buffer.first_chunk::<HEADER_BYTES>() else {
            self.missing = 0;
            return Ok(None);
        };
        let header = Header::parse(first, accepts)?;
        let whole = HEADER_BYTES + header.length;
        self.missing = whole.saturating_sub(self.buffer.len());
        if self.missing > 0 {
            return Ok(None);
        }
        let payload = self.buffer.split_to(whole).split_off(HEADER_BYTES).freeze();
        header.verify(&payload)?;
        Ok(Some(Frame {
            kind: header.kind,
            payload,
        }))
    }

    /// Bytes that the buffer holds room for: what a hostile length must not move.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, FrameError, FrameReader, HEADER_BYTES, Kind, header};

    const ANY: &[Kind] = &[Kind::Raft, Kind::Ping, Kind::ForwardRequest];

    fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
        [&header(kind, &[payload])[..], payload].concat()
    }

    fn read_all(reader: &mut FrameReader) -> Vec<Frame> {
        std::iter::from_fn(|| reader.next(ANY).expect("good frames")).collect()
    }

    #[test]
    fn frames_are_found_wherever_the_stream_is_split() {
        let long = vec![7; 3000];
        let parts = [
            frame(Kind::Raft, b"first"),
            frame(Kind::Ping, b""),
            frame(Kind::ForwardRequest, &long),
        ];
        let stream = parts.concat();
        for step in [1, 2, 8, 9, 10, 1000, stream.len()] {
            let mut reader = FrameReader::default();
            let mut frames = Vec::new();
            for chunk in stream.chunks(step) {
                reader.space().extend_from_slice(chunk);
                frames.extend(read_all(&mut reader));
            }
            let seen: Vec<_> = frames.iter().map(|f| (f.kind, &f.payload[..])).collect();
            let expected: [(Kind, &[u8]); 3] = [
                (Kind::Raft, b"first"),
                (Kind::Ping, b""),
                (Kind::ForwardRequest, &long),
            ];
            assert_eq!(seen, expected, "split every {step} bytes");
        }
    }

    #[test]
    fn a_length_beyond_the_kinds_limit_is_refused_by_the_header_alone() {
        let mut head = header(Kind::Raft, &[]);
        head[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut reader = FrameReader::default();
        reader.space().extend_from_slice(&head);
        let error = reader.next(ANY).expect_err("too long");
        assert!(
            matches!(
                error,
                FrameError::TooLong {
                    kind: Kind::Raft,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn the_buffer_grows_with_what_has_arrived_not_with_what_is_announced() {
        let mut head = header(Kind::Raft, &[]);
        head[1..5].copy_from_slice(&(Kind::Raft.max_bytes() as u32).to_le_bytes());
        let mut reader = FrameReader::default();
        reader.space().extend_from_slice(&head);
        let mut arrived = HEADER_BYTES;
        for _ in 0..200 {
            assert!(reader.next(ANY).expect("within the limit").is_none());
            let space = reader.space();
            let room = (space.capacity() - space.len()).min(10_000);
            space.extend_from_slice(&vec![0; room]);
            arrived += room;
            let capacity = reader.capacity();
            assert!(
                capacity <= 2 * arrived + 2 * 64 * 1024,
                "{capacity} for {arrived}"
            );
        }
        assert!(
            arrived > 1_000_000,
            "{arrived}: the test went as far as it should"
        );
    }

    #[test]
    fn damage_anywhere_is_noticed() {
        let good = frame(Kind::Raft, b"payload");
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 0x10;
            let mut reader = FrameReader::default();
            reader.space().extend_from_slice(&bad);
            // A damaged length may also make the frame longer: then it waits for bytes that would not fit the checksum.
            let noticed = !matches!(reader.next(ANY), Ok(Some(_)));
            assert!(noticed, "byte {position}");
        }
    }

    #[test]
    fn a_kind_that_may_not_come_now_is_refused() {
        let mut reader = FrameReader::default();
        reader.space().extend_from_slice(&frame(Kind::Raft, b"x"));
        let error = reader
            .next(&[Kind::Pong])
            .expect_err("not in this direction");
        assert_eq!(error, FrameError::Unexpected(Kind::Raft));
        let mut reader = FrameReader::default();
        reader.space().extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(
            reader.next(ANY).expect_err("RESP"),
            FrameError::UnknownKind(b'*')
        );
    }
}
