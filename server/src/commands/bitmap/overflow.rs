//! Integers of any width up to 64 bits, and what becomes of those that do not fit.

/// An integer of so many bits: signed up to 64, unsigned up to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Width {
    pub(super) bits: u32,
    pub(super) signed: bool,
}

/// OVERFLOW WRAP | SAT | FAIL
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

impl Width {
    /// `i16`, `u8` and the like.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let bits = u32::try_from(super::super::number::parse_i64(digits)?).ok()?;
        let most = if signed { 64 } else { 63 };
        (1..=most).contains(&bits).then_some(Self { bits, signed })
    }

    fn range(self) -> (i128, i128) {
        if self.signed {
            let half = 1_i128 << (self.bits - 1);
            (-half, half - 1)
        } else {
            (0, (1_i128 << self.bits) - 1)
        }
    }

    /// The value that these bits, the lowest of `raw`, stand for.
    pub(super) fn value(self, raw: u64) -> i64 {
        let shift = 64 - self.bits;
        if self.signed {
            (raw << shift) as i64 >> shift
        } else {
            (raw << shift >> shift) as i64
        }
    }

    /// `value` as one of this width; nothing if it does not fit and must not be changed.
    pub(super) fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = self.range();
        if (least..=most).contains(&value) {
            return Some(value as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.value(value as u64)),
            Overflow::Saturate => Some(value.clamp(least, most) as i64),
            Overflow::Fail => None,
        }
    }

    /// An argument of SET: for an unsigned field a negative number counts as one too large, as in Redis; for a signed one
    /// too, if it is so far below that Redis's difference of 64 bits from the greatest overflows.
    pub(super) fn argument(self, value: i64) -> i128 {
        if self.signed {
            let (_, most) = self.range();
            let counts_as_large = self.bits < 64 && (most as i64).wrapping_sub(value) < 0;
            i128::from(value) + if counts_as_large { 1 << 64 } else { 0 }
        } else {
            i128::from(value as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Overflow, Width};

    #[test]
    fn names() {
        assert_eq!(
            Width::parse(b"i64"),
            Some(Width {
                bits: 64,
                signed: true
            })
        );
        assert_eq!(
            Width::parse(b"u63"),
            Some(Width {
                bits: 63,
                signed: false
            })
        );
        for text in ["u64", "i65", "i0", "u0", "x8", "8", "i", "", "i-1", "i08"] {
            assert_eq!(Width::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit() {
        let fit = |name: &str, value: i128| {
            let width = Width::parse(name.as_bytes()).expect("a width");
            [Overflow::Wrap, Overflow::Saturate, Overflow::Fail]
                .map(|overflow| width.fit(value, overflow))
        };
        assert_eq!(fit("u8", 255), [Some(255); 3]);
        assert_eq!(fit("u8", 256), [Some(0), Some(255), None]);
        assert_eq!(fit("u8", -1), [Some(255), Some(0), None]);
        assert_eq!(fit("i8", 128), [Some(-128), Some(127), None]);
        assert_eq!(fit("i8", -129), [Some(127), Some(-128), None]);
        assert_eq!(
            fit("i64", i128::from(i64::MAX) + 1),
            [Some(i64::MIN), Some(i64::MAX), None]
        );
        assert_eq!(fit("i1", 1), [Some(-1), Some(0), None]);
        let unsigned = Width {
            bits: 8,
            signed: false,
        };
        let signed = Width {
            bits: 8,
            signed: true,
        };
        for (value, saturated) in [(-129, -128), (128, 127), (-i64::MAX, 127)] {
            assert_eq!(
                signed.fit(signed.argument(value), Overflow::Saturate),
                Some(saturated)
            );
        }
        assert_eq!(
            signed.fit(signed.argument(-i64::MAX), Overflow::Wrap),
            Some(1)
        );
        assert_eq!(
            unsigned.fit(unsigned.argument(-1), Overflow::Saturate),
            Some(255)
        );
    }
}
