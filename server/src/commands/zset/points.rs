//! What commands of sorted sets look at by the order of members, told from their arguments.

use std::ops::Bound;

use smallvec::smallvec;
use storage::dataset::{Looks, Members, Point, RankLooks, RankSpan};
use storage::types::MemberBound;

use super::super::args::Args;
use super::super::number::parse_i64;
use super::super::points::Points;
use super::query::Query;
use super::{bounds, range};

/// The sorted sets of a command, and which of their members it looks at; none if it is no command that asks for their order. `args`
/// begins with the name.
pub(in super::super) fn of<'a>(name: &str, args: &[&'a [u8]]) -> Option<Points<'a>> {
    let (&first, rest) = args.get(1..)?.split_first()?;
    let (key, looks) = match name {
        "zrank" | "zrevrank" => (first, Some(RankLooks::RankOf((*rest.first()?).into()))),
        "zcount" => (first, scores(rest).map(RankLooks::Count)),
        "zlexcount" => (first, members(rest).map(RankLooks::Count)),
        "zremrangebyscore" => (first, scores(rest).map(all)),
        "zremrangebylex" => (first, members(rest).map(all)),
        "zremrangebyrank" => (first, ranks(rest)),
        "zpopmin" | "zpopmax" => {
            let count = rest.first().map_or(Some(1), |count| parse_i64(count));
            (first, taken(count, name == "zpopmin"))
        }
        "zmpop" => return of_zmpop(first, rest),
        "zrangestore" => (*rest.first()?, asked(name, args.get(3..)?)?),
        _ => (first, asked(name, rest)?),
    };
    Some(smallvec![point(key, looks)])
}

/// Nothing is looked at where the arguments are wrong, or ask for nothing.
fn point(key: &[u8], looks: Option<RankLooks>) -> Point<'_> {
    let nothing = || Looks::Elements(Members::new());
    Point {
        key,
        looks: looks.map_or_else(nothing, Looks::Ranks),
    }
}

fn scores(ends: &[&[u8]]) -> Option<RankSpan> {
    let &[min, max] = ends else { return None };
    let (min, max) = bounds::scores(min, max).ok()?;
    Some(RankSpan::Scores(min, max))
}

fn members(ends: &[&[u8]]) -> Option<RankSpan> {
    let &[min, max] = ends else { return None };
    let (min, max) = bounds::members(min, max).ok()?;
    span_of_members(min, max)
}

/// None if no member is between the ends.
pub(super) fn span_of_members(min: MemberBound<'_>, max: MemberBound<'_>) -> Option<RankSpan> {
    let min = match min {
        MemberBound::Lowest => Bound::Unbounded,
        MemberBound::Included(min) => Bound::Included(min.into()),
        MemberBound::Excluded(min) => Bound::Excluded(min.into()),
        MemberBound::Highest => return None,
    };
    let max = match max {
        MemberBound::Lowest => return None,
        MemberBound::Included(max) => Bound::Included(max.into()),
        MemberBound::Excluded(max) => Bound::Excluded(max.into()),
        MemberBound::Highest => Bound::Unbounded,
    };
    Some(RankSpan::Members(min, max))
}

fn all(span: RankSpan) -> RankLooks {
    RankLooks::Span {
        span,
        most: usize::MAX,
        backwards: false,
    }
}

fn ranks(ends: &[&[u8]]) -> Option<RankLooks> {
    let &[start, stop] = ends else { return None };
    Some(RankLooks::Ranks {
        start: parse_i64(start)?,
        stop: parse_i64(stop)?,
    })
}

/// So many members from the first or the last on.
fn taken(count: Option<i64>, from_first: bool) -> Option<RankLooks> {
    let count = count.filter(|&count| count > 0)?;
    let (start, stop) = if from_first {
        (0, count - 1)
    } else {
        (-count, -1)
    };
    Some(RankLooks::Ranks { start, stop })
}

/// ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]
fn of_zmpop<'a>(numkeys: &[u8], rest: &[&'a [u8]]) -> Option<Points<'a>> {
    let numkeys = usize::try_from(parse_i64(numkeys)?).ok()?;
    let (keys, options) = rest.split_at_checked(numkeys)?;
    let (end, options) = options.split_first()?;
    let count = options.get(1).map_or(Some(1), |count| parse_i64(count));
    let looks = taken(count, end.eq_ignore_ascii_case(b"min"));
    Some(keys.iter().map(|key| point(key, looks.clone())).collect())
}

/// What a ZRANGE of any kind asks for; an outer none if it is none.
fn asked(name: &str, args: &[&[u8]]) -> Option<Option<RankLooks>> {
    let form = range::form_of(name)?;
    // Options behind the name.
    let mut all = vec![&b""[..]];
    all.extend_from_slice(args);
    let query = Query::parse(&mut Args::new(&all), form).ok();
    Some(query.and_then(|query| query.looks()))
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    use super::*;

    fn is(command: &str, wanted: Option<RankLooks>) {
        let args: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let points =
            of(std::str::from_utf8(args[0]).unwrap(), &args).expect("it asks for an order");
        assert_eq!(points[..], [point(b"k", wanted)], "{command}");
    }

    #[test]
    fn ranks_are_counted_from_either_end() {
        let ranks = |start, stop| Some(RankLooks::Ranks { start, stop });
        is("zrange k 0 9", ranks(0, 9));
        is("zrange k 0 9 rev", ranks(-10, -1));
        is("zrevrange k 2 -3 withscores", ranks(2, -3));
        is("zrevrange k -3 -1", ranks(0, 2));
        is("zrangestore d k 0 -1", ranks(0, -1));
        is("zpopmin k", ranks(0, 0));
        is("zpopmax k 5", ranks(-5, -1));
        is("zremrangebyrank k 1 2", ranks(1, 2));
        is("zmpop 1 k MAX count 2", ranks(-2, -1));
        for nothing in [
            "zpopmin k 0",
            "zpopmin k -1",
            "zpopmax k x",
            "zrange k a b",
            "zrange k 0 1 2",
            "zremrangebyrank k 1 x",
        ] {
            is(nothing, None);
        }
        let args = [&b"zmpop"[..], b"2", b"a", b"b", b"MIN"];
        let keys: Vec<&[u8]> = of("zmpop", &args)
            .unwrap()
            .iter()
            .map(|point| point.key)
            .collect();
        assert_eq!(keys, [b"a", b"b"]);
        assert_eq!(of("zunion", &[b"zunion", b"1", b"k"]), None);
    }

    #[test]
    fn ends_may_be_scores_or_members() {
        let from_1_below_2 = || RankSpan::Scores(Included(1.0), Excluded(2.0));
        let span = |span, most, backwards| {
            Some(RankLooks::Span {
                span,
                most,
                backwards,
            })
        };
        is("zcount k 1 (2", Some(RankLooks::Count(from_1_below_2())));
        is(
            "zrangebyscore k 1 (2",
            span(from_1_below_2(), usize::MAX, false),
        );
        is(
            "zrangebyscore k 1 (2 limit 3 4",
            span(from_1_below_2(), 7, false),
        );
        is(
            "zrevrangebyscore k (2 1 limit 0 1",
            span(from_1_below_2(), 1, true),
        );
        is(
            "zrange k (2 1 byscore rev limit 0 -1",
            span(from_1_below_2(), usize::MAX, true),
        );
        is(
            "zremrangebyscore k 1 (2",
            span(from_1_below_2(), usize::MAX, false),
        );
        is("zrangebyscore k 1 (2 limit -1 4", None);
        is("zcount k a b", None);
        let from_a = RankSpan::Members(Included(b"a"[..].into()), Unbounded);
        is("zlexcount k [a +", Some(RankLooks::Count(from_a.clone())));
        is(
            "zrangebylex k [a + limit 0 2",
            span(from_a.clone(), 2, false),
        );
        is("zrevrangebylex k + [a", span(from_a, usize::MAX, true));
        is("zremrangebylex k + -", None);
        is("zrank k a", Some(RankLooks::RankOf(b"a"[..].into())));
        is(
            "zrevrank k a withscore",
            Some(RankLooks::RankOf(b"a"[..].into())),
        );
    }
}
