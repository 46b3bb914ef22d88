//! The TinyKV server.

pub mod config;
