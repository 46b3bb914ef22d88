//! Connections.

use super::{Argument, Doc};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new("auth", "1.0.0", "Authenticates the connection.")
        .complexity("O(1)")
        .categories(&["@connection"])
        .arguments(&[
            Argument::string("username").since("6.0.0").optional(),
            Argument::string("password"),
        ]),
    Doc::new(
        "client",
        "2.4.0",
        "Tells and changes what concerns connections.",
    )
    .complexity("As its subcommands"),
    Doc::new(
        "client|capa",
        "7.2.0",
        "Tells what the client can do; of all capabilities, redirect is known.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .arguments(&[Argument::string("capability").multiple()]),
    Doc::new(
        "client|getname",
        "2.6.9",
        "Tells the name of the connection.",
    )
    .complexity("O(1)")
    .categories(&["@connection"]),
    Doc::new("client|help", "5.0.0", "Lists the subcommands.")
        .complexity("O(1)")
        .categories(&["@connection"]),
    Doc::new("client|id", "5.0.0", "Tells the number of the connection.")
        .complexity("O(1)")
        .categories(&["@connection"]),
    Doc::new("client|info", "6.2.0", "Tells the state of the connection.")
        .complexity("O(1)")
        .categories(&["@connection"])
        .tips(&["nondeterministic_output"]),
    Doc::new("client|kill", "2.4.0", "Closes connections.")
        .complexity("O(N) where N is the number of connections")
        .categories(&["@connection"])
        .arguments(&[Argument::oneof(
            "filter",
            &[
                Argument::string("old-format")
                    .shown_as("ip:port")
                    .deprecated_since("2.8.12"),
                Argument::oneof(
                    "new-format",
                    &[
                        Argument::integer("client-id")
                            .after("ID")
                            .since("2.8.12")
                            .optional(),
                        Argument::oneof(
                            "client-type",
                            &[
                                Argument::token("normal", "normal"),
                                Argument::token("master", "master").since("3.2.0"),
                                Argument::token("slave", "slave"),
                                Argument::token("replica", "replica").since("5.0.0"),
                                Argument::token("pubsub", "pubsub"),
                            ],
                        )
                        .after("TYPE")
                        .since("2.8.12")
                        .optional(),
                        Argument::string("username").after("USER").optional(),
                        Argument::string("addr")
                            .after("ADDR")
                            .shown_as("ip:port")
                            .optional(),
                        Argument::string("laddr")
                            .after("LADDR")
                            .shown_as("ip:port")
                            .since("6.2.0")
                            .optional(),
                        Argument::oneof(
                            "skipme",
                            &[Argument::token("yes", "YES"), Argument::token("no", "NO")],
                        )
                        .after("SKIPME")
                        .optional(),
                        Argument::integer("maxage")
                            .after("MAXAGE")
                            .since("7.4.0")
                            .optional(),
                    ],
                )
                .multiple(),
            ],
        )]),
    Doc::new(
        "client|list",
        "2.4.0",
        "Tells the state of all or some connections.",
    )
    .complexity("O(N) where N is the number of connections")
    .categories(&["@connection"])
    .tips(&["nondeterministic_output"])
    .arguments(&[
        Argument::oneof(
            "client-type",
            &[
                Argument::token("normal", "normal"),
                Argument::token("master", "master"),
                Argument::token("replica", "replica"),
                Argument::token("pubsub", "pubsub"),
            ],
        )
        .after("TYPE")
        .since("5.0.0")
        .optional(),
        Argument::integer("client-id")
            .after("ID")
            .since("6.2.0")
            .optional()
            .multiple(),
    ]),
    Doc::new(
        "client|no-evict",
        "7.0.0",
        "Exempts the connection from being closed when memory is short.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .arguments(&[Argument::oneof(
        "enabled",
        &[Argument::token("on", "ON"), Argument::token("off", "OFF")],
    )]),
    Doc::new(
        "client|no-touch",
        "7.2.0",
        "Decides whether the reads of the connection count as uses of keys.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .arguments(&[Argument::oneof(
        "enabled",
        &[Argument::token("on", "ON"), Argument::token("off", "OFF")],
    )]),
    Doc::new(
        "client|reply",
        "3.2.0",
        "Turns the replies to the connection off and on.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .arguments(&[Argument::oneof(
        "action",
        &[
            Argument::token("on", "ON"),
            Argument::token("off", "OFF"),
            Argument::token("skip", "SKIP"),
        ],
    )]),
    Doc::new(
        "client|setinfo",
        "7.2.0",
        "Notes the name or version of the client library.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
    .arguments(&[Argument::oneof(
        "attr",
        &[
            Argument::string("libname").after("lib-name"),
            Argument::string("libver").after("lib-ver"),
        ],
    )]),
    Doc::new("client|setname", "2.6.9", "Names the connection.")
        .complexity("O(1)")
        .categories(&["@connection"])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .arguments(&[Argument::string("connection-name")]),
    Doc::new(
        "client|staleness",
        "7.2.0",
        "Lets the connection's node answer reads from its own memory, up to so many milliseconds old.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .arguments(&[Argument::oneof(
        "bound",
        &[
            Argument::integer("milliseconds"),
            Argument::token("off", "OFF"),
        ],
    )]),
    Doc::new("echo", "1.0.0", "Answers the given text.")
        .complexity("O(1)")
        .categories(&["@connection"])
        .arguments(&[Argument::string("message")]),
    Doc::new(
        "hello",
        "6.0.0",
        "Opens the conversation: protocol version, authentication and name in one.",
    )
    .complexity("O(1)")
    .categories(&["@connection"])
    .arguments(&[Argument::block(
        "arguments",
        &[
            Argument::integer("protover"),
            Argument::block(
                "auth",
                &[Argument::string("username"), Argument::string("password")],
            )
            .after("AUTH")
            .optional(),
            Argument::string("clientname").after("SETNAME").optional(),
        ],
    )
    .optional()]),
    Doc::new("ping", "1.0.0", "Answers PONG, or the given text.")
        .complexity("O(1)")
        .categories(&["@connection"])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .arguments(&[Argument::string("message").optional()]),
    Doc::new("quit", "1.0.0", "Closes the connection.")
        .complexity("O(1)")
        .deprecated("7.2.0", "just closing the connection")
        .categories(&["@connection"]),
    Doc::new(
        "reset",
        "6.2.0",
        "Sets the connection back to how it began.",
    )
    .complexity("O(1)")
    .categories(&["@connection"]),
    Doc::new("select", "1.0.0", "Chooses the database of the connection.")
        .complexity("O(1)")
        .categories(&["@connection"])
        .arguments(&[Argument::integer("index")]),
];
