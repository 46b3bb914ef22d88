//! The entries of one slot in memory: extendible hashing (Fagin and others, 1979) over small segments.
//!
//! A slot begins as one segment, a pair of dense arrays that grow by a little at a time: tables of a power of two would
//! leave a third of their places empty on average, and what they outgrow is too small to be used again. A segment that
//! is full splits in two by the next upper bit of the hash, so growing never costs more than moving one segment, even when
//! all keys share a hash tag; and the segments in order of their prefixes are the slot in order of hashes, which is what SCAN
//! walks.

use super::entry::Entry;

/// A segment splits rather than grow beyond this. Finding a tag among so many costs a few tens of nanoseconds.
const SEGMENT_MAX_ENTRIES: usize = 256;
/// The directory stops doubling here; segments grow instead. 2^24 segments hold billions of keys.
const MAX_DEPTH: u32 = 24;
/// A segment that is full grows by one part in so many.
const GROWTH_PARTS: usize = 8;
/// And by so many entries at least.
const GROWTH_MIN_ENTRIES: usize = 4;
/// A segment gives memory back when it uses less than one in so many of its places.
const SHRINK_BELOW: usize = 4;
/// Tags compared at a time: a width that the compiler turns into vector instructions.
const TAGS_AT_ONCE: usize = 16;

/// The entries of one slot.
pub(super) enum SlotTable {
    /// The common case: few keys.
    One(Segment),
    /// More keys than one segment should hold.
    Many(Box<Directory>),
}

/// Segments by the upper `depth` bits of the hash. Several prefixes may share a segment whose own depth is less.
pub(super) struct Directory {
    len: usize,
    depth: u32,
    by_prefix: Vec<u32>,
    segments: Vec<Segment>,
}

/// Entries in no order. The tag of an entry, the lower half of its hash, stands at its place in the other array: nearly
/// always only the entry that is looked for is touched.
#[derive(Default)]
pub(super) struct Segment {
    tags: Vec<u16>,
    entries: Vec<Entry>,
}

/// A place in a segment, whose entry was not looked at yet.
#[derive(Clone, Copy)]
pub(super) struct Probable<'a> {
    segment: &'a Segment,
    place: usize,
}

impl<'a> Probable<'a> {
    pub(super) fn entry(self) -> Option<&'a Entry> {
        self.segment.entries.get(self.place)
    }
}

impl Segment {
    fn tag(hash: u32) -> u16 {
        hash as u16
    }

    /// All entries, in no particular order.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The places from `from` on whose tag is that of `hash`.
    #[inline]
    fn next_place(&self, hash: u32, from: usize) -> Option<usize> {
        let tag = Self::tag(hash);
        let tags = self.tags.get(from..)?;
        let (blocks, rest) = tags.as_chunks::<TAGS_AT_ONCE>();
        for (number, block) in blocks.iter().enumerate() {
            // Without an early end, so that the whole block is compared at once.
            if block
                .iter()
                .fold(false, |found, &other| found | (other == tag))
            {
                let within = block.iter().position(|&other| other == tag)?;
                return Some(from + number * TAGS_AT_ONCE + within);
            }
        }
        let within = rest.iter().position(|&other| other == tag)?;
        Some(from + blocks.len() * TAGS_AT_ONCE + within)
    }

