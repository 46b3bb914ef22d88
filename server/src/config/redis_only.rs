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

/// The verdict on a line whose name is not in the table; `None` when Redis does not know it either.
pub fn find(name: &str, words: &[String]) -> Option<Verdict> {
    let name = name.to_ascii_lowercase();
    if IGNORED.contains(&name.as_str()) {
        return Some(Verdict::Ignored);
    }
    if let Some((_, off, advice)) = SWITCHED_OFF.iter().find(|(known, ..)| *known == name) {
        let is_off = matches!(words, [word] if word.eq_ignore_ascii_case(off));
        return Some(match is_off {
            true => Verdict::Ignored,
            false => Verdict::Refused(advice),
        });
    }
    let refused = REFUSED.iter().find(|(prefix, _)| name.starts_with(prefix));
    refused.map(|(_, advice)| Verdict::Refused(advice))
}

/// About snapshots by fork, rewriting of the append-only file, Redis's own replication, its memory management and what it
/// measures of itself.
const IGNORED: &[&str] = &[
    "acl-pubsub-default",
    "acllog-max-len",
    "active-defrag-cycle-max",
    "active-defrag-cycle-min",
    "active-defrag-ignore-bytes",
    "active-defrag-max-scan-fields",
    "active-defrag-threshold-lower",
    "active-defrag-threshold-upper",
    "active-expire-effort",
    "activedefrag",
    "activerehashing",
    "always-show-logo",
    "aof-disable-auto-gc",
    "aof-load-truncated",
    "aof-rewrite-incremental-fsync",
    "aof-timestamp-enabled",
    "aof_rewrite_cpulist",
    "appenddirname",
    "appendfilename",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "bgsave_cpulist",
    "bio_cpulist",
    "cluster-allow-pubsubshard-when-down",
    "cluster-allow-reads-when-down",
    "cluster-allow-replica-migration",
    "cluster-config-file",
    "cluster-link-sendbuf-limit",
    "cluster-migration-barrier",
    "cluster-node-timeout",
    "cluster-replica-validity-factor",
    "cluster-require-full-coverage",
    "cluster-slave-validity-factor",
    "crash-log-enabled",
    "crash-memcheck-enabled",
    "disable-thp",
    "dynamic-hz",
    "enable-module-command",
    "enable-protected-configs",
    "hll-sparse-max-bytes",
    "hz",
    "ignore-warnings",
    "io-threads-do-reads",
    "jemalloc-bg-thread",
    "latency-monitor-threshold",
    "latency-tracking",
    "latency-tracking-info-percentiles",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "lfu-decay-time",
    "lfu-log-factor",
    "locale-collate",
    "maxmemory-eviction-tenacity",
    "min-replicas-max-lag",
    "min-slaves-max-lag",
    "no-appendfsync-on-rewrite",
    "oom-score-adj",
    "oom-score-adj-values",
    "proc-title-template",
    "propagation-error-behavior",
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
    "repl-ping-replica-period",
    "repl-ping-slave-period",
    "repl-timeout",
    "replica-announced",
    "replica-ignore-disk-write-errors",
    "replica-ignore-maxmemory",
    "replica-lazy-flush",
    "replica-priority",
    "replica-serve-stale-data",
    "server_cpulist",
    "set-proc-title",
    "shutdown-on-sigint",
    "shutdown-on-sigterm",
    "shutdown-timeout",
    "slave-ignore-maxmemory",
    "slave-lazy-flush",
    "slave-priority",
    "slave-serve-stale-data",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "stop-writes-on-bgsave-error",
    "supervised",
    "syslog-facility",
    "syslog-ident",
    "tls-dh-params-file",
];

/// Names that are passed over with the value that switches them off; and what to do instead of any other.
const SWITCHED_OFF: &[(&str, &str, &str)] = &[
    (
        "bind-source-addr",
        "",
        "connections to other nodes leave from the address that the system chooses; remove this line",
    ),
    (
        "cluster-announce-hostname",
        "",
        "clients are told addresses; give a name that they can resolve with cluster-announce-ip",
    ),
    (
        "cluster-preferred-endpoint-type",
        "ip",
        "clients are told addresses; give a name that they can resolve with cluster-announce-ip",
    ),
    (
        "cluster-replica-no-failover",
        "no",
        "which node leads is chosen with leader-priority; remove this line",
    ),
    (
        "cluster-slave-no-failover",
        "no",
        "which node leads is chosen with leader-priority; remove this line",
    ),
    (
        "maxmemory-clients",
        "0",
        "TinyKV does not close clients for the memory that all of them take; use client-output-buffer-limit, \
         client-query-buffer-limit and maxclients",
    ),
    (
        "min-replicas-to-write",
        "0",
        "a write is acknowledged when a majority of the nodes has it; remove this line",
    ),
    (
        "min-slaves-to-write",
        "0",
        "a write is acknowledged when a majority of the nodes has it; remove this line",
    ),
    (
        "notify-keyspace-events",
        "",
        "TinyKV does not publish what happens to keys yet; remove this line",
    ),
    (
        "socket-mark-id",
        "0",
        "TinyKV does not mark its packets; remove this line",
    ),
    (
        "syslog-enabled",
        "no",
        "TinyKV logs to logfile or to standard output, which a service manager such as systemd keeps; remove this line",
    ),
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
        "masteruser",
        "nodes prove themselves with cluster-secret; remove this line",
    ),
    (
        "rename-command",
        "TinyKV cannot rename commands; remove this line",
    ),
    (
        "replica-announce-",
        "clients are told cluster-announce-ip and cluster-announce-port; use these",
    ),
    (
        "replicaof",
        "nodes replicate when they are listed in cluster-peers; remove this line",
    ),
    (
        "slave-announce-",
        "clients are told cluster-announce-ip and cluster-announce-port; use these",
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

    fn verdict(line: &str) -> Option<Verdict> {
        let words = crate::config::lines::split(line).expect("words");
        find(&words[0], &words[1..])
    }

    #[test]
    fn no_name_is_also_in_the_table() {
        let off = SWITCHED_OFF.iter().map(|(name, ..)| name);
        let refused = REFUSED.iter().map(|(name, _)| name);
        for name in IGNORED.iter().chain(off).chain(refused) {
            assert!(directives::lookup(name).is_none(), "{name}");
        }
        assert!(IGNORED.is_sorted());
    }

    #[test]
    fn protection_is_never_passed_over() {
        for line in [
            "TLS-key-file-pass x",
            "user alice",
            "maxmemory-clients 1gb",
            "min-replicas-to-write 1",
            "notify-keyspace-events Ex",
            "syslog-enabled yes",
            "bind-source-addr 10.0.0.1",
        ] {
            assert!(matches!(verdict(line), Some(Verdict::Refused(_))), "{line}");
        }
        for line in [
            "rdbcompression yes",
            "notify-keyspace-events \"\"",
            "maxmemory-clients 0",
            "syslog-enabled NO",
        ] {
            assert_eq!(verdict(line), Some(Verdict::Ignored), "{line}");
        }
        assert_eq!(verdict("nosuch 1"), None);
    }
}
