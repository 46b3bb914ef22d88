//! What stands before every command, and before a connection.

use super::common::until;
use super::node::Node;

#[test]
fn beyond_maxclients_a_connection_is_refused() {
    let node = Node::start(&["--maxclients", "2"]);
    let (mut one, mut two) = (node.connect(), node.connect());
    assert_eq!(
        (one.text("PING"), two.text("PING")),
        ("PONG".into(), "PONG".into())
    );
    for _ in 0..3 {
        let refused = node.connect().rest();
        assert_eq!(refused, b"-ERR max number of clients reached\r\n");
    }
    assert!(
        one.text("INFO stats")
            .contains("rejected_connections:3\r\n")
    );
    drop(two);
    let mut late = until("there is room again", || {
        let mut late = node.connect();
        late.send(b"PING\r\n");
        late.next().filter(|reply| !reply.is_error()).map(|_| late)
    });
    assert_eq!(one.text("CONFIG SET maxclients 1"), "OK");
    assert_eq!(
        node.connect().rest(),
        b"-ERR max number of clients reached\r\n"
    );
    assert_eq!(late.text("PING"), "PONG", "who is in stays in");
    one.call("CONFIG SET maxclients 100");
}

#[test]
fn a_password_set_at_run_time_is_asked_of_newcomers() {
    let node = Node::start(&[]);
    let mut old = node.connect();
    assert_eq!(old.text("CONFIG SET requirepass p"), "OK");
    let mut new = node.connect();
    assert_eq!(new.text("GET k"), "NOAUTH Authentication required.");
    assert_eq!(old.text("GET k"), "(nil)");
    old.call_args(&[b"CONFIG", b"SET", b"requirepass", b""])
        .expect("set");
    assert_eq!(new.text("GET k"), "(nil)", "nothing is asked for any more");
}

/// Errors are counted by command, wherever in a pipeline they are.
#[test]
fn every_error_of_a_pipeline_is_counted() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    client.send(b"SET k a\r\nINCR k\r\nGET k\r\nINCR k\r\nSET n 1\r\nGET\r\nNOSUCH\r\nCLIENT REPLY SKIP\r\nINCR k\r\nPING\r\n");
    for _ in 0..8 {
        client.next().expect("a reply");
    }
    let stats = client.text("INFO commandstats");
    let of = |name: &str| {
        let line = stats
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        line.unwrap_or_else(|| panic!("{name} in {stats}"))
            .to_owned()
    };
    assert!(
        of("incr").contains("calls=3,") && of("incr").contains("failed_calls=3"),
        "{}",
        of("incr")
    );
    assert!(
        of("set").contains("calls=2,") && of("set").contains("failed_calls=0"),
        "{}",
        of("set")
    );
    assert!(
        of("get").contains("rejected_calls=1,failed_calls=0"),
        "{}",
        of("get")
    );
    assert!(
        client
            .text("INFO errorstats")
            .contains("errorstat_ERR:count=5\r\n")
    );
}

/// A cache makes room by itself; where nothing may go, what needs memory is refused, and reads are answered.
#[test]
fn a_full_memory_makes_room_or_refuses() {
    let node = Node::start(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]);
    let mut client = node.connect();
    let value = "v".repeat(1000);
    for n in 0..6000 {
        client.send(format!("SET key:{n} {value}\r\n").as_bytes());
    }
    for _ in 0..6000 {
        assert!(!client.next().expect("a reply").is_error());
    }
    let evicted = until("keys are evicted", || {
        let stats = client.text("INFO stats");
        let line = stats
            .lines()
            .find(|line| line.starts_with("evicted_keys:"))?;
        line["evicted_keys:".len()..]
            .parse()
            .ok()
            .filter(|&keys: &u64| keys > 2000)
    });
    assert!(evicted < 6000, "{evicted}");
    assert_eq!(
        client.text("CONFIG SET maxmemory 1kb maxmemory-policy volatile-ttl"),
        "OK"
    );
    let refusal = "OOM command not allowed when used memory > 'maxmemory'.";
    until("writes are refused", || {
        (client.text("SET k v") == refusal).then_some(())
    });
    let deleted = client.text("DEL k key:5999");
    assert!(["0", "1", "2"].contains(&&*deleted), "{deleted}");
    assert_eq!(client.text("CONFIG SET maxmemory-policy noeviction"), "OK");
    until("writes are accepted", || {
        (client.text("SET k v") == "OK").then_some(())
    });
}
