//! Writes that change nothing: adding a member that is there, taking from a key that is not, SET NX on a lock that is held.
//!
//! Such a write has no need of the log: a leader answers it from memory under its lease, at the cost of a read. A row names
//! a probe ([`super::spec::Command::probe`]), which is asked first. A probe only ever says "nothing would change, and this is
//! the answer" when that is certain; whatever is doubtful, errors included, it leaves to the write itself.

use resp::Writer;
use storage::dataset::Object;
use storage::types::{Item, Kind};

use super::context::ReadContext;
use super::number::parse_f64;

/// The answer of a write that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// A number, nearly always 0.
    Integer(i64),
    /// Null.
    Null,
    /// An array without elements.
    EmptyArray,
}

impl Unchanged {
    /// Writes it as the reply.
    pub fn write(self, out: &mut Writer<'_>) {
        match self {
            Self::Integer(number) => out.integer(number),
            Self::Null => out.null(),
            Self::EmptyArray => out.array(0),
        }
    }
}

/// Tells whether a write would change anything.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// With fewer arguments, the name included, it would.
    pub least_args: usize,
    /// To be asked otherwise.
    pub ask: ProbeFn,
}

impl Probe {
    /// Asked with so many arguments or more, the name included.
    pub const fn new(least_args: usize, ask: ProbeFn) -> Self {
        Self { least_args, ask }
    }
}

/// LPOP key, RPOP key, SPOP key, GETDEL key: nothing to take.
pub const NOTHING_TO_TAKE: Probe = Probe::new(2, nothing_to_take);
/// ZPOPMIN key, ZPOPMAX key: nothing to take.
pub const NOTHING_TO_TAKE_OF_MANY: Probe = Probe::new(2, nothing_to_take_of_many);
/// LPUSHX, RPUSHX key element: nothing to add to.
pub const NOTHING_TO_ADD_TO: Probe = Probe::new(3, nothing_to_add_to);
/// DEL, UNLINK: no key is there.
pub const NO_KEYS: Probe = Probe::new(2, no_keys);
/// SETNX key value: the key is there.
pub const KEY_IS_THERE: Probe = Probe::new(3, key_is_there);
/// SET key value NX, alone or with EX or PX and a positive number: the key is there.
pub const LOCK_IS_HELD: Probe = Probe::new(4, lock_is_held);
/// SADD key member [member ...]: all are there.
pub const ALL_MEMBERS: Probe = Probe::new(3, all_members);
/// SREM key member [member ...]: none is there.
pub const NO_MEMBERS: Probe = Probe::new(3, no_members);
/// ZADD key score member [score member ...]: all are there with these scores.
pub const ALL_SCORES: Probe = Probe::new(4, all_scores);
/// ZREM key member [member ...]: none is there.
pub const NO_RANKED: Probe = Probe::new(3, no_ranked);
/// HDEL key field [field ...]: none is there.
pub const NO_FIELDS: Probe = Probe::new(3, no_fields);
/// HSETNX key field value: the field is there.
pub const FIELD_IS_THERE: Probe = Probe::new(4, field_is_there);

