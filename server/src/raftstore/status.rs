//! What INFO, ROLE and WAIT are told of the Raft core: a copy, published by the store thread.

use std::sync::Arc;

use storage::ids::{LogIndex, PeerId, StoreId, Term};
use storage::proto::store::RegionEpoch;

use super::membership::Members;

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
    /// The last index that it has durably.
    pub matched: LogIndex,
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
