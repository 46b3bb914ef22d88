//! What a Store finds after a restart.

use proptest::prelude::*;
use raft::eraftpb::HardState;
use storage::Error;
use storage::engine::{Durability, Engine, WriteBatch};
use storage::ids::{FIRST_REGION, LogIndex};
use storage::keys;

use crate::node::{Disk, Model, Node, log};

#[test]
fn everything_saved_is_there_after_a_power_cut() {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    for number in 0..20 {
        node.put(&format!("key{number}"), "value");
    }
    let before = (
        node.log(),
        node.store().last_index(),
        node.store().last_term(),
        node.model.clone(),
    );
    assert_eq!(before.1, LogIndex(21));
    let mut node = Node::start(node.power_cut(None));
    assert_eq!(
        (
            node.log(),
            node.store().last_index(),
            node.store().last_term()
        ),
        (before.0, before.1, before.2)
    );
    node.campaign();
    assert_eq!(node.model, before.3);
}

#[test]
fn an_entry_is_readable_before_its_batch_is_written_and_without_the_engine() {
    let disk = Disk::bootstrapped(1, 1);
    let mut store = disk.open().unwrap();
    let entries: Vec<_> = (1..=3)
        .map(|index| raft::eraftpb::Entry {
            index,
            term: 1,
            data: vec![b'x'; 10].into(),
            ..Default::default()
        })
        .collect();
    let mut batch = WriteBatch::new();
    store.append(&entries, &mut batch).unwrap();
    assert!(disk.stored_indexes().is_empty());
    assert_eq!(log(&store).len(), 3);
    assert_eq!(batch.len(), 3);
}

#[test]
fn a_commit_index_alone_is_not_written() {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    let (before, kv) = (node.disk.raft.counts(), node.disk.kv.counts().writes);
    node.put("key", "value");
    let after = node.disk.raft.counts();
    assert_eq!(
        (after.writes - before.writes, after.syncs - before.syncs),
        (1, 1),
        "one entry, one write, one fsync"
    );
    assert_eq!(
        node.disk.kv.counts().writes,
        kv,
        "the kv engine waits for a checkpoint"
    );
    assert_eq!(node.store().commit_index(), LogIndex(2));
    node.store_mut().save_commit().unwrap();
    assert_eq!(node.kill().open().unwrap().commit_index(), LogIndex(2));
}

#[test]
fn a_term_is_synced_even_when_entries_are_not() {
    let mut disk = Disk::bootstrapped(1, 1);
    disk.durability = Durability::Buffered;
    let mut node = Node::start(disk);
    node.campaign();
    let synced = node.disk.raft.counts().syncs;
    node.put("key", "value");
    assert_eq!(node.disk.raft.counts().syncs, synced);
    let store = node.power_cut(None).open().unwrap();
    assert_eq!((store.hard_state().term, store.hard_state().vote), (1, 1));
    assert!(
        store.last_index() < LogIndex(2),
        "the unsynced entry is lost"
    );
}

#[test]
fn a_log_that_ends_before_the_checkpoint_begins_anew_there() {
    let mut disk = Disk::bootstrapped(1, 1);
    disk.durability = Durability::Buffered;
    let mut node = Node::start(disk);
    node.campaign();
    for number in 0..5 {
        node.put(&format!("key{number}"), "value");
    }
    node.checkpoint();
    let model = node.model.clone();
    let mut disk = node.power_cut(None);
    disk.durability = Durability::Synced;
    assert!(
        matches!(disk.open(), Err(Error::Corrupt { what: "log", .. })),
        "where every entry was synced none can be missing"
    );
    disk.durability = Durability::Buffered;
    let store = disk.open().unwrap();
    let at = LogIndex(6);
    assert_eq!(
        (
            store.truncated_index(),
            store.last_index(),
            store.commit_index()
        ),
        (at, at, at)
    );
    assert_eq!(store.last_term().get(), 1);
    drop(store);
    let mut node = Node::start(disk);
    node.campaign();
    node.put("more", "value");
    assert_eq!(node.model.len(), model.len() + 1);
    assert_eq!(Node::start(node.kill()).store().last_index(), LogIndex(8));
}

#[test]
fn a_full_disk_refuses_a_ready_which_can_be_saved_later() {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    node.propose("key", "value");
    let mut ready = node.raw.ready();
    node.disk.raft.set_full(true);
    for _ in 0..2 {
        assert!(matches!(node.save(&mut ready), Err(Error::Full)));
    }
    node.disk.raft.set_full(false);
    node.save(&mut ready).unwrap();
    node.finish(ready);
    assert_eq!(node.model.len(), 1);
    assert_eq!(Node::start(node.power_cut(None)).log().len(), 2);
}

