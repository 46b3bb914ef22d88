//! Newtypes for ids, so that two `u64` arguments cannot be swapped.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The bare number, for wire formats and the `raft` crate.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A Region: one Raft group over a contiguous range of slots. Never 0.
    RegionId, u64
);
id!(
    /// A Peer: a Region's replica on a Store; the id that the `raft` crate knows. Never 0.
    PeerId, u64
);
id!(
    /// A Store: one server process. Never 0.
    StoreId, u64
);
id!(
    /// A Raft term.
    Term, u64
);
id!(
    /// A position in the Raft log; the first entry has index 1.
    LogIndex, u64
);
id!(
    /// One of the 16384 slots of Redis Cluster.
    Slot, u16
);
id!(
    /// A logical database as SELECT names it, 0 to 15.
    DbIndex, u8
);

/// Number of slots, as Redis Cluster has.
pub const SLOT_COUNT: u16 = 16384;

/// Number of logical databases.
pub const DB_COUNT: u8 = 16;

/// The one Region of today.
pub const FIRST_REGION: RegionId = RegionId(1);

impl LogIndex {
    /// The following index.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
