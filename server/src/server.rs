//! Puts a Store together: opens its engines, starts its threads, and takes it down again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use parking_lot::RwLock;
use storage::dataset::{Dataset, DatasetOptions, Obsolete};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{Durability, Engines};
use storage::ids::{FIRST_REGION, PeerId, RegionId, StoreId};
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use storage::proto::command::{RaftMessage, Request};
use storage::proto::raft::MessageType;
use storage::proto::store::StoreAddress;
use storage::snapshot::{ReceivedSnapshot, SnapshotSource};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;

use crate::admin;
use crate::bootstrap::stop_signal;
use crate::config::peers::{self, PeerAddress};
use crate::config::{AppendFsync, Config, Settings};
use crate::dispatch::registry::Registry;
use crate::dispatch::shared::{Parts, Stop};
use crate::dispatch::{Shared, announce, cold_expiry, eviction, forwarded};
use crate::identity::{self, Identity};
use crate::import;
use crate::machine::{Machine, Outstanding};
use crate::net::{IoThreads, Listeners};
use crate::next_start;
use crate::raftstore::{
    Member, Members, OpenDataset, PeerConfig, RaftRouter, Role, SharedLimits, SharedPriority,
    Store, StoreOptions, StoreTransport, fatal, refuse_to_serve,
};
use crate::session;
use crate::tls::{self, Tls};
use crate::transport::{self, ForwardReply, Transport, TransportConfig, TransportOptions};

/// Length of Raft's tick. Heartbeats and election time-outs are multiples of it.
const TICK_MS: u64 = 10;

/// How long a stopping Store waits for its last checkpoint; the log has everything anyway.
const LAST_CHECKPOINT: Duration = Duration::from_secs(10);

/// How long a stopping leader waits for another one.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Entries kept in memory for followers that are a little behind.
const LOG_CACHE_BYTES: usize = 4 << 20;

/// With `maxmemory`, a cache takes one part in so many of it at most.
const CACHE_PARTS: u64 = 32;
/// But not less.
const MIN_CACHE_BYTES: u64 = 1 << 20;

/// Elements from which on a collection is not loaded under the lock because of a point operation: a few milliseconds' worth.
const PARTS_FROM_ELEMENTS: u64 = 4096;

/// How a Store has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it was told to.
    Stopped,
    /// The process is to start again: a command has noted what the next start is to do.
    Restart,
}

/// Serves until a signal or SHUTDOWN.
pub fn run(config: Config) -> anyhow::Result<End> {
    let config = Arc::new(config);
    let settings = config.snapshot();
    let tls = Arc::new(Tls::open(&settings.tls)?);
    let listeners = Listeners::bind(&settings)?;
    let obsolete = Obsolete::default();
    let next = next_start::read(&settings.dir)?;
    next_start::clear(&settings.dir, next.as_ref())?;
    let engines = open_engines(&settings, &obsolete)?;
    next_start::run(&settings, &engines, next)?;
    let identity = identity::establish(&settings, &tls, &engines)?;
    let open = open_dataset(&engines, &settings, &obsolete);
    let outstanding = Outstanding::of(identity.store, identity::random_u64()?);
    let machine = Machine::new(Arc::new(RwLock::new(open()?))).recognising(outstanding);
    let links = Arc::new(Links::default());
    let live = Live {
        active_expire: Arc::new(AtomicBool::new(true)),
        limits: SharedLimits::new(settings.limits),
        priority: SharedPriority::new(settings.leader_priority.into()),
    };
    let store = start_store(
        &settings, &engines, &identity, &machine, &links, &live, open,
    )?;
    let runtime = current_thread_runtime()?;
    let shared = Arc::new(Shared::new(Parts {
        config: Arc::clone(&config),
        tls,
        store: identity.store,
        cluster_id: identity.cluster_id,
        router: store.router().clone(),
        machine,
        registry: Registry::new(&session::FAMILIES, &admin::FAMILIES),
        run_id: identity::random_hex()?,
        active_expire: live.active_expire,
        background: runtime.handle().clone(),
        seed: identity::random_u64()?,
    }));
    admin::install_hooks(&shared, &live.limits, &live.priority);
    let io_threads = IoThreads::start(&shared, io_threads(&settings))?;
    let link_thread = LinkThread::start_for(&settings)?;
    let end = runtime.block_on(serve(
        &shared,
        &settings,
        &identity,
        Linking {
            links: &links,
            thread: link_thread.as_ref(),
        },
        &io_threads,
        listeners,
    ))?;
    tracing::info!("stopping");
    // What clients were promised may still go over links.
    let stopped = runtime.spawn_blocking(move || io_threads.stop());
    runtime.block_on(stopped)?;
    if let Some(transport) = shared.transport() {
        runtime.block_on(transport.shutdown());
    }
    drop(link_thread);
    store.stop();
    tracing::info!("bye");
    Ok(end)
}

