//! Elements by position: LLEN LINDEX LRANGE LSET LTRIM.

use resp::Writer;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::{length, list, notify_removal, place, resolve, write_item};

/// LLEN key
pub(super) fn llen(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let len = match &object {
        Some(object) => list(object)?.len(),
        None => 0,
    };
    out.integer(len as i64);
    Ok(())
}

/// LINDEX key index
pub(super) fn lindex(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let Some(object) = ctx.view.lookup(args.bytes()?)? else {
        out.null();
        return Ok(());
    };
    let list = list(&object)?;
    let found = place(args.int()?, list.len()).and_then(|at| list.get(at));
    match found {
        Some(item) => write_item(item, out),
        None => out.null(),
    }
    Ok(())
}

/// LRANGE key start stop
pub(super) fn lrange(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, start, stop) = (args.bytes()?, args.int()?, args.int()?);
    let Some(object) = ctx.view.lookup(key)? else {
        out.array(0);
        return Ok(());
    };
    let list = list(&object)?;
    let Some((from, to)) = resolve(start, stop, list.len()) else {
        out.array(0);
        return Ok(());
    };
    out.array(to - from);
    let mut buffer = itoa::Buffer::new();
    for item in list.iter_from(from).take(to - from) {
        out.bulk(item.bytes(&mut buffer));
    }
    Ok(())
}

/// LSET key index element
pub(super) fn lset(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let len = length(ctx, key)?.ok_or(CommandError::NO_SUCH_KEY)?;
    let (index, element) = (args.int()?, args.bytes()?);
    let at = place(index, len).ok_or(CommandError::reply("ERR index out of range"))?;
    ctx.txn.edit_list(key, |list, edit| {
        list.expect(1, element.len(), edit);
        list.set(at, element, edit);
        list.settle(edit);
    })?;
    ctx.txn.notify("lset", key);
    out.ok();
    Ok(())
}

/// LTRIM key start stop
pub(super) fn ltrim(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, start, stop) = (args.bytes()?, args.int()?, args.int()?);
    let Some(len) = length(ctx, key)? else {
        out.ok();
        return Ok(());
    };
    let (from, to) = resolve(start, stop, len).unwrap_or((0, 0));
    if from == to {
        ctx.txn.remove(key)?;
    } else {
        ctx.txn.edit_list(key, |list, edit| {
            list.remove_range(to, len - to, edit);
            list.remove_range(0, from, edit);
            list.shrink(edit);
        })?;
    }
    notify_removal(ctx, "ltrim", key, to - from);
    out.ok();
    Ok(())
}
