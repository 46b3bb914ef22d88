//! The log on the engine that production uses.

use std::path::Path;
use std::sync::Arc;

use raft::{Config, RawNode};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{Durability, Engines};
use storage::ids::{FIRST_REGION, LogIndex};
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use tempfile::TempDir;

use crate::node::{ident, log, region, write_checkpoint};

fn engines(dir: &Path) -> Engines {
    let open = |name, options| Arc::new(LsmEngine::open(&dir.join(name), options).unwrap());
    Engines {
        kv: open("kv", LsmOptions::kv()),
        raft: open("raft", LsmOptions::raft()),
    }
}

fn start(engines: &Engines, dir: &Path) -> RawNode<PeerStorage> {
    let options = PeerStorageOptions {
        durability: Durability::Synced,
        log_cache_bytes: 500,
        snapshot_dir: dir.join("snapshots"),
    };
    let storage = PeerStorage::open(engines.clone(), FIRST_REGION, options).unwrap();
    let config = Config {
        id: 1,
        applied: storage.applied_index().get(),
        ..Config::default()
    };
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    let mut node = RawNode::new(&config, storage, &logger).unwrap();
    node.campaign().unwrap();
    work(&mut node);
    node
}

fn work(node: &mut RawNode<PeerStorage>) {
    while node.has_ready() {
        let mut ready = node.ready();
        node.mut_store().save_ready_state(&mut ready).unwrap();
        let committed = ready
            .take_committed_entries()
            .last()
            .map(|entry| entry.index);
        let mut light = node.advance(ready);
        let committed = light
            .take_committed_entries()
            .last()
            .map(|entry| entry.index)
            .or(committed);
        node.advance_apply();
        if let Some(index) = committed {
            node.mut_store().set_applied(LogIndex(index));
        }
    }
}

#[test]
fn the_log_is_the_same_after_reopening() {
    let dir = TempDir::new().unwrap();
    let before = {
        let engines = engines(dir.path());
        PeerStorage::bootstrap(&engines, &ident(1), &region(1)).unwrap();
        let mut node = start(&engines, dir.path());
        for number in 0..40 {
            node.propose(vec![], format!("key{number}=value").into_bytes())
                .unwrap();
            work(&mut node);
        }
        write_checkpoint(
            engines.kv.as_ref(),
            &[("key0".into(), "value".into())].into(),
            20,
            1,
            vec![1],
        );
        node.mut_store().checkpointed(LogIndex(20));
        node.mut_store().compact(LogIndex(15)).unwrap();
        assert!(node.store().cache_bytes() <= 500);
        log(node.store())
    };
    // The log begins behind index 1, which no entry has.
    assert_eq!(before.len(), 42 - 15);
    let engines = engines(dir.path());
    let node = start(&engines, dir.path());
    let after = log(node.store());
    assert_eq!(after[..before.len()], before);
    assert_eq!(
        after.len(),
        before.len() + 1,
        "and the entry of the new term"
    );
    assert_eq!(node.store().truncated_index(), LogIndex(15));
    assert_eq!(node.store().checkpoint_index(), LogIndex(20));
}
