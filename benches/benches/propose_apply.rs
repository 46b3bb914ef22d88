//! A write from its proposal to its answer: framing, encoding, the log, execution.
//!
//! `execute` is what every replica does with an entry; `whole` drives a `Peer` and the machine on one thread, as the store
//! thread and the apply worker do on two, with a raft engine in memory and with the LSM and its `fdatasync`.
//! An entry holds one request of each of 50 clients, as when all of them wait.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use benches::{NOW_MS, VALUE, draws, open};
use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parking_lot::RwLock;
use prost::Message;
use server::allocator::Mimalloc;
use server::machine::{Machine, batch};
use server::raftstore::clock::Now;
use server::raftstore::{
    ApplyTask, Lease, Outbox, Peer, PeerConfig, Proposal, SharedLimits, SharedPriority,
};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engine, Engines};
use storage::ids::{FIRST_REGION, LogIndex, PeerId, SLOT_COUNT, StoreId, Term};
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use storage::proto::command::{RaftCmdRequest, RaftMessage, Request, RequestHeader};
use storage::proto::store::{Peer as PeerIdent, Region, RegionEpoch, StoreIdent};
use storage::snapshot::SnapshotSource;

/// What the server uses.
#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

const KEYS: usize = 100_000;
const CLIENTS: usize = 50;
const DEPTHS: [usize; 2] = [1, 16];
/// Keys that are drawn before a benchmark: it takes them in turn.
const DRAWN: usize = 1 << 16;
/// Keys of one MSET.
const MSET_KEYS: usize = 10;
/// Bytes of log behind which a checkpoint is made and the log compacted, outside of the measured time.
const LOG_BYTES: u64 = 16 << 20;

type Key = [u8; 16];

/// Takes drawn keys in turn, for ever.
struct Keys {
    drawn: Vec<Key>,
    next: usize,
}

impl Keys {
    fn new() -> Self {
        Self {
            drawn: draws(DRAWN, KEYS),
            next: 0,
        }
    }

    fn next(&mut self) -> &Key {
        self.next = (self.next + 1) % self.drawn.len();
        &self.drawn[self.next]
    }
}

/// A pipeline of `depth` SETs, framed as a connection does.
fn sets(keys: &mut Keys, depth: usize) -> Bytes {
    let mut commands = BytesMut::new();
    for _ in 0..depth {
        batch::push(&mut commands, &[b"SET", keys.next(), &VALUE]);
    }
    commands.freeze()
}

fn gets(keys: &mut Keys, depth: usize) -> Bytes {
    let mut commands = BytesMut::new();
    for _ in 0..depth {
        batch::push(&mut commands, &[b"GET", keys.next()]);
    }
    commands.freeze()
}

fn incrs(keys: &mut Keys, depth: usize) -> Bytes {
    let mut commands = BytesMut::new();
    for _ in 0..depth {
        let counter = [&b"counter:"[..], &keys.next()[4..]].concat();
        batch::push(&mut commands, &[b"INCR", &counter]);
    }
    commands.freeze()
}

fn msets(keys: &mut Keys, depth: usize) -> Bytes {
    let mut commands = BytesMut::new();
    for _ in 0..depth {
        let names: [Key; MSET_KEYS] = std::array::from_fn(|_| *keys.next());
        let mut args: Vec<&[u8]> = vec![b"MSET"];
        for name in &names {
            args.extend([&name[..], &VALUE]);
        }
        batch::push(&mut commands, &args);
    }
    commands.freeze()
}

fn request(commands: Bytes) -> Request {
    Request {
        db: 0,
        protocol: 2,
        commands,
        ..Request::default()
    }
}

/// An entry of one request for each client.
fn entry(mut pipeline: impl FnMut() -> Bytes) -> Bytes {
    let header = RequestHeader {
        now_ms: NOW_MS,
        seed: 1,
        ..Default::default()
    };
    let entry = RaftCmdRequest {
        header: Some(header),
        requests: (0..CLIENTS).map(|_| request(pipeline())).collect(),
        delete_expired: None,
        state_check: None,
    };
    entry.encode_to_vec().into()
}

