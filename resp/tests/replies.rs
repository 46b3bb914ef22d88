//! Replies: the bytes of every kind in both versions, and that `redis-protocol` and [`FrameDecoder`] read the same values from them.

use bytes::{Bytes, BytesMut};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use redis_protocol::resp2::types::BytesFrame as Peer2;
use redis_protocol::resp3::types::{BytesFrame as Peer3, Resp3Frame, VerbatimStringFormat};
use resp::{DoubleBuffer, Frame, FrameDecoder, Protocol, Writer};

fn written(protocol: Protocol, write: impl FnOnce(&mut Writer<'_>)) -> String {
    let mut out = BytesMut::new();
    write(&mut Writer::new(&mut out, protocol));
    out.escape_ascii().to_string()
}

#[test]
fn every_kind_in_both_versions() {
    type Write = fn(&mut Writer<'_>);
    let kinds: [(Write, &str, &str); 26] = [
        (|w| w.simple("PONG"), r"+PONG\r\n", r"+PONG\r\n"),
        (|w| w.ok(), r"+OK\r\n", r"+OK\r\n"),
        (|w| w.error("ERR no"), r"-ERR no\r\n", r"-ERR no\r\n"),
        (|w| w.integer(0), r":0\r\n", r":0\r\n"),
        (|w| w.integer(-7), r":-7\r\n", r":-7\r\n"),
        (|w| w.integer(10), r":10\r\n", r":10\r\n"),
        (
            |w| w.integer(i64::MIN),
            r":-9223372036854775808\r\n",
            r":-9223372036854775808\r\n",
        ),
        (|w| w.bulk(b""), r"$0\r\n\r\n", r"$0\r\n\r\n"),
        (
            |w| w.bulk(b"a\r\nb\0"),
            r"$5\r\na\r\nb\x00\r\n",
            r"$5\r\na\r\nb\x00\r\n",
        ),
        (
            |w| w.bulk(b"0123456789"),
            r"$10\r\n0123456789\r\n",
            r"$10\r\n0123456789\r\n",
        ),
        (|w| w.bulk_integer(-12), r"$3\r\n-12\r\n", r"$3\r\n-12\r\n"),
        (|w| w.null(), r"$-1\r\n", r"_\r\n"),
        (|w| w.null_array(), r"*-1\r\n", r"_\r\n"),
        (|w| w.array(12), r"*12\r\n", r"*12\r\n"),
        (|w| w.map(6), r"*12\r\n", r"%6\r\n"),
        (|w| w.set(3), r"*3\r\n", r"~3\r\n"),
        (|w| w.push(3), r"*3\r\n", r">3\r\n"),
        (|w| w.double(1.5), r"$3\r\n1.5\r\n", r",1.5\r\n"),
        (
            |w| w.double(f64::NEG_INFINITY),
            r"$4\r\n-inf\r\n",
            r",-inf\r\n",
        ),
        (|w| w.double(f64::NAN), r"$3\r\nnan\r\n", r",nan\r\n"),
        (|w| w.boolean(true), r":1\r\n", r"#t\r\n"),
        (|w| w.boolean(false), r":0\r\n", r"#f\r\n"),
        (|w| w.big_number("-123"), r"$4\r\n-123\r\n", r"(-123\r\n"),
        (
            |w| w.verbatim("txt", b"a\nb"),
            r"$3\r\na\nb\r\n",
            r"=7\r\ntxt:a\nb\r\n",
        ),
        (|w| w.verbatim("x", b""), r"$0\r\n\r\n", r"=4\r\nx  :\r\n"),
        (|w| w.raw(b":1\r\n"), r":1\r\n", r":1\r\n"),
    ];
    for (write, resp2, resp3) in kinds {
        assert_eq!(written(Protocol::Resp2, write), resp2);
        assert_eq!(written(Protocol::Resp3, write), resp3);
    }
}

#[test]
fn line_ends_in_one_line_kinds_become_spaces() {
    assert_eq!(
        written(Protocol::Resp2, |w| w.error("\r\nERR a\r\nb\n\n")),
        r"-ERR a  b\r\n"
    );
    assert_eq!(written(Protocol::Resp2, |w| w.error("\r\n")), r"-\r\n");
    assert_eq!(
        written(Protocol::Resp2, |w| w.error_bytes(b"ERR \xff\n'")),
        r"-ERR \xff \'\r\n"
    );
    assert_eq!(
        written(Protocol::Resp2, |w| w.simple("a\r\n:1")),
        r"+a  :1\r\n"
    );
    assert_eq!(
        written(Protocol::Resp3, |w| w.big_number("1\r\n2")),
        r"(1  2\r\n"
    );
}

#[test]
fn attributes_are_left_out_of_resp2() {
    let write = |w: &mut Writer<'_>| {
        if w.attribute(1) {
            w.bulk(b"ttl");
            w.integer(1);
        }
        w.ok();
    };
    assert_eq!(written(Protocol::Resp2, write), r"+OK\r\n");
    assert_eq!(
        written(Protocol::Resp3, write),
        r"|1\r\n$3\r\nttl\r\n:1\r\n+OK\r\n"
    );
}

#[test]
fn a_partly_written_reply_can_be_taken_back() {
    let write = |w: &mut Writer<'_>| {
        w.ok();
        let mark = w.mark();
        assert!(w.is_empty_since(mark));
        w.array(2);
        w.bulk(b"one");
        assert!(!w.is_empty_since(mark));
        assert_eq!(w.since(mark), b"*2\r\n$3\r\none\r\n");
        w.truncate(mark);
        w.error("ERR two");
    };
    assert_eq!(written(Protocol::Resp2, write), r"+OK\r\n-ERR two\r\n");
}

