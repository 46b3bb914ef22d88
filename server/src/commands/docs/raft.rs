//! RAFT.*, which Redis does not have.

use super::{Argument, Doc};

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "raft.cluster",
        "7.2.0",
        "Tells the id of a cluster of one node, or lets an empty node join another.",
    )
    .complexity("O(1)")
    .arguments(&[
        Argument::oneof(
            "action",
            &[
                Argument::token("init", "INIT"),
                Argument::token("join", "JOIN"),
            ],
        ),
        Argument::string("address-or-id").optional().multiple(),
    ]),
    Doc::new(
        "raft.digest",
        "7.2.0",
        "Returns a log index and the digest of this node's data there.",
    )
    .complexity("O(N) where N is the number of keys in all databases"),
    Doc::new(
        "raft.import",
        "7.2.0",
        "Loads an RDB file in this node's data directory into the cluster.",
    )
    .complexity("O(N) where N is the number of keys and elements in the file")
    .arguments(&[
        Argument::string("file"),
        Argument::token("replace", "REPLACE").optional(),
    ]),
    Doc::new("raft.info", "7.2.0", "Returns the state of the Raft group.").complexity("O(1)"),
    Doc::new(
        "raft.node",
        "7.2.0",
        "Adds or removes a node of the cluster.",
    )
    .complexity("O(1)")
    .arguments(&[
        Argument::oneof(
            "action",
            &[
                Argument::token("add", "ADD"),
                Argument::token("remove", "REMOVE"),
            ],
        ),
        Argument::integer("id"),
        Argument::string("address").optional(),
        Argument::token("dryrun", "DRYRUN").optional(),
    ]),
    Doc::new(
        "raft.recover",
        "7.2.0",
        "Tells what is lost if this node goes on without the lost majority, or does it.",
    )
    .complexity("O(N) where N is the number of entries since the last checkpoint")
    .arguments(&[Argument::token("lose-writes", "LOSE-WRITES").optional()]),
    Doc::new(
        "raft.snapshot",
        "7.2.0",
        "Makes a checkpoint on this node, and compacts its log.",
    )
    .complexity("O(N) where N is the number of keys changed since the last checkpoint"),
    Doc::new(
        "raft.transfer_leader",
        "7.2.0",
        "Lets another node take over leadership.",
    )
    .complexity("O(1)")
    .arguments(&[
        Argument::integer("id").optional(),
        Argument::token("dryrun", "DRYRUN").optional(),
    ]),
];
