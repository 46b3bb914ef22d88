//! From one list to another: LMOVE RPOPLPUSH.

use resp::Writer;
use storage::types::End;

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::CommandResult;
use super::{end, length, notify_removal, popped, pushed};

/// LMOVE source destination LEFT | RIGHT LEFT | RIGHT
pub(super) fn lmove(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (source, destination) = (args.bytes()?, args.bytes()?);
    let (from, to) = (end(args)?, end(args)?);
    move_element(ctx, (source, from), (destination, to), out)
}

/// RPOPLPUSH source destination
pub(super) fn rpoplpush(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (source, destination) = (args.bytes()?, args.bytes()?);
    move_element(ctx, (source, End::Tail), (destination, End::Head), out)
}

fn move_element(
    ctx: &mut WriteContext<'_, '_>,
    (source, from): (&[u8], End),
    (destination, to): (&[u8], End),
    out: &mut Writer<'_>,
) -> CommandResult {
    let Some(len) = length(ctx, source)? else {
        out.null();
        return Ok(());
    };
    length(ctx, destination)?;
    let element = if source == destination {
        // In one go: the list may have no other element, and must not be deleted in between.
        ctx.txn.edit_list(source, |list, edit| {
            let element = list.pop(from, edit).unwrap_or_default();
            list.expect(1, element.len(), edit);
            list.push(to, &element, edit);
            list.shrink(edit);
            element
        })?
    } else {
        let element = ctx.txn.edit_list(source, |list, edit| {
            let element = list.pop(from, edit).unwrap_or_default();
            list.shrink(edit);
            element
        })?;
        ctx.txn.edit_list(destination, |list, edit| {
            list.expect(1, element.len(), edit);
            list.push(to, &element, edit);
        })?;
        element
    };
    ctx.txn.notify(pushed(to), destination);
    let left = if source == destination { len } else { len - 1 };
    notify_removal(ctx, popped(from), source, left);
    out.bulk(&element);
    Ok(())
}
