//! Nodes join, vote, hand over and leave as processes, under load, and nothing that was acknowledged is lost.

use std::path::Path;

use rustix::process::Signal;
use tests::process::{Client, Load, Server, until};

const SECRET: [&str; 2] = ["--cluster-secret", "secret of the tests"];

/// The first node of a cluster that others will join.
fn founder(dir: &Path) -> Server {
    Server::start(&dir.join("founder"), &SECRET)
}

/// A node that joins through `member`.
fn join(dir: &Path, name: &str, member: &Server) -> Server {
    let through = format!("127.0.0.1:{}", member.port());
    Server::start(&dir.join(name), &[SECRET[0], SECRET[1], "--join", &through])
}

fn id(node: &Server) -> String {
    node.client().info("raft", "raft_node_id")
}

fn wait_for_voters(node: &Server, voters: &str) {
    until("the number of voters", || {
        (node.client().info("raft", "raft_voters") == voters).then_some(())
    });
}

fn wait_for_leader(nodes: &[&Server]) -> usize {
    until("a leader", || {
        nodes.iter().position(|node| {
            Client::connect(node.port()).is_ok_and(|mut client| {
                client.call(&["PING"]).is_ok() && client.info("raft", "raft_role") == "leader"
            })
        })
    })
}

fn error(client: &mut Client, args: &[&str]) -> String {
    let reply = client.call(args).expect("a reply");
    assert!(reply.is_error(), "{args:?}: {reply:?}");
    reply.as_str().expect("text").to_owned()
}

#[test]
fn a_single_node_becomes_a_cluster_under_load_and_survives_its_founder() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut first = founder(dir.path());
    let load = Load::start(3, &[first.port()], 1);
    load.wait_for(300);
    let second = join(dir.path(), "second", &first);
    let third = join(dir.path(), "third", &second);
    wait_for_voters(&first, "3");
    load.wait_for(300);
    let verdict = load.stop(1);
    verdict.check_undisturbed();
    for node in [&first, &second, &third] {
        verdict.check(&mut node.client());
    }
    first.kill();
    let others = [&second, &third];
    wait_for_leader(&others);
    let mut client = second.client();
    assert_eq!(client.text(&["SET", "after", "the founder"]), "OK");
    verdict.check(&mut third.client());
    first.start_again();
    first.wait_until_it_answers();
    until("the founder catches up", || {
        (first.client().text(&["GET", "after"]) == "the founder").then_some(())
    });
    wait_for_voters(&first, "3");
}

#[test]
fn a_node_is_removed_and_told_so_and_another_takes_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = founder(dir.path());
    let second = join(dir.path(), "second", &first);
    let third = join(dir.path(), "third", &first);
    wait_for_voters(&first, "3");
    let (second_id, third_id) = (id(&second), id(&third));
    assert_eq!((second_id.as_str(), third_id.as_str()), ("2", "3"));
    let load = Load::start(2, &[first.port(), second.port()], 2);
    load.wait_for(200);
    let mut client = second.client();
    assert_eq!(client.text(&["RAFT.NODE", "REMOVE", &third_id]), "OK");
    wait_for_voters(&first, "2");
    load.wait_for(200);
    // The removed node still runs: it disturbs nobody, and says what it is.
    let term = first.client().info("raft", "raft_term");
    let mut removed = third.client();
    let told = error(&mut removed, &["SET", "k", "v"]);
    assert!(told.contains("no member"), "{told}");
    load.wait_for(200);
    assert_eq!(first.client().info("raft", "raft_term"), term);
    let fourth = join(dir.path(), "fourth", &first);
    assert_eq!(id(&fourth), "4", "ids are not given twice");
    wait_for_voters(&first, "3");
    load.wait_for(200);
    let verdict = load.stop(2);
    verdict.check_undisturbed();
    for node in [&first, &second, &fourth] {
        verdict.check(&mut node.client());
    }
}

#[test]
fn leadership_is_handed_over_under_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = founder(dir.path());
    let second = join(dir.path(), "second", &first);
    let third = join(dir.path(), "third", &first);
    wait_for_voters(&first, "3");
    let nodes = [&first, &second, &third];
    let load = Load::start(3, &[first.port(), second.port(), third.port()], 3);
    for round in 0..6 {
        load.wait_for(200);
        let leader = wait_for_leader(&nodes);
        let to = nodes[(leader + 1) % 3];
        let asked = nodes[(leader + round) % 3];
        let reply = asked.client().text(&["RAFT.TRANSFER_LEADER", &id(to)]);
        assert_eq!(
            reply,
            "OK",
            "from node {} to node {}",
            id(nodes[leader]),
            id(to)
        );
        until("its INFO says so", || {
            (to.client().info("raft", "raft_role") == "leader").then_some(())
        });
    }
    let verdict = load.stop(3);
    verdict.check_undisturbed();
    println!(
        "longest time without an acknowledgement {:?}",
        verdict.longest_gap()
    );
    for node in nodes {
        verdict.check(&mut node.client());
    }
}

