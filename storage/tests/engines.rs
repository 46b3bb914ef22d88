//! The two engines side by side: what one does, the other does.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use storage::Error;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engine, MAX_KEY_BYTES, Reader, WriteBatch};
use tempfile::TempDir;

type Records = Vec<(Bytes, Option<Bytes>)>;

fn open(dir: &Path) -> LsmEngine {
    LsmEngine::open(
        dir,
        LsmOptions {
            worker_threads: 1,
            ..LsmOptions::kv()
        },
    )
    .unwrap()
}

fn all(reader: &dyn Reader) -> Vec<(Bytes, Bytes)> {
    reader
        .scan(b"", b"")
        .collect::<storage::Result<_>>()
        .unwrap()
}

fn put(
    engine: &dyn Engine,
    key: &'static str,
    value: &str,
    durability: Durability,
) -> storage::Result<()> {
    let mut batch = WriteBatch::new();
    batch.put(key, value.to_owned());
    engine.write(batch, durability)
}

fn ingest(engine: &dyn Engine, records: &[(&'static str, Option<&'static str>)]) {
    let mut records = records
        .iter()
        .map(|(key, value)| (Bytes::from(*key), value.map(Bytes::from)));
    engine.ingest(&mut records).unwrap();
}

#[derive(Clone, Debug)]
enum Op {
    Write(Records, bool),
    Ingest(Records),
    View,
    CompareView,
    Scan(Bytes, Bytes),
    Sync,
    Reopen,
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(0u8..4, 0..3).prop_map(|mut key| {
        key.insert(0, b'k');
        Bytes::from(key)
    })
}

fn records() -> impl Strategy<Value = Records> {
    prop::collection::vec(
        (
            key(),
            prop::option::of(prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)),
        ),
        0..8,
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (records(), any::<bool>()).prop_map(|(records, synced)| Op::Write(records, synced)),
        2 => records().prop_map(|mut records| {
            records.sort_by(|a, b| a.0.cmp(&b.0));
            records.dedup_by(|a, b| a.0 == b.0);
            Op::Ingest(records)
        }),
        1 => Just(Op::View),
        1 => Just(Op::CompareView),
        1 => (key(), key()).prop_map(|(start, end)| Op::Scan(start, end)),
        1 => Just(Op::Sync),
        1 => Just(Op::Reopen),
    ]
}

fn batch(records: &Records) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (key, value) in records {
        match value {
            Some(value) => batch.put(key.clone(), value.clone()),
            None => batch.delete(key.clone()),
        }
    }
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_lsm_and_the_memory_engine_agree(ops in prop::collection::vec(op(), 1..40)) {
        let dir = TempDir::new().unwrap();
        let mut lsm = open(dir.path());
        let mut memory = MemoryEngine::new();
        let mut views: Option<(Arc<dyn Reader>, Arc<dyn Reader>)> = None;
        for op in ops {
            match op {
                Op::Write(records, synced) => {
                    let durability = if synced { Durability::Synced } else { Durability::Buffered };
                    lsm.write(batch(&records), durability).unwrap();
                    memory.write(batch(&records), durability).unwrap();
                }
                Op::Ingest(records) => {
                    lsm.ingest(&mut records.clone().into_iter()).unwrap();
                    memory.ingest(&mut records.into_iter()).unwrap();
                }
                Op::View => views = Some((lsm.view(), memory.view())),
                Op::CompareView => {
                    if let Some((lsm, memory)) = &views {
                        prop_assert_eq!(all(lsm.as_ref()), all(memory.as_ref()));
                    }
                }
                Op::Scan(start, end) => {
                    let lsm: Vec<_> = lsm.scan(&start, &end).map(Result::unwrap).collect();
                    let memory: Vec<_> = memory.scan(&start, &end).map(Result::unwrap).collect();
                    prop_assert_eq!(lsm, memory);
                }
                Op::Sync => {
                    lsm.sync().unwrap();
                    memory.sync().unwrap();
                }
                Op::Reopen => {
                    // A view keeps the directory locked.
                    views = None;
                    drop(lsm);
                    lsm = open(dir.path());
                    memory = memory.kill();
                }
            }
            let pairs = all(memory.as_ref());
            prop_assert_eq!(&all(&lsm), &pairs);
            for (key, value) in pairs {
                prop_assert_eq!(lsm.get(&key).unwrap(), Some(value));
            }
        }
    }
}

