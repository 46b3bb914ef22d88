//! The world's clock and events, and the verbs that tests use.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use server::dispatch::outcome::Failure;
use server::raftstore::{Error, Step};
use server::transport::ForwardError;
use storage::ids::{DbIndex, FIRST_REGION, LogIndex, StoreId, Term};
use storage::proto::command::{RaftMessage, RequestHeader};
use storage::snapshot::{ReceivedSnapshot, SnapshotReceiver, SnapshotSource};

use super::client::{Client, History, Outcome, key_name, request};
use super::forward::{Answers, Forwarded, Respond, Routed};
use super::network::{Network, Weather};
use super::node::{
    AppliedEntry, Collected, Node, Outcomes, Running, draw_anew, entries_of, lose_command,
};
use super::sabotage::Sabotage;
use super::trace;

/// Length of a tick.
pub(super) const TICK_MS: u64 = 25;

/// Of 1000 applied tasks, after so many a checkpoint starts.
const CHECKPOINT_PERMILLE: u32 = 60;

/// What kind of world.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything random comes from here.
    pub seed: u64,
    /// Stores, all voters.
    pub stores: u64,
    /// The network.
    pub weather: Weather,
    /// Bytes of log that are kept for followers that are behind.
    pub log_retention_bytes: u64,
    /// The broken rule.
    pub sabotage: Sabotage,
}

impl Options {
    /// Three Stores, fair weather.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            stores: 3,
            weather: Weather::FAIR,
            log_retention_bytes: 1 << 20,
            sabotage: Sabotage::None,
        }
    }
}

/// Something that will happen.
pub(super) enum Happening {
    Tick,
    Apply,
    Checkpoint,
    /// A connection to this Store is refused.
    Refused(StoreId),
    Deliver(Box<RaftMessage>),
    DeliverSnapshot(Box<(RaftMessage, SnapshotSource)>, StoreId),
    /// A request that another Store forwards.
    Forwarded(Box<Forwarded>),
    /// What became of an attempt at an operation that was forwarded.
    Answered(u64, u64, Result<Outcome, ForwardError>),
    /// An operation is tried again.
    RouteAgain(u64),
}

struct Event {
    store: StoreId,
    /// The Store's incarnation that this is meant for; messages are for any.
    incarnation: Option<u64>,
    happening: Happening,
}

/// Several Stores, their network, clocks and disks.
pub struct World {
    pub(super) options: Options,
    pub(super) rng: ChaCha8Rng,
    pub(super) time_ns: u64,
    sequence: u64,
    order: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    pub(super) nodes: BTreeMap<StoreId, Node>,
    pub(super) network: Network,
    /// How long a snapshot is under way at most, in nanoseconds.
    pub(super) snapshot_ns: u64,
    /// Snapshots that were sent.
    pub(super) snapshots_sent: u64,
    /// Messages on links that are held, in order.
    pub(super) held: VecDeque<(StoreId, RaftMessage)>,
    pub(super) history: History,
    outcomes: Outcomes,
    /// Operations that wait at the Store that was asked for them.
    pub(super) routed: BTreeMap<u64, Routed>,
    pub(super) answers: Answers,
    /// The one history: what is committed at each index.
    committed: BTreeMap<u64, (u64, Bytes)>,
    pub(super) snapshots: tempfile::TempDir,
}

