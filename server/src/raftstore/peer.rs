//! A Region's replica on this Store: its fields, its inputs, and what follows every one of them. The verbs are in the
//! neighbouring files: `propose`, `read`, `ready`, `compact`.

use std::collections::VecDeque;
use std::sync::Arc;

use raft::eraftpb::MessageType;
use raft::{RawNode, StateRole};
use storage::dataset::Checked;
use storage::engine::Durability;
use storage::ids::{LogIndex, PeerId, StoreId, Term};
use storage::peer_storage::PeerStorage;
use storage::proto::command::RaftMessage;
use storage::snapshot::ReceivedSnapshot;

use super::apply::{Applied, Callback};
use super::clock::{LogicalTime, Now};
use super::compact::Installing;
use super::config::PeerConfig;
use super::consistency::Consistency;
use super::disk::{Disks, Unsaved};
use super::election::{Election, Moment};
use super::error::Error;
use super::founding::Founding;
use super::lease::{Echoes, Lease};
use super::logger::raft_logger;
use super::membership::Members;
use super::priority::Priorities;
use super::propose::Held;
use super::read::Reads;
use super::synced::Synced;

/// The context that the `raft` crate gives to the votes of a transfer of leadership.
const CAMPAIGN_TRANSFER: &[u8] = b"CampaignTransfer";

/// Election time-outs within which what became of the proposals of a lost leadership should show: another leader commits entries in
/// their place, or these. On a busy machine that takes several elections, and until then nothing certain can be answered.
const STALE_AFTER_ELECTIONS: u64 = 8;

/// Entries that this Peer appended as a leader and that are not yet committed.
pub(super) struct Pending {
    pub(super) index: LogIndex,
    pub(super) term: Term,
    pub(super) callbacks: Vec<Callback>,
}

/// What [`Peer::step`] did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Given to Raft.
    Stepped,
    /// Dropped, with the reason for a log line.
    Ignored(&'static str),
}

/// The role, term and leader that were seen last, to notice a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    role: StateRole,
    term: u64,
    leader: u64,
}

/// A Region's replica on this Store.
///
/// Invariants, asserted where they could break:
/// - `applied <= commit <= last_index` (and the rest of DESIGN.md section 4, in `PeerStorage`);
/// - every index in `pending` was appended by this Peer in the term noted with it, and those of one term are in order. When it leads
///   again, those of the former term may have greater indexes than newer ones;
/// - the lease is published only while this Peer leads, has applied the first entry of its term, and has not started a
///   transfer in it.
pub struct Peer {
    pub(super) config: PeerConfig,
    pub(super) raw: RawNode<PeerStorage>,
    pub(super) held: Held,
    pub(super) pending: VecDeque<Pending>,
    pub(super) reads: Reads,
    /// By which keys expire.
    pub(super) time: Arc<LogicalTime>,
    pub(super) applied: LogIndex,
    /// Waits for room on the disk.
    pub(super) unsaved: Option<Unsaved>,
    pub(super) stopped: bool,
    /// As of the configuration that is in force.
    pub(super) members: Arc<Members>,
    seen: Seen,
    lease: Arc<Lease>,
    pub(super) echoes: Echoes,
    /// Newest stamp of the present leader, with its term.
    heard: Option<(u64, u64, u64)>,
    /// Index of the first entry of the term that this Peer leads.
    term_start: Option<LogIndex>,
    transfer_in_term: bool,
    /// When this Peer began to lead, and when time came in last, by the monotonic clock.
    pub(super) lead_since_ns: u64,
    pub(super) last_tick_ns: u64,
    elections: u64,
    pub(super) election: Election,
    pub(super) priorities: Priorities,
    pub(super) consistency: Consistency,
    pub(super) disks: Disks,
    pub(super) founding: Founding,
    pub(super) installing: Installing,
    pub(super) synced: Synced,
    /// The newest check that was executed here.
    pub(super) checked: Option<Checked>,
    votes_refused_until_ns: u64,
    stale_deadline_ns: Option<u64>,
}

