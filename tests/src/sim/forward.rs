//! Clients whose Store does not lead: their requests are forwarded, as by [`server::dispatch::routing`], over connections that break.
//!
//! What is decided here, when to run a request again and what the log says of one that was not answered, the production code decides
//! ([`Failure::may_run_again`], [`outcome::of_verdict`], [`forwarded::header_of`], [`Claim`]); the world adds the network and the
//! time-outs.

use std::sync::Arc;

use parking_lot::Mutex;
use server::dispatch::forwarded;
use server::dispatch::outcome::{self, Failure};
use server::machine::Claim;
use server::raftstore::{Error, Proposal};
use server::transport::ForwardError;
use storage::ids::{FIRST_REGION, StoreId};
use storage::proto::command::{Request, RequestHeader};
use storage::proto::store::RegionEpoch;

use super::client::{Client, Outcome, decode, request};
use super::node::Running;
use super::sabotage::Sabotage;
use super::world::{Happening, World, lookup_in};

/// `election-hold-ms`: how long a request waits for a leader, and for the word of the log.
const HOLD_NS: u64 = 2_000_000_000;

/// Between two tries.
const RETRY_NS: u64 = 5_000_000;

/// After so long a silence a connection is given up.
const SILENCE_NS: u64 = 1_000_000_000;

/// A request at the Store that its client is connected to.
pub(super) struct Routed {
    store: StoreId,
    key: u8,
    action: Client,
    deadline_ns: u64,
    /// Answers to earlier attempts come too late.
    attempt: u64,
    /// Of an attempt that was forwarded and writes.
    claim: Option<Claim>,
    /// Its leader does not answer: the log is to tell.
    asks_log: bool,
}

/// A request on its way to a leader.
pub(super) struct Forwarded {
    id: u64,
    attempt: u64,
    asker: StoreId,
    key: u8,
    action: Client,
    request: Request,
}

/// What a leader has to say, to be sent to who asked.
pub(super) struct Answer {
    id: u64,
    attempt: u64,
    by: StoreId,
    asker: StoreId,
    result: Result<Outcome, Error>,
}

/// Answers that callbacks have given and the world has not yet sent.
pub(super) type Answers = Arc<Mutex<Vec<Answer>>>;

/// What comes of running a request at the Store that leads.
pub(super) type Respond = Box<dyn FnOnce(Result<Outcome, Error>) + Send>;

impl World {
    /// A client that is connected to `store` asks for an operation, without waiting; the id finds its outcome.
    pub fn ask(&mut self, store: u64, key: u8, action: Client) -> u64 {
        let id = self.history.invoke(key, action, self.time_ns);
        tracing::info!(target: "sim", "operation {id}: {action:?} of register {key}, asked of {store}");
        let routed = Routed {
            store: StoreId(store),
            key,
            action,
            deadline_ns: self.time_ns + HOLD_NS,
            attempt: 0,
            claim: None,
            asks_log: false,
        };
        self.routed.insert(id, routed);
        self.route(id);
        self.settle(StoreId(store));
        id
    }

    /// True while the Store that was asked lives and has not answered.
    pub fn is_waiting(&self, id: u64) -> bool {
        self.routed.contains_key(&id)
    }

    /// The connections to this Store break: nobody learns what became of their requests.
    pub(super) fn drop_clients(&mut self, store: StoreId) {
        self.routed.retain(|_, routed| routed.store != store);
    }

    /// Tries to run a request where the leader is.
    pub(super) fn route(&mut self, id: u64) {
        let Some(routed) = self.routed.get_mut(&id) else {
            return;
        };
        routed.attempt += 1;
        let store = routed.store;
        let running = self.nodes[&store].running.as_ref();
        let leader = running.and_then(|running| running.peer.leader_store());
        match leader {
            None => self.conclude(id, Failure::TryAgain { leader: None }),
            Some(leader) if leader == store => self.route_here(id),
            Some(leader) => self.route_there(id, leader),
        }
    }

