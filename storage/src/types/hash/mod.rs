//! Hashes: values by field.
//!
//! **Expiry of fields.** A field that has expired is invisible to every [`HashRef`] that was told the time ([`HashRef::at`]), and
//! counts as not there for every change. It is removed by an entry: the data set finds hashes by [`HashRef::next_expiry_ms`],
//! and calls [`Hash::remove_expired`].

mod flat;
mod table;

pub use table::HashTable;
pub(crate) use table::{expiries_of_meta, expiry_bounds_of_meta, record_without_value};

use super::edit::Edit;
use super::item::Item;
use super::kind::{Encoding, Kind};
use super::listpack::{self, Listpack, ListpackRef};
use super::{Collection, Large, Parts};
use flat::Triples;
use table::Field;

/// Fields drawn that turn out to have expired, before the first one that has not is taken instead.
const EXPIRED_TRIES: usize = 100;

/// A hash.
pub enum Hash {
    /// Few short fields; field and value in turn, in order of insertion.
    Listpack(Listpack),
    /// Few short fields of which some expire or once did; field, value and expiry in turn, the earliest expiry first.
    ListpackEx(Listpack),
    /// Anything else.
    Table(Box<HashTable>),
}

/// A hash to read, at a time.
#[derive(Clone, Copy)]
pub struct HashRef<'a> {
    source: Source<'a>,
    now_ms: u64,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Listpack(ListpackRef<'a>),
    ListpackEx(ListpackRef<'a>),
    Table(&'a HashTable),
}

/// A field is there in its last millisecond, as a key is.
#[inline]
fn is_over(expire_at_ms: Option<u64>, now_ms: u64) -> bool {
    expire_at_ms.is_some_and(|at_ms| now_ms > at_ms)
}

impl Default for Hash {
    fn default() -> Self {
        Self::Listpack(Listpack::new())
    }
}

impl Hash {
    /// To read it, whatever has expired.
    #[inline]
    pub fn as_ref(&self) -> HashRef<'_> {
        let source = match self {
            Self::Listpack(listpack) => Source::Listpack(listpack.as_ref()),
            Self::ListpackEx(listpack) => Source::ListpackEx(listpack.as_ref()),
            Self::Table(table) => Source::Table(table),
        };
        HashRef { source, now_ms: 0 }
    }

    /// Says that these fields are about to be set: what they will not fit becomes large at once, as in Redis, even if some of
    /// them are the same field.
    pub fn expect(&mut self, pairs: &[[&[u8]; 2]], edit: &mut Edit<'_>) {
        let limits = edit.limits();
        let longest = limits.hash_max_listpack_value;
        let is_long = |pair: &[&[u8]; 2]| pair.iter().any(|bytes| bytes.len() > longest);
        let fits = pairs.len() <= limits.hash_max_listpack_entries && !pairs.iter().any(is_long);
        if !fits && self.as_ref().is_flat() {
            self.enlarge(edit);
        }
    }

    /// Sets the value of `field`, which does not expire any more. True if the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], edit: &mut Edit<'_>) -> bool {
        self.put(field, value, false, edit)
    }

    /// Sets the value of `field`, which expires when it did. True if the field is new.
    pub fn set_keeping_expiry(&mut self, field: &[u8], value: &[u8], edit: &mut Edit<'_>) -> bool {
        self.put(field, value, true, edit)
    }

    fn put(&mut self, field: &[u8], value: &[u8], keeps: bool, edit: &mut Edit<'_>) -> bool {
        if !self.has_room(field, value, edit) {
            self.enlarge(edit);
        }
        match self {
            Self::Listpack(listpack) => {
                edit.changed();
                set_flat(listpack, field, value)
            }
            Self::ListpackEx(listpack) => {
                edit.changed();
                flat::set(listpack, field, value, keeps, edit.now_ms())
            }
            Self::Table(table) => table.set(field, value, keeps, edit),
        }
    }

    /// False if a flat hash has to become large first.
    fn has_room(&self, field: &[u8], value: &[u8], edit: &Edit<'_>) -> bool {
        let (listpack, step) = match self {
            Self::Listpack(listpack) => (listpack.as_ref(), 2),
            Self::ListpackEx(listpack) => (listpack.as_ref(), flat::STEP),
            Self::Table(_) => return true,
        };
        let limits = edit.limits();
        let longest = limits.hash_max_listpack_value;
        field.len() <= longest
            && value.len() <= longest
            && (listpack.len() / step < limits.hash_max_listpack_entries
                || listpack.find(field, step).is_some())
    }

    /// Removes `field`. True if it was there.
    pub fn remove(&mut self, field: &[u8], edit: &mut Edit<'_>) -> bool {
        match self {
            Self::Listpack(listpack) => match listpack.as_ref().find(field, 2) {
                Some(at) => {
                    listpack.remove(at, 2);
                    edit.changed();
                    true
                }
                None => false,
            },
            Self::ListpackEx(listpack) => match listpack.as_ref().find(field, flat::STEP) {
                Some(at) => {
                    let found = flat::triple(listpack.as_ref(), at);
                    let expire_at_ms = found.and_then(|(_, _, expire_at_ms)| expire_at_ms);
                    listpack.remove(at, flat::STEP);
                    edit.changed();
                    !is_over(expire_at_ms, edit.now_ms())
                }
                None => false,
            },
            Self::Table(table) => table.remove(field, edit),
        }
    }

    /// Says that fields are about to be given an expiry: as in Redis, a flat hash is from then on one whose fields may expire,
    /// whether one does or not.
    pub fn expect_expiry(&mut self, edit: &mut Edit<'_>) {
        if let Self::Listpack(listpack) = self {
            *self = Self::ListpackEx(flat::from_pairs(listpack.as_ref()));
            edit.changed();
        }
    }

    /// Sets or clears the expiry of `field`. True if the field is there.
    pub fn set_expiry(
        &mut self,
        field: &[u8],
        expire_at_ms: Option<u64>,
        edit: &mut Edit<'_>,
    ) -> bool {
        self.expect_expiry(edit);
        match self {
            Self::Listpack(_) => false,
            Self::ListpackEx(listpack) => match listpack.as_ref().find(field, flat::STEP) {
                Some(at) => {
                    flat::set_expiry(listpack, at, expire_at_ms);
                    edit.changed();
                    true
                }
                None => false,
            },
            Self::Table(table) => table.set_expiry(field, expire_at_ms, edit),
        }
    }

    /// Removes up to `limit` fields that have expired at the entry's time, the earliest first; answers how many.
    pub fn remove_expired(&mut self, limit: usize, edit: &mut Edit<'_>) -> usize {
        match self {
            Self::Listpack(_) => 0,
            Self::ListpackEx(listpack) => {
                let removed = flat::remove_over(listpack, edit.now_ms(), limit);
                if removed > 0 {
                    edit.changed();
                }
                removed
            }
            Self::Table(table) => table.remove_over(limit, edit),
        }
    }

    /// Becomes large.
    fn enlarge(&mut self, edit: &mut Edit<'_>) {
        let mut table = Box::<HashTable>::default();
        edit.begin();
        let (mut field_buffer, mut value_buffer) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value, expire_at_ms) in self.as_ref().iter_expiring() {
            let (field, value) = (
                field.bytes(&mut field_buffer),
                value.bytes(&mut value_buffer),
            );
            table.put(edit.hash(field), field, value, expire_at_ms, edit);
        }
        *self = Self::Table(table);
    }
}