#[test]
fn an_ingestion_wins_over_earlier_writes_and_loses_to_later_ones_after_reopening() {
    let dir = TempDir::new().unwrap();
    {
        let engine = open(dir.path());
        put(&engine, "a", "old", Durability::Synced).unwrap();
        put(&engine, "b", "old", Durability::Buffered).unwrap();
        put(&engine, "c", "old", Durability::Buffered).unwrap();
        ingest(
            &engine,
            &[
                ("a", Some("ingested")),
                ("b", None),
                ("d", Some("ingested")),
            ],
        );
        put(&engine, "d", "later", Durability::Buffered).unwrap();
    }
    let engine = open(dir.path());
    let values: Vec<_> = all(&engine).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["ingested", "old", "later"]);
}

#[test]
fn a_second_process_is_refused() {
    let dir = TempDir::new().unwrap();
    let _engine = open(dir.path());
    let second = LsmEngine::open(dir.path(), LsmOptions::kv());
    assert!(matches!(second, Err(Error::Foreign(message)) if message.contains("in use")));
}

#[test]
fn a_nearly_full_disk_refuses_writes_and_keeps_serving_reads() {
    let dir = TempDir::new().unwrap();
    {
        let engine = open(dir.path());
        put(&engine, "a", "1", Durability::Synced).unwrap();
    }
    let options = LsmOptions {
        reserve_bytes: u64::MAX,
        ..LsmOptions::kv()
    };
    let engine = LsmEngine::open(dir.path(), options).unwrap();
    for _ in 0..2 {
        assert!(matches!(
            put(&engine, "b", "2", Durability::Synced),
            Err(Error::Full)
        ));
        assert!(matches!(
            engine.ingest(&mut std::iter::empty()),
            Err(Error::Full)
        ));
    }
    assert_eq!(engine.get(b"a").unwrap().unwrap(), "1");
}

#[test]
fn a_key_that_the_journal_would_cut_is_refused_and_harms_nothing() {
    let dir = TempDir::new().unwrap();
    let engine = open(dir.path());
    for (length, fits) in [(MAX_KEY_BYTES, true), (MAX_KEY_BYTES + 1, false)] {
        let mut batch = WriteBatch::new();
        batch.put(vec![b'k'; length], "value");
        assert_eq!(engine.write(batch, Durability::Synced).is_ok(), fits);
    }
    put(&engine, "a", "1", Durability::Synced).unwrap();
    drop(engine);
    assert_eq!(all(&open(dir.path())).len(), 2);
}

