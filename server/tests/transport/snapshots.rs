//! Snapshot streams: whole, slow, damaged, broken.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use prost::Message as _;
use storage::engine::memory::MemoryEngine;
use storage::engine::{Durability, Engine, WriteBatch};
use storage::ids::{FIRST_REGION, LogIndex, SLOT_COUNT, StoreId};
use storage::keys;
use storage::proto::command::RaftMessage;
use storage::proto::raft::{Message, MessageType, Snapshot, SnapshotMetadata};
use storage::proto::store::{RaftApplyState, Region, RegionLocalState};
use storage::snapshot::{SnapshotChunk, SnapshotSource};

use crate::nodes::{Node, Ports, message, pair, until};
use crate::proxy::{Proxy, Rule};
use crate::wire::{FOR_SNAPSHOT, Hello, Raw, SNAPSHOT_BEGIN, SNAPSHOT_CHUNK, SNAPSHOT_END, frame};

const INDEX: u64 = 77;
const TERM: u64 = 5;

/// A Region with that many bytes of records.
fn source(bytes: usize) -> SnapshotSource {
    let engine = MemoryEngine::new();
    let mut batch = WriteBatch::new();
    let region = Region {
        id: FIRST_REGION.get(),
        start_slot: 0,
        end_slot: u32::from(SLOT_COUNT),
        ..Region::default()
    };
    let local = RegionLocalState {
        region: Some(region),
        ..RegionLocalState::default()
    };
    batch.put(keys::region_state(FIRST_REGION), local.encode_to_vec());
    let applied = RaftApplyState {
        applied_index: INDEX,
        applied_term: TERM,
        ..RaftApplyState::default()
    };
    batch.put(keys::apply_state(FIRST_REGION), applied.encode_to_vec());
    let (start, _) = keys::data_records(0, SLOT_COUNT);
    for number in 0..bytes.div_ceil(10_000) as u32 {
        let mut key = BytesMut::from(&start[..]);
        key.put_u32(number);
        batch.put(key.freeze(), vec![number as u8; 10_000]);
    }
    engine.write(batch, Durability::Synced).expect("written");
    SnapshotSource::new(engine.view(), FIRST_REGION).expect("a source")
}

/// The MsgSnapshot that goes with it.
fn announcement(from: StoreId, to: StoreId) -> RaftMessage {
    let metadata = SnapshotMetadata {
        conf_state: None,
        index: INDEX,
        term: TERM,
    };
    let snapshot = Snapshot {
        data: bytes::Bytes::new(),
        metadata: Some(metadata),
    };
    let mut envelope = message(from, to, 0, b"");
    let inner = Message {
        snapshot: Some(snapshot),
        ..Message::default()
    };
    envelope.message = Some(Message {
        msg_type: MessageType::MsgSnapshot.into(),
        ..inner
    });
    envelope
}

fn send(from: &Node, to: &Node, source: &SnapshotSource) {
    from.transport
        .send_snapshot(to.id, announcement(from.id, to.id), source.clone());
}

fn chunks(source: &SnapshotSource) -> Vec<SnapshotChunk> {
    let mut source = source.clone();
    std::iter::from_fn(|| source.next_chunk().expect("readable")).collect()
}

