//! Values that travel between TinyKV and redis-server: DUMP on one, RESTORE on the other, both ways, and what is read then.

use resp::Frame;

use crate::cluster::{Cluster, Mode};
use crate::redis::Redis;

/// What reads a key's whole value, by TYPE.
fn reader(kind: &[u8]) -> &'static [&'static [u8]] {
    match kind {
        b"string" => &[b"GET"],
        b"list" => &[b"LRANGE", b"", b"0", b"-1"],
        b"set" => &[b"SMEMBERS"],
        b"zset" => &[b"ZRANGE", b"", b"0", b"-1", b"WITHSCORES"],
        b"hash" => &[b"HGETALL"],
        other => panic!("{}", other.escape_ascii()),
    }
}

/// The whole value of a key; sets and hashes in an order of their own.
fn value(mut run: impl FnMut(&[&[u8]]) -> Frame, key: &[u8]) -> Vec<Vec<u8>> {
    let kind = run(&[b"TYPE", key]).as_bytes().unwrap().to_vec();
    let mut args: Vec<&[u8]> = reader(&kind).to_vec();
    match args.get_mut(1) {
        Some(place) => *place = key,
        None => args.push(key),
    }
    let mut elements: Vec<Vec<u8>> = match run(&args) {
        Frame::Array(elements) => {
            let bytes = elements.iter().map(|element| element.as_bytes().unwrap());
            bytes.map(<[u8]>::to_vec).collect()
        }
        single => vec![single.as_bytes().unwrap().to_vec()],
    };
    match kind.as_slice() {
        b"set" => elements.sort(),
        b"hash" => {
            let mut pairs: Vec<Vec<Vec<u8>>> = elements.chunks(2).map(<[_]>::to_vec).collect();
            pairs.sort();
            elements = pairs.concat();
        }
        _ => {}
    }
    elements.push(kind);
    elements
}

/// Keys of every type and representation.
fn commands() -> Vec<Vec<Vec<u8>>> {
    let text = |words: &str| {
        words
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    };
    let mut commands: Vec<Vec<Vec<u8>>> = vec![
        text("SET string value"),
        text("RPUSH list a b c 1 -1 300 70000 9223372036854775807 1.5"),
        text("SADD numbers 3 1 2 -5"),
        text("SADD wide 3 100000 -5"),
        text("SADD widest 3 100000 9223372036854775807"),
        text("SADD set a b 1"),
        text("ZADD zset 1 one 2.5 two -inf least inf most 1e100 far 0.125 eighth 3 three"),
        text("HSET hash f v 1 2 empty -0"),
    ];
    let mut many = |start: &str, element: &dyn Fn(u32) -> Vec<Vec<u8>>| {
        let mut command: Vec<Vec<u8>> = text(start);
        (0..2000).for_each(|n| command.extend(element(n)));
        commands.push(command);
    };
    let word = |n: u32| format!("element number {n}").into_bytes();
    many("RPUSH long", &|n| vec![word(n)]);
    many("SADD large", &|n| vec![word(n)]);
    many("SADD more", &|n| vec![(n * 7).to_string().into_bytes()]);
    many("ZADD ranked", &|n| {
        vec![
            format!("{}", f64::from(n * 17 % 500) / 8.0).into_bytes(),
            word(n),
        ]
    });
    many("HSET fields", &|n| {
        vec![word(n), vec![b'v'; (n % 90) as usize]]
    });
    let big = |name: &str, key: &str| vec![name.into(), key.into(), vec![b'x'; 20_000]];
    commands.push(big("RPUSH", "giant"));
    commands.push(big("LPUSH", "list with a giant"));
    commands.push(big("RPUSH", "list with a giant"));
    commands
}

