//! Forwarded requests, the answering side.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::connection::{Connection, LinkError, Step};
use super::forward::{ForwardError, ForwardResult};
use super::forward_wire::{push_response, response_bytes, take_request};
use super::frame::Kind;
use super::link::{Context, FINISH_LIMIT};

/// Encoded but unwritten bytes up to which more answers are encoded.
const BATCH_BYTES: usize = 256 * 1024;

/// Answers that wait for one connection.
#[derive(Default)]
struct Answers {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    answers: VecDeque<(u64, ForwardResult)>,
    bytes: usize,
    /// The connection has ended; answers go nowhere.
    closed: bool,
}

impl Answers {
    fn push(&self, id: u64, result: ForwardResult) {
        let was_empty = {
            let mut queue = self.queue.lock();
            if queue.closed {
                return;
            }
            let was_empty = queue.answers.is_empty();
            queue.bytes += answer_bytes(&result);
            queue.answers.push_back((id, result));
            was_empty
        };
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn pop(&self) -> Option<(u64, ForwardResult)> {
        let mut queue = self.queue.lock();
        let (id, result) = queue.answers.pop_front()?;
        queue.bytes -= answer_bytes(&result);
        Some((id, result))
    }
}

/// The connection's end of the answers: when it goes, they go nowhere.
struct Receiver(Arc<Answers>);

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.closed = true;
        queue.answers.clear();
    }
}

fn answer_bytes(result: &ForwardResult) -> usize {
    result.as_ref().map_or(0, response_bytes)
}

/// Answers exactly once: if it is dropped without an answer, the outcome is unknown.
struct Promise {
    id: u64,
    answers: Arc<Answers>,
    kept: bool,
}

impl Promise {
    fn keep(mut self, result: ForwardResult) {
        self.kept = true;
        self.answers.push(self.id, result);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if !self.kept {
            self.answers.push(self.id, Err(ForwardError::Unknown));
        }
    }
}

/// Serves one connection until it ends.
pub(super) async fn serve(context: &Context, connection: &mut Connection) -> LinkError {
    let answers = Arc::new(Answers::default());
    let _receiver = Receiver(Arc::clone(&answers));
    let mut open = 0;
    let end = tokio::select! {
        end = run(context, connection, &answers, &mut open) => end,
        () = context.closing() => {
            fill(&answers, connection, &mut open, usize::MAX);
            connection.finish(FINISH_LIMIT).await;
            Err(LinkError::Shutdown)
        }
    };
    end.expect_err("a link runs until an error")
}

async fn run(
    context: &Context,
    connection: &mut Connection,
    answers: &Arc<Answers>,
    open: &mut usize,
) -> Result<(), LinkError> {
    let limits = context.options.forward_limits();
    loop {
        fill(answers, connection, open, BATCH_BYTES);
        // Whoever does not take its answers may ask no more.
        let waiting_bytes = connection.out.remaining() + answers.queue.lock().bytes;
        let may_read = waiting_bytes <= limits.queued_bytes;
        if connection.step(&answers.wake, may_read).await? != Step::Read {
            continue;
        }
        while let Some(frame) = connection.next(&[Kind::ForwardRequest, Kind::Ping])? {
            // The other side keeps to the same bound; one that does not is told so.
            if *open >= limits.in_flight * 2 {
                let (id, _) = take_request(frame.payload)?;
                *open += 1;
                answers.push(id, Err(ForwardError::Busy));
            } else {
                *open += 1;
                accept(context, answers, frame.payload)?;
            }
        }
    }
}

fn accept(context: &Context, answers: &Arc<Answers>, payload: Bytes) -> Result<(), LinkError> {
    let (id, request) = take_request(payload)?;
    let promise = Promise {
        id,
        answers: Arc::clone(answers),
        kept: false,
    };
    match request {
        Some(request) => context
            .handler
            .forwarded(request, Box::new(move |result| promise.keep(result))),
        None => promise.keep(Err(ForwardError::Refused {
            reason: "the request does not decode".to_owned(),
        })),
    }
    Ok(())
}

fn fill(answers: &Answers, connection: &mut Connection, open: &mut usize, up_to_bytes: usize) {
    while connection.out.remaining() < up_to_bytes
        && let Some((id, result)) = answers.pop()
    {
        *open = open.saturating_sub(1);
        push_response(&mut connection.out, id, result);
    }
}
