//! Forwarded requests, the asking side: many in flight on one connection, answered in any order.
//!
//! The one thing that must never happen is that a write is sent twice because somebody believed that the first time did
//! not count. So a request is `NotSent` only while its frame's last byte has not been given to the kernel and never will
//! be; whoever has received less than a whole frame has received nothing. From then on only the other side can say
//! what became of it, and without its word the outcome is `Unknown`.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf, Bytes};
use metrics::Counter;
use parking_lot::Mutex;
use storage::ids::StoreId;
use storage::proto::command::{RaftCmdResponse, Request};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Duration, Instant};

use super::auth::Purpose;
use super::connection::{Connection, LinkError, Step};
use super::counters;
use super::forward_wire::{push_request, request_bytes, take_response};
use super::frame::Kind;
use super::link::{Context, Driver};

/// Encoded but unwritten bytes up to which more requests are encoded. What is not encoded can still be called back.
const BATCH_BYTES: usize = 256 * 1024;

/// Why a forwarded request has no answer. Says what may be done with it now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForwardError {
    /// It certainly never left this process whole: safe to send again.
    #[error("not sent")]
    NotSent,
    /// It may or may not have been executed: never send a write again.
    #[error("outcome unknown")]
    Unknown,
    /// The other Store does not lead; certainly not appended. Names the leader if it knows one.
    #[error("the other node does not lead")]
    NotLeader {
        /// Whom to ask instead.
        leader: Option<StoreId>,
    },
    /// The other Store has too much to do; certainly not appended.
    #[error("the other node is busy")]
    Busy,
    /// The other Store's disk is full; certainly not appended.
    #[error("the other node's disk is full")]
    Full,
    /// The other Store's memory is full and nothing may be deleted; certainly not appended.
    #[error("the other node's memory is full")]
    OutOfMemory,
    /// Refused for another reason, which is for the log; certainly not appended.
    #[error("refused: {reason}")]
    Refused {
        /// In words, at most 200 bytes of it travel.
        reason: String,
    },
}

/// What [`Transport::forward`](super::Transport::forward) answers.
pub type ForwardResult = Result<RaftCmdResponse, ForwardError>;

/// Bounds of one forwarding link.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForwardLimits {
    pub(super) queued: usize,
    pub(super) queued_bytes: usize,
    pub(super) in_flight: usize,
    pub(super) timeout: Duration,
}

/// The asking side of one link.
pub(super) struct ForwardLink {
    limits: ForwardLimits,
    queue: Mutex<Queue>,
    wake: Notify,
    forwarded: Counter,
}

struct Queue {
    requests: VecDeque<Queued>,
    bytes: usize,
    phase: Phase,
}

/// Whether queueing makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first attempt is under way, or a link stands.
    Hopeful,
    /// The last attempt failed or the link broke: requests are refused at once, so that their callers can look for
    /// another leader.
    Down,
}

struct Queued {
    request: Request,
    reply: oneshot::Sender<ForwardResult>,
    deadline: Instant,
}

struct InFlight {
    reply: oneshot::Sender<ForwardResult>,
    deadline: Instant,
    /// Position of the frame's end in the connection's stream.
    end: u64,
}

/// What is in flight on one connection; whatever is left when it ends gets its verdict.
#[derive(Default)]
struct Flights {
    by_id: HashMap<u64, InFlight>,
    last_id: u64,
}

impl Flights {
    fn fail(&mut self, written: u64) {
        for (_, flight) in self.by_id.drain() {
            let verdict = if flight.end > written {
                ForwardError::NotSent
            } else {
                ForwardError::Unknown
            };
            answer(flight.reply, Err(verdict));
        }
    }

    fn expire(&mut self, now: Instant) {
        for (_, flight) in self
            .by_id
            .extract_if(|_, flight| flight.deadline <= now || flight.reply.is_closed())
        {
            // Even if its end is not written yet: it still may be, there is no calling back half a frame.
            answer(flight.reply, Err(ForwardError::Unknown));
        }
    }
}

/// A caller that has gone away needs no answer.
fn answer(reply: oneshot::Sender<ForwardResult>, result: ForwardResult) {
    let _ = reply.send(result);
}

impl ForwardLink {
    pub(super) fn new(store: StoreId, limits: ForwardLimits) -> Self {
        let queue = Queue {
            requests: VecDeque::new(),
            bytes: 0,
            phase: Phase::Hopeful,
        };
        Self {
            limits,
            queue: Mutex::new(queue),
            wake: Notify::new(),
            forwarded: counters::forwarded(store),
        }
    }