#[test]
fn payloads_travel_both_ways() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut ours = Cluster::new(Mode::Direct, dir.path());
    for command in commands() {
        let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let (here, there) = (ours.run(&args), redis.run(&args));
        assert_eq!(here, there, "{}", args[1].escape_ascii());
        let key = args[1];
        let expected = value(|args| redis.run(args), key);
        assert_eq!(value(|args| ours.run(args), key), expected);
        let (from_here, from_there) = (ours.run(&[b"DUMP", key]), redis.run(&[b"DUMP", key]));
        let (from_here, from_there) = (
            from_here.as_bytes().unwrap(),
            from_there.as_bytes().unwrap(),
        );
        // The same representation has the same bytes.
        if [
            &b"string"[..],
            b"list",
            b"numbers",
            b"wide",
            b"widest",
            b"zset",
            b"hash",
        ]
        .contains(&key)
        {
            assert_eq!(
                from_here.escape_ascii().to_string(),
                from_there.escape_ascii().to_string()
            );
        }
        let ok = Frame::Simple("OK".into());
        assert_eq!(
            redis.run(&[b"RESTORE", b"copy", b"0", from_here, b"REPLACE"]),
            ok
        );
        assert_eq!(value(|args| redis.run(args), b"copy"), expected);
        assert_eq!(
            ours.run(&[b"RESTORE", b"copy", b"0", from_there, b"REPLACE"]),
            ok
        );
        assert_eq!(value(|args| ours.run(args), b"copy"), expected);
        let encodings = [&b"copy"[..], key].map(|key| ours.run(&[b"OBJECT", b"ENCODING", key]));
        assert_eq!(encodings[0], encodings[1], "{}", key.escape_ascii());
    }
}

/// Streams and their groups, made on both and taken from each to the other.
#[test]
fn streams_travel_both_ways() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut ours = Cluster::new(Mode::Direct, dir.path());
    let mut commands: Vec<String> = (1..=250)
        .map(|n| match n % 50 {
            0 => format!("XADD s {n}-1 other {n} more -1"),
            _ => format!("XADD s {n}-1 field {n}"),
        })
        .collect();
    let more = [
        "XDEL s 7-1 200-1",
        "XTRIM s MAXLEN = 240",
        "XADD t 1-1 f v",
        "XADD t 1-2 f 5",
        "XGROUP CREATE empty g 0 MKSTREAM",
        "XGROUP CREATE s g 20 ENTRIESREAD 20",
        "XGROUP CREATE s h $",
        "XREADGROUP GROUP g alice COUNT 5 STREAMS s >",
        "XREADGROUP GROUP g bob COUNT 2 STREAMS s >",
        "XACK s g 22-1",
        "XSETID s 300-5 ENTRIESADDED 400 MAXDELETEDID 230-0",
    ];
    commands.extend(more.map(str::to_owned));
    let run = |command: &str, on: &mut dyn FnMut(&[&[u8]]) -> Frame| {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        on(&words)
    };
    for command in &commands {
        let expected = run(command, &mut |args| redis.run(args));
        assert_eq!(
            run(command, &mut |args| ours.run(args)),
            expected,
            "{command}"
        );
    }
    let ok = Frame::Simple("OK".into());
    for key in ["s", "t", "empty"] {
        let from_here = ours.run(&[b"DUMP", key.as_bytes()]);
        let from_there = redis.run(&[b"DUMP", key.as_bytes()]);
        if key != "s" {
            // No consumers: nothing tells when they were seen.
            assert_eq!(from_here, from_there, "{key}");
        }
        let (here, there) = (
            from_here.as_bytes().unwrap(),
            from_there.as_bytes().unwrap(),
        );
        let args = |payload| [&b"RESTORE"[..], b"copy", b"0", payload, b"REPLACE"];
        assert_eq!(redis.run(&args(here)), ok, "{key}");
        assert_eq!(ours.run(&args(there)), ok, "{key}");
        for question in [
            "XRANGE KEY - +",
            "XINFO GROUPS KEY",
            "XPENDING KEY g",
            "XPENDING KEY g (20 + 10 bob",
            "XREADGROUP GROUP g alice STREAMS KEY 0",
            "XREADGROUP GROUP g carol STREAMS KEY >",
            "XADD KEY 301-* f v",
            "XTRIM KEY MAXLEN 3",
        ] {
            if key == "t" && question.contains(" g") {
                continue;
            }
            let ask = |on: &mut dyn FnMut(&[&[u8]]) -> Frame| {
                let reply = run(&question.replace("KEY", "copy"), on);
                // How long entries have been idle differs.
                match reply {
                    Frame::Array(entries) if question.contains("bob") => {
                        Frame::Integer(entries.len() as i64)
                    }
                    reply => reply,
                }
            };
            let expected = ask(&mut |args| redis.run(args));
            assert_eq!(ask(&mut |args| ours.run(args)), expected, "{question}");
        }
    }
}

