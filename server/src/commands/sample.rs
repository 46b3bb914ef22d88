//! Elements drawn at random: SRANDMEMBER, HRANDFIELD, ZRANDMEMBER and SPOP.

use resp::{Mark, Writer};

use super::error::{CommandError, CommandResult};

/// Drawing at least one in so many of a large collection's elements, it is quicker to go through all of them than to draw
/// until enough are different.
const WALK_FROM_ONE_IN: usize = 3;

/// The longest reply of elements drawn with repetition. Redis draws any number, until its memory is used up or its client is
/// disconnected.
const MAX_REPLY_BYTES: usize = 512 << 20;

/// Elements that are at least as many bytes as that.
const MAX_REPEATED: usize = MAX_REPLY_BYTES / b"$0\r\n\r\n".len();

/// What a count argument of such a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// So many different elements, or all.
    Different(usize),
    /// So many elements, some perhaps several times.
    Repeated(usize),
}

impl Draw {
    /// From a count: a negative one asks for elements with repetition.
    pub fn new(count: i64) -> CommandResult<Self> {
        let magnitude = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count >= 0 {
            return Ok(Self::Different(magnitude));
        }
        if count == i64::MIN {
            let most = i64::MAX;
            return Err(CommandError::reply(format!(
                "ERR value is out of range, value must between -{most} and {most}"
            )));
        }
        Ok(Self::Repeated(magnitude))
    }

    /// [`Self::Repeated`] more often than one command may be answered is refused.
    pub fn check(self) -> CommandResult {
        match self {
            Self::Repeated(count) if count > MAX_REPEATED => Err(CommandError::REPLY_TOO_LONG),
            _ => Ok(()),
        }
    }
}

/// Refuses to go on with a reply of elements drawn with repetition that is already too long.
pub fn check_reply(out: &Writer<'_>, start: Mark) -> CommandResult {
    if out.since(start).len() > MAX_REPLY_BYTES {
        return Err(CommandError::REPLY_TOO_LONG);
    }
    Ok(())
}

/// True if `count` different ones of `len` elements are to be found by [`pick`] rather than drawn one by one.
pub fn is_walk(count: usize, len: usize) -> bool {
    count.saturating_mul(WALK_FROM_ONE_IN) > len
}

/// A number below `end`, each with equal chances.
pub fn below(random: u64, end: u64) -> u64 {
    ((u128::from(random) * u128::from(end)) >> 64) as u64
}

/// Gives `take` `count` of the `len` items, all choices having equal chances, in the items' order.
pub fn pick<T>(
    items: impl Iterator<Item = T>,
    len: usize,
    count: usize,
    mut random: impl FnMut() -> u64,
    mut take: impl FnMut(T),
) {
    let (mut left, mut wanted) = (len as u64, count as u64);
    for item in items {
        if wanted == 0 {
            return;
        }
        if below(random(), left) < wanted {
            take(item);
            wanted -= 1;
        }
        left = left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(Draw::new(3).expect("a count"), Draw::Different(3));
        assert_eq!(Draw::new(-3).expect("a count"), Draw::Repeated(3));
        assert_eq!(
            Draw::new(i64::MIN).expect_err("too small").to_string(),
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
        );
        assert!(Draw::Repeated(MAX_REPEATED).check().is_ok());
        assert!(Draw::Repeated(MAX_REPEATED + 1).check().is_err());
        assert!(Draw::Different(usize::MAX).check().is_ok());
    }

    #[test]
    fn picks_exactly_as_many_each_as_often() {
        let mut state = 7;
        let mut random = || storage::random::next(&mut state);
        let mut taken = [0; 10];
        for _ in 0..10_000 {
            let mut count = 0;
            pick(0..10, 10, 3, &mut random, |item: usize| {
                taken[item] += 1;
                count += 1;
            });
            assert_eq!(count, 3);
        }
        for count in taken {
            assert!((2800..3200).contains(&count), "{taken:?}");
        }
        let mut all = Vec::new();
        pick(0..5, 5, 5, &mut random, |item| all.push(item));
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
