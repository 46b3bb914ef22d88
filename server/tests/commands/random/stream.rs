//! Commands of streams. Nothing that shows the time, nor which consumers there are: Redis 7.0 adds them later than 7.2.

use proptest::prelude::*;

use super::{Arguments, one_of, small};

/// Few and small, so that they meet; some are none.
fn id() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        8 => (0_u8..6, 0_u8..4).prop_map(|(ms, seq)| format!("{ms}-{seq}").into_bytes()),
        2 => (0_u8..6).prop_map(|ms| ms.to_string().into_bytes()),
        1 => one_of(&["0", "0-0", "18446744073709551615-18446744073709551615", "5-", "x", "", "-", "+", "(2-1"]),
    ]
    .boxed()
}

fn key() -> BoxedStrategy<Vec<u8>> {
    one_of(&["s", "s", "s", "t", "t", "a"]).boxed()
}

fn pairs() -> BoxedStrategy<Vec<Vec<u8>>> {
    let element = || {
        one_of(&[
            "f",
            "g",
            "h",
            "1",
            "-70000",
            "a longer value that is not a number",
        ])
    };
    prop_oneof![
        4 => element().prop_map(|value| vec![b"f".to_vec(), value]),
        2 => prop::collection::vec(element(), 1..6),
        1 => (0_usize..200).prop_map(|len| vec![b"f".to_vec(), vec![b'x'; len]]),
    ]
    .boxed()
}

fn command(parts: Vec<BoxedStrategy<Vec<u8>>>) -> BoxedStrategy<Arguments> {
    parts.boxed()
}

/// Options of XADD and XTRIM.
fn trim() -> BoxedStrategy<Vec<Vec<u8>>> {
    let threshold = prop_oneof![
        (one_of(&["MAXLEN", "maxlen"]), small()).prop_map(|(word, len)| (word, len)),
        (one_of(&["MINID"]), id()).prop_map(|(word, id)| (word, id)),
    ];
    let operator = prop::option::of(one_of(&["=", "~"]));
    let limit = prop::option::of((one_of(&["LIMIT"]), small()));
    (threshold, operator, limit)
        .prop_map(|((word, threshold), operator, limit)| {
            let limit = limit.into_iter().flat_map(|(word, number)| [word, number]);
            [word]
                .into_iter()
                .chain(operator)
                .chain([threshold])
                .chain(limit)
                .collect()
        })
        .boxed()
}

pub(super) fn stream_command() -> BoxedStrategy<Arguments> {
    let name = |words: &'static [&'static str]| one_of(words).boxed();
    let group = || one_of(&["g", "h"]).boxed();
    let consumer = || one_of(&["alice", "bob"]).boxed();
    let count = || small().boxed();
    let add = (
        key(),
        prop::option::of(trim()),
        prop::option::of(one_of(&["NOMKSTREAM"])),
        id(),
        pairs(),
    );
    let next = (key(), 0_u8..7, pairs());
    prop_oneof![
        6 => add.prop_map(|(key, trim, flag, id, pairs)| {
            let options = flag.into_iter().chain(trim.into_iter().flatten());
            let mut all = vec![b"XADD".to_vec(), key];
            all.extend(options);
            all.push(id);
            all.extend(pairs);
            all.resize(all.len().max(5), b"v".to_vec());
            all
        }),
        6 => next.prop_map(|(key, ms, pairs)| {
            let mut all = vec![b"XADD".to_vec(), key, format!("{ms}-*").into_bytes()];
            all.extend(pairs);
            all.resize(all.len().max(5), b"v".to_vec());
            all
        }),
        2 => (key(), trim()).prop_map(|(key, trim)| [vec![b"XTRIM".to_vec(), key], trim].concat()),
        2 => command(vec![name(&["XDEL"]), key(), id(), id()]),
        1 => command(vec![name(&["XLEN"]), key()]),
        3 => command(vec![name(&["XRANGE", "XREVRANGE"]), key(), id(), id()]),
        2 => command(vec![name(&["XRANGE", "XREVRANGE"]), key(), id(), id(), name(&["COUNT"]), count()]),
        2 => command(vec![name(&["XREAD"]), name(&["STREAMS"]), key(), key(), id(), id()]),
        1 => command(vec![name(&["XREAD"]), name(&["COUNT"]), count(), name(&["STREAMS"]), key(), id()]),
        2 => command(vec![name(&["XGROUP"]), name(&["CREATE"]), key(), group(), id(), name(&["MKSTREAM"])]),
        1 => command(vec![name(&["XGROUP"]), name(&["DESTROY"]), key(), group()]),
        1 => command(vec![name(&["XGROUP"]), name(&["DELCONSUMER"]), key(), group(), consumer()]),
        1 => command(vec![name(&["XGROUP"]), name(&["SETID"]), key(), group(), id()]),
        4 => command(vec![name(&["XREADGROUP"]), name(&["GROUP"]), group(), consumer(), name(&["STREAMS"]), key(), name(&[">"])]),
        2 => command(vec![
            name(&["XREADGROUP"]), name(&["GROUP"]), group(), consumer(), name(&["COUNT"]), count(), name(&["STREAMS"]), key(), id(),
        ]),
        2 => command(vec![name(&["XACK"]), key(), group(), id(), id()]),
        2 => command(vec![name(&["XPENDING"]), key(), group()]),
        2 => command(vec![name(&["XCLAIM"]), key(), group(), consumer(), name(&["0", "100000", "x"]), id(), name(&["JUSTID", "FORCE"])]),
        2 => command(vec![name(&["XAUTOCLAIM"]), key(), group(), consumer(), name(&["0", "100000"]), id(), name(&["COUNT"]), count()]),
        1 => command(vec![name(&["XINFO"]), name(&["STREAM"]), key()]),
    ]
    .boxed()
}
