//! One Store of the simulated world: its disk, its clock, and what runs on it until it crashes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use prost::Message as _;
use raft::eraftpb::EntryType;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use server::machine::{Machine, Outstanding};
use server::raftstore::clock::Now;
use server::raftstore::{ApplyTask, Lease, Outbox, Peer, PeerConfig, SharedLimits, SharedPriority};
use storage::dataset::{Checkpoint, CheckpointDone, Dataset, DatasetOptions};
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engines};
use storage::ids::{FIRST_REGION, LogIndex, PeerId, StoreId};
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use storage::proto::command::{RaftCmdRequest, RaftMessage};
use storage::proto::store::StoreIdent;
use storage::snapshot::SnapshotSource;
use storage::types::Limits;

use super::client::Outcome;
use super::sabotage::{Disk, Fuse, Sabotage};
use super::world::TICK_MS;

/// The seed of every hash table: one per cluster.
pub(super) const HASH_SEED: [u8; 16] = *b"simulated world!";

/// The id of the simulated cluster.
const CLUSTER_ID: [u8; 16] = [7; 16];

/// Outcomes of operations that callbacks have reported and the world has not yet noted.
pub(super) type Outcomes = Arc<Mutex<Vec<(u64, Outcome)>>>;

/// A clock of its own speed and its own idea of the date.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    offset_ns: u64,
    drift_ppm: i64,
    pub(super) wall_offset_ms: i64,
}

impl Clock {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        Self {
            offset_ns: rng.random_range(1_000_000_000..1_000_000_000_000),
            drift_ppm: rng.random_range(-500..500),
            wall_offset_ms: rng.random_range(-5_000..5_000),
        }
    }

    /// What this Store's clocks show at the world's `time_ns`.
    pub(super) fn now(&self, time_ns: u64) -> Now {
        let drift = (time_ns as i64) / 1_000_000 * self.drift_ppm;
        let wall = 1_700_000_000_000 + (time_ns / 1_000_000) as i64 + self.wall_offset_ms;
        Now {
            monotonic_ns: (self.offset_ns + time_ns).saturating_add_signed(drift),
            wall_ms: wall as u64,
        }
    }
}

/// What an apply changed, for the checker of the one history.
pub(super) struct AppliedEntry {
    pub(super) index: u64,
    pub(super) term: u64,
    pub(super) data: bytes::Bytes,
}

/// What runs on a Store between its start and its crash.
pub(super) struct Running {
    pub(super) peer: Peer,
    pub(super) machine: Machine,
    pub(super) lease: Arc<Lease>,
    pub(super) tasks: VecDeque<ApplyTask>,
    pub(super) checkpoint: Option<Checkpoint>,
    /// Of records.
    pub(super) disk: Arc<Disk>,
    /// The next command is lost on its way to the data, as by a bug or a bad memory.
    pub(super) forgets: bool,
}

impl Running {
    /// A checkpoint is durable.
    pub(super) fn checkpoint_done(&mut self, done: CheckpointDone) -> storage::Result<()> {
        let mut dataset = self.machine.dataset().write();
        dataset.checkpoint_done(done);
        let index = dataset.checkpoint_index();
        drop(dataset);
        self.peer.on_checkpoint(index)
    }
}

/// One Store.
pub(super) struct Node {
    pub(super) store: StoreId,
    pub(super) kv: Arc<MemoryEngine>,
    pub(super) raft: Arc<MemoryEngine>,
    pub(super) clock: Clock,
    pub(super) running: Option<Running>,
    /// Counts starts: events of an earlier one are void.
    pub(super) incarnation: u64,
    pub(super) paused_until_ns: u64,
    pub(super) priority: SharedPriority,
    /// How long its disk takes.
    pub(super) disk_ns: u64,
    /// Its data was made to differ: it may stop.
    pub(super) is_wrong: bool,
    /// Its disk was lost once: it is to be replaced.
    pub(super) is_lost: bool,
    /// Why it has stopped for good, if it has: its disk was lost.
    pub(super) refusal: Option<String>,
    /// Of its disk.
    birth: u64,
    /// When the power fails.
    pub(super) fuse: Fuse,
    seed: u64,
    /// Who founded the cluster; empty for a Store that joins.
    founders: Vec<StoreId>,
    log_retention_bytes: u64,
}

impl Node {
    pub(super) fn new(
        store: StoreId,
        founders: Vec<StoreId>,
        retention: u64,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        Self {
            store,
            kv: MemoryEngine::new(),
            raft: MemoryEngine::new(),
            clock: Clock::new(rng),
            running: None,
            incarnation: 0,
            paused_until_ns: 0,
            priority: SharedPriority::default(),
            disk_ns: 100_000,
            is_wrong: false,
            is_lost: false,
            refusal: None,
            birth: rng.random(),
            fuse: Fuse::default(),
            seed: rng.random(),
            founders,
            log_retention_bytes: retention,
        }
    }

