//! What a founder must not forget.

use storage::engine::{Durability, Engine, WriteBatch};
use storage::ids::FIRST_REGION;
use storage::peer_storage::PeerStorage;
use storage::proto::store::StoreBirth;

use crate::node::{Disk, ident, region};

fn bootstrapped(peers: u64) -> Disk {
    let disk = Disk::empty(1);
    PeerStorage::bootstrap(&disk.engines(), &ident(1), &region(peers)).unwrap();
    disk
}

#[test]
fn one_of_several_founders_is_not_admitted_at_first() {
    for (peers, admitted) in [(0, true), (1, true), (2, false), (3, false)] {
        let storage = bootstrapped(peers).open().unwrap();
        assert_eq!(storage.founding().admitted, admitted, "{peers} founders");
        assert_eq!(storage.founding().birth_of(1), Some(ident(1).birth));
        assert_eq!(storage.founding().birth_of(2), None);
    }
}

#[test]
fn what_was_saved_survives_a_power_cut() {
    let mut disk = bootstrapped(3);
    let mut storage = disk.open().unwrap();
    let mut state = storage.founding().clone();
    state.admitted = true;
    state.births.push(StoreBirth {
        store_id: 2,
        birth: 9,
    });
    storage.save_founding(state.clone()).unwrap();
    drop(storage);
    disk.power_cut(None);
    let storage = disk.open().unwrap();
    assert_eq!(storage.founding(), &state);
}

#[test]
fn a_store_that_an_earlier_version_made_takes_part_and_so_do_those_that_it_knows() {
    let disk = bootstrapped(3);
    let mut batch = WriteBatch::new();
    batch.delete(storage::keys::founding_state());
    disk.raft.write(batch, Durability::Synced).unwrap();
    let storage = disk.open().unwrap();
    assert_eq!(storage.region_id(), FIRST_REGION);
    assert!(storage.founding().admitted);
    // Another birth of theirs is that of an empty directory.
    assert_eq!(storage.founding().birth_of(3), Some(0));
}
