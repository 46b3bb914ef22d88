//! The tail of the log in memory.

use std::collections::VecDeque;

use raft::eraftpb::Entry;
use raft::util::entry_approximate_size;

use crate::ids::{LogIndex, Term};

/// A contiguous run of entries that ends with the log's newest. May be empty.
#[derive(Default)]
pub(super) struct LogCache {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl LogCache {
    /// Bytes of its entries.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest index in it.
    pub(super) fn first_index(&self) -> Option<LogIndex> {
        self.entries.front().map(|entry| LogIndex(entry.index))
    }

    /// The term of the entry at `index`, if it is there.
    pub(super) fn term(&self, index: LogIndex) -> Option<Term> {
        let offset = index.get().checked_sub(self.first_index()?.get())?;
        self.entries
            .get(usize::try_from(offset).ok()?)
            .map(|entry| Term(entry.term))
    }

    /// The entries from `low` on that are there, in order. `low` must not be below the first.
    pub(super) fn from(&self, low: LogIndex) -> impl Iterator<Item = &Entry> {
        let first = self.first_index().unwrap_or(low);
        let skip = usize::try_from(low.get().saturating_sub(first.get())).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }

    /// Adds `entries`, which are contiguous; cached entries at and after their first index are stale and go. Returns the
    /// bytes of those.
    pub(super) fn append(&mut self, entries: &[Entry]) -> usize {
        let Some(first) = entries.first() else {
            return 0;
        };
        let mut stale = 0;
        while self
            .entries
            .back()
            .is_some_and(|entry| entry.index >= first.index)
        {
            stale += self
                .entries
                .pop_back()
                .as_ref()
                .map_or(0, entry_approximate_size);
        }
        self.bytes -= stale;
        if self
            .entries
            .back()
            .is_some_and(|entry| entry.index + 1 != first.index)
        {
            self.clear();
        }
        for entry in entries {
            self.bytes += entry_approximate_size(entry);
            self.entries.push_back(entry.clone());
        }
        stale
    }

    /// Drops the oldest entries while there are more than `limit_bytes`, but none above `applied`.
    pub(super) fn shrink(&mut self, applied: LogIndex, limit_bytes: usize) {
        while self.bytes > limit_bytes && self.first_index().is_some_and(|first| first <= applied) {
            self.pop_front();
        }
    }

    /// Drops the entries up to `index`.
    pub(super) fn compact(&mut self, index: LogIndex) {
        while self.first_index().is_some_and(|first| first <= index) {
            self.pop_front();
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry_approximate_size(&entry);
        }
        // A burst must not pin its memory for ever.
        if self.entries.capacity() > 4096 && self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
        range
            .map(|index| Entry {
                index,
                term,
                data: vec![0; 88].into(),
                ..Default::default()
            })
            .collect()
    }

    fn indexes(cache: &LogCache) -> Vec<u64> {
        cache.from(LogIndex(0)).map(|entry| entry.index).collect()
    }

    #[test]
    fn a_conflict_replaces_the_tail() {
        let mut cache = LogCache::default();
        cache.append(&entries(1..=5, 1));
        assert_eq!(cache.append(&entries(3..=4, 2)), 300);
        assert_eq!(indexes(&cache), [1, 2, 3, 4]);
        assert_eq!(cache.term(LogIndex(2)), Some(Term(1)));
        assert_eq!(cache.term(LogIndex(3)), Some(Term(2)));
        assert_eq!(cache.term(LogIndex(5)), None);
        assert_eq!(cache.bytes(), 400);
    }

    #[test]
    fn it_keeps_what_is_not_applied() {
        let mut cache = LogCache::default();
        cache.append(&entries(1..=10, 1));
        cache.shrink(LogIndex(4), 100);
        assert_eq!(indexes(&cache), [5, 6, 7, 8, 9, 10]);
        cache.shrink(LogIndex(10), 250);
        assert_eq!(indexes(&cache), [9, 10]);
        assert_eq!(cache.term(LogIndex(8)), None);
        cache.compact(LogIndex(9));
        assert_eq!(indexes(&cache), [10]);
        assert_eq!(cache.bytes(), 100);
    }

    #[test]
    fn a_gap_starts_it_anew() {
        let mut cache = LogCache::default();
        cache.append(&entries(1..=3, 1));
        cache.append(&entries(8..=9, 2));
        assert_eq!(indexes(&cache), [8, 9]);
        assert_eq!(cache.bytes(), 200);
    }
}
