//! The state machine of the Raft core: executes the commands of committed entries on the Region's memory.
//!
//! Deterministic: everything that an execution may know of the moment and of chance is in the entry's header. An error of
//! this module is fatal, because a replica that cannot execute an entry must not skip it; an error of a command is its
//! reply, the same on every replica.

pub mod batch;
pub mod clearing;

mod outstanding;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use prost::Message;
use resp::{Protocol, Writer};
use smallvec::SmallVec;
use storage::dataset::{Ahead, Dataset, Taken, Txn, View, WARM_KEYS};
use storage::ids::{DB_COUNT, DbIndex, LogIndex, Term};
use storage::proto::command::{ExpiredKey, RaftCmdRequest, RaftCmdResponse, Request};
use storage::types::Limits;

use crate::commands::args::Args;
use crate::commands::context::{ReadContext, WriteContext};
use crate::commands::error::CommandError;
use crate::commands::points;
use crate::commands::spec::{DataCommand, DataHandler};

pub use outstanding::{Claim, Outstanding, Verdict};
pub use table::{Lookup, Table, data_commands};

/// Commands from which on it is worth it to touch their keys together first.
const WARM_FROM: usize = 4;

/// Executes entries on a Region's memory. Clones share it.
#[derive(Clone)]
pub struct Machine {
    dataset: Arc<RwLock<Dataset>>,
    /// Keys may be only on disk. As of the last slice of upkeep.
    cold: Arc<AtomicBool>,
    outstanding: Arc<Outstanding>,
}

impl Machine {
    /// A machine over the Region's memory.
    pub fn new(dataset: Arc<RwLock<Dataset>>) -> Self {
        Self {
            dataset,
            cold: Arc::new(AtomicBool::new(true)),
            outstanding: Arc::default(),
        }
    }

    /// The same, which recognises what its Store has forwarded.
    pub fn recognising(self, outstanding: Outstanding) -> Self {
        Self {
            outstanding: Arc::new(outstanding),
            ..self
        }
    }

    /// What this Store has forwarded and waits for.
    pub fn outstanding(&self) -> &Arc<Outstanding> {
        &self.outstanding
    }

    /// The Region's memory: readers share the lock, only the apply worker writes.
    pub fn dataset(&self) -> &Arc<RwLock<Dataset>> {
        &self.dataset
    }

    /// Whether keys may be only on disk. Takes no lock: writers hold the Region's for a whole entry.
    pub fn may_be_cold(&self) -> bool {
        self.cold.load(Ordering::Relaxed)
    }

    /// For who holds the lock and has dropped objects or loaded some.
    pub fn note_cold(&self, dataset: &Dataset) {
        self.cold.store(dataset.has_cold_keys(), Ordering::Relaxed);
    }

    /// Executes the entry at `index`. With `answer`, returns one response for each of its requests; a replica that nobody
    /// waits at leaves out what only answers.
    pub fn apply(
        &self,
        dataset: &mut Dataset,
        index: LogIndex,
        term: Term,
        data: &Bytes,
        answer: bool,
    ) -> storage::Result<Vec<RaftCmdResponse>> {
        let mut responses = Vec::new();
        let mut keep = |response| responses.push(response);
        let answer = answer.then_some(&mut keep as &mut dyn FnMut(_));
        self.apply_answering(dataset, index, term, data, answer)?;
        Ok(responses)
    }

    /// The same; `answer` is given the responses in the order of the requests, as a rule before all of them are executed.
    pub fn apply_answering<'a>(
        &'a self,
        dataset: &mut Dataset,
        index: LogIndex,
        term: Term,
        data: &Bytes,
        answer: Option<&'a mut (dyn FnMut(RaftCmdResponse) + 'a)>,
    ) -> storage::Result<()> {
        self.outstanding.enter(term);
        if data.is_empty() {
            // The entry that opens a term.
            let now_ms = dataset.now_ms();
            dataset.begin(index, term, now_ms, 0);
            return Ok(());
        }
        let mut entry = RaftCmdRequest {
            requests: Vec::with_capacity(MOST_ROOM.min(data.len() / REQUEST_BYTES)),
            ..RaftCmdRequest::default()
        };
        entry
            .merge(data.clone())
            .map_err(|error| storage::Error::corrupt("Raft entry", error.to_string()))?;
        let header = entry.header.unwrap_or_default();
        let mut txn = dataset.begin(index, term, header.now_ms, header.seed);
        txn.set_limits(header.limits.map(Into::into).unwrap_or_default());
        let met = entry.requests.iter().map(|request| &request.expired);
        for expired in met.chain(entry.delete_expired.as_ref().map(|expired| &expired.keys)) {
            delete_expired(&mut txn, expired)?;
        }
        for evicted in entry.requests.iter().flat_map(|request| &request.evicted) {
            txn.select(database(evicted.db)?);
            txn.evict(&evicted.key)?;
        }
        let recognised = self.outstanding.recognise(&entry.requests);
        Execution {
            txn,
            makes_replies: answer.is_some() || !recognised.is_empty(),
            replies: BytesMut::new(),
            executed: 0,
            answers: Answers {
                answer,
                outstanding: &self.outstanding,
                recognised,
                waiting: Vec::new(),
                done: 0,
            },
        }
        .run(&entry.requests)?;
        if let Some(check) = entry.state_check {
            dataset.judge(LogIndex(check.agreed_index), check.agreed_digest)?;
            dataset.check(u16::try_from(check.from_slot).unwrap_or(0))?;
        }
        Ok(())
    }
}

