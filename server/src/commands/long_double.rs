//! The x87 extended-precision arithmetic that INCRBYFLOAT has in Redis on x86-64: 64 bits of mantissa, rounded to nearest
//! even, printed with 17 decimals and without trailing zeros. Replicas of any architecture must agree on every digit, and
//! with Redis.

use num_bigint::{BigInt, BigUint, Sign};

/// Bits of the mantissa.
const MANTISSA_BITS: u64 = 64;

/// Greatest exponent of a finite value: below 2^16384.
const MAX_EXPONENT: i64 = 16384;

/// Values below 2 to this power vanish.
const MIN_EXPONENT: i64 = -16446;

/// Powers of two in a text beyond this overflow or vanish, however many digits stand before them.
const MAX_POWER_OF_TWO: i64 = 50_000;

/// Longer texts are not read; Redis's buffer is as long.
const MAX_TEXT_LEN: usize = 5 * 1024;

/// Decimals that are printed.
const DECIMALS: u32 = 17;

/// A finite value: `mantissa * 2^exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongDouble {
    mantissa: BigInt,
    exponent: i64,
}

/// What a text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A finite number.
    Finite(LongDouble),
    /// `inf`, `-infinity` and the like.
    Infinite,
}

impl LongDouble {
    /// Reads a decimal or hexadecimal number, as `strtold` does, with nothing before or after it. `None` for everything
    /// else, NaN and what is out of range included.
    pub fn parse(text: &[u8]) -> Option<Parsed> {
        if text.is_empty() || text.len() >= MAX_TEXT_LEN {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            return Some(Parsed::Infinite);
        }
        let value = match unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
            Some(digits) => Self::parse_hexadecimal(digits)?,
            None => Self::parse_decimal(unsigned)?,
        };
        let sign = if text.starts_with('-') {
            Sign::Minus
        } else {
            Sign::Plus
        };
        value.signed(sign).finite().map(Parsed::Finite)
    }

    fn parse_decimal(text: &str) -> Option<Self> {
        let (digits, power) = split_power(text, ['e', 'E'])?;
        let (number, fraction_len) = digits_to_number(digits, 10)?;
        let power = power.checked_sub(fraction_len)?;
        if number == BigUint::ZERO {
            return Some(Self::zero());
        }
        // Beyond these the value overflows or vanishes.
        if !(-5_000 - MAX_TEXT_LEN as i64..=5_000).contains(&power) {
            return None;
        }
        let ten = BigUint::from(10_u32).pow(power.unsigned_abs() as u32);
        let value = if power >= 0 {
            Self::round(number * ten, 0, false)
        } else {
            Self::divide(&number, &ten)
        };
        value.not_vanished()
    }

    fn parse_hexadecimal(text: &str) -> Option<Self> {
        let (digits, power) = split_power(text, ['p', 'P'])?;
        let (number, fraction_len) = digits_to_number(digits, 16)?;
        let power = power.checked_sub(4 * fraction_len)?;
        if number == BigUint::ZERO {
            return Some(Self::zero());
        }
        if !(-MAX_POWER_OF_TWO..=MAX_POWER_OF_TWO).contains(&power) {
            return None;
        }
        Self::round(number, power, false).not_vanished()
    }

    fn zero() -> Self {
        Self {
            mantissa: BigInt::ZERO,
            exponent: 0,
        }
    }

    /// `None` if the value is nearer to zero than to the least that can be told.
    fn not_vanished(self) -> Option<Self> {
        (self.mantissa.bits() as i64 + self.exponent > MIN_EXPONENT).then_some(self)
    }

    /// The rounded sum; `None` if it is out of range.
    pub fn add(&self, other: &Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let at = |value: &Self| value.mantissa.clone() << (value.exponent - exponent) as u64;
        let (sign, magnitude) = (at(self) + at(other)).into_parts();
        Self::round(magnitude, exponent, false)
            .signed(sign)
            .finite()
    }

    /// `numerator / denominator`, rounded.
    fn divide(numerator: &BigUint, denominator: &BigUint) -> Self {
        // Two bits more than the mantissa needs; the remainder only breaks ties.
        let shift = (MANTISSA_BITS + 2 + denominator.bits()).saturating_sub(numerator.bits());
        let scaled = numerator << shift;
        let quotient = &scaled / denominator;
        let inexact = &quotient * denominator != scaled;
        Self::round(quotient, -(shift as i64), inexact)
    }

    /// `magnitude * 2^exponent` (and a little more if `inexact`) to 64 bits, ties to even.
    fn round(magnitude: BigUint, exponent: i64, inexact: bool) -> Self {
        let excess = magnitude.bits().saturating_sub(MANTISSA_BITS);
        if excess == 0 {
            return Self {
                mantissa: magnitude.into(),
                exponent,
            };
        }
        let mut kept = &magnitude >> excess;
        let half = magnitude.bit(excess - 1);
        let below = inexact
            || magnitude
                .trailing_zeros()
                .is_some_and(|zeros| zeros < excess - 1);
        if half && (below || kept.bit(0)) {
            kept += 1_u32;
        }
        Self {
            mantissa: kept.into(),
            exponent: exponent + excess as i64,
        }
    }

    fn signed(mut self, sign: Sign) -> Self {
        if sign == Sign::Minus {
            self.mantissa = -self.mantissa;
        }
        self
    }

    fn finite(self) -> Option<Self> {
        let top = self.mantissa.bits() as i64 + self.exponent;
        (self.mantissa == BigInt::ZERO || top <= MAX_EXPONENT).then_some(self)
    }
}

