//! Removing members: ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREMRANGEBYLEX.

use std::ops::Range;

use resp::Writer;
use storage::types::{Edit, SortedSet, SortedSetRef};

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::CommandResult;
use super::query::rank_range;
use super::{bounds, zset};

/// ZREM key member [member ...]
pub(super) fn zrem(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.rest());
    remove(ctx, key, "zrem", out, |set, edit| {
        let remove = |member: &&&[u8]| set.remove(member, edit).is_some();
        members.iter().filter(remove).count()
    })
}

/// ZREMRANGEBYRANK key start stop
pub(super) fn zremrangebyrank(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, first, last) = (args.bytes()?, args.int()?, args.int()?);
    remove_range(ctx, key, "zremrangebyrank", out, |set| {
        rank_range(first, last, set.len(), false)
    })
}

/// ZREMRANGEBYSCORE key min max
pub(super) fn zremrangebyscore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let (min, max) = bounds::scores(args.bytes()?, args.bytes()?)?;
    remove_range(ctx, key, "zremrangebyscore", out, |set| {
        set.ranks_by_score(min, max)
    })
}

/// ZREMRANGEBYLEX key min max
pub(super) fn zremrangebylex(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let (min, max) = bounds::members(args.bytes()?, args.bytes()?)?;
    remove_range(ctx, key, "zremrangebylex", out, |set| {
        set.ranks_by_member(min, max)
    })
}

fn remove_range(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    event: &'static str,
    out: &mut Writer<'_>,
    ranks: impl FnOnce(SortedSetRef<'_>) -> Range<usize>,
) -> CommandResult {
    remove(ctx, key, event, out, |set, edit| {
        let ranks = ranks(set.as_ref());
        set.remove_ranks(ranks, edit)
    })
}

/// Removes members of the sorted set at `key`, if there is one, and answers how many. The key goes with the last one.
fn remove(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    event: &'static str,
    out: &mut Writer<'_>,
    remove: impl FnOnce(&mut SortedSet, &mut Edit<'_>) -> usize,
) -> CommandResult {
    let Some(object) = ctx.txn.lookup(key)? else {
        out.integer(0);
        return Ok(());
    };
    zset(&object)?;
    let (removed, emptied) = ctx.txn.edit_zset(key, |set, edit| {
        let removed = remove(set, edit);
        (removed, set.as_ref().is_empty())
    })?;
    if removed > 0 {
        ctx.txn.notify(event, key);
        if emptied {
            ctx.txn.notify("del", key);
        }
    }
    out.integer(removed as i64);
    Ok(())
}
