//! The other voters as a Redis client sees them: INFO's `connected_slaves`, ROLE's list and WAIT's answer come from here, so
//! that they agree with one another.
//!
//! Every Store serves every client, so every Store says that it is the master, and the replicas are the voters besides the
//! leader. Only the leader knows how far each voter is. Another Store knows one thing for certain: what was acknowledged
//! is on a majority of voters. It therefore reports as many replicas as a majority has besides the leader, and no list.

use storage::ids::{LogIndex, StoreId};

use crate::raftstore::{Role, Status};

/// The voters besides the leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// How many there are for certain.
    pub connected: u64,
    /// Those that the leader knows to be reachable; empty on another Store.
    pub online: Vec<Replica>,
}

/// One voter that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its Store.
    pub store: StoreId,
    /// For clients.
    pub host: String,
    /// For clients.
    pub port: u16,
    /// The last log index that it has.
    pub matched: LogIndex,
    /// The last log index that it has on its disk.
    pub synced: LogIndex,
    /// A snapshot is on its way to it.
    pub snapshot: bool,
}

impl Replicas {
    /// Reads them from what the Raft core published.
    pub fn of(status: &Status) -> Self {
        if status.role != Role::Leader {
            return Self {
                connected: certain(status),
                online: Vec::new(),
            };
        }
        let others = status
            .peers
            .iter()
            .filter(|peer| peer.voter && peer.active && Some(peer.store) != status.leader);
        let online = others.map(|peer| {
            let member = status.members.get(peer.store);
            Replica {
                store: peer.store,
                host: member.map(|member| member.host.clone()).unwrap_or_default(),
                port: member.map_or(0, |member| member.port),
                matched: peer.matched,
                synced: peer.synced,
                snapshot: peer.snapshot,
            }
        });
        let online = online.collect::<Vec<_>>();
        Self {
            connected: online.len() as u64,
            online,
        }
    }

    /// How many of them hold what was acknowledged up to `index`.
    pub fn holding(&self, index: LogIndex, status: &Status) -> u64 {
        if status.role != Role::Leader {
            return self.connected;
        }
        self.count(|replica| replica.matched >= index)
    }

    /// On how many of their disks it is.
    pub fn synced(&self, index: LogIndex, status: &Status) -> u64 {
        if status.role == Role::Leader {
            self.count(|replica| replica.synced >= index)
        } else if status.majority_synced_index >= index {
            self.connected
        } else {
            0
        }
    }

    fn count(&self, holds: impl Fn(&Replica) -> bool) -> u64 {
        self.online.iter().filter(|replica| holds(replica)).count() as u64
    }
}

/// The voters of a majority besides the leader; none while no leader is known.
fn certain(status: &Status) -> u64 {
    if status.leader.is_some() {
        (status.voters / 2) as u64
    } else {
        0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::raftstore::{Member, Members, PeerProgress};
    use storage::ids::PeerId;

    /// Three Stores, the first one leads, the second one answers.
    pub(crate) fn three() -> Status {
        let member = |id: u64| Member {
            store: StoreId(id),
            host: format!("10.0.0.{id}"),
            port: 6378 + id as u16,
            tls_port: 0,
            bus_port: 16378 + id as u16,
            voter: true,
        };
        let members = Members {
            list: (1..=3).map(member).collect(),
            ..Members::default()
        };
        let progress = |id: u64, matched: u64, active: bool| PeerProgress {
            peer: PeerId(id),
            store: StoreId(id),
            matched: LogIndex(matched),
            synced: LogIndex(matched - 1),
            active,
            voter: true,
            snapshot: false,
        };
        let peers = vec![
            progress(1, 9, true),
            progress(2, 7, true),
            progress(3, 3, false),
        ];
        let leader = Some(StoreId(1));
        Status {
            role: Role::Leader,
            leader,
            peers,
            voters: 3,
            members: Arc::new(members),
            ..Status::default()
        }
    }

    #[test]
    fn the_leader_lists_who_answers() {
        let status = three();
        let replicas = Replicas::of(&status);
        assert_eq!(replicas.connected, 1);
        let found = &replicas.online[0];
        assert_eq!(
            (found.host.as_str(), found.port, found.matched),
            ("10.0.0.2", 6380, LogIndex(7))
        );
        assert_eq!(replicas.holding(LogIndex(7), &status), 1);
        assert_eq!(replicas.holding(LogIndex(8), &status), 0);
        assert_eq!(replicas.synced(LogIndex(6), &status), 1);
        assert_eq!(replicas.synced(LogIndex(7), &status), 0);
    }

    #[test]
    fn another_store_says_what_is_certain() {
        let status = three();
        let status = Status {
            role: Role::Follower,
            peers: Vec::new(),
            majority_synced_index: LogIndex(6),
            ..status
        };
        let replicas = Replicas::of(&status);
        assert_eq!((replicas.connected, replicas.online.len()), (1, 0));
        assert_eq!(replicas.holding(LogIndex(8), &status), 1);
        assert_eq!(replicas.synced(LogIndex(6), &status), 1);
        assert_eq!(
            replicas.synced(LogIndex(7), &status),
            0,
            "no leader has told so"
        );
        let status = Status {
            leader: None,
            ..status
        };
        assert_eq!(Replicas::of(&status).connected, 0);
    }
}
