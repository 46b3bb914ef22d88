//! When fields expire: HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST, HTTL HPTTL HEXPIRETIME HPEXPIRETIME.
//!
//! A field whose time has passed is invisible at once to every command, because each runs at a logical time, and is removed by
//! an entry that the leader proposes: `storage::dataset` finds it, as it finds keys.

use resp::Writer;
use storage::types::{Edit, Hash};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::hash;
use super::write::check_type;

/// No expiry of a field may lie beyond this, in milliseconds of Unix time.
const MAX_EXPIRY_MS: i64 = (1 << 46) - 1;

/// What is answered for a field that is not there.
const NO_FIELD: i64 = -2;
/// What is answered for a field that does not expire.
const NO_EXPIRY: i64 = -1;

/// How a command counts time.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// Seconds, not milliseconds.
    pub(super) seconds: bool,
    /// From now on, not since 1970.
    pub(super) from_now: bool,
}

impl Scale {
    /// `EX`, `PX`, `EXAT` or `PXAT`, if it is the next argument.
    pub(super) fn option(args: &mut Args<'_>) -> Option<Self> {
        let scales = [
            ("EX", true, true),
            ("PX", false, true),
            ("EXAT", true, false),
            ("PXAT", false, false),
        ];
        let found = scales.into_iter().find(|(word, ..)| args.flag(word))?;
        let (_, seconds, from_now) = found;
        Some(Self { seconds, from_now })
    }

    /// The time that an argument of `command` means, in milliseconds of Unix time.
    pub(super) fn expire_at_ms(self, arg: &[u8], now_ms: u64, command: &str) -> CommandResult<u64> {
        let value = parse_i64(arg).ok_or(CommandError::NOT_INTEGER)?;
        if value < 0 {
            return Err(CommandError::reply("ERR invalid expire time, must be >= 0"));
        }
        let base_ms = if self.from_now { now_ms as i64 } else { 0 };
        let unit_ms = if self.seconds { 1000 } else { 1 };
        if value > MAX_EXPIRY_MS / unit_ms || value * unit_ms > MAX_EXPIRY_MS - base_ms {
            return Err(CommandError::invalid_expire(command));
        }
        Ok((value * unit_ms + base_ms) as u64)
    }

    /// What is answered for an expiry.
    fn tell(self, expire_at_ms: u64, now_ms: u64) -> i64 {
        let from_ms = if self.from_now { now_ms } else { 0 };
        let left_ms = expire_at_ms.saturating_sub(from_ms);
        let told = if self.seconds {
            left_ms.div_ceil(1000)
        } else {
            left_ms
        };
        told as i64
    }
}

/// Takes `FIELDS`, their number and them.
pub(super) fn fields<'a>(
    args: &mut Args<'a>,
    wrong_number: CommandError,
) -> CommandResult<&'a [&'a [u8]]> {
    if !args.flag("FIELDS") {
        return Err(CommandError::FIELDS_MISSING);
    }
    let number = parse_i64(args.bytes()?).filter(|number| *number > 0);
    let number = number.ok_or(wrong_number)?;
    let fields = args.rest();
    if usize::try_from(number) != Ok(fields.len()) {
        return Err(CommandError::FIELDS_MISMATCH);
    }
    Ok(fields)
}

/// NX, XX, GT or LT.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    IfNone,
    IfAny,
    IfLater,
    IfEarlier,
}

impl Condition {
    fn parse(args: &mut Args<'_>) -> Self {
        let conditions = [
            ("NX", Self::IfNone),
            ("XX", Self::IfAny),
            ("GT", Self::IfLater),
            ("LT", Self::IfEarlier),
        ];
        let found = conditions.into_iter().find(|(word, _)| args.flag(word));
        found.map_or(Self::Always, |(_, condition)| condition)
    }

    /// True if the expiry `old` may become `new`. A field without expiry counts as one that expires after all others.
    fn allows(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Self::Always => true,
            Self::IfNone => old.is_none(),
            Self::IfAny => old.is_some(),
            Self::IfLater => old.is_some_and(|old| new > old),
            Self::IfEarlier => old.is_none_or(|old| new < old),
        }
    }
}

/// What became of a field that was to be given an expiry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    NoField,
    NotAllowed,
    Set,
    /// The time has passed: the field went at once.
    Deleted,
}

impl Outcome {
    fn code(self) -> i64 {
        match self {
            Self::NoField => NO_FIELD,
            Self::NotAllowed => 0,
            Self::Set => 1,
            Self::Deleted => 2,
        }
    }
}

/// Gives `field` an expiry, or deletes it if that has passed.
pub(super) fn expire_field(
    hash: &mut Hash,
    field: &[u8],
    expire_at_ms: u64,
    edit: &mut Edit<'_>,
) -> Outcome {
    if expire_at_ms <= edit.now_ms() {
        hash.remove(field, edit);
        return Outcome::Deleted;
    }
    hash.set_expiry(field, Some(expire_at_ms), edit);
    Outcome::Set
}

