//! How long clients wait when leadership or members change, and what they are told meanwhile:
//! `cargo run --release -p tests --example failover -- KIND COUNT [CLIENTS] [-- OPTION...]`.
//!
//! KIND is `kill` (kill -9 of the leader), `transfer` (RAFT.TRANSFER_LEADER), `restart` (all nodes by turns, SIGTERM and a
//! new start) or `members` (a fourth node joins and is removed). Three nodes on this machine, started with the OPTIONs, and CLIENTS
//! of them, one on each node unless given; 50 are what `redis-benchmark -l` brings. A time is the longest that any of the clients went
//! without an acknowledgement. Everything that was acknowledged is asked for at the end. Whatever the KIND, an error reply ends it
//! in a panic; `transfer` and `members` must not break a connection either.

use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};
use rustix::process::Signal;
use tests::process::{Cluster, Load, Verdict, until};

/// Acknowledgements before and after each event.
const AROUND: u64 = 200;

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// kill -9 of the leader.
    Kill,
    /// RAFT.TRANSFER_LEADER.
    Transfer,
    /// All nodes by turns, SIGTERM and a new start.
    Restart,
    /// A fourth node joins and is removed.
    Members,
}

/// Measures how long clients wait when leadership or members change.
#[derive(Parser)]
struct Options {
    /// What happens.
    kind: Kind,
    /// How often.
    #[arg(default_value_t = 20)]
    count: u64,
    /// How many, spread over the nodes.
    #[arg(default_value_t = 3)]
    clients: u64,
    /// Of the nodes.
    #[arg(last = true)]
    options: Vec<String>,
}

fn main() {
    let Options {
        kind,
        count,
        clients,
        options,
    } = Options::parse();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut cluster = Cluster::start(&options);
    let mut verdicts = Vec::new();
    for number in 0..count {
        let load = Load::start(clients, &cluster.ports(), number);
        load.wait_for(AROUND * clients);
        match kind {
            Kind::Kill => kill(&mut cluster, &load),
            Kind::Transfer => transfer(&cluster),
            Kind::Restart => restart(&mut cluster, number as usize % 3, &load),
            Kind::Members => members(&cluster, &load),
        }
        load.wait_for(AROUND * clients);
        let verdict = load.stop(number);
        match kind {
            Kind::Transfer | Kind::Members => verdict.check_undisturbed(),
            _ => verdict.check_no_errors(),
        }
        cluster.wait_until_all_have_everything();
        for node in &cluster.nodes {
            verdict.check(&mut node.client());
        }
        println!("{}/{count} {:?}", number + 1, verdict.longest_gap());
        verdicts.push(verdict);
    }
    report(kind, &verdicts);
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

fn members(cluster: &Cluster, load: &Load) {
    let dir = tempfile::tempdir().expect("a directory");
    let fourth = cluster.join(dir.path());
    let asked = &cluster.nodes[0];
    until("the fourth node votes", || {
        (asked.client().info("raft", "raft_voters") == "4").then_some(())
    });
    load.wait_for(AROUND);
    let id = fourth.client().info("raft", "raft_node_id");
    assert_eq!(asked.client().text(&["RAFT.NODE", "REMOVE", &id]), "OK");
}

fn report(kind: Kind, verdicts: &[Verdict]) {
    let kind = kind.to_possible_value();
    let kind = kind.as_ref().map_or("", PossibleValue::get_name);
    let mut gaps: Vec<Duration> = verdicts.iter().map(Verdict::longest_gap).collect();
    gaps.sort_unstable();
    let at = |percent: usize| gaps[(gaps.len() - 1) * percent / 100];
    println!(
        "{kind}, {} times: longest stall p50 {:?}, p90 {:?}, p99 {:?}, of all {:?}; {} writes acknowledged, no error reply, \
         {} connections broken",
        gaps.len(),
        at(50),
        at(90),
        at(99),
        at(100),
        verdicts.iter().map(Verdict::acknowledged).sum::<u64>(),
        verdicts.iter().map(Verdict::broken).sum::<u64>(),
    );
}
