//! The table of directives. `tinykv.conf` is made from it: a row's `doc` is what an operator reads.

use storage::dataset::EvictionPolicy;

use super::kind::{Choice, Kind};
use super::settings::{AppendFsync, DebugAccess, LogLevel, Secret};
use super::{accepted, collections, forms, peers, tls};

/// One row.
#[derive(Debug)]
pub struct Directive {
    /// Lower case, as in the file.
    pub name: &'static str,
    /// Older names, also answered by CONFIG GET.
    pub aliases: &'static [&'static str],
    /// How the value is read and written, and where it is.
    pub kind: Kind,
    /// As a line of the file has it, after the name.
    pub default: &'static str,
    /// What it does, in sentences.
    pub doc: &'static str,
    access: Access,
    /// Whether Redis has a directive of this name and meaning.
    pub of_redis: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// CONFIG SET may change it.
    RunTime,
    /// Only a restart changes it.
    Start,
    /// As `Start`, and a pattern of CONFIG GET does not show it.
    Hidden,
}

/// Rows that belong together.
#[derive(Debug)]
pub struct Section {
    /// Its heading in the file.
    pub title: &'static str,
    /// Its rows, in the file's order.
    pub rows: &'static [Directive],
}

impl Directive {
    pub(super) const fn new(
        name: &'static str,
        default: &'static str,
        kind: Kind,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            kind,
            default,
            doc,
            access: Access::Start,
            of_redis: true,
        }
    }

    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(super) const fn run_time(mut self) -> Self {
        self.access = Access::RunTime;
        self
    }

    const fn hidden(mut self) -> Self {
        self.access = Access::Hidden;
        self
    }

    const fn own(mut self) -> Self {
        self.of_redis = false;
        self
    }

    /// Whether CONFIG SET may change it.
    pub fn is_mutable(&self) -> bool {
        self.access == Access::RunTime
    }

    /// Whether only its exact name shows it.
    pub fn is_hidden(&self) -> bool {
        self.access == Access::Hidden
    }
}

/// The table, in the order of the file.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "Network",
        rows: NETWORK,
    },
    Section {
        title: "TLS",
        rows: tls::ROWS,
    },
    Section {
        title: "Process",
        rows: PROCESS,
    },
    Section {
        title: "Durability",
        rows: DURABILITY,
    },
    Section {
        title: "Memory",
        rows: MEMORY,
    },
    Section {
        title: "Collections",
        rows: collections::ROWS,
    },
    Section {
        title: "Cluster",
        rows: CLUSTER,
    },
    Section {
        title: "Accepted and reported for tools written for Redis; nothing depends on them",
        rows: accepted::ROWS,
    },
];

/// All rows, in the order of the file.
pub fn all() -> impl Iterator<Item = &'static Directive> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

/// The row of a name or an alias, in any case.
pub fn lookup(name: &str) -> Option<&'static Directive> {
    all().find(|row| {
        std::iter::once(&row.name)
            .chain(row.aliases)
            .any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// What Redis accepts for an `int`.
const INT_MAX: u64 = i32::MAX as u64;
/// What Redis accepts for a `long long`.
const LONG_MAX: u64 = i64::MAX as u64;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

macro_rules! bool_of {
    ($field:ident) => {
        Kind::Bool {
            get: |s| s.$field,
            set: |s, value| s.$field = value,
        }
    };
}

macro_rules! int_of {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Int {
            min: $min,
            max: $max,
            get: |s| s.$field as u64,
            set: |s, value| s.$field = value as _,
        }
    };
}

macro_rules! memory_of {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Memory {
            min: $min,
            max: $max,
            get: |s| s.$field,
            set: |s, value| s.$field = value,
        }
    };
}

macro_rules! text_of {
    ($field:ident) => {
        Kind::Text {
            get: |s| s.$field.clone(),
            set: |s, value| {
                s.$field = value.to_owned();
                Ok(())
            },
        }
    };
}

macro_rules! choice_of {
    ($field:ident, $type:ty) => {
        Kind::Text {
            get: |s| s.$field.name().to_owned(),
            set: |s, value| {
                s.$field = <$type>::parse(value)?;
                Ok(())
            },
        }
    };
}