/// Clients of a node that stops must connect to another one; all others notice nothing.
#[test]
fn all_nodes_are_restarted_by_turns_and_nobody_waits_for_an_election() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = founder(dir.path());
    let second = join(dir.path(), "second", &first);
    let third = join(dir.path(), "third", &first);
    wait_for_voters(&first, "3");
    let mut nodes = vec![first, second, third];
    let load = Load::start(3, &nodes.iter().map(Server::port).collect::<Vec<_>>(), 4);
    let elections = |nodes: &[Server]| -> u64 {
        let term = nodes[0].client().info("raft", "raft_term");
        term.parse().expect("a number")
    };
    for at in 0..3 {
        load.wait_for(200);
        let leads = nodes[at].client().info("raft", "raft_role") == "leader";
        let before = elections(&nodes);
        nodes[at].signal(Signal::TERM);
        assert!(nodes[at].wait().success());
        nodes[at].start_again();
        nodes[at].wait_until_it_answers();
        let node = &nodes[at];
        until("it follows again", || {
            (node.client().info("raft", "raft_leader_id") != "0").then_some(())
        });
        assert_eq!(
            elections(&nodes),
            before + u64::from(leads),
            "one change of leadership if it led, none else"
        );
    }
    let verdict = load.stop(4);
    verdict.check_no_errors();
    println!(
        "longest time without an acknowledgement {:?}",
        verdict.longest_gap()
    );
    for node in &nodes {
        verdict.check(&mut node.client());
    }
}

#[test]
fn what_would_stop_writes_or_make_no_sense_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let alone = Server::start(&dir.path().join("alone"), &[]);
    let text = error(
        &mut alone.client(),
        &["RAFT.NODE", "ADD", "0", "127.0.0.1:1"],
    );
    assert!(text.contains("cluster-secret"), "{text}");
    let first = founder(dir.path());
    let mut second = join(dir.path(), "second", &first);
    wait_for_voters(&first, "2");
    let mut client = first.client();
    for (args, part) in [
        (["REMOVE", "7", ""], "not a member"),
        (["ADD", "2", "127.0.0.1:1"], "given before"),
        (["ADD", "0", "nonsense"], "host:port"),
    ] {
        let mut all = vec!["RAFT.NODE"];
        all.extend(args.into_iter().filter(|word| !word.is_empty()));
        let text = error(&mut client, &all);
        assert!(text.contains(part), "{all:?}: {text}");
    }
    let same = format!("127.0.0.1:{}", second.port());
    let text = error(&mut client, &["RAFT.NODE", "ADD", "0", &same]);
    assert!(text.contains("remove it first"), "{text}");
    let third = join(dir.path(), "third", &first);
    wait_for_voters(&first, "3");
    second.kill();
    until("the leader misses the second node", || {
        let peer = client.info("raft", "raft_peer1");
        peer.contains("active=0").then_some(())
    });
    let third_id = id(&third);
    let text = error(&mut client, &["RAFT.NODE", "REMOVE", &third_id]);
    assert!(text.contains("only 1 of them answer"), "{text}");
    // The one that is gone may go.
    assert_eq!(client.text(&["RAFT.NODE", "REMOVE", "2"]), "OK");
    wait_for_voters(&first, "2");
}

#[test]
fn the_node_that_the_operator_prefers_leads() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = founder(dir.path());
    let second = join(dir.path(), "second", &first);
    let third = join(dir.path(), "third", &first);
    wait_for_voters(&first, "3");
    let leads = |node: &Server| {
        until("the preferred node leads", || {
            (node.client().info("raft", "raft_role") == "leader").then_some(())
        });
    };
    for (node, priority) in [(&second, "60"), (&third, "70")] {
        let set = ["CONFIG", "SET", "leader-priority", priority];
        assert_eq!(node.client().text(&set), "OK");
        leads(node);
    }
    assert_eq!(first.client().text(&["SET", "key", "value"]), "OK");
}

