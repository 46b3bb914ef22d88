//! Redis's directives that a redis.conf may contain and that TinyKV has no use for.
//!
//! A directive may be passed over when a server without it keeps every promise that the file asks for. What would take away
//! protection or change what clients see is refused, with advice.

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed over with a notice in the log.
    Ignored,
    /// The server does not start; the text says what to do.
    Refused(&'static str),
}

/// The verdict on a name that is not in the table; `None` when Redis does not know it either.
pub fn find(name: &str) -> Option<Verdict> {
    let name = name.to_ascii_lowercase();
    if IGNORED.contains(&name.as_str()) {
        return Some(Verdict::Ignored);
    }
    let refused = REFUSED.iter().find(|(prefix, _)| name.starts_with(prefix));
    refused.map(|(_, advice)| Verdict::Refused(advice))
}

/// About snapshots by fork, rewriting of the append-only file, Redis's own replication and its memory management.
const IGNORED: &[&str] = &[
    "acllog-max-len",
    "activerehashing",
    "always-show-logo",
    "aof-load-truncated",
    "aof-rewrite-incremental-fsync",
    "aof-timestamp-enabled",
    "aof-use-rdb-preamble",
    "appenddirname",
    "appendfilename",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "disable-thp",
    "dynamic-hz",
    "hz",
    "jemalloc-bg-thread",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "locale-collate",
    "no-appendfsync-on-rewrite",
    "oom-score-adj",
    "oom-score-adj-values",
    "proc-title-template",
    "rdb-del-sync-files",
    "rdb-save-incremental-fsync",
    "rdbchecksum",
    "rdbcompression",
    "repl-backlog-size",
    "repl-backlog-ttl",
    "repl-disable-tcp-nodelay",
    "repl-diskless-load",
    "repl-diskless-sync",
    "repl-diskless-sync-delay",
    "repl-diskless-sync-max-replicas",
    "replica-ignore-maxmemory",
    "replica-lazy-flush",
    "replica-priority",
    "replica-read-only",
    "replica-serve-stale-data",
    "set-proc-title",
    "stop-writes-on-bgsave-error",
    "supervised",
    "tls-dh-params-file",
];

/// Prefixes of names, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "aclfile",
        "TinyKV has no users besides \"default\" yet; use requirepass",
    ),
    (
        "loadmodule",
        "TinyKV cannot load Redis modules; remove this line",
    ),
    (
        "masterauth",
        "nodes prove themselves with cluster-secret; remove this line",
    ),
    (
        "rename-command",
        "TinyKV cannot rename commands; remove this line",
    ),
    (
        "replicaof",
        "nodes replicate when they are listed in cluster-peers; remove this line",
    ),
    (
        "slaveof",
        "nodes replicate when they are listed in cluster-peers; remove this line",
    ),
    (
        "tls-client-key-file-pass",
        "TinyKV reads private keys that are not encrypted; write this one without a password",
    ),
    (
        "tls-key-file-pass",
        "TinyKV reads private keys that are not encrypted; write this one without a password",
    ),
    (
        "user",
        "TinyKV has no users besides \"default\" yet; use requirepass",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directives;

    #[test]
    fn no_name_is_also_in_the_table() {
        for name in IGNORED.iter().chain(REFUSED.iter().map(|(name, _)| name)) {
            assert!(directives::lookup(name).is_none(), "{name}");
        }
        assert!(IGNORED.is_sorted());
    }

    #[test]
    fn protection_is_never_passed_over() {
        assert!(matches!(
            find("TLS-key-file-pass"),
            Some(Verdict::Refused(_))
        ));
        assert!(matches!(find("user"), Some(Verdict::Refused(_))));
        assert_eq!(find("rdbcompression"), Some(Verdict::Ignored));
        assert_eq!(find("nosuch"), None);
    }
}