fn current_thread_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The thread on which links to other Stores live. Nothing there waits for the data or for the disk: heartbeats come and go,
/// whatever clients have the Store do.
struct LinkThread {
    runtime: Handle,
    /// Dropped, the thread ends.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl LinkThread {
    /// None for a Store that has no others.
    fn start_for(settings: &Settings) -> std::io::Result<Option<Self>> {
        if settings.cluster_secret.is_empty() && settings.cluster_peers.len() <= 1 {
            return Ok(None);
        }
        let runtime = current_thread_runtime()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("links".to_owned())
            .spawn(move || {
                // The sender says nothing; it goes.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Some(Self {
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        }))
    }
}

impl Drop for LinkThread {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the links' thread has panicked");
        }
    }
}

/// The way to other Stores, and where the links shall live, if there are any.
struct Linking<'a> {
    links: &'a Links,
    thread: Option<&'a LinkThread>,
}

/// By default half of the cores: the store thread, the apply worker and the checkpoints need the others.
fn io_threads(settings: &Settings) -> usize {
    match settings.io_threads {
        0 => std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
        threads => threads as usize,
    }
}

/// What a cache of so many bytes may take when memory is small: see [`CACHE_PARTS`].
fn part_of_memory(settings: &Settings, bytes: u64) -> u64 {
    match settings.maxmemory_bytes / CACHE_PARTS {
        0 => bytes,
        part => bytes.min(part.max(MIN_CACHE_BYTES)),
    }
}

fn open_engines(settings: &Settings, obsolete: &Obsolete) -> anyhow::Result<Engines> {
    let dir = &settings.dir;
    storage::dirs::make(dir)
        .with_context(|| format!("cannot create the data directory {}", dir.display()))?;
    let open = |name: &str, options: LsmOptions| -> anyhow::Result<Arc<LsmEngine>> {
        let path = dir.join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create the data directory {}", path.display()))?;
        let engine = LsmEngine::open(&path, options);
        Ok(Arc::new(engine.with_context(|| {
            format!("cannot open {}", path.display())
        })?))
    };
    let obsolete = obsolete.clone();
    let kv = LsmOptions {
        cache_bytes: part_of_memory(settings, settings.block_cache_size_bytes),
        obsolete: Some(Arc::new(move |key, value| obsolete.is_obsolete(key, value))),
        ..LsmOptions::kv()
    };
    let raft = LsmOptions {
        unsynced_tail: settings.appendfsync != AppendFsync::Always,
        zeros_ahead: settings.appendfsync == AppendFsync::Always,
        ..LsmOptions::raft()
    };
    Ok(Engines {
        kv: open("kv", kv)?,
        raft: open("raft", raft)?,
    })
}

fn open_dataset(engines: &Engines, settings: &Settings, obsolete: &Obsolete) -> OpenDataset {
    let options = DatasetOptions {
        maxmemory_bytes: settings.maxmemory_bytes,
        eviction: settings.maxmemory_policy,
        parts_from_elements: PARTS_FROM_ELEMENTS,
        hash_seed: [0; 16],
    };
    let (obsolete, engines) = (obsolete.clone(), engines.clone());
    Arc::new(move || {
        let options = DatasetOptions {
            hash_seed: identity::hash_seed(&engines)?,
            ..options.clone()
        };
        let mut dataset = Dataset::open(FIRST_REGION, Arc::clone(&engines.kv), options)?;
        dataset.set_obsolete(obsolete.clone());
        Ok(dataset)
    })
}

