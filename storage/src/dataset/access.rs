//! When and how often an object was used: 32 bits that readers update under the shared lock.

use std::sync::atomic::{AtomicU32, Ordering};

const COUNTER_BITS: u32 = 8;
const COUNTER_MASK: u32 = (1 << COUNTER_BITS) - 1;
const SECONDS_MASK: u32 = (1 << 24) - 1;

/// A new object starts here, so that it is not the first to go before it had a chance.
const INITIAL_COUNTER: u32 = 5;
/// Redis's `lfu-log-factor`: how much more rarely the counter rises the higher it is.
const LOG_FACTOR: u64 = 10;
/// Redis's `lfu-decay-time`: one step down per so many seconds without use.
const DECAY_SECONDS: u32 = 60;

/// Seconds of the last use (24 bits, wrapping after 194 days, as Redis's LRU clock) and a logarithmic counter of uses
/// (8 bits, as Redis's LFU). No command's outcome on data depends on it, so replicas need not agree.
#[derive(Debug)]
pub(super) struct Access(AtomicU32);

impl Access {
    /// Of an object made now.
    pub(super) fn new(now_ms: u64) -> Self {
        Self(AtomicU32::new(
            seconds(now_ms) << COUNTER_BITS | INITIAL_COUNTER,
        ))
    }

    /// Notes a use. `random` decides whether the counter rises.
    #[inline]
    pub(super) fn touch(&self, now_ms: u64, random: u64) {
        let old = self.0.load(Ordering::Relaxed);
        let mut counter = decayed(old, now_ms);
        let unlikely = u64::from(counter.saturating_sub(INITIAL_COUNTER)) * LOG_FACTOR + 1;
        if counter < COUNTER_MASK && (random >> 32) * unlikely < 1 << 32 {
            counter += 1;
        }
        let new = seconds(now_ms) << COUNTER_BITS | counter;
        if new != old {
            // Two readers at once may lose one of two steps: it is a statistic.
            self.0.store(new, Ordering::Relaxed);
        }
    }

    /// Makes it look as if the last use was `idle_ms` ago, or as if it was used so often.
    pub(super) fn pretend(&self, now_ms: u64, idle_ms: Option<u64>, counter: Option<u8>) {
        let used_ms = now_ms.saturating_sub(idle_ms.unwrap_or(0));
        let counter = counter.map_or_else(
            || decayed(self.0.load(Ordering::Relaxed), now_ms),
            u32::from,
        );
        self.0.store(
            seconds(used_ms) << COUNTER_BITS | counter,
            Ordering::Relaxed,
        );
    }

    /// Milliseconds since the last use, in steps of a second.
    pub(super) fn idle_ms(&self, now_ms: u64) -> u64 {
        u64::from(idle_seconds(self.0.load(Ordering::Relaxed), now_ms)) * 1000
    }

    /// The counter of uses as it has decayed by now.
    pub(super) fn frequency(&self, now_ms: u64) -> u8 {
        decayed(self.0.load(Ordering::Relaxed), now_ms) as u8
    }
}

impl Clone for Access {
    fn clone(&self) -> Self {
        Self(AtomicU32::new(self.0.load(Ordering::Relaxed)))
    }
}

fn seconds(now_ms: u64) -> u32 {
    (now_ms / 1000) as u32 & SECONDS_MASK
}

fn idle_seconds(word: u32, now_ms: u64) -> u32 {
    seconds(now_ms).wrapping_sub(word >> COUNTER_BITS) & SECONDS_MASK
}

fn decayed(word: u32, now_ms: u64) -> u32 {
    (word & COUNTER_MASK).saturating_sub(idle_seconds(word, now_ms) / DECAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn idle_time_restarts_with_a_use() {
        let access = Access::new(1_000_000);
        assert_eq!(access.idle_ms(1_000_900), 0);
        assert_eq!(access.idle_ms(1_007_000), 7000);
        access.touch(1_007_000, u64::MAX);
        assert_eq!(access.idle_ms(1_009_000), 2000);
    }

    #[test]
    fn frequency_rises_slowly_and_decays() {
        let access = Access::new(0);
        let mut state = 1;
        for _ in 0..100 {
            access.touch(0, random::next(&mut state));
        }
        let hundred = access.frequency(0);
        for _ in 0..100_000 {
            access.touch(0, random::next(&mut state));
        }
        let many = access.frequency(0);
        assert!(hundred > 5 && hundred < 20, "{hundred}");
        assert!(many > 100 && many < 200, "{many}");
        assert_eq!(access.frequency(10 * 60_000), many - 10);
        assert_eq!(access.frequency(300 * 60_000), 0);
    }

    #[test]
    fn idle_time_and_frequency_can_be_told() {
        let access = Access::new(5_000_000);
        access.pretend(5_000_000, Some(1_000_000), None);
        assert_eq!(access.idle_ms(5_000_000), 1_000_000);
        access.pretend(5_000_000, None, Some(100));
        assert_eq!(
            (access.idle_ms(5_000_000), access.frequency(5_000_000)),
            (0, 100)
        );
    }

    #[test]
    fn the_clock_wraps() {
        let near_end_ms = u64::from(SECONDS_MASK) * 1000;
        let access = Access::new(near_end_ms);
        assert_eq!(access.idle_ms(near_end_ms + 3000), 3000);
    }
}
