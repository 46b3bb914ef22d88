//! From the write set to the disk: freezing, sorting, ingestion; and the same records written as batches, the other way that
//! ARCHITECTURE.md compares it with.
//!
//! Only `freeze` is time of the apply worker; the others run beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Batching, Sink, key, open, set_all};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parking_lot::Mutex;
use server::allocator::Mimalloc;
use storage::dataset::{Checkpoint, CheckpointDone, Dataset};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{Durability, Engine, Reader, Scan, SortedRecords, WriteBatch};

/// What the server uses.
#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

const RECORDS: [usize; 3] = [1_000, 10_000, 100_000];

/// Records of one batch: what 50 clients write at a pipeline depth of 16.
const BATCH_RECORDS: usize = 50 * 16;

/// Records in the order of an ingestion.
type Records = Vec<(Bytes, Option<Bytes>)>;

/// Keeps the records of an ingestion.
#[derive(Default)]
struct Recorder {
    records: Mutex<Records>,
}

impl Reader for Recorder {
    fn get(&self, key: &[u8]) -> storage::Result<Option<Bytes>> {
        Sink.get(key)
    }

    fn scan(&self, _: &[u8], _: &[u8]) -> Scan<'_> {
        Box::new(std::iter::empty())
    }

    fn scan_back(&self, _: &[u8], _: &[u8]) -> Scan<'_> {
        Box::new(std::iter::empty())
    }
}

impl Engine for Recorder {
    fn write(&self, batch: WriteBatch, durability: Durability) -> storage::Result<()> {
        Sink.write(batch, durability)
    }

    fn sync(&self) -> storage::Result<()> {
        Sink.sync()
    }

    fn ingest(&self, records: SortedRecords<'_>) -> storage::Result<()> {
        self.records.lock().extend(records);
        Ok(())
    }

    fn check_room(&self, bytes: u64) -> storage::Result<()> {
        Sink.check_room(bytes)
    }

    fn forget(&self, start: &[u8], end: &[u8]) {
        Sink.forget(start, end);
    }

    fn view(&self) -> Arc<dyn Reader> {
        Sink.view()
    }

    fn disk_bytes(&self) -> u64 {
        Sink.disk_bytes()
    }
}

/// An engine as the server opens it for records, in `dir`.
fn lsm(dir: &tempfile::TempDir) -> LsmEngine {
    LsmEngine::open(dir.path(), LsmOptions::kv()).expect("the LSM opens")
}

fn names(count: usize) -> Vec<[u8; 16]> {
    (0..count).map(key).collect()
}

fn frozen(dataset: &mut Dataset) -> Checkpoint {
    dataset.freeze().expect("there were writes")
}

/// The time of `run` alone, of `rounds` checkpoints of all `names`.
fn timed(
    rounds: u64,
    dataset: &mut Dataset,
    names: &[[u8; 16]],
    run: impl Fn(Checkpoint) -> CheckpointDone,
) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        set_all(dataset, names.iter(), Batching::Together);
        let checkpoint = frozen(dataset);
        let start = Instant::now();
        let done = run(checkpoint);
        spent += start.elapsed();
        dataset.checkpoint_done(done);
    }
    spent
}

fn checkpoints(c: &mut Criterion) {
    let mut group = c.benchmark_group("checkpoint");
    group.sample_size(10);
    for count in RECORDS {
        let names = names(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("freeze", count), |b| {
            let mut dataset = open(Arc::new(Sink));
            b.iter_custom(|rounds| freezing(rounds, &mut dataset, &names));
        });
        group.bench_function(BenchmarkId::new("sort", count), |b| {
            let mut dataset = open(Arc::new(Sink));
            let run = |checkpoint: Checkpoint| checkpoint.run(&Sink).expect("the sink takes all");
            b.iter_custom(|rounds| timed(rounds, &mut dataset, &names, run));
        });
        group.bench_function(BenchmarkId::new("ingest", count), |b| {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let engine = lsm(&dir);
            let mut dataset = open(Arc::new(Sink));
            let run = |checkpoint: Checkpoint| checkpoint.run(&engine).expect("the disk has room");
            b.iter_custom(|rounds| timed(rounds, &mut dataset, &names, run));
        });
        group.bench_function(BenchmarkId::new("batches", count), |b| {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let engine = lsm(&dir);
            let records = recorded(&names);
            b.iter(|| write_batches(&engine, &records));
        });
    }
    group.finish();
}

fn freezing(rounds: u64, dataset: &mut Dataset, names: &[[u8; 16]]) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        set_all(dataset, names.iter(), Batching::Together);
        let start = Instant::now();
        let checkpoint = frozen(dataset);
        spent += start.elapsed();
        let done = checkpoint.run(&Sink).expect("the sink takes all");
        dataset.checkpoint_done(done);
    }
    spent
}

/// What a checkpoint of these keys writes.
fn recorded(names: &[[u8; 16]]) -> Records {
    let recorder = Recorder::default();
    let mut dataset = open(Arc::new(Sink));
    set_all(&mut dataset, names.iter(), Batching::Together);
    let done = frozen(&mut dataset)
        .run(&recorder)
        .expect("the recorder takes all");
    dataset.checkpoint_done(done);
    recorder.records.into_inner()
}

/// Without an fsync: the log has the commands.
fn write_batches(engine: &LsmEngine, records: &Records) {
    for records in records.chunks(BATCH_RECORDS) {
        let mut batch = WriteBatch::new();
        for (key, value) in records {
            match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            }
        }
        engine
            .write(batch, Durability::Buffered)
            .expect("the disk has room");
    }
}

criterion_group!(benches, checkpoints);
criterion_main!(benches);
