//! Sets.

use super::{Argument, Doc, KeySpec};

const PATTERN: Argument = Argument::pattern("pattern").after("MATCH").optional();
const COUNT: Argument = Argument::integer("count").after("COUNT").optional();
const KEY: Argument = Argument::key("key", 0);

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "sadd",
        "1.0.0",
        "Adds members to a set, and creates it if need be.",
    )
    .complexity("O(1)")
    .categories(&["@set"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
    .arguments(&[KEY, Argument::string("member").multiple()]),
    Doc::new("scard", "1.0.0", "Counts the members of a set.")
        .complexity("O(1)")
        .categories(&["@set"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[KEY]),
    Doc::new(
        "sdiff",
        "1.0.0",
        "Finds what the first of several sets has alone.",
    )
    .complexity("O(N)")
    .categories(&["@set"])
    .tips(&["nondeterministic_output_order"])
    .keys(&[KeySpec::new(1, -1, 1, &["RO", "access"])])
    .arguments(&[KEY.multiple()]),
    Doc::new(
        "sdiffstore",
        "1.0.0",
        "Stores what the first of several sets has alone.",
    )
    .complexity("O(N)")
    .categories(&["@set"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["OW", "update"]),
        KeySpec::new(2, -1, 1, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::key("key", 1).multiple(),
    ]),
    Doc::new("sinter", "1.0.0", "Finds what several sets have in common.")
        .complexity("O(N*M)")
        .categories(&["@set"])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::new(1, -1, 1, &["RO", "access"])])
        .arguments(&[KEY.multiple()]),
    Doc::new(
        "sintercard",
        "7.0.0",
        "Counts what several sets have in common.",
    )
    .complexity("O(N*M)")
    .categories(&["@set"])
    .keys(&[KeySpec::counted(1, &["RO", "access"])])
    .arguments(&[
        Argument::integer("numkeys"),
        KEY.multiple(),
        Argument::integer("limit").after("LIMIT").optional(),
    ]),
    Doc::new(
        "sinterstore",
        "1.0.0",
        "Stores what several sets have in common.",
    )
    .complexity("O(N*M)")
    .categories(&["@set"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "update"]),
        KeySpec::new(2, -1, 1, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::key("key", 1).multiple(),
    ]),
    Doc::new(
        "sismember",
        "1.0.0",
        "Tells whether something is a member of a set.",
    )
    .complexity("O(1)")
    .categories(&["@set"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
    .arguments(&[KEY, Argument::string("member")]),
    Doc::new("smembers", "1.0.0", "Lists the members of a set.")
        .complexity("O(N)")
        .categories(&["@set"])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY]),
    Doc::new(
        "smismember",
        "6.2.0",
        "Tells of several things whether they are members of a set.",
    )
    .complexity("O(N)")
    .categories(&["@set"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, Argument::string("member").multiple()]),
    Doc::new("smove", "1.0.0", "Moves a member from one set to another.")
        .complexity("O(1)")
        .categories(&["@set"])
        .keys(&[
            KeySpec::new(1, 0, 1, &["RW", "access", "delete"]),
            KeySpec::new(2, 0, 1, &["RW", "insert"]),
        ])
        .arguments(&[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::string("member"),
        ]),
    Doc::new("spop", "1.0.0", "Takes members out of a set at random.")
        .complexity("O(1)")
        .categories(&["@set"])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
        .arguments(&[KEY, Argument::integer("count").since("3.2.0").optional()]),
    Doc::new("srandmember", "1.0.0", "Draws members of a set at random.")
        .complexity("O(1)")
        .categories(&["@set"])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::integer("count").since("2.6.0").optional()]),
    Doc::new(
        "srem",
        "1.0.0",
        "Removes members from a set, and the set with the last one.",
    )
    .complexity("O(N)")
    .categories(&["@set"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
    .arguments(&[KEY, Argument::string("member").multiple()]),
    Doc::new(
        "sscan",
        "2.8.0",
        "Walks over the members of a set, some at a time.",
    )
    .complexity("O(1)")
    .categories(&["@set"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, Argument::integer("cursor"), PATTERN, COUNT]),
    Doc::new("sunion", "1.0.0", "Unites several sets.")
        .complexity("O(N)")
        .categories(&["@set"])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::new(1, -1, 1, &["RO", "access"])])
        .arguments(&[KEY.multiple()]),
    Doc::new("sunionstore", "1.0.0", "Stores the union of several sets.")
        .complexity("O(N)")
        .categories(&["@set"])
        .keys(&[
            KeySpec::new(1, 0, 1, &["OW", "update"]),
            KeySpec::new(2, -1, 1, &["RO", "access"]),
        ])
        .arguments(&[
            Argument::key("destination", 0),
            Argument::key("key", 1).multiple(),
        ]),
];