impl World {
    /// A world whose Stores have just started.
    pub fn new(options: Options) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let members: Vec<StoreId> = (1..=options.stores).map(StoreId).collect();
        let nodes = members
            .iter()
            .map(|&store| {
                (
                    store,
                    Node::new(
                        store,
                        members.clone(),
                        options.log_retention_bytes,
                        &mut rng,
                    ),
                )
            })
            .collect();
        let mut world = Self {
            options,
            rng,
            time_ns: 0,
            sequence: 0,
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            nodes,
            network: Network::new(options.weather),
            snapshot_ns: 30_000_000,
            snapshots_sent: 0,
            held: VecDeque::new(),
            history: History::default(),
            outcomes: Outcomes::default(),
            routed: BTreeMap::new(),
            answers: Answers::default(),
            committed: BTreeMap::new(),
            snapshots: tempfile::tempdir().expect("a temporary directory"),
        };
        for store in members {
            world.restart(store.get());
        }
        world
    }

    // Verbs of tests.

    /// Lets `ms` milliseconds pass.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.time_ns + ms * 1_000_000;
        while self.step_until(end) {}
        self.time_ns = end;
    }

    /// Lets time pass until `condition` holds; panics after `ms` milliseconds.
    pub fn run_until(&mut self, ms: u64, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.time_ns + ms * 1_000_000;
        while !condition(self) {
            if !self.step_until(end) {
                let seed = self.options.seed;
                panic!(
                    "not within {ms} ms (seed {seed}): {what}\n{}",
                    self.describe()
                );
            }
        }
    }

    /// The state of every Store, for a failure's message.
    pub fn describe(&self) -> String {
        let lines = self.nodes.values().map(|node| match &node.running {
            Some(running) => {
                let lease = self.has_lease(node.store.get());
                let paused = node.paused_until_ns > self.time_ns;
                format!(
                    "{}: lease {lease}, paused {paused}, {:?}",
                    node.store,
                    running.peer.status()
                )
            }
            None => format!("{}: down", node.store),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The Store that leads in the highest term, if it runs.
    pub fn leader(&self) -> Option<u64> {
        let leaders = self.nodes.values().filter_map(|node| {
            let running = node.running.as_ref()?;
            running
                .peer
                .is_leader()
                .then(|| (running.peer.term(), node.store.get()))
        });
        leaders.max().map(|(_, store)| store)
    }

    /// Waits for a leader that has applied the first entry of its term. It holds a lease soon after, unless it has tried
    /// to hand over in this term.
    pub fn elect(&mut self) -> u64 {
        self.run_until(10_000, "a leader", |world| {
            let leader = world
                .leader()
                .and_then(|leader| world.nodes[&StoreId(leader)].running.as_ref());
            leader.is_some_and(|running| running.peer.leads_with_all())
        });
        self.leader().expect("just elected")
    }

    /// True if this Store may answer reads on its own now.
    pub fn has_lease(&self, store: u64) -> bool {
        let node = &self.nodes[&StoreId(store)];
        let now_ns = node.now(self.time_ns).monotonic_ns;
        node.running
            .as_ref()
            .is_some_and(|running| running.lease.is_valid_at(now_ns))
    }

    /// Finishes a checkpoint under way on this Store, then starts another and finishes it.
    pub fn checkpoint(&mut self, store: u64) {
        self.finish_checkpoint(StoreId(store));
        self.freeze(StoreId(store));
        self.finish_checkpoint(StoreId(store));
    }

    /// Asks `store` for an operation, without waiting; the id finds its outcome.
    pub fn invoke(&mut self, store: u64, key: u8, action: Client) -> u64 {
        let id = self.history.invoke(key, action, self.time_ns);
        tracing::info!(target: "sim", "operation {id}: {action:?} of register {key} at {store}");
        self.invoke_here(StoreId(store), id, key, action, RequestHeader::default());
        self.settle(StoreId(store));
        id
    }

    /// Writes what was made for this Region, epoch and term; how that ended.
    pub fn write_made_for(
        &mut self,
        store: u64,
        key: u8,
        value: u64,
        made_for: RequestHeader,
    ) -> Outcome {
        let action = Client::Write(value);
        let id = self.history.invoke(key, action, self.time_ns);
        self.invoke_here(StoreId(store), id, key, action, made_for);
        self.settle(StoreId(store));
        self.run_until(5_000, "an answer", |world| !world.history.is_open(id));
        self.history.outcome(id).expect("it was answered")
    }

    /// Asks for an operation and waits for its outcome.
    pub fn perform(&mut self, store: u64, key: u8, action: Client) -> Outcome {
        let id = self.invoke(store, key, action);
        self.run_until(5_000, "an answer", |world| !world.history.is_open(id));
        self.history.outcome(id).expect("it was answered")
    }

    /// Writes and waits for OK.
    pub fn write(&mut self, store: u64, key: u8, value: u64) {
        assert_eq!(
            self.perform(store, key, Client::Write(value)),
            Outcome::Written,
            "the write was not acknowledged"
        );
    }

    /// Reads and waits; `None` when the Store refused to answer.
    pub fn read(&mut self, store: u64, key: u8) -> Option<Option<u64>> {
        match self.perform(store, key, Client::Read) {
            Outcome::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The value that this Store's memory holds, right or wrong.
    pub fn peek(&self, store: u64, key: u8) -> Option<u64> {
        let running = self.nodes[&StoreId(store)]
            .running
            .as_ref()
            .expect("a running Store");
        lookup(running, key)
    }

    /// The index up to which this Store has applied.
    pub fn applied(&self, store: u64) -> LogIndex {
        self.nodes[&StoreId(store)].applied()
    }

    /// The first index that this Store's log still holds.
    pub fn first_log_index(&self, store: u64) -> LogIndex {
        let running = self.nodes[&StoreId(store)]
            .running
            .as_ref()
            .expect("a running Store");
        running.peer.storage().first_index()
    }

    /// The last index of this Store's log, committed or not.
    pub fn last_log_index(&self, store: u64) -> LogIndex {
        let running = self.nodes[&StoreId(store)].running.as_ref();
        running
            .expect("a running Store")
            .peer
            .storage()
            .last_index()
    }

    /// Bytes of this Store's log.
    pub fn log_bytes(&self, store: u64) -> u64 {
        let running = self.nodes[&StoreId(store)].running.as_ref();
        running.expect("a running Store").peer.storage().log_bytes()
    }

    /// The term of this Store's Peer.
    pub fn term(&self, store: u64) -> Term {
        self.nodes[&StoreId(store)]
            .running
            .as_ref()
            .expect("a running Store")
            .peer
            .term()
    }

    /// The Stores that this leader takes for lost.
    pub fn lost(&self, leader: u64) -> Vec<u64> {
        let running = self.nodes[&StoreId(leader)].running.as_ref();
        let peers = running.expect("the leader runs").peer.status().peers;
        let lost = peers.iter().filter(|peer| !peer.active);
        lost.map(|peer| peer.store.get()).collect()
    }

    /// Everything works again; removes the members whose disk was lost, waits until every member votes and has applied all that any has, then compares digests.
    pub fn converge(&mut self) {
        self.heal();
        self.network.weather = Weather::FAIR;
        for store in self.stores() {
            self.node(store).fuse.clear();
            self.node(store).paused_until_ns = 0;
            if !self.is_up(store) && self.refusal(store).is_none() {
                self.restart(store);
            }
        }
        // An election may still be under way: the write is asked for until it is acknowledged.
        let acknowledged = (0..20).any(|_| {
            let leader = self.elect();
            let outcome = self.perform(leader, u8::MAX, Client::Write(self.sequence));
            // Refused while leadership is being handed over.
            self.run_ms(200);
            outcome == Outcome::Written
        });
        assert!(
            acknowledged,
            "seed {}: no write succeeds after everything was healed",
            self.options.seed
        );
        self.remove_lost();
        self.settle_members();
        self.run_until(10_000, "all members at the same applied index", |world| {
            let members = world.member_nodes();
            let mut applied = members.iter().map(|node| node.applied());
            let first = applied.next();
            applied.all(|other| Some(other) == first)
        });
        self.assert_equal_digests();
    }

    /// Panics unless every register's history is linearizable. Operations still open count as unknown.
    pub fn assert_linearizable(&mut self) {
        self.history.settle_open(self.time_ns);
        let wrong = self.history.contradictions();
        if let Some(&key) = wrong.first() {
            let mut events = self.history.events(key).to_vec();
            events.sort_by_key(|event| event.invoked);
            let list: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            panic!(
                "seed {}: register {key} is not linearizable:\n{}",
                self.options.seed,
                list.join("\n")
            );
        }
    }

    /// How an operation ended, if it has.
    pub fn outcome(&self, id: u64) -> Option<Outcome> {
        self.history.outcome(id)
    }

    /// Number of operations that were asked for.
    pub fn asked(&self) -> u64 {
        self.history.asked()
    }

    /// Number of operations that were answered.
    pub fn acknowledged(&self) -> u64 {
        self.history.acknowledged
    }

    // What happens.

    pub(super) fn node(&mut self, store: u64) -> &mut Node {
        self.nodes
            .get_mut(&StoreId(store))
            .expect("a Store of this world")
    }

    fn schedule(&mut self, event: Event, after_ns: u64) {
        self.sequence += 1;
        self.order
            .push(Reverse((self.time_ns + after_ns, self.sequence)));
        self.events.insert(self.sequence, event);
    }

    pub(super) fn schedule_own(&mut self, store: StoreId, after_ns: u64, happening: Happening) {
        let incarnation = Some(self.nodes[&store].incarnation);
        self.schedule(
            Event {
                store,
                incarnation,
                happening,
            },
            after_ns,
        );
    }

    /// Lets the next thing happen; false if nothing happens before `end_ns`.
    pub(super) fn step_until(&mut self, end_ns: u64) -> bool {
        let Some(&Reverse((at, sequence))) = self.order.peek() else {
            return false;
        };
        if at > end_ns {
            return false;
        }
        self.order.pop();
        let event = self
            .events
            .remove(&sequence)
            .expect("every time has its event");
        self.time_ns = at;
        trace::note_time(at);
        let node = &self.nodes[&event.store];
        let void = event
            .incarnation
            .is_some_and(|incarnation| incarnation != node.incarnation);
        if void || node.running.is_none() {
            if let Happening::DeliverSnapshot(_, from) = event.happening {
                // The connection is refused, which the sender sees.
                self.report_snapshot(from, event.store, false);
            }
            return true;
        }
        if node.paused_until_ns > self.time_ns {
            // It waits in a buffer until the process goes on.
            let after_ns = node.paused_until_ns - self.time_ns;
            self.schedule(event, after_ns);
            return true;
        }
        self.happen(event);
        true
    }

    fn happen(
        &mut self,
        Event {
            store, happening, ..
        }: Event,
    ) {
        match happening {
            Happening::Tick => {
                let now = self.nodes[&store].now(self.time_ns);
                if let Some(running) = self.node(store.get()).running.as_mut() {
                    running.peer.tick(now);
                }
                let late_ns = self.rng.random_range(0..2_000_000);
                self.schedule_own(store, TICK_MS * 1_000_000 + late_ns, Happening::Tick);
            }
            Happening::Refused(gone) => {
                if let Some(running) = self.node(store.get()).running.as_mut() {
                    running.peer.report_gone(gone);
                }
            }
            Happening::Apply => self.apply_one(store),
            Happening::Checkpoint => self.finish_checkpoint(store),
            Happening::Forwarded(forwarded) => self.run_forwarded(store, *forwarded),
            Happening::Answered(id, attempt, result) => {
                self.on_answer(id, attempt, result.map_err(Failure::from));
            }
            Happening::RouteAgain(id) => self.route(id),
            Happening::Deliver(message) => self.deliver(store, *message, None),
            Happening::DeliverSnapshot(sent, from) => {
                let (message, source) = *sent;
                self.deliver_snapshot(store, message, source, from);
            }
        }
        self.settle(store);
    }

    pub(super) fn deliver(
        &mut self,
        store: StoreId,
        message: RaftMessage,
        file: Option<ReceivedSnapshot>,
    ) {
        let now = self.nodes[&store].now(self.time_ns);
        if let Some(running) = self.node(store.get()).running.as_mut() {
            let step = running.peer.step(message, file, now);
            if let Step::Ignored(why) = step {
                tracing::debug!(target: "sim", "{store} ignores a message {why}");
            }
            assert_ne!(
                step,
                Step::Ignored("for another Peer"),
                "the network delivers to the right Store"
            );
        }
    }

    /// Receives the chunks into a file, as the transport does, then steps the message and reports to the sender.
    fn deliver_snapshot(
        &mut self,
        store: StoreId,
        message: RaftMessage,
        source: SnapshotSource,
        from: StoreId,
    ) {
        let ok = !self.network.is_cut(from, store);
        if ok {
            let path = self.snapshots.path().join(store.to_string());
            let mut receiver =
                SnapshotReceiver::create(&path, FIRST_REGION, source.index(), source.term())
                    .expect("a snapshot file");
            let mut source = source;
            while let Some(chunk) = source.next_chunk().expect("a chunk") {
                receiver.accept(&chunk).expect("a whole chunk");
            }
            let file = receiver.finish().expect("a whole snapshot");
            self.deliver(store, message, Some(file));
        }
        self.report_snapshot(from, store, ok);
    }

    fn report_snapshot(&mut self, from: StoreId, to: StoreId, ok: bool) {
        if let Some(running) = self.node(from.get()).running.as_mut() {
            running.peer.report_snapshot(to, ok);
            self.settle(from);
        }
    }

    fn apply_one(&mut self, store: StoreId) {
        let sabotage = self.options.sabotage;
        let now = self.nodes[&store].now(self.time_ns);
        let Some(running) = self.node(store.get()).running.as_mut() else {
            return;
        };
        let Some(mut task) = running.tasks.pop_front() else {
            return;
        };
        let entries = entries_of(&task);
        if running.forgets {
            running.forgets = !lose_command(&mut task);
        }
        if sabotage == Sabotage::ApplyAtRandom {
            draw_anew(&mut task, store);
        }
        let applied = match task.execute(&running.machine) {
            Ok(applied) => applied.expect("a task has entries"),
            Err(error) => {
                assert!(self.nodes[&store].is_wrong, "{store} cannot apply: {error}");
                return self.crash(store.get());
            }
        };
        running.peer.on_applied(applied, now);
        let more = !running.tasks.is_empty();
        self.assert_one_history(entries);
        if more {
            self.schedule_apply(store);
        }
        if self.rng.random_ratio(CHECKPOINT_PERMILLE, 1000) {
            self.start_checkpoint(store);
        }
        self.checkpoint_configuration(store);
    }

    fn start_checkpoint(&mut self, store: StoreId) {
        self.freeze(store);
        let after_ns = self.rng.random_range(0..50_000_000);
        self.schedule_own(store, after_ns, Happening::Checkpoint);
    }

    /// A new configuration is checkpointed as soon as no other checkpoint is under way, as the apply worker does.
    fn checkpoint_configuration(&mut self, store: StoreId) {
        let running = self.node(store.get()).running.as_ref();
        let waits = running.is_some_and(|running| {
            running.checkpoint.is_none() && running.machine.dataset().read().has_new_configuration()
        });
        if waits {
            self.start_checkpoint(store);
        }
    }

    fn schedule_apply(&mut self, store: StoreId) {
        let after_ns = self.rng.random_range(0..500_000);
        self.schedule_own(store, after_ns, Happening::Apply);
    }

    fn freeze(&mut self, store: StoreId) {
        let Some(running) = self.node(store.get()).running.as_mut() else {
            return;
        };
        if running.checkpoint.is_none() {
            running.checkpoint = running.machine.dataset().write().freeze();
        }
    }

    fn finish_checkpoint(&mut self, store: StoreId) {
        let node = self.node(store.get());
        let Some(running) = node.running.as_mut() else {
            return;
        };
        let Some(checkpoint) = running.checkpoint.take() else {
            return;
        };
        let result = checkpoint
            .run(running.disk.as_ref())
            .and_then(|done| running.checkpoint_done(done));
        match result {
            Ok(()) => self.checkpoint_configuration(store),
            Err(error) => self.power_fails(store, &error),
        }
    }

    /// The power has failed in the middle of something.
    fn power_fails(&mut self, store: StoreId, error: &storage::Error) {
        assert!(
            self.nodes[&store].fuse.has_burnt(),
            "the disk of {store} works: {error}"
        );
        self.crash(store.get());
    }

    fn invoke_here(
        &mut self,
        store: StoreId,
        id: u64,
        key: u8,
        action: Client,
        made_for: RequestHeader,
    ) {
        let sabotage = self.options.sabotage;
        let outcomes = self.outcomes.clone();
        let respond: Respond = Box::new(move |result| {
            let outcome = match result {
                Ok(outcome) => outcome,
                Err(Error::StaleCommand) if sabotage != Sabotage::RefuseTheUnknown => {
                    Outcome::Unknown
                }
                Err(_) => Outcome::Refused,
            };
            outcomes.lock().push((id, outcome));
        });
        let header = match sabotage {
            Sabotage::IgnoreEpoch => None,
            _ => Some(Box::new(made_for)),
        };
        self.execute(store, key, action, request(key, action), header, respond);
    }

    /// What follows everything that happens on a Store: its Ready is handled, its messages leave.
    pub(super) fn settle(&mut self, store: StoreId) {
        let now = self.nodes[&store].now(self.time_ns);
        let node = self.nodes.get_mut(&store).expect("a Store of this world");
        let Some(Running {
            peer,
            machine,
            tasks,
            checkpoint,
            ..
        }) = node.running.as_mut()
        else {
            return;
        };
        let idle = tasks.is_empty();
        let mut collected = Collected {
            messages: Vec::new(),
            snapshots: Vec::new(),
            tasks,
            checkpoint,
            machine,
            kv: &node.kv,
            applied: Vec::new(),
            clock_ns: Cell::new(0),
            disk_ns: node.disk_ns,
            sabotage: self.options.sabotage,
        };
        peer.flush_reads();
        let result = loop {
            match peer.handle_raft_ready(now, &mut collected) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let Collected {
            messages,
            snapshots,
            tasks,
            applied,
            ..
        } = collected;
        let starts = idle && !tasks.is_empty();
        let refusal = peer.refusal();
        self.assert_one_history(applied);
        if let Some(reason) = refusal {
            tracing::info!(target: "sim", "{store} stops: {reason}");
            self.node(store.get()).refusal = Some(reason);
            return self.crash(store.get());
        }
        if starts {
            self.schedule_apply(store);
        }
        // What left before the power failed has left.
        if let Err(error) = result {
            self.power_fails(store, &error);
        }
        for message in messages {
            self.post(store, message);
        }
        for (message, source) in snapshots {
            let to = StoreId(message.to_peer.as_ref().expect("an addressee").store_id);
            let after_ns = self
                .rng
                .random_range(self.snapshot_ns / 30..self.snapshot_ns);
            self.snapshots_sent += 1;
            let happening = Happening::DeliverSnapshot(Box::new((message, source)), store);
            self.schedule(
                Event {
                    store: to,
                    incarnation: None,
                    happening,
                },
                after_ns,
            );
        }
        self.ask_log(store);
        self.note_outcomes();
    }

    fn post(&mut self, from: StoreId, message: RaftMessage) {
        let to = StoreId(message.to_peer.as_ref().expect("an addressee").store_id);
        if self.network.is_held(from, to) {
            self.held.push_back((to, message));
            return;
        }
        for after_ns in self.network.delays_ns(from, to, &mut self.rng) {
            let happening = Happening::Deliver(Box::new(message.clone()));
            self.schedule(
                Event {
                    store: to,
                    incarnation: None,
                    happening,
                },
                after_ns,
            );
        }
    }

    pub(super) fn note_outcomes(&mut self) {
        self.send_answers();
        let outcomes = std::mem::take(&mut *self.outcomes.lock());
        for (id, outcome) in outcomes {
            tracing::info!(target: "sim", "operation {id}: {outcome:?}");
            if self.history.is_open(id) {
                self.history.settle(id, outcome, self.time_ns);
            }
        }
    }

    // Checkers.

    /// Every index holds one entry, whoever applies it and whenever.
    fn assert_one_history(&mut self, entries: Vec<AppliedEntry>) {
        for AppliedEntry { index, term, data } in entries {
            let (known_term, known) = self
                .committed
                .entry(index)
                .or_insert_with(|| (term, data.clone()));
            assert!(
                *known_term == term && *known == data,
                "seed {}: index {index} was committed in term {known_term} and, with another entry, in term {term}",
                self.options.seed
            );
        }
    }

    fn assert_equal_digests(&self) {
        let digests: Vec<(StoreId, u64)> = self
            .member_nodes()
            .into_iter()
            .filter_map(|node| {
                let running = node.running.as_ref()?;
                Some((
                    node.store,
                    running.machine.dataset().read().digest().expect("a digest"),
                ))
            })
            .collect();
        let equal = digests.windows(2).all(|pair| pair[0].1 == pair[1].1);
        assert!(
            equal,
            "seed {}: replicas differ: {digests:?}",
            self.options.seed
        );
    }
}

fn lookup(running: &Running, key: u8) -> Option<u64> {
    lookup_in(&running.machine, key)
}

pub(super) fn lookup_in(machine: &server::machine::Machine, key: u8) -> Option<u64> {
    let dataset = machine.dataset().read();
    let view = dataset.view(DbIndex(0), dataset.now_ms());
    let object = view
        .lookup(key_name(key).as_bytes())
        .expect("the engine works")?;
    let text = object.string().expect("a string");
    Some(
        std::str::from_utf8(&text)
            .expect("digits")
            .parse()
            .expect("a number"),
    )
}
