//! Both ends of a list: LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LMPOP.

use resp::Writer;
use storage::types::{Edit, End, List};

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{end, length, notify_removal, popped, pushed};

/// LPUSH key element [element ...]
pub(super) fn lpush(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    push(ctx, args, out, End::Head, false)
}

/// RPUSH key element [element ...]
pub(super) fn rpush(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    push(ctx, args, out, End::Tail, false)
}

/// LPUSHX key element [element ...]
pub(super) fn lpushx(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    push(ctx, args, out, End::Head, true)
}

/// RPUSHX key element [element ...]
pub(super) fn rpushx(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    push(ctx, args, out, End::Tail, true)
}

fn push(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    end: End,
    must_exist: bool,
) -> CommandResult {
    let (key, elements) = (args.bytes()?, args.rest());
    if length(ctx, key)?.is_none() && must_exist {
        out.integer(0);
        return Ok(());
    }
    let len = ctx.txn.edit_list(key, |list, edit| {
        let bytes = elements.iter().map(|element| element.len()).sum();
        list.expect(elements.len(), bytes, edit);
        for element in elements {
            list.push(end, element, edit);
        }
        list.as_ref().len()
    })?;
    ctx.txn.notify(pushed(end), key);
    out.integer(len as i64);
    Ok(())
}

/// LPOP key [count]
pub(super) fn lpop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    pop(ctx, args, out, "lpop", End::Head)
}

/// RPOP key [count]
pub(super) fn rpop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    pop(ctx, args, out, "rpop", End::Tail)
}

fn pop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    name: &str,
    end: End,
) -> CommandResult {
    let key = args.bytes()?;
    let count = match args.rest() {
        [] => None,
        [count] => Some(
            parse_i64(count)
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(CommandError::NOT_POSITIVE)?,
        ),
        _ => return Err(CommandError::arity(name)),
    };
    let Some(len) = length(ctx, key)? else {
        if count.is_some() {
            out.null_array();
        } else {
            out.null();
        }
        return Ok(());
    };
    match count {
        Some(0) => out.array(0),
        Some(count) => take(ctx, key, end, count.min(len), len, out)?,
        None => {
            let taken = ctx.txn.edit_list(key, |list, edit| {
                let taken = list.pop(end, edit);
                list.shrink(edit);
                taken
            })?;
            out.bulk(&taken.unwrap_or_default());
            notify_removal(ctx, popped(end), key, len - 1);
        }
    }
    Ok(())
}

/// Takes `count` of the `len` elements from an end, and answers them as an array.
fn take(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    end: End,
    count: usize,
    len: usize,
    out: &mut Writer<'_>,
) -> CommandResult {
    out.array(count);
    ctx.txn.edit_list(key, |list, edit| {
        answer_and_remove(list, edit, end, count, out)
    })?;
    notify_removal(ctx, popped(end), key, len - count);
    Ok(())
}

fn answer_and_remove(
    list: &mut List,
    edit: &mut Edit<'_>,
    end: End,
    count: usize,
    out: &mut Writer<'_>,
) {
    let len = list.as_ref().len();
    let mut buffer = itoa::Buffer::new();
    let first = match end {
        End::Head => {
            for item in list.as_ref().iter().take(count) {
                out.bulk(item.bytes(&mut buffer));
            }
            0
        }
        End::Tail => {
            for item in list.as_ref().iter_back_from(len - 1).take(count) {
                out.bulk(item.bytes(&mut buffer));
            }
            len - count
        }
    };
    list.remove_range(first, count, edit);
    list.shrink(edit);
}

/// LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]
pub(super) fn lmpop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let numkeys = parse_i64(args.bytes()?)
        .and_then(|numkeys| usize::try_from(numkeys).ok())
        .filter(|numkeys| *numkeys > 0)
        .ok_or(CommandError::NUMKEYS)?;
    if numkeys >= args.remaining() {
        return Err(CommandError::SYNTAX);
    }
    let mut keys = Vec::with_capacity(numkeys);
    for _ in 0..numkeys {
        keys.push(args.bytes()?);
    }
    let end = end(args)?;
    let mut count = None;
    while !args.is_empty() {
        if count.is_some() || !args.flag("COUNT") {
            return Err(CommandError::SYNTAX);
        }
        let wanted = parse_i64(args.bytes()?).and_then(|count| usize::try_from(count).ok());
        let wanted = wanted.filter(|count| *count > 0);
        count = Some(wanted.ok_or(CommandError::reply("ERR count should be greater than 0"))?);
    }
    for key in keys {
        if let Some(len) = length(ctx, key)? {
            out.array(2);
            out.bulk(key);
            return take(ctx, key, end, count.unwrap_or(1).min(len), len, out);
        }
    }
    out.null_array();
    Ok(())
}
