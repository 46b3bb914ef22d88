//! Consecutive data commands of a pipeline, framed to be run or sent as one.

use bytes::{Bytes, BytesMut};
use parking_lot::RwLockReadGuard;
use resp::{Protocol, Writer};
use storage::dataset::{Dataset, Loan};
use storage::ids::DbIndex;
use storage::proto::command::Request;

use super::shared::Shared;
use crate::commands::args::Args;
use crate::commands::brief;
use crate::commands::context::ReadContext;
use crate::commands::spec::{DataCommand, Flags};
use crate::machine::{self, Lookup, batch, data_commands};

/// Bytes of commands beyond which a segment is closed: the next command starts another. One entry, and one exclusive lock,
/// should not take longer than this many bytes need.
pub const MAX_SEGMENT_BYTES: usize = 256 << 10;

/// Commands that run under one acquisition of the shared lock.
pub const READS_PER_LOCK: usize = 32;

/// Commands of one connection in one database, in order.
#[derive(Clone, Debug)]
pub struct Segment {
    /// As it is proposed or forwarded.
    pub request: Request,
    /// How many.
    pub commands: usize,
    /// None of them writes.
    pub reads_only: bool,
}

/// Room that is made for a segment at once, at most: the commands of a pipeline are nearly always alike.
const ROOM_BYTES: usize = 16 << 10;

/// Gathers a segment.
pub struct Builder {
    framed: BytesMut,
    /// That may come.
    expected: usize,
    commands: usize,
    writes: bool,
    takes_long: bool,
}

impl Builder {
    /// For so many commands, or fewer.
    pub fn expecting(commands: usize) -> Self {
        Self {
            framed: BytesMut::new(),
            expected: commands,
            commands: 0,
            writes: false,
            takes_long: false,
        }
    }

    /// Adds a command.
    pub fn push(&mut self, command: &DataCommand, args: &[&[u8]]) {
        if self.commands == 0 {
            let bytes = self.expected * batch::size_bytes(args);
            self.framed.reserve(bytes.min(ROOM_BYTES));
        }
        batch::push(&mut self.framed, args);
        self.commands += 1;
        self.writes |= command.handler.writes(args);
        self.takes_long |= brief::takes_long(&command.spec, args);
    }

    /// Another command of these arguments would make it too large.
    pub fn is_full_for(&self, args: &[&[u8]]) -> bool {
        self.commands > 0 && self.framed.len() + batch::size_bytes(args) > MAX_SEGMENT_BYTES
    }

    /// The segment.
    pub fn finish(self, db: DbIndex, protocol: Protocol, no_touch: bool) -> Segment {
        let protocol = if protocol == Protocol::Resp3 { 3 } else { 2 };
        let request = Request {
            db: db.get().into(),
            protocol,
            commands: self.framed.freeze(),
            no_touch,
            takes_long: self.takes_long,
            ..Request::default()
        };
        Segment {
            request,
            commands: self.commands,
            reads_only: !self.writes,
        }
    }
}

/// Whether no command of a request writes. A request of another Store: anything that is not a data command is refused.
pub fn reads_only(request: &Request) -> Result<bool, String> {
    if !request.expired.is_empty() || !request.evicted.is_empty() {
        return Err("keys are removed by the leader alone".to_owned());
    }
    let mut reads_only = true;
    for args in batch::iter(&request.commands) {
        let args = args.map_err(|error| error.to_string())?;
        match data_commands().find(&args) {
            Lookup::Found { command, .. } => reads_only &= !command.handler.writes(&args),
            _ => {
                return Err(format!(
                    "{} is not a data command",
                    String::from_utf8_lossy(args[0])
                ));
            }
        }
    }
    Ok(reads_only)
}

/// Whether a command of a request may need more memory.
pub fn needs_memory(request: &Request) -> bool {
    batch::iter(&request.commands).any(|args| {
        let Ok(args) = args else { return false };
        matches!(
            data_commands().find(&args),
            Lookup::Found { command, .. } if command.spec.flags.has(Flags::DENYOOM)
        )
    })
}

/// The command whose reply shows keys that have expired and are not removed yet.
pub const COUNTS_KEYS: &[u8] = b"dbsize";

