//! Drives the Peer: hands it what arrived, and lets what it decides happen. No async here: the disk blocks the thread that
//! drives, and that is how everything that arrives meanwhile shares the next fsync.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use storage::engine::Engines;
use storage::ids::StoreId;
use storage::proto::command::RaftMessage;
use storage::snapshot::SnapshotSource;
use tokio::sync::watch;

use super::apply::{Applied, ApplyMessage, ApplyTask};
use super::clock::{Now, monotonic_ns};
use super::disk::DiskRoom;
use super::error::Error;
use super::executor::{Drives, Executor};
use super::expiry::{ExpiryPace, MAX_EXPIRED_KEYS};
use super::inbox::StoreMessage;
use super::peer::{Peer, Step};
use super::propose::{Proposal, Work};
use super::ready::Outbox;
use super::router::RaftRouter;
use super::store::{StoreOptions, StoreTransport, fatal, refuse_to_serve, spawn};
use crate::allocator;
use crate::machine::Machine;

/// How often free space on the disk is looked at.
const DISK_INTERVAL: Duration = Duration::from_secs(1);

/// Free bytes below which writes are refused that do not delete: the log, a checkpoint and a compaction must still find room.
const DISK_LOW_BYTES: u64 = 128 << 20;

/// Free bytes below which all writes are refused. Above what the engines keep free.
const DISK_FULL_BYTES: u64 = 96 << 20;

/// The Peer's output in production.
pub(super) struct Output {
    pub(super) store: StoreId,
    pub(super) transport: Arc<dyn StoreTransport>,
    pub(super) executor: Executor,
}

impl Output {
    fn to(&self, message: &RaftMessage) -> Option<StoreId> {
        message
            .to_peer
            .as_ref()
            .map(|peer| StoreId(peer.store_id))
            .filter(|to| *to != self.store)
    }
}

impl Outbox for Output {
    fn send(&mut self, message: RaftMessage) {
        if let Some(to) = self.to(&message) {
            self.transport.send(to, message);
        }
    }

    fn send_snapshot(&mut self, message: RaftMessage, source: SnapshotSource) {
        if let Some(to) = self.to(&message) {
            self.transport.send_snapshot(to, message, source);
        }
    }

    fn apply(&mut self, task: ApplyTask) {
        self.executor.execute(task);
    }

    fn clock_ns(&self) -> u64 {
        monotonic_ns()
    }

    fn quiesce(&mut self) {
        let (done, wait) = bounded(1);
        self.executor.tell(ApplyMessage::Quiesce(done));
        // An error means that the worker has stopped, and with it everything that could touch the engine.
        let _ = wait.recv();
    }

    fn reopen(&mut self) -> storage::Result<()> {
        let (done, wait) = bounded(1);
        self.executor.tell(ApplyMessage::Reopen(done));
        wait.recv().unwrap_or(Ok(()))
    }
}

/// The state of who drives.
pub(super) struct Driver {
    pub(super) tick: Duration,
    pub(super) peer: Peer,
    pub(super) options: StoreOptions,
    pub(super) router: RaftRouter,
    pub(super) leader_tx: watch::Sender<Option<StoreId>>,
    pub(super) machine: Machine,
    pub(super) engines: Engines,
    /// The `conf_ver` of the members that were published last.
    pub(super) published: Option<u64>,
    /// When the sync of `everysec` that is under way began.
    pub(super) syncing_since_ns: Option<u64>,
    pub(super) output: Output,
}

/// When the periodic duties are due next.
struct Timers {
    tick: Instant,
    expiry: ExpiryPace,
    disk: Instant,
    sync: Instant,
}

/// The store thread: drives whatever nobody else has driven, until it is told to stop.
pub(super) fn run(router: &RaftRouter, tick: Duration) {
    let start = Instant::now();
    let mut timers = Timers {
        tick: start + tick,
        expiry: ExpiryPace::new(start),
        disk: start,
        sync: start,
    };
    let mut messages = Vec::new();
    loop {
        allocator::collect_if_asked();
        let wait = timers.tick.saturating_duration_since(Instant::now());
        router.inbox.wait(wait);
        let mut seat = router.seat.0.lock();
        let Some(driver) = seat.as_mut() else { return };
        let has_others = !driver.peer.is_alone();
        driver
            .output
            .executor
            .driven_by(Drives::StoreThread, has_others);
        router.inbox.take(&mut messages);
        let now = Now::read();
        if !driver.dispatch(&mut messages, now) {
            driver.stop();
            *seat = None;
            return;
        }
        driver.on_time(&mut timers, now);
        driver.settle();
    }
}