impl Peer {
    /// A Peer over an opened `storage`, whose applied index is that of the checkpoint. The only voter of a Region
    /// campaigns at once.
    pub fn new(
        config: PeerConfig,
        storage: PeerStorage,
        lease: Arc<Lease>,
        now: Now,
    ) -> raft::Result<Self> {
        let applied = storage.applied_index();
        let members = storage.region().peers.iter().map(|peer| peer.store_id);
        let founding = Founding::new(config.store, members, storage.founding().clone());
        let raw = RawNode::new(&config.raft(applied), storage, &raft_logger())?;
        let seen = Seen {
            role: raw.raft.state,
            term: raw.raft.term,
            leader: raw.raft.leader_id,
        };
        let mut peer = Self {
            votes_refused_until_ns: now.monotonic_ns + config.loyalty_ns(),
            raw,
            held: Held::default(),
            pending: VecDeque::new(),
            reads: Reads::new(mix(config.seed)),
            time: Arc::default(),
            applied,
            unsaved: None,
            stopped: false,
            members: Arc::default(),
            seen,
            lease,
            echoes: Echoes::default(),
            heard: None,
            term_start: None,
            transfer_in_term: false,
            lead_since_ns: 0,
            last_tick_ns: now.monotonic_ns,
            elections: 0,
            election: Election::default(),
            priorities: Priorities::default(),
            consistency: Consistency::default(),
            disks: Disks::default(),
            founding,
            installing: Installing::default(),
            synced: Synced::default(),
            checked: None,
            stale_deadline_ns: None,
            config,
        };
        peer.note_members();
        peer.draw_election_timeout();
        if peer.is_alone() {
            peer.raw.campaign()?;
            peer.observe(now);
        }
        Ok(peer)
    }

    /// Raft's log and state.
    pub fn storage(&self) -> &PeerStorage {
        self.raw.store()
    }

    /// True while this Peer leads in its present term.
    pub fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// True when this Peer leads and has applied the first entry of its term: its memory holds everything that was ever
    /// acknowledged.
    pub fn leads_with_all(&self) -> bool {
        self.is_leader() && self.term_start.is_some_and(|start| self.applied >= start)
    }

    /// True while no other Peer has a vote: then an entry is committed when this Peer has persisted it.
    pub(super) fn is_alone(&self) -> bool {
        let voters = self.raw.raft.prs().conf().voters().ids();
        let mut voters = voters.iter();
        voters.next() == Some(self.config.peer.get()) && voters.next().is_none()
    }

    /// True while every entry waits for the disk.
    pub(super) fn waits_for_disk(&self) -> bool {
        self.raw.store().durability() == Durability::Synced
    }

    /// The current term.
    pub fn term(&self) -> Term {
        Term(self.raw.raft.term)
    }

    /// By which keys expire.
    pub fn logical_time(&self) -> Arc<LogicalTime> {
        self.time.clone()
    }

    /// The Store of the leader that this Peer knows.
    pub fn leader_store(&self) -> Option<StoreId> {
        Some(self.raw.raft.leader_id)
            .filter(|&leader| leader != 0)
            .map(store_of)
    }