fn expire_by(
    command: &str,
    scale: Scale,
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, time) = (args.bytes()?, args.bytes()?);
    check_type(ctx, key)?;
    let expire_at_ms = scale.expire_at_ms(time, ctx.txn.now_ms(), command)?;
    let condition = Condition::parse(args);
    let fields = fields(args, CommandError::NUMFIELDS)?;
    if !ctx.txn.exists(key)? {
        write_codes(vec![NO_FIELD; fields.len()], out);
        return Ok(());
    }
    let (outcomes, emptied) = ctx.txn.edit_hash(key, |hash, edit| {
        hash.expect_expiry(edit);
        let outcomes: Vec<Outcome> = fields
            .iter()
            .map(|field| {
                let view = hash.as_ref().at(edit.now_ms());
                match view.get_expiring(field, |field| edit.hash(field)) {
                    None => Outcome::NoField,
                    Some((_, old)) if !condition.allows(old, expire_at_ms) => Outcome::NotAllowed,
                    Some(_) => expire_field(hash, field, expire_at_ms, edit),
                }
            })
            .collect();
        (outcomes, hash.as_ref().is_empty())
    })?;
    if outcomes.contains(&Outcome::Deleted) {
        ctx.txn.notify("hdel", key);
        if emptied {
            ctx.txn.notify("del", key);
        }
    } else if outcomes.contains(&Outcome::Set) {
        ctx.txn.notify("hexpire", key);
    }
    write_codes(outcomes.into_iter().map(Outcome::code), out);
    Ok(())
}

fn write_codes(
    codes: impl IntoIterator<Item = i64, IntoIter: ExactSizeIterator>,
    out: &mut Writer<'_>,
) {
    let codes = codes.into_iter();
    out.array(codes.len());
    for code in codes {
        out.integer(code);
    }
}

/// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hexpire(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by("hexpire", SECONDS, ctx, args, out)
}

/// HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hpexpire(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by("hpexpire", MILLISECONDS, ctx, args, out)
}

/// HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hexpireat(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by("hexpireat", UNIX_SECONDS, ctx, args, out)
}

/// HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
pub(super) fn hpexpireat(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    expire_by("hpexpireat", UNIX_MILLISECONDS, ctx, args, out)
}

/// HPERSIST key FIELDS numfields field [field ...]
pub(super) fn hpersist(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    check_type(ctx, key)?;
    let fields = fields(args, CommandError::NUMBER_OF_FIELDS)?;
    if !ctx.txn.exists(key)? {
        write_codes(vec![NO_FIELD; fields.len()], out);
        return Ok(());
    }
    let codes: Vec<i64> = ctx.txn.edit_hash(key, |hash, edit| {
        let persist = |field: &&[u8]| persist_field(hash, field, edit);
        fields.iter().map(persist).collect()
    })?;
    if codes.contains(&1) {
        ctx.txn.notify("hpersist", key);
    }
    write_codes(codes, out);
    Ok(())
}

/// Keeps a field from expiring; answers what HPERSIST answers for it.
pub(super) fn persist_field(hash: &mut Hash, field: &[u8], edit: &mut Edit<'_>) -> i64 {
    let view = hash.as_ref().at(edit.now_ms());
    match view.get_expiring(field, |field| edit.hash(field)) {
        None => NO_FIELD,
        Some((_, None)) => NO_EXPIRY,
        Some((_, Some(_))) => {
            hash.set_expiry(field, None, edit);
            1
        }
    }
}

const SECONDS: Scale = Scale {
    seconds: true,
    from_now: true,
};
const MILLISECONDS: Scale = Scale {
    seconds: false,
    from_now: true,
};
const UNIX_SECONDS: Scale = Scale {
    seconds: true,
    from_now: false,
};
const UNIX_MILLISECONDS: Scale = Scale {
    seconds: false,
    from_now: false,
};

fn tell(
    scale: Scale,
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let hash = object.as_ref().map(hash).transpose()?;
    let fields = fields(args, CommandError::NUMBER_OF_FIELDS)?;
    out.array(fields.len());
    for field in fields {
        let found =
            hash.and_then(|hash| hash.get_expiring(field, |field| ctx.view.element_hash(field)));
        out.integer(match found {
            None => NO_FIELD,
            Some((_, None)) => NO_EXPIRY,
            Some((_, Some(expire_at_ms))) => scale.tell(expire_at_ms, ctx.view.now_ms()),
        });
    }
    Ok(())
}

/// HTTL key FIELDS numfields field [field ...]
pub(super) fn httl(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell(SECONDS, ctx, args, out)
}

/// HPTTL key FIELDS numfields field [field ...]
pub(super) fn hpttl(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell(MILLISECONDS, ctx, args, out)
}

/// HEXPIRETIME key FIELDS numfields field [field ...]
pub(super) fn hexpiretime(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell(UNIX_SECONDS, ctx, args, out)
}

/// HPEXPIRETIME key FIELDS numfields field [field ...]
pub(super) fn hpexpiretime(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    tell(UNIX_MILLISECONDS, ctx, args, out)
}
