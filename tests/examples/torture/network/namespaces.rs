//! A network namespace for each node, all on one bridge in the namespace that this program runs in. Rules are the kernel's: nftables
//! drop packets on their way out of a node, netem delays them where the kernel has it. What was lost TCP sends again, later and later,
//! so connections behave as they do across a broken switch, which no proxy shows.
//!
//! This program must be in a network and a mount namespace of its own, which `tests/suites/torture.sh` makes (`unshare --net
//! --mount`): nothing outside sees any of it, and all of it ends with the last process in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Rule;

/// The bridge, and its own end of the network.
const BRIDGE: &str = "torture";

/// Of a rule set that drops nothing.
const EMPTY: &str = "add table ip torture; delete table ip torture;";

/// One node's host.
struct Host {
    rules: BTreeMap<usize, Rule>,
    /// Carries clients from a port of 127.0.0.1 here to the same port there.
    relay: JoinHandle<()>,
}

/// All hosts.
pub(crate) struct Namespaces {
    hosts: Mutex<BTreeMap<usize, Host>>,
    delays: bool,
    runtime: tokio::runtime::Runtime,
}

impl Namespaces {
    /// # Panics
    /// When this program is not in a namespace of its own, or lacks privileges or tools.
    pub(super) fn new() -> Self {
        let links = run("ip", &["-o", "link", "show"]);
        let alone = links.lines().all(|link| link.contains(" lo:"));
        assert!(
            alone,
            "not in a network namespace of its own: use tests/suites/torture.sh"
        );
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        run(
            "ip",
            &["addr", "add", &format!("{}/24", address(0)), "dev", BRIDGE],
        );
        run("ip", &["link", "set", BRIDGE, "up"]);
        let delays = succeeds(
            "tc",
            &[
                "qdisc", "add", "dev", BRIDGE, "root", "netem", "delay", "1us",
            ],
        );
        if delays {
            run("tc", &["qdisc", "del", "dev", BRIDGE, "root"]);
        } else {
            println!("this kernel has no netem: nothing is delayed here, only where proxies are");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self {
            hosts: Mutex::default(),
            delays,
            runtime: runtime.expect("a runtime"),
        }
    }

    pub(super) fn host(&self, place: usize) -> String {
        address(place + 1).to_string()
    }

    pub(super) fn add(&self, place: usize, port: u16) {
        let name = name(place);
        run("ip", &["netns", "add", &name]);
        let outer = format!("to-{name}");
        run(
            "ip",
            &[
                "link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &name,
            ],
        );
        run("ip", &["link", "set", &outer, "master", BRIDGE, "up"]);
        let inner = |words: &[&str]| run("ip", &[&["-n", &name], words].concat());
        inner(&[
            "addr",
            "add",
            &format!("{}/24", self.host(place)),
            "dev",
            "eth0",
        ]);
        inner(&["link", "set", "lo", "up"]);
        inner(&["link", "set", "eth0", "up"]);
        let target = SocketAddr::from((address(place + 1), port));
        let host = Host {
            rules: BTreeMap::new(),
            relay: self.relay(port, target),
        };
        self.hosts.lock().insert(place, host);
    }

    fn relay(&self, port: u16, target: SocketAddr) -> JoinHandle<()> {
        let listener = self
            .runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)));
        let listener = listener.expect("a free port");
        self.runtime.spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                // However it ends, both sides see it.
                tokio::spawn(async move {
                    let mut node = TcpStream::connect(target).await?;
                    client.set_nodelay(true)?;
                    node.set_nodelay(true)?;
                    copy_bidirectional(&mut client, &mut node).await
                });
            }
        })
    }

    pub(super) fn inside<R: Send>(&self, place: usize, start: impl FnOnce() -> R + Send) -> R {
        let path = format!("/run/netns/{}", name(place));
        let namespace = File::open(path).expect("it was made");
        let entered = move || {
            let of_network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), of_network).expect("it may be entered");
            start()
        };
        // A namespace is a thread's; its children have it from then on.
        std::thread::scope(|scope| scope.spawn(entered).join()).expect("it starts")
    }

    pub(super) fn forget(&self, place: usize) {
        if let Some(host) = self.hosts.lock().remove(&place) {
            host.relay.abort();
            let _ = self.runtime.block_on(host.relay);
        }
        // With it go its end of the cable and the other one.
        run("ip", &["netns", "del", &name(place)]);
    }

    pub(super) fn set(&self, from: usize, to: usize, rule: Rule) {
        let mut hosts = self.hosts.lock();
        if let Some(host) = hosts.get_mut(&from) {
            host.rules.insert(to, rule);
            self.enforce(from, &host.rules);
        }
    }

    pub(super) fn heal(&self) {
        for (place, host) in self.hosts.lock().iter_mut() {
            if !std::mem::take(&mut host.rules).is_empty() {
                self.enforce(*place, &host.rules);
            }
        }
    }

    /// Makes the kernel do what the rules say of what leaves `from`.
    fn enforce(&self, from: usize, rules: &BTreeMap<usize, Rule>) {
        let drops = rules.iter().filter_map(|(to, rule)| {
            let to = self.host(*to);
            match rule {
                Rule { cut: true, .. } => Some(format!("ip daddr {to} drop;")),
                Rule {
                    lost_permille: 0, ..
                } => None,
                Rule { lost_permille, .. } => Some(format!(
                    "ip daddr {to} numgen random mod 1000 < {lost_permille} drop;"
                )),
            }
        });
        let drops: String = drops.collect();
        let rule_set = format!(
            "{EMPTY} table ip torture {{ chain out {{ type filter hook output priority 0; {drops} }} }}"
        );
        let name = name(from);
        let mut nft = Command::new("ip")
            .args(["netns", "exec", &name, "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("ip is there");
        let mut input = nft.stdin.take().expect("it has one");
        input.write_all(rule_set.as_bytes()).expect("it reads");
        drop(input);
        assert!(
            nft.wait().expect("it ends").success(),
            "nft refuses {rule_set}"
        );
        if self.delays {
            // To all others alike: the longest.
            let delay = rules.values().map(|rule| rule.delay).max();
            self.delay(&name, delay.unwrap_or_default());
        }
    }

    fn delay(&self, name: &str, delay: Duration) {
        let us = format!("{}us", delay.as_micros());
        let dev = ["-n", name, "qdisc", "replace", "dev", "eth0", "root"];
        run("tc", &[&dev[..], &["netem", "delay", &us]].concat());
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for place in std::mem::take(&mut *self.hosts.lock()).into_keys() {
            succeeds("ip", &["netns", "del", &name(place)]);
        }
    }
}

fn name(place: usize) -> String {
    format!("node{}", place + 1)
}

fn address(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(host + 1).expect("few"))
}

/// What the command prints.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {}: {said}",
        args.join(" ")
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| output.status.success())
}
