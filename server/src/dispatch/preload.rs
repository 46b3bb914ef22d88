//! Large collections that are only on disk are loaded before a command runs that needs all of one. Reading a million elements
//! takes about a second: under the Region's lock, which the command holds, nobody else would be served meanwhile. Only the client
//! that asked waits, and whoever needs the same collection.

use storage::dataset::{Cold, ColdKey, Dataset, Headroom};
use storage::ids::DbIndex;
use storage::proto::command::Request;
use storage::types::Limits;
use tokio::sync::Mutex;

use super::shared::Shared;
use crate::commands::points;
use crate::machine::clearing::Clearing;
use crate::machine::{Lookup, Machine, batch, data_commands};

/// A collection that changes while it is read is read again so many times; then the command loads it itself, under the lock.
pub const TRIES: usize = 3;

/// Collections that are loaded for one segment; further ones are loaded under the lock.
const MAX_PER_SEGMENT: usize = 64;

/// Lets one collection be loaded at a time: those who need the same one find it in memory then.
#[derive(Default)]
pub struct Preload {
    turn: Mutex<()>,
}

/// Loads the collection at a key, unless somebody else has. What is returned keeps room for a reply that holds all of it, until
/// it is dropped.
pub async fn load(shared: &Shared, key: &ColdKey) -> Option<Headroom> {
    take_turn(shared, |dataset| dataset.cold_key(key)).await
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
                take_turn(shared, |dataset| needed_by(dataset, request)).await;
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
    find: impl Fn(&Dataset) -> storage::Result<Option<Cold>>,
) -> Option<Headroom> {
    let _turn = shared.preload.turn.lock().await;
    for _ in 0..TRIES {
        let found = find(&shared.machine.dataset().read());
        let cold = match found {
            Ok(Some(cold)) => cold,
            Ok(None) => return None,
            Err(error) => shared.fatal(&error),
        };
        let machine = shared.machine.clone();
        let admitted = tokio::task::spawn_blocking(move || load_into(&machine, cold)).await;
        match admitted {
            Ok(Ok(Some(headroom))) => return Some(headroom),
            Ok(Ok(None)) => {}
            // It may have changed while it was read. If the disk is at fault, the command itself will find out.
            Ok(Err(error)) => tracing::debug!("a collection is read again: {error}"),
            // The runtime is about to stop.
            Err(_) => return None,
        }
    }
    None
}

/// Reads a collection and takes it into memory, from which others are dropped in time. None if it has changed meanwhile.
fn load_into(machine: &Machine, cold: Cold) -> storage::Result<Option<Headroom>> {
    let mut clearing = Clearing::new(machine);
    let loaded = cold.load(|read| clearing.has_read(read))?;
    let mut dataset = machine.dataset().write();
    let is_same = dataset.admit_loaded(loaded)?;
    Ok(is_same.then_some(clearing.for_reply()))
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
