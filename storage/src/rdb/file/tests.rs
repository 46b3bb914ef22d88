use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;

use super::{FileError, FileKey, FilePart, FileReader, SaveFacts, Saved, save};
use crate::dataset::{Dataset, DatasetOptions};
use crate::engine::Engine;
use crate::engine::memory::MemoryEngine;
use crate::ids::{DbIndex, FIRST_REGION, LogIndex, Term};
use crate::rdb::{self, CRC64, Value};

/// A file of redis-server 7.0.15: three databases, every type and encoding that it writes but streams, expiries, a library of
/// functions, and for each key when it was used last.
fn saved_by_redis() -> Vec<u8> {
    let lines = include_str!("saved.txt").lines();
    let digits: String = lines.filter(|line| !line.starts_with('#')).collect();
    let digits = digits.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The keys of a file, and everything else that it tells.
fn read_all(file: &[u8]) -> Result<(Vec<FileKey>, Vec<FilePart>), FileError> {
    let mut reader = FileReader::new(file)?;
    let (mut keys, mut others) = (Vec::new(), Vec::new());
    while let Some(part) = reader.next_part()? {
        match part {
            FilePart::Key(key) => keys.push(key),
            other => others.push(other),
        }
    }
    assert_eq!(reader.position(), file.len() as u64);
    Ok((keys, others))
}

#[test]
fn a_file_of_redis_is_read() {
    let (keys, others) = read_all(&saved_by_redis()).unwrap();
    assert_eq!(keys.len(), 26);
    let in_db = |db| keys.iter().filter(move |key| key.db == db).count();
    assert_eq!((in_db(0), in_db(3), in_db(9)), (15, 10, 1));
    let find = |db: u64, name: &[u8]| {
        let mut found = keys.iter().filter(|key| key.db == db && key.key == name);
        found.next().unwrap()
    };
    let string = find(0, b"string");
    assert_eq!(string.value(), Ok(Value::String(b"value".to_vec())));
    assert_eq!(string.expire_at_ms, Some(4_102_444_800_123));
    assert_eq!(string.idle_seconds, Some(0));
    assert_eq!(find(3, b"hash").expire_at_ms, Some(4_102_444_800_000));
    assert_eq!(find(3, b"list").expire_at_ms, None);
    let Ok(Value::ZSet(members)) = find(0, b"skiplist").value() else {
        panic!("a sorted set");
    };
    assert_eq!(members.len(), 5);
    assert!(members.contains(&(b"q".to_vec(), f64::NEG_INFINITY)));
    for key in &keys {
        assert_eq!(rdb::restore(&key.payload()), key.value());
        assert!(key.value().is_ok(), "{}", key.key.escape_ascii());
    }
    let told = |name: &[u8]| {
        let is = |part: &&FilePart| matches!(part, FilePart::Aux(told, _) if told == name);
        others.iter().find(is).is_some()
    };
    assert!(told(b"redis-ver") && told(b"ctime"));
    assert!(
        others
            .iter()
            .any(|part| matches!(part, FilePart::Skipped(what) if what.contains("functions")))
    );
    assert!(
        others
            .iter()
            .any(|part| matches!(part, FilePart::Sizes(15, 2)))
    );
}

#[test]
fn damage_is_found() {
    let file = saved_by_redis();
    for cut in 0..file.len() {
        assert!(read_all(&file[..cut]).is_err(), "{cut}");
    }
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        // Only a checksum of 0 would not be compared.
        assert!(read_all(&damaged).is_err(), "{at}");
    }
    for (head, what) in [
        ("REDIS0005", "version 0005"),
        ("REDIS0013", "version 0013"),
        ("REDISabcd", "version abcd"),
        ("VALKEY080", "no RDB file"),
    ] {
        let error = FileReader::new(head.as_bytes()).err().unwrap().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn what_has_no_place_is_refused_by_name() {
    for (kind, what) in [(7u8, "module"), (22, "preview")] {
        let file = [b"REDIS0010", &[kind][..], b"\x04name rest"].concat();
        let error = read_all(&file).err().unwrap().to_string();
        assert!(
            error.contains("\"name\"") && error.contains(what),
            "{error}"
        );
    }
    let error = read_all(b"REDIS0010\x63\x01k").err().unwrap().to_string();
    assert!(error.contains("unknown type, 99"), "{error}");
}

/// Lengths that no file can hold cost no memory.
#[test]
fn lengths_are_not_believed() {
    for rest in [
        &b"\x00\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x00\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x01\x01k\x80\xff\xff\xff\xff",
    ] {
        let file = [b"REDIS0010", rest].concat();
        assert!(matches!(read_all(&file), Err(FileError::Truncated { .. })));
    }
}

fn facts(now_ms: u64) -> SaveFacts {
    SaveFacts {
        redis_version: "7.2.0".into(),
        now_ms,
        memory_bytes: 1,
    }
}

/// A data set with these keys, everything of it on disk only.
fn dataset_of(keys: &[(u8, Vec<u8>, Value, Option<u64>)]) -> Dataset {
    let engine = MemoryEngine::new();
    let engine: Arc<dyn Engine> = engine;
    let mut dataset =
        Dataset::open(FIRST_REGION, Arc::clone(&engine), DatasetOptions::default()).unwrap();
    let mut txn = dataset.begin(LogIndex(1), Term(1), 1000, 7);
    for (db, key, value, expire_at_ms) in keys {
        txn.select(DbIndex(*db));
        value.store(&mut txn, key, *expire_at_ms).unwrap();
    }
    drop(txn);
    let checkpoint = dataset.freeze().unwrap();
    let done = checkpoint.run(&*engine).unwrap();
    dataset.checkpoint_done(done);
    dataset.durable().unwrap()
}

/// Values with elements in an order that does not depend on their representation.
fn sorted(mut value: Value) -> Value {
    match &mut value {
        Value::Set(members) => members.sort(),
        Value::ZSet(members) => members.sort_by(|a, b| a.partial_cmp(b).unwrap()),
        Value::Hash(fields) => fields.sort(),
        Value::String(_) | Value::List(_) | Value::Stream(_) => {}
    }
    value
}

#[test]
fn what_is_saved_is_read_again() {
    let (keys, _) = read_all(&saved_by_redis()).unwrap();
    let mut all: Vec<(u8, Vec<u8>, Value, Option<u64>)> = keys
        .iter()
        .map(|key| {
            (
                key.db as u8,
                key.key.clone(),
                key.value().unwrap(),
                key.expire_at_ms,
            )
        })
        .collect();
    let many = |n: u32| format!("member {n}").into_bytes();
    all.push((
        1,
        b"large set".to_vec(),
        Value::Set((0..3000).map(many).collect()),
        None,
    ));
    all.push((
        1,
        b"large list".to_vec(),
        Value::List((0..3000).map(many).collect()),
        Some(9000),
    ));
    let dataset = dataset_of(&all);
    let (file, saved) = save(&dataset, &facts(1000), Cursor::new(Vec::new())).unwrap();
    assert_eq!(
        saved,
        Saved {
            keys: 28,
            expired: 0
        }
    );
    let file = file.into_inner();
    assert!(file.starts_with(b"REDIS0010"));
    let (read, others) = read_all(&file).unwrap();
    let collect = |keys: Vec<(u8, Vec<u8>, Value, Option<u64>)>| {
        let values = keys.into_iter();
        let values = values.map(|(db, key, value, at)| ((db, key), (sorted(value), at)));
        values.collect::<BTreeMap<_, _>>()
    };
    let read = read.into_iter().map(|key| {
        let value = key.value().unwrap();
        (key.db as u8, key.key, value, key.expire_at_ms)
    });
    assert_eq!(collect(read.collect()), collect(all));
    assert!(
        others
            .iter()
            .any(|part| matches!(part, FilePart::Sizes(2, 1)))
    );
    // What has expired is left out.
    let (file, saved) = save(&dataset, &facts(9001), Cursor::new(Vec::new())).unwrap();
    assert_eq!(
        saved,
        Saved {
            keys: 27,
            expired: 1
        }
    );
    assert_eq!(read_all(&file.into_inner()).unwrap().0.len(), 27);
}

/// Fields that expire need a reader of 7.4: the head says so, and the checksum is still right.
#[test]
fn expiring_fields_make_a_newer_file() {
    let fields = vec![
        (b"f".to_vec(), b"v".to_vec(), None),
        (b"g".to_vec(), b"w".to_vec(), Some(5000)),
        (b"h".to_vec(), b"x".to_vec(), Some(6000)),
    ];
    let value = Value::Hash(fields.clone());
    let dataset = dataset_of(&[
        (0, b"hash".to_vec(), value, None),
        (0, b"a".to_vec(), Value::String(b"b".to_vec()), None),
    ]);
    let (file, _) = save(&dataset, &facts(1000), Cursor::new(Vec::new())).unwrap();
    let file = file.into_inner();
    assert!(file.starts_with(b"REDIS0012"));
    let (keys, _) = read_all(&file).unwrap();
    let hash = keys.iter().find(|key| key.key == b"hash").unwrap();
    assert_eq!(sorted(hash.value().unwrap()), Value::Hash(fields));
}

proptest! {
    /// A file that was changed at several places, its checksum made right again, is read or refused, and nothing else.
    #[test]
    fn hostile_files_cost_nothing_but_an_error(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = saved_by_redis();
        let end = file.len() - 8;
        for (at, byte) in changes {
            file[9 + at.index(end - 9)] = byte;
        }
        let checksum = CRC64.checksum(&file[..end]);
        file[end..].copy_from_slice(&checksum.to_le_bytes());
        if let Ok((keys, _)) = read_all(&file) {
            for key in keys {
                let _ = key.value();
            }
        }
    }
}

/// How far a stream reaches is known of all its types, whatever its nodes hold.
#[test]
fn the_extent_of_streams_is_known() {
    let (id, time) = ([7; 16], [9; 8]);
    for (kind, head, read, times) in [
        (15u8, &b"\x01\x05\x01"[..], &b""[..], 1),
        (19, b"\x01\x05\x01\x05\x01\x00\x00\x03", b"\x03", 1),
        (21, b"\x01\x05\x01\x05\x01\x00\x00\x03", b"\x03", 2),
    ] {
        let value = [
            &[kind, 1][..],
            b"\x02ab\x03cde",
            head,
            b"\x01\x01g\x05\x01",
            read,
            &[1],
            &id,
            &time,
            b"\x40\x64\x01\x01c",
            &time.repeat(times),
            &[1],
            &id,
        ]
        .concat();
        let (first, rest) = value.split_at(1);
        let parts = [
            b"REDIS0010",
            first,
            b"\x01s",
            rest,
            b"\x00\x01k\x01v\xff",
            &[0; 8],
        ];
        let (keys, _) = read_all(&parts.concat()).unwrap();
        let names: Vec<&[u8]> = keys.iter().map(|key| &key.key[..]).collect();
        assert_eq!(names, [b"s", b"k"], "{kind}");
        assert!(keys[0].payload().starts_with(&value), "{kind}");
        assert!(keys[0].value().is_err() && keys[1].value().is_ok());
    }
}
