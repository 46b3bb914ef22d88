//! Large collections of any type: what the data set does with all of them alike, and the way of their elements' records into
//! the write set.

use super::record::{self, ElementPlace, Incarnation, PhysicalDb, RecordKey, Stored};
use super::write_set::WriteSet;
use crate::ids::LogIndex;
use crate::types::stream::{self, Stream, StreamLog};
use crate::types::table::{HashRange, Step};
use crate::types::{
    Collection, Draw, Edit, Elements, Encoding, Hash, HashRef, HashTable, KeyHasher, Kind, Large,
    Limits, List, Missing, QuickList, Records, Set, SetRef, SetTable, SortedSet, SortedSetRef,
    ZSetTree, expiries_of_meta,
};
use crate::{Error, Result, prefetch};

/// Makes [`Collected`] of every type of large collection.
macro_rules! collected {
    ($($name:ident, $structure:ty, $collection:ty;)*) => {
        /// A large collection.
        pub(super) enum Collected {
            $(
                #[doc = concat!("A `", stringify!($structure), "`.")]
                $name(Box<$structure>),
            )*
        }

        impl Collected {
            /// The type.
            pub(super) fn kind(&self) -> Kind {
                match self { $(Self::$name(_) => <$collection>::KIND,)* }
            }

            /// The representation.
            pub(super) fn encoding(&self) -> Encoding {
                match self { $(Self::$name(_) => <$structure>::ENCODING,)* }
            }

            /// Number of elements.
            pub(super) fn len(&self) -> usize {
                match self { $(Self::$name(object) => object.len(),)* }
            }

            /// Bytes allocated. O(1).
            pub(super) fn memory_bytes(&self) -> usize {
                match self { $(Self::$name(object) => object.memory_bytes(),)* }
            }

            /// What the key's own record holds behind the incarnation.
            fn meta(&self, out: &mut Vec<u8>) {
                match self { $(Self::$name(object) => object.meta(out),)* }
            }

            /// Puts every element's record, of a new incarnation.
            pub(super) fn write_all(&self, edit: &mut Edit<'_>) {
                edit.begin();
                match self { $(Self::$name(object) => object.write_all(edit),)* }
            }

            /// See [`Large::missing_for`].
            pub(super) fn missing_for(&self, draw: Draw) -> Vec<HashRange> {
                match self { $(Self::$name(object) => object.missing_for(draw),)* }
            }

            /// See [`Large::overlay`].
            pub(super) fn overlay(
                &mut self,
                element: &[u8],
                record: Option<&[u8]>,
                edit: &mut Edit<'_>,
            ) -> Result<()> {
                match self { $(Self::$name(object) => object.overlay(element, record, edit),)* }
            }

            /// Puts what changes have left for later.
            pub(super) fn write_unwritten(&mut self, edit: &mut Edit<'_>) {
                match self { $(Self::$name(object) => object.write_unwritten(edit),)* }
            }

            /// A hash of the content.
            pub(super) fn digest(&self) -> u64 {
                match self { $(Self::$name(object) => object.digest(),)* }
            }

            /// Builds a collection from its records.
            pub(super) fn load(kind: Kind, meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
                $(
                    if kind == <$collection>::KIND {
                        return Ok(Self::$name(Box::new(<$structure>::load(meta, elements)?)));
                    }
                )*
                Err(Error::corrupt("record", format!("a large {}", kind.name())))
            }

            /// Builds a part of a collection from some of its records; none of a type that has no parts.
            pub(super) fn load_part(
                kind: Kind,
                meta: &[u8],
                elements: &mut Elements<'_>,
                missing: &Missing,
            ) -> Result<Option<Self>> {
                $(
                    if kind == <$collection>::KIND {
                        let part = <$structure>::load_part(meta, elements, missing)?;
                        return Ok(part.map(|part| Self::$name(Box::new(part))));
                    }
                )*
                Ok(None)
            }

            /// Asks for the object itself.
            pub(super) fn prefetch_object(&self) {
                match self { $(Self::$name(object) => prefetch::object(&**object),)* }
            }

            /// Asks for what a look for the element with this hash will read in a step.
            pub(super) fn prefetch(&self, step: Step, hash: u32) {
                match self { $(Self::$name(object) => object.prefetch(step, hash),)* }
            }

            /// The same elements, for another key.
            pub(super) fn duplicate(&self) -> Self {
                match self { $(Self::$name(object) => Self::$name(object.clone()),)* }
            }
        }

        $(
            impl IsCollected for $collection {
                fn wrap(large: Box<$structure>) -> Collected {
                    Collected::$name(large)
                }

                fn unwrap(object: Collected) -> Option<Box<$structure>> {
                    match object {
                        Collected::$name(large) => Some(large),
                        _ => None,
                    }
                }

                fn large(object: &Collected) -> Option<&$structure> {
                    match object {
                        Collected::$name(large) => Some(large),
                        _ => None,
                    }
                }
            }
        )*
    };
}

