//! The two clocks that the Raft core is given from outside: it never reads one itself.

use std::time::{SystemTime, UNIX_EPOCH};

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
