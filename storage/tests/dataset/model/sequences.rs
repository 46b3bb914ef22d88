//! The operations on lists and streams, which have an order of their own.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use storage::dataset::{Point, Txn};
use storage::types::stream::{IdRequest, Keep, StreamId};
use storage::types::{End, Kind, Limits};

use super::{World, limits, name};
use crate::content::{Content, Group, Item, Log};

/// Of a list. Places are taken modulo its length.
#[derive(Clone, Debug)]
pub(super) enum ListStep {
    Push { head: bool, lengths: Vec<usize> },
    Pop { head: bool, count: usize },
    Set { at: usize, length: usize },
    Insert { at: usize, length: usize },
    Remove { at: usize, count: usize },
}

/// Of a stream. Entries are named by their place modulo their number, groups and consumers by a letter.
#[derive(Clone, Debug)]
pub(super) enum StreamStep {
    Add { lengths: Vec<usize> },
    Delete { at: usize },
    Trim { keep: usize },
    Create { group: u8, at: usize },
    Destroy { group: u8 },
    Deliver { group: u8, consumer: u8, at: usize },
    Acknowledge { group: u8, at: usize },
    DeleteConsumer { group: u8, consumer: u8 },
}

pub(super) fn list_step() -> impl Strategy<Value = ListStep> {
    let length = || prop_oneof![4 => 0..30usize, 1 => 300..900usize];
    let at = || 0..40usize;
    prop_oneof![
        5 => (any::<bool>(), proptest::collection::vec(length(), 1..6))
            .prop_map(|(head, lengths)| ListStep::Push { head, lengths }),
        2 => (any::<bool>(), 1..6usize).prop_map(|(head, count)| ListStep::Pop { head, count }),
        1 => (at(), length()).prop_map(|(at, length)| ListStep::Set { at, length }),
        2 => (at(), length()).prop_map(|(at, length)| ListStep::Insert { at, length }),
        1 => (at(), 1..6usize).prop_map(|(at, count)| ListStep::Remove { at, count }),
    ]
}

pub(super) fn stream_step() -> impl Strategy<Value = StreamStep> {
    let letter = || b'a'..=b'b';
    let at = || 0..40usize;
    prop_oneof![
        8 => proptest::collection::vec(1..300usize, 1..6).prop_map(|lengths| StreamStep::Add { lengths }),
        2 => at().prop_map(|at| StreamStep::Delete { at }),
        1 => at().prop_map(|keep| StreamStep::Trim { keep }),
        3 => (letter(), at()).prop_map(|(group, at)| StreamStep::Create { group, at }),
        1 => letter().prop_map(|group| StreamStep::Destroy { group }),
        5 => (letter(), letter(), at())
            .prop_map(|(group, consumer, at)| StreamStep::Deliver { group, consumer, at }),
        2 => (letter(), at()).prop_map(|(group, at)| StreamStep::Acknowledge { group, at }),
        1 => (letter(), letter())
            .prop_map(|(group, consumer)| StreamStep::DeleteConsumer { group, consumer }),
    ]
}

fn element(at: usize, length: usize) -> Vec<u8> {
    match length % 3 {
        0 => (at * length).to_string().into_bytes(),
        _ => vec![b'a' + (at % 26) as u8; length],
    }
}

impl World {
    pub(super) fn list(&mut self, db: u8, key: u8, step: &ListStep) {
        if !self.may_be(db, key, Kind::List) {
            return;
        }
        let (mut list, expire_at_ms) = match self.model.peek(db, &name(key), self.bench.now_ms) {
            Some(Item {
                content: Content::List(list),
                expire_at_ms,
            }) => (list, expire_at_ms),
            _ => (VecDeque::new(), None),
        };
        if list.is_empty() && !matches!(step, ListStep::Push { .. }) {
            return;
        }
        self.model.live(db, &name(key), self.bench.now_ms);
        let before = list.len();
        match *step {
            ListStep::Push { head, ref lengths } => {
                let elements: Vec<_> = lengths
                    .iter()
                    .map(|&length| element(before, length))
                    .collect();
                self.push(db, key, head, &elements);
                for element in elements {
                    match head {
                        true => list.push_front(element),
                        false => list.push_back(element),
                    }
                }
            }
            ListStep::Pop { head, count } => {
                let popped = self.pop(db, key, head, count);
                let take = |list: &mut VecDeque<_>| match head {
                    true => list.pop_front(),
                    false => list.pop_back(),
                };
                let expected: Vec<_> = (0..count).map_while(|_| take(&mut list)).collect();
                assert_eq!(popped, expected);
            }
            _ => self.inside(db, key, step, &mut list),
        }
        self.became(db, key, Content::List(list), expire_at_ms);
    }

