//! Entries by keyed hash, walked in order of hashes: extendible hashing (Fagin and others, 1979) over small segments. The keys
//! of a slot are in such a table, and so are the members of large sets, hashes and sorted sets.
//!
//! A table begins as one segment, a pair of dense arrays that grow by a little at a time: tables of a power of two would
//! leave a third of their places empty on average, and what they outgrow is too small to be used again. A segment that
//! is full splits in two by the next upper bit of the hash, so growing never costs more than moving one segment, even when
//! all keys of a cluster share a hash tag; and the segments in order of their prefixes are the table in order of hashes, which
//! is what SCAN and its kin walk.

mod draw;

pub use self::draw::HashRange;
pub(crate) use self::draw::drawn_from;
use crate::prefetch;

/// What an entry of a table is found by.
pub trait Keyed {
    /// The bytes whose hash is the entry's.
    fn key(&self) -> &[u8];

    /// Asks for the memory that the entry owns, without looking into it.
    fn prefetch(&self);
}

/// What a lookup reads one after the other. Of several keys each step can be waited for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Where a table of several segments has them.
    Directory,
    /// Which segment it is.
    Prefix,
    /// The segment itself.
    Segment,
    /// Its hashes.
    Hashes,
    /// The entry's place in the segment.
    Place,
    /// What the entry owns.
    Entry,
}

impl Step {
    /// Up to the hashes: as far as is known without comparing any.
    pub const TO_HASHES: [Self; 4] = [Self::Directory, Self::Prefix, Self::Segment, Self::Hashes];
    /// From there on.
    pub const TO_ENTRY: [Self; 2] = [Self::Place, Self::Entry];
}

/// A segment splits rather than grow beyond this. The hashes of so many are four cache lines.
const SEGMENT_MAX_ENTRIES: usize = 64;
/// The directory stops doubling here; segments grow instead. 2^24 segments hold billions of keys.
const MAX_DEPTH: u32 = 24;
/// A segment that is full grows by one part in so many.
const GROWTH_PARTS: usize = 8;
/// And by so many entries at least.
const GROWTH_MIN_ENTRIES: usize = 4;
/// A segment gives memory back when it uses less than one in so many of its places.
const SHRINK_BELOW: usize = 4;
/// Hashes compared at a time: a width that the compiler turns into vector instructions.
const HASHES_AT_ONCE: usize = 16;

/// See the module.
#[derive(Clone)]
pub enum Table<T> {
    /// The common case: few entries.
    One(Segment<T>),
    /// More entries than one segment should hold.
    Many(Box<Directory<T>>),
}

/// Segments by the upper `depth` bits of the hash. Several prefixes may share a segment whose own depth is less.
#[derive(Clone)]
pub struct Directory<T> {
    len: usize,
    depth: u32,
    by_prefix: Vec<u32>,
    segments: Vec<Segment<T>>,
}

/// Entries in no order. The hash of an entry stands at its place in the other array: nearly always only the entry that is
/// looked for is touched.
#[derive(Clone)]
pub struct Segment<T> {
    hashes: Vec<u32>,
    entries: Vec<T>,
}

impl<T> Default for Segment<T> {
    fn default() -> Self {
        Self {
            hashes: Vec::new(),
            entries: Vec::new(),
        }
    }
}

/// A place in a segment, whose entry was not looked at yet.
pub struct Probable<'a, T> {
    segment: &'a Segment<T>,
    place: usize,
}

impl<'a, T> Probable<'a, T> {
    /// The entry.
    #[inline]
    pub fn entry(self) -> Option<&'a T> {
        self.segment.entries.get(self.place)
    }

    /// Asks for where the entry is.
    #[inline]
    pub fn prefetch(&self) {
        if let Some(entry) = self.segment.entries.get(self.place) {
            prefetch::object(entry);
        }
    }
}

