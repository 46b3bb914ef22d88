//! Removal of expired keys that are only on disk, while memory does not hold all keys.
//!
//! Such a key is invisible from its time on and vanishes when it is asked for. Nobody may ever ask; so the leader walks the
//! records of the kv engine, slowly, and faster where many have expired. A large hash of which some fields have expired is loaded:
//! then they leave as they do in memory, a bounded number at a time.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use storage::dataset::{ColdKey, SweepCursor};

use super::preload;
use super::shared::Shared;

/// Between two slices.
const INTERVAL: Duration = Duration::from_millis(100);

/// Longest slice: it reads from the disk all that time.
const SLICE_TIME: Duration = Duration::from_millis(25);

/// Records looked at under one acquisition of the shared lock, for which a write may wait.
const RECORDS_PER_LOCK: usize = 256;

/// A slice goes on while at least one in so many records has expired.
const WORTH_ONE_IN: usize = 10;

/// Sweeps round and round, for as long as it is polled.
pub async fn sweep(shared: &Arc<Shared>) -> Infallible {
    let mut from = SweepCursor::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let leads = shared.router.lease().is_valid();
        if !leads || !shared.active_expire.load(Ordering::Relaxed) {
            continue;
        }
        let shared = Arc::clone(shared);
        // It blocks on the disk, for which the threads of runtimes are too good.
        let swept = Arc::clone(&shared);
        let done = tokio::task::spawn_blocking(move || slice(&swept, from)).await;
        let (next, to_load) = done.unwrap_or_default();
        from = next.unwrap_or_default();
        for key in &to_load {
            preload::load(&shared, key).await;
        }
    }
}

/// One slice; answers where the next one goes on, none from the beginning, and the hashes that are to be loaded.
fn slice(shared: &Arc<Shared>, from: SweepCursor) -> (Option<SweepCursor>, Vec<ColdKey>) {
    let started = Instant::now();
    let (mut from, mut to_load) = (from, Vec::new());
    loop {
        let now_ms = shared.router.now_ms();
        let swept = {
            let dataset = shared.machine.dataset().read();
            if !dataset.has_cold_keys() {
                return (None, to_load);
            }
            dataset
                .expired_on_disk(from, now_ms, RECORDS_PER_LOCK)
                .unwrap_or_else(|error| shared.fatal(&error))
        };
        let worth_it = swept.expired.len() * WORTH_ONE_IN >= swept.cost;
        shared.lazy_expiry.remove(&shared.router, swept.expired);
        to_load.extend(swept.to_load);
        let Some(next) = swept.next else {
            return (None, to_load);
        };
        from = next;
        if !worth_it || started.elapsed() >= SLICE_TIME {
            return (Some(from), to_load);
        }
    }
}
