//! Members one by one, and how many there are: ZCARD ZSCORE ZMSCORE ZRANK ZREVRANK ZCOUNT ZLEXCOUNT ZSCAN.

use resp::{DoubleBuffer, Writer};
use storage::types::SortedSetRef;

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::long_text;
use super::super::scan::{Options, cursor};
use super::{bounds, write_item, zset};

/// ZCARD key
pub(super) fn zcard(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let set = object.as_ref().map(zset).transpose()?;
    out.integer(set.map_or(0, SortedSetRef::len) as i64);
    Ok(())
}

fn write_score(
    ctx: &ReadContext<'_>,
    set: Option<SortedSetRef<'_>>,
    member: &[u8],
    out: &mut Writer<'_>,
) {
    let hash = |member: &[u8]| ctx.view.element_hash(member);
    match set.and_then(|set| set.score(member, hash)) {
        Some(score) => out.double(score),
        None => out.null(),
    }
}

/// ZSCORE key member
pub(super) fn zscore(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, member) = (args.bytes()?, args.bytes()?);
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    write_score(ctx, set, member, out);
    Ok(())
}

/// ZMSCORE key member [member ...]
pub(super) fn zmscore(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.rest());
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    out.array(members.len());
    for member in members {
        write_score(ctx, set, member, out);
    }
    Ok(())
}

/// ZRANK key member [WITHSCORE]
pub(super) fn zrank(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    rank(ctx, args, false, out)
}

/// ZREVRANK key member [WITHSCORE]
pub(super) fn zrevrank(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    rank(ctx, args, true, out)
}

fn rank(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    reverse: bool,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, member) = (args.bytes()?, args.bytes()?);
    if args.remaining() > 1 {
        return Err(CommandError::arity(if reverse {
            "zrevrank"
        } else {
            "zrank"
        }));
    }
    let with_score = args.flag("WITHSCORE");
    args.finish()?;
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    let hash = |member: &[u8]| ctx.view.element_hash(member);
    let found = set.and_then(|set| {
        let (rank, score) = set.rank(member, hash)?;
        let rank = if reverse { set.len() - 1 - rank } else { rank };
        Some((rank, score))
    });
    match found {
        Some((rank, score)) => {
            if with_score {
                out.array(2);
            }
            out.integer(rank as i64);
            if with_score {
                out.double(score);
            }
        }
        None if with_score => out.null_array(),
        None => out.null(),
    }
    Ok(())
}

/// ZCOUNT key min max
pub(super) fn zcount(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let (min, max) = bounds::scores(args.bytes()?, args.bytes()?)?;
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    out.integer(set.map_or(0, |set| set.ranks_by_score(min, max).len()) as i64);
    Ok(())
}

/// ZLEXCOUNT key min max
pub(super) fn zlexcount(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let (min, max) = bounds::members(args.bytes()?, args.bytes()?)?;
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    out.integer(set.map_or(0, |set| set.ranks_by_member(min, max).len()) as i64);
    Ok(())
}

/// ZSCAN key cursor [MATCH pattern] [COUNT count]
pub(super) fn zscan(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, cursor) = (args.bytes()?, cursor(args.bytes()?)?);
    let object = ctx.view.lookup(key)?;
    let Some(object) = &object else {
        // Redis does not look at the options then.
        out.array(2);
        out.bulk(b"0");
        out.array(0);
        return Ok(());
    };
    let set = zset(object)?;
    let options = Options::of_elements(args)?;
    let (next, mut members) = set.scan(cursor, options.count);
    members.retain(|(member, _)| options.admit(member.bytes(&mut itoa::Buffer::new())));
    out.array(2);
    out.bulk_integer(next as i64);
    out.array(2 * members.len());
    for (member, score) in members {
        write_item(member, out);
        if set.is_flat() {
            out.bulk(DoubleBuffer::new().format(score).as_bytes());
        } else {
            // As Redis: in the text of a long double.
            out.bulk(long_text(score).as_bytes());
        }
    }
    Ok(())
}
