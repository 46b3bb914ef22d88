//! The parsed values, and the check of them together.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use storage::dataset::EvictionPolicy;
use storage::ids::StoreId;
use storage::proto::store::StoreAddress;
use storage::types::Limits;

use super::accepted::Accepted;
use super::directives;
use super::kind::Choice;
use super::peers::{self, PeerAddress};
use super::tls::TlsSettings;

/// All values of one moment. The documentation of each is in its row of [`directives`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is documented by its row in config::directives"
)]
pub struct Settings {
    // network
    pub bind: Vec<String>,
    pub protected_mode: bool,
    /// 0: no TCP port.
    pub port: u16,
    pub tcp_backlog: u32,
    /// Empty: none.
    pub unixsocket: String,
    /// 0: as the process's umask makes it.
    pub unixsocketperm: u32,
    /// 0: never.
    pub timeout_seconds: u64,
    /// 0: off.
    pub tcp_keepalive_seconds: u64,
    pub maxclients: u64,
    /// Empty: no password.
    pub requirepass: Secret,
    pub proto_max_bulk_len_bytes: u64,
    pub client_query_buffer_limit_bytes: u64,
    pub client_output_buffer_limit: OutputLimits,
    /// 0: one per core.
    pub io_threads: u32,
    /// 0: none.
    pub metrics_port: u16,
    pub tls: TlsSettings,
    // process
    /// Empty: none.
    pub pidfile: String,
    pub loglevel: LogLevel,
    /// Empty: standard output.
    pub logfile: String,
    pub dir: PathBuf,
    pub enable_debug_command: DebugAccess,
    // durability
    pub appendfsync: AppendFsync,
    /// (seconds, changes). Reported only: every write is durable when it is acknowledged.
    pub save: Vec<(u64, u64)>,
    /// In `dir`.
    pub dbfilename: String,
    /// Empty: none.
    pub import: String,
    pub import_replace: bool,
    pub checkpoint_size_bytes: u64,
    pub checkpoint_interval_ms: u64,
    pub raft_log_retention_bytes: u64,
    /// `snapshot-max-bytes-per-second`.
    pub snapshot_max_bytes_per_second: u64,
    // memory
    /// 0: unlimited.
    pub maxmemory_bytes: u64,
    pub maxmemory_policy: EvictionPolicy,
    pub block_cache_size_bytes: u64,
    pub limits: Limits,
    pub accepted: Accepted,
    // cluster
    pub cluster_enabled: bool,
    /// 0: none.
    pub sentinel_port: u16,
    pub sentinel_master_name: String,
    /// As given; 0: not given. See [`Settings::store_id`].
    pub node_id: u64,
    /// Empty: a single Store.
    pub cluster_peers: Vec<PeerAddress>,
    /// As given; 0: not given. See [`Settings::bus_port`].
    pub cluster_port: u16,
    pub cluster_secret: Secret,
    /// Empty: found from `bind`. See [`Settings::advertised`].
    pub cluster_announce_ip: String,
    /// 0: as it listens. The same holds for the other two.
    pub cluster_announce_port: u16,
    pub cluster_announce_tls_port: u16,
    pub cluster_announce_bus_port: u16,
    /// Client addresses of members to join through, when the directory is empty.
    pub join: Vec<String>,
    pub leader_priority: u32,
    pub election_timeout_ms: u64,
    pub election_timeout_min_ms: u64,
    pub heartbeat_interval_ms: u64,
    pub heartbeat_interval_min_ms: u64,
    pub election_hold_ms: u64,
}

/// When the raft log is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before every acknowledgement.
    #[default]
    Always,
    /// Once a second: a power cut may lose a second of acknowledged writes.
    EverySecond,
    /// When the operating system likes.
    No,
}

impl Choice for AppendFsync {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("everysec", Self::EverySecond),
        ("always", Self::Always),
        ("no", Self::No),
    ];
}

impl Choice for EvictionPolicy {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-random", Self::VolatileRandom),
        ("volatile-ttl", Self::VolatileTtl),
        ("allkeys-lru", Self::AllKeysLru),
        ("allkeys-lfu", Self::AllKeysLfu),
        ("allkeys-random", Self::AllKeysRandom),
        ("noeviction", Self::NoEviction),
    ];
}

