//! Memory that another thread has freed.
//!
//! mimalloc gives a page back when the thread that has allocated it looks at it again, which a thread that has nothing more to do
//! never does: after DEL of a huge set, which the checkpoint thread frees, all of it stayed resident. So whoever frees much that
//! others have allocated asks all to look, and each does so when it is about to wait.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How the allocator is told to look; the program that chooses the allocator says so. Nothing happens without.
static COLLECT: OnceLock<fn()> = OnceLock::new();

/// How often was asked.
static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static ANSWERED: Cell<u64> = const { Cell::new(0) };
}

/// `collect` gives back what others have freed of the memory that the calling thread has allocated. The first call counts.
pub fn install(collect: fn()) {
    COLLECT.get_or_init(|| collect);
}

/// Much was freed that other threads have allocated: each gives it back when it calls [`collect_if_asked`] the next time.
pub fn ask_all() {
    ASKED.fetch_add(1, Ordering::Relaxed);
}

/// To be called by a thread that is about to wait.
pub fn collect_if_asked() {
    let asked = ASKED.load(Ordering::Relaxed);
    if ANSWERED.replace(asked) != asked
        && let Some(collect) = COLLECT.get()
    {
        collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_collects_once_for_each_time_it_was_asked() {
        static COLLECTED: AtomicU64 = AtomicU64::new(0);
        install(|| {
            COLLECTED.fetch_add(1, Ordering::Relaxed);
        });
        collect_if_asked();
        COLLECTED.store(0, Ordering::Relaxed);
        ask_all();
        collect_if_asked();
        collect_if_asked();
        assert_eq!(COLLECTED.load(Ordering::Relaxed), 1);
        let other = std::thread::spawn(|| {
            collect_if_asked();
            collect_if_asked();
        });
        other.join().expect("it ends");
        assert_eq!(COLLECTED.load(Ordering::Relaxed), 2);
    }
}
