//! SORT and SORT_RO.

use super::{Argument, Doc, KeySpec};

const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements and M that of those that are answered; O(N) where nothing \
                          is sorted";
const CATEGORIES: &[&str] = &["@set", "@sortedset", "@list", "@dangerous"];

const SORTED: KeySpec = KeySpec::new(1, 0, 1, &["RO", "access"]);
const LOOKED_UP: KeySpec = KeySpec::unknown(
    "BY and GET look keys up whose names come from the elements",
    &["RO", "access"],
);
const STORED: KeySpec = KeySpec::unknown(
    "STORE may stand anywhere among the options",
    &["OW", "update"],
);

const KEY: Argument = Argument::key("key", 0);
const BY: Argument = Argument::key_pattern("by-pattern", 1)
    .shown_as("pattern")
    .after("BY")
    .optional();
const LIMIT: Argument = Argument::block(
    "limit",
    &[Argument::integer("offset"), Argument::integer("count")],
)
.after("LIMIT")
.optional();
const GET: Argument = Argument::key_pattern("get-pattern", 1)
    .shown_as("pattern")
    .after("GET")
    .optional()
    .multiple()
    .with_token_each();
const ORDER: Argument = Argument::oneof(
    "order",
    &[
        Argument::token("asc", "ASC"),
        Argument::token("desc", "DESC"),
    ],
)
.optional();
const ALPHA: Argument = Argument::token("sorting", "ALPHA").optional();

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "sort",
        "1.0.0",
        "Sorts a list, a set or a sorted set, and may store the result.",
    )
    .complexity(COMPLEXITY)
    .categories(CATEGORIES)
    .keys(&[SORTED, LOOKED_UP, STORED])
    .arguments(&[
        KEY,
        BY,
        LIMIT,
        GET,
        ORDER,
        ALPHA,
        Argument::key("destination", 2).after("STORE").optional(),
    ]),
    Doc::new(
        "sort_ro",
        "7.0.0",
        "Answers the elements of a list, a set or a sorted set in order.",
    )
    .complexity(COMPLEXITY)
    .categories(CATEGORIES)
    .keys(&[SORTED, LOOKED_UP])
    .arguments(&[KEY, BY, LIMIT, GET, ORDER, ALPHA]),
];
