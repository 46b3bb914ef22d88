//! Adding at the ends of lists and streams that are only on disk: the same as in memory, with the same records.

use std::collections::VecDeque;

use proptest::prelude::*;
use storage::types::stream::{IdRequest, StreamId};
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
    Checkpoint,
    /// Drops from memory what is on disk.
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = || proptest::collection::vec(1_usize..600, 1..6);
    prop_oneof![
        6 => (any::<bool>(), lengths()).prop_map(|(head, lengths)| Step::Push { head, lengths }),
        6 => lengths().prop_map(Step::Add),
        1 => (any::<bool>(), 1_usize..9).prop_map(|(head, count)| Step::Pop { head, count }),
        1 => (0_usize..40, 1_usize..600).prop_map(|(at, length)| Step::Insert { at, length }),
        1 => (0_usize..60).prop_map(Step::Delete),
        1 => (0_usize..60).prop_map(Step::Trim),
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
        txn.focus(b"list", []);
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
            txn.focus(b"stream", []);
            txn.edit_stream(b"stream", |stream, edit| {
                stream.add(IdRequest::Auto, &[[b"field", &value]], edit)
            })
        });
        model.stream.push((id.unwrap().unwrap(), value));
    }
    let mut view = bench.view(0);
    view.focus(b"stream", []);
    let found = view.lookup(b"stream").unwrap().unwrap();
    assert_eq!(found.stream().unwrap().len(), before + lengths.len());
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
        &Step::Pop { head, count } => {
            let popped = bench.entry(0, |txn| {
                txn.set_limits(limits());
                txn.edit_list(b"list", |list, edit| {
                    let popped: Vec<Vec<u8>> = (0..count)
                        .map_while(|_| list.pop(end(head), edit))
                        .collect();
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
                txn.edit_stream(b"stream", |stream, edit| stream.delete(id, edit))
            });
            assert!(deleted.unwrap());
        }
        &Step::Trim(count) if count < model.stream.len() => {
            let keep = storage::types::stream::Keep::Last(model.stream.len() - count);
            let trimmed = bench.entry(0, |txn| {
                txn.edit_stream(b"stream", |stream, edit| stream.trim(keep, false, 0, edit))
            });
            assert_eq!(trimmed.unwrap(), count);
            model.stream.drain(..count);
        }
        Step::Checkpoint => {
            bench.checkpoint();
        }
        Step::Drop => {
            bench.dataset.drop_all_clean();
        }
        Step::Insert { .. } | Step::Delete(_) | Step::Trim(_) => {}
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
