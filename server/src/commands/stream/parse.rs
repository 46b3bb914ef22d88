//! Ids and options that several commands take.

use storage::types::Limits;
use storage::types::stream::{IdRequest, Keep, StreamId};

use super::super::args::Args;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;

const INVALID_ID: CommandError = CommandError::Reply(std::borrow::Cow::Borrowed(
    b"ERR Invalid stream ID specified as stream command argument",
));

/// Bytes of the longest id, whatever it holds.
const MAX_ID_LEN: usize = 127;

/// Nodes that an approximate trim looks at unless it is told how many entries.
const NODES_PER_TRIM: usize = 100;
const ENTRIES_PER_TRIM: usize = 10_000;
const MAX_ENTRIES_PER_TRIM: usize = 1_000_000;

/// A number as leniently as Redis reads it, with C's `strtoull`: white space and a sign may stand before it.
fn number(text: &[u8]) -> Option<u64> {
    let blank = |byte: &u8| !matches!(byte, b' ' | b'\t'..=b'\r');
    let from = text.iter().position(blank)?;
    let (signed, digits) = match &text[from..] {
        [b'+', digits @ ..] => (false, digits),
        // Reached behind white space only: elsewhere a sign separates the parts of an id.
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if signed {
        number.wrapping_neg()
    } else {
        number
    })
}

fn parts(arg: &[u8]) -> (&[u8], Option<&[u8]>) {
    match arg.iter().position(|&byte| byte == b'-') {
        Some(at) => (&arg[..at], Some(&arg[at + 1..])),
        None => (arg, None),
    }
}

/// An id, `ms` or `ms-seq`; `seq` is what stands for a missing number.
pub(super) fn id(arg: &[u8], seq: u64) -> CommandResult<StreamId> {
    if arg.len() > MAX_ID_LEN {
        return Err(INVALID_ID);
    }
    // Redis's string ends at a zero byte.
    let arg = arg.split(|byte| *byte == 0).next().unwrap_or_default();
    let parsed = match parts(arg) {
        (ms, None) => number(ms).map(|ms| StreamId { ms, seq }),
        (ms, Some(seq)) => number(ms)
            .zip(number(seq))
            .map(|(ms, seq)| StreamId { ms, seq }),
    };
    parsed.ok_or(INVALID_ID)
}

/// An id, or `-` or `+` for the least and greatest.
pub(super) fn id_or_end(arg: &[u8], seq: u64) -> CommandResult<StreamId> {
    match arg {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => id(arg, seq),
    }
}

/// The start of an interval: included, or behind `(` not.
pub(super) fn start(arg: &[u8]) -> CommandResult<StreamId> {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => id(rest, 0)?
            .next()
            .ok_or(CommandError::reply("ERR invalid start ID for the interval")),
        _ => id_or_end(arg, 0),
    }
}

/// The end of an interval: included, or behind `(` not.
pub(super) fn end(arg: &[u8]) -> CommandResult<StreamId> {
    match arg {
        [b'(', rest @ ..] if !rest.is_empty() => id(rest, u64::MAX)?
            .previous()
            .ok_or(CommandError::reply("ERR invalid end ID for the interval")),
        _ => id_or_end(arg, u64::MAX),
    }
}

/// All ids that are left.
pub(super) fn ids(args: &mut Args<'_>) -> CommandResult<Vec<StreamId>> {
    args.rest().iter().map(|arg| id(arg, 0)).collect()
}

/// The options of XADD and XTRIM before the id.
pub(super) struct AddOptions {
    pub(super) keep: Option<Keep>,
    /// Only whole nodes go.
    pub(super) approximate: bool,
    /// Entries that go at most; 0: any number.
    pub(super) limit: usize,
    pub(super) must_exist: bool,
    /// Of XADD.
    pub(super) id: IdRequest,
}

