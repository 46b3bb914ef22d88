//! What a lookup gives.

use std::borrow::Cow;
use std::ops::Deref;

use super::collection::{Collected, IsCollected};
use super::entry::Entry;
use super::record::Stored;
use crate::types::stream::{Stream, StreamRef};
use crate::types::{
    Encoding, Hash, HashRef, Kind, List, ListRef, Set, SetRef, SortedSet, SortedSetRef,
};

/// A key's value: borrowed from memory, or just read from the disk.
pub struct Object<'a> {
    source: Source<'a>,
    now_ms: u64,
}

enum Source<'a> {
    Memory(&'a Entry),
    Disk(Held<'a>),
}

/// What was read from the disk. A large collection's elements may not have been asked for.
pub(super) struct Found {
    pub(super) stored: Stored,
    pub(super) object: Option<Collected>,
}

/// By the object itself, or by a loan.
enum Held<'a> {
    Own(Box<Found>),
    Lent(&'a Found),
}

impl Deref for Held<'_> {
    type Target = Found;

    fn deref(&self) -> &Found {
        match self {
            Self::Own(found) => found,
            Self::Lent(found) => found,
        }
    }
}

impl<'a> Object<'a> {
    #[inline]
    pub(super) fn memory(entry: &'a Entry, now_ms: u64) -> Self {
        Self {
            source: Source::Memory(entry),
            now_ms,
        }
    }

    pub(super) fn disk(stored: Stored, object: Option<Collected>, now_ms: u64) -> Self {
        Self {
            source: Source::Disk(Held::Own(Box::new(Found { stored, object }))),
            now_ms,
        }
    }

    pub(super) fn lent(found: &'a Found, now_ms: u64) -> Self {
        Self {
            source: Source::Disk(Held::Lent(found)),
            now_ms,
        }
    }

    /// The type.
    pub fn kind(&self) -> Kind {
        match &self.source {
            Source::Memory(entry) => entry.kind(),
            Source::Disk(found) => found.stored.kind,
        }
    }

    /// The representation.
    pub fn encoding(&self) -> Encoding {
        match &self.source {
            Source::Memory(entry) => entry.encoding(),
            Source::Disk(found) => found.stored.encoding,
        }
    }

    /// When it expires, in milliseconds of Unix time; none: never.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<u64> {
        match &self.source {
            Source::Memory(entry) => entry.expire_at_ms(),
            Source::Disk(found) => found.stored.expire_at_ms,
        }
    }

    /// The bytes of a string; none of any other type. Integers are in their decimal form.
    #[inline]
    pub fn string(&self) -> Option<Cow<'_, [u8]>> {
        if self.kind() != Kind::String {
            return None;
        }
        Some(Cow::Borrowed(self.payload()))
    }

    /// The bytes of a flat value; of a large collection, nothing that means anything.
    #[inline]
    pub(super) fn payload(&self) -> &[u8] {
        match &self.source {
            Source::Memory(entry) => entry.bytes(),
            Source::Disk(found) => &found.stored.payload,
        }
    }

    /// A large collection, if this is one and its elements are at hand.
    pub(super) fn collected(&self) -> Option<&Collected> {
        match &self.source {
            Source::Memory(entry) => entry.collected().map(|(_, object)| object),
            Source::Disk(found) => found.object.as_ref(),
        }
    }

    /// The collection; none of any other type.
    #[inline]
    fn collection<C: IsCollected>(&self) -> Option<C::Ref<'_>> {
        if self.kind() != C::KIND {
            return None;
        }
        let encoding = self.encoding();
        if encoding.is_flat() {
            Some(C::flat_ref(encoding, self.payload()))
        } else {
            let object = self.collected()?;
            Some(C::large_ref(C::large(object)?))
        }
    }

    /// The entries and groups of a stream; none of any other type.
    #[inline]
    pub fn stream(&self) -> Option<StreamRef<'_>> {
        self.collection::<Stream>()
    }

    /// The elements of a list; none of any other type.
    #[inline]
    pub fn list(&self) -> Option<ListRef<'_>> {
        self.collection::<List>()
    }

    /// The fields and values of a hash, as of the time of the lookup; none of any other type.
    #[inline]
    pub fn hash(&self) -> Option<HashRef<'_>> {
        Some(self.collection::<Hash>()?.at(self.now_ms))
    }

    /// When the first field of a hash expires, and when the last one does if all do.
    #[inline]
    pub(super) fn field_expiries_ms(&self) -> (Option<u64>, Option<u64>) {
        match &self.source {
            Source::Memory(entry) => entry.expiring_hash().map_or((None, None), |hash| {
                let next = hash.next_expiry_ms();
                (next, next.and_then(|_| hash.last_expiry_ms()))
            }),
            Source::Disk(found) => found.stored.field_expiries_ms(),
        }
    }

    /// The members of a set; none of any other type.
    #[inline]
    pub fn set(&self) -> Option<SetRef<'_>> {
        self.collection::<Set>()
    }

    /// The members and scores of a sorted set; none of any other type.
    #[inline]
    pub fn zset(&self) -> Option<SortedSetRef<'_>> {
        self.collection::<SortedSet>()
    }

    /// Milliseconds since the last use; 0 of an object just read from the disk.
    pub fn idle_ms(&self) -> u64 {
        match &self.source {
            Source::Memory(entry) => entry.access().idle_ms(self.now_ms),
            Source::Disk(_) => 0,
        }
    }

    /// A logarithmic counter of uses that decays by one per minute without use, as Redis's LFU; 0 of an object just
    /// read from the disk.
    pub fn freq(&self) -> u8 {
        match &self.source {
            Source::Memory(entry) => entry.access().frequency(self.now_ms),
            Source::Disk(_) => 0,
        }
    }

    /// Bytes that key and value take in memory, their share of the table included; of an object just read from the
    /// disk, what they would take.
    pub fn memory_bytes(&self) -> usize {
        let allocated = match &self.source {
            Source::Memory(entry) => entry.allocated_bytes(),
            Source::Disk(found) => {
                let elements = found.object.as_ref().map_or(0, Collected::memory_bytes);
                found.stored.payload.len() + size_of::<Stored>() + elements
            }
        };
        allocated + size_of::<Entry>() + 1
    }

    /// Notes a use.
    #[inline]
    pub(super) fn touch(&self, random: u64) {
        if let Source::Memory(entry) = &self.source {
            entry.access().touch(self.now_ms, random);
        }
    }

    /// See [`super::Txn::pretend_use`].
    pub(super) fn pretend_use(&self, idle_ms: Option<u64>, frequency: Option<u8>) {
        if let Source::Memory(entry) = &self.source {
            entry.access().pretend(self.now_ms, idle_ms, frequency);
        }
    }

    #[inline]
    pub(super) fn is_expired(&self) -> bool {
        is_expired(self.expire_at_ms(), self.now_ms)
    }
}

/// A key is there in its last millisecond, as in Redis.
#[inline]
pub(super) fn is_expired(expire_at_ms: Option<u64>, now_ms: u64) -> bool {
    expire_at_ms.is_some_and(|at_ms| now_ms > at_ms)
}
