//! OBJECT ENCODING at the thresholds of its directives, set while the server runs, and what DEBUG and INFO tell test suites.

use tests::process::{Client, Server};

/// A collection that is at a threshold, and one command that takes it beyond.
struct Case {
    /// A directive of an int or of bytes, and the value to set.
    directive: (&'static str, &'static str),
    /// Commands on the key `k` that end exactly at the threshold.
    at: &'static [&'static str],
    small: &'static str,
    /// The command that goes beyond it.
    beyond: &'static str,
    large: &'static str,
}

const CASES: &[Case] = &[
    Case {
        directive: ("hash-max-listpack-entries", "2"),
        at: &["HSET k a 1 b 2"],
        small: "listpack",
        beyond: "HSET k c 3",
        large: "hashtable",
    },
    Case {
        directive: ("hash-max-ziplist-value", "3"),
        at: &["HSET k abc 123"],
        small: "listpack",
        beyond: "HSET k abc 1234",
        large: "hashtable",
    },
    Case {
        directive: ("set-max-intset-entries", "3"),
        at: &["SADD k 1 2 3"],
        small: "intset",
        beyond: "SADD k 4",
        large: "hashtable",
    },
    Case {
        directive: ("set-max-listpack-entries", "3"),
        at: &["SADD k a b c"],
        small: "listpack",
        beyond: "SADD k d",
        large: "hashtable",
    },
    Case {
        directive: ("set-max-listpack-value", "3"),
        at: &["SADD k abc"],
        small: "listpack",
        beyond: "SADD k abcd",
        large: "hashtable",
    },
    Case {
        directive: ("zset-max-listpack-entries", "2"),
        at: &["ZADD k 1 a 2 b"],
        small: "listpack",
        beyond: "ZADD k 3 c",
        large: "skiplist",
    },
    Case {
        directive: ("zset-max-ziplist-value", "3"),
        at: &["ZADD k 1 abc"],
        small: "listpack",
        beyond: "ZADD k 1 abcd",
        large: "skiplist",
    },
    Case {
        directive: ("list-max-listpack-size", "3"),
        at: &["RPUSH k a b", "LPUSH k c"],
        small: "listpack",
        beyond: "RPUSH k d",
        large: "quicklist",
    },
];

/// Runs a command that is not to fail.
fn run(client: &mut Client, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let reply = client.call(&words).expect("a reply");
    let text = format!("{reply:?}");
    assert!(!reply.is_error(), "{line}: {text}");
    text
}

fn encoding(client: &mut Client) -> String {
    client.text(&["OBJECT", "ENCODING", "k"])
}

#[test]
fn encodings_change_at_the_thresholds_that_config_set_gives() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["--enable-debug-command", "yes"]);
    let mut client = server.client();
    for case in CASES {
        let (name, value) = case.directive;
        // Whatever the threshold, what is large stays so; a new key is judged by the new one.
        run(&mut client, "FLUSHALL");
        let reply = run(&mut client, &format!("CONFIG GET {name}"));
        let before = reply.split('"').nth(3).expect("a value").to_owned();
        run(&mut client, &format!("CONFIG SET {name} {value}"));
        for line in case.at {
            run(&mut client, line);
        }
        assert_eq!(encoding(&mut client), case.small, "{name} {value}");
        run(&mut client, "DEBUG RELOAD");
        assert_eq!(encoding(&mut client), case.small, "{name}, reloaded");
        run(&mut client, case.beyond);
        assert_eq!(encoding(&mut client), case.large, "{name} {value}, beyond");
        run(&mut client, "DEBUG RELOAD");
        assert_eq!(encoding(&mut client), case.large, "{name}, reloaded");
        run(&mut client, &format!("CONFIG SET {name} {before}"));
    }
}

#[test]
fn encodings_at_redis_own_thresholds() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    let members = |count: usize| (0..count).map(|n| format!(" m{n}")).collect::<String>();
    let pairs = |count: usize| (0..count).map(|n| format!(" {n} m{n}")).collect::<String>();
    let numbers = |count: usize| (0..count).map(|n| format!(" {n}")).collect::<String>();
    let (long, longer) = ("x".repeat(64), "x".repeat(65));
    for (line, expected) in [
        ("SET k 9223372036854775807".to_owned(), "int"),
        ("SET k 9223372036854775808".to_owned(), "embstr"),
        (format!("SET k {}", "x".repeat(44)), "embstr"),
        (format!("SET k {}", "x".repeat(45)), "raw"),
        (format!("SADD k{}", numbers(512)), "intset"),
        (format!("SADD k{}", numbers(513)), "hashtable"),
        (format!("SADD k{}", members(128)), "listpack"),
        (format!("SADD k{}", members(129)), "hashtable"),
        (format!("SADD k {long}"), "listpack"),
        (format!("SADD k {longer}"), "hashtable"),
        (format!("ZADD k{}", pairs(128)), "listpack"),
        (format!("ZADD k{}", pairs(129)), "skiplist"),
        (format!("ZADD k 1 {longer}"), "skiplist"),
        (format!("HSET k{}", pairs(512)), "listpack"),
        (format!("HSET k{}", pairs(513)), "hashtable"),
        (format!("HSET k f {longer}"), "hashtable"),
        (format!("RPUSH k {}", "x".repeat(8000)), "listpack"),
        (format!("RPUSH k {}", "x".repeat(8200)), "quicklist"),
        ("XADD k * f v".to_owned(), "stream"),
    ] {
        run(&mut client, "FLUSHALL");
        run(&mut client, &line);
        let shown = &line[..line.len().min(40)];
        assert_eq!(encoding(&mut client), expected, "{shown}");
    }
}

