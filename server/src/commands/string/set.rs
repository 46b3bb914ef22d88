//! Writing whole strings: SET SETNX SETEX PSETEX MSET MSETNX GETSET.

use resp::Writer;
use storage::dataset::{Expiry, WARM_KEYS};

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{Unit, absolute_ms, text};

/// When SET may write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfAbsent,
    IfPresent,
}

/// The options of SET.
struct Options<'a> {
    condition: Condition,
    get: bool,
    keep_ttl: bool,
    /// Looked at only after all options: a syntax error among them comes first.
    expire: Option<(&'a [u8], Unit)>,
}

impl<'a> Options<'a> {
    fn parse(args: &mut Args<'a>) -> CommandResult<Self> {
        let mut options = Self {
            condition: Condition::Always,
            get: false,
            keep_ttl: false,
            expire: None,
        };
        while !args.is_empty() {
            if args.flag("NX") {
                options.only(Condition::IfAbsent)?;
            } else if args.flag("XX") {
                options.only(Condition::IfPresent)?;
            } else if args.flag("GET") {
                options.get = true;
            } else if options.expire.is_none() && args.flag("KEEPTTL") {
                options.keep_ttl = true;
            } else if let Some(unit) = Unit::take(args).filter(|_| !options.keep_ttl) {
                options.expire = Some((unit.value(args, options.expire)?, unit));
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }

    /// Either condition may be told twice, but not both.
    fn only(&mut self, condition: Condition) -> CommandResult {
        if self.condition != Condition::Always && self.condition != condition {
            return Err(CommandError::SYNTAX);
        }
        self.condition = condition;
        Ok(())
    }
}

/// Stores a string, and notes what happened.
fn put(ctx: &mut WriteContext<'_, '_>, key: &[u8], value: &[u8], expiry: Expiry) -> CommandResult {
    ctx.txn.set_string(key, value, expiry)?;
    ctx.txn.notify("set", key);
    if matches!(expiry, Expiry::AtMs(_)) {
        ctx.txn.notify("expire", key);
    }
    Ok(())
}

/// SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds |
/// KEEPTTL]
pub(super) fn set(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    if args.is_empty() {
        put(ctx, key, value, Expiry::Clear)?;
        out.ok();
        return Ok(());
    }
    let options = Options::parse(args)?;
    let expiry = match options.expire {
        Some((value, unit)) => {
            let value = parse_i64(value).ok_or(CommandError::NOT_INTEGER)?;
            Expiry::AtMs(absolute_ms(value, unit, ctx.txn.now_ms(), "set")?)
        }
        None if options.keep_ttl => Expiry::Keep,
        None => Expiry::Clear,
    };
    let old = ctx.txn.lookup(key)?;
    let exists = old.is_some();
    if options.get {
        match &old {
            Some(object) => out.bulk(&text(object)?),
            None => out.null(),
        }
    }
    drop(old);
    let allowed = match options.condition {
        Condition::Always => true,
        Condition::IfAbsent => !exists,
        Condition::IfPresent => exists,
    };
    if allowed {
        put(ctx, key, value, expiry)?;
    }
    match (options.get, allowed) {
        (true, _) => {}
        (false, true) => out.ok(),
        (false, false) => out.null(),
    }
    Ok(())
}

/// SETNX key value
pub(super) fn setnx(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    let absent = !ctx.txn.exists(key)?;
    if absent {
        put(ctx, key, value, Expiry::Clear)?;
    }
    out.integer(absent.into());
    Ok(())
}

/// SETEX key seconds value
pub(super) fn setex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    set_with_ttl(ctx, args, Unit::Seconds, "setex", out)
}

/// PSETEX key milliseconds value
pub(super) fn psetex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    set_with_ttl(ctx, args, Unit::Millis, "psetex", out)
}

fn set_with_ttl(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    unit: Unit,
    name: &str,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, ttl, value) = (args.bytes()?, args.int()?, args.bytes()?);
    let at = absolute_ms(ttl, unit, ctx.txn.now_ms(), name)?;
    put(ctx, key, value, Expiry::AtMs(at))?;
    out.ok();
    Ok(())
}

/// The keys and values of MSET and MSETNX.
fn pairs<'a>(args: &mut Args<'a>, name: &str) -> CommandResult<&'a [&'a [u8]]> {
    let pairs = args.rest();
    if pairs.len().is_multiple_of(2) {
        Ok(pairs)
    } else {
        Err(CommandError::arity(name))
    }
}

/// MSET key value [key value ...]
pub(super) fn mset(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    put_all(ctx, pairs(args, "mset")?)?;
    out.ok();
    Ok(())
}

/// MSETNX key value [key value ...]: all or nothing.
pub(super) fn msetnx(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let pairs = pairs(args, "msetnx")?;
    for pair in pairs.chunks_exact(2) {
        if ctx.txn.exists(pair[0])? {
            out.integer(0);
            return Ok(());
        }
    }
    put_all(ctx, pairs)?;
    out.integer(1);
    Ok(())
}

/// Sets keys to values, a few at a time: where they lie is fetched from memory together.
fn put_all(ctx: &mut WriteContext<'_, '_>, pairs: &[&[u8]]) -> CommandResult {
    for pairs in pairs.chunks(2 * WARM_KEYS) {
        ctx.txn.warm(pairs.iter().step_by(2).copied());
        for pair in pairs.chunks_exact(2) {
            put(ctx, pair[0], pair[1], Expiry::Clear)?;
        }
    }
    Ok(())
}

/// GETSET key value
pub(super) fn getset(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    match ctx.txn.lookup(key)? {
        Some(object) => out.bulk(&text(&object)?),
        None => out.null(),
    }
    put(ctx, key, value, Expiry::Clear)?;
    Ok(())
}
