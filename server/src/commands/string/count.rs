//! Strings as numbers: INCR DECR INCRBY DECRBY INCRBYFLOAT.

use resp::Writer;
use storage::dataset::Expiry;

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::long_double::{LongDouble, Parsed};
use super::super::number::parse_i64;
use super::text;

/// INCR key
pub(super) fn incr(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    add(ctx, args.bytes()?, 1, out)
}

/// DECR key
pub(super) fn decr(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    add(ctx, args.bytes()?, -1, out)
}

/// INCRBY key increment
pub(super) fn incrby(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, increment) = (args.bytes()?, args.int()?);
    add(ctx, key, increment, out)
}

/// DECRBY key decrement
pub(super) fn decrby(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, decrement) = (args.bytes()?, args.int()?);
    let increment = decrement
        .checked_neg()
        .ok_or_else(|| CommandError::reply("ERR decrement would overflow"))?;
    add(ctx, key, increment, out)
}

fn add(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    increment: i64,
    out: &mut Writer<'_>,
) -> CommandResult {
    let old = match ctx.txn.lookup(key)? {
        Some(object) => parse_i64(&text(&object)?).ok_or(CommandError::NOT_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(increment).ok_or(CommandError::OVERFLOW)?;
    ctx.txn.set_int(key, sum, Expiry::Keep)?;
    ctx.txn.notify("incrby", key);
    out.integer(sum);
    Ok(())
}

/// INCRBYFLOAT key increment
pub(super) fn incrbyfloat(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, increment) = (args.bytes()?, args.bytes()?);
    let old = match ctx.txn.lookup(key)? {
        Some(object) => LongDouble::parse(&text(&object)?).ok_or(CommandError::NOT_FLOAT)?,
        None => LongDouble::parse(b"0").ok_or(CommandError::NOT_FLOAT)?,
    };
    let increment = LongDouble::parse(increment).ok_or(CommandError::NOT_FLOAT)?;
    let (Parsed::Finite(old), Parsed::Finite(increment)) = (old, increment) else {
        return Err(CommandError::NAN_OR_INFINITY);
    };
    let sum = old
        .add(&increment)
        .ok_or(CommandError::NAN_OR_INFINITY)?
        .to_string();
    ctx.txn.set_text(key, sum.as_bytes(), Expiry::Keep)?;
    ctx.txn.notify("incrbyfloat", key);
    out.bulk(sum.as_bytes());
    Ok(())
}
