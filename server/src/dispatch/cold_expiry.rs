//! Removal of expired keys that are only on disk, while memory does not hold all keys.
//!
//! Such a key is invisible from its time on and vanishes when it is asked for. Nobody may ever ask; so the leader walks the
//! records of the kv engine, slowly, and faster where many have expired. A large hash of which some fields have expired stays on
//! disk: it loses them a bounded number at a time, as one in memory does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use storage::dataset::{ColdKey, SweepCursor};

use super::shared::Shared;

/// Between two slices.
const INTERVAL: Duration = Duration::from_millis(100);

/// Longest slice: it reads from the disk all that time.
const SLICE_TIME: Duration = Duration::from_millis(25);

/// Records looked at under one acquisition of the shared lock, for which a write may wait.
const RECORDS_PER_LOCK: usize = 256;

/// Between two removals of fields of one hash, and how many it gets before others have their turn.
const FIELDS_INTERVAL: Duration = Duration::from_millis(50);
const REMOVALS_PER_HASH: usize = 100;

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
        let (next, partly) = done.unwrap_or_default();
        from = next.unwrap_or_default();
        for key in partly {
            remove_fields(&shared, key).await;
        }
    }
}

/// Has fields of a large hash on disk removed that have expired, until there are none.
async fn remove_fields(shared: &Arc<Shared>, key: ColdKey) {
    for _ in 0..REMOVALS_PER_HASH {
        shared.lazy_expiry.settled().await;
        let (looking, key) = (Arc::clone(shared), key.clone());
        let look = move || {
            let now_ms = looking.router.now_ms();
            let dataset = looking.machine.dataset().read();
            let found = dataset.expired_fields_on_disk(&key, now_ms);
            found.unwrap_or_else(|error| looking.fatal(&error))
        };
        let Ok(Some(found)) = tokio::task::spawn_blocking(look).await else {
            return;
        };
        if !shared.router.lease().is_valid() {
            return;
        }
        shared.lazy_expiry.remove(&shared.router, vec![found]);
        tokio::time::sleep(FIELDS_INTERVAL).await;
    }
}

/// One slice; answers where the next one goes on, none from the beginning, and the hashes that may have lost only some of the fields
/// that have expired.
fn slice(shared: &Arc<Shared>, from: SweepCursor) -> (Option<SweepCursor>, Vec<ColdKey>) {
    let started = Instant::now();
    let (mut from, mut partly) = (from, Vec::new());
    loop {
        let now_ms = shared.router.now_ms();
        let swept = {
            let dataset = shared.machine.dataset().read();
            if !dataset.has_cold_keys() {
                return (None, partly);
            }
            dataset
                .expired_on_disk(from, now_ms, RECORDS_PER_LOCK)
                .unwrap_or_else(|error| shared.fatal(&error))
        };
        let worth_it = swept.expired.len() * WORTH_ONE_IN >= swept.cost;
        shared.lazy_expiry.remove(&shared.router, swept.expired);
        partly.extend(swept.partly);
        let Some(next) = swept.next else {
            return (None, partly);
        };
        from = next;
        if !worth_it || started.elapsed() >= SLICE_TIME {
            return (Some(from), partly);
        }
    }
}
