//! The Region's memory: lookups, writes with their write set, loading; and the bytes that a key costs.
//!
//! Keys have 16 bytes and values 64, as in the comparison with redis-server. Resident bytes are printed first, because a
//! process that ran the rest keeps memory that no data set uses.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Batching, ENTRY_WRITES, NOW_MS, Sink, draws, key, open, set_all};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group};
use server::allocator::Mimalloc;
use storage::dataset::Dataset;
use storage::engine::Engine;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::ids::{DbIndex, LogIndex, Term};

/// What the server uses: size classes decide what a key costs.
#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

const KEYS: usize = 100_000;
const MANY_KEYS: usize = 1_000_000;
const DB: DbIndex = DbIndex(0);
/// Records after which a server makes a checkpoint, more or less.
const CHECKPOINT_RECORDS: usize = 100_000;

const BATCHINGS: [(&str, Batching); 2] =
    [("alone", Batching::Alone), ("together", Batching::Together)];

fn checkpoint(dataset: &mut Dataset, engine: &dyn Engine) {
    if let Some(checkpoint) = dataset.freeze() {
        let done = checkpoint.run(engine).expect("the disk has room");
        dataset.checkpoint_done(done);
    }
}

fn filled(keys: usize, engine: Arc<dyn Engine>) -> Dataset {
    let mut dataset = open(Arc::clone(&engine));
    let mut names = Vec::with_capacity(CHECKPOINT_RECORDS);
    for start in (0..keys).step_by(CHECKPOINT_RECORDS) {
        names.clear();
        // As a hash would order them: neighbours in memory are not written one after the other.
        names.extend((start..start + CHECKPOINT_RECORDS).map(|n| key(n * 7_919 % keys)));
        set_all(&mut dataset, names.iter(), Batching::Together);
        checkpoint(&mut dataset, &*engine);
    }
    dataset
}

fn lookups(c: &mut Criterion) {
    let mut group = c.benchmark_group("dataset/get");
    for (name, count) in [("100k_keys", KEYS), ("1m_keys", MANY_KEYS)] {
        let dataset = filled(count, Arc::new(Sink));
        let keys = draws(1 << 16, count);
        group.throughput(Throughput::Elements(keys.len() as u64));
        for (how, batching) in BATCHINGS {
            group.bench_function(BenchmarkId::new(name, how), |b| {
                b.iter(|| {
                    keys.chunks(ENTRY_WRITES)
                        .for_each(|batch| get_all(&dataset, batch, batching))
                });
            });
        }
    }
    let dataset = filled(KEYS, Arc::new(Sink));
    let keys = draws(1 << 16, KEYS);
    group.bench_function("absent", |b| {
        b.iter(|| {
            let view = dataset.view(DB, NOW_MS);
            keys.iter()
                .for_each(|key| drop(black_box(view.lookup(&key[1..]).expect("memory answers"))));
        });
    });
    group.finish();
}

fn get_all(dataset: &Dataset, batch: &[[u8; 16]], batching: Batching) {
    let view = dataset.view(DB, NOW_MS);
    if batching == Batching::Together {
        view.warm(batch.iter().map(|key| &key[..]));
    }
    for key in batch {
        let object = view
            .lookup(key)
            .expect("memory answers")
            .expect("the key is there");
        // Its last byte, or half of it would not have been fetched.
        black_box(object.string().and_then(|value| value.last().copied()));
    }
}

fn writes(c: &mut Criterion) {
    let mut group = c.benchmark_group("dataset/set");
    let keys = draws(1 << 16, KEYS);
    group.throughput(Throughput::Elements(keys.len() as u64));
    let engine: Arc<dyn Engine> = Arc::new(Sink);
    let mut dataset = filled(KEYS, Arc::clone(&engine));
    // Freezing is included, because the apply worker pays for it; writing the checkpoint is not.
    for (how, batching) in BATCHINGS {
        group.bench_function(BenchmarkId::new("100k_keys", how), |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    let start = Instant::now();
                    set_all(&mut dataset, keys.iter(), batching);
                    let full = dataset.write_set_records() > KEYS / 2;
                    let frozen = full.then(|| dataset.freeze()).flatten();
                    spent += start.elapsed();
                    if let Some(checkpoint) = frozen {
                        let done = checkpoint.run(&*engine).expect("the sink takes all");
                        dataset.checkpoint_done(done);
                    }
                }
                spent
            });
        });
    }
    group.bench_function("new_keys", |b| {
        b.iter_batched_ref(
            || open(Arc::new(Sink)),
            |dataset| set_all(dataset, keys.iter(), Batching::Together),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("append", |b| {
        let mut n = 0usize;
        b.iter(|| {
            let index = LogIndex(dataset.apply_state().applied_index + 1);
            let mut txn = dataset.begin(index, Term(1), NOW_MS, 1);
            for key in &keys {
                n += 1;
                let edit = |value: &mut Vec<u8>| {
                    if n.is_multiple_of(64) {
                        value.truncate(64)
                    } else {
                        value.push(b'y')
                    }
                };
                txn.edit_string(key, edit).expect("memory suffices");
            }
        });
    });
    group.finish();
}

fn disk(c: &mut Criterion) {
    let mut group = c.benchmark_group("dataset/disk");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(CHECKPOINT_RECORDS as u64));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let engine: Arc<dyn Engine> =
        Arc::new(LsmEngine::open(dir.path(), LsmOptions::kv()).expect("the LSM opens"));
    drop(filled(CHECKPOINT_RECORDS, Arc::clone(&engine)));
    group.bench_function("load_100k", |b| {
        b.iter_batched_ref(
            || open(Arc::clone(&engine)),
            |dataset| while dataset.load_next(1024).expect("the disk answers") {},
            BatchSize::PerIteration,
        );
    });
    let cold = draws(1 << 12, CHECKPOINT_RECORDS);
    group.throughput(Throughput::Elements(cold.len() as u64));
    group.bench_function("cold_get", |b| {
        b.iter_batched_ref(
            || open(Arc::clone(&engine)),
            |dataset| {
                let view = dataset.view(DB, NOW_MS);
                cold.iter()
                    .for_each(|key| drop(black_box(view.lookup(key).expect("the disk answers"))));
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn scans(c: &mut Criterion) {
    let mut group = c.benchmark_group("dataset/scan");
    let dataset = filled(KEYS, Arc::new(Sink));
    group.throughput(Throughput::Elements(KEYS as u64));
    group.bench_function("count_10", |b| {
        b.iter(|| {
            let mut cursor = 0;
            loop {
                let (next, keys) = dataset
                    .view(DB, NOW_MS)
                    .scan(cursor, 10)
                    .expect("memory answers");
                black_box(keys.len());
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        });
    });
    group.finish();
}

/// Resident bytes of this process.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

fn report_memory() {
    let before = resident_bytes();
    let dataset = filled(MANY_KEYS, Arc::new(Sink));
    let (resident, accounted) = (resident_bytes() - before, dataset.memory_used());
    let per_key = |bytes: u64| bytes as f64 / MANY_KEYS as f64;
    println!(
        "dataset/memory: {:.1} resident bytes per key of 16 bytes with a value of 64, at a million keys, after checkpoints \
         of {CHECKPOINT_RECORDS} records; {:.1} accounted",
        per_key(resident),
        per_key(accounted)
    );
}

criterion_group!(benches, lookups, writes, disk, scans);

fn main() {
    if std::env::args().any(|arg| arg == "--bench") {
        report_memory();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
