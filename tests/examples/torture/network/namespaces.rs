//! A network namespace for each node, all on one bridge in the namespace that this program runs in. Rules are the kernel's: nftables
//! drop packets on their way out of a node, netem delays them where the kernel has it. What was lost TCP sends again, later and later,
//! so connections behave as they do across a broken switch, which no proxy shows.
//!
//! This program must be in a network and a mount namespace of its own, which `tests/suites/torture.sh` makes (`unshare --net
//! --mount`): nothing outside sees any of it, and all of it ends with the last process in it. Clients reach the nodes over the bridge.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Rule;

/// The bridge, and its own end of the network.
const BRIDGE: &str = "torture";

/// Where `ip` keeps them.
const NAMES: &str = "/run/netns";

/// Of a rule set that drops nothing.
const EMPTY: &str = "add table ip torture\ndelete table ip torture\n";

/// What holds for what leaves a host, by where it goes.
type Rules = BTreeMap<usize, Rule>;

/// All hosts.
pub(crate) struct Namespaces {
    hosts: Mutex<BTreeMap<usize, Rules>>,
    /// Whether the kernel can delay packets.
    pub(super) delays: bool,
}

impl Namespaces {
    /// # Panics
    /// When this program is not in a namespace of its own, or lacks privileges or tools.
    pub(super) fn new() -> Self {
        for kind in ["net", "mnt"] {
            let of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/{kind}")).ok();
            let own = of("self") != of("1");
            assert!(
                own,
                "not in a namespace of its own: use tests/suites/torture.sh"
            );
        }
        // Names of namespaces are seen by this program only.
        std::fs::create_dir_all(NAMES).expect("a directory");
        run("mount", &["-t", "tmpfs", "torture", NAMES]);
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
        Self {
            hosts: Mutex::default(),
            delays,
        }
    }

    pub(super) fn host(&self, place: usize) -> Ipv4Addr {
        address(place + 1)
    }

    pub(super) fn add(&self, place: usize) {
        if self.hosts.lock().contains_key(&place) {
            return;
        }
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
        self.hosts.lock().insert(place, Rules::new());
    }

    pub(super) fn inside<R: Send>(&self, place: usize, start: impl FnOnce() -> R + Send) -> R {
        let path = format!("{NAMES}/{}", name(place));
        let namespace = File::open(path).expect("it was made");
        let entered = move || {
            let of_network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), of_network).expect("it may be entered");
            start()
        };
        // A namespace is a thread's; its children have it from then on.
        std::thread::scope(|scope| scope.spawn(entered).join()).expect("it starts")
    }

    /// Its host stays, and refuses connections: nobody waits for an answer that cannot come.
    pub(super) fn forget(&self, place: usize) {
        let mut hosts = self.hosts.lock();
        let rules = hosts.get_mut(&place).expect("it was added");
        rules.clear();
        self.enforce(place, rules);
    }

    pub(super) fn set(&self, from: usize, to: usize, rule: Rule) {
        let mut hosts = self.hosts.lock();
        if let Some(rules) = hosts.get_mut(&from) {
            rules.insert(to, rule);
            self.enforce(from, rules);
        }
    }

    pub(super) fn heal(&self) {
        for (place, rules) in self.hosts.lock().iter_mut() {
            if !std::mem::take(rules).is_empty() {
                self.enforce(*place, rules);
            }
        }
    }

    /// Makes the kernel do what the rules say of what leaves `from`.
    fn enforce(&self, from: usize, rules: &Rules) {
        let drops = rules.iter().filter_map(|(to, rule)| {
            let to = self.host(*to);
            match rule {
                Rule { cut: true, .. } => Some(format!("ip daddr {to} drop\n")),
                Rule {
                    lost_permille: 0, ..
                } => None,
                Rule { lost_permille, .. } => Some(format!(
                    "ip daddr {to} numgen random mod 1000 < {lost_permille} drop\n"
                )),
            }
        });
        let drops: String = drops.collect();
        let rule_set = format!(
            "{EMPTY}table ip torture {{
chain out {{
type filter hook output priority 0
{drops}}}
}}
"
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
