//! The text of a double, as Redis 7.2 sends it.

/// Room for every text: 17 digits and up to 7 zeros or an exponent, a sign and a point, with some to spare.
const CAPACITY: usize = 40;

/// The greatest whole number that is written as an integer: far enough from the ends of `i64` for a cast to be exact. Redis draws the same line.
const INTEGER_BOUND: f64 = (i64::MAX / 2) as f64;

/// Formats doubles without allocating.
///
/// Whole numbers have no fraction (`3`, not `3.0`), specials are `inf`, `-inf`, `nan` and `-0`, and everything else is the shortest text that
/// reads back as the same double, in decimal notation where that is short and with an exponent (`1e+30`, `1.5e-9`) otherwise.
#[derive(Clone, Debug)]
pub struct DoubleBuffer {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Default for DoubleBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl DoubleBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        DoubleBuffer {
            bytes: [0; CAPACITY],
            len: 0,
        }
    }

    /// The text of `value`, which stays valid until the buffer is used again.
    pub fn format(&mut self, value: f64) -> &str {
        self.len = 0;
        if value.is_nan() {
            self.push(b"nan");
        } else if value.is_infinite() {
            self.push(if value > 0.0 { b"inf" } else { b"-inf" });
        } else if value == 0.0 {
            self.push(if value.is_sign_negative() {
                b"-0"
            } else {
                b"0"
            });
        } else if value.fract() == 0.0 && value.abs() <= INTEGER_BOUND {
            self.push(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            self.push_shortest(value);
        }
        std::str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()).unwrap_or_default()
    }

    /// Decimal or scientific notation, chosen as the fpconv library does, which Redis uses from 7.2 on.
    fn push_shortest(&mut self, value: f64) {
        let (digits, len, power) = shortest_digits(value);
        let digits = digits.get(..len).unwrap_or_default();
        if value < 0.0 {
            self.push(b"-");
        }
        // The exponent of the first digit.
        let exponent = power + len as i32 - 1;
        let magnitude = exponent.unsigned_abs() as usize;
        if power >= 0 && magnitude < len + 7 {
            self.push(digits);
            self.push_zeros(power as usize);
        } else if power < 0 && (power > -7 || magnitude < 4) {
            let fraction = power.unsigned_abs() as usize;
            match digits.split_at_checked(len.saturating_sub(fraction)) {
                Some((whole, rest)) if !whole.is_empty() => {
                    self.push(whole);
                    self.push(b".");
                    self.push(rest);
                }
                _ => {
                    self.push(b"0.");
                    self.push_zeros(fraction - len);
                    self.push(digits);
                }
            }
        } else {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
            self.push(first);
            if !rest.is_empty() {
                self.push(b".");
                self.push(rest);
            }
            self.push(if exponent < 0 { b"e-" } else { b"e+" });
            self.push(itoa::Buffer::new().format(magnitude).as_bytes());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(target) = self.bytes.get_mut(self.len..end) {
            target.copy_from_slice(bytes);
            self.len = end;
        } else {
            debug_assert!(false, "CAPACITY is too small for a double");
        }
    }

    fn push_zeros(&mut self, count: usize) {
        for _ in 0..count {
            self.push(b"0");
        }
    }
}

/// The significant digits of a finite `value` that is not 0, how many they are, and the power of ten of the last one.
fn shortest_digits(value: f64) -> ([u8; 24], usize, i32) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut power: i32 = exponent.parse().unwrap_or(0);
    let mut digits = [0u8; 24];
    let mut len = 0;
    let mut in_fraction = false;
    for byte in mantissa.bytes() {
        if byte == b'.' {
            in_fraction = true;
            continue;
        }
        power -= i32::from(in_fraction);
        if byte == b'0' && len == 0 {
            continue;
        }
        if let Some(slot) = digits.get_mut(len) {
            *slot = byte;
            len += 1;
        }
    }
    while len > 1 && digits.get(len - 1) == Some(&b'0') {
        len -= 1;
        power += 1;
    }
    (digits, len, power)
}

#[cfg(test)]
mod tests {
    use super::DoubleBuffer;

    /// Texts worked out by hand from fpconv's rules: with `d` digits of which the last stands for 10^k and the first for 10^e, there is no exponent
    /// if k is not negative and |e| < d + 7, or if k is negative and either k > -7 or |e| < 4.
    #[test]
    fn texts_are_those_of_redis() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (3.5, "3.5"),
            (-3.5, "-3.5"),
            (0.1, "0.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (2.0 / 3.0, "0.6666666666666666"),
            (1e15, "1000000000000000"),
            (1e18, "1000000000000000000"),
            (9007199254740993.0, "9007199254740992"),
            (4611686018427387904.0, "4611686018427387904"),
            (5e18, "5e+18"),
            // 2^63: sixteen digits tell it from its neighbours, the rest is zeros.
            (9223372036854775808.0, "9223372036854776000"),
            (1e19, "1e+19"),
            (1.5e300, "1.5e+300"),
            (-1.5e300, "-1.5e+300"),
            (1e-5, "0.00001"),
            (1.5e-5, "0.000015"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (0.001234567891, "0.001234567891"),
            (0.00012345678, "1.2345678e-4"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-f64::NAN, "nan"),
        ] {
            assert_eq!(DoubleBuffer::new().format(value), text);
        }
    }
}
