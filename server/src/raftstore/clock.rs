//! The two clocks that the Raft core is given from outside, which it never reads itself, and the time that the Region makes of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// Nanoseconds of a monotonic clock that goes on while the machine is suspended, so that a lease cannot outlive a pause.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

/// Milliseconds of Unix time. May jump; whatever needs monotony makes it so.
pub fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic nanoseconds, from an arbitrary start.
    pub monotonic_ns: u64,
    /// Milliseconds of Unix time.
    pub wall_ms: u64,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self {
            monotonic_ns: monotonic_ns(),
            wall_ms: wall_ms(),
        }
    }
}

/// Behind the Region's time, the clock makes up one part of the elapsed time in so many.
const SLOWER_BY: u64 = 8;

/// The Region's logical time, by which keys expire. It follows the wall clock, and never goes back: when the wall clock is
/// behind (it was set back, or another Store led whose clock is ahead), it goes on by the monotonic clock, a little slower than that
/// until the wall clock has caught up. Standing still instead would keep a lock of ten seconds for as long as the clock
/// was set back.
#[derive(Debug, Default)]
pub struct LogicalTime {
    /// The greatest time that was given or observed.
    latest_ms: AtomicU64,
    bridge: Mutex<Bridge>,
}

/// From where on time is counted while the wall clock is behind.
#[derive(Debug, Default)]
struct Bridge {
    from_ms: u64,
    from_ns: u64,
    given_ms: u64,
}

impl LogicalTime {
    /// The time now, in milliseconds of Unix time; never less than any that was given before.
    pub fn at(&self, now: Now) -> u64 {
        self.of_wall(now.wall_ms)
            .unwrap_or_else(|| self.behind(now))
    }

    /// The time now, if the wall clock says so: nearly always, and then the other clock need not be read. `None`: it is behind.
    #[inline]
    pub fn of_wall(&self, wall_ms: u64) -> Option<u64> {
        let latest_ms = self.latest_ms.load(Ordering::Relaxed);
        if wall_ms > latest_ms {
            self.observe(wall_ms);
        }
        (wall_ms >= latest_ms).then_some(wall_ms)
    }

    /// Somebody else gave this time.
    pub fn observe(&self, ms: u64) {
        self.latest_ms.fetch_max(ms, Ordering::Relaxed);
    }

    #[cold]
    fn behind(&self, now: Now) -> u64 {
        let mut bridge = self.bridge.lock();
        let latest_ms = self.latest_ms.load(Ordering::Relaxed);
        if latest_ms > bridge.given_ms {
            *bridge = Bridge {
                from_ms: latest_ms,
                from_ns: now.monotonic_ns,
                given_ms: latest_ms,
            };
        }
        let elapsed_ms = now.monotonic_ns.saturating_sub(bridge.from_ns) / 1_000_000;
        let bridged_ms = bridge.from_ms + elapsed_ms - elapsed_ms / SLOWER_BY;
        bridge.given_ms = bridge.given_ms.max(bridged_ms).max(now.wall_ms);
        self.observe(bridge.given_ms);
        bridge.given_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn now(elapsed_ms: u64, wall_ms: u64) -> Now {
        Now {
            monotonic_ns: elapsed_ms * 1_000_000,
            wall_ms,
        }
    }

    #[test]
    fn the_wall_clock_is_followed() {
        let time = LogicalTime::default();
        assert_eq!(time.at(now(0, 5_000)), 5_000);
        assert_eq!(time.at(now(10, 5_010)), 5_010);
        assert_eq!(time.at(now(20, HOUR_MS)), HOUR_MS);
    }

    #[test]
    fn time_goes_on_when_the_clock_is_set_back() {
        let time = LogicalTime::default();
        time.at(now(0, 2 * HOUR_MS));
        let mut before = time.at(now(1, HOUR_MS));
        assert_eq!(before, 2 * HOUR_MS);
        for elapsed_ms in 2..20_001 {
            let at_ms = time.at(now(elapsed_ms, HOUR_MS + elapsed_ms));
            assert!(at_ms == before || at_ms == before + 1);
            before = at_ms;
        }
        assert_eq!(before - 2 * HOUR_MS, 20_000 - 20_000 / SLOWER_BY);
        // Eight hours later the clock has caught up.
        let nine = 9 * HOUR_MS;
        assert_eq!(time.at(now(nine, HOUR_MS + nine)), HOUR_MS + nine);
    }

    #[test]
    fn what_another_store_gave_is_not_undercut() {
        let time = LogicalTime::default();
        assert_eq!(time.at(now(0, 1_000)), 1_000);
        time.observe(1_400);
        assert_eq!(time.at(now(10, 1_010)), 1_400);
        assert_eq!(time.at(now(90, 1_090)), 1_470);
        time.observe(1_450);
        assert_eq!(time.at(now(98, 1_098)), 1_477);
        time.observe(1_600);
        assert_eq!(time.at(now(100, 1_100)), 1_600);
        assert_eq!(time.at(now(108, 1_108)), 1_607);
    }
}
