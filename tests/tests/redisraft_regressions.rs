//! The failures that Jepsen found in RedisRaft, each as a test of its name: as a directed scenario where the order of things matters,
//! with processes where the process does.

use std::path::Path;

use bytes::BytesMut;
use resp::{Frame, encode_command};
use storage::proto::command::MemberAction::{AddLearner, Remove};
use tests::process::{Client, Cluster, Load, Server, until};
use tests::sim::{Options, World};

/// Longer than any election.
const LONG_MS: u64 = 3_000;

/// Small enough that logs are compacted and snapshots are sent.
const SMALL: [&str; 4] = ["--checkpoint-size", "1mb", "--raft-log-retention", "1mb"];

/// Where an election would be a failure, a busy machine must not cause one.
const PATIENT: [&str; 4] = [
    "--election-timeout-ms",
    "5000",
    "--election-timeout-min-ms",
    "2500",
];

/// Data that takes a while to travel.
const LARGE_KEYS: usize = 48;
const LARGE_BYTES: usize = 1 << 20;

/// A world with its leader.
fn elected(options: Options) -> (World, u64) {
    let mut world = World::new(options);
    let leader = world.elect();
    (world, leader)
}

fn other_than(store: u64) -> u64 {
    store % 3 + 1
}

/// A node of a cluster that grows; it joins through `member`.
fn start(dir: &Path, name: &str, member: Option<&Server>) -> Server {
    let through = member.map(|member| format!("127.0.0.1:{}", member.port()));
    let mut options = vec!["--cluster-secret", "secret of the tests"];
    options.extend(SMALL);
    options.extend(PATIENT);
    if let Some(through) = &through {
        options.extend(["--join", through]);
    }
    Server::start(&dir.join(name), &options)
}

fn wait_for_voters(node: &Server, voters: &str) {
    until("the number of voters", || {
        (node.client().info("raft", "raft_voters") == voters).then_some(())
    });
}

#[test]
fn membership_change_during_a_partition() {
    for seed in 0..20 {
        let (mut world, leader) = elected(Options::new(seed));
        world.write(leader, 1, 7);
        // The old leader is alone with its wish; the others elect another one and remove it.
        world.isolate(leader);
        let new = world.spawn();
        world.change(leader, &[(AddLearner, new)]);
        world.run_until(10_000, "another leader", |world| {
            world.leader().is_some_and(|other| other != leader)
        });
        let other = world.elect();
        world.run_ms(1_000);
        world.change_until(other, &[(Remove, leader)], |world| {
            world.voters(other).len() == 2
        });
        world.write(other, 1, 8);
        world.heal();
        world.run_ms(3_000);
        assert!(!world.voters(other).contains(&leader), "seed {seed}");
        assert_eq!(world.leader(), Some(other), "seed {seed}");
        world.converge();
    }
}

/// A node is killed while it receives a snapshot, early, in the middle and late, and while it installs one; it starts again and
/// catches up.
#[test]
fn restart_with_a_half_written_snapshot() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = start(dir.path(), "first", None);
    let mut client = first.client();
    for number in 0..LARGE_KEYS {
        let value = format!("{number:08}").repeat(LARGE_BYTES / 8);
        assert_eq!(
            client.text(&["SET", &format!("large:{number}"), &value]),
            "OK"
        );
    }
    let mut second = start(dir.path(), "second", Some(&first));
    for percent in [5, 50, 90] {
        until("a snapshot is under way", || {
            (received(&second)? >= percent).then_some(())
        });
        second.kill();
        second.start_again();
        second.wait_until_it_answers();
    }
    wait_for_voters(&first, "2");
    assert_eq!(client.text(&["SET", "after", "all"]), "OK");
    let mut client = second.client();
    let ask = ["CLIENT", "STALENESS", "60000"];
    assert_eq!(client.text(&ask), "OK", "it reads its own memory");
    until("it has applied everything", || {
        (client.text(&["GET", "after"]) == "all").then_some(())
    });
    assert_eq!(client.text(&["DBSIZE"]), (LARGE_KEYS + 1).to_string());
    assert_eq!(digest(&first), digest(&second));
}

