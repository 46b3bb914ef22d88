//! RDB files between TinyKV and redis-server, as processes.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tests::process::{Client, Server, until};

/// A redis-server with its data in a directory, killed when dropped.
struct Redis(Child, u16);

impl Redis {
    /// None without redis-server on this machine.
    fn start(dir: &Path) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", ""])
            .args(["--port", &port.to_string()])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .inspect_err(|_| eprintln!("no redis-server here: nothing to exchange files with"))
            .ok()?;
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "redis-server does not start");
        Some(Self(process, port))
    }

    fn client(&self) -> Client {
        Client::connect(self.1).expect("it accepts connections")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keys of every type, small and large, in two databases, some of which expire.
fn fill(client: &mut Client) {
    for db in ["0", "5"] {
        run(client, &["SELECT", db]);
        run(client, &["SET", "string", "value", "PXAT", "4102444800123"]);
        run(client, &["SET", "number", "-12345"]);
        run(client, &["SET", "long", &"abcdefgh".repeat(300_000)]);
        run(client, &["RPUSH", "list", "a", "1", "-70000", "b"]);
        run(client, &["SADD", "numbers", "1", "2", "70000"]);
        run(client, &["SADD", "set", "a", "b"]);
        run(client, &["ZADD", "zset", "1.5", "a", "-inf", "b", "3", "c"]);
        run(client, &["HSET", "hash", "f", "v", "g", "1"]);
        run(client, &["PEXPIREAT", "hash", "4102444800999"]);
        run(client, &["PFADD", "sparse", "a", "b", "c"]);
        run(client, &["GEOADD", "places", "13.36", "38.11", "Palermo"]);
        run(client, &["SETBIT", "bits", "7001", "1"]);
        fill_stream(client);
    }
    let visitors: Vec<String> = (0..5_000).map(|n| format!("visitor {n}")).collect();
    let visitors: Vec<&str> = visitors.iter().map(String::as_str).collect();
    run(client, &[&["PFADD", "dense"], &visitors[..]].concat());
    let members: Vec<String> = (0..30_000)
        .map(|n| format!("member number {n} of a large one, which takes some room"))
        .collect();
    for chunk in members.chunks(1000) {
        let mut elements: Vec<&str> = chunk.iter().map(String::as_str).collect();
        run(client, &[&["RPUSH", "large list"], &elements[..]].concat());
        run(client, &[&["SADD", "large set"], &elements[..]].concat());
        run(client, &[&["HSET", "large hash"], &elements[..]].concat());
        for nth in (0..elements.len()).rev() {
            elements.insert(nth, if nth % 2 == 0 { "0.25" } else { "17" });
        }
        run(client, &[&["ZADD", "large zset"], &elements[..]].concat());
    }
    run(client, &["PEXPIREAT", "large set", "4102444800555"]);
}

/// Entries in several nodes, some of them deleted, and two groups, of which one has entries that were not acknowledged.
fn fill_stream(client: &mut Client) {
    for n in 1..=250 {
        let (id, n) = (format!("{n}-1"), n.to_string());
        run(
            client,
            &["XADD", "stream", &id, "number", &n, "more", "text"],
        );
    }
    run(client, &["XDEL", "stream", "3-1", "250-1"]);
    run(client, &["XGROUP", "CREATE", "stream", "readers", "0"]);
    run(client, &["XGROUP", "CREATE", "stream", "idle", "$"]);
    for (consumer, count) in [("alice", "3"), ("bob", "2")] {
        let words = [
            "GROUP", "readers", consumer, "COUNT", count, "STREAMS", "stream", ">",
        ];
        run(client, &[&["XREADGROUP"], &words[..]].concat());
    }
    run(client, &["XACK", "stream", "readers", "1-1"]);
}

fn run(client: &mut Client, args: &[&str]) -> String {
    let reply = client
        .call(args)
        .unwrap_or_else(|error| panic!("{:?}: {error}", &args[..args.len().min(3)]));
    let reply = format!("{reply:?}");
    assert!(!reply.starts_with("Error"), "{args:?}: {reply}");
    reply
}

/// Everything that there is, in an order that does not depend on the server.
fn everything(client: &mut Client) -> Vec<String> {
    let mut all = Vec::new();
    for db in ["0", "5"] {
        run(client, &["SELECT", db]);
        all.push(run(client, &["DBSIZE"]));
        for key in ["string", "hash", "large set", "list"] {
            all.push(run(client, &["PEXPIRETIME", key]));
        }
        // As they are, estimates that PFCOUNT would keep in them included.
        for key in ["string", "number", "long", "sparse", "dense", "bits"] {
            all.push(run(client, &["GET", key]));
        }
        all.push(run(client, &["GEOPOS", "places", "Palermo"]));
        all.push(run(client, &["XRANGE", "stream", "-", "+"]));
        all.push(run(client, &["XINFO", "GROUPS", "stream"]));
        all.push(run(client, &["XPENDING", "stream", "readers"]));
        let stream = run(client, &["XINFO", "STREAM", "stream"]);
        // How many nodes there are is the server's own business.
        all.push(stream.split("last-generated-id").skip(1).collect());
        for key in ["list", "large list"] {
            all.push(run(client, &["LRANGE", key, "0", "-1"]));
        }
        for key in ["numbers", "set", "large set"] {
            all.push(run(client, &["SORT", key, "ALPHA"]));
        }
        for key in ["zset", "large zset"] {
            all.push(run(client, &["ZRANGE", key, "0", "-1", "WITHSCORES"]));
        }
        for key in ["hash", "large hash"] {
            all.push(run(client, &["HLEN", key]));
            all.push(run(
                client,
                &[
                    "HMGET",
                    key,
                    "f",
                    "g",
                    "member number 2 of a large one, which takes some room",
                ],
            ));
        }
    }
    all
}

/// What redis-check-rdb says of a file, where there is one.
fn check(file: &Path) {
    let Ok(output) = Command::new("redis-check-rdb").arg(file).output() else {
        eprintln!("no redis-check-rdb here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("RDB looks OK"),
        "{text}"
    );
    assert!(text.contains("29 keys read"), "{text}");
}

#[test]
fn files_travel_both_ways() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ours_dir, redis_dir) = (dir.path().join("ours"), dir.path().join("redis"));
    std::fs::create_dir(&redis_dir).expect("a directory");
    let ours = Server::start(&ours_dir, &[]);
    let mut client = ours.client();
    fill(&mut client);
    run(&mut client, &["SET", "gone", "soon", "PX", "1"]);
    until("it has expired", || {
        run(&mut client, &["EXISTS", "gone"])
            .contains('0')
            .then_some(())
    });
    run(&mut client, &["SAVE"]);
    let file = ours_dir.join("dump.rdb");
    check(&file);
    let expected = everything(&mut client);
    std::fs::copy(&file, redis_dir.join("dump.rdb")).expect("copied");
    let Some(redis) = Redis::start(&redis_dir) else {
        return;
    };
    let mut theirs = redis.client();
    assert!(
        everything(&mut theirs) == expected,
        "redis-server loads something else"
    );
    run(&mut theirs, &["SAVE"]);
    let back = redis_dir.join("dump.rdb");
    let import = back.to_str().expect("UTF-8");
    let again = Server::start(&dir.path().join("again"), &["--import", import]);
    assert!(
        everything(&mut again.client()) == expected,
        "what was imported is something else"
    );
}

