//! What a data command may touch: keys, frozen time, seeded randomness. Not a socket, a clock or the configuration.

use std::cell::Cell;

use storage::dataset::{Txn, View};
use storage::random;

/// A read: one database at one logical time. Runs on a connection's thread under the shared lock, or inside an entry.
pub struct ReadContext<'a> {
    /// The database.
    pub view: View<'a>,
    random: Cell<u64>,
}

impl<'a> ReadContext<'a> {
    /// A read of `view` whose randomness comes from `seed`.
    pub fn new(view: View<'a>, seed: u64) -> Self {
        Self {
            view,
            random: Cell::new(seed),
        }
    }

    /// The next number of the seeded sequence.
    pub fn random(&self) -> u64 {
        let mut state = self.random.get();
        let next = random::next(&mut state);
        self.random.set(state);
        next
    }
}

/// A write: one command of one log entry. Runs on the apply worker under the exclusive lock.
pub struct WriteContext<'t, 'a> {
    /// The entry's transaction, at the command's database.
    pub txn: &'t mut Txn<'a>,
}
