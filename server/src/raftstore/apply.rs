//! The apply worker: executes committed entries on the Region's memory, answers, and keeps the memory in shape.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::RwLock;
use raft::eraftpb::Entry;
use storage::dataset::{Checked, CheckpointDone, CleanupDone, Dataset};
use storage::ids::{LogIndex, Term};
use storage::proto::command::{RaftCmdResponse, ResponseHeader};

use super::checkpoint::CheckpointJob;
use super::error::Result;
use super::executor::Progress;
use super::inbox::{Inbox, StoreMessage};
use super::membership::{self, Configuration};
use super::queue::Queue;
use super::recall::Recall;
use super::rest::{Duty, Rest, process_cpu};
use super::room::Room;
use super::store::{StoreOptions, fatal};
use crate::allocator;
use crate::machine::Machine;

/// Told the outcome of a proposal, exactly once, on the store thread or the apply worker: it must not block.
pub type Callback = Box<dyn FnOnce(Result<RaftCmdResponse>) + Send>;

/// Told that a read may run, exactly once, on the store thread: it must not block.
pub type ReadCallback = Box<dyn FnOnce(Result<()>) + Send>;

/// Records that are loaded or promoted between two looks at the inbox.
const UPKEEP_BUDGET: usize = 256;

/// Objects that are dropped between two looks at the inbox: more than can come in, or memory would grow.
const DROP_BUDGET: usize = 1024;

/// How often an idle worker looks at the age of the write set.
const IDLE: Duration = Duration::from_millis(100);

/// How often a worker that is never idle does a slice of upkeep.
const UPKEEP_INTERVAL: Duration = Duration::from_millis(5);

/// How often it is looked whether much of what is on the disk is dead, which flushes and the deletion of large collections
/// make known at once.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(60);

/// A flush waits no longer than this after the last checkpoint: only when it is durable is the disk given back.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// While a checkpoint is under way, entries are executed until so many times the size of the next one has changed.
const BEHIND_CHECKPOINTS: usize = 1;

/// A committed entry and who waits for it on this Store.
pub struct CommittedEntry {
    /// The entry.
    pub entry: Entry,
    /// One per request of the entry, if this Store proposed it; empty elsewhere.
    pub callbacks: Vec<Callback>,
    /// What it makes of the configuration, if it changes that.
    pub configuration: Option<Configuration>,
}

impl CommittedEntry {
    /// Whether executing it may take long enough for a leader that executes nothing else to be missed: its proposer has said so in
    /// its context. A change of members has one too.
    pub fn takes_long(&self) -> bool {
        !self.entry.context.is_empty()
    }

    /// Executes it, and answers its requests while others are executed. An error is fatal: a replica that cannot apply must not
    /// skip.
    fn execute(self, dataset: &mut Dataset, machine: &Machine) -> storage::Result<Applied> {
        let Self {
            entry,
            callbacks,
            configuration,
        } = self;
        let (index, term) = (LogIndex(entry.index), Term(entry.term));
        let (asked, mut answered) = (callbacks.len(), 0);
        let mut callbacks = callbacks.into_iter();
        let mut answer = |mut response| {
            answered += 1;
            if let Some(callback) = callbacks.next() {
                bind_resp_term(&mut response, term);
                callback(Ok(response));
            }
        };
        match configuration {
            Some(change) => {
                dataset.configure(index, term, change.conf_state, change.region);
                (0..asked).for_each(|_| answer(membership::answer(change.store)));
            }
            None => {
                let answer = (asked > 0).then_some(&mut answer as &mut dyn FnMut(_));
                machine.apply_answering(dataset, index, term, &entry.data, answer)?;
            }
        }
        if answered != asked {
            let detail = format!("{answered} answers to {asked} requests at {index}");
            return Err(storage::Error::corrupt("Raft entry", detail));
        }
        Ok(Applied {
            index,
            now_ms: dataset.now_ms(),
            checked: dataset.checked(),
        })
    }
}

/// Committed entries in log order.
pub struct ApplyTask {
    /// The entries.
    pub entries: Vec<CommittedEntry>,
}

/// How far a task led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last index executed.
    pub index: LogIndex,
    /// The Region's logical time there.
    pub now_ms: u64,
    /// The newest check of this replica.
    pub checked: Option<Checked>,
}

