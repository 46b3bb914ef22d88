//! The same commands on redis-server, if one is installed: replies must be equal.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use resp::{Frame, FrameDecoder, encode_command};

use server::commands::glob;

use super::cluster::{Cluster, Mode};
use super::golden::{name, scripts, words};
use super::show::show;

/// A redis-server of our own on a free port, and a connection to it.
pub(crate) struct Redis {
    process: Child,
    stream: TcpStream,
    decoder: FrameDecoder,
}

impl Redis {
    /// None without redis-server on this machine.
    pub(crate) fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .inspect_err(|_| {
                let required = std::env::var_os("TINYKV_COMPARE").is_some();
                assert!(
                    !required,
                    "TINYKV_COMPARE is set, and there is no redis-server"
                );
                eprintln!("no redis-server here: nothing to compare with");
            })
            .ok()?;
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "redis-server does not start");
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        Some(Self {
            process,
            stream,
            decoder: FrameDecoder::new(),
        })
    }

    pub(crate) fn run(&mut self, args: &[&[u8]]) -> Frame {
        let mut bytes = bytes::BytesMut::new();
        encode_command(args, &mut bytes);
        self.stream.write_all(&bytes).unwrap();
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let len = self.stream.read(&mut buffer).unwrap();
            assert!(len > 0, "redis-server closed the connection");
            self.decoder.push(&buffer[..len]);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Every script that does not direct time, block by block.
#[test]
fn scripts_answer_as_redis_does() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let mut differences = Vec::new();
    for path in scripts() {
        let script = std::fs::read_to_string(&path).unwrap();
        if name(&path).starts_with("memory_")
            || script.contains("\nadvance")
            || script.contains("\nclock")
        {
            continue;
        }
        redis.run(&[b"FLUSHALL"]);
        redis.run(&[b"SELECT", b"0"]);
        redis.run(&[b"HELLO", b"2"]);
        // What the blocks put out: commands with replies, and directives, in their order.
        let mut output = false;
        for line in script.lines() {
            match line {
                "---" => output = true,
                "" => output = false,
                _ if !output => {}
                line => differences.extend(
                    compare(&mut redis, line)
                        .map(|difference| format!("{}: {difference}", name(&path))),
                ),
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Element by element from the first to far beyond what the sparse encoding holds, and merged: the same bytes.
#[test]
fn hyperloglogs_are_redis_s_byte_for_byte() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::new(Mode::Direct, dir.path());
    let mut both = |args: &[&[u8]]| {
        let (ours, theirs) = (cluster.run(args), redis.run(args));
        let command = args
            .iter()
            .take(3)
            .map(|arg| arg.escape_ascii().to_string());
        assert_eq!(
            show(&ours),
            show(&theirs),
            "{:?}",
            command.collect::<Vec<_>>()
        );
    };
    for number in 0..4000_u32 {
        let key: &[u8] = if number.is_multiple_of(3) {
            b"few"
        } else {
            b"many"
        };
        both(&[b"PFADD", key, number.to_string().as_bytes()]);
        if number.is_multiple_of(50) {
            both(&[b"GET", key]);
        }
    }
    both(&[b"PFMERGE", b"merged", b"few", b"many"]);
    both(&[b"GET", b"merged"]);
    both(&[b"PFMERGE", b"few", b"few"]);
    for key in [b"few".as_slice(), b"many", b"merged"] {
        both(&[b"GET", key]);
        both(&[b"PFCOUNT", key]);
    }
    both(&[b"PFCOUNT", b"few", b"many", b"none"]);
}

/// Commands whose replies have no order that means anything.
const UNORDERED: [&str; 13] = [
    "ZSCAN",
    "ZRANDMEMBER",
    "HGETALL",
    "HKEYS",
    "HVALS",
    "HSCAN",
    "HRANDFIELD",
    "SMEMBERS",
    "SINTER",
    "SUNION",
    "SDIFF",
    "SSCAN",
    "SRANDMEMBER",
];

/// Whether two shown replies to a command mean the same. Small sets are listpacks since Redis 7.2; the redis-server that we
/// compare with may be older.
fn same(args: &[&[u8]], ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    let Some(name) = args.first() else {
        return false;
    };
    if name.eq_ignore_ascii_case(b"DUMP") {
        // Only strings are dumped the same whatever came before; their type is 0.
        return !theirs.starts_with("\"\\x00");
    }
    if theirs.starts_with("(ERR wrong number of arguments for 'z") {
        // ZRANK and ZREVRANK have an option since Redis 7.2.
        return name.ends_with(b"RANK") && args.len() > 3;
    }
    if name.eq_ignore_ascii_case(b"OBJECT") {
        return ours == "\"listpack\"" && matches!(theirs, "\"hashtable\"" | "\"quicklist\"");
    }
    let popped = name.eq_ignore_ascii_case(b"SPOP") && args.len() > 2;
    if !popped
        && !UNORDERED
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
    {
        return false;
    }
    let elements = |reply: &str| {
        let inner = |reply: &str| {
            reply
                .replace("set[", "<")
                .replace(['[', '{'], "<")
                .replace([']', '}'], ">")
                .replace("\": \"", "\", \"")
        };
        let mut elements: Vec<String> = inner(reply)
            .split(", ")
            .map(|element| element.trim_matches(['<', '>']).to_owned())
            .collect();
        elements.sort();
        (reply.chars().next(), elements)
    };
    elements(ours) == elements(theirs)
}

/// Runs a line of a script's output on Redis; answers how the reply differs.
fn compare(redis: &mut Redis, line: &str) -> Option<String> {
    let Some((command, expected)) = line.split_once(" → ") else {
        let (word, number) = line.split_once(' ')?;
        assert!(matches!(word, "select" | "hello"), "{line}");
        redis.run(&[word.as_bytes(), number.as_bytes()]);
        return None;
    };
    let args = words(command).unwrap();
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let reply = show(&redis.run(&args));
    (!same(&args, expected, &reply))
        .then(|| format!("{command}\n  ours:  {expected}\n  redis: {reply}"))
}

/// Commands of one test case; they share few keys, so that they meet.
const COMMANDS_PER_CASE: usize = 60;
const CASES: u32 = 150;

type Arguments = Vec<Vec<u8>>;

/// Sequences of commands whose arguments are often right, often nearly right, and sometimes anything.
#[test]
fn random_commands_answer_as_redis_does() {
    let Some(redis) = Redis::start().map(RefCell::new) else {
        return;
    };
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let commands = prop::collection::vec(command(), 1..COMMANDS_PER_CASE);
    let checked = TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng()).run(
        &commands,
        |commands| {
            let mut redis = redis.borrow_mut();
            redis.run(&[b"FLUSHALL"]);
            let dir = tempfile::tempdir().unwrap();
            let mut ours = Cluster::new(Mode::Direct, dir.path());
            for command in &commands {
                let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                let (ours, theirs) = (show(&ours.run(&args)), show(&redis.run(&args)));
                if !same(&args, &ours, &theirs) {
                    prop_assert_eq!(ours, theirs, "{}", text(command));
                }
            }
            Ok(())
        },
    );
    if let Err(TestError::Fail(difference, commands)) = checked {
        let commands: Vec<String> = commands.iter().map(text).collect();
        panic!("{difference}\n{}", commands.join("\n"));
    }
}

/// Patterns of KEYS, on texts of the same few letters.
#[test]
fn random_patterns_match_as_redis_does() {
    let Some(redis) = Redis::start().map(RefCell::new) else {
        return;
    };
    let config = Config {
        cases: 10 * CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let letters =
        |letters: &'static [u8], len| prop::collection::vec(prop::sample::select(letters), len);
    let case = (letters(b"ab[]^-\\*?", 0..12), letters(b"abc]^-\\", 0..8));
    let mut runner = TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng());
    let checked = runner.run(&case, |(pattern, key)| {
        let mut redis = redis.borrow_mut();
        redis.run(&[b"FLUSHALL"]);
        redis.run(&[b"SET", &key, b"v"]);
        let found = redis.run(&[b"KEYS", &pattern]);
        let theirs = found.as_slice().is_some_and(|keys| !keys.is_empty());
        prop_assert_eq!(
            glob::matches(&pattern, &key),
            theirs,
            "{} {}",
            text(&vec![pattern]),
            text(&vec![key])
        );
        Ok(())
    });
    if let Err(TestError::Fail(difference, _)) = checked {
        panic!("{difference}");
    }
}

fn text(command: &Arguments) -> String {
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

fn small() -> impl Strategy<Value = Vec<u8>> + Clone {
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

/// Few, so that they meet; some too long for a flat collection.
fn element() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => one_of(&["f", "g", "1", "2", "-3", "70000", "", "05"]),
        2 => (0_u8..40).prop_map(|number| number.to_string().into_bytes()),
        1 => value(),
        1 => (60_usize..70).prop_map(|len| vec![b'x'; len]),
    ]
    .boxed()
}

/// A command of a few elements.
fn with_elements(
    name: &'static str,
    arguments: Vec<BoxedStrategy<Vec<u8>>>,
    least: usize,
) -> BoxedStrategy<Arguments> {
    (arguments, prop::collection::vec(element(), least..6))
        .prop_map(move |(arguments, elements)| {
            [vec![name.as_bytes().to_vec()], arguments, elements].concat()
        })
        .boxed()
}

/// Draws only where there is no choice.
fn hash_command() -> BoxedStrategy<Arguments> {
    let (k, f) = (|| key().boxed(), element);
    let count = || one_of(&["0", "1000", "9223372036854775807", "-0", "x"]).boxed();
    let option = || option().boxed();
    prop_oneof![
        4 => with_elements("HSET", vec![k(), f(), f()], 0),
        1 => with_elements("HMSET", vec![k(), f(), f()], 0),
        1 => with_elements("HSETNX", vec![k(), f(), f()], 0).prop_map(|mut args| { args.truncate(4); args }),
        1 => with_elements("HGET", vec![k(), f()], 0).prop_map(|mut args| { args.truncate(3); args }),
        1 => with_elements("HMGET", vec![k()], 1),
        2 => with_elements("HDEL", vec![k()], 1),
        1 => with_elements("HINCRBY", vec![k(), f(), value().boxed()], 0).prop_map(|mut args| { args.truncate(4); args }),
        1 => with_elements("HINCRBYFLOAT", vec![k(), f(), value().boxed()], 0).prop_map(|mut args| { args.truncate(4); args }),
        1 => with_elements("HEXISTS", vec![k(), f()], 0).prop_map(|mut args| { args.truncate(3); args }),
        1 => with_elements("HSTRLEN", vec![k(), f()], 0).prop_map(|mut args| { args.truncate(3); args }),
        2 => one_of(&["HGETALL", "HKEYS", "HVALS", "HLEN"]).prop_flat_map(|name| key().prop_map(move |key| vec![name.clone(), key])),
        1 => (k(), count(), prop::collection::vec(option(), 0..3))
            .prop_map(|(key, count, options)| [vec![b"HRANDFIELD".to_vec(), key, count], options].concat()),
        1 => (k(), count()).prop_map(|(key, count)| vec![b"HRANDFIELD".to_vec(), key, count, b"WITHVALUES".to_vec()]),
        1 => (k(), prop::collection::vec(option(), 0..4))
            .prop_map(|(key, options)| [vec![b"HSCAN".to_vec(), key, b"0".to_vec()], options].concat()),
    ]
    .boxed()
}

/// Draws only where there is no choice.
fn set_command() -> BoxedStrategy<Arguments> {
    let (k, m) = (|| key().boxed(), element);
    let count = || one_of(&["0", "1000", "9223372036854775807", "x"]).boxed();
    let keys = |least| prop::collection::vec(key(), least..7);
    let stored = one_of(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
    prop_oneof![
        4 => with_elements("SADD", vec![k()], 1),
        2 => with_elements("SREM", vec![k()], 1),
        1 => with_elements("SMISMEMBER", vec![k()], 1),
        1 => (k(), m()).prop_map(|(key, member)| vec![b"SISMEMBER".to_vec(), key, member]),
        1 => (k(), k(), m()).prop_map(|(from, to, member)| vec![b"SMOVE".to_vec(), from, to, member]),
        2 => one_of(&["SMEMBERS", "SCARD"]).prop_flat_map(|name| key().prop_map(move |key| vec![name.clone(), key])),
        1 => (one_of(&["SPOP", "SRANDMEMBER"]), k(), count()).prop_map(|(name, key, count)| vec![name, key, count]),
        2 => (one_of(&["SINTER", "SUNION", "SDIFF"]), keys(1)).prop_map(|(name, keys)| [vec![name], keys].concat()),
        2 => (stored, keys(2)).prop_map(|(name, keys)| [vec![name], keys].concat()),
        1 => (small(), keys(1), prop::collection::vec(prop_oneof![one_of(&["LIMIT", "limit"]), small()], 0..3))
            .prop_map(|(count, keys, options)| [vec![b"SINTERCARD".to_vec(), count], keys, options].concat()),
        1 => (keys(2), small()).prop_map(|(keys, limit)| {
            let count = keys.len().to_string().into_bytes();
            [vec![b"SINTERCARD".to_vec(), count], keys, vec![b"LIMIT".to_vec(), limit]].concat()
        }),
        1 => (k(), prop::collection::vec(option().boxed(), 0..4))
            .prop_map(|(key, options)| [vec![b"SSCAN".to_vec(), key, b"0".to_vec()], options].concat()),
    ]
    .boxed()
}

/// Words and patterns; those that are made of elements may be the other keys. Not ALPHA with BY: where weights are the same, Redis
/// answers in any order.
fn sort_command() -> BoxedStrategy<Arguments> {
    let pattern = one_of(&[
        "*", "x*", "*->f", "*->1", "a*->", "#", "nosort", "?*", "*x->",
    ])
    .boxed();
    let word = |words: &'static [&'static str]| one_of(words).prop_map(|word| vec![word]).boxed();
    let with_pattern = |name: &'static str| {
        pattern
            .clone()
            .prop_map(move |pattern| vec![name.as_bytes().to_vec(), pattern])
            .boxed()
    };
    let limit = (small(), small()).prop_map(|(start, count)| vec![b"LIMIT".to_vec(), start, count]);
    let order = prop_oneof![
        2 => word(&["ALPHA", "alpha"]),
        1 => with_pattern("BY"),
        1 => Just(Vec::new()),
    ];
    let option = prop_oneof![
        2 => word(&["ASC", "DESC", "desc"]),
        2 => limit,
        2 => with_pattern("GET"),
        1 => (key()).prop_map(|key| vec![b"STORE".to_vec(), key]),
        1 => word(&["LIMIT", "bogus", "1"]),
    ];
    let name = one_of(&["SORT", "SORT", "SORT", "SORT_RO"]);
    (name, key(), order, prop::collection::vec(option, 0..4))
        .prop_map(|(name, key, order, options)| [vec![name, key], order, options.concat()].concat())
        .boxed()
}

fn list_command() -> BoxedStrategy<Arguments> {
    let (k, e) = (|| key().boxed(), element);
    let end = || one_of(&["LEFT", "RIGHT", "left", "MIDDLE"]).boxed();
    let index = || prop_oneof![4 => small(), 1 => value()].boxed();
    let name = |names: &'static [&'static str]| one_of(names).boxed();
    let all = |parts: Vec<BoxedStrategy<Vec<u8>>>| parts.boxed();
    prop_oneof![
        6 => (name(&["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"]), k(), prop::collection::vec(e(), 1..8))
            .prop_map(|(name, key, elements)| [vec![name, key], elements].concat()),
        2 => all(vec![name(&["LPOP", "RPOP"]), k()]),
        1 => all(vec![name(&["LPOP", "RPOP"]), k(), index()]),
        2 => all(vec![name(&["LRANGE", "LTRIM"]), k(), index(), index()]),
        2 => all(vec![name(&["LINDEX"]), k(), index()]),
        1 => all(vec![name(&["LLEN"]), k()]),
        2 => all(vec![name(&["LSET"]), k(), index(), e()]),
        2 => all(vec![name(&["LINSERT"]), k(), name(&["BEFORE", "AFTER", "x"]), e(), e()]),
        2 => all(vec![name(&["LREM"]), k(), index(), e()]),
        2 => (k(), e(), prop::collection::vec((name(&["RANK", "COUNT", "MAXLEN", "x"]), index()), 0..4))
            .prop_map(|(key, element, options)| {
                let options = options.into_iter().flat_map(|(name, value)| [name, value]);
                [vec![b"LPOS".to_vec(), key, element], options.collect()].concat()
            }),
        2 => all(vec![name(&["LMOVE"]), k(), k(), end(), end()]),
        1 => all(vec![name(&["RPOPLPUSH"]), k(), k()]),
        1 => all(vec![name(&["LMPOP"]), small().boxed(), k(), k(), end()]),
        1 => all(vec![name(&["LMPOP"]), name(&["2"]), k(), k(), end(), name(&["COUNT"]), index()]),
    ]
    .boxed()
}

