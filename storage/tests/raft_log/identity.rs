//! Whose directory it is.

use storage::Error;
use storage::engine::{Durability, Engine, WriteBatch};
use storage::peer_storage::PeerStorage;
use storage::peer_storage::bootstrap::STORE_FORMAT;
use storage::proto::store::StoreIdent;

use crate::node::{Disk, ident, region};

#[test]
fn bootstrapping_twice_changes_nothing() {
    let disk = Disk::bootstrapped(2, 3);
    let before = (disk.kv.counts(), disk.raft.counts());
    PeerStorage::bootstrap(&disk.engines(), &ident(2), &region(3)).unwrap();
    assert_eq!((disk.kv.counts(), disk.raft.counts()), before);
    assert_eq!(
        PeerStorage::store_ident(&disk.engines()).unwrap(),
        Some(ident(2))
    );
    let store = disk.open().unwrap();
    assert_eq!(store.conf_state().voters, [1, 2, 3]);
    assert_eq!(store.last_index().get(), 0);
}

#[test]
fn a_bootstrap_that_failed_anywhere_can_be_repeated() {
    for (fail_raft, fail_kv) in [(Some(0), None), (None, Some(0))] {
        let mut disk = Disk::empty(1);
        if let Some(writes) = fail_raft {
            disk.raft.fail_after(writes);
        }
        if let Some(writes) = fail_kv {
            disk.kv.fail_after(writes);
        }
        assert!(PeerStorage::bootstrap(&disk.engines(), &ident(1), &region(1)).is_err());
        disk.power_cut(None);
        assert_eq!(PeerStorage::store_ident(&disk.engines()).unwrap(), None);
        let other = PeerStorage::bootstrap(&disk.engines(), &ident(2), &region(1));
        assert_eq!(
            matches!(other, Err(Error::Foreign(_))),
            fail_kv.is_some(),
            "the raft engine remembers who began"
        );
        if fail_kv.is_some() {
            PeerStorage::bootstrap(&disk.engines(), &ident(1), &region(1)).unwrap();
            disk.open().unwrap();
        }
    }
}

#[test]
fn directories_of_others_are_refused() {
    let disk = Disk::bootstrapped(1, 3);
    let mut other_cluster = ident(1);
    other_cluster.cluster_id = vec![8; 16].into();
    for (expected, word) in [
        (ident(2), "store 1, this is store 2"),
        (other_cluster, "another cluster"),
    ] {
        let refused = PeerStorage::check_ident(&disk.engines(), &expected);
        assert!(
            matches!(refused, Err(Error::Foreign(message)) if message.contains(word)),
            "{word}"
        );
    }
    PeerStorage::check_ident(&disk.engines(), &ident(1)).unwrap();

    let second = Disk::bootstrapped(2, 3);
    let mixed = storage::engine::Engines {
        kv: disk.kv.clone(),
        raft: second.raft.clone(),
    };
    assert!(matches!(
        PeerStorage::store_ident(&mixed),
        Err(Error::Foreign(_))
    ));
    let lost = storage::engine::Engines {
        kv: disk.kv.clone(),
        raft: Disk::empty(1).raft,
    };
    assert!(
        matches!(PeerStorage::store_ident(&lost), Err(Error::Foreign(message)) if message.contains("log is lost"))
    );
}

#[test]
fn another_format_is_refused() {
    use prost::Message;
    let disk = Disk::bootstrapped(1, 1);
    let refused = |format| {
        let other = StoreIdent { format, ..ident(1) };
        let mut batch = WriteBatch::new();
        batch.put(storage::keys::store_ident(), other.encode_to_vec());
        disk.kv.write(batch, Durability::Synced).unwrap();
        PeerStorage::store_ident(&disk.engines()).expect_err("it has another format")
    };
    assert!(matches!(
        refused(STORE_FORMAT + 1),
        Error::Format { found, known: STORE_FORMAT, .. } if found == STORE_FORMAT + 1
    ));
    let older = refused(STORE_FORMAT - 1).to_string();
    assert!(older.contains("--import"), "{older}");
}
