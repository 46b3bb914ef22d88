//! What is known of a command besides what it does: one row of a family's table.

use resp::Writer;

use super::args::Args;
use super::context::{ReadContext, WriteContext};
use super::error::{CommandError, CommandResult};
use super::number::parse_i64;
use super::unchanged::Probe;

/// Properties of a command, as COMMAND INFO shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    bits: u32,
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Self = Self { bits: 1 << $bit };)*

            /// The names of those that are set, in Redis's order.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                let all: &'static [(Flags, &'static str)] = &[$((Self::$name, $text)),*];
                all.iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| *name)
            }
        }
    };
}

flags! {
    /// May change keys.
    WRITE = 0, "write";
    /// Changes nothing.
    READONLY = 1, "readonly";
    /// May need more memory: refused when there is none.
    DENYOOM = 2, "denyoom";
    /// For operators.
    ADMIN = 3, "admin";
    /// Publish and subscribe.
    PUBSUB = 4, "pubsub";
    /// Not allowed in scripts.
    NOSCRIPT = 5, "noscript";
    /// May block.
    BLOCKING = 6, "blocking";
    /// Allowed while the data set is loading.
    LOADING = 7, "loading";
    /// Allowed on a stale replica.
    STALE = 8, "stale";
    /// Not in MONITOR.
    SKIP_MONITOR = 9, "skip_monitor";
    /// Not in the slow log.
    SKIP_SLOWLOG = 10, "skip_slowlog";
    /// Constant or logarithmic time.
    FAST = 11, "fast";
    /// Allowed before authentication.
    NO_AUTH = 12, "no_auth";
    /// Not allowed in MULTI.
    NO_MULTI = 13, "no_multi";
    /// Its keys are found by looking at its arguments.
    MOVABLEKEYS = 14, "movablekeys";
    /// Allowed while a script has been running for too long.
    ALLOW_BUSY = 15, "allow_busy";
    /// Not while the data set is loading, even where others are served meanwhile.
    NO_ASYNC_LOADING = 16, "no_async_loading";
}

impl Flags {
    /// None.
    pub const NONE: Self = Self { bits: 0 };

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
        }
    }

    /// True if all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.bits & other.bits == other.bits
    }
}

/// Where a command's keys are: first, last (negative: from the end) and step, as COMMAND INFO shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Position of the first key; 0: no keys.
    pub first: i32,
    /// Position of the last key; -1 is the last argument.
    pub last: i32,
    /// Distance between keys.
    pub step: i32,
    /// Position of an argument that tells how many keys follow it, besides those of the range; 0: none. COMMAND INFO does
    /// not show it: such a command is [`Flags::MOVABLEKEYS`].
    pub counted: i32,
    /// Words that another key may follow, besides; COMMAND INFO does not show them either.
    pub words: Option<&'static Words>,
    /// Position from which on the word STREAMS is looked for; the first half of what follows it are keys. 0: none.
    pub streams: usize,
}

/// Words among a command's options that a key follows. If there are several, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// Position of the first option.
    pub from: usize,
    /// The words before a key.
    pub before_key: &'static [&'static str],
    /// Other words, and how many arguments, which mean nothing here, follow them.
    pub before_others: &'static [(&'static str, usize)],
}

impl Words {
    fn position(&self, args: &[&[u8]]) -> Option<usize> {
        let (mut at, mut found) = (self.from, None);
        while let Some(arg) = args.get(at) {
            let is = |word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
            if self.before_key.iter().any(|word| is(word)) && at + 1 < args.len() {
                at += 1;
                found = Some(at);
            } else if let Some((_, count)) = self.before_others.iter().find(|(word, _)| is(word)) {
                at += count;
            }
            at += 1;
        }
        found
    }
}

