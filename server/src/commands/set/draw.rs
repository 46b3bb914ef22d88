//! Members drawn at random: SRANDMEMBER SPOP.

use std::collections::HashSet;

use resp::Writer;
use storage::random;
use storage::types::{Edit, Set, SetRef};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::super::sample::{self, Draw};
use super::{set, write_item};

/// SRANDMEMBER key [count]
pub(super) fn srandmember(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    if args.remaining() > 1 {
        return Err(CommandError::SYNTAX);
    }
    if args.is_empty() {
        let object = ctx.view.lookup(key)?;
        let set = object.as_ref().map(set).transpose()?;
        match set.and_then(|set| set.random(&mut || ctx.random())) {
            Some(member) => write_item(member, out),
            None => out.null(),
        }
        return Ok(());
    }
    let draw = Draw::new(args.int()?)?;
    let Some(object) = ctx.view.lookup(key)? else {
        out.array(0);
        return Ok(());
    };
    let set = set(&object)?;
    draw.check()?;
    match draw {
        Draw::Repeated(count) => {
            let start = out.mark();
            out.array(count);
            for _ in 0..count {
                if let Some(member) = set.random(&mut || ctx.random()) {
                    write_item(member, out);
                    sample::check_reply(out, start)?;
                }
            }
        }
        Draw::Different(count) => different(ctx, set, count, out),
    }
    Ok(())
}

fn different(ctx: &ReadContext<'_>, set: SetRef<'_>, count: usize, out: &mut Writer<'_>) {
    let len = set.len();
    let count = count.min(len);
    out.array(count);
    if count == 0 {
        return;
    }
    if set.is_flat() || sample::is_walk(count, len) {
        let random = || ctx.random();
        sample::pick(set.iter(), len, count, random, |member| {
            write_item(member, out);
        });
        return;
    }
    let mut drawn: HashSet<Vec<u8>> = HashSet::with_capacity(count);
    while drawn.len() < count {
        let Some(member) = set.random(&mut || ctx.random()) else {
            return;
        };
        if drawn.insert(member.to_vec()) {
            write_item(member, out);
        }
    }
}

/// SPOP key [count]
pub(super) fn spop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    if args.remaining() > 1 {
        return Err(CommandError::SYNTAX);
    }
    let count = match args.peek() {
        None => None,
        Some(count) => {
            let count = parse_i64(count).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(CommandError::NOT_POSITIVE)?)
        }
    };
    let len = match ctx.txn.lookup(key)? {
        Some(object) => set(&object)?.len(),
        None => 0,
    };
    let popped = count.unwrap_or(1).min(len);
    match count {
        Some(_) => out.set(popped),
        None if len == 0 => out.null(),
        None => {}
    }
    if popped == 0 {
        return Ok(());
    }
    ctx.txn.notify("spop", key);
    if popped == len {
        write_all(ctx, key, out)?;
        ctx.txn.remove(key)?;
        ctx.txn.notify("del", key);
        return Ok(());
    }
    let mut seed = ctx.txn.random();
    ctx.txn.edit_set(key, |set, edit| {
        for _ in 0..popped {
            pop(set, &mut || random::next(&mut seed), edit, out);
        }
    })?;
    Ok(())
}

fn write_all(ctx: &mut WriteContext<'_, '_>, key: &[u8], out: &mut Writer<'_>) -> CommandResult {
    let Some(object) = ctx.txn.lookup(key)? else {
        return Ok(());
    };
    for member in set(&object)?.iter() {
        write_item(member, out);
    }
    Ok(())
}

/// Takes one member out. Which one, the numbers decide alone: all replicas take the same.
fn pop(set: &mut Set, random: &mut dyn FnMut() -> u64, edit: &mut Edit<'_>, out: &mut Writer<'_>) {
    let member = set.as_ref().random(random).map(|member| member.to_vec());
    if let Some(member) = member {
        set.remove(&member, edit);
        out.bulk(&member);
    }
}
