//! Removal of expired keys that reads meet.
//!
//! A key is invisible from its time on, but it takes room, is counted, and nobody has been told that it expired, until an
//! entry removes it. The leader's own search finds keys within tens of milliseconds; a key that a client asks for is to
//! vanish at once, also where that search is switched off or has not got to it. So a read that meets one has its removal
//! proposed, and does not wait for it. Only what counts keys (DBSIZE, INFO) waits, so that a client that met an expired
//! key and then counts does not find it. The same goes for a hash of which fields have expired ([`ExpiredKey::fields`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use storage::proto::command::{ExpiredKey, Request};
use tokio::sync::Notify;

use crate::raftstore::RaftRouter;

/// Keys whose removal is under way at once. Further ones are left to the next read or to the leader's search.
const MAX_KEYS: usize = 16 << 10;

/// Longest wait of what counts keys: without a majority nothing is removed, and counting must still answer.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// Removals under way.
#[derive(Default)]
pub struct LazyExpiry {
    under_way: Mutex<UnderWay>,
    /// Their number, to be looked at without the lock.
    count: AtomicUsize,
    finished: Notify,
}

#[derive(Default)]
struct UnderWay {
    last: u64,
    proposals: BTreeSet<u64>,
    keys: BTreeSet<(u32, Bytes)>,
}

/// One proposal; its end is noted however it ends.
struct Removal {
    lazy_expiry: Arc<LazyExpiry>,
    number: u64,
    keys: Vec<(u32, Bytes)>,
}

impl Drop for Removal {
    fn drop(&mut self) {
        let mut under_way = self.lazy_expiry.under_way.lock();
        under_way.proposals.remove(&self.number);
        for key in &self.keys {
            under_way.keys.remove(key);
        }
        let count = under_way.proposals.len();
        self.lazy_expiry.count.store(count, Ordering::Release);
        drop(under_way);
        self.lazy_expiry.finished.notify_waiters();
    }
}

impl LazyExpiry {
    /// Proposes the removal of keys that a read met, but for those whose removal is under way. Does not wait.
    pub fn remove(self: &Arc<Self>, router: &RaftRouter, met: Vec<ExpiredKey>) {
        if met.is_empty() {
            return;
        }
        if let Some((removal, expired)) = self.begin(met) {
            let request = Request {
                protocol: 2,
                expired,
                ..Request::default()
            };
            // Refused, the key stays: it is met again, or found.
            router.propose(request, Box::new(move |_| drop(removal)));
        }
    }

    fn begin(self: &Arc<Self>, met: Vec<ExpiredKey>) -> Option<(Removal, Vec<ExpiredKey>)> {
        let mut under_way = self.under_way.lock();
        let mut keys = Vec::new();
        let mut expired = Vec::new();
        for key in met {
            let place = (key.db, key.key.clone());
            if under_way.keys.len() < MAX_KEYS && under_way.keys.insert(place.clone()) {
                keys.push(place);
                expired.push(key);
            }
        }
        if expired.is_empty() {
            return None;
        }
        under_way.last += 1;
        let number = under_way.last;
        under_way.proposals.insert(number);
        self.count
            .store(under_way.proposals.len(), Ordering::Release);
        let removal = Removal {
            lazy_expiry: Arc::clone(self),
            number,
            keys,
        };
        Some((removal, expired))
    }

    /// True when no removal is under way.
    pub fn is_idle(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Ready when the removals that are under way now have ended, or after a bounded time.
    pub async fn settled(&self) {
        if self.is_idle() {
            return;
        }
        let last = self.under_way.lock().last;
        let all_ended = async {
            loop {
                let finished = self.finished.notified();
                tokio::pin!(finished);
                // Listens before it looks, so that an end in between is not missed.
                finished.as_mut().enable();
                if self
                    .under_way
                    .lock()
                    .proposals
                    .range(..=last)
                    .next()
                    .is_none()
                {
                    return;
                }
                finished.await;
            }
        };
        if tokio::time::timeout(SETTLE_LIMIT, all_ended).await.is_err() {
            tracing::debug!("keys are counted while the removal of expired ones still waits");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(names: &[&'static str]) -> Vec<ExpiredKey> {
        let key = |name: &&'static str| ExpiredKey {
            db: 1,
            key: Bytes::from_static(name.as_bytes()),
            expire_at_ms: 5,
            fields: false,
        };
        names.iter().map(key).collect()
    }

    #[test]
    fn a_key_is_removed_once_at_a_time() {
        let lazy_expiry = Arc::new(LazyExpiry::default());
        let (first, expired) = lazy_expiry.begin(met(&["a", "b"])).expect("new keys");
        assert_eq!(expired, met(&["a", "b"]));
        assert!(lazy_expiry.begin(met(&["b"])).is_none());
        let (_second, expired) = lazy_expiry.begin(met(&["b", "c"])).expect("a new key");
        assert_eq!(expired, met(&["c"]));
        drop(first);
        assert!(lazy_expiry.begin(met(&["b"])).is_some(), "it may be back");
    }

    #[tokio::test]
    async fn who_counts_waits_for_what_was_under_way() {
        let lazy_expiry = Arc::new(LazyExpiry::default());
        lazy_expiry.settled().await;
        let (first, _) = lazy_expiry.begin(met(&["a"])).expect("a new key");
        let waiting = tokio::spawn({
            let lazy_expiry = Arc::clone(&lazy_expiry);
            async move { lazy_expiry.settled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // What begins later is not waited for.
        let (_later, _) = lazy_expiry.begin(met(&["b"])).expect("a new key");
        drop(first);
        waiting.await.expect("settled");
        assert!(!lazy_expiry.is_idle());
    }
}
