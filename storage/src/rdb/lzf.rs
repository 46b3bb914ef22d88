//! LZF, the compression of strings in RDB.
//!
//! The stream is a sequence of literal runs (a byte `length - 1` below 32, then up to 32 bytes) and references (`length - 2`
//! in the three upper bits, or 7 there and the rest in a byte of its own; then `distance - 1` in 13 bits). Own code and
//! not a crate's, because Redis gives up earlier than others on data that hardly compresses, and payloads are to be equal.

const TABLE_BITS: u32 = 16;
const MAX_DISTANCE: usize = 1 << 13;
const MAX_MATCH: usize = 264;
const MAX_RUN: usize = 32;
const MIN_MATCH: usize = 3;

/// Compresses `data` into at most about `limit` bytes; none if that does not work out. Finds the same matches as the
/// reference implementation in its "very fast" setting: the last place where three bytes with the same hash began.
pub(super) fn compress(data: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut last_seen = vec![0usize; 1 << TABLE_BITS];
    let mut out = Output::new(limit);
    let mut at = 0;
    while let Some(slot) = slot(data, at) {
        let place = last_seen.get_mut(slot)?;
        let earlier = std::mem::replace(place, at);
        match find_match(data, earlier, at) {
            Some(length) => {
                out.reference(at - earlier, length)?;
                at += length;
                // The last two places within the match are noted, those before are not.
                if at + 2 >= data.len() {
                    break;
                }
                for inside in [at - 2, at - 1] {
                    *last_seen.get_mut(self::slot(data, inside)?)? = inside;
                }
            }
            None => {
                out.literal(*data.get(at)?)?;
                at += 1;
            }
        }
    }
    out.finish(data.get(at..)?)
}

/// The table's slot for the three bytes at `at`; none at the end.
fn slot(data: &[u8], at: usize) -> Option<usize> {
    let &[a, b, c] = data.get(at..)?.first_chunk()?;
    let bytes = u32::from_be_bytes([0, a, b, c]);
    Some(
        ((bytes >> (24 - TABLE_BITS)).wrapping_sub(bytes.wrapping_mul(5)) & ((1 << TABLE_BITS) - 1))
            as usize,
    )
}

/// How many bytes at `at` equal those at `earlier`, if enough do and it is near enough. Place 0 stands for no place.
fn find_match(data: &[u8], earlier: usize, at: usize) -> Option<usize> {
    if earlier == 0 || at - earlier > MAX_DISTANCE {
        return None;
    }
    let (old, new) = (data.get(earlier..)?, data.get(at..)?);
    let equal = old
        .iter()
        .zip(new)
        // No further: a long run would be compared to its end from each of its references.
        .take(MAX_MATCH)
        .take_while(|(old, new)| old == new)
        .count();
    // The reference implementation stops short of the end, but for the first bytes, which it compares in one go.
    let longest = (new.len() - 2).min(MAX_MATCH);
    let longest = longest.max(if longest > 16 { 19 } else { MIN_MATCH });
    (equal >= MIN_MATCH).then(|| equal.min(longest))
}

struct Output {
    bytes: Vec<u8>,
    limit: usize,
    /// Literals since the byte that will hold their number.
    run: usize,
}

impl Output {
    fn new(limit: usize) -> Self {
        let mut bytes = Vec::with_capacity(limit);
        bytes.push(0);
        Self {
            bytes,
            limit,
            run: 0,
        }
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        if self.bytes.len() >= self.limit {
            return None;
        }
        self.push_literal(byte);
        Some(())
    }

    fn push_literal(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.run += 1;
        if self.run == MAX_RUN {
            self.end_run();
            self.bytes.push(0);
        }
    }

    /// Writes the run's length, or takes its byte back when there is none.
    fn end_run(&mut self) {
        let start = self.bytes.len() - self.run - 1;
        match self.bytes.get_mut(start) {
            Some(length) if self.run > 0 => *length = (self.run - 1) as u8,
            _ => self.bytes.truncate(start),
        }
        self.run = 0;
    }

    fn reference(&mut self, distance: usize, length: usize) -> Option<()> {
        let unused = usize::from(self.run == 0);
        if self.bytes.len() - unused + 4 >= self.limit {
            return None;
        }
        self.end_run();
        let [high, low] = ((distance - 1) as u16).to_be_bytes();
        match length - 2 {
            short @ 0..7 => self.bytes.push(high | (short as u8) << 5),
            long => self
                .bytes
                .extend_from_slice(&[high | 7 << 5, (long - 7) as u8]),
        }
        self.bytes.extend_from_slice(&[low, 0]);
        Some(())
    }

    fn finish(mut self, rest: &[u8]) -> Option<Vec<u8>> {
        if self.bytes.len() + 3 > self.limit {
            return None;
        }
        rest.iter().for_each(|&byte| self.push_literal(byte));
        self.end_run();
        Some(self.bytes)
    }
}

/// Decompresses into exactly `length` bytes; none if the stream is damaged or gives another length.
pub(super) fn decompress(mut data: &[u8], length: usize) -> Option<Vec<u8>> {
    // A reference of three bytes gives 264 at most: a greater length is a lie, and nothing is allocated for it.
    if length > data.len().saturating_mul(MAX_MATCH) {
        return None;
    }
    let mut out = Vec::with_capacity(length);
    while let Some(&control) = data.split_off_first() {
        if usize::from(control) < MAX_RUN {
            out.extend_from_slice(data.split_off(..usize::from(control) + 1)?);
        } else {
            let mut count = usize::from(control >> 5) + 2;
            if control >> 5 == 7 {
                count += usize::from(*data.split_off_first()?);
            }
            let distance = usize::from(control & 0x1f) << 8 | usize::from(*data.split_off_first()?);
            let start = out.len().checked_sub(distance + 1)?;
            repeat(&mut out, start, count)?;
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

/// Appends `count` bytes from `start` on; they may overlap what is appended.
fn repeat(out: &mut Vec<u8>, start: usize, count: usize) -> Option<()> {
    let end = (start + count).min(out.len());
    let period = end - start;
    out.extend_from_within(start..end);
    for at in end..end + count - period {
        let byte = *out.get(at)?;
        out.push(byte);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_references_come_back() {
        let mut texts = vec![b"abcabcabcabcabcabcabcabcabc".to_vec(), vec![b'x'; 100_000]];
        texts.push(
            (0..70_000u32)
                .flat_map(|n| (n % 977).to_le_bytes())
                .collect(),
        );
        texts.push(
            (0..3000u32)
                .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
                .chain([7; 500])
                .collect(),
        );
        for text in texts {
            let compressed = compress(&text, text.len()).unwrap();
            assert!(compressed.len() < text.len());
            assert_eq!(decompress(&compressed, text.len()), Some(text.clone()));
            assert_eq!(decompress(&compressed, text.len() - 1), None);
            assert_eq!(decompress(&compressed, text.len() + 1), None);
            assert_eq!(
                decompress(&compressed[..compressed.len() - 1], text.len()),
                None
            );
        }
    }

    #[test]
    fn what_does_not_compress_is_given_up() {
        let random: Vec<u8> = (0..500u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        assert_eq!(compress(&random, random.len() - 4), None);
        assert_eq!(compress(b"", 0), None);
        assert_eq!(compress(b"ab", 0), None);
    }
}
