//! A follower's tail that a new leader contradicts.

use raft::eraftpb::{Entry, Message, MessageType};
use storage::Error;
use storage::engine::Durability;

use crate::node::{Disk, Node};

/// An append of the leader of `term`: entries with `entry_terms` after (`index`, `log_term`).
fn append(term: u64, index: u64, log_term: u64, entry_terms: &[u64], commit: u64) -> Message {
    let entries: Vec<Entry> = entry_terms
        .iter()
        .zip(index + 1..)
        .map(|(term, index)| Entry {
            term: *term,
            index,
            data: format!("key{index}=term{term}").into(),
            ..Entry::default()
        })
        .collect();
    Message {
        msg_type: MessageType::MsgAppend,
        to: 1,
        from: if term == 1 { 2 } else { 3 },
        term,
        log_term,
        index,
        entries: entries.into(),
        commit,
        ..Message::default()
    }
}

fn receive(node: &mut Node, message: Message) {
    node.raw.step(message).unwrap();
    node.work().unwrap();
}

fn terms(node: &Node) -> Vec<(u64, u64)> {
    node.log()
        .into_iter()
        .map(|(index, term, _)| (index, term))
        .collect()
}

#[test]
fn the_stale_tail_is_deleted_and_not_only_overwritten() {
    let mut node = Node::start(Disk::bootstrapped(1, 3));
    receive(&mut node, append(1, 0, 0, &[1, 1, 1, 1, 1, 1], 2));
    assert_eq!(node.disk.stored_indexes(), [1, 2, 3, 4, 5, 6]);
    receive(&mut node, append(2, 3, 1, &[2], 2));
    assert_eq!(terms(&node), [(1, 1), (2, 1), (3, 1), (4, 2)]);
    assert_eq!(node.disk.stored_indexes(), [1, 2, 3, 4]);
    let node = Node::start(node.power_cut(None));
    assert_eq!(terms(&node), [(1, 1), (2, 1), (3, 1), (4, 2)]);
    assert_eq!(node.store().last_term().get(), 2);
}

#[test]
fn the_tail_goes_even_when_the_first_attempt_met_a_full_disk() {
    let mut node = Node::start(Disk::bootstrapped(1, 3));
    receive(&mut node, append(1, 0, 0, &[1, 1, 1, 1, 1, 1], 0));
    node.raw.step(append(2, 2, 1, &[2], 0)).unwrap();
    let mut ready = node.raw.ready();
    node.disk.raft.set_full(true);
    assert!(matches!(node.save(&mut ready), Err(Error::Full)));
    node.disk.raft.set_full(false);
    node.save(&mut ready).unwrap();
    node.finish(ready);
    assert_eq!(node.disk.stored_indexes(), [1, 2, 3]);
    assert_eq!(node.store().cache_bytes() as u64, node.store().log_bytes());
}

#[test]
fn without_the_cache_the_engine_gives_the_same_log() {
    let mut disk = Disk::bootstrapped(1, 3);
    disk.log_cache_bytes = 0;
    let mut node = Node::start(disk);
    receive(&mut node, append(1, 0, 0, &[1, 1, 1, 1], 4));
    receive(&mut node, append(2, 4, 1, &[2, 2], 6));
    assert_eq!(node.store().cache_bytes(), 0, "all entries are applied");
    assert_eq!(
        terms(&node),
        [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2)]
    );
    for (index, term) in [(0, 0), (1, 1), (4, 1), (5, 2), (6, 2)] {
        assert_eq!(raft::Storage::term(node.store(), index).unwrap(), term);
    }
    let some = node
        .store()
        .read_entries(1u64.into_index(), 7u64.into_index(), 60)
        .unwrap();
    assert_eq!(
        some.len(),
        2,
        "two entries of 10 + 12 bytes fit into 60, three do not"
    );
    let least = node
        .store()
        .read_entries(1u64.into_index(), 7u64.into_index(), 0)
        .unwrap();
    assert_eq!(least.len(), 1);
}

#[test]
#[should_panic(expected = "would overwrite what is applied")]
fn committed_entries_are_never_overwritten() {
    let mut node = Node::start(Disk::bootstrapped(1, 3));
    receive(&mut node, append(1, 0, 0, &[1, 1, 1], 3));
    let entry = Entry {
        index: 3,
        term: 2,
        ..Entry::default()
    };
    drop(
        node.store_mut()
            .append(&[entry], &mut storage::engine::WriteBatch::new()),
    );
}

#[test]
#[should_panic(expected = "would leave a gap")]
fn a_gap_is_never_appended() {
    let mut node = Node::start(Disk::bootstrapped(1, 3));
    let entry = Entry {
        index: 2,
        term: 1,
        ..Entry::default()
    };
    drop(
        node.store_mut()
            .append(&[entry], &mut storage::engine::WriteBatch::new()),
    );
}

#[test]
fn in_a_weaker_mode_a_power_cut_leaves_a_prefix_of_the_log() {
    for seed in 0..20 {
        let mut disk = Disk::bootstrapped(1, 3);
        disk.durability = Durability::Buffered;
        let mut node = Node::start(disk);
        for index in 0..6 {
            receive(&mut node, append(1, index, u64::from(index > 0), &[1], 0));
        }
        receive(&mut node, append(2, 4, 1, &[2], 0));
        let all = terms(&node);
        assert_eq!(all, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2)]);
        let node = Node::start(node.power_cut(Some(seed)));
        let left = terms(&node);
        let of_term_1: Vec<_> = (1..=6).map(|index| (index, 1)).collect();
        assert!(left == all || of_term_1.starts_with(&left), "{left:?}");
    }
}

trait IntoIndex {
    fn into_index(self) -> storage::ids::LogIndex;
}

impl IntoIndex for u64 {
    fn into_index(self) -> storage::ids::LogIndex {
        storage::ids::LogIndex(self)
    }
}