/// The least important message that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything, for development.
    Debug,
    /// What is rarely useful.
    Verbose,
    /// What an operator wants to see.
    #[default]
    Notice,
    /// Only what needs attention.
    Warning,
    /// No message at all.
    Nothing,
}

impl Choice for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("debug", Self::Debug),
        ("verbose", Self::Verbose),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("nothing", Self::Nothing),
    ];
}

/// Who may send DEBUG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DebugAccess {
    /// Nobody.
    #[default]
    No,
    /// Everybody.
    Yes,
    /// Connections over loopback and the Unix socket.
    Local,
}

impl Choice for DebugAccess {
    const NAMES: &'static [(&'static str, Self)] =
        &[("no", Self::No), ("yes", Self::Yes), ("local", Self::Local)];
}

/// How much of replies may wait for a client that does not read. 0 in a field: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Beyond this the connection is closed at once.
    pub hard_bytes: u64,
    /// Beyond this for `soft_seconds` the connection is closed.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

/// [`Limit`]s by the class of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients.
    pub normal: Limit,
    /// Redis replicas; TinyKV has none, the class exists for redis.conf.
    pub replica: Limit,
    /// Clients that subscribed.
    pub pubsub: Limit,
}

/// A value that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether none was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() {
            "none"
        } else {
            "(redacted)"
        })
    }
}

impl Default for Settings {
    /// The defaults of the table.
    fn default() -> Self {
        let mut settings = Self::blank();
        for directive in directives::all() {
            let words = super::lines::split(directive.default).unwrap_or_default();
            if let Err(reason) = directive.kind.set(&mut settings, &words) {
                panic!("the default of {} is refused: {reason}", directive.name);
            }
        }
        settings
    }
}

impl Settings {
    /// Where the table's defaults are written into.
    fn blank() -> Self {
        Self {
            bind: Vec::new(),
            protected_mode: false,
            port: 0,
            tcp_backlog: 0,
            unixsocket: String::new(),
            unixsocketperm: 0,
            timeout_seconds: 0,
            tcp_keepalive_seconds: 0,
            maxclients: 0,
            requirepass: Secret::default(),
            proto_max_bulk_len_bytes: 0,
            client_query_buffer_limit_bytes: 0,
            client_output_buffer_limit: OutputLimits::default(),
            io_threads: 0,
            metrics_port: 0,
            tls: TlsSettings::default(),
            pidfile: String::new(),
            loglevel: LogLevel::default(),
            logfile: String::new(),
            dir: PathBuf::new(),
            enable_debug_command: DebugAccess::default(),
            appendfsync: AppendFsync::default(),
            save: Vec::new(),
            dbfilename: String::new(),
            import: String::new(),
            import_replace: false,
            checkpoint_size_bytes: 0,
            checkpoint_interval_ms: 0,
            raft_log_retention_bytes: 0,
            snapshot_max_bytes_per_second: 0,
            maxmemory_bytes: 0,
            maxmemory_policy: EvictionPolicy::default(),
            block_cache_size_bytes: 0,
            limits: Limits::default(),
            accepted: Accepted::default(),
            cluster_enabled: false,
            sentinel_port: 0,
            sentinel_master_name: String::new(),
            node_id: 0,
            cluster_peers: Vec::new(),
            cluster_port: 0,
            cluster_secret: Secret::default(),
            cluster_announce_ip: String::new(),
            cluster_announce_port: 0,
            cluster_announce_tls_port: 0,
            cluster_announce_bus_port: 0,
            join: Vec::new(),
            leader_priority: 0,
            election_timeout_ms: 0,
            election_timeout_min_ms: 0,
            heartbeat_interval_ms: 0,
            heartbeat_interval_min_ms: 0,
            election_hold_ms: 0,
        }
    }

    /// This Store's id: `node-id`, or 1 for a single Store that was given none.
    pub fn store_id(&self) -> StoreId {
        StoreId(self.node_id.max(1))
    }

    /// Whether clients are served in a dialect that knows masters and replicas.
    pub fn speaks_dialect(&self) -> bool {
        self.cluster_enabled || self.sentinel_port != 0
    }

