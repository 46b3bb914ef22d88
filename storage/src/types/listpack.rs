//! Listpacks: short sequences of byte strings and integers in one buffer, byte for byte as Redis has them in memory and in
//! its RDB files.
//!
//! | part | bytes |
//! |---|---|
//! | size of the whole | u32, little endian |
//! | number of entries | u16, little endian; 65535: unknown, to be counted |
//! | entries | encoding and data, then the length of both, readable backwards |
//! | end | `ff` |
//!
//! An entry begins with `0xxxxxxx` (number 0 to 127), `10xxxxxx` (string, length in 6 bits), `110xxxxx` (number of 13 bits),
//! `1110xxxx` (string, length in 12 bits), `f0` (string, length u32), `f1` to `f4` (numbers of 16, 24, 32, 64 bits).
//!
//! What is read here was written here, or checked by [`ListpackRef::validate`]: bytes that make no sense end an iteration early.

use super::Item;

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
/// In place of the number of entries when it does not fit.
const UNKNOWN_LEN: usize = 0xffff;

const STRING_32: u8 = 0xf0;
const INT_16: u8 = 0xf1;
const INT_24: u8 = 0xf2;
const INT_32: u8 = 0xf3;
const INT_64: u8 = 0xf4;

/// A listpack to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListpackRef<'a> {
    bytes: &'a [u8],
}

/// One decoded entry and its size with everything.
struct Decoded<'a> {
    item: Item<'a>,
    size: usize,
}

/// Decodes the entry at the start of `bytes`.
#[inline]
fn decode(bytes: &[u8]) -> Option<Decoded<'_>> {
    let (&first, rest) = bytes.split_first()?;
    let string = |head: usize, len: usize| {
        let item = Item::Bytes(bytes.get(head..head + len)?);
        Some((item, head + len))
    };
    let number = |value: i64, size: usize| Some((Item::Int(value), size));
    let (item, size) = match first {
        0..=0x7f => number(first.into(), 1),
        0x80..=0xbf => string(1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            let low = *rest.first()?;
            let raw = i64::from(first & 0x1f) << 8 | i64::from(low);
            number(if raw >= 1 << 12 { raw - (1 << 13) } else { raw }, 2)
        }
        0xe0..=0xef => {
            let low = *rest.first()?;
            string(2, usize::from(first & 0x0f) << 8 | usize::from(low))
        }
        STRING_32 => {
            let len = u32::from_le_bytes(*rest.first_chunk()?);
            string(5, len as usize)
        }
        INT_16 => number(i16::from_le_bytes(*rest.first_chunk()?).into(), 3),
        INT_24 => {
            let [a, b, c] = *rest.first_chunk()?;
            number((i32::from_le_bytes([0, a, b, c]) >> 8).into(), 4)
        }
        INT_32 => number(i32::from_le_bytes(*rest.first_chunk()?).into(), 5),
        INT_64 => number(i64::from_le_bytes(*rest.first_chunk()?), 9),
        _ => None,
    }?;
    Some(Decoded {
        item,
        size: size + backlen_bytes(size),
    })
}

/// How many bytes the length of an entry takes behind it. The limits are Redis's own.
#[inline]
fn backlen_bytes(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// The size of an entry as it stands behind it, read backwards from the end of `bytes`; and how many bytes say it.
#[inline]
fn read_backlen(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut size = 0;
    for (count, &byte) in bytes.iter().rev().take(5).enumerate() {
        size |= usize::from(byte & 0x7f) << (7 * count);
        if byte & 0x80 == 0 {
            return Some((size, count + 1));
        }
    }
    None
}

impl<'a> ListpackRef<'a> {
    /// A listpack made here, or checked.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Checks bytes from elsewhere: sizes, encodings and the count must all be right.
    pub fn validate(bytes: &'a [u8]) -> Option<Self> {
        let size = u32::from_le_bytes(*bytes.first_chunk()?);
        if size as usize != bytes.len() || bytes.len() <= HEADER_BYTES || bytes.last() != Some(&END)
        {
            return None;
        }
        let (mut at, end) = (HEADER_BYTES, bytes.len() - 1);
        let mut count = 0;
        while at < end {
            let entry = decode(bytes.get(at..end)?)?;
            let next = at.checked_add(entry.size).filter(|&next| next <= end)?;
            let (size, width) = read_backlen(bytes.get(at..next)?)?;
            if size + width != entry.size {
                return None;
            }
            at = next;
            count += 1;
        }
        let checked = Self { bytes };
        let header = checked.header_len();
        (header == count || header == UNKNOWN_LEN).then_some(checked)
    }

    /// The whole buffer.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    fn header_len(self) -> usize {
        match self.bytes.get(4..HEADER_BYTES) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        }
    }

    /// Number of entries. O(1) below 65535.
    #[inline]
    pub fn len(self) -> usize {
        match self.header_len() {
            UNKNOWN_LEN => self.iter().count(),
            len => len,
        }
    }

    /// True without entries.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.len() <= HEADER_BYTES + 1
    }

    /// All entries.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter {
            bytes: self.bytes,
            front: HEADER_BYTES,
            back: self.bytes.len().saturating_sub(1).max(HEADER_BYTES),
        }
    }

    /// The entries from byte offset `at` on, which an [`Iter::offset`] gave.
    pub fn iter_from(self, at: usize) -> Iter<'a> {
        Iter {
            front: at,
            ..self.iter()
        }
    }

    /// The iterator whose next entry is the `nth`, reached from the nearer end.
    pub fn iter_at(self, nth: usize) -> Iter<'a> {
        let len = self.len();
        let mut iter = self.iter();
        if nth >= len {
            iter.front = iter.back;
        } else if nth > len / 2 {
            let mut back = self.iter();
            for _ in nth..len {
                back.next_back();
            }
            iter.front = back.back;
        } else {
            for _ in 0..nth {
                iter.next();
            }
        }
        iter
    }

    /// The `nth` entry.
    pub fn get(self, nth: usize) -> Option<Item<'a>> {
        self.iter_at(nth).next()
    }

    /// The byte offset of the first entry that is `element`, of those at multiples of `step` from the first on.
    #[inline]
    pub fn find(self, element: &[u8], step: usize) -> Option<usize> {
        let wanted = Item::of(element);
        let mut iter = self.iter();
        loop {
            let at = iter.offset();
            if iter.next()? == wanted {
                return Some(at);
            }
            for _ in 1..step {
                iter.next();
            }
        }
    }
}

