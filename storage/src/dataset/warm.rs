//! Looking ahead: the memory of several keys, and of elements of large collections, is fetched at once.
//!
//! A lookup waits for memory several times in a row: slot, segment, hashes, place, entry ([`Step`]); at a hundred thousand keys
//! and more that is nearly all its time. The waits of different keys do not depend on one another, so asking for the slots of all
//! keys of a pipelined batch, then for their segments, and so on, waits for them together. Elements of large collections are
//! found likewise.

use smallvec::SmallVec;

use super::collection::Collected;
use super::database::Database;
use super::entry::Entry;
use super::position::Position;
use super::record::{ElementPlace, PhysicalDb, RecordKey};
use crate::types::table::{Keyed, Step};
use crate::types::{KeyHasher, Kind};
use crate::{prefetch, random};

/// Keys looked at together. More would push each other out of the first-level cache.
pub const WARM_KEYS: usize = 16;

/// What a command is about to look at: its key, and the arguments behind it.
pub type Ahead<'k> = (&'k [u8], &'k [&'k [u8]]);

/// Which element each of several commands takes out of a collection, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A member of a set, drawn at random.
    Drawn,
    /// The member of a sorted set that stands first.
    First,
    /// The member that stands last.
    Last,
}

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
        let mut positions: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        let mut last = None;
        for (key, args) in commands.into_iter().take(WARM_KEYS) {
            let position = match last {
                Some((same, position)) if same == key => position,
                _ => hasher.position(key),
            };
            last = Some((key, position));
            found(key, position);
            positions.push((position, args));
            if let Some(slot) = self.slot(position.slot) {
                prefetch::object(slot);
            }
        }
        let mut at: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        let slots = positions
            .iter()
            .map(|&(position, args)| self.slot(position.slot).map(|slot| (slot, position, args)));
        at.extend(slots.flatten());
        for step in Step::TO_HASHES {
            at.iter()
                .for_each(|&(slot, position, _)| slot.prefetch(step, position.hash));
        }
        let mut places: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for &(slot, position, args) in &at {
            if let Some(place) = slot.probable(position.hash) {
                place.prefetch();
                places.push((place, position, args));
            }
        }
        let mut entries: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for (place, position, args) in places {
            if let Some(entry) = place.entry() {
                Keyed::prefetch(entry);
                entries.push((entry, position, args));
            }
        }
        let mut elements: SmallVec<[_; WARM_KEYS]> = SmallVec::new();
        for (entry, position, args) in entries {
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
            self.warm_elements(hasher, &elements, writes);
        }
        if writes {
            let hashes = positions.iter().map(|(at, _)| at.hash);
            self.write_set.warm(hashes);
        }
    }

    /// Brings the elements that so many commands, at most [`WARM_KEYS`], will take out of the collection at `key` into the processor's
    /// caches; `seed` is what [`super::Txn::random`] goes on from.
    pub(super) fn warm_taken(
        &self,
        hasher: &KeyHasher,
        place: (Position, &[u8], PhysicalDb),
        taken: Taken,
        commands: usize,
        mut seed: u64,
    ) {
        let (at, key, db) = place;
        let entry = self.find(at, key);
        let Some((incarnation, object)) = entry.and_then(Entry::collected) else {
            return;
        };
        let place = ElementPlace {
            slot: at.slot,
            db,
            incarnation,
        };
        let element = |(hash, bytes)| Element {
            object,
            place,
            hash,
            bytes,
        };
        let mut elements: SmallVec<[Element<'_>; WARM_KEYS]> = SmallVec::new();
        match taken {
            Taken::Drawn => {
                let Some(set) = object.set() else { return };
                let seeds = (0..commands).map(|_| random::next(&mut seed));
                let seeds: SmallVec<[u64; WARM_KEYS]> = seeds.collect();
                elements.extend(set.drawn_ahead(&seeds).map(element));
                self.warm_records(hasher, &elements);
            }
            Taken::First | Taken::Last => {
                let Some(set) = object.zset() else { return };
                let ranks = match taken {
                    Taken::Last => set.len().saturating_sub(commands)..set.len(),
                    _ => 0..commands,
                };
                let hashed = |bytes| (hasher.hash(bytes), bytes);
                elements.extend(set.members_ahead(ranks).map(hashed).map(element));
                self.warm_elements(hasher, &elements, true);
            }
        }
    }

    /// Brings what a look for these elements reads into the processor's caches; `writes`: and what writes will.
    #[inline(never)]
    fn warm_elements(&self, hasher: &KeyHasher, elements: &[Element<'_>], writes: bool) {
        for element in elements {
            element.object.prefetch_object();
        }
        for step in Step::TO_HASHES.into_iter().chain(Step::TO_ENTRY) {
            for element in elements {
                element.object.prefetch(step, element.hash);
            }
        }
        if writes {
            self.warm_records(hasher, elements);
        }
    }

    /// The same of the elements' records that wait to be written, if there are any.
    fn warm_records(&self, hasher: &KeyHasher, elements: &[Element<'_>]) {
        let hash_of = |element: &Element<'_>| {
            let key = RecordKey::element(hasher, element.place, element.hash, element.bytes);
            key.position.hash
        };
        self.write_set.warm(elements.iter().map(hash_of));
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
