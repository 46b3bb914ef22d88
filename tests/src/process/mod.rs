//! Real servers in processes of their own, their clients, and a load whose acknowledgements are remembered.
//!
//! Everything is on the loopback, on free ports, in temporary directories. A server that is dropped is killed by its id.

mod certificates;
mod client;
mod load;
mod node;

use std::time::{Duration, Instant};

pub use certificates::{Authority, Files};
pub use client::Client;
pub use load::{Load, Verdict};
pub use node::{Cluster, Server, free_port};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Asks until the answer is there.
///
/// # Panics
/// With `what` when it does not come.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}
