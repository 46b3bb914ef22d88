//! Limits of what a client may make the server hold.

use super::common::until;
use super::node::{Client, Node, field};

fn is_listed(judge: &mut Client, id: &str) -> bool {
    judge
        .text("CLIENT LIST")
        .lines()
        .any(|line| field(line, "id") == id)
}

#[test]
fn a_reply_beyond_the_hard_limit_closes_the_client() {
    let node = Node::start(&[]);
    let (mut judge, mut greedy, mut modest) = (node.connect(), node.connect(), node.connect());
    let id = greedy.text("CLIENT ID");
    judge
        .call_args(&[b"SET", b"big", &[b'v'; 200_000]])
        .expect("set");
    judge
        .call_args(&[b"SET", b"middle", &[b'v'; 10_000]])
        .expect("set");
    assert_eq!(
        greedy.call("GET big").as_bytes().map(<[u8]>::len),
        Some(200_000),
        "no limit yet"
    );
    assert_eq!(
        judge
            .call_args(&[
                b"CONFIG",
                b"SET",
                b"client-output-buffer-limit",
                b"normal 100000 0 0"
            ])
            .and_then(|frame| frame.as_str().map(str::to_owned)),
        Some("OK".to_owned())
    );
    assert_eq!(
        modest.call("GET middle").as_bytes().map(<[u8]>::len),
        Some(10_000)
    );
    greedy.send(b"GET big\r\nPING\r\n");
    assert_eq!(greedy.rest(), b"", "not even the beginning");
    until("it is forgotten", || {
        (!is_listed(&mut judge, &id)).then_some(())
    });

    // A pipeline whose replies are too many together; all of it has run.
    let mut pipeline = String::new();
    for number in 0..15 {
        pipeline.push_str(&format!("SET ran {number}\r\nGET middle\r\n"));
    }
    modest.send(pipeline.as_bytes());
    assert_eq!(modest.rest(), b"");
    assert_eq!(judge.text("GET ran"), "14");
}

#[test]
fn beyond_the_soft_limit_for_too_long_the_client_is_closed() {
    let node = Node::start(&[]);
    let (mut judge, mut slow, mut quick) = (node.connect(), node.connect(), node.connect());
    let id = slow.text("CLIENT ID");
    let value = vec![b'v'; 32 << 20];
    judge.call_args(&[b"SET", b"big", &value]).expect("set");
    judge
        .call_args(&[
            b"CONFIG",
            b"SET",
            b"client-output-buffer-limit",
            b"normal 0 100kb 1",
        ])
        .expect("set");
    slow.send(b"GET big\r\n");
    assert_eq!(
        quick.call("GET big").as_bytes().map(<[u8]>::len),
        Some(value.len()),
        "one that reads gets it"
    );
    until("the slow one is closed", || {
        (!is_listed(&mut judge, &id)).then_some(())
    });
    assert!(slow.rest().len() < value.len());
}

#[test]
fn limits_of_requests_can_be_changed_for_connections_that_exist() {
    let node = Node::start(&[]);
    let (mut judge, mut client) = (node.connect(), node.connect());
    assert_eq!(client.text("PING"), "PONG");
    assert_eq!(judge.text("CONFIG SET proto-max-bulk-len 2mb"), "OK");
    client.send(b"SET k v\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n");
    assert_eq!(
        client.rest(),
        b"+OK\r\n-ERR Protocol error: invalid bulk length\r\n"
    );
}

/// Longer than a record's key in the engine may be.
#[test]
fn long_keys_are_keys_like_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let keys: Vec<Vec<u8>> = [65_535, 65_536, 100_000, 1 << 20]
        .into_iter()
        .map(|len| vec![b'k'; len])
        .collect();
    let options = ["--enable-debug-command", "local"];
    let mut node = Node::start_in(&data, super::common::free_port(), &options);
    let mut client = node.connect();
    for (number, key) in keys.iter().enumerate() {
        let value = number.to_string();
        client
            .call_args(&[b"SET", key, value.as_bytes()])
            .expect("set");
        client.call_args(&[b"EXPIRE", key, b"1000"]).expect("set");
    }
    assert_eq!(client.text("DEBUG RELOAD"), "OK");
    client
        .call_args(&[b"APPEND", &keys[0], b"+"])
        .expect("appended");
    let digest = client.text("DEBUG DIGEST");
    node.stop();

    let node = Node::start_in(&data, super::common::free_port(), &options);
    let mut client = node.connect();
    assert_eq!(client.text("DEBUG DIGEST"), digest);
    for (number, key) in keys.iter().enumerate() {
        let expected = if number == 0 {
            "0+".to_owned()
        } else {
            number.to_string()
        };
        let value = client.call_args(&[b"GET", key]).expect("a reply");
        assert_eq!(value.as_str(), Some(expected.as_str()));
        assert!(
            client
                .call_args(&[b"TTL", key])
                .and_then(|ttl| ttl.as_integer())
                > Some(0)
        );
    }
    assert_eq!(client.text("DBSIZE"), "4");
    for key in &keys {
        assert_eq!(
            client
                .call_args(&[b"DEL", key])
                .and_then(|count| count.as_integer()),
            Some(1)
        );
    }
    assert_eq!(client.text("DBSIZE"), "0");
    drop(node);
}
