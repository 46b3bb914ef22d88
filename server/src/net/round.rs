//! One round of a connection: the requests of a pipeline, run in order.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use resp::Writer;
use smallvec::SmallVec;
use socket2::SockRef;
use storage::dataset::{ColdKey, WARM_KEYS};
use storage::proto::command::ExpiredKey;

use super::pipeline::Pipeline;
use super::replies;
use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::DataCommand;
use crate::dispatch::registry::{Entry, Runs};
use crate::dispatch::segment::{Builder, COUNTS_KEYS, READS_PER_LOCK};
use crate::dispatch::stats::Tally;
use crate::dispatch::{
    AdminCall, AdminCommand, SessionCommand, Shared, gates, outcome, preload, routing,
};
use crate::machine;
use crate::session::{ReplyMode, Session};

/// Replies beyond this are sent before the round goes on, so that a slow reader is waited for instead of filling memory.
pub(super) const FLUSH_BYTES: usize = 256 << 10;

/// Reads from which on it is worth it to touch their keys together first.
const WARM_FROM: usize = 4;

/// How often a connection that waits in an admin command looks whether its client is still there.
const HANG_UP_INTERVAL: Duration = Duration::from_millis(250);

/// A connection's part of a round.
pub(super) struct Round<'c> {
    pub(super) shared: &'c Arc<Shared>,
    pub(super) session: &'c mut Session,
    pub(super) pipeline: &'c Pipeline,
    pub(super) out: &'c mut BytesMut,
    pub(super) tally: &'c mut Tally,
    pub(super) socket: BorrowedFd<'c>,
}

/// A read of a pipeline, or a write that may turn out to change nothing.
struct Read<'r, 'p> {
    entry: &'r Entry,
    command: &'static DataCommand,
    first: usize,
    args: SmallVec<[&'p [u8]; 8]>,
}

/// Where a request leads.
enum Next<'r> {
    Read(&'r Entry),
    Write,
    Session(&'r Entry, &'static SessionCommand, usize),
    Admin(&'r Entry, &'static AdminCommand),
    Refused(CommandError),
}

impl<'c> Round<'c> {
    /// Runs requests from `at` on until all are done, the replies should be sent, or the connection closes; answers where
    /// to go on.
    pub(super) async fn run(&mut self, mut at: usize) -> usize {
        let mut cold_tries = 0;
        while at < self.pipeline.len() && !self.session.closing && self.out.len() < FLUSH_BYTES {
            let shared = Arc::clone(self.shared);
            let args = self.pipeline.args(at);
            let mark = self.out.len();
            let next = at + 1;
            match gate(&shared, self.session, &args) {
                Next::Read(entry) => {
                    if !shared.lazy_expiry.is_idle() && counts_keys(entry) {
                        shared.lazy_expiry.settled().await;
                    }
                    let (done, gated, cold) =
                        self.run_reads(&shared, at, cold_tries < preload::TRIES);
                    at += done;
                    if let Some(key) = cold {
                        cold_tries = if done > 0 { 1 } else { cold_tries + 1 };
                        preload::load(&shared, &key).await;
                        continue;
                    }
                    if done == 0 || !gated.is_empty() {
                        at = self.run_segment(&shared, at, &gated).await;
                    }
                    continue;
                }
                Next::Write => {
                    at = self.run_segment(&shared, at, &[]).await;
                    continue;
                }
                Next::Session(entry, command, first) => {
                    self.run_session(entry, command, first, &args)
                }
                Next::Admin(entry, command) => self.run_admin(entry, command, &args).await,
                Next::Refused(error) => self.refuse(&shared, &args, &error),
            }
            self.settle_reply(mark);
            at = next;
        }
        self.tally.flush(&self.shared.stats);
        at
    }

