//! Commands by name, whatever its case, without allocation: the table of the data commands is on every hot path.

use std::sync::LazyLock;

use crate::commands::FAMILIES;
use crate::commands::spec::{Command, DataCommand, DataHandler};

/// Longest name of a command; a longer one is unknown.
const MAX_NAME_LEN: usize = 32;

/// A look-up table of commands of one kind of handler.
pub struct Table<H: 'static> {
    /// Open addressing, a power of two of slots, at most half full.
    slots: Vec<Option<&'static Command<H>>>,
}

/// What a look-up found.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<H: 'static> {
    /// The command or subcommand, and the position of its first argument.
    Found {
        /// The row.
        command: &'static Command<H>,
        /// 1, or 2 for a subcommand.
        args_from: usize,
    },
    /// The container has no such subcommand.
    UnknownSubcommand(&'static Command<H>),
    /// No such command.
    Unknown,
}

impl<H: Copy> Table<H> {
    /// A table of these rows. Two of one name are a mistake of the programmer, and panic.
    pub fn new(rows: impl Iterator<Item = &'static Command<H>>) -> Self {
        let rows: Vec<_> = rows.collect();
        let mut table = Self {
            slots: vec![None; (rows.len() * 4).next_power_of_two().max(4)],
        };
        for row in rows {
            let name = row.spec.name.as_bytes();
            assert!(
                table.by_name(name).is_none(),
                "two commands are named {}",
                row.spec.name
            );
            let mut at = hash(name) as usize & table.mask();
            while table.slots[at].is_some() {
                at = (at + 1) & table.mask();
            }
            table.slots[at] = Some(row);
        }
        table
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// The command of this name, whatever its case. Containers are found too.
    pub fn by_name(&self, name: &[u8]) -> Option<&'static Command<H>> {
        if name.len() > MAX_NAME_LEN {
            return None;
        }
        let mut at = hash(name) as usize & self.mask();
        while let Some(row) = self.slots[at] {
            if row.spec.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(row);
            }
            at = (at + 1) & self.mask();
        }
        None
    }

    /// What these arguments ask for.
    pub fn find(&self, args: &[&[u8]]) -> Lookup<H> {
        let Some(command) = args.first().and_then(|name| self.by_name(name)) else {
            return Lookup::Unknown;
        };
        match args.get(1) {
            Some(name) if !command.subcommands.is_empty() => match command.subcommand(name) {
                Some(subcommand) => Lookup::Found {
                    command: subcommand,
                    args_from: 2,
                },
                None => Lookup::UnknownSubcommand(command),
            },
            _ => Lookup::Found {
                command,
                args_from: 1,
            },
        }
    }

    /// Every row, in no particular order.
    pub fn rows(&self) -> impl Iterator<Item = &'static Command<H>> {
        self.slots.iter().flatten().copied()
    }
}

/// FNV-1a over the lower-case name. Names come from a fixed set: nobody can provoke collisions in the table.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// All data commands.
pub fn data_commands() -> &'static Table<DataHandler> {
    static TABLE: LazyLock<Table<DataHandler>> = LazyLock::new(|| {
        Table::new(
            FAMILIES
                .iter()
                .flat_map(|family: &&'static [DataCommand]| family.iter()),
        )
    });
    &TABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_commands_in_any_case() {
        let table = data_commands();
        for name in [&b"GET"[..], b"get", b"GeT"] {
            assert_eq!(table.by_name(name).map(|row| row.spec.name), Some("get"));
        }
        assert!(table.by_name(b"").is_none());
        assert!(table.by_name(b"nosuchcommand").is_none());
        assert!(table.by_name(&[b'x'; 10_000]).is_none());
        assert!(matches!(table.find(&[]), Lookup::Unknown));
    }

    #[test]
    fn every_row_is_in_the_table_and_consistent() {
        for row in FAMILIES.iter().flat_map(|family| family.iter()) {
            let name = row.spec.name;
            assert_eq!(
                data_commands()
                    .by_name(name.as_bytes())
                    .map(|found| found.spec.name),
                Some(name)
            );
            assert_eq!(name, name.to_ascii_lowercase());
            assert_ne!(row.spec.arity, 0, "{name}");
            assert_eq!(
                matches!(row.handler, DataHandler::Container),
                !row.subcommands.is_empty(),
                "{name}"
            );
            for sub in row.subcommands {
                assert!(
                    sub.spec.name.starts_with(&format!("{name}|")),
                    "{}",
                    sub.spec.name
                );
            }
        }
    }
}
