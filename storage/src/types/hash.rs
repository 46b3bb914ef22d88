//! Hashes: values by field.

use super::edit::Edit;
use super::item::Item;
use super::kind::{Encoding, Kind};
use super::listpack::{self, Listpack, ListpackRef};
use super::table::{Keyed, Table};
use super::{Collection, Elements, Large, Parts, check_len, digest, split_key};
use crate::Result;

/// A hash. Flat: field and value in turn, in order of insertion.
pub enum Hash {
    /// Few short fields.
    Listpack(Listpack),
    /// Anything else.
    Table(Box<HashTable>),
}

/// A hash to read.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    /// Few short fields.
    Listpack(ListpackRef<'a>),
    /// Anything else.
    Table(&'a HashTable),
}

/// A large hash.
#[derive(Clone, Default)]
pub struct HashTable {
    fields: Table<Field>,
    /// Allocated by the table and by each field.
    bytes: usize,
}

/// Length of the field as varint, the field, the value.
#[derive(Clone)]
struct Field(Box<[u8]>);

impl Field {
    fn new(field: &[u8], value: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(length_bytes(field.len()) + field.len() + value.len());
        let mut len = field.len();
        while len >= 0x80 {
            bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend_from_slice(field);
        bytes.extend_from_slice(value);
        Self(bytes.into())
    }

    /// Field and value.
    #[inline]
    fn parts(&self) -> (&[u8], &[u8]) {
        let (mut len, mut at) = (0usize, 0);
        for (shift, &byte) in self.0.iter().enumerate() {
            len |= usize::from(byte & 0x7f) << (7 * shift);
            at = shift + 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let rest = self.0.get(at..).unwrap_or_default();
        rest.split_at_checked(len).unwrap_or((rest, &[]))
    }

    fn value_mut(&mut self) -> &mut [u8] {
        let value_bytes = self.parts().1.len();
        let start = self.0.len() - value_bytes;
        self.0.get_mut(start..).unwrap_or_default()
    }

    fn memory_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Keyed for Field {
    #[inline]
    fn key(&self) -> &[u8] {
        self.parts().0
    }
}

fn length_bytes(len: usize) -> usize {
    len.checked_ilog2().unwrap_or(0) as usize / 7 + 1
}

impl Default for Hash {
    fn default() -> Self {
        Self::Listpack(Listpack::new())
    }
}

impl Hash {
    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Self::Listpack(listpack) => HashRef::Listpack(listpack.as_ref()),
            Self::Table(table) => HashRef::Table(table),
        }
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

    /// Sets the value of `field`. True if the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], edit: &mut Edit<'_>) -> bool {
        let limits = edit.limits();
        let longest = limits.hash_max_listpack_value;
        if let Self::Listpack(listpack) = self {
            let at = listpack.as_ref().find(field, 2);
            let fits = field.len() <= longest
                && value.len() <= longest
                && (at.is_some() || listpack.as_ref().len() / 2 < limits.hash_max_listpack_entries);
            if fits {
                set_flat(listpack, at, field, value);
                edit.changed();
                return at.is_none();
            }
            self.enlarge(edit);
        }
        match self {
            Self::Table(table) => table.set(field, value, edit),
            Self::Listpack(_) => false,
        }
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
            Self::Table(table) => table.remove(field, edit),
        }
    }

    /// Becomes large.
    fn enlarge(&mut self, edit: &mut Edit<'_>) {
        let mut table = Box::<HashTable>::default();
        edit.begin();
        let (mut field_buffer, mut value_buffer) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in self.as_ref().iter() {
            let (field, value) = (
                field.bytes(&mut field_buffer),
                value.bytes(&mut value_buffer),
            );
            table.set(field, value, edit);
        }
        *self = Self::Table(table);
    }
}

fn set_flat(listpack: &mut Listpack, at: Option<usize>, field: &[u8], value: &[u8]) {
    match at {
        Some(at) => {
            let mut entries = listpack.as_ref().iter_from(at);
            entries.next();
            let at = entries.offset();
            listpack.replace(at, value);
        }
        None => {
            listpack.push_back(field);
            listpack.push_back(value);
        }
    }
}

impl<'a> HashRef<'a> {
    /// Number of fields.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Listpack(listpack) => listpack.len() / 2,
            Self::Table(table) => table.fields.len(),
        }
    }

    /// True without fields.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// True of few short fields, which have an order.
    #[inline]
    pub fn is_flat(self) -> bool {
        !matches!(self, Self::Table(_))
    }

    /// The value of `field`. `hash` is asked for the field's keyed hash only if that is needed.
    #[inline]
    pub fn get(self, field: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> Option<Item<'a>> {
        match self {
            Self::Listpack(listpack) => {
                let mut entries = listpack.iter_from(listpack.find(field, 2)?);
                entries.next();
                entries.next()
            }
            Self::Table(table) => {
                let found = table.fields.find(hash(field), field)?;
                Some(Item::Bytes(found.parts().1))
            }
        }
    }

    /// All fields with their values, each once.
    pub fn iter(self) -> HashIter<'a> {
        match self {
            Self::Listpack(listpack) => HashIter(Source::Listpack(listpack.iter())),
            Self::Table(table) => HashIter(Source::Table(Box::new(table.fields.iter()))),
        }
    }

    /// The `nth` pair of a flat hash; none of a large one, which has no order that lasts.
    pub fn nth_flat(self, nth: usize) -> Option<(Item<'a>, Item<'a>)> {
        match self {
            Self::Listpack(listpack) => {
                let mut entries = listpack.iter_at(nth * 2);
                Some((entries.next()?, entries.next()?))
            }
            Self::Table(_) => None,
        }
    }

    /// A pair drawn with equal chances; the same numbers give the same pair on every replica.
    pub fn random(self, random: &mut dyn FnMut() -> u64) -> Option<(Item<'a>, Item<'a>)> {
        match self {
            Self::Listpack(_) => {
                let nth = random().checked_rem(self.len() as u64)?;
                self.nth_flat(nth as usize)
            }
            Self::Table(table) => {
                let (field, value) = table.fields.random(random)?.parts();
                Some((Item::Bytes(field), Item::Bytes(value)))
            }
        }
    }

    /// Walks on from a cursor (0: from the start) over about `count` fields; answers the next cursor, 0 at the end. A flat
    /// hash is given whole.
    pub fn scan(self, cursor: u64, count: usize) -> (u64, Vec<(Item<'a>, Item<'a>)>) {
        match self {
            Self::Listpack(_) => (0, self.iter().collect()),
            Self::Table(table) => {
                let Ok(from) = u32::try_from(cursor) else {
                    return (0, Vec::new());
                };
                let (next, fields) = table.fields.scan(from, count);
                let pairs = fields.into_iter().map(Field::parts);
                let items = pairs.map(|(field, value)| (Item::Bytes(field), Item::Bytes(value)));
                (next.map_or(0, u64::from), items.collect())
            }
        }
    }
}

