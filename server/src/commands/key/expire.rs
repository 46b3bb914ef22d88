//! When keys expire: EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST, TTL PTTL EXPIRETIME PEXPIRETIME.

use resp::Writer;

use crate::commands::args::Args;
use crate::commands::context::{ReadContext, WriteContext};
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;

/// How EXPIRE and its like read their number.
#[derive(Clone, Copy)]
struct Scale {
    command: &'static str,
    unit_ms: i64,
    from_now: bool,
}

impl Scale {
    /// The time in milliseconds of Unix time. It may have passed, even before 1970.
    fn absolute_ms(self, value: i64, now_ms: u64) -> CommandResult<i64> {
        let base = if self.from_now { now_ms as i64 } else { 0 };
        let at = value
            .checked_mul(self.unit_ms)
            .and_then(|at| at.checked_add(base));
        at.ok_or_else(|| CommandError::invalid_expire(self.command))
    }
}

/// NX, XX, GT and LT.
#[derive(Default)]
struct Conditions {
    if_none: bool,
    if_any: bool,
    if_later: bool,
    if_earlier: bool,
}

impl Conditions {
    fn parse(args: &mut Args<'_>) -> CommandResult<Self> {
        let mut conditions = Self::default();
        while let Some(option) = args.peek() {
            if args.flag("NX") {
                conditions.if_none = true;
            } else if args.flag("XX") {
                conditions.if_any = true;
            } else if args.flag("GT") {
                conditions.if_later = true;
            } else if args.flag("LT") {
                conditions.if_earlier = true;
            } else {
                return Err(CommandError::quoting([b"ERR Unsupported option ", option]));
            }
        }
        let Self {
            if_none,
            if_any,
            if_later,
            if_earlier,
        } = conditions;
        if if_none && (if_any || if_later || if_earlier) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(CommandError::reply(text));
        }
        if if_later && if_earlier {
            return Err(CommandError::reply(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// True if the expiry `old` may become `new`. A key without expiry counts as one that expires after all others.
    fn allow(&self, old: Option<i64>, new: i64) -> bool {
        !(self.if_none && old.is_some()
            || self.if_any && old.is_none()
            || self.if_later && old.is_none_or(|old| new <= old)
            || self.if_earlier && old.is_some_and(|old| new >= old))
    }
}

fn expire_by(
    scale: Scale,
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    let conditions = Conditions::parse(args)?;
    let value = parse_i64(value).ok_or(CommandError::NOT_INTEGER)?;
    let now_ms = ctx.txn.now_ms();
    let at = scale.absolute_ms(value, now_ms)?;
    let old = ctx
        .txn
        .lookup(key)?
        .map(|object| object.expire_at_ms().map(|old| old as i64));
    let Some(old) = old else {
        out.integer(0);
        return Ok(());
    };
    if !conditions.allow(old, at) {
        out.integer(0);
        return Ok(());
    }
    match u64::try_from(at) {
        Ok(at) if at > now_ms => {
            ctx.txn.set_expiry(key, Some(at))?;
            ctx.txn.notify("expire", key);
        }
        // The time has passed: the key goes at once.
        _ => {
            ctx.txn.remove(key)?;
            ctx.txn.notify("del", key);
        }
    }
    out.integer(1);
    Ok(())
}

/// EXPIRE key seconds [NX | XX | GT | LT]
pub(super) fn expire(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by(
        Scale {
            command: "expire",
            unit_ms: 1000,
            from_now: true,
        },
        ctx,
        args,
        out,
    )
}

/// PEXPIRE key milliseconds [NX | XX | GT | LT]
pub(super) fn pexpire(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by(
        Scale {
            command: "pexpire",
            unit_ms: 1,
            from_now: true,
        },
        ctx,
        args,
        out,
    )
}

/// EXPIREAT key unix-time-seconds [NX | XX | GT | LT]
pub(super) fn expireat(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by(
        Scale {
            command: "expireat",
            unit_ms: 1000,
            from_now: false,
        },
        ctx,
        args,
        out,
    )
}

/// PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]
pub(super) fn pexpireat(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by(
        Scale {
            command: "pexpireat",
            unit_ms: 1,
            from_now: false,
        },
        ctx,
        args,
        out,
    )
}

/// PERSIST key
pub(super) fn persist(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let expires = ctx
        .txn
        .lookup(key)?
        .is_some_and(|object| object.expire_at_ms().is_some());
    if expires {
        ctx.txn.set_expiry(key, None)?;
        ctx.txn.notify("persist", key);
    }
    out.integer(expires.into());
    Ok(())
}

/// Milliseconds as the seconds that TTL and EXPIRETIME tell: rounded to the nearest.
fn rounded_seconds(ms: u64) -> i64 {
    (ms.saturating_add(500) / 1000) as i64
}

/// -2 without the key, -1 without an expiry, else what `tell` makes of the expiry and the time of the view.
fn tell_expiry(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    tell: fn(u64, u64) -> i64,
) -> CommandResult {
    out.integer(match ctx.view.peek(args.bytes()?)? {
        Some(object) => object
            .expire_at_ms()
            .map_or(-1, |at_ms| tell(at_ms, ctx.view.now_ms())),
        None => -2,
    });
    Ok(())
}

/// TTL key
pub(super) fn ttl(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell_expiry(ctx, args, out, |at_ms, now_ms| {
        rounded_seconds(at_ms.saturating_sub(now_ms))
    })
}

/// PTTL key
pub(super) fn pttl(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell_expiry(ctx, args, out, |at_ms, now_ms| {
        at_ms.saturating_sub(now_ms) as i64
    })
}

/// EXPIRETIME key
pub(super) fn expiretime(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell_expiry(ctx, args, out, |at_ms, _| rounded_seconds(at_ms))
}

/// PEXPIRETIME key
pub(super) fn pexpiretime(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell_expiry(ctx, args, out, |at_ms, _| at_ms as i64)
}
