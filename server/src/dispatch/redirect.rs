//! Who is sent to the leader instead of being forwarded: clients of Redis Cluster's dialect, and those that said
//! `CLIENT CAPA redirect`.
//!
//! While no leader is known nobody is sent away: the command waits for one, as every client's does.

use storage::dataset::slot_of;
use storage::ids::{Slot, StoreId};

use super::members;
use super::registry::{Entry, Runs};
use super::shared::Shared;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::DataCommand;
use crate::session::Session;

/// Refuses a command that this Store does not run for this client, with the place that does.
pub fn check(entry: &Entry, shared: &Shared, session: &Session, args: &[&[u8]]) -> CommandResult {
    if !shared.cluster_enabled && !session.redirects {
        return Ok(());
    }
    let Runs::Data(command) = entry.runs else {
        return Ok(());
    };
    if !shared.cluster_enabled {
        return match elsewhere(shared, session, command, args) {
            None => Ok(()),
            Some(leader) => Err(redirect(shared, session, leader, |address| {
                format!("REDIRECT {address}")
            })),
        };
    }
    one_database(entry, args)?;
    let Some(slot) = one_slot(entry, args)? else {
        return Ok(());
    };
    match elsewhere(shared, session, command, args) {
        None => Ok(()),
        Some(leader) => Err(redirect(shared, session, leader, |address| {
            format!("MOVED {slot} {address}")
        })),
    }
}

/// Redis Cluster has one database.
fn one_database(entry: &Entry, args: &[&[u8]]) -> CommandResult {
    let refused = match entry.spec.name {
        "move" => "ERR MOVE is not allowed in cluster mode",
        "swapdb" => "ERR SWAPDB is not allowed in cluster mode",
        "copy" if names_database(args) => {
            "ERR Copying to another database is not allowed in cluster mode"
        }
        _ => return Ok(()),
    };
    Err(CommandError::reply(refused))
}

/// COPY's option DB with another database than 0.
fn names_database(args: &[&[u8]]) -> bool {
    let mut options = args.iter().skip(3);
    options.any(|option| option.eq_ignore_ascii_case(b"db")) && options.next() != Some(&&b"0"[..])
}

/// The slot of all keys; none without keys.
fn one_slot(entry: &Entry, args: &[&[u8]]) -> CommandResult<Option<Slot>> {
    let mut positions = entry.spec.keys.positions(args);
    let Some(first) = positions.next() else {
        return Ok(None);
    };
    let slot = slot_of(args[first]);
    if positions.any(|at| slot_of(args[at]) != slot) {
        return Err(CommandError::reply(
            "CROSSSLOT Keys in request don't hash to the same slot",
        ));
    }
    Ok(Some(slot))
}

/// The leader, if it is another Store and this one may not answer the command.
fn elsewhere(
    shared: &Shared,
    session: &Session,
    command: &DataCommand,
    args: &[&[u8]],
) -> Option<StoreId> {
    let leader = shared.router.leader()?;
    let runs_here =
        leader == shared.store || (session.reads.are_local() && !command.handler.writes(args));
    (!runs_here).then_some(leader)
}

fn redirect(
    shared: &Shared,
    session: &Session,
    leader: StoreId,
    text: impl FnOnce(String) -> String,
) -> CommandError {
    match members::address(shared, leader, session.client.address.is_tls) {
        Some(address) => CommandError::reply(text(address)),
        // Nobody is sent to an address that is not known; the client asks again.
        None => CommandError::reply("TRYAGAIN The leader's address is not known yet"),
    }
}