    /// Runs consecutive reads at once, under the leader's lease; how many. None without a lease, or if it ended meanwhile:
    /// then nothing of them is left, neither replies nor counts, and they take the long way. Where a write has something
    /// to change, it and those behind it that have passed the gates are answered too. With `refuse_cold`, it ends
    /// before one that needs all of a large collection which is only on disk, and answers which.
    fn run_reads<'r>(
        &mut self,
        shared: &'r Shared,
        from: usize,
        refuse_cold: bool,
    ) -> (usize, Reads<'r, 'c>, Option<Box<ColdKey>>) {
        if !shared.router.lease().is_valid() {
            return (0, Reads::new(), None);
        }
        let (mark, started) = (self.out.len(), Instant::now());
        // A reply that is not sent must be told apart from the next one's.
        let most = match self.session.reply {
            ReplyMode::On | ReplyMode::Off => READS_PER_LOCK,
            ReplyMode::SkipNext | ReplyMode::Skip => 1,
        };
        let mut reads = leading_reads(shared, self.session, self.pipeline, from, most);
        let ran = self.read_memory(shared, &reads, refuse_cold);
        // Only now: the lease must have held while the memory was read, and this thread may have been stopped for long.
        if !shared.router.lease().is_valid() {
            self.out.truncate(mark);
            return (0, Reads::new(), None);
        }
        let mut gated = Reads::new();
        if ran.met_write {
            gated.extend(reads.drain(ran.count..));
        }
        reads.truncate(ran.count);
        shared.lazy_expiry.remove(&shared.router, ran.met);
        for (nth, error) in ran.errors {
            let id = reads.get(nth).map(|read| read.entry.id);
            shared.stats.add_error(id, false, &error);
        }
        let usec = started.elapsed().as_micros() as u64 / reads.len().max(1) as u64;
        for read in &reads {
            self.tally.count(&shared.stats, read.entry.id, 1, usec);
        }
        self.settle_reply(mark);
        (reads.len(), gated, ran.cold)
    }

    /// Runs reads on the Region's memory as it stands, until the replies should be sent or a write has something to change.
    fn read_memory(
        &mut self,
        shared: &Shared,
        reads: &[Read<'_, '_>],
        refuse_cold: bool,
    ) -> RanReads {
        let now_ms = shared.router.now_ms();
        let no_touch = self.session.client.no_touch.load(Ordering::Relaxed);
        let dataset = shared.machine.dataset().read();
        let mut ran = RanReads::default();
        for (nth, read) in reads.iter().enumerate() {
            if nth % WARM_KEYS == 0 && reads.len() - nth >= WARM_FROM {
                let ahead = reads[nth..].iter().take(WARM_KEYS);
                dataset
                    .view(self.session.db, now_ms)
                    .warm_commands(ahead.filter_map(|read| machine::ahead(&read.args)));
            }
            let before = self.out.len();
            if before >= FLUSH_BYTES {
                break;
            }
            let mut view = dataset.view(self.session.db, now_ms);
            if no_touch {
                view = view.without_touching();
            }
            if refuse_cold {
                view = view.refusing_cold();
            }
            let view = machine::focused(view, read.command, &read.args);
            let context = ReadContext::new(view, shared.random());
            if let Some(probe) = read.command.probe
                && read.command.handler.writes(&read.args)
            {
                let unchanged = (probe.ask)(&context, &read.args);
                ran.met.append(&mut context.view.take_expired());
                match unchanged {
                    Ok(Some(answer)) => {
                        answer.write(&mut Writer::new(self.out, self.session.protocol));
                    }
                    Ok(None) => {
                        ran.met_write = true;
                        break;
                    }
                    Err(storage::Error::Cold(key)) => {
                        ran.cold = Some(key);
                        break;
                    }
                    Err(error) => shared.fatal(&error),
                }
                ran.count += 1;
                continue;
            }
            let mut cursor = if read.first == 2 {
                Args::of_subcommand(&read.args)
            } else {
                Args::new(&read.args)
            };
            let mut out = Writer::new(self.out, self.session.protocol);
            match machine::run_read(read.command, &context, &mut cursor, &mut out) {
                Ok(()) => {}
                Err(storage::Error::Cold(key)) => {
                    ran.cold = Some(key);
                    break;
                }
                Err(error) => shared.fatal(&error),
            }
            if self.out[before..].starts_with(b"-") {
                ran.errors.push((nth, self.out[before..].to_vec()));
            }
            ran.met.append(&mut context.view.take_expired());
            ran.count += 1;
        }
        ran
    }

