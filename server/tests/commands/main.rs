//! Data commands end to end: entries, golden scripts, and the same commands on redis-server.

#![allow(clippy::unwrap_used, reason = "a test that fails should stop at once")]

mod cluster;
mod entries;
mod golden;
mod payloads;
mod random;
mod redis;
mod show;
