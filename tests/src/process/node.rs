//! Starting, killing, pausing and starting again.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Once, OnceLock};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use super::{Client, until};

/// What a node adds to its client port for the other nodes.
const BUS_OFFSET: u16 = 10_000;

/// The program: what `TINYKV_BIN` names, or else built by Cargo if it is not there or not new, in the profile of this test.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("TINYKV_BIN") {
            return PathBuf::from(named);
        }
        let test = std::env::current_exe().expect("a path");
        let profile = test.ancestors().nth(2).expect("target/profile/deps/test");
        let target = profile.parent().expect("a target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args([
                "build",
                "--quiet",
                "--package",
                "tinykv-server",
                "--bin",
                "tinykv-server",
            ])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(
            cargo.status().expect("cargo runs").success(),
            "the server builds"
        );
        profile.join("tinykv-server")
    })
}

/// The processes that run.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Where a panic aborts this process, as in release builds, nothing is dropped: what runs is ended before.
fn end_all_before_an_abort() {
    static ONCE: Once = Once::new();
    if cfg!(panic = "abort") {
        ONCE.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                report(panic);
                for process in std::mem::take(&mut *RUNNING.lock()) {
                    // It may have ended just now.
                    let _ = kill_process(pid(process), Signal::KILL);
                }
            }));
        });
    }
}

fn pid(process: u32) -> Pid {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    id.expect("a process id")
}

/// Ports of clients: with those of the nodes they stay below 32768, from where the system takes ports for connections.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 2_700;

/// A port that nobody listens on, nor on the port that a node adds to it. Tests of one process never get the same.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(PORTS)) as u16;
    loop {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST_PORT + (start + nth) % PORTS;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + BUS_OFFSET) {
            return port;
        }
    }
}

/// A server process.
pub struct Server {
    child: Child,
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Server {
    /// Starts a server on a free port, its data in `dir`, and waits until it answers.
    pub fn start(dir: &Path, options: &[&str]) -> Self {
        Self::start_on(free_port(), dir, options)
    }

    /// The same on a port of the caller's choice.
    pub fn start_on(port: u16, dir: &Path, options: &[&str]) -> Self {
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = Self::spawn(port, dir.to_owned(), options, Vec::new());
        server.wait_until_it_answers();
        server
    }

    /// Starts a server with these environment variables besides, and does not wait.
    pub fn start_under(
        port: u16,
        dir: &Path,
        options: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let options = options.iter().map(ToString::to_string).collect();
        let environment = environment.iter();
        let environment = environment.map(|(name, value)| (name.to_string(), value.to_string()));
        Self::spawn(port, dir.to_owned(), options, environment.collect())
    }

    fn spawn(
        port: u16,
        dir: PathBuf,
        options: Vec<String>,
        environment: Vec<(String, String)>,
    ) -> Self {
        end_all_before_an_abort();
        let variables = environment.iter().map(|(name, value)| (name, value));
        let child = command(port, &dir, &options)
            .envs(variables)
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        RUNNING.lock().insert(child.id());
        Self {
            child,
            port,
            dir,
            options,
            environment,
        }
    }

    /// Tries to start a server that refuses to; what it says on standard error.
    pub fn refused(dir: &Path, options: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let output = command(free_port(), dir, &options)
            .output()
            .expect("it starts");
        assert!(!output.status.success(), "{options:?} was accepted");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The port of clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it answers PING.
    ///
    /// # Panics
    /// When it ends instead.
    pub fn wait_until_it_answers(&mut self) {
        until("the server answers PING", || {
            let ended = self.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            let mut client = Client::connect(self.port).ok()?;
            let reply = client.call(&["PING"]).ok()?;
            (reply.as_str() == Some("PONG")).then_some(())
        });
    }

    /// A connection.
    ///
    /// # Panics
    /// When it is refused.
    pub fn client(&self) -> Client {
        Client::connect(self.port).expect("the server accepts connections")
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        RUNNING.lock().remove(&self.child.id());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("the process lives");
    }

    /// Stops the process where it stands; returns when each of its threads does.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let threads = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        until("every thread has stopped", || {
            let mut threads = std::fs::read_dir(&threads).expect("the process lives");
            threads
                .all(|thread| is_stopped(&thread.expect("a thread").path().join("stat")))
                .then_some(())
        });
    }

    /// Lets a paused process go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether its process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_some()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let status = until("the server ends", || {
            self.child.try_wait().expect("it can be asked")
        });
        RUNNING.lock().remove(&self.child.id());
        status
    }

    /// From the next start on, an option has another value.
    ///
    /// # Panics
    /// When it was not started with this option.
    pub fn set_option(&mut self, name: &str, value: &str) {
        let at = self.options.iter().position(|option| option == name);
        let at = at.unwrap_or_else(|| panic!("{name} is not among the options"));
        value.clone_into(&mut self.options[at + 1]);
    }

    /// From the next start on, it has more options.
    pub fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(ToString::to_string));
    }

    /// Kills it; from the next start on, it is at another port.
    pub fn move_to(&mut self, port: u16) {
        self.kill();
        self.port = port;
    }

    /// Starts it again on the same port and directory, after it has ended.
    pub fn start_again(&mut self) {
        assert!(
            self.child.try_wait().expect("it can be asked").is_some(),
            "it still runs"
        );
        *self = Self::spawn(
            self.port,
            self.dir.clone(),
            self.options.clone(),
            self.environment.clone(),
        );
    }
}

