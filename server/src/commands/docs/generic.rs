//! Keys of any type.

use super::{Argument, Doc, KeySpec};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "copy",
        "6.2.0",
        "Copies a value with its expiry to another key.",
    )
    .complexity("O(1) for strings, else O(N) where N is the number of elements")
    .categories(&["@keyspace"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RO", "access"]),
        KeySpec::new(2, 0, 1, &["OW", "update"]),
    ])
    .arguments(&[
        Argument::key("source", 0),
        Argument::key("destination", 1),
        Argument::integer("destination-db").after("DB").optional(),
        Argument::token("replace", "REPLACE").optional(),
    ]),
    Doc::new("del", "1.0.0", "Deletes keys.")
        .complexity("O(N) where N is the number of keys")
        .categories(&["@keyspace"])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[KeySpec::new(1, -1, 1, &["RM", "delete"])])
        .arguments(&[Argument::key("key", 0).multiple()]),
    Doc::new(
        "dump",
        "2.6.0",
        "Serializes a value in the format that RESTORE reads.",
    )
    .complexity("O(N) where N is the size of the value")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "exists",
        "1.0.0",
        "Counts how many of the given keys exist.",
    )
    .complexity("O(N) where N is the number of keys")
    .categories(&["@keyspace"])
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
    .keys(&[KeySpec::new(1, -1, 1, &["RO"])])
    .arguments(&[Argument::key("key", 0).multiple()]),
    Doc::new("expire", "1.0.0", "Lets a key expire after some seconds.")
        .complexity("O(1)")
        .categories(&["@keyspace"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::integer("seconds"),
            Argument::oneof(
                "condition",
                &[
                    Argument::token("nx", "NX"),
                    Argument::token("xx", "XX"),
                    Argument::token("gt", "GT"),
                    Argument::token("lt", "LT"),
                ],
            )
            .since("7.0.0")
            .optional(),
        ]),
    Doc::new(
        "expireat",
        "1.2.0",
        "Lets a key expire at a Unix time in seconds.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::unix_time("unix-time-seconds"),
        Argument::oneof(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .since("7.0.0")
        .optional(),
    ]),
    Doc::new(
        "expiretime",
        "7.0.0",
        "Tells when a key expires, as a Unix time in seconds.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "keys",
        "1.0.0",
        "Lists all keys whose names match a pattern.",
    )
    .complexity("O(N) where N is the number of keys in the database")
    .categories(&["@keyspace", "@dangerous"])
    .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
    .arguments(&[Argument::pattern("pattern")]),
    Doc::new("move", "1.0.0", "Moves a key to another database.")
        .complexity("O(1)")
        .categories(&["@keyspace"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
        .arguments(&[Argument::key("key", 0), Argument::integer("db")]),
    Doc::new("object", "2.2.3", "Tells how a value is stored and used.")
        .complexity("As its subcommands"),
    Doc::new(
        "object|encoding",
        "2.2.3",
        "Names the internal representation of a value.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(2, 0, 1, &["RO"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "object|freq",
        "4.0.0",
        "Tells how often a key is used, on a logarithmic scale.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(2, 0, 1, &["RO"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new("object|help", "6.2.0", "Lists the subcommands.")
        .complexity("O(1)")
        .categories(&["@keyspace"]),
    Doc::new(
        "object|idletime",
        "2.2.3",
        "Tells how many seconds ago a key was last used.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(2, 0, 1, &["RO"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "object|refcount",
        "2.2.3",
        "Tells how many references there are to a value.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(2, 0, 1, &["RO"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new("persist", "2.2.0", "Removes the expiry of a key.")
        .complexity("O(1)")
        .categories(&["@keyspace"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "pexpire",
        "2.6.0",
        "Lets a key expire after some milliseconds.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::integer("milliseconds"),
        Argument::oneof(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .since("7.0.0")
        .optional(),
    ]),
    Doc::new(
        "pexpireat",
        "2.6.0",
        "Lets a key expire at a Unix time in milliseconds.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::unix_time("unix-time-milliseconds"),
        Argument::oneof(
            "condition",
            &[
                Argument::token("nx", "NX"),
                Argument::token("xx", "XX"),
                Argument::token("gt", "GT"),
                Argument::token("lt", "LT"),
            ],
        )
        .since("7.0.0")
        .optional(),
    ]),
    Doc::new(
        "pexpiretime",
        "7.0.0",
        "Tells when a key expires, as a Unix time in milliseconds.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "pttl",
        "2.6.0",
        "Tells how many milliseconds are left until a key expires.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new("randomkey", "1.0.0", "Names a key at random.")
        .complexity("O(1)")
        .categories(&["@keyspace"])
        .tips(&[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ]),
    Doc::new(
        "rename",
        "1.0.0",
        "Renames a key, replacing the one that has the new name.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "delete"]),
        KeySpec::new(2, 0, 1, &["OW", "update"]),
    ])
    .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)]),
    Doc::new(
        "renamenx",
        "1.0.0",
        "Renames a key, if no key has the new name.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "delete"]),
        KeySpec::new(2, 0, 1, &["OW", "insert"]),
    ])
    .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)]),
    Doc::new("restore", "2.6.0", "Makes a key from what DUMP serialized.")
        .complexity("O(N) where N is the size of the value")
        .categories(&["@keyspace", "@dangerous"])
        .keys(&[KeySpec::new(1, 0, 1, &["OW", "update"])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::integer("ttl"),
            Argument::string("serialized-value"),
            Argument::token("replace", "REPLACE")
                .since("3.0.0")
                .optional(),
            Argument::token("absttl", "ABSTTL")
                .since("5.0.0")
                .optional(),
            Argument::integer("seconds")
                .after("IDLETIME")
                .since("5.0.0")
                .optional(),
            Argument::integer("frequency")
                .after("FREQ")
                .since("5.0.0")
                .optional(),
        ]),
    Doc::new(
        "scan",
        "2.8.0",
        "Walks over the names of the keys in steps.",
    )
    .complexity("O(1) per call, O(N) for a whole walk over N keys")
    .categories(&["@keyspace"])
    .tips(&[
        "nondeterministic_output",
        "request_policy:special",
        "response_policy:special",
    ])
    .arguments(&[
        Argument::integer("cursor"),
        Argument::pattern("pattern").after("MATCH").optional(),
        Argument::integer("count").after("COUNT").optional(),
        Argument::string("type")
            .after("TYPE")
            .since("6.0.0")
            .optional(),
    ]),
    Doc::new(
        "touch",
        "3.2.1",
        "Counts keys as used now, and how many of them exist.",
    )
    .complexity("O(N) where N is the number of keys")
    .categories(&["@keyspace"])
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
    .keys(&[KeySpec::new(1, -1, 1, &["RO"])])
    .arguments(&[Argument::key("key", 0).multiple()]),
    Doc::new(
        "ttl",
        "1.0.0",
        "Tells how many seconds are left until a key expires.",
    )
    .complexity("O(1)")
    .categories(&["@keyspace"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[Argument::key("key", 0)]),
    Doc::new("type", "1.0.0", "Names the type of a value.")
        .complexity("O(1)")
        .categories(&["@keyspace"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[Argument::key("key", 0)]),
    Doc::new(
        "unlink",
        "4.0.0",
        "Deletes keys and frees their memory in the background.",
    )
    .complexity("O(1) per key")
    .categories(&["@keyspace"])
    .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
    .keys(&[KeySpec::new(1, -1, 1, &["RM", "delete"])])
    .arguments(&[Argument::key("key", 0).multiple()]),
    Doc::new(
        "wait",
        "3.0.0",
        "Waits until the preceding writes of the connection are held by other nodes.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .tips(&["request_policy:all_shards", "response_policy:agg_min"])
    .arguments(&[
        Argument::integer("numreplicas"),
        Argument::integer("timeout"),
    ]),
    Doc::new(
        "waitaof",
        "7.2.0",
        "Waits until the preceding writes of the connection are on the disk of the leader, and of other nodes.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .tips(&["request_policy:all_shards", "response_policy:agg_min"])
    .arguments(&[
        Argument::integer("numlocal"),
        Argument::integer("numreplicas"),
        Argument::integer("timeout"),
    ]),
];