/// Fields of a hash that expire go out as Redis 7.4 has them, which redis-server 7.0 does not read.
#[test]
fn fields_that_expire_travel() {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = Server::start(&dir.path().join("ours"), &[]);
    let mut client = ours.client();
    run(&mut client, &["HSET", "small", "f", "1", "g", "2"]);
    let words = ["HPEXPIREAT", "small", "4102444800123", "FIELDS", "1", "f"];
    run(&mut client, &words);
    for n in 0..600 {
        run(&mut client, &["HSET", "large", &format!("field {n}"), "v"]);
    }
    let words = [
        "HPEXPIREAT",
        "large",
        "4102444800456",
        "FIELDS",
        "2",
        "field 1",
        "field 2",
    ];
    run(&mut client, &words);
    run(&mut client, &["SAVE"]);
    let everything = |client: &mut Client| {
        [
            run(client, &["HGETALL", "small"]),
            run(client, &["HLEN", "large"]),
            run(client, &["HPEXPIRETIME", "small", "FIELDS", "2", "f", "g"]),
            run(
                client,
                &[
                    "HPEXPIRETIME",
                    "large",
                    "FIELDS",
                    "3",
                    "field 1",
                    "field 2",
                    "field 3",
                ],
            ),
        ]
    };
    let expected = everything(&mut client);
    assert!(expected[3].contains("4102444800456"), "{}", expected[3]);
    let file = dir.path().join("ours/dump.rdb");
    let import = ["--import", file.to_str().expect("UTF-8")];
    let again = Server::start(&dir.path().join("again"), &import);
    assert_eq!(everything(&mut again.client()), expected);
}

