//! Work near the ends of lists and streams that are only on disk: the same as in memory, with the same records.

use std::collections::VecDeque;

use proptest::prelude::*;
use storage::dataset::{Looks, Members, Point};
use storage::types::stream::{IdRequest, Keep, StreamId};
use storage::types::{End, Limits};

use crate::support::Bench;

#[derive(Clone, Debug)]
enum Step {
    /// Pushes to the list, by a command that says that it looks at the ends only.
    Push {
        head: bool,
        lengths: Vec<usize>,
    },
    /// Adds to the stream, likewise.
    Add(Vec<usize>),
    /// Takes from the list.
    Pop {
        head: bool,
        count: usize,
    },
    /// Inserts into the list.
    Insert {
        at: usize,
        length: usize,
    },
    /// Deletes an entry of the stream by name.
    Delete(usize),
    /// Removes the oldest entries of the stream.
    Trim(usize),
    /// Keeps a range of the list.
    Keep {
        head: usize,
        tail: usize,
    },
    /// Reads elements of the list from one end.
    Range {
        start: i64,
        len: usize,
    },
    /// Reads entries of the stream.
    Entries {
        from: usize,
        count: usize,
        backwards: bool,
    },
    /// Sets the expiry of both.
    Expire(u64),
    Checkpoint,
    /// Drops from memory what is on disk.
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = || proptest::collection::vec(1_usize..600, 1..6);
    prop_oneof![
        6 => (any::<bool>(), lengths()).prop_map(|(head, lengths)| Step::Push { head, lengths }),
        6 => lengths().prop_map(Step::Add),
        3 => (any::<bool>(), 1_usize..9).prop_map(|(head, count)| Step::Pop { head, count }),
        1 => (0_usize..40, 1_usize..600).prop_map(|(at, length)| Step::Insert { at, length }),
        3 => (0_usize..60).prop_map(Step::Delete),
        1 => (0_usize..60).prop_map(Step::Trim),
        1 => (0_usize..5, 0_usize..5).prop_map(|(head, tail)| Step::Keep { head, tail }),
        3 => (-20_i64..20, 0_usize..12).prop_map(|(start, len)| Step::Range { start, len }),
        3 => (0_usize..60, 0_usize..9, any::<bool>()).prop_map(|(from, count, backwards)| {
            Step::Entries { from, count, backwards }
        }),
        1 => (1_u64..9).prop_map(Step::Expire),
        3 => Just(Step::Checkpoint),
        4 => Just(Step::Drop),
    ]
}

/// What the list and the stream ought to be.
#[derive(Default)]
struct Model {
    list: VecDeque<Vec<u8>>,
    stream: Vec<(StreamId, Vec<u8>)>,
    added: u64,
}

impl Model {
    fn element(&mut self, length: usize) -> Vec<u8> {
        self.added += 1;
        let mut element = format!("{}:", self.added).into_bytes();
        element.resize(element.len() + length, b'x');
        element
    }
}

fn end(head: bool) -> End {
    if head { End::Head } else { End::Tail }
}

fn push(bench: &mut Bench, model: &mut Model, head: bool, lengths: &[usize]) {
    let elements: Vec<Vec<u8>> = lengths.iter().map(|&len| model.element(len)).collect();
    let before = model.list.len();
    for element in &elements {
        match head {
            true => model.list.push_front(element.clone()),
            false => model.list.push_back(element.clone()),
        }
    }
    let len = bench.entry(0, |txn| {
        txn.set_limits(limits());
        txn.focus([Point::new(b"list", [])]);
        let found = txn.lookup(b"list").unwrap();
        assert_eq!(found.map_or(0, |found| found.list().unwrap().len()), before);
        txn.edit_list(b"list", |list, edit| {
            list.expect(elements.len(), lengths.iter().sum(), edit);
            for element in &elements {
                list.push(end(head), element, edit);
            }
            list.as_ref().len()
        })
    });
    assert_eq!(len.unwrap(), model.list.len());
}

fn add(bench: &mut Bench, model: &mut Model, lengths: &[usize]) {
    let before = model.stream.len();
    for &length in lengths {
        let value = model.element(length);
        let id = bench.entry(0, |txn| {
            txn.focus([Point::new(b"stream", [])]);
            txn.edit_stream(b"stream", |stream, edit| {
                stream.add(IdRequest::Auto, &[[b"field", &value]], edit)
            })
        });
        model.stream.push((id.unwrap().unwrap(), value));
    }
    let mut view = bench.view(0);
    view.focus([Point::new(b"stream", [])], 0);
    let found = view.lookup(b"stream").unwrap().unwrap();
    assert_eq!(found.stream().unwrap().len(), before + lengths.len());
}

