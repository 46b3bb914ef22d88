//! Where the records of members with scores are that have changed, by sorted set; and these members in their order, once somebody
//! has asked for it: commands on a set in memory never do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::ranks::RankPlace;
use super::record::ELEMENTS_PREFIX_BYTES;

/// What the engine keys of one set's members begin with.
pub(super) type ElementsPrefix = [u8; ELEMENTS_PREFIX_BYTES];

/// Members that are there, with their scores, in order.
pub(super) type RankOrder = BTreeMap<RankPlace, f64>;

/// What a member in order takes, about.
const ORDERED_BYTES: usize = 72;

/// Changed members of all sorted sets. `P` is where a record is.
pub(super) struct ScoredSets<P> {
    sets: BTreeMap<ElementsPrefix, ScoredSet<P>>,
    /// Sets whose order was asked for.
    ordered: AtomicUsize,
    /// Members in those orders when they were made.
    members: AtomicUsize,
}

struct ScoredSet<P> {
    places: Vec<P>,
    order: Mutex<Option<RankOrder>>,
}

impl<P> Default for ScoredSets<P> {
    fn default() -> Self {
        Self {
            sets: BTreeMap::new(),
            ordered: AtomicUsize::new(0),
            members: AtomicUsize::new(0),
        }
    }
}

impl<P: Copy> ScoredSets<P> {
    /// A member has changed for the first time. Answers whether it is the first one of its set.
    pub(super) fn add(&mut self, prefix: ElementsPrefix, place: P) -> bool {
        let set = self.sets.entry(prefix).or_insert_with(|| ScoredSet {
            places: Vec::new(),
            order: Mutex::new(None),
        });
        set.places.push(place);
        set.places.len() == 1
    }

    /// All records of all sets, in no particular order.
    pub(super) fn places(&self) -> impl Iterator<Item = P> {
        self.sets
            .values()
            .flat_map(|set| set.places.iter().copied())
    }

    /// Bytes that orders take, about.
    pub(super) fn order_bytes(&self) -> usize {
        self.members.load(Ordering::Relaxed) * ORDERED_BYTES
    }

    /// Whether a set's order was asked for: then it has to be told what changes.
    #[inline]
    pub(super) fn has_order(&mut self, prefix: &ElementsPrefix) -> bool {
        *self.ordered.get_mut() > 0
            && self
                .sets
                .get_mut(prefix)
                .is_some_and(|set| set.order.get_mut().is_some())
    }

    /// A member's score has changed.
    pub(super) fn changed(
        &mut self,
        prefix: &ElementsPrefix,
        before: Option<RankPlace>,
        now: Option<(RankPlace, f64)>,
    ) {
        let set = self.sets.get_mut(prefix);
        let Some(order) = set.and_then(|set| set.order.get_mut().as_mut()) else {
            return;
        };
        if let Some(before) = before {
            order.remove(&before);
        }
        order.extend(now);
    }

    /// Gives `read` the changed members of a set that are there, in order, made from their records if nobody has asked before.
    pub(super) fn in_order<R>(
        &self,
        prefix: &ElementsPrefix,
        ranked: impl FnMut(P) -> Option<(RankPlace, f64)>,
        read: impl FnOnce(&RankOrder) -> R,
    ) -> Option<R> {
        let set = self.sets.get(prefix)?;
        let mut order = set.order.lock();
        let order = order.get_or_insert_with(|| {
            let order: RankOrder = set.places.iter().copied().filter_map(ranked).collect();
            self.ordered.fetch_add(1, Ordering::Relaxed);
            self.members.fetch_add(order.len(), Ordering::Relaxed);
            order
        });
        Some(read(order))
    }
}