/// True if the field is new.
fn set_flat(listpack: &mut Listpack, field: &[u8], value: &[u8]) -> bool {
    match listpack.as_ref().find(field, 2) {
        Some(at) => {
            let mut entries = listpack.as_ref().iter_from(at);
            entries.next();
            let at = entries.offset();
            listpack.replace(at, value);
            false
        }
        None => {
            listpack.push_back(field);
            listpack.push_back(value);
            true
        }
    }
}

impl<'a> HashRef<'a> {
    /// The same at a time: what expired before is not there.
    #[inline]
    pub fn at(self, now_ms: u64) -> Self {
        Self { now_ms, ..self }
    }

    /// Number of fields.
    #[inline]
    pub fn len(self) -> usize {
        match self.source {
            Source::Listpack(listpack) => listpack.len() / 2,
            Source::ListpackEx(listpack) => {
                listpack.len() / flat::STEP - flat::count_over(listpack, self.now_ms)
            }
            Source::Table(table) => table.len() - table.count_over(self.now_ms),
        }
    }

    /// True without fields.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// True of few short fields, which have an order.
    #[inline]
    pub fn is_flat(self) -> bool {
        !matches!(self.source, Source::Table(_))
    }

    /// The bytes of a flat hash and what they are, with all that has expired; none of a large one.
    pub fn flat(self) -> Option<(Encoding, ListpackRef<'a>)> {
        match self.source {
            Source::Listpack(listpack) => Some((Encoding::Listpack, listpack)),
            Source::ListpackEx(listpack) => Some((Encoding::ListpackEx, listpack)),
            Source::Table(_) => None,
        }
    }

