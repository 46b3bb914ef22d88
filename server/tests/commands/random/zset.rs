//! Commands of sorted sets.

use proptest::prelude::*;

use super::collections::{element, with_elements};
use super::{Arguments, key, one_of, option, small};

/// Scores whose texts are the same in all versions of Redis, and ends of ranges.
pub(super) fn score() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        8 => (-40_i32..40).prop_map(|quarters| (f64::from(quarters) / 4.0).to_string().into_bytes()),
        2 => one_of(&["inf", "-inf", "+inf", "0", "-0", "1e3", "0x1f", "1e20"]),
        1 => one_of(&["", " 1", "1 ", "nan", "x", "1e400", "1e-400", "(1", "(", "(inf"]),
    ]
    .boxed()
}

fn score_end() -> BoxedStrategy<Vec<u8>> {
    (one_of(&["", "", "("]), score())
        .prop_map(|(open, score)| [open, score].concat())
        .boxed()
}

fn member_end() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => (one_of(&["[", "("]), element()).prop_map(|(open, member)| [open, member].concat()),
        2 => one_of(&["-", "+"]),
        1 => element(),
    ]
    .boxed()
}

/// Members with scores.
fn scored(least: usize) -> impl Strategy<Value = Arguments> {
    prop::collection::vec((score(), element()), least..6)
        .prop_map(|pairs| pairs.into_iter().flat_map(<[Vec<u8>; 2]>::from).collect())
}

/// Ranges of every kind. Those by members only of sorted sets whose scores are equal: otherwise Redis gives anything.
fn zset_range() -> BoxedStrategy<Arguments> {
    let options = || {
        let limit =
            (small(), small()).prop_map(|(offset, count)| vec![b"LIMIT".to_vec(), offset, count]);
        let word = one_of(&["WITHSCORES", "REV", "bogus", "LIMIT"]).prop_map(|word| vec![word]);
        prop::collection::vec(prop_oneof![limit, word], 0..3).prop_map(|options| options.concat())
    };
    let by = |name: &'static str,
              key: BoxedStrategy<Vec<u8>>,
              end: BoxedStrategy<Vec<u8>>,
              by: &'static [&'static str]| {
        (key, end.clone(), end, options()).prop_map(move |(key, min, max, options)| {
            let by = by.iter().map(|word| word.as_bytes().to_vec()).collect();
            [vec![name.as_bytes().to_vec(), key, min, max], by, options].concat()
        })
    };
    let (k, flat) = (
        || key().boxed(),
        || one_of(&["lex", "lex", "lex", "none"]).boxed(),
    );
    let ranks = || small().boxed();
    prop_oneof![
        by("ZRANGE", k(), ranks(), &[]),
        by("ZREVRANGE", k(), ranks(), &[]),
        by("ZRANGE", k(), score_end(), &["BYSCORE"]),
        by("ZRANGE", k(), score_end(), &["BYSCORE", "REV"]),
        by("ZRANGEBYSCORE", k(), score_end(), &[]),
        by("ZREVRANGEBYSCORE", k(), score_end(), &[]),
        by("ZRANGE", flat(), member_end(), &["BYLEX"]),
        by("ZRANGEBYLEX", flat(), member_end(), &[]),
        by("ZREVRANGEBYLEX", flat(), member_end(), &[]),
        (k(), by("ZRANGESTORE", k(), score_end(), &["BYSCORE"])).prop_map(|(to, mut args)| {
            args.insert(1, to);
            args
        }),
        (k(), by("ZRANGESTORE", k(), ranks(), &[])).prop_map(|(to, mut args)| {
            args.insert(1, to);
            args
        }),
    ]
    .boxed()
}