impl Keys {
    /// No keys.
    pub const NONE: Self = Self {
        first: 0,
        last: 0,
        step: 0,
        counted: 0,
        words: None,
        streams: 0,
    };
    /// The first argument.
    pub const FIRST: Self = Self {
        first: 1,
        last: 1,
        step: 1,
        counted: 0,
        words: None,
        streams: 0,
    };
    /// Every argument from the second on.
    pub const FROM_SECOND: Self = Self {
        first: 2,
        last: -1,
        step: 1,
        counted: 0,
        words: None,
        streams: 0,
    };
    /// The first argument of a subcommand.
    pub const SECOND: Self = Self {
        first: 2,
        last: 2,
        step: 1,
        counted: 0,
        words: None,
        streams: 0,
    };
    /// The first two arguments.
    pub const TWO: Self = Self {
        first: 1,
        last: 2,
        step: 1,
        counted: 0,
        words: None,
        streams: 0,
    };
    /// Every argument.
    pub const ALL: Self = Self {
        first: 1,
        last: -1,
        step: 1,
        counted: 0,
        words: None,
        streams: 0,
    };
    /// Every other argument, beginning with the first.
    pub const PAIRS: Self = Self {
        first: 1,
        last: -1,
        step: 2,
        counted: 0,
        words: None,
        streams: 0,
    };

    /// As many keys as the argument at this position tells, right behind it.
    pub const fn counted_at(position: i32) -> Self {
        Self::NONE.and_counted_at(position)
    }

    /// Besides, as many keys as the argument at this position tells, right behind it.
    pub const fn and_counted_at(mut self, position: i32) -> Self {
        self.counted = position;
        self
    }

    /// The first half of the arguments behind the word STREAMS, which stands at this position or behind it.
    pub const fn streams_from(position: usize) -> Self {
        Self {
            streams: position,
            ..Self::NONE
        }
    }

    /// Besides, the key behind one of these words.
    pub const fn and_behind(mut self, words: &'static Words) -> Self {
        self.words = Some(words);
        self
    }

    /// True without any keys.
    pub const fn is_none(self) -> bool {
        self.first == 0 && self.counted == 0 && self.streams == 0
    }

    /// The positions of the keys among `args`, the name first. None at all when the argument that counts them is wrong.
    pub fn positions(self, args: &[&[u8]]) -> impl Iterator<Item = usize> {
        let argc = args.len() as i64;
        let counted = match usize::try_from(self.counted) {
            Ok(at) if at > 0 => self.counted_range(args, at),
            _ => Some(0..0),
        };
        let last = if self.last < 0 {
            argc + i64::from(self.last)
        } else {
            i64::from(self.last)
        };
        let last = if self.first == 0 || counted.is_none() {
            -1
        } else {
            last.min(argc - 1)
        };
        (i64::from(self.first)..=last)
            .step_by(self.step.max(1) as usize)
            .map(|position| position as usize)
            .chain(counted.into_iter().flatten())
            .chain(self.words.and_then(|words| words.position(args)))
            .chain(self.streams_range(args))
    }

    /// See [`Self::streams_from`]. A word before STREAMS may take arguments that are none of its own.
    fn streams_range(self, args: &[&[u8]]) -> std::ops::Range<usize> {
        let mut at = self.streams;
        while at > 0
            && let Some(arg) = args.get(at)
        {
            let is = |word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
            if is("STREAMS") {
                let first = at + 1;
                let keys = (args.len() - first) / 2;
                return first..first + keys;
            }
            at += 1 + usize::from(is("BLOCK") || is("COUNT")) + 2 * usize::from(is("GROUP"));
        }
        0..0
    }

    fn counted_range(self, args: &[&[u8]], at: usize) -> Option<std::ops::Range<usize>> {
        let count = usize::try_from(parse_i64(args.get(at)?)?).ok()?;
        let first = at + 1;
        (count > 0 && count <= args.len() - first).then_some(first..first + count)
    }
}

/// The groups of Redis's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Strings.
    String,
    /// Hashes.
    Hash,
    /// Lists.
    List,
    /// Streams.
    Stream,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Sorted sets of places.
    Geo,
    /// Strings, bit by bit.
    Bitmap,
    /// Estimates of how many different elements were seen.
    HyperLogLog,
    /// Keys of any type.
    Generic,
    /// The connection.
    Connection,
    /// The server.
    Server,
    /// The cluster.
    Cluster,
}

impl Group {
    /// As COMMAND DOCS prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Hash => "hash",
            Self::List => "list",
            Self::Stream => "stream",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Geo => "geo",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
            Self::Generic => "generic",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Cluster => "cluster",
        }
    }
}

/// A command without its handler.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Lower case; for a subcommand `container|subcommand`.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least so many.
    pub arity: i32,
    /// Properties.
    pub flags: Flags,
    /// Positions of keys.
    pub keys: Keys,
    /// Group in the documentation.
    pub group: Group,
}

