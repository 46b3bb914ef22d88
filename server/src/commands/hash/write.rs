//! Setting and deleting fields: HSET HMSET HSETNX HDEL.

use resp::Writer;

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::hash;

/// HSET key field value [field value ...]
pub(super) fn hset(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let added = set_all("hset", ctx, args)?;
    out.integer(added);
    Ok(())
}

/// HMSET key field value [field value ...]
pub(super) fn hmset(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    set_all("hmset", ctx, args)?;
    out.ok();
    Ok(())
}

/// Answers how many fields are new.
fn set_all(
    command: &str,
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
) -> CommandResult<i64> {
    let (key, data) = (args.bytes()?, args.rest());
    let (pairs, []) = data.as_chunks::<2>() else {
        return Err(CommandError::arity(command));
    };
    check_type(ctx, key)?;
    let added = ctx.txn.edit_hash(key, |hash, edit| {
        hash.expect(pairs, edit);
        let set = |[field, value]: &[&[u8]; 2]| hash.set(field, value, edit);
        pairs.iter().map(set).filter(|added| *added).count()
    })?;
    ctx.txn.notify("hset", key);
    Ok(added as i64)
}

/// Refuses a key of another type.
pub(super) fn check_type(ctx: &mut WriteContext<'_, '_>, key: &[u8]) -> CommandResult {
    if let Some(object) = ctx.txn.lookup(key)? {
        hash(&object)?;
    }
    Ok(())
}

/// HSETNX key field value
pub(super) fn hsetnx(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field, value) = (args.bytes()?, args.bytes()?, args.bytes()?);
    check_type(ctx, key)?;
    let added = ctx.txn.edit_hash(key, |hash, edit| {
        let view = hash.as_ref().at(edit.now_ms());
        let there = view.get(field, |field| edit.hash(field)).is_some();
        !there && hash.set(field, value, edit)
    })?;
    if added {
        ctx.txn.notify("hset", key);
    }
    out.integer(added.into());
    Ok(())
}

/// HDEL key field [field ...]
pub(super) fn hdel(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, fields) = (args.bytes()?, args.rest());
    let Some(object) = ctx.txn.lookup(key)? else {
        out.integer(0);
        return Ok(());
    };
    hash(&object)?;
    let (deleted, emptied) = ctx.txn.edit_hash(key, |hash, edit| {
        let remove = |field: &&&[u8]| hash.remove(field, edit);
        let deleted = fields.iter().filter(remove).count();
        (deleted, hash.as_ref().is_empty())
    })?;
    if deleted > 0 {
        ctx.txn.notify("hdel", key);
        if emptied {
            ctx.txn.notify("del", key);
        }
    }
    out.integer(deleted as i64);
    Ok(())
}
