//! Sessions that clients may resume, for as long as `tls-session-cache-timeout` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// Length of the time that is stored before a session.
const TIME_BYTES: usize = 8;

/// A bounded number of sessions, each for a bounded time.
#[derive(Debug)]
pub(super) struct Sessions {
    cache: Arc<ServerSessionMemoryCache>,
    start: Instant,
    lifetime: Duration,
}

impl Sessions {
    pub(super) fn new(count: usize, lifetime: Duration) -> Self {
        Self {
            cache: ServerSessionMemoryCache::new(count),
            start: Instant::now(),
            lifetime,
        }
    }

    fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// A stored session without its time, if that has not run out at `now_ms`.
    fn live(&self, stored: &[u8], now_ms: u64) -> Option<Vec<u8>> {
        let (time, session) = stored.split_first_chunk::<TIME_BYTES>()?;
        let age_ms = now_ms.saturating_sub(u64::from_le_bytes(*time));
        (u128::from(age_ms) < self.lifetime.as_millis()).then(|| session.to_vec())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let stored = [&self.now_ms().to_le_bytes()[..], &value].concat();
        self.cache.put(key, stored)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.live(&self.cache.get(key)?, self.now_ms())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.live(&self.cache.take(key)?, self.now_ms())
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_with_its_time() {
        let sessions = Sessions::new(10, Duration::from_millis(500));
        let stored = [&100_u64.to_le_bytes()[..], b"session"].concat();
        assert_eq!(
            sessions.live(&stored, 100).as_deref(),
            Some(&b"session"[..])
        );
        assert_eq!(
            sessions.live(&stored, 599).as_deref(),
            Some(&b"session"[..])
        );
        assert_eq!(sessions.live(&stored, 600), None);
        assert!(sessions.put(b"k".to_vec(), b"v".to_vec()));
        assert_eq!(sessions.get(b"k").as_deref(), Some(&b"v"[..]));
        assert_eq!(sessions.take(b"k").as_deref(), Some(&b"v"[..]));
        assert_eq!(sessions.get(b"k"), None);
    }
}