    /// The value of `field`. `hash` is asked for the field's keyed hash only if that is needed.
    #[inline]
    pub fn get(self, field: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> Option<Item<'a>> {
        Some(self.get_expiring(field, hash)?.0)
    }

    /// The value of `field`, and when it expires. See [`Self::get`].
    #[inline]
    pub fn get_expiring(
        self,
        field: &[u8],
        hash: impl FnOnce(&[u8]) -> u32,
    ) -> Option<(Item<'a>, Option<u64>)> {
        let (value, expire_at_ms) = match self.source {
            Source::Listpack(listpack) => {
                let mut entries = listpack.iter_from(listpack.find(field, 2)?);
                entries.next();
                (entries.next()?, None)
            }
            Source::ListpackEx(listpack) => {
                let (_, value, expire_at_ms) =
                    flat::triple(listpack, listpack.find(field, flat::STEP)?)?;
                (value, expire_at_ms)
            }
            Source::Table(table) => {
                let (_, value, expire_at_ms) = table.fields.find(hash(field), field)?.parts();
                (Item::Bytes(value), expire_at_ms)
            }
        };
        (!is_over(expire_at_ms, self.now_ms)).then_some((value, expire_at_ms))
    }

    /// All fields with their values, each once.
    pub fn iter(self) -> impl Iterator<Item = (Item<'a>, Item<'a>)> + use<'a> {
        self.iter_expiring().map(|(field, value, _)| (field, value))
    }

    /// All fields with their values and expiries, each once.
    pub fn iter_expiring(self) -> HashIter<'a> {
        let walk = match self.source {
            Source::Listpack(listpack) => Walk::Listpack(listpack.iter()),
            Source::ListpackEx(listpack) => Walk::ListpackEx(Triples(listpack.iter())),
            Source::Table(table) => Walk::Table(Box::new(table.fields.iter())),
        };
        HashIter {
            walk,
            now_ms: self.now_ms,
        }
    }

    /// A pair drawn with equal chances; the same numbers give the same pair on every replica.
    pub fn random(self, random: &mut dyn FnMut() -> u64) -> Option<(Item<'a>, Item<'a>)> {
        match self.source {
            Source::Listpack(listpack) => {
                let nth = random().checked_rem(self.len() as u64)?;
                let mut entries = listpack.iter_at(nth as usize * 2);
                Some((entries.next()?, entries.next()?))
            }
            Source::ListpackEx(listpack) => {
                // What has expired comes first.
                let over = flat::count_over(listpack, self.now_ms);
                let nth = random().checked_rem(self.len() as u64)? as usize + over;
                let (field, value, _) = Triples(listpack.iter_at(nth * flat::STEP)).next()?;
                Some((field, value))
            }
            Source::Table(table) => {
                for _ in 0..EXPIRED_TRIES {
                    let drawn = table.draw(random);
                    debug_assert!(drawn.is_ok(), "a part has what is drawn from it");
                    let (field, value, expire_at_ms) = drawn.ok().flatten()?.parts();
                    if !is_over(expire_at_ms, self.now_ms) {
                        return Some((Item::Bytes(field), Item::Bytes(value)));
                    }
                }
                self.iter().next()
            }
        }
    }

    /// Walks on from a cursor (0: from the start) over about `count` fields; answers the next cursor, 0 at the end. A flat
    /// hash is given whole.
    pub fn scan(self, cursor: u64, count: usize) -> (u64, Vec<(Item<'a>, Item<'a>)>) {
        let Source::Table(table) = self.source else {
            return (0, self.iter().collect());
        };
        let Ok(from) = u32::try_from(cursor) else {
            return (0, Vec::new());
        };
        let (next, fields) = table.fields.scan(from, count);
        let fields = fields.into_iter().map(Field::parts);
        let there = fields.filter(|(_, _, expire_at_ms)| !is_over(*expire_at_ms, self.now_ms));
        let items = there.map(|(field, value, _)| (Item::Bytes(field), Item::Bytes(value)));
        (next.map_or(0, u64::from), items.collect())
    }

    /// The earliest expiry of a field, whether it has passed or not.
    #[inline]
    pub fn next_expiry_ms(self) -> Option<u64> {
        match self.source {
            Source::Listpack(_) => None,
            Source::ListpackEx(listpack) => flat::next_expiry(listpack),
            Source::Table(table) => table.next_expiry(),
        }
    }

    /// The latest expiry, if every field has one: the hash is not there any more from then on.
    pub fn last_expiry_ms(self) -> Option<u64> {
        match self.source {
            Source::Listpack(_) => None,
            Source::ListpackEx(listpack) => flat::last_expiry(listpack),
            Source::Table(table) => table.last_expiry(),
        }
    }
}

