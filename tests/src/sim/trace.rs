//! Prints what happens in a world, line by line, with the world's time: what it does to its Stores, what they say, what Raft says.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The world's time, for the lines. A process traces one world.
static TIME_NS: AtomicU64 = AtomicU64::new(0);

struct WorldTime;

impl FormatTime for WorldTime {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        let time_us = TIME_NS.load(Ordering::Relaxed) / 1_000;
        write!(out, "{:>6}.{:03} ms", time_us / 1_000, time_us % 1_000)
    }
}

pub(super) fn note_time(time_ns: u64) {
    TIME_NS.store(time_ns, Ordering::Relaxed);
}

/// From now on everything is printed; `RUST_LOG` chooses, for instance `raft=debug` or `raft=trace,sim=debug`.
pub fn print() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("sim=debug,raft=debug,server=debug,storage=debug"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(WorldTime)
        .with_ansi(false)
        .init();
}
