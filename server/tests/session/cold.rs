//! Large collections that are only on disk: what is answered without loading them, and what loads them first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::common::until;
use super::node::{Client, Node};

/// More than are loaded because of point operations.
const ELEMENTS: usize = 30_000;
const PER_COMMAND: usize = 500;

fn start() -> (Node, Client) {
    let node = Node::start(&["--enable-debug-command", "local"]);
    let client = node.connect();
    (node, client)
}

/// Sends commands of [`PER_COMMAND`] elements each.
fn fill(client: &mut Client, command: &str, element: impl Fn(usize) -> String) {
    for first in (0..ELEMENTS).step_by(PER_COMMAND) {
        let elements = (first..first + PER_COMMAND).map(&element);
        let words: Vec<String> = elements.collect();
        client.call(&format!("{command} {}", words.join(" ")));
    }
}

fn fill_stream(client: &mut Client) {
    for first in (1..=ELEMENTS).step_by(PER_COMMAND) {
        let numbers = first..first + PER_COMMAND;
        let adds: String = numbers
            .map(|n| format!("XADD stream {n}-1 field value{n}\r\n"))
            .collect();
        client.send(adds.as_bytes());
        for _ in 0..PER_COMMAND {
            client.next().expect("an id");
        }
    }
}

fn drop_from_memory(client: &mut Client) -> usize {
    assert_eq!(client.text("DEBUG RELOAD"), "OK");
    loaded(client)
}

/// How many objects were ever read from the disk into memory.
fn loaded(client: &mut Client) -> usize {
    let info = client.text("INFO stats");
    let field = info
        .lines()
        .find_map(|line| line.strip_prefix("objects_loaded:"));
    field
        .and_then(|number| number.trim().parse().ok())
        .expect("a number")
}

fn entry(n: usize) -> String {
    format!("{n}-1 field value{n}")
}

#[test]
fn the_ends_of_lists_are_worked_on_without_the_rest() {
    let (_node, mut client) = start();
    fill(&mut client, "RPUSH list", |n| format!("element{n}"));
    let before = drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("LPOP list", "element0");
    is("RPOP list 3", "element29999 element29998 element29997");
    is("LINDEX list 1", "element2");
    is("LINDEX list -2", "element29995");
    is("LRANGE list 100 102", "element101 element102 element103");
    is("LRANGE list -2 -1", "element29995 element29996");
    is("LTRIM list 1 -2", "OK");
    is("LLEN list", "29994");
    is("RPOPLPUSH list other", "element29995");
    is("LMOVE list list LEFT RIGHT", "element2");
    is(
        "LMPOP 2 none list RIGHT COUNT 2",
        "list element2 element29994",
    );
    is(
        "LPOP list 600 x",
        "ERR wrong number of arguments for 'lpop' command",
    );
    is("EXPIRE list 1000", "1");
    is("TTL list", "1000");
    is("PERSIST list", "1");
    is("EXISTS list list", "2");
    is("OBJECT ENCODING list", "quicklist");
    is("LPUSH list first", "29992");
    is("LRANGE list 0 1", "first element3");
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    let whole = client.text("LRANGE list 0 -1");
    assert_eq!(whole.split(' ').count(), 29_992);
    assert!(whole.starts_with("first element3 ") && whole.ends_with(" element29993"));
}

#[test]
fn the_ends_of_streams_are_worked_on_without_the_rest() {
    let (_node, mut client) = start();
    fill_stream(&mut client);
    let before = drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    let two = |a, b| format!("{} {}", entry(a), entry(b));
    is("XRANGE stream - + COUNT 2", &two(1, 2));
    is("XRANGE stream 15000-1 15001", &two(15_000, 15_001));
    is("XREVRANGE stream + - COUNT 2", &two(30_000, 29_999));
    is("XREVRANGE stream 777-1 - COUNT 2", &two(777, 776));
    is(
        "XREAD COUNT 2 STREAMS stream 29998-1",
        &format!("stream {}", two(29_999, 30_000)),
    );
    is("XREAD STREAMS stream $", "(nil)");
    is("XDEL stream 1-1 15000-1 30000-1 9-9", "3");
    is("XRANGE stream - + COUNT 2", &two(2, 3));
    is("XREVRANGE stream + - COUNT 1", &entry(29_999));
    is("XRANGE stream 14999 15001", &two(14_999, 15_001));
    is("XADD stream MAXLEN 29900 40000-1 a b", "40000-1");
    is("XLEN stream", "29900");
    is("XTRIM stream MINID 200", "100");
    is("XRANGE stream - + COUNT 1", &entry(200));
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    let whole = client.text("XRANGE stream - +");
    assert_eq!(whole.matches("-1 ").count(), 29_800);
}

