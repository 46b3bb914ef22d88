//! Three nodes as processes: whoever is killed, whenever, nothing that was acknowledged is lost, and reads are never stale.

use bytes::BytesMut;
use resp::encode_command;
use rustix::process::Signal;
use tests::process::{Client, Cluster, Load, Server, until};

#[test]
fn every_node_serves_in_order() {
    let cluster = Cluster::start(&[]);
    for (at, node) in cluster.nodes.iter().enumerate() {
        let mut client = node.client();
        let counter = format!("counter:{at}");
        let mut out = BytesMut::new();
        for number in 1..=300 {
            encode_command(&["INCR", &counter], &mut out);
            encode_command(&["SET", "shared", &format!("{at}:{number}")], &mut out);
            encode_command(&["GET", "shared"], &mut out);
        }
        client.send(&out).expect("the node reads");
        for number in 1..=300 {
            assert_eq!(client.reply().expect("a reply").as_integer(), Some(number));
            assert_eq!(client.reply().expect("a reply").as_str(), Some("OK"));
            let read = client.reply().expect("a reply");
            assert_eq!(
                read.as_str(),
                Some(format!("{at}:{number}").as_str()),
                "its own write"
            );
        }
        for other in &cluster.nodes {
            assert_eq!(
                other.client().text(&["GET", "shared"]),
                format!("{at}:300"),
                "read at once from another node"
            );
        }
    }
}

#[test]
fn the_leader_is_killed_under_load() {
    let mut cluster = Cluster::start(&[]);
    for seed in 0..3 {
        let load = Load::start(4, &cluster.ports(), seed);
        load.wait_for(500);
        let leader = cluster.leader(None);
        cluster.nodes[leader].kill();
        cluster.leader(Some(leader));
        load.wait_for(500);
        cluster.nodes[leader].start_again();
        load.wait_for(500);
        let verdict = load.stop(seed);
        verdict.check_no_errors();
        println!(
            "seed {seed}: longest time without an acknowledgement {:?}",
            verdict.longest_gap()
        );
        cluster.wait_until_all_have_everything();
        for node in &cluster.nodes {
            verdict.check(&mut node.client());
        }
    }
}

/// The numbers that WAITAOF answers, after a write.
fn wait_aof(client: &mut Client, words: [&str; 3]) -> Vec<i64> {
    assert_eq!(client.text(&["SET", "key", words[2]]), "OK");
    let reply = client.call(&["WAITAOF", words[0], words[1], words[2]]);
    let reply = reply.expect("a reply");
    let parts = reply.as_slice().unwrap_or_else(|| panic!("{reply:?}"));
    let numbers = parts.iter().map(|part| part.as_integer());
    numbers.map(|number| number.expect("a number")).collect()
}

/// WAITAOF tells what is on disks, on any node: always with fsync on every write, on request in the weaker modes.
#[test]
fn waitaof_tells_what_is_synced() {
    for mode in ["always", "everysec", "no"] {
        let cluster = Cluster::start(&["--appendfsync", mode]);
        let leader = cluster.leader(None);
        let mut client = cluster.nodes[leader].client();
        assert_eq!(wait_aof(&mut client, ["1", "2", "20000"]), [1, 2], "{mode}");
        assert_eq!(wait_aof(&mut client, ["1", "1", "0"])[0], 1, "{mode}");
        let mut follower = cluster.nodes[(leader + 1) % 3].client();
        assert_eq!(wait_aof(&mut follower, ["1", "1", "0"]), [1, 1], "{mode}");
        // Another node knows of a majority, and of no more.
        assert!(wait_aof(&mut follower, ["1", "2", "10"])[1] < 2, "{mode}");
        if mode == "no" {
            // Nobody syncs what nobody waits for.
            assert_eq!(wait_aof(&mut client, ["0", "0", "0"]), [0, 0]);
            assert_eq!(wait_aof(&mut follower, ["0", "0", "0"]), [0, 0]);
        }
    }
}

/// A voter that is gone is not counted, and one that is back is.
#[test]
fn waitaof_counts_who_is_there() {
    let mut cluster = Cluster::start(&["--appendfsync", "everysec"]);
    let leader = cluster.leader(None);
    let mut client = cluster.nodes[leader].client();
    let gone = (leader + 1) % 3;
    cluster.nodes[gone].kill();
    assert_eq!(wait_aof(&mut client, ["1", "2", "300"]), [1, 1]);
    cluster.nodes[gone].start_again();
    assert_eq!(wait_aof(&mut client, ["1", "2", "0"]), [1, 2]);
}

