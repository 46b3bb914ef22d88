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
use super::random::{command, text};
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
        // Writes the estimate into the key, which the next element that changes a register makes stale again.
        if number.is_multiple_of(80) {
            both(&[b"PFCOUNT", key]);
            both(&[b"GET", key]);
            both(&[b"PFADD", key, number.to_string().as_bytes()]);
            both(&[b"GET", key]);
        }
    }
    both(&[b"PFMERGE", b"merged", b"few", b"many"]);
    both(&[b"GET", b"merged"]);
    both(&[b"PFMERGE", b"few", b"few"]);
    for key in [b"few".as_slice(), b"many", b"merged"] {
        both(&[b"GET", key]);
        both(&[b"PEXPIREAT", key, b"4102444800123"]);
        both(&[b"PFCOUNT", key]);
        both(&[b"GET", key]);
        both(&[b"PFCOUNT", key]);
        both(&[b"DUMP", key]);
        both(&[b"PEXPIRETIME", key]);
    }
    // Of several keys, none is changed.
    both(&[b"PFADD", b"few", b"one more"]);
    both(&[b"PFCOUNT", b"few", b"many", b"none"]);
    both(&[b"GET", b"few"]);
    both(&[b"PFADD", b"empty"]);
    both(&[b"PFCOUNT", b"empty"]);
    both(&[b"GET", b"empty"]);
    both(&[b"PFCOUNT", b"none"]);
    both(&[b"SET", b"string", b"HYLL"]);
    both(&[b"PFCOUNT", b"string"]);
    both(&[b"RPUSH", b"list", b"a"]);
    both(&[b"PFCOUNT", b"list"]);
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
    if name.eq_ignore_ascii_case(b"SSCAN") || name.eq_ignore_ascii_case(b"HSCAN") {
        // A walk in several steps goes its own way.
        let goes_on = |reply: &str| reply.starts_with("[\"") && !reply.starts_with("[\"0\"");
        if goes_on(ours) || goes_on(theirs) {
            return true;
        }
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
    let case = (prop::sample::select(&[2_u32, 3][..]), commands);
    let checked = TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng()).run(
        &case,
        |(protocol, commands)| {
            let mut redis = redis.borrow_mut();
            redis.run(&[b"FLUSHALL"]);
            let dir = tempfile::tempdir().unwrap();
            let mut ours = Cluster::new(Mode::Direct, dir.path());
            ours.protocol = protocol;
            redis.run(&[b"HELLO", protocol.to_string().as_bytes()]);
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
    if let Err(TestError::Fail(difference, (protocol, commands))) = checked {
        let commands: Vec<String> = commands.iter().map(text).collect();
        panic!("RESP{protocol}: {difference}\n{}", commands.join("\n"));
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
