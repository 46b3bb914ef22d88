//! The store thread's inbox: many producers, one consumer that takes everything at once.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use storage::ids::{LogIndex, StoreId};
use storage::proto::command::RaftMessage;
use storage::snapshot::ReceivedSnapshot;

use super::apply::{Applied, ReadCallback};
use super::propose::Proposal;

/// Messages from other Stores that may wait; beyond it they are dropped, and Raft sends again.
const MAX_WAITING_RAFT_MESSAGES: usize = 16 << 10;

/// Bytes of proposals that may wait; beyond it they are refused as Busy and the connection holds them.
const MAX_WAITING_PROPOSAL_BYTES: usize = 256 << 20;

/// What the store thread is told.
pub(super) enum StoreMessage {
    Propose(Proposal),
    Read(ReadCallback),
    Step(Box<RaftMessage>, Option<ReceivedSnapshot>),
    Unreachable(StoreId),
    /// The host of this Store refuses connections.
    Gone(StoreId),
    SnapshotSent {
        to: StoreId,
        ok: bool,
    },
    /// The apply worker has executed a task; nothing in it if the task was empty.
    Applied(Option<Applied>),
    Checkpointed(LogIndex),
    Transfer(StoreId),
    /// Somebody waits until logs are on disks up to here.
    WantSynced(LogIndex),
    /// The log was made durable in the background, which took so many nanoseconds.
    Synced(u64),
    Stop,
}

#[derive(Default)]
struct Waiting {
    messages: Vec<StoreMessage>,
    raft_messages: usize,
    proposal_bytes: usize,
    asleep: bool,
    closed: bool,
}

impl Waiting {
    /// Whether a proposal may wait here.
    fn admit(&self) -> Result<(), super::Error> {
        if self.closed {
            Err(super::Error::Stopped)
        } else if self.proposal_bytes >= MAX_WAITING_PROPOSAL_BYTES {
            Err(super::Error::Busy)
        } else {
            Ok(())
        }
    }
}

/// The inbox.
#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Inbox {
    /// Adds a message. Raft messages beyond the limit are dropped.
    pub(super) fn push(&self, message: StoreMessage) {
        let mut waiting = self.waiting.lock();
        if matches!(message, StoreMessage::Step(..)) {
            if waiting.raft_messages >= MAX_WAITING_RAFT_MESSAGES {
                metrics::counter!("tinykv_raft_messages_dropped_total", "why" => "inbox full")
                    .increment(1);
                return;
            }
            waiting.raft_messages += 1;
        }
        self.wake(waiting, [message]);
    }

    /// Adds proposals, or hands them all back when too much waits or nobody will come for them.
    pub(super) fn propose(
        &self,
        proposals: Vec<Proposal>,
    ) -> Result<(), (Vec<Proposal>, super::Error)> {
        let mut waiting = self.waiting.lock();
        if let Err(error) = waiting.admit() {
            return Err((proposals, error));
        }
        let bytes = proposals
            .iter()
            .map(|proposal| proposal.request.commands.len());
        waiting.proposal_bytes += bytes.sum::<usize>();
        self.wake(waiting, proposals.into_iter().map(StoreMessage::Propose));
        Ok(())
    }

    fn wake(
        &self,
        mut waiting: parking_lot::MutexGuard<'_, Waiting>,
        messages: impl IntoIterator<Item = StoreMessage>,
    ) {
        waiting.messages.extend(messages);
        let asleep = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if asleep {
            self.arrived.notify_one();
        }
    }

    /// Waits up to `timeout` for a first message.
    pub(super) fn wait(&self, timeout: Duration) {
        let mut waiting = self.waiting.lock();
        if waiting.messages.is_empty() && !timeout.is_zero() {
            waiting.asleep = true;
            self.arrived.wait_for(&mut waiting, timeout);
            waiting.asleep = false;
        }
    }

    /// Takes all that waits into `into`, which is empty.
    pub(super) fn take(&self, into: &mut Vec<StoreMessage>) {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.messages, into);
        waiting.raft_messages = 0;
        waiting.proposal_bytes = 0;
    }

    /// Refuses further proposals; what waits is returned so that each can be told.
    pub(super) fn close(&self) -> Vec<StoreMessage> {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        std::mem::take(&mut waiting.messages)
    }
}
