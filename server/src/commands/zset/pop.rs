//! Taking members from an end: ZPOPMIN ZPOPMAX ZMPOP.

use resp::{Protocol, Writer};

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{write_item, zset};

/// Which members are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

/// ZPOPMIN key [count]
pub(super) fn zpopmin(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    pop_of_one(ctx, args, End::Min, out)
}

/// ZPOPMAX key [count]
pub(super) fn zpopmax(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    pop_of_one(ctx, args, End::Max, out)
}

fn pop_of_one(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    end: End,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    if args.remaining() > 1 {
        return Err(CommandError::SYNTAX);
    }
    let count = match args.peek() {
        Some(count) => Some(
            parse_i64(count)
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(CommandError::NOT_POSITIVE)?,
        ),
        None => None,
    };
    let nested = count.is_some() && out.protocol() == Protocol::Resp3;
    let Some(len) = len(ctx, key)? else {
        out.array(0);
        return Ok(());
    };
    let count = count.unwrap_or(1).min(len);
    out.array(if nested { count } else { 2 * count });
    pop(ctx, key, end, count, nested, out)
}

/// ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]
pub(super) fn zmpop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let positive = |text: &[u8]| parse_i64(text).filter(|number| *number > 0);
    let keys = positive(args.bytes()?).ok_or(CommandError::NUMKEYS)?;
    let keys = usize::try_from(keys).unwrap_or(usize::MAX);
    if keys >= args.remaining() {
        return Err(CommandError::SYNTAX);
    }
    let keys = args.several(keys)?;
    let end = if args.flag("MIN") {
        End::Min
    } else if args.flag("MAX") {
        End::Max
    } else {
        return Err(CommandError::SYNTAX);
    };
    let mut count = 1;
    if args.remaining() > 1 && args.flag("COUNT") {
        count = positive(args.bytes()?)
            .ok_or_else(|| CommandError::reply("ERR count should be greater than 0"))?;
    }
    args.finish()?;
    for key in keys {
        if let Some(len) = len(ctx, key)? {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(len);
            out.array(2);
            out.bulk(key);
            out.array(count);
            return pop(ctx, key, end, count, true, out);
        }
    }
    out.null_array();
    Ok(())
}

/// The number of members at `key`; none if there is nothing.
fn len(ctx: &mut WriteContext<'_, '_>, key: &[u8]) -> CommandResult<Option<usize>> {
    let object = ctx.txn.lookup(key)?;
    Ok(object.as_ref().map(zset).transpose()?.map(|set| set.len()))
}

/// Takes and writes `count` members, which are there, from one end on.
fn pop(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    end: End,
    count: usize,
    nested: bool,
    out: &mut Writer<'_>,
) -> CommandResult {
    if count == 0 {
        return Ok(());
    }
    let emptied = ctx.txn.edit_zset(key, |set, edit| {
        let mut write = |(member, score)| {
            if nested {
                out.array(2);
            }
            write_item(member, out);
            out.double(score);
        };
        let len = set.as_ref().len();
        let ranks = match end {
            End::Min => 0..count,
            End::Max => len - count..len,
        };
        let members = set.as_ref().range(ranks.clone());
        match end {
            End::Min => members.for_each(&mut write),
            End::Max => members.rev().for_each(&mut write),
        }
        set.remove_ranks(ranks, edit);
        count == len
    })?;
    let event = match end {
        End::Min => "zpopmin",
        End::Max => "zpopmax",
    };
    ctx.txn.notify(event, key);
    if emptied {
        ctx.txn.notify("del", key);
    }
    Ok(())
}
