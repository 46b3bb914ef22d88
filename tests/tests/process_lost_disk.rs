//! A node of three loses its disk, and nothing that it had acknowledged is lost.

use tests::process::{Cluster, Load, Server, until};

#[test]
fn a_node_without_its_disk_refuses_to_vote_and_is_replaced() {
    let mut cluster = Cluster::start(&[]);
    let load = Load::start(3, &cluster.ports(), 7);
    load.wait_for(300);
    let verdict = load.stop(7);
    cluster.wait_until_all_have_everything();
    let leader = cluster.leader(None);
    let (lost, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let remove = ["RAFT.NODE", "REMOVE", &(lost + 1).to_string()].map(str::to_owned);
    let advice = remove.join(" ");

    cluster.nodes[lost].lose_disk();
    let said = cluster.nodes[lost].refuses_to_start_again();
    assert!(said.contains(&advice), "{said}");
    // Not even with the leader gone, when its vote would be enough.
    cluster.nodes[leader].kill();
    let said = cluster.nodes[lost].refuses_to_start_again();
    assert!(said.contains(&advice), "{said}");
    let leads = cluster.nodes[other].client().info("raft", "raft_role");
    assert_ne!(leads, "leader");

    cluster.nodes[leader].start_again();
    cluster.nodes[leader].wait_until_it_answers();
    let member = cluster.leader(Some(lost));
    until("the lost node is removed", || {
        let mut client = cluster.nodes[member].client();
        let reply = client.call(&remove.each_ref().map(String::as_str));
        (reply.ok()?.as_str() == Some("OK")).then_some(())
    });
    let dir = tempfile::tempdir().expect("a directory");
    let through = format!("127.0.0.1:{}", cluster.nodes[member].port());
    let options = [
        "--cluster-secret",
        "secret of the tests",
        "--join",
        &through,
    ];
    let new = Server::start(&dir.path().join("new"), &options);
    until("the new node votes", || {
        (new.client().info("raft", "raft_voters") == "3").then_some(())
    });
    for node in [&cluster.nodes[leader], &cluster.nodes[other], &new] {
        verdict.check(&mut node.client());
    }
}
