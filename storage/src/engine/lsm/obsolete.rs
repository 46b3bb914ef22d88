//! Removal of pairs that nobody can see any more, while the LSM compacts anyway.
//!
//! Log entries that a table holds are removed this way: a filter costs nothing until a compaction reads the entry, and then
//! saves writing it. Those still in memory are deleted by [`super::trim`], so that few get into a table at all. Either
//! is correct because reads below the truncated index are refused before they reach the engine, so it does not matter
//! when, or whether, an entry disappears.

use std::collections::BTreeMap;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};

use super::reclaim;
use super::writeback::Writeback;

/// `filter(key, value)` is true when the pair, and every older value of the same key, can never be seen again in the
/// state that is on the disk. What is only deleted in memory, and would be back after a crash, must be kept: replay
/// from the last checkpoint needs it. Runs on the LSM's threads; must not panic or block.
pub type ObsoleteFilter =
    Arc<dyn Fn(&[u8], &[u8]) -> bool + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// What an engine may drop.
pub(super) struct Obsolete {
    filter: Option<ObsoleteFilter>,
    /// Forgotten ranges, start to end.
    forgotten: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Where compactions make tables; known once the keyspace is open.
    tables: OnceLock<PathBuf>,
}

impl Obsolete {
    pub(super) fn new(filter: Option<ObsoleteFilter>) -> Self {
        Self {
            filter,
            forgotten: RwLock::default(),
            tables: OnceLock::new(),
        }
    }

    /// Compactions make their tables here.
    pub(super) fn set_tables(&self, tables: PathBuf) {
        // Set before: by the same opening, to the same.
        let _ = self.tables.set(tables);
    }

    /// Notes a range; answers where the part of it begins that was not forgotten before. Nothing for the first range of
    /// its start: that one is as old as the directory.
    pub(super) fn forget(&self, start: &[u8], end: &[u8]) -> Option<Vec<u8>> {
        let mut forgotten = self
            .forgotten
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        forgotten.insert(start.to_vec(), end.to_vec())
    }

    pub(super) fn factory(self: &Arc<Self>) -> Arc<dyn Factory> {
        Arc::new(FilterFactory {
            obsolete: Arc::clone(self),
        })
    }
}

struct FilterFactory {
    obsolete: Arc<Obsolete>,
}

impl Factory for FilterFactory {
    fn name(&self) -> &str {
        "obsolete"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        let forgotten = self
            .obsolete
            .forgotten
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Box::new(Filter {
            filter: self.obsolete.filter.clone(),
            forgotten: forgotten.clone(),
            writeback: self.obsolete.tables.get().cloned().map(Writeback::new),
            stop: reclaim::stop_of_this_thread(),
        })
    }
}

/// One compaction's filter: the ranges are those of its beginning.
struct Filter {
    filter: Option<ObsoleteFilter>,
    forgotten: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Sees what the compaction writes.
    writeback: Option<Writeback>,
    /// Breaks the compaction off once it is true.
    stop: Option<Arc<AtomicBool>>,
}

impl Filter {
    fn is_forgotten(&self, key: &[u8]) -> bool {
        let range = (std::ops::Bound::Unbounded, std::ops::Bound::Included(key));
        self.forgotten
            .range::<[u8], _>(range)
            .next_back()
            .is_some_and(|(_, end)| end.is_empty() || key < end.as_slice())
    }
}

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        if let Some(stop) = &self.stop
            && stop.load(Ordering::Relaxed)
        {
            return Err(reclaim::broken_off());
        }
        let key = item.key();
        // Destroy leaves no tombstone, so an older value of the key may come back: harmless, it is as obsolete.
        if self.is_forgotten(key) {
            return Ok(Verdict::Destroy);
        }
        let value = item.value()?;
        if let Some(filter) = &self.filter
            && filter(key, &value)
        {
            return Ok(Verdict::Destroy);
        }
        if let Some(writeback) = &mut self.writeback {
            writeback.wrote(key.len() + value.len());
        }
        Ok(Verdict::Keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgotten_ranges_are_half_open_and_replaced() {
        let obsolete = Obsolete::new(None);
        obsolete.forget(b"b", b"d");
        obsolete.forget(b"x", b"");
        let filter = |obsolete: &Obsolete| Filter {
            filter: None,
            forgotten: obsolete.forgotten.read().unwrap().clone(),
            writeback: None,
            stop: None,
        };
        let now = filter(&obsolete);
        let forgotten: Vec<&str> = ["a", "b", "c", "d", "w", "x", "z"]
            .into_iter()
            .filter(|key| now.is_forgotten(key.as_bytes()))
            .collect();
        assert_eq!(forgotten, ["b", "c", "x", "z"]);
        obsolete.forget(b"b", b"e");
        assert!(filter(&obsolete).is_forgotten(b"d"));
        assert_eq!(obsolete.forgotten.read().unwrap().len(), 2);
    }
}
