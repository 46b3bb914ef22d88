//! What is known of RDB files that this Store wrote: one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds when nothing was saved yet.
const NEVER: u64 = u64::MAX;

/// See the module's page.
#[derive(Debug)]
pub struct Saves {
    /// Unix time in milliseconds when the save under way began; 0: none is.
    began_ms: AtomicU64,
    /// Unix time in milliseconds of the last file; of the start before the first one.
    last_ms: AtomicU64,
    failed: AtomicBool,
    last_seconds: AtomicU64,
    count: AtomicU64,
    /// Of all changes of keys since the start, those that the last file has.
    changes: AtomicU64,
}

/// A save under way. Dropped without [`Saving::succeeded`] it has failed.
pub struct Saving {
    saves: Arc<Saves>,
}

/// What INFO tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavesFacts {
    /// Seconds that the save under way has taken so far; none: none is.
    pub current_seconds: Option<u64>,
    /// Unix time in seconds of the last file; of the start before the first one.
    pub last_time_seconds: u64,
    /// How long the last one took; none before the first one.
    pub last_seconds: Option<u64>,
    /// The last one failed.
    pub failed: bool,
    /// Files written since the start.
    pub count: u64,
    /// Of all changes of keys since the start, those that the last file has.
    pub changes: u64,
}

impl Default for Saves {
    fn default() -> Self {
        Self {
            began_ms: AtomicU64::new(0),
            last_ms: AtomicU64::new(unix_ms()),
            failed: AtomicBool::new(false),
            last_seconds: AtomicU64::new(NEVER),
            count: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| since.as_millis() as u64)
}

impl Saves {
    /// Begins a save; none while another one is under way.
    pub fn begin(self: &Arc<Self>) -> Option<Saving> {
        let free =
            self.began_ms
                .compare_exchange(0, unix_ms(), Ordering::AcqRel, Ordering::Acquire);
        free.ok().map(|_| Saving {
            saves: Arc::clone(self),
        })
    }

    /// The facts of this moment.
    pub fn facts(&self) -> SavesFacts {
        let began_ms = self.began_ms.load(Ordering::Acquire);
        let last_seconds = self.last_seconds.load(Ordering::Relaxed);
        SavesFacts {
            current_seconds: (began_ms > 0).then(|| unix_ms().saturating_sub(began_ms) / 1000),
            last_time_seconds: self.last_ms.load(Ordering::Relaxed) / 1000,
            last_seconds: (last_seconds != NEVER).then_some(last_seconds),
            failed: self.failed.load(Ordering::Relaxed),
            count: self.count.load(Ordering::Relaxed),
            changes: self.changes.load(Ordering::Relaxed),
        }
    }
}

impl Saving {
    /// The file is complete and durable, and has the first so many changes since the start.
    pub fn succeeded(self, changes: u64) {
        let saves = &self.saves;
        saves.changes.store(changes, Ordering::Relaxed);
        saves.last_ms.store(unix_ms(), Ordering::Relaxed);
        saves.count.fetch_add(1, Ordering::Relaxed);
        self.end(false);
    }

    fn end(&self, failed: bool) {
        let saves = &self.saves;
        let began_ms = saves.began_ms.load(Ordering::Acquire);
        if began_ms == 0 {
            return;
        }
        let seconds = unix_ms().saturating_sub(began_ms) / 1000;
        saves.last_seconds.store(seconds, Ordering::Relaxed);
        saves.failed.store(failed, Ordering::Relaxed);
        saves.began_ms.store(0, Ordering::Release);
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        self.end(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_save_at_a_time() {
        let saves = Arc::new(Saves::default());
        assert_eq!(saves.facts().current_seconds, None);
        let saving = saves.begin().expect("none is under way");
        assert!(saves.begin().is_none());
        assert_eq!(saves.facts().current_seconds, Some(0));
        drop(saving);
        assert!(saves.facts().failed);
        assert_eq!(saves.facts().count, 0);
        saves.begin().expect("the other one has ended").succeeded(5);
        let facts = saves.facts();
        assert!(!facts.failed && facts.current_seconds.is_none());
        assert_eq!((facts.count, facts.last_seconds), (1, Some(0)));
        assert_eq!(facts.changes, 5);
    }
}
