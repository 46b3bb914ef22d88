//! What tests of whole servers have in common: ports, and waiting for what is to come.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Nothing here takes longer, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What a node adds to its port for the other nodes.
const BUS_OFFSET: u16 = 10_000;

/// With those of the nodes they stay below 32768, from where the system takes ports for connections, and away from those of the
/// package `tests`.
const FIRST_PORT: u16 = 12_700;
const PORTS: u16 = 7_200;

/// A port that nobody listens on, nor on the port that a node adds to it. Tests of one process never get the same.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(PORTS)) as u16;
    loop {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST_PORT + (start + nth) % PORTS;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + BUS_OFFSET) {
            return port;
        }
    }
}

/// Asks until the answer is there.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(LOOK_INTERVAL);
    }
}
