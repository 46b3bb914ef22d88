//! Room in memory for a collection that is being loaded, and for the reply that holds all of it.
//!
//! Others are dropped for it, by what the data set counts. But what is dropped leaves holes, which the allocator cannot give back
//! while anything in the same page lives, and what it can give back takes its time. So the load waits for what is resident, and more
//! is dropped meanwhile: only the client that asked notices.

use std::thread;
use std::time::Duration;

use storage::dataset::Headroom;

use crate::allocator::{self, resident};
use crate::machine::Machine;

/// What is still to come when so much was read, in parts of it: the object is counted only when it is complete, then the reply.
const TO_COME_PARTS: (u64, u64) = (5, 2);

/// Of that, what will become resident: the reply, and as much of the object again.
const RESIDENT_TO_COME_PARTS: u64 = 2;

/// Objects that are dropped while the lock is held.
const DROPPED_AT_ONCE: usize = 256;

/// And how often at most between two pieces that are read: others may take as much memory meanwhile.
const MOST_DROPS: usize = 64;

/// What was freed is given back after about twice as long.
const WAIT: Duration = Duration::from_millis(5);

/// A load may wait so long for each megabyte that it has read, which takes about as long.
const PATIENCE_PER_MB: Duration = Duration::from_millis(16);
const MOST_PATIENCE: Duration = Duration::from_millis(250);

/// Makes room while a collection is read.
pub struct Clearing<'m> {
    machine: &'m Machine,
    headroom: Headroom,
    /// Bytes of elements that were read.
    read: u64,
    /// Bytes that are dropped besides, because less came back than was dropped.
    more: u64,
    waited: Duration,
}

impl<'m> Clearing<'m> {
    /// Nothing was read yet.
    pub fn new(machine: &'m Machine) -> Self {
        Self {
            machine,
            headroom: machine.dataset().read().headroom(),
            read: 0,
            more: 0,
            waited: Duration::ZERO,
        }
    }

    /// To be called for every piece, with the bytes that were read so far.
    pub fn has_read(&mut self, bytes: u64) {
        self.read = bytes;
        let maxmemory = self.machine.dataset().read().maxmemory();
        if maxmemory == 0 {
            return;
        }
        self.drop_others();
        let Some(target) = resident::target_bytes(maxmemory) else {
            return;
        };
        let most = target.saturating_sub(bytes.saturating_mul(RESIDENT_TO_COME_PARTS));
        while let Some(over) = resident_above(most) {
            if self.waited >= patience(bytes) {
                break;
            }
            thread::sleep(WAIT);
            self.waited += WAIT;
            self.more += over / 2;
            self.drop_others();
        }
    }

    /// Room for the reply, now that the object is counted.
    pub fn for_reply(mut self) -> Headroom {
        self.headroom.set(self.read);
        self.headroom
    }

    /// Room for the reply and the object, which is not counted.
    pub fn for_all(mut self) -> Headroom {
        self.headroom.set(to_come(self.read));
        self.headroom
    }

    fn drop_others(&mut self) {
        self.headroom
            .set(to_come(self.read).saturating_add(self.more));
        for _ in 0..MOST_DROPS {
            if self.machine.dataset().write().drop_cold(DROPPED_AT_ONCE) == 0 {
                break;
            }
        }
        allocator::ask_all();
        allocator::collect_if_asked();
    }
}

fn to_come(read: u64) -> u64 {
    read.saturating_mul(TO_COME_PARTS.0) / TO_COME_PARTS.1
}

fn patience(read: u64) -> Duration {
    let megabytes = read as f64 / f64::from(1 << 20);
    PATIENCE_PER_MB.mul_f64(megabytes).min(MOST_PATIENCE)
}

/// By how much resident memory is above so many bytes, if it is.
fn resident_above(most: u64) -> Option<u64> {
    let over = resident::bytes()?.saturating_sub(most);
    (over > 0).then_some(over)
}
