//! The TinyKV server.

pub mod bootstrap;
pub mod commands;
pub mod config;
pub mod logging;
pub mod transport;
pub mod machine;
pub mod raftstore;
