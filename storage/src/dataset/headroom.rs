//! Room for what will soon be in memory and is not counted yet: objects are dropped for it beforehand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Dataset;

/// At most one part in so many of the limit is cleared for it: more would drop what is used, and still not be enough.
const MOST_PARTS: u64 = 2;

/// Bytes that somebody is about to use: a collection on its way into memory, the reply that holds all of it. Given back when dropped.
pub struct Headroom {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Headroom {
    /// Asks for so many in all, instead of what was asked for before.
    pub fn set(&mut self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Headroom {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Dataset {
    /// Of no bytes yet. Whoever lets it grow calls [`Self::drop_cold`] himself, or waits for the next slice of upkeep.
    pub fn headroom(&self) -> Headroom {
        Headroom {
            total: Arc::clone(&self.headroom),
            bytes: 0,
        }
    }

    /// Bytes below the limit of memory that must be free.
    pub(super) fn headroom_bytes(&self) -> u64 {
        let asked = self.headroom.load(Ordering::Relaxed);
        asked.min(self.maxmemory_bytes / MOST_PARTS)
    }
}
