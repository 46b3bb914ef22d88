//! Bitmaps: strings, bit by bit. Bit 0 is the highest bit of the first byte.

mod count;
mod field;
mod op;
mod overflow;
mod single;

use std::borrow::Cow;

use storage::dataset::Object;

use super::args::Args;
use super::error::{CommandError, CommandResult};
use super::number;
use super::spec::{DataCommand, Group, Keys};
use super::string::{MAX_STRING_BYTES, text};

const BITMAP: Group = Group::Bitmap;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("getbit", 3, BITMAP, Keys::FIRST, single::getbit).fast(),
    DataCommand::read("bitcount", -2, BITMAP, Keys::FIRST, count::bitcount),
    DataCommand::read("bitpos", -3, BITMAP, Keys::FIRST, count::bitpos),
    DataCommand::read("bitfield_ro", -2, BITMAP, Keys::FIRST, field::bitfield_ro).fast(),
    DataCommand::write("setbit", 4, BITMAP, Keys::FIRST, single::setbit).deny_oom(),
    DataCommand::write("bitop", -4, BITMAP, Keys::FROM_SECOND, op::bitop).deny_oom(),
    DataCommand::write("bitfield", -2, BITMAP, Keys::FIRST, field::bitfield).deny_oom(),
];

/// The bytes of an object that may be missing; another type is refused.
fn bytes<'o>(object: Option<&'o Object<'_>>) -> CommandResult<Cow<'o, [u8]>> {
    Ok(object.map(text).transpose()?.unwrap_or_default())
}

/// The position of a bit. With `bits`, it may be `#` and a number of fields of so many bits.
fn offset(arg: &[u8], bits: Option<u32>) -> CommandResult<usize> {
    let (digits, unit) = match (arg, bits) {
        ([b'#', digits @ ..], Some(bits)) => (digits, i64::from(bits)),
        (digits, _) => (digits, 1),
    };
    number::parse_i64(digits)
        .and_then(|number| number.checked_mul(unit))
        .and_then(|offset| usize::try_from(offset).ok())
        .filter(|offset| offset / 8 < MAX_STRING_BYTES)
        .ok_or(CommandError::BIT_OFFSET)
}

/// Takes `BYTE` or `BIT`; true for bits.
fn unit(args: &mut Args<'_>) -> CommandResult<bool> {
    if args.is_empty() || args.flag("BYTE") {
        Ok(false)
    } else if args.flag("BIT") {
        Ok(true)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// The bit at `offset`; 0 beyond the end.
fn bit_at(bytes: &[u8], offset: usize) -> bool {
    bytes
        .get(offset / 8)
        .is_some_and(|byte| byte & (0x80 >> (offset % 8)) != 0)
}

/// Sets the bit at `offset`, which is in `bytes`.
fn put_bit(bytes: &mut [u8], offset: usize, on: bool) {
    let mask = 0x80 >> (offset % 8);
    if on {
        bytes[offset / 8] |= mask;
    } else {
        bytes[offset / 8] &= !mask;
    }
}