/// Asks what a command of these arguments, the name first, would change; `None`: something, or it is not certain.
pub type ProbeFn = fn(&ReadContext<'_>, &[&[u8]]) -> storage::Result<Option<Unchanged>>;

/// The answer if a command of exactly so many arguments is given a key that is not there.
fn if_missing<const ARGC: usize>(
    ctx: &ReadContext<'_>,
    args: &[&[u8]],
    answer: Unchanged,
) -> storage::Result<Option<Unchanged>> {
    match args {
        [_, key, ..] if args.len() == ARGC => Ok((!ctx.view.exists(key)?).then_some(answer)),
        _ => Ok(None),
    }
}

fn nothing_to_take(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    if_missing::<2>(ctx, args, Unchanged::Null)
}

fn nothing_to_take_of_many(
    ctx: &ReadContext<'_>,
    args: &[&[u8]],
) -> storage::Result<Option<Unchanged>> {
    if_missing::<2>(ctx, args, Unchanged::EmptyArray)
}

fn nothing_to_add_to(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    if_missing::<3>(ctx, args, Unchanged::Integer(0))
}

fn no_keys(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    for key in args.iter().skip(1) {
        if ctx.view.exists(key)? {
            return Ok(None);
        }
    }
    Ok(Some(Unchanged::Integer(0)))
}

fn key_is_there(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    match args {
        [_, key, ..] => Ok(ctx.view.exists(key)?.then_some(Unchanged::Integer(0))),
        _ => Ok(None),
    }
}

fn lock_is_held(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
    let time = |unit: &[u8], number: &[u8]| {
        // So few digits are a time that no clock makes overflow.
        let digits = number.len() <= 12 && number.iter().all(u8::is_ascii_digit);
        (is(unit, "EX") || is(unit, "PX")) && digits && matches!(number, [b'1'..=b'9', ..])
    };
    let key = match *args {
        [_, key, _, nx] if is(nx, "NX") => key,
        [_, key, _, nx, unit, number] | [_, key, _, unit, number, nx]
            if is(nx, "NX") && time(unit, number) =>
        {
            key
        }
        _ => return Ok(None),
    };
    Ok(ctx.view.exists(key)?.then_some(Unchanged::Null))
}

fn all_members(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    members(ctx, args, true)
}

fn no_members(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    members(ctx, args, false)
}

fn members(
    ctx: &ReadContext<'_>,
    args: &[&[u8]],
    there: bool,
) -> storage::Result<Option<Unchanged>> {
    let [_, key, members @ ..] = args else {
        return Ok(None);
    };
    let object = ctx.view.lookup(key)?;
    let Some(object) = &object else {
        return Ok((!there).then_some(Unchanged::Integer(0)));
    };
    let Some(set) = object.set() else {
        return Ok(None);
    };
    let hash = |member: &[u8]| ctx.view.element_hash(member);
    let same = members
        .iter()
        .all(|member| set.contains(member, hash) == there);
    Ok(same.then_some(Unchanged::Integer(0)))
}

fn all_scores(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    let [_, key, pairs @ ..] = args else {
        return Ok(None);
    };
    let (pairs, rest) = pairs.as_chunks::<2>();
    let object = ctx.view.lookup(key)?;
    let Some(set) = object.as_ref().and_then(Object::zset) else {
        return Ok(None);
    };
    // So many that some are there twice make a flat sorted set large.
    if !rest.is_empty() || pairs.len() > set.len() {
        return Ok(None);
    }
    let hash = |member: &[u8]| ctx.view.element_hash(member);
    let same = pairs.iter().all(|[score, member]| {
        let score = parse_f64(score);
        score.is_some() && set.score(member, hash) == score
    });
    Ok(same.then_some(Unchanged::Integer(0)))
}

fn no_ranked(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    let [_, key, members @ ..] = args else {
        return Ok(None);
    };
    let object = ctx.view.lookup(key)?;
    let Some(object) = &object else {
        return Ok(Some(Unchanged::Integer(0)));
    };
    let hash = |member: &[u8]| ctx.view.element_hash(member);
    let none = object.zset().is_some_and(|set| {
        let mut members = members.iter();
        members.all(|member| set.score(member, hash).is_none())
    });
    Ok(none.then_some(Unchanged::Integer(0)))
}

fn no_fields(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    let [_, key, fields @ ..] = args else {
        return Ok(None);
    };
    let found = |field: &[u8]| field_exists(ctx, key, field);
    for field in fields {
        if found(field)? != Some(false) {
            return Ok(None);
        }
    }
    Ok(Some(Unchanged::Integer(0)))
}

fn field_is_there(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    match args {
        [_, key, field, _] => {
            let there = field_exists(ctx, key, field)? == Some(true);
            Ok(there.then_some(Unchanged::Integer(0)))
        }
        _ => Ok(None),
    }
}

/// Whether a hash has a field; none of another type.
fn field_exists(ctx: &ReadContext<'_>, key: &[u8], field: &[u8]) -> storage::Result<Option<bool>> {
    let object = ctx.view.lookup(key)?;
    let Some(object) = &object else {
        return Ok(Some(false));
    };
    if object.kind() != Kind::Hash {
        return Ok(None);
    }
    let hash = |field: &[u8]| ctx.view.element_hash(field);
    let found: Option<Item<'_>> = object.hash().and_then(|fields| fields.get(field, hash));
    Ok(Some(found.is_some()))
}
