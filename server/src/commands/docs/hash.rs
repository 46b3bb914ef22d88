//! Hashes.

use super::{Argument, Doc, KeySpec};

const FIELDS: Argument = Argument::block(
    "fields",
    &[
        Argument::integer("numfields"),
        Argument::string("field").multiple(),
    ],
)
.after("FIELDS");
const CONDITION: Argument = Argument::oneof(
    "condition",
    &[
        Argument::token("nx", "NX"),
        Argument::token("xx", "XX"),
        Argument::token("gt", "GT"),
        Argument::token("lt", "LT"),
    ],
)
.optional();
const DATA: Argument = Argument::block(
    "data",
    &[Argument::string("field"), Argument::string("value")],
)
.multiple();
const EX: Argument = Argument::integer("seconds").after("EX");
const PX: Argument = Argument::integer("milliseconds").after("PX");
const EXAT: Argument = Argument::unix_time("unix-time-seconds").after("EXAT");
const PXAT: Argument = Argument::unix_time("unix-time-milliseconds").after("PXAT");
const PATTERN: Argument = Argument::pattern("pattern").after("MATCH").optional();
const COUNT: Argument = Argument::integer("count").after("COUNT").optional();
const KEY: Argument = Argument::key("key", 0);

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "hdel",
        "2.0.0",
        "Deletes fields of a hash, and the hash with the last one.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
    .arguments(&[KEY, Argument::string("field").multiple()]),
    Doc::new("hexists", "2.0.0", "Tells whether a hash has a field.")
        .complexity("O(1)")
        .categories(&["@hash"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[KEY, Argument::string("field")]),
    Doc::new(
        "hexpire",
        "7.4.0",
        "Lets fields of a hash expire after some seconds.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[KEY, Argument::integer("seconds"), CONDITION, FIELDS]),
    Doc::new(
        "hexpireat",
        "7.4.0",
        "Lets fields of a hash expire at a Unix time in seconds.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        Argument::unix_time("unix-time-seconds"),
        CONDITION,
        FIELDS,
    ]),
    Doc::new(
        "hexpiretime",
        "7.4.0",
        "Tells at which Unix time in seconds fields of a hash expire.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, FIELDS]),
    Doc::new("hget", "2.0.0", "Reads one field of a hash.")
        .complexity("O(1)")
        .categories(&["@hash"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::string("field")]),
    Doc::new(
        "hgetall",
        "2.0.0",
        "Reads all fields of a hash with their values.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .tips(&["nondeterministic_output_order"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY]),
    Doc::new(
        "hgetdel",
        "8.0.0",
        "Reads fields of a hash, and deletes them.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
    .arguments(&[KEY, FIELDS]),
    Doc::new(
        "hgetex",
        "8.0.0",
        "Reads fields of a hash, and sets or clears when they expire.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        Argument::oneof(
            "expiration",
            &[EX, PX, EXAT, PXAT, Argument::token("persist", "PERSIST")],
        )
        .optional(),
        FIELDS,
    ]),
    Doc::new(
        "hincrby",
        "2.0.0",
        "Adds to the integer in a field of a hash; none counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[
        KEY,
        Argument::string("field"),
        Argument::integer("increment"),
    ]),
    Doc::new(
        "hincrbyfloat",
        "2.6.0",
        "Adds to the number in a field of a hash, whole or not; none counts as 0.",
    )
    .complexity("O(1)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[
        KEY,
        Argument::string("field"),
        Argument::double("increment"),
    ]),
    Doc::new("hkeys", "2.0.0", "Lists the fields of a hash.")
        .complexity("O(N)")
        .categories(&["@hash"])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY]),
    Doc::new("hlen", "2.0.0", "Counts the fields of a hash.")
        .complexity("O(1)")
        .categories(&["@hash"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[KEY]),
    Doc::new("hmget", "2.0.0", "Reads several fields of a hash.")
        .complexity("O(N)")
        .categories(&["@hash"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::string("field").multiple()]),
    Doc::new("hmset", "2.0.0", "Sets several fields of a hash.")
        .complexity("O(N)")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs")
        .categories(&["@hash"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[KEY, DATA]),
    Doc::new("hpersist", "7.4.0", "Keeps fields of a hash from expiring.")
        .complexity("O(N)")
        .categories(&["@hash"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[KEY, FIELDS]),
    Doc::new(
        "hpexpire",
        "7.4.0",
        "Lets fields of a hash expire after some milliseconds.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[KEY, Argument::integer("milliseconds"), CONDITION, FIELDS]),
    Doc::new(
        "hpexpireat",
        "7.4.0",
        "Lets fields of a hash expire at a Unix time in milliseconds.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        Argument::unix_time("unix-time-milliseconds"),
        CONDITION,
        FIELDS,
    ]),
    Doc::new(
        "hpexpiretime",
        "7.4.0",
        "Tells at which Unix time in milliseconds fields of a hash expire.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, FIELDS]),
    Doc::new(
        "hpttl",
        "7.4.0",
        "Tells in how many milliseconds fields of a hash expire.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, FIELDS]),
    Doc::new("hrandfield", "6.2.0", "Draws fields of a hash at random.")
        .complexity("O(N)")
        .categories(&["@hash"])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            Argument::block(
                "options",
                &[
                    Argument::integer("count"),
                    Argument::token("withvalues", "WITHVALUES").optional(),
                ],
            )
            .optional(),
        ]),
    Doc::new(
        "hscan",
        "2.8.0",
        "Walks over the fields of a hash, some at a time.",
    )
    .complexity("O(1)")
    .categories(&["@hash"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, Argument::integer("cursor"), PATTERN, COUNT]),
    Doc::new(
        "hset",
        "2.0.0",
        "Sets fields of a hash, and creates it if need be.",
    )
    .complexity("O(1)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[KEY, DATA]),
    Doc::new(
        "hsetex",
        "8.0.0",
        "Sets fields of a hash together with when they expire.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        Argument::oneof(
            "condition",
            &[Argument::token("fnx", "FNX"), Argument::token("fxx", "FXX")],
        )
        .optional(),
        Argument::oneof(
            "expiration",
            &[EX, PX, EXAT, PXAT, Argument::token("keepttl", "KEEPTTL")],
        )
        .optional(),
        Argument::block("fields", &[Argument::integer("numfields"), DATA]).after("FIELDS"),
    ]),
    Doc::new(
        "hsetnx",
        "2.0.0",
        "Sets a field of a hash unless it is there.",
    )
    .complexity("O(1)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
    .arguments(&[KEY, Argument::string("field"), Argument::string("value")]),
    Doc::new(
        "hstrlen",
        "3.2.0",
        "Tells how long the value of a field is.",
    )
    .complexity("O(1)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
    .arguments(&[KEY, Argument::string("field")]),
    Doc::new(
        "httl",
        "7.4.0",
        "Tells in how many seconds fields of a hash expire.",
    )
    .complexity("O(N)")
    .categories(&["@hash"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, FIELDS]),
    Doc::new("hvals", "2.0.0", "Lists the values of a hash.")
        .complexity("O(N)")
        .categories(&["@hash"])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY]),
];
