//! When a leader looks for keys and fields whose time has come.
//!
//! Every [`INTERVAL`], as a rule. Where many expire, that would fall behind: so after a look that left something to be found it
//! looks again as soon as what it found is gone, at most every [`BUSY_INTERVAL`], so that commands are executed in between.

use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockReadGuard};
use storage::dataset::Dataset;
use storage::ids::LogIndex;
use storage::proto::command::ExpiredKey;

/// Keys of one DeleteExpired entry: a millisecond or two of execution, for which commands wait.
pub(super) const MAX_EXPIRED_KEYS: usize = 2048;

/// How often it is looked where little expires.
pub const EXPIRE_ROUNDS_PER_SECOND: u64 = 20;
const INTERVAL: Duration = Duration::from_millis(1000 / EXPIRE_ROUNDS_PER_SECOND);

/// How often at most where much does: 2048 keys each time are 200,000 in a second. Not less than a tick of the store thread.
const BUSY_INTERVAL: Duration = Duration::from_millis(10);

/// After so many looks for which the memory was locked, the next one waits for it: whoever writes all the time would keep
/// everything that has expired there.
const MAX_MISSED: u32 = 8;

/// How long it waits then.
const LOCK_LIMIT: Duration = Duration::from_millis(2);

/// See the module's page.
pub(super) struct ExpiryPace {
    due: Instant,
    /// The entry that removes what was found last. Before it is executed the same would be found again.
    removal: Option<LogIndex>,
    missed: u32,
}

impl ExpiryPace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now,
            removal: None,
            missed: 0,
        }
    }

    /// Whether it is time to look, when everything up to `applied` is executed.
    pub(super) fn is_due(&self, applied: LogIndex, now: Instant) -> bool {
        now >= self.due && self.removal.is_none_or(|index| applied >= index)
    }

    /// The memory to look at; none while it is locked, because what has expired is invisible anyway and can wait.
    pub(super) fn lock<'a>(
        &mut self,
        dataset: &'a RwLock<Dataset>,
        now: Instant,
    ) -> Option<RwLockReadGuard<'a, Dataset>> {
        let locked = if self.missed < MAX_MISSED {
            dataset.try_read()
        } else {
            dataset.try_read_for(LOCK_LIMIT)
        };
        match &locked {
            Some(_) => self.missed = 0,
            None => self.locked_out(now),
        }
        locked
    }

    fn locked_out(&mut self, now: Instant) {
        self.missed += 1;
        self.due = now + BUSY_INTERVAL;
    }

    /// Notes what a look found.
    pub(super) fn found(&mut self, keys: &[ExpiredKey], now: Instant) {
        self.removal = None;
        // Of one hash, an entry removes some thousand fields.
        let left = keys.len() >= MAX_EXPIRED_KEYS || keys.iter().any(|key| key.fields);
        self.due = now + if left { BUSY_INTERVAL } else { INTERVAL };
    }

    /// Notes the entry that removes what was found, if one was proposed.
    pub(super) fn removed_by(&mut self, removal: Option<LogIndex>) {
        self.removal = removal;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    fn keys(count: usize) -> Vec<ExpiredKey> {
        vec![ExpiredKey::default(); count]
    }

    /// Ticks until `expired` keys are gone, when an entry is executed so many ticks after it was proposed and every look but one in
    /// `free_one_in` finds the memory locked.
    fn ticks_to_remove(mut expired: usize, execution_ticks: u64, free_one_in: u64) -> u64 {
        let start = Instant::now();
        let mut pace = ExpiryPace::new(start);
        let (mut applied, mut proposed) = (0, None);
        for tick in 0..1_000_000 {
            let now = start + TICK * tick as u32;
            if let Some((at, count)) = proposed
                && tick >= at
            {
                (applied, proposed) = (applied + 1, None);
                expired -= count;
                if expired == 0 {
                    return tick;
                }
            }
            if !pace.is_due(LogIndex(applied), now) {
                continue;
            }
            if !tick.is_multiple_of(free_one_in) {
                pace.locked_out(now);
                continue;
            }
            assert!(proposed.is_none(), "the same keys would be found twice");
            let count = expired.min(MAX_EXPIRED_KEYS);
            proposed = Some((tick + execution_ticks, count));
            pace.found(&keys(count), now);
            pace.removed_by(Some(LogIndex(applied + 1)));
        }
        panic!("{expired} keys are left");
    }

    #[test]
    fn a_million_expired_keys_are_gone_within_seconds() {
        let seconds = |ticks: u64| ticks / 100;
        assert!(seconds(ticks_to_remove(1_000_000, 1, 1)) < 10);
        assert!(
            seconds(ticks_to_remove(1_000_000, 5, 1)) < 30,
            "a slow disk"
        );
        assert!(
            seconds(ticks_to_remove(1_000_000, 1, 7)) < 40,
            "writes that keep the memory locked"
        );
    }

    #[test]
    fn where_little_expires_it_is_looked_seldom() {
        let start = Instant::now();
        let mut pace = ExpiryPace::new(start);
        assert!(pace.is_due(LogIndex(0), start));
        pace.found(&keys(3), start);
        pace.removed_by(Some(LogIndex(1)));
        assert!(!pace.is_due(LogIndex(1), start + TICK));
        assert!(!pace.is_due(LogIndex(0), start + INTERVAL), "not executed");
        assert!(pace.is_due(LogIndex(1), start + INTERVAL));
        let mut fields = keys(1);
        fields[0].fields = true;
        pace.found(&fields, start);
        assert!(pace.is_due(LogIndex(0), start + BUSY_INTERVAL));
    }

    #[test]
    fn a_memory_that_is_always_locked_is_waited_for() {
        let start = Instant::now();
        let mut pace = ExpiryPace::new(start);
        for missed in 1..=MAX_MISSED {
            pace.locked_out(start);
            assert_eq!(pace.missed, missed);
        }
        assert!(pace.is_due(LogIndex(0), start + BUSY_INTERVAL));
    }
}
