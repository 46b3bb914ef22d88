//! Strings and lengths in RDB's encoding.
//!
//! The two upper bits of the first byte tell: `00` a length of 6 bits, `01` of 14, `10` of 32 (low bits 0) or 64 (low bits
//! 1), big endian, before the bytes themselves; `11` no length but an integer of 8, 16 or 32 bits, little endian, or a
//! compressed string.

use super::lzf;
use crate::types::parse_int;

const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;
const INT_8: u8 = 0xc0;
const INT_16: u8 = 0xc1;
const INT_32: u8 = 0xc2;
pub(super) const COMPRESSED: u8 = 0xc3;

/// Redis looks for an integer in strings up to the length of a 32-bit one.
const INT_MAX_BYTES: usize = 11;
/// Redis compresses strings above this, if it saves more than 4 bytes.
const PLAIN_MAX_BYTES: usize = 20;
const SAVED_BYTES: usize = 4;

/// Appends a string as Redis writes it with `rdbcompression yes`.
pub(super) fn write(out: &mut Vec<u8>, value: &[u8]) {
    if value.len() <= INT_MAX_BYTES
        && let Some(number) = parse_int(value).and_then(|number| i32::try_from(number).ok())
    {
        write_int(out, number);
        return;
    }
    if value.len() > PLAIN_MAX_BYTES
        && let Some(compressed) = lzf::compress(value, value.len() - SAVED_BYTES)
    {
        out.push(COMPRESSED);
        write_length(out, compressed.len());
        write_length(out, value.len());
        out.extend_from_slice(&compressed);
        return;
    }
    write_length(out, value.len());
    out.extend_from_slice(value);
}

fn write_int(out: &mut Vec<u8>, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.push(INT_8);
        out.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(INT_16);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(INT_32);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Appends a length.
pub(super) fn write_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&(length as u16 | 0x4000).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(LENGTH_32);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(LENGTH_64);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Takes a string off the front; none if it does not decode. Never allocates more than the input can stand for.
pub(super) fn read(input: &mut &[u8]) -> Option<Vec<u8>> {
    let &first = input.first()?;
    let number = match first {
        INT_8 => i64::from(i8::from_le_bytes(take_behind(input)?)),
        INT_16 => i64::from(i16::from_le_bytes(take_behind(input)?)),
        INT_32 => i64::from(i32::from_le_bytes(take_behind(input)?)),
        COMPRESSED => {
            input.split_off_first()?;
            let compressed_len = read_length(input)?;
            let length = read_length(input)?;
            return lzf::decompress(input.split_off(..compressed_len)?, length);
        }
        _ => {
            let length = read_length(input)?;
            return input.split_off(..length).map(<[u8]>::to_vec);
        }
    };
    Some(itoa::Buffer::new().format(number).as_bytes().to_vec())
}

/// How many bytes follow the first one of a length; none of what is no length.
pub(super) fn length_bytes(first: u8) -> Option<u64> {
    match first {
        0x00..0x40 => Some(0),
        0x40..0x80 => Some(1),
        LENGTH_32 => Some(4),
        LENGTH_64 => Some(8),
        _ => None,
    }
}

/// How many bytes follow the first one of a string that is a number; none of other strings.
pub(super) fn number_bytes(first: u8) -> Option<u64> {
    match first {
        INT_8 => Some(1),
        INT_16 => Some(2),
        INT_32 => Some(4),
        _ => None,
    }
}

/// Takes the first byte and `N` more.
fn take_behind<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    input.split_off_first()?;
    input.split_off(..N)?.first_chunk().copied()
}

/// Takes a length off the front.
pub(super) fn read_length(input: &mut &[u8]) -> Option<usize> {
    let &first = input.first()?;
    let length = match first {
        0x00..0x40 => {
            input.split_off_first()?;
            u64::from(first)
        }
        0x40..0x80 => {
            let &[high, low] = input.split_off(..2)?.first_chunk()?;
            u64::from(u16::from_be_bytes([high & 0x3f, low]))
        }
        LENGTH_32 => u64::from(u32::from_be_bytes(take_behind(input)?)),
        LENGTH_64 => u64::from_be_bytes(take_behind(input)?),
        _ => return None,
    };
    usize::try_from(length).ok()
}