/// Bytes of a small request in an entry.
const REQUEST_BYTES: usize = 48;

/// Requests of an entry for which room is made before they are counted.
const MOST_ROOM: usize = 64;

/// Commands of an entry that are executed before the answers to them leave: those who wait get theirs while the rest is
/// executed, and a thread is not woken for every one.
const COMMANDS_PER_ANSWER: usize = 128;

/// A command of an entry: which request it belongs to, and its arguments.
type Decoded<'a> = (usize, batch::Arguments<'a>);

/// The requests of one entry, being executed.
struct Execution<'d, 'a> {
    txn: Txn<'d>,
    makes_replies: bool,
    /// Of the present request.
    replies: BytesMut,
    /// Commands since answers left.
    executed: usize,
    answers: Answers<'a>,
}

/// The responses to the requests of an entry, on their way to those who wait.
struct Answers<'a> {
    answer: Option<&'a mut (dyn FnMut(RaftCmdResponse) + 'a)>,
    outstanding: &'a Outstanding,
    recognised: outstanding::Recognised,
    /// Not given to `answer` yet.
    waiting: Vec<RaftCmdResponse>,
    /// Requests that have been executed.
    done: usize,
}

impl Answers<'_> {
    fn push(&mut self, response: RaftCmdResponse) {
        self.outstanding
            .deliver(&self.recognised, self.done, &response);
        self.done += 1;
        if self.answer.is_some() {
            self.waiting.push(response);
        }
    }

    fn leave(&mut self) {
        if let Some(answer) = &mut self.answer {
            self.waiting.drain(..).for_each(answer);
        }
    }
}

