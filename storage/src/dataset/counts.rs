//! How many keys each slot of a database has, in memory or on disk: exact at all times.

use crate::ids::SLOT_COUNT;

use super::record::{put_varint, take_varint};

/// Slots whose counts are summed, and persisted, together: so many bytes are written for one changed slot, and so many
/// steps find the slot of the n-th key.
const CHUNK_SLOTS: usize = 128;
/// Number of chunks.
pub(super) const CHUNKS: usize = SLOT_COUNT as usize / CHUNK_SLOTS;

/// Keys per slot, with sums.
pub(super) struct Counts {
    per_slot: Vec<u32>,
    per_chunk: [u64; CHUNKS],
    total: u64,
    /// Chunks that differ from what is persisted, a bit each.
    changed: u128,
}

const _: () = assert!(CHUNKS == u128::BITS as usize);

impl Default for Counts {
    fn default() -> Self {
        Self {
            per_slot: Vec::new(),
            per_chunk: [0; CHUNKS],
            total: 0,
            changed: 0,
        }
    }
}

impl Counts {
    /// Keys of the database.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Keys of the slot.
    #[inline]
    pub(super) fn of(&self, slot: u16) -> u32 {
        self.per_slot.get(usize::from(slot)).copied().unwrap_or(0)
    }

    /// One key more.
    #[inline]
    pub(super) fn add(&mut self, slot: u16) {
        if self.per_slot.is_empty() {
            self.per_slot = vec![0; usize::from(SLOT_COUNT)];
        }
        if let Some(count) = self.per_slot.get_mut(usize::from(slot)) {
            *count += 1;
        }
        self.total += 1;
        self.change(slot, 1);
    }

    /// One key less.
    #[inline]
    pub(super) fn subtract(&mut self, slot: u16) {
        if let Some(count) = self.per_slot.get_mut(usize::from(slot)) {
            *count -= 1;
        }
        self.total -= 1;
        self.change(slot, -1);
    }

    #[inline]
    fn change(&mut self, slot: u16, by: i64) {
        let chunk = usize::from(slot) / CHUNK_SLOTS;
        if let Some(sum) = self.per_chunk.get_mut(chunk) {
            *sum = sum.wrapping_add_signed(by);
        }
        self.changed |= 1 << chunk;
    }

    /// No keys any more.
    pub(super) fn clear(&mut self) {
        let had_keys = self
            .per_chunk
            .iter()
            .enumerate()
            .filter(|(_, sum)| **sum > 0)
            .fold(0, |bits, (n, _)| bits | 1 << n);
        *self = Self {
            changed: self.changed | had_keys,
            ..Self::default()
        };
    }

    /// The first slot from `slot` on that has keys.
    pub(super) fn next_used(&self, slot: u16) -> Option<u16> {
        let mut at = usize::from(slot);
        while at < self.per_slot.len() {
            let in_chunk = at % CHUNK_SLOTS;
            if in_chunk == 0 && self.per_chunk.get(at / CHUNK_SLOTS) == Some(&0) {
                at += CHUNK_SLOTS;
                continue;
            }
            let rest = self.per_slot.get(at..at - in_chunk + CHUNK_SLOTS)?;
            if let Some(skip) = rest.iter().position(|&count| count > 0) {
                return u16::try_from(at + skip).ok();
            }
            at += rest.len();
        }
        None
    }

    /// The slot that holds the n-th key, counted from 0 in order of slots; none beyond the last.
    pub(super) fn slot_of_nth(&self, mut n: u64) -> Option<u16> {
        for (chunk, &sum) in self.per_chunk.iter().enumerate() {
            if n >= sum {
                n -= sum;
                continue;
            }
            let start = chunk * CHUNK_SLOTS;
            for (offset, &count) in self
                .per_slot
                .get(start..start + CHUNK_SLOTS)?
                .iter()
                .enumerate()
            {
                if n < u64::from(count) {
                    return u16::try_from(start + offset).ok();
                }
                n -= u64::from(count);
            }
        }
        None
    }

    /// The chunks that changed since the last call, encoded; none for a chunk without keys.
    pub(super) fn take_changed(&mut self) -> Vec<(u8, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let chunks = (0..CHUNKS).filter(|chunk| changed >> chunk & 1 == 1);
        chunks
            .map(|chunk| (chunk as u8, self.encode_chunk(chunk)))
            .collect()
    }

    fn encode_chunk(&self, chunk: usize) -> Option<Vec<u8>> {
        if self.per_chunk.get(chunk).is_none_or(|&sum| sum == 0) {
            return None;
        }
        let counts = self
            .per_slot
            .get(chunk * CHUNK_SLOTS..(chunk + 1) * CHUNK_SLOTS)?;
        let mut bytes = Vec::with_capacity(CHUNK_SLOTS + 16);
        counts
            .iter()
            .for_each(|&count| put_varint(&mut bytes, count.into()));
        Some(bytes)
    }

    /// Takes over a persisted chunk. None if it does not decode.
    pub(super) fn load_chunk(&mut self, chunk: u8, mut bytes: &[u8]) -> Option<()> {
        if self.per_slot.is_empty() {
            self.per_slot = vec![0; usize::from(SLOT_COUNT)];
        }
        let chunk = usize::from(chunk);
        let sum = self.per_chunk.get_mut(chunk)?;
        for count in self
            .per_slot
            .get_mut(chunk * CHUNK_SLOTS..(chunk + 1) * CHUNK_SLOTS)?
        {
            *count = u32::try_from(take_varint(&mut bytes)?).ok()?;
            *sum += u64::from(*count);
            self.total += u64::from(*count);
        }
        bytes.is_empty().then_some(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.per_slot.capacity() * size_of::<u32>() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_follow_and_persist() {
        let mut counts = Counts::default();
        assert_eq!((counts.next_used(0), counts.slot_of_nth(0)), (None, None));
        for (slot, keys) in [(0, 2), (127, 1), (128, 3), (9000, 1), (16383, 200)] {
            (0..keys).for_each(|_| counts.add(slot));
        }
        counts.subtract(128);
        assert_eq!(
            (counts.total(), counts.of(128), counts.of(129)),
            (206, 2, 0)
        );
        let used: Vec<u16> =
            std::iter::successors(counts.next_used(0), |&slot| counts.next_used(slot + 1))
                .collect();
        assert_eq!(used, [0, 127, 128, 9000, 16383]);
        let slots: Vec<_> = (0..7).map(|n| counts.slot_of_nth(n).unwrap()).collect();
        assert_eq!(slots, [0, 0, 127, 128, 128, 9000, 16383]);
        assert_eq!(
            (counts.slot_of_nth(205), counts.slot_of_nth(206)),
            (Some(16383), None)
        );

        let changed = counts.take_changed();
        assert_eq!(changed.len(), 4);
        assert!(counts.take_changed().is_empty());
        let mut loaded = Counts::default();
        for (chunk, bytes) in &changed {
            loaded.load_chunk(*chunk, bytes.as_ref().unwrap()).unwrap();
        }
        assert_eq!(
            (loaded.total(), loaded.of(16383), loaded.slot_of_nth(5)),
            (206, 200, Some(9000))
        );
        assert_eq!(loaded.load_chunk(0, b"x"), None);

        counts.clear();
        let cleared = counts.take_changed();
        assert_eq!(cleared.len(), 4);
        assert!(cleared.iter().all(|(_, bytes)| bytes.is_none()));
        assert_eq!((counts.total(), counts.next_used(0)), (0, None));
    }
}
