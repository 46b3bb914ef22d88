//! How old this Store's memory may be: what makes stale reads bounded.
//!
//! A round of ReadIndex that has ended proves that memory reflects everything that was acknowledged before the round began,
//! anywhere. So memory is never older than the beginning of the last round that succeeded. Reads that accept a bound start
//! a round when half of it has passed, and wait only when all of it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::shared::Shared;
use crate::raftstore::clock::monotonic_ns;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Freshness {
    /// When the last successful round began; 0: none did.
    proven_ns: AtomicU64,
    /// A round is under way.
    asking: AtomicBool,
    ended: Notify,
}

impl Freshness {
    /// Whether memory reflects everything that was acknowledged longer than `bound` ago.
    pub fn is_within(&self, bound: Duration) -> bool {
        match self.proven_ns.load(Ordering::Acquire) {
            0 => false,
            proven => u128::from(monotonic_ns().saturating_sub(proven)) <= bound.as_nanos(),
        }
    }

    fn end(&self, began_ns: u64, proves: bool) {
        if proves {
            self.proven_ns.fetch_max(began_ns, Ordering::Release);
        }
        self.asking.store(false, Ordering::Release);
        self.ended.notify_waiters();
    }
}

/// Ready when memory is within the bound; false if that could not be shown within the bound.
pub async fn within(shared: &Shared, bound: Duration) -> bool {
    let freshness = &shared.freshness;
    if !freshness.is_within(bound / 2) {
        ask(shared);
    }
    if freshness.is_within(bound) {
        return true;
    }
    let shown = async {
        loop {
            let ended = freshness.ended.notified();
            tokio::pin!(ended);
            // Listens before it looks, so that an end in between is not missed.
            ended.as_mut().enable();
            if freshness.is_within(bound) {
                return;
            }
            ask(shared);
            ended.await;
            // A round that fails at once, for want of a leader, is not asked again without a pause.
            if !freshness.is_within(bound) {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        }
    };
    tokio::time::timeout(bound, shown).await.is_ok()
}

/// Between two rounds while none succeeds.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Starts a round unless one is under way.
fn ask(shared: &Shared) {
    if shared.freshness.asking.swap(true, Ordering::AcqRel) {
        return;
    }
    let began_ns = monotonic_ns();
    let freshness = Arc::clone(&shared.freshness);
    shared.router.read_index(Box::new(move |result| {
        freshness.end(began_ns, result.is_ok())
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_round_that_succeeded_proves_anything() {
        let freshness = Freshness::default();
        let bound = Duration::from_secs(60);
        assert!(!freshness.is_within(bound));
        let now = monotonic_ns();
        freshness.end(now, false);
        assert!(!freshness.is_within(bound));
        freshness.end(now, true);
        assert!(freshness.is_within(bound));
        let old = Freshness::default();
        old.end(now - 61_000_000_000, true);
        assert!(!old.is_within(bound));
        old.end(now, true);
        old.end(now - 61_000_000_000, true);
        assert!(
            old.is_within(bound),
            "a later round counts, whatever ends last"
        );
    }
}