macro_rules! secret_of {
    ($field:ident) => {
        Kind::Text {
            get: |s| s.$field.expose().to_owned(),
            set: |s, value| {
                s.$field = Secret::new(value);
                Ok(())
            },
        }
    };
}

const NETWORK: &[Directive] = &[
    Directive::new(
        "bind",
        "* -::*",
        Kind::Words { get: |s| s.bind.join(" "), set: forms::set_bind, repeats: false },
        "Addresses to listen on. * is every IPv4 address, ::* every IPv6 address; with - before it, an address that this \
         machine does not have is skipped.",
    ),
    Directive::new(
        "protected-mode",
        "yes",
        bool_of!(protected_mode),
        "While it is yes and no password is set, only clients of this machine are served.",
    )
    .run_time(),
    Directive::new(
        "port",
        "6379",
        int_of!(port, 0, 65535),
        "The TCP port for clients; 0 listens on none. Other nodes connect to the port 10000 higher.",
    ),
    Directive::new(
        "tcp-backlog",
        "511",
        int_of!(tcp_backlog, 1, INT_MAX),
        "How many connections may wait to be accepted; the kernel's somaxconn bounds it.",
    ),
    Directive::new("unixsocket", "\"\"", text_of!(unixsocket), "Path of a Unix socket for clients; empty: none."),
    Directive::new(
        "unixsocketperm",
        "0",
        Kind::Octal { get: |s| s.unixsocketperm, set: |s, value| s.unixsocketperm = value },
        "Permissions of the Unix socket, octal; 0 leaves them as the umask makes them.",
    ),
    Directive::new(
        "timeout",
        "0",
        int_of!(timeout_seconds, 0, INT_MAX),
        "Closes a connection that sent nothing for so many seconds; 0: never.",
    )
    .run_time(),
    Directive::new(
        "tcp-keepalive",
        "300",
        int_of!(tcp_keepalive_seconds, 0, INT_MAX),
        "Seconds between probes that find dead peers; 0: none. New connections use a new value.",
    )
    .run_time(),
    Directive::new(
        "maxclients",
        "10000",
        int_of!(maxclients, 1, u32::MAX as u64),
        "How many clients may be connected; more are refused with an error.",
    )
    .run_time(),
    Directive::new(
        "requirepass",
        "\"\"",
        secret_of!(requirepass),
        "The password of the user \"default\"; clients send it with AUTH or HELLO. Empty: none is asked for.",
    )
    .run_time(),
    Directive::new(
        "proto-max-bulk-len",
        "512mb",
        memory_of!(proto_max_bulk_len_bytes, MB, LONG_MAX),
        "The longest single argument or string.",
    )
    .run_time(),
    Directive::new(
        "client-query-buffer-limit",
        "1gb",
        memory_of!(client_query_buffer_limit_bytes, MB, LONG_MAX),
        "How much of a request that is not complete may be held for one client.",
    )
    .run_time(),
    Directive::new(
        "client-output-buffer-limit",
        "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
        Kind::Words { get: forms::get_output_limits, set: forms::set_output_limits, repeats: true },
        "For each class of clients a hard limit, a soft limit and seconds: a client is closed when replies beyond the hard \
         limit wait for it, or replies beyond the soft limit for so long; 0 is no limit. Classes replica and pubsub have no \
         clients yet. Whatever the limits, nothing more is read from a client for which more than 256 KB wait.",
    )
    .run_time(),
    Directive::new(
        "io-threads",
        "0",
        int_of!(io_threads, 0, 128),
        "Threads that serve connections and run reads; 0: half as many as cores.",
    ),
    Directive::new(
        "metrics-port",
        "0",
        int_of!(metrics_port, 0, 65535),
        "A port where Prometheus finds counters that INFO does not have, about links between nodes and checkpoints, by GET \
         /metrics, on the addresses of bind and without a password; 0: none, and they are not counted.",
    )
    .own(),
];