    #[inline]
    fn place(&self, hash: u32, key: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let place = self.next_place(hash, from)?;
            if self
                .entries
                .get(place)
                .is_some_and(|entry| entry.hash() == hash && entry.key() == key)
            {
                return Some(place);
            }
            from = place + 1;
        }
    }

    /// Adds an entry; answers by how much the bytes changed.
    #[inline]
    fn push(&mut self, entry: Entry) -> isize {
        let before = self.allocated_bytes();
        if self.entries.len() == self.entries.capacity() {
            let more = (self.entries.len() / GROWTH_PARTS).max(GROWTH_MIN_ENTRIES);
            self.tags.reserve_exact(more);
            self.entries.reserve_exact(more);
        }
        self.tags.push(Self::tag(entry.hash()));
        self.entries.push(entry);
        self.allocated_bytes() as isize - before as isize
    }

    fn swap_remove(&mut self, place: usize) -> Entry {
        self.tags.swap_remove(place);
        self.entries.swap_remove(place)
    }

    /// Takes out every entry that `goes`; answers by how much the bytes changed.
    fn extract(
        &mut self,
        mut goes: impl FnMut(&Entry) -> bool,
        mut taken: impl FnMut(Entry),
    ) -> isize {
        let mut place = 0;
        while let Some(entry) = self.entries.get(place) {
            if goes(entry) {
                taken(self.swap_remove(place));
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
        self.tags.shrink_to(room);
        self.entries.shrink_to(room);
        self.allocated_bytes() as isize - before
    }

    fn allocated_bytes(&self) -> usize {
        self.tags.capacity() * size_of::<u16>() + self.entries.capacity() * size_of::<Entry>()
    }
}

impl Default for SlotTable {
    fn default() -> Self {
        Self::One(Segment::default())
    }
}

impl SlotTable {
    /// Number of entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
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
    fn segment(&self, hash: u32) -> Option<&Segment> {
        match self {
            Self::One(segment) => Some(segment),
            Self::Many(directory) => directory.segment(hash),
        }
    }

    #[inline]
    fn segment_mut(&mut self, hash: u32) -> Option<&mut Segment> {
        match self {
            Self::One(segment) => Some(segment),
            Self::Many(directory) => directory.segment_mut(hash),
        }
    }

    #[inline]
    pub(super) fn find(&self, hash: u32, key: &[u8]) -> Option<&Entry> {
        let segment = self.segment(hash)?;
        segment.entries.get(segment.place(hash, key)?)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, hash: u32, key: &[u8]) -> Option<&mut Entry> {
        let segment = self.segment_mut(hash)?;
        let place = segment.place(hash, key)?;
        segment.entries.get_mut(place)
    }

    /// Where an entry with this hash probably is; reading it brings the tags into the processor's caches.
    #[inline]
    pub(super) fn probable(&self, hash: u32) -> Option<Probable<'_>> {
        let segment = self.segment(hash)?;
        Some(Probable {
            segment,
            place: segment.next_place(hash, 0)?,
        })
    }

    /// The entries whose keys have this hash: one, as good as always.
    pub(super) fn with_hash(&self, hash: u32) -> impl Iterator<Item = &Entry> {
        let segment = self.segment(hash).into_iter();
        segment
            .flat_map(Segment::iter)
            .filter(move |entry| entry.hash() == hash)
    }

    /// Adds an entry whose key is not there. Answers by how much the segments' bytes changed.
    #[inline]
    pub(super) fn insert(&mut self, entry: Entry) -> isize {
        let hash = entry.hash();
        let mut change = 0;
        if self
            .segment(hash)
            .is_some_and(|segment| segment.entries.len() >= SEGMENT_MAX_ENTRIES)
        {
            change += self.split(hash);
        }
        self.count(1);
        if let Some(segment) = self.segment_mut(hash) {
            change += segment.push(entry);
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
    pub(super) fn remove(&mut self, hash: u32, key: &[u8]) -> Option<(Entry, isize)> {
        let segment = self.segment_mut(hash)?;
        let entry = segment.swap_remove(segment.place(hash, key)?);
        let change = segment.shrink();
        self.count(-1);
        Some((entry, change))
    }

    /// Takes out every entry that `goes`, in no particular order. Answers by how much the segments' bytes changed.
    pub(super) fn extract(
        &mut self,
        mut goes: impl FnMut(&Entry) -> bool,
        mut taken: impl FnMut(Entry),
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
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.segments_from(0).flat_map(Segment::iter)
    }

    /// The segments that hold the hashes from `hash` on: those of one lie below those of the next.
    pub(super) fn segments_from(&self, hash: u32) -> impl Iterator<Item = &Segment> {
        let (one, many) = match self {
            Self::One(segment) => (Some(segment), None),
            Self::Many(directory) => (None, Some(directory.segments_from(hash))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Bytes of the segments, the directory of them not included.
    #[cfg(test)]
    fn allocated_bytes(&self) -> usize {
        self.segments_from(0).map(Segment::allocated_bytes).sum()
    }
}

impl Directory {
    #[inline]
    fn prefix(hash: u32, depth: u32) -> usize {
        // In 64 bits, because no bit at all may be asked for.
        (u64::from(hash) >> (32 - depth)) as usize
    }

    #[inline]
    fn segment(&self, hash: u32) -> Option<&Segment> {
        let segment = *self.by_prefix.get(Self::prefix(hash, self.depth))?;
        self.segments.get(segment as usize)
    }

    #[inline]
    fn segment_mut(&mut self, hash: u32) -> Option<&mut Segment> {
        let segment = *self.by_prefix.get(Self::prefix(hash, self.depth))?;
        self.segments.get_mut(segment as usize)
    }

    fn segments_from(&self, hash: u32) -> impl Iterator<Item = &Segment> {
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
                |entry| entry.hash() & bit != 0,
                |entry| {
                    upper.push(entry);
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
    fn add_segment(&mut self, segment: Segment, hash: u32, depth: u32) {
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
        assert_eq!(bytes, slot.allocated_bytes() as isize);
        let mut above = 0;
        for segment in slot.segments_from(0) {
            assert!(segment.entries.len() <= SEGMENT_MAX_ENTRIES);
            assert!(segment.iter().all(|entry| entry.hash() >= above));
            above = segment.iter().map(Entry::hash).max().unwrap_or(above);
        }
        let middle = 0x8000_0000;
        let from_middle: usize = slot
            .segments_from(middle)
            .map(|segment| segment.iter().filter(|e| e.hash() >= middle).count())
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
        assert_eq!((slot.len(), bytes), (0, slot.allocated_bytes() as isize));
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
        assert_eq!(bytes, slot.allocated_bytes() as isize);
    }
}
