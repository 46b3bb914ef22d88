//! What every connection and every admin command of a Store sees.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use storage::ids::StoreId;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::freshness::Freshness;
use super::imports::Imports;
use super::lazy_expiry::LazyExpiry;
use super::preload::Preload;
use super::registry::Registry;
use super::saves::Saves;
use super::stats::Stats;
use crate::config::Config;
use crate::machine::Machine;
use crate::raftstore::RaftRouter;
use crate::session::ClientRegistry;
use crate::tls::Tls;
use crate::transport::Transport;

/// How the Store is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Not at all.
    No,
    /// With a last checkpoint.
    Checkpoint,
    /// With a last checkpoint; then the process starts again.
    Restart,
    /// At once: the log has everything.
    Now,
}

/// Shared by all threads of a Store.
pub struct Shared {
    /// The configuration.
    pub config: Arc<Config>,
    /// What TLS connections begin with.
    pub tls: Arc<Tls>,
    /// This Store.
    pub store: StoreId,
    /// The cluster.
    pub cluster_id: [u8; 16],
    /// Whether clients are served as Redis Cluster serves them (`cluster-enabled`).
    pub cluster_enabled: bool,
    /// The store thread.
    pub router: RaftRouter,
    /// The Region's memory and what executes on it.
    pub machine: Machine,
    /// Every command.
    pub registry: Registry,
    /// Every connection.
    pub clients: ClientRegistry,
    /// Counters.
    pub stats: Stats,
    /// When this process started.
    pub started: Instant,
    /// Forty hexadecimal digits, new at every start.
    pub run_id: String,
    /// Whether the leader removes expired keys on its own.
    pub active_expire: Arc<AtomicBool>,
    /// Removes expired keys that reads meet.
    pub lazy_expiry: Arc<LazyExpiry>,
    /// How old this Store's memory may be.
    pub freshness: Arc<Freshness>,
    /// Loads large collections without the lock.
    pub preload: Preload,
    /// Whether memory is full and nothing may be deleted. See [`super::eviction`].
    pub out_of_memory: AtomicBool,
    /// RDB files that were written.
    pub saves: Arc<Saves>,
    /// RDB files that are loaded.
    pub imports: Arc<Imports>,
    /// Tells the process to stop.
    pub stop: watch::Sender<Stop>,
    /// The main thread's runtime, for what the threads of clients and links shall not wait for.
    pub background: Handle,
    transport: OnceLock<Arc<Transport>>,
    random: AtomicU64,
}

/// What [`Shared`] is made of.
pub struct Parts {
    /// See [`Shared::config`].
    pub config: Arc<Config>,
    /// See [`Shared::tls`].
    pub tls: Arc<Tls>,
    /// See [`Shared::store`].
    pub store: StoreId,
    /// See [`Shared::cluster_id`].
    pub cluster_id: [u8; 16],
    /// See [`Shared::router`].
    pub router: RaftRouter,
    /// See [`Shared::machine`].
    pub machine: Machine,
    /// See [`Shared::registry`].
    pub registry: Registry,
    /// See [`Shared::run_id`].
    pub run_id: String,
    /// See [`Shared::active_expire`].
    pub active_expire: Arc<AtomicBool>,
    /// See [`Shared::background`].
    pub background: Handle,
    /// Seed of randomness that needs no secrecy and no agreement (RANDOMKEY).
    pub seed: u64,
}

impl Shared {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            stats: Stats::new(parts.registry.entries().len()),
            cluster_enabled: parts.config.load().cluster_enabled,
            config: parts.config,
            tls: parts.tls,
            freshness: Arc::default(),
            preload: Preload::default(),
            store: parts.store,
            cluster_id: parts.cluster_id,
            router: parts.router,
            machine: parts.machine,
            registry: parts.registry,
            clients: ClientRegistry::default(),
            started: Instant::now(),
            run_id: parts.run_id,
            active_expire: parts.active_expire,
            out_of_memory: AtomicBool::new(false),
            lazy_expiry: Arc::default(),
            saves: Arc::default(),
            imports: Arc::default(),
            stop: watch::Sender::new(Stop::No),
            background: parts.background,
            transport: OnceLock::new(),
            random: AtomicU64::new(parts.seed),
        }
    }

    /// Whether this Store was removed from the cluster, as it knows itself or was told.
    pub fn was_removed(&self) -> bool {
        self.router.status().members.excludes(self.store)
            || self
                .transport()
                .is_some_and(|transport| transport.is_expelled())
    }

    /// The links to other Stores; `None` for a single Store, and until they are started.
    pub fn transport(&self) -> Option<&Arc<Transport>> {
        self.transport.get()
    }

    /// Sets the links once they are started; only the first call counts.
    pub fn set_transport(&self, transport: Arc<Transport>) {
        if self.transport.set(transport).is_err() {
            tracing::error!("the transport was started twice");
        }
    }

    /// Whether this Store calls itself a replica: clients of Redis Cluster and of Sentinel look for one master. Without
    /// such a dialect every Store forwards and is as good as a master, and says so.
    pub fn says_replica(&self) -> bool {
        self.config.load().speaks_dialect()
            && self
                .router
                .leader()
                .is_some_and(|leader| leader != self.store)
    }

    /// A number for reads that choose at random; two calls differ.
    pub fn random(&self) -> u64 {
        self.random
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }

    /// The engine failed under a read: serving on could answer from what is not there.
    pub fn fatal(&self, error: &storage::Error) -> ! {
        crate::raftstore::fatal("cannot read the kv engine", error)
    }
}