const PROCESS: &[Directive] = &[
    Directive::new(
        "daemonize",
        "no",
        Kind::Fixed {
            value: "no",
            others: &["yes"],
            passed_over: true,
            reason: "TinyKV stays in the foreground; let a service manager such as systemd start it, or a shell: \
                     nohup tinykv-server &",
        },
        "TinyKV stays in the foreground; a service manager puts it in the background.",
    ),
    Directive::new(
        "pidfile",
        "\"\"",
        text_of!(pidfile),
        "A file that holds the process id while the server runs; empty: none.",
    ),
    Directive::new(
        "loglevel",
        "notice",
        choice_of!(loglevel, LogLevel),
        "What is logged: debug, verbose, notice, warning or nothing.",
    )
    .run_time(),
    Directive::new(
        "logfile",
        "\"\"",
        text_of!(logfile),
        "The file that the log is appended to; empty: standard output.",
    ),
    Directive::new(
        "dir",
        "data",
        Kind::Text {
            get: |s| {
                std::path::absolute(&s.dir)
                    .unwrap_or_else(|_| s.dir.clone())
                    .display()
                    .to_string()
            },
            set: forms::set_dir,
        },
        "The directory that holds all data; it is made when it does not exist. It belongs to one node for good.",
    ),
    Directive::new(
        "databases",
        "16",
        Kind::Fixed {
            value: "16",
            others: &[],
            passed_over: false,
            reason: "TinyKV has 16 databases, 0 to 15; remove this line, and use key prefixes if you need more",
        },
        "The number of databases that SELECT can choose from; it is fixed.",
    ),
    Directive::new(
        "enable-debug-command",
        "no",
        choice_of!(enable_debug_command, DebugAccess),
        "Who may use DEBUG: no (nobody), local (connections from this machine) or yes.",
    ),
];

const DURABILITY: &[Directive] = &[
    Directive::new(
        "appendonly",
        "yes",
        Kind::Fixed {
            value: "yes",
            others: &["no"],
            passed_over: true,
            reason: "every write goes to the log, which replication and restarts depend on; for less durability and more \
                     speed set appendfsync",
        },
        "Every write goes to the log; it cannot be turned off.",
    )
    .run_time(),
    Directive::new(
        "appendfsync",
        "always",
        choice_of!(appendfsync, AppendFsync),
        "always: a write is acknowledged when a majority of the nodes has it on disk; no crash or power cut loses it. \
         everysec: the disk is a second behind; a power cut of a majority at once may lose that second. no: the operating \
         system decides. In the last two, the loss of single processes still loses nothing. A running \
         server keeps its mode: CONFIG SET accepts only the present one.",
    )
    .run_time(),
    Directive::new(
        "save",
        "\"\"",
        Kind::Words { get: forms::get_save, set: forms::set_save, repeats: true },
        "Accepted and reported for tools written for Redis; nothing depends on it, because every write is in the log before \
         it is acknowledged.",
    )
    .run_time(),
    Directive::new(
        "dbfilename",
        "dump.rdb",
        Kind::Text { get: |s| s.dbfilename.clone(), set: forms::set_dbfilename },
        "The file in dir that SAVE and BGSAVE write, in Redis's RDB format.",
    ),
    Directive::new(
        "import",
        "\"\"",
        text_of!(import),
        "An RDB file to be loaded at the start, through the log, before clients are served. For the command line, once: a node \
         that has keys already refuses to start with it.",
    )
    .own(),
    Directive::new(
        "import-replace",
        "no",
        bool_of!(import_replace),
        "yes: import also where there are keys already; those of the file replace them.",
    )
    .own(),
    Directive::new(
        "checkpoint-size",
        "64mb",
        memory_of!(checkpoint_size_bytes, MB, 64 * GB),
        "Changed records go from memory to the LSM when they, or the log since the last time, take so much; with maxmemory, at most a sixteenth of it. More: fewer, larger writes, more memory, and a longer start after a crash.",
    )
    .own(),
    Directive::new(
        "checkpoint-interval-ms",
        "60000",
        int_of!(checkpoint_interval_ms, 100, INT_MAX),
        "Changed records go to the LSM after this time even when they are few. A second after the last write they do, too, if they take a sixteenth of checkpoint-size.",
    )
    .own(),
    Directive::new(
        "raft-log-retention",
        "256mb",
        memory_of!(raft_log_retention_bytes, MB, LONG_MAX),
        "How much of the log is kept for followers that are behind; one that is further behind gets a snapshot. For one that gets \
         a snapshot, or has just got one, up to eight times as much is kept.",
    )
    .own(),
    Directive::new(
        "snapshot-max-bytes-per-second",
        "16mb",
        memory_of!(snapshot_max_bytes_per_second, 0, LONG_MAX),
        "How fast a node sends snapshots to others, all together; 0: as fast as it can. More lets a node that joins catch up sooner, \
         and takes more of the network and the disk from everybody else.",
    )
    .own()
    .run_time(),
];