/// Entries of a listpack, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl Iter<'_> {
    /// The byte offset of the next entry: for [`Listpack::insert`], [`Listpack::replace`] and [`Listpack::remove`].
    #[inline]
    pub fn offset(&self) -> usize {
        self.front
    }

    /// The byte offset behind the last entry that is still to come.
    pub fn back_offset(&self) -> usize {
        self.back
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let entry = decode(self.bytes.get(self.front..self.back)?)?;
        self.front += entry.size;
        Some(entry.item)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        let (size, width) = read_backlen(self.bytes.get(self.front..self.back)?)?;
        let start = self.back.checked_sub(size + width)?;
        let entry = decode(self.bytes.get(start..self.back)?)?;
        self.back = start;
        Some(entry.item)
    }
}

/// A listpack to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

impl Default for Listpack {
    fn default() -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.push(END);
        let mut listpack = Self { bytes };
        listpack.write_size();
        listpack
    }
}

impl Listpack {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of bytes made here, or checked by [`ListpackRef::validate`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The whole buffer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> ListpackRef<'_> {
        ListpackRef { bytes: &self.bytes }
    }

    /// Bytes of the whole buffer.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives unused memory back.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Bytes that `element` would take as an entry.
    pub fn entry_bytes(element: &[u8]) -> usize {
        let size = Encoding::of(Item::of(element)).size();
        size + backlen_bytes(size)
    }

    /// Adds an element at the end.
    #[inline]
    pub fn push_back(&mut self, element: &[u8]) {
        self.insert(self.end(), element);
    }

    /// Adds an element at the start.
    #[inline]
    pub fn push_front(&mut self, element: &[u8]) {
        self.insert(HEADER_BYTES, element);
    }

    /// Inserts an element before the entry at byte offset `at`; answers the offset behind it.
    #[inline]
    pub fn insert(&mut self, at: usize, element: &[u8]) -> usize {
        self.insert_item(at, Item::of(element))
    }

    /// [`Self::insert`] of an item that is not looked at for a number.
    pub fn insert_item(&mut self, at: usize, item: Item<'_>) -> usize {
        let next = self.splice(at, 0, item);
        self.count(1);
        next
    }

    /// Puts an element in place of the entry at byte offset `at`; answers the offset behind it.
    #[inline]
    pub fn replace(&mut self, at: usize, element: &[u8]) -> usize {
        let old = self.size_at(at);
        self.splice(at, old, Item::of(element))
    }

    /// Removes up to `count` entries from byte offset `at` on.
    pub fn remove(&mut self, at: usize, count: usize) {
        let mut end = at;
        let mut removed = 0;
        while removed < count && end < self.end() {
            match self.size_at(end) {
                0 => break,
                size => end += size,
            }
            removed += 1;
        }
        self.bytes.drain(at..end);
        self.write_size();
        self.count(-(removed as isize));
    }

    /// Removes every entry.
    pub fn clear(&mut self) {
        self.bytes.truncate(HEADER_BYTES);
        self.bytes.push(END);
        self.write_size();
        self.write_len(0);
    }

