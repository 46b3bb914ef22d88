//! Large collections come back into memory on a thread of their own: see [`storage::dataset::Recalled`].

use std::thread::JoinHandle;

use storage::dataset::{Cold, Recalled};

use super::store::spawn;
use crate::machine::Machine;
use crate::machine::clearing::Clearing;

/// One at a time.
#[derive(Default)]
pub(super) struct Recall {
    thread: Option<JoinHandle<()>>,
}

impl Recall {
    /// Whether none is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Begins with one.
    pub(super) fn begin(&mut self, machine: &Machine, cold: Cold) {
        let own = machine.clone();
        match spawn("recall", move || run(&own, cold)) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => give_up(machine, &error),
        }
    }
}

/// Brings one after the other, until none is to come.
fn run(machine: &Machine, first: Cold) {
    let mut next = Some(first);
    while let Some(cold) = next {
        if let Err(error) = bring(machine, cold) {
            give_up(machine, &error);
        }
        let mut dataset = machine.dataset().write();
        machine.note_cold(&dataset);
        next = dataset.next_recall().unwrap_or_else(|error| {
            tracing::debug!("large collections stay on disk: {error}");
            None
        });
    }
}

/// Reads the collection while others change it, and catches up with them.
fn bring(machine: &Machine, cold: Cold) -> storage::Result<()> {
    let mut clearing = Clearing::new(machine);
    let mut loaded = cold.load(|read| clearing.has_read(read))?;
    loop {
        let recalled = machine.dataset().write().admit_recalled(loaded)?;
        match recalled {
            Recalled::Behind(behind, changes) => {
                loaded = *behind;
                loaded.catch_up(changes)?;
            }
            Recalled::Admitted | Recalled::Left => return Ok(()),
        }
    }
}

/// It stays on disk, where commands find what they look at. If the disk is at fault, one of them will find out.
fn give_up(machine: &Machine, error: &dyn std::error::Error) {
    tracing::debug!("a large collection stays on disk: {error}");
    machine.dataset().write().recall_failed();
}
