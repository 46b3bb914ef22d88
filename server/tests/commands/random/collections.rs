//! Commands of hashes, sets and lists, and SORT.

use proptest::prelude::*;

use super::{Arguments, key, one_of, option, small, value};

/// Few, so that they meet; some too long for a flat collection.
pub(super) fn element() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => one_of(&["f", "g", "1", "2", "-3", "70000", "", "05"]),
        2 => (0_u8..40).prop_map(|number| number.to_string().into_bytes()),
        1 => value(),
        1 => (60_usize..70).prop_map(|len| vec![b'x'; len]),
    ]
    .boxed()
}

/// A command of a few elements.
pub(super) fn with_elements(
    name: &'static str,
    arguments: Vec<BoxedStrategy<Vec<u8>>>,
    least: usize,
) -> BoxedStrategy<Arguments> {
    (arguments, prop::collection::vec(element(), least..6))
        .prop_map(move |(arguments, elements)| {
            [vec![name.as_bytes().to_vec()], arguments, elements].concat()
        })
        .boxed()
}

/// A command of as many elements as bring collections to where they become large, `each` words for each.
fn wide(name: &'static str, each: usize) -> impl Strategy<Value = Arguments> {
    let count = prop_oneof![3 => 100_usize..140, 1 => 300_usize..500];
    let prefix = one_of(&["", "", "m"]);
    (key(), prefix, 0_usize..300, count).prop_map(move |(key, prefix, first, count)| {
        let element = |number: usize| [&prefix[..], number.to_string().as_bytes()].concat();
        let elements = (first..first + count * each).map(element);
        [name.as_bytes().to_vec(), key]
            .into_iter()
            .chain(elements)
            .collect()
    })
}

/// Draws only where there is no choice.
pub(super) fn hash_command() -> BoxedStrategy<Arguments> {
    let (k, f) = (|| key().boxed(), element);
    let count = || one_of(&["0", "1000", "9223372036854775807", "-0", "x"]).boxed();
    let option = || option().boxed();
    prop_oneof![
        4 => with_elements("HSET", vec![k(), f(), f()], 0),
        1 => prop_oneof![wide("HSET", 2), wide("HDEL", 1), wide("HMGET", 1)],
        1 => with_elements("HMSET", vec![k(), f(), f()], 0),
        1 => with_elements("HSETNX", vec![k(), f(), f()], 0).prop_map(|mut args| { args.truncate(4); args }),
        1 => with_elements("HGET", vec![k(), f()], 0).prop_map(|mut args| { args.truncate(3); args }),
        1 => with_elements("HMGET", vec![k()], 1),
        2 => with_elements("HDEL", vec![k()], 1),
        1 => with_elements("HINCRBY", vec![k(), f(), value().boxed()], 0).prop_map(|mut args| { args.truncate(4); args }),
        1 => with_elements("HINCRBYFLOAT", vec![k(), f(), value().boxed()], 0).prop_map(|mut args| { args.truncate(4); args }),
        1 => with_elements("HEXISTS", vec![k(), f()], 0).prop_map(|mut args| { args.truncate(3); args }),
        1 => with_elements("HSTRLEN", vec![k(), f()], 0).prop_map(|mut args| { args.truncate(3); args }),
        2 => one_of(&["HGETALL", "HKEYS", "HVALS", "HLEN"]).prop_flat_map(|name| key().prop_map(move |key| vec![name.clone(), key])),
        1 => (k(), count(), prop::collection::vec(option(), 0..3))
            .prop_map(|(key, count, options)| [vec![b"HRANDFIELD".to_vec(), key, count], options].concat()),
        1 => (k(), count()).prop_map(|(key, count)| vec![b"HRANDFIELD".to_vec(), key, count, b"WITHVALUES".to_vec()]),
        1 => (k(), prop::collection::vec(option(), 0..4))
            .prop_map(|(key, options)| [vec![b"HSCAN".to_vec(), key, b"0".to_vec()], options].concat()),
    ]
    .boxed()
}

