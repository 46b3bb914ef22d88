//! How long clients wait when leadership changes: `cargo run --release -p tests --example failover -- KIND COUNT [OPTION...]`.
//!
//! KIND is `kill` (kill -9 of the leader), `transfer` (RAFT.TRANSFER_LEADER) or `restart` (all nodes by turns, SIGTERM and a
//! new start). Three nodes on this machine, started with the OPTIONs, and a client on each; a time is the longest that any of
//! the clients went without an acknowledgement. Everything that was acknowledged is asked for at the end.

use std::time::Duration;

use rustix::process::Signal;
use tests::process::{Cluster, Load, until};

/// Acknowledgements before and after each event.
const AROUND: u64 = 200;

fn main() {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap_or_else(|| "kill".to_owned());
    let count: u64 = args
        .next()
        .map_or(20, |count| count.parse().expect("COUNT is a number"));
    let options: Vec<String> = args.collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut cluster = Cluster::start(&options);
    let mut gaps = Vec::new();
    for number in 0..count {
        let load = Load::start(3, &cluster.ports(), number);
        load.wait_for(AROUND);
        match kind.as_str() {
            "kill" => kill(&mut cluster, &load),
            "transfer" => transfer(&cluster),
            "restart" => restart(&mut cluster, number as usize % 3, &load),
            other => panic!("no kind {other}: kill, transfer or restart"),
        }
        load.wait_for(AROUND);
        let verdict = load.stop(number);
        gaps.push(verdict.longest_gap());
        cluster.wait_until_all_have_everything();
        for node in &cluster.nodes {
            verdict.check(&mut node.client());
        }
        println!("{}/{count} {:?}", number + 1, verdict.longest_gap());
    }
    report(&kind, gaps);
}

fn kill(cluster: &mut Cluster, load: &Load) {
    let leader = cluster.leader(None);
    cluster.nodes[leader].kill();
    load.wait_for(AROUND);
    cluster.nodes[leader].start_again();
    cluster.nodes[leader].wait_until_it_answers();
}

fn transfer(cluster: &Cluster) {
    let leader = cluster.leader(None);
    let to = (leader + 1) % cluster.nodes.len();
    let id = (to + 1).to_string();
    let reply = cluster.nodes[leader]
        .client()
        .text(&["RAFT.TRANSFER_LEADER", &id]);
    assert_eq!(reply, "OK");
}

fn restart(cluster: &mut Cluster, at: usize, load: &Load) {
    cluster.nodes[at].signal(Signal::TERM);
    assert!(cluster.nodes[at].wait().success());
    load.wait_for(AROUND);
    cluster.nodes[at].start_again();
    cluster.nodes[at].wait_until_it_answers();
    let node = &cluster.nodes[at];
    until("it knows the leader", || {
        (node.client().info("raft", "raft_leader_id") != "0").then_some(())
    });
}

fn report(kind: &str, mut gaps: Vec<Duration>) {
    gaps.sort_unstable();
    let at = |percent: usize| gaps[(gaps.len() - 1) * percent / 100];
    println!(
        "{kind}, {} times: p50 {:?}, p90 {:?}, p99 {:?}, longest {:?}",
        gaps.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
