//! Looking ahead: the memory of several keys is fetched at once.
//!
//! A lookup waits for memory four times in a row: slot, tags, place, entry; at a hundred thousand keys and more that is nearly
//! all its time. The waits of different keys do not depend on one another, so reading slot by slot for all keys of a
//! pipelined batch, then tags for all, and so on, waits for them together.

use std::hint::black_box;

use smallvec::SmallVec;

use super::database::Database;
use crate::types::KeyHasher;

/// Keys looked at together. More would push each other out of the first-level cache.
pub const WARM_KEYS: usize = 16;

impl Database {
    /// Brings what lookups of these keys will read into the processor's caches, at most so many keys'; `writes`: and what
    /// writes of them will. Changes nothing.
    pub(super) fn warm<'k>(
        &self,
        hasher: &KeyHasher,
        keys: impl IntoIterator<Item = &'k [u8]>,
        writes: bool,
    ) {
        let keys = keys.into_iter().take(WARM_KEYS);
        let mut read = 0u64;
        let mut at: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for key in keys {
            let position = hasher.position(key);
            if let Some(slot) = self.slot(position.slot) {
                read = read.wrapping_add(slot.len() as u64);
                at.push((slot, position.hash));
            }
        }
        let mut places: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for (slot, hash) in &at {
            places.extend(slot.probable(*hash));
        }
        let mut entries: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for place in places {
            entries.extend(place.entry());
        }
        for entry in entries {
            read = read.wrapping_add(entry.warm());
        }
        if writes {
            for (_, hash) in &at {
                read = read.wrapping_add(self.write_set.warm(*hash) as u64);
            }
        }
        // What was read must look needed, or it is not read.
        black_box(read);
    }
}
