//! The keyed hash.

use siphasher::sip::SipHasher13;
use siphasher::sip128;

/// The keyed hash of keys and elements. SipHash-1-3 because it is fixed by its specification, so that cursors and the order on disk
/// stay valid over versions and machines, and because outsiders who do not know the seed cannot provoke collisions.
#[derive(Clone)]
pub struct KeyHasher {
    short: SipHasher13,
    long: sip128::SipHasher13,
}

impl KeyHasher {
    /// The hash of a Region, from its secret.
    pub fn new(seed: &[u8; 16]) -> Self {
        Self {
            short: SipHasher13::new_with_key(seed),
            long: sip128::SipHasher13::new_with_key(seed),
        }
    }

    /// The upper 32 bits of the 64-bit hash.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u32 {
        (self.short.hash(key) >> 32) as u32
    }

    /// 128 bits that stand for a key too long for the engine.
    pub(crate) fn digest(&self, key: &[u8]) -> [u8; 16] {
        self.long.hash(key).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fixed_by_its_specification() {
        // SipHash-1-3 of the empty string under the all-zero key, from the reference implementation.
        assert_eq!(
            KeyHasher::new(&[0; 16]).short.hash(b""),
            0xd1fb_a762_150c_532c
        );
    }
}
