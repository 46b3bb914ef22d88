//! What the integration tests share: servers, clients, and the simulated world.

pub mod process;
pub mod sim;
