//! What an entry may hold, and what is fatal.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use prost::Message;
use server::machine::{Machine, batch};
use storage::dataset::{Dataset, DatasetOptions};
use storage::engine::memory::MemoryEngine;
use storage::ids::{DbIndex, FIRST_REGION, LogIndex, Term};
use storage::proto::command::{DeleteExpired, ExpiredKey, RaftCmdRequest, Request, RequestHeader};

fn machine() -> Machine {
    let dataset = Dataset::open(FIRST_REGION, MemoryEngine::new(), DatasetOptions::default());
    Machine::new(Arc::new(RwLock::new(dataset.unwrap())))
}

fn request(db: u32, commands: &[&[&[u8]]]) -> Request {
    let mut bytes = BytesMut::new();
    for command in commands {
        batch::push(&mut bytes, command);
    }
    Request {
        db,
        protocol: 2,
        commands: bytes.freeze(),
        ..Request::default()
    }
}

fn entry(now_ms: u64, requests: Vec<Request>, expired: &[(&[u8], u64)]) -> Bytes {
    let key = |(key, expire_at_ms): &(&[u8], u64)| ExpiredKey {
        db: 0,
        key: Bytes::copy_from_slice(key),
        expire_at_ms: *expire_at_ms,
        fields: false,
    };
    let header = RequestHeader {
        now_ms,
        seed: 1,
        ..Default::default()
    };
    let entry = RaftCmdRequest {
        header: Some(header),
        requests,
        delete_expired: Some(DeleteExpired {
            keys: expired.iter().map(key).collect(),
        }),
        state_check: None,
    };
    entry.encode_to_vec().into()
}

fn apply(machine: &Machine, index: u64, data: &Bytes) -> storage::Result<Vec<Bytes>> {
    let responses = machine.apply(
        &mut machine.dataset().write(),
        LogIndex(index),
        Term(1),
        data,
        true,
    )?;
    Ok(responses
        .into_iter()
        .map(|response| response.replies)
        .collect())
}

#[test]
fn requests_are_answered_one_by_one() {
    let machine = machine();
    assert!(
        apply(&machine, 1, &Bytes::new()).unwrap().is_empty(),
        "the entry that opens a term"
    );
    let first = request(0, &[&[b"SET", b"k", b"1"], &[b"INCR", b"k"]]);
    let second = request(
        1,
        &[
            &[b"GET", b"k"],
            &[b"INCRBY", b"k", b"x"],
            &[b"OBJECT", b"ENCODING", b"k"],
        ],
    );
    let third = request(0, &[&[b"GET", b"k"]]);
    let replies = apply(&machine, 2, &entry(5, vec![first, second, third], &[])).unwrap();
    assert_eq!(replies[0], "+OK\r\n:2\r\n");
    assert_eq!(
        replies[1],
        "$-1\r\n-ERR value is not an integer or out of range\r\n$-1\r\n"
    );
    assert_eq!(replies[2], "$1\r\n2\r\n");
}

#[test]
fn what_cannot_be_executed_is_fatal() {
    let whole = entry(5, vec![request(0, &[&[b"SET", b"k", b"v"]])], &[]);
    let mut cut = request(0, &[&[b"SET", b"k", b"v"]]);
    cut.commands.truncate(cut.commands.len() - 1);
    for (what, data) in [
        (
            "a command of the connection",
            entry(5, vec![request(0, &[&[b"PING"]])], &[]),
        ),
        (
            "an unknown command",
            entry(5, vec![request(0, &[&[b"nosuch", b"k"]])], &[]),
        ),
        (
            "an unknown subcommand",
            entry(5, vec![request(0, &[&[b"OBJECT", b"nosuch", b"k"]])], &[]),
        ),
        (
            "a database that does not exist",
            entry(5, vec![request(16, &[&[b"GET", b"k"]])], &[]),
        ),
        ("a batch cut short", entry(5, vec![cut], &[])),
        ("an entry cut short", whole.slice(..whole.len() - 1)),
    ] {
        assert!(apply(&machine(), 1, &data).is_err(), "{what}");
    }
}

#[test]
fn expired_keys_go_only_if_nothing_changed() {
    let machine = machine();
    let sets: [&[&[u8]]; 4] = [
        &[b"SET", b"due", b"v", b"PXAT", b"100"],
        &[b"SET", b"later", b"v", b"PXAT", b"200"],
        &[b"SET", b"kept", b"v", b"PXAT", b"100"],
        &[b"PERSIST", b"kept"],
    ];
    apply(&machine, 1, &entry(5, vec![request(0, &sets)], &[])).unwrap();
    let expired: [(&[u8], u64); 4] = [
        (b"due", 100),
        (b"later", 100),
        (b"kept", 100),
        (b"nothing", 100),
    ];
    // In its last millisecond a key is still there.
    apply(&machine, 2, &entry(100, vec![], &expired)).unwrap();
    let keys = || machine.dataset().read().view(DbIndex(0), 0).len();
    assert_eq!(keys(), 3);
    apply(&machine, 3, &entry(150, vec![], &expired)).unwrap();
    assert_eq!(keys(), 2);
    let get = request(0, &[&[b"EXISTS", b"due"], &[b"EXISTS", b"later", b"kept"]]);
    assert_eq!(
        apply(&machine, 4, &entry(150, vec![get], &[])).unwrap()[0],
        ":0\r\n:2\r\n"
    );
}
