//! Fields as numbers: HINCRBY HINCRBYFLOAT.

use resp::Writer;
use storage::types::{Edit, Hash, Item};

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::long_double::{LongDouble, Parsed};
use super::write::check_type;

/// HINCRBY key field increment
pub(super) fn hincrby(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field, increment) = (args.bytes()?, args.bytes()?, args.int()?);
    check_type(ctx, key)?;
    let sum = ctx.txn.edit_hash(key, |hash, edit| {
        let old = match value(hash, field, edit) {
            Some(value) => value.int().ok_or(CommandError::HASH_NOT_INTEGER)?,
            None => 0,
        };
        let sum = old.checked_add(increment).ok_or(CommandError::OVERFLOW)?;
        let mut buffer = itoa::Buffer::new();
        hash.set_keeping_expiry(field, buffer.format(sum).as_bytes(), edit);
        CommandResult::Ok(sum)
    })??;
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
    check_type(ctx, key)?;
    let sum = ctx.txn.edit_hash(key, |hash, edit| {
        let old = value(hash, field, edit).unwrap_or(Item::Int(0));
        let old = LongDouble::parse(old.bytes(&mut itoa::Buffer::new()))
            .ok_or(CommandError::HASH_NOT_FLOAT)?;
        let Parsed::Finite(old) = old else {
            return Err(CommandError::NAN_OR_INFINITY);
        };
        let sum = old.add(&increment).ok_or(CommandError::NAN_OR_INFINITY)?;
        let sum = sum.to_string();
        hash.set_keeping_expiry(field, sum.as_bytes(), edit);
        CommandResult::Ok(sum)
    })??;
    ctx.txn.notify("hincrbyfloat", key);
    out.bulk(sum.as_bytes());
    Ok(())
}

/// The value of a field that is there at the entry's time.
fn value<'h>(hash: &'h Hash, field: &[u8], edit: &Edit<'_>) -> Option<Item<'h>> {
    let view = hash.as_ref().at(edit.now_ms());
    view.get(field, |field| edit.hash(field))
}