#[test]
fn fields_take_their_expiries_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut ours = Cluster::new(Mode::Direct, dir.path());
    for count in [3u32, 300] {
        let mut command: Vec<Vec<u8>> = vec![b"HSET".to_vec(), b"h".to_vec()];
        for n in 0..count {
            command.extend([
                format!("field {n}").into_bytes(),
                n.to_string().into_bytes(),
            ]);
        }
        ours.run(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (field, at) in [
            (&b"field 1"[..], &b"32503680000000"[..]),
            (b"field 2", b"32503680000999"),
        ] {
            ours.run(&[b"HPEXPIREAT", b"h", at, b"FIELDS", b"1", field]);
        }
        let payload = ours.run(&[b"DUMP", b"h"]);
        let payload = payload.as_bytes().unwrap();
        let reply = ours.run(&[b"RESTORE", b"copy", b"0", payload, b"REPLACE"]);
        assert_eq!(reply, Frame::Simple("OK".into()));
        assert_eq!(
            value(|args| ours.run(args), b"copy"),
            value(|args| ours.run(args), b"h")
        );
        let fields: [&[u8]; 3] = [b"field 0", b"field 1", b"field 2"];
        for key in [&b"h"[..], b"copy"] {
            let times =
                ours.run(&[&[&b"HPEXPIRETIME"[..], key, b"FIELDS", b"3"], &fields[..]].concat());
            let expected = [-1, 32_503_680_000_000, 32_503_680_000_999].map(Frame::Integer);
            assert_eq!(times, Frame::Array(expected.to_vec()));
        }
        ours.run(&[b"DEL", b"h", b"copy"]);
    }
}

/// What redis-server 2.4 to 6.2 wrote, from the dumps that come with Redis's own tests: type byte and value, in hexadecimal.
#[test]
fn old_representations_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut ours = Cluster::new(Mode::Direct, dir.path());
    let payload = |body: &[u8]| {
        let mut payload = [body, &9u16.to_le_bytes()].concat();
        let checksum = storage::rdb::checksum(&payload);
        payload.extend_from_slice(&checksum.to_le_bytes());
        payload
    };
    // Ziplist of a, 2: in a list, a quicklist, a sorted set, a hash.
    let ziplist = b"\x10\0\0\0\x0d\0\0\0\x02\0\0\x01a\x03\xf3\xff";
    let string = [&[ziplist.len() as u8][..], ziplist].concat();
    let cases: [(Vec<u8>, &[&[u8]]); 7] = [
        ([&[10][..], &string].concat(), &[b"a", b"2", b"list"]),
        ([&[14, 1][..], &string].concat(), &[b"a", b"2", b"list"]),
        ([&[12][..], &string].concat(), &[b"a", b"2", b"zset"]),
        ([&[13][..], &string].concat(), &[b"a", b"2", b"hash"]),
        (
            b"\x09\x08\x01\x01f\x02\0vw\xff".to_vec(),
            &[b"f", b"vw", b"hash"],
        ),
        (b"\x01\x02\x01x\x01y".to_vec(), &[b"x", b"y", b"list"]),
        (b"\x03\x01\x01m\x031.5".to_vec(), &[b"m", b"1.5", b"zset"]),
    ];
    for (body, expected) in cases {
        let reply = ours.run(&[b"RESTORE", b"k", b"0", &payload(&body), b"REPLACE"]);
        assert_eq!(reply, Frame::Simple("OK".into()), "{body:02x?}");
        assert_eq!(value(|args| ours.run(args), b"k"), expected);
    }
    let refused: [&[u8]; 6] = [
        b"\x02\x00",
        b"\x02\x02\x01a\x01a",
        b"\x04\x01\x01f",
        b"\x05\x01\x01m\0\0\0\0\0\0\xf8\x7f",
        b"\x02\x80\xff\xff\xff\xff",
        b"\x63",
    ];
    for body in refused {
        let reply = ours.run(&[b"RESTORE", b"k", b"0", &payload(body), b"REPLACE"]);
        assert_eq!(
            reply,
            Frame::Error("ERR Bad data format".into()),
            "{body:02x?}"
        );
    }
}
