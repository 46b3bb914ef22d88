//! One round of a connection: the requests of a pipeline, run in order.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use resp::Writer;
use smallvec::{SmallVec, smallvec};
use socket2::SockRef;
use storage::dataset::{ColdKey, WARM_KEYS};
use storage::proto::command::ExpiredKey;

use super::pipeline::{Pipeline, RequestArgs};
use super::replies;
use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::DataCommand;
use crate::dispatch::registry::{Entry, Runs};
use crate::dispatch::segment::{Builder, COUNTS_KEYS, Colds, READS_PER_LOCK, Segment, has_one_key};
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

/// A data command of a pipeline that has passed the gates.
struct Passed<'r, 'p> {
    entry: &'r Entry,
    command: &'static DataCommand,
    first: usize,
    args: RequestArgs<'p>,
}

impl Passed<'_, '_> {
    /// True of a write that no probe needs to be asked about.
    fn must_write(&self) -> bool {
        self.command.handler.writes(&self.args)
            && self
                .command
                .probe
                .is_none_or(|probe| self.args.len() < probe.least_args)
    }

    fn counts_keys(&self) -> bool {
        self.entry.spec.name.as_bytes() == COUNTS_KEYS
    }
}

/// Data commands that follow each other: nearly always one, or those of a pipeline.
type Row<'r, 'p> = SmallVec<[Passed<'r, 'p>; 1]>;

