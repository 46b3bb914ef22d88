//! Decimal numbers of protocol headers, as strict as Redis reads them: no sign `+`, no leading zero, no `-0`.

/// The longest text of an `i64`: 19 digits and a sign.
const I64_LEN: usize = 20;

/// A strictly decimal `i64`.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    if text.len() > I64_LEN {
        return None;
    }
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let mut magnitude = 0u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Reads the header that nearly every request consists of: one to eight digits, `\r`, and one more byte, all arrived.
///
/// Answers the number and the bytes consumed; `None` means "look again the slow way", which also finds the errors.
#[inline]
pub(crate) fn parse_short_header(bytes: &[u8]) -> Option<(usize, usize)> {
    const DIGITS: usize = 8;
    // One and two digits make up almost all headers.
    match bytes {
        [d0 @ b'0'..=b'9', b'\r', _, ..] => return Some((usize::from(d0 - b'0'), 3)),
        [d0 @ b'1'..=b'9', d1 @ b'0'..=b'9', b'\r', _, ..] => {
            return Some((usize::from(d0 - b'0') * 10 + usize::from(d1 - b'0'), 4));
        }
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value = 0usize;
    for (len, &byte) in bytes.iter().take(DIGITS + 1).enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + usize::from(byte - b'0'),
            b'\r' if bytes.len() >= len + 2 => return Some((value, len + 2)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{parse_i64, parse_short_header};

    #[test]
    fn strict_decimals() {
        for (text, value) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("-1", Some(-1)),
            ("1024", Some(1024)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("111111111111111111111", None),
            ("", None),
            ("-", None),
            ("+1", None),
            ("01", None),
            ("00", None),
            ("-0", None),
            (" 1", None),
            ("1 ", None),
            ("1a", None),
            ("0x10", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn short_headers_agree_with_the_strict_parser() {
        for text in [
            "0",
            "7",
            "10",
            "99",
            "100",
            "16384",
            "12345678",
            "123456789",
            "01",
            "00",
            "-1",
            "",
            "1x",
            "x",
            "12x",
        ] {
            let bytes = format!("{text}\r\n");
            let expected = parse_i64(text.as_bytes()).filter(|n| (0..100_000_000).contains(n));
            let found = parse_short_header(bytes.as_bytes());
            assert_eq!(
                found,
                expected.map(|n| (n as usize, bytes.len())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn short_headers_wait_for_the_line_feed() {
        for bytes in ["", "1", "12", "123", "1\r", "12\r", "123\r"] {
            assert_eq!(parse_short_header(bytes.as_bytes()), None, "{bytes:?}");
        }
    }
}
