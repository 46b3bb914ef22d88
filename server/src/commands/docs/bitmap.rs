//! Bitmaps.

use super::{Argument, Doc, KeySpec};

const ENCODING: Argument = Argument::string("encoding");
const OFFSET: Argument = Argument::integer("offset");

/// `BYTE` or `BIT` behind a range.
const UNIT: Argument = Argument::oneof(
    "unit",
    &[
        Argument::token("byte", "BYTE"),
        Argument::token("bit", "BIT"),
    ],
)
.since("7.0.0")
.optional();

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "bitcount",
        "2.6.0",
        "Counts the bits of a string that are set.",
    )
    .complexity("O(N)")
    .categories(&["@bitmap"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::block(
            "range",
            &[Argument::integer("start"), Argument::integer("end"), UNIT],
        )
        .optional(),
    ]),
    Doc::new(
        "bitfield",
        "3.2.0",
        "Reads, sets and increments integers of any width inside a string.",
    )
    .complexity("O(1) for each subcommand specified")
    .categories(&["@bitmap"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "update", "variable_flags"])
            .notes("RO and access when all subcommands are GET"),
    ])
    .arguments(&[
        Argument::key("key", 0),
        Argument::oneof(
            "operation",
            &[
                Argument::block("get-block", &[ENCODING, OFFSET]).after("GET"),
                Argument::block(
                    "write",
                    &[
                        Argument::oneof(
                            "overflow-block",
                            &[
                                Argument::token("wrap", "WRAP"),
                                Argument::token("sat", "SAT"),
                                Argument::token("fail", "FAIL"),
                            ],
                        )
                        .after("OVERFLOW")
                        .optional(),
                        Argument::oneof(
                            "write-operation",
                            &[
                                Argument::block(
                                    "set-block",
                                    &[ENCODING, OFFSET, Argument::integer("value")],
                                )
                                .after("SET"),
                                Argument::block(
                                    "incrby-block",
                                    &[ENCODING, OFFSET, Argument::integer("increment")],
                                )
                                .after("INCRBY"),
                            ],
                        ),
                    ],
                ),
            ],
        )
        .optional()
        .multiple(),
    ]),
    Doc::new(
        "bitfield_ro",
        "6.0.0",
        "Reads integers of any width inside a string.",
    )
    .complexity("O(1) for each subcommand specified")
    .categories(&["@bitmap"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::block("get-block", &[ENCODING, OFFSET])
            .after("GET")
            .optional()
            .multiple()
            .with_token_each(),
    ]),
    Doc::new(
        "bitop",
        "2.6.0",
        "Combines strings bit by bit and stores the result.",
    )
    .complexity("O(N)")
    .categories(&["@bitmap"])
    .keys(&[
        KeySpec::new(2, 0, 1, &["OW", "update"]),
        KeySpec::new(3, -1, 1, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::oneof(
            "operation",
            &[
                Argument::token("and", "AND"),
                Argument::token("or", "OR"),
                Argument::token("xor", "XOR"),
                Argument::token("not", "NOT"),
            ],
        ),
        Argument::key("destkey", 0),
        Argument::key("key", 1).multiple(),
    ]),
    Doc::new(
        "bitpos",
        "2.8.7",
        "Finds the first bit that is set, or the first that is not.",
    )
    .complexity("O(N)")
    .categories(&["@bitmap"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        Argument::key("key", 0),
        Argument::integer("bit"),
        Argument::block(
            "range",
            &[
                Argument::integer("start"),
                Argument::block("end-unit-block", &[Argument::integer("end"), UNIT]).optional(),
            ],
        )
        .optional(),
    ]),
    Doc::new("getbit", "2.2.0", "Reads one bit of a string.")
        .complexity("O(1)")
        .categories(&["@bitmap"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[Argument::key("key", 0), OFFSET]),
    Doc::new(
        "setbit",
        "2.2.0",
        "Sets or clears one bit of a string, and answers what it was.",
    )
    .complexity("O(1)")
    .categories(&["@bitmap"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "access", "update"])])
    .arguments(&[Argument::key("key", 0), OFFSET, Argument::integer("value")]),
];
