//! The entries of one slot in memory: extendible hashing (Fagin and others, 1979) over small hash tables.
//!
//! A slot begins as one table. A table that is full splits in two by the next upper bit of the hash, so growing never
//! costs more than moving one small table, even when all keys share a hash tag; and the tables in order of their prefixes
//! are the slot in order of hashes, which is what SCAN walks.

use hashbrown::HashTable;

use super::entry::Entry;
use super::position::spread;

/// A table splits rather than grow beyond this: the load of a table of 1024 buckets.
const SEGMENT_MAX_ENTRIES: usize = 896;
/// The directory stops doubling here; tables grow instead. 2^24 tables hold ten billion keys.
const MAX_DEPTH: u32 = 24;
/// A table is shrunk when it uses less than one in so many of its buckets.
const SHRINK_BELOW: usize = 8;

/// The entries of one slot.
pub(super) enum SlotTable {
    /// The common case: few keys.
    One(HashTable<Entry>),
    /// More keys than one table should hold.
    Many(Box<Directory>),
}

/// Tables by the upper `depth` bits of the hash. Several prefixes may share a table whose own depth is less.
pub(super) struct Directory {
    len: usize,
    depth: u32,
    by_prefix: Vec<u32>,
    segments: Vec<Segment>,
}

struct Segment {
    table: HashTable<Entry>,
    depth: u32,
}

impl Default for SlotTable {
    fn default() -> Self {
        Self::One(HashTable::new())
    }
}

