//! The server.

use super::{Argument, Doc};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "bgrewriteaof",
        "1.0.0",
        "Writes a checkpoint in the background, so that the log can be shortened.",
    )
    .complexity("O(1)"),
    Doc::new(
        "bgsave",
        "1.0.0",
        "Writes all data to an RDB file in the background.",
    )
    .complexity("O(1)")
    .arguments(&[Argument::token("schedule", "SCHEDULE")
        .since("3.2.2")
        .optional()]),
    Doc::new("command", "2.8.13", "Describes the commands of the server.")
        .complexity("O(N) where N is the number of commands")
        .categories(&["@connection"])
        .tips(&["nondeterministic_output_order"]),
    Doc::new("command|count", "2.8.13", "Counts the commands.")
        .complexity("O(1)")
        .categories(&["@connection"]),
    Doc::new("command|docs", "7.0.0", "Documents commands.")
        .complexity("O(N) where N is the number of commands asked for")
        .categories(&["@connection"])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::string("command-name").optional().multiple()]),
    Doc::new(
        "command|getkeys",
        "2.8.13",
        "Finds the keys among the arguments of a command.",
    )
    .complexity("O(N) where N is the number of arguments")
    .categories(&["@connection"])
    .arguments(&[
        Argument::string("command"),
        Argument::string("arg").optional().multiple(),
    ]),
    Doc::new(
        "command|getkeysandflags",
        "7.0.0",
        "Finds the keys among the arguments of a command, and what is done with them.",
    )
    .complexity("O(N) where N is the number of arguments")
    .categories(&["@connection"])
    .arguments(&[
        Argument::string("command"),
        Argument::string("arg").optional().multiple(),
    ]),
    Doc::new("command|help", "5.0.0", "Lists the subcommands.")
        .complexity("O(1)")
        .categories(&["@connection"]),
    Doc::new("command|info", "2.8.13", "Describes commands for programs.")
        .complexity("O(N) where N is the number of commands asked for")
        .categories(&["@connection"])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::string("command-name").optional().multiple()]),
    Doc::new("command|list", "7.0.0", "Names the commands.")
        .complexity("O(N) where N is the number of commands")
        .categories(&["@connection"])
        .tips(&["nondeterministic_output_order"])
        .arguments(&[Argument::oneof(
            "filterby",
            &[
                Argument::string("module-name").after("MODULE"),
                Argument::string("category").after("ACLCAT"),
                Argument::pattern("pattern").after("PATTERN"),
            ],
        )
        .after("FILTERBY")
        .optional()]),
    Doc::new("config", "2.0.0", "Reads and changes the configuration.")
        .complexity("As its subcommands"),
    Doc::new(
        "config|get",
        "2.0.0",
        "Reads directives whose names match patterns.",
    )
    .complexity("O(N) where N is the number of directives asked for")
    .arguments(&[Argument::string("parameter").multiple()]),
    Doc::new("config|help", "5.0.0", "Lists the subcommands.").complexity("O(1)"),
    Doc::new(
        "config|resetstat",
        "2.0.0",
        "Sets the counters of INFO back to zero.",
    )
    .complexity("O(1)")
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Doc::new(
        "config|rewrite",
        "2.8.0",
        "Writes the present configuration into its file.",
    )
    .complexity("O(1)")
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Doc::new("config|set", "2.0.0", "Changes directives, all or none.")
        .complexity("O(N) where N is the number of directives")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .arguments(&[Argument::block(
            "data",
            &[Argument::string("parameter"), Argument::string("value")],
        )
        .multiple()]),
    Doc::new("debug", "1.0.0", "For developers and tests.")
        .complexity("As its subcommands")
        .system(),
    Doc::new(
        "info",
        "1.0.0",
        "Describes the state of the server for people and programs.",
    )
    .complexity("O(1)")
    .categories(&["@dangerous"])
    .tips(&[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ])
    .arguments(&[Argument::string("section").optional().multiple()]),
    Doc::new(
        "lastsave",
        "1.0.0",
        "Tells the Unix time of the last RDB file that was written.",
    )
    .complexity("O(1)")
    .categories(&["@admin", "@dangerous"])
    .tips(&["nondeterministic_output"]),
    Doc::new("lolwut", "5.0.0", "Shows a picture and the version.")
        .arguments(&[Argument::integer("version").after("VERSION").optional()]),
    Doc::new(
        "replconf",
        "3.0.0",
        "Tells what the connection that will send SYNC can do.",
    )
    .complexity("O(1)"),
    Doc::new(
        "role",
        "2.8.12",
        "Tells the role of the node, and who follows it.",
    )
    .complexity("O(1)")
    .categories(&["@admin", "@dangerous"]),
    Doc::new(
        "save",
        "1.0.0",
        "Writes all data to an RDB file, and answers when it is there.",
    )
    .complexity("O(N) where N is the number of keys in all databases"),
    Doc::new("shutdown", "1.0.0", "Stops the server.")
        .complexity("O(1)")
        .arguments(&[
            Argument::oneof(
                "save-selector",
                &[
                    Argument::token("nosave", "NOSAVE"),
                    Argument::token("save", "SAVE"),
                ],
            )
            .optional(),
            Argument::token("now", "NOW").since("7.0.0").optional(),
            Argument::token("force", "FORCE").since("7.0.0").optional(),
            Argument::token("abort", "ABORT").since("7.0.0").optional(),
        ]),
    Doc::new("sync", "1.0.0", "Sends all data as an RDB file."),
    Doc::new("time", "2.6.0", "Tells the time of the server.")
        .complexity("O(1)")
        .tips(&["nondeterministic_output"]),
];