#[test]
fn an_import_refuses_what_it_would_lose() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut server = Server::start(&data, &[]);
    let mut client = server.client();
    run(&mut client, &["SET", "a", "1"]);
    run(&mut client, &["SET", "b", "1"]);
    run(&mut client, &["SAVE"]);
    run(&mut client, &["SET", "b", "2"]);
    run(&mut client, &["SET", "c", "3"]);
    server.kill();
    let file = data.join("dump.rdb");
    let file = file.to_str().expect("UTF-8");
    let text = Server::refused(&data, &["--import", file]);
    assert!(text.contains("there are keys already"), "{text}");
    let server = Server::start(&data, &["--import", file, "--import-replace", "yes"]);
    let mut client = server.client();
    let values = run(&mut client, &["MGET", "a", "b", "c"]);
    for value in ["1", "3"] {
        assert!(values.contains(&format!("\"{value}\"")), "{values}");
    }
    assert!(!values.contains("\"2\""), "{values}");
    drop(server);
    let other = dir.path().join("other");
    std::fs::write(dir.path().join("broken"), b"REDIS0011\xfa\x01a").expect("written");
    let broken = dir.path().join("broken");
    let text = Server::refused(&other, &["--import", broken.to_str().expect("UTF-8")]);
    assert!(text.contains("the file ends within a value"), "{text}");
}

/// A stream of more than an entry's size, whose groups know what no command tells: entries that are pending and deleted.
fn fill_long_stream(client: &mut Client) {
    let value = "abcdefgh".repeat(100);
    for ms in 1..=3000 {
        let id = format!("{ms}-{}", ms % 3);
        run(client, &["XADD", "long stream", &id, "name", &value]);
    }
    run(client, &["XGROUP", "CREATE", "long stream", "group", "0"]);
    run(client, &["XGROUP", "CREATE", "long stream", "idle", "17-1"]);
    for consumer in ["one", "two"] {
        let read = ["XREADGROUP", "GROUP", "group", consumer, "COUNT", "4"];
        run(
            client,
            &[&read[..], &["STREAMS", "long stream", ">"]].concat(),
        );
    }
    run(client, &["XACK", "long stream", "group", "2-2"]);
    run(client, &["XDEL", "long stream", "3-0", "2999-2", "3000-0"]);
}

/// What a stream is, but for how its nodes are cut.
fn stream(client: &mut Client) -> Vec<String> {
    let full = run(
        client,
        &["XINFO", "STREAM", "long stream", "FULL", "COUNT", "9"],
    );
    let from = full.find("last-generated-id").expect("the last id");
    vec![
        run(client, &["XLEN", "long stream"]),
        full[from..].to_owned(),
        run(client, &["XRANGE", "long stream", "-", "+"]),
        run(client, &["XPENDING", "long stream", "group"]),
        run(client, &["XINFO", "GROUPS", "long stream"]),
        run(client, &["PEXPIRETIME", "long stream"]),
    ]
}