/// What the operator asks in RedisRaft's words.
#[test]
fn a_cluster_describes_itself_as_redisraft_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = founder(dir.path());
    let mut client = first.client();
    let told = client.text(&["RAFT.CLUSTER", "INIT"]);
    let id = told.strip_prefix("OK ").expect("the cluster's id");
    assert_eq!(id.len(), 32);
    assert_eq!(client.text(&["RAFT.CLUSTER", "INIT", id]), told);
    let other = "0".repeat(32);
    for (wanted, part) in [("short", "must be 32 characters"), (&other, id)] {
        let text = error(&mut client, &["RAFT.CLUSTER", "INIT", wanted]);
        assert!(text.contains(part), "{text}");
    }
    let second = join(dir.path(), "second", &first);
    wait_for_voters(&first, "2");
    let text = error(&mut client, &["RAFT.CLUSTER", "INIT"]);
    assert_eq!(text, "ERR Already cluster member");
    let address = format!("addr=127.0.0.1,port={}", second.port());
    until("the link to the second node stands", || {
        let info = client.text(&["RAFT.INFO"]);
        let node = info.lines().find(|line| line.starts_with("node1:"))?;
        let begins = format!("node1:id=2,state=connected,voting=yes,{address},last_conn_secs=");
        let counted = node.contains("conn_errors=") && !node.ends_with("conn_oks=0");
        (node.starts_with(&begins) && counted).then_some(())
    });
    let info = client.text(&["RAFT.INFO"]);
    for line in [
        "node_id:1",
        "state:up",
        "role:leader",
        "is_voting:yes",
        "leader_id:1",
        "num_nodes:2",
        "num_voting_nodes:2",
    ] {
        assert!(info.lines().any(|found| found == line), "{line}: {info}");
    }
    let term = client.info("raft", "raft_current_term");
    assert!(info.contains(&format!("current_term:{term}")), "{info}");
}

/// One command is enough for the node that leads; and what a change comes to is told before it is made.
#[test]
fn the_leader_is_removed_by_one_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = founder(dir.path());
    let second = join(dir.path(), "second", &first);
    let mut third = join(dir.path(), "third", &first);
    wait_for_voters(&first, "3");
    let load = Load::start(2, &[second.port()], 5);
    load.wait_for(100);
    let mut client = first.client();
    let dry = client.text(&["RAFT.NODE", "REMOVE", "1", "DRYRUN"]);
    assert!(
        dry.contains("Before: 3 voters (nodes 1, 2, 3), 3 of them answer, a majority is 2"),
        "{dry}"
    );
    assert!(
        dry.contains("After the removal of node 1: 2 voters (nodes 2, 3), 2 of them answer"),
        "{dry}"
    );
    assert!(dry.contains("hand over first"), "{dry}");
    let dry = client.text(&["RAFT.TRANSFER_LEADER", "3", "DRYRUN"]);
    assert!(dry.contains("Node 3 would take over from node 1"), "{dry}");
    assert_eq!(
        client.info("raft", "raft_leader_id"),
        "1",
        "nothing has changed"
    );
    assert_eq!(client.info("raft", "raft_voters"), "3");
    third.kill();
    until("it is missed", || {
        let dry = client.text(&["RAFT.NODE", "REMOVE", "1", "DRYRUN"]);
        dry.contains("writes stop").then_some(())
    });
    let text = error(&mut client, &["RAFT.NODE", "REMOVE", "1"]);
    assert!(text.contains("writes would stop"), "{text}");
    assert_eq!(client.info("raft", "raft_leader_id"), "1", "it still leads");
    third.start_again();
    third.wait_until_it_answers();
    until("it answers", || {
        let dry = client.text(&["RAFT.NODE", "REMOVE", "1", "DRYRUN"]);
        (!dry.contains("writes stop")).then_some(())
    });
    assert_eq!(client.text(&["RAFT.NODE", "REMOVE", "1"]), "OK");
    load.wait_for(100);
    let verdict = load.stop(5);
    verdict.check_undisturbed();
    wait_for_voters(&second, "2");
    verdict.check(&mut third.client());
    let told = error(&mut first.client(), &["GET", "key"]);
    assert!(told.contains("no member"), "{told}");
    // Asked of another node, the leader goes as well.
    let leader = if wait_for_leader(&[&second, &third]) == 0 {
        "2"
    } else {
        "3"
    };
    let other = if leader == "2" { &third } else { &second };
    assert_eq!(other.client().text(&["RAFT.NODE", "REMOVE", leader]), "OK");
    wait_for_voters(other, "1");
    verdict.check(&mut other.client());
}

#[test]
fn a_founder_that_lost_its_disk_does_not_serve_an_empty_cluster() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut first = founder(dir.path());
    let second = join(dir.path(), "second", &first);
    let third = join(dir.path(), "third", &second);
    wait_for_voters(&first, "3");
    let wrote = first.client().call(&["SET", "kept", "value"]);
    assert_eq!(wrote.expect("a reply").as_str(), Some("OK"));

    first.lose_disk();
    let said = first.refuses_to_start_again();
    assert!(said.contains("RAFT.NODE REMOVE 1"), "{said}");
    wait_for_leader(&[&second, &third]);
    let kept = third.client().call(&["GET", "kept"]);
    assert_eq!(kept.expect("a reply").as_str(), Some("value"));
}
