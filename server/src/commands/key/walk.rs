//! Which keys there are: KEYS SCAN RANDOMKEY DBSIZE.

use resp::Writer;

use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::CommandResult;
use crate::commands::glob;
use crate::commands::scan::{Options, cursor};

/// KEYS pattern
pub(super) fn keys(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let pattern = args.bytes()?;
    let start = out.mark();
    let mut count = 0;
    ctx.view.for_each_key(|key, _| {
        if glob::matches(pattern, key) {
            out.bulk(key);
            count += 1;
        }
    })?;
    out.array_since(start, count);
    Ok(())
}

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
pub(super) fn scan(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let cursor = cursor(args.bytes()?)?;
    let options = Options::of_keys(args)?;
    let (next, mut found) = ctx.view.scan(cursor, options.count)?;
    found.retain(|found| {
        options.admit(&found.key)
            && options
                .kind
                .is_none_or(|kind| found.kind.name().as_bytes().eq_ignore_ascii_case(kind))
    });
    out.array(2);
    out.bulk_integer(next as i64);
    out.array(found.len());
    for found in found {
        out.bulk(&found.key);
    }
    Ok(())
}

/// RANDOMKEY
pub(super) fn randomkey(
    ctx: &ReadContext<'_>,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    match ctx.view.random_key(ctx.random())? {
        Some(key) => out.bulk(&key),
        None => out.null(),
    }
    Ok(())
}

/// DBSIZE
pub(super) fn dbsize(
    ctx: &ReadContext<'_>,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    out.integer(ctx.view.len() as i64);
    Ok(())
}
