//! The stream of chunks and the file made of it.

use storage::Error;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{Engine, Engines};
use storage::ids::{FIRST_REGION, LogIndex, Term};
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use storage::snapshot::{
    CHUNK_BYTES, ReceivedSnapshot, SnapshotChunk, SnapshotReceiver, SnapshotSource,
};
use tempfile::TempDir;

use crate::node::{Disk, Model, ident, load, region, write_checkpoint};

fn model() -> Model {
    let mut model: Model = (0..3000)
        .map(|number| (format!("key{number:05}").into(), vec![b'v'; 400].into()))
        .collect();
    model.insert("key00007big".into(), vec![b'b'; 3 * CHUNK_BYTES].into());
    model.insert("key00008empty".into(), "".into());
    model
}

fn chunks(source: &mut SnapshotSource) -> Vec<SnapshotChunk> {
    std::iter::from_fn(|| source.next_chunk().unwrap()).collect()
}

fn small_source(disk: &Disk) -> SnapshotSource {
    let model: Model = [("a", "1"), ("b", "2")]
        .map(|(key, value)| (key.into(), value.into()))
        .into();
    write_checkpoint(disk.kv.as_ref(), &model, 5, 2, vec![1]);
    SnapshotSource::new(disk.kv.view(), FIRST_REGION).unwrap()
}

fn received(disk: &Disk, chunks: &[SnapshotChunk]) -> storage::Result<ReceivedSnapshot> {
    let mut receiver =
        SnapshotReceiver::create(disk.dir.path(), FIRST_REGION, LogIndex(5), Term(2))?;
    for chunk in chunks {
        receiver.accept(chunk)?;
    }
    receiver.finish()
}

#[test]
fn a_snapshot_travels_between_engines_of_different_kinds() {
    let from = Disk::bootstrapped(1, 1);
    let model = model();
    write_checkpoint(from.kv.as_ref(), &model, 5, 2, vec![1]);
    let mut source = SnapshotSource::new(from.kv.view(), FIRST_REGION).unwrap();
    // The view does not see what comes later.
    write_checkpoint(
        from.kv.as_ref(),
        &[("zzz".into(), "later".into())].into(),
        6,
        2,
        vec![1],
    );
    let sent = chunks(&mut source);
    assert!(sent.len() > 5);
    assert!(
        sent.iter()
            .rev()
            .skip(1)
            .all(|chunk| chunk.bytes.len() == CHUNK_BYTES && !chunk.last)
    );
    assert!(sent.is_sorted_by_key(|chunk| chunk.percent));
    assert!(sent.last().is_some_and(|chunk| chunk.percent == 100));
    source.restart();
    assert_eq!(
        chunks(&mut source),
        sent,
        "the stream is the same every time"
    );

    // Into an LSM that has another state, through the installation of an interrupted start.
    let dir = TempDir::new().unwrap();
    let lsm = |name| LsmEngine::open(&dir.path().join(name), LsmOptions::kv()).unwrap();
    let engines = Engines {
        kv: std::sync::Arc::new(lsm("kv")),
        raft: std::sync::Arc::new(lsm("raft")),
    };
    PeerStorage::bootstrap(&engines, &ident(1), &region(1)).unwrap();
    write_checkpoint(
        engines.kv.as_ref(),
        &[
            ("gone".into(), "old".into()),
            ("key00001".into(), "old".into()),
        ]
        .into(),
        3,
        1,
        vec![1],
    );
    let to = Disk::empty(1);
    let file = received(&to, &sent).unwrap();
    mark_applying(&engines, &file);
    let options = PeerStorageOptions {
        durability: storage::engine::Durability::Synced,
        log_cache_bytes: 1024,
        snapshot_dir: to.dir.path().to_owned(),
    };
    let store = PeerStorage::open(engines.clone(), FIRST_REGION, options).unwrap();
    assert_eq!(store.last_index(), LogIndex(5));
    assert_eq!(load(engines.kv.as_ref()).0, model);
}

fn mark_applying(engines: &Engines, file: &ReceivedSnapshot) {
    use prost::Message;
    use storage::proto::store::{PeerState, RegionLocalState};
    let state = RegionLocalState {
        state: PeerState::Applying.into(),
        region: Some(region(1)),
        snapshot: Some(file.metadata().into()),
    };
    let mut batch = storage::engine::WriteBatch::new();
    batch.put(
        storage::keys::region_state(FIRST_REGION),
        state.encode_to_vec(),
    );
    engines
        .kv
        .write(batch, storage::engine::Durability::Synced)
        .unwrap();
}

#[test]
fn wrong_chunks_are_refused() {
    let disk = Disk::bootstrapped(1, 1);
    let sent = chunks(&mut small_source(&disk));
    let [chunk] = sent.as_slice() else {
        panic!("one chunk")
    };
    assert!(received(&disk, std::slice::from_ref(chunk)).is_ok());
    let wrong = [
        SnapshotChunk {
            sequence: 1,
            ..chunk.clone()
        },
        SnapshotChunk {
            crc32: chunk.crc32 ^ 1,
            ..chunk.clone()
        },
        SnapshotChunk {
            last: false,
            ..chunk.clone()
        },
    ];
    for chunk in wrong {
        assert!(matches!(
            received(&disk, &[chunk]),
            Err(Error::Corrupt { .. })
        ));
    }
    assert!(received(&disk, &[]).is_err());
    assert!(received(&disk, &[chunk.clone(), chunk.clone()]).is_err());
    let mut other =
        SnapshotReceiver::create(disk.dir.path(), FIRST_REGION, LogIndex(6), Term(2)).unwrap();
    other.accept(chunk).unwrap();
    assert!(
        other.finish().is_err(),
        "it is the snapshot of another index"
    );
    let left: Vec<_> = std::fs::read_dir(disk.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["1-5-2.snap"], "what failed was removed");
}

#[test]
fn every_changed_byte_and_every_missing_tail_is_noticed() {
    let disk = Disk::bootstrapped(1, 1);
    let sent = chunks(&mut small_source(&disk));
    received(&disk, &sent).unwrap();
    let path = disk.dir.path().join("1-5-2.snap");
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        assert!(ReceivedSnapshot::open(&path).is_err(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(ReceivedSnapshot::open(&path).is_err(), "{at} bytes");
    }
    let mut longer = good.clone();
    longer.push(0);
    std::fs::write(&path, &longer).unwrap();
    assert!(
        ReceivedSnapshot::open(&path).is_err(),
        "bytes behind the end"
    );
}

#[test]
fn two_transfers_of_the_same_snapshot_do_not_disturb_each_other() {
    let disk = Disk::bootstrapped(1, 1);
    let sent = chunks(&mut small_source(&disk));
    let create =
        || SnapshotReceiver::create(disk.dir.path(), FIRST_REGION, LogIndex(5), Term(2)).unwrap();
    let (mut first, mut second) = (create(), create());
    for chunk in &sent {
        first.accept(chunk).unwrap();
        second.accept(chunk).unwrap();
    }
    first.finish().unwrap();
    second.finish().unwrap();
}

#[test]
fn a_region_that_is_being_replaced_is_not_sent() {
    let disk = Disk::bootstrapped(1, 1);
    let source = small_source(&disk);
    let file = received(&disk, &chunks(&mut source.clone())).unwrap();
    mark_applying(&disk.engines(), &file);
    assert!(SnapshotSource::new(disk.kv.view(), FIRST_REGION).is_err());
}
