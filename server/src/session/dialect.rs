//! READONLY READWRITE ASKING: where a connection's reads run, in the words of Redis Cluster.

use std::time::Duration;

use resp::Writer;

use super::Session;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{SessionCommand, SessionHandler, Shared};

/// Where the reads of a connection run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// At the leader.
    #[default]
    Leader,
    /// On the Store of the connection, and linearizable all the same: behind a round of ReadIndex (READONLY).
    Here,
    /// On the Store of the connection, as old as this at most (CLIENT STALENESS).
    Stale(Duration),
}

impl Reads {
    /// Whether the Store of the connection runs them even if it does not lead.
    pub fn are_local(self) -> bool {
        self != Self::Leader
    }
}

/// The family.
pub static COMMANDS: &[SessionCommand] = &[
    row("readonly", readonly).flags(Flags::LOADING.with(Flags::STALE).with(Flags::FAST)),
    row("readwrite", readwrite).flags(Flags::LOADING.with(Flags::STALE).with(Flags::FAST)),
    row("asking", asking).flags(Flags::FAST),
];

const fn row(name: &'static str, handler: SessionHandler) -> SessionCommand {
    SessionCommand::new(name, 1, Group::Cluster, handler)
}

/// What a server that is no part of a Redis Cluster says to its commands.
pub const CLUSTER_DISABLED: &str = "ERR This instance has cluster support disabled";

/// READONLY: in every mode, because every Store can read.
fn readonly(
    session: &mut Session,
    _: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    session.reads = Reads::Here;
    out.ok();
    Ok(())
}

/// READWRITE
fn readwrite(
    session: &mut Session,
    _: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    session.reads = Reads::Leader;
    out.ok();
    Ok(())
}

/// ASKING: no slot is ever on its way to another Store, so the next command is treated as any other.
fn asking(
    _: &mut Session,
    shared: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    if !shared.cluster_enabled {
        return Err(CommandError::reply(CLUSTER_DISABLED));
    }
    out.ok();
    Ok(())
}