/// What operators change while the Store runs.
struct Live {
    active_expire: Arc<AtomicBool>,
    limits: SharedLimits,
    priority: SharedPriority,
}

fn start_store(
    settings: &Settings,
    engines: &Engines,
    identity: &Identity,
    machine: &Machine,
    links: &Arc<Links>,
    live: &Live,
    open: OpenDataset,
) -> anyhow::Result<Store> {
    let always = settings.appendfsync == AppendFsync::Always;
    let options = PeerStorageOptions {
        durability: if always {
            Durability::Synced
        } else {
            Durability::Buffered
        },
        log_cache_bytes: part_of_memory(settings, LOG_CACHE_BYTES as u64) as usize,
        snapshot_dir: identity::snapshot_dir(&settings.dir),
    };
    let storage = PeerStorage::open(engines.clone(), FIRST_REGION, options)?;
    let ticks = |ms: u64| (ms / TICK_MS).max(1) as usize;
    let config = PeerConfig {
        region: RegionId(storage.region().id),
        peer: PeerId(identity.store.get()),
        store: identity.store,
        tick_ms: TICK_MS,
        heartbeat_ticks: ticks(settings.heartbeat_interval_ms),
        heartbeat_min_ticks: ticks(settings.heartbeat_interval_min_ms),
        loyalty_ticks: ticks(settings.election_timeout_min_ms),
        election_ticks: ticks(settings.election_timeout_ms),
        seed: identity::random_u64()?,
        log_retention_bytes: settings.raft_log_retention_bytes,
        limits: live.limits.clone(),
        priority: live.priority.clone(),
    };
    let options = StoreOptions {
        dir: settings.dir.clone(),
        checkpoint_bytes: settings.checkpoint_size_bytes as usize,
        checkpoint_interval: Duration::from_millis(settings.checkpoint_interval_ms),
        sync_interval: (settings.appendfsync == AppendFsync::EverySecond)
            .then(|| Duration::from_secs(1)),
        active_expire: Arc::clone(&live.active_expire),
    };
    Store::start(
        config,
        options,
        storage,
        engines.clone(),
        machine.clone(),
        open,
        Arc::clone(links) as _,
    )
}

/// Everything that runs on the main thread, until the Store is to stop.
async fn serve(
    shared: &Arc<Shared>,
    settings: &Settings,
    identity: &Identity,
    Linking { links, thread }: Linking<'_>,
    io_threads: &IoThreads,
    listeners: Listeners,
) -> anyhow::Result<End> {
    if let Some(thread) = thread {
        let handler = Arc::new(Arrivals {
            shared: Arc::clone(shared),
            is_new_and_alone: identity.is_new_and_alone,
        });
        let members = shared.router.status().members;
        let mut config = transport_config(settings, identity, &members)?;
        config.tls = Arc::clone(&shared.tls);
        let transport = thread.runtime.spawn(Transport::start(config, handler));
        let transport = transport.await??;
        links.start(Standing {
            transport: Arc::clone(&transport),
            configured: settings.cluster_peers.clone(),
            own: settings.advertised(identity.store),
        });
        // They may have changed in between.
        links.set_members(&shared.router.status().members);
        shared.set_transport(transport);
    }
    if !settings.import.is_empty() {
        let importing = shared.imports.begin(&settings.import);
        let importing = importing.context("an import is under way already")?;
        let file = Path::new(&settings.import);
        let import = import::run(shared, file, settings.import_replace, importing);
        tokio::select! {
            imported = import => drop(imported?),
            signal = stop_signal() => {
                tracing::warn!("{} received: the import is not complete", signal?);
                shared.stop.send_replace(Stop::Now);
                return Ok(End::Stopped);
            }
        }
    }
    for address in listeners.addresses() {
        tracing::info!("ready to accept connections at {address}");
    }
    let mut stop = shared.stop.subscribe();
    let accept = io_threads.accept(shared, listeners);
    let how = tokio::select! {
        accepted = accept => return accepted.map(|()| End::Stopped),
        never = admin::watch_memory_peak(shared) => match never {},
        never = cold_expiry::sweep(shared) => match never {},
        never = eviction::keep_room(shared) => match never {},
        never = announce::keep_address(shared) => match never {},
        never = tls::keep_current(&shared.tls, &shared.config) => match never {},
        signal = stop_signal() => {
            tracing::info!("{} received", signal?);
            Stop::Checkpoint
        }
        changed = stop.wait_for(|stop| *stop != Stop::No) => changed.map_or(Stop::Now, |stop| *stop),
    };
    hand_over(shared).await;
    if how != Stop::Now {
        last_checkpoint(shared).await;
    }
    shared.stop.send_replace(Stop::Now);
    Ok(if how == Stop::Restart {
        End::Restart
    } else {
        End::Stopped
    })
}