/// Changes the only journal of the database in `dir`.
fn change_journal(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join("0.jnl");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

/// Where `text` is.
fn position(bytes: &[u8], text: &[u8]) -> usize {
    let mut windows = bytes.windows(text.len());
    windows.position(|window| window == text).unwrap()
}

/// From `text` on nothing reached the disk.
fn tear(dir: &Path, text: &[u8]) {
    change_journal(dir, |bytes| {
        let at = position(bytes, text);
        bytes[at..].fill(0);
    });
}

#[test]
fn a_torn_last_write_is_cut_off() {
    let dir = TempDir::new().unwrap();
    {
        let engine = open(dir.path());
        put(&engine, "a", "first write", Durability::Synced).unwrap();
        put(&engine, "b", "second write", Durability::Synced).unwrap();
    }
    tear(dir.path(), b"second write");
    let engine = open(dir.path());
    assert_eq!(all(&engine), [("a".into(), "first write".into())]);
    put(&engine, "c", "third write", Durability::Synced).unwrap();
    drop(engine);
    assert_eq!(all(&open(dir.path())).len(), 2);
}

#[test]
fn damage_of_synced_writes_is_reported_unless_writes_are_not_synced() {
    for (damaged, left) in [("second write", 1), ("third write", 2)] {
        let dir = TempDir::new().unwrap();
        {
            let engine = open(dir.path());
            put(&engine, "a", "first write", Durability::Synced).unwrap();
            put(&engine, "b", "second write", Durability::Synced).unwrap();
            put(&engine, "c", "third write", Durability::Synced).unwrap();
        }
        change_journal(dir.path(), |bytes| {
            let at = position(bytes, damaged.as_bytes());
            bytes[at] ^= 1;
        });
        let refused = LsmEngine::open(dir.path(), LsmOptions::kv());
        assert!(matches!(
            refused,
            Err(Error::Corrupt {
                what: "journal",
                ..
            })
        ));
        let options = LsmOptions {
            unsynced_tail: true,
            ..LsmOptions::kv()
        };
        let engine = LsmEngine::open(dir.path(), options).unwrap();
        assert_eq!(all(&engine).len(), left);
    }
}

#[test]
fn with_any_byte_of_the_journal_changed_all_synced_pairs_are_there_or_opening_is_refused() {
    let original = TempDir::new().unwrap();
    let pairs = {
        let engine = LsmEngine::open(original.path(), LsmOptions::raft()).unwrap();
        for number in 0..3 {
            let mut batch = WriteBatch::new();
            batch.put(format!("entry {number}"), "value");
            batch.put("state", format!("{number}"));
            engine.write(batch, Durability::Synced).unwrap();
        }
        all(&engine)
    };
    change_journal(original.path(), |bytes| {
        let written = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes.truncate(written + 4096);
    });
    let bytes = fs::read(original.path().join("0.jnl")).unwrap();
    let written = bytes.len() - 4096;
    let mut refused = 0;
    for at in 0..written {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(original.path().join("0.jnl"), changed).unwrap();
        match LsmEngine::open(original.path(), LsmOptions::raft()) {
            Ok(engine) => assert_eq!(all(&engine), pairs, "after a change at {at}"),
            Err(Error::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("{other} after a change at {at}"),
        }
    }
    // Some bits of the batches' numbers change nothing.
    assert!(refused > written * 9 / 10, "{refused} of {written} refused");
}

#[test]
fn a_creation_that_was_interrupted_begins_again() {
    let versions = [None, Some(""), Some("FJ"), Some("\0\0\0\0")];
    for (version, lock) in versions.into_iter().zip([true, true, true, false]) {
        let dir = TempDir::new().unwrap();
        if lock {
            fs::write(dir.path().join("lock"), "").unwrap();
        }
        fs::create_dir(dir.path().join("keyspaces")).unwrap();
        fs::write(dir.path().join("0.jnl"), [0; 8192]).unwrap();
        if let Some(version) = version {
            fs::write(dir.path().join("version"), version).unwrap();
        }
        put(&open(dir.path()), "a", "1", Durability::Synced).unwrap();
        assert_eq!(all(&open(dir.path())).len(), 1);
    }
}

#[test]
fn a_directory_with_data_and_no_version_is_not_taken_for_a_new_one() {
    let dir = TempDir::new().unwrap();
    put(&open(dir.path()), "a", "1", Durability::Synced).unwrap();
    let version = fs::read(dir.path().join("version")).unwrap();
    fs::remove_file(dir.path().join("version")).unwrap();
    let refused = LsmEngine::open(dir.path(), LsmOptions::kv());
    assert!(matches!(
        refused,
        Err(Error::Corrupt {
            what: "data directory",
            ..
        })
    ));
    fs::write(dir.path().join("version"), version).unwrap();
    assert_eq!(all(&open(dir.path())).len(), 1);
}
