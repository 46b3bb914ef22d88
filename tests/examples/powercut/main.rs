//! Power cuts on real files: is everything there that was acknowledged, whatever of the unsynced rest the disk has lost?
//!
//! ```sh
//! cargo run --release -p tests --example powercut -- [--points N] [--nodes 1|3] [--generations N] [--commands N]
//!     [--value-bytes N] [--seed N] [--ignore-syncs]
//! ```
//!
//! Servers run under a recorder of all that they do to their files, with clients whose every reply is recorded too. Then the power
//! is cut thousands of times: at a random moment of the record, a directory is made that has all that was synced by then, and of
//! the rest what a disk may have written: some sectors or pages and not others, names or not, files longer or shorter. It is
//! opened as a server opens it, its log is executed, and what was acknowledged until that moment must be there, and nothing that
//! was not sent. In a cluster the power goes everywhere at once, and any two nodes must have it between them. The next generation of
//! servers starts on what one of the cuts has left, so recoveries are recorded and cut as well.
//!
//! With `--ignore-syncs` the disk forgets what was synced, which must be noticed. The servers race as they always do, so a seed repeats the
//! cuts of a record, not the record; when something is missing, the record and what the cut left stay.

mod acknowledged;
mod check;
mod content;
mod disk;
mod image;
mod log;
mod recording;
mod story;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tests::process::free_port;

use acknowledged::Acknowledged;
use check::{Expected, Store};
use disk::Disk;
use image::Image;
use log::Event;
use recording::{Nodes, Tellers};
use story::Story;

/// Clients of a generation.
const CLIENTS: u64 = 4;

/// Directories that are opened at the same time.
const WORKERS: usize = 2;

/// Failures after which it is enough.
const ENOUGH: u64 = 3;

/// Cuts the power of recorded servers, and checks that what was acknowledged is there.
#[derive(Parser)]
struct Options {
    /// Moments at which the power is cut.
    #[arg(long, default_value_t = 2_000)]
    points: usize,
    /// Nodes of the cluster: 1 or 3.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// How often servers start on what a cut has left.
    #[arg(long, default_value_t = 3)]
    generations: u64,
    /// Commands of a generation.
    #[arg(long, default_value_t = 4_000)]
    commands: u64,
    /// The longest value.
    #[arg(long, default_value_t = 2_000)]
    value_bytes: usize,
    /// Of the cuts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The disk forgets what was synced, which must be noticed.
    #[arg(long)]
    ignore_syncs: bool,
}

/// Where things are.
struct Places {
    recorder: PathBuf,
    /// A directory for each node.
    data: PathBuf,
    /// Where directories are made to be opened; in memory if the system has a file system there.
    images: PathBuf,
    top: PathBuf,
    /// Of clients, for each node. They stay, or the cluster would note that its nodes have moved.
    ports: Vec<u16>,
}

impl Places {
    fn make(nodes: usize) -> Self {
        let name = format!("powercut-{}", std::process::id());
        let top = std::env::temp_dir().join(&name);
        let memory = Path::new("/dev/shm");
        let images = match memory.is_dir() {
            true => memory.join(&name),
            false => top.join("images"),
        };
        let data = top.join("data");
        for dir in [&top, &images, &data] {
            std::fs::create_dir_all(dir).expect("a directory");
        }
        Self {
            ports: (0..nodes).map(|_| free_port()).collect(),
            recorder: recording::compile(&top),
            data,
            images,
            top,
        }
    }

    fn node(&self, place: usize) -> PathBuf {
        self.data.join((place + 1).to_string())
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let places = Places::make(options.nodes);
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let started = Instant::now();
    let mut expected = Vec::new();
    let mut failures = 0;
    for generation in 0..options.generations {
        let disks = || -> Vec<Disk> {
            let nodes = (0..options.nodes).map(|place| places.node(place));
            nodes
                .map(|dir| {
                    std::fs::create_dir_all(&dir).expect("a directory");
                    Disk::load(&dir, options.ignore_syncs).expect("it can be read")
                })
                .collect()
        };
        let before = disks();
        let log = places.top.join(format!("record-{generation}"));
        let stories = record(&options, &places, &log, generation);
        let events = log::read(&log);
        let mut all = Acknowledged::default();
        events.iter().for_each(|event| all.happen(event));
        let old = expected.len();
        let whole = stories
            .into_iter()
            .filter(|client| !all.has_failed(client.story.client));
        expected.extend(whole);
        println!(
            "generation {generation}: {} events, {} clients without an error, {:.0} s so far",
            events.len(),
            expected.len() - old,
            started.elapsed().as_secs_f64()
        );
        let recorded = Recorded {
            disks: before,
            events: &events,
            old,
        };
        failures += recorded.cut(&options, &places, &mut expected, &mut random);
        if failures > 0 {
            break;
        }
    }
    let _ = std::fs::remove_dir_all(&places.images);
    println!(
        "{} power cuts in {:.0} s, {failures} failures",
        options.points,
        started.elapsed().as_secs_f64()
    );
    if failures > 0 {
        println!("the records are in {}", places.top.display());
        return ExitCode::FAILURE;
    }
    std::fs::remove_dir_all(&places.top).expect("the directory is ours");
    ExitCode::SUCCESS
}

/// A generation of servers under load, killed in the middle and at the end; what its clients sent.
fn record(options: &Options, places: &Places, log: &Path, generation: u64) -> Vec<Expected> {
    let stories = |part: u64| -> Vec<Story> {
        let first = (generation * 2 + part) * CLIENTS;
        let clients = first..first + CLIENTS;
        clients
            .map(|client| Story {
                client,
                value_bytes: options.value_bytes,
            })
            .collect()
    };
    let seed = options.seed ^ (generation << 32);
    let mut nodes = Nodes::start(&places.ports, &places.recorder, &places.data, log);
    // Nobody talks to the last node of several, which is killed.
    let asked = &places.ports[..(places.ports.len() - 1).max(1)];
    let first = Tellers::start(stories(0), asked, seed);
    first.wait_for(options.commands / 2);
    let mut sent = Vec::new();
    let second = if options.nodes == 1 {
        nodes.kill();
        sent.extend(first.stop());
        nodes.servers[0].start_again();
        nodes.servers[0].wait_until_it_answers();
        Tellers::start(stories(1), asked, seed)
    } else {
        // It misses so much that it needs a snapshot.
        nodes.without_the_last(|nodes| {
            first.wait_for(options.commands / 2);
            for server in &nodes.servers[..nodes.servers.len() - 1] {
                server.client().text(&["RAFT.SNAPSHOT"]);
            }
        });
        sent.extend(first.stop());
        Tellers::start(stories(1), asked, seed)
    };
    second.wait_for(options.commands / 2);
    nodes.kill();
    sent.extend(second.stop());
    let sent = sent.into_iter();
    let of_client = |(story, sent)| Expected {
        story,
        acknowledged: 0,
        sent,
    };
    sent.map(of_client).collect()
}

/// What is to be looked at: a directory for each node, and what must be there.
struct Cut {
    at: usize,
    images: Vec<Image>,
    expected: Vec<Expected>,
}

/// A generation's record.
struct Recorded<'a> {
    /// As they were before.
    disks: Vec<Disk>,
    events: &'a [Event],
    /// So many clients are of earlier generations.
    old: usize,
}

