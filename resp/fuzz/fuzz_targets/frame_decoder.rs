//! Any bytes, in any pieces: no panic, the same frames as when they arrive at once, and where `redis-protocol` understands a scalar, the same value.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use redis_protocol::resp3::decode::complete::decode_bytes;
use redis_protocol::resp3::types::BytesFrame;
use resp::{Frame, FrameDecoder, FrameError};

// The first byte of the input chooses the length of the pieces.
fuzz_target!(|input: &[u8]| {
    let [piece_len, bytes @ ..] = input else {
        return;
    };
    let whole = decode(bytes, bytes.len().max(1));
    let pieces = decode(bytes, usize::from(*piece_len).max(1));
    // Compared as text, for which one NaN is like another.
    assert_eq!(format!("{pieces:?}"), format!("{whole:?}"));

    // The peer recurses as deep as it is told: ask it about scalars only.
    if !bytes.is_empty() && !b"*%~>|H;".contains(&bytes[0]) {
        compare(whole.0.first(), bytes);
    }
});

fn compare(ours: Option<&Frame>, bytes: &[u8]) {
    let Ok(Some((peer, _))) = decode_bytes(&Bytes::copy_from_slice(bytes)) else {
        return;
    };
    match (ours, peer) {
        (Some(Frame::Bulk(ours)), BytesFrame::BlobString { data, .. }) => assert_eq!(*ours, data),
        (Some(Frame::Simple(ours)), BytesFrame::SimpleString { data, .. }) => {
            assert_eq!(*ours, data)
        }
        (Some(Frame::BigNumber(ours)), BytesFrame::BigNumber { data, .. }) => {
            assert_eq!(*ours, data)
        }
        (Some(Frame::Integer(ours)), BytesFrame::Number { data, .. }) => assert_eq!(*ours, data),
        (Some(Frame::Boolean(ours)), BytesFrame::Boolean { data, .. }) => assert_eq!(*ours, data),
        _ => {}
    }
}

fn decode(bytes: &[u8], piece_len: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece_len) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