    fn push(&mut self, db: u8, key: u8, head: bool, elements: &[Vec<u8>]) {
        let end = if head { End::Head } else { End::Tail };
        let run = |txn: &mut Txn<'_>| {
            txn.set_limits(limits());
            // As commands do that look at the ends only; the others bring the whole list into memory.
            if elements.len().is_multiple_of(2) {
                txn.focus([Point::new(&name(key), [])]);
            }
            txn.edit_list(&name(key), |list, edit| {
                list.expect(elements.len(), elements.iter().map(Vec::len).sum(), edit);
                for element in elements {
                    list.push(end, element, edit);
                }
            })
        };
        self.bench.entry(db, run).unwrap();
    }

    fn pop(&mut self, db: u8, key: u8, head: bool, count: usize) -> Vec<Vec<u8>> {
        let end = if head { End::Head } else { End::Tail };
        let run = |txn: &mut Txn<'_>| {
            txn.set_limits(limits());
            txn.edit_list(&name(key), |list, edit| {
                let popped = (0..count).map_while(|_| list.pop(end, edit)).collect();
                list.shrink(edit);
                popped
            })
        };
        self.bench.entry(db, run).unwrap()
    }

    /// Changes elements of a list that has some, wherever they are.
    fn inside(&mut self, db: u8, key: u8, step: &ListStep, list: &mut VecDeque<Vec<u8>>) {
        let len = list.len();
        let run = |txn: &mut Txn<'_>| {
            txn.set_limits(limits());
            txn.edit_list(&name(key), |edited, edit| match *step {
                ListStep::Set { at, length } => {
                    assert!(edited.set(at % len, &element(at, length), edit));
                    edited.settle(edit);
                }
                ListStep::Insert { at, length } => {
                    edited.insert(at % len, &element(at, length), edit)
                }
                ListStep::Remove { at, count } => {
                    edited.remove_range(at % len, count, edit);
                    edited.shrink(edit);
                }
                _ => unreachable!("{step:?} is of the ends"),
            })
        };
        self.bench.entry(db, run).unwrap();
        match *step {
            ListStep::Set { at, length } => list[at % len] = element(at, length),
            ListStep::Insert { at, length } => list.insert(at % len, element(at, length)),
            ListStep::Remove { at, count } => {
                list.drain(at % len..(at % len + count).min(len));
            }
            _ => unreachable!("{step:?} is of the ends"),
        }
    }

    pub(super) fn stream(&mut self, db: u8, key: u8, step: &StreamStep) {
        if !self.may_be(db, key, Kind::Stream) {
            return;
        }
        let (mut log, expire_at_ms) = match self.model.peek(db, &name(key), self.bench.now_ms) {
            Some(Item {
                content: Content::Stream(log),
                expire_at_ms,
            }) => (log, expire_at_ms),
            _ if matches!(step, StreamStep::Add { .. }) => (Log::default(), None),
            _ => return,
        };
        self.model.live(db, &name(key), self.bench.now_ms);
        match *step {
            StreamStep::Add { ref lengths } => self.add(db, key, lengths, &mut log),
            StreamStep::Delete { at } => self.delete(db, key, at, &mut log),
            StreamStep::Trim { keep } => {
                let kept = Keep::Last(keep);
                let run = |txn: &mut Txn<'_>| {
                    txn.set_limits(limits());
                    txn.edit_stream(&name(key), |stream, edit| stream.trim(kept, false, 0, edit))
                };
                let trimmed = self.bench.entry(db, run).unwrap();
                let gone = log.entries.len().saturating_sub(keep);
                assert_eq!(trimmed, gone);
                log.entries.drain(..gone);
            }
            _ => self.group(db, key, step, &mut log),
        }
        self.became(db, key, Content::Stream(log), expire_at_ms);
    }

    fn add(&mut self, db: u8, key: u8, lengths: &[usize], log: &mut Log) {
        let run = |txn: &mut Txn<'_>| {
            // Few entries in a node, so that there are many nodes.
            txn.set_limits(Limits {
                stream_node_max_entries: 4,
                ..limits()
            });
            if lengths.len().is_multiple_of(2) {
                txn.focus([Point::new(&name(key), [])]);
            }
            txn.edit_stream(&name(key), |stream, edit| {
                let add = |&length: &usize| {
                    let value = element(length, length);
                    let field: &[u8] = if length % 5 == 0 { b"other" } else { b"field" };
                    let id = stream.add(IdRequest::Auto, &[[field, &value]], edit);
                    (id.unwrap(), vec![(field.to_vec(), value)])
                };
                lengths.iter().map(add).collect::<Vec<_>>()
            })
        };
        log.entries.extend(self.bench.entry(db, run).unwrap());
        log.added += lengths.len() as u64;
        log.last_id = log.entries.last().map_or(log.last_id, |(id, _)| *id);
    }

    fn delete(&mut self, db: u8, key: u8, at: usize, log: &mut Log) {
        let Some(at) = at.checked_rem(log.entries.len()) else {
            return;
        };
        let (id, _) = log.entries.remove(at);
        let run = |txn: &mut Txn<'_>| {
            txn.edit_stream(&name(key), |stream, edit| {
                [stream.delete(id, edit), stream.delete(id, edit)]
            })
        };
        assert_eq!(self.bench.entry(db, run).unwrap(), [true, false]);
    }

    /// What concerns a group of consumers. Any id may be pending: nothing here asks whether its entry is there.
    fn group(&mut self, db: u8, key: u8, step: &StreamStep, log: &mut Log) {
        let now_ms = self.bench.now_ms;
        let id = |at: usize| match log.entries.get(at) {
            Some((id, _)) => *id,
            None => StreamId {
                ms: 1,
                seq: at as u64,
            },
        };
        let run = |txn: &mut Txn<'_>| {
            txn.edit_stream(&name(key), |stream, edit| match *step {
                StreamStep::Create { group, at } => {
                    stream.create_group(&[group], id(at), None, edit)
                }
                StreamStep::Destroy { group } => stream.destroy_group(&[group], edit),
                StreamStep::Deliver {
                    group,
                    consumer,
                    at,
                } => {
                    let is_new = stream.see_consumer(&[group], &[consumer], now_ms, true, edit);
                    stream.set_pending(&[group], id(at), &[consumer], now_ms, at as u64, edit);
                    stream.set_group(&[group], id(at), Some(at as u64), edit);
                    is_new
                }
                StreamStep::Acknowledge { group, at } => {
                    stream.remove_pending(&[group], id(at), edit)
                }
                StreamStep::DeleteConsumer { group, consumer } => stream
                    .delete_consumer(&[group], &[consumer], edit)
                    .is_some(),
                _ => unreachable!("{step:?} is of the entries"),
            })
        };
        let changed = self.bench.entry(db, run).unwrap();
        let expected = match *step {
            StreamStep::Create { group, at } => {
                let is_free = !log.groups.contains_key(&vec![group]);
                let last_id = id(at);
                log.groups.entry(vec![group]).or_insert(Group {
                    last_id,
                    ..Group::default()
                });
                is_free
            }
            StreamStep::Destroy { group } => log.groups.remove(&vec![group]).is_some(),
            StreamStep::Deliver {
                group,
                consumer,
                at,
            } => {
                let id = id(at);
                log.groups
                    .get_mut(&vec![group])
                    .is_some_and(|group| group.deliver(consumer, id, now_ms, at as u64))
            }
            StreamStep::Acknowledge { group, at } => {
                let id = id(at);
                let group = log.groups.get_mut(&vec![group]);
                group.is_some_and(|group| group.pending.remove(&id).is_some())
            }
            StreamStep::DeleteConsumer { group, consumer } => {
                let group = log.groups.get_mut(&vec![group]);
                group.is_some_and(|group| {
                    let of_others =
                        |_: &StreamId, pending: &mut (Vec<u8>, u64, u64)| pending.0 != [consumer];
                    group.pending.retain(of_others);
                    group.consumers.remove(&vec![consumer]).is_some()
                })
            }
            _ => unreachable!("{step:?} is of the entries"),
        };
        assert_eq!(changed, expected, "{step:?}");
    }

    /// Removes all lists and streams, each by itself, from the model too.
    pub(super) fn remove_sequences(&mut self) {
        for db in 0..super::DBS {
            let keys: BTreeMap<_, _> = self.model.db(db).clone();
            let is_sequence =
                |item: &Item| matches!(item.content, Content::List(_) | Content::Stream(_));
            for (key, _) in keys.iter().filter(|(_, item)| is_sequence(item)) {
                self.bench.entry(db, |txn| txn.remove(key)).unwrap();
                self.model.db(db).remove(key);
            }
        }
    }
}
