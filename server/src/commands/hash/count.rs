//! Fields as numbers: HINCRBY HINCRBYFLOAT.

use resp::Writer;
use storage::types::Item;

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::long_double::{LongDouble, Parsed};
use super::with_hash;

/// HINCRBY key field increment
pub(super) fn hincrby(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field, increment) = (args.bytes()?, args.bytes()?, args.int()?);
    let old = with_hash(ctx, key, |hash, hasher| {
        match hash.and_then(|hash| hash.get(field, hasher)) {
            Some(value) => value.int().ok_or(CommandError::HASH_NOT_INTEGER),
            None => Ok(0),
        }
    })??;
    let sum = old.checked_add(increment).ok_or(CommandError::OVERFLOW)?;
    let mut buffer = itoa::Buffer::new();
    store(ctx, key, field, buffer.format(sum).as_bytes())?;
    ctx.txn.notify("hincrby", key);
    out.integer(sum);
    Ok(())
}

/// HINCRBYFLOAT key field increment
pub(super) fn hincrbyfloat(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field, increment) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let increment = match LongDouble::parse(increment).ok_or(CommandError::NOT_FLOAT)? {
        Parsed::Finite(increment) => increment,
        Parsed::Infinite => return Err(CommandError::reply("ERR value is NaN or Infinity")),
    };
    let old = with_hash(ctx, key, |hash, hasher| {
        let value = hash.and_then(|hash| hash.get(field, hasher));
        let text = value.unwrap_or(Item::Int(0));
        LongDouble::parse(text.bytes(&mut itoa::Buffer::new())).ok_or(CommandError::HASH_NOT_FLOAT)
    })??;
    let Parsed::Finite(old) = old else {
        return Err(CommandError::NAN_OR_INFINITY);
    };
    let sum = old
        .add(&increment)
        .ok_or(CommandError::NAN_OR_INFINITY)?
        .to_string();
    store(ctx, key, field, sum.as_bytes())?;
    ctx.txn.notify("hincrbyfloat", key);
    out.bulk(sum.as_bytes());
    Ok(())
}

fn store(ctx: &mut WriteContext<'_, '_>, key: &[u8], field: &[u8], value: &[u8]) -> CommandResult {
    ctx.txn.edit_hash(key, |hash, edit| {
        hash.set_keeping_expiry(field, value, edit)
    })?;
    Ok(())
}