impl ApplyTask {
    /// Bytes of the entries' data.
    pub fn size_bytes(&self) -> usize {
        self.entries
            .iter()
            .map(|committed| committed.entry.data.len())
            .sum()
    }

    /// Whether one of the entries may: see [`CommittedEntry::takes_long`].
    pub fn takes_long(&self) -> bool {
        self.entries.iter().any(CommittedEntry::takes_long)
    }

    /// Executes the entries in order. `None` for an empty task. An error is fatal.
    pub fn execute(self, machine: &Machine) -> storage::Result<Option<Applied>> {
        let mut applied = None;
        for entry in self.entries {
            // Readers may come in between.
            let mut dataset = machine.dataset().write();
            applied = Some(entry.execute(&mut dataset, machine)?);
        }
        Ok(applied)
    }

    /// The same for a thread that must not wait long for readers; the task itself if they do not let go within `patience`.
    pub fn try_execute(
        self,
        machine: &Machine,
        patience: Duration,
    ) -> storage::Result<std::result::Result<Option<Applied>, Self>> {
        let Some(mut dataset) = machine.dataset().try_write_for(patience) else {
            return Ok(Err(self));
        };
        let mut applied = None;
        for entry in self.entries {
            applied = Some(entry.execute(&mut dataset, machine)?);
        }
        Ok(Ok(applied))
    }
}

/// Notes in a response the term that it was executed in, so that whoever passes it on can tell a deposed leader's answer.
pub(super) fn bind_resp_term(response: &mut RaftCmdResponse, term: Term) {
    response
        .header
        .get_or_insert_with(ResponseHeader::default)
        .term = term.get();
}

/// What the apply worker is told.
pub(super) enum ApplyMessage {
    Task(ApplyTask),
    /// Entries were executed elsewhere: a checkpoint may be due, or too much be in memory.
    Look,
    /// The checkpoint thread has finished.
    CheckpointDone(CheckpointDone),
    /// The checkpoint thread has deleted obsolete records.
    CleanupDone(CleanupDone),
    /// Start a checkpoint now; answer with the index that is durable then.
    Checkpoint(Box<dyn FnOnce(LogIndex) + Send>),
    /// Answer when everything before is executed and no checkpoint is under way.
    Quiesce(Sender<()>),
    /// Open the memory again from the kv engine, then answer.
    Reopen(Sender<storage::Result<()>>),
    Stop,
}

/// Opens the Region's memory from the kv engine.
pub type OpenDataset = Arc<dyn Fn() -> storage::Result<Dataset> + Send + Sync>;

/// The worker's state; [`ApplyWorker::run`] is its thread.
pub(super) struct ApplyWorker {
    pub(super) machine: Machine,
    pub(super) open: OpenDataset,
    pub(super) inbox: Arc<Queue<ApplyMessage>>,
    pub(super) store: Arc<Inbox>,
    pub(super) checkpoints: Sender<CheckpointJob>,
    pub(super) options: StoreOptions,
    /// Since when a checkpoint is under way.
    pub(super) checkpointing: bool,
    /// Whether obsolete records are being deleted.
    pub(super) cleaning: bool,
    /// Whether a snapshot is replacing the kv engine's records. Whatever is written there from this memory meanwhile is older, and
    /// would win.
    pub(super) replacing: bool,
    pub(super) last_checkpoint: Instant,
    pub(super) last_upkeep: Instant,
    /// When dead records were looked for; never before the first time, for what the last process has left.
    pub(super) last_reclaim: Option<Instant>,
    pub(super) progress: Progress,
    pub(super) waiting: Waiting,
    /// False when the memory holds every record of the kv engine.
    pub(super) loading: bool,
    pub(super) room: Room,
    pub(super) recall: Recall,
    pub(super) rest: Rest,
    /// What waits until the checkpoint under way is durable, because too much would wait for the next one.
    pub(super) held: VecDeque<ApplyMessage>,
}

/// Who waits for the checkpoint under way, or for a next one.
#[derive(Default)]
pub(super) struct Waiting {
    quiesce: Vec<Sender<()>>,
    checkpoint: Vec<Box<dyn FnOnce(LogIndex) + Send>>,
    /// Those who asked while one was under way: they wait for a newer one.
    next_checkpoint: Vec<Box<dyn FnOnce(LogIndex) + Send>>,
}