/// The digits, and the power after one of the letters.
fn split_power(text: &str, letters: [char; 2]) -> Option<(&str, i64)> {
    match text.split_once(letters) {
        Some((digits, power)) => {
            let power = power.parse::<i64>().ok().filter(|_| is_integer(power))?;
            Some((digits, power))
        }
        None => Some((text, 0)),
    }
}

/// The number that digits and perhaps a point make without the point, and how many digits are behind it.
fn digits_to_number(text: &str, radix: u32) -> Option<(BigUint, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = [whole, fraction].concat();
    let right = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let number = BigUint::parse_bytes(digits.as_bytes(), radix).filter(|_| right)?;
    Some((number, fraction.len() as i64))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl std::fmt::Display for LongDouble {
    /// Seventeen decimals, without trailing zeros.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, magnitude) = self.mantissa.clone().into_parts();
        let scaled = magnitude * BigUint::from(10_u32).pow(DECIMALS);
        let rounded = if self.exponent >= 0 {
            scaled << self.exponent as u64
        } else {
            let shift = self.exponent.unsigned_abs();
            let mut kept = &scaled >> shift;
            let below = scaled
                .trailing_zeros()
                .is_some_and(|zeros| zeros < shift - 1);
            if scaled.bit(shift - 1) && (below || kept.bit(0)) {
                kept += 1_u32;
            }
            kept
        };
        let digits = format!(
            "{:0>width$}",
            rounded.to_string(),
            width = DECIMALS as usize + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - DECIMALS as usize);
        let fraction = fraction.trim_end_matches('0');
        let zero = whole == "0" && fraction.is_empty();
        if sign == Sign::Minus && !zero {
            f.write_str("-")?;
        }
        f.write_str(whole)?;
        if fraction.is_empty() {
            Ok(())
        } else {
            write!(f, ".{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LongDouble, Parsed};

    fn parse(text: &str) -> LongDouble {
        match LongDouble::parse(text.as_bytes()) {
            Some(Parsed::Finite(value)) => value,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn sums_print_as_redis_prints_them() {
        for (left, right, sum) in [
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0", "1.000000000000000005", "4.00000000000000001"),
            ("0", "-1.1", "-1.1"),
            ("1", "-1", "0"),
            ("1234567890123.1", "0.2", "1234567890123.30000007152557373"),
            ("17179869184", "1.5", "17179869185.5"),
            ("1e20", "1", "100000000000000000000"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("-0.5", "0.25", "-0.25"),
        ] {
            let value = parse(left).add(&parse(right)).expect("finite");
            assert_eq!(value.to_string(), sum, "{left} + {right}");
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "1e",
            "1e+",
            ".",
            "--1",
            "nan",
            "1.2.3",
            "1e5000",
            "1e-5000",
            "0x",
            "0x.",
            "0xg",
            "0x1p",
            "0x1p99999",
            "1p3",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        for text in ["inf", "-INFINITY", "+Inf"] {
            assert_eq!(
                LongDouble::parse(text.as_bytes()),
                Some(Parsed::Infinite),
                "{text}"
            );
        }
        assert_eq!(parse("0x10").to_string(), "16");
        assert_eq!(parse("-0X1.8P1").to_string(), "-3");
        assert_eq!(parse(".5").to_string(), "0.5");
        assert_eq!(parse("5.").to_string(), "5");
        assert_eq!(parse("1e-30").to_string(), "0");
    }
}