/// Whether a command of the segment counts keys.
pub fn counts_keys(request: &Request) -> bool {
    batch::iter(&request.commands)
        .any(|args| args.is_ok_and(|args| args[0].eq_ignore_ascii_case(COUNTS_KEYS)))
}

/// How a segment of reads deals with large collections that are only on disk.
#[derive(Clone, Copy)]
pub struct Colds<'l> {
    /// [`storage::Error::Cold`] if it needs all of one.
    pub refuse: bool,
    /// What was read for it already.
    pub loans: &'l [Loan],
    /// A read of one key may see that as it was then.
    pub as_of_loans: bool,
}

impl Colds<'_> {
    /// They are refused, and nothing was read.
    pub const REFUSED: Self = Self {
        refuse: true,
        loans: &[],
        as_of_loans: false,
    };
}

/// Whether there is only one command, and it looks at one key only.
pub fn is_of_one_key(request: &Request) -> bool {
    let mut commands = batch::iter(&request.commands);
    let (Some(Ok(args)), None) = (commands.next(), commands.next()) else {
        return false;
    };
    matches!(data_commands().find(&args), Lookup::Found { command, .. } if has_one_key(command, &args))
}

/// Runs a segment of reads on the Region's memory, as it stands.
pub fn run_reads(shared: &Shared, request: &Request, colds: Colds<'_>) -> storage::Result<Bytes> {
    let lock = || Some(shared.machine.dataset().read());
    let replies = run_reads_under(lock, shared, request, colds)?;
    Ok(replies.unwrap_or_default())
}

/// Runs a segment of reads if that takes no longer than a moment: they are brief, what they need is in memory, and nobody
/// changes it now.
pub fn run_brief_reads(shared: &Shared, request: &Request) -> storage::Result<Option<Bytes>> {
    if request.takes_long || shared.machine.may_be_cold() {
        return Ok(None);
    }
    run_reads_under(
        || shared.machine.dataset().try_read(),
        shared,
        request,
        Colds::REFUSED,
    )
}

/// Whether a command looks at one key only. Which ones SORT looks at besides, by its patterns, the elements tell.
pub fn has_one_key(command: &DataCommand, args: &[&[u8]]) -> bool {
    let mut keys = command.spec.keys.positions(args);
    let is_one = keys.next().is_some() && keys.next().is_none();
    is_one && !matches!(command.spec.name, "sort" | "sort_ro")
}

/// None if the lock was not to be had.
fn run_reads_under<'a>(
    lock: impl Fn() -> Option<RwLockReadGuard<'a, Dataset>>,
    shared: &'a Shared,
    request: &Request,
    colds: Colds<'_>,
) -> storage::Result<Option<Bytes>> {
    let mut replies = BytesMut::new();
    let mut commands = batch::iter(&request.commands).peekable();
    let now_ms = shared.router.now_ms();
    let mut met = Vec::new();
    while commands.peek().is_some() {
        let Some(dataset) = lock() else {
            return Ok(None);
        };
        for args in commands.by_ref().take(READS_PER_LOCK) {
            let args = args?;
            let Lookup::Found { command, args_from } = data_commands().find(&args) else {
                return Err(storage::Error::corrupt("segment", "an unknown command"));
            };
            let mut view = dataset.view(DbIndex(request.db as u8), now_ms);
            if request.no_touch {
                view = view.without_touching();
            }
            if colds.refuse {
                view = view.refusing_cold();
            }
            view = view.with_loans(colds.loans, colds.as_of_loans);
            let seed = shared.random();
            let view = machine::focused(view, command, &args, seed);
            let context = ReadContext::new(view, seed);
            let mut cursor = if args_from == 2 {
                Args::of_subcommand(&args)
            } else {
                Args::new(&args)
            };
            let mut out = Writer::new(&mut replies, machine::protocol(request.protocol));
            machine::run_read(command, &context, &mut cursor, &mut out)?;
            met.append(&mut context.view.take_expired());
        }
    }
    shared.lazy_expiry.remove(&shared.router, met);
    Ok(Some(replies.freeze()))
}
