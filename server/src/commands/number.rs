//! Numbers in arguments and values, as Redis reads and writes them.

/// Longest text of a 64-bit integer, sign included.
const MAX_I64_LEN: usize = 20;

/// An integer in canonical form: no sign but `-`, no leading zero, no space, no `-0`.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if text.len() <= MAX_I64_LEN => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative {
        0_i64.checked_sub_unsigned(value)
    } else {
        i64::try_from(value).ok()
    }
}

/// An unsigned integer as SCAN's cursor is read: digits only.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A floating-point number, decimal or hexadecimal, as `strtod` reads it, with nothing before or after it. None of NaN and of
/// what is out of range.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    match parse_strtod(text)? {
        (value, true) => Some(value),
        (_, false) => None,
    }
}

/// The same as ends of ranges are read: white space may stand before it, a zero byte ends it, nothing at all is 0, and what is
/// out of range is infinite or 0.
pub fn parse_f64_leniently(text: &[u8]) -> Option<f64> {
    parse_lenient_strtod(text).map(|(value, _)| value)
}

/// The same as SORT reads what it compares: as leniently, but None of what is out of range or so small that digits are lost.
pub fn parse_f64_in_range(text: &[u8]) -> Option<f64> {
    if let Some(integer) = parse_i64(text) {
        return Some(integer as f64);
    }
    let (value, in_range) = parse_lenient_strtod(text)?;
    (in_range && !value.is_subnormal()).then_some(value)
}

fn parse_lenient_strtod(text: &[u8]) -> Option<(f64, bool)> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or(text);
    if text.is_empty() {
        return Some((0.0, true));
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let start = text.iter().position(|byte| !is_space(byte))?;
    parse_strtod(text.get(start..)?)
}

/// A number that is not NaN, and whether it is in range.
fn parse_strtod(text: &[u8]) -> Option<(f64, bool)> {
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(digits) = unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
        let (value, in_range) = parse_hexadecimal(digits)?;
        let value = if text.starts_with('-') { -value } else { value };
        return Some((value, in_range));
    }
    let value: f64 = unsigned.parse().ok()?;
    if value.is_nan() || unsigned.starts_with(['-', '+']) {
        return None;
    }
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let is_number = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let in_range = !is_number || (value.is_finite() && (value != 0.0 || is_zero));
    let value = if text.starts_with('-') { -value } else { value };
    Some((value, in_range))
}

/// Hexadecimal digits with a point and a power of two.
fn parse_hexadecimal(text: &str) -> Option<(f64, bool)> {
    let (digits, power) = text
        .split_once(['p', 'P'])
        .map_or((text, Ok(0)), |(digits, power)| {
            (digits, power.parse::<i64>())
        });
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digit = |digit: char| digit.is_ascii_hexdigit();
    if whole.len() + fraction.len() == 0 || !whole.chars().chain(fraction.chars()).all(is_digit) {
        return None;
    }
    // Digits beyond those that fit only tell whether anything is behind the last bit.
    let (mut mantissa, mut exponent) = (0u64, power.ok()?.clamp(-100_000, 100_000));
    for digit in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(digit.to_digit(16)?);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            mantissa |= u64::from(digit != 0);
            exponent = exponent.saturating_add(4);
        }
    }
    exponent = exponent.saturating_sub(4 * fraction.len() as i64);
    // In two steps, because the power alone may be out of range where the product is not.
    let exponent = exponent.clamp(-2200, 2200) as i32;
    let value = mantissa as f64 * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
    let in_range = value.is_finite() && (value != 0.0 || mantissa == 0);
    Some((value, in_range))
}

/// The text of a double as Redis writes a long double: 17 digits and no zeros behind the last, with an exponent where that is
/// below -4 or beyond 16.
pub fn long_text(value: f64) -> String {
    if value.is_infinite() {
        return (if value > 0.0 { "inf" } else { "-inf" }).to_owned();
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let decimals = (16 - exponent) as usize;
        return trim(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_as_strtod_reads_them() {
        for (text, value) in [
            ("1", 1.0),
            ("+1.5", 1.5),
            ("-.5", -0.5),
            ("1.", 1.0),
            ("1e3", 1000.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1f", 31.0),
            ("-0x1.8p1", -3.0),
            ("0x.8", 0.5),
            ("0e-999", 0.0),
            ("4e-320", 4e-320),
            ("0x1p-1074", 5e-324),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
            assert_eq!(parse_f64_leniently(text.as_bytes()), Some(value), "{text}");
        }
        for (text, value) in [
            ("", 0.0),
            (" \t1", 1.0),
            ("1\0x", 1.0),
            ("1e400", f64::INFINITY),
            ("-1e400", f64::NEG_INFINITY),
            ("1e-400", 0.0),
            ("0x1p5000", f64::INFINITY),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
            assert_eq!(parse_f64_leniently(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "nan", "-nan", "1 ", "x", "1e", "+-1", "--1", "0x", "0x.", "e5", ".", " ",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
            assert_eq!(parse_f64_leniently(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_that_are_compared() {
        for (text, value) in [
            ("", 0.0),
            ("12", 12.0),
            (" \t+1.5", 1.5),
            ("007", 7.0),
            ("0e999999", 0.0),
            ("1\0x", 1.0),
            ("-infinity", f64::NEG_INFINITY),
            ("0x1f", 31.0),
        ] {
            assert_eq!(parse_f64_in_range(text.as_bytes()), Some(value), "{text}");
        }
        for text in [" ", "1 ", "nan", "1e400", "1e-400", "1e-310"] {
            assert_eq!(parse_f64_in_range(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn long_texts() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (0.1, "0.10000000000000001"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (1.5e-5, "1.5000000000000000e-05"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let text = text.replace("5000000000000000e", "5e");
            assert_eq!(long_text(value), text);
        }
    }

    #[test]
    fn only_canonical_integers() {
        for (text, value) in [
            ("0", 0),
            ("-1", -1),
            ("10", 10),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "a",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn cursors() {
        assert_eq!(parse_u64(b"0"), Some(0));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        for text in ["", "-1", "+1", "x", "18446744073709551616"] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text}");
        }
    }
}