/// A leader lets another voter take over before it stops, so that nobody has to wait for an election.
async fn hand_over(shared: &Shared) {
    let status = shared.router.status();
    let Some(to) = status.successor().filter(|_| status.role == Role::Leader) else {
        return;
    };
    let mut leaders = shared.router.subscribe_leader();
    shared.router.transfer_leader(to);
    let other = leaders.wait_for(|leader| leader.is_some_and(|leader| leader != shared.store));
    match tokio::time::timeout(HAND_OVER, other).await {
        Ok(Ok(_)) => tracing::info!("node {to} leads from now on"),
        _ => tracing::warn!("no other node has taken over: there will be an election"),
    }
}

/// Makes the next start short. Whatever it misses is in the log.
async fn last_checkpoint(shared: &Shared) {
    let (done, wait) = oneshot::channel();
    shared.router.checkpoint(Box::new(move |result| {
        // Nobody waits any more when this takes too long.
        let _ = done.send(result);
    }));
    match tokio::time::timeout(LAST_CHECKPOINT, wait).await {
        Ok(Ok(Ok(index))) => {
            tracing::info!("everything up to log index {index} is in the last checkpoint")
        }
        _ => tracing::warn!("no last checkpoint: the next start replays more of the log"),
    }
}

fn transport_config(
    settings: &Settings,
    identity: &Identity,
    members: &Members,
) -> anyhow::Result<TransportConfig> {
    Ok(TransportConfig {
        store_id: identity.store,
        cluster_id: identity.cluster_id,
        secret: settings.cluster_secret.expose().as_bytes().to_vec(),
        listen: settings.bus_listen().map_err(anyhow::Error::msg)?,
        peers: bus_addresses(members, &settings.cluster_peers),
        next_store: members.next_store,
        snapshot_dir: identity::snapshot_dir(&settings.dir),
        tls: Arc::default(),
        options: TransportOptions {
            snapshot_bytes_per_second: settings.snapshot_max_bytes_per_second,
            ..TransportOptions::default()
        },
    })
}

/// Where the members' peer links may be: as the configuration of this Store says, and as the cluster knows. Either may be older: one
/// node was moved alone, or all at once. A Store that has joined and knows no members yet has the addresses that it was told.
fn bus_addresses(members: &Members, configured: &[PeerAddress]) -> Vec<(StoreId, String)> {
    let of_configuration = |store: StoreId| {
        let peer = configured.iter().find(|peer| peer.store_id == store);
        peer.map(|peer| (store, peer.bus_address()))
    };
    let of_member = |member: &Member| {
        let address = peers::host_port(&member.host, member.bus_port);
        let of_cluster = (!member.host.is_empty()).then_some((member.store, address));
        of_configuration(member.store).into_iter().chain(of_cluster)
    };
    let of_seed = |seed: &StoreAddress| (StoreId(seed.store_id), bus_address(seed));
    let known = members.list.iter().flat_map(of_member);
    known.chain(members.seeds.iter().map(of_seed)).collect()
}

fn bus_address(address: &StoreAddress) -> String {
    peers::host_port(&address.host, u16::try_from(address.bus_port).unwrap_or(0))
}

