//! MurmurHash64A, as HyperLogLogs have always used it, and what it says of an element.

use super::{REGISTER_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// The register of an element, and its rank there: the trailing zeros of the other bits, and one.
pub(super) fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element);
    let register = hash as usize & (REGISTERS - 1);
    // A bit beyond the last ends the zeros.
    let rest = hash >> REGISTER_BITS | 1 << (64 - REGISTER_BITS);
    (register, rest.trailing_zeros() as u8 + 1)
}

fn murmur64a(bytes: &[u8]) -> u64 {
    let mix = |word: u64| {
        let word = word.wrapping_mul(MULTIPLIER);
        (word ^ word >> SHIFT).wrapping_mul(MULTIPLIER)
    };
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ mix(u64::from_le_bytes(*word))).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let last = tail
            .iter()
            .rev()
            .fold(0, |last, byte| last << 8 | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}
