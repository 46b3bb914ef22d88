//! Every command by name: data, session and admin commands in one look-up, whatever their case, without allocation.

use crate::commands::FAMILIES;
use crate::commands::spec::{Command, DataCommand, Spec};

use super::handlers::{AdminCommand, SessionCommand};

/// Longest name of a command; a longer one is unknown.
const MAX_NAME_LEN: usize = 32;

/// What runs a command.
#[derive(Clone, Copy)]
pub enum Runs {
    /// On the Region's memory.
    Data(&'static DataCommand),
    /// On the connection.
    Session(&'static SessionCommand),
    /// On everything shared.
    Admin(&'static AdminCommand),
}

impl Runs {
    /// What is known of the command.
    pub fn spec(self) -> &'static Spec {
        match self {
            Self::Data(command) => &command.spec,
            Self::Session(command) => &command.spec,
            Self::Admin(command) => &command.spec,
        }
    }
}

/// A command or subcommand.
pub struct Entry {
    /// What is known of it.
    pub spec: &'static Spec,
    /// What runs it.
    pub runs: Runs,
    /// Its position among all entries, for statistics.
    pub id: usize,
    /// Of a container: the ids of its subcommands.
    pub subcommands: std::ops::Range<usize>,
}

/// What a look-up found.
#[derive(Clone, Copy)]
pub enum Found<'r> {
    /// The command or subcommand, and the position of its first argument.
    Command(&'r Entry, usize),
    /// This container has no such subcommand.
    UnknownSubcommand(&'r Entry),
    /// No such command.
    Unknown,
}

/// All commands.
pub struct Registry {
    entries: Vec<Entry>,
    /// Open addressing into `entries` (containers and plain commands only), at most a quarter full.
    slots: Vec<Option<u32>>,
}

impl Registry {
    /// All data commands and the rows of these tables. Two of one name are a mistake of the programmer, and panic.
    pub fn new(session: &[&'static [SessionCommand]], admin: &[&'static [AdminCommand]]) -> Self {
        let mut registry = Self {
            entries: Vec::new(),
            slots: Vec::new(),
        };
        for row in FAMILIES.iter().flat_map(|family| family.iter()) {
            registry.add(row, Runs::Data);
        }
        for row in session.iter().flat_map(|family| family.iter()) {
            registry.add(row, Runs::Session);
        }
        for row in admin.iter().flat_map(|family| family.iter()) {
            registry.add(row, Runs::Admin);
        }
        registry.index();
        registry
    }

    fn add<H>(&mut self, row: &'static Command<H>, runs: impl Fn(&'static Command<H>) -> Runs) {
        let id = self.entries.len();
        let subcommands = id + 1..id + 1 + row.subcommands.len();
        self.entries.push(Entry {
            spec: &row.spec,
            runs: runs(row),
            id,
            subcommands,
        });
        for sub in row.subcommands {
            let id = self.entries.len();
            self.entries.push(Entry {
                spec: &sub.spec,
                runs: runs(sub),
                id,
                subcommands: id..id,
            });
        }
    }

    fn index(&mut self) {
        self.slots = vec![None; (self.entries.len() * 4).next_power_of_two()];
        for id in 0..self.entries.len() {
            let name = self.entries[id].spec.name;
            if name.contains('|') {
                continue;
            }
            assert!(
                self.by_name(name.as_bytes()).is_none(),
                "two commands are named {name}"
            );
            let mut at = self.slot(name.as_bytes());
            while self.slots[at].is_some() {
                at = self.next(at);
            }
            self.slots[at] = Some(id as u32);
        }
    }

    fn slot(&self, name: &[u8]) -> usize {
        // FNV-1a over the lower-case name: names come from a fixed set, nobody can provoke collisions.
        let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
        });
        (hash ^ (hash >> 32)) as usize & (self.slots.len() - 1)
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    /// The command of this name.
    pub fn by_name(&self, name: &[u8]) -> Option<&Entry> {
        if name.len() > MAX_NAME_LEN {
            return None;
        }
        let mut at = self.slot(name);
        while let Some(id) = self.slots[at] {
            let entry = &self.entries[id as usize];
            if entry.spec.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(entry);
            }
            at = self.next(at);
        }
        None
    }

    /// The command or `container|subcommand` of this full name.
    pub fn by_full_name(&self, name: &[u8]) -> Option<&Entry> {
        match name.iter().position(|byte| *byte == b'|') {
            None => self.by_name(name),
            Some(bar) => self.subcommand(self.by_name(&name[..bar])?, &name[bar + 1..]),
        }
    }

    /// The subcommand of `container` of this name.
    pub fn subcommand(&self, container: &Entry, name: &[u8]) -> Option<&Entry> {
        self.subcommands(container)
            .find(|sub| sub.spec.last_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The subcommands of a container; none for a plain command.
    pub fn subcommands(&self, container: &Entry) -> impl Iterator<Item = &Entry> {
        self.entries[container.subcommands.clone()].iter()
    }

    /// What these arguments ask for.
    pub fn find(&self, args: &[&[u8]]) -> Found<'_> {
        let Some(entry) = args.first().and_then(|name| self.by_name(name)) else {
            return Found::Unknown;
        };
        match args.get(1) {
            Some(name) if !entry.subcommands.is_empty() => match self.subcommand(entry, name) {
                Some(sub) => Found::Command(sub, 2),
                None => Found::UnknownSubcommand(entry),
            },
            _ => Found::Command(entry, 1),
        }
    }

    /// Every command and subcommand.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Commands without subcommands.
    pub fn commands(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| !entry.spec.name.contains('|'))
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Registry};

    #[test]
    fn finds_commands_and_subcommands() {
        let registry = Registry::new(&crate::session::FAMILIES, &[]);
        assert!(
            matches!(registry.find(&[b"gEt", b"k"]), Found::Command(entry, 1) if entry.spec.name == "get")
        );
        assert!(
            matches!(registry.find(&[b"PING"]), Found::Command(entry, 1) if entry.spec.name == "ping")
        );
        assert!(matches!(registry.find(&[b"nosuch"]), Found::Unknown));
        assert!(matches!(registry.find(&[]), Found::Unknown));
        for entry in registry.entries() {
            let found = registry
                .by_full_name(entry.spec.name.as_bytes())
                .expect("every entry is found");
            assert_eq!(found.id, entry.id, "{}", entry.spec.name);
        }
    }
}
