//! The other voters as a Redis client sees them: INFO's `connected_slaves`, ROLE's list and WAIT's answer come from here, so
//! that they agree with one another.
//!
//! Every Store serves every client, so every Store says that it is the master, and the replicas are the voters besides the
//! leader. Only the leader knows how far each voter is. Another Store knows one thing for certain: what was acknowledged
//! is on a majority of voters. It therefore reports as many replicas as a majority has besides the leader, and no list.

use storage::ids::{LogIndex, StoreId};

use crate::config::Settings;
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
    /// The last log index that it has durably.
    pub matched: LogIndex,
    /// A snapshot is on its way to it.
    pub snapshot: bool,
}

impl Replicas {
    /// Reads them from what the Raft core published.
    pub fn of(status: &Status, settings: &Settings) -> Self {
        if status.role != Role::Leader {
            return Self {
                connected: certain(status),
                online: Vec::new(),
            };
        }
        let own = settings.store_id();
        let others = status
            .peers
            .iter()
            .filter(|peer| peer.voter && peer.active && peer.store != own);
        let online = others.map(|peer| {
            let address = settings
                .cluster_peers
                .iter()
                .find(|address| address.store_id == peer.store);
            Replica {
                store: peer.store,
                host: address
                    .map(|address| address.host.clone())
                    .unwrap_or_default(),
                port: address.map_or(0, |address| address.port),
                matched: peer.matched,
                snapshot: peer.snapshot,
            }
        });
        let online = online.collect::<Vec<_>>();
        Self {
            connected: online.len() as u64,
            online,
        }
    }

    /// How many of them hold the log up to `index` durably.
    pub fn holding(&self, index: LogIndex, status: &Status) -> u64 {
        if status.role != Role::Leader {
            return self.connected;
        }
        self.online
            .iter()
            .filter(|replica| replica.matched >= index)
            .count() as u64
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
    use crate::config::peers;
    use crate::raftstore::PeerProgress;
    use storage::ids::PeerId;

    /// Three Stores, the first one leads, the second one answers.
    pub(crate) fn three() -> (Settings, Status) {
        let list = "1@10.0.0.1:6379,2@10.0.0.2:6380,3@10.0.0.3:6381".to_owned();
        let cluster_peers = peers::parse(&[list]).expect("a list");
        let settings = Settings {
            node_id: 1,
            cluster_peers,
            ..Settings::default()
        };
        let progress = |id: u64, matched: u64, active: bool| PeerProgress {
            peer: PeerId(id),
            store: StoreId(id),
            matched: LogIndex(matched),
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
        (
            settings,
            Status {
                role: Role::Leader,
                leader,
                peers,
                voters: 3,
                ..Status::default()
            },
        )
    }

    #[test]
    fn the_leader_lists_who_answers() {
        let (settings, status) = three();
        let replicas = Replicas::of(&status, &settings);
        assert_eq!(replicas.connected, 1);
        let found = &replicas.online[0];
        assert_eq!(
            (found.host.as_str(), found.port, found.matched),
            ("10.0.0.2", 6380, LogIndex(7))
        );
        assert_eq!(replicas.holding(LogIndex(7), &status), 1);
        assert_eq!(replicas.holding(LogIndex(8), &status), 0);
    }

    #[test]
    fn another_store_says_what_is_certain() {
        let (settings, status) = three();
        let status = Status {
            role: Role::Follower,
            peers: Vec::new(),
            ..status
        };
        let replicas = Replicas::of(&status, &settings);
        assert_eq!((replicas.connected, replicas.online.len()), (1, 0));
        assert_eq!(replicas.holding(LogIndex(8), &status), 1);
        let status = Status {
            leader: None,
            ..status
        };
        assert_eq!(Replicas::of(&status, &settings).connected, 0);
    }
}
