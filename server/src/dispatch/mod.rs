//! From a request to the place where it runs.
//!
//! | file | what it does |
//! |---|---|
//! | [`registry`] | every command by name |
//! | [`gates`] | the ordered chain of checks before every command |
//! | [`redirect`] | who is sent to the leader instead of being forwarded |
//! | [`members`] | the Stores as clients know them |
//! | [`segment`] | consecutive data commands of a pipeline, run or sent as one |
//! | [`routing`] | where a segment runs: here under the lease, through the log, or at the leader; holding in elections |
//! | [`freshness`] | how old this Store's memory may be |
//! | [`preload`] | large collections that are only on disk, loaded without the lock |
//! | [`gather`] | proposals of one I/O thread, handed over together |
//! | [`mailbox`] | answers of the apply worker on their way to connections |
//! | [`lazy_expiry`] | removal of expired keys that reads meet |
//! | [`eviction`] | removal of keys when memory is full |
//! | [`cold_expiry`] | removal of expired keys that are only on disk |
//! | [`announce`] | tells the cluster a new address of this Store |
//! | [`outcome`] | the only place where an error of the Raft core or of forwarding becomes a reply |
//! | [`forwarded`] | the other end: segments that another Store forwards |
//! | [`imports`] | RDB files that are loaded |
//! | [`saves`] | RDB files that were written |
//! | [`shared`] | what every connection and admin command sees |
//! | [`stats`] | counters for INFO |

pub mod announce;
pub mod cold_expiry;
pub mod eviction;
pub mod forwarded;
pub mod freshness;
pub mod gates;
pub mod gather;
pub mod handlers;
pub mod imports;
pub mod lazy_expiry;
pub mod mailbox;
pub mod members;
pub mod outcome;
pub mod preload;
pub mod redirect;
pub mod registry;
pub mod routing;
pub mod saves;
pub mod segment;
pub mod shared;
pub mod stats;

pub use handlers::{
    AdminCall, AdminCommand, AdminFuture, AdminHandler, SessionCommand, SessionHandler,
};
pub use shared::Shared;
