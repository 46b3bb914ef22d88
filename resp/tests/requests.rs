//! Requests: what is read from which bytes, each error with its text, and that the way in which bytes arrive changes nothing.

use bytes::BytesMut;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use resp::{Limits, Request, RequestParser, encode_command};

type Args = Vec<Vec<u8>>;

/// All requests in `bytes`, and how the stream ended: the error's text, or how many bytes wait for more.
fn parse_all(limits: &Limits, bytes: &[u8]) -> (Vec<Args>, Result<usize, String>) {
    parse_in_pieces(limits, bytes, &[bytes.len()])
}

/// As a connection does it: bytes are appended piece by piece (the lengths are used in turn), requests are cut off the front.
fn parse_in_pieces(
    limits: &Limits,
    bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Args>, Result<usize, String>) {
    let mut parser = RequestParser::new(limits.clone());
    let mut request = Request::new();
    let mut buf: Vec<u8> = Vec::new();
    let mut requests = Vec::new();
    let mut rest = bytes;
    let mut pieces = pieces.iter().cycle();
    loop {
        loop {
            match parser.parse(&buf, &mut request) {
                Ok(Some(consumed)) => {
                    let args: Args = request.args(&buf).into_iter().map(<[u8]>::to_vec).collect();
                    assert_eq!(args.len(), request.len());
                    assert!(request.arg(&buf, args.len()).is_empty());
                    requests.push(args);
                    buf.drain(..consumed);
                }
                Ok(None) => break,
                Err(error) => return (requests, Err(error.to_string())),
            }
        }
        if rest.is_empty() {
            return (requests, Ok(buf.len()));
        }
        let needed = parser.needed(buf.len());
        assert!(needed >= 1);
        let (piece, tail) = rest.split_at((*pieces.next().unwrap()).clamp(1, rest.len()));
        buf.extend_from_slice(piece);
        rest = tail;
    }
}

fn one(bytes: &[u8]) -> Args {
    let (mut requests, end) = parse_all(&Limits::default(), bytes);
    assert_eq!(
        (requests.len(), end),
        (1, Ok(0)),
        "{:?}",
        bytes.escape_ascii().to_string()
    );
    requests.remove(0)
}

fn error(limits: &Limits, bytes: &[u8]) -> String {
    let (requests, end) = parse_all(limits, bytes);
    assert!(requests.is_empty());
    end.expect_err(&bytes.escape_ascii().to_string())
}

