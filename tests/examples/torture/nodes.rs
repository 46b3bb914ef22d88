//! The nodes: processes that are killed, stopped, started, removed and replaced.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use tests::process::{Client, Server, free_port, until};

use crate::network::{Network, Ports};

const SECRET: [&str; 2] = ["--cluster-secret", "secret of the torture"];

/// One place: its ports stay, processes and ids come and go.
struct Place {
    port: u16,
    options: Vec<String>,
    server: Option<Server>,
    running: bool,
    paused: bool,
    /// Was started to join, and may not have yet.
    joining: bool,
    /// Is being removed; by its id.
    leaving: Option<String>,
}

/// All places.
pub(crate) struct Nodes {
    places: Vec<Place>,
    dir: PathBuf,
    network: Arc<Network>,
    /// Directories used so far.
    generation: usize,
    /// Nodes that the cluster began with.
    founders: usize,
}

/// Nodes that join beyond those that the cluster began with.
const MOST_GUESTS: usize = 2;

impl Nodes {
    /// Starts a cluster of so many nodes in the network.
    pub(crate) fn start(count: usize, dir: &Path, network: &Arc<Network>) -> Self {
        let ports: Vec<Ports> = (0..count).map(|_| free_ports(network)).collect();
        let peers: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(place, ports)| {
                let (id, host) = (place + 1, network.host(place));
                format!("{id}@{host}:{}@{}", ports.client, ports.announced_bus)
            })
            .collect();
        let peers = peers.join(",");
        let mut nodes = Self {
            places: Vec::new(),
            dir: dir.to_owned(),
            network: Arc::clone(network),
            generation: 0,
            founders: count,
        };
        for (place, &ports) in ports.iter().enumerate() {
            nodes.add_place(ports);
            network.note_place(place as u64 + 1, place);
        }
        for place in 0..count {
            let id = (place + 1).to_string();
            nodes.launch(place, &["--node-id", &id, "--cluster-peers", &peers]);
        }
        nodes
    }

    fn add_place(&mut self, ports: Ports) {
        let place = self.count();
        self.network.add(place, ports);
        let host = self.network.host(place);
        let log = self.dir.join(format!("node-{}.log", place + 1));
        let mut options: Vec<String> = [
            SECRET[0],
            SECRET[1],
            "--enable-debug-command",
            "yes",
            "--protected-mode",
            "no",
            "--bind",
            &host.to_string(),
            // Where this program waits for it.
            &Ipv4Addr::LOCALHOST.to_string(),
        ]
        .map(str::to_owned)
        .to_vec();
        // The same address twice would be refused.
        if host.is_loopback() {
            options.pop();
        }
        let named = [
            ("--cluster-port", ports.bus.to_string()),
            (
                "--cluster-announce-bus-port",
                ports.announced_bus.to_string(),
            ),
            ("--logfile", log.display().to_string()),
        ];
        let named = named.into_iter();
        options.extend(named.flat_map(|(name, value)| [name.to_owned(), value]));
        self.places.push(Place {
            port: ports.client,
            options,
            server: None,
            running: false,
            paused: false,
            joining: false,
            leaving: None,
        });
    }

    /// A new process in a new directory; waits until it answers.
    fn launch(&mut self, place: usize, more: &[&str]) {
        self.spawn(place, more);
        self.wait_until_it_answers(place);
    }

    fn wait_until_it_answers(&mut self, place: usize) {
        let network = Arc::clone(&self.network);
        let server = self.server(place);
        network.inside(place, || server.wait_until_it_answers());
    }

    fn spawn(&mut self, place: usize, more: &[&str]) {
        self.generation += 1;
        let dir = self.dir.join(format!("data-{}", self.generation));
        let row = &mut self.places[place];
        let mut options: Vec<&str> = row.options.iter().map(String::as_str).collect();
        options.extend(more);
        let port = row.port;
        let server = self
            .network
            .inside(place, || Server::start_under(port, &dir, &options, &[]));
        row.server = Some(server);
        row.running = true;
    }

    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// Where clients are served.
    pub(crate) fn address(&self, place: usize) -> SocketAddr {
        (self.network.host(place), self.places[place].port).into()
    }

    /// Places whose process runs and is not paused.
    pub(crate) fn alive(&self) -> Vec<usize> {
        let lives = |place: &usize| self.places[*place].running && !self.places[*place].paused;
        (0..self.count()).filter(lives).collect()
    }

    /// The place of a living node that says it leads.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = |place: &usize| {
            let client = Client::connect_to(self.address(*place)).ok();
            client.is_some_and(|mut client| {
                let reply = client.call(&["INFO", "raft"]).ok();
                let text = reply.and_then(|reply| reply.as_str().map(str::to_owned));
                text.is_some_and(|text| text.contains("raft_role:leader"))
            })
        };
        self.alive().into_iter().find(leads)
    }

    pub(crate) fn kill(&mut self, place: usize) {
        self.network.close(place);
        self.server(place).kill();
        self.places[place].running = false;
        self.places[place].paused = false;
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn terminate(&mut self, place: usize) {
        self.server(place).signal(Signal::TERM);
        self.server(place).wait();
        self.network.close(place);
        self.places[place].running = false;
    }

    pub(crate) fn start_again(&mut self, place: usize) {
        self.network.open(place);
        let network = Arc::clone(&self.network);
        let server = self.server(place);
        network.inside(place, || server.start_again());
        self.places[place].running = true;
    }

    pub(crate) fn pause(&mut self, place: usize) {
        self.server(place).pause();
        self.places[place].paused = true;
    }

    /// A node more asks through `through` to join; nobody waits for it.
    pub(crate) fn grow(&mut self, through: usize) {
        if self.count() >= self.founders + MOST_GUESTS || self.places[through].joining {
            return;
        }
        let place = self.count();
        let through = self.address(through).to_string();
        let ports = free_ports(&self.network);
        self.add_place(ports);
        self.spawn(place, &["--join", &through]);
        self.places[place].joining = true;
    }

    /// The node that joined last is to be removed, says another one; nobody waits for it.
    pub(crate) fn shrink(&mut self) {
        let last = self.count() - 1;
        if last < self.founders || !self.alive().contains(&last) || self.places[last].joining {
            return;
        }
        let id = self.id(last).to_string();
        self.places[last].leaving = Some(id.clone());
        let address = self.address(0);
        std::thread::spawn(move || {
            // Whether it is done shows in the end; otherwise it is asked for again.
            Client::connect_to(address)
                .and_then(|mut client| client.call(&["RAFT.NODE", "REMOVE", &id]))
        });
    }

    /// Who was to join has joined, and who was to leave is gone. The cluster must be whole.
    pub(crate) fn settle(&mut self) {
        for place in 0..self.count() {
            if std::mem::take(&mut self.places[place].joining) {
                if self.server(place).has_ended() {
                    // It could ask nobody.
                    self.start_again(place);
                }
                self.wait_until_it_answers(place);
                let id = self.id(place);
                self.network.note_place(id, place);
            }
            // The last one, if any.
            if let Some(id) = self.places[place].leaving.take() {
                self.remove(&id, 0);
                self.kill(place);
                self.places.truncate(place);
                self.network.forget(place);
                return;
            }
        }
    }

    /// Lets paused ones go on and starts dead ones.
    pub(crate) fn revive(&mut self) {
        for place in 0..self.count() {
            if self.places[place].paused {
                self.server(place).go_on();
                self.places[place].paused = false;
            }
            if !self.places[place].running {
                self.start_again(place);
            }
        }
    }

    /// Hands over to the node with the id of the process at `to`.
    pub(crate) fn transfer(&self, to: usize) {
        let id = self.id(to).to_string();
        if let Ok(mut client) = Client::connect_to(self.address(to)) {
            // Refused if it leads already, or is behind: then nothing happens.
            let _ = client.call(&["RAFT.TRANSFER_LEADER", &id]);
        }
    }

    fn id(&self, place: usize) -> u64 {
        until("a node tells its id", || {
            let mut client = Client::connect_to(self.address(place)).ok()?;
            let text = client.call(&["INFO", "raft"]).ok()?;
            let text = text.as_str()?;
            let field = text
                .lines()
                .find_map(|line| line.strip_prefix("raft_node_id:"))?;
            field.parse().ok()
        })
    }

    /// Removes the node at `place`, as if its disk were lost, and lets an empty one join in its place. The cluster must be whole.
    pub(crate) fn replace(&mut self, place: usize) {
        let id = self.id(place).to_string();
        let other = (place + 1) % self.count();
        self.remove(&id, other);
        self.kill(place);
        self.network.open(place);
        let through = self.address(other).to_string();
        self.launch(place, &["--join", &through]);
        self.network.note_place(self.id(place), place);
        let voters = self.count().to_string();
        until("the new node votes", || {
            let mut client = Client::connect_to(self.address(other)).ok()?;
            let text = client.call(&["INFO", "raft"]).ok()?;
            text.as_str()?
                .contains(&format!("raft_voters:{voters}"))
                .then_some(())
        });
    }

    /// Asks `other` to remove a node until it is gone.
    fn remove(&self, id: &str, other: usize) {
        until("the node is removed", || {
            if self.is_gone(other, id) {
                return Some(());
            }
            let mut client = Client::connect_to(self.address(other)).ok()?;
            let reply = client.call(&["RAFT.NODE", "REMOVE", id]).ok()?;
            // A leader hands over before it goes.
            if reply.as_str().is_some_and(|text| text.contains("leads")) {
                self.transfer(other);
            }
            None
        });
    }

    /// Whether the members that `place` knows are without this id.
    fn is_gone(&self, place: usize, id: &str) -> bool {
        let asked = Client::connect_to(self.address(place))
            .and_then(|mut client| client.call(&["INFO", "raft"]));
        let Ok(reply) = asked else { return false };
        let text = reply.as_str().unwrap_or_default().to_owned();
        text.contains("raft_member0:") && !text.contains(&format!("node={id},"))
    }

    /// Waits until all nodes have the same data, at the same index of the log. They are asked at once: while they compare their data
    /// by themselves, the index grows twice a second.
    pub(crate) fn wait_for_equal_digests(&self) {
        until("equal digests at an equal index", || {
            let all: Option<Vec<(i64, String)>> = std::thread::scope(|scope| {
                let asked: Vec<_> = (0..self.count())
                    .map(|place| scope.spawn(move || self.digest(place)))
                    .collect();
                let told = asked.into_iter().map(|asked| asked.join().ok().flatten());
                told.collect()
            });
            let all = all?;
            let at_one_index = all.iter().all(|(index, _)| *index == all[0].0);
            if at_one_index {
                let same = all.iter().all(|(_, digest)| *digest == all[0].1);
                assert!(same, "the data of the nodes differs at one index: {all:?}");
            }
            at_one_index.then_some(())
        });
    }

    /// What the node at `place` has executed, and the digest of its data then.
    fn digest(&self, place: usize) -> Option<(i64, String)> {
        let mut client = Client::connect_to(self.address(place)).ok()?;
        let reply = client.call(&["RAFT.DIGEST"]).ok()?;
        let parts = reply.as_slice()?;
        Some((
            parts.first()?.as_integer()?,
            parts.get(1)?.as_str()?.to_owned(),
        ))
    }

    fn server(&mut self, place: usize) -> &mut Server {
        self.places[place].server.as_mut().expect("it was started")
    }
}

fn free_ports(network: &Network) -> Ports {
    let bus = free_port();
    Ports {
        client: free_port(),
        bus,
        announced_bus: network.announced(bus, free_port),
    }
}