#[test]
fn a_header_can_be_put_before_its_elements() {
    let write = |w: &mut Writer<'_>| {
        w.ok();
        let outer = w.mark();
        for n in 10..22 {
            w.integer(n);
        }
        let inner = w.mark();
        w.map_since(inner, 0);
        let inner = w.mark();
        w.bulk(b"x");
        w.set_since(inner, 1);
        w.array_since(outer, 14);
    };
    let integers: String = (10..22).map(|n| format!(r":{n}\r\n")).collect();
    assert_eq!(
        written(Protocol::Resp3, write),
        format!(r"+OK\r\n*14\r\n{integers}%0\r\n~1\r\n$1\r\nx\r\n")
    );
    assert_eq!(
        written(Protocol::Resp2, write),
        format!(r"+OK\r\n*14\r\n{integers}*0\r\n*1\r\n$1\r\nx\r\n")
    );
}

#[test]
fn the_version_can_change_between_replies() {
    let write = |w: &mut Writer<'_>| {
        w.map(0);
        w.set_protocol(Protocol::Resp3);
        assert_eq!(w.protocol(), Protocol::Resp3);
        w.map(0);
    };
    assert_eq!(written(Protocol::default(), write), r"*0\r\n%0\r\n");
}

fn write_frame(w: &mut Writer<'_>, frame: &Frame) {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    match frame {
        Frame::Simple(bytes) => w.simple(&text(bytes)),
        Frame::Error(bytes) => w.error_bytes(bytes),
        Frame::BulkError(bytes) => {
            w.raw(&[format!("!{}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
        }
        Frame::Integer(value) => w.integer(*value),
        Frame::Bulk(bytes) => w.bulk(bytes),
        Frame::Null => w.null(),
        Frame::NullArray => w.null_array(),
        Frame::Double(value) => w.double(*value),
        Frame::Boolean(value) => w.boolean(*value),
        Frame::BigNumber(digits) => w.big_number(&text(digits)),
        Frame::Verbatim { format, text } => w.verbatim(std::str::from_utf8(format).unwrap(), text),
        Frame::Array(items) => {
            w.array(items.len());
            items.iter().for_each(|item| write_frame(w, item));
        }
        Frame::Set(items) => {
            w.set(items.len());
            items.iter().for_each(|item| write_frame(w, item));
        }
        Frame::Push(items) => {
            w.push(items.len());
            items.iter().for_each(|item| write_frame(w, item));
        }
        Frame::Map(pairs) => {
            w.map(pairs.len());
            write_pairs(w, pairs);
        }
        Frame::Attribute { pairs, reply } => {
            if w.attribute(pairs.len()) {
                write_pairs(w, pairs);
            }
            write_frame(w, reply);
        }
    }
}

fn write_pairs(w: &mut Writer<'_>, pairs: &[(Frame, Frame)]) {
    for (key, value) in pairs {
        write_frame(w, key);
        write_frame(w, value);
    }
}

fn encoded(protocol: Protocol, frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    write_frame(&mut Writer::new(&mut out, protocol), frame);
    out
}

/// What a client of RESP2 is to see of a reply.
fn lowered(frame: &Frame) -> Frame {
    let all = |frames: &[Frame]| frames.iter().map(lowered).collect::<Vec<_>>();
    match frame {
        Frame::Double(value) => Frame::Bulk(Bytes::copy_from_slice(
            DoubleBuffer::new().format(*value).as_bytes(),
        )),
        Frame::Boolean(value) => Frame::Integer(i64::from(*value)),
        Frame::BigNumber(text) | Frame::Verbatim { text, .. } => Frame::Bulk(text.clone()),
        Frame::Array(items) | Frame::Set(items) | Frame::Push(items) => Frame::Array(all(items)),
        Frame::Map(pairs) => Frame::Array(
            pairs
                .iter()
                .flat_map(|(key, value)| [lowered(key), lowered(value)])
                .collect(),
        ),
        Frame::Attribute { reply, .. } => lowered(reply),
        other => other.clone(),
    }
}

fn peer2(frame: &Frame) -> Peer2 {
    match frame {
        Frame::Simple(bytes) => Peer2::SimpleString(bytes.clone()),
        Frame::Error(_) => Peer2::Error(frame.as_str().unwrap().into()),
        Frame::Integer(value) => Peer2::Integer(*value),
        Frame::Bulk(bytes) => Peer2::BulkString(bytes.clone()),
        Frame::Null | Frame::NullArray => Peer2::Null,
        Frame::Array(items) => Peer2::Array(items.iter().map(peer2).collect()),
        other => panic!("not of RESP2: {other:?}"),
    }
}

fn peer3(frame: &Frame) -> Peer3 {
    let attributes = None;
    let all = |frames: &[Frame]| frames.iter().map(peer3).collect::<Vec<_>>();
    match frame.clone() {
        Frame::Simple(data) => Peer3::SimpleString { data, attributes },
        Frame::Error(_) => Peer3::SimpleError {
            data: frame.as_str().unwrap().into(),
            attributes,
        },
        Frame::BulkError(data) => Peer3::BlobError { data, attributes },
        Frame::Integer(data) => Peer3::Number { data, attributes },
        Frame::Bulk(data) => Peer3::BlobString { data, attributes },
        Frame::Null | Frame::NullArray => Peer3::Null,
        Frame::Double(data) => Peer3::Double { data, attributes },
        Frame::Boolean(data) => Peer3::Boolean { data, attributes },
        Frame::BigNumber(data) => Peer3::BigNumber { data, attributes },
        Frame::Verbatim { format, text } => {
            let format = if &format == b"txt" {
                VerbatimStringFormat::Text
            } else {
                VerbatimStringFormat::Markdown
            };
            Peer3::VerbatimString {
                data: text,
                format,
                attributes,
            }
        }
        Frame::Array(items) => Peer3::Array {
            data: all(&items),
            attributes,
        },
        Frame::Push(items) => Peer3::Push {
            data: all(&items),
            attributes,
        },
        Frame::Set(items) => Peer3::Set {
            data: all(&items).into_iter().collect(),
            attributes,
        },
        Frame::Map(pairs) => Peer3::Map {
            data: pairs
                .iter()
                .map(|(key, value)| (peer3(key), peer3(value)))
                .collect(),
            attributes,
        },
        Frame::Attribute { pairs, reply } => {
            let mut peer = peer3(&reply);
            let names = pairs
                .iter()
                .map(|(key, value)| (peer3(key), peer3(value)))
                .collect();
            peer.add_attributes(names).unwrap();
            peer
        }
    }
}

fn line() -> impl Strategy<Value = Bytes> {
    "[ -~é]{0,40}".prop_map(Bytes::from)
}

fn scalar() -> impl Strategy<Value = Frame> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from);
    prop_oneof![
        line().prop_map(Frame::Simple),
        line().prop_map(Frame::Error),
        bytes().prop_map(Frame::BulkError),
        any::<i64>().prop_map(Frame::Integer),
        bytes().prop_map(Frame::Bulk),
        Just(Frame::Null),
        any::<f64>().prop_map(Frame::Double),
        any::<bool>().prop_map(Frame::Boolean),
        "-?[1-9][0-9]{0,60}".prop_map(|digits| Frame::BigNumber(Bytes::from(digits))),
        (prop::sample::select(vec![*b"txt", *b"mkd"]), bytes())
            .prop_map(|(format, text)| Frame::Verbatim { format, text }),
    ]
}

