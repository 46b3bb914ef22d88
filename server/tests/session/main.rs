//! Connections of a whole server, which runs in this process: what a client sees of gates, pipelines, CLIENT and limits.

mod client;
mod cluster;
mod cold;
#[path = "../common/mod.rs"]
mod common;
mod conversations;
mod expiry;
mod gates;
mod limits;
mod node;