impl<T> Segment<T> {
    /// All entries, in no particular order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.entries.iter()
    }

    /// All entries with their hashes, in no particular order.
    pub fn hashed(&self) -> impl Iterator<Item = (u32, &T)> {
        self.hashes.iter().copied().zip(&self.entries)
    }

    /// The first place from `from` on that has this hash.
    #[inline]
    fn next_place(&self, hash: u32, from: usize) -> Option<usize> {
        let hashes = self.hashes.get(from..)?;
        let (blocks, rest) = hashes.as_chunks::<HASHES_AT_ONCE>();
        for (number, block) in blocks.iter().enumerate() {
            // Without an early end, so that the whole block is compared at once.
            if block
                .iter()
                .fold(false, |found, &other| found | (other == hash))
            {
                let within = block.iter().position(|&other| other == hash)?;
                return Some(from + number * HASHES_AT_ONCE + within);
            }
        }
        let within = rest.iter().position(|&other| other == hash)?;
        Some(from + blocks.len() * HASHES_AT_ONCE + within)
    }

    #[inline]
    fn place(&self, hash: u32, key: &[u8]) -> Option<usize>
    where
        T: Keyed,
    {
        let mut from = 0;
        loop {
            let place = self.next_place(hash, from)?;
            if self
                .entries
                .get(place)
                .is_some_and(|entry| entry.key() == key)
            {
                return Some(place);
            }
            from = place + 1;
        }
    }

    /// Adds an entry; answers by how much the bytes changed.
    #[inline]
    fn push(&mut self, hash: u32, entry: T) -> isize {
        let before = self.allocated_bytes();
        if self.entries.len() == self.entries.capacity() {
            let more = (self.entries.len() / GROWTH_PARTS).max(GROWTH_MIN_ENTRIES);
            self.hashes.reserve_exact(more);
            self.entries.reserve_exact(more);
        }
        self.hashes.push(hash);
        self.entries.push(entry);
        self.allocated_bytes() as isize - before as isize
    }

    fn swap_remove(&mut self, place: usize) -> (u32, T) {
        (
            self.hashes.swap_remove(place),
            self.entries.swap_remove(place),
        )
    }

    /// Takes out every entry that `goes`; answers by how much the bytes changed.
    fn extract(
        &mut self,
        mut goes: impl FnMut(u32, &T) -> bool,
        mut taken: impl FnMut(u32, T),
    ) -> isize {
        let mut place = 0;
        while let (Some(&hash), Some(entry)) = (self.hashes.get(place), self.entries.get(place)) {
            if goes(hash, entry) {
                let (hash, entry) = self.swap_remove(place);
                taken(hash, entry);
            } else {
                place += 1;
            }
        }
        self.shrink()
    }

    /// Gives memory back when most is unused; answers by how much the bytes changed.
    fn shrink(&mut self) -> isize {
        if self.entries.len() * SHRINK_BELOW >= self.entries.capacity() {
            return 0;
        }
        let before = self.allocated_bytes() as isize;
        // Room for half as many again, or a removal and an insertion in turn would move everything each time.
        let room = self.entries.len() + self.entries.len() / 2;
        self.hashes.shrink_to(room);
        self.entries.shrink_to(room);
        self.allocated_bytes() as isize - before
    }

    fn allocated_bytes(&self) -> usize {
        self.hashes.capacity() * size_of::<u32>() + self.entries.capacity() * size_of::<T>()
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::One(Segment::default())
    }
}

impl<T> Table<T> {
    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::One(segment) => segment.entries.len(),
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
    fn segment(&self, hash: u32) -> Option<&Segment<T>> {
        match self {
            Self::One(segment) => Some(segment),
            Self::Many(directory) => directory.segment(hash),
        }
    }

    #[inline]
    fn segment_mut(&mut self, hash: u32) -> Option<&mut Segment<T>> {
        match self {
            Self::One(segment) => Some(segment),
            Self::Many(directory) => directory.segment_mut(hash),
        }
    }

    /// The entry of this key.
    #[inline]
    pub fn find(&self, hash: u32, key: &[u8]) -> Option<&T>
    where
        T: Keyed,
    {
        let segment = self.segment(hash)?;
        segment.entries.get(segment.place(hash, key)?)
    }

    /// The entry of this key, to be changed; its key must stay.
    #[inline]
    pub fn find_mut(&mut self, hash: u32, key: &[u8]) -> Option<&mut T>
    where
        T: Keyed,
    {
        let segment = self.segment_mut(hash)?;
        let place = segment.place(hash, key)?;
        segment.entries.get_mut(place)
    }

