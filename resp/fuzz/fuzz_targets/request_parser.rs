//! Any bytes, in any pieces: no panic, the same requests as when they arrive at once, and what we parsed can be encoded and parsed again.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use resp::{Limits, ProtocolError, Request, RequestParser, encode_command};

type Outcome = (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>);

// The first byte of the input chooses the length of the pieces, the second the limits.
fuzz_target!(|input: &[u8]| {
    let [piece_len, limits, bytes @ ..] = input else {
        return;
    };
    let limits = match limits % 3 {
        0 => Limits::default(),
        1 => Limits {
            authenticated: false,
            ..Limits::default()
        },
        _ => Limits {
            max_bulk_len: 100,
            max_args: 8,
            max_inline_len: 64,
            query_buffer_limit: 512,
            authenticated: true,
        },
    };
    let whole = parse(&limits, bytes, bytes.len().max(1));
    assert_eq!(parse(&limits, bytes, usize::from(*piece_len).max(1)), whole);

    let requests: Vec<_> = whole
        .0
        .into_iter()
        .filter(|args| !args.is_empty())
        .collect();
    let mut encoded = BytesMut::new();
    requests
        .iter()
        .for_each(|args| encode_command(args, &mut encoded));
    assert_eq!(
        parse(&Limits::default(), &encoded, encoded.len().max(1)),
        (requests, Ok(0))
    );
});

fn parse(limits: &Limits, bytes: &[u8], piece_len: usize) -> Outcome {
    let mut parser = RequestParser::new(limits.clone());
    let mut request = Request::new();
    let mut requests = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        let buf = &bytes[start..end];
        match parser.parse(buf, &mut request) {
            Ok(Some(consumed)) => {
                assert!((1..=buf.len()).contains(&consumed));
                requests.push(request.args(buf).into_iter().map(<[u8]>::to_vec).collect());
                start += consumed;
            }
            Ok(None) if end == bytes.len() => return (requests, Ok(end - start)),
            Ok(None) => {
                assert!(parser.needed(buf.len()) >= 1);
                end = (end + piece_len).min(bytes.len());
            }
            Err(error) => return (requests, Err(error)),
        }
    }
}
