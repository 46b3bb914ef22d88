//! A data set with an engine under it, and the few verbs that tests need.

use std::sync::Arc;

use storage::dataset::{Dataset, DatasetOptions, Expiry, Txn, View};
use storage::engine::Engine;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::memory::MemoryEngine;
use storage::ids::{DbIndex, FIRST_REGION, LogIndex, Term};

/// A data set whose clock stands still until a test moves it.
pub(crate) struct Bench {
    pub(crate) dataset: Dataset,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) now_ms: u64,
    pub(crate) options: DatasetOptions,
    /// Keeps the LSM's directory.
    _dir: Option<tempfile::TempDir>,
}

impl Bench {
    /// On the in-memory engine.
    pub(crate) fn memory() -> Self {
        Self::on(MemoryEngine::new(), None)
    }

    /// On the LSM.
    pub(crate) fn lsm() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(dir.path(), LsmOptions::kv()).unwrap();
        Self::on(Arc::new(engine), Some(dir))
    }

    fn on(engine: Arc<dyn Engine>, dir: Option<tempfile::TempDir>) -> Self {
        let options = DatasetOptions {
            maxmemory_bytes: 0,
            hash_seed: *b"0123456789abcdef",
            ..DatasetOptions::default()
        };
        let dataset = Dataset::open(FIRST_REGION, Arc::clone(&engine), options.clone()).unwrap();
        Self {
            dataset,
            engine,
            now_ms: 1_000_000,
            options,
            _dir: dir,
        }
    }

    /// Executes one entry in database `db`.
    pub(crate) fn entry<R>(&mut self, db: u8, run: impl FnOnce(&mut Txn<'_>) -> R) -> R {
        let index = LogIndex(self.dataset.apply_state().applied_index + 1);
        let mut txn = self.dataset.begin(index, Term(1), self.now_ms, index.get());
        txn.select(DbIndex(db));
        run(&mut txn)
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        self.entry(0, |txn| txn.set_string(key, value, Expiry::Clear))
            .unwrap();
    }

    pub(crate) fn view(&self, db: u8) -> View<'_> {
        self.dataset.view(DbIndex(db), self.now_ms)
    }

    pub(crate) fn get(&self, db: u8, key: &[u8]) -> Option<Vec<u8>> {
        let object = self.view(db).lookup(key).unwrap()?;
        Some(object.string().unwrap().into_owned())
    }

    /// Freezes, writes and finishes a checkpoint. False when there was nothing to write.
    pub(crate) fn checkpoint(&mut self) -> bool {
        let Some(checkpoint) = self.dataset.freeze() else {
            return false;
        };
        let done = checkpoint.run(&*self.engine).unwrap();
        self.dataset.checkpoint_done(done);
        true
    }

    /// Opens the data set anew from what is durable: nothing is in memory.
    pub(crate) fn reopen(&mut self) {
        self.dataset =
            Dataset::open(FIRST_REGION, Arc::clone(&self.engine), self.options.clone()).unwrap();
    }

    /// All keys of a database by whole scans of `count`, in the order given.
    pub(crate) fn scan_all(&self, db: u8, count: usize) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        let mut cursor = 0;
        loop {
            let view = self.view(db);
            let (next, found) = view.scan(cursor, count).unwrap();
            keys.extend(found.into_iter().map(|found| found.key.into_owned()));
            cursor = next;
            if cursor == 0 {
                return keys;
            }
        }
    }
}
