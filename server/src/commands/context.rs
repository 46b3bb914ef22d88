//! What a data command may touch: keys, frozen time, seeded randomness. Not a socket, a clock or the configuration.

use std::cell::Cell;

use storage::dataset::{Txn, View};

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
        let next = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A write: one command of one log entry. Runs on the apply worker under the exclusive lock.
pub struct WriteContext<'t, 'a> {
    /// The entry's transaction, at the command's database.
    pub txn: &'t mut Txn<'a>,
}
