//! The protocol: requests to arguments, values to replies, replies to frames.
//!
//! The rows of `request/*` justify the request path of our own: `resp` slices the read buffer into arguments, `redis_protocol` builds a
//! frame of the same bytes (`range`: of offsets, the least that it can do; `frame`: with owned views, which is what a server would use).

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use redis_protocol::resp2::decode::{decode_bytes_mut, decode_range};
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;
use resp::{FrameDecoder, Limits, Protocol, Request, RequestParser, Writer, encode_command};
use std::hint::black_box;

const PIPELINE: usize = 16;
const VALUE: &[u8] = &[b'x'; 64];

fn encoded(args: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_command(args, &mut out);
    out.to_vec()
}

fn requests(c: &mut Criterion) {
    let mset: Vec<&[u8]> = std::iter::once(&b"MSET"[..])
        .chain(
            [&b"key:000000012345"[..], VALUE]
                .into_iter()
                .cycle()
                .take(20),
        )
        .collect();
    let shapes = [
        ("get", encoded(&[b"GET", b"key:000000012345"])),
        ("set", encoded(&[b"SET", b"key:000000012345", VALUE])),
        ("mset10", encoded(&mset)),
        (
            "set_16kb",
            encoded(&[b"SET", b"key:000000012345", &[b'x'; 16 * 1024]]),
        ),
        ("inline", b"PING\r\n".to_vec()),
    ];
    let mut group = c.benchmark_group("request");
    for (name, one) in shapes {
        let bytes = one.repeat(PIPELINE);
        group.throughput(Throughput::Elements(PIPELINE as u64));
        group.bench_with_input(BenchmarkId::new("resp", name), &bytes, |b, bytes| {
            let mut parser = RequestParser::new(Limits::default());
            let mut request = Request::new();
            b.iter(|| {
                let mut rest = &bytes[..];
                while let Some(consumed) = parser
                    .parse(black_box(rest), &mut request)
                    .expect("well-formed")
                {
                    for arg in request.iter(rest) {
                        black_box(arg);
                    }
                    rest = &rest[consumed..];
                }
            });
        });
        if name == "inline" {
            continue;
        }
        group.bench_with_input(
            BenchmarkId::new("redis_protocol_range", name),
            &bytes,
            |b, bytes| {
                b.iter(|| {
                    let mut rest = &bytes[..];
                    while let Some((frame, consumed)) =
                        decode_range(black_box(rest)).expect("well-formed")
                    {
                        black_box(frame);
                        rest = &rest[consumed..];
                    }
                });
            },
        );
        group.bench_with_input(
            BenchmarkId::new("redis_protocol_frame", name),
            &bytes,
            |b, bytes| {
                let mut buf = BytesMut::new();
                b.iter(|| {
                    buf.extend_from_slice(bytes);
                    while let Some((frame, ..)) =
                        decode_bytes_mut(black_box(&mut buf)).expect("well-formed")
                    {
                        black_box(frame);
                    }
                });
            },
        );
    }
    group.finish();
}

fn replies(c: &mut Criterion) {
    let mut group = c.benchmark_group("reply");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let mut out = BytesMut::with_capacity(64 * 1024);
    let mut bench = |name: &str, protocol: Protocol, write: fn(&mut Writer<'_>)| {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                let mut writer = Writer::new(&mut out, protocol);
                for _ in 0..PIPELINE {
                    write(black_box(&mut writer));
                }
            });
        });
    };
    bench("ok", Protocol::Resp2, |w| w.ok());
    bench("integer", Protocol::Resp2, |w| {
        w.integer(black_box(123_456))
    });
    bench("bulk_64", Protocol::Resp2, |w| w.bulk(black_box(VALUE)));
    bench("double", Protocol::Resp3, |w| w.double(black_box(12.345)));
    bench("double_whole", Protocol::Resp3, |w| {
        w.double(black_box(12345.0))
    });
    bench("error", Protocol::Resp2, |w| {
        w.error(black_box(
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ))
    });
    let value = BytesFrame::BulkString(Bytes::from_static(VALUE));
    group.bench_function("bulk_64_redis_protocol", |b| {
        let mut out = BytesMut::with_capacity(64 * 1024);
        b.iter(|| {
            out.clear();
            for _ in 0..PIPELINE {
                extend_encode(&mut out, black_box(&value), false).expect("encodable");
            }
        });
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut bytes = BytesMut::new();
    let mut writer = Writer::new(&mut bytes, Protocol::Resp3);
    writer.array(PIPELINE);
    (0..PIPELINE).for_each(|_| writer.bulk(VALUE));
    let mut group = c.benchmark_group("frame");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    group.bench_function("array_of_16_bulks", |b| {
        let mut decoder = FrameDecoder::new();
        b.iter(|| {
            decoder.push(black_box(&bytes));
            black_box(decoder.next_frame().expect("well-formed"));
        });
    });
    group.finish();
}

criterion_group!(benches, requests, replies, frames);
criterion_main!(benches);
