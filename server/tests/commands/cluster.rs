//! A leader and a follower without a network: every entry is executed by both, and their states must stay equal.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use prost::Message;
use resp::{Frame, FrameDecoder, Writer};
use server::commands::args::Args;
use server::commands::context::ReadContext;
use server::commands::spec::{DataCommand, DataHandler};
use server::machine::{Lookup, Machine, batch, data_commands, protocol, run_read};
use storage::dataset::{Dataset, DatasetOptions, Event};
use storage::engine::Engine;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::memory::MemoryEngine;
use storage::ids::{DbIndex, FIRST_REGION, LogIndex, Term};
use storage::proto::command::{DeleteExpired, RaftCmdRequest, Request, RequestHeader};

/// How commands reach the data set, and what is below it. What clients see must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads run on the memory directly, as under a lease; everything stays in memory.
    Direct,
    /// Reads travel in entries too; a checkpoint to the LSM engine and a reopening come between commands.
    Reopened,
}

/// One replica.
struct Replica {
    engine: Arc<dyn Engine>,
    dataset: Arc<RwLock<Dataset>>,
}

impl Replica {
    fn open(engine: Arc<dyn Engine>) -> Self {
        let options = DatasetOptions {
            maxmemory_bytes: 0,
            hash_seed: *b"0123456789abcdef",
            ..DatasetOptions::default()
        };
        let mut dataset = Dataset::open(FIRST_REGION, engine.clone(), options).unwrap();
        dataset.record_events(true);
        Self {
            engine,
            dataset: Arc::new(RwLock::new(dataset)),
        }
    }

    fn apply(&self, index: LogIndex, entry: &Bytes, answer: bool) -> Vec<Bytes> {
        let machine = Machine::new(self.dataset.clone());
        let mut dataset = self.dataset.write();
        let responses = machine
            .apply(&mut dataset, index, Term(1), entry, answer)
            .unwrap();
        responses
            .into_iter()
            .map(|response| response.replies)
            .collect()
    }

    /// Makes everything durable, forgets it, and opens it again.
    fn reopen(&mut self) {
        let checkpoint = self.dataset.write().freeze();
        if let Some(checkpoint) = checkpoint {
            let done = checkpoint.run(&*self.engine).unwrap();
            self.dataset.write().checkpoint_done(done);
        }
        *self = Self::open(self.engine.clone());
    }
}

/// The two replicas, and the connection of one client.
pub(crate) struct Cluster {
    leader: Replica,
    follower: Replica,
    mode: Mode,
    index: LogIndex,
    /// What the leader's clock shows, in milliseconds of Unix time.
    pub(crate) now_ms: u64,
    /// The database of the connection.
    pub(crate) db: u32,
    /// 2 or 3.
    pub(crate) protocol: u32,
}

impl Cluster {
    /// An empty one; the LSM engine works in `dir`.
    pub(crate) fn new(mode: Mode, dir: &Path) -> Self {
        let engine: Arc<dyn Engine> = match mode {
            Mode::Direct => MemoryEngine::new(),
            Mode::Reopened => Arc::new(LsmEngine::open(dir, LsmOptions::kv()).unwrap()),
        };
        Self {
            leader: Replica::open(engine),
            follower: Replica::open(MemoryEngine::new()),
            mode,
            index: LogIndex(0),
            now_ms: 1_700_000_000_000,
            db: 0,
            protocol: 2,
        }
    }

