//! Values and expiries of fields at once: HGETEX HGETDEL HSETEX.

use resp::Writer;
use storage::types::{Edit, Hash, HashRef};

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::expire::{Outcome, Scale, expire_field, fields, persist_field};
use super::read::write_item;
use super::with_hash;
use super::write::check_type;

/// What HGETEX and HSETEX do with when a field expires.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// HGETEX leaves it; HSETEX clears it.
    Default,
    Keep,
    Clear,
    AtMs(u64),
}

/// Writes the value of a field, null if it is not there. True if it is.
fn write_value(
    hash: Option<HashRef<'_>>,
    field: &[u8],
    hasher: impl FnOnce(&[u8]) -> u32,
    out: &mut Writer<'_>,
) -> bool {
    match hash.and_then(|hash| hash.get(field, hasher)) {
        Some(value) => {
            write_item(value, out);
            true
        }
        None => {
            out.null();
            false
        }
    }
}

/// HGETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]
/// FIELDS numfields field [field ...]
pub(super) fn hgetex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    check_type(ctx, key)?;
    let expiry = if let Some(scale) = Scale::option(args) {
        Expiry::AtMs(scale.expire_at_ms(args.bytes()?, ctx.txn.now_ms(), "hgetex")?)
    } else if args.flag("PERSIST") {
        Expiry::Clear
    } else {
        Expiry::Default
    };
    let fields = fields(args, CommandError::NUMBER_OF_FIELDS)?;
    out.array(fields.len());
    if expiry == Expiry::Default || !ctx.txn.exists(key)? {
        return with_hash(ctx, key, |hash, hasher| {
            for field in fields {
                write_value(hash, field, hasher, out);
            }
        });
    }
    let (outcomes, emptied) = ctx.txn.edit_hash(key, |hash, edit| {
        hash.expect_expiry(edit);
        let change = |field: &&[u8]| {
            let view = hash.as_ref().at(edit.now_ms());
            match write_value(Some(view), field, |field| edit.hash(field), out) {
                true => change_expiry(hash, field, expiry, edit),
                false => Outcome::NoField,
            }
        };
        let outcomes: Vec<Outcome> = fields.iter().map(change).collect();
        (outcomes, hash.as_ref().is_empty())
    })?;
    if outcomes.contains(&Outcome::Deleted) {
        ctx.txn.notify("hdel", key);
        if emptied {
            ctx.txn.notify("del", key);
        }
    } else if outcomes.contains(&Outcome::Set) {
        let persisted = expiry == Expiry::Clear;
        let event = if persisted { "hpersist" } else { "hexpire" };
        ctx.txn.notify(event, key);
    }
    Ok(())
}

/// Changes when a field that is there expires.
fn change_expiry(hash: &mut Hash, field: &[u8], expiry: Expiry, edit: &mut Edit<'_>) -> Outcome {
    match expiry {
        Expiry::AtMs(expire_at_ms) => expire_field(hash, field, expire_at_ms, edit),
        _ if persist_field(hash, field, edit) == 1 => Outcome::Set,
        _ => Outcome::NotAllowed,
    }
}

/// HGETDEL key FIELDS numfields field [field ...]
pub(super) fn hgetdel(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    check_type(ctx, key)?;
    let fields = fields(args, CommandError::NUMBER_OF_FIELDS)?;
    out.array(fields.len());
    let (deleted, emptied) = ctx.txn.edit_hash(key, |hash, edit| {
        // One by one: a field that is named twice has no value the second time.
        let delete = |field: &&&[u8]| {
            let view = hash.as_ref().at(edit.now_ms());
            write_value(Some(view), field, |field| edit.hash(field), out)
                && hash.remove(field, edit)
        };
        let deleted = fields.iter().filter(delete).count();
        (deleted, hash.as_ref().is_empty())
    })?;
    if deleted > 0 {
        ctx.txn.notify("hdel", key);
        if emptied {
            ctx.txn.notify("del", key);
        }
    }
    Ok(())
}

/// What HSETEX was asked for.
struct SetOptions<'a> {
    if_none: bool,
    if_all: bool,
    expiry: Expiry,
    pairs: &'a [[&'a [u8]; 2]],
}