fn files(node: &Node) -> usize {
    std::fs::read_dir(node.snapshots.path()).map_or(0, |files| files.count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_arrives_as_it_was() {
    let (one, two) = pair(|_| ()).await;
    for bytes in [0, 1_000_000, 20_000_000] {
        let source = source(bytes);
        send(&one, &two, &source);
        until("sent", || one.seen.sent.lock().len() == 1).await;
        assert_eq!(
            one.seen.sent.lock().drain(..).collect::<Vec<_>>(),
            [(two.id, true)]
        );
        let (announced, file) = two
            .seen
            .received
            .lock()
            .pop()
            .expect("acknowledged after it was handed over");
        assert_eq!(announced, announcement(one.id, two.id));
        assert_eq!(file.index(), LogIndex(INDEX));
        let mut records = file.records().expect("opens");
        let mut count = 0u32;
        while let Some((key, value)) = records.next_record().expect("reads") {
            if value.len() == 10_000 {
                assert!(key.ends_with(&count.to_be_bytes()));
                assert!(value.iter().all(|byte| *byte == count as u8));
                count += 1;
            }
        }
        assert_eq!(count as usize, bytes.div_ceil(10_000));
        file.discard();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raft_messages_pass_a_snapshot_that_is_under_way() {
    let rate = 2_000_000;
    let (one, two) = pair(|config| config.options.snapshot_bytes_per_second = rate).await;
    let source = source(3_000_000);
    let start = Instant::now();
    send(&one, &two, &source);
    // A second one to the same Store does not begin, and has no answer of its own.
    send(&one, &two, &source);
    one.send(&two, 1, b"heartbeat");
    until("the heartbeat", || two.seen.numbers() == [1]).await;
    assert!(
        one.seen.sent.lock().is_empty(),
        "the snapshot is not even half through"
    );
    until("sent", || !one.seen.sent.lock().is_empty()).await;
    // All but the last chunk have to be paid for before that one goes.
    let paid = (3_000_000 - 512 * 1024) as f64 / rate as f64;
    assert!(
        start.elapsed() >= Duration::from_secs_f64(paid),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(*one.seen.sent.lock(), [(two.id, true)]);
    assert_eq!(two.seen.received.lock().len(), 1);
}

/// Two Stores with a proxy before the second, told to spoil what a rule says, then to behave.
async fn spoiled(rule: Rule) {
    let mut ports = Ports::bind(2).await;
    let proxy = Proxy::to(&ports.addresses[1]).await;
    ports.addresses[1] = proxy.address.clone();
    let (one, two) = (ports.start(0, |_| ()).await, ports.start(1, |_| ()).await);
    proxy.set(FOR_SNAPSHOT, rule);
    let source = source(5_000_000);
    send(&one, &two, &source);
    until("the failure is reported", || {
        *one.seen.sent.lock() == [(two.id, false)]
    })
    .await;
    assert!(two.seen.received.lock().is_empty());
    until("what was written is removed", || files(&two) == 0).await;
    proxy.set(FOR_SNAPSHOT, Rule::default());
    send(&one, &two, &source);
    until("the next attempt succeeds", || {
        one.seen.sent.lock().last() == Some(&(two.id, true))
    })
    .await;
    assert_eq!(two.seen.received.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_damaged_on_the_way_fails_and_can_be_sent_again() {
    spoiled(Rule {
        damage_at: Some(1_000_000),
        ..Rule::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_fails_and_can_be_sent_again() {
    spoiled(Rule {
        cut_at: Some(2_000_000),
        ..Rule::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_falls_silent_fails_and_can_be_sent_to_again() {
    spoiled(Rule {
        mute: true,
        ..Rule::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_peer_a_snapshot_fails() {
    let mut ports = Ports::bind(2).await;
    ports.close(1);
    let one = ports.start(0, |_| ()).await;
    for store in [StoreId(2), StoreId(9)] {
        one.transport
            .send_snapshot(store, announcement(one.id, store), source(0));
        until("the failure", || {
            one.seen.sent.lock().last() == Some(&(store, false))
        })
        .await;
    }
}

/// What a sender with the secret but bad data can do: be told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_chunks_are_refused_with_a_reason() {
    let mut ports = Ports::bind(2).await;
    ports.close(0);
    let node = ports.start(1, |_| ()).await;
    let good = chunks(&source(2_000_000));
    assert!(good.len() > 3);
    type Spoil = fn(&mut Vec<SnapshotChunk>);
    let cases: [(Spoil, &str); 4] = [
        (|chunks| chunks[2].crc32 ^= 1, "checksum of chunk 2"),
        (|chunks| chunks.swap(1, 2), "chunk 2 came, 1 was due"),
        (|chunks| chunks[1].last = true, "corrupt snapshot"),
        (
            |chunks| {
                let mut bytes = chunks[1].bytes.to_vec();
                bytes[1000] ^= 1;
                chunks[1].crc32 = crc32fast::hash(&bytes);
                chunks[1].bytes = bytes.into();
            },
            "corrupt snapshot",
        ),
    ];
    for (spoil, reason) in cases {
        let mut chunks = good.clone();
        spoil(&mut chunks);
        let text = stream(&node, &chunks).await.expect_err("refused");
        assert!(text.contains(reason), "{text}");
        until("what was written is removed", || files(&node) == 0).await;
    }
    assert!(node.seen.received.lock().is_empty());
    assert_eq!(stream(&node, &good).await, Ok(()));
    assert_eq!(node.seen.received.lock().len(), 1);
}

/// Streams by hand, and returns the receiver's last word.
async fn stream(node: &Node, chunks: &[SnapshotChunk]) -> Result<(), String> {
    let hello = Hello {
        purpose: FOR_SNAPSHOT,
        ..Hello::default()
    };
    let mut raw = Raw::authenticated(&node.address, &hello).await;
    let begin = announcement(StoreId(1), StoreId(2));
    raw.write(&frame(SNAPSHOT_BEGIN, &begin.encode_to_vec()))
        .await;
    for chunk in chunks {
        let head = [
            &chunk.sequence.to_le_bytes()[..],
            &chunk.crc32.to_le_bytes(),
            &[u8::from(chunk.last)],
        ];
        raw.write(&frame(
            SNAPSHOT_CHUNK,
            &[&head.concat(), &chunk.bytes[..]].concat(),
        ))
        .await;
    }
    let (kind, payload) = raw.frame().await.expect("the last word");
    assert_eq!(kind, SNAPSHOT_END);
    match payload[0] {
        1 => Ok(()),
        _ => Err(String::from_utf8(payload[1..].to_vec()).expect("text")),
    }
}