impl Server {
    /// Kills it, and its disk is lost: the next start finds an empty one.
    pub fn lose_disk(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.dir).expect("its directory is there");
    }

    /// Starts it again in the same way, and waits until it ends by itself; what it says on standard error.
    pub fn refuses_to_start_again(&self) -> String {
        let output = command(self.port, &self.dir, &self.options)
            .stdout(Stdio::null())
            .output()
            .expect("it starts");
        assert!(!output.status.success(), "it served, and ended well");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a thread's state is `T`; the state follows the name, which is in parentheses.
fn is_stopped(stat: &Path) -> bool {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|state| state.starts_with('T'))
}

fn command(port: u16, dir: &Path, options: &[String]) -> Command {
    let mut command = Command::new(program());
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
        .arg(dir)
        .args(options);
    command
}

/// What the nodes of a [`Cluster`] know each other by.
const CLUSTER_SECRET: &str = "secret of the tests";

/// Nodes 1, 2 and 3 of one cluster.
pub struct Cluster {
    /// In the order of their ids.
    pub nodes: Vec<Server>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    /// Three nodes, with these options besides those that make them a cluster; returns when they have a leader.
    pub fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let peers: Vec<String> = (1..)
            .zip(&ports)
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        let nodes = (1..)
            .zip(&ports)
            .map(|(id, &port)| {
                let mut all: Vec<String> = options.iter().map(ToString::to_string).collect();
                let id_text = id.to_string();
                let own = [
                    "--node-id",
                    &id_text,
                    "--cluster-secret",
                    CLUSTER_SECRET,
                    "--cluster-peers",
                ];
                all.extend(own.map(ToString::to_string));
                all.push(peers.join(","));
                let node = dir.path().join(format!("node-{id}"));
                Server::spawn(port, node, all, Vec::new())
            })
            .collect();
        let mut cluster = Self { nodes, _dir: dir };
        for node in &mut cluster.nodes {
            node.wait_until_it_answers();
        }
        cluster.leader(None);
        cluster
    }

    /// Starts a node more, its data in `dir`, which joins this cluster.
    pub fn join(&self, dir: &Path) -> Server {
        let through = format!("127.0.0.1:{}", self.nodes[0].port());
        Server::start(
            dir,
            &["--cluster-secret", CLUSTER_SECRET, "--join", &through],
        )
    }

    /// Ports of clients.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(Server::port).collect()
    }

    /// Waits for a node that says it leads, other than `not`; its place in `nodes`.
    pub fn leader(&self, not: Option<usize>) -> usize {
        until("a leader", || {
            (0..self.nodes.len())
                .filter(|&at| Some(at) != not)
                .find(|&at| {
                    Client::connect(self.nodes[at].port()).is_ok_and(|mut client| {
                        client.call(&["PING"]).is_ok()
                            && client.info("raft", "raft_role") == "leader"
                    })
                })
        })
    }

    /// Waits until every node has applied what is the leader's last entry now.
    pub fn wait_until_all_have_everything(&self) {
        let leader = self.leader(None);
        let last: u64 = self.nodes[leader]
            .client()
            .info("raft", "raft_last_index")
            .parse()
            .expect("a number");
        for node in &self.nodes {
            until("a follower catches up", || {
                let mut client = Client::connect(node.port()).ok()?;
                client.call(&["PING"]).ok()?;
                let applied: u64 = client.info("raft", "raft_applied_index").parse().ok()?;
                (applied >= last).then_some(())
            });
        }
    }
}
