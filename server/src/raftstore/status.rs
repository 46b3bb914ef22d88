//! What INFO, ROLE and WAIT are told of the Raft core: a copy, published by the store thread.

use std::sync::Arc;

use raft::StateRole;
use storage::ids::{LogIndex, PeerId, StoreId, Term};
use storage::proto::store::RegionEpoch;

use super::membership::Members;
use super::peer::{Peer, store_of};

/// Election time-outs without an answer after which a Peer is called lost.
const LOST_AFTER_ELECTIONS: u64 = 2;

/// The role of this Store's Peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one.
    #[default]
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Receives the log without a vote.
    Learner,
}

impl Role {
    /// The role as INFO prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
            Self::Learner => "learner",
        }
    }
}

/// How far a Peer's log is, as the leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    /// The Peer.
    pub peer: PeerId,
    /// Its Store.
    pub store: StoreId,
    /// The last index that it has in its log; durably with `appendfsync always`.
    pub matched: LogIndex,
    /// Up to where it has told that its log is on its disk.
    pub synced: LogIndex,
    /// It has answered within the last election time-out.
    pub active: bool,
    /// It may vote.
    pub voter: bool,
    /// A snapshot is on its way to it.
    pub snapshot: bool,
}

/// The state of the Region's Peer on this Store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Role of this Peer.
    pub role: Role,
    /// Current term.
    pub term: Term,
    /// The Store of the leader, if one is known.
    pub leader: Option<StoreId>,
    /// First index of the log that is still there.
    pub first_index: LogIndex,
    /// Last index of the log.
    pub last_index: LogIndex,
    /// Last committed index.
    pub commit_index: LogIndex,
    /// Last applied index.
    pub applied_index: LogIndex,
    /// The applied index that the kv engine holds durably.
    pub checkpoint_index: LogIndex,
    /// Up to where this Store's log is on its disk.
    pub synced_index: LogIndex,
    /// Up to where the logs of the leader and of so many others that they are a majority are on disks.
    pub majority_synced_index: LogIndex,
    /// Where this replica was last compared with the others; 0: not yet.
    pub checked_index: LogIndex,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Progress of every Peer; only the leader knows it.
    pub peers: Vec<PeerProgress>,
    /// The Region's epoch; 0 on a Store that does not know the Region yet.
    pub epoch: RegionEpoch,
    /// Number of voters of the Region.
    pub voters: usize,
    /// Everybody who belongs to the Region; made anew only when they change.
    pub members: Arc<Members>,
}

impl Status {
    /// The voter that would best take over from this leader: of those that answer the one whose log is longest.
    pub fn successor(&self) -> Option<StoreId> {
        let others = self.peers.iter().filter(|peer| {
            peer.voter && peer.active && !peer.snapshot && Some(peer.store) != self.leader
        });
        others
            .max_by_key(|peer| peer.matched)
            .map(|peer| peer.store)
    }
}

impl Peer {
    /// A copy of what operators ask for.
    pub fn status(&self) -> Status {
        let raft = &self.raw.raft;
        let storage = self.raw.store();
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if !raft.promotable() => Role::Learner,
            StateRole::Follower => Role::Follower,
        };
        Status {
            role,
            term: Term(raft.term),
            leader: self.leader_store(),
            first_index: storage.first_index(),
            last_index: LogIndex(raft.raft_log.last_index()),
            commit_index: LogIndex(raft.raft_log.committed),
            applied_index: self.applied,
            checkpoint_index: storage.checkpoint_index(),
            synced_index: self.synced.own(),
            majority_synced_index: self.majority_synced(),
            checked_index: self.checked.map_or(LogIndex(0), |checked| checked.index),
            log_bytes: storage.log_bytes(),
            peers: self.progress(),
            epoch: storage.region().epoch.unwrap_or_default(),
            voters: self.voters().len(),
            members: Arc::clone(&self.members),
        }
    }

    /// Whether a Peer has answered lately, as its leader knows. Raft's own `recent_active` does not tell: it is cleared at every
    /// election time-out, and everybody would seem to be lost for a moment.
    pub(super) fn answers(&self, id: u64) -> bool {
        let heard_ns = self.echoes.newest_ns(PeerId(id)).unwrap_or(0);
        let limit_ns = LOST_AFTER_ELECTIONS * self.config.patience_ns();
        id == self.config.peer.get()
            || heard_ns.max(self.lead_since_ns) + limit_ns >= self.last_tick_ns
    }

    fn progress(&self) -> Vec<PeerProgress> {
        if !self.is_leader() {
            return Vec::new();
        }
        let tracker = self.raw.raft.prs();
        let voters = self.voters();
        let mut peers: Vec<PeerProgress> = tracker
            .iter()
            .map(|(&id, progress)| PeerProgress {
                peer: PeerId(id),
                store: store_of(id),
                matched: LogIndex(progress.matched),
                synced: self.synced.of(PeerId(id), LogIndex(progress.matched)),
                active: self.answers(id),
                voter: voters.contains(&id),
                snapshot: progress.state == raft::ProgressState::Snapshot,
            })
            .collect();
        peers.sort_unstable_by_key(|progress| progress.peer);
        peers
    }
}