const MEMORY: &[Directive] = &[
    Directive::new(
        "maxmemory",
        "0",
        memory_of!(maxmemory_bytes, 0, LONG_MAX),
        "How much memory the data may take; 0: no limit. Beyond it, what was not used for long stays on disk only, and is \
         read again when asked for: the data may be larger than memory. From 64mb on, the data makes room for what else the \
         process needs, so that its resident memory stays within 1.25 times.",
    )
    .run_time(),
    Directive::new(
        "maxmemory-policy",
        "noeviction",
        choice_of!(maxmemory_policy, EvictionPolicy),
        "What happens when the data takes more than maxmemory. noeviction: nothing is deleted; what was not used for long stays \
         on disk only. allkeys-lru, allkeys-lfu, allkeys-random: keys are deleted, those first that were not used for long, or \
         rarely, or any. volatile-lru, volatile-lfu, volatile-random, volatile-ttl: only keys that expire are deleted, the last \
         one those first that expire first; when there are none, commands that need memory are refused. In a cluster, the \
         leader chooses, and all nodes delete the same.",
    )
    .run_time(),
    Directive::new(
        "block-cache-size",
        "16mb",
        memory_of!(block_cache_size_bytes, MB, LONG_MAX),
        "Memory for blocks read from the LSM; with maxmemory at the start, at most a 32nd of that.",
    )
    .own(),
];