    /// Last index handed to and executed by the apply worker.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The lease of this Peer at `now_ns`.
    pub fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// Refuses everything from now on, and tells everybody who waits.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.lease.set(0);
        self.held.refuse(&Error::Stopped);
        for callback in self.pending.drain(..).flat_map(|pending| pending.callbacks) {
            callback(Err(Error::StaleCommand));
        }
        self.reads.fail_all(&Error::Stopped);
    }

    /// One tick of Raft's logical clock. Called at most once per `tick_ms`: after a pause ticks are not made up for, or a
    /// follower would campaign while messages of a healthy leader wait in its inbox.
    pub fn tick(&mut self, now: Now) {
        self.last_tick_ns = now.monotonic_ns;
        if !self.is_admitted() {
            self.founding.tick();
            return;
        }
        self.raw.tick();
        self.observe(now);
        self.mind_heartbeats();
        if self.waits_for_room() {
            // Whoever leads and reaches nobody steps down; nobody is asked for a vote.
            self.raw.raft.msgs.clear();
        } else {
            self.campaign_if_due(now);
        }
        if self
            .stale_deadline_ns
            .is_some_and(|deadline| now.monotonic_ns >= deadline)
        {
            self.stale_deadline_ns = None;
            self.give_up_stale();
        }
        self.retry_reads();
        self.promote_learner(now);
        self.mind_priority(now);
        self.mind_disk(now);
        self.mind_consistency(now);
        self.publish_lease(now);
    }

    /// What became of the proposals of a lost leadership has not shown in time. This Peer may lead again, and has newer ones.
    fn give_up_stale(&mut self) {
        let led = self.is_leader().then(|| self.term());
        let pending = std::mem::take(&mut self.pending).into_iter();
        let (kept, stale): (VecDeque<_>, VecDeque<_>) =
            pending.partition(|pending| Some(pending.term) == led);
        self.pending = kept;
        for callback in stale.into_iter().flat_map(|pending| pending.callbacks) {
            callback(Err(Error::StaleCommand));
        }
    }

    /// Takes a message from another Store. A `MsgSnapshot` comes with the file that was received before it.
    pub fn step(&mut self, message: RaftMessage, file: Option<ReceivedSnapshot>, now: Now) -> Step {
        if message.region_id != self.config.region.get() {
            return Step::Ignored("for another Region");
        }
        if message.to_peer.as_ref().map(|peer| peer.id) != Some(self.config.peer.get()) {
            return Step::Ignored("for another Peer");
        }
        if message.founding.is_some() {
            return self.step_founding(message);
        }
        if !self.is_admitted() {
            return Step::Ignored("to a founder that does not take part yet");
        }
        let Some(inner) = message.message else {
            return Step::Ignored("without content");
        };
        let Ok(inner) = raft::eraftpb::Message::try_from(inner) else {
            return Step::Ignored("of an unknown kind");
        };
        let (from, term, kind) = (inner.from, inner.term, inner.get_msg_type());
        let silent_ticks = self.raw.raft.election_elapsed;
        if raft::raw_node::is_local_msg(kind) {
            return Step::Ignored("of a local kind");
        }
        let conf_ver = message.epoch.map_or(0, |epoch| epoch.conf_ver);
        if !self.may_hear(PeerId(from), conf_ver) {
            return Step::Ignored("from a Peer that is not a member");
        }
        // Between a Ready and its saving Raft must not append; and who cannot persist has nothing to answer.
        if self.waits_for_room() && kind != MessageType::MsgHeartbeat {
            return Step::Ignored("while the disk is full");
        }
        if !self.knows_members() && asks_for_a_vote(kind) {
            return Step::Ignored("a vote asked of a Peer that does not know the members");
        }
        if !self.may_vote(&inner, now) {
            return Step::Ignored("a vote too soon after a restart");
        }
        if kind == MessageType::MsgTransferLeader {
            self.suspend_lease();
        }
        if kind == MessageType::MsgSnapshot {
            let Some(file) = file else {
                return Step::Ignored("a snapshot without its file");
            };
            self.raw.mut_store().receive(file);
        }
        if self.raw.step(inner).is_err() {
            return Step::Ignored("refused by Raft");
        }
        self.observe(now);
        self.want_synced(LogIndex(message.sync_wanted_index));
        if self.leads(from, term, kind) {
            self.note_probe(from, term, message.probe_ns);
            self.on_majority_synced(message.synced_index);
            self.election.on_word(silent_ticks, message.round_trip_us);
        }
        if message.probe_echo_ns > 0 && self.is_leader() && term == self.raw.raft.term {
            self.echoes.record(PeerId(from), message.probe_echo_ns);
            self.synced.record(PeerId(from), message.synced_index);
            if kind == MessageType::MsgHeartbeatResponse {
                let ns = now.monotonic_ns.saturating_sub(message.probe_echo_ns);
                self.election.on_round_trip(PeerId(from), ns);
                self.priorities
                    .record(PeerId(from), message.leader_priority);
                self.disks
                    .record(PeerId(from), message.persist_us, message.disk_low);
                self.consistency.record(
                    PeerId(from),
                    message.checked_index,
                    message.checked_digest,
                );
            }
            self.publish_lease(now);
        }
        Step::Stepped
    }

    /// Asks a voter to take over; another Store than the leader's passes it on. The lease ends for the rest of this term: the target may be told to campaign at
    /// any later moment, and voters will follow it.
    pub fn transfer_leader(&mut self, to: PeerId, now: Now) {
        if self.is_leader() && to == self.config.peer {
            return;
        }
        self.suspend_lease();
        self.raw.transfer_leader(to.get());
        self.observe(now);
    }

    /// The same by Store; unknown Stores are ignored.
    pub fn transfer_leader_to(&mut self, to: StoreId, now: Now) {
        self.transfer_leader(PeerId(to.get()), now);
    }

    /// The last message to this Store could not be delivered.
    pub fn report_unreachable(&mut self, store: StoreId) {
        self.raw.report_unreachable(store.get());
    }

    /// The host of this Store refuses connections: its process is gone.
    pub fn report_gone(&mut self, store: StoreId) {
        if self.leader_store() == Some(store) && !self.is_leader() {
            let silent_ticks = self.raw.raft.election_elapsed;
            self.election.on_gone(store, silent_ticks);
        }
    }

    /// Sends heartbeats between those that Raft sends by itself, where these are too far apart for the round trip.
    fn mind_heartbeats(&mut self) {
        if !self.is_leader() {
            return;
        }
        let interval_ticks = self.election.heartbeat_ticks(&self.config, &self.voters());
        let elapsed_ticks = self.raw.raft.heartbeat_elapsed();
        if elapsed_ticks > 0 && elapsed_ticks.is_multiple_of(interval_ticks) {
            self.raw.ping();
        }
    }

    /// Campaigns before Raft would, where that is known to be right. See [`super::election`].
    fn campaign_if_due(&mut self, now: Now) {
        self.election.tick();
        let raft = &self.raw.raft;
        if raft.state == StateRole::Leader || !raft.promotable() {
            return;
        }
        let moment = Moment {
            silent_ticks: raft.election_elapsed,
            term: raft.term,
            elections: self.elections,
        };
        let voters = self.voters();
        if !self.election.is_due(&self.config, &voters, moment) {
            return;
        }
        self.election.on_attempt();
        if let Err(error) = self.raw.campaign() {
            tracing::debug!("cannot campaign: {error}");
        }
        self.observe(now);
    }

    /// The apply worker has executed a task.
    pub fn on_applied(&mut self, applied: Applied, now: Now) {
        let Applied {
            index,
            now_ms,
            checked,
        } = applied;
        assert!(
            index >= self.applied,
            "applied went back from {} to {index}",
            self.applied
        );
        assert!(
            index.get() <= self.raw.raft.raft_log.committed,
            "applied {index} is not committed"
        );
        if index == self.applied {
            return;
        }
        self.applied = index;
        self.checked = checked;
        self.time.observe(now_ms);
        self.raw.advance_apply_to(index.get());
        self.raw.mut_store().set_applied(index);
        self.reads.on_applied(index);
        self.publish_lease(now);
    }

    /// What must follow every call into Raft: notices a change of role, term or leader.
    pub(super) fn observe(&mut self, now: Now) {
        let raft = &self.raw.raft;
        let seen = Seen {
            role: raft.state,
            term: raft.term,
            leader: raft.leader_id,
        };
        if seen == self.seen {
            self.keep_election_timeout();
            return;
        }
        let before = std::mem::replace(&mut self.seen, seen);
        if matches!(seen.role, StateRole::PreCandidate | StateRole::Candidate) {
            self.elections += 1;
        }
        self.draw_election_timeout();
        if seen.leader != 0 && (seen.leader, seen.term) != (before.leader, before.term) {
            self.election.on_leader();
        }
        let led = before.role == StateRole::Leader && before.term == seen.term;
        if seen.role == StateRole::Leader && !led {
            // Raft has just appended the empty entry that opens the term, and nothing else yet.
            self.term_start = Some(LogIndex(self.raw.raft.raft_log.last_index()));
            self.echoes.clear();
            self.transfer_in_term = false;
            self.lead_since_ns = now.monotonic_ns;
            self.lease.set(0);
            self.election.on_lead();
            self.priorities.on_lead();
            self.consistency.on_lead();
            self.synced.on_lead();
            self.forget_installing();
        } else if seen.role != StateRole::Leader && before.role == StateRole::Leader {
            self.term_start = None;
            self.lease.set(0);
            if seen.leader == 0 {
                self.election.on_step_down();
            }
            let patience_ns = STALE_AFTER_ELECTIONS * 2 * self.config.loyalty_ns();
            self.stale_deadline_ns = Some(now.monotonic_ns + patience_ns);
        }
        self.reads.on_leader_change();
    }

    /// A voter that has restarted may have promised loyalty to a leader that it no longer knows: it votes for nobody until
    /// such a promise must have ended, unless the leader itself ended it by a transfer.
    fn may_vote(&self, message: &raft::eraftpb::Message, now: Now) -> bool {
        !asks_for_a_vote(message.get_msg_type())
            || now.monotonic_ns >= self.votes_refused_until_ns
            || &message.context[..] == CAMPAIGN_TRANSFER
    }

    /// Whether such a message came from the leader of the present term.
    fn leads(&self, from: u64, term: u64, kind: MessageType) -> bool {
        let of_leaders = [
            MessageType::MsgAppend,
            MessageType::MsgHeartbeat,
            MessageType::MsgSnapshot,
        ];
        let raft = &self.raw.raft;
        of_leaders.contains(&kind) && term == raft.term && from == raft.leader_id
    }

    fn note_probe(&mut self, from: u64, term: u64, probe_ns: u64) {
        if probe_ns == 0 {
            return;
        }
        self.heard = Some(match self.heard {
            Some((t, f, newest)) if (t, f) == (term, from) => (t, f, newest.max(probe_ns)),
            _ => (term, from, probe_ns),
        });
    }

    /// The stamps of an outgoing message: (probe, echo).
    pub(super) fn stamps(&self, message: &raft::eraftpb::Message, now: Now) -> (u64, u64) {
        match message.get_msg_type() {
            MessageType::MsgAppend | MessageType::MsgHeartbeat => (now.monotonic_ns, 0),
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse => {
                match self.heard {
                    Some((term, from, newest)) if (term, from) == (message.term, message.to) => {
                        (0, newest)
                    }
                    _ => (0, 0),
                }
            }
            _ => (0, 0),
        }
    }

    fn suspend_lease(&mut self) {
        if self.is_leader() {
            self.transfer_in_term = true;
            self.lease.set(0);
        }
    }

    /// Publishes the lease as it stands after whatever has just happened.
    pub(super) fn publish_lease(&mut self, now: Now) {
        if !self.leads_with_all() || self.transfer_in_term || self.stopped {
            self.lease.set(0);
            return;
        }
        if self.is_alone() {
            self.lease.set(u64::MAX);
            return;
        }
        let conf = self.raw.raft.prs().conf().to_conf_state();
        let me = self.config.peer;
        let incoming = self
            .echoes
            .quorum_ns(&conf.voters, me, now.monotonic_ns)
            .unwrap_or(0);
        let outgoing = self
            .echoes
            .quorum_ns(&conf.voters_outgoing, me, now.monotonic_ns)
            .unwrap_or(u64::MAX);
        match incoming.min(outgoing) {
            0 => self.lease.set(0),
            heard_ns => self.lease.set(heard_ns + self.config.lease_ns()),
        }
    }

    /// The election time-out, in ticks, that this Peer uses in its present term and attempt.
    fn election_timeout(&self) -> usize {
        let term = self.raw.raft.term;
        self.election
            .timeout_ticks(&self.config, term, self.elections)
    }

    fn draw_election_timeout(&mut self) {
        let ticks = self.election_timeout();
        self.raw.raft.set_randomized_election_timeout(ticks);
    }

    /// Raft draws its own time-out whenever it resets; ours replaces it.
    fn keep_election_timeout(&mut self) {
        let ticks = self.election_timeout();
        if self.raw.raft.randomized_election_timeout() != ticks {
            self.raw.raft.set_randomized_election_timeout(ticks);
        }
    }

    pub(super) fn voters(&self) -> Vec<u64> {
        self.raw.raft.prs().conf().to_conf_state().voters
    }
}

/// A Peer has the id of its Store.
pub(super) fn store_of(peer: u64) -> StoreId {
    StoreId(peer)
}

fn asks_for_a_vote(kind: MessageType) -> bool {
    [MessageType::MsgRequestVote, MessageType::MsgRequestPreVote].contains(&kind)
}

/// The finaliser of splitmix64: spreads every bit of its input over the whole output.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
