//! The data types behind keys, in memory: small collections in one flat buffer, large ones in structures of their own.
//!
//! A collection begins flat: a listpack or an intset, byte for byte as Redis has it, kept with its key like a short string and
//! one record on disk. Beyond its [`Limits`] it becomes large: a table, a tree, a deque; then each element (of a list or stream:
//! each node of a few) is a record of its own, and the key's record holds only counts and the like.
//!
//! Reads are methods of a type's `Ref`, changes methods of the type itself; they tell an [`Edit`] what changed. Nothing
//! here knows of keys, databases or engines, and nothing reads a clock.
//!
//! | module | what it holds |
//! |---|---|
//! | `kind`, `item`, `limits`, `hasher` | types and encodings; an element; when flat becomes large; the keyed hash |
//! | [`listpack`], `intset` | the flat representations |
//! | [`table`] | entries by keyed hash, in order of hashes |
//! | `edit` | what a change is told, and tells |
//! | `drawn` | what a command that draws elements at random looks at |
//! | `ranked`, `score` | members by score and rank; scores as text |
//! | `hash`, `set`, `list`, `zset` | the types |
//! | `quicklist` | large lists |

mod drawn;
mod edit;
mod hash;
mod hasher;
mod intset;
mod item;
mod kind;
mod limits;
mod list;
pub mod listpack;
mod quicklist;
mod ranked;
mod score;
mod set;
pub mod stream;
pub mod table;
mod zset;

pub(crate) use drawn::Draw;
pub use drawn::Drawn;
pub use edit::Edit;
#[cfg(test)]
pub(crate) use edit::Recorder;
pub(crate) use edit::{Discard, Records};
pub use hash::{Hash, HashRef, HashTable};
pub(crate) use hash::{expiries_of_meta, expiry_bounds_of_meta, record_without_value};
pub use hasher::KeyHasher;
pub use intset::{Intset, IntsetRef};
pub use item::Item;
pub use kind::{Encoding, Kind, parse_int};
pub use limits::Limits;
pub use list::{End, List, ListBackIter, ListIter, ListRef};
pub use quicklist::QuickList;
pub(crate) use quicklist::{JOINED_MAX_BYTES, ListEnds};
pub use set::{Set, SetRef, SetTable};
pub(crate) use zset::score_bounds_of_meta;
pub use zset::{Change, MemberBound, SortedSet, SortedSetRef, ZSetIter, ZSetTree};

use bytes::Bytes;
use siphasher::sip::SipHasher13;

use self::table::{HashRange, Step};
use crate::{Error, Result};

/// Engine keys (hash and rest) and values of a large collection's elements, in order.
pub(crate) type Elements<'a> = dyn Iterator<Item = Result<(Bytes, Bytes)>> + 'a;

/// What a part of a collection is told of the elements that it does not hold.
#[derive(Default)]
pub(crate) struct Missing {
    /// The key of the first element behind them, where order counts.
    pub(crate) gap: Option<Bytes>,
    /// When they expire, if some do.
    pub(crate) expiries: Option<MissingExpiries>,
    /// The scores of those that are not here, if there are any: of a sorted set.
    pub(crate) scores: Option<MissingScores>,
    /// None of them has one of these hashes.
    pub(crate) complete: Vec<HashRange>,
}

/// What a part of a sorted set is told of the members that it does not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct MissingScores {
    /// The first score among them.
    pub(crate) first: f64,
    /// And the last.
    pub(crate) last: f64,
    /// So many of them stand before all members that the part holds,
    pub(crate) before: usize,
    /// and so many between the first and the second one, where they are counted; all others behind.
    pub(crate) behind_first: usize,
}

/// When elements expire that a part does not hold, in milliseconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingExpiries {
    /// The first of them.
    pub(crate) first: u64,
    /// And the last.
    pub(crate) last: u64,
    /// How many have expired at the time for which the part was made.
    pub(crate) over: usize,
}

/// A collection in a structure of its own.
pub(crate) trait Large: Sized {
    /// How OBJECT ENCODING names it.
    const ENCODING: Encoding;

    /// Number of elements.
    fn len(&self) -> usize;

