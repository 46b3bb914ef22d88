//! Members drawn at random: ZRANDMEMBER.

use std::collections::HashSet;

use resp::Writer;
use storage::types::SortedSetRef;

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};
use super::super::sample::{self, Draw};
use super::{write_header, write_item, write_pair, zset};

/// ZRANDMEMBER key [count [WITHSCORES]]
pub(super) fn zrandmember(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    if args.is_empty() {
        let object = ctx.view.lookup(key)?;
        let set = object.as_ref().map(zset).transpose()?;
        match set.and_then(|set| set.random(&mut || ctx.random())) {
            Some((member, _)) => write_item(member, out),
            None => out.null(),
        }
        return Ok(());
    }
    let count = args.int()?;
    let draw = Draw::new(count)?;
    let with_scores = args.flag("WITHSCORES");
    args.finish()?;
    if with_scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::reply("ERR value is out of range"));
    }
    let Some(object) = ctx.view.lookup(key)? else {
        out.array(0);
        return Ok(());
    };
    let set = zset(&object)?;
    draw.check()?;
    match draw {
        Draw::Repeated(count) => repeated(ctx, set, count, with_scores, out),
        Draw::Different(count) => {
            different(ctx, set, count, with_scores, out);
            Ok(())
        }
    }
}

fn repeated(
    ctx: &ReadContext<'_>,
    set: SortedSetRef<'_>,
    count: usize,
    with_scores: bool,
    out: &mut Writer<'_>,
) -> CommandResult {
    let start = out.mark();
    write_header(count, with_scores, out);
    for _ in 0..count {
        if let Some(pair) = set.random(&mut || ctx.random()) {
            write_pair(pair, with_scores, out);
            sample::check_reply(out, start)?;
        }
    }
    Ok(())
}

fn different(
    ctx: &ReadContext<'_>,
    set: SortedSetRef<'_>,
    count: usize,
    with_scores: bool,
    out: &mut Writer<'_>,
) {
    let len = set.len();
    let count = count.min(len);
    write_header(count, with_scores, out);
    if count == 0 {
        return;
    }
    if set.is_flat() || sample::is_walk(count, len) {
        let random = || ctx.random();
        sample::pick(set.iter().rev(), len, count, random, |pair| {
            write_pair(pair, with_scores, out);
        });
        return;
    }
    let mut drawn: HashSet<Vec<u8>> = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some(pair) = set.random(&mut || ctx.random()) else {
            return;
        };
        if drawn.insert(pair.0.to_vec()) {
            write_pair(pair, with_scores, out);
        }
    }
}
