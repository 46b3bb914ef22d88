//! Expired keys that reads meet, with the leader's own search switched off.

use super::common::until;
use super::node::{Client, Node};

const OPTIONS: [&str; 2] = ["--enable-debug-command", "local"];

/// Keys that expire at once, and nobody who removes them.
fn expired(client: &mut Client, keys: &[&str]) {
    client.call("DEBUG SET-ACTIVE-EXPIRE 0");
    for key in keys {
        assert_eq!(client.text(&format!("SET {key} v PX 1")), "OK");
    }
    client.call("DEBUG SLEEP 0.01");
    assert_eq!(client.text("DBSIZE"), keys.len().to_string());
}

#[test]
fn a_key_that_is_asked_for_after_its_time_vanishes() {
    let node = Node::start(&OPTIONS);
    let mut client = node.connect();
    for words in [
        "GET a",
        "MGET a b",
        "EXISTS a",
        "TTL a",
        "TYPE a",
        "OBJECT ENCODING a",
        "TOUCH a",
        "STRLEN a",
        "KEYS *",
        "SCAN 0 COUNT 1000",
        "RANDOMKEY",
    ] {
        let keys: &[&str] = if words.contains(" b") {
            &["a", "b"]
        } else {
            &["a"]
        };
        expired(&mut client, keys);
        client.call(words);
        assert_eq!(client.text("DBSIZE"), "0", "after {words}");
    }
    let stats = client.text("INFO stats");
    assert!(stats.contains("expired_keys:12\r\n"), "{stats}");
}

#[test]
fn what_counts_in_the_same_pipeline_does_not_count_it() {
    let node = Node::start(&OPTIONS);
    let mut client = node.connect();
    expired(&mut client, &["a", "b"]);
    client.send(b"GET a\r\nDBSIZE\r\nEXISTS b\r\nINFO keyspace\r\nDBSIZE\r\n");
    let replies: Vec<String> = (0..5)
        .map(|_| super::node::show(&client.next().expect("a reply")))
        .collect();
    assert_eq!(replies, ["(nil)", "1", "0", "# Keyspace\r\n", "0"]);
}

#[test]
fn a_key_that_got_another_time_stays() {
    let node = Node::start(&OPTIONS);
    let mut client = node.connect();
    for _ in 0..50 {
        client.call("DEBUG SET-ACTIVE-EXPIRE 0");
        client.call("SET k old PX 1");
        client.call("DEBUG SLEEP 0.003");
        // The removal that the read causes and the new value are under way together.
        client.send(b"GET k\r\nSET k new\r\nGET k\r\n");
        let replies: Vec<String> = (0..3)
            .map(|_| super::node::show(&client.next().expect("a reply")))
            .collect();
        assert_eq!(replies, ["(nil)", "OK", "new"]);
        assert_eq!(client.text("DBSIZE"), "1");
    }
}

/// Nobody asks for them, and memory does not know them.
#[test]
fn keys_that_are_only_on_disk_vanish_too() {
    let node = Node::start(&OPTIONS);
    let mut client = node.connect();
    client.call("DEBUG SET-ACTIVE-EXPIRE 0");
    client.call("SELECT 3");
    for number in 0..500 {
        client.send(
            format!("SET expires:{number} v PX 1\r\nSET stays:{number} v PX 1000000\r\n")
                .as_bytes(),
        );
    }
    for _ in 0..1000 {
        client.next().expect("a reply");
    }
    assert_eq!(client.text("DEBUG RELOAD"), "OK");
    assert_eq!(client.text("DBSIZE"), "1000");
    client.call("DEBUG SET-ACTIVE-EXPIRE 1");
    until("they are swept", || {
        (client.text("DBSIZE") == "500").then_some(())
    });
    assert_eq!(client.text("EXISTS stays:0 stays:499"), "2");
    assert!(client.text("INFO stats").contains("expired_keys:500\r\n"));
}
