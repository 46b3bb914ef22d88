//! Fields drawn at random: HRANDFIELD.

use std::collections::HashSet;

use resp::{Protocol, Writer};
use storage::types::{HashRef, Item};

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};
use super::super::sample::{self, Draw};
use super::hash;
use super::read::write_item;

/// HRANDFIELD key [count [WITHVALUES]]
pub(super) fn hrandfield(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    if args.is_empty() {
        let object = ctx.view.lookup(key)?;
        let hash = object.as_ref().map(hash).transpose()?;
        match hash.and_then(|hash| hash.random(&mut || ctx.random())) {
            Some((field, _)) => write_item(field, out),
            None => out.null(),
        }
        return Ok(());
    }
    let count = args.int()?;
    let draw = Draw::new(count)?;
    let with_values = args.flag("WITHVALUES");
    args.finish()?;
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(CommandError::reply("ERR value is out of range"));
    }
    let Some(object) = ctx.view.lookup(key)? else {
        out.array(0);
        return Ok(());
    };
    let hash = hash(&object)?;
    draw.check()?;
    match draw {
        Draw::Repeated(count) => repeated(ctx, hash, count, with_values, out),
        Draw::Different(count) => {
            different(ctx, hash, count, with_values, out);
            Ok(())
        }
    }
}

fn repeated(
    ctx: &ReadContext<'_>,
    hash: HashRef<'_>,
    count: usize,
    with_values: bool,
    out: &mut Writer<'_>,
) -> CommandResult {
    let start = out.mark();
    header(count, with_values, out);
    for _ in 0..count {
        if let Some(pair) = hash.random(&mut || ctx.random()) {
            write_pair(pair, with_values, out);
            sample::check_reply(out, start)?;
        }
    }
    Ok(())
}

fn different(
    ctx: &ReadContext<'_>,
    hash: HashRef<'_>,
    count: usize,
    with_values: bool,
    out: &mut Writer<'_>,
) {
    let len = hash.len();
    let count = count.min(len);
    header(count, with_values, out);
    if count == 0 {
        return;
    }
    if hash.is_flat() || sample::is_walk(count, len) {
        let random = || ctx.random();
        sample::pick(hash.iter(), len, count, random, |pair| {
            write_pair(pair, with_values, out);
        });
        return;
    }
    let mut drawn: HashSet<Vec<u8>> = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some(pair) = hash.random(&mut || ctx.random()) else {
            return;
        };
        if drawn.insert(pair.0.to_vec()) {
            write_pair(pair, with_values, out);
        }
    }
}

/// With values RESP3 has pairs, RESP2 a flat list.
fn header(count: usize, with_values: bool, out: &mut Writer<'_>) {
    let flat = with_values && out.protocol() == Protocol::Resp2;
    out.array(if flat { 2 * count } else { count });
}

fn write_pair((field, value): (Item<'_>, Item<'_>), with_values: bool, out: &mut Writer<'_>) {
    if with_values && out.protocol() == Protocol::Resp3 {
        out.array(2);
    }
    write_item(field, out);
    if with_values {
        write_item(value, out);
    }
}
