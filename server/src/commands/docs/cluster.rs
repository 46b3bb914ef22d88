//! Redis Cluster's dialect.

use super::{Argument, Doc};

const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "asking",
        "3.0.0",
        "Announces that the next command follows an ASK redirect.",
    )
    .complexity("O(1)")
    .categories(&["@connection"]),
    Doc::new(
        "cluster",
        "3.0.0",
        "Tells about the cluster, as Redis Cluster does.",
    )
    .complexity("As its subcommands"),
    Doc::new(
        "cluster|count-failure-reports",
        "3.0.0",
        "Counts the nodes that report a node as failing.",
    )
    .complexity("O(1)")
    .tips(NONDETERMINISTIC)
    .arguments(&[Argument::string("node-id")]),
    Doc::new(
        "cluster|countkeysinslot",
        "3.0.0",
        "Counts the keys of a slot.",
    )
    .complexity("O(1)")
    .arguments(&[Argument::integer("slot")]),
    Doc::new("cluster|getkeysinslot", "3.0.0", "Names keys of a slot.")
        .complexity("O(N) where N is the number of keys that are asked for")
        .tips(NONDETERMINISTIC)
        .arguments(&[Argument::integer("slot"), Argument::integer("count")]),
    Doc::new("cluster|help", "5.0.0", "Lists the subcommands.").complexity("O(1)"),
    Doc::new("cluster|info", "3.0.0", "Tells the state of the cluster.")
        .complexity("O(1)")
        .tips(NONDETERMINISTIC),
    Doc::new("cluster|keyslot", "3.0.0", "Tells the slot of a key.")
        .complexity("O(N) where N is the length of the key")
        .arguments(&[Argument::string("key")]),
    Doc::new("cluster|myid", "3.0.0", "Tells the id of the node.").complexity("O(1)"),
    Doc::new(
        "cluster|myshardid",
        "7.2.0",
        "Tells the id of the node's shard.",
    )
    .complexity("O(1)")
    .tips(NONDETERMINISTIC),
    Doc::new(
        "cluster|nodes",
        "3.0.0",
        "Describes every node in a line of text.",
    )
    .complexity("O(N) where N is the number of nodes")
    .tips(NONDETERMINISTIC),
    Doc::new(
        "cluster|replicas",
        "5.0.0",
        "Describes the replicas of a node.",
    )
    .complexity("O(N) where N is the number of replicas")
    .tips(NONDETERMINISTIC)
    .arguments(&[Argument::string("node-id")]),
    Doc::new(
        "cluster|shards",
        "7.0.0",
        "Tells which nodes serve which slots, by shard.",
    )
    .complexity("O(N) where N is the number of nodes")
    .tips(NONDETERMINISTIC),
    Doc::new(
        "cluster|slaves",
        "3.0.0",
        "Describes the replicas of a node.",
    )
    .complexity("O(N) where N is the number of replicas")
    .deprecated("5.0.0", "`CLUSTER REPLICAS`")
    .tips(NONDETERMINISTIC)
    .arguments(&[Argument::string("node-id")]),
    Doc::new(
        "cluster|slots",
        "3.0.0",
        "Tells which nodes serve which slots.",
    )
    .complexity("O(N) where N is the number of nodes")
    .deprecated("7.0.0", "`CLUSTER SHARDS`")
    .tips(NONDETERMINISTIC),
    Doc::new(
        "readonly",
        "3.0.0",
        "Lets the connection's node answer reads itself.",
    )
    .complexity("O(1)")
    .categories(&["@connection"]),
    Doc::new("readwrite", "3.0.0", "Lets the leader answer reads again.")
        .complexity("O(1)")
        .categories(&["@connection"]),
];