/// Fields with their values and expiries, each once. See [`HashRef::iter_expiring`].
pub struct HashIter<'a> {
    walk: Walk<'a>,
    now_ms: u64,
}

enum Walk<'a> {
    Listpack(listpack::Iter<'a>),
    ListpackEx(Triples<'a>),
    Table(Box<dyn Iterator<Item = &'a Field> + 'a>),
}

impl<'a> Iterator for HashIter<'a> {
    type Item = (Item<'a>, Item<'a>, Option<u64>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let triple = match &mut self.walk {
                Walk::Listpack(entries) => return Some((entries.next()?, entries.next()?, None)),
                Walk::ListpackEx(triples) => triples.next()?,
                Walk::Table(fields) => {
                    let (field, value, expire_at_ms) = fields.next()?.parts();
                    (Item::Bytes(field), Item::Bytes(value), expire_at_ms)
                }
            };
            if !is_over(triple.2, self.now_ms) {
                return Some(triple);
            }
        }
    }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;
    type Large = HashTable;
    type Ref<'a> = HashRef<'a>;

    fn from_flat(encoding: Encoding, bytes: Vec<u8>) -> Self {
        let listpack = Listpack::from_bytes(bytes);
        match encoding {
            Encoding::ListpackEx => Self::ListpackEx(listpack),
            _ => Self::Listpack(listpack),
        }
    }

    fn from_large(large: Box<HashTable>) -> Self {
        Self::Table(large)
    }

    fn into_parts(self) -> Parts<HashTable> {
        match self {
            Self::Listpack(listpack) => Parts::Flat(Encoding::Listpack, listpack.into_bytes()),
            Self::ListpackEx(listpack) => Parts::Flat(Encoding::ListpackEx, listpack.into_bytes()),
            Self::Table(table) => Parts::Large(table),
        }
    }

    fn flat_ref(encoding: Encoding, bytes: &[u8]) -> HashRef<'_> {
        let listpack = ListpackRef::new(bytes);
        let source = match encoding {
            Encoding::ListpackEx => Source::ListpackEx(listpack),
            _ => Source::Listpack(listpack),
        };
        HashRef { source, now_ms: 0 }
    }

    fn large_ref(large: &HashTable) -> HashRef<'_> {
        HashRef {
            source: Source::Table(large),
            now_ms: 0,
        }
    }

    fn is_vacant(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests;
