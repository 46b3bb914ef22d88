//! Making room: while memory exceeds `maxmemory` and `maxmemory-policy` allows it, the leader proposes the deletion of keys.
//!
//! Choosing and deleting happen beside the commands that fill the memory, which may exceed its limit by what they write
//! meanwhile. When nothing may be deleted, commands that may need memory are refused ([`is_out_of_memory`]).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::proto::command::{EvictedKey, Request};
use tokio::sync::oneshot;

use super::shared::Shared;
use super::stats::Stats;

/// Between two looks at memory that is within its limit.
const INTERVAL: Duration = Duration::from_millis(10);

/// Samples whose victims go in one entry.
const SAMPLES_PER_ENTRY: usize = 8;

/// Samples without a victim after which there is none, for now.
const EMPTY_SAMPLES: usize = 3;

/// Whether memory is full and nothing may be deleted.
pub fn is_out_of_memory(shared: &Shared) -> bool {
    shared.out_of_memory.load(Ordering::Relaxed)
}

/// Keeps memory within its limit, for as long as it is polled.
pub async fn keep_room(shared: &Arc<Shared>) -> Infallible {
    let mut exceeded = Exceeded::default();
    loop {
        let leads = shared.router.lease().is_valid();
        if !leads {
            // Another Store decides now, for what is forwarded to it too.
            shared.out_of_memory.store(false, Ordering::Relaxed);
            exceeded = Exceeded::default();
        }
        if !leads || !make_room(shared, &mut exceeded).await {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// For how long memory has exceeded its limit.
#[derive(Default)]
struct Exceeded {
    /// The last look, if it did then.
    last: Option<Instant>,
}

impl Exceeded {
    /// Counts the time since the last look, if memory exceeded its limit then and does so now.
    fn look(&mut self, over: bool, now: Instant, stats: &Stats) {
        if let (true, Some(last)) = (over, self.last) {
            let us = now.duration_since(last).as_micros() as u64;
            stats.eviction_exceeded_us.fetch_add(us, Ordering::Relaxed);
        }
        self.last = over.then_some(now);
    }
}

/// Deletes some keys if memory is full; false if it is not, or nothing may be deleted.
async fn make_room(shared: &Arc<Shared>, exceeded: &mut Exceeded) -> bool {
    let (over, victims) = victims(shared);
    exceeded.look(over, Instant::now(), &shared.stats);
    shared
        .out_of_memory
        .store(over && victims.is_empty(), Ordering::Relaxed);
    if victims.is_empty() {
        return false;
    }
    let request = Request {
        protocol: 2,
        evicted: victims,
        ..Request::default()
    };
    let (done, wait) = oneshot::channel();
    // Refused, the keys stay, and are chosen again or not.
    shared.router.propose(
        request,
        Box::new(move |outcome| {
            // Nobody waits only when the process stops.
            let _ = done.send(outcome.is_ok());
        }),
    );
    wait.await.unwrap_or(false)
}

/// Whether memory is full, and keys to be deleted then.
fn victims(shared: &Shared) -> (bool, Vec<EvictedKey>) {
    // Under a writer that holds the lock the next look will do.
    let bytes = shared
        .machine
        .dataset()
        .try_read()
        .map_or(0, |dataset| dataset.bytes_to_evict());
    if bytes == 0 {
        return (false, Vec::new());
    }
    let mut victims = Vec::new();
    let (mut freed, mut empty) = (0, 0);
    let mut dataset = shared.machine.dataset().write();
    for _ in 0..SAMPLES_PER_ENTRY {
        let left = bytes.saturating_sub(freed);
        if left == 0 || empty == EMPTY_SAMPLES {
            break;
        }
        let sample = dataset.victims(left, shared.random());
        empty += usize::from(sample.is_empty());
        freed += sample.iter().map(|victim| victim.bytes).sum::<u64>();
        victims.extend(sample.into_iter().map(|victim| EvictedKey {
            db: victim.db.get().into(),
            key: Bytes::from(victim.key),
        }));
    }
    (true, victims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_between_two_looks_at_full_memory_counts() {
        let (stats, mut exceeded) = (Stats::default(), Exceeded::default());
        let start = Instant::now();
        for (at_us, over) in [(0, true), (5, true), (7, true), (9, false), (20, true)] {
            exceeded.look(over, start + Duration::from_micros(at_us), &stats);
        }
        assert_eq!(stats.eviction_exceeded_us.load(Ordering::Relaxed), 7);
    }
}