// One line for each type.
collected! {
    List, QuickList, List;
    Set, SetTable, Set;
    Hash, HashTable, Hash;
    SortedSet, ZSetTree, SortedSet;
    Stream, StreamLog, Stream;
}

impl Collected {
    /// True unless this is a part of a list that may become flat when elements are removed.
    pub(super) fn stays_large(&self, limits: &Limits) -> bool {
        List::large(self).is_none_or(|list| List::stays_large(list, limits))
    }

    /// A set.
    pub(super) fn set(&self) -> Option<SetRef<'_>> {
        Set::large(self).map(Set::large_ref)
    }

    /// A sorted set.
    pub(super) fn zset(&self) -> Option<SortedSetRef<'_>> {
        SortedSet::large(self).map(SortedSet::large_ref)
    }

    /// A hash.
    pub(super) fn hash(&self) -> Option<HashRef<'_>> {
        Hash::large(self).map(Hash::large_ref)
    }
}

/// A type of collection that the data set can hold.
pub(super) trait IsCollected: Collection {
    /// Its structure, among all types'.
    fn wrap(large: Box<Self::Large>) -> Collected;
    /// Its structure, if it is of this type.
    fn unwrap(object: Collected) -> Option<Box<Self::Large>>;
    /// Its structure, if it is of this type.
    fn large(object: &Collected) -> Option<&Self::Large>;
}

/// The payload of the key's own record.
pub(super) fn payload(incarnation: Incarnation, object: &Collected) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    record::put_varint(&mut out, incarnation.0);
    object.meta(&mut out);
    out
}

/// Takes a [`payload`] apart.
pub(super) fn parse_payload(payload: &[u8]) -> Result<(Incarnation, &[u8])> {
    let mut meta = payload;
    let incarnation = record::take_varint(&mut meta)
        .ok_or_else(|| Error::corrupt("record of a collection", format!("{payload:02x?}")))?;
    Ok((Incarnation(incarnation), meta))
}

impl Stored {
    /// When the first field of a hash expires, and when the last one does if all do, as the key's own record tells.
    pub(super) fn field_expiries_ms(&self) -> (Option<u64>, Option<u64>) {
        match (self.kind, self.encoding) {
            (Kind::Hash, Encoding::ListpackEx) => {
                let hash = Hash::flat_ref(self.encoding, &self.payload);
                (hash.next_expiry_ms(), hash.last_expiry_ms())
            }
            (Kind::Hash, Encoding::Hashtable) => match parse_payload(&self.payload) {
                Ok((_, meta)) => expiries_of_meta(meta),
                // Whoever reads the elements will find out.
                Err(_) => (None, None),
            },
            _ => (None, None),
        }
    }
}

/// Numbers the incarnations that begin in one entry.
pub(super) struct Incarnations {
    pub(super) index: LogIndex,
    pub(super) begun: u32,
}

impl Incarnations {
    pub(super) fn next(&mut self) -> Incarnation {
        let incarnation = Incarnation::new(self.index, self.begun);
        self.begun += 1;
        incarnation
    }
}

