//! Giving up the log behind a checkpoint.

use raft::{Error, Storage, StorageError};
use storage::ids::LogIndex;

use crate::node::{Disk, Node};

fn with_entries(count: u64) -> Node {
    let mut node = Node::start(Disk::bootstrapped(1, 1));
    node.campaign();
    for number in 0..count {
        node.put(&number.to_string(), "value");
    }
    node
}

#[test]
fn entries_behind_the_checkpoint_are_given_up() {
    let mut node = with_entries(9);
    node.checkpoint();
    node.put("tail", "value");
    let before = node.store().log_bytes();
    node.store_mut().compact(LogIndex(10)).unwrap();
    assert_eq!(node.store().first_index(), LogIndex(11));
    assert_eq!(node.disk.stored_indexes(), [11]);
    assert!(node.store().log_bytes() <= before / 10);
    assert_eq!(
        node.store().term(10).unwrap(),
        1,
        "the term before the first entry is kept"
    );
    assert_eq!(
        node.store().term(9),
        Err(Error::Store(StorageError::Compacted))
    );
    let context = raft::GetEntriesContext::empty(false);
    assert_eq!(
        node.store().entries(10, 12, None, context),
        Err(Error::Store(StorageError::Compacted))
    );
    node.store_mut().compact(LogIndex(4)).unwrap();
    assert_eq!(
        node.store().first_index(),
        LogIndex(11),
        "it never goes back"
    );
}

#[test]
fn an_empty_log_goes_on_where_it_ended() {
    let mut node = with_entries(3);
    node.checkpoint();
    node.compact();
    assert!(node.log().is_empty());
    let model = node.model.clone();
    let mut node = Node::start(node.power_cut(None));
    assert_eq!(node.store().last_index(), LogIndex(4));
    assert_eq!(node.model, model);
    node.campaign();
    node.put("more", "value");
    assert_eq!(node.log().len(), 2);
}

#[test]
fn the_truncated_index_is_durable_before_an_entry_disappears() {
    let mut node = with_entries(3);
    node.checkpoint();
    node.disk.raft.fail_next_sync();
    let to = node.store().checkpoint_index();
    assert!(node.store_mut().compact(to).is_err());
    assert_eq!(node.disk.stored_indexes(), [1, 2, 3, 4]);
    assert_eq!(Node::start(node.power_cut(None)).log().len(), 4);
}

#[test]
#[should_panic(expected = "cannot be compacted to 4, the checkpoint is at 2")]
fn the_log_is_never_compacted_beyond_the_checkpoint() {
    let mut node = with_entries(1);
    node.checkpoint();
    node.put("1", "value");
    node.put("2", "value");
    drop(node.store_mut().compact(LogIndex(4)));
}
