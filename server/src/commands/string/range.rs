//! Parts of strings: GETRANGE SUBSTR SETRANGE APPEND.

use resp::Writer;
use storage::dataset::Expiry;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::{MAX_STRING_BYTES, text};

/// The bytes from `start` to `end`, both included, negative ones counted from the end, as a half-open range of `len`.
fn resolve(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let len = len as i64;
    let from_end = |at: i64| {
        if at < 0 {
            at.saturating_add(len).max(0)
        } else {
            at
        }
    };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    (len > 0 && start <= end).then(|| (start as usize, end as usize + 1))
}

/// GETRANGE key start end, and SUBSTR
pub(super) fn getrange(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, start, end) = (args.bytes()?, args.int()?, args.int()?);
    let object = ctx.view.lookup(key)?;
    let value = object.as_ref().map(text).transpose()?;
    let part = value
        .as_deref()
        .and_then(|value| resolve(start, end, value.len()).map(|(from, to)| &value[from..to]));
    out.bulk(part.unwrap_or_default());
    Ok(())
}

/// The length of the string at `key`, if there is one.
fn length(ctx: &mut WriteContext<'_, '_>, key: &[u8]) -> CommandResult<Option<usize>> {
    match ctx.txn.lookup(key)? {
        Some(object) => Ok(Some(text(&object)?.len())),
        None => Ok(None),
    }
}

/// APPEND key value
pub(super) fn append(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, value) = (args.bytes()?, args.bytes()?);
    let Some(len) = length(ctx, key)? else {
        // What is new is stored as SET does: a number becomes one.
        ctx.txn.set_string(key, value, Expiry::Clear)?;
        ctx.txn.notify("append", key);
        out.integer(value.len() as i64);
        return Ok(());
    };
    let len = len + value.len();
    if len > MAX_STRING_BYTES {
        return Err(CommandError::STRING_TOO_LONG);
    }
    ctx.txn
        .edit_string(key, |string| string.extend_from_slice(value))?;
    ctx.txn.notify("append", key);
    out.integer(len as i64);
    Ok(())
}

/// SETRANGE key offset value
pub(super) fn setrange(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, offset, value) = (args.bytes()?, args.int()?, args.bytes()?);
    if offset < 0 {
        return Err(CommandError::OFFSET_OUT_OF_RANGE);
    }
    let len = length(ctx, key)?.unwrap_or(0);
    if value.is_empty() {
        out.integer(len as i64);
        return Ok(());
    }
    let end = (offset as u64).saturating_add(value.len() as u64);
    if end > MAX_STRING_BYTES as u64 {
        return Err(CommandError::STRING_TOO_LONG);
    }
    let (offset, end) = (offset as usize, end as usize);
    ctx.txn.edit_string(key, |string| {
        if string.len() < end {
            string.resize(end, 0);
        }
        string[offset..end].copy_from_slice(value);
    })?;
    ctx.txn.notify("setrange", key);
    out.integer(len.max(end) as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn ranges() {
        assert_eq!(resolve(0, 3, 5), Some((0, 4)));
        assert_eq!(resolve(0, -1, 5), Some((0, 5)));
        assert_eq!(resolve(-3, -1, 5), Some((2, 5)));
        assert_eq!(resolve(-100, 100, 5), Some((0, 5)));
        assert_eq!(resolve(5, 3, 5), None);
        assert_eq!(resolve(-1, -5, 5), None);
        assert_eq!(
            resolve(0, -100, 5),
            Some((0, 1)),
            "an end before the start of the string is its first byte"
        );
        assert_eq!(resolve(0, 0, 0), None);
    }
}
