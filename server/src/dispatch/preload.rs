//! Large collections that are only on disk are loaded before a command runs that needs all of one. Reading a million elements
//! takes about a second: under the Region's lock, which the command holds, nobody else would be served meanwhile. Only the client
//! that asked waits, and whoever needs the same collection.

use storage::dataset::{Cold, ColdKey, Dataset, Headroom, Loan};
use storage::ids::DbIndex;
use storage::proto::command::Request;
use storage::types::Limits;
use tokio::sync::Mutex;

use super::shared::Shared;
use crate::commands::points;
use crate::machine::clearing::Clearing;
use crate::machine::{Lookup, Machine, batch, data_commands};

/// A collection that changes while it is read, and cannot be lent, is read so many times; then the command loads it itself, under the lock.
const TRIES: usize = 3;

/// And so does a read after so many loads: memory may not have room for all that it needs at once.
pub const MAX_PER_READ: usize = 8;

/// Collections that are loaded for one segment; further ones are loaded under the lock.
const MAX_PER_SEGMENT: usize = 64;

/// Lets one collection be loaded at a time: those who need the same one find it in memory then.
#[derive(Default)]
pub struct Preload {
    turn: Mutex<()>,
}

/// A collection that was loaded for somebody.
#[derive(Default)]
pub struct Preloaded {
    /// What was read for him alone, if it could not be taken into memory.
    pub loan: Option<Loan>,
    /// Room for a reply that holds all of it.
    pub headroom: Option<Headroom>,
    /// It changes too often, or cannot be read.
    pub gave_up: bool,
}

/// Loads the collection at a key, unless somebody else has. With `may_lend`, what has changed meanwhile is not read again.
pub async fn load(shared: &Shared, key: &ColdKey, may_lend: bool) -> Preloaded {
    take_turn(shared, may_lend, |dataset| dataset.cold_key(key)).await
}

/// Loads what the commands of a request need all of, before they go into the log: the leader would execute them, and load it,
/// under the exclusive lock.
pub async fn settle(shared: &Shared, request: &Request) {
    if !may_need(shared) {
        return;
    }
    for _ in 0..MAX_PER_SEGMENT {
        let needed = needed_by(&shared.machine.dataset().read(), request);
        match needed {
            Ok(None) => return,
            Ok(Some(_)) => {
                let loaded = take_turn(shared, false, |dataset| needed_by(dataset, request)).await;
                if loaded.gave_up {
                    return;
                }
            }
            Err(error) => shared.fatal(&error),
        }
    }
}

/// Whether [`settle`] has anything to look at.
pub fn may_need(shared: &Shared) -> bool {
    shared.machine.may_be_cold()
}

async fn take_turn(
    shared: &Shared,
    may_lend: bool,
    find: impl Fn(&Dataset) -> storage::Result<Option<Cold>>,
) -> Preloaded {
    let _turn = shared.preload.turn.lock().await;
    for _ in 0..TRIES {
        let found = find(&shared.machine.dataset().read());
        let cold = match found {
            Ok(Some(cold)) => cold,
            Ok(None) => return Preloaded::default(),
            Err(error) => shared.fatal(&error),
        };
        let machine = shared.machine.clone();
        let admitted = tokio::task::spawn_blocking(move || load_into(&machine, cold)).await;
        match admitted {
            Ok(Ok(loaded)) if loaded.is_settled(may_lend) => return loaded,
            Ok(Ok(_)) => {}
            // It may have changed while it was read. If the disk is at fault, the command itself will find out.
            Ok(Err(error)) => tracing::debug!("a collection is read again: {error}"),
            // The runtime is about to stop.
            Err(_) => break,
        }
    }
    Preloaded {
        gave_up: true,
        ..Preloaded::default()
    }
}

impl Preloaded {
    /// Whether it is of use for whoever waits for it.
    fn is_settled(&self, may_lend: bool) -> bool {
        self.loan
            .as_ref()
            .is_none_or(|loan| may_lend || loan.is_part())
    }
}

/// Reads a collection and takes it into memory, from which others are dropped in time.
fn load_into(machine: &Machine, cold: Cold) -> storage::Result<Preloaded> {
    let mut clearing = Clearing::new(machine);
    let loaded = cold.load(|read| clearing.has_read(read))?;
    let loan = machine.dataset().write().admit_loaded(loaded)?;
    let headroom = match loan {
        Some(_) => clearing.for_all(),
        None => clearing.for_reply(),
    };
    Ok(Preloaded {
        loan,
        headroom: Some(headroom),
        gave_up: false,
    })
}

/// The first collection that a command of a request needs all of.
fn needed_by(dataset: &Dataset, request: &Request) -> storage::Result<Option<Cold>> {
    let db = DbIndex(request.db as u8);
    for args in batch::iter(&request.commands) {
        let args = args?;
        let Lookup::Found { command, .. } = data_commands().find(&args) else {
            continue;
        };
        if !points::may_need_all(&command.spec) {
            continue;
        }
        // The limits tell at most how far a list is looked into.
        let points = points::of(command.spec.name, &args, &Limits::default()).unwrap_or_default();
        let overwritten = points::overwritten(&command.spec, &args);
        for at in command.spec.keys.positions(&args) {
            let Some(key) = args.get(at).filter(|_| overwritten != Some(at)) else {
                continue;
            };
            let point = points.iter().find(|point| point.key == *key);
            if point.is_some_and(|point| points::is_small(&command.spec, point)) {
                continue;
            }
            if let Some(cold) = dataset.cold(db, key, point)? {
                return Ok(Some(cold));
            }
        }
    }
    Ok(None)
}