#[test]
fn debug_populates_and_reloads() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["--enable-debug-command", "yes"]);
    let mut client = server.client();
    run(&mut client, "SET p:1 mine");
    run(&mut client, "DEBUG POPULATE 20000 p 12");
    assert_eq!(client.text(&["DBSIZE"]), "20000");
    assert_eq!(client.text(&["GET", "p:1"]), "mine");
    assert_eq!(client.text(&["GET", "p:19999"]), "value:19999\0");
    assert_eq!(client.text(&["STRLEN", "p:2"]), "12");
    run(&mut client, "DEBUG POPULATE 2");
    assert_eq!(client.text(&["GET", "key:0"]), "value:0");
    let digest = run(&mut client, "DEBUG DIGEST");
    for options in ["", " NOSAVE", " MERGE NOFLUSH", " nosave noflush merge"] {
        run(&mut client, &format!("DEBUG RELOAD{options}"));
        assert_eq!(run(&mut client, "DEBUG DIGEST"), digest, "{options}");
    }
    for wrong in ["RELOAD FASTER", "POPULATE x", "POPULATE -1", "POPULATE"] {
        let words: Vec<&str> = ["DEBUG"].into_iter().chain(wrong.split(' ')).collect();
        assert!(client.call(&words).expect("a reply").is_error(), "{wrong}");
    }
}

/// Of two streams that differ in any one thing, the digests differ; times aside, a copy has the same.
#[test]
fn digests_of_streams_tell_what_is_in_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["--enable-debug-command", "yes"]);
    let mut client = server.client();
    let mut digests = Vec::new();
    for step in [
        "XADD k 1-1 f v",
        "XADD k 1-2 f v",
        "XADD k 1-3 g v",
        "XDEL k 1-3",
        "XSETID k 5-0",
        "XGROUP CREATE k g 0",
        "XGROUP SETID k g 1-1",
        "XREADGROUP GROUP g alice STREAMS k >",
        "XCLAIM k g alice 0 1-2",
        "XCLAIM k g bob 0 1-2",
        "XGROUP CREATE k h $",
        "EXPIRE k 1000",
    ] {
        run(&mut client, step);
        let digest = run(&mut client, "DEBUG DIGEST-VALUE k");
        assert!(!digests.contains(&digest), "{step} changed nothing");
        assert!(!digest.contains(&"0".repeat(40)), "{step}: {digest}");
        digests.push(digest);
    }
    let digest = digests.pop().expect("a digest");
    run(&mut client, "COPY k copy");
    assert_eq!(run(&mut client, "DEBUG DIGEST-VALUE copy"), digest);
    run(&mut client, "DEBUG RELOAD");
    assert_eq!(run(&mut client, "DEBUG DIGEST-VALUE k"), digest);
    run(&mut client, "XACK k g 1-2");
    assert_ne!(run(&mut client, "DEBUG DIGEST-VALUE k"), digest);
}

/// `rdb_changes_since_last_save` counts changes until SAVE, whatever checkpoints do meanwhile.
#[test]
fn changes_are_counted_until_they_are_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["--enable-debug-command", "yes"]);
    let mut client = server.client();
    let changes = |client: &mut Client| client.info("persistence", "rdb_changes_since_last_save");
    run(&mut client, "SAVE");
    assert_eq!(changes(&mut client), "0");
    for line in ["SET k v", "SETBIT b 0 0", "SETBIT b 0 0", "SETBIT b 0 1"] {
        run(&mut client, line);
    }
    assert_eq!(changes(&mut client), "3");
    run(&mut client, "DEBUG RELOAD");
    run(&mut client, "CONFIG RESETSTAT");
    assert_eq!(changes(&mut client), "3");
    run(&mut client, "SAVE");
    assert_eq!(changes(&mut client), "0");
}