#[test]
fn a_gap_between_log_and_snapshot() {
    let mut world = World::new(Options {
        log_retention_bytes: 0,
        ..Options::new(5)
    });
    let leader = world.elect();
    let follower = other_than(leader);
    world.crash(follower);
    for value in 0..40 {
        world.write(leader, (value % 5) as u8, value);
    }
    world.checkpoint(leader);
    let compacted = world.first_log_index(leader);
    assert!(
        compacted > world.applied(follower),
        "the follower needs entries that are gone"
    );
    world.restart(follower);
    world.run_until(LONG_MS, "the follower to catch up", |world| {
        world.applied(follower).next() >= compacted
    });
    world.crash(follower);
    world.restart(follower);
    world.write(leader, 1, 77);
    world.converge();
    assert_eq!(world.peek(follower, 1), Some(77));
    assert_eq!(world.peek(follower, 4), Some(39));
}

#[test]
fn a_leader_paused_beyond_its_lease_then_read() {
    let cluster = Cluster::start(&[]);
    let leader = cluster.leader(None);
    let mut old = cluster.nodes[leader].client();
    assert_eq!(old.text(&["SET", "register", "before"]), "OK");
    cluster.nodes[leader].pause();
    let mut ask = BytesMut::new();
    encode_command(&["GET", "register"], &mut ask);
    // These wait in the socket of the stopped process, and are the first that it sees when it goes on.
    old.send(&ask).expect("the socket has room");
    let next = cluster.leader(Some(leader));
    assert_eq!(
        cluster.nodes[next]
            .client()
            .text(&["SET", "register", "after"]),
        "OK"
    );
    cluster.nodes[leader].go_on();
    let answer = old.reply().expect("a reply");
    assert_eq!(
        answer.as_str(),
        Some("after"),
        "a stale read, or an error where it could have waited"
    );
}

/// Clients of other nodes notice nothing of the leader's end: what was under way is found in the log, or sent again when it
/// certainly is not there. So each command takes place exactly once, and none gets an error.
#[test]
fn proxying_during_an_election() {
    let mut cluster = Cluster::start(&[]);
    for round in 0..4 {
        let leader = cluster.leader(None);
        let mut others: Vec<u16> = cluster.ports();
        others.remove(leader);
        let load = Load::start(6, &others, 30 + round);
        load.wait_for(500);
        cluster.nodes[leader].kill();
        load.wait_for(500);
        let verdict = load.stop(30 + round);
        verdict.check_undisturbed();
        assert_eq!(verdict.attempted(), verdict.incremented());
        cluster.nodes[leader].start_again();
        cluster.wait_until_all_have_everything();
        for node in &cluster.nodes {
            verdict.check(&mut node.client());
        }
    }
}

#[test]
fn a_node_removed_but_still_running() {
    for seed in 0..10 {
        let (mut world, leader) = elected(Options::new(seed));
        let removed = leader % 3 + 1;
        // It does not learn of its removal.
        world.isolate(removed);
        world.change_until(leader, &[(Remove, removed)], |world| {
            world.voters(leader).len() == 2
        });
        let term = world.term(leader);
        world.heal();
        for value in 0..20 {
            world.write(leader, 2, value);
            world.run_ms(200);
        }
        assert_eq!(
            world.term(leader),
            term,
            "seed {seed}: there was an election"
        );
        world.converge();
    }
}