/// The driver of the Store. Whoever holds the lock drives: as a rule the store thread, and an I/O thread for what it has
/// gathered itself. Empty when the Store has stopped.
#[derive(Default)]
pub(super) struct Seat(Mutex<Option<Driver>>);

impl Seat {
    pub(super) fn occupy(&self, driver: Driver) {
        *self.0.lock() = Some(driver);
    }

    /// Proposes and lets Raft's decisions happen on this thread, fsync and execution included. Hands the proposals back when
    /// another thread is at it; when it would wait for the disk and may not; when there are other voters, whose answers are
    /// waited for longer than a change of thread takes, while this thread has requests to parse; and when the Store has
    /// stopped.
    pub(super) fn drive(
        &self,
        proposals: Vec<Proposal>,
        may_wait: bool,
    ) -> Result<(), Vec<Proposal>> {
        let Some(mut seat) = self.0.try_lock() else {
            return Err(proposals);
        };
        match seat.as_mut() {
            Some(Driver { peer, .. }) if !may_wait && peer.waits_for_disk() => Err(proposals),
            Some(driver) if driver.peer.is_alone() => {
                driver.output.executor.driven_by(Drives::IoThread, false);
                driver.peer.propose_raft_command(proposals, Now::read());
                driver.settle();
                Ok(())
            }
            _ => Err(proposals),
        }
    }
}

impl Driver {
    /// What must follow every input.
    fn settle(&mut self) {
        self.peer.flush_reads();
        self.handle_readies();
        self.publish_leader();
        if let Some(reason) = self.peer.refusal() {
            refuse_to_serve(&reason);
        }
    }

    /// Lets Raft's decisions happen until it has none.
    fn handle_readies(&mut self) {
        loop {
            match self.peer.handle_raft_ready(Now::read(), &mut self.output) {
                Ok(true) => self.publish_members(),
                Ok(false) => return,
                Err(error) => fatal("cannot persist the Raft log", &error),
            }
            if let Some(applied) = self.output.executor.take_applied() {
                self.on_applied(applied, Now::read());
            }
        }
    }

    /// The worker has executed a task.
    fn on_reported(&mut self, applied: Option<Applied>, now: Now) {
        self.output.executor.reported();
        // A report may be older than a snapshot that was installed while it waited in the inbox.
        if let Some(applied) = applied.filter(|applied| applied.index > self.peer.applied()) {
            self.on_applied(applied, now);
        }
    }

    fn on_applied(&mut self, applied: Applied, now: Now) {
        self.peer.on_applied(applied, now);
    }

    /// Hands every message to the Peer; false to stop.
    fn dispatch(&mut self, messages: &mut Vec<StoreMessage>, now: Now) -> bool {
        let mut proposals: Vec<Proposal> = Vec::new();
        for message in messages.drain(..) {
            match message {
                StoreMessage::Propose(proposal) => proposals.push(proposal),
                StoreMessage::Read(callback) => self.peer.read_index(callback),
                StoreMessage::Step(message, file) => {
                    if let Step::Ignored(why) = self.peer.step(*message, file, now) {
                        tracing::debug!("ignored a Raft message {why}");
                    }
                }
                StoreMessage::Unreachable(store) => self.peer.report_unreachable(store),
                StoreMessage::Gone(store) => self.peer.report_gone(store),
                StoreMessage::SnapshotSent { to, ok } => self.peer.report_snapshot(to, ok),
                StoreMessage::Applied(applied) => self.on_reported(applied, now),
                StoreMessage::Checkpointed(index) => {
                    self.router
                        .checkpointed_ms
                        .store(now.wall_ms, Ordering::Relaxed);
                    if let Err(error) = self.peer.on_checkpoint(index) {
                        fatal("cannot compact the Raft log", &error);
                    }
                }
                StoreMessage::Transfer(to) => self.peer.transfer_leader_to(to, now),
                StoreMessage::WantSynced(index) => self.peer.want_synced(index),
                StoreMessage::Synced(ns) => {
                    self.syncing_since_ns = None;
                    self.peer.sync_ended();
                    self.peer.note_disk_ns(ns);
                }
                StoreMessage::Stop => return false,
            }
        }
        self.peer.propose_raft_command(proposals, now);
        true
    }

