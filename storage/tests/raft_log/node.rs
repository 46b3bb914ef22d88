//! One Peer: a disk of two memory engines, and a RawNode whose state machine is a map kept by checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{Entry, EntryType, Message};
use raft::{Config, RawNode, Ready};
use storage::Result;
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engine, Engines, Reader, WriteBatch};
use storage::ids::{FIRST_REGION, LogIndex, SLOT_COUNT};
use storage::keys;
use storage::peer_storage::bootstrap::STORE_FORMAT;
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use storage::proto::store::{Peer, RaftApplyState, Region, RegionLocalState, StoreIdent};
use tempfile::TempDir;

pub(crate) type Model = BTreeMap<Bytes, Bytes>;

/// What survives a process.
pub(crate) struct Disk {
    pub(crate) id: u64,
    pub(crate) kv: Arc<MemoryEngine>,
    pub(crate) raft: Arc<MemoryEngine>,
    pub(crate) dir: TempDir,
    pub(crate) durability: Durability,
    pub(crate) log_cache_bytes: usize,
}

pub(crate) fn region(peers: u64) -> Region {
    Region {
        id: FIRST_REGION.get(),
        start_slot: 0,
        end_slot: SLOT_COUNT.into(),
        peers: (1..=peers).map(|id| Peer { id, store_id: id }).collect(),
        ..Region::default()
    }
}

pub(crate) fn ident(store_id: u64) -> StoreIdent {
    StoreIdent {
        format: STORE_FORMAT,
        cluster_id: Bytes::from_static(&[7; 16]),
        store_id,
        birth: 1,
    }
}

impl Disk {
    pub(crate) fn empty(id: u64) -> Self {
        Self {
            id,
            kv: MemoryEngine::new(),
            raft: MemoryEngine::new(),
            dir: TempDir::new().unwrap(),
            durability: Durability::Synced,
            log_cache_bytes: 1024 * 1024,
        }
    }

    /// With `peers` voters, and a log that begins with index 1, so that indexes count entries: bootstrapped as a Store that
    /// joins, and told the configuration.
    pub(crate) fn bootstrapped(id: u64, peers: u64) -> Self {
        let disk = Self::empty(id);
        PeerStorage::bootstrap(&disk.engines(), &ident(id), &region(0)).unwrap();
        write_checkpoint(disk.kv.as_ref(), &Model::new(), 0, 0, (1..=peers).collect());
        let state = RegionLocalState {
            region: Some(region(peers)),
            ..RegionLocalState::default()
        };
        let mut batch = WriteBatch::new();
        batch.put(keys::region_state(FIRST_REGION), state.encode_to_vec());
        disk.kv.write(batch, Durability::Synced).unwrap();
        disk
    }

    pub(crate) fn engines(&self) -> Engines {
        Engines {
            kv: self.kv.clone(),
            raft: self.raft.clone(),
        }
    }

    pub(crate) fn open(&self) -> Result<PeerStorage> {
        let options = PeerStorageOptions {
            durability: self.durability,
            log_cache_bytes: self.log_cache_bytes,
            snapshot_dir: self.dir.path().to_owned(),
        };
        PeerStorage::open(self.engines(), FIRST_REGION, options)
    }

    /// The power fails; with a seed some of the unsynced writes survive.
    pub(crate) fn power_cut(&mut self, seed: Option<u64>) {
        self.kv = self.kv.power_cut(seed);
        self.raft = self.raft.power_cut(seed);
    }

    /// The process is killed.
    pub(crate) fn kill(&mut self) {
        self.kv = self.kv.kill();
        self.raft = self.raft.kill();
    }

    /// The indexes of all entries in the raft engine, whether they belong to the log or not.
    pub(crate) fn stored_indexes(&self) -> Vec<u64> {
        self.raft
            .scan(b"", b"")
            .filter_map(|pair| keys::parse_log_entry(FIRST_REGION, &pair.unwrap().0))
            .map(LogIndex::get)
            .collect()
    }
}

/// A running Peer.
pub(crate) struct Node {
    pub(crate) disk: Disk,
    pub(crate) raw: RawNode<PeerStorage>,
    pub(crate) model: Model,
    pub(crate) installed: Vec<LogIndex>,
    pub(crate) applied: u64,
    applied_term: u64,
}

impl Node {
    pub(crate) fn start(disk: Disk) -> Self {
        let storage = disk.open().unwrap();
        let (model, state) = load(disk.kv.as_ref());
        let config = Config {
            id: disk.id,
            election_tick: 10,
            heartbeat_tick: 1,
            applied: state.applied_index,
            max_size_per_msg: 1024,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, storage, &logger).unwrap();
        Self {
            disk,
            raw,
            model,
            installed: Vec::new(),
            applied: state.applied_index,
            applied_term: state.applied_term,
        }
    }

    pub(crate) fn store(&self) -> &PeerStorage {
        self.raw.store()
    }

    pub(crate) fn store_mut(&mut self) -> &mut PeerStorage {
        self.raw.mut_store()
    }

    /// Makes the only voter the leader.
    pub(crate) fn campaign(&mut self) {
        self.raw.campaign().unwrap();
        self.work().unwrap();
    }