/// Draws only where there is no choice.
pub(super) fn set_command() -> BoxedStrategy<Arguments> {
    let (k, m) = (|| key().boxed(), element);
    let count = || one_of(&["0", "1000", "9223372036854775807", "x"]).boxed();
    let keys = |least| prop::collection::vec(key(), least..7);
    let stored = one_of(&["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"]);
    prop_oneof![
        4 => with_elements("SADD", vec![k()], 1),
        2 => prop_oneof![2 => wide("SADD", 1), 1 => wide("SREM", 1), 1 => wide("SMISMEMBER", 1)],
        2 => with_elements("SREM", vec![k()], 1),
        1 => with_elements("SMISMEMBER", vec![k()], 1),
        1 => (k(), m()).prop_map(|(key, member)| vec![b"SISMEMBER".to_vec(), key, member]),
        1 => (k(), k(), m()).prop_map(|(from, to, member)| vec![b"SMOVE".to_vec(), from, to, member]),
        2 => one_of(&["SMEMBERS", "SCARD"]).prop_flat_map(|name| key().prop_map(move |key| vec![name.clone(), key])),
        1 => (one_of(&["SPOP", "SRANDMEMBER"]), k(), count()).prop_map(|(name, key, count)| vec![name, key, count]),
        2 => (one_of(&["SINTER", "SUNION", "SDIFF"]), keys(1)).prop_map(|(name, keys)| [vec![name], keys].concat()),
        2 => (stored, keys(2)).prop_map(|(name, keys)| [vec![name], keys].concat()),
        1 => (small(), keys(1), prop::collection::vec(prop_oneof![one_of(&["LIMIT", "limit"]), small()], 0..3))
            .prop_map(|(count, keys, options)| [vec![b"SINTERCARD".to_vec(), count], keys, options].concat()),
        1 => (keys(2), small()).prop_map(|(keys, limit)| {
            let count = keys.len().to_string().into_bytes();
            [vec![b"SINTERCARD".to_vec(), count], keys, vec![b"LIMIT".to_vec(), limit]].concat()
        }),
        1 => (k(), prop::collection::vec(option().boxed(), 0..4))
            .prop_map(|(key, options)| [vec![b"SSCAN".to_vec(), key, b"0".to_vec()], options].concat()),
    ]
    .boxed()
}

/// Words and patterns; those that are made of elements may be the other keys. Not ALPHA with BY: where weights are the same, Redis
/// answers in any order.
pub(super) fn sort_command() -> BoxedStrategy<Arguments> {
    let pattern = one_of(&[
        "*", "x*", "*->f", "*->1", "a*->", "#", "nosort", "?*", "*x->",
    ])
    .boxed();
    let word = |words: &'static [&'static str]| one_of(words).prop_map(|word| vec![word]).boxed();
    let with_pattern = |name: &'static str| {
        pattern
            .clone()
            .prop_map(move |pattern| vec![name.as_bytes().to_vec(), pattern])
            .boxed()
    };
    let limit = (small(), small()).prop_map(|(start, count)| vec![b"LIMIT".to_vec(), start, count]);
    let order = prop_oneof![
        2 => word(&["ALPHA", "alpha"]),
        1 => with_pattern("BY"),
        1 => Just(Vec::new()),
    ];
    let option = prop_oneof![
        2 => word(&["ASC", "DESC", "desc"]),
        2 => limit,
        2 => with_pattern("GET"),
        1 => (key()).prop_map(|key| vec![b"STORE".to_vec(), key]),
        1 => word(&["LIMIT", "bogus", "1"]),
    ];
    let name = one_of(&["SORT", "SORT", "SORT", "SORT_RO"]);
    (name, key(), order, prop::collection::vec(option, 0..4))
        .prop_map(|(name, key, order, options)| [vec![name, key], order, options.concat()].concat())
        .boxed()
}

pub(super) fn list_command() -> BoxedStrategy<Arguments> {
    let (k, e) = (|| key().boxed(), element);
    let end = || one_of(&["LEFT", "RIGHT", "left", "MIDDLE"]).boxed();
    let index = || prop_oneof![4 => small(), 1 => value()].boxed();
    let name = |names: &'static [&'static str]| one_of(names).boxed();
    let all = |parts: Vec<BoxedStrategy<Vec<u8>>>| parts.boxed();
    prop_oneof![
        6 => (name(&["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"]), k(), prop::collection::vec(e(), 1..8))
            .prop_map(|(name, key, elements)| [vec![name, key], elements].concat()),
        2 => all(vec![name(&["LPOP", "RPOP"]), k()]),
        1 => all(vec![name(&["LPOP", "RPOP"]), k(), index()]),
        2 => all(vec![name(&["LRANGE", "LTRIM"]), k(), index(), index()]),
        2 => all(vec![name(&["LINDEX"]), k(), index()]),
        1 => all(vec![name(&["LLEN"]), k()]),
        2 => all(vec![name(&["LSET"]), k(), index(), e()]),
        2 => all(vec![name(&["LINSERT"]), k(), name(&["BEFORE", "AFTER", "x"]), e(), e()]),
        2 => all(vec![name(&["LREM"]), k(), index(), e()]),
        2 => (k(), e(), prop::collection::vec((name(&["RANK", "COUNT", "MAXLEN", "x"]), index()), 0..4))
            .prop_map(|(key, element, options)| {
                let options = options.into_iter().flat_map(|(name, value)| [name, value]);
                [vec![b"LPOS".to_vec(), key, element], options.collect()].concat()
            }),
        2 => all(vec![name(&["LMOVE"]), k(), k(), end(), end()]),
        1 => all(vec![name(&["RPOPLPUSH"]), k(), k()]),
        1 => all(vec![name(&["LMPOP"]), small().boxed(), k(), k(), end()]),
        1 => all(vec![name(&["LMPOP"]), name(&["2"]), k(), k(), end(), name(&["COUNT"]), index()]),
    ]
    .boxed()
}
