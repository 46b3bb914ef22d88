//! What a peer can make us allocate: nothing for what it announces, nothing at all for ordinary requests, and a bounded multiple of what it sends.
#![expect(unsafe_code, reason = "a counting allocator can only be written so")]

use bytes::BytesMut;
use resp::{FrameDecoder, Limits, Protocol, Request, RequestParser, Writer, encode_command};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a thread's own and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that `run` allocated on this thread, those that it freed included.
fn allocated_by(run: impl FnOnce()) -> usize {
    let before = ALLOCATED_BYTES.with(Cell::get);
    run();
    ALLOCATED_BYTES.with(Cell::get) - before
}

#[test]
fn announcements_reserve_nothing() {
    for header in [
        "*1048576\r\n",
        "*1048576\r\n$536870912\r\n",
        "*1\r\n$536870912\r\nx",
        "*2\r\n$3\r\nSET\r\n$536870912\r\nx",
    ] {
        let allocated = allocated_by(|| {
            let mut parser = RequestParser::new(Limits::default());
            assert_eq!(
                parser.parse(header.as_bytes(), &mut Request::new()),
                Ok(None)
            );
        });
        assert!(allocated < 256, "{header:?}: {allocated} bytes");
    }
    for header in [
        "*9223372036854775807\r\n",
        "%1048576\r\n",
        "$536870912\r\nx",
        "~1048576\r\n*1048576\r\n*1048576\r\n",
    ] {
        let allocated = allocated_by(|| {
            let mut decoder = FrameDecoder::new();
            decoder.push(header.as_bytes());
            assert_eq!(decoder.next_frame(), Ok(None));
        });
        assert!(allocated < 32 * 1024, "{header:?}: {allocated} bytes");
    }
}

#[test]
fn ordinary_requests_and_replies_allocate_nothing() {
    let mut bytes = BytesMut::new();
    encode_command(&["SET", "key:000000000001", "value"], &mut bytes);
    bytes.extend_from_slice(b"SET \"a b\" 'c'\r\n");
    encode_command(&["x"; 300], &mut bytes);
    let mut parser = RequestParser::new(Limits::default());
    let mut request = Request::new();
    let mut out = BytesMut::with_capacity(64 * 1024);
    let mut serve = |out: &mut BytesMut| {
        let mut rest = &bytes[..];
        while let Some(consumed) = parser.parse(rest, &mut request).unwrap() {
            let mut writer = Writer::new(out, Protocol::Resp3);
            writer.array(request.len());
            request.iter(rest).for_each(|arg| writer.bulk(arg));
            writer.integer(-12);
            writer.double(0.1);
            writer.error("ERR no");
            rest = &rest[consumed..];
        }
        out.clear();
    };
    serve(&mut out);
    assert_eq!(allocated_by(|| (0..100).for_each(|_| serve(&mut out))), 0);
}

#[test]
fn a_million_tiny_arguments_cost_a_multiple_of_their_bytes() {
    let count = 1024 * 1024;
    let bytes = format!("*{count}\r\n{}", "$0\r\n\r\n".repeat(count)).into_bytes();
    let mut parser = RequestParser::new(Limits::default());
    let allocated = allocated_by(|| {
        let mut request = Request::new();
        // As from a socket: the buffer grows by 16 KB.
        for len in (0..bytes.len()).step_by(16 * 1024) {
            assert_eq!(parser.parse(&bytes[..len], &mut request), Ok(None));
        }
        assert_eq!(parser.parse(&bytes, &mut request), Ok(Some(bytes.len())));
        assert_eq!(request.len(), count);
    });
    // 16 bytes a span; growing by doubling allocates twice that in all, and up to twice again for the room left over.
    assert!(
        allocated <= 4 * 16 * count,
        "{allocated} bytes for {} received",
        bytes.len()
    );
}
