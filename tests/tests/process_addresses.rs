//! Nodes start again at other addresses, one alone or all at once, and find each other.

use std::path::Path;

use tests::process::{Client, Cluster, Server, free_port, until};

const SECRET: [&str; 2] = ["--cluster-secret", "secret of the tests"];

/// Nodes 1, 2 and 3 of a cluster that has grown from one.
fn grown(dir: &Path) -> Vec<Server> {
    let first = Server::start(&dir.join("1"), &SECRET);
    let through = format!("127.0.0.1:{}", first.port());
    let join = |name: &str| {
        let options = [SECRET[0], SECRET[1], "--join", &through];
        Server::start(&dir.join(name), &options)
    };
    let (second, third) = (join("2"), join("3"));
    until("three voters", || {
        (first.client().info("raft", "raft_voters") == "3").then_some(())
    });
    vec![first, second, third]
}

fn peers(nodes: &[Server]) -> String {
    let peers = (1..)
        .zip(nodes)
        .map(|(id, node)| format!("{id}@127.0.0.1:{}", node.port()));
    peers.collect::<Vec<_>>().join(",")
}

fn start_again(nodes: &mut [Server]) {
    for node in &mut *nodes {
        node.start_again();
    }
    for node in nodes {
        node.wait_until_it_answers();
    }
}

/// Sent again while there is no leader, or one is lost before it has answered.
fn write(node: &Server, key: &str) {
    until("a write is acknowledged", || {
        let reply = node.client().call(&["SET", key, "value"]).ok()?;
        (reply.as_str() == Some("OK")).then_some(())
    });
}

/// Every node has the key, each can lead, and the cluster knows where each is.
fn assert_whole(nodes: &[Server], key: &str) {
    for node in nodes {
        until("the node has what was written", || {
            let reply = Client::connect(node.port())
                .ok()?
                .call(&["GET", key])
                .ok()?;
            (reply.as_str() == Some("value")).then_some(())
        });
    }
    for (id, node) in (1..).zip(nodes) {
        until("the node leads when it is asked to", || {
            let ask = ["RAFT.TRANSFER_LEADER", &id.to_string()];
            // Refused while it has not caught up, or leads already.
            Client::connect(nodes[0].port()).ok()?.call(&ask).ok()?;
            let leads = node.client().info("raft", "raft_role") == "leader";
            (leads && node.client().info("replication", "connected_slaves") == "2").then_some(())
        });
        for other in nodes.iter().filter(|other| other.port() != node.port()) {
            let port = format!("port={},", other.port());
            until("its new port is known", || {
                let told = node.client().text(&["INFO", "replication"]);
                told.contains(&port).then_some(())
            });
        }
        write(node, &format!("led by {id}"));
    }
}

#[test]
fn one_node_of_a_configured_cluster_moves() {
    let mut cluster = Cluster::start(&[]);
    write(&cluster.nodes[0], "before");
    let moved = (cluster.leader(None) + 1) % 3;
    cluster.nodes[moved].move_to(free_port());
    // The others keep their configuration, in which its old address is.
    let all = peers(&cluster.nodes);
    cluster.nodes[moved].set_option("--cluster-peers", &all);
    start_again(&mut cluster.nodes[moved..=moved]);
    assert_whole(&cluster.nodes, "before");
}

#[test]
fn all_nodes_of_a_configured_cluster_move_at_once() {
    let mut cluster = Cluster::start(&[]);
    write(&cluster.nodes[0], "before");
    for node in &mut cluster.nodes {
        node.move_to(free_port());
    }
    let all = peers(&cluster.nodes);
    for node in &mut cluster.nodes {
        node.set_option("--cluster-peers", &all);
    }
    start_again(&mut cluster.nodes);
    assert_whole(&cluster.nodes, "before");
}

#[test]
fn one_node_of_a_grown_cluster_moves() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut nodes = grown(dir.path());
    write(&nodes[0], "before");
    for moved in [2, 0] {
        nodes[moved].move_to(free_port());
        start_again(&mut nodes[moved..=moved]);
        assert_whole(&nodes, "before");
    }
}

/// Nobody knows a new address of anybody: each is told by `cluster-peers`, once.
#[test]
fn all_nodes_of_a_grown_cluster_move_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut nodes = grown(dir.path());
    write(&nodes[0], "before");
    for node in &mut nodes {
        node.move_to(free_port());
    }
    let all = peers(&nodes);
    for (id, node) in (1..).zip(&mut nodes) {
        node.add_options(&["--node-id", &id.to_string(), "--cluster-peers", &all]);
    }
    start_again(&mut nodes);
    assert_whole(&nodes, "before");
}