fn execution(c: &mut Criterion) {
    type Pipeline = fn(&mut Keys, usize) -> Bytes;
    let shapes: [(&str, Pipeline); 4] = [
        ("set", sets),
        ("get", gets),
        ("incr", incrs),
        ("mset10", msets),
    ];
    let mut group = c.benchmark_group("propose_apply/execute");
    for depth in DEPTHS {
        group.throughput(Throughput::Elements((CLIENTS * depth) as u64));
        for (name, pipeline) in shapes {
            for (role, answer) in [("leader", true), ("follower", false)] {
                let id = BenchmarkId::new(format!("{name}/{role}"), depth);
                group.bench_function(id, |b| {
                    let mut keys = Keys::new();
                    let entries: Vec<Bytes> = (0..64)
                        .map(|_| entry(|| pipeline(&mut keys, depth)))
                        .collect();
                    let mut replica = Replica::new();
                    b.iter_custom(|rounds| replica.execute(rounds, &entries, answer));
                });
            }
        }
    }
    group.finish();
}

/// A Region's memory with all keys, over an engine that keeps nothing.
struct Replica {
    machine: Machine,
    index: LogIndex,
}

impl Replica {
    fn new() -> Self {
        let machine = Machine::new(Arc::new(RwLock::new(open(Arc::new(benches::Sink)))));
        let mut replica = Self {
            machine,
            index: LogIndex(0),
        };
        let mut names = (0..KEYS).map(benches::key);
        while replica.index.get() * ((CLIENTS * 16) as u64) < KEYS as u64 {
            let all = entry(|| {
                let mut commands = BytesMut::new();
                for name in names.by_ref().take(16) {
                    batch::push(&mut commands, &[b"SET", &name, &VALUE]);
                }
                commands.freeze()
            });
            replica.apply(&all, false);
        }
        replica
    }

    fn apply(&mut self, entry: &Bytes, answer: bool) {
        self.index = self.index.next();
        let mut dataset = self.machine.dataset().write();
        let responses = self
            .machine
            .apply(&mut dataset, self.index, Term(1), entry, answer)
            .expect("the entry can be executed");
        assert_eq!(responses.len(), if answer { CLIENTS } else { 0 });
    }

    /// The time of `rounds` entries. What a checkpoint costs is not in it.
    fn execute(&mut self, rounds: u64, entries: &[Bytes], answer: bool) -> Duration {
        let mut spent = Duration::ZERO;
        for (_, entry) in (0..rounds).zip(entries.iter().cycle()) {
            let start = Instant::now();
            self.apply(entry, answer);
            spent += start.elapsed();
            let mut dataset = self.machine.dataset().write();
            if dataset.write_set_records() > KEYS / 2
                && let Some(checkpoint) = dataset.freeze()
            {
                let done = checkpoint.run(&benches::Sink).expect("the sink takes all");
                dataset.checkpoint_done(done);
            }
        }
        spent
    }
}

fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("propose_apply/whole");
    for (name, on_disk) in [("memory", false), ("fdatasync", true)] {
        for depth in DEPTHS {
            group.throughput(Throughput::Elements((CLIENTS * depth) as u64));
            group.bench_function(BenchmarkId::new(name, depth), |b| {
                let dir = tempfile::tempdir().expect("a temporary folder");
                let mut node = Node::new(dir.path(), on_disk);
                let mut keys = Keys::new();
                b.iter_custom(|rounds| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        let start = Instant::now();
                        node.write((0..CLIENTS).map(|_| sets(&mut keys, depth)));
                        spent += start.elapsed();
                        node.compact();
                    }
                    spent
                });
            });
        }
    }
    group.finish();
}

/// What the Peer hands out. A single voter sends nothing.
#[derive(Default)]
struct Tasks(VecDeque<ApplyTask>);

impl Outbox for Tasks {
    fn send(&mut self, message: RaftMessage) {
        panic!("a single voter has nobody to send {message:?} to");
    }

    fn send_snapshot(&mut self, message: RaftMessage, _: SnapshotSource) {
        panic!("a single voter has nobody to send {message:?} to");
    }

    fn apply(&mut self, task: ApplyTask) {
        self.0.push_back(task);
    }

    fn clock_ns(&self) -> u64 {
        Now::read().monotonic_ns
    }

    fn quiesce(&mut self) {}

    fn reopen(&mut self) -> storage::Result<()> {
        Ok(())
    }
}

/// A single Store without threads.
struct Node {
    peer: Peer,
    machine: Machine,
    tasks: Tasks,
    kv: Arc<dyn Engine>,
    answers: Arc<AtomicUsize>,
}

