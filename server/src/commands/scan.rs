//! What SCAN, HSCAN, SSCAN and ZSCAN have in common: their cursor and their options.

use super::args::Args;
use super::error::{CommandError, CommandResult};
use super::glob;

/// Elements that a step visits without COUNT.
const DEFAULT_COUNT: i64 = 10;

/// The cursor, read as leniently as Redis does: a sign is let through, nothing at all is 0. A number that no step gave ends
/// the walk.
pub fn cursor(text: &[u8]) -> CommandResult<u64> {
    // Redis's string ends at a zero byte.
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
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

/// MATCH, COUNT and TYPE.
pub struct Options<'a> {
    /// Elements to visit, at least 1.
    pub count: usize,
    /// The glob pattern that elements are to match.
    pub pattern: Option<&'a [u8]>,
    /// The type that keys are to be of.
    pub kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Of a walk over the elements of one key. A syntax error for anything else.
    pub fn of_elements(args: &mut Args<'a>) -> CommandResult<Self> {
        Self::parse(args, false)
    }

    /// Of a walk over keys, which may be of one TYPE.
    pub fn of_keys(args: &mut Args<'a>) -> CommandResult<Self> {
        Self::parse(args, true)
    }

    fn parse(args: &mut Args<'a>, keys: bool) -> CommandResult<Self> {
        let (mut count, mut pattern, mut kind) = (DEFAULT_COUNT, None, None);
        while !args.is_empty() {
            if args.flag("COUNT") && !args.is_empty() {
                count = args.int()?;
                if count < 1 {
                    return Err(CommandError::SYNTAX);
                }
            } else if args.flag("MATCH") {
                pattern = Some(args.bytes()?);
            } else if keys && args.flag("TYPE") {
                kind = Some(args.bytes()?);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(Self {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            pattern,
            kind,
        })
    }

    /// True if an element matches the pattern, or there is none.
    pub fn admit(&self, element: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, element))
    }
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
            ("7\0x", 7),
            ("\0", 0),
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