impl Recorded<'_> {
    /// Cuts the power at random moments; how many failures there were. Leaves what another cut in the last moment has left to the next
    /// generation.
    fn cut(
        mut self,
        options: &Options,
        places: &Places,
        expected: &mut [Expected],
        random: &mut ChaCha8Rng,
    ) -> u64 {
        let count = options.points / options.generations as usize;
        let mut points: Vec<usize> = (0..count)
            .map(|_| random.random_range(0..=self.events.len()))
            .collect();
        points.sort_unstable();
        let failures = AtomicU64::new(0);
        let (sender, receiver) = sync_channel::<Cut>(WORKERS);
        let receiver = Mutex::new(receiver);
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (receiver, failures) = (&receiver, &failures);
                let dir = places.images.join(worker.to_string());
                scope.spawn(move || look(receiver, &dir, &places.top, failures));
            }
            let mut done = 0;
            let mut acknowledged = Acknowledged::default();
            for at in points {
                for event in &self.events[done..at] {
                    self.disks.iter_mut().for_each(|disk| disk.happen(event));
                    acknowledged.happen(event);
                }
                done = at;
                for client in &mut expected[self.old..] {
                    client.acknowledged = acknowledged.count(client.story.client);
                }
                let images = self.disks.iter().map(|disk| Image::draw(disk, random));
                let cut = Cut {
                    at,
                    images: images.collect(),
                    expected: expected.to_vec(),
                };
                if failures.load(Ordering::Relaxed) >= ENOUGH || sender.send(cut).is_err() {
                    break;
                }
            }
            drop(sender);
        });
        for (place, disk) in self.disks.iter().enumerate() {
            let image = Image::draw(disk, random);
            image.store(&places.node(place)).expect("there is room");
        }
        failures.into_inner()
    }
}

/// Looks at cuts until there are no more; after enough failures only takes them.
fn look(cuts: &Mutex<Receiver<Cut>>, dir: &Path, top: &Path, failures: &AtomicU64) {
    loop {
        let next = cuts.lock().recv();
        let Ok(cut) = next else { return };
        // Whoever sends may wait for one that receives.
        if failures.load(Ordering::Relaxed) >= ENOUGH {
            continue;
        }
        let looked = catch_unwind(AssertUnwindSafe(|| cut.look(dir)));
        let looked = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("a panic, see above")));
        let Err(error) = looked else { continue };
        let kept = top.join(format!("cut-{}", cut.at));
        for (place, image) in cut.images.iter().enumerate() {
            let _ = image.store(&kept.join((place + 1).to_string()));
        }
        let names: Vec<_> = cut.images.iter().map(|image| image.names).collect();
        println!(
            "FAILED, cut at {}, names {names:?}: {error:#}; what is left is in {}",
            cut.at,
            kept.display()
        );
        failures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Cut {
    fn look(&self, dir: &Path) -> anyhow::Result<()> {
        let mut stores = Vec::new();
        for (place, image) in self.images.iter().enumerate() {
            let dir = dir.join((place + 1).to_string());
            image.store(&dir)?;
            let store = Store::open(&dir).with_context(|| format!("node {}", place + 1))?;
            stores.push(store);
        }
        // Any majority can elect the one of them that has the newest log.
        let majority = stores.len() / 2 + 1;
        let last = |store: &Option<Store>| store.as_ref().map(|store| store.last);
        let mut by_age: Vec<usize> = (0..stores.len()).collect();
        by_age.sort_by_key(|&place| last(&stores[place]));
        // The oldest log that can win is that of the last place of the oldest majority.
        for &place in &by_age[majority - 1..] {
            match &mut stores[place] {
                Some(store) => store.check(&self.expected)?,
                None => {
                    let acknowledged = |client: &&Expected| client.acknowledged > 0;
                    let lost = self.expected.iter().find(acknowledged);
                    ensure!(lost.is_none(), "nothing is there, but {lost:?}");
                }
            }
        }
        Ok(())
    }
}
