//! Databases and memory.

use super::{Argument, Doc, KeySpec};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new("dbsize", "1.0.0", "Counts the keys of the database.")
        .complexity("O(1)")
        .categories(&["@keyspace"])
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    Doc::new("flushall", "1.0.0", "Deletes all keys of all databases.")
        .complexity("O(1)")
        .categories(&["@keyspace", "@dangerous"])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .arguments(&[Argument::oneof(
            "flush-type",
            &[
                Argument::token("async", "ASYNC").since("4.0.0"),
                Argument::token("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()]),
    Doc::new("flushdb", "1.0.0", "Deletes all keys of the database.")
        .complexity("O(1)")
        .categories(&["@keyspace", "@dangerous"])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .arguments(&[Argument::oneof(
            "flush-type",
            &[
                Argument::token("async", "ASYNC").since("4.0.0"),
                Argument::token("sync", "SYNC").since("6.2.0"),
            ],
        )
        .optional()]),
    Doc::new("memory", "4.0.0", "Tells how much memory something takes.")
        .complexity("As its subcommands"),
    Doc::new("memory|help", "4.0.0", "Lists the subcommands.").complexity("O(1)"),
    Doc::new(
        "memory|usage",
        "4.0.0",
        "Estimates the memory that a key and its value take.",
    )
    .complexity("O(N) where N is the number of samples")
    .keys(&[KeySpec::new(2, 0, 1, &["RO"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::integer("count").after("SAMPLES").optional(),
    ]),
    Doc::new("swapdb", "4.0.0", "Exchanges two databases.")
        .complexity("O(1)")
        .categories(&["@keyspace", "@dangerous"])
        .arguments(&[Argument::integer("index1"), Argument::integer("index2")]),
];
