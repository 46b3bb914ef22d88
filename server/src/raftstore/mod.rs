//! The Raft core: one Region, one Peer on each Store, and TiKV's `raft` crate for the protocol itself.
//!
//! # The life of a write
//!
//! 1. A connection hands its pipelined batch to [`RaftRouter::propose`]; the batch waits in the store thread's inbox.
//! 2. The store thread drains the inbox. `Peer::propose_raft_command` checks that this Peer leads, that the epoch and the
//!    term are right and that the disk has room, stamps time and seed, and *proposes* everything that waits as one entry.
//! 3. `Peer::handle_raft_ready`: the leader's append messages leave; then `PeerStorage::save_ready_state` *appends* the
//!    entry and *persists* it: one batch, one fsync, whatever the number of clients.
//! 4. When a quorum has persisted it the entry is *committed*. It goes to the apply worker together with the callbacks
//!    that its (term, index) was proposed with.
//! 5. The apply worker executes its commands on the Region's memory under the exclusive lock (*apply*), and answers; or, if that is
//!    over in a moment, whoever drives the Peer (`executor`).
//! 6. The records that changed gather in the write set; a checkpoint ingests them into the kv engine in the background,
//!    with the applied index that they lead to; then the log is compacted up to there.
//!
//! A proposal that is refused at step 2 was certainly not appended. After that the outcome is unknown until an entry at its
//! index is applied: its own, or that of another leader in its place. When neither comes in time, or a snapshot stands
//! there, the callback gets [`Error::StaleCommand`].
//!
//! # The life of a read
//!
//! A connection runs it under the shared lock and then asks [`Lease::is_valid`]. Without a lease it waits for
//! [`RaftRouter::read_index`]: the leader's commit index, confirmed by a round of heartbeats, applied here.
//!
//! # The life of a Peer
//!
//! `Peer::new` over an opened `PeerStorage`; `tick`, `step`, `propose_raft_command`, `read_index`, `on_applied` and then
//! `handle_raft_ready`, in any order, from one thread at a time. It touches no socket, no clock and no thread: time comes in as
//! [`clock::Now`], messages and apply tasks leave through [`Outbox`], the disk is behind `storage::engine::Engine`. The
//! store thread and the simulated world are two drivers of the same code. On a single node an I/O thread that has gathered
//! little drives it too, while no other thread does (`driver::Seat`).
//!
//! A founder of a cluster takes part only when enough others know it ([`Peer::is_admitted`]): one that has lost its disk never does.
//!
//! # The life of a snapshot
//!
//! Raft asks for one when a follower needs entries that are compacted. It is read from a view of the kv engine at its
//! last checkpoint, streamed in chunks outside the message path, written to a file, and only then is the `MsgSnapshot`
//! stepped. On the Ready that carries it the apply worker drains, `save_ready_state` installs the file under the
//! `Applying` mark, and the Region's memory opens again from the kv engine.

pub mod clock;

mod apply;
mod checkpoint;
mod compact;
mod config;
mod consistency;
mod disk;
mod driver;
mod election;
mod error;
mod executor;
mod expiry;
mod founding;
mod inbox;
mod lease;
mod logger;
mod membership;
mod peer;
mod priority;
mod propose;
mod queue;
mod read;
mod ready;
mod recall;
mod rest;
mod room;
mod router;
mod status;
mod store;
mod synced;

pub use apply::{Applied, ApplyTask, Callback, CommittedEntry, OpenDataset, ReadCallback};
pub use config::{PeerConfig, SharedLimits};
pub use disk::DiskRoom;
pub use error::{Error, Result};
pub use expiry::EXPIRE_ROUNDS_PER_SECOND;
pub use lease::Lease;
pub use membership::{Configuration, Member, Members};
pub use peer::{Peer, Step};
pub use priority::SharedPriority;
pub use propose::{Proposal, Work};
pub use ready::Outbox;
pub use router::RaftRouter;
pub use status::{PeerProgress, Role, Status};
pub use store::{Store, StoreOptions, StoreTransport, fatal, refuse_to_serve};
