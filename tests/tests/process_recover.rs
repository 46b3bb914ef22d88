//! Nodes that start again as something else: the rest of a cluster that lost its majority, and an empty node that joins.

use std::path::Path;

use tests::process::{Client, Load, Server, until};

const SECRET: [&str; 2] = ["--cluster-secret", "secret of the tests"];

fn start(dir: &Path, name: &str) -> Server {
    Server::start(&dir.join(name), &SECRET)
}

fn join(dir: &Path, name: &str, member: &Server) -> Server {
    let through = format!("127.0.0.1:{}", member.port());
    Server::start(&dir.join(name), &[SECRET[0], SECRET[1], "--join", &through])
}

fn error(client: &mut Client, args: &[&str]) -> String {
    let reply = client.call(args).expect("a reply");
    assert!(reply.is_error(), "{args:?}: {reply:?}");
    reply.as_str().expect("text").to_owned()
}

/// Waits until this node, which may be starting again, serves in a cluster of so many voters.
fn wait_for_voters(node: &Server, voters: &str) {
    until("the number of voters", || {
        let mut client = Client::connect(node.port()).ok()?;
        client
            .call(&["PING"])
            .ok()?
            .as_str()
            .filter(|pong| *pong == "PONG")?;
        let reply = client.call(&["INFO", "raft"]).ok()?;
        let text = reply.as_str()?.to_owned();
        (text.contains(&format!("raft_voters:{voters}\r\n"))
            && !text.contains("raft_leader_id:0\r\n"))
        .then_some(())
    });
}

#[test]
fn the_last_of_three_goes_on_alone_when_it_is_told_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = start(dir.path(), "first");
    let mut second = join(dir.path(), "second", &first);
    let mut third = join(dir.path(), "third", &second);
    wait_for_voters(&first, "3");
    let mut client = first.client();
    client.text(&["RAFT.TRANSFER_LEADER", "1"]);
    let text = error(&mut client, &["RAFT.RECOVER"]);
    assert!(text.contains("node 1 leads"), "{text}");
    let load = Load::start(3, &[first.port()], 1);
    load.wait_for(500);
    let verdict = load.stop(1);
    second.kill();
    third.kill();
    until("the leader steps down", || {
        (client.info("raft", "raft_leader_id") == "0").then_some(())
    });

    let outlook = client.text(&["RAFT.RECOVER"]);
    for part in ["1 of 3 voters", "nodes 2, 3", "RAFT.RECOVER LOSE-WRITES"] {
        assert!(outlook.contains(part), "{outlook}");
    }
    let text = error(&mut client, &["RAFT.RECOVER", "yes"]);
    assert!(text.contains("LOSE-WRITES"), "{text}");
    assert_eq!(
        client.info("raft", "raft_voters"),
        "3",
        "nothing has changed"
    );
    assert_eq!(client.text(&["RAFT.RECOVER", "lose-writes"]), "OK");
    wait_for_voters(&first, "1");
    verdict.check(&mut first.client());
    assert_eq!(first.client().text(&["SET", "after", "all"]), "OK");

    // Its former companions are strangers now, and do it no harm.
    second.start_again();
    let text = until("the second node answers, and knows nobody", || {
        let mut client = Client::connect(second.port()).ok()?;
        let reply = client.call(&["GET", "after"]).ok()?;
        reply
            .is_error()
            .then(|| reply.as_str().unwrap_or_default().to_owned())
    });
    assert!(
        text.contains("no leader") || text.starts_with("CLUSTERDOWN"),
        "{text}"
    );
    assert_eq!(first.client().text(&["GET", "after"]), "all");
    second.kill();
    let fourth = join(dir.path(), "fourth", &first);
    wait_for_voters(&first, "2");
    assert_eq!(fourth.client().info("raft", "raft_node_id"), "4");
    verdict.check(&mut fourth.client());
}

#[test]
fn an_empty_node_that_runs_joins_by_a_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = start(dir.path(), "first");
    first.client().text(&["SET", "key", "value"]);
    let second = start(dir.path(), "second");
    let mut client = second.client();
    let there = format!("127.0.0.1:{}", first.port());
    let text = error(&mut client, &["RAFT.CLUSTER", "JOIN", "nonsense"]);
    assert!(text.contains("host:port"), "{text}");
    client.text(&["SET", "own", "data"]);
    let text = error(&mut client, &["RAFT.CLUSTER", "JOIN", &there]);
    assert!(text.contains("1 keys"), "{text}");
    client.text(&["FLUSHALL"]);
    assert_eq!(client.text(&["RAFT.CLUSTER", "JOIN", &there]), "OK");
    wait_for_voters(&second, "2");
    let mut client = second.client();
    assert_eq!(client.info("raft", "raft_node_id"), "2");
    assert_eq!(client.text(&["GET", "key"]), "value");
    let text = error(&mut client, &["RAFT.CLUSTER", "JOIN", &there]);
    assert!(text.contains("Already cluster member"), "{text}");
}
