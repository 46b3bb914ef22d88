//! The TinyKV server.

pub mod bootstrap;
pub mod config;
pub mod logging;
pub mod transport;
