//! The Stores of the cluster as clients know them: where they are, who leads, and the names that Redis's dialects give them.
//!
//! The one place that answers this, for redirects, CLUSTER, ROLE, INFO and the Sentinel port.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest, Sha256};
use storage::ids::StoreId;

use super::routing::barrier;
use super::shared::Shared;
use crate::raftstore::{Role, Status};

/// Between two questions for the leader while none answers.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// One Store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub store: StoreId,
    /// Forty hexadecimal digits, for good: Redis Cluster's node id, Sentinel's run id.
    pub name: String,
    /// For clients, without brackets. Empty while it is not known: clients then take the address that they have
    /// connected to, as they do with Redis.
    pub host: String,
    /// For clients: without TLS where that is served, unless [`Members::seen_by`] says otherwise.
    pub port: u16,
    /// For clients that use TLS; 0: nowhere.
    pub tls_port: u16,
    /// For other Stores.
    pub bus_port: u16,
    /// Whether it is this Store.
    pub is_own: bool,
    /// Whether it is known not to answer. Only the leader knows.
    pub is_lost: bool,
    /// The last log index that it has for certain.
    pub offset: u64,
}

impl Member {
    /// Where clients without TLS are served; 0: nowhere.
    pub fn plain_port(&self) -> u16 {
        if self.port == self.tls_port {
            0
        } else {
            self.port
        }
    }
}

/// All Stores and who leads them, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// In order of id.
    pub all: Vec<Member>,
    /// The leader, if one is known.
    pub leader: Option<StoreId>,
    /// The term in which it leads.
    pub term: u64,
}

impl Members {
    /// As this Store knows them now.
    pub fn of(shared: &Shared) -> Self {
        let status = shared.router.status();
        let settings = shared.config.load();
        let mut all: Vec<Member> = status
            .members
            .list
            .iter()
            .map(|member| {
                let is_own = member.store == shared.store;
                // A single Store has told nobody where it is.
                let (port, bus_port) = match member.port {
                    0 if is_own => (
                        settings.announced_port(),
                        settings.announced_bus_port().unwrap_or_default(),
                    ),
                    port => (port, member.bus_port),
                };
                let tls_port = if is_own {
                    settings.announced_tls_port()
                } else {
                    member.tls_port
                };
                let (is_lost, offset) = progress(&status, member.store, is_own);
                Member {
                    store: member.store,
                    name: name(shared, "node", member.store.get()),
                    host: member.host.clone(),
                    port,
                    tls_port,
                    bus_port,
                    is_own,
                    is_lost,
                    offset,
                }
            })
            .collect();
        all.sort_by_key(|member| member.store);
        Self {
            all,
            leader: shared.router.leader(),
            term: status.term.get(),
        }
    }

    /// The same when a leader has confirmed that it leads, or when a request would have waited long enough for that
    /// (`election-hold-ms`): nobody is sent to a leader that is lost while the others have not noticed it yet.
    pub async fn with_leader(shared: &Shared) -> Self {
        let hold = Duration::from_millis(shared.config.load().election_hold_ms);
        let mut leaders = shared.router.subscribe_leader();
        let confirmed = async {
            while leaders.wait_for(Option::is_some).await.is_ok() {
                if shared.router.lease().is_valid() || barrier(shared).await.is_ok() {
                    return;
                }
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
        };
        // Not confirmed in time, the answer is what this Store knows.
        let _ = tokio::time::timeout(hold, confirmed).await;
        Self::of(shared)
    }

    /// As a client is to see them: one that uses TLS is sent to ports for TLS.
    pub fn seen_by(mut self, is_tls: bool) -> Self {
        if is_tls {
            for member in self.all.iter_mut().filter(|member| member.tls_port != 0) {
                member.port = member.tls_port;
            }
        }
        self
    }

    /// The leader's row.
    pub fn leader(&self) -> Option<&Member> {
        self.all
            .iter()
            .find(|member| Some(member.store) == self.leader)
    }

    /// All others.
    pub fn replicas(&self) -> impl Iterator<Item = &Member> {
        self.all
            .iter()
            .filter(|member| Some(member.store) != self.leader)
    }

    /// This Store's row.
    pub fn own(&self) -> Option<&Member> {
        self.all.iter().find(|member| member.is_own)
    }
}

/// Whether a Store is known not to answer, and how far its log is.
fn progress(status: &Status, store: StoreId, is_own: bool) -> (bool, u64) {
    if is_own {
        return (false, status.applied_index.get());
    }
    let peer = status.peers.iter().find(|peer| peer.store == store);
    match peer {
        Some(peer) if status.role == Role::Leader => (!peer.active, peer.matched.get()),
        // What is committed is on the leader.
        _ if status.leader == Some(store) => (false, status.commit_index.get()),
        _ => (false, status.applied_index.get()),
    }
}

/// Forty hexadecimal digits that name something of this cluster, the same on every Store and for good.
pub fn name(shared: &Shared, kind: &str, id: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(shared.cluster_id);
    hash.update(kind);
    hash.update(id.to_be_bytes());
    let digest = hash.finalize();
    digest
        .iter()
        .take(20)
        .fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}"); // writing to a String does not fail
            name
        })
}

/// `host:port` of a Store for clients, as redirects have it: no brackets around an IPv6 address.
pub fn address(shared: &Shared, store: StoreId, is_tls: bool) -> Option<String> {
    let status = shared.router.status();
    let member = status.members.get(store)?;
    let port = match member.tls_port {
        0 => member.port,
        tls_port if is_tls => tls_port,
        _ => member.port,
    };
    (!member.host.is_empty()).then(|| format!("{}:{port}", member.host))
}