impl ApplyWorker {
    pub(super) fn run(mut self) {
        let mut messages = Vec::new();
        let mut idle = IDLE;
        loop {
            self.inbox.take(&mut messages, idle);
            let waited = messages.is_empty();
            for message in messages.drain(..) {
                if matches!(message, ApplyMessage::Stop) {
                    return;
                }
                self.receive(message);
                // A Store that has much to catch up with must load what it works on.
                if self.upkeep_is_due() {
                    self.upkeep();
                }
            }
            self.release();
            self.maybe_checkpoint();
            self.tell_whether_behind();
            self.reclaim_now_and_then();
            // Upkeep goes on while nothing else is to be done, a slice at a time, and otherwise gets one now and then.
            let busy = (waited || self.upkeep_is_due()) && self.upkeep();
            idle = if busy { Duration::ZERO } else { IDLE };
            allocator::collect_if_asked();
        }
    }

    /// True every [`UPKEEP_INTERVAL`]: a loaded Store must load and drop objects too.
    fn upkeep_is_due(&mut self) -> bool {
        let due = self.last_upkeep.elapsed() >= UPKEEP_INTERVAL;
        if due {
            self.last_upkeep = Instant::now();
        }
        due
    }

    fn dataset(&self) -> &RwLock<Dataset> {
        self.machine.dataset()
    }

    /// Handles a message, or holds it back behind those that are.
    fn receive(&mut self, message: ApplyMessage) {
        let frees = matches!(
            message,
            ApplyMessage::CheckpointDone(_) | ApplyMessage::CleanupDone(_)
        );
        if frees || (self.held.is_empty() && !self.is_behind()) {
            self.handle(message);
        } else {
            self.held.push_back(message);
        }
    }

    /// Handles what was held back, as far as there is room again.
    fn release(&mut self) {
        while !self.held.is_empty() && !self.is_behind() {
            if let Some(message) = self.held.pop_front() {
                self.handle(message);
            }
        }
    }

    /// True when a checkpoint is under way and what changed since takes more than the next one should: what is not on disk
    /// cannot be dropped from memory. Those who wait for their writes then wait for the disk.
    fn is_behind(&self) -> bool {
        if !self.checkpointing {
            return false;
        }
        let dataset = self.dataset().read();
        let limit = dataset.checkpoint_bytes(self.options.checkpoint_bytes);
        dataset.write_set_bytes() > limit.saturating_mul(BEHIND_CHECKPOINTS)
    }

    /// For who executes entries without this worker.
    fn tell_whether_behind(&self) {
        let holds_back = !self.held.is_empty() || self.is_behind();
        self.progress
            .holds_back
            .store(holds_back, Ordering::Relaxed);
    }

    fn handle(&mut self, message: ApplyMessage) {
        match message {
            ApplyMessage::Task(task) => {
                let bytes = task.size_bytes();
                self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
                match task.execute(&self.machine) {
                    Ok(applied) => self.store.push(StoreMessage::Applied(applied)),
                    Err(error) => fatal("cannot apply a committed entry", &error),
                }
            }
            ApplyMessage::CheckpointDone(done) => self.on_checkpoint_done(done),
            ApplyMessage::CleanupDone(done) => {
                let all_deleted = self.dataset().write().cleanup_done(done);
                self.cleaning = false;
                self.answer_quiesce();
                if all_deleted {
                    self.reclaim();
                }
            }
            ApplyMessage::Checkpoint(callback) if self.checkpointing || self.replacing => {
                self.waiting.next_checkpoint.push(callback)
            }
            ApplyMessage::Checkpoint(callback) => {
                self.waiting.checkpoint.push(callback);
                self.start_checkpoint();
            }
            ApplyMessage::Quiesce(done) => {
                self.waiting.quiesce.push(done);
                self.answer_quiesce();
            }
            ApplyMessage::Reopen(done) => {
                self.machine.outstanding().forget();
                let result = (self.open)().map(|dataset| {
                    self.machine.note_cold(&dataset);
                    *self.dataset().write() = dataset;
                });
                allocator::ask_all();
                self.loading = true;
                self.replacing = false;
                // The store thread waits for this answer; if it is gone the Store is stopping.
                let _ = done.send(result);
                self.next_checkpoint();
            }
            ApplyMessage::Look | ApplyMessage::Stop => {}
        }
    }

