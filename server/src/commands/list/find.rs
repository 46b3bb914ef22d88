//! Elements by value: LPOS LINSERT LREM.

use resp::Writer;
use storage::types::{End, Item, ListRef};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{length, list, notify_removal};

/// What LPOS looks for.
struct Search {
    /// Counted from the first match, or backwards from the last; not 0.
    rank: i64,
    /// How many matches; none: one, answered alone. 0: all.
    count: Option<usize>,
    /// How many elements are compared; 0: all.
    max_len: usize,
}

/// LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
pub(super) fn lpos(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, element) = (args.bytes()?, args.bytes()?);
    let search = search(args)?;
    let object = ctx.view.lookup(key)?;
    let mut found = Vec::new();
    if let Some(object) = &object {
        found = matches(list(object)?, element, &search);
    }
    match (search.count, found.first()) {
        (Some(_), _) => {
            out.array(found.len());
            for at in found {
                out.integer(at as i64);
            }
        }
        (None, Some(&at)) => out.integer(at as i64),
        (None, None) => out.null(),
    }
    Ok(())
}

fn search(args: &mut Args<'_>) -> CommandResult<Search> {
    let mut search = Search {
        rank: 1,
        count: None,
        max_len: 0,
    };
    while !args.is_empty() {
        if args.flag("RANK") {
            search.rank = magnitude_in_range(args.bytes()?)?;
            if search.rank == 0 {
                return Err(CommandError::reply(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to \
                     start from the end of the list",
                ));
            }
        } else if args.flag("COUNT") {
            search.count = Some(not_negative(args, "ERR COUNT can't be negative")?);
        } else if args.flag("MAXLEN") {
            search.max_len = not_negative(args, "ERR MAXLEN can't be negative")?;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    Ok(search)
}

fn not_negative(args: &mut Args<'_>, refusal: &'static str) -> CommandResult<usize> {
    parse_i64(args.bytes()?)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or(CommandError::reply(refusal))
}

/// An integer whose opposite is one, too.
fn magnitude_in_range(arg: &[u8]) -> CommandResult<i64> {
    match parse_i64(arg) {
        Some(i64::MIN) => {
            let most = i64::MAX;
            Err(CommandError::reply(format!(
                "ERR value is out of range, value must between -{most} and {most}"
            )))
        }
        Some(number) => Ok(number),
        None => Err(CommandError::NOT_INTEGER),
    }
}

/// The positions of the elements that are searched, in the order of the search.
fn matches(list: ListRef<'_>, element: &[u8], search: &Search) -> Vec<usize> {
    let or_all = |number: usize| if number == 0 { usize::MAX } else { number };
    let compared = or_all(search.max_len);
    let wanted = search.count.map_or(1, or_all);
    let skipped = (search.rank.unsigned_abs() - 1) as usize;
    let is_match = |(at, item): (usize, Item<'_>)| item.is(element).then_some(at);
    if search.rank > 0 {
        let items = list.iter().enumerate().take(compared);
        items
            .filter_map(is_match)
            .skip(skipped)
            .take(wanted)
            .collect()
    } else {
        let last = list.len().saturating_sub(1);
        let items = list.iter_back_from(last).enumerate().take(compared);
        let items = items.map(|(at, item)| (last - at, item));
        items
            .filter_map(is_match)
            .skip(skipped)
            .take(wanted)
            .collect()
    }
}

/// LINSERT key BEFORE | AFTER pivot element
pub(super) fn linsert(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let after = if args.flag("AFTER") {
        true
    } else if args.flag("BEFORE") {
        false
    } else {
        return Err(CommandError::SYNTAX);
    };
    let (pivot, element) = (args.bytes()?, args.bytes()?);
    if length(ctx, key)?.is_none() {
        out.integer(0);
        return Ok(());
    }
    let len = ctx.txn.edit_list(key, |list, edit| {
        list.expect(1, element.len(), edit);
        let mut items = list.as_ref().iter();
        let at = items.position(|item| item.is(pivot))?;
        list.insert(at + usize::from(after), element, edit);
        Some(list.as_ref().len())
    })?;
    match len {
        Some(len) => {
            ctx.txn.notify("linsert", key);
            out.integer(len as i64);
        }
        None => out.integer(-1),
    }
    Ok(())
}

/// LREM key count element
pub(super) fn lrem(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, count, element) = (
        args.bytes()?,
        magnitude_in_range(args.bytes()?)?,
        args.bytes()?,
    );
    let Some(len) = length(ctx, key)? else {
        out.integer(0);
        return Ok(());
    };
    let from = if count < 0 { End::Tail } else { End::Head };
    let limit = match count.unsigned_abs() {
        0 => usize::MAX,
        limit => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let removed = ctx.txn.edit_list(key, |list, edit| {
        let removed = list.remove_equal(element, from, limit, edit);
        if removed > 0 {
            list.shrink(edit);
        }
        removed
    })?;
    if removed > 0 {
        notify_removal(ctx, "lrem", key, len - removed);
    }
    out.integer(removed as i64);
    Ok(())
}