    /// Bytes allocated, without the key's own. O(1).
    fn memory_bytes(&self) -> usize;

    /// Writes what the key's own record holds: what cannot be seen from the elements one by one.
    fn meta(&self, out: &mut Vec<u8>);

    /// Builds it from its records.
    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self>;

    /// Builds a part of it from some of its records: it holds these elements and counts the others. None of a type that has no
    /// parts.
    fn load_part(
        _meta: &[u8],
        _elements: &mut Elements<'_>,
        _missing: &Missing,
    ) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Hashes of which a part has to hold all elements before it can be drawn from, and does not; there may be more when it has these.
    /// None at all if it can be, or this is of a type of which nothing is drawn from parts.
    fn missing_for(&self, _draw: Draw) -> Vec<HashRange> {
        Vec::new()
    }

    /// Makes an element what its newest record says; none: it is gone. Nothing of a type whose elements have an order of their own.
    fn overlay(
        &mut self,
        _element: &[u8],
        _record: Option<&[u8]>,
        _edit: &mut Edit<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// Puts every element, after [`Edit::begin`].
    fn write_all(&self, edit: &mut Edit<'_>);

    /// Puts what a change has left for later, because more changes of the same record may follow: of a list or stream, a node.
    fn write_unwritten(&mut self, _edit: &mut Edit<'_>) {}

    /// A hash of the content that does not depend on how it came to be.
    fn digest(&self) -> u64;

    /// Asks for what a look for the element with this hash will read in a step. See [`table::Table::prefetch`].
    fn prefetch(&self, _step: Step, _hash: u32) {}
}

/// A type of collection: flat or large.
pub(crate) trait Collection: Default {
    /// The type.
    const KIND: Kind;
    /// True of a type that has no flat representation.
    const IS_ALWAYS_LARGE: bool = false;
    /// Its structure when it is large.
    type Large: Large + 'static;
    /// What reads see.
    type Ref<'a>;

    /// From the flat representation's bytes.
    fn from_flat(encoding: Encoding, bytes: Vec<u8>) -> Self;
    /// From the large structure.
    fn from_large(large: Box<Self::Large>) -> Self;
    /// Flat or large.
    fn into_parts(self) -> Parts<Self::Large>;
    /// To read the flat representation's bytes.
    fn flat_ref(encoding: Encoding, bytes: &[u8]) -> Self::Ref<'_>;
    /// To read the large structure.
    fn large_ref(large: &Self::Large) -> Self::Ref<'_>;
    /// True when the key must go.
    fn is_vacant(&self) -> bool;
}

/// What a collection is made of.
pub(crate) enum Parts<L> {
    /// Bytes of a listpack or an intset.
    Flat(Encoding, Vec<u8>),
    /// A structure of its own.
    Large(Box<L>),
}

/// Hash and rest of an element's key.
pub(crate) fn split_key(key: &[u8]) -> Result<(u32, &[u8])> {
    let (hash, rest) = key
        .split_first_chunk()
        .ok_or_else(|| Error::corrupt("element key", format!("{key:02x?}")))?;
    Ok((u32::from_be_bytes(*hash), rest))
}

/// An error unless `meta` is this number of elements.
fn check_len(what: &'static str, meta: &[u8], len: usize) -> Result<()> {
    if meta == (len as u64).to_le_bytes() {
        Ok(())
    } else {
        Err(Error::corrupt(
            what,
            format!("{len} elements where its record says {meta:02x?} (little endian)"),
        ))
    }
}

/// How many elements are not among the `here` that a part holds.
fn count_absent(what: &'static str, meta: &[u8], here: usize) -> Result<usize> {
    let len = meta.first_chunk().map(|len| u64::from_le_bytes(*len));
    let absent = len.and_then(|len| usize::try_from(len).ok()?.checked_sub(here));
    absent.ok_or_else(|| {
        Error::corrupt(
            what,
            format!("{here} elements where its record says {meta:02x?} (little endian)"),
        )
    })
}

/// An unkeyed hash, for digests of contents.
fn digest(bytes: &[u8]) -> u64 {
    SipHasher13::new().hash(bytes)
}