/// Scores whose texts are the same in all versions of Redis, and ends of ranges.
fn score() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        8 => (-40_i32..40).prop_map(|quarters| (f64::from(quarters) / 4.0).to_string().into_bytes()),
        2 => one_of(&["inf", "-inf", "+inf", "0", "-0", "1e3", "0x1f", "1e20"]),
        1 => one_of(&["", " 1", "1 ", "nan", "x", "1e400", "1e-400", "(1", "(", "(inf"]),
    ]
    .boxed()
}

fn score_end() -> BoxedStrategy<Vec<u8>> {
    (one_of(&["", "", "("]), score())
        .prop_map(|(open, score)| [open, score].concat())
        .boxed()
}

fn member_end() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => (one_of(&["[", "("]), element()).prop_map(|(open, member)| [open, member].concat()),
        2 => one_of(&["-", "+"]),
        1 => element(),
    ]
    .boxed()
}

/// Members with scores.
fn scored(least: usize) -> impl Strategy<Value = Arguments> {
    prop::collection::vec((score(), element()), least..6)
        .prop_map(|pairs| pairs.into_iter().flat_map(<[Vec<u8>; 2]>::from).collect())
}

/// Ranges of every kind. Those by members only of sorted sets whose scores are equal: otherwise Redis gives anything.
fn zset_range() -> BoxedStrategy<Arguments> {
    let options = || {
        let limit =
            (small(), small()).prop_map(|(offset, count)| vec![b"LIMIT".to_vec(), offset, count]);
        let word = one_of(&["WITHSCORES", "REV", "bogus", "LIMIT"]).prop_map(|word| vec![word]);
        prop::collection::vec(prop_oneof![limit, word], 0..3).prop_map(|options| options.concat())
    };
    let by = |name: &'static str,
              key: BoxedStrategy<Vec<u8>>,
              end: BoxedStrategy<Vec<u8>>,
              by: &'static [&'static str]| {
        (key, end.clone(), end, options()).prop_map(move |(key, min, max, options)| {
            let by = by.iter().map(|word| word.as_bytes().to_vec()).collect();
            [vec![name.as_bytes().to_vec(), key, min, max], by, options].concat()
        })
    };
    let (k, flat) = (
        || key().boxed(),
        || one_of(&["lex", "lex", "lex", "none"]).boxed(),
    );
    let ranks = || small().boxed();
    prop_oneof![
        by("ZRANGE", k(), ranks(), &[]),
        by("ZREVRANGE", k(), ranks(), &[]),
        by("ZRANGE", k(), score_end(), &["BYSCORE"]),
        by("ZRANGE", k(), score_end(), &["BYSCORE", "REV"]),
        by("ZRANGEBYSCORE", k(), score_end(), &[]),
        by("ZREVRANGEBYSCORE", k(), score_end(), &[]),
        by("ZRANGE", flat(), member_end(), &["BYLEX"]),
        by("ZRANGEBYLEX", flat(), member_end(), &[]),
        by("ZREVRANGEBYLEX", flat(), member_end(), &[]),
        (k(), by("ZRANGESTORE", k(), score_end(), &["BYSCORE"])).prop_map(|(to, mut args)| {
            args.insert(1, to);
            args
        }),
        (k(), by("ZRANGESTORE", k(), ranks(), &[])).prop_map(|(to, mut args)| {
            args.insert(1, to);
            args
        }),
    ]
    .boxed()
}