    /// Sends a request and waits for its answer, at most about as long as the time-out.
    /// A caller that stops waiting must treat the outcome as unknown.
    pub(super) async fn forward(&self, request: Request) -> ForwardResult {
        let bytes = request_bytes(&request);
        if bytes > Kind::ForwardRequest.max_bytes() {
            return Err(ForwardError::Refused {
                reason: format!("a request of {bytes} bytes is too large to forward"),
            });
        }
        let (reply, answered) = oneshot::channel();
        let deadline = Instant::now() + self.limits.timeout;
        {
            let mut queue = self.queue.lock();
            let alone = queue.requests.is_empty();
            let fits = queue.requests.len() < self.limits.queued
                && queue.bytes + bytes <= self.limits.queued_bytes;
            if queue.phase == Phase::Down || !(alone || fits) {
                return Err(ForwardError::NotSent);
            }
            queue.bytes += bytes;
            queue.requests.push_back(Queued {
                request,
                reply,
                deadline,
            });
        }
        self.wake.notify_one();
        answered.await.unwrap_or(Err(ForwardError::Unknown))
    }

    /// Encodes as many queued requests as one write wants and as may be in flight.
    fn fill(&self, flights: &mut Flights, connection: &mut Connection) {
        while connection.out.remaining() < BATCH_BYTES
            && flights.by_id.len() < self.limits.in_flight
        {
            let queued = {
                let mut queue = self.queue.lock();
                let Some(queued) = queue.requests.pop_front() else {
                    return;
                };
                queue.bytes -= request_bytes(&queued.request);
                queued
            };
            if queued.reply.is_closed() {
                continue;
            }
            flights.last_id += 1;
            push_request(&mut connection.out, flights.last_id, queued.request);
            let flight = InFlight {
                reply: queued.reply,
                deadline: queued.deadline,
                end: connection.out.pushed(),
            };
            flights.by_id.insert(flights.last_id, flight);
            self.forwarded.increment(1);
        }
    }

    fn expire_queued(&self, now: Instant) {
        let mut queue = self.queue.lock();
        // Deadlines grow along the queue.
        while queue
            .requests
            .front()
            .is_some_and(|queued| queued.deadline <= now)
            && let Some(queued) = queue.requests.pop_front()
        {
            queue.bytes -= request_bytes(&queued.request);
            answer(queued.reply, Err(ForwardError::NotSent));
        }
    }

    async fn run(
        &self,
        flights: &mut Flights,
        connection: &mut Connection,
    ) -> Result<(), LinkError> {
        loop {
            self.fill(flights, connection);
            match connection.step(&self.wake, true).await? {
                Step::Read => {
                    while let Some(frame) = connection.next(&[Kind::ForwardResponse, Kind::Pong])? {
                        receive(flights, frame.payload)?;
                    }
                }
                Step::Tick => {
                    let now = Instant::now();
                    flights.expire(now);
                    self.expire_queued(now);
                }
                Step::Wrote | Step::Woken => {}
            }
        }
    }

    fn set_down(&self) {
        let requests = {
            let mut queue = self.queue.lock();
            queue.phase = Phase::Down;
            queue.bytes = 0;
            std::mem::take(&mut queue.requests)
        };
        for queued in requests {
            answer(queued.reply, Err(ForwardError::NotSent));
        }
    }
}

fn receive(flights: &mut Flights, payload: Bytes) -> Result<(), LinkError> {
    let (id, result) = take_response(payload)?;
    // An answer that nobody waits for any more came after its deadline.
    if let Some(flight) = flights.by_id.remove(&id) {
        answer(flight.reply, result);
    }
    Ok(())
}

impl Driver for ForwardLink {
    const PURPOSE: Purpose = Purpose::Forward;

    async fn drive(&self, context: &Context, connection: &mut Connection) -> LinkError {
        self.queue.lock().phase = Phase::Hopeful;
        let mut flights = Flights::default();
        let end = tokio::select! {
            end = self.run(&mut flights, connection) => end,
            () = context.closing() => Err(LinkError::Shutdown),
        };
        flights.fail(connection.out.written());
        end.expect_err("a link runs until an error")
    }

    fn down(&self, _context: &Context) {
        self.set_down();
    }

    fn closed(&self) {
        self.set_down();
    }
}
