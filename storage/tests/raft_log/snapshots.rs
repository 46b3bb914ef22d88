//! A follower that fell behind, and crashes while it installs a snapshot.

use raft::eraftpb::Message;
use storage::engine::Reader;
use storage::ids::LogIndex;

use crate::cluster::{Cluster, transfer};
use crate::node::{Disk, Node, load};

/// Node 1 leads with a checkpoint and no log behind it; node 3 has an old state and a stale tail, and is not running.
fn fallen_behind() -> (Cluster, Node) {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    for number in 0..5 {
        cluster.put(1, &format!("old{number}"), "value");
    }
    cluster.node(3).checkpoint();
    let mut behind = cluster.nodes.remove(&3).unwrap();
    // The tail that is in conflict: appended by a leader of the same term that nobody else heard of.
    let last = behind.store().last_index().get();
    let stale: Vec<_> = (last + 1..=last + 40)
        .map(|index| raft::eraftpb::Entry {
            index,
            term: 1,
            data: "stale=yes".into(),
            ..Default::default()
        })
        .collect();
    let message = Message {
        msg_type: raft::eraftpb::MessageType::MsgAppend,
        to: 3,
        from: 1,
        term: behind.raw.raft.term,
        log_term: behind.store().last_term().get(),
        index: last,
        entries: stale.into(),
        commit: last,
        ..Message::default()
    };
    behind.raw.step(message).unwrap();
    behind.work().unwrap();
    cluster.elect(2);
    cluster.elect(1);
    for number in 3..12 {
        cluster.put(1, &format!("old{number}"), "new");
    }
    cluster.node(1).checkpoint();
    cluster.node(1).compact();
    cluster.put(1, "tail", "value");
    (cluster, behind)
}

#[test]
fn a_follower_that_fell_behind_the_log_catches_up() {
    let (mut cluster, behind) = fallen_behind();
    cluster.nodes.insert(3, behind);
    cluster.heartbeat(1);
    let (leader, follower) = (&cluster.nodes[&1], &cluster.nodes[&3]);
    assert_eq!(follower.installed, [leader.store().truncated_index()]);
    assert_eq!(follower.model, leader.model);
    assert_eq!(follower.log(), leader.log());
    assert_eq!(
        follower.disk.stored_indexes(),
        leader.disk.stored_indexes(),
        "nothing of the stale tail is left"
    );
    assert_eq!(
        std::fs::read_dir(follower.disk.dir.path()).unwrap().count(),
        0,
        "the file is gone"
    );
    let model = leader.model.clone();
    cluster.put(1, "after", "value");
    assert_eq!(cluster.nodes[&3].model.len(), model.len() + 1);
    let follower = cluster.nodes.remove(&3).unwrap();
    let restarted = Node::start(follower.power_cut(None));
    assert_eq!(restarted.model, load(cluster.nodes[&1].disk.kv.as_ref()).0);
    assert_eq!(restarted.log().len(), 2);
}

#[test]
fn the_snapshot_of_a_leader_is_dropped_when_the_log_moves_on() {
    let (mut cluster, behind) = fallen_behind();
    cluster.nodes.insert(3, behind);
    cluster.heartbeat(1);
    let leader = cluster.node(1);
    assert_eq!(
        leader.store().snapshot_index(),
        Some(leader.store().truncated_index())
    );
    leader.checkpoint();
    leader.compact();
    assert_eq!(leader.store().snapshot_index(), None);
}

/// Gets node 3 up to the Ready that installs the snapshot, and returns that Ready.
fn before_installation() -> (Cluster, Node, raft::Ready) {
    let (mut cluster, mut behind) = fallen_behind();
    let task = {
        let leader = cluster.node(1);
        assert!(raft::Storage::snapshot(leader.store(), 0, 3).is_err());
        leader.store_mut().snapshot_needed().unwrap()
    };
    let source = task.run().unwrap();
    cluster.node(1).store_mut().set_snapshot(source);
    let leader = cluster.node(1);
    let snapshot = raft::Storage::snapshot(leader.store(), 0, 3).unwrap();
    let source = leader
        .store()
        .snapshot_source(LogIndex(snapshot.get_metadata().index))
        .unwrap();
    let file = transfer(source, &behind.disk);
    behind.store_mut().receive(file);
    let message = Message {
        msg_type: raft::eraftpb::MessageType::MsgSnapshot,
        to: 3,
        from: 1,
        term: leader.raw.raft.term,
        snapshot: Some(snapshot).into(),
        ..Message::default()
    };
    behind.raw.step(message).unwrap();
    let ready = behind.raw.ready();
    (cluster, behind, ready)
}