    /// The port that clients are told of: `port`, or `tls-port` where there is no other. 0: none.
    pub fn client_port(&self) -> u16 {
        match self.port {
            0 => self.tls.port,
            port => port,
        }
    }

    /// This Store's own row in `cluster-peers`; `None` when it is a single Store.
    pub fn own_address(&self) -> Option<&PeerAddress> {
        self.cluster_peers
            .iter()
            .find(|peer| peer.store_id == self.store_id())
    }

    /// Where clients find this Store: `cluster-announce-port`, or where it listens.
    pub fn announced_port(&self) -> u16 {
        match self.cluster_announce_port {
            0 => self.client_port(),
            port => port,
        }
    }

    /// The same for clients that use TLS; 0: nowhere.
    pub fn announced_tls_port(&self) -> u16 {
        match self.cluster_announce_tls_port {
            0 => self.tls.port,
            port => port,
        }
    }

    /// The same for other Stores.
    pub fn announced_bus_port(&self) -> Option<u16> {
        match self.cluster_announce_bus_port {
            0 => self.bus_port(),
            port => Some(port),
        }
    }

    /// Where this Store listens for other Stores.
    pub fn bus_port(&self) -> Option<u16> {
        match (self.cluster_port, self.own_address()) {
            (0, Some(own)) if self.cluster_announce_bus_port == 0 => own.bus_port(),
            (0, _) => self.client_port().checked_add(peers::BUS_PORT_OFFSET),
            (port, _) => Some(port),
        }
    }

    /// Where others reach this Store: its row in `cluster-peers`; else `cluster-announce-ip` or the first address of `bind` that
    /// is one, with its ports. `None` when none of them tells.
    pub fn advertised(&self, store: StoreId) -> Option<StoreAddress> {
        if let Some(row) = self
            .cluster_peers
            .iter()
            .find(|peer| peer.store_id == store)
        {
            return Some(StoreAddress {
                tls_port: self.announced_tls_port().into(),
                ..row.into()
            });
        }
        let plain = |host: &String| host.strip_prefix('-').unwrap_or(host).to_owned();
        let is_one = |host: &String| !["*", "0.0.0.0", "::", "::*"].contains(&host.as_str());
        let host = if self.cluster_announce_ip.is_empty() {
            self.bind.first().map(plain).filter(is_one)?
        } else {
            self.cluster_announce_ip.clone()
        };
        Some(StoreAddress {
            store_id: store.get(),
            host,
            port: self.announced_port().into(),
            tls_port: self.announced_tls_port().into(),
            bus_port: self.announced_bus_port()?.into(),
        })
    }

    /// The address that the peer link listens on: the first one of `bind`, at [`Settings::bus_port`].
    pub fn bus_listen(&self) -> Result<SocketAddr, String> {
        let port = self
            .bus_port()
            .ok_or("there is no port for the peer link: set cluster-port")?;
        let host = self.bind.first().map_or("*", String::as_str);
        let host = host.strip_prefix('-').unwrap_or(host);
        let host = if host == "*" { "0.0.0.0" } else { host };
        let mut addresses = (host, port)
            .to_socket_addrs()
            .map_err(|error| format!("bind {host}: {error}"))?;
        addresses
            .next()
            .ok_or_else(|| format!("bind {host}: no such address"))
    }

    /// What one row cannot see: values that contradict each other. The text says what to do.
    pub fn check(&self) -> Result<(), String> {
        if self.client_port() == 0 && self.unixsocket.is_empty() {
            return Err(
                "there is nothing to listen on: give port, tls-port or unixsocket".to_owned(),
            );
        }
        self.tls.check()?;
        if self.election_timeout_min_ms < 3 * self.heartbeat_interval_ms {
            return Err(format!(
                "election-timeout-min-ms ({}) must be at least 3 times heartbeat-interval-ms ({}), or one late heartbeat \
                 ends the leader's lease",
                self.election_timeout_min_ms, self.heartbeat_interval_ms
            ));
        }
        if self.election_timeout_ms < self.election_timeout_min_ms {
            return Err(format!(
                "election-timeout-ms ({}) must not be below election-timeout-min-ms ({})",
                self.election_timeout_ms, self.election_timeout_min_ms
            ));
        }
        peers::check(self)
    }
}