    pub(crate) fn propose(&mut self, key: &str, value: &str) {
        self.raw
            .propose(vec![], format!("{key}={value}").into_bytes())
            .unwrap();
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.propose(key, value);
        self.work().unwrap();
    }

    /// Handles Readies until there is none; returns the messages to send.
    pub(crate) fn work(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            self.save(&mut ready)?;
            messages.extend(self.finish(ready));
            if let Some(task) = self.store_mut().snapshot_needed() {
                let source = task.run()?;
                self.store_mut().set_snapshot(source);
            }
        }
        Ok(messages)
    }

    pub(crate) fn save(&mut self, ready: &mut Ready) -> Result<()> {
        let saved = self.store_mut().save_ready_state(ready)?;
        if let Some(index) = saved.snapshot {
            let (model, state) = load(self.disk.kv.as_ref());
            assert_eq!(state.applied_index, index.get());
            (self.model, self.applied, self.applied_term) =
                (model, state.applied_index, state.applied_term);
            self.installed.push(index);
        }
        Ok(())
    }

    /// What follows after a Ready was saved.
    pub(crate) fn finish(&mut self, mut ready: Ready) -> Vec<Message> {
        let mut messages = ready.take_messages();
        messages.extend(ready.take_persisted_messages());
        self.apply(ready.take_committed_entries());
        let mut light = self.raw.advance(ready);
        messages.extend(light.take_messages());
        self.apply(light.take_committed_entries());
        self.raw.advance_apply();
        messages
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            assert_eq!(
                entry.index,
                self.applied + 1,
                "entries are applied in order and once"
            );
            assert_eq!(entry.entry_type, EntryType::EntryNormal);
            if let Some((key, value)) = std::str::from_utf8(&entry.data).unwrap().split_once('=') {
                self.model
                    .insert(key.to_owned().into(), value.to_owned().into());
            }
            (self.applied, self.applied_term) = (entry.index, entry.term);
        }
        let applied = LogIndex(self.applied);
        if applied > self.store().applied_index() {
            self.store_mut().set_applied(applied);
        }
    }

    /// Makes the state at the applied index durable in the kv engine.
    pub(crate) fn checkpoint(&mut self) {
        let voters = self.store().conf_state().voters.clone();
        write_checkpoint(
            self.disk.kv.as_ref(),
            &self.model,
            self.applied,
            self.applied_term,
            voters,
        );
        let index = LogIndex(self.applied);
        self.store_mut().checkpointed(index);
    }

    pub(crate) fn compact(&mut self) {
        let to = self.store().checkpoint_index();
        self.store_mut().compact(to).unwrap();
    }

    pub(crate) fn kill(self) -> Disk {
        let mut disk = self.disk;
        disk.kill();
        disk
    }

    pub(crate) fn power_cut(self, seed: Option<u64>) -> Disk {
        let mut disk = self.disk;
        disk.power_cut(seed);
        disk
    }

    /// Every entry of the log, as raft would read it.
    pub(crate) fn log(&self) -> Vec<(u64, u64, Bytes)> {
        log(self.store())
    }
}

pub(crate) fn log(store: &PeerStorage) -> Vec<(u64, u64, Bytes)> {
    let entries = store
        .read_entries(store.first_index(), store.last_index().next(), u64::MAX)
        .unwrap();
    entries
        .into_iter()
        .map(|entry| (entry.index, entry.term, entry.data))
        .collect()
}

/// The data key of `name`, in slot 5.
pub(crate) fn data_key(name: &[u8]) -> Bytes {
    let mut key = vec![keys::DATA, 0, 5];
    key.extend_from_slice(name);
    key.into()
}

pub(crate) fn write_checkpoint(
    kv: &dyn Engine,
    model: &Model,
    index: u64,
    term: u64,
    voters: Vec<u64>,
) {
    let state = RaftApplyState {
        applied_index: index,
        applied_term: term,
        conf_state: Some(storage::proto::raft::ConfState {
            voters,
            ..Default::default()
        }),
        now_ms: index * 10,
        reply_digest: 0,
    };
    let count = keys::system_record(FIRST_REGION, b"count");
    let mut records = vec![
        (
            keys::apply_state(FIRST_REGION),
            Some(state.encode_to_vec().into()),
        ),
        (count, Some(model.len().to_string().into())),
    ];
    records.extend(
        model
            .iter()
            .map(|(name, value)| (data_key(name), Some(value.clone()))),
    );
    kv.ingest(&mut records.into_iter()).unwrap();
}

/// The model and the apply state of the last checkpoint.
pub(crate) fn load(kv: &dyn Engine) -> (Model, RaftApplyState) {
    let (start, end) = keys::data_records(0, SLOT_COUNT);
    let model: Model = kv
        .scan(&start, &end)
        .map(|pair| pair.unwrap())
        .map(|(key, value)| (key.slice(3..), value))
        .collect();
    let state =
        RaftApplyState::decode(kv.get(&keys::apply_state(FIRST_REGION)).unwrap().unwrap()).unwrap();
    let count = kv
        .get(&keys::system_record(FIRST_REGION, b"count"))
        .unwrap();
    assert_eq!(
        count.unwrap_or_else(|| "0".into()),
        model.len().to_string(),
        "system records travel with data"
    );
    (model, state)
}
