//! Whether keys exist, and making them not: DEL UNLINK EXISTS TYPE TOUCH.

use resp::Writer;

use crate::commands::args::Args;
use crate::commands::context::{ReadContext, WriteContext};
use crate::commands::error::CommandResult;

/// DEL key [key ...], and UNLINK: deleting never waits for memory to be freed, so they are the same.
pub(super) fn del(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let mut removed = 0;
    for key in args.rest() {
        if ctx.txn.remove(key)? {
            ctx.txn.notify("del", key);
            removed += 1;
        }
    }
    out.integer(removed);
    Ok(())
}

/// EXISTS key [key ...]: a key named twice counts twice.
pub(super) fn exists(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let mut found = 0;
    for key in args.rest() {
        found += i64::from(ctx.view.exists(key)?);
    }
    out.integer(found);
    Ok(())
}

/// TYPE key
pub(super) fn type_of(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.peek(args.bytes()?)?;
    out.simple(object.map_or("none", |object| object.kind().name()));
    Ok(())
}

/// TOUCH key [key ...]
pub(super) fn touch(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let mut found = 0;
    for key in args.rest() {
        found += i64::from(ctx.view.touch(key)?.is_some());
    }
    out.integer(found);
    Ok(())
}