fn looking<'a>(key: &'a [u8], looks: Looks<Members<'a>>) -> Point<'a> {
    Point { key, looks }
}

fn pop(bench: &mut Bench, model: &mut Model, head: bool, count: usize) {
    let count = count.min(model.list.len());
    if count == 0 {
        return;
    }
    let (at_head, at_tail) = if head { (count, 0) } else { (0, count) };
    let looks = Looks::Take {
        head: at_head,
        tail: at_tail,
    };
    let popped = bench.entry(0, |txn| {
        txn.set_limits(limits());
        txn.focus([looking(b"list", looks)]);
        txn.edit_list(b"list", |list, edit| {
            let items = list.as_ref();
            let first = if head { 0 } else { items.len() - count };
            let popped: Vec<Vec<u8>> = match head {
                true => items.iter().take(count).map(|item| item.to_vec()).collect(),
                false => {
                    let items = items.iter_back_from(items.len() - 1).take(count);
                    items.map(|item| item.to_vec()).collect()
                }
            };
            list.remove_range(first, count, edit);
            list.shrink(edit);
            popped
        })
    });
    let mut take = || match head {
        true => model.list.pop_front(),
        false => model.list.pop_back(),
    };
    let expected: Vec<Vec<u8>> = (0..count).map_while(|_| take()).collect();
    assert_eq!(popped.unwrap(), expected);
}

fn range(bench: &Bench, model: &Model, start: i64, len: usize) {
    let total = model.list.len() as i64;
    let from = if start < 0 {
        (start + total).max(0)
    } else {
        start
    };
    let stop = (from + len as i64 - 1).min(total - 1);
    if from > stop {
        return;
    }
    let asked = if start < 0 { stop - total } else { stop };
    let start = if start < 0 { from - total } else { start };
    let mut view = bench.view(0);
    view.focus([looking(b"list", Looks::Range { start, stop: asked })], 0);
    let object = view.lookup(b"list").unwrap().unwrap();
    let list = object.list().unwrap();
    assert_eq!(list.len(), model.list.len());
    let (from, len) = (from as usize, (stop - from + 1) as usize);
    let found: Vec<Vec<u8>> = list
        .iter_from(from)
        .take(len)
        .map(|item| item.to_vec())
        .collect();
    let expected: Vec<Vec<u8>> = model.list.iter().skip(from).take(len).cloned().collect();
    assert_eq!(found, expected);
}

fn entries(bench: &Bench, model: &Model, from: usize, count: usize, backwards: bool) {
    let Some((id, _)) = model.stream.get(from) else {
        return;
    };
    let ids = if backwards {
        StreamId::MIN..=*id
    } else {
        *id..=StreamId::MAX
    };
    let mut view = bench.view(0);
    let looks = Looks::Entries {
        ids: ids.clone(),
        count,
        backwards,
    };
    view.focus([looking(b"stream", looks)], 0);
    let object = view.lookup(b"stream").unwrap().unwrap();
    let stream = object.stream().unwrap();
    assert_eq!(stream.len(), model.stream.len());
    assert_eq!(
        Some(stream.first_id()),
        model.stream.first().map(|(id, _)| *id)
    );
    assert_eq!(
        stream.last_entry_id(),
        model.stream.last().map(|(id, _)| *id)
    );
    let found: Vec<StreamId> = if backwards {
        stream
            .entries_back(ids)
            .take(count)
            .map(|entry| entry.id)
            .collect()
    } else {
        stream
            .entries(ids)
            .take(count)
            .map(|entry| entry.id)
            .collect()
    };
    let id_of = |(id, _): &(StreamId, Vec<u8>)| *id;
    let expected: Vec<StreamId> = if backwards {
        model.stream[..=from]
            .iter()
            .rev()
            .take(count)
            .map(id_of)
            .collect()
    } else {
        model.stream[from..].iter().take(count).map(id_of).collect()
    };
    assert_eq!(found, expected);
}

fn limits() -> Limits {
    Limits {
        list_max_listpack_size: 3,
        ..Limits::default()
    }
}