/// Where a request leads.
enum Next<'r, 'p> {
    Data(Passed<'r, 'p>),
    Session(&'r Entry, &'static SessionCommand, usize, RequestArgs<'p>),
    Admin(&'r Entry, &'static AdminCommand, RequestArgs<'p>),
    Refused(CommandError, RequestArgs<'p>),
}

impl<'c> Round<'c> {
    /// Runs requests from `at` on until all are done, the replies should be sent, or the connection closes; answers where
    /// to go on.
    pub(super) async fn run(&mut self, mut at: usize) -> usize {
        // Of the next command.
        let (mut loads, mut gave_up, mut loan) = (0, false, None);
        // Kept for the replies.
        let mut _headroom = None;
        let shared = self.shared;
        while at < self.pipeline.len() && !self.session.closing && self.out.len() < FLUSH_BYTES {
            let mark = self.out.len();
            match gate(shared, self.session, self.pipeline.args(at)) {
                Next::Data(first) if first.must_write() => {
                    at = self.run_segment(shared, at, smallvec![first]).await;
                    continue;
                }
                Next::Data(first) => {
                    if !shared.lazy_expiry.is_idle() && first.counts_keys() {
                        shared.lazy_expiry.settled().await;
                    }
                    let colds = Colds {
                        refuse: !gave_up && loads < preload::MAX_PER_READ,
                        loans: loan.as_slice(),
                        as_of_loans: true,
                    };
                    let (done, rest, cold) = self.run_reads(shared, first, at, colds);
                    at += done;
                    // What was read was for the first of them.
                    (gave_up, loan) = (false, None);
                    if done > 0 {
                        loads = 0;
                    }
                    if let Some(Refused { key, may_lend }) = cold {
                        loads += 1;
                        let loaded = preload::load(shared, &key, may_lend).await;
                        (gave_up, loan) = (loaded.gave_up, loaded.loan);
                        _headroom = loaded.headroom;
                        continue;
                    }
                    if !rest.is_empty() {
                        at = self.run_segment(shared, at, rest).await;
                    }
                    continue;
                }
                Next::Session(entry, command, first, args) => {
                    self.run_session(entry, command, first, &args);
                }
                Next::Admin(entry, command, args) => self.run_admin(entry, command, &args).await,
                Next::Refused(error, args) => self.refuse(shared, &args, &error),
            }
            self.settle_reply(mark);
            at += 1;
        }
        self.tally.flush(&self.shared.stats);
        at
    }

    /// Runs consecutive reads at once, under the leader's lease; how many, and what takes the long way: all of them without
    /// a lease, or if it ended meanwhile (nothing of them is left then, neither replies nor counts); a write that has
    /// something to change, and those behind it that have passed the gates. It ends before one that needs all of a large
    /// collection which is only on disk, if that is to be refused, and answers which.
    fn run_reads<'r>(
        &mut self,
        shared: &'r Shared,
        first: Passed<'r, 'c>,
        from: usize,
        colds: Colds<'_>,
    ) -> (usize, Row<'r, 'c>, Option<Refused>) {
        if !shared.router.lease().is_valid() {
            return (0, smallvec![first], None);
        }
        let (mark, started) = (self.out.len(), Instant::now());
        // A reply that is not sent must be told apart from the next one's.
        let most = match self.session.reply {
            ReplyMode::On | ReplyMode::Off => READS_PER_LOCK,
            ReplyMode::SkipNext | ReplyMode::Skip => 1,
        };
        let mut reads = leading_reads(shared, self.session, self.pipeline, first, from, most);
        let ran = self.read_memory(shared, &reads, colds);
        // Only now: the lease must have held while the memory was read, and this thread may have been stopped for long.
        if !shared.router.lease().is_valid() {
            self.out.truncate(mark);
            return (0, reads, None);
        }
        let mut rest = Row::new();
        if ran.met_write {
            rest.extend(reads.drain(ran.count..));
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
        (reads.len(), rest, ran.cold)
    }

    /// Runs reads on the Region's memory as it stands, until the replies should be sent or a write has something to change.
    fn read_memory(
        &mut self,
        shared: &Shared,
        reads: &[Passed<'_, '_>],
        colds: Colds<'_>,
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
            if colds.refuse {
                view = view.refusing_cold();
            }
            if !colds.loans.is_empty() {
                // Those behind it come after what was executed meanwhile.
                let as_of_then = nth == 0 && has_one_key(read.command, &read.args);
                view = view.with_loans(colds.loans, as_of_then);
            }
            let seed = shared.random();
            let view = machine::focused(view, read.command, &read.args, seed);
            let context = ReadContext::new(view, seed);
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
                        ran.cold = Some(Refused::of(read, key));
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
                    ran.cold = Some(Refused::of(read, key));
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
    async fn run_segment(&mut self, shared: &Shared, from: usize, passed: Row<'_, 'c>) -> usize {
        let started = Instant::now();
        let (segment, ids) = self.segment(shared, from, passed);
        let (mark, next) = (self.out.len(), from + ids.len());
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
        next
    }

    /// The commands from `from` on that go into one segment, and their ids.
    fn segment(
        &self,
        shared: &Shared,
        from: usize,
        passed: Row<'_, 'c>,
    ) -> (Segment, SmallVec<[usize; WARM_KEYS]>) {
        let mut builder = Builder::expecting(self.pipeline.len() - from);
        let mut ids = SmallVec::new();
        let mut passed = passed.into_iter();
        for at in from..self.pipeline.len() {
            let next = match passed.next() {
                Some(next) => next,
                None => match gate(shared, self.session, self.pipeline.args(at)) {
                    Next::Data(next) => next,
                    _ => break,
                },
            };
            // A reply that is not sent must be told apart from the next one's.
            let alone = self.session.reply == ReplyMode::Skip && at > from;
            if alone || builder.is_full_for(&next.args) {
                break;
            }
            builder.push(next.command, &next.args);
            ids.push(next.entry.id);
        }
        let no_touch = self.session.client.no_touch.load(Ordering::Relaxed);
        let segment = builder.finish(self.session.db, self.session.protocol, no_touch);
        (segment, ids)
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
    /// Why the next one waits.
    cold: Option<Refused>,
}

/// A large collection that is to be loaded before a read.
struct Refused {
    key: Box<ColdKey>,
    /// The read may see it as it was when it is read for it.
    may_lend: bool,
}

impl Refused {
    fn of(read: &Passed<'_, '_>, key: Box<ColdKey>) -> Self {
        Self {
            key,
            may_lend: has_one_key(read.command, &read.args),
        }
    }
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

fn gate<'r, 'p>(shared: &'r Shared, session: &Session, args: RequestArgs<'p>) -> Next<'r, 'p> {
    match gates::pass(shared, session, &args) {
        Err(error) => Next::Refused(error, args),
        Ok((entry, first)) => match entry.runs {
            Runs::Data(command) => Next::Data(Passed {
                entry,
                command,
                first,
                args,
            }),
            Runs::Session(command) => Next::Session(entry, command, first, args),
            Runs::Admin(command) => Next::Admin(entry, command, args),
        },
    }
}

/// `first`, which is at `from`, and the reads behind it, as many as run under one lock; writes among them that may change
/// nothing.
fn leading_reads<'r, 'p>(
    shared: &'r Shared,
    session: &Session,
    pipeline: &'p Pipeline,
    first: Passed<'r, 'p>,
    from: usize,
    most: usize,
) -> Row<'r, 'p> {
    let behind = from + 1..pipeline.len().min(from + most);
    let mut reads = Row::with_capacity(1 + behind.len());
    reads.push(first);
    for at in behind {
        let Next::Data(next) = gate(shared, session, pipeline.args(at)) else {
            break;
        };
        // What counts keys is not run together with reads that may meet expired ones.
        if next.must_write() || next.counts_keys() {
            break;
        }
        reads.push(next);
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
