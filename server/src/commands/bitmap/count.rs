//! Looking through bits: BITCOUNT BITPOS.

use std::ops::Range;

use resp::Writer;

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{bit_at, bytes, unit};

/// A range as given: both ends included, negative ones counted from the end of the string.
struct Span {
    start: i64,
    end: i64,
    in_bits: bool,
}

impl Span {
    const ALL: Self = Self {
        start: 0,
        end: -1,
        in_bits: false,
    };

    /// The bits that it means in a string of `len` bytes.
    fn of(&self, len: usize) -> Range<usize> {
        let bits_per_unit = if self.in_bits { 1 } else { 8 };
        let units = (len * 8 / bits_per_unit) as i64;
        let from_end = |at: i64| {
            if at < 0 {
                at.saturating_add(units).max(0)
            } else {
                at
            }
        };
        let (start, end) = (from_end(self.start), from_end(self.end).min(units - 1));
        if start > end {
            return 0..0;
        }
        start as usize * bits_per_unit..(end as usize + 1) * bits_per_unit
    }
}

/// The bits of a range in bytes: each byte with a mask of those that belong to it.
fn masked(bytes: &[u8], bits: &Range<usize>) -> impl Iterator<Item = (usize, u8, u8)> {
    let (first, last) = (bits.start / 8, bits.end.div_ceil(8));
    let (head, tail) = (
        0xff >> (bits.start % 8),
        !(0xff_u16 >> (bits.end % 8)) as u8,
    );
    let cut = !bits.end.is_multiple_of(8);
    (first..last).map(move |at| {
        let mut mask = 0xff;
        if at == first {
            mask &= head;
        }
        if at + 1 == last && cut {
            mask &= tail;
        }
        (at, bytes[at], mask)
    })
}

/// BITCOUNT key [start end [BYTE | BIT]]
pub(super) fn bitcount(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let bytes = bytes(object.as_ref())?;
    if object.is_none() {
        // Whatever the range says.
        out.integer(0);
        return Ok(());
    }
    let span = if args.is_empty() {
        Span::ALL
    } else {
        if !(2..=3).contains(&args.remaining()) {
            return Err(CommandError::SYNTAX);
        }
        let (start, end) = (args.int()?, args.int()?);
        // Of two negative ends Redis's BITCOUNT compares what is given, before it looks at the unit; its BITPOS what they mean.
        if start < 0 && end < 0 && start > end {
            out.integer(0);
            return Ok(());
        }
        let in_bits = unit(args)?;
        Span {
            start,
            end,
            in_bits,
        }
    };
    let bits = span.of(bytes.len());
    out.integer(count_ones(&bytes, &bits) as i64);
    Ok(())
}

fn count_ones(bytes: &[u8], bits: &Range<usize>) -> u64 {
    if bits.start.is_multiple_of(8) && bits.end.is_multiple_of(8) {
        let (words, rest) = bytes[bits.start / 8..bits.end / 8].as_chunks::<8>();
        let in_words: u64 = words
            .iter()
            .map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()))
            .sum();
        return in_words
            + rest
                .iter()
                .map(|byte| u64::from(byte.count_ones()))
                .sum::<u64>();
    }
    masked(bytes, bits)
        .map(|(_, byte, mask)| u64::from((byte & mask).count_ones()))
        .sum()
}

/// BITPOS key bit [start [end [BYTE | BIT]]]
pub(super) fn bitpos(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let wanted = match args.int()? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::reply("ERR The bit argument must be 1 or 0.")),
    };
    let object = ctx.view.lookup(key)?;
    let bytes = bytes(object.as_ref())?;
    if object.is_none() {
        // Nothing but zeros, whatever the range says.
        out.integer(if wanted { -1 } else { 0 });
        return Ok(());
    }
    if args.remaining() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let mut span = Span::ALL;
    if !args.is_empty() {
        span.start = args.int()?;
    }
    let end_given = !args.is_empty();
    if end_given {
        let end = args.bytes()?;
        // Redis looks at the unit first.
        span.in_bits = unit(args)?;
        span.end = parse_i64(end).ok_or(CommandError::NOT_INTEGER)?;
    }
    let bits = span.of(bytes.len());
    let found = find(&bytes, &bits, wanted);
    // Without an end the string counts as followed by zeros.
    let beyond = match (wanted, end_given || bits.is_empty()) {
        (false, false) => bits.end as i64,
        _ => -1,
    };
    out.integer(found.map_or(beyond, |at| at as i64));
    Ok(())
}

fn find(bytes: &[u8], bits: &Range<usize>, wanted: bool) -> Option<usize> {
    if bits.is_empty() {
        return None;
    }
    let nothing = if wanted { 0x00 } else { 0xff };
    let (at, _, _) = masked(bytes, bits).find(|(_, byte, mask)| byte & mask != nothing & mask)?;
    (bits.start.max(at * 8)..bits.end.min(at * 8 + 8)).find(|&bit| bit_at(bytes, bit) == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Span, count_ones, find};

    #[test]
    fn every_range_of_bits_is_as_bit_by_bit() {
        let bytes = [0xff, 0x00, 0x5a, 0x81, 0xff, 0xff, 0x00, 0x00, 0x01, 0xfe];
        let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1 == 1;
        for start in 0..80 {
            for end in start..80 {
                let span = Span {
                    start,
                    end,
                    in_bits: true,
                };
                let bits = span.of(bytes.len());
                assert_eq!(bits, start as usize..end as usize + 1);
                let ones = bits.clone().filter(|&at| bit(at)).count() as u64;
                assert_eq!(count_ones(&bytes, &bits), ones, "{bits:?}");
                for wanted in [true, false] {
                    assert_eq!(
                        find(&bytes, &bits, wanted),
                        bits.clone().find(|&at| bit(at) == wanted),
                        "{bits:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn ends_beyond_the_string() {
        let span = |start, end| Span {
            start,
            end,
            in_bits: false,
        };
        assert_eq!(span(0, 100).of(3), 0..24);
        assert_eq!(span(-100, -2).of(3), 0..16);
        assert_eq!(span(-1, -3).of(3), 0..0);
        assert_eq!(span(-4, -5).of(3), 0..8);
        assert_eq!(span(5, 9).of(3), 0..0);
        assert_eq!(span(0, -1).of(0), 0..0);
        assert_eq!(span(i64::MIN, i64::MAX).of(3), 0..24);
    }
}