fn zset_algebra() -> BoxedStrategy<Arguments> {
    let keys = prop::collection::vec(key(), 1..5);
    let options = |count: usize| {
        let weights = prop::collection::vec(score(), count)
            .prop_map(|weights| [vec![b"WEIGHTS".to_vec()], weights].concat());
        let aggregate =
            one_of(&["SUM", "min", "MAX", "x"]).prop_map(|word| vec![b"AGGREGATE".to_vec(), word]);
        let other = prop_oneof![one_of(&["WITHSCORES", "LIMIT", "bogus"]), small()]
            .prop_map(|word| vec![word]);
        prop::collection::vec(prop_oneof![weights, aggregate, other], 0..3)
            .prop_map(|options| options.concat())
    };
    let numkeys = |count: usize| {
        prop_oneof![
            9 => Just(count.to_string().into_bytes()),
            1 => small(),
        ]
    };
    let stored = one_of(&["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"]);
    let read = one_of(&["ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD"]);
    (read, stored, any::<bool>(), key(), keys)
        .prop_flat_map(move |(read, stored, stores, to, keys)| {
            let head = if stores { vec![stored, to] } else { vec![read] };
            (
                Just(head),
                numkeys(keys.len()),
                options(keys.len()),
                Just(keys),
            )
        })
        .prop_map(|(head, count, options, keys)| [head, vec![count], keys, options].concat())
        .boxed()
}

