//! Random commands whose arguments are often right, often nearly right, and sometimes anything.

mod collections;
mod geo;
mod stream;
mod zset;

use proptest::prelude::*;

use collections::{hash_command, list_command, set_command, sort_command};
use geo::geo_command;
use stream::stream_command;
use zset::zset_command;

/// A command: its name and its arguments.
pub(crate) type Arguments = Vec<Vec<u8>>;

/// A command to read.
pub(crate) fn text(command: &Arguments) -> String {
    let args: Vec<String> = command
        .iter()
        .map(|arg| arg.escape_ascii().to_string())
        .collect();
    args.join(" ")
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> + Clone {
    prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec())
}

fn key() -> impl Strategy<Value = Vec<u8>> + Clone {
    one_of(&["a", "b", "c", "d"])
}

/// Values, and arguments where a number is expected.
fn value() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        4 => (-100_i64..100).prop_map(|number| number.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        2 => (any::<i32>(), 0_u32..20).prop_map(|(number, decimals)| {
            format!("{}", f64::from(number) / 10_f64.powi(decimals as i32)).into_bytes()
        }),
        1 => (any::<i32>(), -40_i32..40).prop_map(|(number, power)| format!("{number}e{power}").into_bytes()),
        2 => prop::collection::vec(any::<u8>(), 0..60),
        1 => one_of(&[
            "", "0", "-0", "+1", "1 ", " 1", "007", "inf", "-inf", "nan", "0x1f", "1e400", "1.", ".5", "1.5.", "abc",
            "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        ]),
    ]
}

pub(super) fn small() -> impl Strategy<Value = Vec<u8>> + Clone {
    (-20_i64..40).prop_map(|number| number.to_string().into_bytes())
}

/// Words that are options somewhere. Times are so far away or so long ago that both servers agree about them.
fn option() -> impl Strategy<Value = Vec<u8>> + Clone {
    one_of(&[
        "NX",
        "XX",
        "GET",
        "KEEPTTL",
        "PERSIST",
        "PXAT",
        "EXAT",
        "32503680000000",
        "32503680000",
        "REPLACE",
        "DB",
        "1",
        "GT",
        "LT",
        "LEN",
        "IDX",
        "MINMATCHLEN",
        "WITHMATCHLEN",
        "nx",
        "bogus",
        "ABSTTL",
        "COUNT",
        "100",
        "MATCH",
    ])
}

/// BITFIELD with a few subcommands, of which some are wrong.
fn bitfield() -> BoxedStrategy<Arguments> {
    let width = one_of(&[
        "u1", "i1", "u7", "i8", "u12", "i33", "u63", "i64", "u64", "#1",
    ]);
    let offset = prop_oneof![small(), one_of(&["#0", "#1", "#3", "x"])];
    let step = (
        one_of(&["GET", "SET", "incrby", "OVERFLOW"]),
        one_of(&["WRAP", "SAT", "FAIL"]),
        width,
        offset,
        value(),
    )
        .prop_map(|(word, overflow, width, offset, value)| match &word[..] {
            b"OVERFLOW" => vec![word, overflow],
            b"GET" => vec![word, width, offset],
            _ => vec![word, width, offset, value],
        });
    (key(), prop::collection::vec(step, 0..5))
        .prop_map(|(key, steps)| [vec![b"BITFIELD".to_vec(), key], steps.concat()].concat())
        .boxed()
}

/// A command of enough arguments for its arity. Not DBSIZE: Redis removes an expired key when a read meets it, we do not. Nor
/// OBJECT REFCOUNT: a copy of a shared integer is not shared.
pub(crate) fn command() -> impl Strategy<Value = Arguments> {
    let plain = |name: &'static str, rest: Vec<BoxedStrategy<Vec<u8>>>| {
        rest.prop_map(move |rest| [vec![name.as_bytes().to_vec()], rest].concat())
            .boxed()
    };
    let with_options = |name: &'static str, rest: Vec<BoxedStrategy<Vec<u8>>>| {
        (rest, prop::collection::vec(option(), 0..4))
            .prop_map(move |(rest, options)| {
                [vec![name.as_bytes().to_vec()], rest, options].concat()
            })
            .boxed()
    };
    let (k, v, n) = (|| key().boxed(), || value().boxed(), || small().boxed());
    let time = || {
        one_of(&[
            "32503680000000",
            "32503680000",
            "0",
            "-1",
            "5",
            "abc",
            "9223372036854775807",
        ])
        .boxed()
    };
    let bit = || one_of(&["0", "1"]).boxed();
    let unit = || one_of(&["BYTE", "BIT"]).boxed();
    let db = || one_of(&["0", "1", "15", "16", "-1", "x", "3000000000"]).boxed();
    prop::strategy::Union::new([
        with_options("SET", vec![k(), v()]),
        with_options("GETEX", vec![k()]),
        with_options("COPY", vec![k(), k()]),
        with_options("LCS", vec![k(), k()]),
        with_options("EXPIREAT", vec![k(), time()]),
        with_options("PEXPIREAT", vec![k(), time()]),
        with_options("RESTORE", vec![k(), time(), v()]),
        plain("SETNX", vec![k(), v()]),
        plain("GET", vec![k()]),
        plain("GETSET", vec![k(), v()]),
        plain("GETDEL", vec![k()]),
        plain("MGET", vec![k(), k(), k()]),
        plain("MSET", vec![k(), v(), k(), v()]),
        plain("MSET", vec![k(), v(), k()]),
        plain("MSETNX", vec![k(), v(), k(), v()]),
        plain("APPEND", vec![k(), v()]),
        plain("STRLEN", vec![k()]),
        plain("INCR", vec![k()]),
        plain("DECR", vec![k()]),
        plain("INCRBY", vec![k(), v()]),
        plain("DECRBY", vec![k(), v()]),
        plain("INCRBYFLOAT", vec![k(), v()]),
        plain("INCRBYFLOAT", vec![k(), v()]),
        plain("GETRANGE", vec![k(), n(), n()]),
        plain("SETRANGE", vec![k(), n(), v()]),
        plain("SETBIT", vec![k(), n(), one_of(&["0", "1", "2"]).boxed()]),
        plain("GETBIT", vec![k(), n()]),
        plain("BITCOUNT", vec![k()]),
        plain("BITCOUNT", vec![k(), n(), n(), unit()]),
        plain("BITPOS", vec![k(), bit()]),
        plain("BITPOS", vec![k(), bit(), n()]),
        plain("BITPOS", vec![k(), bit(), n(), n(), unit()]),
        plain(
            "BITOP",
            vec![one_of(&["AND", "or", "XOR"]).boxed(), k(), k(), k()],
        ),
        plain("BITOP", vec![one_of(&["NOT"]).boxed(), k(), k()]),
        bitfield(),
        plain("PFADD", vec![k(), v(), v()]),
        plain("PFMERGE", vec![k(), k()]),
        hash_command(),
        set_command(),
        zset_command(),
        geo_command(),
        stream_command(),
        list_command(),
        sort_command(),
        plain("DEL", vec![k(), k()]),
        plain("EXISTS", vec![k(), k()]),
        plain("TYPE", vec![k()]),
        plain("TOUCH", vec![k()]),
        plain("PEXPIRETIME", vec![k()]),
        plain("EXPIRETIME", vec![k()]),
        plain("PERSIST", vec![k()]),
        plain("RENAME", vec![k(), k()]),
        plain("RENAMENX", vec![k(), k()]),
        plain("MOVE", vec![k(), db()]),
        plain("SWAPDB", vec![db(), db()]),
        plain("DUMP", vec![k()]),
        plain("OBJECT", vec![Just(b"ENCODING".to_vec()).boxed(), k()]),
    ])
}
