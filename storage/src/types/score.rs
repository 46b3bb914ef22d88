//! Scores in text, as Redis writes them into listpacks and replies.

use super::Item;

/// The greatest whole number that is written as an integer: far enough from the ends of `i64` for a cast to be exact. Redis
/// draws the same line.
const INTEGER_BOUND: f64 = (i64::MAX / 2) as f64;

/// Digits that a fraction may have before it is written with an exponent.
const PLAIN_ZEROS: usize = 7;

/// A score as an element of a listpack: a number where it is whole (0 for -0, as in Redis), the shortest text that reads back as
/// the same score otherwise.
pub(super) fn with_item<R>(score: f64, use_item: impl FnOnce(Item<'_>) -> R) -> R {
    if score.fract() == 0.0 && score.abs() <= INTEGER_BOUND {
        return use_item(Item::Int(score as i64));
    }
    let text = text(score);
    use_item(Item::of(text.as_bytes()))
}

/// The score that an element of a listpack stands for.
#[inline]
pub(super) fn of_item(item: Item<'_>) -> f64 {
    match item {
        Item::Int(number) => number as f64,
        Item::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            text.parse().unwrap_or(0.0)
        }
    }
}

/// The text of a score that is not a small whole number: decimal or scientific notation, chosen as the fpconv library does, which Redis
/// uses from 7.2 on.
fn text(score: f64) -> String {
    if score.is_infinite() {
        return (if score > 0.0 { "inf" } else { "-inf" }).to_owned();
    }
    // Digits with an exponent, the shortest that tell the score from its neighbours.
    let scientific = format!("{:e}", score.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(|&digit| digit != '.').collect();
    let (len, sign) = (digits.len(), if score < 0.0 { "-" } else { "" });
    // The power of ten that the last digit stands for.
    let power = exponent + 1 - len as i32;
    let magnitude = exponent.unsigned_abs() as usize;
    if power >= 0 && magnitude < len + PLAIN_ZEROS {
        let zeros = "0".repeat(power as usize);
        format!("{sign}{digits}{zeros}")
    } else if power < 0 && (power > -(PLAIN_ZEROS as i32) || magnitude < 4) {
        let fraction = power.unsigned_abs() as usize;
        let whole = len.saturating_sub(fraction);
        let zeros = "0".repeat(fraction.saturating_sub(len));
        match digits.split_at_checked(whole) {
            Some((whole, rest)) if !whole.is_empty() => format!("{sign}{whole}.{rest}"),
            _ => format!("{sign}0.{zeros}{digits}"),
        }
    } else {
        let direction = if exponent < 0 { "e-" } else { "e+" };
        match digits.split_at_checked(1) {
            Some((first, rest)) if !rest.is_empty() => {
                format!("{sign}{first}.{rest}{direction}{magnitude}")
            }
            _ => format!("{sign}{digits}{direction}{magnitude}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_those_of_redis() {
        for (score, expected) in [
            (0.5, "0.5"),
            (-3.5, "-3.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (5e18, "5e+18"),
            (9223372036854775808.0, "9223372036854776000"),
            (-1.5e300, "-1.5e+300"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (0.001234567891, "0.001234567891"),
            (0.00012345678, "1.2345678e-4"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(score), expected);
        }
        let is_int = |score, number| with_item(score, |item| item == Item::Int(number));
        assert!(is_int(0.0, 0) && is_int(-7.0, -7) && is_int(1e15, 1_000_000_000_000_000));
        assert!(is_int(-0.0, 0));
    }

    proptest! {
        #[test]
        fn scores_come_back(bits in any::<u64>(), whole in any::<i64>()) {
            for score in [f64::from_bits(bits), whole as f64, (whole >> 40) as f64 / 8.0] {
                if !score.is_nan() && score != 0.0 {
                    let back = with_item(score, of_item);
                    prop_assert_eq!(back.to_bits(), score.to_bits());
                }
            }
        }
    }
}
