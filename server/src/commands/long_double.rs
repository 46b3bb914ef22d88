//! The x87 extended-precision arithmetic that INCRBYFLOAT has in Redis on x86-64: 64 bits of mantissa, rounded to nearest
//! even, printed with 17 decimals and without trailing zeros. Replicas of any architecture must agree on every digit, and
//! with Redis.

use num_bigint::{BigInt, BigUint, Sign};

/// Bits of the mantissa.
const MANTISSA_BITS: u64 = 64;

/// Greatest exponent of a finite value: below 2^16384.
const MAX_EXPONENT: i64 = 16384;

/// Longest text that is read; Redis's buffer is as long.
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
    /// Reads a decimal number, as `strtold` does, with nothing before or after it. `None` for everything else, NaN and
    /// what is out of range included.
    pub fn parse(text: &[u8]) -> Option<Parsed> {
        if text.is_empty() || text.len() > MAX_TEXT_LEN {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
            return Some(Parsed::Infinite);
        }
        let (digits, power) = match unsigned.split_once(['e', 'E']) {
            Some((digits, power)) => (
                digits,
                power.parse::<i64>().ok().filter(|_| is_integer(power))?,
            ),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0
            || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let number: BigUint = format!("{whole}{fraction}").parse().ok()?;
        let sign = if text.starts_with('-') {
            Sign::Minus
        } else {
            Sign::Plus
        };
        let power = power.checked_sub(fraction.len() as i64)?;
        // Beyond these the value overflows, or is too small for any of the decimals that are printed.
        if number != BigUint::ZERO && power > 5_000 {
            return None;
        }
        if number == BigUint::ZERO || power < -6_000 - MAX_TEXT_LEN as i64 {
            return Some(Parsed::Finite(Self {
                mantissa: BigInt::ZERO,
                exponent: 0,
            }));
        }
        let ten = BigUint::from(10_u32).pow(power.unsigned_abs() as u32);
        let value = if power >= 0 {
            Self::round(number * ten, 0, false)
        } else {
            Self::divide(&number, &ten)
        };
        value.signed(sign).finite().map(Parsed::Finite)
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
            ("1e20", "1", "100000000000000000001"),
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
            "", " 1", "1 ", "abc", "1e", "1e+", ".", "--1", "nan", "1.2.3", "1e5000",
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
        assert_eq!(parse(".5").to_string(), "0.5");
        assert_eq!(parse("5.").to_string(), "5");
        assert_eq!(parse("1e-30").to_string(), "0");
    }
}
