//! Nodes in processes, a network between them that breaks, clients that remember: is anything acknowledged ever lost, or any
//! history not linearizable?
//!
//! ```sh
//! cargo run --release -p tests --example torture -- [--cycles N] [--operations N] [--seconds N] [--nodes N] [--seed N] [--namespaces]
//! ```
//!
//! In every cycle a few faults strike, drawn from the seed: kill -9, SIGSTOP, partitions of all kinds, delays, connections that break and
//! lose what was under way (or, between namespaces, packets that are lost), transfers, restarts, nodes that are replaced by empty ones, that join, and that leave again. Cycles go on until there were as many as asked
//! for, and as many acknowledged operations. Meanwhile clients work through all nodes; then everything is repaired, writes must
//! succeed again, and what the clients saw is checked. At the end all nodes must have the same data. Faults meet the processes at
//! other moments in every run, so a seed repeats the plan, not the run; a failing run leaves the nodes' logs.

mod check;
mod faults;
mod load;
mod network;
mod nodes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tests::process::{Client, Load, until};

use faults::Fault;
use load::{Clients, Seen};
use network::Network;
use nodes::Nodes;

/// Clients that work on registers and lists, and writers of many keys beside them.
const CLIENTS: u64 = 6;
const WRITERS: u64 = 3;

/// Cycles between two comparisons of the nodes' data.
const DIGEST_EVERY: u64 = 10;

/// Breaks a cluster under load, and checks that nothing acknowledged is lost and that what clients saw is linearizable.
#[derive(Parser)]
struct Options {
    /// Faults strike in so many cycles, at least.
    #[arg(long, default_value_t = 20)]
    cycles: u64,
    /// It goes on until clients were acknowledged so many operations.
    #[arg(long, default_value_t = 0)]
    operations: u64,
    /// It ends after this time.
    #[arg(long, default_value_t = u64::MAX)]
    seconds: u64,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// Of the plan of faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Each node in a network namespace of its own, between which packets are lost, instead of proxies between the nodes. Run it under
    /// `unshare --net --mount` as root.
    #[arg(long)]
    namespaces: bool,
}

impl Options {
    fn want_more(&self, totals: &Totals) -> bool {
        totals.cycles < self.cycles || totals.acknowledged < self.operations
    }
}

