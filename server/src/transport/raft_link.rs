//! Raft messages: one connection per direction and pair of Stores, in order, lost when they cannot be sent.

use std::collections::VecDeque;

use bytes::Buf;
use parking_lot::Mutex;
use prost::Message;
use storage::ids::StoreId;
use storage::proto::command::RaftMessage;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::auth::Purpose;
use super::connection::{Connection, LinkError, Step};
use super::counters::MessageCounters;
use super::frame::{FrameError, Kind};
use super::link::{Context, Driver, FINISH_LIMIT};

/// Encoded but unwritten bytes up to which more messages are encoded: one system call writes about this much.
const BATCH_BYTES: usize = 256 * 1024;

/// The sending side. The store thread pushes, the link's task encodes and writes everything that waits at once.
pub(super) struct RaftLink {
    store: StoreId,
    max_messages: usize,
    max_bytes: usize,
    queue: Mutex<Queue>,
    wake: Notify,
    counters: MessageCounters,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<RaftMessage>,
    bytes: usize,
    /// A message was dropped because the queue was full, and nobody has been told yet.
    overflowed: bool,
    closed: bool,
}

impl RaftLink {
    pub(super) fn new(store: StoreId, max_messages: usize, max_bytes: usize) -> Self {
        Self {
            store,
            max_messages,
            max_bytes,
            queue: Mutex::default(),
            wake: Notify::new(),
            counters: MessageCounters::new(store),
        }
    }

    /// Never blocks. Beyond the bounds the message is dropped, and Raft told of it by the link's task.
    pub(super) fn push(&self, message: RaftMessage) {
        let bytes = size_bytes(&message);
        if bytes > Kind::Raft.max_bytes() {
            error!(
                "a raft message of {bytes} bytes to node {} exceeds the frame limit and is dropped",
                self.store
            );
            self.counters.dropped.increment(1);
            return;
        }
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        let was_empty = queue.messages.is_empty();
        // A message larger than the bound still goes when it is alone: an entry may be as large as a client's value.
        if !was_empty
            && (queue.messages.len() >= self.max_messages || queue.bytes + bytes > self.max_bytes)
        {
            self.counters.dropped.increment(1);
            if !std::mem::replace(&mut queue.overflowed, true) {
                drop(queue);
                self.wake.notify_one();
            }
            return;
        }
        queue.bytes += bytes;
        queue.messages.push_back(message);
        drop(queue);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Takes what waits: `taken` must be empty, and its room serves the queue from now on. Tells of an overflow.
    fn take(&self, taken: &mut VecDeque<RaftMessage>) -> bool {
        let mut queue = self.queue.lock();
        if taken.is_empty() {
            std::mem::swap(taken, &mut queue.messages);
            queue.bytes = 0;
        }
        std::mem::take(&mut queue.overflowed)
    }

    /// Encodes into `connection` as much as one write wants.
    fn fill(
        &self,
        context: &Context,
        taken: &mut VecDeque<RaftMessage>,
        connection: &mut Connection,
    ) {
        if self.take(taken) {
            warn!(
                "node {} takes raft messages too slowly, some are dropped",
                self.store
            );
            context.handler.unreachable(self.store);
        }
        let mut count = 0;
        while connection.out.remaining() < BATCH_BYTES
            && let Some(message) = taken.pop_front()
        {
            connection.out.push_message(Kind::Raft, &message);
            count += 1;
        }
        self.counters.sent.increment(count);
    }
}

impl Driver for RaftLink {
    const PURPOSE: Purpose = Purpose::Raft;

    async fn drive(&self, context: &Context, connection: &mut Connection) -> LinkError {
        let mut taken = VecDeque::new();
        let run = async {
            loop {
                self.fill(context, &mut taken, connection);
                if connection.step(&self.wake, true).await? == Step::Read {
                    connection.next(&[Kind::Pong])?;
                }
            }
        };
        let end: Result<(), LinkError> = tokio::select! {
            end = run => end,
            () = context.closing() => {
                // What the store thread said last (a transfer of the leadership, say) should still arrive.
                self.fill(context, &mut taken, connection);
                connection.finish(FINISH_LIMIT).await;
                Err(LinkError::Shutdown)
            }
        };
        end.expect_err("a link runs until an error")
    }

    fn down(&self, context: &Context) {
        let dropped = {
            let mut queue = self.queue.lock();
            queue.bytes = 0;
            queue.overflowed = false;
            let dropped = queue.messages.len();
            queue.messages.clear();
            dropped
        };
        self.counters.dropped.increment(dropped as u64);
        context.handler.unreachable(self.store);
    }

    fn closed(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        queue.messages.clear();
    }
}

/// A little more than the encoded size, without walking the message twice.
fn size_bytes(message: &RaftMessage) -> usize {
    const ENVELOPE_BYTES: usize = 256;
    const ENTRY_BYTES: usize = 48;
    let Some(message) = &message.message else {
        return ENVELOPE_BYTES;
    };
    let entries: usize = message
        .entries
        .iter()
        .map(|entry| ENTRY_BYTES + entry.data.len() + entry.context.len())
        .sum();
    let snapshot = message.snapshot.as_ref().map_or(0, Message::encoded_len);
    ENVELOPE_BYTES + message.context.len() + entries + snapshot
}

/// The receiving side: hands every message to the handler, in order.
pub(super) async fn serve(context: &Context, connection: &mut Connection) -> LinkError {
    let nobody = Notify::new();
    let run = async {
        loop {
            if connection.step(&nobody, true).await? != Step::Read {
                continue;
            }
            while let Some(frame) = connection.next(&[Kind::Raft, Kind::Ping])? {
                let message = RaftMessage::decode(frame.payload)
                    .map_err(|_| FrameError::Payload(Kind::Raft))?;
                receive(context, connection.peer, message);
            }
        }
    };
    let end: Result<(), LinkError> = tokio::select! {
        end = run => end,
        () = context.closing() => Err(LinkError::Shutdown),
    };
    end.expect_err("a link runs until an error")
}

fn receive(context: &Context, peer: StoreId, message: RaftMessage) {
    if is_between(&message, peer, context.identity.store_id) {
        context.handler.raft(message);
    } else {
        warn!("node {peer} sent a raft message that is not from it or not to this node: dropped");
    }
}

/// A Store speaks only for itself and only to us. Where a message names no Store, the connection's own are meant.
pub(super) fn is_between(message: &RaftMessage, from: StoreId, to: StoreId) -> bool {
    message
        .from_peer
        .as_ref()
        .is_none_or(|peer| peer.store_id == from.get())
        && message
            .to_peer
            .as_ref()
            .is_none_or(|peer| peer.store_id == to.get())
}
