//! Servers under the recorder and under a load.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::BytesMut;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use resp::encode_command;
use rustix::process::Signal;
use tests::process::{Client, Server, until};

use super::story::Story;

/// Most commands in one pipeline.
const MAX_PIPELINE: u64 = 24;

/// Compiles the recorder into `dir`.
pub(crate) fn compile(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/faults/record.c");
    let library = dir.join("record.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.expect("a C compiler").success(), "it compiles");
    library
}

/// Nodes whose files are recorded; one, or several of one cluster.
pub(crate) struct Nodes {
    pub(crate) servers: Vec<Server>,
}

impl Nodes {
    /// Starts them on what is in `data/1`, `data/2`…, and waits until they serve.
    pub(crate) fn start(ports: &[u16], recorder: &Path, data: &Path, log: &Path) -> Self {
        let peers: Vec<String> = (1..)
            .zip(ports)
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        let peers = peers.join(",");
        let environment = [
            ("LD_PRELOAD", recorder),
            ("RECORD_DIR", data),
            ("RECORD_LOG", log),
        ];
        let environment = environment.map(|(name, path)| (name, path.to_str().expect("UTF-8")));
        let servers = (1..)
            .zip(ports)
            .map(|(id, &port)| {
                let id = id.to_string();
                // Checkpoints come often, and the log is short: so much the more happens.
                let mut options = vec![
                    "--checkpoint-interval-ms",
                    "300",
                    "--raft-log-retention",
                    "1mb",
                ];
                if ports.len() > 1 {
                    options.extend(["--node-id", &id, "--cluster-secret", "power cuts"]);
                    options.extend(["--cluster-peers", &peers]);
                }
                Server::start_under(port, &data.join(&id), &options, &environment)
            })
            .collect();
        let mut nodes = Self { servers };
        for server in &mut nodes.servers {
            server.wait_until_it_answers();
        }
        nodes
    }

    /// The recorder's kill -9 of all.
    pub(crate) fn kill(&mut self) {
        self.servers.iter_mut().for_each(kill);
    }

    /// Kills the last one, and starts it again when `meanwhile` has run.
    pub(crate) fn without_the_last(&mut self, meanwhile: impl FnOnce(&Self)) {
        let last = self.servers.len() - 1;
        kill(&mut self.servers[last]);
        meanwhile(self);
        self.servers[last].start_again();
        self.servers[last].wait_until_it_answers();
    }
}

fn kill(server: &mut Server) {
    server.signal(Signal::USR2);
    server.wait();
}

/// Clients that tell their stories until they are stopped.
pub(crate) struct Tellers {
    stop: Arc<AtomicBool>,
    told: Arc<AtomicU64>,
    threads: Vec<JoinHandle<(Story, u64)>>,
}

impl Tellers {
    /// One for each story, at one port after the other.
    pub(crate) fn start(stories: Vec<Story>, ports: &[u16], seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::new(AtomicU64::new(0));
        let threads = stories
            .into_iter()
            .enumerate()
            .map(|(at, story)| {
                let (stop, told) = (Arc::clone(&stop), Arc::clone(&told));
                let port = ports[at % ports.len()];
                let random = ChaCha8Rng::seed_from_u64(seed ^ story.client);
                std::thread::spawn(move || (story, tell(story, port, random, &stop, &told)))
            })
            .collect();
        Self {
            stop,
            told,
            threads,
        }
    }

    /// Waits until so many commands more are acknowledged.
    pub(crate) fn wait_for(&self, more: u64) {
        let goal = self.told.load(Ordering::Relaxed) + more;
        until("clients are acknowledged", || {
            (self.told.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Their stories, and how many commands each has sent.
    pub(crate) fn stop(self) -> Vec<(Story, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        threads
            .map(|thread| thread.join().expect("the client lives"))
            .collect()
    }
}

/// Sends the story's commands until it is stopped or its connection breaks; how many it has sent.
fn tell(
    story: Story,
    port: u16,
    mut random: ChaCha8Rng,
    stop: &AtomicBool,
    told: &AtomicU64,
) -> u64 {
    let mut client = Client::connect(port).expect("the server accepts connections");
    let label = client.text(&["ECHO", &story.label()]);
    assert_eq!(label, story.label());
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut out = BytesMut::new();
        let count = random.random_range(1..=MAX_PIPELINE);
        for nth in sent..sent + count {
            encode_command(&story.command(nth), &mut out);
        }
        sent += count;
        if client.send(&out).is_err() || (0..count).any(|_| client.reply().is_err()) {
            break;
        }
        told.fetch_add(count, Ordering::Relaxed);
    }
    sent
}