    fn end(&self) -> usize {
        self.bytes.len().saturating_sub(1)
    }

    fn size_at(&self, at: usize) -> usize {
        let entry = self.bytes.get(at..self.end()).and_then(decode);
        entry.map_or(0, |entry| entry.size)
    }

    /// Puts an entry in place of `old` bytes at `at`.
    fn splice(&mut self, at: usize, old: usize, item: Item<'_>) -> usize {
        let encoding = Encoding::of(item);
        let size = encoding.size();
        let new = size + backlen_bytes(size);
        let (before, tail) = (self.bytes.len(), at + old);
        if new > old {
            self.bytes.resize(before + new - old, 0);
        }
        self.bytes.copy_within(tail..before, at + new);
        if new < old {
            self.bytes.truncate(before - (old - new));
        }
        if let Some(room) = self.bytes.get_mut(at..at + new) {
            encoding.write(room);
        }
        self.write_size();
        at + new
    }

    fn write_size(&mut self) {
        let size = self.bytes.len() as u32;
        if let Some(room) = self.bytes.first_chunk_mut() {
            *room = size.to_le_bytes();
        }
    }

    fn count(&mut self, change: isize) {
        let len = self.as_ref().header_len();
        if len != UNKNOWN_LEN {
            self.write_len(len.saturating_add_signed(change).min(UNKNOWN_LEN));
        } else if change < 0 {
            // It may fit again.
            let len = self.as_ref().iter().count();
            self.write_len(len.min(UNKNOWN_LEN));
        }
    }

    fn write_len(&mut self, len: usize) {
        if let Some(room) = self.bytes.get_mut(4..HEADER_BYTES) {
            room.copy_from_slice(&(len as u16).to_le_bytes());
        }
    }
}

/// How an item is written.
struct Encoding<'a> {
    head: [u8; 9],
    head_len: usize,
    body: &'a [u8],
}

impl<'a> Encoding<'a> {
    #[inline]
    fn of(item: Item<'a>) -> Self {
        match item {
            Item::Int(number) => Self::number(number),
            Item::Bytes(bytes) => Self::string(bytes),
        }
    }

    fn number(number: i64) -> Self {
        let mut head = [0; 9];
        let head_len = match number {
            0..=127 => {
                head[0] = number as u8;
                1
            }
            -4096..=4095 => {
                let raw = (number & 0x1fff) as u16;
                head[0] = 0xc0 | (raw >> 8) as u8;
                head[1] = raw as u8;
                2
            }
            _ => {
                let (code, width) = match number {
                    -0x8000..=0x7fff => (INT_16, 2),
                    -0x80_0000..=0x7f_ffff => (INT_24, 3),
                    -0x8000_0000..=0x7fff_ffff => (INT_32, 4),
                    _ => (INT_64, 8),
                };
                head[0] = code;
                for (to, from) in head.iter_mut().skip(1).zip(number.to_le_bytes()) {
                    *to = from;
                }
                1 + width
            }
        };
        Self {
            head,
            head_len,
            body: &[],
        }
    }

    fn string(body: &'a [u8]) -> Self {
        let mut head = [0; 9];
        let len = body.len();
        let head_len = match len {
            0..=63 => {
                head[0] = 0x80 | len as u8;
                1
            }
            64..=4095 => {
                head[0] = 0xe0 | (len >> 8) as u8;
                head[1] = len as u8;
                2
            }
            _ => {
                let [a, b, c, d] = (len as u32).to_le_bytes();
                head = [STRING_32, a, b, c, d, 0, 0, 0, 0];
                5
            }
        };
        Self {
            head,
            head_len,
            body,
        }
    }

    fn size(&self) -> usize {
        self.head_len + self.body.len()
    }

