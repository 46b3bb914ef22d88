//! A connection's state, and the commands that touch nothing else.
//!
//! | file | commands |
//! |---|---|
//! | [`basic`] | PING ECHO HELLO AUTH SELECT QUIT RESET |
//! | [`clients`] | the registry that CLIENT LIST and CLIENT KILL look into |

pub mod basic;
pub mod clients;

use std::sync::Arc;

use resp::Protocol;
use storage::ids::DbIndex;

use crate::dispatch::SessionCommand;

pub use clients::{Client, ClientRegistry};

/// The tables of session commands.
pub static FAMILIES: [&[SessionCommand]; 1] = [basic::COMMANDS];

/// What happens to replies (CLIENT REPLY).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// They are sent.
    #[default]
    On,
    /// They are dropped.
    Off,
    /// That of the next command is dropped.
    SkipNext,
    /// That of the present command is dropped.
    Skip,
}

/// The state of one connection.
pub struct Session {
    /// What others see of it.
    pub client: Arc<Client>,
    /// The selected database.
    pub db: DbIndex,
    /// The protocol of replies.
    pub protocol: Protocol,
    /// True when no password is needed or it was given.
    pub authenticated: bool,
    /// What happens to replies.
    pub reply: ReplyMode,
    /// Close after the replies so far are sent.
    pub closing: bool,
}

impl Session {
    /// A fresh connection.
    pub fn new(client: Arc<Client>, needs_password: bool) -> Self {
        Self {
            client,
            db: DbIndex(0),
            protocol: Protocol::Resp2,
            authenticated: !needs_password,
            reply: ReplyMode::On,
            closing: false,
        }
    }

    /// RESET: as a fresh connection, but for its id.
    pub fn reset(&mut self, needs_password: bool) {
        self.client.reset();
        *self = Self::new(Arc::clone(&self.client), needs_password);
    }

    /// Selects a database.
    pub fn select(&mut self, db: DbIndex) {
        self.db = db;
        self.client.set_db(db);
    }

    /// Chooses the protocol of replies.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.client.set_protocol(protocol);
    }
}
