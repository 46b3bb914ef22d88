//! Streams: nodes in Redis's own layout, ids, counters, groups.
//!
//! | part | encoding |
//! |---|---|
//! | nodes | their number; each the first id (a string of 16 bytes, big endian) and a listpack as a string |
//! | head | lengths: number of entries, last id (2); from type 19 on: first id (2), greatest deleted id (2), entries added |
//! | groups | their number; each a name, the last id delivered (2 lengths), from type 19 on entries read |
//! | of a group: pending | their number; each an id (16 bytes), when delivered (8 bytes, little endian), how often (a length) |
//! | of a group: consumers | their number; each a name, when seen, from type 21 on when active (8 bytes each), the ids pending of it |
//!
//! Written is 19, which every server from 7.0 on reads; it does not tell when consumers were active, and readers take when
//! they were seen, as Redis does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::string;
use crate::types::stream::{Consumer, Group, Pending, StreamId, StreamLog, StreamRef};

pub(super) const STREAM: u8 = 15;
pub(super) const STREAM_2: u8 = 19;
pub(super) const STREAM_3: u8 = 21;

/// In place of a number of entries read that is not known.
const UNKNOWN: usize = u64::MAX as usize;

/// Appends type and value.
pub(super) fn write(out: &mut Vec<u8>, stream: StreamRef<'_>) {
    out.push(STREAM_2);
    let nodes = stream.raw_nodes();
    string::write_length(out, nodes.len());
    for (first, listpack) in nodes {
        string::write(out, &raw_id(first));
        string::write(out, listpack.bytes());
    }
    string::write_length(out, stream.len());
    write_id(out, stream.last_id());
    write_id(out, stream.first_id());
    write_id(out, stream.max_deleted_id());
    string::write_length(out, stream.entries_added() as usize);
    write_groups(out, stream, STREAM_2);
}

/// Appends type and value of a stream with the same groups, and without an entry ever added.
pub(super) fn write_without_entries(out: &mut Vec<u8>, stream: StreamRef<'_>) {
    out.push(STREAM_3);
    string::write_length(out, 0);
    string::write_length(out, 0);
    for id in [StreamId::MIN; 3] {
        write_id(out, id);
    }
    string::write_length(out, 0);
    write_groups(out, stream, STREAM_3);
}

fn write_groups(out: &mut Vec<u8>, stream: StreamRef<'_>, kind: u8) {
    string::write_length(out, stream.groups().len());
    for (name, group) in stream.groups() {
        string::write(out, name);
        write_group(out, group, kind);
    }
}

fn write_group(out: &mut Vec<u8>, group: &Group, kind: u8) {
    write_id(out, group.last_id);
    string::write_length(
        out,
        group.entries_read.map_or(UNKNOWN, |read| read as usize),
    );
    string::write_length(out, group.pending.len());
    for (&id, pending) in &group.pending {
        out.extend_from_slice(&raw_id(id));
        out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
        string::write_length(out, pending.count as usize);
    }
    string::write_length(out, group.consumers.len());
    for (name, consumer) in &group.consumers {
        string::write(out, name);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        if kind == STREAM_3 {
            // Beyond all times: never.
            let active_ms = consumer.active_ms.unwrap_or(u64::MAX);
            out.extend_from_slice(&active_ms.to_le_bytes());
        }
        string::write_length(out, consumer.pending.len());
        for &id in &consumer.pending {
            out.extend_from_slice(&raw_id(id));
        }
    }
}

/// As two lengths.
fn write_id(out: &mut Vec<u8>, id: StreamId) {
    string::write_length(out, id.ms as usize);
    string::write_length(out, id.seq as usize);
}

fn raw_id(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

fn read_raw_id(input: &mut &[u8]) -> Option<StreamId> {
    let number = u128::from_be_bytes(*input.split_off(..16)?.first_chunk()?);
    Some(StreamId {
        ms: (number >> 64) as u64,
        seq: number as u64,
    })
}

fn read_id(input: &mut &[u8]) -> Option<StreamId> {
    Some(StreamId {
        ms: string::read_length(input)? as u64,
        seq: string::read_length(input)? as u64,
    })
}

fn read_ms(input: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*input.split_off(..8)?.first_chunk()?))
}

