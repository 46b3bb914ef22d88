//! Where a key belongs: its slot, and its place within the slot.

use crc::{CRC_16_XMODEM, Crc, Table};

use crate::ids::{SLOT_COUNT, Slot};
use crate::types::KeyHasher;

/// Sliced by 16 bytes: a short key costs a few nanoseconds.
static CRC16: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// Bits of a cursor below the slot.
const HASH_BITS: u32 = 32;

/// The slot of `key`, as the Redis Cluster specification says: CRC16 (XMODEM) modulo 16384, of the part between the
/// first `{` and the next `}` when there is one and it is not empty, else of the whole key.
#[inline]
pub fn slot_of(key: &[u8]) -> Slot {
    Slot(CRC16.checksum(hash_tag(key)) % SLOT_COUNT)
}

#[inline]
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else {
        return key;
    };
    let Some((_, after)) = key.split_at_checked(open + 1) else {
        return key;
    };
    match after.iter().position(|&byte| byte == b'}') {
        Some(length) if length > 0 => after.get(..length).unwrap_or(key),
        _ => key,
    }
}

/// A key's place in the order of SCAN, in memory and on disk: slots ascending, hashes ascending within a slot. It
/// never changes, whatever grows, shrinks, loads or is dropped around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) slot: u16,
    pub(super) hash: u32,
}

impl Position {
    /// As a cursor of SCAN: 14 bits of slot, 32 of hash.
    pub(super) fn cursor(self) -> u64 {
        (u64::from(self.slot) << HASH_BITS) | u64::from(self.hash)
    }

    /// The position that a cursor names; none beyond the last slot, which only a cursor that no SCAN gave can name.
    pub(super) fn from_cursor(cursor: u64) -> Option<Self> {
        let slot = u16::try_from(cursor >> HASH_BITS)
            .ok()
            .filter(|&slot| slot < SLOT_COUNT)?;
        Some(Self {
            slot,
            hash: cursor as u32,
        })
    }

    /// The position after this one; none after the last.
    pub(super) fn next(self) -> Option<Self> {
        Self::from_cursor(self.cursor() + 1)
    }
}

impl KeyHasher {
    /// Slot and hash of `key`.
    #[inline]
    pub(super) fn position(&self, key: &[u8]) -> Position {
        Position {
            slot: slot_of(key).get(),
            hash: self.hash(key),
        }
    }
}

/// What a hash table gets of a position's hash: the tag is taken from the top bits and the bucket from the bottom, and
/// both must differ within a segment, whose entries share the hash's upper bits.
#[inline]
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // The specification's own check value, and pairs from CLUSTER KEYSLOT of redis-server 7.0.15.
        assert_eq!(CRC16.checksum(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo").get(), 12182);
        assert_eq!(slot_of(b"bar").get(), 5061);
        assert_eq!(slot_of(b"").get(), 0);
        assert_eq!(
            slot_of(b"{user1000}.following"),
            slot_of(b"{user1000}.followers")
        );
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{bar"), b"foo{bar");
        assert_eq!(hash_tag(b"foo{"), b"foo{");
    }

    #[test]
    fn cursors_name_positions() {
        let last = Position {
            slot: SLOT_COUNT - 1,
            hash: u32::MAX,
        };
        assert_eq!(last.next(), None);
        assert!(last.cursor() < 1 << 46);
        let edge = Position {
            slot: 5,
            hash: u32::MAX,
        };
        assert_eq!(edge.next(), Some(Position { slot: 6, hash: 0 }));
        for cursor in [0, 1, edge.cursor(), last.cursor()] {
            assert_eq!(
                Position::from_cursor(cursor).map(Position::cursor),
                Some(cursor)
            );
        }
        assert_eq!(Position::from_cursor(1 << 46), None);
        assert_eq!(Position::from_cursor(u64::MAX), None);
    }
}