impl SlotTable {
    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(table) => table.len(),
            Self::Many(directory) => directory.len,
        }
    }

    #[inline]
    fn count(&mut self, change: isize) {
        if let Self::Many(directory) = self {
            directory.len = directory.len.wrapping_add_signed(change);
        }
    }

    #[inline]
    fn table(&self, hash: u32) -> Option<&HashTable<Entry>> {
        match self {
            Self::One(table) => Some(table),
            Self::Many(directory) => directory.table(hash),
        }
    }

    #[inline]
    fn table_mut(&mut self, hash: u32) -> Option<&mut HashTable<Entry>> {
        match self {
            Self::One(table) => Some(table),
            Self::Many(directory) => directory
                .segment_mut(hash)
                .map(|segment| &mut segment.table),
        }
    }

    #[inline]
    pub(super) fn find(&self, hash: u32, key: &[u8]) -> Option<&Entry> {
        self.table(hash)?.find(spread(hash), |entry| {
            entry.hash() == hash && entry.key() == key
        })
    }

    #[inline]
    pub(super) fn find_mut(&mut self, hash: u32, key: &[u8]) -> Option<&mut Entry> {
        self.table_mut(hash)?.find_mut(spread(hash), |entry| {
            entry.hash() == hash && entry.key() == key
        })
    }

    /// The entries whose keys have this hash: one, as good as always.
    pub(super) fn with_hash(&self, hash: u32) -> impl Iterator<Item = &Entry> {
        let table = self.table(hash).into_iter();
        table
            .flat_map(move |table| table.iter_hash(spread(hash)))
            .filter(move |entry| entry.hash() == hash)
    }

    /// Adds an entry whose key is not there. Answers by how much the tables' bytes changed.
    #[inline]
    pub(super) fn insert(&mut self, entry: Entry) -> isize {
        let hash = entry.hash();
        let mut change = 0;
        if self
            .table(hash)
            .is_some_and(|table| table.len() >= SEGMENT_MAX_ENTRIES)
        {
            change += self.split(hash);
        }
        self.count(1);
        let Some(table) = self.table_mut(hash) else {
            return change;
        };
        if table.len() < table.capacity() {
            table.insert_unique(spread(hash), entry, rehash);
            return change;
        }
        change -= table.allocation_size() as isize;
        table.insert_unique(spread(hash), entry, rehash);
        change + table.allocation_size() as isize
    }

    #[cold]
    fn split(&mut self, hash: u32) -> isize {
        if let Self::One(table) = self {
            let len = table.len();
            let first = Segment {
                table: std::mem::take(table),
                depth: 0,
            };
            *self = Self::Many(Box::new(Directory {
                len,
                depth: 0,
                by_prefix: vec![0],
                segments: vec![first],
            }));
        }
        match self {
            Self::One(_) => 0,
            Self::Many(directory) => directory.split(hash),
        }
    }

    /// Takes an entry out. Answers by how much the tables' bytes changed, too.
    pub(super) fn remove(&mut self, hash: u32, key: &[u8]) -> Option<(Entry, isize)> {
        let table = self.table_mut(hash)?;
        let found = table
            .find_entry(spread(hash), |entry| {
                entry.hash() == hash && entry.key() == key
            })
            .ok()?;
        let (entry, _) = found.remove();
        let change = shrink(table);
        self.count(-1);
        Some((entry, change))
    }

    /// Takes out every entry that `goes`, in no particular order. Answers by how much the tables' bytes changed.
    pub(super) fn extract(
        &mut self,
        mut goes: impl FnMut(&Entry) -> bool,
        mut taken: impl FnMut(Entry),
    ) -> isize {
        let mut extract = |table: &mut HashTable<Entry>| {
            table.extract_if(|entry| goes(entry)).for_each(&mut taken);
            shrink(table)
        };
        match self {
            Self::One(table) => extract(table),
            Self::Many(directory) => {
                let change = directory
                    .segments
                    .iter_mut()
                    .map(|segment| extract(&mut segment.table))
                    .sum();
                directory.len = directory
                    .segments
                    .iter()
                    .map(|segment| segment.table.len())
                    .sum();
                change
            }
        }
    }

    /// All entries, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.tables_from(0).flat_map(HashTable::iter)
    }

    /// The tables that hold the hashes from `hash` on: those of one table lie below those of the next.
    pub(super) fn tables_from(&self, hash: u32) -> impl Iterator<Item = &HashTable<Entry>> {
        let (one, many) = match self {
            Self::One(table) => (Some(table), None),
            Self::Many(directory) => (None, Some(directory.tables_from(hash))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Bytes of the tables, the directory of them not included.
    #[cfg(test)]
    fn table_bytes(&self) -> usize {
        self.tables_from(0).map(HashTable::allocation_size).sum()
    }
}

impl Directory {
    #[inline]
    fn prefix(hash: u32, depth: u32) -> usize {
        // In 64 bits, because no bit at all may be asked for.
        (u64::from(hash) >> (32 - depth)) as usize
    }

    #[inline]
    fn table(&self, hash: u32) -> Option<&HashTable<Entry>> {
        let segment = *self.by_prefix.get(Self::prefix(hash, self.depth))?;
        self.segments
            .get(segment as usize)
            .map(|segment| &segment.table)
    }

    #[inline]
    fn segment_mut(&mut self, hash: u32) -> Option<&mut Segment> {
        let segment = *self.by_prefix.get(Self::prefix(hash, self.depth))?;
        self.segments.get_mut(segment as usize)
    }

    fn tables_from(&self, hash: u32) -> impl Iterator<Item = &HashTable<Entry>> {
        let mut at = Self::prefix(hash, self.depth);
        std::iter::from_fn(move || {
            let segment = self.segments.get(*self.by_prefix.get(at)? as usize)?;
            // Skip the other prefixes of the same table: it covers an aligned run of them.
            let run = 1 << (self.depth - segment.depth);
            at = (at / run + 1) * run;
            Some(&segment.table)
        })
    }

    /// Splits the table of `hash` until it has room, unless all its entries have the same hash. Answers by how much the
    /// tables' bytes changed.
    fn split(&mut self, hash: u32) -> isize {
        let mut change = 0;
        while let Some(full) = self.segment_mut(hash) {
            if full.table.len() < SEGMENT_MAX_ENTRIES || full.depth == MAX_DEPTH {
                break;
            }
            full.depth += 1;
            let depth = full.depth;
            let bit = 1u32 << (32 - depth);
            let mut upper = HashTable::with_capacity(SEGMENT_MAX_ENTRIES / 2);
            for entry in full.table.extract_if(|entry| entry.hash() & bit != 0) {
                upper.insert_unique(spread(entry.hash()), entry, rehash);
            }
            change +=
                shrink(&mut upper) + upper.allocation_size() as isize + shrink(&mut full.table);
            self.add_segment(
                Segment {
                    table: upper,
                    depth,
                },
                hash | bit,
            );
        }
        change
    }

    /// Enters a table for the prefix of `hash` at its depth.
    fn add_segment(&mut self, segment: Segment, hash: u32) {
        let depth = segment.depth;
        if depth > self.depth {
            self.by_prefix = self
                .by_prefix
                .iter()
                .flat_map(|&segment| [segment, segment])
                .collect();
            self.depth = depth;
        }
        let added = self.segments.len() as u32;
        self.segments.push(segment);
        let run = 1 << (self.depth - depth);
        let start = Self::prefix(hash, depth) * run;
        if let Some(prefixes) = self.by_prefix.get_mut(start..start + run) {
            prefixes.fill(added);
        }
    }
}

fn rehash(entry: &Entry) -> u64 {
    spread(entry.hash())
}

/// Gives memory back when a table is nearly empty. Answers by how much its bytes changed.
fn shrink(table: &mut HashTable<Entry>) -> isize {
    if table.len() * SHRINK_BELOW >= table.num_buckets() {
        return 0;
    }
    let before = table.allocation_size() as isize;
    table.shrink_to(table.len() * 2, rehash);
    table.allocation_size() as isize - before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::access::Access;
    use crate::dataset::entry::StringParts;
    use crate::dataset::object::Encoding;
    use crate::dataset::position::KeyHasher;

    fn entry(hash: u32, key: &[u8]) -> Entry {
        let parts = StringParts {
            value: b"v",
            encoding: Encoding::Embstr,
            expire_at_ms: None,
        };
        Entry::string(hash, key, parts, Access::new(0))
    }

    #[test]
    fn a_giant_slot_stays_in_order_in_small_tables_and_accounts_for_its_bytes() {
        let hasher = KeyHasher::new(&[7; 16]);
        let mut slot = SlotTable::default();
        let mut bytes = 0;
        let keys: Vec<Vec<u8>> = (0..50_000)
            .map(|n| format!("key:{n}").into_bytes())
            .collect();
        for key in &keys {
            assert!(slot.find(hasher.hash(key), key).is_none());
            bytes += slot.insert(entry(hasher.hash(key), key));
            assert_eq!(
                slot.find(hasher.hash(key), key).map(Entry::key),
                Some(&key[..])
            );
        }
        assert_eq!((slot.len(), slot.iter().count()), (50_000, 50_000));
        assert_eq!(bytes, slot.table_bytes() as isize);
        let mut above = 0;
        for table in slot.tables_from(0) {
            assert!(table.len() <= SEGMENT_MAX_ENTRIES);
            assert!(table.iter().all(|entry| entry.hash() >= above));
            above = table.iter().map(Entry::hash).max().unwrap_or(above);
        }
        let middle = 0x8000_0000;
        let from_middle: usize = slot
            .tables_from(middle)
            .map(|table| table.iter().filter(|e| e.hash() >= middle).count())
            .sum();
        assert_eq!(
            from_middle,
            slot.iter().filter(|e| e.hash() >= middle).count()
        );
        for key in &keys {
            let (taken, change) = slot.remove(hasher.hash(key), key).unwrap();
            bytes += change;
            assert_eq!(taken.key(), &key[..]);
            assert!(slot.remove(hasher.hash(key), key).is_none());
        }
        assert_eq!((slot.len(), bytes), (0, slot.table_bytes() as isize));
        assert!(bytes < 20_000, "empty tables keep no buckets: {bytes}");
    }

    #[test]
    fn equal_hashes_neither_clash_nor_split_for_ever() {
        let mut slot = SlotTable::default();
        for n in 0..3000u32 {
            slot.insert(entry(42, &n.to_le_bytes()));
        }
        assert_eq!(slot.with_hash(42).count(), 3000);
        assert_eq!(slot.with_hash(43).count(), 0);
        for n in 0..3000u32 {
            assert!(slot.find(42, &n.to_le_bytes()).is_some());
        }
    }

    #[test]
    fn extraction_takes_what_it_is_told() {
        let hasher = KeyHasher::new(&[7; 16]);
        let mut slot = SlotTable::default();
        let mut bytes = 0;
        for n in 0..5000u32 {
            let key = n.to_le_bytes();
            bytes += slot.insert(entry(hasher.hash(&key), &key));
        }
        let mut taken = 0;
        bytes += slot.extract(|entry| entry.hash() % 10 != 0, |_| taken += 1);
        assert_eq!(slot.len() + taken, 5000);
        assert!(slot.iter().all(|entry| entry.hash() % 10 == 0));
        assert_eq!(bytes, slot.table_bytes() as isize);
    }
}
