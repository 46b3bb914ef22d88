//! Ranges of members: ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZREVRANGEBYSCORE ZREVRANGEBYLEX ZRANGESTORE.

use resp::Writer;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::CommandResult;
use super::query::{By, Form, Query};
use super::{store, write_header, write_pair, zset};

const ANY: Form = Form {
    by: None,
    reverse: None,
    scores: true,
};

const STORED: Form = Form {
    scores: false,
    ..ANY
};

const fn fixed(by: By, reverse: bool) -> Form {
    Form {
        by: Some(by),
        reverse: Some(reverse),
        scores: true,
    }
}

/// What a ZRANGE of any kind leaves open; none if it is none.
pub(super) fn form_of(name: &str) -> Option<Form> {
    Some(match name {
        "zrange" => ANY,
        "zrangestore" => STORED,
        "zrevrange" => fixed(By::Rank, true),
        "zrangebyscore" => fixed(By::Score, false),
        "zrevrangebyscore" => fixed(By::Score, true),
        "zrangebylex" => fixed(By::Member, false),
        "zrevrangebylex" => fixed(By::Member, true),
        _ => return None,
    })
}

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
pub(super) fn zrange(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, ANY, out)
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
pub(super) fn zrangebyscore(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, fixed(By::Score, false), out)
}

/// ZRANGEBYLEX key min max [LIMIT offset count]
pub(super) fn zrangebylex(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, fixed(By::Member, false), out)
}

/// ZREVRANGE key start stop [WITHSCORES]
pub(super) fn zrevrange(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, fixed(By::Rank, true), out)
}

/// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
pub(super) fn zrevrangebyscore(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, fixed(By::Score, true), out)
}

/// ZREVRANGEBYLEX key max min [LIMIT offset count]
pub(super) fn zrevrangebylex(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, fixed(By::Member, true), out)
}

fn answer(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    form: Form,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let query = Query::parse(args, form)?;
    let Some(object) = ctx.view.lookup(key)? else {
        out.array(0);
        return Ok(());
    };
    let set = zset(&object)?;
    let members = set.range(query.ranks(set));
    write_header(members.len(), query.with_scores, out);
    if query.reverse {
        for pair in members.rev() {
            write_pair(pair, query.with_scores, out);
        }
    } else {
        for pair in members {
            write_pair(pair, query.with_scores, out);
        }
    }
    Ok(())
}

/// ZRANGESTORE destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
pub(super) fn zrangestore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (destination, source) = (args.bytes()?, args.bytes()?);
    let query = Query::parse(args, STORED)?;
    let mut members = Vec::new();
    if let Some(object) = ctx.txn.lookup(source)? {
        let set = zset(&object)?;
        let range = set.range(query.ranks(set));
        members.extend(range.map(|(member, score)| (score, member.to_vec())));
    }
    store(ctx, destination, &members, "zrangestore", out)
}