    /// Executes a command and answers its reply.
    pub(crate) fn run(&mut self, args: &[&[u8]]) -> Frame {
        let Lookup::Found { command, args_from } = data_commands().find(args) else {
            panic!("{} is not a data command", args[0].escape_ascii());
        };
        assert!(
            command.spec.accepts(args.len()),
            "{} has another arity",
            command.spec.name
        );
        let unchanged = self.probe(command, args);
        let replies = if self.mode == Mode::Direct
            && matches!(command.handler.of(args), DataHandler::Read(_))
        {
            let mut cursor = if args_from == 2 {
                Args::of_subcommand(args)
            } else {
                Args::new(args)
            };
            let mut out = BytesMut::new();
            let dataset = self.leader.dataset.read();
            let view = dataset.view(DbIndex(self.db as u8), self.now_ms.max(dataset.now_ms()));
            let context = ReadContext::new(view, self.index.get());
            run_read(
                command,
                &context,
                &mut cursor,
                &mut Writer::new(&mut out, protocol(self.protocol)),
            )
            .unwrap();
            out.freeze()
        } else {
            let mut commands = BytesMut::new();
            batch::push(&mut commands, args);
            let request = Request {
                db: self.db,
                protocol: self.protocol,
                commands: commands.freeze(),
                ..Request::default()
            };
            let mut replies = self.propose(RaftCmdRequest {
                requests: vec![request],
                ..Default::default()
            });
            replies.pop().unwrap()
        };
        if let Some((answer, digest)) = unchanged {
            assert_eq!(replies, answer, "{:?} was to change nothing", args);
            let after = self.leader.dataset.read().digest().unwrap();
            assert_eq!(after, digest, "{:?} was to change nothing", args);
        }
        if self.mode == Mode::Reopened {
            self.leader.reopen();
        }
        only_frame(&replies)
    }

    /// If the command's probe says that it would change nothing: the answer that it tells, and the digest of the state.
    fn probe(&self, command: &DataCommand, args: &[&[u8]]) -> Option<(Bytes, u64)> {
        let probe = command
            .probe
            .filter(|probe| args.len() >= probe.least_args)?;
        let dataset = self.leader.dataset.read();
        let view = dataset.view(DbIndex(self.db as u8), self.now_ms.max(dataset.now_ms()));
        let context = ReadContext::new(view, self.index.get());
        let answer = (probe.ask)(&context, args).unwrap()?;
        if !context.view.take_expired().is_empty() {
            // The write will remove them.
            return None;
        }
        let mut out = BytesMut::new();
        answer.write(&mut Writer::new(&mut out, protocol(self.protocol)));
        Some((out.freeze(), dataset.digest().unwrap()))
    }

    /// One round of active expiry: what the leader finds expired is deleted by an entry.
    pub(crate) fn expire(&mut self) -> usize {
        // As after opening: only what is in memory is looked at.
        while self.leader.dataset.write().load_next(100).unwrap() {}
        let keys = self.leader.dataset.read().expired(self.now_ms, 100);
        let count = keys.len();
        self.propose(RaftCmdRequest {
            delete_expired: Some(DeleteExpired { keys }),
            ..Default::default()
        });
        count
    }

    fn propose(&mut self, mut entry: RaftCmdRequest) -> Vec<Bytes> {
        self.index = self.index.next();
        let seed = self.index.get();
        entry.header = Some(RequestHeader {
            now_ms: self.now_ms,
            seed,
            ..Default::default()
        });
        let entry = Bytes::from(entry.encode_to_vec());
        assert!(
            self.follower.apply(self.index, &entry, false).is_empty(),
            "nobody waits at the follower"
        );
        let replies = self.leader.apply(self.index, &entry, true);
        self.check();
        replies
    }

    /// Both replicas have the same state.
    fn check(&self) {
        let digest = |replica: &Replica| replica.dataset.read().digest().unwrap();
        assert_eq!(
            digest(&self.leader),
            digest(&self.follower),
            "after entry {}",
            self.index
        );
    }

    /// What happened to keys since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.follower.dataset.write().take_events()
    }
}

fn only_frame(bytes: &[u8]) -> Frame {
    let mut decoder = FrameDecoder::new();
    decoder.push(bytes);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert!(
        decoder.is_idle(),
        "more than one reply: {}",
        bytes.escape_ascii()
    );
    frame
}
