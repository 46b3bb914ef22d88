//! Clients' connections.
//!
//! A few threads, each with a runtime of its own that runs on it alone: a connection stays where it was accepted, so
//! nothing it owns crosses a thread, and no work is stolen. `io-threads` says how many.
//!
//! The life of a round ([`connection`]): everything that has arrived is parsed in place; leading reads run at once under the
//! leader's lease; from the first write on, consecutive data commands travel as one segment; then one write sends all
//! replies.

pub mod connection;
mod exporter;
pub mod listener;
mod pipeline;
mod registered;
mod replies;
mod round;
mod sentinel;

pub use listener::{IoThreads, Listeners};
