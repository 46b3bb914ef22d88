//! Inline commands: a line of arguments, with quotes as in `redis-cli`.

use crate::error::Violation;
use crate::request::Span;

/// Splits a line without quotes into spans of the buffer; `base` is the line's place in it.
pub(crate) fn split_plain(line: &[u8], base: usize, spans: &mut Vec<Span>) {
    let mut start = None;
    for (at, &byte) in line.iter().enumerate() {
        match start {
            // Between arguments every kind of white space counts, within one only these end it: so Redis does it.
            None if !is_space(byte) => start = Some(at),
            Some(from) if ends_argument(byte) => {
                spans.push(Span {
                    start: base + from,
                    len: at - from,
                });
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        spans.push(Span {
            start: base + from,
            len: line.len() - from,
        });
    }
}

/// Splits a line with quotes; the arguments, unescaped, go one after another into `scratch`, and the spans point there.
///
/// Within double quotes `\xHH`, `\n`, `\r`, `\t`, `\b`, `\a` are escapes and a backslash makes any other byte literal; within
/// single quotes only `\'` is one. A closing quote must be followed by white space or the end.
pub(crate) fn split_quoted(
    line: &[u8],
    scratch: &mut Vec<u8>,
    spans: &mut Vec<Span>,
) -> Result<(), Violation> {
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        // `trim_ascii_start` leaves the vertical tab alone, which C's isspace() counts as white space.
        while let [0x0b, tail @ ..] = rest {
            rest = tail.trim_ascii_start();
        }
        if rest.is_empty() {
            return Ok(());
        }
        let start = scratch.len();
        rest = take_argument(rest, scratch)?;
        spans.push(Span {
            start,
            len: scratch.len() - start,
        });
    }
}

/// Unescapes one argument into `scratch` and answers what follows it.
fn take_argument<'a>(mut rest: &'a [u8], scratch: &mut Vec<u8>) -> Result<&'a [u8], Violation> {
    loop {
        match rest {
            [] => return Ok(rest),
            [b'"', tail @ ..] => return take_double_quoted(tail, scratch),
            [b'\'', tail @ ..] => return take_single_quoted(tail, scratch),
            [byte, ..] if ends_argument(*byte) => return Ok(rest),
            [byte, tail @ ..] => {
                scratch.push(*byte);
                rest = tail;
            }
        }
    }
}

fn take_double_quoted<'a>(
    mut rest: &'a [u8],
    scratch: &mut Vec<u8>,
) -> Result<&'a [u8], Violation> {
    loop {
        let byte;
        (byte, rest) = match rest {
            [] => return Err(Violation::UnbalancedQuotes),
            [b'"', tail @ ..] => return after_closing_quote(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_value(*high) << 4 | hex_value(*low), tail)
            }
            [b'\\', escaped, tail @ ..] => (unescape(*escaped), tail),
            [byte, tail @ ..] => (*byte, tail),
        };
        scratch.push(byte);
    }
}

fn take_single_quoted<'a>(
    mut rest: &'a [u8],
    scratch: &mut Vec<u8>,
) -> Result<&'a [u8], Violation> {
    loop {
        let byte;
        (byte, rest) = match rest {
            [] => return Err(Violation::UnbalancedQuotes),
            [b'\'', tail @ ..] => return after_closing_quote(tail),
            [b'\\', b'\'', tail @ ..] => (b'\'', tail),
            [byte, tail @ ..] => (*byte, tail),
        };
        scratch.push(byte);
    }
}

fn after_closing_quote(rest: &[u8]) -> Result<&[u8], Violation> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(Violation::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        literal => literal,
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

/// C's isspace() in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn ends_argument(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