    /// One slice of background work; false when there is none to do.
    fn upkeep(&mut self) -> bool {
        let mut busy = false;
        let (maxmemory, counted) = {
            let dataset = self.dataset().read();
            (dataset.maxmemory(), dataset.memory_used())
        };
        let room = self.room.look(maxmemory, counted);
        let mut dataset = self.dataset().write();
        match dataset.promote(UPKEEP_BUDGET) {
            Ok(promoted) => busy |= promoted > 0,
            Err(error) => fatal("cannot read the kv engine", &error),
        }
        if self.loading {
            match dataset.load_next(UPKEEP_BUDGET) {
                Ok(more) => busy |= more,
                Err(error) => fatal("cannot read the kv engine", &error),
            }
        }
        if let Some(bytes) = room {
            dataset.set_room(bytes);
        }
        busy |= dataset.drop_cold(DROP_BUDGET) > 0;
        self.machine.note_cold(&dataset);
        let garbage = dataset.take_garbage();
        // Not while somebody waits for the engine to be left alone, or works on it.
        let may_work = self.waiting.quiesce.is_empty() && !self.replacing;
        let cleanup = may_work.then(|| dataset.next_cleanup()).flatten();
        let recalled = match (may_work && self.recall.is_idle()).then(|| dataset.next_recall()) {
            Some(Ok(recalled)) => recalled,
            Some(Err(error)) => fatal("cannot read the kv engine", &error),
            None => None,
        };
        drop(dataset);
        if let Some(cold) = recalled {
            self.recall.begin(&self.machine, cold);
        }
        if let Some(cleanup) = cleanup {
            self.cleaning = true;
            self.hand_over(CheckpointJob::Cleanup(cleanup));
        }
        if !garbage.is_empty() {
            self.hand_over(CheckpointJob::Garbage(garbage));
        }
        self.loading = self.loading && busy;
        busy
    }

    fn hand_over(&self, job: CheckpointJob) {
        if self.checkpoints.send(job).is_err() {
            tracing::debug!("the checkpoint thread has stopped");
        }
    }

    /// What is dead on the disk shall not stay there.
    fn reclaim(&mut self) {
        self.last_reclaim = Some(Instant::now());
        self.hand_over(CheckpointJob::Reclaim);
    }

    fn reclaim_now_and_then(&mut self) {
        let due = |last: Instant| last.elapsed() >= RECLAIM_INTERVAL;
        if self.last_reclaim.is_none_or(due) {
            self.reclaim();
        }
    }

    fn maybe_checkpoint(&mut self) {
        if self.checkpointing || self.replacing {
            return;
        }
        let (bytes, changed, flushed, limit, configured) = {
            let dataset = self.dataset().read();
            let limit = dataset.checkpoint_bytes(self.options.checkpoint_bytes);
            let flushed = dataset.has_new_flush();
            (
                dataset.write_set_bytes(),
                dataset.write_set_records() > 0 || flushed,
                flushed,
                limit,
                dataset.has_new_configuration(),
            )
        };
        let mut interval = self.options.checkpoint_interval;
        if flushed {
            interval = interval.min(FLUSH_INTERVAL);
        }
        let now = Instant::now();
        let aged = changed && now.duration_since(self.last_checkpoint) >= interval;
        let applied_bytes = self.progress.bytes.load(Ordering::Relaxed);
        // However few records the entries left: they are what a restart replays.
        let long = applied_bytes >= limit;
        let duty = self
            .rest
            .look(now, process_cpu, applied_bytes, bytes, limit);
        let rests = duty == Duty::Checkpoint;
        if bytes >= limit || aged || configured || rests || (long && changed) {
            self.start_checkpoint();
        } else if duty == Duty::Tidy {
            allocator::ask_all();
        }
    }

    fn start_checkpoint(&mut self) {
        let frozen = self.dataset().write().freeze();
        self.progress.bytes.store(0, Ordering::Relaxed);
        match frozen {
            Some(checkpoint) => {
                self.checkpointing = true;
                self.hand_over(CheckpointJob::Checkpoint(checkpoint));
            }
            None => self.answer_checkpoint(),
        }
    }

    fn on_checkpoint_done(&mut self, done: CheckpointDone) {
        let (index, flushed) = {
            let mut dataset = self.dataset().write();
            let flushed = dataset.checkpoint_done(done);
            (dataset.checkpoint_index(), flushed)
        };
        self.checkpointing = false;
        self.last_checkpoint = Instant::now();
        self.rest.go_on(self.last_checkpoint);
        if flushed {
            self.reclaim();
        }
        self.store.push(StoreMessage::Checkpointed(index));
        self.answer_checkpoint();
        self.next_checkpoint();
        self.answer_quiesce();
    }

