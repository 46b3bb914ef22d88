//! One Store goes on alone with what it has.

use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use storage::ids::FIRST_REGION;
use storage::peer_storage::recover::recover;
use storage::peer_storage::{PeerStorage, PeerStorageOptions, bootstrap};

use crate::node::{Disk, Node};

const NEW_CLUSTER: [u8; 16] = [9; 16];

fn options(disk: &Disk) -> PeerStorageOptions {
    PeerStorageOptions {
        durability: disk.durability,
        log_cache_bytes: 1024,
        snapshot_dir: disk.dir.path().to_owned(),
    }
}

/// A follower of three: a checkpoint at index 2, and behind it a command, a change of members and a command, not known to be
/// committed.
fn follower() -> Disk {
    let mut node = Node::start(Disk::bootstrapped(1, 3));
    let entry = |index: u64, kind: EntryType| Entry {
        term: 1,
        index,
        entry_type: kind,
        data: format!("key{index}=value").into(),
        ..Entry::default()
    };
    let mut append = |index: u64, entries: Vec<Entry>, commit: u64| {
        let message = Message {
            msg_type: MessageType::MsgAppend,
            to: 1,
            from: 2,
            term: 1,
            log_term: u64::from(index > 0),
            index,
            entries: entries.into(),
            commit,
            ..Message::default()
        };
        node.raw.step(message).unwrap();
        node.work().unwrap();
    };
    let normal = EntryType::EntryNormal;
    append(0, vec![entry(1, normal), entry(2, normal)], 2);
    append(
        2,
        vec![
            entry(3, normal),
            entry(4, EntryType::EntryConfChangeV2),
            entry(5, normal),
        ],
        2,
    );
    node.checkpoint();
    node.kill()
}

#[test]
fn the_whole_log_counts_and_changes_of_members_do_not() {
    let disk = follower();
    recover(&disk.engines(), FIRST_REGION, options(&disk), &NEW_CLUSTER).unwrap();
    let ident = PeerStorage::store_ident(&disk.engines()).unwrap().unwrap();
    assert_eq!(
        (ident.store_id, &ident.cluster_id[..]),
        (1, &NEW_CLUSTER[..])
    );
    let region = bootstrap::region(&disk.engines(), FIRST_REGION).unwrap();
    assert_eq!(region.peers.len(), 1);
    assert_eq!(region.next_store_id, 4, "ids that were given stay given");
    let mut node = Node::start(disk);
    assert_eq!(node.store().conf_state().voters, [1]);
    node.campaign();
    node.put("new", "value");
    let keys: Vec<&[u8]> = node.model.keys().map(|key| &key[..]).collect();
    assert_eq!(keys, [&b"key1"[..], b"key2", b"key3", b"key5", b"new"]);
}

#[test]
fn a_recovery_that_was_interrupted_anywhere_is_repeated() {
    for (fail_raft, fail_kv) in [(Some(0), None), (None, Some(0))] {
        let mut disk = follower();
        if let Some(writes) = fail_raft {
            disk.raft.fail_after(writes);
        }
        if let Some(writes) = fail_kv {
            disk.kv.fail_after(writes);
        }
        assert!(recover(&disk.engines(), FIRST_REGION, options(&disk), &[8; 16]).is_err());
        disk.power_cut(None);
        recover(&disk.engines(), FIRST_REGION, options(&disk), &NEW_CLUSTER).unwrap();
        let ident = PeerStorage::store_ident(&disk.engines()).unwrap().unwrap();
        assert_eq!(&ident.cluster_id[..], NEW_CLUSTER);
        let mut node = Node::start(disk);
        node.campaign();
        assert_eq!(node.model.len(), 4);
    }
}

#[test]
fn a_store_that_never_got_data_has_nothing_to_recover() {
    let disk = Disk::empty(4);
    PeerStorage::bootstrap(
        &disk.engines(),
        &crate::node::ident(4),
        &crate::node::region(0),
    )
    .unwrap();
    assert!(recover(&disk.engines(), FIRST_REGION, options(&disk), &NEW_CLUSTER).is_err());
    let ident = PeerStorage::store_ident(&disk.engines()).unwrap().unwrap();
    assert_ne!(&ident.cluster_id[..], NEW_CLUSTER, "nothing was changed");
}