/// Keys that are all different, because `redis-protocol` keeps maps and sets as hash tables.
fn distinct(frames: Vec<Frame>) -> Vec<Frame> {
    // Compared one by one: 0 and -0 are equal, but may have different hashes.
    let mut seen = Vec::new();
    let is_new = |frame: &Frame| {
        let peer = peer3(frame);
        let is_new = !seen.contains(&peer);
        seen.push(peer);
        is_new
    };
    frames.into_iter().filter(is_new).collect()
}

fn frame() -> impl Strategy<Value = Frame> {
    scalar().prop_recursive(5, 60, 8, |inner| {
        let keys = || prop::collection::vec(scalar(), 0..8).prop_map(distinct);
        let values = || prop::collection::vec(inner.clone(), 8);
        let pairs = move || {
            (keys(), values())
                .prop_map(|(keys, values)| keys.into_iter().zip(values).collect::<Vec<_>>())
        };
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Frame::Array),
            prop::collection::vec(inner.clone(), 0..8).prop_map(Frame::Push),
            prop::collection::vec(scalar(), 0..8).prop_map(|items| Frame::Set(distinct(items))),
            pairs().prop_map(Frame::Map),
        ]
    })
}

fn decode_all(bytes: &[u8], piece_len: usize) -> Vec<Frame> {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece_len) {
        decoder.push(piece);
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    assert!(decoder.is_idle());
    frames
}