/// Draws only where there is no choice.
fn zset_command() -> BoxedStrategy<Arguments> {
    let (k, m) = (|| key().boxed(), element);
    let flags = prop::collection::vec(one_of(&["NX", "XX", "GT", "LT", "CH", "INCR", "ch"]), 0..3);
    let count = || one_of(&["0", "1000", "9223372036854775807", "x"]).boxed();
    let named = |name: &'static str, rest: Vec<BoxedStrategy<Vec<u8>>>| {
        rest.prop_map(move |rest| [vec![name.as_bytes().to_vec()], rest].concat())
            .boxed()
    };
    prop_oneof![
        4 => (k(), scored(1)).prop_map(|(key, pairs)| [vec![b"ZADD".to_vec(), key], pairs].concat()),
        2 => (k(), flags, scored(1))
            .prop_map(|(key, flags, pairs)| [vec![b"ZADD".to_vec(), key], flags, pairs].concat()),
        2 => with_elements("ZADD", vec![Just(b"lex".to_vec()).boxed(), Just(b"0".to_vec()).boxed(), m()], 0)
            .prop_map(|mut args| { args.truncate(4); args }),
        2 => named("ZINCRBY", vec![k(), score(), m()]),
        2 => with_elements("ZREM", vec![k()], 1),
        1 => with_elements("ZMSCORE", vec![k()], 1),
        1 => one_of(&["ZSCORE", "ZRANK", "ZREVRANK"]).prop_flat_map(move |name| (key(), element()).prop_map(move |(key, member)| vec![name.clone(), key, member])),
        1 => named("ZCARD", vec![k()]),
        1 => named("ZCOUNT", vec![k(), score_end(), score_end()]),
        1 => named("ZLEXCOUNT", vec![Just(b"lex".to_vec()).boxed(), member_end(), member_end()]),
        1 => named("ZREMRANGEBYRANK", vec![k(), small().boxed(), small().boxed()]),
        1 => named("ZREMRANGEBYSCORE", vec![k(), score_end(), score_end()]),
        1 => named("ZREMRANGEBYLEX", vec![Just(b"lex".to_vec()).boxed(), member_end(), member_end()]),
        1 => (one_of(&["ZPOPMIN", "ZPOPMAX"]), k(), prop::collection::vec(small(), 0..2))
            .prop_map(|(name, key, count)| [vec![name, key], count].concat()),
        1 => (small(), prop::collection::vec(key(), 1..4), one_of(&["MIN", "max", "x"]), prop::collection::vec(prop_oneof![one_of(&["COUNT"]), small()], 0..3))
            .prop_map(|(count, keys, end, options)| [vec![b"ZMPOP".to_vec(), count], keys, vec![end], options].concat()),
        1 => (prop::collection::vec(key(), 1..4), one_of(&["MIN", "max"]), small())
            .prop_map(|(keys, end, count)| {
                let numkeys = keys.len().to_string().into_bytes();
                [vec![b"ZMPOP".to_vec(), numkeys], keys, vec![end, b"COUNT".to_vec(), count]].concat()
            }),
        1 => named("ZRANDMEMBER", vec![k(), count()]),
        1 => (k(), prop::collection::vec(option().boxed(), 0..4))
            .prop_map(|(key, options)| [vec![b"ZSCAN".to_vec(), key, b"0".to_vec()], options].concat()),
        8 => zset_range(),
        5 => zset_algebra(),
    ]
    .boxed()
}

