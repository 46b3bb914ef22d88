//! Whole databases: FLUSHDB FLUSHALL SWAPDB.

use resp::Writer;

use super::existing_db;
use crate::commands::args::Args;
use crate::commands::context::WriteContext;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;

/// Takes ASYNC or SYNC, which make no difference: a flush takes constant time, and memory is freed in the background.
fn mode(args: &mut Args<'_>) -> CommandResult {
    let _ = args.flag("ASYNC") || args.flag("SYNC");
    args.finish()
}

/// FLUSHDB [ASYNC | SYNC]
pub(super) fn flushdb(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    mode(args)?;
    ctx.txn.flush_db();
    out.ok();
    Ok(())
}

/// FLUSHALL [ASYNC | SYNC]
pub(super) fn flushall(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    mode(args)?;
    ctx.txn.flush_all();
    out.ok();
    Ok(())
}

/// SWAPDB index1 index2
pub(super) fn swapdb(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let mut index = |which: &str| {
        let number = parse_i64(args.bytes()?).filter(|number| i32::try_from(*number).is_ok());
        number.ok_or_else(|| CommandError::reply(format!("ERR invalid {which} DB index")))
    };
    let (first, second) = (index("first")?, index("second")?);
    let (first, second) = (existing_db(first)?, existing_db(second)?);
    ctx.txn.swap_db(first, second);
    out.ok();
    Ok(())
}
