//! Memory that another thread has freed comes back.
//!
//! mimalloc gives a page back when the thread that has allocated it looks at it again, which a thread that has nothing more to do
//! never does: after DEL of a huge set, which the checkpoint thread frees, all of it stayed resident. So whoever frees much that
//! others have allocated asks all to look, and each does so when it is about to wait, but for no more than a hundredth of its time:
//! it looks at every page that it has, a few milliseconds for 10 GB.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A thread does not look again for so many times as long as it took. What it is asked meanwhile it does afterwards.
const PAUSE_PER_LOOK: u32 = 100;

/// Nor for less than this: what was freed a moment ago is not the last.
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// How the allocator is told to look. Nothing happens without, in programs that have another one.
static COLLECT: OnceLock<fn()> = OnceLock::new();

/// How often was asked.
static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static ANSWERED: Cell<u64> = const { Cell::new(0) };
    static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// `collect` gives back what others have freed of the memory that the calling thread has allocated. The first call counts.
pub(super) fn install(collect: fn()) {
    COLLECT.get_or_init(|| collect);
}

/// Much was freed that other threads have allocated: each gives it back when it calls [`collect_if_asked`] the next time.
pub fn ask_all() {
    ASKED.fetch_add(1, Ordering::Relaxed);
}

/// To be called by a thread that is about to wait.
pub fn collect_if_asked() {
    let asked = ASKED.load(Ordering::Relaxed);
    if ANSWERED.get() != asked {
        collect_at(Instant::now(), asked);
    }
}

fn collect_at(started: Instant, asked: u64) {
    if NEXT.get().is_none_or(|next| started >= next) {
        ANSWERED.set(asked);
        if let Some(collect) = COLLECT.get() {
            collect();
        }
        let took = started.elapsed();
        NEXT.set(Some(started + (took * PAUSE_PER_LOOK).max(MIN_PAUSE)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn every_thread_collects_when_it_was_asked_and_not_again_at_once() {
        install(|| COUNT.set(COUNT.get() + 1));
        for _ in 0..2 {
            let thread = std::thread::spawn(|| {
                ask_all();
                let started = Instant::now();
                collect_if_asked();
                assert_eq!(COUNT.get(), 1);
                let asked = ANSWERED.get() + 1;
                collect_at(started + MIN_PAUSE / 2, asked);
                assert_eq!(COUNT.get(), 1, "not again at once");
                collect_at(NEXT.get().expect("it has collected"), asked);
                assert_eq!((COUNT.get(), ANSWERED.get()), (2, asked));
            });
            thread.join().expect("nothing is wrong there");
        }
    }
}