/// Members and fields that are named: of hashes, what makes fields expire too.
#[test]
fn elements_that_are_named_are_worked_on_without_the_rest() {
    let (_node, mut client) = start();
    fill(&mut client, "SADD from", |n| format!("m{n}"));
    fill(&mut client, "SADD to", |n| format!("t{n}"));
    fill(&mut client, "GEOADD places", |n| {
        format!("{}.5 {}.25 p{n}", n % 180, n % 80)
    });
    fill(&mut client, "HSET hash", |n| format!("f{n} {n}"));
    fill(&mut client, "HSET timed", |n| format!("f{n} {n}"));
    let before = drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("SMOVE from to m7", "1");
    is("SMOVE from to m7", "0");
    is("SMOVE from from m8", "1");
    is("SISMEMBER to m7", "1");
    is("SCARD from", "29999");
    is("SCARD to", "30001");
    is(
        "GEOADD places CH 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "2",
    );
    is("GEODIST places Palermo Catania km", "166.2742");
    is("GEOHASH places Palermo none", "sqc8b49rny0 (nil)");
    is("GEOPOS places none", "(nil)");
    is("HTTL hash FIELDS 2 f1 none", "-1 -2");
    is("HPERSIST hash FIELDS 1 f1", "-1");
    is("HGETEX hash FIELDS 1 f2", "2");
    is("HGETDEL hash FIELDS 2 f3 none", "3 (nil)");
    is("HLEN hash", "29999");
    is("HPEXPIREAT timed 4102444800123 FIELDS 2 f1 none", "1 -2");
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("HPEXPIRETIME timed FIELDS 2 f1 f2", "4102444800123 -1");
    is("HSETEX hash PXAT 4102444800456 FIELDS 1 f5 new", "1");
    is("HPEXPIRETIME hash FIELDS 2 f5 f6", "4102444800456 -1");
    is("HGET hash f5", "new");
    drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("HPEXPIRETIME timed FIELDS 2 f1 f2", "4102444800123 -1");
    is("HPEXPIRETIME hash FIELDS 2 f5 f6", "4102444800456 -1");
    is("HLEN timed", "30000");
}

/// A hash of which some fields expire stays on disk when it is changed, and when fields of it leave.
#[test]
fn fields_expire_and_leave_while_the_hash_is_only_on_disk() {
    let (_node, mut client) = start();
    fill(&mut client, "HSET hash", |n| format!("f{n} {n}"));
    client.call("HPEXPIREAT hash 4102444800123 FIELDS 2 f1 f2");
    let before = drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("HPERSIST hash FIELDS 2 f1 f3", "1 -1");
    is("HSET hash f4 new added x", "1");
    is("HINCRBY hash f5 5", "10");
    is("HPEXPIREAT hash 4102444800200 FIELDS 2 f6 f7", "1 1");
    is("HDEL hash f2 none", "1");
    is("HPEXPIRETIME hash FIELDS 3 f1 f6 f2", "-1 4102444800200 -2");
    is("HLEN hash", "30000");
    is("HPEXPIRE hash 1 FIELDS 3 f6 f8 f9", "1 1 1");
    until("what is due has left", || {
        let has_left = client.text("HLEN hash") == "29997";
        let is_counted = client.text("INFO stats").contains("expired_subkeys:3");
        (has_left && is_counted).then_some(())
    });
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("HMGET hash f6 f7 f8", "(nil) 7 (nil)");
    is("HSET hash f8 again", "1");
    is("HTTL hash FIELDS 1 f8", "-1");
    is("HLEN hash", "29998");
    is("EXISTS hash", "1");
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    assert_eq!(client.text("HGETALL hash").split(' ').count(), 2 * 29_998);
    drop_from_memory(&mut client);
    let before = loaded(&mut client);
    assert_eq!(client.text("DEL hash"), "1");
    assert_eq!(client.text("EXISTS hash"), "0");
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
}

