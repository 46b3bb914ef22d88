//! What INFO tells, gathered before it is written: plain values, so that the text can be tested without a server.

use std::sync::Arc;

use storage::ids::StoreId;

use crate::admin::process::{CpuTimes, Memory};
use crate::admin::replicas::Replicas;
use crate::config::Settings;
use crate::dispatch::imports::ImportsFacts;
use crate::dispatch::saves::SavesFacts;
use crate::dispatch::stats::Rates;
use crate::raftstore::Status;
use crate::transport::{LinkStatus, SnapshotProgress};

/// Everything that the sections need.
#[derive(Debug)]
pub struct Facts {
    /// The configuration in force.
    pub settings: Arc<Settings>,
    /// The file that the Store was started with; empty: none.
    pub config_file: String,
    /// 40 hexadecimal digits, new at every start.
    pub run_id: String,
    /// Unix time, microseconds.
    pub unix_time_us: u64,
    /// Since the start.
    pub uptime_seconds: u64,
    /// Connections.
    pub clients: Clients,
    /// Of process and machine.
    pub memory: Memory,
    /// Bytes that the data set accounts for.
    pub dataset_bytes: u64,
    /// The most that was seen of data set and clients together.
    pub peak_bytes: u64,
    /// See [`Persistence`].
    pub persistence: Persistence,
    /// See [`Counters`].
    pub counters: Counters,
    /// CPU time used.
    pub cpu: CpuTimes,
    /// The Raft core.
    pub raft: Status,
    /// For how long this Store may answer reads on its own, nanoseconds; `u64::MAX` without an end.
    pub lease_ns: u64,
    /// The links to the other Stores.
    pub links: Vec<LinkStatus>,
    /// The snapshot that this Store receives.
    pub receiving: Option<SnapshotProgress>,
    /// The other voters.
    pub replicas: Replicas,
    /// The leader's host and port when this Store calls itself a replica of it.
    pub master: Option<(String, u16)>,
    /// This Store.
    pub store_id: StoreId,
    /// Commands that were called or refused since the last CONFIG RESETSTAT.
    pub commands: Vec<CommandCounters>,
    /// Error codes and how often each was answered.
    pub errors: Vec<(String, u64)>,
    /// Databases that have keys.
    pub databases: Vec<Database>,
}

/// Connections, now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clients {
    /// Open connections of clients.
    pub connected: u64,
    /// Those that wait in a blocking command.
    pub blocked: u64,
    /// Memory of all connections.
    pub memory_bytes: u64,
}

/// What is on disk.
#[derive(Clone, Debug, Default)]
pub struct Persistence {
    /// The log's tail is being replayed, or no leader is known yet.
    pub is_loading: bool,
    /// A checkpoint is being written.
    pub is_checkpointing: bool,
    /// Changes of keys since the last RDB file, or since the start.
    pub changes: u64,
    /// Unix time of the last durable checkpoint.
    pub last_checkpoint_seconds: u64,
    /// RDB files that were written.
    pub saves: SavesFacts,
    /// RDB files that are loaded.
    pub imports: ImportsFacts,
}

/// What was counted since the start or the last CONFIG RESETSTAT.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the fields are named as in INFO")]
pub struct Counters {
    pub connections_received: u64,
    pub commands_processed: u64,
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
    pub rates: Rates,
    pub rejected_connections: u64,
    pub expired_keys: u64,
    pub evicted_keys: u64,
    pub expired_subkeys: u64,
    /// While data took more than `maxmemory` and keys were to go.
    pub eviction_exceeded_ms: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub error_replies: u64,
    /// Objects read from the LSM because they were not in memory.
    pub objects_loaded: u64,
    /// Objects dropped from memory because of `maxmemory`.
    pub objects_dropped: u64,
}

/// One command in `commandstats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandCounters {
    /// `get`, `config|set`.
    pub name: String,
    /// Executed.
    pub calls: u64,
    /// Time in it.
    pub micros: u64,
    /// Refused before it was executed.
    pub rejected: u64,
    /// Executed and answered with an error.
    pub failed: u64,
}

/// One database in `keyspace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Database {
    /// 0 to 15.
    pub index: u8,
    /// Keys.
    pub keys: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Mean time to live of those.
    pub avg_ttl_ms: u64,
}
