//! Answers of the apply worker on their way to connections.
//!
//! Waking a task of another thread costs a system call each time. A group commit answers dozens of connections of one I/O
//! thread at once: their answers go into that thread's mailbox, and only the first one into an empty mailbox wakes it. A
//! task on the I/O thread then hands each answer to its connection, which costs nothing.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use slab::Slab;
use storage::proto::command::RaftCmdResponse;
use tokio::sync::Notify;

use crate::raftstore::{Callback, Error};

type Answer = Result<RaftCmdResponse, Error>;

/// The part of a mailbox that other threads see.
#[derive(Default)]
struct Letters {
    waiting: Mutex<Vec<(usize, Answer)>>,
    arrived: Notify,
}

impl Letters {
    fn put(&self, slot: usize, answer: Answer) {
        let mut waiting = self.waiting.lock();
        waiting.push((slot, answer));
        let first = waiting.len() == 1;
        drop(waiting);
        if first {
            self.arrived.notify_one();
        }
    }
}

/// A connection that waits, or no longer does.
enum Slot {
    Waiting(Option<Waker>),
    Answered(Answer),
    /// The connection is gone; its answer is still to come.
    Abandoned,
}

/// The mailbox of one I/O thread.
#[derive(Default)]
struct Mailbox {
    letters: Arc<Letters>,
    slots: RefCell<Slab<Slot>>,
}

thread_local! {
    static MAILBOX: OnceCell<Rc<Mailbox>> = const { OnceCell::new() };
}

/// The mailbox of this thread; opened, with the task that empties it, by the first who asks. Needs a `LocalSet`.
fn mailbox() -> Rc<Mailbox> {
    MAILBOX.with(|cell| {
        let mailbox = cell.get_or_init(|| {
            let mailbox = Rc::new(Mailbox::default());
            tokio::task::spawn_local(deliver(Rc::clone(&mailbox)));
            mailbox
        });
        Rc::clone(mailbox)
    })
}

async fn deliver(mailbox: Rc<Mailbox>) {
    let mut answers = Vec::new();
    loop {
        mailbox.letters.arrived.notified().await;
        std::mem::swap(&mut *mailbox.letters.waiting.lock(), &mut answers);
        let mut slots = mailbox.slots.borrow_mut();
        for (slot, answer) in answers.drain(..) {
            match std::mem::replace(&mut slots[slot], Slot::Answered(answer)) {
                Slot::Waiting(waker) => {
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                Slot::Abandoned => {
                    slots.remove(slot);
                }
                Slot::Answered(_) => unreachable!("a callback is called once"),
            }
        }
    }
}

/// An answer that will come. Dropped early, the answer is dropped when it comes.
pub struct Expected {
    mailbox: Rc<Mailbox>,
    slot: Option<usize>,
}

/// Puts its answer into the mailbox, at the latest when it is dropped: whoever waits must hear.
struct Letter {
    letters: Arc<Letters>,
    slot: Option<usize>,
}

impl Drop for Letter {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            // The thread that had to answer is gone: nobody knows what became of the proposal.
            self.letters.put(slot, Err(Error::StaleCommand));
        }
    }
}

/// A callback for the Raft core, and the answer that it will bring to this thread.
pub fn expect() -> (Callback, Expected) {
    let mailbox = mailbox();
    let slot = mailbox.slots.borrow_mut().insert(Slot::Waiting(None));
    let mut letter = Letter {
        letters: Arc::clone(&mailbox.letters),
        slot: Some(slot),
    };
    let callback: Callback = Box::new(move |answer| {
        if let Some(slot) = letter.slot.take() {
            letter.letters.put(slot, answer);
        }
    });
    (
        callback,
        Expected {
            mailbox,
            slot: Some(slot),
        },
    )
}

impl Future for Expected {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let slot = self.slot.expect("not polled after it was ready");
        let mut slots = self.mailbox.slots.borrow_mut();
        if matches!(slots[slot], Slot::Answered(_)) {
            let Slot::Answered(answer) = slots.remove(slot) else {
                unreachable!("just looked")
            };
            drop(slots);
            self.slot = None;
            return Poll::Ready(answer);
        }
        slots[slot] = Slot::Waiting(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let mut slots = self.mailbox.slots.borrow_mut();
        match slots[slot] {
            Slot::Answered(_) => {
                slots.remove(slot);
            }
            Slot::Waiting(_) | Slot::Abandoned => slots[slot] = Slot::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::expect;
    use crate::raftstore::Error;
    use storage::proto::command::RaftCmdResponse;
    use tokio::task::LocalSet;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn answers_of_another_thread_arrive_each_at_its_connection() {
        run(async {
            let (callbacks, expected): (Vec<_>, Vec<_>) = (0..100).map(|_| expect()).unzip();
            std::thread::spawn(|| {
                for (db, callback) in (0..).zip(callbacks) {
                    callback(Ok(RaftCmdResponse {
                        db,
                        ..RaftCmdResponse::default()
                    }));
                }
            });
            for (db, expected) in (0..).zip(expected) {
                assert_eq!(expected.await.expect("an answer").db, db);
            }
        });
    }

    #[test]
    fn a_callback_that_is_dropped_is_an_unknown_outcome() {
        run(async {
            let (callback, expected) = expect();
            drop(callback);
            assert_eq!(expected.await, Err(Error::StaleCommand));
        });
    }

    #[test]
    fn a_connection_that_left_does_not_get_the_answer_of_another() {
        run(async {
            let (late, gone) = expect();
            drop(gone);
            let (callback, expected) = expect();
            late(Err(Error::Busy));
            callback(Err(Error::Full));
            assert_eq!(expected.await, Err(Error::Full));
        });
    }
}