/// Takes a value of type `kind` off the front; none if it does not decode, or contradicts itself.
pub(super) fn read(kind: u8, input: &mut &[u8]) -> Option<StreamLog> {
    let mut log = StreamLog::default();
    for _ in 0..string::read_length(input)? {
        let first = string::read(input)?;
        let mut first = first.as_slice();
        let id = read_raw_id(&mut first).filter(|_| first.is_empty())?;
        log.push_node(id, string::read(input)?)?;
    }
    let (len, last_id) = (string::read_length(input)?, read_id(input)?);
    let (mut max_deleted_id, mut entries_added) = (StreamId::MIN, len as u64);
    if kind != STREAM {
        // The first id follows from the nodes.
        read_id(input)?;
        max_deleted_id = read_id(input)?;
        entries_added = string::read_length(input)? as u64;
    }
    // Beyond that, counting would end.
    if entries_added > i64::MAX as u64 {
        return None;
    }
    log.set_head(len, last_id, max_deleted_id, entries_added)?;
    for _ in 0..string::read_length(input)? {
        let name = string::read(input)?;
        let group = read_group(kind, &log, input)?;
        log.push_group(&name, group)?;
    }
    Some(log)
}

fn read_group(kind: u8, log: &StreamLog, input: &mut &[u8]) -> Option<Group> {
    let last_id = read_id(input)?;
    let entries_read = if kind == STREAM {
        log.view().entries_up_to(last_id)
    } else {
        // Others that are negative have been counted beyond the greatest number, as Redis does.
        let told = string::read_length(input)?;
        Some(told as u64).filter(|_| told != UNKNOWN)
    };
    // Delivered to nobody as yet.
    let mut deliveries = BTreeMap::new();
    for _ in 0..string::read_length(input)? {
        let id = read_raw_id(input)?;
        let delivery = (read_ms(input)?, string::read_length(input)? as u64);
        if deliveries.insert(id, delivery).is_some() {
            return None;
        }
    }
    let mut group = Group::new(last_id, entries_read);
    for _ in 0..string::read_length(input)? {
        let name: Arc<[u8]> = string::read(input)?.into();
        let seen_ms = read_ms(input)?;
        let mut consumer = Consumer {
            seen_ms,
            active_ms: Some(match kind {
                STREAM_3 => read_ms(input)?,
                _ => seen_ms,
            })
            .filter(|&active_ms| active_ms <= i64::MAX as u64),
            ..Consumer::default()
        };
        for _ in 0..string::read_length(input)? {
            let id = read_raw_id(input)?;
            let (delivered_ms, count) = deliveries.remove(&id)?;
            let pending = Pending {
                consumer: Arc::clone(&name),
                delivered_ms,
                count,
            };
            group.pending.insert(id, pending);
            consumer.pending.insert(id);
        }
        if group.consumers.insert(name, consumer).is_some() {
            return None;
        }
    }
    deliveries.is_empty().then_some(group)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::stream::{IdRequest, Stream};
    use crate::types::{Large, Limits, Recorder};

    /// What XADD, XDEL, XGROUP, XREADGROUP and XACK leave.
    fn stream() -> Stream {
        let limits = Limits {
            stream_node_max_entries: 4,
            ..Limits::default()
        };
        let (mut stream, mut recorder) = (Stream::default(), Recorder::new());
        recorder.edit(&limits, |edit| {
            let at = |ms| StreamId { ms, seq: ms % 3 };
            for ms in 1..=10 {
                let fields: &[[&[u8]; 2]] = match ms % 4 {
                    0 => &[[b"other", b"1"], [b"more", b"-70000"]],
                    _ => &[[b"field", b"value"]],
                };
                stream.add(IdRequest::Exact(at(ms)), fields, edit);
            }
            assert!(stream.delete(at(6), edit));
            stream.create_group(b"g", at(4), Some(4), edit);
            stream.create_group(b"unknown", at(9), None, edit);
            stream.see_consumer(b"g", b"idle", 70, false, edit);
            stream.see_consumer(b"g", b"busy", 90, true, edit);
            stream.set_pending(b"g", at(3), b"busy", 80, 1, edit);
            stream.set_pending(b"g", at(4), b"busy", 90, 500, edit);
        });
        stream
    }

    #[test]
    fn without_entries_the_groups_are_the_same() {
        let stream = stream();
        let mut out = Vec::new();
        write_without_entries(&mut out, stream.as_ref());
        let (&kind, mut input) = out.split_first().unwrap();
        let read = read(kind, &mut input).unwrap();
        assert!(input.is_empty());
        let (view, whole) = (read.view(), stream.as_ref());
        assert!(view.is_empty());
        assert_eq!((view.last_id(), view.entries_added()), (StreamId::MIN, 0));
        let groups = |stream: StreamRef<'_>| -> Vec<_> {
            let groups = stream.groups();
            groups
                .map(|(name, group)| {
                    let consumers = group.consumers.clone();
                    (
                        name.to_vec(),
                        group.last_id,
                        group.entries_read,
                        group.pending.clone(),
                        consumers,
                    )
                })
                .collect()
        };
        assert_eq!(groups(view), groups(whole));
        assert_eq!(groups(view).len(), 2);
    }

    fn written(stream: StreamRef<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, stream);
        out
    }

    #[test]
    fn comes_back_but_for_when_consumers_were_active() {
        let stream = stream();
        let bytes = written(stream.as_ref());
        let mut input = &bytes[1..];
        let log = read(bytes[0], &mut input).unwrap();
        assert!(input.is_empty());
        assert_eq!(written(log.view()), bytes);
        let group = log.view().group(b"g").unwrap();
        assert_eq!(group.consumers[&b"idle"[..]].active_ms, Some(70));
        let (before, after) = (stream.as_ref(), log.view());
        assert_eq!(
            (before.len(), before.max_deleted_id()),
            (after.len(), after.max_deleted_id())
        );
        assert_eq!(after.group(b"unknown").unwrap().entries_read, None);
    }

    #[test]
    fn a_count_beyond_the_greatest_number_comes_back() {
        let (mut stream, mut recorder) = (Stream::default(), Recorder::new());
        let beyond = Some(1 << 63);
        recorder.edit(&Limits::default(), |edit| {
            stream.create_group(b"g", StreamId::default(), beyond, edit)
        });
        let bytes = written(stream.as_ref());
        let log = read(bytes[0], &mut &bytes[1..]).unwrap();
        assert_eq!(log.view().group(b"g").unwrap().entries_read, beyond);
    }

    #[test]
    fn counts_what_has_records() {
        let bytes = written(stream().as_ref());
        let log = read(bytes[0], &mut &bytes[1..]).unwrap();
        let (mut stream, mut recorder) = (Stream::default(), Recorder::new());
        recorder.edit(&Limits::default(), |edit| stream.set_whole(&log, edit));
        let mut meta = Vec::new();
        log.meta(&mut meta);
        let loaded: StreamLog = recorder.load(&meta).unwrap();
        assert_eq!(loaded.digest(), log.digest());
        assert_eq!(written(stream.as_ref()), bytes);
        assert_eq!(loaded.memory_bytes(), log.memory_bytes());
    }

    #[test]
    fn older_and_newer_types() {
        let (listpack, id) = (
            b"\x18\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81f\x02\0\x01",
            b"\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01",
        );
        // XADD s 1-1 f v.
        let mut node = vec![1];
        node.extend_from_slice(id);
        let mut entry = listpack.to_vec();
        entry.extend_from_slice(b"\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff");
        entry[0] = entry.len() as u8;
        string::write(&mut node, &entry);
        let group = |times: &[u8]| {
            let mut bytes = b"\x01\x01g\x01\x01".to_vec();
            if times.len() > 8 {
                bytes.push(1);
            }
            bytes.extend_from_slice(
                &[&b"\x01"[..], &id[1..], &[7, 0, 0, 0, 0, 0, 0, 0, 2]].concat(),
            );
            bytes.extend_from_slice(&[b"\x01\x01c", times, b"\x01", &id[1..]].concat());
            bytes
        };
        let (seen, active) = ([8, 0, 0, 0, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0]);
        let old = [&node[..], b"\x01\x01\x01", &group(&seen)].concat();
        let new = [
            &node[..],
            b"\x01\x01\x01\x01\x01\x00\x00\x01",
            &group(&[seen, active].concat()),
        ]
        .concat();
        for (kind, bytes, active_ms) in [(STREAM, old, 8), (STREAM_3, new, 9)] {
            let mut input = &bytes[..];
            let log = read(kind, &mut input).unwrap();
            assert!(input.is_empty());
            let view = log.view();
            assert_eq!((view.len(), view.entries_added()), (1, 1));
            let group = view.group(b"g").unwrap();
            assert_eq!(group.entries_read, Some(1));
            let consumer = &group.consumers[&b"c"[..]];
            assert_eq!((consumer.seen_ms, consumer.active_ms), (8, Some(active_ms)));
            let pending = &group.pending[&StreamId { ms: 1, seq: 1 }];
            assert_eq!((pending.delivered_ms, pending.count), (7, 2));
            for cut in 0..bytes.len() {
                assert!(read(kind, &mut &bytes[..cut]).is_none(), "{cut}");
            }
        }
    }

    proptest! {
        /// Changed bytes are refused, or give a stream that can be written, and read again.
        #[test]
        fn hostile_bytes_cost_nothing_but_an_error(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            kind in prop_oneof![4 => Just(STREAM_2), 1 => Just(STREAM), 1 => Just(STREAM_3)],
        ) {
            let mut bytes = written(stream().as_ref());
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(log) = read(kind, &mut &bytes[1..]) {
                let again = written(log.view());
                let log = read(STREAM_2, &mut &again[1..]);
                prop_assert_eq!(log.map(|log| written(log.view())), Some(again));
            }
        }
    }
}