impl<'a> SetOptions<'a> {
    fn parse(args: &mut Args<'a>, now_ms: u64) -> CommandResult<Self> {
        let (mut if_none, mut if_all, mut expiry) = (false, false, Expiry::Default);
        while !args.flag("FIELDS") {
            let none = args.flag("FNX");
            let all = !none && args.flag("FXX");
            if none || all {
                if if_none || if_all {
                    return Err(CommandError::reply(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                (if_none, if_all) = (none, all);
                continue;
            }
            let scale = Scale::option(args);
            let keeps = scale.is_none() && args.flag("KEEPTTL");
            if scale.is_none() && !keeps {
                let Ok(argument) = args.bytes() else {
                    return Err(CommandError::arity("hsetex"));
                };
                return Err(CommandError::quoting([b"ERR unknown argument: ", argument]));
            }
            if expiry != Expiry::Default {
                return Err(CommandError::reply(
                    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                ));
            }
            expiry = match scale {
                None => Expiry::Keep,
                Some(scale) => {
                    let missing = |_| CommandError::reply("ERR missing expire time");
                    let time = args.bytes().map_err(missing)?;
                    Expiry::AtMs(scale.expire_at_ms(time, now_ms, "hsetex")?)
                }
            };
        }
        Ok(Self {
            if_none,
            if_all,
            expiry,
            pairs: pairs(args)?,
        })
    }
}

/// The number of fields, and them with their values.
fn pairs<'a>(args: &mut Args<'a>) -> CommandResult<&'a [[&'a [u8]; 2]]> {
    let arity = || CommandError::arity("hsetex");
    if args.remaining() < 3 {
        return Err(arity());
    }
    let number =
        parse_i64(args.bytes()?).filter(|number| (1..=i64::from(i32::MAX)).contains(number));
    let number = number.ok_or_else(|| CommandError::reply("ERR invalid number of fields"))?;
    match args.rest().as_chunks::<2>() {
        (pairs, []) if pairs.len() as i64 == number => Ok(pairs),
        _ => Err(arity()),
    }
}

/// HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]
/// FIELDS numfields field value [field value ...]
pub(super) fn hsetex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let options = SetOptions::parse(args, ctx.txn.now_ms())?;
    let allowed = with_hash(ctx, key, |hash, hasher| {
        let is_there =
            |[field, _]: &[&[u8]; 2]| hash.is_some_and(|hash| hash.get(field, hasher).is_some());
        let mut there = options.pairs.iter().map(is_there);
        match (options.if_none, options.if_all) {
            (true, _) => !there.any(|there| there),
            (_, true) => there.all(|there| there),
            _ => true,
        }
    })?;
    out.integer(allowed.into());
    if !allowed {
        return Ok(());
    }
    let (outcome, emptied) = ctx.txn.edit_hash(key, |hash, edit| {
        (set_expiring(hash, &options, edit), hash.as_ref().is_empty())
    })?;
    ctx.txn.notify("hset", key);
    match outcome {
        Some(Outcome::Deleted) => ctx.txn.notify("hdel", key),
        Some(_) => ctx.txn.notify("hexpire", key),
        None => {}
    }
    if emptied {
        ctx.txn.notify("del", key);
    }
    Ok(())
}

/// Answers what became of the fields, if an expiry was asked for.
fn set_expiring(hash: &mut Hash, options: &SetOptions<'_>, edit: &mut Edit<'_>) -> Option<Outcome> {
    hash.expect(options.pairs, edit);
    let mut outcome = None;
    if let Expiry::AtMs(_) = options.expiry {
        hash.expect_expiry(edit);
    }
    for [field, value] in options.pairs {
        match options.expiry {
            Expiry::AtMs(expire_at_ms) => {
                hash.set_keeping_expiry(field, value, edit);
                outcome = Some(expire_field(hash, field, expire_at_ms, edit));
            }
            Expiry::Keep => {
                hash.set_keeping_expiry(field, value, edit);
            }
            Expiry::Default | Expiry::Clear => {
                hash.set(field, value, edit);
            }
        }
    }
    outcome
}
