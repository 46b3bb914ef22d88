use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::{Item, Large, Limits, Recorder};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Step {
    Add(u64, Fields),
    Delete(u64),
    Trim(usize, bool),
    TrimFrom(u64, bool),
    Group(u8),
    Destroy(u8),
    See(u8, u8, bool),
    Forget(u8, u8),
    Pend(u8, u8, u64),
    Ack(u8, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..6);
    let fields = prop_oneof![
        Just(vec![
            (b"same".to_vec(), b"1".to_vec()),
            (b"f".to_vec(), b"2".to_vec())
        ]),
        proptest::collection::vec((bytes(), bytes()), 1..4),
    ];
    prop_oneof![
        8 => (0u64..4, fields).prop_map(|(gap, fields)| Step::Add(gap, fields)),
        2 => (0u64..60).prop_map(Step::Delete),
        1 => (0usize..30, any::<bool>()).prop_map(|(len, whole)| Step::Trim(len, whole)),
        1 => (0u64..60, any::<bool>()).prop_map(|(id, whole)| Step::TrimFrom(id, whole)),
        1 => (0u8..3).prop_map(Step::Group),
        1 => (0u8..3).prop_map(Step::Destroy),
        2 => (0u8..3, 0u8..3, any::<bool>()).prop_map(|(g, c, active)| Step::See(g, c, active)),
        1 => (0u8..3, 0u8..3).prop_map(|(g, c)| Step::Forget(g, c)),
        4 => (0u8..3, 0u8..3, 0u64..60).prop_map(|(g, c, id)| Step::Pend(g, c, id)),
        2 => (0u8..3, 0u64..60).prop_map(|(g, id)| Step::Ack(g, id)),
    ]
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<StreamId, Fields>,
    last: StreamId,
    groups: BTreeMap<Vec<u8>, BTreeMap<StreamId, Vec<u8>>>,
}

fn at(number: u64) -> StreamId {
    StreamId {
        ms: number / 3,
        seq: number % 3,
    }
}

fn run(step: &Step, stream: &mut Stream, model: &mut Model, edit: &mut Edit<'_>) {
    let name = |number: &u8| format!("name {number}").into_bytes();
    match step {
        Step::Add(gap, fields) => {
            let id = StreamId {
                ms: model.last.ms + gap,
                seq: model.last.seq + 1,
            };
            let pairs: Vec<[&[u8]; 2]> = fields.iter().map(|(f, v)| [&f[..], &v[..]]).collect();
            assert_eq!(stream.add(IdRequest::Exact(id), &pairs, edit), Some(id));
            assert_eq!(stream.add(IdRequest::Exact(id), &pairs, edit), None);
            model.entries.insert(id, fields.clone());
            model.last = id;
        }
        Step::Delete(number) => {
            let id = model
                .entries
                .keys()
                .nth(*number as usize)
                .copied()
                .unwrap_or(at(*number));
            assert_eq!(stream.delete(id, edit), model.entries.remove(&id).is_some());
        }
        Step::Trim(len, whole) => {
            let removed = stream.trim(Keep::Last(*len), *whole, 0, edit);
            let excess = model.entries.len().saturating_sub(*len);
            assert!(removed == excess || (*whole && removed < excess));
            (0..removed).for_each(|_| {
                model.entries.pop_first();
            });
        }
        Step::TrimFrom(number, whole) => {
            let id = at(*number);
            let removed = stream.trim(Keep::From(id), *whole, 0, edit);
            let excess = model.entries.range(..id).count();
            assert!(removed == excess || (*whole && removed < excess));
            (0..removed).for_each(|_| {
                model.entries.pop_first();
            });
        }
        Step::Group(group) => {
            let created = stream.create_group(&name(group), at(7), Some(3), edit);
            assert_eq!(created, !model.groups.contains_key(&name(group)));
            model.groups.entry(name(group)).or_default();
        }
        Step::Destroy(group) => {
            let gone = stream.destroy_group(&name(group), edit);
            assert_eq!(gone, model.groups.remove(&name(group)).is_some());
        }
        Step::See(group, consumer, active) => {
            stream.see_consumer(&name(group), &name(consumer), 5, *active, edit);
        }
        Step::Forget(group, consumer) => {
            let gone = stream.delete_consumer(&name(group), &name(consumer), edit);
            if let Some(pending) = model.groups.get_mut(&name(group)) {
                let before = pending.len();
                pending.retain(|_, owner| *owner != name(consumer));
                assert_eq!(gone.unwrap_or(0), before - pending.len());
            }
        }
        Step::Pend(group, consumer, number) => {
            let known = stream
                .as_ref()
                .group(&name(group))
                .is_some_and(|group| group.consumers.contains_key(&name(consumer)[..]));
            stream.set_pending(&name(group), at(*number), &name(consumer), 9, 2, edit);
            if known {
                let pending = model.groups.get_mut(&name(group)).unwrap();
                pending.insert(at(*number), name(consumer));
            }
        }
        Step::Ack(group, number) => {
            let removed = stream.remove_pending(&name(group), at(*number), edit);
            let pending = model.groups.get_mut(&name(group));
            let there = pending.and_then(|pending| pending.remove(&at(*number)));
            assert_eq!(removed, there.is_some());
        }
    }
}

