//! Which keys there are: KEYS SCAN RANDOMKEY DBSIZE.

use resp::Writer;

use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::glob;

/// Keys that a step of SCAN visits without COUNT.
const DEFAULT_COUNT: i64 = 10;

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

/// The cursor of SCAN, read as leniently as Redis does: a sign is let through, nothing at all is 0. A number that no SCAN gave
/// ends the walk.
fn cursor(text: &[u8]) -> CommandResult<u64> {
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)
        .and_then(|digits| digits.parse::<u64>().ok());
    let number = number.ok_or(CommandError::INVALID_CURSOR)?;
    Ok(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
pub(super) fn scan(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let cursor = cursor(args.bytes()?)?;
    let (mut count, mut pattern, mut kind) = (DEFAULT_COUNT, None, None);
    while !args.is_empty() {
        if args.flag("COUNT") && !args.is_empty() {
            count = args.int()?;
            if count < 1 {
                return Err(CommandError::SYNTAX);
            }
        } else if args.flag("MATCH") {
            pattern = Some(args.bytes()?);
        } else if args.flag("TYPE") {
            kind = Some(args.bytes()?);
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    let (next, mut found) = ctx
        .view
        .scan(cursor, usize::try_from(count).unwrap_or(usize::MAX))?;
    found.retain(|found| {
        pattern.is_none_or(|pattern| glob::matches(pattern, &found.key))
            && kind.is_none_or(|kind| found.kind.name().as_bytes().eq_ignore_ascii_case(kind))
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

#[cfg(test)]
mod tests {
    use super::cursor;

    #[test]
    fn cursors_are_read_leniently() {
        for (text, value) in [
            ("", 0),
            ("0", 0),
            ("+7", 7),
            ("007", 7),
            ("18446744073709551615", u64::MAX),
            ("-1", u64::MAX),
        ] {
            assert_eq!(cursor(text.as_bytes()).expect("a cursor"), value, "{text}");
        }
        for text in [
            "-",
            "+",
            " 1",
            "1 ",
            "x",
            "1x",
            "--1",
            "18446744073709551616",
        ] {
            assert_eq!(
                cursor(text.as_bytes()).expect_err("no cursor").to_string(),
                "ERR invalid cursor",
                "{text}"
            );
        }
    }
}