/// The store thread's way to the transport, which starts after it. Until then messages are lost, as Raft tolerates.
#[derive(Default)]
struct Links {
    standing: std::sync::OnceLock<Standing>,
}

/// The transport, and what this Store's configuration says of addresses.
struct Standing {
    transport: Arc<Transport>,
    /// Where others may be.
    configured: Vec<PeerAddress>,
    /// Where this Store is.
    own: Option<StoreAddress>,
}

impl Links {
    fn start(&self, standing: Standing) {
        if self.standing.set(standing).is_err() {
            tracing::error!("the transport was started twice");
        }
    }
}

/// Whether the receiver of a message is told where its sender is: of a leader's heartbeats, and of what a Store sends that has
/// found no leader, perhaps because it was moved and the others do not find it.
fn introduces(message: &RaftMessage) -> bool {
    let asks = message.message.as_ref().is_some_and(|inner| {
        let votes = [MessageType::MsgRequestPreVote, MessageType::MsgRequestVote];
        votes.contains(&inner.msg_type())
    });
    asks || message.from_address.is_some() || message.founding.is_some()
}

impl StoreTransport for Links {
    fn send(&self, to: StoreId, mut message: RaftMessage) {
        let Some(links) = self.standing.get() else {
            return;
        };
        if introduces(&message) && links.own.is_some() {
            message.from_address.clone_from(&links.own);
        }
        links.transport.send(to, message);
    }

    fn set_members(&self, members: &Members) {
        let Some(links) = self.standing.get() else {
            return;
        };
        if members.excludes(links.transport.store()) {
            tracing::warn!(
                "this node was removed from the cluster: it serves nobody any more, and may be stopped"
            );
            links.transport.leave();
            return;
        }
        let addresses = bus_addresses(members, &links.configured);
        links.transport.set_peers(&addresses, members.next_store);
    }

    fn send_snapshot(&self, to: StoreId, message: RaftMessage, source: SnapshotSource) {
        if let Some(links) = self.standing.get() {
            links.transport.send_snapshot(to, message, source);
        }
    }
}

/// What other Stores send, on its way to the store thread.
struct Arrivals {
    shared: Arc<Shared>,
    is_new_and_alone: bool,
}

impl Arrivals {
    fn router(&self) -> &RaftRouter {
        &self.shared.router
    }
}

impl transport::Handler for Arrivals {
    fn raft(&self, message: RaftMessage) {
        let from = message.from_peer.as_ref().map(|peer| peer.store_id);
        if let Some(address) = &message.from_address
            && from == Some(address.store_id)
            && let Some(transport) = self.shared.transport()
        {
            let (store, address) = (StoreId(address.store_id), bus_address(address));
            transport.introduce(store, &address);
        }
        self.router().step(message);
    }

    fn unreachable(&self, store: StoreId) {
        self.router().report_unreachable(store);
    }

    fn gone(&self, store: StoreId) {
        self.router().report_gone(store);
    }

    fn forwarded(&self, request: Request, reply: ForwardReply) {
        forwarded::run(&self.shared, request, reply);
    }

    fn snapshot_received(&self, message: RaftMessage, file: ReceivedSnapshot) {
        self.router().step_snapshot(message, file);
    }

    fn unreadable(&self, error: &storage::Error) {
        fatal("cannot read the data for a snapshot", error);
    }

    /// The first node of a cluster that others have joined, started again without its disk, would serve an empty cluster of its own
    /// under the address and id of a member. Nothing tells it so but the others. A node that is being added has another id there.
    fn mistaken(&self, by: StoreId, taken_for: StoreId) {
        if self.is_new_and_alone && taken_for == self.shared.store {
            refuse_to_serve(&format!(
                "the data directory was empty when this node started, and node {by} of a cluster takes it for that cluster's member \
                 {taken_for}. If its data is lost, send RAFT.NODE REMOVE {taken_for} to that cluster, empty this node's data \
                 directory, and start it with --join HOST:PORT of a member. If this is to be a cluster of its own, give it \
                 another address or another cluster-secret"
            ));
        }
    }

    fn snapshot_sent(&self, to: StoreId, ok: bool) {
        self.router().report_snapshot(to, ok);
    }
}
