//! The TinyKV server: clients' connections, commands, the Raft loop, the links between Stores.
//!
//! Dependencies point one way: `server` (the wiring) → `net` → `session`, `dispatch`, `admin` → `machine`, `raftstore`,
//! `transport` → `commands` → the crate `storage`.

pub mod admin;
pub mod allocator;
pub mod bootstrap;
pub mod commands;
pub mod config;
pub mod dispatch;
pub mod identity;
pub mod import;
mod join;
pub mod logging;
pub mod machine;
pub mod net;
mod next_start;
pub mod raftstore;
pub mod server;
pub mod session;
pub mod tls;
pub mod transport;
pub mod version;