/// Anywhere, often close together, sometimes nowhere.
fn place() -> BoxedStrategy<[Vec<u8>; 2]> {
    let bytes = |(longitude, latitude): (f64, f64)| {
        [longitude, latitude].map(|coordinate| coordinate.to_string().into_bytes())
    };
    prop_oneof![
        6 => ((-180_f64..180.0), (-85.05_f64..85.05)).prop_map(bytes),
        6 => ((13_f64..16.0), (36_f64..39.0)).prop_map(bytes),
        3 => ((-180_i32..=180), (-85_i32..=85)).prop_map(move |(x, y)| bytes((x.into(), y.into()))),
        1 => (score(), score()).prop_map(<[Vec<u8>; 2]>::from),
    ]
    .boxed()
}

/// Radius, width or height.
fn size() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => (0_f64..7.5).prop_map(|power| 10_f64.powf(power).to_string().into_bytes()),
        2 => (0_i32..25_000).prop_map(|size| size.to_string().into_bytes()),
        1 => score(),
    ]
    .boxed()
}

/// Keys of their own: other commands would show distances with more digits than all versions of Redis agree about.
fn geo_command() -> BoxedStrategy<Arguments> {
    let k = || one_of(&["geo", "geo", "geo", "geo2", "a"]);
    let m = || one_of(&["p", "q", "r", "s", "t", "u"]);
    let unit = || one_of(&["m", "m", "KM", "ft", "mi", "x"]);
    let add = (
        k(),
        prop::collection::vec(one_of(&["NX", "XX", "CH"]), 0..2),
        prop::collection::vec((place(), m()), 1..8),
    )
        .prop_map(|(key, flags, places)| {
            let places = places
                .into_iter()
                .flat_map(|([x, y], member)| [x, y, member])
                .collect();
            [vec![b"GEOADD".to_vec(), key], flags, places].concat()
        });
    let members = (
        one_of(&["GEOPOS", "GEOHASH"]),
        k(),
        prop::collection::vec(m(), 0..4),
    )
        .prop_map(|(name, key, members)| [vec![name, key], members].concat());
    let dist =
        (k(), m(), m(), prop::collection::vec(unit(), 0..2)).prop_map(|(key, from, to, unit)| {
            [vec![b"GEODIST".to_vec(), key, from, to], unit].concat()
        });
    let option = prop_oneof![
        6 => one_of(&["WITHCOORD", "withdist", "WITHHASH", "ASC", "desc", "ANY"]).prop_map(|word| vec![word]),
        2 => small().prop_map(|count| vec![b"COUNT".to_vec(), count]),
        1 => one_of(&["COUNT", "STOREDIST", "x"]).prop_map(|word| vec![word]),
        1 => (one_of(&["STORE", "STOREDIST"])).prop_map(|word| vec![word, b"geo3".to_vec()]),
    ];
    let options = prop::collection::vec(option, 0..4)
        .prop_map(|options| options.concat())
        .boxed();
    let from = prop_oneof![
        4 => place().prop_map(|[x, y]| vec![b"FROMLONLAT".to_vec(), x, y]),
        2 => m().prop_map(|member| vec![b"FROMMEMBER".to_vec(), member]),
    ];
    let by = prop_oneof![
        (size(), unit()).prop_map(|(radius, unit)| vec![b"BYRADIUS".to_vec(), radius, unit]),
        (size(), size(), unit()).prop_map(|(width, height, unit)| vec![
            b"BYBOX".to_vec(),
            width,
            height,
            unit
        ]),
    ];
    let search = (any::<bool>(), k(), from, by, options.clone()).prop_map(
        |(stores, key, from, by, options)| {
            let head = match stores {
                true => vec![b"GEOSEARCHSTORE".to_vec(), b"geo3".to_vec(), key],
                false => vec![b"GEOSEARCH".to_vec(), key],
            };
            [head, from, by, options].concat()
        },
    );
    let radius = (
        one_of(&["GEORADIUS", "GEORADIUS_RO"]),
        k(),
        place(),
        size(),
        unit(),
        options.clone(),
    )
        .prop_map(|(name, key, [x, y], size, unit, options)| {
            [vec![name, key, x, y, size, unit], options].concat()
        });
    let by_member = (
        one_of(&["GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"]),
        k(),
        m(),
        size(),
        unit(),
        options,
    )
        .prop_map(|(name, key, member, size, unit, options)| {
            [vec![name, key, member, size, unit], options].concat()
        });
    prop_oneof![
        4 => add,
        1 => members,
        1 => dist,
        4 => search.prop_filter("enough arguments", |args| args.len() > 7),
        2 => radius,
        2 => by_member,
        1 => Just(["ZRANGE", "geo3", "0", "-1"].map(|word| word.as_bytes().to_vec()).to_vec()),
    ]
    .boxed()
}

/// A command of enough arguments for its arity. Not DBSIZE: Redis removes an expired key when a read meets it, we do not. Nor
/// OBJECT REFCOUNT: a copy of a shared integer is not shared.
fn command() -> impl Strategy<Value = Arguments> {
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