    fn route_here(&mut self, id: u64) {
        let routed = &self.routed[&id];
        let (store, key, action) = (routed.store, routed.key, routed.action);
        let respond = self.respond(id, routed.attempt, store, store);
        self.execute(store, key, action, request(key, action), None, respond);
    }

    fn route_there(&mut self, id: u64, leader: StoreId) {
        const AGAIN: Failure = Failure::TryAgain { leader: None };
        let routed = &self.routed[&id];
        let (store, key, action, attempt) =
            (routed.store, routed.key, routed.action, routed.attempt);
        let Some(running) = self.nodes[&store].running.as_ref() else {
            return;
        };
        let mut request = request(key, action);
        let mut claim = None;
        if !action.reads_only() {
            let term = running.peer.term();
            let Some(claimed) = running.machine.outstanding().claim(term) else {
                return self.conclude(id, AGAIN);
            };
            request.origin = Some(Box::new(claimed.origin()));
            request.made_for = Some(Box::new(made_for(running)));
            claim = Some(claimed);
        }
        if self.nodes[&leader].running.is_none() || self.network.is_cut(store, leader) {
            // No connection stands.
            return self.conclude(id, AGAIN);
        }
        let routed = self.routed.get_mut(&id).expect("looked up above");
        routed.claim = claim;
        let forwarded = Forwarded {
            id,
            attempt,
            asker: store,
            key,
            action,
            request,
        };
        let silent = Happening::Answered(id, attempt, Err(ForwardError::Unknown));
        self.schedule_own(store, SILENCE_NS, silent);
        // To this process of the leader's Store: a connection does not outlive it.
        if let Some(after_ns) = self.first_delay_ns(store, leader) {
            self.schedule_own(leader, after_ns, Happening::Forwarded(Box::new(forwarded)));
        }
    }

    /// When one message arrives, if it does: streams neither repeat nor lose anything unless they break.
    fn first_delay_ns(&mut self, from: StoreId, to: StoreId) -> Option<u64> {
        let delays = self.network.delays_ns(from, to, &mut self.rng);
        delays.into_iter().next()
    }

    /// A request has come to the Store that was taken for the leader.
    pub(super) fn run_forwarded(&mut self, store: StoreId, forwarded: Forwarded) {
        let Forwarded {
            id,
            attempt,
            asker,
            key,
            action,
            mut request,
        } = forwarded;
        let respond = self.respond(id, attempt, store, asker);
        let running = self.nodes[&store].running.as_ref();
        let leader = running.and_then(|running| running.peer.leader_store());
        if action.reads_only() && leader != Some(store) {
            return respond(Err(Error::NotLeader { leader }));
        }
        let header = match self.options.sabotage {
            Sabotage::UnbindForwarded => None,
            _ => forwarded::header_of(&mut request),
        };
        self.execute(store, key, action, request, header, respond);
    }

    fn respond(&self, id: u64, attempt: u64, by: StoreId, asker: StoreId) -> Respond {
        let answers = Arc::clone(&self.answers);
        Box::new(move |result| {
            answers.lock().push(Answer {
                id,
                attempt,
                by,
                asker,
                result,
            });
        })
    }

    /// Runs an operation at a Store that should lead.
    pub(super) fn execute(
        &mut self,
        store: StoreId,
        key: u8,
        action: Client,
        request: Request,
        header: Option<Box<RequestHeader>>,
        respond: Respond,
    ) {
        let sabotage = self.options.sabotage;
        let now = self.nodes[&store].now(self.time_ns);
        let Some(running) = self.node(store.get()).running.as_mut() else {
            return respond(Err(Error::Stopped));
        };
        if !action.reads_only() {
            let proposal = Proposal {
                header,
                request,
                callback: Box::new(|result| respond(result.map(|response| decode(&response)))),
            };
            return running.peer.propose_raft_command(vec![proposal], now);
        }
        let machine = running.machine.clone();
        let value = move || Outcome::Value(lookup_in(&machine, key));
        let leads = sabotage == Sabotage::IgnoreLease && running.peer.is_leader();
        if running.lease.is_valid_at(now.monotonic_ns)
            || leads
            || sabotage == Sabotage::SkipReadIndex
        {
            return respond(Ok(value()));
        }
        running
            .peer
            .read_index(Box::new(move |result: Result<(), Error>| {
                respond(result.map(|()| value()))
            }));
    }

