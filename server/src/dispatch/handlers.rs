//! The kinds of handlers besides data commands. A handler's type says what it may touch: a session command the connection
//! and no data, an admin command everything that is shared, asynchronously.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use resp::{Protocol, Writer};
use storage::ids::DbIndex;

use super::shared::Shared;
use crate::commands::args::Args;
use crate::commands::error::CommandResult;
use crate::commands::spec::Command;
use crate::session::Session;

/// Runs on the connection: its state, and nothing that waits.
pub type SessionHandler =
    fn(&mut Session, &Shared, &mut Args<'_>, &mut Writer<'_>) -> CommandResult;

/// A session command.
pub type SessionCommand = Command<SessionHandler>;

/// One call of an admin command.
pub struct AdminCall {
    /// Everything shared.
    pub shared: Arc<Shared>,
    /// The arguments, the command's name first.
    pub args: Vec<Vec<u8>>,
    /// How to encode the reply.
    pub protocol: Protocol,
    /// Id of the connection.
    pub client_id: u64,
    /// Its selected database.
    pub db: DbIndex,
    /// The client is on this machine: loopback or Unix socket.
    pub is_local: bool,
    /// It uses TLS.
    pub is_tls: bool,
}

impl AdminCall {
    /// The arguments as slices.
    pub fn slices(&self) -> Vec<&[u8]> {
        self.args.iter().map(Vec::as_slice).collect()
    }
}

/// The encoded reply, when it is there. Runs on the connection's own thread.
pub type AdminFuture = Pin<Box<dyn Future<Output = CommandResult<BytesMut>>>>;

/// May wait, and may touch everything shared; the connection waits for it.
pub type AdminHandler = fn(AdminCall) -> AdminFuture;

/// An admin command.
pub type AdminCommand = Command<AdminHandler>;
