//! Intsets: sorted sets of integers in one buffer, byte for byte as Redis has them in memory and in its RDB files.
//!
//! `u32` bytes per member (2, 4 or 8), `u32` members, then the members ascending, all little endian. The width is the least
//! that has held every member so far.

const HEADER_BYTES: usize = 8;

/// An intset to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntsetRef<'a> {
    width: usize,
    /// Behind the header.
    body: &'a [u8],
}

/// Where a member is, or would be.
type Place = Result<usize, usize>;

fn width_of(number: i64) -> usize {
    if i16::try_from(number).is_ok() {
        2
    } else if i32::try_from(number).is_ok() {
        4
    } else {
        8
    }
}

fn read(bytes: &[u8]) -> i64 {
    match *bytes {
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => bytes
            .first_chunk()
            .map_or(0, |bytes| i64::from_le_bytes(*bytes)),
    }
}

impl<'a> IntsetRef<'a> {
    /// An intset made here, or checked.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        let width = bytes.first().map_or(2, |&width| usize::from(width)).max(2);
        Self {
            width,
            body: bytes.get(HEADER_BYTES..).unwrap_or_default(),
        }
    }

    /// Checks bytes from elsewhere: sizes must be right, members ascending.
    pub fn validate(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let &[w0, w1, w2, w3, n0, n1, n2, n3] = header;
        let width = u32::from_le_bytes([w0, w1, w2, w3]) as usize;
        let len = u32::from_le_bytes([n0, n1, n2, n3]) as usize;
        let sizes = matches!(width, 2 | 4 | 8) && len.checked_mul(width) == Some(body.len());
        let checked = Self { width, body };
        (sizes && len > 0 && checked.iter().is_sorted_by(|a, b| a < b)).then_some(checked)
    }

    /// The whole buffer, the header included.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.body.len());
        bytes.extend_from_slice(&(self.width as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.len() as u32).to_le_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// Number of members.
    #[inline]
    pub fn len(self) -> usize {
        self.body.len() / self.width
    }

    /// True without members.
    pub fn is_empty(self) -> bool {
        self.body.is_empty()
    }

    /// The `nth` smallest member.
    #[inline]
    pub fn get(self, nth: usize) -> Option<i64> {
        let start = nth.checked_mul(self.width)?;
        self.body.get(start..start + self.width).map(read)
    }

    /// All members, ascending.
    pub fn iter(self) -> impl ExactSizeIterator<Item = i64> + DoubleEndedIterator + 'a {
        self.body.chunks_exact(self.width).map(read)
    }

    /// True if `number` is a member.
    #[inline]
    pub fn contains(self, number: i64) -> bool {
        self.place(number).is_ok()
    }

    fn place(self, number: i64) -> Place {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(&Some(number)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }
}

/// An intset to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intset {
    bytes: Vec<u8>,
}

impl Default for Intset {
    fn default() -> Self {
        Self {
            bytes: vec![2, 0, 0, 0, 0, 0, 0, 0],
        }
    }
}

impl Intset {
    /// Of bytes made here, or checked by [`IntsetRef::validate`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The whole buffer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> IntsetRef<'_> {
        IntsetRef::new(&self.bytes)
    }

    /// Adds a member. True if it was not there.
    pub fn insert(&mut self, number: i64) -> bool {
        let set = self.as_ref();
        let Err(nth) = set.place(number) else {
            return false;
        };
        let width = set.width.max(width_of(number));
        if width > set.width {
            self.widen(width);
        }
        let start = HEADER_BYTES + nth * width;
        let end = self.bytes.len();
        self.bytes.resize(end + width, 0);
        self.bytes.copy_within(start..end, start + width);
        if let Some(room) = self.bytes.get_mut(start..start + width) {
            for (to, from) in room.iter_mut().zip(number.to_le_bytes()) {
                *to = from;
            }
        }
        self.write_len();
        true
    }

    /// Removes a member. True if it was there.
    pub fn remove(&mut self, number: i64) -> bool {
        let set = self.as_ref();
        let Ok(nth) = set.place(number) else {
            return false;
        };
        let start = HEADER_BYTES + nth * set.width;
        let end = start + set.width;
        self.bytes.drain(start..end);
        self.write_len();
        true
    }

    fn widen(&mut self, width: usize) {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + (self.as_ref().len() + 1) * width);
        bytes.extend_from_slice(&(width as u32).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for number in self.as_ref().iter() {
            bytes.extend(number.to_le_bytes().into_iter().take(width));
        }
        self.bytes = bytes;
    }

    fn write_len(&mut self) {
        let len = self.as_ref().len() as u32;
        if let Some(room) = self.bytes.get_mut(4..HEADER_BYTES) {
            room.copy_from_slice(&len.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_those_of_redis() {
        // From DUMP of redis-server 7.0.15: SADD s 3 1 2, and SADD s 70000.
        let mut set = Intset::default();
        assert!([3, 1, 2].into_iter().all(|number| set.insert(number)));
        assert_eq!(set.bytes, [2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 2, 0, 3, 0]);
        set.insert(70_000);
        assert_eq!(set.bytes.len(), 8 + 4 * 4);
        assert_eq!(set.bytes[..8], [4, 0, 0, 0, 4, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn is_a_sorted_set(numbers in proptest::collection::vec(
            (prop_oneof![-3i64..3, -40_000i64..40_000, any::<i32>().prop_map(i64::from), any::<i64>()], any::<bool>()), 0..80))
        {
            let (mut set, mut model) = (Intset::default(), BTreeSet::new());
            for (number, adds) in numbers {
                if adds {
                    prop_assert_eq!(set.insert(number), model.insert(number));
                } else {
                    prop_assert_eq!(set.remove(number), model.remove(&number));
                }
                prop_assert!(set.as_ref().iter().eq(model.iter().copied()));
                prop_assert_eq!(IntsetRef::validate(&set.bytes).is_some(), !model.is_empty());
                prop_assert_eq!(set.as_ref().contains(number), model.contains(&number));
            }
        }

        #[test]
        fn hostile_bytes_are_refused_or_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(set) = IntsetRef::validate(&bytes) {
                prop_assert!(set.iter().is_sorted());
            }
        }
    }
}
