//! The handle that connections, the transport and admin commands have on the store thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use storage::ids::{FIRST_REGION, LogIndex, StoreId, Term};
use storage::proto::command::{RaftMessage, Request, RequestHeader};
use storage::snapshot::ReceivedSnapshot;
use tokio::sync::watch;

use super::apply::{ApplyMessage, Callback, ReadCallback};
use super::clock::{LogicalTime, Now, wall_ms};
use super::driver::Seat;
use super::error::Error;
use super::inbox::{Inbox, StoreMessage};
use super::lease::Lease;
use super::propose::Proposal;
use super::queue::Queue;
use super::status::Status;

/// A cheap handle to the store thread. Clones share it.
#[derive(Clone)]
pub struct RaftRouter {
    pub(super) inbox: Arc<Inbox>,
    pub(super) apply: Arc<Queue<ApplyMessage>>,
    pub(super) lease: Arc<Lease>,
    pub(super) status: Arc<RwLock<Status>>,
    pub(super) leader: watch::Receiver<Option<StoreId>>,
    pub(super) time: Arc<LogicalTime>,
    /// When the last checkpoint became durable, or when the Store started.
    pub(super) checkpointed_ms: Arc<AtomicU64>,
    /// Whether this Store leads and refuses writes that do not delete, because disks are nearly full.
    pub(super) disk_low: Arc<AtomicBool>,
    /// Who drives the Peer.
    pub(super) seat: Arc<Seat>,
}

impl RaftRouter {
    /// Proposes a connection's batch. The callback is told the outcome exactly once; it may run on this thread.
    pub fn propose(&self, request: Request, callback: Callback) {
        self.propose_with(None, request, callback);
    }

    /// Proposes batches of several connections; each callback is told its own outcome.
    pub fn propose_all(&self, proposals: Vec<Proposal>) {
        if let Err((refused, error)) = self.inbox.propose(proposals) {
            for proposal in refused {
                (proposal.callback)(Err(error.clone()));
            }
        }
    }

    /// As [`RaftRouter::propose_all`], but this thread does the store thread's work for them if it can: that spares two changes
    /// of thread. Where it also executes them, because they are small, the callbacks have been called when it returns.
    /// Unless it `may_wait`, it leaves them to the store thread while every entry waits for the disk.
    pub fn propose_and_drive(&self, proposals: Vec<Proposal>, may_wait: bool) {
        if let Err(proposals) = self.seat.drive(proposals, may_wait) {
            self.propose_all(proposals);
        }
    }

    /// What a request is made for that is forwarded now: the Region, its epoch and the leader's term, as this Store knows them, one
    /// tick old at most. The leader refuses it, before it appends anything, when that has changed. Data may be changed whoever the
    /// members are.
    pub fn made_for(&self, changes_members: bool) -> RequestHeader {
        let status = self.status.read();
        let mut epoch = status.epoch;
        if !changes_members {
            epoch.conf_ver = 0;
        }
        RequestHeader {
            region_id: FIRST_REGION.get(),
            epoch: Some(epoch),
            term: status.term.get(),
            ..RequestHeader::default()
        }
    }

    /// The same as [`RaftRouter::propose`], bound to the Region, epoch and term in `header`, if there is one.
    pub fn propose_with(
        &self,
        header: Option<Box<RequestHeader>>,
        request: Request,
        callback: Callback,
    ) {
        self.propose_all(vec![Proposal {
            header,
            request,
            callback,
        }]);
    }

    /// Calls back when local memory reflects everything that was acknowledged anywhere before this call.
    pub fn read_index(&self, callback: ReadCallback) {
        self.inbox.push(StoreMessage::Read(callback));
    }

    /// Whether this Store leads, and its disk or those of a majority are so full that only what deletes may be proposed.
    pub fn is_low_on_disk(&self) -> bool {
        self.disk_low.load(Ordering::Relaxed)
    }

    /// The leader's lease. Check [`Lease::is_valid`] after a read and before answering it.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The Store of the leader, if one is known.
    pub fn leader(&self) -> Option<StoreId> {
        *self.leader.borrow()
    }

    /// The term in which this Store leads, as far as it is known here.
    pub fn term_of(&self, leader: StoreId) -> Option<Term> {
        let status = self.status.read();
        (status.leader == Some(leader)).then_some(status.term)
    }

    /// Follows changes of [`RaftRouter::leader`].
    pub fn subscribe_leader(&self) -> watch::Receiver<Option<StoreId>> {
        self.leader.clone()
    }

    /// What the store thread published last, at most one tick old.
    pub fn status(&self) -> Status {
        self.status.read().clone()
    }

    /// The Region's logical time, for reads.
    pub fn now_ms(&self) -> u64 {
        let of_wall = self.time.of_wall(wall_ms());
        of_wall.unwrap_or_else(|| self.time.at(Now::read()))
    }

    /// Unix time in milliseconds of the last checkpoint; of the Store's start before the first one.
    pub fn last_checkpoint_ms(&self) -> u64 {
        self.checkpointed_ms.load(Ordering::Relaxed)
    }

    /// A message from another Store.
    pub fn step(&self, message: RaftMessage) {
        self.inbox.push(StoreMessage::Step(Box::new(message), None));
    }

    /// A `MsgSnapshot` whose chunks have all arrived in `file`.
    pub fn step_snapshot(&self, message: RaftMessage, file: ReceivedSnapshot) {
        self.inbox
            .push(StoreMessage::Step(Box::new(message), Some(file)));
    }

    /// The last message to this Store could not be delivered.
    pub fn report_unreachable(&self, store: StoreId) {
        self.inbox.push(StoreMessage::Unreachable(store));
    }

    /// The host of this Store refuses connections: its process is gone.
    pub fn report_gone(&self, store: StoreId) {
        self.inbox.push(StoreMessage::Gone(store));
    }

    /// A snapshot to this Store arrived whole, or did not.
    pub fn report_snapshot(&self, to: StoreId, ok: bool) {
        self.inbox.push(StoreMessage::SnapshotSent { to, ok });
    }

    /// Asks the Peer on `to` to take over leadership.
    pub fn transfer_leader(&self, to: StoreId) {
        self.inbox.push(StoreMessage::Transfer(to));
    }

    /// Has logs that are not on disks up to `index` synced, here and on the other Stores. [`RaftRouter::status`] tells when they are.
    pub fn want_synced(&self, index: LogIndex) {
        self.inbox.push(StoreMessage::WantSynced(index));
    }

    /// Makes everything applied so far durable in the kv engine; calls back with the index that is.
    pub fn checkpoint(&self, callback: Box<dyn FnOnce(Result<LogIndex, Error>) + Send>) {
        let callback: Box<dyn FnOnce(LogIndex) + Send> = Box::new(move |index| callback(Ok(index)));
        self.apply.push(ApplyMessage::Checkpoint(callback));
    }
}
