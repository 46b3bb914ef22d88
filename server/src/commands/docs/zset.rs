//! Sorted sets.

use super::{Argument, Doc, KeySpec};

const KEY: Argument = Argument::key("key", 0);
const WITHSCORES: Argument = Argument::token("withscores", "WITHSCORES").optional();
const AGGREGATE: Argument = Argument::oneof(
    "aggregate",
    &[
        Argument::token("sum", "SUM"),
        Argument::token("min", "MIN"),
        Argument::token("max", "MAX"),
    ],
)
.after("AGGREGATE")
.optional();
const WEIGHTS: Argument = Argument::integer("weight")
    .after("WEIGHTS")
    .optional()
    .multiple();

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "zadd",
        "1.2.0",
        "Adds members with scores to a sorted set, or changes their scores.",
    )
    .complexity("O(log(N))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        Argument::oneof(
            "condition",
            &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
        )
        .since("3.0.2")
        .optional(),
        Argument::oneof(
            "comparison",
            &[Argument::token("gt", "GT"), Argument::token("lt", "LT")],
        )
        .since("6.2.0")
        .optional(),
        Argument::token("change", "CH").since("3.0.2").optional(),
        Argument::token("increment", "INCR")
            .since("3.0.2")
            .optional(),
        Argument::block(
            "score_member",
            &[Argument::double("score"), Argument::string("member")],
        )
        .multiple(),
    ]),
    Doc::new("zcard", "1.2.0", "Counts the members of a sorted set.")
        .complexity("O(1)")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[KEY]),
    Doc::new(
        "zcount",
        "2.0.0",
        "Counts the members whose scores lie in a range.",
    )
    .complexity("O(log(N))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, Argument::double("min"), Argument::double("max")]),
    Doc::new(
        "zdiff",
        "6.2.0",
        "Finds what the first of several sorted sets has alone.",
    )
    .complexity("O(L + (N-K)log(N))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::counted(1, &["RO", "access"])])
    .arguments(&[Argument::integer("numkeys"), KEY.multiple(), WITHSCORES]),
    Doc::new(
        "zdiffstore",
        "6.2.0",
        "Stores what the first of several sorted sets has alone.",
    )
    .complexity("O(L + (N-K)log(N))")
    .categories(&["@sortedset"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["OW", "update"]),
        KeySpec::counted(2, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::integer("numkeys"),
        Argument::key("key", 1).multiple(),
    ]),
    Doc::new("zincrby", "1.2.0", "Adds to the score of a member.")
        .complexity("O(log(N))")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
        .arguments(&[
            KEY,
            Argument::integer("increment"),
            Argument::string("member"),
        ]),
    Doc::new(
        "zinter",
        "6.2.0",
        "Finds what several sorted sets have in common.",
    )
    .complexity("O(N*K)+O(M*log(M))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::counted(1, &["RO", "access"])])
    .arguments(&[
        Argument::integer("numkeys"),
        KEY.multiple(),
        WEIGHTS,
        AGGREGATE,
        WITHSCORES,
    ]),
    Doc::new(
        "zintercard",
        "7.0.0",
        "Counts what several sorted sets have in common.",
    )
    .complexity("O(N*K)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::counted(1, &["RO", "access"])])
    .arguments(&[
        Argument::integer("numkeys"),
        KEY.multiple(),
        Argument::integer("limit").after("LIMIT").optional(),
    ]),
    Doc::new(
        "zinterstore",
        "2.0.0",
        "Stores what several sorted sets have in common.",
    )
    .complexity("O(N*K)+O(M*log(M))")
    .categories(&["@sortedset"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["OW", "update"]),
        KeySpec::counted(2, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::integer("numkeys"),
        Argument::key("key", 1).multiple(),
        WEIGHTS,
        AGGREGATE,
    ]),
    Doc::new(
        "zlexcount",
        "2.8.9",
        "Counts the members that lie between two others.",
    )
    .complexity("O(log(N))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, Argument::string("min"), Argument::string("max")]),
    Doc::new(
        "zmpop",
        "7.0.0",
        "Takes members from an end of the first sorted set that has any.",
    )
    .complexity("O(K) + O(M*log(N))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::counted(1, &["RW", "access", "delete"])])
    .arguments(&[
        Argument::integer("numkeys"),
        KEY.multiple(),
        Argument::oneof(
            "where",
            &[Argument::token("min", "MIN"), Argument::token("max", "MAX")],
        ),
        Argument::integer("count").after("COUNT").optional(),
    ]),
    Doc::new("zmscore", "6.2.0", "Tells the scores of several members.")
        .complexity("O(N)")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::string("member").multiple()]),
    Doc::new(
        "zpopmax",
        "5.0.0",
        "Takes the members with the highest scores.",
    )
    .complexity("O(log(N)*M)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
    .arguments(&[KEY, Argument::integer("count").optional()]),
    Doc::new(
        "zpopmin",
        "5.0.0",
        "Takes the members with the lowest scores.",
    )
    .complexity("O(log(N)*M)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
    .arguments(&[KEY, Argument::integer("count").optional()]),
    Doc::new(
        "zrandmember",
        "6.2.0",
        "Draws members of a sorted set at random.",
    )
    .complexity("O(N)")
    .categories(&["@sortedset"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::block("options", &[Argument::integer("count"), WITHSCORES]).optional(),
    ]),
    Doc::new(
        "zrange",
        "1.2.0",
        "Lists a range of members by rank, by score or by their bytes.",
    )
    .complexity("O(log(N)+M)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::string("start"),
        Argument::string("stop"),
        Argument::oneof(
            "sortby",
            &[
                Argument::token("byscore", "BYSCORE"),
                Argument::token("bylex", "BYLEX"),
            ],
        )
        .since("6.2.0")
        .optional(),
        Argument::token("rev", "REV").since("6.2.0").optional(),
        Argument::block(
            "offset_count",
            &[Argument::integer("offset"), Argument::integer("count")],
        )
        .after("LIMIT")
        .since("6.2.0")
        .optional(),
        WITHSCORES,
    ]),
    Doc::new(
        "zrangebylex",
        "2.8.9",
        "Lists the members that lie between two others.",
    )
    .complexity("O(log(N)+M)")
    .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::string("min"),
        Argument::string("max"),
        Argument::block(
            "offset_count",
            &[Argument::integer("offset"), Argument::integer("count")],
        )
        .after("LIMIT")
        .optional(),
    ]),
    Doc::new(
        "zrangebyscore",
        "1.0.5",
        "Lists the members whose scores lie in a range.",
    )
    .complexity("O(log(N)+M)")
    .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::double("min"),
        Argument::double("max"),
        Argument::token("withscores", "WITHSCORES")
            .since("2.0.0")
            .optional(),
        Argument::block(
            "offset_count",
            &[Argument::integer("offset"), Argument::integer("count")],
        )
        .after("LIMIT")
        .optional(),
    ]),
    Doc::new(
        "zrangestore",
        "6.2.0",
        "Stores a range of members in another sorted set.",
    )
    .complexity("O(log(N)+M)")
    .categories(&["@sortedset"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["OW", "update"]),
        KeySpec::new(2, 0, 1, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("dst", 0),
        Argument::key("src", 1),
        Argument::string("min"),
        Argument::string("max"),
        Argument::oneof(
            "sortby",
            &[
                Argument::token("byscore", "BYSCORE"),
                Argument::token("bylex", "BYLEX"),
            ],
        )
        .optional(),
        Argument::token("rev", "REV").optional(),
        Argument::block(
            "offset_count",
            &[Argument::integer("offset"), Argument::integer("count")],
        )
        .after("LIMIT")
        .optional(),
    ]),
    Doc::new("zrank", "2.0.0", "Tells how many members stand before one.")
        .complexity("O(log(N))")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            Argument::string("member"),
            Argument::token("withscore", "WITHSCORE")
                .since("7.2.0")
                .optional(),
        ]),
    Doc::new("zrem", "1.2.0", "Removes members from a sorted set.")
        .complexity("O(M*log(N))")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
        .arguments(&[KEY, Argument::string("member").multiple()]),
    Doc::new(
        "zremrangebylex",
        "2.8.9",
        "Removes the members that lie between two others.",
    )
    .complexity("O(log(N)+M)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
    .arguments(&[KEY, Argument::string("min"), Argument::string("max")]),
    Doc::new(
        "zremrangebyrank",
        "2.0.0",
        "Removes a range of members by rank.",
    )
    .complexity("O(log(N)+M)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
    .arguments(&[KEY, Argument::integer("start"), Argument::integer("stop")]),
    Doc::new(
        "zremrangebyscore",
        "1.2.0",
        "Removes the members whose scores lie in a range.",
    )
    .complexity("O(log(N)+M)")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
    .arguments(&[KEY, Argument::double("min"), Argument::double("max")]),
    Doc::new(
        "zrevrange",
        "1.2.0",
        "Lists a range of members by rank, from the last on.",
    )
    .complexity("O(log(N)+M)")
    .deprecated("6.2.0", "`ZRANGE` with the `REV` argument")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::integer("start"),
        Argument::integer("stop"),
        WITHSCORES,
    ]),
    Doc::new(
        "zrevrangebylex",
        "2.8.9",
        "Lists the members that lie between two others, from the last on.",
    )
    .complexity("O(log(N)+M)")
    .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::string("max"),
        Argument::string("min"),
        Argument::block(
            "offset_count",
            &[Argument::integer("offset"), Argument::integer("count")],
        )
        .after("LIMIT")
        .optional(),
    ]),
    Doc::new(
        "zrevrangebyscore",
        "2.2.0",
        "Lists the members whose scores lie in a range, from the last on.",
    )
    .complexity("O(log(N)+M)")
    .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::double("max"),
        Argument::double("min"),
        WITHSCORES,
        Argument::block(
            "offset_count",
            &[Argument::integer("offset"), Argument::integer("count")],
        )
        .after("LIMIT")
        .optional(),
    ]),
    Doc::new(
        "zrevrank",
        "2.0.0",
        "Tells how many members stand behind one.",
    )
    .complexity("O(log(N))")
    .categories(&["@sortedset"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::string("member"),
        Argument::token("withscore", "WITHSCORE")
            .since("7.2.0")
            .optional(),
    ]),
    Doc::new(
        "zscan",
        "2.8.0",
        "Walks over the members of a sorted set, some at a time.",
    )
    .complexity("O(1)")
    .categories(&["@sortedset"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::integer("cursor"),
        Argument::pattern("pattern").after("MATCH").optional(),
        Argument::integer("count").after("COUNT").optional(),
    ]),
    Doc::new("zscore", "1.2.0", "Tells the score of a member.")
        .complexity("O(1)")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::string("member")]),
    Doc::new("zunion", "6.2.0", "Unites several sorted sets.")
        .complexity("O(N)+O(M*log(M))")
        .categories(&["@sortedset"])
        .keys(&[KeySpec::counted(1, &["RO", "access"])])
        .arguments(&[
            Argument::integer("numkeys"),
            KEY.multiple(),
            WEIGHTS,
            AGGREGATE,
            WITHSCORES,
        ]),
    Doc::new(
        "zunionstore",
        "2.0.0",
        "Stores the union of several sorted sets.",
    )
    .complexity("O(N)+O(M*log(M))")
    .categories(&["@sortedset"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["OW", "update"]),
        KeySpec::counted(2, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::integer("numkeys"),
        Argument::key("key", 1).multiple(),
        WEIGHTS,
        AGGREGATE,
    ]),
];
