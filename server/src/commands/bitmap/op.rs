//! BITOP.

use resp::Writer;
use storage::dataset::Expiry;

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::bytes;

/// What is done with the bits.
#[derive(Clone, Copy)]
enum Operation {
    Not,
    Of(fn(u8, u8) -> u8),
}

/// BITOP AND | OR | XOR | NOT destination key [key ...]
pub(super) fn bitop(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let operation = operation(args)?;
    let (destination, keys) = (args.bytes()?, args.rest());
    if matches!(operation, Operation::Not) && keys.len() != 1 {
        return Err(CommandError::reply(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    let mut sources = Vec::with_capacity(keys.len());
    for key in keys {
        let object = ctx.txn.lookup(key)?;
        sources.push(bytes(object.as_ref())?.into_owned());
    }
    let result = combined(sources, operation);
    if !result.is_empty() {
        ctx.txn.set_raw(destination, &result, Expiry::Clear)?;
        ctx.txn.notify("set", destination);
    } else if ctx.txn.remove(destination)? {
        ctx.txn.notify("del", destination);
    }
    out.integer(result.len() as i64);
    Ok(())
}

fn operation(args: &mut Args<'_>) -> CommandResult<Operation> {
    if args.flag("AND") {
        Ok(Operation::Of(|left, right| left & right))
    } else if args.flag("OR") {
        Ok(Operation::Of(|left, right| left | right))
    } else if args.flag("XOR") {
        Ok(Operation::Of(|left, right| left ^ right))
    } else if args.flag("NOT") {
        Ok(Operation::Not)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// All sources as if they were as long as the longest, with zeros behind them.
fn combined(mut sources: Vec<Vec<u8>>, operation: Operation) -> Vec<u8> {
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    for source in &mut sources {
        source.resize(len, 0);
    }
    let mut sources = sources.into_iter();
    let mut result = sources.next().unwrap_or_default();
    match operation {
        Operation::Not => result.iter_mut().for_each(|byte| *byte = !*byte),
        Operation::Of(combine) => {
            for source in sources {
                for (byte, other) in result.iter_mut().zip(source) {
                    *byte = combine(*byte, other);
                }
            }
        }
    }
    result
}
