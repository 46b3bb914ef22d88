//! Large collections in the Region's memory, with their write sets: pushing, setting, adding, taking, deleting, drawing at random.
//! An entry holds as many commands as a pipelined batch; elements are named as redis-benchmark names them.

use std::hint::black_box;
use std::sync::Arc;

use benches::{ENTRY_WRITES, NOW_MS, Sink, VALUE, draws, open};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use server::allocator::Mimalloc;
use storage::dataset::{Dataset, Txn};
use storage::ids::{DbIndex, LogIndex, Term};
use storage::types::End;
use storage::types::stream::{IdRequest, StreamId};

#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

const DB: DbIndex = DbIndex(0);
const KEY: &[u8] = b"large";
const ELEMENTS: usize = 100_000;
/// Commands that one measurement runs.
const COMMANDS: usize = 1 << 14;

/// Runs `command` with each name, as many in an entry as a batch has.
fn entries(
    dataset: &mut Dataset,
    names: &[[u8; 16]],
    mut command: impl FnMut(&mut Txn<'_>, usize, &[u8; 16]),
) {
    for (nth, batch) in names.chunks(ENTRY_WRITES).enumerate() {
        let index = LogIndex(dataset.apply_state().applied_index + 1);
        let mut txn = dataset.begin(index, Term(1), NOW_MS, 1);
        let args: Vec<[&[u8]; 1]> = batch.iter().map(|name| [&name[..]]).collect();
        txn.warm_commands(args.iter().map(|args| (KEY, &args[..])));
        for (within, name) in batch.iter().enumerate() {
            command(&mut txn, nth * ENTRY_WRITES + within, name);
        }
    }
}

fn push(txn: &mut Txn<'_>, end: End) {
    let pushed = txn.edit_list(KEY, |list, edit| {
        list.expect(1, VALUE.len(), edit);
        list.push(end, &VALUE, edit);
    });
    pushed.expect("memory suffices");
}

fn pop(txn: &mut Txn<'_>, end: End) {
    let popped = txn.edit_list(KEY, |list, edit| {
        let popped = list.pop(end, edit);
        list.shrink(edit);
        popped
    });
    black_box(popped.expect("memory suffices"));
}

fn set(txn: &mut Txn<'_>, field: &[u8]) {
    let set = txn.edit_hash(KEY, |hash, edit| hash.set(field, &VALUE, edit));
    black_box(set.expect("memory suffices"));
}

fn add(txn: &mut Txn<'_>, member: &[u8]) {
    let added = txn.edit_set(KEY, |set, edit| set.insert(member, edit));
    black_box(added.expect("memory suffices"));
}

fn rank(txn: &mut Txn<'_>, member: &[u8], score: f64) {
    let changed = txn.edit_zset(KEY, |set, edit| set.insert(member, score, edit));
    black_box(changed.expect("memory suffices"));
}

fn append(txn: &mut Txn<'_>, id: IdRequest) {
    let fields: [[&[u8]; 2]; 1] = [[b"field", &VALUE]];
    let added = txn.edit_stream(KEY, |stream, edit| stream.add(id, &fields, edit));
    black_box(added.expect("memory suffices"));
}

/// A data set with a collection of [`ELEMENTS`].
fn filled(mut command: impl FnMut(&mut Txn<'_>, usize, &[u8; 16])) -> Dataset {
    let mut dataset = open(Arc::new(Sink));
    let names: Vec<_> = (0..ELEMENTS).map(benches::key).collect();
    entries(&mut dataset, &names, &mut command);
    dataset
}

/// Measures commands on data sets that `fill` makes.
fn measure(
    c: &mut Criterion,
    name: &str,
    mut fill: impl FnMut(&mut Txn<'_>, usize, &[u8; 16]),
    mut command: impl FnMut(&mut Txn<'_>, usize, &[u8; 16]),
) {
    let mut group = c.benchmark_group("collections");
    let names = draws(COMMANDS, ELEMENTS);
    group
        .throughput(Throughput::Elements(COMMANDS as u64))
        .sample_size(10);
    group.bench_function(name, |b| {
        b.iter_batched_ref(
            || filled(&mut fill),
            |dataset| entries(dataset, &names, &mut command),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn lists(c: &mut Criterion) {
    let fill = |txn: &mut Txn<'_>, _: usize, _: &[u8; 16]| push(txn, End::Tail);
    measure(c, "rpush", fill, |txn, _, _| push(txn, End::Tail));
    measure(c, "lpush", fill, |txn, _, _| push(txn, End::Head));
    measure(c, "lpop", fill, |txn, _, _| pop(txn, End::Head));
    measure(c, "rpop", fill, |txn, _, _| pop(txn, End::Tail));
}

fn tables(c: &mut Criterion) {
    measure(
        c,
        "hset",
        |txn, _, name| set(txn, name),
        |txn, _, name| set(txn, name),
    );
    let fill = |txn: &mut Txn<'_>, _: usize, name: &[u8; 16]| add(txn, name);
    measure(c, "sadd_new", fill, |txn, nth, name| {
        add(txn, &[&name[..], &nth.to_le_bytes()].concat());
    });
    measure(c, "spop", fill, |txn, _, _| {
        let mut seed = txn.random();
        let popped = txn.edit_set(KEY, |set, edit| {
            let member = set.as_ref().random(&mut || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed ^ seed >> 32
            });
            let member = member.map(|member| member.to_vec());
            member.map(|member| set.remove(&member, edit))
        });
        black_box(popped.expect("memory suffices"));
    });
}

fn ranked(c: &mut Criterion) {
    // Scores in another order than members.
    let score = |nth: usize| (nth * 7_919 % ELEMENTS) as f64;
    let fill = move |txn: &mut Txn<'_>, nth: usize, name: &[u8; 16]| rank(txn, name, score(nth));
    measure(c, "zadd", fill, move |txn, nth, name| {
        rank(txn, name, score(nth))
    });
    measure(c, "zpopmin", fill, |txn, _, _| {
        let popped = txn.edit_zset(KEY, |set, edit| set.remove_ranks(0..1, edit));
        black_box(popped.expect("memory suffices"));
    });
    let dataset = filled(fill);
    let names = draws(COMMANDS, ELEMENTS);
    let mut group = c.benchmark_group("collections");
    group.throughput(Throughput::Elements(COMMANDS as u64));
    group.bench_function("zrank", |b| {
        b.iter(|| {
            let view = dataset.view(DB, NOW_MS);
            for name in &names {
                let object = view.lookup(KEY).expect("memory answers");
                let zset = object.as_ref().and_then(|object| object.zset());
                black_box(
                    zset.and_then(|zset| zset.rank(name, |member| view.element_hash(member))),
                );
            }
        });
    });
    group.finish();
}

fn streams(c: &mut Criterion) {
    let id = |ms: usize| StreamId {
        ms: ms as u64 + 1,
        seq: 1,
    };
    let fill =
        move |txn: &mut Txn<'_>, nth: usize, _: &[u8; 16]| append(txn, IdRequest::Exact(id(nth)));
    measure(c, "xadd", fill, |txn, _, _| append(txn, IdRequest::Auto));
    measure(c, "xdel", fill, move |txn, nth, _| {
        let id = id(nth * 7_919 % ELEMENTS);
        let deleted = txn.edit_stream(KEY, |stream, edit| stream.delete(id, edit));
        black_box(deleted.expect("memory suffices"));
    });
}

criterion_group!(benches, lists, tables, ranked, streams);
criterion_main!(benches);
