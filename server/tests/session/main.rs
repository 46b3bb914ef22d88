//! Connections of a whole server, which runs in this process: what a client sees of gates, pipelines, CLIENT and limits.

mod client;
mod cluster;
mod cold;
mod conversations;
mod expiry;
mod gates;
mod limits;
mod node;
#[path = "../ports/mod.rs"]
mod ports;