    fn on_time(&mut self, timers: &mut Timers, now: Now) {
        let instant = Instant::now();
        if instant >= timers.tick {
            // Not `+=`: ticks missed in a pause are not made up for.
            timers.tick = instant + self.tick;
            self.peer.tick(now);
            let low = self.peer.is_leader() && self.peer.room() < DiskRoom::Enough;
            self.router.disk_low.store(low, Ordering::Relaxed);
            *self.router.status.write() = self.peer.status();
        }
        if timers.expiry.is_due(self.peer.applied(), instant) {
            self.propose_expired(&mut timers.expiry, now, instant);
        }
        if instant >= timers.disk {
            timers.disk = instant + DISK_INTERVAL;
            self.watch_disk();
        }
        if let Some(interval) = self.options.sync_interval
            && instant >= timers.sync
        {
            timers.sync = instant + interval;
            self.sync_log(now);
        } else if self.peer.needs_sync() {
            self.sync_log(now);
        }
    }

    /// What `everysec` does, and what somebody wants. Off this thread, as in Redis: the disk must not stall the log's appends. Not
    /// while the last one is under way: a disk that stalls would gather threads.
    fn sync_log(&mut self, now: Now) {
        let start_ns = now.monotonic_ns;
        if let Some(since_ns) = self.syncing_since_ns {
            self.peer.note_disk_ns(start_ns.saturating_sub(since_ns));
            return;
        }
        let (raft, inbox) = (self.engines.raft.clone(), Arc::clone(&self.router.inbox));
        let started = spawn("sync", move || {
            if let Err(error) = raft.sync() {
                fatal("fsync of the Raft log failed", &error);
            }
            let ns = monotonic_ns().saturating_sub(start_ns);
            inbox.push(StoreMessage::Synced(ns));
        });
        match started {
            Ok(_) => {
                self.syncing_since_ns = Some(start_ns);
                self.peer.sync_begins();
            }
            Err(error) => tracing::error!("cannot start the thread that syncs the log: {error}"),
        }
    }

    fn propose_expired(&mut self, pace: &mut ExpiryPace, now: Now, instant: Instant) {
        if !self.peer.is_leader() || !self.options.active_expire.load(Ordering::Relaxed) {
            pace.found(&[], instant);
            return;
        }
        let Some(dataset) = pace.lock(self.machine.dataset(), instant) else {
            return;
        };
        let now_ms = self.router.time.at(now).max(dataset.now_ms());
        let keys = dataset.expired(now_ms, MAX_EXPIRED_KEYS);
        drop(dataset);
        pace.found(&keys, instant);
        if !keys.is_empty() {
            pace.removed_by(self.peer.propose_work(Work::DeleteExpired(keys), now));
        }
    }

    fn watch_disk(&mut self) {
        let free = rustix::fs::statvfs(&self.options.dir).map(|disk| disk.f_bavail * disk.f_frsize);
        let room = match free {
            Ok(free) if free < DISK_FULL_BYTES => DiskRoom::None,
            Ok(free) if free < DISK_LOW_BYTES => DiskRoom::Low,
            _ => DiskRoom::Enough,
        };
        if room < DiskRoom::Enough {
            tracing::warn!(
                free_bytes = free.unwrap_or(0),
                "the disk is nearly full: writes are refused until there is room"
            );
        }
        self.peer.set_room(room);
    }

    fn publish_members(&mut self) {
        let version = self.peer.conf_ver();
        if self.published != Some(version) {
            self.published = Some(version);
            *self.router.status.write() = self.peer.status();
            self.output.transport.set_members(self.peer.members());
        }
    }

    fn publish_leader(&mut self) {
        let leader = self.peer.leader_store();
        if *self.leader_tx.borrow() != leader {
            match leader {
                Some(store) => tracing::info!(%store, term = %self.peer.term(), "leader elected"),
                None => tracing::info!(term = %self.peer.term(), "no leader"),
            }
            *self.router.status.write() = self.peer.status();
            self.leader_tx.send_replace(leader);
        }
    }

    fn stop(&mut self) {
        self.peer.stop();
        for message in self.router.inbox.close() {
            match message {
                StoreMessage::Propose(proposal) => (proposal.callback)(Err(Error::Stopped)),
                StoreMessage::Read(callback) => callback(Err(Error::Stopped)),
                _ => {}
            }
        }
    }
}