    /// Starts the one that was asked for while none could be started, if any.
    fn next_checkpoint(&mut self) {
        self.waiting.checkpoint = std::mem::take(&mut self.waiting.next_checkpoint);
        if !self.waiting.checkpoint.is_empty() {
            self.start_checkpoint();
        }
    }

    fn answer_checkpoint(&mut self) {
        let index = self.dataset().read().checkpoint_index();
        for callback in self.waiting.checkpoint.drain(..) {
            callback(index);
        }
    }

    fn answer_quiesce(&mut self) {
        if self.checkpointing || self.cleaning {
            return;
        }
        for done in self.waiting.quiesce.drain(..) {
            // Until the memory opens again.
            self.replacing = true;
            // The store thread waits for this answer; if it is gone the Store is stopping.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use crossbeam_channel::{Receiver, bounded, unbounded};
    use prost::Message as _;
    use storage::dataset::DatasetOptions;
    use storage::engine::memory::MemoryEngine;
    use storage::ids::FIRST_REGION;
    use storage::proto::command::{RaftCmdRequest, Request};

    use super::*;
    use crate::machine::batch;

    /// A worker with something to be checkpointed, and the jobs that it gives to the checkpoint thread.
    fn worker() -> (ApplyWorker, Receiver<CheckpointJob>) {
        let engine = MemoryEngine::new();
        let open: OpenDataset = Arc::new(move || {
            Dataset::open(FIRST_REGION, engine.clone(), DatasetOptions::default())
        });
        let machine = Machine::new(Arc::new(RwLock::new(open().expect("an empty data set"))));
        let mut commands = BytesMut::new();
        batch::push(&mut commands, &[b"SET", b"key", b"value"]);
        let request = Request {
            protocol: 2,
            commands: commands.freeze(),
            ..Request::default()
        };
        let entry = RaftCmdRequest {
            requests: vec![request],
            ..RaftCmdRequest::default()
        };
        let data = entry.encode_to_vec().into();
        let applied = machine.apply(
            &mut machine.dataset().write(),
            LogIndex(1),
            Term(1),
            &data,
            false,
        );
        applied.expect("it is executed");
        let (checkpoints, jobs) = unbounded();
        let worker = ApplyWorker {
            machine,
            open,
            inbox: Arc::default(),
            store: Arc::default(),
            checkpoints,
            options: StoreOptions {
                dir: std::path::PathBuf::new(),
                checkpoint_bytes: 1,
                checkpoint_interval: Duration::ZERO,
                sync_interval: None,
                active_expire: Arc::default(),
            },
            checkpointing: false,
            last_reclaim: None,
            cleaning: false,
            replacing: false,
            last_checkpoint: Instant::now(),
            last_upkeep: Instant::now(),
            progress: Progress::default(),
            waiting: Waiting::default(),
            loading: false,
            room: Room::default(),
            recall: Recall::default(),
            rest: Rest::new(Instant::now()),
            held: VecDeque::new(),
        };
        (worker, jobs)
    }

    #[test]
    fn no_checkpoint_starts_while_a_snapshot_replaces_the_records() {
        let (mut worker, jobs) = worker();
        let (done, quiet) = bounded(1);
        worker.receive(ApplyMessage::Quiesce(done));
        assert_eq!(quiet.try_recv(), Ok(()), "nothing is under way");
        let (told, answer) = bounded(1);
        let callback = Box::new(move |index| told.send(index).expect("the test waits"));
        worker.receive(ApplyMessage::Checkpoint(callback));
        worker.maybe_checkpoint();
        worker.upkeep();
        assert!(jobs.is_empty(), "its records would win over the snapshot's");
        assert!(answer.is_empty());
        let (done, reopened) = bounded(1);
        worker.receive(ApplyMessage::Reopen(done));
        assert!(reopened.try_recv().is_ok_and(|result| result.is_ok()));
        assert_eq!(
            answer.try_recv(),
            Ok(LogIndex(0)),
            "of what the memory now holds"
        );
    }

    #[test]
    fn what_has_changed_is_checkpointed_otherwise() {
        let (mut worker, jobs) = worker();
        worker.maybe_checkpoint();
        assert!(matches!(jobs.try_recv(), Ok(CheckpointJob::Checkpoint(_))));
    }
}