impl Spec {
    /// True if a request of `argc` arguments, the name included, has a right number.
    pub fn accepts(&self, argc: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 {
            argc == arity
        } else {
            argc >= arity
        }
    }

    /// The keys among `args`, the name first: COMMAND GETKEYS.
    pub fn getkeys<'a>(&self, args: &[&'a [u8]]) -> CommandResult<Vec<&'a [u8]>> {
        if self.keys.is_none() {
            return Err(CommandError::reply("ERR The command has no key arguments"));
        }
        if !self.accepts(args.len()) {
            return Err(CommandError::reply(
                "ERR Invalid number of arguments specified for command",
            ));
        }
        Ok(self
            .keys
            .positions(args)
            .filter_map(|position| args.get(position).copied())
            .collect())
    }

    /// The part of the name after `|`, or the whole.
    pub fn last_name(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }
}

/// A row of a family's table: a command and what runs it. `H` is the kind of handler, which says what it may touch.
#[derive(Clone, Copy, Debug)]
pub struct Command<H: 'static> {
    /// What is known of it.
    pub spec: Spec,
    /// What runs it.
    pub handler: H,
    /// For a container such as OBJECT: its subcommands; the handler is not called.
    pub subcommands: &'static [Command<H>],
    /// Of a write: tells whether it would change anything.
    pub probe: Option<Probe>,
}

impl<H: Copy> Command<H> {
    /// A row.
    pub const fn new(name: &'static str, arity: i32, group: Group, handler: H) -> Self {
        let spec = Spec {
            name,
            arity,
            flags: Flags::NONE,
            keys: Keys::NONE,
            group,
        };
        Self {
            spec,
            handler,
            subcommands: &[],
            probe: None,
        }
    }

    /// Adds flags.
    pub const fn flags(mut self, flags: Flags) -> Self {
        self.spec.flags = self.spec.flags.with(flags);
        self
    }

    /// Names the positions of keys.
    pub const fn keys(mut self, keys: Keys) -> Self {
        self.spec.keys = keys;
        self
    }

    /// Adds [`Flags::FAST`].
    pub const fn fast(self) -> Self {
        self.flags(Flags::FAST)
    }

    /// Adds [`Flags::DENYOOM`].
    pub const fn deny_oom(self) -> Self {
        self.flags(Flags::DENYOOM)
    }

