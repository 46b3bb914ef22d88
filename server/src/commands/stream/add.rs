//! Entries that come and go: XADD XTRIM XDEL XSETID.

use resp::Writer;
use storage::types::Limits;
use storage::types::stream::{IdRequest, Keep, StreamId};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::super::unchanged::{Probe, Unchanged};
use super::parse::{self, AddOptions};
use super::{look, write_id};

/// XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]
pub(super) fn xadd(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let options = parse::options(args, true, ctx.txn.limits())?;
    let (fields, rest) = args.rest().as_chunks::<2>();
    if fields.is_empty() || !rest.is_empty() {
        return Err(CommandError::arity("xadd"));
    }
    if options.id == IdRequest::Exact(StreamId::MIN) {
        return Err(CommandError::reply(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    let last = look(ctx, key, |stream| stream.last_id())?;
    if last.is_none() && options.must_exist {
        out.null();
        return Ok(());
    }
    if last == Some(StreamId::MAX) {
        return Err(CommandError::reply(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let (id, trimmed) = ctx.txn.edit_stream(key, |stream, edit| {
        let id = stream.add(options.id, fields, edit);
        let trims = options.keep.filter(|_| id.is_some());
        let trimmed = trims.map_or(0, |keep| {
            stream.trim(keep, options.approximate, options.limit, edit)
        });
        (id, trimmed)
    })?;
    let id = id.ok_or(CommandError::reply(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    ))?;
    ctx.txn.notify("xadd", key);
    if trimmed > 0 {
        ctx.txn.notify("xtrim", key);
    }
    write_id(id, out);
    Ok(())
}

/// XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count]
pub(super) fn xtrim(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let AddOptions {
        keep,
        approximate,
        limit,
        ..
    } = parse::options(args, false, ctx.txn.limits())?;
    let keep = keep.unwrap_or(Keep::From(StreamId::MIN));
    let mut removed = 0;
    if look(ctx, key, |_| ())?.is_some() {
        removed = ctx.txn.edit_stream(key, |stream, edit| {
            stream.trim(keep, approximate, limit, edit)
        })?;
    }
    if removed > 0 {
        ctx.txn.notify("xtrim", key);
    }
    out.integer(removed as i64);
    Ok(())
}

/// XTRIM: nothing is above the threshold.
pub(super) const NOTHING_TO_TRIM: Probe = Probe::new(4, nothing_to_trim);

fn nothing_to_trim(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    let mut args = Args::new(args);
    let Ok(key) = args.bytes() else {
        return Ok(None);
    };
    // The limits say only how many entries an approximate one looks at.
    let Ok(options) = parse::options(&mut args, false, &Limits::default()) else {
        return Ok(None);
    };
    let Some(object) = ctx.view.lookup(key)? else {
        return Ok(Some(Unchanged::Integer(0)));
    };
    let nothing = object.stream().is_some_and(|stream| match options.keep {
        Some(Keep::Last(len)) => stream.len() <= len,
        Some(Keep::From(id)) => stream.is_empty() || stream.first_id() >= id,
        None => false,
    });
    Ok(nothing.then_some(Unchanged::Integer(0)))
}

/// XDEL key id [id ...]
pub(super) fn xdel(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let mut removed = 0;
    if look(ctx, key, |_| ())?.is_some() {
        let ids = parse::ids(args)?;
        removed = ctx.txn.edit_stream(key, |stream, edit| {
            ids.iter().filter(|&&id| stream.delete(id, edit)).count()
        })?;
    }
    if removed > 0 {
        ctx.txn.notify("xdel", key);
    }
    out.integer(removed as i64);
    Ok(())
}

/// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
pub(super) fn xsetid(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, id) = (args.bytes()?, parse::id(args.bytes()?, 0)?);
    let (mut added, mut deleted) = (None, None);
    while !args.is_empty() {
        let more = args.remaining() > 1;
        if more && args.flag("ENTRIESADDED") {
            let number = parse_i64(args.bytes()?).ok_or(CommandError::NOT_INTEGER)?;
            let number = u64::try_from(number)
                .map_err(|_| CommandError::reply("ERR entries_added must be positive"))?;
            added = Some(number);
        } else if more && args.flag("MAXDELETEDID") {
            let greatest = parse::id(args.bytes()?, 0)?;
            if id < greatest {
                return Err(CommandError::reply(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            deleted = Some(greatest);
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    let known = look(ctx, key, |stream| {
        (
            stream.max_deleted_id(),
            stream.last_entry_id(),
            stream.len(),
        )
    })?;
    let (max_deleted, last, len) = known.ok_or(CommandError::NO_SUCH_KEY)?;
    if id < max_deleted {
        return Err(CommandError::reply(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if last.is_some_and(|last| id < last) {
        return Err(CommandError::reply(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    if len > 0 && added.is_some_and(|added| added < len as u64) {
        return Err(CommandError::reply(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    let deleted = deleted.filter(|&id| id != StreamId::MIN);
    ctx.txn
        .edit_stream(key, |stream, edit| stream.set_id(id, added, deleted, edit))?;
    ctx.txn.notify("xsetid", key);
    out.ok();
    Ok(())
}