    /// Sends what leaders have answered.
    pub(super) fn send_answers(&mut self) {
        let answers = std::mem::take(&mut *self.answers.lock());
        for Answer {
            id,
            attempt,
            by,
            asker,
            result,
        } in answers
        {
            if by == asker {
                self.on_answer(id, attempt, result.map_err(Failure::from));
            } else if let Some(after_ns) = self.first_delay_ns(by, asker) {
                let result = result.map_err(ForwardError::from);
                self.schedule_own(asker, after_ns, Happening::Answered(id, attempt, result));
            }
        }
    }

    /// An attempt has ended.
    pub(super) fn on_answer(&mut self, id: u64, attempt: u64, result: Result<Outcome, Failure>) {
        let asks = self.options.sabotage != Sabotage::SendTwice;
        let Some(routed) = self.routed.get_mut(&id) else {
            return;
        };
        if routed.attempt != attempt {
            return;
        }
        match result {
            Ok(outcome) => self.finish(id, outcome),
            Err(Failure::Unknown) if routed.claim.is_some() && !routed.asks_log && asks => {
                routed.asks_log = true;
                let store = routed.store;
                self.schedule_own(
                    store,
                    HOLD_NS,
                    Happening::Answered(id, attempt, Err(ForwardError::Unknown)),
                );
                self.ask_log(store);
            }
            Err(failure) => self.conclude(id, failure),
        }
    }

    /// Looks what the log of this Store tells by now of requests whose leader does not answer.
    pub(super) fn ask_log(&mut self, store: StoreId) {
        let asking = self
            .routed
            .iter_mut()
            .filter(|(_, routed)| routed.store == store && routed.asks_log);
        let told: Vec<_> = asking
            .filter_map(|(id, routed)| Some((*id, routed.claim.as_mut()?.try_verdict()?)))
            .collect();
        for (id, verdict) in told {
            match outcome::of_verdict(verdict) {
                Ok(response) => self.finish(id, decode(&response)),
                Err(failure) => self.conclude(id, failure),
            }
        }
    }

    /// An attempt has failed.
    fn conclude(&mut self, id: u64, failure: Failure) {
        let time_ns = self.time_ns;
        let sends_twice = self.options.sabotage == Sabotage::SendTwice;
        let Some(routed) = self.routed.get_mut(&id) else {
            return;
        };
        routed.claim = None;
        routed.asks_log = false;
        let again = failure.may_run_again(routed.action.reads_only() || sends_twice);
        if again && time_ns < routed.deadline_ns {
            // What is still under way of this attempt counts no more.
            routed.attempt += 1;
            let store = routed.store;
            return self.schedule_own(store, RETRY_NS, Happening::RouteAgain(id));
        }
        match failure {
            Failure::Unknown => self.finish(id, Outcome::Unknown),
            Failure::TryAgain { .. } | Failure::Refused(_) => self.finish(id, Outcome::Refused),
        }
    }

    fn finish(&mut self, id: u64, outcome: Outcome) {
        tracing::info!(target: "sim", "operation {id}: {outcome:?}");
        self.routed.remove(&id);
        if self.history.is_open(id) {
            self.history.settle(id, outcome, self.time_ns);
        }
    }
}

/// As a Store that forwards writes it: any configuration will do.
fn made_for(running: &Running) -> RequestHeader {
    let epoch = running.peer.storage().region().epoch.unwrap_or_default();
    RequestHeader {
        region_id: FIRST_REGION.get(),
        epoch: Some(RegionEpoch {
            conf_ver: 0,
            ..epoch
        }),
        term: running.peer.term().get(),
        ..RequestHeader::default()
    }
}
