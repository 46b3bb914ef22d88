//! Reading whole strings: GET MGET STRLEN GETDEL GETEX.

use resp::Writer;
use storage::dataset::WARM_KEYS;
use storage::types::Kind;

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
    for keys in keys.chunks(WARM_KEYS) {
        // Where they lie is fetched from memory together.
        ctx.view.warm(keys.iter().copied());
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
        ctx.txn.notify("del", key);
    }
    Ok(())
}

/// What GETEX does to the expiry.
#[derive(Clone, Copy)]
enum Change<'a> {
    None,
    Persist,
    At(&'a [u8], Unit),
}

impl<'a> Change<'a> {
    fn parse(args: &mut Args<'a>) -> CommandResult<Self> {
        let mut change = Self::None;
        while !args.is_empty() {
            change = match (change, args.flag("PERSIST")) {
                (Self::None | Self::Persist, true) => Self::Persist,
                (Self::None, false) => {
                    let unit = Unit::take(args).ok_or(CommandError::SYNTAX)?;
                    Self::At(unit.value(args, None)?, unit)
                }
                (Self::At(value, told), false) => {
                    let unit = Unit::take(args).ok_or(CommandError::SYNTAX)?;
                    Self::At(unit.value(args, Some((value, told)))?, unit)
                }
                (Self::At(..), true) | (Self::Persist, false) => return Err(CommandError::SYNTAX),
            };
        }
        Ok(change)
    }
}

/// GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]
pub(super) fn getex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let change = Change::parse(args)?;
    // Without the key, or with another type, the time is not even looked at.
    if !answer(ctx, key, out)? {
        return Ok(());
    }
    match change {
        Change::None => {}
        Change::Persist => {
            let object = ctx.txn.peek(key)?;
            if object.is_some_and(|object| object.expire_at_ms().is_some()) {
                ctx.txn.set_expiry(key, None)?;
                ctx.txn.notify("persist", key);
            }
        }
        Change::At(value, unit) => {
            let value = parse_i64(value).ok_or(CommandError::NOT_INTEGER)?;
            let at_ms = absolute_ms(value, unit, ctx.txn.now_ms(), "getex")?;
            if at_ms <= ctx.txn.now_ms() {
                ctx.txn.remove(key)?;
                ctx.txn.notify("del", key);
            } else {
                ctx.txn.set_expiry(key, Some(at_ms))?;
                ctx.txn.notify("expire", key);
            }
        }
    }
    Ok(())
}
