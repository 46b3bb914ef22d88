//! Keeps a flood of the same trouble from flooding the log.

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

/// Lines allowed per window.
const LINES: u64 = 10;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(10);

/// Allows some lines per window and counts the rest.
#[derive(Debug, Default)]
pub(super) struct LogThrottle {
    state: Mutex<Option<(Instant, u64)>>,
}

impl LogThrottle {
    /// `Some(n)` if a line may be written now; `n` lines were kept back before it.
    pub(super) fn allow(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        match &mut *state {
            Some((since, count)) if now - *since < WINDOW => {
                *count += 1;
                (*count <= LINES).then_some(0)
            }
            other => {
                let held_back = other.map_or(0, |(_, count)| count.saturating_sub(LINES));
                *other = Some((now, 1));
                Some(held_back)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINES, LogThrottle, WINDOW};
    use tokio::time::Instant;

    #[test]
    fn a_window_lets_some_lines_through_and_the_next_one_tells_how_many_it_kept_back() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        for _ in 0..LINES {
            assert_eq!(throttle.allow(start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(throttle.allow(start), None);
        }
        assert_eq!(throttle.allow(start + WINDOW), Some(5));
        assert_eq!(throttle.allow(start + WINDOW * 3), Some(0));
    }
}