    pub(super) fn now(&self, time_ns: u64) -> Now {
        self.clock.now(time_ns)
    }

    fn disk(&self, engine: &Arc<MemoryEngine>, sabotage: Sabotage) -> Arc<Disk> {
        Arc::new(Disk {
            engine: engine.clone(),
            sabotage,
            fuse: self.fuse.clone(),
        })
    }

    /// Starts on whatever the disk holds. An error means that the power has failed again meanwhile.
    ///
    /// # Panics
    /// When the disk does not hold a consistent state.
    pub(super) fn start(
        &mut self,
        time_ns: u64,
        snapshots: &Path,
        sabotage: Sabotage,
    ) -> storage::Result<()> {
        assert!(self.running.is_none(), "{} runs already", self.store);
        self.incarnation += 1;
        let (of_records, of_log) = match sabotage {
            Sabotage::CompactBeyondCheckpoint | Sabotage::InstallWithoutMark => {
                (sabotage, Sabotage::None)
            }
            _ => (Sabotage::None, sabotage),
        };
        let disk = self.disk(&self.kv, of_records);
        let engines = Engines {
            kv: disk.clone(),
            raft: self.disk(&self.raft, of_log),
        };
        let peers: Vec<(StoreId, PeerId)> = self
            .founders
            .iter()
            .map(|store| (*store, PeerId(store.get())))
            .collect();
        let ident = StoreIdent {
            format: 0,
            cluster_id: CLUSTER_ID.to_vec().into(),
            store_id: self.store.get(),
            birth: self.birth,
        };
        PeerStorage::bootstrap(&engines, &ident, &bootstrap_region(&peers))?;
        let options = PeerStorageOptions {
            durability: Durability::Synced,
            log_cache_bytes: 64 << 10,
            snapshot_dir: snapshots.join(self.store.to_string()),
        };
        let storage = match PeerStorage::open(engines, FIRST_REGION, options) {
            Err(error) if self.fuse.has_burnt() => return Err(error),
            other => other.expect("the disk holds a consistent state"),
        };
        let dataset = open_dataset(&self.kv).expect("the kv engine holds a consistent state");
        let first = self.seed.wrapping_add(self.incarnation << 32);
        let machine = Machine::new(Arc::new(RwLock::new(dataset)))
            .recognising(Outstanding::of(self.store, first));
        let lease = Arc::new(Lease::default());
        let config = PeerConfig {
            region: FIRST_REGION,
            peer: PeerId(self.store.get()),
            store: self.store,
            tick_ms: TICK_MS,
            heartbeat_ticks: 2,
            heartbeat_min_ticks: 1,
            loyalty_ticks: 8,
            election_ticks: 12,
            seed: self.seed.wrapping_add(self.incarnation),
            log_retention_bytes: self.log_retention_bytes,
            limits: SharedLimits::new(limits()),
            priority: self.priority.clone(),
        };
        let mut now = self.now(time_ns);
        if sabotage == Sabotage::ForgetLoyalty {
            // As if it had started long ago.
            now.monotonic_ns = 0;
        }
        let peer = Peer::new(config, storage, lease.clone(), now).expect("raft accepts its state");
        self.running = Some(Running {
            peer,
            machine,
            lease,
            tasks: VecDeque::new(),
            checkpoint: None,
            disk,
            forgets: false,
        });
        Ok(())
    }

    /// Stops at once; what was not synced is lost.
    pub(super) fn crash(&mut self, rng: &mut ChaCha8Rng) {
        self.running = None;
        self.fuse.clear();
        // Of what was not synced, anything up to a random point may have reached the disk.
        self.kv = self.kv.power_cut(Some(rng.random()));
        self.raft = self.raft.power_cut(Some(rng.random()));
        self.paused_until_ns = 0;
    }

    /// A new disk, empty, in the place of one that is lost.
    pub(super) fn replace_disk(&mut self, rng: &mut ChaCha8Rng) {
        assert!(self.running.is_none(), "{} runs", self.store);
        self.kv = MemoryEngine::new();
        self.raft = MemoryEngine::new();
        self.birth = rng.random();
        self.is_lost = true;
    }

    pub(super) fn applied(&self) -> LogIndex {
        self.running
            .as_ref()
            .map_or(LogIndex(0), |running| running.peer.applied())
    }
}