fn contents(stream: StreamRef<'_>) -> BTreeMap<StreamId, Fields> {
    let fields = |entry: Entry<'_>| {
        let pairs = entry.fields().map(|(f, v)| (f.to_vec(), v.to_vec()));
        pairs.collect()
    };
    let all = StreamId::MIN..=StreamId::MAX;
    let found: Vec<(StreamId, Fields)> = stream
        .entries(all.clone())
        .map(|entry| (entry.id, fields(entry)))
        .collect();
    let mut back: Vec<StreamId> = stream.entries_back(all).map(|entry| entry.id).collect();
    back.reverse();
    assert!(back.iter().eq(found.iter().map(|(id, _)| id)));
    found.into_iter().collect()
}

/// `recorder`: if what changes left for later was put.
fn check(stream: &Stream, model: &Model, recorder: Option<&Recorder>) {
    let view = stream.as_ref();
    assert_eq!(contents(view), model.entries);
    assert_eq!(
        (view.len(), view.last_id()),
        (model.entries.len(), model.last)
    );
    assert_eq!(
        view.last_entry_id().as_ref(),
        model.entries.keys().next_back()
    );
    for (name, pending) in &model.groups {
        let group = view.group(name).unwrap();
        let owners = group
            .pending
            .iter()
            .map(|(id, pending)| (*id, pending.consumer.to_vec()));
        assert_eq!(&owners.collect::<BTreeMap<_, _>>(), pending);
        let of_consumers: usize = group.consumers.values().map(|c| c.pending.len()).sum();
        assert_eq!(of_consumers, pending.len());
    }
    assert_eq!(view.groups().len(), model.groups.len());
    if let Some(recorder) = recorder {
        let mut meta = Vec::new();
        stream.0.meta(&mut meta);
        let loaded: StreamLog = recorder.load(&meta).unwrap();
        assert_eq!(loaded.digest(), stream.0.digest());
        assert_eq!(contents(StreamRef(&loaded)), model.entries);
    }
    for node in stream.0.nodes.values() {
        let bytes = node.listpack().bytes().to_vec();
        assert!(Node::checked(node.first(), bytes).is_some());
    }
}

proptest! {
    #[test]
    fn is_a_log_with_groups_and_comes_back_from_its_records(
        steps in proptest::collection::vec(step(), 0..80), bytes in prop_oneof![Just(0usize), Just(60)], entries in 0usize..6)
    {
        let limits = Limits { stream_node_max_bytes: bytes, stream_node_max_entries: entries, ..Limits::default() };
        let (mut stream, mut recorder, mut model) = (Stream::default(), Recorder::new(), Model::default());
        // Several commands to an entry.
        for (nth, step) in steps.iter().enumerate() {
            let is_last = nth % 3 == 0;
            recorder.edit(&limits, |edit| {
                run(step, &mut stream, &mut model, edit);
                if is_last {
                    stream.0.write_unwritten(edit);
                }
            });
            check(&stream, &model, is_last.then_some(&recorder));
        }
    }
}

#[test]
fn nodes_are_those_of_redis() {
    // From DUMP of redis-server 7.0.15: XADD s 1-1 f v; XADD s 1-2 f 5; XADD s 2-0 g 1 h 2.
    let (mut stream, mut recorder) = (Stream::default(), Recorder::new());
    recorder.edit(&Limits::default(), |edit| {
        let add = |stream: &mut Stream, ms, seq, fields: &[[&[u8]; 2]], edit: &mut Edit<'_>| {
            stream.add(IdRequest::Exact(StreamId { ms, seq }), fields, edit);
        };
        add(&mut stream, 1, 1, &[[b"f", b"v"]], edit);
        add(&mut stream, 1, 2, &[[b"f", b"5"]], edit);
        add(&mut stream, 2, 0, &[[b"g", b"1"], [b"h", b"2"]], edit);
    });
    let items: Vec<String> = stream.0.nodes[&StreamId { ms: 1, seq: 1 }]
        .listpack()
        .iter()
        .map(|item| String::from_utf8(Item::to_vec(item)).unwrap())
        .collect();
    let expected = "3 0 1 f 0 2 0 0 v 4 2 0 1 5 4 0 1 -1 2 g 1 h 2 8";
    assert_eq!(items.join(" "), expected);
}