    /// Sends consecutive data commands as one segment, wherever it must run; answers where to go on. The first of them have
    /// passed the gates already.
    async fn run_segment(&mut self, shared: &Shared, from: usize, gated: &[Read<'_, '_>]) -> usize {
        let started = Instant::now();
        let mut builder = Builder::expecting(self.pipeline.len() - from);
        let mut ids: SmallVec<[usize; WARM_KEYS]> = SmallVec::new();
        let (mut at, mut gated) = (from, gated.iter());
        while at < self.pipeline.len() {
            let args = self.pipeline.args(at);
            let passed = match gated.next() {
                Some(read) => Some((read.entry.id, read.command)),
                None => match gates::pass(shared, self.session, &args) {
                    Ok((
                        Entry {
                            id,
                            runs: Runs::Data(command),
                            ..
                        },
                        _,
                    )) => Some((*id, *command)),
                    _ => None,
                },
            };
            let Some((id, command)) = passed else {
                break;
            };
            let writes = command.handler.writes(&args);
            // A reply that is not sent must be told apart from the next one's.
            let alone = self.session.reply == ReplyMode::Skip && at > from;
            if alone || builder.is_full_for(&args) {
                break;
            }
            builder.push(&args, writes);
            ids.push(id);
            at += 1;
        }
        if ids.is_empty() {
            // Who leads has changed since this command passed the gates: it goes through them again.
            return from;
        }
        let no_touch = self.session.client.no_touch.load(Ordering::Relaxed);
        let segment = builder.finish(self.session.db, self.session.protocol, no_touch);
        let mark = self.out.len();
        match routing::run(shared, &segment, self.session.reads).await {
            Ok(replies) => self.out.extend_from_slice(&replies),
            Err(failure) => {
                let mut out = Writer::new(self.out, self.session.protocol);
                outcome::write(&failure, segment.commands, &mut out);
            }
        }
        let usec = started.elapsed().as_micros() as u64 / ids.len().max(1) as u64;
        for (id, reply) in ids.into_iter().zip(replies::iter(&self.out[mark..])) {
            if reply.starts_with(b"-") {
                shared.stats.add_error(Some(id), false, reply);
            }
            self.tally.count(&shared.stats, id, 1, usec);
        }
        self.settle_reply(mark);
        at
    }

    fn run_session(
        &mut self,
        entry: &Entry,
        command: &SessionCommand,
        first: usize,
        args: &[&[u8]],
    ) {
        let started = Instant::now();
        let mark = self.out.len();
        self.session.client.note_command(entry.id);
        let mut cursor = if first == 2 {
            Args::of_subcommand(args)
        } else {
            Args::new(args)
        };
        let mut out = Writer::new(self.out, self.session.protocol);
        let result = (command.handler)(self.session, self.shared, &mut cursor, &mut out);
        self.finish_command(entry, result, mark, started);
    }

    async fn run_admin(&mut self, entry: &Entry, command: &AdminCommand, args: &[&[u8]]) {
        let started = Instant::now();
        let mark = self.out.len();
        self.session.client.note_command(entry.id);
        if entry.spec.name == "info" {
            self.shared.lazy_expiry.settled().await;
        }
        let call = AdminCall {
            shared: Arc::clone(self.shared),
            args: args.iter().map(|arg| arg.to_vec()).collect(),
            protocol: self.session.protocol,
            client_id: self.session.client.id,
            db: self.session.db,
            is_local: self.session.client.address.is_local,
            is_tls: self.session.client.address.is_tls,
        };
        let result = tokio::select! {
            biased;
            result = (command.handler)(call) => result,
            () = hang_up(self.socket) => {
                self.session.closing = true;
                return;
            }
        };
        let result = result.map(|reply| self.out.extend_from_slice(&reply));
        self.finish_command(entry, result, mark, started);
    }

    fn finish_command(
        &mut self,
        entry: &Entry,
        result: CommandResult,
        mark: usize,
        started: Instant,
    ) {
        if let Err(error) = result {
            self.out.truncate(mark);
            self.write_error(&error);
            self.shared
                .stats
                .add_error(Some(entry.id), false, &self.out[mark..]);
        }
        self.tally.count(
            &self.shared.stats,
            entry.id,
            1,
            started.elapsed().as_micros() as u64,
        );
    }

