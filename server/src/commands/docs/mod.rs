//! What COMMAND DOCS and COMMAND INFO tell of a command beyond its row: one table for each group, in order of name.
//!
//! Kept apart from the rows because it is only ever read for people and client libraries, and would bury the rows. A
//! command that has no documentation is still listed, with what its row tells.
//!
//! Names, types, tokens, key specifications, tips and categories are those of Redis 7.2, on which clients rely.

mod argument;
mod bitmap;
mod cluster;
mod connection;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod keyspace;
mod list;
mod raft;
mod reply;
mod server;
mod set;
mod sort;
mod stream;
mod string;
mod zset;

pub use argument::{Argument, ArgumentKind};
pub use reply::{categories, write_docs, write_info};

/// Documentation of a command.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// As [`super::spec::Spec::name`].
    pub name: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// How its time grows.
    pub complexity: Option<&'static str>,
    /// Since when it should not be used any more, and what to use instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// True for commands that are not meant for applications.
    pub system: bool,
    /// ACL categories that do not follow from its flags.
    pub categories: &'static [&'static str],
    /// Hints for clients and proxies.
    pub tips: &'static [&'static str],
    /// Where its keys are and what is done with them.
    pub keys: &'static [KeySpec],
    /// Its arguments, in order.
    pub arguments: &'static [Argument],
}

/// Where keys are, and what is done with them: from an index on, a range.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Position of the first key.
    pub index: i32,
    /// Position of the last key, counted from the first; negative: from the end of the arguments.
    pub last: i32,
    /// Distance between keys.
    pub step: i32,
    /// `RO`, `RW`, `OW` or `RM`, then `access`, `update`, `insert`, `delete`, `variable_flags`.
    pub flags: &'static [&'static str],
    /// An explanation of the flags.
    pub notes: Option<&'static str>,
    /// True if there are as many keys behind `index` as the argument there tells.
    pub counted: bool,
    /// True if the keys cannot be told from positions; the numbers mean nothing then.
    pub unknown: bool,
    /// The key is behind this word, which is looked for from `index` on; with a `last` of -1, the first half of what is there.
    pub keyword: Option<&'static str>,
}

impl Doc {
    const fn new(name: &'static str, since: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            since,
            summary,
            complexity: None,
            deprecated: None,
            system: false,
            categories: &[],
            tips: &[],
            keys: &[],
            arguments: &[],
        }
    }

    const fn complexity(mut self, complexity: &'static str) -> Self {
        self.complexity = Some(complexity);
        self
    }

    const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Self {
        self.deprecated = Some((since, replaced_by));
        self
    }

    const fn system(mut self) -> Self {
        self.system = true;
        self
    }

    const fn categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    const fn arguments(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }
}

impl KeySpec {
    const fn new(index: i32, last: i32, step: i32, flags: &'static [&'static str]) -> Self {
        Self {
            index,
            last,
            step,
            flags,
            notes: None,
            counted: false,
            unknown: false,
            keyword: None,
        }
    }

    /// The key behind a word among the arguments from `from` on.
    const fn behind(keyword: &'static str, from: i32, flags: &'static [&'static str]) -> Self {
        Self {
            keyword: Some(keyword),
            ..Self::new(from, 0, 1, flags)
        }
    }

    /// The first half of what follows a word.
    const fn half_behind(keyword: &'static str, from: i32, flags: &'static [&'static str]) -> Self {
        Self {
            keyword: Some(keyword),
            ..Self::new(from, -1, 1, flags)
        }
    }

    /// True of the first half of what follows a word.
    pub fn is_half(&self) -> bool {
        self.keyword.is_some() && self.last < 0
    }

    /// Somewhere, for the reason given.
    const fn unknown(notes: &'static str, flags: &'static [&'static str]) -> Self {
        Self {
            unknown: true,
            ..Self::new(0, 0, 1, flags).notes(notes)
        }
    }

    /// As many keys as the argument at `index` tells, behind it.
    const fn counted(index: i32, flags: &'static [&'static str]) -> Self {
        Self {
            counted: true,
            ..Self::new(index, 0, 1, flags)
        }
    }

    const fn notes(mut self, notes: &'static str) -> Self {
        self.notes = Some(notes);
        self
    }
}

static TABLES: &[&[Doc]] = &[
    bitmap::DOCS,
    hyperloglog::DOCS,
    hash::DOCS,
    list::DOCS,
    stream::DOCS,
    set::DOCS,
    zset::DOCS,
    geo::DOCS,
    string::DOCS,
    generic::DOCS,
    keyspace::DOCS,
    sort::DOCS,
    connection::DOCS,
    cluster::DOCS,
    server::DOCS,
    raft::DOCS,
];

/// Every documentation.
pub fn all() -> impl Iterator<Item = &'static Doc> {
    TABLES.iter().copied().flatten()
}

