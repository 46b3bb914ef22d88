//! Entries by id: XLEN XRANGE XREVRANGE.

use resp::Writer;

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};
use super::{parse, stream, write_entries};

/// XLEN key
pub(super) fn xlen(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let stream = object.as_ref().map(stream).transpose()?;
    out.integer(stream.map_or(0, |stream| stream.len()) as i64);
    Ok(())
}

/// XRANGE key start end [COUNT count]
pub(super) fn xrange(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    range(ctx, args, out, false)
}

/// XREVRANGE key end start [COUNT count]
pub(super) fn xrevrange(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    range(ctx, args, out, true)
}

fn range(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    backwards: bool,
) -> CommandResult {
    let (key, first, second) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let (start, end) = if backwards {
        (second, first)
    } else {
        (first, second)
    };
    let ids = parse::start(start)?..=parse::end(end)?;
    let mut count = usize::MAX;
    while !args.is_empty() {
        if args.remaining() < 2 || !args.flag("COUNT") {
            return Err(CommandError::SYNTAX);
        }
        count = usize::try_from(args.int()?).unwrap_or(0);
    }
    let Some(object) = ctx.view.lookup(key)? else {
        out.array(0);
        return Ok(());
    };
    let stream = stream(&object)?;
    if count == 0 {
        out.null_array();
    } else if backwards {
        write_entries(stream.entries_back(ids).take(count), out);
    } else {
        write_entries(stream.entries(ids).take(count), out);
    }
    Ok(())
}