/// Few are drawn, so few others are read.
#[test]
fn members_are_drawn_while_the_set_is_only_on_disk() {
    let (_node, mut client) = start();
    fill(&mut client, "SADD set", |n| format!("m{n}"));
    fill(&mut client, "HSET hash", |n| format!("f{n} {n}"));
    let before = drop_from_memory(&mut client);
    let mut drawn = std::collections::BTreeSet::new();
    for round in 0..50 {
        drawn.insert(client.text("SRANDMEMBER set"));
        assert!(client.text("HRANDFIELD hash").starts_with('f'));
        let popped = client.text("SPOP set");
        assert_eq!(client.text(&format!("SISMEMBER set {popped}")), "0");
        assert_eq!(client.text("SPOP set 3").split(' ').count(), 3);
        let left = ELEMENTS - 4 * (round + 1);
        assert_eq!(client.text("SCARD set"), left.to_string());
    }
    assert!(drawn.len() > 45, "{drawn:?}");
    assert_eq!(
        client.text("SPOP hash"),
        "WRONGTYPE Operation against a key holding the wrong kind of value"
    );
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    assert_eq!(client.text("SPOP set 100").split(' ').count(), 100);
    assert_eq!(client.text("SMEMBERS set").split(' ').count(), 29_700);
}

/// A sorted set's order is on the disk, too.
#[test]
fn members_are_found_by_their_order_without_the_rest() {
    let (_node, mut client) = start();
    fill(&mut client, "ZADD zset", |n| format!("{n} m{n}"));
    let before = drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("ZRANK zset m12345", "12345");
    is("ZREVRANK zset m12345", "17654");
    is("ZRANGE zset 0 1 WITHSCORES", "m0 0 m1 1");
    is("ZREVRANGE zset 0 1", "m29999 m29998");
    is("ZRANGEBYSCORE zset (100 +inf LIMIT 1 2", "m102 m103");
    is("ZCOUNT zset 1000 1999", "1000");
    is("ZPOPMIN zset", "m0 0");
    is("ZPOPMAX zset 2", "m29999 29999 m29998 29998");
    is("ZREMRANGEBYRANK zset 0 9", "10");
    is("ZREMRANGEBYSCORE zset 100 199", "100");
    is("ZADD zset -1 first 29998 m11", "1");
    is("ZMPOP 1 zset MIN", "zset first -1");
    is("ZREVRANGE zset 0 0 WITHSCORES", "m11 29998");
    is("ZRANGE zset 0 0", "m12");
    is("ZCARD zset", "29887");
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    assert_eq!(client.text("ZRANGE zset 0 -1").split(' ').count(), 29_887);
}

/// A key under which something else is stored, unless it is one of those that are read.
#[test]
fn what_is_overwritten_is_not_loaded() {
    let (_node, mut client) = start();
    for key in ["to", "own", "sorted", "renamed"] {
        fill(&mut client, &format!("SADD {key}"), |n| format!("m{n}"));
    }
    let before = drop_from_memory(&mut client);
    assert_eq!(client.text("SADD few 1 2"), "2");
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("SUNIONSTORE to few", "2");
    is("SORT few STORE sorted", "2");
    is("LRANGE sorted 0 -1", "1 2");
    is("COPY few other", "1");
    is("RENAME other renamed", "OK");
    is("SCARD renamed", "2");
    assert_eq!(loaded(&mut client), before, "nothing was loaded");
    assert_eq!(client.text("SUNIONSTORE own own few"), "30002");
    assert_eq!(loaded(&mut client), before + 1);
}

