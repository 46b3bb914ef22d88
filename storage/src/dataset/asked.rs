//! Elements' records that wait to be written, in the order of their keys: of those large collections of which somebody has asked for
//! them. Commands on a collection in memory never do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::record::ELEMENTS_PREFIX_BYTES;
use super::scored::ElementsPrefix;

/// What a record in order takes besides its key, about.
const ORDERED_BYTES: usize = 40;

/// See the module. `P` is where a record is.
pub(super) struct Asked<P> {
    orders: Mutex<Orders<P>>,
    any: AtomicBool,
    /// Taken by keys in order.
    bytes: AtomicUsize,
}

struct Orders<P> {
    prefixes: BTreeSet<ElementsPrefix>,
    elements: BTreeMap<Box<[u8]>, P>,
}

impl<P> Default for Asked<P> {
    fn default() -> Self {
        Self {
            orders: Mutex::new(Orders {
                prefixes: BTreeSet::new(),
                elements: BTreeMap::new(),
            }),
            any: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
        }
    }
}

impl<P: Copy> Asked<P> {
    /// Whether there are any orders: then they have to be told what is written.
    #[inline]
    pub(super) fn has_any(&mut self) -> bool {
        *self.any.get_mut()
    }

    /// Bytes taken, about.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A record was written, with this engine key, at this place.
    pub(super) fn wrote(&mut self, key: impl Fn() -> Vec<u8>, prefix: &[u8], place: P) {
        let orders = self.orders.get_mut();
        if prefix
            .first_chunk::<ELEMENTS_PREFIX_BYTES>()
            .is_some_and(|prefix| orders.prefixes.contains(prefix))
        {
            let key = key();
            let bytes = key.len() + ORDERED_BYTES;
            // What is written again is in order already.
            if orders.elements.insert(key.into(), place).is_none() {
                *self.bytes.get_mut() += bytes;
            }
        }
    }

    /// Up to `most` records of a collection from an engine key on. `all` gives all its records, which takes long: the first time.
    pub(super) fn some<I: Iterator<Item = (Box<[u8]>, P)>>(
        &self,
        prefix: &ElementsPrefix,
        from: Bound<&[u8]>,
        most: usize,
        all: impl FnOnce() -> I,
    ) -> Vec<(Box<[u8]>, P)> {
        let mut orders = self.orders.lock();
        if orders.prefixes.insert(*prefix) {
            for (key, place) in all() {
                self.bytes
                    .fetch_add(key.len() + ORDERED_BYTES, Ordering::Relaxed);
                orders.elements.insert(key, place);
            }
            self.any.store(true, Ordering::Relaxed);
        }
        let range = orders.elements.range::<[u8], _>((from, Bound::Unbounded));
        let own = range.take_while(|(key, _)| key.starts_with(prefix));
        own.take(most)
            .map(|(key, &place)| (key.clone(), place))
            .collect()
    }
}
