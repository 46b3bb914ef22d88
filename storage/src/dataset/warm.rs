//! Looking ahead: the memory of several keys, and of elements of large collections, is fetched at once.
//!
//! A lookup waits for memory several times in a row: slot, segment, hashes, place, entry; at a hundred thousand keys and more
//! that is nearly all its time. The waits of different keys do not depend on one another, so reading slot by slot for all keys
//! of a pipelined batch, then segments for all, and so on, waits for them together. Elements of large collections are found
//! likewise.

use std::hint::black_box;

use smallvec::SmallVec;

use super::collection::Collected;
use super::database::Database;
use super::entry::Entry;
use super::position::Position;
use super::record::{ElementPlace, PhysicalDb, RecordKey};
use crate::types::{KeyHasher, Kind};

/// Keys looked at together. More would push each other out of the first-level cache.
pub const WARM_KEYS: usize = 16;

/// What a command is about to look at: its key, and the arguments behind it.
pub type Ahead<'k> = (&'k [u8], &'k [&'k [u8]]);

/// An element that a command is about to look for.
struct Element<'a> {
    object: &'a Collected,
    place: ElementPlace,
    hash: u32,
    bytes: &'a [u8],
}

impl Database {
    /// Brings what these commands, at most so many, will read into the processor's caches; `writes`: and what writes will.
    /// `found` is told where each key is. Changes nothing.
    pub(super) fn warm<'k>(
        &self,
        hasher: &KeyHasher,
        db: PhysicalDb,
        commands: impl IntoIterator<Item = Ahead<'k>>,
        writes: bool,
        mut found: impl FnMut(&'k [u8], Position),
    ) {
        let mut read = 0u64;
        let mut positions: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        let mut last = None;
        // Hashing takes so long that the processor would see one or two keys ahead; so it is done before anything is waited for.
        for (key, args) in commands.into_iter().take(WARM_KEYS) {
            let position = match last {
                Some((same, position)) if same == key => position,
                _ => hasher.position(key),
            };
            last = Some((key, position));
            found(key, position);
            positions.push((position, args));
        }
        let mut at: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for &(position, args) in &positions {
            if let Some(slot) = self.slot(position.slot) {
                read = read.wrapping_add(slot.len() as u64);
                at.push((slot, position, args));
            }
        }
        for &(slot, position, _) in &at {
            read = read.wrapping_add(slot.warm_segment(position.hash));
        }
        for &(slot, position, _) in &at {
            read = read.wrapping_add(slot.warm_hashes(position.hash));
        }
        let mut places: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for &(slot, position, args) in &at {
            places.extend(slot.probable(position.hash).map(|it| (it, position, args)));
        }
        let mut entries: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for (place, position, args) in places {
            entries.extend(place.entry().map(|entry| (entry, position, args)));
        }
        let mut elements: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for (entry, position, args) in entries {
            read = read.wrapping_add(entry.warm());
            if let Some((incarnation, object)) = entry.collected()
                && let Some(bytes) = element_of(object, args)
            {
                elements.push(Element {
                    object,
                    place: ElementPlace {
                        slot: position.slot,
                        db,
                        incarnation,
                    },
                    hash: hasher.hash(bytes),
                    bytes,
                });
            }
        }
        if !elements.is_empty() {
            read = read.wrapping_add(self.warm_elements(hasher, &elements, writes));
        }
        if writes {
            let hashes = positions.iter().map(|(at, _)| at.hash);
            read = read.wrapping_add(self.write_set.warm(hashes));
        }
        // What was read must look needed, or it is not read.
        black_box(read);
    }

    /// Brings what [`crate::types::SetRef::random`] of the set at `key` looks at first, given these numbers, into the processor's
    /// caches.
    pub(super) fn warm_draws(
        &self,
        at: Position,
        key: &[u8],
        numbers: impl IntoIterator<Item = u64>,
    ) {
        let entry = self.find(at, key);
        let Some((_, object)) = entry.and_then(Entry::collected) else {
            return;
        };
        let Some(set) = object.set() else {
            return;
        };
        let hashes = numbers
            .into_iter()
            .filter_map(|drawn| set.drawn_hash(drawn));
        let hashes: SmallVec<[u32; 2 * WARM_KEYS]> = hashes.collect();
        let segments = hashes.iter().map(|&hash| object.warm_segment(hash));
        let mut read = segments.fold(0u64, u64::wrapping_add);
        let lines = hashes.iter().map(|&hash| object.warm_hashes(hash));
        read = lines.fold(read, u64::wrapping_add);
        black_box(read);
    }

    /// The same of elements.
    #[inline(never)]
    fn warm_elements(&self, hasher: &KeyHasher, elements: &[Element<'_>], writes: bool) -> u64 {
        let mut read = 0u64;
        for element in elements {
            read = read.wrapping_add(element.object.warm_segment(element.hash));
        }
        for element in elements {
            read = read.wrapping_add(element.object.warm_hashes(element.hash));
        }
        for element in elements {
            read = read.wrapping_add(element.object.warm_element(element.hash));
        }
        if writes {
            let hash_of = |element: &Element<'_>| {
                let key = RecordKey::element(hasher, element.place, element.hash, element.bytes);
                key.position.hash
            };
            read = read.wrapping_add(self.write_set.warm(elements.iter().map(hash_of)));
        }
        read
    }
}

/// The argument that is nearly always the member or field which a command looks for; touching another changes nothing.
fn element_of<'k>(object: &Collected, args: &'k [&'k [u8]]) -> Option<&'k [u8]> {
    match object.kind() {
        Kind::Hash | Kind::Set => args.first().copied(),
        // Behind its score.
        Kind::ZSet => args.last().copied(),
        _ => None,
    }
}