/// Tells others that a test is over, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What changes while it is read for somebody is answered as it was at some moment since he asked.
#[test]
fn a_collection_that_changes_all_the_while_is_read_as_it_was_when_asked() {
    // So little that neither comes back into memory for good.
    let node = Node::start(&["--enable-debug-command", "local", "--maxmemory", "2mb"]);
    let mut client = node.connect();
    fill(&mut client, "HSET hash", |n| format!("f{n} 0"));
    fill(&mut client, "ZADD zset", |n| format!("{n} m{n}"));
    drop_from_memory(&mut client);
    let (acknowledged, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut writer = node.connect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                assert_eq!(writer.text(&format!("HSET hash f7 {n}")), "0");
                assert_eq!(writer.text(&format!("ZADD zset -1 x{n}")), "1");
                acknowledged.store(n, Ordering::SeqCst);
            }
        });
        let _over = Over(&done);
        let mut check = |command: &str, seen: &dyn Fn(&str) -> usize| {
            let before = acknowledged.load(Ordering::SeqCst);
            let reply = client.text(command);
            let after = acknowledged.load(Ordering::SeqCst) + 1;
            let seen = seen(&reply);
            let moments = before..=after;
            assert!(moments.contains(&seen), "{command}: {seen}, {moments:?}");
        };
        let value = |reply: &str| {
            let mut words = reply
                .split([' ', '[', ']', ','])
                .filter(|word| !word.is_empty());
            let found = words.find(|word| *word == "f7");
            found.and_then(|_| words.next()?.parse().ok())
        };
        for _ in 0..5 {
            check("HGETALL hash", &|reply| {
                assert_eq!(reply.split(' ').count(), 2 * ELEMENTS);
                value(reply).expect("a number")
            });
            check("ZRANK zset m15000", &|reply| {
                reply.parse::<usize>().expect("a number") - 15_000
            });
            check("ZREVRANGE zset 0 -1", &|reply| {
                reply.split(' ').count() - ELEMENTS
            });
        }
    });
    // In steps that are read for him, too.
    let (mut cursor, mut fields) = ("0".to_owned(), 0);
    loop {
        let reply = client.text(&format!("HSCAN hash {cursor} COUNT 3000"));
        let words: Vec<&str> = reply
            .split([' ', '[', ']', ','])
            .filter(|word| !word.is_empty())
            .collect();
        fields += (words.len() - 1) / 2;
        cursor = words[0].to_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(fields, ELEMENTS);
}

/// Commands that need all of a collection, as reads, as writes and within pipelines, by several clients at once.
#[test]
fn what_needs_the_whole_gets_it() {
    let (node, mut client) = start();
    fill(&mut client, "RPUSH list", |n| format!("{n}"));
    fill(&mut client, "SADD set", |n| format!("m{n}"));
    fill(&mut client, "HSET hash", |n| format!("f{n} {n}"));
    fill(&mut client, "ZADD zset", |n| format!("{n} m{n}"));
    let before = drop_from_memory(&mut client);
    let others: Vec<Client> = (0..4).map(|_| node.connect()).collect();
    std::thread::scope(|scope| {
        for mut other in others {
            scope.spawn(move || {
                assert_eq!(other.text("LPOS list 20000"), "20000");
                assert_eq!(other.text("HGETALL hash").split(' ').count(), 2 * ELEMENTS);
                assert_eq!(other.text("ZRANGE zset 0 -1").split(' ').count(), ELEMENTS);
                assert_eq!(other.text("ZCARD zset"), "30000");
            });
        }
    });
    assert_eq!(loaded(&mut client), before + 3, "each once");
    drop_from_memory(&mut client);
    client.send(b"SET x 1\r\nLINSERT list BEFORE 20000 new\r\nLINDEX list 20000\r\nSINTERCARD 2 set set\r\n");
    let replies: Vec<String> = (0..4)
        .map(|_| super::node::show(&client.next().expect("a reply")))
        .collect();
    assert_eq!(replies, ["OK", "30001", "new", "30000"]);
    drop_from_memory(&mut client);
    let mut is = |command: &str, reply: &str| assert_eq!(client.text(command), reply, "{command}");
    is("LREM list 0 new", "1");
    is("SORT list DESC STORE sorted", "30000");
    is("LRANGE sorted 0 1", "29999 29998");
    is("ZREMRANGEBYRANK zset 10 29989", "29980");
    is("ZUNIONSTORE both 2 set zset", "30000");
    is("COPY hash copied", "1");
    is("HLEN copied", "30000");
}