/// The records of one collection's elements, on their way into the write set.
pub(super) struct ElementRecords<'a> {
    pub(super) write_set: &'a mut WriteSet,
    pub(super) dead: &'a mut Vec<ElementPlace>,
    pub(super) hasher: &'a KeyHasher,
    pub(super) incarnations: &'a mut Incarnations,
    pub(super) db: PhysicalDb,
    pub(super) slot: u16,
    pub(super) kind: Kind,
    /// None of a flat collection.
    pub(super) incarnation: Option<Incarnation>,
}

impl ElementRecords<'_> {
    /// Whether an element's record is one of those that parts of lists and streams are made of, and are looked for in order.
    fn is_node(&self, hash: u32) -> bool {
        match self.kind {
            Kind::List => true,
            Kind::Stream => stream::is_of_entries(hash),
            _ => false,
        }
    }

    fn place(&self) -> Option<ElementPlace> {
        Some(ElementPlace {
            slot: self.slot,
            db: self.db,
            incarnation: self.incarnation?,
        })
    }

    /// A value that was made only to be given up: its records go, if there are any.
    pub(super) fn abandon(&mut self) {
        self.end();
    }
}

impl Records for ElementRecords<'_> {
    fn begin(&mut self) {
        self.end();
        self.incarnation = Some(self.incarnations.next());
    }

    fn put(&mut self, hash: u32, rest: &[u8], value: &[&[u8]]) {
        let Some(place) = self.place() else {
            debug_assert!(false, "only large collections have elements' records");
            return;
        };
        let key = RecordKey::element(self.hasher, place, hash, rest);
        let head = record::element_head(rest);
        if self.is_node(hash) {
            let mut all = smallvec::SmallVec::<[&[u8]; 8]>::with_capacity(value.len() + 1);
            all.push(&head);
            all.extend_from_slice(value);
            return self.write_set.put_node(&key, &all);
        }
        match value {
            [] => self.write_set.put(&key, &[&head]),
            [one] => self.write_set.put(&key, &[&head, one]),
            parts => {
                let mut all = smallvec::SmallVec::<[&[u8]; 8]>::with_capacity(parts.len() + 1);
                all.push(&head);
                all.extend_from_slice(parts);
                self.write_set.put(&key, &all);
            }
        }
    }

    fn delete(&mut self, hash: u32, rest: &[u8]) {
        if let Some(place) = self.place() {
            let key = RecordKey::element(self.hasher, place, hash, rest);
            if self.is_node(hash) {
                self.write_set.delete_node(&key);
            } else {
                self.write_set.delete(&key);
            }
        }
    }

    fn put_score(&mut self, hash: u32, member: &[u8], score: f64, old: Option<f64>) {
        if let Some(place) = self.place() {
            let key = RecordKey::element(self.hasher, place, hash, member);
            let head = record::element_head(member);
            self.write_set.put_score(&key, &head, score, old);
        }
    }

    fn delete_score(&mut self, hash: u32, member: &[u8], old: f64) {
        if let Some(place) = self.place() {
            let key = RecordKey::element(self.hasher, place, hash, member);
            let head = record::element_head(member);
            self.write_set.delete_score(&key, head.len(), old);
        }
    }

    fn put_expiry(&mut self, at_ms: u64, hash: u32, rest: &[u8]) {
        if let Some(place) = self.place() {
            let (hash, rest) = record::expiry_key(at_ms, hash, rest);
            let key = RecordKey::element(self.hasher, place.expiries(), hash, &rest);
            self.write_set
                .put_node(&key, &[&record::element_head(&rest)]);
        }
    }

    fn delete_expiry(&mut self, at_ms: u64, hash: u32, rest: &[u8]) {
        if let Some(place) = self.place() {
            let (hash, rest) = record::expiry_key(at_ms, hash, rest);
            let key = RecordKey::element(self.hasher, place.expiries(), hash, &rest);
            self.write_set.delete_node(&key);
        }
    }

    fn end(&mut self) {
        self.dead.extend(self.place());
        self.incarnation = None;
    }
}