proptest! {
    #[test]
    fn the_decoder_reads_what_the_writer_wrote(frames in prop::collection::vec(frame(), 1..4), piece_len in 1usize..50) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| encoded(Protocol::Resp3, frame)).collect();
        prop_assert_eq!(&decode_all(&bytes, piece_len), &frames);
        prop_assert_eq!(&decode_all(&bytes, 1), &frames);
    }

    #[test]
    fn redis_protocol_reads_the_same_from_resp3(frame in frame()) {
        let bytes = encoded(Protocol::Resp3, &frame).freeze();
        let (peer, consumed) = redis_protocol::resp3::decode::complete::decode_bytes(&bytes).unwrap().unwrap();
        prop_assert_eq!(consumed, bytes.len());
        prop_assert_eq!(peer, peer3(&frame));
    }

    #[test]
    fn the_decoder_reads_what_redis_protocol_wrote(frame in frame(), piece_len in 1usize..50) {
        let mut bytes = BytesMut::new();
        redis_protocol::resp3::encode::complete::extend_encode(&mut bytes, &peer3(&frame), false).unwrap();
        let frames = decode_all(&bytes, piece_len);
        prop_assert_eq!(frames.len(), 1);
        prop_assert_eq!(peer3(&frames[0]), peer3(&frame));
    }

    #[test]
    fn resp2_is_read_as_the_lowered_reply(frame in frame()) {
        let bytes = encoded(Protocol::Resp2, &frame).freeze();
        let expected = lowered(&frame);
        prop_assert_eq!(decode_all(&bytes, 7), vec![expected.clone()]);
        // A bulk error is not of RESP2 and never written by us; the frame stands for itself in RESP3 only.
        if !bytes.contains(&b'!') {
            let (peer, consumed) = redis_protocol::resp2::decode::decode_bytes(&bytes).unwrap().unwrap();
            prop_assert_eq!(consumed, bytes.len());
            prop_assert_eq!(peer, peer2(&expected));
        }
    }

    #[test]
    fn doubles_read_back_exactly(bits in any::<u64>(), near in -1e20f64..1e20, power in -30i32..30) {
        for value in [f64::from_bits(bits), near, near.trunc(), near * 10f64.powi(power)] {
            let mut buffer = DoubleBuffer::new();
            let text = buffer.format(value);
            let back: f64 = text.parse().unwrap();
            prop_assert!(back == value || back.is_nan() && value.is_nan(), "{} became {}", value, text);
            prop_assert!(text.len() <= 25, "{}", text);
        }
    }
}
