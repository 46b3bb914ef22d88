//! The simulated world: several Stores, their network, clocks and disks, in one thread and from one seed.
//!
//! It drives the same `Peer`, `PeerStorage`, `Machine` and `Dataset` as the server does. Time is a number; messages are
//! delayed, lost, repeated and reordered; a crash, in the middle of anything, drops what was not synced; a pause stops a Store while its clock goes
//! on. The same seed gives the same run, whatever the machine.
//!
//! Two uses: directed tests (`tests/sim_scenarios.rs`) call the verbs of [`World`] and read like English; the swarm
//! ([`swarm`]) mixes faults and load at random and then asks checkers that know nothing of the load:
//!
//! - every index of the log holds one entry, whoever applies it (`World::assert_one_history`, checked on every apply);
//! - replicas at the same applied index have the same digest;
//! - the history of every register is linearizable ([`linearizable`]);
//! - after healing, a write succeeds, every member votes, and every replica catches up.
//!
//! A failing seed is replayed with every step printed ([`trace`], `swarm --trace SEED`).
//!
//! [`Sabotage`] breaks one rule on purpose: tests prove that some seed then fails.

pub mod linearizable;
mod members;

mod client;
mod faults;
mod forward;
mod network;
mod node;
mod sabotage;
pub mod swarm;
pub mod trace;
mod world;

pub use client::{Client, Outcome};
pub use sabotage::Sabotage;
pub use world::{Options, World};
