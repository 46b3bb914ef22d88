//! The running Raft core: starts the store thread, the apply worker and the checkpoint thread, and stops them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::RwLock;
use storage::engine::Engines;
use storage::ids::StoreId;
use storage::peer_storage::PeerStorage;
use storage::proto::command::RaftMessage;
use storage::snapshot::SnapshotSource;
use tokio::sync::watch;

use super::apply::{ApplyMessage, ApplyWorker, OpenDataset, Waiting};
use super::checkpoint;
use super::clock::Now;
use super::config::PeerConfig;
use super::driver::{self, Driver, Output};
use super::executor::{Executor, Progress};
use super::inbox::{Inbox, StoreMessage};
use super::lease::Lease;
use super::membership::Members;
use super::peer::Peer;
use super::queue::Queue;
use super::recall::Recall;
use super::rest::Rest;
use super::room::Room;
use super::router::RaftRouter;
use crate::machine::Machine;

/// How the store thread and its workers run.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Data directory, whose file system is watched for free space.
    pub dir: PathBuf,
    /// Bytes of the write set at which a checkpoint starts.
    pub checkpoint_bytes: usize,
    /// Age of the write set at which a checkpoint starts.
    pub checkpoint_interval: Duration,
    /// `Some` makes the raft engine durable in the background this often (`appendfsync everysec`).
    pub sync_interval: Option<Duration>,
    /// Whether the leader removes expired keys on its own; shared with DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: Arc<AtomicBool>,
}

/// What the store thread needs of the network. Never blocks.
pub trait StoreTransport: Send + Sync + 'static {
    /// Sends, or drops.
    fn send(&self, to: StoreId, message: RaftMessage);
    /// The members have changed: from now on these are the other Stores.
    fn set_members(&self, members: &Members);
    /// Streams a snapshot; its end is reported by [`RaftRouter::report_snapshot`].
    fn send_snapshot(&self, to: StoreId, message: RaftMessage, source: SnapshotSource);
}

/// The running Raft core of this process.
pub struct Store {
    router: RaftRouter,
    thread: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    /// Closed when the Store stops.
    running: Sender<()>,
}

/// Says why and stops the process: after a failed write or apply, serving on would break a promise already made.
pub fn fatal(what: &str, error: &storage::Error) -> ! {
    let advice = match error {
        storage::Error::Corrupt { .. } => "Its files cannot be trusted any more",
        _ => "Check the disk, then start it again",
    };
    tracing::error!(
        "{what}: {error}. The Store stops: acknowledged writes are safe in the log of a majority. {advice}"
    );
    eprintln!("tinykv-server: fatal: {what}: {error}");
    std::process::abort();
}

/// Says why and ends the process: this Store must not take part, and nothing of it is left to be saved.
pub fn refuse_to_serve(reason: &str) -> ! {
    tracing::error!("cannot serve: {reason}");
    eprintln!("tinykv-server: {reason}");
    std::process::exit(1);
}

impl Store {
    /// Starts the store thread, the apply worker and the checkpoint thread.
    pub fn start(
        config: PeerConfig,
        options: StoreOptions,
        storage: PeerStorage,
        engines: Engines,
        machine: Machine,
        open: OpenDataset,
        transport: Arc<dyn StoreTransport>,
    ) -> anyhow::Result<Self> {
        let lease = Arc::new(Lease::default());
        let peer = Peer::new(config.clone(), storage, lease.clone(), Now::read())?;
        let inbox = Arc::new(Inbox::default());
        let apply = Arc::new(Queue::default());
        let (checkpoints, checkpoint_jobs) = unbounded();
        let (running, stopping) = bounded(0);
        let (leader_tx, leader) = watch::channel(None);
        let status = Arc::new(RwLock::new(peer.status()));
        let time = peer.logical_time();
        time.observe(machine.dataset().read().now_ms());
        let router = RaftRouter {
            inbox: inbox.clone(),
            apply: apply.clone(),
            lease,
            status,
            leader,
            time,
            checkpointed_ms: Arc::new(AtomicU64::new(Now::read().wall_ms)),
            disk_low: Arc::default(),
            seat: Arc::default(),
        };
        let progress = Progress::default();
        let worker = ApplyWorker {
            machine: machine.clone(),
            open,
            inbox: Arc::clone(&apply),
            store: inbox,
            checkpoints,
            options: options.clone(),
            checkpointing: false,
            cleaning: false,
            replacing: false,
            last_checkpoint: Instant::now(),
            last_upkeep: Instant::now(),
            last_reclaim: None,
            progress: progress.clone(),
            waiting: Waiting::default(),
            loading: true,
            room: Room::default(),
            recall: Recall::default(),
            rest: Rest::new(Instant::now()),
            held: VecDeque::new(),
        };
        let of_checkpoints = engines.clone();
        let to_apply = apply.clone();
        let workers = vec![
            spawn("apply", move || worker.run())?,
            spawn("checkpoint", move || {
                checkpoint::run(checkpoint_jobs, of_checkpoints, to_apply, stopping)
            })?,
        ];
        let tick = Duration::from_millis(config.tick_ms);
        router.seat.occupy(Driver {
            tick,
            peer,
            options,
            router: router.clone(),
            leader_tx,
            machine: machine.clone(),
            engines,
            published: None,
            syncing_since_ns: None,
            output: Output {
                store: config.store,
                transport,
                executor: Executor::new(machine, apply, progress),
            },
        });
        let to_drive = router.clone();
        let thread = Some(spawn("store", move || driver::run(&to_drive, tick))?);
        Ok(Self {
            router,
            thread,
            workers,
            running,
        })
    }

    /// The handle that everybody else uses.
    pub fn router(&self) -> &RaftRouter {
        &self.router
    }

    /// Stops the threads after what was handed to them; whoever waits is told. The caller takes a last checkpoint before.
    pub fn stop(mut self) {
        drop(self.running);
        self.router.inbox.push(StoreMessage::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store thread panicked");
        }
        self.router.apply.push(ApplyMessage::Stop);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

pub(super) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_string())
        .spawn(run)
}