/// What all cycles came to.
#[derive(Default)]
struct Totals {
    cycles: u64,
    faults: BTreeMap<Fault, u64>,
    acknowledged: u64,
    latencies_us: Vec<u32>,
    /// The longest window in which no client was acknowledged anything, of each cycle, with what was done in it.
    silences: Vec<(Duration, Vec<Fault>)>,
    errors: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let dir = std::env::temp_dir().join(format!("torture-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let network = Arc::new(Network::new(options.namespaces));
    let mut nodes = Nodes::start(options.nodes, &dir, &network);
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut totals = Totals::default();
    let started = Instant::now();
    let mut result = Ok(());
    while result.is_ok()
        && options.want_more(&totals)
        && started.elapsed().as_secs() < options.seconds
    {
        result = reported(|| {
            cycle(&mut nodes, &network, &mut random, &mut totals, started)?;
            if totals.cycles.is_multiple_of(DIGEST_EVERY) {
                nodes.wait_for_equal_digests();
                // All of it was asked for; with more and more data a comparison would take longer and longer.
                let mut client = until("a node serves", || serving(&nodes));
                client.call(&["FLUSHALL"]).expect("it answers");
            }
            Ok(())
        });
    }
    let result = result.and_then(|()| {
        reported(|| {
            nodes.wait_for_equal_digests();
            Ok(())
        })
    });
    totals.report(started.elapsed());
    match result {
        Ok(()) => {
            std::fs::remove_dir_all(&dir).expect("the directory is ours");
            ExitCode::SUCCESS
        }
        Err(what) => {
            println!(
                "FAILED in cycle {} of seed {}: {what}\nlogs and data are in {}",
                totals.cycles,
                options.seed,
                dir.display()
            );
            ExitCode::FAILURE
        }
    }
}

/// What `run` finds wrong, even if it panics: the report comes in any case.
fn reported(run: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let panicked = |_| Err("a panic, see above".to_owned());
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}

fn cycle(
    nodes: &mut Nodes,
    network: &Network,
    random: &mut ChaCha8Rng,
    totals: &mut Totals,
    epoch: Instant,
) -> Result<(), String> {
    totals.cycles += 1;
    let number = totals.cycles;
    let addresses: Vec<SocketAddr> = (0..nodes.count())
        .map(|place| nodes.address(place))
        .collect();
    let seed = random.random();
    let load = Load::start_at(WRITERS, &addresses, number);
    let clients = Clients::start(CLIENTS, &addresses, number, seed, epoch);
    wait_for(&clients, 100, "operations before the faults");
    let faults = Fault::draw(random, network);
    for fault in &faults {
        fault.strike(nodes, network, random);
        let ms = random.random_range(20..500);
        std::thread::sleep(Duration::from_millis(ms));
    }
    let ms = random.random_range(0..800);
    std::thread::sleep(Duration::from_millis(ms));
    network.heal();
    nodes.revive();
    nodes.settle();
    wait_for(&clients, 100, "operations after the faults");
    let seen = clients.stop();
    let verdict = load.stop(number);
    let mut client = until("a node serves", || serving(nodes));
    check::check(number, &seen, &mut client)?;
    verdict.check(&mut client);
    totals.add(faults, seen, verdict.acknowledged());
    Ok(())
}

/// A connection to a node that answers a write.
fn serving(nodes: &Nodes) -> Option<Client> {
    let place = nodes.alive().into_iter().next()?;
    let mut client = Client::connect_to(nodes.address(place)).ok()?;
    let reply = client.call(&["SET", "serving", "yes"]).ok()?;
    (!reply.is_error()).then_some(client)
}

fn wait_for(clients: &Clients, more: u64, what: &str) {
    let goal = clients.acknowledged() + more;
    until(what, || (clients.acknowledged() >= goal).then_some(()));
}

impl Totals {
    fn add(&mut self, faults: Vec<Fault>, seen: Vec<Seen>, written: u64) {
        let mut acknowledged: Vec<u64> = Vec::new();
        for seen in seen {
            acknowledged.extend(&seen.acknowledged_ns);
            self.latencies_us.extend(&seen.latencies_us);
            for (word, count) in seen.errors {
                *self.errors.entry(word).or_default() += count;
            }
        }
        acknowledged.sort_unstable();
        let silence = acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max();
        let silence = Duration::from_nanos(silence.unwrap_or(0));
        self.acknowledged += acknowledged.len() as u64 + written;
        let names: Vec<String> = faults.iter().map(|fault| format!("{fault:?}")).collect();
        println!(
            "cycle {}: {}; {} acknowledged, longest silence {silence:.0?}",
            self.cycles,
            names.join(", "),
            acknowledged.len() as u64 + written
        );
        for fault in &faults {
            *self.faults.entry(*fault).or_default() += 1;
        }
        self.silences.push((silence, faults));
    }

    fn report(&mut self, time: Duration) {
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(fault, count)| format!("{fault:?} {count}"))
            .collect();
        println!(
            "\n{} cycles in {:.0} s, {} acknowledged operations\nfaults: {}",
            self.cycles,
            time.as_secs_f64(),
            self.acknowledged,
            faults.join(", ")
        );
        self.latencies_us.sort_unstable();
        let latency = |permille: usize| {
            let at = (self.latencies_us.len().max(1) - 1) * permille / 1000;
            let us = self.latencies_us.get(at).copied().unwrap_or(0);
            f64::from(us) / 1_000.0
        };
        println!(
            "latency of single operations through any node, faults included: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms",
            latency(500),
            latency(990),
            latency(999)
        );
        let all = |_: &[Fault]| true;
        self.silence("all cycles", all);
        self.silence("the leader killed, nothing else", |faults| {
            faults == [Fault::KillLeader]
        });
        self.silence("transfer or restart only", |faults| {
            let gentle = [Fault::Transfer, Fault::Restart];
            faults.iter().all(|fault| gentle.contains(fault))
        });
        println!("errors that clients saw: {:?}", self.errors);
    }

    /// Windows without any acknowledgement, of the cycles that `which` chooses.
    fn silence(&self, what: &str, which: impl Fn(&[Fault]) -> bool) {
        let chosen = self.silences.iter().filter(|(_, faults)| which(faults));
        let mut times: Vec<Duration> = chosen.map(|(silence, _)| *silence).collect();
        times.sort_unstable();
        let Some(longest) = times.last() else { return };
        println!(
            "longest silence, {what} ({}): p50 {:.0?}, p99 {:.0?}, longest {longest:.0?}",
            times.len(),
            times[(times.len() - 1) / 2],
            times[(times.len() - 1) * 99 / 100]
        );
    }
}