fn run(bench: &mut Bench, model: &mut Model, step: &Step) {
    match step {
        Step::Push { head, lengths } => push(bench, model, *head, lengths),
        Step::Add(lengths) => add(bench, model, lengths),
        &Step::Pop { head, count } => pop(bench, model, head, count),
        &Step::Insert { at, length } if at < model.list.len() => {
            let element = model.element(length);
            let inserted = bench.entry(0, |txn| {
                txn.set_limits(limits());
                txn.edit_list(b"list", |list, edit| list.insert(at, &element, edit))
            });
            inserted.unwrap();
            model.list.insert(at, element);
        }
        &Step::Delete(at) if at < model.stream.len() => {
            let (id, _) = model.stream.remove(at);
            let deleted = bench.entry(0, |txn| {
                txn.focus([looking(b"stream", Looks::Delete(vec![id]))]);
                txn.edit_stream(b"stream", |stream, edit| stream.delete(id, edit))
            });
            assert!(deleted.unwrap());
        }
        &Step::Trim(count) if count < model.stream.len() => {
            let keep = Keep::Last(model.stream.len() - count);
            let trimmed = bench.entry(0, |txn| {
                txn.focus([looking(b"stream", Looks::KeepEntries { keep, limit: 0 })]);
                txn.edit_stream(b"stream", |stream, edit| stream.trim(keep, false, 0, edit))
            });
            assert_eq!(trimmed.unwrap(), count);
            model.stream.drain(..count);
        }
        &Step::Keep { head, tail } if head + tail < model.list.len() => {
            let (start, stop) = (head as i64, -1 - tail as i64);
            let len = model.list.len();
            let kept = bench.entry(0, |txn| {
                txn.set_limits(limits());
                txn.focus([looking(b"list", Looks::KeepRange { start, stop })]);
                txn.edit_list(b"list", |list, edit| {
                    list.remove_range(len - tail, tail, edit);
                    list.remove_range(0, head, edit);
                    list.shrink(edit);
                })
            });
            kept.unwrap();
            model.list.truncate(len - tail);
            model.list.drain(..head);
        }
        &Step::Range { start, len } => range(bench, model, start, len),
        &Step::Entries {
            from,
            count,
            backwards,
        } => entries(bench, model, from, count, backwards),
        &Step::Expire(seconds) => {
            let at_ms = bench.now_ms + 1_000_000 * seconds;
            for key in [&b"list"[..], b"stream"] {
                let there = bench.entry(0, |txn| {
                    txn.focus([Point::new(key, [])]);
                    txn.set_expiry(key, Some(at_ms))
                });
                let len = if key == b"list" {
                    model.list.len()
                } else {
                    model.stream.len()
                };
                assert!(there.unwrap() || len == 0);
                let mut view = bench.view(0);
                view.focus([Point::new(key, [])], 0);
                let found = view.peek(key).unwrap();
                assert!(found.is_none_or(|found| found.expire_at_ms() == Some(at_ms)));
            }
        }
        Step::Checkpoint => {
            bench.checkpoint();
        }
        Step::Drop => {
            bench.dataset.drop_all_clean();
        }
        Step::Insert { .. } | Step::Delete(_) | Step::Trim(_) | Step::Keep { .. } => {}
    }
}

fn check(bench: &Bench, model: &Model) {
    let view = bench.view(0);
    let object = view.lookup(b"list").unwrap();
    let list: VecDeque<Vec<u8>> = object.map_or_else(VecDeque::new, |object| {
        object
            .list()
            .unwrap()
            .iter()
            .map(|item| item.to_vec())
            .collect()
    });
    assert_eq!(list, model.list);
    let object = view.lookup(b"stream").unwrap();
    let stream = object.map_or_else(Vec::new, |object| {
        let entries = object.stream().unwrap();
        let entries = entries.entries(StreamId::MIN..=StreamId::MAX);
        let value = |entry: storage::types::stream::Entry<'_>| {
            let id = entry.id;
            let (_, value) = entry.fields().next().unwrap();
            (id, value.to_vec())
        };
        entries.map(value).collect()
    });
    assert_eq!(stream, model.stream);
}

proptest! {
    #[test]
    fn are_as_in_memory(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut cold, mut hot) = (Bench::memory(), Bench::memory());
        let (mut model, mut other) = (Model::default(), Model::default());
        for step in &steps {
            run(&mut cold, &mut model, step);
            if !matches!(step, Step::Drop) {
                run(&mut hot, &mut other, step);
            }
        }
        check(&cold, &model);
        check(&hot, &other);
        prop_assert_eq!(cold.dataset.digest().unwrap(), hot.dataset.digest().unwrap());
        cold.checkpoint();
        hot.checkpoint();
        let records = |bench: &Bench| -> Vec<_> {
            bench.engine.scan(b"", b"").map(Result::unwrap).collect()
        };
        prop_assert_eq!(records(&cold), records(&hot), "records on disk");
        cold.reopen();
        check(&cold, &model);
    }
}
