//! The client's decoder: kinds that our server does not write, and peers that mean harm.

use bytes::Bytes;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use resp::{Frame, FrameDecoder, FrameError};

fn decode(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
    let mut decoder = FrameDecoder::new();
    decoder.push(bytes);
    decoder.next_frame()
}

fn bulk(text: &'static str) -> Frame {
    Frame::Bulk(Bytes::from(text))
}

#[test]
fn nulls_are_told_apart_at_any_place() {
    assert_eq!(decode(b"_\r\n"), Ok(Some(Frame::Null)));
    assert_eq!(decode(b"$-1\r\n"), Ok(Some(Frame::Null)));
    assert_eq!(decode(b"*-1\r\n"), Ok(Some(Frame::NullArray)));
    assert_eq!(
        decode(b"*4\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"),
        Ok(Some(Frame::Array(vec![
            Frame::Null,
            Frame::NullArray,
            Frame::Array(vec![]),
            bulk("")
        ])))
    );
}

#[test]
fn maps_keep_order_and_repetition_and_may_have_any_keys() {
    let map = decode(b"%3\r\n+b\r\n:1\r\n+a\r\n:2\r\n*1\r\n+b\r\n:3\r\n")
        .unwrap()
        .unwrap();
    let key = |text: &'static str| Frame::Simple(Bytes::from(text));
    assert_eq!(
        map,
        Frame::Map(vec![
            (key("b"), Frame::Integer(1)),
            (key("a"), Frame::Integer(2)),
            (Frame::Array(vec![key("b")]), Frame::Integer(3)),
        ])
    );
    assert_eq!(
        decode(b"~2\r\n:1\r\n:1\r\n"),
        Ok(Some(Frame::Set(vec![Frame::Integer(1), Frame::Integer(1)])))
    );
}

#[test]
fn attributes_belong_to_what_follows() {
    let expected = Frame::Array(vec![
        Frame::Integer(1),
        Frame::Attribute {
            pairs: vec![(bulk("ttl"), Frame::Integer(9))],
            reply: Box::new(Frame::Array(vec![Frame::Integer(2)])),
        },
    ]);
    assert_eq!(
        decode(b"*2\r\n:1\r\n|1\r\n$3\r\nttl\r\n:9\r\n*1\r\n:2\r\n"),
        Ok(Some(expected))
    );
    assert_eq!(
        decode(b"|0\r\n+OK\r\n"),
        Ok(Some(Frame::Attribute {
            pairs: vec![],
            reply: Box::new(Frame::Simple(Bytes::from("OK")))
        }))
    );
    assert_eq!(decode(b"|1\r\n+a\r\n+b\r\n"), Ok(None));
}

#[test]
fn texts_need_not_be_utf8_nor_formats_known() {
    assert_eq!(
        decode(b"-ERR \xff\r\n"),
        Ok(Some(Frame::Error(Bytes::from_static(b"ERR \xff"))))
    );
    assert_eq!(
        decode(b"=6\r\nabc:\xff\n\r\n"),
        Ok(Some(Frame::Verbatim {
            format: *b"abc",
            text: Bytes::from_static(b"\xff\n")
        }))
    );
    assert_eq!(
        decode(b"!5\r\nA\r\n\xffB\r\n"),
        Ok(Some(Frame::BulkError(Bytes::from_static(b"A\r\n\xffB"))))
    );
}

#[test]
fn accessors_answer_for_their_kinds() {
    let array = decode(b"*3\r\n$1\r\na\r\n:1\r\n-ERR\r\n").unwrap().unwrap();
    let items = array.as_slice().unwrap();
    assert_eq!(
        (items[0].as_str(), items[0].as_integer()),
        (Some("a"), None)
    );
    assert_eq!(
        (items[1].as_bytes(), items[1].as_integer()),
        (None, Some(1))
    );
    assert!(items[2].is_error() && !items[0].is_error());
    assert!(Frame::NullArray.is_null() && !array.is_null());
}

#[test]
fn malformed_replies_are_errors() {
    for (bytes, error) in [
        (&b"@\r\n"[..], FrameError::UnknownKind(b'@')),
        (b"HELLO\r\n", FrameError::UnknownKind(b'H')),
        (b"*x\r\n", FrameError::InvalidLength),
        (b"*-2\r\n", FrameError::InvalidLength),
        (b"*?\r\n", FrameError::InvalidLength),
        (b"$?\r\n", FrameError::InvalidLength),
        (b"%-1\r\n", FrameError::InvalidLength),
        (b"%9223372036854775808\r\n", FrameError::InvalidLength),
        (b"$536870913\r\n", FrameError::TooLong),
        (b"$1\r\nabc", FrameError::Malformed),
        (b"=3\r\ntxt\r\n", FrameError::Malformed),
        (b"=4\r\ntxt;\r\n", FrameError::Malformed),
    ] {
        assert_eq!(decode(bytes), Err(error), "{}", bytes.escape_ascii());
    }
    for bytes in [
        &b":x\r\n"[..],
        b":\r\n",
        b"#x\r\n",
        b",x\r\n",
        b":99999999999999999999\r\n",
    ] {
        assert!(
            matches!(decode(bytes), Err(FrameError::Scalar(_))),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}:1\r\n", "*1\r\n".repeat(depth));
    assert!(decode(nested(128).as_bytes()).unwrap().is_some());
    assert_eq!(decode(nested(129).as_bytes()), Err(FrameError::TooDeep));
    assert_eq!(
        decode(nested(1_000_000).as_bytes()),
        Err(FrameError::TooDeep)
    );
}

#[test]
fn a_line_without_end_is_refused() {
    let mut decoder = FrameDecoder::new();
    decoder.push(b"+");
    let piece = [b'x'; 64 * 1024];
    let refused_at = (1..1000).find(|_| {
        decoder.push(&piece);
        decoder.next_frame() != Ok(None)
    });
    assert_eq!(refused_at, Some(16));
}

proptest! {
    #[test]
    fn pieces_make_no_difference(bytes in reply_like(), piece_len in 1usize..20) {
        prop_assert_eq!(decode_in_pieces(&bytes, piece_len), decode_in_pieces(&bytes, bytes.len().max(1)));
    }
}

/// The frames, and whether the stream went wrong. The text of an error is compared too.
fn decode_in_pieces(bytes: &[u8], piece_len: usize) -> (String, Option<FrameError>) {
    let mut decoder = FrameDecoder::new();
    let mut frames = String::new();
    for piece in bytes.chunks(piece_len) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push_str(&format!("{frame:?}\n")),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn reply_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        6 => prop::sample::select(vec![
            "*1\r\n", "*2\r\n", "*0\r\n", "*-1\r\n", "%1\r\n", "~2\r\n", ">1\r\n", "|1\r\n", "$1\r\na\r\n", "$0\r\n\r\n", "$-1\r\n", "_\r\n", ":12\r\n",
            "+OK\r\n", "-ERR x\r\n", "#t\r\n", ",1.5\r\n", ",inf\r\n", "(123\r\n", "=5\r\ntxt:a\r\n", "!1\r\nE\r\n", "$", "*", "\r\n", "\r", "1",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}