/// The same of one that was down when it was removed, and starts later with all its data.
#[test]
fn a_node_removed_while_it_was_down() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = start(dir.path(), "first", None);
    let second = start(dir.path(), "second", Some(&first));
    let mut third = start(dir.path(), "third", Some(&first));
    wait_for_voters(&first, "3");
    let mut client = first.client();
    assert_eq!(client.text(&["SET", "key", "before"]), "OK");
    third.kill();
    until("it is removed", || {
        (client.text(&["RAFT.NODE", "REMOVE", "3"]) == "OK").then_some(())
    });
    assert_eq!(client.text(&["SET", "key", "after"]), "OK");
    let term = client.info("raft", "raft_term");
    third.start_again();
    until("it is told, and tells its clients", || {
        let mut removed = Client::connect(third.port()).ok()?;
        let reply = removed.call(&["GET", "key"]).ok()?;
        assert_ne!(reply.as_str(), Some("before"), "a read from the past");
        reply.as_str()?.contains("no member").then_some(())
    });
    for number in 0..200 {
        assert_eq!(client.text(&["SET", "key", &number.to_string()]), "OK");
    }
    assert_eq!(client.info("raft", "raft_term"), term, "it disturbs nobody");
    assert_eq!(second.client().info("raft", "raft_voters"), "2");
}

/// With compacted logs, snapshots, and leaders lost one after the other, nothing is ever missing.
#[test]
fn total_loss_on_failover() {
    let mut cluster = Cluster::start(&SMALL);
    let mut verdicts = Vec::new();
    for round in 0..4 {
        let load = Load::start(4, &cluster.ports(), 40 + round);
        let mut client = cluster.nodes[cluster.leader(None)].client();
        let value = "v".repeat(100_000);
        for number in 0..40 {
            let key = format!("large:{round}:{number}");
            assert_eq!(client.text(&["SET", &key, &value]), "OK");
        }
        load.wait_for(300);
        let leader = cluster.leader(None);
        cluster.nodes[leader].kill();
        cluster.leader(Some(leader));
        load.wait_for(300);
        verdicts.push(load.stop(40 + round));
        for at in (0..3).filter(|&at| at != leader) {
            let mut client = cluster.nodes[at].client();
            verdicts
                .iter()
                .for_each(|verdict| verdict.check(&mut client));
            for earlier in 0..=round {
                let length = client.text(&["STRLEN", &format!("large:{earlier}:39")]);
                assert_eq!(length, value.len().to_string());
            }
        }
        cluster.nodes[leader].start_again();
        cluster.wait_until_all_have_everything();
    }
}

/// From the first connection that is accepted on, a read is right, or held, or refused: a key that is there is never nil.
#[test]
fn empty_reads_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut alone = Server::start(dir.path(), &SMALL);
    let mut cluster = Cluster::start(&SMALL);
    for round in 0..3 {
        let text = format!("value {round}");
        for port in [alone.port(), cluster.nodes[0].port()] {
            let mut client = Client::connect(port).expect("it serves");
            for number in 0..200 {
                let key = format!("key:{number}");
                assert_eq!(client.text(&["SET", &key, &text]), "OK");
            }
        }
        alone.kill();
        cluster.nodes.iter_mut().for_each(Server::kill);
        alone.start_again();
        cluster.nodes.iter_mut().for_each(Server::start_again);
        for node in cluster.nodes.iter().chain([&alone]) {
            let reply = first_read(node, "key:199");
            assert_eq!(reply.as_str(), Some(text.as_str()), "the first answer");
        }
    }
}

/// The first answer that is no refusal to a GET on the first connection that a node accepts.
fn first_read(node: &Server, key: &str) -> Frame {
    until("an answer", || {
        let mut client = Client::connect(node.port()).ok()?;
        loop {
            let reply = client.call(&["GET", key]).ok()?;
            if !reply.is_error() {
                return Some(reply);
            }
        }
    })
}

/// Of the snapshot that a node receives, the percentage that has arrived.
fn received(node: &Server) -> Option<u64> {
    let mut client = Client::connect(node.port()).ok()?;
    let info = client.call(&["INFO", "raft"]).ok()?;
    let line = info
        .as_str()?
        .lines()
        .find_map(|line| line.strip_prefix("raft_snapshot_received:percent="))?;
    line.split(',').next()?.parse().ok()
}

/// The digest of a node's data, when it has everything.
fn digest(node: &Server) -> Frame {
    until("a digest", || {
        let reply = node.client().call(&["RAFT.DIGEST"]).ok()?;
        Some(reply.as_slice()?[1].clone())
    })
}
