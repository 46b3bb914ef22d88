//! Streams.

use super::{Argument, Doc, KeySpec};

const KEY: Argument = Argument::key("key", 0);
const GROUP: Argument = Argument::string("group");
const CONSUMER: Argument = Argument::string("consumer");
const ID_OR_NEW: Argument = Argument::oneof(
    "id-selector",
    &[Argument::string("id"), Argument::token("new-id", "$")],
);
const ENTRIES_READ: Argument = Argument::integer("entriesread")
    .after("ENTRIESREAD")
    .shown_as("entries-read")
    .optional();
const COUNT: Argument = Argument::integer("count").after("COUNT").optional();
const TRIM: &[Argument] = &[
    Argument::oneof(
        "strategy",
        &[
            Argument::token("maxlen", "MAXLEN"),
            Argument::token("minid", "MINID").since("6.2.0"),
        ],
    ),
    Argument::oneof(
        "operator",
        &[
            Argument::token("equal", "="),
            Argument::token("approximately", "~"),
        ],
    )
    .optional(),
    Argument::string("threshold"),
    Argument::integer("count")
        .after("LIMIT")
        .since("6.2.0")
        .optional(),
];

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "xack",
        "5.0.0",
        "Says that a consumer of a group is done with entries.",
    )
    .complexity("O(1) for each id")
    .categories(&["@stream"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[KEY, GROUP, Argument::string("id").multiple()]),
    Doc::new("xadd", "5.0.0", "Adds an entry to a stream.")
        .complexity("O(1), or O(N) with N entries that are trimmed")
        .categories(&["@stream"])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[
            KEY,
            Argument::token("nomkstream", "NOMKSTREAM")
                .since("6.2.0")
                .optional(),
            Argument::block("trim", TRIM).optional(),
            Argument::oneof(
                "id-selector",
                &[Argument::token("auto-id", "*"), Argument::string("id")],
            ),
            Argument::block(
                "data",
                &[Argument::string("field"), Argument::string("value")],
            )
            .multiple(),
        ]),
    Doc::new(
        "xautoclaim",
        "6.2.0",
        "Takes over what was delivered long ago and not acknowledged.",
    )
    .complexity("O(1) with a small COUNT")
    .categories(&["@stream"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "delete"])])
    .arguments(&[
        KEY,
        GROUP,
        CONSUMER,
        Argument::string("min-idle-time"),
        Argument::string("start"),
        COUNT,
        Argument::token("justid", "JUSTID").optional(),
    ]),
    Doc::new(
        "xclaim",
        "5.0.0",
        "Takes over entries that were delivered to another consumer.",
    )
    .complexity("O(log N) with N pending entries of the group")
    .categories(&["@stream"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        GROUP,
        CONSUMER,
        Argument::string("min-idle-time"),
        Argument::string("id").multiple(),
        Argument::integer("ms").after("IDLE").optional(),
        Argument::unix_time("unix-time-milliseconds")
            .after("TIME")
            .optional(),
        Argument::integer("count").after("RETRYCOUNT").optional(),
        Argument::token("force", "FORCE").optional(),
        Argument::token("justid", "JUSTID").optional(),
        Argument::string("lastid").after("LASTID").optional(),
    ]),
    Doc::new("xdel", "5.0.0", "Deletes entries of a stream.")
        .complexity("O(1) for each id")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
        .arguments(&[KEY, Argument::string("id").multiple()]),
    Doc::new("xgroup", "5.0.0", "Commands about groups of consumers.")
        .complexity("Depends on the subcommand."),
    Doc::new("xgroup|create", "5.0.0", "Adds a group of consumers.")
        .complexity("O(1)")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(2, 0, 1, &["RW", "insert"])])
        .arguments(&[
            KEY,
            GROUP,
            ID_OR_NEW,
            Argument::token("mkstream", "MKSTREAM").optional(),
            ENTRIES_READ,
        ]),
    Doc::new(
        "xgroup|createconsumer",
        "6.2.0",
        "Adds a consumer to a group.",
    )
    .complexity("O(1)")
    .categories(&["@stream"])
    .keys(&[KeySpec::new(2, 0, 1, &["RW", "insert"])])
    .arguments(&[KEY, GROUP, CONSUMER]),
    Doc::new(
        "xgroup|delconsumer",
        "5.0.0",
        "Removes a consumer from a group.",
    )
    .complexity("O(1)")
    .categories(&["@stream"])
    .keys(&[KeySpec::new(2, 0, 1, &["RW", "delete"])])
    .arguments(&[KEY, GROUP, CONSUMER]),
    Doc::new("xgroup|destroy", "5.0.0", "Removes a group of consumers.")
        .complexity("O(N) with N pending entries of the group")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(2, 0, 1, &["RW", "delete"])])
        .arguments(&[KEY, GROUP]),
    Doc::new("xgroup|help", "5.0.0", "Explains the subcommands.")
        .complexity("O(1)")
        .categories(&["@stream"]),
    Doc::new(
        "xgroup|setid",
        "5.0.0",
        "Sets behind which entry a group goes on.",
    )
    .complexity("O(1)")
    .categories(&["@stream"])
    .keys(&[KeySpec::new(2, 0, 1, &["RW", "update"])])
    .arguments(&[KEY, GROUP, ID_OR_NEW, ENTRIES_READ]),
    Doc::new("xinfo", "5.0.0", "Commands that look into streams.")
        .complexity("Depends on the subcommand."),
    Doc::new(
        "xinfo|consumers",
        "5.0.0",
        "Lists the consumers of a group.",
    )
    .complexity("O(1)")
    .categories(&["@stream"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(2, 0, 1, &["RO", "access"])])
    .arguments(&[KEY, GROUP]),
    Doc::new("xinfo|groups", "5.0.0", "Lists the groups of a stream.")
        .complexity("O(1)")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(2, 0, 1, &["RO", "access"])])
        .arguments(&[KEY]),
    Doc::new("xinfo|help", "5.0.0", "Explains the subcommands.")
        .complexity("O(1)")
        .categories(&["@stream"]),
    Doc::new("xinfo|stream", "5.0.0", "Tells what a stream is made of.")
        .complexity("O(1)")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(2, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            Argument::block("full-block", &[Argument::token("full", "FULL"), COUNT]).optional(),
        ]),
    Doc::new("xlen", "5.0.0", "Tells how many entries a stream has.")
        .complexity("O(1)")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO"])])
        .arguments(&[KEY]),
    Doc::new(
        "xpending",
        "5.0.0",
        "Tells what was delivered and not acknowledged.",
    )
    .complexity("O(N) with N entries that are told")
    .categories(&["@stream"])
    .tips(&["nondeterministic_output"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        GROUP,
        Argument::block(
            "filters",
            &[
                Argument::integer("min-idle-time")
                    .after("IDLE")
                    .since("6.2.0")
                    .optional(),
                Argument::string("start"),
                Argument::string("end"),
                Argument::integer("count"),
                CONSUMER.optional(),
            ],
        )
        .optional(),
    ]),
    Doc::new("xrange", "5.0.0", "Tells the entries of a range of ids.")
        .complexity("O(N) with N entries that are told")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            Argument::string("start"),
            Argument::string("end"),
            COUNT,
        ]),
    Doc::new("xread", "5.0.0", "Tells what is new in streams.")
        .complexity("O(N) with N entries that are told")
        .categories(&["@stream"])
        .keys(&[KeySpec::half_behind("STREAMS", 1, &["RO", "access"])])
        .arguments(&[
            COUNT,
            Argument::block(
                "streams",
                &[KEY.multiple(), Argument::string("id").multiple()],
            )
            .after("STREAMS"),
        ]),
    Doc::new(
        "xreadgroup",
        "5.0.0",
        "Delivers what is new in streams to a consumer of a group.",
    )
    .complexity("O(M) with M entries that are told")
    .categories(&["@stream"])
    .keys(&[KeySpec::half_behind("STREAMS", 4, &["RO", "access"])])
    .arguments(&[
        Argument::block("group-block", &[GROUP, CONSUMER]).after("GROUP"),
        COUNT,
        Argument::token("noack", "NOACK").optional(),
        Argument::block(
            "streams",
            &[KEY.multiple(), Argument::string("id").multiple()],
        )
        .after("STREAMS"),
    ]),
    Doc::new(
        "xrevrange",
        "5.0.0",
        "Tells the entries of a range of ids from the last one on.",
    )
    .complexity("O(N) with N entries that are told")
    .categories(&["@stream"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::string("end"),
        Argument::string("start"),
        COUNT,
    ]),
    Doc::new("xsetid", "5.0.0", "Sets the last id of a stream.")
        .complexity("O(1)")
        .categories(&["@stream"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
        .arguments(&[
            KEY,
            Argument::string("last-id"),
            Argument::integer("entries-added")
                .after("ENTRIESADDED")
                .since("7.0.0")
                .optional(),
            Argument::string("max-deleted-id")
                .after("MAXDELETEDID")
                .since("7.0.0")
                .optional(),
        ]),
    Doc::new("xtrim", "5.0.0", "Removes the oldest entries of a stream.")
        .complexity("O(N) with N entries that are removed")
        .categories(&["@stream"])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "delete"])])
        .arguments(&[KEY, Argument::block("trim", TRIM)]),
];