/// Where the disk fails during the installation: after so many more writes of an engine.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Kv(u64),
    Raft(u64),
}

#[test]
fn an_installation_that_fails_anywhere_is_finished_at_the_next_start() {
    let mut points = 0;
    let failures = (0..4).map(Failure::Kv).chain((0..2).map(Failure::Raft));
    for failure in failures {
        let (mut cluster, mut node, mut ready) = before_installation();
        let old = (load(node.disk.kv.as_ref()).0, node.store().last_index());
        match failure {
            Failure::Kv(writes) => node.disk.kv.fail_after(writes),
            Failure::Raft(writes) => node.disk.raft.fail_after(writes),
        }
        if node.save(&mut ready).is_ok() {
            continue;
        }
        points += 1;
        let disk = node.power_cut(None);
        let wanted = load(cluster.nodes[&1].disk.kv.as_ref());
        let mut node = Node::start(disk);
        if matches!(failure, Failure::Kv(0)) {
            assert_eq!(
                (load(node.disk.kv.as_ref()).0, node.store().last_index()),
                old,
                "nothing had begun"
            );
        } else {
            let at = LogIndex(wanted.1.applied_index);
            assert_eq!(load(node.disk.kv.as_ref()), wanted, "{failure:?}");
            let store = node.store();
            assert_eq!(
                (
                    store.truncated_index(),
                    store.last_index(),
                    store.commit_index()
                ),
                (at, at, at)
            );
            assert_eq!(node.disk.stored_indexes(), [0u64; 0], "{failure:?}");
        }
        // However it went, the Peer takes part again.
        node.work().unwrap();
        cluster.nodes.insert(3, node);
        cluster.heartbeat(1);
        assert_eq!(
            cluster.nodes[&3].model, cluster.nodes[&1].model,
            "{failure:?}"
        );
    }
    assert_eq!(
        points, 4,
        "three writes of the kv engine and one of the raft engine"
    );
}

#[test]
fn a_finish_that_fails_anywhere_is_finished_at_the_start_after() {
    for failure in (0..3).map(Failure::Kv).chain([Failure::Raft(0)]) {
        let (cluster, mut node, mut ready) = before_installation();
        node.disk.kv.fail_after(1);
        node.save(&mut ready).unwrap_err();
        let mut disk = node.power_cut(None);
        match failure {
            Failure::Kv(writes) => disk.kv.fail_after(writes),
            Failure::Raft(writes) => disk.raft.fail_after(writes),
        }
        assert!(disk.open().is_err(), "{failure:?}");
        disk.power_cut(None);
        disk.open().unwrap();
        assert_eq!(
            load(disk.kv.as_ref()),
            load(cluster.nodes[&1].disk.kv.as_ref()),
            "{failure:?}"
        );
    }
}

#[test]
fn a_full_disk_during_the_installation_can_be_waited_out() {
    let (cluster, mut node, mut ready) = before_installation();
    for engine in [node.disk.raft.clone(), node.disk.kv.clone()] {
        engine.set_full(true);
        assert!(matches!(node.save(&mut ready), Err(storage::Error::Full)));
        engine.set_full(false);
    }
    node.save(&mut ready).unwrap();
    assert_eq!(
        load(node.disk.kv.as_ref()),
        load(cluster.nodes[&1].disk.kv.as_ref())
    );
}

#[test]
fn a_file_that_is_damaged_before_its_installation_ends_is_not_taken_for_whole() {
    let (_, mut node, mut ready) = before_installation();
    node.disk.kv.fail_after(1);
    node.save(&mut ready).unwrap_err();
    let disk = node.power_cut(None);
    let path = std::fs::read_dir(disk.dir.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(
        disk.open(),
        Err(storage::Error::Corrupt {
            what: "snapshot",
            ..
        })
    ));
    let state = disk
        .kv
        .get(&storage::keys::region_state(storage::ids::FIRST_REGION))
        .unwrap()
        .unwrap();
    let state = <storage::proto::store::RegionLocalState as prost::Message>::decode(state).unwrap();
    assert_eq!(state.state(), storage::proto::store::PeerState::Applying);
}

#[test]
fn files_that_nothing_refers_to_are_removed_at_the_start() {
    let disk = Disk::bootstrapped(1, 1);
    for name in ["1-5-1.snap", "1-5-1.0.part", "kept.txt"] {
        std::fs::write(disk.dir.path().join(name), b"left over").unwrap();
    }
    disk.open().unwrap();
    let left: Vec<_> = std::fs::read_dir(disk.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["kept.txt"]);
}
