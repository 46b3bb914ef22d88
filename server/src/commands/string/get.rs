//! Reading whole strings: GET MGET STRLEN GETDEL GETEX.

use resp::Writer;
use storage::dataset::Kind;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{Unit, absolute_ms, text};

/// GET key
pub(super) fn get(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    match ctx.view.lookup(args.bytes()?)? {
        Some(object) => out.bulk(&text(&object)?),
        None => out.null(),
    }
    Ok(())
}

/// STRLEN key
pub(super) fn strlen(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let len = match ctx.view.lookup(args.bytes()?)? {
        Some(object) => text(&object)?.len(),
        None => 0,
    };
    out.integer(len as i64);
    Ok(())
}

/// MGET key [key ...]: what is not a string counts as absent.
pub(super) fn mget(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let keys = args.rest();
    out.array(keys.len());
    for key in keys {
        let object = ctx.view.lookup(key)?;
        match object
            .as_ref()
            .filter(|object| object.kind() == Kind::String)
            .and_then(|object| object.string())
        {
            Some(value) => out.bulk(&value),
            None => out.null(),
        }
    }
    Ok(())
}

/// Answers the string at `key`, or null; false for null.
fn answer(ctx: &mut WriteContext<'_, '_>, key: &[u8], out: &mut Writer<'_>) -> CommandResult<bool> {
    let object = ctx.txn.lookup(key)?;
    match &object {
        Some(object) => out.bulk(&text(object)?),
        None => out.null(),
    }
    Ok(object.is_some())
}

/// GETDEL key
pub(super) fn getdel(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    if answer(ctx, key, out)? {
        ctx.txn.remove(key)?;
    }
    Ok(())
}

/// What GETEX does to the time of expiry.
enum Change {
    None,
    Persist,
    At(i64, Unit),
}

/// GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]
pub(super) fn getex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let change = if args.flag("PERSIST") {
        Change::Persist
    } else if let Some(unit) = Unit::take(args) {
        let value = args.bytes()?;
        args.finish()?;
        let value = parse_i64(value).ok_or(CommandError::NOT_INTEGER)?;
        Change::At(value, unit)
    } else {
        Change::None
    };
    args.finish()?;
    let at = match change {
        Change::At(value, unit) => Some(absolute_ms(value, unit, ctx.txn.now_ms(), "getex")?),
        Change::None | Change::Persist => None,
    };
    if !answer(ctx, key, out)? {
        return Ok(());
    }
    match (change, at) {
        (_, Some(at)) if at <= ctx.txn.now_ms() => {
            ctx.txn.remove(key)?;
        }
        (_, Some(at)) => {
            ctx.txn.set_expiry(key, Some(at))?;
        }
        (Change::Persist, None) => {
            ctx.txn.set_expiry(key, None)?;
        }
        _ => {}
    }
    Ok(())
}