impl Execution<'_, '_> {
    /// Executes all commands in order, a window at a time: what a window will look at is fetched into the processor's caches
    /// together.
    fn run(mut self, requests: &[Request]) -> storage::Result<()> {
        let mut window: SmallVec<[Decoded<'_>; WARM_KEYS]> = SmallVec::new();
        let mut current = 0;
        for (number, request) in requests.iter().enumerate() {
            for args in batch::iter(&request.commands) {
                window.push((number, args?));
                if window.len() == WARM_KEYS {
                    self.execute(requests, &mut window, &mut current)?;
                }
            }
        }
        self.execute(requests, &mut window, &mut current)?;
        for request in &requests[current.min(requests.len())..] {
            self.respond(request);
        }
        self.answers.leave();
        Ok(())
    }

    fn execute(
        &mut self,
        requests: &[Request],
        window: &mut SmallVec<[Decoded<'_>; WARM_KEYS]>,
        current: &mut usize,
    ) -> storage::Result<()> {
        if window.len() >= WARM_FROM {
            // The first argument is nearly always the key; touching another changes nothing.
            self.txn.select(database(requests[window[0].0].db)?);
            self.txn
                .warm_commands(window.iter().filter_map(|(_, args)| ahead(args)));
            if let Some((key, taken)) = taken_by(window) {
                self.txn.warm_taken(key, taken, window.len());
            }
        }
        self.executed += window.len();
        for (number, args) in window.drain(..) {
            while *current < number {
                self.respond(&requests[*current]);
                *current += 1;
            }
            self.command(&requests[number], &args)?;
        }
        if self.executed >= COMMANDS_PER_ANSWER {
            self.executed = 0;
            self.answers.leave();
        }
        Ok(())
    }

    /// The request is executed: its replies go to whoever waits.
    fn respond(&mut self, request: &Request) {
        if self.makes_replies {
            let replies = self.replies.split().freeze();
            self.answers.push(RaftCmdResponse {
                replies,
                db: request.db,
                ..RaftCmdResponse::default()
            });
        } else {
            self.replies.clear();
        }
    }

    fn command(&mut self, request: &Request, args: &[&[u8]]) -> storage::Result<()> {
        self.txn.select(database(request.db)?);
        self.txn.set_touching(!request.no_touch);
        let Lookup::Found { command, args_from } = data_commands().find(args) else {
            let name =
                String::from_utf8_lossy(args.first().copied().unwrap_or_default()).into_owned();
            return Err(storage::Error::corrupt(
                "batch of commands",
                format!("{name} is not a data command"),
            ));
        };
        let limits = self.txn.limits();
        let points = (!self.txn.is_complete()).then(|| points::of(command.spec.name, args, limits));
        match points.flatten() {
            Some(points) => self.txn.focus(points),
            None => self.txn.unfocus(),
        }
        let mut out = Writer::new(&mut self.replies, protocol(request.protocol));
        let mark = out.mark();
        let mut cursor = if args_from == 2 {
            Args::of_subcommand(args)
        } else {
            Args::new(args)
        };
        let result = match command.handler.of(args) {
            DataHandler::Read(handler) => {
                // Drawn by all replicas, or the writes that follow would draw different numbers.
                let seed = self.txn.random();
                if self.makes_replies {
                    handler(
                        &ReadContext::new(self.txn.view(), seed),
                        &mut cursor,
                        &mut out,
                    )
                } else {
                    Ok(())
                }
            }
            DataHandler::Write(handler) => {
                let result = handler(
                    &mut WriteContext { txn: &mut self.txn },
                    &mut cursor,
                    &mut out,
                );
                if result.is_ok() {
                    self.txn.note_reply(out.since(mark));
                }
                result
            }
            DataHandler::Either { .. } | DataHandler::Container => Err(CommandError::SYNTAX),
        };
        if let Err(error) = result {
            out.truncate(mark);
            write_error(error, &mut out)?;
        }
        Ok(())
    }
}

/// The key of a collection from which each of these commands takes an element, and which: where they look is known before they are
/// executed.
fn taken_by<'a>(window: &[Decoded<'a>]) -> Option<(&'a [u8], Taken)> {
    let (_, first) = window.first()?;
    let [name, key] = first[..] else {
        return None;
    };
    let taken = [
        (&b"spop"[..], Taken::Drawn),
        (b"zpopmin", Taken::First),
        (b"zpopmax", Taken::Last),
    ];
    let (_, taken) = taken
        .into_iter()
        .find(|(of, _)| of.eq_ignore_ascii_case(name))?;
    let is_same = |args: &[&[u8]]| matches!(*args, [other, of] if of == key && other.eq_ignore_ascii_case(name));
    let all = window.iter().all(|(_, args)| is_same(args));
    all.then_some((key, taken))
}

/// What a command of these arguments is about to look at.
pub fn ahead<'a>(args: &'a [&'a [u8]]) -> Option<Ahead<'a>> {
    let (key, args) = args.get(1..)?.split_first()?;
    Some((key, args))
}

/// A view that knows what the command at work looks at, which draws by the numbers that begin with `seed`.
pub fn focused<'a>(
    mut view: View<'a>,
    command: &DataCommand,
    args: &[&[u8]],
    seed: u64,
) -> View<'a> {
    if !view.is_complete()
        && let Some(points) = points::of(command.spec.name, args, &Limits::default())
    {
        view.focus(points, seed);
    }
    view
}

/// Runs a command that only reads, on a connection's thread under the shared lock.
pub fn run_read(
    command: &DataCommand,
    context: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> storage::Result<()> {
    let mark = out.mark();
    let result = match command.handler.of(args.all()) {
        DataHandler::Read(handler) => handler(context, args, out),
        _ => Err(CommandError::SYNTAX),
    };
    result.or_else(|error| {
        out.truncate(mark);
        write_error(error, out)
    })
}

fn write_error(error: CommandError, out: &mut Writer<'_>) -> storage::Result<()> {
    match error {
        CommandError::Reply(text) => {
            out.error_bytes(&text);
            Ok(())
        }
        CommandError::Storage(error) => Err(error),
    }
}

/// Removes keys whose time has come, unless they were given another time or removed since this was proposed.
fn delete_expired(txn: &mut Txn<'_>, expired: &[ExpiredKey]) -> storage::Result<()> {
    for key in expired {
        txn.select(database(key.db)?);
        if key.fields {
            txn.remove_expired_fields(&key.key)?;
        } else {
            txn.remove_expired(&key.key, key.expire_at_ms)?;
        }
    }
    Ok(())
}

fn database(db: u32) -> storage::Result<DbIndex> {
    let known = u8::try_from(db)
        .ok()
        .filter(|db| *db < DB_COUNT)
        .map(DbIndex);
    known.ok_or_else(|| {
        storage::Error::corrupt("Raft entry", format!("database {db} does not exist"))
    })
}

/// The protocol by its number.
pub fn protocol(number: u32) -> Protocol {
    if number == 3 {
        Protocol::Resp3
    } else {
        Protocol::Resp2
    }
}
