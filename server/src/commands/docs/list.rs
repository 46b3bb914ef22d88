//! Lists.

use super::{Argument, Doc, KeySpec};

const KEY: Argument = Argument::key("key", 0);
const ELEMENT: Argument = Argument::string("element");
const LEFT_OR_RIGHT: &[Argument] = &[
    Argument::token("left", "LEFT"),
    Argument::token("right", "RIGHT"),
];
const COUNT: Argument = Argument::integer("count").optional();

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new("lindex", "1.0.0", "Tells the element at a position.")
        .complexity("O(N) where N is the distance from the nearer end")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::integer("index")]),
    Doc::new("linsert", "2.2.0", "Inserts an element beside another one.")
        .complexity("O(N) where N is the distance of the pivot from the head")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
        .arguments(&[
            KEY,
            Argument::oneof(
                "where",
                &[
                    Argument::token("before", "BEFORE"),
                    Argument::token("after", "AFTER"),
                ],
            ),
            Argument::string("pivot"),
            ELEMENT,
        ]),
    Doc::new("llen", "1.0.0", "Tells how many elements a list has.")
        .complexity("O(1)")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[KEY]),
    Doc::new(
        "lmove",
        "6.2.0",
        "Takes an element from an end of a list, adds it to an end of another, and tells it.",
    )
    .complexity("O(1)")
    .categories(&["@list"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "delete"]),
        KeySpec::new(2, 0, 1, &["RW", "insert"]),
    ])
    .arguments(&[
        Argument::key("source", 0),
        Argument::key("destination", 1),
        Argument::oneof("wherefrom", LEFT_OR_RIGHT),
        Argument::oneof("whereto", LEFT_OR_RIGHT),
    ]),
    Doc::new(
        "lmpop",
        "7.0.0",
        "Takes elements from an end of the first list that has any.",
    )
    .complexity("O(N+M) where N is the number of keys and M the number of elements")
    .categories(&["@list"])
    .keys(&[KeySpec::counted(1, &["RW", "access", "delete"])])
    .arguments(&[
        Argument::integer("numkeys"),
        KEY.multiple(),
        Argument::oneof("where", LEFT_OR_RIGHT),
        Argument::integer("count").after("COUNT").optional(),
    ]),
    Doc::new("lpop", "1.0.0", "Takes elements from the head of a list.")
        .complexity("O(N) where N is the number of elements")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
        .arguments(&[KEY, COUNT.since("6.2.0")]),
    Doc::new("lpos", "6.0.6", "Tells the positions of equal elements.")
        .complexity("O(N)")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            ELEMENT,
            Argument::integer("rank").after("RANK").optional(),
            Argument::integer("num-matches").after("COUNT").optional(),
            Argument::integer("len").after("MAXLEN").optional(),
        ]),
    Doc::new("lpush", "1.0.0", "Adds elements at the head of a list.")
        .complexity("O(1) for each element")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
        .arguments(&[KEY, ELEMENT.multiple()]),
    Doc::new(
        "lpushx",
        "2.2.0",
        "Adds elements at the head of a list, only if there is one.",
    )
    .complexity("O(1) for each element")
    .categories(&["@list"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
    .arguments(&[KEY, ELEMENT.multiple()]),
    Doc::new("lrange", "1.0.0", "Tells the elements of a range.")
        .complexity(
            "O(S+N) where S is the distance from the nearer end and N the number of elements",
        )
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::integer("start"), Argument::integer("stop")]),
    Doc::new("lrem", "1.0.0", "Removes equal elements.")
        .complexity("O(N)")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
        .arguments(&[KEY, Argument::integer("count"), ELEMENT]),
    Doc::new("lset", "1.0.0", "Replaces the element at a position.")
        .complexity("O(N) where N is the distance from the nearer end")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[KEY, Argument::integer("index"), ELEMENT]),
    Doc::new("ltrim", "1.0.0", "Removes what lies outside of a range.")
        .complexity("O(N) where N is the number of elements that are removed")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
        .arguments(&[KEY, Argument::integer("start"), Argument::integer("stop")]),
    Doc::new("rpop", "1.0.0", "Takes elements from the tail of a list.")
        .complexity("O(N) where N is the number of elements")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
        .arguments(&[KEY, COUNT.since("6.2.0")]),
    Doc::new(
        "rpoplpush",
        "1.2.0",
        "Takes the last element of a list, adds it at the head of another, and tells it.",
    )
    .complexity("O(1)")
    .categories(&["@list"])
    .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "delete"]),
        KeySpec::new(2, 0, 1, &["RW", "insert"]),
    ])
    .arguments(&[Argument::key("source", 0), Argument::key("destination", 1)]),
    Doc::new("rpush", "1.0.0", "Adds elements at the tail of a list.")
        .complexity("O(1) for each element")
        .categories(&["@list"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
        .arguments(&[KEY, ELEMENT.multiple()]),
    Doc::new(
        "rpushx",
        "2.2.0",
        "Adds elements at the tail of a list, only if there is one.",
    )
    .complexity("O(1) for each element")
    .categories(&["@list"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
    .arguments(&[KEY, ELEMENT.multiple()]),
];
