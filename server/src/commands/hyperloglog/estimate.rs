//! From registers to a number: Otmar Ertl's improved estimator (arXiv:1702.01284), as Redis computes it.

use super::{MAX_RANK, REGISTERS, Ranks};

/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many different elements these ranks come from, approximately.
pub(super) fn cardinality(ranks: &Ranks) -> u64 {
    // Ranks of a corrupt string may be higher than any hash gives.
    let mut counts = [0_u32; 64];
    for rank in ranks {
        counts[usize::from(*rank & 63)] += 1;
    }
    let registers = REGISTERS as f64;
    let full = f64::from(counts[MAX_RANK]);
    let mut sum = registers * tau((registers - full) / registers);
    for count in counts[1..MAX_RANK].iter().rev() {
        sum = (sum + f64::from(*count)) * 0.5;
    }
    sum += registers * sigma(f64::from(counts[0]) / registers);
    (ALPHA * registers * registers / sum).round() as u64
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        y *= 0.5;
        let before = z;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}