/// Fields with their values, each once. See [`HashRef::iter`].
pub struct HashIter<'a>(Source<'a>);

enum Source<'a> {
    Listpack(listpack::Iter<'a>),
    Table(Box<dyn Iterator<Item = &'a Field> + 'a>),
}

impl<'a> Iterator for HashIter<'a> {
    type Item = (Item<'a>, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Listpack(entries) => Some((entries.next()?, entries.next()?)),
            Source::Table(fields) => {
                let (field, value) = fields.next()?.parts();
                Some((Item::Bytes(field), Item::Bytes(value)))
            }
        }
    }
}

impl HashTable {
    fn set(&mut self, field: &[u8], value: &[u8], edit: &mut Edit<'_>) -> bool {
        let hash = edit.hash(field);
        edit.put(hash, field, &[value]);
        self.put(hash, field, value)
    }

    /// Sets a field in memory only.
    fn put(&mut self, hash: u32, field: &[u8], value: &[u8]) -> bool {
        match self.fields.find_mut(hash, field) {
            Some(found) => {
                let room = found.value_mut();
                if room.len() == value.len() {
                    room.copy_from_slice(value);
                } else {
                    let before = found.memory_bytes();
                    *found = Field::new(field, value);
                    self.bytes = self.bytes + found.memory_bytes() - before;
                }
                false
            }
            None => {
                let added = Field::new(field, value);
                self.bytes += added.memory_bytes();
                let change = self.fields.insert(hash, added);
                self.bytes = self.bytes.wrapping_add_signed(change);
                true
            }
        }
    }

    fn remove(&mut self, field: &[u8], edit: &mut Edit<'_>) -> bool {
        let hash = edit.hash(field);
        let Some((removed, change)) = self.fields.remove(hash, field) else {
            return false;
        };
        self.bytes = (self.bytes - removed.memory_bytes()).wrapping_add_signed(change);
        edit.delete(hash, field);
        true
    }
}

impl Large for HashTable {
    const ENCODING: Encoding = Encoding::Hashtable;

