//! HyperLogLogs.

use super::{Argument, Doc, KeySpec};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new("pfadd", "2.8.9", "Adds elements to a HyperLogLog.")
        .complexity("O(1) for each element")
        .categories(&["@hyperloglog"])
        .keys(&[KeySpec::new(1, 0, 1, &["RW", "insert"])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::string("element").optional().multiple(),
        ]),
    Doc::new(
        "pfcount",
        "2.8.9",
        "Estimates how many different elements one or several HyperLogLogs have seen.",
    )
    .complexity("O(1) with a constant of 16384 registers for each key")
    .categories(&["@hyperloglog"])
    .keys(&[KeySpec::new(1, -1, 1, &["RO", "access"])])
    .arguments(&[Argument::key("key", 0).multiple()]),
    Doc::new(
        "pfmerge",
        "2.8.9",
        "Merges HyperLogLogs into the first one.",
    )
    .complexity("O(N) for N keys, with a constant of 16384 registers for each")
    .categories(&["@hyperloglog"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RW", "access", "insert"]),
        KeySpec::new(2, -1, 1, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destkey", 0),
        Argument::key("sourcekey", 1).optional().multiple(),
    ]),
];