/// What Redisson does for its locks: it finds out what is supported, asks how many replicas there are, and then insists on all.
#[test]
fn a_lock_library_finds_the_replicas_that_it_insists_on() {
    let cluster = Cluster::start(&[]);
    for node in &cluster.nodes {
        let mut client = node.client();
        let probe: u64 = client.text(&["WAIT", "0", "0"]).parse().expect("a number");
        assert!(probe <= 2, "{probe}");
        let probe = client.call(&["WAITAOF", "0", "0", "0"]).expect("a reply");
        assert_eq!(probe.as_slice().map(<[_]>::len), Some(2), "{probe:?}");
        let all = client.text(&["INFO", "ALL"]);
        assert!(all.contains("\nrole:master\r"), "{all}");
        let connected = client.info("ALL", "connected_slaves");
        assert_ne!(connected, "0", "it would not wait at all");
        assert_eq!(
            client.text(&["SET", "lock", "mine", "NX", "PX", "30000"]),
            "OK"
        );
        assert_eq!(client.text(&["WAIT", &connected, "1000"]), connected);
        let role = client.call(&["ROLE"]).expect("a reply");
        let role = role.as_slice().expect("an array");
        assert_eq!(role[0].as_str(), Some("master"));
        let listed = role[2].as_slice().expect("replicas").len();
        let in_info = client
            .text(&["INFO", "replication"])
            .matches("state=online")
            .count();
        assert_eq!(listed, in_info, "ROLE and INFO list the same");
        assert_eq!(client.text(&["DEL", "lock"]), "1");
    }
}

/// What they were sent is forwarded and answered although their node stops; none is cut off in the end.
#[test]
fn connections_finish_when_their_node_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let mut cluster = Cluster::start(&["--logfile", &log.display().to_string()]);
    let load = Load::start(6, &cluster.ports(), 9);
    for at in 0..3 {
        load.wait_for(300);
        cluster.nodes[at].signal(Signal::TERM);
        assert!(cluster.nodes[at].wait().success());
        cluster.nodes[at].start_again();
        cluster.nodes[at].wait_until_it_answers();
        cluster.wait_until_all_have_everything();
    }
    let verdict = load.stop(9);
    verdict.check_no_errors();
    verdict.check(&mut cluster.nodes[0].client());
    let log = std::fs::read_to_string(log).expect("a log");
    assert_eq!(log.matches("bye").count(), 3);
    let cut_off = log.lines().find(|line| line.contains("had not finished"));
    assert_eq!(cut_off, None);
}

#[test]
fn a_follower_is_killed_under_load_and_catches_up() {
    let mut cluster = Cluster::start(&[]);
    let load = Load::start(4, &cluster.ports(), 10);
    load.wait_for(300);
    let follower = (cluster.leader(None) + 1) % 3;
    cluster.nodes[follower].kill();
    load.wait_for(1000);
    cluster.nodes[follower].start_again();
    load.wait_for(300);
    let verdict = load.stop(10);
    verdict.check_no_errors();
    cluster.wait_until_all_have_everything();
    verdict.check(&mut cluster.nodes[follower].client());
}

#[test]
fn all_are_killed_at_once_under_load() {
    let mut cluster = Cluster::start(&["--checkpoint-size", "1mb"]);
    for seed in 20..23 {
        let load = Load::start(4, &cluster.ports(), seed);
        load.wait_for(800);
        for node in &mut cluster.nodes {
            node.kill();
        }
        let verdict = load.stop(seed);
        for node in &mut cluster.nodes {
            node.start_again();
        }
        cluster.leader(None);
        for node in &cluster.nodes {
            verdict.check(&mut node.client());
        }
    }
}

#[test]
fn a_node_that_missed_too_much_catches_up_by_snapshot() {
    let options = ["--checkpoint-size", "1mb", "--raft-log-retention", "1mb"];
    let mut cluster = Cluster::start(&options);
    let leader = cluster.leader(None);
    let follower = (leader + 1) % 3;
    cluster.nodes[follower].kill();
    let mut client = cluster.nodes[leader].client();
    let last_before = client
        .info("raft", "raft_last_index")
        .parse::<u64>()
        .expect("a number");
    let value = "v".repeat(20_000);
    let mut written = 0;
    until("the log before the follower's end is compacted", || {
        for _ in 0..100 {
            assert_eq!(
                client.text(&["SET", &format!("key:{written}"), &value]),
                "OK"
            );
            written += 1;
        }
        let first: u64 = client.info("raft", "raft_first_index").parse().ok()?;
        (first > last_before + 1).then_some(())
    });
    cluster.nodes[follower].start_again();
    cluster.nodes[follower].wait_until_it_answers();
    assert_eq!(client.text(&["SET", "while", "it catches up"]), "OK");
    cluster.wait_until_all_have_everything();
    let mut follower_client = cluster.nodes[follower].client();
    assert_eq!(follower_client.text(&["DBSIZE"]), (written + 1).to_string());
    assert_eq!(follower_client.text(&["GET", "key:0"]), value);
    // It is a full member again: with it alone beside the leader, writes go on.
    let other = (leader + 2) % 3;
    cluster.nodes[other].kill();
    let now = cluster.leader(Some(other));
    assert_eq!(
        cluster.nodes[now]
            .client()
            .text(&["SET", "without", "the third"]),
        "OK"
    );
}