    fn len(&self) -> usize {
        self.fields.len()
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.fields.len() as u64).to_le_bytes());
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let mut table = Self::default();
        for element in elements {
            let (key, value) = element?;
            let (hash, field) = split_key(&key)?;
            table.put(hash, field, &value);
        }
        check_len("hash", meta, table.fields.len())?;
        Ok(table)
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for (field, value) in self.fields.iter().map(Field::parts) {
            edit.put(edit.hash(field), field, &[value]);
        }
    }

    fn digest(&self) -> u64 {
        let pairs = self.fields.iter().map(Field::parts);
        pairs.fold(0, |sum, (field, value)| {
            // Two hashes, so that a byte that moves from field to value shows.
            let mixed = digest(field).rotate_left(32) ^ digest(value);
            sum.wrapping_add(digest(&mixed.to_le_bytes()))
        })
    }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;
    type Large = HashTable;
    type Ref<'a> = HashRef<'a>;

    fn from_flat(_: Encoding, bytes: Vec<u8>) -> Self {
        Self::Listpack(Listpack::from_bytes(bytes))
    }

    fn from_large(large: Box<HashTable>) -> Self {
        Self::Table(large)
    }

    fn into_parts(self) -> Parts<HashTable> {
        match self {
            Self::Listpack(listpack) => Parts::Flat(Encoding::Listpack, listpack.into_bytes()),
            Self::Table(table) => Parts::Large(table),
        }
    }

    fn flat_ref(_: Encoding, bytes: &[u8]) -> HashRef<'_> {
        HashRef::Listpack(ListpackRef::new(bytes))
    }

    fn large_ref(large: &HashTable) -> HashRef<'_> {
        HashRef::Table(large)
    }

    fn is_vacant(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Limits, Recorder};

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn contents(hash: HashRef<'_>) -> Model {
        let pairs: Vec<_> = hash.iter().collect();
        let model: Model = pairs
            .iter()
            .map(|(f, v)| (f.to_vec(), v.to_vec()))
            .collect();
        assert_eq!(pairs.len(), model.len(), "each field once");
        model
    }

    proptest! {
        #[test]
        fn is_a_map_and_comes_back_from_its_records(
            steps in proptest::collection::vec((0u8..20, proptest::collection::vec(any::<u8>(), 0..12), 0u8..4), 0..60))
        {
            let limits = Limits { hash_max_listpack_entries: 6, hash_max_listpack_value: 10, ..Limits::default() };
            let (mut hash, mut recorder, mut model) = (Hash::default(), Recorder::new(), Model::new());
            for (field, value, action) in steps {
                let field = format!("field{field}").into_bytes();
                if action == 0 {
                    let removed = recorder.edit(&limits, |edit| hash.remove(&field, edit));
                    prop_assert_eq!(removed, model.remove(&field).is_some());
                } else {
                    let added = recorder.edit(&limits, |edit| hash.set(&field, &value, edit));
                    prop_assert_eq!(added, model.insert(field.clone(), value).is_none());
                }
                prop_assert_eq!(contents(hash.as_ref()), model.clone());
                let found = hash.as_ref().get(&field, |field| recorder.hash(field)).map(Item::to_vec);
                prop_assert_eq!(found, model.get(&field).cloned());
                if let Hash::Table(table) = &hash {
                    let mut meta = Vec::new();
                    table.meta(&mut meta);
                    let loaded: HashTable = recorder.load(&meta).unwrap();
                    prop_assert_eq!(contents(HashRef::Table(&loaded)), model.clone());
                    prop_assert_eq!(loaded.digest(), table.digest());
                    meta[0] ^= 1;
                    prop_assert!(recorder.load::<HashTable>(&meta).is_err());
                } else {
                    prop_assert!(recorder.records().is_empty());
                }
            }
        }
    }

    #[test]
    fn becomes_large_when_redis_s_would() {
        let limits = Limits::default();
        let mut recorder = Recorder::new();
        let mut hash = Hash::default();
        recorder.edit(&limits, |edit| {
            for n in 0..128u32 {
                hash.set(&n.to_le_bytes(), &[b'v'; 64], edit);
            }
            assert!(matches!(hash, Hash::Listpack(_)));
            hash.set(b"one more", b"", edit);
            assert!(matches!(hash, Hash::Table(_)));
            let mut long = Hash::default();
            long.set(&[b'f'; 65], b"", edit);
            assert!(matches!(long, Hash::Table(_)));
        });
    }
}