/// The documentation of the command of this name (lower case, `container|subcommand` for subcommands).
pub fn of(name: &str) -> Option<&'static Doc> {
    TABLES.iter().find_map(|table| {
        table
            .binary_search_by_key(&name, |doc| doc.name)
            .ok()
            .map(|at| &table[at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::FAMILIES;
    use crate::commands::spec::DataCommand;

    fn documented() -> impl Iterator<Item = &'static DataCommand> {
        let rows = FAMILIES.iter().copied().flatten();
        rows.flat_map(|row| std::iter::once(row).chain(row.subcommands))
    }

    #[test]
    fn tables_are_sorted_and_names_unique() {
        for table in TABLES {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
        for doc in all() {
            assert!(
                std::ptr::eq(of(doc.name).expect("found by name"), doc),
                "{} is there twice",
                doc.name
            );
            assert!(
                doc.summary.ends_with('.') && doc.since.split('.').count() == 3,
                "{}",
                doc.name
            );
        }
        assert!(of("nosuchcommand").is_none());
    }

    #[test]
    fn every_data_command_is_documented() {
        for row in documented() {
            assert!(
                of(row.spec.name).is_some(),
                "{} is not documented",
                row.spec.name
            );
        }
    }

    /// Each line: what Redis 7.2 tells of a command.
    #[test]
    fn rows_tell_what_redis_tells() {
        let join = |words: Vec<&str>| words.join(" ");
        for row in documented() {
            let spec = &row.spec;
            let ours = format!(
                "{} {} {} [{}] {} {} {} [{}]",
                spec.name,
                spec.arity,
                spec.group.name(),
                join(spec.flags.names().collect()),
                spec.keys.first,
                spec.keys.last,
                spec.keys.step,
                join(categories(spec).collect()),
            );
            assert!(
                include_str!("facts.txt").lines().any(|line| line == ours),
                "{ours}"
            );
        }
    }

    /// The arguments allow the number that the arity asks for, and no fixed arity contradicts them.
    #[test]
    fn arguments_agree_with_arity() {
        for row in documented().filter(|row| row.subcommands.is_empty()) {
            let doc = of(row.spec.name).expect("documented");
            let name_words = row.spec.name.split('|').count();
            let least = name_words + doc.arguments.iter().map(Argument::least).sum::<usize>();
            assert_eq!(
                row.spec.arity.unsigned_abs() as usize,
                least,
                "{}",
                row.spec.name
            );
            let fixed = doc.arguments.iter().all(Argument::is_fixed);
            assert_eq!(row.spec.arity > 0, fixed, "{}", row.spec.name);
        }
    }

    /// The positions of COMMAND INFO are what the key specifications span.
    #[test]
    fn key_specifications_agree_with_positions() {
        for row in documented() {
            let doc = of(row.spec.name).expect("documented");
            let keys = row.spec.keys;
            let counted = doc.keys.iter().find(|spec| spec.counted);
            assert_eq!(
                keys.counted,
                counted.map_or(0, |spec| spec.index),
                "{}",
                row.spec.name
            );
            let ranges = || {
                doc.keys
                    .iter()
                    .filter(|spec| !spec.counted && !spec.unknown && spec.keyword.is_none())
            };
            let (Some(first), Some(last)) = (ranges().next(), ranges().next_back()) else {
                assert_eq!(keys.first, 0, "{}", row.spec.name);
                continue;
            };
            let last_position = if last.last < 0 {
                last.last
            } else {
                last.index + last.last
            };
            assert_eq!(
                (keys.first, keys.last),
                (first.index, last_position),
                "{}",
                row.spec.name
            );
            assert_eq!(keys.step, first.step, "{}", row.spec.name);
            for argument in doc.arguments.iter().flat_map(Argument::with_nested) {
                if let Some(spec) = argument.key_spec() {
                    assert!(spec < doc.keys.len(), "{}", row.spec.name);
                }
            }
        }
    }
}