#[test]
fn without_a_majority_writes_get_an_error_in_time() {
    let mut cluster = Cluster::start(&["--election-hold-ms", "300"]);
    let leader = cluster.leader(None);
    for at in (0..3).filter(|&at| at != leader) {
        cluster.nodes[at].kill();
    }
    let mut client = cluster.nodes[leader].client();
    until("the last node gives up leading", || {
        let reply = client
            .call(&["SET", "key", "value"])
            .expect("an answer, not a hang");
        assert!(reply.is_error(), "acknowledged by a minority: {reply:?}");
        (client.info("raft", "raft_role") != "leader").then_some(())
    });
    let refused = client.text(&["SET", "key", "value"]);
    assert!(
        refused.starts_with("CLUSTERDOWN") || refused.starts_with("TRYAGAIN"),
        "{refused}"
    );
    for at in (0..3).filter(|&at| at != leader) {
        cluster.nodes[at].start_again();
    }
    until("writes go on", || {
        (client.call(&["SET", "key", "value"]).ok()?.as_str() == Some("OK")).then_some(())
    });
}

#[test]
fn keys_expire_everywhere() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.nodes[0].client();
    for number in 0..100 {
        assert_eq!(
            client.text(&["SET", &format!("key:{number}"), "value", "PX", "50"]),
            "OK"
        );
    }
    for node in &cluster.nodes {
        let mut client = node.client();
        until("expired keys are gone", || {
            (client.text(&["DBSIZE"]) == "0").then_some(())
        });
    }
}

/// While commands run for longer than an election takes, the leader stays the leader.
#[test]
fn slow_commands_cost_no_leadership() {
    const MEMBERS: usize = 20_000;
    const TIMES: usize = 30;
    let cluster = Cluster::start(&[]);
    let leader = cluster.leader(None);
    let mut clients: Vec<_> = cluster.nodes.iter().map(|node| node.client()).collect();
    let term = clients[leader].info("raft", "raft_term");
    for from in (0..MEMBERS).step_by(2000) {
        let members: Vec<_> = (from..from + 2000)
            .map(|number| number.to_string())
            .collect();
        let command: Vec<_> = ["SADD", "set"]
            .into_iter()
            .chain(members.iter().map(String::as_str))
            .collect();
        let added = clients[leader].call(&command).expect("a reply");
        assert_eq!(added.as_integer(), Some(2000));
    }
    let sets = ["set"; TIMES];
    let union: Vec<_> = ["SUNIONSTORE", "union"].into_iter().chain(sets).collect();
    let times = TIMES.to_string();
    let intersection: Vec<_> = ["SINTERCARD", &times].into_iter().chain(sets).collect();
    let load = Load::start(2, &cluster.ports(), 77);
    for client in clients.iter_mut().take(2) {
        for command in [&union, &intersection] {
            let reply = client.call(command).expect("a reply");
            assert_eq!(reply.as_integer(), Some(MEMBERS as i64), "{}", command[0]);
        }
    }
    let verdict = load.stop(77);
    verdict.check_no_errors();
    verdict.check(&mut clients[leader]);
    let now = clients[leader].info("raft", "raft_term");
    assert_eq!(now, term, "there was an election");
}

#[test]
fn a_node_with_another_secret_stays_outside() {
    let mut cluster = Cluster::start(&[]);
    let ports = cluster.ports();
    let leader = cluster.leader(None);
    let outsider = (leader + 1) % 3;
    cluster.nodes[outsider].kill();
    let peers: Vec<String> = (1..)
        .zip(&ports)
        .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
        .collect();
    let dir = tempfile::tempdir().expect("a directory");
    let id = (outsider + 1).to_string();
    let peers = peers.join(",");
    let stranger = Server::start_on(
        ports[outsider],
        dir.path(),
        &[
            "--node-id",
            &id,
            "--cluster-secret",
            "a guess",
            "--cluster-peers",
            &peers,
        ],
    );
    // It hears nothing, and disturbs nothing: the leader and its term stay.
    let mut client = cluster.nodes[leader].client();
    let term = client.info("raft", "raft_term");
    for number in 0..200 {
        assert_eq!(
            client.text(&["SET", &format!("key:{number}"), "value"]),
            "OK"
        );
    }
    let mut outside = Client::connect(ports[outsider]).expect("it serves clients");
    assert_eq!(outside.info("raft", "raft_last_index"), "1");
    assert_eq!(client.info("raft", "raft_term"), term);
    drop(stranger);
    cluster.nodes[outsider].start_again();
    cluster.wait_until_all_have_everything();
}