    /// Where an entry with this hash probably is.
    #[inline]
    pub fn probable(&self, hash: u32) -> Option<Probable<'_, T>> {
        let segment = self.segment(hash)?;
        Some(Probable {
            segment,
            place: segment.next_place(hash, 0)?,
        })
    }

    /// Asks for what a lookup of this hash will read in a step, once the steps before have arrived.
    #[inline]
    pub fn prefetch(&self, step: Step, hash: u32)
    where
        T: Keyed,
    {
        match (step, self) {
            (Step::Directory, Self::Many(directory)) => prefetch::object(&**directory),
            (Step::Prefix, Self::Many(directory)) => directory.prefetch_prefix(hash),
            (Step::Segment, Self::Many(directory)) => {
                if let Some(segment) = directory.segment(hash) {
                    prefetch::object(segment);
                }
            }
            (Step::Directory | Step::Prefix | Step::Segment, Self::One(_)) => {}
            (Step::Hashes, _) => {
                if let Some(segment) = self.segment(hash) {
                    prefetch::object(segment.hashes.as_slice());
                }
            }
            (Step::Place, _) => {
                if let Some(place) = self.probable(hash) {
                    place.prefetch();
                }
            }
            (Step::Entry, _) => {
                if let Some(entry) = self.probable(hash).and_then(Probable::entry) {
                    entry.prefetch();
                }
            }
        }
    }

    /// The entries whose keys have this hash: one, as good as always.
    pub fn with_hash(&self, hash: u32) -> impl Iterator<Item = &T> {
        let segment = self.segment(hash).into_iter();
        segment
            .flat_map(Segment::hashed)
            .filter(move |(other, _)| *other == hash)
            .map(|(_, entry)| entry)
    }

    /// Adds an entry whose key is not there. Answers by how much the segments' bytes changed.
    #[inline]
    pub fn insert(&mut self, hash: u32, entry: T) -> isize {
        let mut change = 0;
        if self
            .segment(hash)
            .is_some_and(|segment| segment.entries.len() >= SEGMENT_MAX_ENTRIES)
        {
            change += self.split(hash);
        }
        self.count(1);
        if let Some(segment) = self.segment_mut(hash) {
            change += segment.push(hash, entry);
        }
        change
    }

    #[cold]
    fn split(&mut self, hash: u32) -> isize {
        if let Self::One(segment) = self {
            let first = std::mem::take(segment);
            let len = first.entries.len();
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

    /// Takes an entry out. Answers by how much the segments' bytes changed, too.
    pub fn remove(&mut self, hash: u32, key: &[u8]) -> Option<(T, isize)>
    where
        T: Keyed,
    {
        let segment = self.segment_mut(hash)?;
        let (_, entry) = segment.swap_remove(segment.place(hash, key)?);
        let change = segment.shrink();
        self.count(-1);
        Some((entry, change))
    }

    /// Takes out every entry that `goes`, in no particular order. Answers by how much the segments' bytes changed.
    pub fn extract(
        &mut self,
        mut goes: impl FnMut(u32, &T) -> bool,
        mut taken: impl FnMut(u32, T),
    ) -> isize {
        match self {
            Self::One(segment) => segment.extract(goes, taken),
            Self::Many(directory) => {
                let segments = directory.segments.iter_mut();
                let change = segments
                    .map(|segment| segment.extract(&mut goes, &mut taken))
                    .sum();
                directory.len = directory
                    .segments
                    .iter()
                    .map(|segment| segment.entries.len())
                    .sum();
                change
            }
        }
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments_from(0).flat_map(Segment::iter)
    }

    /// The segments that hold the hashes from `hash` on: those of one lie below those of the next.
    pub fn segments_from(&self, hash: u32) -> impl Iterator<Item = &Segment<T>> {
        let (one, many) = match self {
            Self::One(segment) => (Some(segment), None),
            Self::Many(directory) => (None, Some(directory.segments_from(hash))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The entries from hash `from` on in ascending order of hashes, those of one hash in order of their keys; all of a
    /// hash, or none, and about `count`. Answers the hash to go on from, none at the end.
    pub fn scan(&self, from: u32, count: usize) -> (Option<u32>, Vec<&T>)
    where
        T: Keyed,
    {
        let mut found = Vec::new();
        for segment in self.segments_from(from) {
            let mut entries: Vec<(u32, &T)> =
                segment.hashed().filter(|(hash, _)| *hash >= from).collect();
            entries.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.key().cmp(y.key())));
            let mut last = None;
            for (hash, entry) in entries {
                if found.len() >= count && last.is_some_and(|last| last != hash) {
                    return (Some(hash), found);
                }
                last = Some(hash);
                found.push(entry);
            }
            if let Some(last) = last.filter(|_| found.len() >= count) {
                return (last.checked_add(1), found);
            }
        }
        (None, found)
    }

    /// The segments that hold the hashes from `first` to `last`, and perhaps others.
    fn segments_between(&self, first: u32, last: u32) -> impl Iterator<Item = &Segment<T>> {
        let (one, many) = match self {
            Self::One(segment) => (Some(segment), None),
            Self::Many(directory) => (None, Some(directory.segments_between(first, last))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Bytes of the segments, the directory of them not included.
    #[cfg(test)]
    fn allocated_bytes(&self) -> usize {
        self.segments_from(0).map(Segment::allocated_bytes).sum()
    }
}

impl<T> Directory<T> {
    #[inline]
    fn prefix(hash: u32, depth: u32) -> usize {
        // In 64 bits, because no bit at all may be asked for.
        (u64::from(hash) >> (32 - depth)) as usize
    }

    #[inline]
    fn segment(&self, hash: u32) -> Option<&Segment<T>> {
        let segment = *self.by_prefix.get(Self::prefix(hash, self.depth))?;
        self.segments.get(segment as usize)
    }

    #[inline]
    fn prefetch_prefix(&self, hash: u32) {
        if let Some(number) = self.by_prefix.get(Self::prefix(hash, self.depth)) {
            prefetch::object(number);
        }
    }

    #[inline]
    fn segment_mut(&mut self, hash: u32) -> Option<&mut Segment<T>> {
        let segment = *self.by_prefix.get(Self::prefix(hash, self.depth))?;
        self.segments.get_mut(segment as usize)
    }

    fn segments_from(&self, hash: u32) -> impl Iterator<Item = &Segment<T>> {
        let mut at = Self::prefix(hash, self.depth);
        std::iter::from_fn(move || {
            let number = *self.by_prefix.get(at)?;
            // The prefixes of one segment stand together.
            at += self
                .by_prefix
                .get(at..)?
                .iter()
                .take_while(|&&other| other == number)
                .count();
            self.segments.get(number as usize)
        })
    }

    fn segments_between(&self, first: u32, last: u32) -> impl Iterator<Item = &Segment<T>> {
        let prefixes = Self::prefix(first, self.depth)..=Self::prefix(last, self.depth);
        let numbers = self.by_prefix.get(prefixes).unwrap_or_default();
        // The prefixes of one segment stand together.
        let mut before = None;
        let different = numbers
            .iter()
            .filter(move |&&number| before.replace(number) != Some(number));
        different.filter_map(|&number| self.segments.get(number as usize))
    }

    /// Splits the segment of `hash` until it has room, unless all its entries have the same hash. Answers by how much the
    /// segments' bytes changed.
    fn split(&mut self, hash: u32) -> isize {
        let mut change = 0;
        loop {
            let depth = self.depth_of(hash) + 1;
            let Some(full) = self.segment_mut(hash) else {
                return change;
            };
            if full.entries.len() < SEGMENT_MAX_ENTRIES || depth > MAX_DEPTH {
                return change;
            }
            let bit = 1u32 << (32 - depth);
            let mut upper = Segment::default();
            change += full.extract(
                |hash, _| hash & bit != 0,
                |hash, entry| {
                    upper.push(hash, entry);
                },
            );
            change += upper.allocated_bytes() as isize;
            self.add_segment(upper, hash | bit, depth);
        }
    }

    /// How many upper bits the entries of the segment of `hash` share.
    fn depth_of(&self, hash: u32) -> u32 {
        let at = Self::prefix(hash, self.depth);
        let number = self.by_prefix.get(at);
        // A segment of depth d stands at all prefixes that agree in d bits.
        let narrower = (0..self.depth).take_while(|&bits| {
            let neighbour = at ^ (1 << bits);
            self.by_prefix.get(neighbour) == number
        });
        self.depth - narrower.count() as u32
    }

    /// Enters a segment for the prefix of `hash` at `depth`.
    fn add_segment(&mut self, segment: Segment<T>, hash: u32, depth: u32) {
        if depth > self.depth {
            self.by_prefix = self
                .by_prefix
                .iter()
                .flat_map(|&number| [number, number])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::KeyHasher;

    #[derive(Clone, Debug, PartialEq)]
    pub(super) struct Entry(Vec<u8>);

    impl Keyed for Entry {
        fn key(&self) -> &[u8] {
            &self.0
        }

        fn prefetch(&self) {
            prefetch::object(self.0.as_slice());
        }
    }

    pub(super) fn entry(key: &[u8]) -> Entry {
        Entry(key.to_vec())
    }

    #[test]
    fn a_giant_table_stays_in_order_in_small_tables_and_accounts_for_its_bytes() {
        let hasher = KeyHasher::new(&[7; 16]);
        let mut table = Table::default();
        let mut bytes = 0;
        let keys: Vec<Vec<u8>> = (0..50_000)
            .map(|n| format!("key:{n}").into_bytes())
            .collect();
        for key in &keys {
            assert!(table.find(hasher.hash(key), key).is_none());
            bytes += table.insert(hasher.hash(key), entry(key));
            assert_eq!(
                table.find(hasher.hash(key), key).map(Entry::key),
                Some(&key[..])
            );
        }
        assert_eq!((table.len(), table.iter().count()), (50_000, 50_000));
        assert_eq!(bytes, table.allocated_bytes() as isize);
        let mut above = 0;
        for segment in table.segments_from(0) {
            assert!(segment.entries.len() <= SEGMENT_MAX_ENTRIES);
            assert!(segment.hashed().all(|(hash, _)| hash >= above));
            above = segment
                .hashed()
                .map(|(hash, _)| hash)
                .max()
                .unwrap_or(above);
        }
        let middle = 0x8000_0000;
        let from_middle: usize = table
            .segments_from(middle)
            .map(|segment| segment.hashed().filter(|(hash, _)| *hash >= middle).count())
            .sum();
        assert_eq!(
            from_middle,
            table
                .iter()
                .filter(|e| hasher.hash(e.key()) >= middle)
                .count()
        );
        for key in &keys {
            let (taken, change) = table.remove(hasher.hash(key), key).unwrap();
            bytes += change;
            assert_eq!(taken.key(), &key[..]);
            assert!(table.remove(hasher.hash(key), key).is_none());
        }
        assert_eq!((table.len(), bytes), (0, table.allocated_bytes() as isize));
        assert!(bytes < 25_000, "empty tables keep no buckets: {bytes}");
    }

    #[test]
    fn equal_hashes_neither_clash_nor_split_for_ever() {
        let mut table = Table::default();
        for n in 0..3000u32 {
            table.insert(42, entry(&n.to_le_bytes()));
        }
        assert_eq!(table.with_hash(42).count(), 3000);
        assert_eq!(table.with_hash(43).count(), 0);
        for n in 0..3000u32 {
            assert!(table.find(42, &n.to_le_bytes()).is_some());
        }
    }

    #[test]
    fn extraction_takes_what_it_is_told() {
        let hasher = KeyHasher::new(&[7; 16]);
        let mut table = Table::default();
        let mut bytes = 0;
        for n in 0..5000u32 {
            let key = n.to_le_bytes();
            bytes += table.insert(hasher.hash(&key), entry(&key));
        }
        let mut taken = 0;
        bytes += table.extract(|hash, _| hash % 10 != 0, |_, _| taken += 1);
        assert_eq!(table.len() + taken, 5000);
        assert!(
            table
                .iter()
                .all(|e| hasher.hash(e.key()).is_multiple_of(10))
        );
        assert_eq!(bytes, table.allocated_bytes() as isize);
    }

    #[test]
    fn a_scan_gives_everything_once_in_order() {
        let hasher = KeyHasher::new(&[7; 16]);
        let mut table = Table::default();
        for n in 0..3000u32 {
            let key = n.to_le_bytes();
            table.insert(hasher.hash(&key) & 0xffff_ff00, entry(&key));
        }
        for count in [1, 10, 1000, 10_000] {
            let (mut from, mut keys) = (0, Vec::new());
            loop {
                let (next, found) = table.scan(from, count);
                keys.extend(found.iter().map(|entry| entry.key().to_vec()));
                match next {
                    Some(next) => from = next,
                    None => break,
                }
            }
            let hash = |key: &Vec<u8>| hasher.hash(key) & 0xffff_ff00;
            assert!(keys.is_sorted_by_key(|key| (hash(key), key.clone())));
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), 3000, "count {count}");
        }
    }
}
