//! Who executes committed entries: as a rule the apply worker, and whoever drives the Peer for a group that is over in a moment.
//! That spares two changes of thread, and those who wait get their answers as early.
//!
//! The driver of a leader has to tell the others that it leads, and that of a follower to hear it. So it executes nothing that may
//! take long, does not wait long for readers, and where there are others does not read from the disk: SPOP of a large set
//! that is only there loads all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::apply::{Applied, ApplyMessage, ApplyTask};
use super::queue::Queue;
use super::store::fatal;
use crate::machine::Machine;

/// Whose thread drives the Peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drives {
    StoreThread,
    IoThread,
}

impl Drives {
    /// Bytes of a task that the driver executes itself. For the store thread some hundred small commands: with 16 KB, INCR at -P 16 was
    /// a sixth slower. An I/O thread has requests to parse meanwhile.
    fn own_max_bytes(self) -> usize {
        match self {
            Self::StoreThread => 64 << 10,
            Self::IoThread => 16 << 10,
        }
    }
}

/// How long it waits for readers to let go of the Region's memory before it leaves the task to the worker.
const OWN_PATIENCE: Duration = Duration::from_millis(2);

/// The worker, which decides on checkpoints and drops what does not fit the memory, looks again when so many bytes of
/// entries were executed without it.
const WORKER_LOOKS_EVERY_BYTES: usize = 256 << 10;

/// What the driver and the apply worker know of each other.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// Bytes of entries executed since the last checkpoint began, by either.
    pub(super) bytes: Arc<AtomicUsize>,
    /// The worker holds entries back until a checkpoint is durable.
    pub(super) holds_back: Arc<AtomicBool>,
}

/// The driver's side.
pub(super) struct Executor {
    machine: Machine,
    worker: Arc<Queue<ApplyMessage>>,
    progress: Progress,
    drives: Drives,
    /// Other Stores count on hearing from the driver.
    has_others: bool,
    /// Tasks that the worker has and did not report yet.
    in_flight: usize,
    /// How far this side has executed since [`Executor::take_applied`].
    applied: Option<Applied>,
    /// Bytes that it has executed since the worker was told to look.
    unseen_bytes: usize,
}

impl Executor {
    pub(super) fn new(
        machine: Machine,
        worker: Arc<Queue<ApplyMessage>>,
        progress: Progress,
    ) -> Self {
        Self {
            machine,
            worker,
            progress,
            drives: Drives::StoreThread,
            has_others: false,
            in_flight: 0,
            applied: None,
            unseen_bytes: 0,
        }
    }

    /// Who calls from now on, and whether other Stores count on hearing from it.
    pub(super) fn driven_by(&mut self, drives: Drives, has_others: bool) {
        self.drives = drives;
        self.has_others = has_others;
    }

    /// Executes a task, or hands it to the worker.
    pub(super) fn execute(&mut self, task: ApplyTask) {
        let bytes = task.size_bytes();
        if bytes > self.drives.own_max_bytes()
            || task.takes_long()
            || self.in_flight > 0
            || (self.has_others && self.machine.may_be_cold())
            || self.progress.holds_back.load(Ordering::Relaxed)
        {
            return self.hand_over(task);
        }
        match task.try_execute(&self.machine, OWN_PATIENCE) {
            Ok(Ok(applied)) => {
                self.applied = applied.or(self.applied);
                self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.unseen_bytes += bytes;
                if self.unseen_bytes >= WORKER_LOOKS_EVERY_BYTES {
                    self.unseen_bytes = 0;
                    self.tell(ApplyMessage::Look);
                }
            }
            Ok(Err(task)) => self.hand_over(task),
            Err(error) => fatal("cannot apply a committed entry", &error),
        }
    }

    fn hand_over(&mut self, task: ApplyTask) {
        self.in_flight += 1;
        self.tell(ApplyMessage::Task(task));
    }

    pub(super) fn tell(&self, message: ApplyMessage) {
        self.worker.push(message);
    }

    /// The worker has reported a task.
    pub(super) fn reported(&mut self) {
        self.in_flight -= 1;
    }

