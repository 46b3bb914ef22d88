//! Other places for a value: RENAME RENAMENX COPY MOVE.

use resp::Writer;
use storage::ids::DbIndex;

use super::db_index;
use crate::commands::args::Args;
use crate::commands::context::WriteContext;
use crate::commands::error::{CommandError, CommandResult};

/// RENAME key newkey
pub(super) fn rename(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (from, to) = (args.bytes()?, args.bytes()?);
    if !ctx.txn.exists(from)? {
        return Err(CommandError::NO_SUCH_KEY);
    }
    if from != to {
        give(ctx, from, to)?;
    }
    out.ok();
    Ok(())
}

/// RENAMENX key newkey
pub(super) fn renamenx(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (from, to) = (args.bytes()?, args.bytes()?);
    if !ctx.txn.exists(from)? {
        return Err(CommandError::NO_SUCH_KEY);
    }
    // The same name counts as taken.
    let renamed = !ctx.txn.exists(to)?;
    if renamed {
        give(ctx, from, to)?;
    }
    out.integer(renamed.into());
    Ok(())
}

fn give(ctx: &mut WriteContext<'_, '_>, from: &[u8], to: &[u8]) -> CommandResult {
    ctx.txn.rename(from, to)?;
    ctx.txn.notify("rename_from", from);
    ctx.txn.notify("rename_to", to);
    Ok(())
}

/// COPY source destination [DB destination-db] [REPLACE]
pub(super) fn copy(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (from, to) = (args.bytes()?, args.bytes()?);
    let mut to_db = ctx.txn.db();
    let mut replace = false;
    while !args.is_empty() {
        if args.flag("REPLACE") {
            replace = true;
        } else if args.flag("DB") && !args.is_empty() {
            to_db = db_index(args)?;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    if to_db == ctx.txn.db() && from == to {
        return Err(CommandError::SAME_OBJECT);
    }
    let copied =
        ctx.txn.lookup(from)?.is_some() && (replace || !ctx.txn.view_of(to_db).exists(to)?);
    if copied {
        ctx.txn.copy(from, to, to_db)?;
        notify_in(ctx, to_db, "copy_to", to);
    }
    out.integer(copied.into());
    Ok(())
}

/// MOVE key db
pub(super) fn move_key(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, to_db) = (args.bytes()?, db_index(args)?);
    if to_db == ctx.txn.db() {
        return Err(CommandError::SAME_OBJECT);
    }
    let moved = ctx.txn.move_to(key, to_db)?;
    if moved {
        ctx.txn.notify("move_from", key);
        notify_in(ctx, to_db, "move_to", key);
    }
    out.integer(moved.into());
    Ok(())
}

/// Notes an event of a key in another database.
fn notify_in(ctx: &mut WriteContext<'_, '_>, db: DbIndex, kind: &'static str, key: &[u8]) {
    let here = ctx.txn.db();
    ctx.txn.select(db);
    ctx.txn.notify(kind, key);
    ctx.txn.select(here);
}
