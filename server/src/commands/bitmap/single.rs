//! One bit: SETBIT GETBIT.

use resp::Writer;
use storage::dataset::Object;
use storage::types::Encoding;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::{bit_at, bytes, offset, put_bit};

/// GETBIT key offset
pub(super) fn getbit(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, offset) = (args.bytes()?, offset(args.bytes()?, None)?);
    let object = ctx.view.lookup(key)?;
    out.integer(bit_at(&bytes(object.as_ref())?, offset).into());
    Ok(())
}

/// SETBIT key offset value
pub(super) fn setbit(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, offset) = (args.bytes()?, offset(args.bytes()?, None)?);
    let on = match args.int() {
        Ok(0) => false,
        Ok(1) => true,
        _ => {
            return Err(CommandError::reply(
                "ERR bit is not an integer or out of range",
            ));
        }
    };
    let (old, len, is_raw) = {
        let object = ctx.txn.lookup(key)?;
        let bytes = bytes(object.as_ref())?;
        let encoding = object.as_ref().map(Object::encoding);
        let is_raw = encoding == Some(Encoding::Raw);
        (bit_at(&bytes, offset), bytes.len(), is_raw)
    };
    let needed = offset / 8 + 1;
    // A bit that is there and right already is no change; but the string is one that was edited, as in Redis.
    let changes = old != on || len < needed;
    if changes || !is_raw {
        ctx.txn.edit_string(key, |bytes| {
            bytes.resize(needed.max(bytes.len()), 0);
            put_bit(bytes, offset, on);
        })?;
    }
    if changes {
        ctx.txn.notify("setbit", key);
    }
    out.integer(old.into());
    Ok(())
}
