//! What a ZRANGE of any kind asks for.

use std::ops::{Bound, Range};

use storage::dataset::{RankLooks, RankSpan};
use storage::types::{MemberBound, SortedSetRef};

use super::super::args::Args;
use super::super::error::{CommandError, CommandResult};
use super::bounds;
use super::points::span_of_members;

/// What the ends of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Member,
}

/// What a command leaves open, for options to tell.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// None: BYSCORE, BYLEX or neither.
    pub(super) by: Option<By>,
    /// None: REV or not.
    pub(super) reverse: Option<bool>,
    /// WITHSCORES is an option.
    pub(super) scores: bool,
}

enum Ends<'a> {
    Ranks(i64, i64),
    Scores(Bound<f64>, Bound<f64>),
    Members(MemberBound<'a>, MemberBound<'a>),
}

/// A range of members of one sorted set.
pub(super) struct Query<'a> {
    ends: Ends<'a>,
    /// From the last to the first.
    pub(super) reverse: bool,
    pub(super) with_scores: bool,
    /// Members to skip; below 0: all.
    offset: i64,
    /// Members to give after those; below 0: all.
    limit: i64,
}

impl<'a> Query<'a> {
    /// Takes both ends and the options.
    pub(super) fn parse(args: &mut Args<'a>, form: Form) -> CommandResult<Self> {
        let (first, second) = (args.bytes()?, args.bytes()?);
        let Form {
            mut by,
            mut reverse,
            scores,
        } = form;
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        while !args.is_empty() {
            if scores && args.flag("WITHSCORES") {
                with_scores = true;
            } else if args.remaining() > 2 && args.flag("LIMIT") {
                (offset, limit) = (args.int()?, args.int()?);
            } else if reverse.is_none() && args.flag("REV") {
                reverse = Some(true);
            } else if by.is_none() && args.flag("BYLEX") {
                by = Some(By::Member);
            } else if by.is_none() && args.flag("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(CommandError::reply(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Member {
            return Err(CommandError::reply(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        Ok(Self {
            ends: Ends::parse(by, reverse, first, second)?,
            reverse,
            with_scores,
            offset,
            limit,
        })
    }

    /// What is looked at to answer it; none: nothing.
    pub(super) fn looks(&self) -> Option<RankLooks> {
        let span = match self.ends {
            // Ranks from the last member on are those from the first on, counted from the other end.
            Ends::Ranks(first, last) if self.reverse => {
                let mirrored = |rank: i64| (-1_i64).saturating_sub(rank);
                let (start, stop) = (mirrored(last), mirrored(first));
                return Some(RankLooks::Ranks { start, stop });
            }
            Ends::Ranks(start, stop) => return Some(RankLooks::Ranks { start, stop }),
            Ends::Scores(min, max) => RankSpan::Scores(min, max),
            Ends::Members(min, max) => span_of_members(min, max)?,
        };
        let offset = usize::try_from(self.offset).ok()?;
        let most = usize::try_from(self.limit);
        Some(RankLooks::Span {
            span,
            most: most.map_or(usize::MAX, |most| most.saturating_add(offset)),
            backwards: self.reverse,
        })
    }

    /// The ranks of the members that are asked for.
    pub(super) fn ranks(&self, set: SortedSetRef<'_>) -> Range<usize> {
        let ranks = match self.ends {
            Ends::Ranks(first, last) => return rank_range(first, last, set.len(), self.reverse),
            Ends::Scores(min, max) => set.ranks_by_score(min, max),
            Ends::Members(min, max) => set.ranks_by_member(min, max),
        };
        let Ok(offset) = usize::try_from(self.offset) else {
            return ranks.end..ranks.end;
        };
        let left = ranks.len().saturating_sub(offset);
        let count = usize::try_from(self.limit).map_or(left, |limit| limit.min(left));
        let start = if self.reverse {
            ranks.start + (left - count)
        } else {
            ranks.end - left
        };
        start..start + count
    }
}

/// The ranks from `first` to `last`, both included; negative ones count from the end, and all of them from the last member
/// if `reverse`.
pub(super) fn rank_range(first: i64, last: i64, len: usize, reverse: bool) -> Range<usize> {
    let len = len as i64;
    let from_end = |rank: i64| {
        if rank < 0 {
            rank.saturating_add(len)
        } else {
            rank
        }
    };
    let (first, last) = (from_end(first).max(0), from_end(last).min(len - 1));
    if first > last {
        return 0..0;
    }
    let (start, end) = if reverse {
        (len - 1 - last, len - first)
    } else {
        (first, last + 1)
    };
    start as usize..end as usize
}

impl<'a> Ends<'a> {
    fn parse(by: By, reverse: bool, first: &'a [u8], second: &'a [u8]) -> CommandResult<Self> {
        let (min, max) = if reverse {
            (second, first)
        } else {
            (first, second)
        };
        Ok(match by {
            By::Rank => {
                let all = [&b""[..], first, second];
                let mut args = Args::new(&all);
                Self::Ranks(args.int()?, args.int()?)
            }
            By::Score => {
                let (min, max) = bounds::scores(min, max)?;
                Self::Scores(min, max)
            }
            By::Member => {
                let (min, max) = bounds::members(min, max)?;
                Self::Members(min, max)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::rank_range;

    #[test]
    fn ranks_from_either_end() {
        assert_eq!(rank_range(0, -1, 5, false), 0..5);
        assert_eq!(rank_range(1, 2, 5, false), 1..3);
        assert_eq!(rank_range(1, 2, 5, true), 2..4);
        assert_eq!(rank_range(0, 0, 5, true), 4..5);
        assert_eq!(rank_range(-100, 100, 5, true), 0..5);
        for (first, last) in [(5, 9), (3, 1), (-1, -2), (0, -6), (i64::MAX, i64::MAX)] {
            assert!(rank_range(first, last, 5, false).is_empty());
        }
        assert!(rank_range(i64::MIN, i64::MIN, 5, true).is_empty());
        assert!(rank_range(0, -1, 0, false).is_empty());
    }
}