impl Node {
    fn new(dir: &Path, on_disk: bool) -> Self {
        let raft: Arc<dyn Engine> = if on_disk {
            let engine = LsmEngine::open(&dir.join("raft"), LsmOptions::raft());
            Arc::new(engine.expect("the LSM opens"))
        } else {
            MemoryEngine::new()
        };
        let kv: Arc<dyn Engine> = MemoryEngine::new();
        let engines = Engines {
            kv: Arc::clone(&kv),
            raft,
        };
        PeerStorage::bootstrap(&engines, &ident(), &region()).expect("bootstrap");
        let options = PeerStorageOptions {
            durability: Durability::Synced,
            log_cache_bytes: 1 << 20,
            snapshot_dir: dir.join("snapshots"),
        };
        let storage = PeerStorage::open(engines, FIRST_REGION, options).expect("it opens");
        let config = PeerConfig {
            region: FIRST_REGION,
            peer: PeerId(1),
            store: StoreId(1),
            tick_ms: 10,
            heartbeat_ticks: 5,
            heartbeat_min_ticks: 1,
            loyalty_ticks: 25,
            election_ticks: 50,
            seed: 1,
            log_retention_bytes: 0,
            limits: SharedLimits::default(),
            priority: SharedPriority::default(),
        };
        let peer = Peer::new(config, storage, Arc::new(Lease::default()), Now::read());
        let mut node = Self {
            peer: peer.expect("raft accepts its state"),
            machine: Machine::new(Arc::new(RwLock::new(open(Arc::clone(&kv))))),
            tasks: Tasks::default(),
            kv,
            answers: Arc::default(),
        };
        node.run();
        assert!(node.peer.leads_with_all(), "a single voter leads at once");
        node
    }

    /// Proposes one request per client, and returns when all are answered.
    fn write(&mut self, pipelines: impl Iterator<Item = Bytes>) {
        self.answers.store(0, Ordering::Relaxed);
        let proposals: Vec<Proposal> = pipelines
            .map(|commands| {
                let answers = Arc::clone(&self.answers);
                Proposal {
                    header: None,
                    request: request(commands),
                    callback: Box::new(move |outcome| {
                        outcome.expect("the only voter commits all");
                        answers.fetch_add(1, Ordering::Relaxed);
                    }),
                }
            })
            .collect();
        let count = proposals.len();
        self.peer.propose_raft_command(proposals, Now::read());
        self.run();
        assert_eq!(
            self.answers.load(Ordering::Relaxed),
            count,
            "each is answered"
        );
    }

    /// Handles Readies and executes what they commit until nothing is left.
    fn run(&mut self) {
        loop {
            let now = Now::read();
            let ready = self.peer.handle_raft_ready(now, &mut self.tasks);
            let ready = ready.expect("the disk works");
            if !ready && self.tasks.0.is_empty() {
                return;
            }
            for task in self.tasks.0.drain(..) {
                let applied = task.execute(&self.machine).expect("apply");
                if let Some(applied) = applied {
                    self.peer.on_applied(applied, now);
                }
            }
        }
    }

    /// Keeps the log short.
    fn compact(&mut self) {
        if self.peer.storage().log_bytes() < LOG_BYTES {
            return;
        }
        let mut dataset = self.machine.dataset().write();
        let checkpoint = dataset.freeze().expect("there were writes");
        let index = checkpoint.index();
        let done = checkpoint.run(&*self.kv).expect("memory suffices");
        dataset.checkpoint_done(done);
        drop(dataset);
        self.peer.on_checkpoint(index).expect("the disk works");
    }
}

fn ident() -> StoreIdent {
    StoreIdent {
        format: 0,
        cluster_id: vec![7; 16].into(),
        store_id: 1,
        birth: 1,
    }
}

fn region() -> Region {
    Region {
        stores: Vec::new(),
        next_store_id: 0,
        id: FIRST_REGION.get(),
        start_slot: 0,
        end_slot: SLOT_COUNT.into(),
        epoch: Some(RegionEpoch {
            conf_ver: 1,
            version: 1,
        }),
        peers: vec![PeerIdent { id: 1, store_id: 1 }],
        hash_seed: b"0123456789abcdef".to_vec().into(),
    }
}

criterion_group!(benches, execution, whole);
criterion_main!(benches);
