//! Memory of the process: who gives it out, and how what was freed comes back.

mod collect;
mod mimalloc;
pub mod resident;

pub use collect::{ask_all, collect_if_asked};
pub use mimalloc::{Mimalloc, set_up};