    /// Writes encoding, data and the length of both into `room`, which has their size.
    fn write(&self, room: &mut [u8]) {
        let size = self.size();
        let (head, rest) = room.split_at_mut(self.head_len.min(room.len()));
        for (to, from) in head.iter_mut().zip(self.head) {
            *to = from;
        }
        let (body, backlen) = rest.split_at_mut(self.body.len().min(rest.len()));
        body.copy_from_slice(self.body.get(..body.len()).unwrap_or_default());
        let width = backlen.len();
        for (place, byte) in backlen.iter_mut().enumerate() {
            let group = (size >> (7 * (width - 1 - place))) as u8 & 0x7f;
            *byte = if place == 0 { group } else { group | 0x80 };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(listpack: &Listpack) -> Vec<Vec<u8>> {
        listpack.as_ref().iter().map(Item::to_vec).collect()
    }

    #[test]
    fn bytes_are_those_of_redis() {
        // From DUMP of redis-server 7.0.15: RPUSH l 1 -1 4095 -4097 8388607 -2147483649 9223372036854775807 a
        let mut listpack = Listpack::new();
        for element in [
            "1",
            "-1",
            "4095",
            "-4097",
            "8388607",
            "-2147483649",
            "9223372036854775807",
            "a",
        ] {
            listpack.push_back(element.as_bytes());
        }
        let expected = [
            &[0x37u8, 0, 0, 0, 8, 0, 0x01, 1][..],
            &[0xdf, 0xff, 2, 0xcf, 0xff, 2],
            &[0xf1, 0xff, 0xef, 3, 0xf2, 0xff, 0xff, 0x7f, 4],
            &[0xf4, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 9],
            &[0xf4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 9],
            &[0x81, b'a', 2, 0xff],
        ]
        .concat();
        let mut expected = expected;
        let size = expected.len() as u32;
        expected[..4].copy_from_slice(&size.to_le_bytes());
        assert_eq!(listpack.as_ref().bytes(), expected);
    }

    #[test]
    fn lengths_of_every_width_read_forwards_and_backwards() {
        let mut listpack = Listpack::new();
        let lengths = [
            0, 1, 63, 64, 125, 126, 127, 4095, 4096, 16377, 16378, 16379, 70_000, 2_097_200,
        ];
        for len in lengths {
            listpack.push_back(&vec![b'x'; len]);
        }
        assert!(ListpackRef::validate(listpack.as_ref().bytes()).is_some());
        let forwards: Vec<usize> = listpack.as_ref().iter().map(Item::len).collect();
        let mut backwards: Vec<usize> = listpack.as_ref().iter().rev().map(Item::len).collect();
        backwards.reverse();
        assert_eq!(
            (&forwards[..], &backwards[..]),
            (&lengths[..], &lengths[..])
        );
    }

    #[test]
    fn more_entries_than_the_header_can_say_are_counted() {
        let mut listpack = Listpack::new();
        for n in 0..70_000u32 {
            listpack.push_back(n.to_string().as_bytes());
        }
        assert_eq!(listpack.as_ref().len(), 70_000);
        assert_eq!(listpack.as_ref().get(65_536), Some(Item::Int(65_536)));
        listpack.remove(HEADER_BYTES, 60_000);
        assert_eq!(
            (listpack.as_ref().len(), listpack.as_ref().header_len()),
            (10_000, 10_000)
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, Vec<u8>),
        Replace(usize, Vec<u8>),
        Remove(usize, usize),
    }

    fn element() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            (-5000i64..5000).prop_map(|n| n.to_string().into_bytes()),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (any::<usize>(), element()).prop_map(|(at, e)| Step::Insert(at, e)),
            1 => (any::<usize>(), element()).prop_map(|(at, e)| Step::Replace(at, e)),
            1 => (any::<usize>(), 0usize..4).prop_map(|(at, n)| Step::Remove(at, n)),
        ]
    }

    proptest! {
        #[test]
        fn is_a_sequence(steps in proptest::collection::vec(step(), 0..60)) {
            let mut listpack = Listpack::new();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(at, element) => {
                        let at = at % (model.len() + 1);
                        listpack.insert(listpack.as_ref().iter_at(at).offset(), &element);
                        model.insert(at, element);
                    }
                    Step::Replace(at, element) if !model.is_empty() => {
                        let at = at % model.len();
                        listpack.replace(listpack.as_ref().iter_at(at).offset(), &element);
                        model[at] = element;
                    }
                    Step::Remove(at, count) => {
                        let at = at % (model.len() + 1);
                        listpack.remove(listpack.as_ref().iter_at(at).offset(), count);
                        model.drain(at..(at + count).min(model.len()));
                    }
                    Step::Replace(..) => {}
                }
                prop_assert!(ListpackRef::validate(listpack.as_ref().bytes()).is_some());
                prop_assert_eq!(&collect(&listpack), &model);
                prop_assert_eq!(listpack.as_ref().len(), model.len());
            }
            for (nth, element) in model.iter().enumerate() {
                let found = listpack.as_ref().get(nth).map(Item::to_vec);
                prop_assert_eq!(found.as_ref(), Some(element));
            }
            let back: Vec<Vec<u8>> = listpack.as_ref().iter().rev().map(Item::to_vec).collect();
            model.reverse();
            prop_assert_eq!(back, model);
        }

        #[test]
        fn hostile_bytes_are_refused_or_harmless(mut bytes in proptest::collection::vec(any::<u8>(), 7..80)) {
            let size = bytes.len() as u32;
            bytes[..4].copy_from_slice(&size.to_le_bytes());
            *bytes.last_mut().unwrap() = END;
            if let Some(listpack) = ListpackRef::validate(&bytes) {
                prop_assert_eq!(listpack.iter().count(), listpack.iter().rev().count());
            }
            // Not checked: it must end, whatever it gives.
            prop_assert!(ListpackRef::new(&bytes).iter().count() <= bytes.len());
        }
    }
}