/// The Region that a Store is bootstrapped with: without peers for one that joins.
fn bootstrap_region(peers: &[(StoreId, PeerId)]) -> storage::proto::store::Region {
    use storage::proto::store::{Peer, Region, RegionEpoch};
    Region {
        stores: Vec::new(),
        next_store_id: 0,
        id: FIRST_REGION.get(),
        start_slot: 0,
        end_slot: storage::ids::SLOT_COUNT.into(),
        epoch: Some(RegionEpoch {
            conf_ver: 1,
            version: 1,
        }),
        peers: peers
            .iter()
            .map(|(store, peer)| Peer {
                id: peer.get(),
                store_id: store.get(),
            })
            .collect(),
        hash_seed: HASH_SEED.to_vec().into(),
    }
}

fn open_dataset(kv: &Arc<MemoryEngine>) -> storage::Result<Dataset> {
    let options = DatasetOptions {
        maxmemory_bytes: 0,
        hash_seed: HASH_SEED,
        ..DatasetOptions::default()
    };
    Dataset::open(FIRST_REGION, kv.clone(), options)
}

/// Collects what a Peer decides; the world sends and applies it when their time has come.
pub(super) struct Collected<'a> {
    pub(super) messages: Vec<RaftMessage>,
    pub(super) snapshots: Vec<(RaftMessage, SnapshotSource)>,
    pub(super) tasks: &'a mut VecDeque<ApplyTask>,
    pub(super) checkpoint: &'a mut Option<Checkpoint>,
    pub(super) machine: &'a Machine,
    pub(super) kv: &'a Arc<MemoryEngine>,
    pub(super) applied: Vec<AppliedEntry>,
    /// Only differences mean something.
    pub(super) clock_ns: Cell<u64>,
    /// How long the disk takes for everything.
    pub(super) disk_ns: u64,
    pub(super) sabotage: Sabotage,
}

impl Outbox for Collected<'_> {
    fn send(&mut self, message: RaftMessage) {
        self.messages.push(message);
    }

    fn send_snapshot(&mut self, message: RaftMessage, source: SnapshotSource) {
        self.snapshots.push((message, source));
    }

    fn apply(&mut self, task: ApplyTask) {
        self.tasks.push_back(task);
    }

    fn clock_ns(&self) -> u64 {
        self.clock_ns.set(self.clock_ns.get() + self.disk_ns);
        self.clock_ns.get()
    }

    fn quiesce(&mut self) {
        for task in self.tasks.drain(..) {
            self.applied.extend(entries_of(&task));
            task.execute(self.machine).expect("apply");
        }
        *self.checkpoint = None;
    }

    fn reopen(&mut self) -> storage::Result<()> {
        *self.machine.dataset().write() = open_dataset(self.kv)?;
        if self.sabotage != Sabotage::KeepClaims {
            self.machine.outstanding().forget();
        }
        Ok(())
    }
}

/// The entries of a task as the checker of the one history compares them.
pub(super) fn entries_of(task: &ApplyTask) -> Vec<AppliedEntry> {
    let entries = task.entries.iter().map(|committed| &committed.entry);
    entries
        .map(|entry| AppliedEntry {
            index: entry.index,
            term: entry.term,
            data: entry.data.clone(),
        })
        .collect()
}

/// Makes nothing of the first command that nobody waits for; false if there is none.
pub(super) fn lose_command(task: &mut ApplyTask) -> bool {
    let lost = task.entries.iter_mut().find(|committed| {
        let entry = &committed.entry;
        let has_requests = RaftCmdRequest::decode(entry.data.clone())
            .is_ok_and(|request| !request.requests.is_empty());
        entry.get_entry_type() == EntryType::EntryNormal
            && has_requests
            && committed.callbacks.is_empty()
    });
    lost.map(|committed| committed.entry.data.clear()).is_some()
}

/// The replica draws random numbers of its own.
pub(super) fn draw_anew(task: &mut ApplyTask, store: StoreId) {
    for committed in &mut task.entries {
        let entry = &mut committed.entry;
        if entry.get_entry_type() != EntryType::EntryNormal || entry.data.is_empty() {
            continue;
        }
        let mut request = RaftCmdRequest::decode(entry.data.clone()).expect("an entry");
        if let Some(header) = &mut request.header {
            header.seed ^= store.get();
        }
        entry.data = request.encode_to_vec().into();
    }
}

/// Small ones, so that collections of a few elements become large.
fn limits() -> Limits {
    Limits {
        hash_max_listpack_entries: 8,
        set_max_intset_entries: 6,
        set_max_listpack_entries: 8,
        zset_max_listpack_entries: 8,
        list_max_listpack_size: 10,
        ..Limits::default()
    }
}