fn zset_algebra() -> BoxedStrategy<Arguments> {
    let keys = prop::collection::vec(key(), 1..5);
    let options = |count: usize| {
        let weights = prop::collection::vec(score(), count)
            .prop_map(|weights| [vec![b"WEIGHTS".to_vec()], weights].concat());
        let aggregate =
            one_of(&["SUM", "min", "MAX", "x"]).prop_map(|word| vec![b"AGGREGATE".to_vec(), word]);
        let other = prop_oneof![one_of(&["WITHSCORES", "LIMIT", "bogus"]), small()]
            .prop_map(|word| vec![word]);
        prop::collection::vec(prop_oneof![weights, aggregate, other], 0..3)
            .prop_map(|options| options.concat())
    };
    let numkeys = |count: usize| {
        prop_oneof![
            9 => Just(count.to_string().into_bytes()),
            1 => small(),
        ]
    };
    let stored = one_of(&["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"]);
    let read = one_of(&["ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD"]);
    (read, stored, any::<bool>(), key(), keys)
        .prop_flat_map(move |(read, stored, stores, to, keys)| {
            let head = if stores { vec![stored, to] } else { vec![read] };
            (
                Just(head),
                numkeys(keys.len()),
                options(keys.len()),
                Just(keys),
            )
        })
        .prop_map(|(head, count, options, keys)| [head, vec![count], keys, options].concat())
        .boxed()
}

/// Draws only where there is no choice.
pub(super) fn zset_command() -> BoxedStrategy<Arguments> {
    let (k, m) = (|| key().boxed(), element);
    let flags = prop::collection::vec(one_of(&["NX", "XX", "GT", "LT", "CH", "INCR", "ch"]), 0..3);
    let count = || one_of(&["0", "1000", "9223372036854775807", "x"]).boxed();
    let named = |name: &'static str, rest: Vec<BoxedStrategy<Vec<u8>>>| {
        rest.prop_map(move |rest| [vec![name.as_bytes().to_vec()], rest].concat())
            .boxed()
    };
    prop_oneof![
        4 => (k(), scored(1)).prop_map(|(key, pairs)| [vec![b"ZADD".to_vec(), key], pairs].concat()),
        2 => (k(), flags, scored(1))
            .prop_map(|(key, flags, pairs)| [vec![b"ZADD".to_vec(), key], flags, pairs].concat()),
        2 => with_elements("ZADD", vec![Just(b"lex".to_vec()).boxed(), Just(b"0".to_vec()).boxed(), m()], 0)
            .prop_map(|mut args| { args.truncate(4); args }),
        2 => named("ZINCRBY", vec![k(), score(), m()]),
        2 => with_elements("ZREM", vec![k()], 1),
        1 => with_elements("ZMSCORE", vec![k()], 1),
        1 => one_of(&["ZSCORE", "ZRANK", "ZREVRANK"]).prop_flat_map(move |name| (key(), element()).prop_map(move |(key, member)| vec![name.clone(), key, member])),
        1 => named("ZCARD", vec![k()]),
        1 => named("ZCOUNT", vec![k(), score_end(), score_end()]),
        1 => named("ZLEXCOUNT", vec![Just(b"lex".to_vec()).boxed(), member_end(), member_end()]),
        1 => named("ZREMRANGEBYRANK", vec![k(), small().boxed(), small().boxed()]),
        1 => named("ZREMRANGEBYSCORE", vec![k(), score_end(), score_end()]),
        1 => named("ZREMRANGEBYLEX", vec![Just(b"lex".to_vec()).boxed(), member_end(), member_end()]),
        1 => (one_of(&["ZPOPMIN", "ZPOPMAX"]), k(), prop::collection::vec(small(), 0..2))
            .prop_map(|(name, key, count)| [vec![name, key], count].concat()),
        1 => (small(), prop::collection::vec(key(), 1..4), one_of(&["MIN", "max", "x"]), prop::collection::vec(prop_oneof![one_of(&["COUNT"]), small()], 0..3))
            .prop_map(|(count, keys, end, options)| [vec![b"ZMPOP".to_vec(), count], keys, vec![end], options].concat()),
        1 => (prop::collection::vec(key(), 1..4), one_of(&["MIN", "max"]), small())
            .prop_map(|(keys, end, count)| {
                let numkeys = keys.len().to_string().into_bytes();
                [vec![b"ZMPOP".to_vec(), numkeys], keys, vec![end, b"COUNT".to_vec(), count]].concat()
            }),
        1 => named("ZRANDMEMBER", vec![k(), count()]),
        1 => (k(), prop::collection::vec(option().boxed(), 0..4))
            .prop_map(|(key, options)| {
                let all = ["0", "COUNT", "1000"].map(|word| word.as_bytes().to_vec());
                [vec![b"ZSCAN".to_vec(), key], all.to_vec(), options].concat()
            }),
        8 => zset_range(),
        5 => zset_algebra(),
    ]
    .boxed()
}
