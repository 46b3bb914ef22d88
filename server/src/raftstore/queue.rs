//! A queue between threads whose consumer takes everything at once and sleeps without spinning: on a machine with few
//! cores a spinning consumer takes the time of those whom it waits for.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

struct Waiting<T> {
    items: Vec<T>,
    asleep: bool,
}

/// Many producers, one consumer.
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                items: Vec::new(),
                asleep: false,
            }),
            arrived: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds an item; wakes the consumer if it sleeps.
    pub(super) fn push(&self, item: T) {
        let mut waiting = self.waiting.lock();
        waiting.items.push(item);
        let asleep = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if asleep {
            self.arrived.notify_one();
        }
    }

    /// Takes all that waits into `into`, which is empty; waits up to `timeout` for a first item.
    pub(super) fn take(&self, into: &mut Vec<T>, timeout: Duration) {
        let mut waiting = self.waiting.lock();
        if waiting.items.is_empty() && !timeout.is_zero() {
            waiting.asleep = true;
            self.arrived.wait_for(&mut waiting, timeout);
            waiting.asleep = false;
        }
        std::mem::swap(&mut waiting.items, into);
    }
}