const CLUSTER: &[Directive] = &[
    Directive::new(
        "node-id",
        "0",
        int_of!(node_id, 0, LONG_MAX),
        "Which entry of cluster-peers this node is. 0: not given; a single node is node 1.",
    )
    .own(),
    Directive::new(
        "cluster-peers",
        "\"\"",
        Kind::Words {
            get: |s| s.cluster_peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            set: |s, words| {
                s.cluster_peers = peers::parse(words)?;
                Ok(())
            },
            repeats: false,
        },
        "All nodes, the same list on each: 1@10.0.0.1:6379,2@10.0.0.2:6379,3@10.0.0.3:6379. The addresses are those of \
         clients; nodes reach each other at the port 10000 higher, or at the one after a second @: 1@10.0.0.1:6379@7000. \
         Empty: a single node.",
    )
    .own(),
    Directive::new(
        "cluster-port",
        "0",
        int_of!(cluster_port, 0, 65535),
        "The port that this node listens at for other nodes; 0: as cluster-peers says, or port + 10000.",
    ),
    Directive::new(
        "cluster-secret",
        "\"\"",
        secret_of!(cluster_secret),
        "With this nodes prove to each other that they belong together. The same long random text on every node, for \
         instance from: openssl rand -hex 32. Needed as soon as there is more than one node.",
    )
    .hidden()
    .own(),
    Directive::new(
        "cluster-announce-ip",
        "\"\"",
        text_of!(cluster_announce_ip),
        "The address at which other nodes and their clients reach this node, when bind does not tell. Not needed with \
         cluster-peers.",
    ),
    Directive::new(
        "cluster-announce-port",
        "0",
        int_of!(cluster_announce_port, 0, 65535),
        "The port at which clients reach this node, where that is not port: behind a proxy or in a container. 0: port.",
    ),
    Directive::new(
        "cluster-announce-tls-port",
        "0",
        int_of!(cluster_announce_tls_port, 0, 65535),
        "The same for tls-port.",
    ),
    Directive::new(
        "cluster-announce-bus-port",
        "0",
        int_of!(cluster_announce_bus_port, 0, 65535),
        "The port at which other nodes reach this node, where that is not cluster-port. 0: cluster-port.",
    ),
    Directive::new(
        "join",
        "\"\"",
        Kind::Words {
            get: |s| s.join.join(" "),
            set: |s, words| {
                let words = words.iter().filter(|word| !word.is_empty());
                s.join = words.cloned().collect();
                Ok(())
            },
            repeats: false,
        },
        "With an empty dir: joins the cluster that the node at host:port belongs to, as a new node. It copies the data and \
         then votes. Needs the cluster's cluster-secret, and requirepass if the cluster has one; with tls-port and tls-cluster, host:port is the \
         other node's TLS port. Later starts go on from dir.",
    )
    .own(),
    Directive::new(
        "cluster-enabled",
        "no",
        bool_of!(cluster_enabled),
        "yes: clients are served as Redis Cluster serves them. All slots are on the leader, the other nodes are its replicas and \
         send clients there with MOVED, the keys of a command must be of one slot, and there is only database 0. no: any node \
         serves any client. The same on every node.",
    ),
    Directive::new(
        "sentinel-port",
        "0",
        int_of!(sentinel_port, 0, 65535),
        "A port that speaks as Redis Sentinel does, for clients that ask Sentinels where the master is; 0: none. As far from port \
         on every node. With it, and with cluster-enabled, the nodes that do not lead call themselves replicas in ROLE and INFO.",
    )
    .own(),
    Directive::new(
        "sentinel-master-name",
        "mymaster",
        text_of!(sentinel_master_name),
        "The name under which clients ask for the master at sentinel-port.",
    )
    .own(),
    Directive::new(
        "leader-priority",
        "50",
        int_of!(leader_priority, 0, 1000),
        "A leader hands over to a node of a higher priority that has caught up, so that the cluster is led from where the \
         operator wants it whenever that is possible.",
    )
    .run_time()
    .own(),
    Directive::new(
        "election-timeout-ms",
        "500",
        int_of!(election_timeout_ms, 50, 600_000),
        "A follower that heard no leader for this long, or up to twice as long, asks to be elected. It waits longer, up to \
         eight times, where the leader is heard irregularly or the round trip is long. The same on every node.",
    )
    .own(),
    Directive::new(
        "election-timeout-min-ms",
        "250",
        int_of!(election_timeout_min_ms, 30, 600_000),
        "Nobody is elected sooner than this after the last word of a leader; it is so soon when the leader's process is gone, \
         so that its host refuses connections. A leader that reaches no majority for this long steps down. The same on every \
         node.",
    )
    .own(),
    Directive::new(
        "heartbeat-interval-ms",
        "50",
        int_of!(heartbeat_interval_ms, 5, 60_000),
        "How often the leader tells that it is there, at least. Where the round trip leaves little of election-timeout-min-ms it \
         does so more often. The same on every node.",
    )
    .own(),
    Directive::new(
        "heartbeat-interval-min-ms",
        "10",
        int_of!(heartbeat_interval_min_ms, 5, 60_000),
        "How often the leader tells that it is there, at most, however long the round trip is. The same on every node.",
    )
    .own(),
    Directive::new(
        "election-hold-ms",
        "2000",
        int_of!(election_hold_ms, 0, 600_000),
        "How long a request waits for a leader before it is answered with an error.",
    )
    .run_time()
    .own(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::collections::HashSet;

    #[test]
    fn names_are_lower_case_and_unique() {
        let mut seen = HashSet::new();
        for row in all() {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert_eq!(name.to_ascii_lowercase(), *name);
                assert!(seen.insert(*name), "{name} appears twice");
                assert!(std::ptr::eq(
                    lookup(&name.to_ascii_uppercase()).expect("found"),
                    row
                ));
            }
            assert!(
                row.doc.ends_with('.'),
                "{}: the text is sentences",
                row.name
            );
        }
    }

    #[test]
    fn every_default_reads_back_from_the_line_that_rewrite_would_write() {
        let settings = Settings::default();
        for row in all() {
            let mut again = settings.clone();
            let words =
                crate::config::lines::split(&row.kind.line_value(&settings)).expect("words");
            row.kind
                .set(&mut again, &words)
                .unwrap_or_else(|error| panic!("{}: {error}", row.name));
            let same = row.kind.get(&again) == row.kind.get(&settings);
            assert!(
                same,
                "{}: {} became {}",
                row.name,
                row.kind.get(&settings),
                row.kind.get(&again)
            );
        }
    }
}