    /// Names the probe that tells whether it would change anything.
    pub const fn probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Makes it a container.
    pub const fn subcommands(mut self, subcommands: &'static [Command<H>]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// The subcommand of this name, whatever its case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Command<H>> {
        self.subcommands
            .iter()
            .find(|sub| sub.spec.last_name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A handler that changes nothing.
pub type ReadFn = fn(&ReadContext<'_>, &mut Args<'_>, &mut Writer<'_>) -> CommandResult;

/// A handler that may change keys.
pub type WriteFn = fn(&mut WriteContext<'_, '_>, &mut Args<'_>, &mut Writer<'_>) -> CommandResult;

/// Handlers of data commands: what may run inside an entry.
#[derive(Clone, Copy, Debug)]
pub enum DataHandler {
    /// Runs under the shared lock.
    Read(ReadFn),
    /// Runs at apply.
    Write(WriteFn),
    /// Runs at apply if its arguments may ask for a change, and under the shared lock otherwise.
    Either {
        /// Whether these arguments, the name first, may ask for a change.
        writes: fn(&[&[u8]]) -> bool,
        /// Runs what changes nothing.
        read: ReadFn,
        /// Runs the rest.
        write: WriteFn,
    },
    /// A container: only its subcommands run.
    Container,
}

impl DataHandler {
    /// What runs a request of these arguments, the name first: never [`Self::Either`].
    #[inline]
    pub fn of(self, args: &[&[u8]]) -> Self {
        match self {
            Self::Either { writes, write, .. } if writes(args) => Self::Write(write),
            Self::Either { read, .. } => Self::Read(read),
            handler => handler,
        }
    }

    /// Whether a request of these arguments may ask for a change.
    #[inline]
    pub fn writes(self, args: &[&[u8]]) -> bool {
        matches!(self.of(args), Self::Write(_))
    }
}

/// A data command.
pub type DataCommand = Command<DataHandler>;

impl DataCommand {
    /// A command that reads.
    pub const fn read(
        name: &'static str,
        arity: i32,
        group: Group,
        keys: Keys,
        handler: ReadFn,
    ) -> Self {
        Self::new(name, arity, group, DataHandler::Read(handler))
            .flags(Flags::READONLY)
            .keys(keys)
    }

    /// A command that touches no key at all.
    pub const fn free(name: &'static str, arity: i32, group: Group, handler: ReadFn) -> Self {
        Self::new(name, arity, group, DataHandler::Read(handler))
    }

    /// A command that may write.
    pub const fn write(
        name: &'static str,
        arity: i32,
        group: Group,
        keys: Keys,
        handler: WriteFn,
    ) -> Self {
        Self::new(name, arity, group, DataHandler::Write(handler))
            .flags(Flags::WRITE)
            .keys(keys)
    }

    /// For a command that writes: what runs it where `writes` finds nothing among its arguments that asks for a change.
    pub const fn or_read(mut self, writes: fn(&[&[u8]]) -> bool, read: ReadFn) -> Self {
        if let DataHandler::Write(write) = self.handler {
            self.handler = DataHandler::Either {
                writes,
                read,
                write,
            };
        }
        self
    }

    /// For a command that reads: what runs it where `writes` finds that its arguments may ask for a change.
    pub const fn or_write(mut self, writes: fn(&[&[u8]]) -> bool, write: WriteFn) -> Self {
        if let DataHandler::Read(read) = self.handler {
            self.handler = DataHandler::Either {
                writes,
                read,
                write,
            };
        }
        self
    }

    /// A container of subcommands.
    pub const fn container(
        name: &'static str,
        group: Group,
        subcommands: &'static [DataCommand],
    ) -> Self {
        Self::new(name, -2, group, DataHandler::Container).subcommands(subcommands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_keys() {
        let args: [&[u8]; 5] = [b"x", b"2", b"a", b"b", b"c"];
        let positions = |keys: Keys, argc| keys.positions(&args[..argc]).collect::<Vec<_>>();
        assert_eq!(positions(Keys::NONE, 3), Vec::<usize>::new());
        assert_eq!(positions(Keys::FIRST, 3), [1]);
        assert_eq!(positions(Keys::TWO, 3), [1, 2]);
        assert_eq!(positions(Keys::ALL, 4), [1, 2, 3]);
        assert_eq!(positions(Keys::PAIRS, 5), [1, 3]);
        assert_eq!(positions(Keys::FIRST, 1), Vec::<usize>::new());
        assert_eq!(positions(Keys::counted_at(1), 4), [2, 3]);
        assert_eq!(positions(Keys::counted_at(1), 3), Vec::<usize>::new());
        assert_eq!(positions(Keys::counted_at(2), 4), Vec::<usize>::new());
        static WORDS: Words = Words {
            from: 1,
            before_key: &["A", "c"],
            before_others: &[("b", 1), ("2", 1)],
        };
        let behind = Keys::FIRST.and_behind(&WORDS);
        assert_eq!(positions(behind, 5), [1]);
        let before = Words {
            before_others: &[],
            ..WORDS
        };
        assert_eq!(before.position(&args), Some(3));
        let both = Keys::FIRST.and_counted_at(1);
        assert_eq!(positions(both, 4), [1, 2, 3]);
        assert_eq!(positions(both, 2), Vec::<usize>::new());
    }

    #[test]
    fn keys_among_arguments() {
        let spec = |keys| Spec {
            name: "x",
            arity: -2,
            flags: Flags::NONE,
            keys,
            group: Group::Generic,
        };
        let args: [&[u8]; 4] = [b"x", b"a", b"b", b"c"];
        assert_eq!(
            spec(Keys::PAIRS).getkeys(&args).expect("keys"),
            [b"a", b"c"]
        );
        let refused = |keys, args| spec(keys).getkeys(args).expect_err("no keys").to_string();
        assert_eq!(
            refused(Keys::NONE, &args),
            "ERR The command has no key arguments"
        );
        assert_eq!(
            refused(Keys::FIRST, &args[..1]),
            "ERR Invalid number of arguments specified for command"
        );
    }

    #[test]
    fn names_of_flags() {
        let flags = Flags::READONLY.with(Flags::FAST);
        assert_eq!(flags.names().collect::<Vec<_>>(), ["readonly", "fast"]);
        assert!(flags.has(Flags::FAST) && !flags.has(Flags::WRITE));
    }
}
