//! What is done when writes pause: the changes since the last checkpoint go to the kv engine before they are old or many, and
//! threads give back memory that others have freed.
//!
//! Both cost less now than under load, and a Store at rest takes less memory for it, which otherwise holds what it wrote last three
//! times: in the write set, in the log's memtable and in the log's tail. A restart has less to replay. So that a write now and then
//! does not cause either each time, they wait for enough bytes to have been written. And a process that is busy, with reads or with
//! upkeep of its own, does not rest: a checkpoint would take the time of those who read.

use std::time::{Duration, Instant};

/// Writes have paused when there was none for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// One part in so many of what a checkpoint waits for under load is enough.
const CHECKPOINT_PARTS: usize = 16;

/// A process that takes more than one part in so many of a core is busy.
const BUSY_PARTS: u32 = 4;

/// Bytes of entries from which on it is worth looking for memory that others have freed.
const TIDY_BYTES: usize = 1 << 20;

/// The CPU time that all threads of this process have taken.
pub(super) fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Nothing.
    None,
    /// Start a checkpoint.
    Checkpoint,
    /// Ask all threads to give memory back.
    Tidy,
}

/// Follows how many bytes of entries are executed.
pub(super) struct Rest {
    /// When the last bytes were seen, or a duty was named.
    since: Instant,
    /// The CPU time of the process when it was looked for the first time since then.
    cpu: Option<Duration>,
    /// Executed since the last freeze, as it was seen last.
    seen_bytes: usize,
    /// Executed since memory was given back.
    untidy_bytes: usize,
}

impl Rest {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            cpu: None,
            seen_bytes: 0,
            untidy_bytes: 0,
        }
    }

    /// The pause begins now: what was under way has left memory to be given back.
    pub(super) fn go_on(&mut self, now: Instant) {
        self.since = now;
        self.cpu = None;
    }

    /// Looks, when a checkpoint could start. `applied_bytes` of entries were executed since the last freeze, and what they
    /// changed takes `changed_bytes`; under load a checkpoint would start at `limit_bytes`. `cpu` tells the CPU time of the process.
    pub(super) fn look(
        &mut self,
        now: Instant,
        cpu: impl Fn() -> Duration,
        applied_bytes: usize,
        changed_bytes: usize,
        limit_bytes: usize,
    ) -> Duty {
        if applied_bytes != self.seen_bytes {
            // Fewer: there was a freeze.
            let more = applied_bytes.checked_sub(self.seen_bytes);
            self.untidy_bytes += more.unwrap_or(applied_bytes);
            self.seen_bytes = applied_bytes;
            self.go_on(now);
            return Duty::None;
        }
        let before = *self.cpu.get_or_insert_with(&cpu);
        let paused = now.duration_since(self.since);
        if paused < PAUSE {
            return Duty::None;
        }
        if changed_bytes > 0 && applied_bytes.max(changed_bytes) >= limit_bytes / CHECKPOINT_PARTS {
            let is_busy = cpu().saturating_sub(before) * BUSY_PARTS > paused;
            self.go_on(now);
            return match is_busy {
                true => Duty::None,
                false => Duty::Checkpoint,
            };
        }
        if self.untidy_bytes >= TIDY_BYTES {
            self.go_on(now);
            self.untidy_bytes = 0;
            return Duty::Tidy;
        }
        Duty::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;
    const LIMIT: usize = 16 * MB;

    fn idle() -> Duration {
        Duration::ZERO
    }

    #[test]
    fn a_pause_brings_a_checkpoint_and_then_memory_back() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        let mut applied = 0;
        for _ in 0..100 {
            now += PAUSE / 2;
            applied += MB / 10;
            assert_eq!(rest.look(now, idle, applied, applied, LIMIT), Duty::None);
        }
        now += PAUSE;
        assert_eq!(
            rest.look(now, idle, applied, applied, LIMIT),
            Duty::Checkpoint
        );
        assert_eq!(
            rest.look(now, idle, 0, 0, LIMIT),
            Duty::None,
            "it is under way"
        );
        now += PAUSE;
        assert_eq!(rest.look(now, idle, 0, 0, LIMIT), Duty::Tidy);
        now += PAUSE;
        assert_eq!(rest.look(now, idle, 0, 0, LIMIT), Duty::None, "once");
    }

    #[test]
    fn while_it_is_busy_with_reads_it_does_not_rest() {
        let start = Instant::now();
        let mut now = start;
        let mut rest = Rest::new(now);
        assert_eq!(rest.look(now, idle, LIMIT / 2, MB, LIMIT), Duty::None);
        let busy = |now: Instant| move || (now - start) / 3;
        for _ in 0..100 {
            now += PAUSE / 5;
            let duty = rest.look(now, busy(now), LIMIT / 2, MB, LIMIT);
            assert_eq!(duty, Duty::None);
        }
        let used = busy(now)();
        let mut duties = (0..7).map(|_| {
            now += PAUSE / 5;
            rest.look(now, || used, LIMIT / 2, MB, LIMIT)
        });
        assert!(duties.any(|duty| duty == Duty::Checkpoint));
    }

    #[test]
    fn a_little_now_and_then_is_left_for_later() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        for number in 1..100 {
            now += 2 * PAUSE;
            assert_eq!(rest.look(now, idle, number, number, LIMIT), Duty::None);
            now += 2 * PAUSE;
            assert_eq!(rest.look(now, idle, number, number, LIMIT), Duty::None);
        }
        // Large entries that leave little: they are what a restart replays.
        assert_eq!(rest.look(now, idle, MB, 1, LIMIT), Duty::None);
        now += PAUSE;
        assert_eq!(rest.look(now, idle, MB, 1, LIMIT), Duty::Checkpoint);
    }

    #[test]
    fn what_was_executed_after_a_freeze_counts() {
        let mut now = Instant::now();
        let mut rest = Rest::new(now);
        let _ = rest.look(now, idle, 2 * MB, 0, LIMIT);
        let _ = rest.look(now, idle, MB / 2, 0, LIMIT);
        assert_eq!(rest.untidy_bytes, 2 * MB + MB / 2);
        now += PAUSE;
        assert_eq!(rest.look(now, idle, MB / 2, 0, LIMIT), Duty::Tidy);
    }
}