    fn refuse(&mut self, shared: &Shared, args: &[&[u8]], error: &CommandError) {
        let mark = self.out.len();
        self.write_error(error);
        let id = args
            .first()
            .and_then(|name| shared.registry.by_name(name))
            .map(|entry| entry.id);
        shared.stats.add_error(id, true, &self.out[mark..]);
    }

    fn write_error(&mut self, error: &CommandError) {
        let mut out = Writer::new(self.out, self.session.protocol);
        match error {
            CommandError::Reply(text) => out.error_bytes(text),
            CommandError::Storage(error) => self.shared.fatal(error),
        }
    }

    /// Drops the reply since `mark` if the client does not want it.
    fn settle_reply(&mut self, mark: usize) {
        if !self.session.reply.settle() {
            self.out.truncate(mark);
        }
    }
}

/// As many as run under one lock.
type Reads<'r, 'p> = SmallVec<[Read<'r, 'p>; WARM_KEYS]>;

/// What running reads left besides their replies.
#[derive(Default)]
struct RanReads {
    count: usize,
    /// The next one is a write that has something to change.
    met_write: bool,
    /// Which of them were answered with an error, and the error.
    errors: Vec<(usize, Vec<u8>)>,
    /// Expired keys.
    met: Vec<ExpiredKey>,
    /// A large collection that is to be loaded before the next one.
    cold: Option<Box<ColdKey>>,
}

/// Ready when the client has closed its end and nothing of it waits to be read: nobody will hear the answer.
async fn hang_up(socket: BorrowedFd<'_>) {
    loop {
        tokio::time::sleep(HANG_UP_INTERVAL).await;
        let mut byte = [std::mem::MaybeUninit::uninit()];
        match SockRef::from(&socket).peek(&mut byte) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// True of a write that no probe needs to be asked about.
fn must_write(command: &DataCommand, args: &[&[u8]]) -> bool {
    command.handler.writes(args)
        && command
            .probe
            .is_none_or(|probe| args.len() < probe.least_args)
}

fn counts_keys(entry: &Entry) -> bool {
    entry.spec.name.as_bytes() == COUNTS_KEYS
}

fn gate<'r>(shared: &'r Shared, session: &Session, args: &[&[u8]]) -> Next<'r> {
    match gates::pass(shared, session, args) {
        Err(error) => Next::Refused(error),
        Ok((entry, first)) => match entry.runs {
            Runs::Data(command) if must_write(command, args) => Next::Write,
            Runs::Data(_) => Next::Read(entry),
            Runs::Session(command) => Next::Session(entry, command, first),
            Runs::Admin(command) => Next::Admin(entry, command),
        },
    }
}

/// The consecutive reads from `from` on, as many as run under one lock; writes among them that may change nothing.
fn leading_reads<'r, 'p>(
    shared: &'r Shared,
    session: &Session,
    pipeline: &'p Pipeline,
    from: usize,
    most: usize,
) -> Reads<'r, 'p> {
    let mut reads = Reads::new();
    for at in from..pipeline.len().min(from + most) {
        let args = pipeline.args(at);
        let Ok((entry, first)) = gates::pass(shared, session, &args) else {
            break;
        };
        let Runs::Data(command) = entry.runs else {
            break;
        };
        if must_write(command, &args) {
            break;
        }
        // What counts keys is not run together with reads that may meet expired ones.
        if at > from && entry.spec.keys.is_none() && counts_keys(entry) {
            break;
        }
        reads.push(Read {
            entry,
            command,
            first,
            args,
        });
    }
    reads
}

/// Adds what a round moved.
pub(super) fn note_bytes(shared: &Shared, received: usize, sent: usize) {
    shared
        .stats
        .net_input_bytes
        .fetch_add(received as u64, Ordering::Relaxed);
    shared
        .stats
        .net_output_bytes
        .fetch_add(sent as u64, Ordering::Relaxed);
}
