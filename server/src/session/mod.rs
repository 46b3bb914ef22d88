//! A connection's state, and the commands that touch nothing else.
//!
//! | file | commands |
//! |---|---|
//! | [`basic`] | PING ECHO HELLO AUTH SELECT QUIT RESET |
//! | [`client`] | CLIENT |
//! | [`dialect`] | READONLY READWRITE ASKING |
//! | [`clients`] | the registry that CLIENT LIST and CLIENT KILL look into |

pub mod basic;
pub mod client;
pub mod clients;
pub mod dialect;

use std::sync::Arc;

use resp::Protocol;
use storage::ids::DbIndex;

use crate::dispatch::SessionCommand;

pub use clients::{Address, Client, ClientRegistry};
pub use dialect::Reads;

/// The tables of session commands.
pub static FAMILIES: [&[SessionCommand]; 3] =
    [basic::COMMANDS, client::COMMANDS, dialect::COMMANDS];

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

impl ReplyMode {
    /// Whether the reply of the command that has just run is sent; goes on to that of the next one.
    pub fn settle(&mut self) -> bool {
        let (next, is_sent) = match *self {
            Self::On => (Self::On, true),
            Self::Off => (Self::Off, false),
            // CLIENT REPLY SKIP itself has no reply either.
            Self::SkipNext => (Self::Skip, false),
            Self::Skip => (Self::On, false),
        };
        *self = next;
        is_sent
    }
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
    /// Where its reads run.
    pub reads: Reads,
    /// It wants to be sent to the leader instead of being forwarded (CLIENT CAPA redirect).
    pub redirects: bool,
    /// It is on the Sentinel port.
    pub is_sentinel: bool,
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
            reads: Reads::default(),
            redirects: false,
            is_sentinel: false,
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

#[cfg(test)]
mod tests {
    use super::{FAMILIES, ReplyMode};
    use crate::commands::docs;

    #[test]
    fn skip_drops_its_own_reply_and_one_more() {
        let mut mode = ReplyMode::SkipNext;
        let sent: Vec<bool> = (0..4).map(|_| mode.settle()).collect();
        assert_eq!(sent, [false, false, true, true]);
        let mut mode = ReplyMode::Off;
        assert!(!mode.settle() && !mode.settle());
    }

    /// Each line of the file: what Redis 7.2 tells of a command.
    #[test]
    fn rows_tell_what_redis_tells() {
        let join = |words: Vec<&str>| words.join(" ");
        let rows = FAMILIES.iter().copied().flatten();
        for row in rows.flat_map(|row| std::iter::once(row).chain(row.subcommands)) {
            let spec = &row.spec;
            assert!(docs::of(spec.name).is_some(), "{}", spec.name);
            let ours = format!(
                "{} {} {} [{}] 0 0 0 [{}]",
                spec.name,
                spec.arity,
                spec.group.name(),
                join(spec.flags.names().collect()),
                join(docs::categories(spec).collect()),
            );
            let redis_s = include_str!("../commands/docs/facts.txt");
            assert!(redis_s.lines().any(|line| line == ours), "{ours}");
        }
    }
}