#[test]
fn a_server_that_serves_imports_files_of_its_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let server = Server::start(&from, &[]);
    let mut client = server.client();
    fill(&mut client);
    run(&mut client, &["SELECT", "0"]);
    fill_long_stream(&mut client);
    run(&mut client, &["PEXPIREAT", "long stream", "4102444800777"]);
    run(&mut client, &["SAVE"]);
    let expected = (stream(&mut client), everything(&mut client));
    drop(server);
    let server = Server::start(&to, &[]);
    let mut client = server.client();
    let refused = |client: &mut Client, args: &[&str], why: &str| {
        let reply = format!("{:?}", client.call(args));
        assert!(reply.contains(why), "{args:?}: {reply}");
    };
    let outside = from.join("dump.rdb");
    let outside = outside.to_str().expect("UTF-8");
    for name in [outside, "../from/dump.rdb", "./dump.rdb", ""] {
        refused(&mut client, &["RAFT.IMPORT", name], "without a path");
    }
    refused(
        &mut client,
        &["RAFT.IMPORT", "dump.rdb"],
        "there is no file dump.rdb",
    );
    std::fs::copy(outside, to.join("dump.rdb")).expect("copied");
    refused(
        &mut client,
        &["RAFT.IMPORT", "dump.rdb", "NOW"],
        "ERR syntax error",
    );
    run(&mut client, &["RAFT.IMPORT", "dump.rdb"]);
    let info = run(&mut client, &["INFO", "persistence"]);
    assert!(
        info.contains("import_in_progress:0") && info.contains("import_last_status:ok"),
        "{info}"
    );
    run(&mut client, &["SELECT", "0"]);
    let imported = (stream(&mut client), everything(&mut client));
    assert!(imported == expected, "what was imported is something else");
    refused(
        &mut client,
        &["RAFT.IMPORT", "dump.rdb"],
        "there are keys already",
    );
    run(&mut client, &["SELECT", "0"]);
    run(&mut client, &["SET", "string", "of ours"]);
    run(&mut client, &["SET", "stays", "here"]);
    run(&mut client, &["RAFT.IMPORT", "dump.rdb", "REPLACE"]);
    assert!(run(&mut client, &["GET", "stays"]).contains("here"));
    run(&mut client, &["DEL", "stays"]);
    let again = (stream(&mut client), everything(&mut client));
    assert!(again == expected, "what replaces is something else");
    std::fs::write(to.join("broken"), b"REDIS0011\xfa\x01a").expect("written");
    let args = ["RAFT.IMPORT", "broken", "REPLACE"];
    refused(&mut client, &args, "the file ends within a value");
    let info = run(&mut client, &["INFO", "persistence"]);
    assert!(info.contains("import_last_status:err"), "{info}");
}

#[test]
fn bgsave_writes_beside_and_tells_when_it_is_done() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["--dbfilename", "backup.rdb"]);
    let mut client = server.client();
    run(&mut client, &["SET", "k", "v"]);
    let reply = run(&mut client, &["BGSAVE", "SCHEDULE"]);
    assert!(reply.contains("Background saving started"), "{reply}");
    until("the save has ended", || {
        let info = run(&mut client, &["INFO", "persistence"]);
        info.contains("rdb_bgsave_in_progress:0").then_some(())
    });
    let info = run(&mut client, &["INFO", "persistence"]);
    assert!(
        info.contains("rdb_saves:1") && info.contains("rdb_last_bgsave_status:ok"),
        "{info}"
    );
    let file = std::fs::read(dir.path().join("backup.rdb")).expect("the file");
    assert!(file.starts_with(b"REDIS0010"));
    let reply = format!("{:?}", client.call(&["BGSAVE", "NOW"]));
    assert!(reply.contains("ERR syntax error"), "{reply}");
}