/// Takes the options of XADD and the id, or those of XTRIM to the end.
pub(super) fn options(
    args: &mut Args<'_>,
    is_add: bool,
    limits: &Limits,
) -> CommandResult<AddOptions> {
    let mut options = AddOptions {
        keep: None,
        approximate: false,
        limit: 0,
        must_exist: false,
        id: IdRequest::Auto,
    };
    let mut limit = None;
    while !args.is_empty() {
        let more = args.remaining() > 1;
        if is_add && args.peek() == Some(b"*") {
            args.bytes()?;
            break;
        } else if more && args.flag("MAXLEN") {
            options.threshold(args)?;
            let len = parse_i64(args.bytes()?).ok_or(CommandError::NOT_INTEGER)?;
            let len = usize::try_from(len)
                .map_err(|_| CommandError::reply("ERR The MAXLEN argument must be >= 0."))?;
            options.keep = Some(Keep::Last(len));
        } else if more && args.flag("MINID") {
            options.threshold(args)?;
            options.keep = Some(Keep::From(id(args.bytes()?, 0)?));
        } else if more && args.flag("LIMIT") {
            let number = parse_i64(args.bytes()?).ok_or(CommandError::NOT_INTEGER)?;
            let number = usize::try_from(number)
                .map_err(|_| CommandError::reply("ERR The LIMIT argument must be >= 0."))?;
            limit = Some(number);
        } else if is_add && args.flag("NOMKSTREAM") {
            options.must_exist = true;
        } else if is_add {
            options.id = request(args.bytes()?)?;
            break;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    options.check(limit, is_add)?;
    options.limit = match limit {
        Some(limit) => limit,
        None if options.approximate => match NODES_PER_TRIM * limits.stream_node_max_entries {
            0 => ENTRIES_PER_TRIM,
            entries => entries.min(MAX_ENTRIES_PER_TRIM),
        },
        None => 0,
    };
    Ok(options)
}

impl AddOptions {
    /// Takes `~` or `=` before a threshold.
    fn threshold(&mut self, args: &mut Args<'_>) -> CommandResult {
        if self.keep.is_some() {
            return Err(CommandError::reply(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let more = args.remaining() > 1;
        self.approximate = more && args.flag("~");
        if more && !self.approximate {
            args.flag("=");
        }
        Ok(())
    }

    fn check(&self, limit: Option<usize>, is_add: bool) -> CommandResult {
        if limit.is_some_and(|limit| limit > 0) && self.keep.is_none() {
            return Err(CommandError::reply(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        if !is_add && self.keep.is_none() {
            return Err(CommandError::reply(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        if limit.is_some() && !self.approximate {
            return Err(CommandError::reply(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        Ok(())
    }
}

/// The id of XADD: complete, or with `*` for the number.
fn request(arg: &[u8]) -> CommandResult<IdRequest> {
    match parts(arg) {
        (ms, Some(b"*")) => number(ms).map(IdRequest::AutoSeq).ok_or(INVALID_ID),
        _ => id(arg, 0).map(IdRequest::Exact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_intervals() {
        let at = |ms, seq| StreamId { ms, seq };
        assert_eq!(id(b"5", 7).unwrap(), at(5, 7));
        assert_eq!(id(b"5-3", 7).unwrap(), at(5, 3));
        assert_eq!(
            id(b"18446744073709551615-18446744073709551615", 0).unwrap(),
            StreamId::MAX
        );
        for wrong in [
            "",
            "-",
            "+",
            "5-",
            "-5",
            "a",
            "5-a",
            "5-3-1",
            "18446744073709551616",
            "5 ",
        ] {
            assert!(id(wrong.as_bytes(), 0).is_err(), "{wrong}");
        }
        assert_eq!(
            (id_or_end(b"-", 0).unwrap(), id_or_end(b"+", 0).unwrap()),
            (StreamId::MIN, StreamId::MAX)
        );
        assert_eq!(
            (start(b"(5-3").unwrap(), end(b"(5-3").unwrap()),
            (at(5, 4), at(5, 2))
        );
        assert_eq!(
            (start(b"(5").unwrap(), end(b"(5").unwrap()),
            (at(5, 1), at(5, u64::MAX - 1))
        );
        assert!(start(b"(18446744073709551615-18446744073709551615").is_err());
        assert!(end(b"(0-0").is_err());
        assert!(matches!(request(b"7-*").unwrap(), IdRequest::AutoSeq(7)));
        assert!(request(b"*-7").is_err());
    }
}
