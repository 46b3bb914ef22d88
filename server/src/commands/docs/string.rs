//! Strings.

use super::{Argument, Doc, KeySpec};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "append",
        "2.0.0",
        "Adds bytes to the end of a string; a missing key counts as empty.",
    )
    .complexity("O(1) amortized, for a short addition")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
    .arguments(&[Argument::key("key", 0), Argument::string("value")]),
    Doc::new(
        "decr",
        "1.0.0",
        "Subtracts one from an integer; a missing key counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "decrby",
        "1.0.0",
        "Subtracts a number from an integer; a missing key counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0), Argument::integer("decrement")]),
    Doc::new("get", "1.0.0", "Reads a string.")
        .complexity("O(1)")
        .categories(&["@string"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[Argument::key("key", 0)]),
    Doc::new("getdel", "6.2.0", "Reads a string and deletes its key.")
        .complexity("O(1)")
        .categories(&["@string"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
        .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "getex",
        "6.2.0",
        "Reads a string and sets, changes or removes the expiry of its key.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])
        .notes("RW and update because the expiry may change")])
    .arguments(&[
        Argument::key("key", 0),
        Argument::oneof(
            "expiration",
            &[
                Argument::integer("seconds").after("EX"),
                Argument::integer("milliseconds").after("PX"),
                Argument::unix_time("unix-time-seconds").after("EXAT"),
                Argument::unix_time("unix-time-milliseconds").after("PXAT"),
                Argument::token("persist", "PERSIST"),
            ],
        )
        .optional(),
    ]),
    Doc::new("getrange", "2.4.0", "Reads a part of a string.")
        .complexity("O(N) where N is the length of the part")
        .categories(&["@string"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::integer("start"),
            Argument::integer("end"),
        ]),
    Doc::new(
        "getset",
        "1.0.0",
        "Stores a string and answers the one that it replaces.",
    )
    .complexity("O(1)")
    .deprecated("6.2.0", "`SET` with the `GET` option")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0), Argument::string("value")]),
    Doc::new(
        "incr",
        "1.0.0",
        "Adds one to an integer; a missing key counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "incrby",
        "1.0.0",
        "Adds a number to an integer; a missing key counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0), Argument::integer("increment")]),
    Doc::new(
        "incrbyfloat",
        "2.6.0",
        "Adds a decimal fraction to a number; a missing key counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0), Argument::double("increment")]),
    Doc::new(
        "lcs",
        "7.0.0",
        "Finds the longest common subsequence of two strings.",
    )
    .complexity("O(N*M) where N and M are the lengths of the two strings")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 1, 1, &["RO", "access"])])
    .arguments(&[
        Argument::key("key1", 0),
        Argument::key("key2", 0),
        Argument::token("len", "LEN").optional(),
        Argument::token("idx", "IDX").optional(),
        Argument::integer("min-match-len")
            .after("MINMATCHLEN")
            .optional(),
        Argument::token("withmatchlen", "WITHMATCHLEN").optional(),
    ]),
    Doc::new("mget", "1.0.0", "Reads several strings at once.")
        .complexity("O(N) where N is the number of keys")
        .categories(&["@string"])
        .tips(&["request_policy:multi_shard"])
        .keys(&[KeySpec::new(1, -1, 1, &["RO", "access"])])
        .arguments(&[Argument::key("key", 0).multiple()]),
    Doc::new("mset", "1.0.1", "Stores several strings at once.")
        .complexity("O(N) where N is the number of keys")
        .categories(&["@string"])
        .tips(&[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ])
        .keys(&[KeySpec::new(1, -1, 2, &["OW", "update"])])
        .arguments(&[Argument::block(
            "data",
            &[Argument::key("key", 0), Argument::string("value")],
        )
        .multiple()]),
    Doc::new(
        "msetnx",
        "1.0.1",
        "Stores several strings at once, if none of the keys exists.",
    )
    .complexity("O(N) where N is the number of keys")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, -1, 2, &["OW", "insert"])])
    .arguments(&[Argument::block(
        "data",
        &[Argument::key("key", 0), Argument::string("value")],
    )
    .multiple()]),
    Doc::new(
        "psetex",
        "2.6.0",
        "Stores a string with an expiry in milliseconds.",
    )
    .complexity("O(1)")
    .deprecated("2.6.12", "`SET` with the `PX` option")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["OW", "update"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::integer("milliseconds"),
        Argument::string("value"),
    ]),
    Doc::new(
        "set",
        "1.0.0",
        "Stores a string, whatever the key held before.",
    )
    .complexity("O(1)")
    .categories(&["@string"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "update", "variable_flags"])
            .notes("RW and access because of GET"),
    ])
    .arguments(&[
        Argument::key("key", 0),
        Argument::string("value"),
        Argument::oneof(
            "condition",
            &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
        )
        .since("2.6.12")
        .optional(),
        Argument::token("get", "GET").since("6.2.0").optional(),
        Argument::oneof(
            "expiration",
            &[
                Argument::integer("seconds").after("EX").since("2.6.12"),
                Argument::integer("milliseconds")
                    .after("PX")
                    .since("2.6.12"),
                Argument::unix_time("unix-time-seconds")
                    .after("EXAT")
                    .since("6.2.0"),
                Argument::unix_time("unix-time-milliseconds")
                    .after("PXAT")
                    .since("6.2.0"),
                Argument::token("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ]),
    Doc::new(
        "setex",
        "2.0.0",
        "Stores a string with an expiry in seconds.",
    )
    .complexity("O(1)")
    .deprecated("2.6.12", "`SET` with the `EX` option")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["OW", "update"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::integer("seconds"),
        Argument::string("value"),
    ]),
    Doc::new(
        "setnx",
        "1.0.0",
        "Stores a string, if the key does not exist.",
    )
    .complexity("O(1)")
    .deprecated("2.6.12", "`SET` with the `NX` option")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["OW", "insert"])])
    .arguments(&[Argument::key("key", 0), Argument::string("value")]),
    Doc::new(
        "setrange",
        "2.2.0",
        "Overwrites a part of a string, which grows as needed.",
    )
    .complexity("O(N) where N is the length of the value")
    .categories(&["@string"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::integer("offset"),
        Argument::string("value"),
    ]),
    Doc::new("strlen", "2.2.0", "Counts the bytes of a string.")
        .complexity("O(1)")
        .categories(&["@string"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[Argument::key("key", 0)]),
    Doc::new("substr", "1.0.0", "Reads a part of a string.")
        .complexity("O(N) where N is the length of the part")
        .deprecated("2.0.0", "`GETRANGE`")
        .categories(&["@string"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::integer("start"),
            Argument::integer("end"),
        ]),
];