    /// How far this side has executed, once.
    pub(super) fn take_applied(&mut self) -> Option<Applied> {
        self.applied.take()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use parking_lot::RwLock;
    use prost::Message as _;
    use raft::eraftpb::Entry;
    use storage::dataset::{Dataset, DatasetOptions};
    use storage::engine::memory::MemoryEngine;
    use storage::ids::{FIRST_REGION, LogIndex};
    use storage::proto::command::{RaftCmdRequest, Request};

    use super::*;
    use crate::machine::batch;
    use crate::raftstore::CommittedEntry;

    fn executor() -> Executor {
        let options = DatasetOptions::default();
        let dataset = Dataset::open(FIRST_REGION, MemoryEngine::new(), options);
        let dataset = Arc::new(RwLock::new(dataset.expect("an empty data set")));
        Executor::new(Machine::new(dataset), Arc::default(), Progress::default())
    }

    fn task(index: u64, value: &[u8], takes_long: bool) -> ApplyTask {
        let mut commands = BytesMut::new();
        batch::push(&mut commands, &[b"SET", b"key", value]);
        let request = Request {
            protocol: 2,
            commands: commands.freeze(),
            takes_long,
            ..Request::default()
        };
        let command = RaftCmdRequest {
            requests: vec![request],
            ..RaftCmdRequest::default()
        };
        let entry = Entry {
            index,
            term: 1,
            data: command.encode_to_vec().into(),
            context: if takes_long { "long".into() } else { "".into() },
            ..Entry::default()
        };
        ApplyTask {
            entries: vec![CommittedEntry {
                entry,
                callbacks: Vec::new(),
                configuration: None,
            }],
        }
    }

    const MAX_BYTES: usize = 64 << 10;

    /// How far it has executed by itself, and what the worker was given.
    fn outcome(executor: &mut Executor) -> (Option<LogIndex>, Vec<ApplyMessage>) {
        let mut given = Vec::new();
        executor.worker.take(&mut given, Duration::ZERO);
        (executor.take_applied().map(|applied| applied.index), given)
    }

    #[test]
    fn what_is_over_in_a_moment_is_executed_at_once() {
        let mut executor = executor();
        executor.execute(task(1, b"value", false));
        let (applied, given) = outcome(&mut executor);
        assert_eq!(applied, Some(LogIndex(1)));
        assert!(given.is_empty());
    }

    #[test]
    fn the_worker_gets_what_may_take_long_and_all_behind_it() {
        let mut executor = executor();
        executor.execute(task(1, b"value", true));
        executor.execute(task(2, b"value", false));
        let (applied, given) = outcome(&mut executor);
        assert_eq!(applied, None);
        assert!(matches!(
            given[..],
            [ApplyMessage::Task(_), ApplyMessage::Task(_)]
        ));
        executor.reported();
        executor.reported();
        executor.execute(task(3, &[0; MAX_BYTES], false));
        assert!(
            matches!(outcome(&mut executor).1[..], [ApplyMessage::Task(_)]),
            "it is large"
        );
    }

    #[test]
    fn an_io_thread_executes_less() {
        let mut executor = executor();
        executor.driven_by(Drives::IoThread, false);
        executor.execute(task(1, &[0; MAX_BYTES / 2], false));
        assert_eq!(outcome(&mut executor).1.len(), 1);
    }

    #[test]
    fn the_worker_reads_from_the_disk_where_there_are_others() {
        let mut executor = executor();
        let machine = executor.machine.clone();
        assert!(machine.may_be_cold(), "nothing is known yet");
        executor.driven_by(Drives::StoreThread, true);
        executor.execute(task(1, b"value", false));
        assert_eq!(outcome(&mut executor).1.len(), 1);
        executor.reported();
        machine.note_cold(&machine.dataset().read());
        executor.execute(task(1, b"value", false));
        assert_eq!(outcome(&mut executor).0, Some(LogIndex(1)));
    }

    #[test]
    fn the_worker_gets_what_readers_hold_up() {
        let mut executor = executor();
        let machine = executor.machine.clone();
        let reader = machine.dataset().read();
        executor.execute(task(1, b"value", false));
        drop(reader);
        let (applied, given) = outcome(&mut executor);
        assert_eq!(applied, None);
        assert!(matches!(given[..], [ApplyMessage::Task(_)]));
    }

    #[test]
    fn the_worker_gets_all_while_it_holds_entries_back() {
        let mut executor = executor();
        executor.progress.holds_back.store(true, Ordering::Relaxed);
        executor.execute(task(1, b"value", false));
        assert!(matches!(
            outcome(&mut executor).1[..],
            [ApplyMessage::Task(_)]
        ));
    }

    #[test]
    fn the_worker_looks_now_and_then() {
        let mut executor = executor();
        let value = [0; MAX_BYTES / 2];
        let looks = (1..=8).map(|index| {
            executor.execute(task(index, &value, false));
            outcome(&mut executor).1.len()
        });
        assert_eq!(looks.sum::<usize>(), 1);
    }
}