#[test]
fn a_failed_fsync_is_never_retried() {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    node.propose("key", "value");
    let mut ready = node.raw.ready();
    node.disk.raft.fail_next_sync();
    assert!(matches!(node.save(&mut ready), Err(Error::Io(_))));
    assert!(matches!(node.save(&mut ready), Err(Error::Engine(_))));
    assert_eq!(node.power_cut(None).stored_indexes(), [1]);
}

/// Writes a state that breaks an invariant and opens it.
fn open_with(
    change: impl FnOnce(&mut storage::proto::store::RaftLocalState, &mut WriteBatch),
) -> storage::Result<()> {
    use prost::Message;
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    for number in 0..5 {
        node.put(&format!("key{number}"), "value");
    }
    node.checkpoint();
    node.put("tail", "value");
    let disk = node.kill();
    let key = keys::raft_state(FIRST_REGION);
    let value = storage::engine::Reader::get(disk.raft.as_ref(), &key)
        .unwrap()
        .unwrap();
    let mut state = storage::proto::store::RaftLocalState::decode(value).unwrap();
    let mut batch = WriteBatch::new();
    change(&mut state, &mut batch);
    batch.put(key, state.encode_to_vec());
    disk.raft.write(batch, Durability::Synced).unwrap();
    disk.open().map(drop)
}

#[test]
fn violated_invariants_are_found_when_opening() {
    open_with(|_, _| {}).unwrap();
    let truncated = open_with(|state, _| state.truncated_index = 7);
    assert!(
        matches!(truncated, Err(Error::Corrupt { detail, .. }) if detail.contains("truncated index 7"))
    );
    let commit = open_with(|state, _| state.hard_state.as_mut().unwrap().commit = 8);
    assert!(
        matches!(commit, Err(Error::Corrupt { detail, .. }) if detail.contains("commit index 8"))
    );
    let hole = open_with(|_, batch| batch.delete(keys::log_entry(FIRST_REGION, LogIndex(7))));
    assert!(
        matches!(hole, Err(Error::Corrupt { detail, .. }) if detail.contains("entry 7 is missing"))
    );
    let term = open_with(|state, _| state.last_term = 9);
    assert!(matches!(term, Err(Error::Corrupt { detail, .. }) if detail.contains("term")));
}

#[test]
#[should_panic(expected = "commit index 99 is above last index 1")]
fn what_is_not_in_the_log_cannot_be_applied() {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    node.store_mut().set_applied(LogIndex(99));
}

#[test]
#[should_panic(expected = "above last index")]
fn a_ready_that_violates_an_invariant_is_not_saved() {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    node.raw.raft.load_state(&HardState {
        commit: 1,
        term: 7,
        ..HardState::default()
    });
    let mut ready = node.raw.ready();
    // The log loses its end behind raft's back.
    *node.store_mut() = Disk::bootstrapped(1, 1).open().unwrap();
    drop(node.save(&mut ready));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    PutMany(u8),
    Checkpoint,
    Compact,
    Kill,
    PowerCut(Option<u64>),
    TinyCache(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (1u8..20).prop_map(Step::PutMany),
        2 => Just(Step::Checkpoint),
        2 => Just(Step::Compact),
        1 => Just(Step::Kill),
        2 => prop::option::of(any::<u64>()).prop_map(Step::PowerCut),
        1 => any::<bool>().prop_map(Step::TinyCache),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens, what was acknowledged is there after the next start: the checkpoint and the log after it.
    #[test]
    fn acknowledged_writes_survive(steps in prop::collection::vec(step(), 1..60)) {
        let mut acknowledged = Model::new();
        let mut node = Node::start(Disk::bootstrapped(1, 1));
        node.campaign();
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    node.put(&key.to_string(), &value.to_string());
                    acknowledged.insert(key.to_string().into(), value.to_string().into());
                }
                Step::PutMany(count) => {
                    for number in 0..count {
                        node.propose(&number.to_string(), "many");
                        acknowledged.insert(number.to_string().into(), "many".into());
                    }
                    node.work().unwrap();
                }
                Step::Checkpoint => node.checkpoint(),
                Step::Compact => node.compact(),
                Step::TinyCache(tiny) => {
                    let mut disk = node.kill();
                    disk.log_cache_bytes = if tiny { 0 } else { 1024 * 1024 };
                    node = Node::start(disk);
                    node.campaign();
                }
                Step::Kill => {
                    let log = node.log();
                    node = Node::start(node.kill());
                    prop_assert_eq!(node.log(), log);
                    node.campaign();
                }
                Step::PowerCut(seed) => {
                    let log = node.log();
                    node = Node::start(node.power_cut(seed));
                    prop_assert_eq!(node.log(), log);
                    node.campaign();
                }
            }
            prop_assert_eq!(&node.model, &acknowledged);
        }
    }
}