fn args(texts: &[&str]) -> Args {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn a_request_is_an_array_of_bulk_strings() {
    assert_eq!(one(b"*1\r\n$4\r\nPING\r\n"), args(&["PING"]));
    assert_eq!(
        one(b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\n\r\n*1\r\n$4\r\n!\0\r\n"),
        args(&["SET", "", "\r\n*1\r\n$4\r\n!\0"])
    );
    let long = "x".repeat(123_456);
    assert_eq!(
        one(format!("*2\r\n$4\r\nECHO\r\n$123456\r\n{long}\r\n").as_bytes()),
        args(&["ECHO", &long])
    );
}

#[test]
fn requests_follow_one_another_in_any_form() {
    let (requests, end) = parse_all(
        &Limits::default(),
        b"*1\r\n$4\r\nPING\r\nPING\r\n*0\r\n\r\n\n*-1\r\nGET k\n*2\r\n$3\r\nGET",
    );
    let expected = [
        args(&["PING"]),
        args(&["PING"]),
        args(&[]),
        args(&[]),
        args(&[]),
        args(&[]),
        args(&["GET", "k"]),
    ];
    assert_eq!(
        (requests.as_slice(), end),
        (&expected[..], Ok(b"*2\r\n$3\r\nGET".len()))
    );
}

#[test]
fn the_ends_of_lines_and_payloads_are_skipped_unread_as_redis_does() {
    assert_eq!(one(b"*1\rX$4\rXPINGXX"), args(&["PING"]));
}

#[test]
fn inline_requests_are_split_at_white_space() {
    for (line, expected) in [
        ("PING\r\n", &["PING"][..]),
        ("PING\n", &["PING"]),
        ("  SET \t key  value \r\n", &["SET", "key", "value"]),
        // The vertical tab and the form feed separate arguments, but do not end one.
        ("\x0b\x0cSET a\x0bb \x0c c\r\n", &["SET", "a\x0bb", "c"]),
        (" \t \r\n", &[]),
        ("$4\r\n", &["$4"]),
        ("GET a\\b\r\n", &["GET", "a\\b"]),
        ("GET a\rb\r\n", &["GET", "a", "b"]),
        ("GET k\r\r\n", &["GET", "k"]),
    ] {
        assert_eq!(one(line.as_bytes()), args(expected), "{line:?}");
    }
}

#[test]
fn inline_requests_may_be_quoted() {
    for (line, expected) in [
        (r#"SET "a b" 'c d'"#, &[&b"SET"[..], b"a b", b"c d"][..]),
        (r#""\x41\x7a\xFF\x0""#, &[b"Az\xffx0"]),
        (r#""\n\r\t\b\a\\\"\q""#, &[b"\n\r\t\x08\x07\\\"q"]),
        (r#"'\n \' \\ "'"#, &[br#"\n ' \\ ""#]),
        (r#""" '' x"#, &[b"", b"", b"x"]),
        (r#"pre"fix" in'fix'"#, &[b"prefix", b"infix"]),
        ("\"a\"\x0b\"b\"", &[b"a", b"b"]),
        (r#"a\ "b""#, &[br"a\", b"b"]),
    ] {
        let expected: Args = expected.iter().map(|arg| arg.to_vec()).collect();
        assert_eq!(one(format!("{line}\r\n").as_bytes()), expected, "{line}");
    }
}

#[test]
fn unbalanced_quotes_are_an_error() {
    for line in [
        r#"""#,
        r#"'"#,
        r#"GET "k"#,
        r#"GET 'k\'"#,
        r#"GET "k\""#,
        r#"GET "k"x"#,
        r#"GET 'k'x"#,
        r#"GET "k""v""#,
        r#"a"b"c"#,
    ] {
        assert_eq!(
            error(&Limits::default(), format!("{line}\r\n").as_bytes()),
            "Protocol error: unbalanced quotes in request",
            "{line}"
        );
    }
}

#[test]
fn malformed_headers_have_the_texts_of_redis() {
    for (bytes, text) in [
        ("*\r\n", "invalid multibulk length"),
        ("*a\r\n", "invalid multibulk length"),
        ("*01\r\n", "invalid multibulk length"),
        ("*+1\r\n", "invalid multibulk length"),
        ("* 1\r\n", "invalid multibulk length"),
        ("*1048577\r\n", "invalid multibulk length"),
        ("*3000000000\r\n", "invalid multibulk length"),
        ("*99999999999999999999999\r\n", "invalid multibulk length"),
        ("*1\r\nfoo\r\n", "expected '$', got 'f'"),
        ("*1\r\n\r\n", "expected '$', got '\r'"),
        ("*1\r\n*1\r\n", "expected '$', got '*'"),
        (
            "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n",
            "expected '$', got 'f'",
        ),
        ("*1\r\n$\r\n", "invalid bulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$-10\r\n", "invalid bulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("*1\r\n$2000000000\r\n", "invalid bulk length"),
        ("*1\r\n$9223372036854775808\r\n", "invalid bulk length"),
    ] {
        let (_, end) = parse_all(&Limits::default(), bytes.as_bytes());
        assert_eq!(end, Err(format!("Protocol error: {text}")), "{bytes:?}");
    }
}

#[test]
fn lines_without_an_end_are_refused_at_their_limit() {
    let limits = Limits::default();
    for (start, text) in [
        ("*", "too big mbulk count string"),
        ("*1\r\n$", "too big bulk count string"),
        ("*1\r\n", "too big bulk count string"),
        ("", "too big inline request"),
    ] {
        let within = format!(
            "{start}{}",
            "1".repeat(limits.max_inline_len - usize::from(start.ends_with(['*', '$'])))
        );
        assert_eq!(
            parse_all(&limits, within.as_bytes()).1,
            Ok(within.len()),
            "{text}"
        );
        assert_eq!(
            error(&limits, format!("{within}1").as_bytes()),
            format!("Protocol error: {text}")
        );
    }
    let longest = format!("{}\r\n", "x".repeat(limits.max_inline_len - 1));
    assert_eq!(one(longest.as_bytes()).len(), 1);
    assert_eq!(
        error(&limits, format!("xx{longest}").as_bytes()),
        "Protocol error: too big inline request"
    );
}

#[test]
fn limits_hold_at_their_edges() {
    let limits = Limits {
        max_bulk_len: 3,
        max_args: 2,
        query_buffer_limit: 64,
        ..Limits::default()
    };
    assert_eq!(
        parse_all(&limits, b"*2\r\n$3\r\nGET\r\n$3\r\nabc\r\n").1,
        Ok(0)
    );
    assert_eq!(
        error(&limits, b"*2\r\n$4\r\n"),
        "Protocol error: invalid bulk length"
    );
    assert_eq!(
        error(&limits, b"*3\r\n"),
        "Protocol error: invalid multibulk length"
    );
    let spaces = " ".repeat(60);
    assert_eq!(
        parse_all(&limits, format!("PING{spaces}").as_bytes()).1,
        Ok(64)
    );
    assert_eq!(
        error(&limits, format!("PING{spaces} ").as_bytes()),
        "Protocol error: query buffer limit exceeded"
    );
    // A request that is too big all the same when it has arrived as a whole; requests that are small may wait in any number.
    assert_eq!(
        error(&limits, format!("PING{spaces}\n").as_bytes()),
        "Protocol error: query buffer limit exceeded"
    );
    assert_eq!(
        parse_all(&limits, "PING\r\n".repeat(100).as_bytes())
            .0
            .len(),
        100
    );
}

#[test]
fn the_limit_of_inline_requests_is_not_one_of_headers() {
    let limits = Limits {
        max_inline_len: 1,
        ..Limits::default()
    };
    for piece in [1, 100] {
        assert_eq!(
            parse_in_pieces(&limits, b"*1\r\n$2\r\nab\r\n", &[piece]),
            (vec![args(&["ab"])], Ok(0))
        );
        assert_eq!(
            parse_in_pieces(&limits, b"ab\n", &[piece]).1,
            Err("Protocol error: too big inline request".to_owned())
        );
    }
}

#[test]
fn only_the_query_buffer_limit_closes_without_a_word() {
    let silent = |limits: Limits, bytes: &[u8]| {
        RequestParser::new(limits)
            .parse(bytes, &mut Request::new())
            .unwrap_err()
            .is_silent()
    };
    assert!(silent(
        Limits {
            query_buffer_limit: 3,
            ..Limits::default()
        },
        b"PING"
    ));
    assert!(!silent(Limits::default(), b"*x\r\n"));
}

#[test]
fn before_authentication_little_is_allowed() {
    let mut parser = RequestParser::new(Limits {
        authenticated: false,
        ..Limits::default()
    });
    let mut request = Request::new();
    let most = format!(
        "*10\r\n$16384\r\n{}\r\n{}",
        "x".repeat(16384),
        "$0\r\n\r\n".repeat(9)
    );
    assert_eq!(
        parser.parse(most.as_bytes(), &mut request),
        Ok(Some(most.len()))
    );
    assert_eq!(
        error(parser.limits(), b"*11\r\n"),
        "Protocol error: unauthenticated multibulk length"
    );
    assert_eq!(
        error(parser.limits(), b"*1\r\n$16385\r\n"),
        "Protocol error: unauthenticated bulk length"
    );
    parser.limits_mut().authenticated = true;
    assert_eq!(parser.parse(b"*11\r\n$16385\r\n", &mut request), Ok(None));
}

#[test]
fn what_is_needed_is_a_lower_bound() {
    let bytes = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";
    let mut parser = RequestParser::new(Limits::default());
    let mut request = Request::new();
    for len in 0..bytes.len() {
        assert_eq!(parser.parse(&bytes[..len], &mut request), Ok(None));
        assert!(
            (1..=bytes.len() - len).contains(&parser.needed(len)),
            "{len}"
        );
    }
    assert_eq!(parser.parse(bytes, &mut request), Ok(Some(bytes.len())));
    assert_eq!(parser.needed(0), 1);
}

/// Bytes that look like the protocol: far more of the parser is reached than with arbitrary ones.
fn protocol_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => prop::sample::select(vec!["*", "$", "\r\n", "\n", "\r", "*1\r\n", "*2\r\n", "$1\r\n", "$3\r\n", "*0\r\n", "*-1\r\n", "GET", "a", " ", "\"", "'", "\\", "\\x4", "-", "0", "1", "9"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5).prop_map(|args| encoded(&args)),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

fn encoded(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_command(args, &mut out);
    out.to_vec()
}

fn small_limits() -> impl Strategy<Value = Limits> {
    (
        1usize..40,
        1usize..6,
        1usize..40,
        prop_oneof![Just(1usize << 30), 1usize..80],
        any::<bool>(),
    )
        .prop_map(
            |(max_bulk_len, max_args, max_inline_len, query_buffer_limit, authenticated)| Limits {
                max_bulk_len,
                max_args,
                max_inline_len,
                query_buffer_limit,
                authenticated,
            },
        )
}

proptest! {
    #[test]
    fn what_a_client_encodes_is_what_is_parsed(
        requests in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20), 1..5),
        pieces in prop::collection::vec(1usize..200, 1..10),
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|args| encoded(args)).collect();
        prop_assert_eq!(parse_in_pieces(&Limits::default(), &bytes, &pieces), (requests, Ok(0)));
    }

    #[test]
    fn what_a_client_encodes_is_what_redis_protocol_decodes(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
        let bytes = encoded(&args);
        let (frame, consumed) = decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(consumed, bytes.len());
        prop_assert_eq!(frame, OwnedFrame::Array(args.into_iter().map(OwnedFrame::BulkString).collect()));
    }

    #[test]
    fn pieces_make_no_difference(bytes in protocol_like(), pieces in prop::collection::vec(1usize..20, 1..6)) {
        let whole = parse_all(&Limits::default(), &bytes);
        prop_assert_eq!(&parse_in_pieces(&Limits::default(), &bytes, &pieces), &whole);
        prop_assert_eq!(&parse_in_pieces(&Limits::default(), &bytes, &[1]), &whole);
    }

    #[test]
    fn pieces_make_no_difference_at_limits(limits in small_limits(), bytes in protocol_like(), pieces in prop::collection::vec(1usize..20, 1..6)) {
        let whole = parse_all(&limits, &bytes);
        prop_assert_eq!(&parse_in_pieces(&limits, &bytes, &pieces), &whole);
        prop_assert_eq!(&parse_in_pieces(&limits, &bytes, &[1]), &whole);
    }

    #[test]
    fn quoted_arguments_come_back(requests in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..10)) {
        let line = requests.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(one(format!("{line}\r\n").as_bytes()), requests);
    }
}

/// An argument in double quotes, as `redis-cli` shows it.
fn quoted(arg: &[u8]) -> String {
    let escaped: String = arg
        .iter()
        .map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            b'\t' => "\\t".to_owned(),
            0x07 => "\\a".to_owned(),
            0x08 => "\\b".to_owned(),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect();
    format!("\"{escaped}\"")
}
