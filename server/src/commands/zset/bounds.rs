//! The ends of ranges, as they stand in arguments.

use std::ops::Bound;

use storage::types::MemberBound;

use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_f64_leniently;

/// A range of scores: `1`, `(1`, `-inf`.
pub(super) fn scores(min: &[u8], max: &[u8]) -> CommandResult<(Bound<f64>, Bound<f64>)> {
    match (score(min), score(max)) {
        (Some(min), Some(max)) => Ok((min, max)),
        _ => Err(CommandError::reply("ERR min or max is not a float")),
    }
}

fn score(text: &[u8]) -> Option<Bound<f64>> {
    match text {
        [b'(', number @ ..] => parse_f64_leniently(number).map(Bound::Excluded),
        number => parse_f64_leniently(number).map(Bound::Included),
    }
}

/// A range of members: `[a`, `(a`, `-`, `+`.
pub(super) fn members<'a>(
    min: &'a [u8],
    max: &'a [u8],
) -> CommandResult<(MemberBound<'a>, MemberBound<'a>)> {
    match (member(min), member(max)) {
        (Some(min), Some(max)) => Ok((min, max)),
        _ => Err(CommandError::reply(
            "ERR min or max not valid string range item",
        )),
    }
}

fn member(text: &[u8]) -> Option<MemberBound<'_>> {
    match text {
        b"-" => Some(MemberBound::Lowest),
        b"+" => Some(MemberBound::Highest),
        [b'[', member @ ..] => Some(MemberBound::Included(member)),
        [b'(', member @ ..] => Some(MemberBound::Excluded(member)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included};

    use storage::types::MemberBound;

    use super::{members, scores};

    #[test]
    fn ends_are_read_as_redis_reads_them() {
        for (text, bound) in [
            ("1", Included(1.0)),
            ("(1.5", Excluded(1.5)),
            ("-inf", Included(f64::NEG_INFINITY)),
            ("(+inf", Excluded(f64::INFINITY)),
            ("", Included(0.0)),
            ("(", Excluded(0.0)),
            (" 7", Included(7.0)),
        ] {
            let parsed = scores(text.as_bytes(), text.as_bytes()).expect("a range");
            assert_eq!(parsed, (bound, bound), "{text}");
        }
        for text in ["x", "((1", "1 ", "nan", "[1"] {
            assert!(scores(b"0", text.as_bytes()).is_err(), "{text}");
        }
        let parsed = members(b"(", b"[x").expect("a range");
        let expected = (
            MemberBound::Excluded(&b""[..]),
            MemberBound::Included(&b"x"[..]),
        );
        assert_eq!(parsed, expected);
        for text in ["", "x", "--", "+x"] {
            assert!(members(b"-", text.as_bytes()).is_err(), "{text}");
        }
    }
}
