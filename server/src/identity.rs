//! Whose data directory this is: made at the first start, checked at every later one.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};
use storage::engine::{Durability, Engines};
use storage::ids::{FIRST_REGION, SLOT_COUNT, StoreId};
use storage::peer_storage::{self, PeerStorage, PeerStorageOptions};
use storage::proto::store::{Peer, Region, RegionEpoch, StoreIdent};

use crate::config::Settings;
use crate::join::{self, Joined};
use crate::tls::Tls;

/// Who this Store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: [u8; 16],
    /// This Store.
    pub store: StoreId,
    /// This start has made the data directory, for a Store that is a cluster of its own.
    pub is_new_and_alone: bool,
}

/// Reads the identity in the data directory, or makes one at the first start: from the configuration, or by joining a cluster.
///
/// A single Store draws its cluster id and hash seed at random. The Stores of a cluster, which start for the first time
/// without having spoken to each other, all derive theirs from the secret and the list of peers. Whether they may take part is
/// found out later, by asking each other (`raftstore::founding`).
pub fn establish(settings: &Settings, tls: &Tls, engines: &Engines) -> anyhow::Result<Identity> {
    let store = settings.store_id();
    if let Some(ident) = PeerStorage::store_ident(engines)? {
        if settings.node_id != 0 && ident.store_id != store.get() {
            anyhow::bail!(
                "the data directory {} belongs to node {}, and node-id is {store}: give this node its own dir, or set \
                 node-id {}",
                settings.dir.display(),
                ident.store_id,
                ident.store_id
            );
        }
        return known(settings, engines, &ident);
    }
    if !settings.join.is_empty() {
        return joined(settings, tls, engines);
    }
    let (cluster_id, hash_seed) = match settings.cluster_peers.as_slice() {
        [] | [_] => (random()?, random()?),
        _ => (
            derive("cluster id", settings),
            derive("hash seed", settings),
        ),
    };
    let ident = StoreIdent {
        format: 0,
        cluster_id: cluster_id.to_vec().into(),
        store_id: store.get(),
        birth: birth()?,
    };
    PeerStorage::bootstrap(engines, &ident, &first_region(settings, &hash_seed))?;
    tracing::info!("a new data directory in {}", settings.dir.display());
    Ok(Identity {
        cluster_id,
        store,
        is_new_and_alone: settings.cluster_peers.len() <= 1,
    })
}

fn known(settings: &Settings, engines: &Engines, ident: &StoreIdent) -> anyhow::Result<Identity> {
    let cluster_id =
        sixteen(&ident.cluster_id).context("the cluster id in the data directory is damaged")?;
    let region = storage::peer_storage::bootstrap::region(engines, FIRST_REGION)?;
    let members: Vec<u64> = region.peers.iter().map(|peer| peer.store_id).collect();
    let configured: Vec<u64> = match settings.cluster_peers.as_slice() {
        [] => {
            return Ok(Identity {
                cluster_id,
                store: StoreId(ident.store_id),
                is_new_and_alone: false,
            });
        }
        peers => peers.iter().map(|peer| peer.store_id.get()).collect(),
    };
    if !configured.iter().all(|id| members.contains(id)) || configured.len() != members.len() {
        let is_founding = region.epoch.is_none_or(|epoch| epoch.conf_ver == 1);
        if is_founding && !members.is_empty() {
            anyhow::bail!(
                "the data directory {} belongs to a cluster of nodes {members:?}, and cluster-peers has nodes \
                 {configured:?}: correct cluster-peers, or use another dir",
                settings.dir.display()
            );
        }
        tracing::warn!(
            "cluster-peers has nodes {configured:?}, and the cluster had nodes {members:?} when this node stopped: the \
             cluster decides, cluster-peers only says where nodes are"
        );
    }
    Ok(Identity {
        cluster_id,
        store: StoreId(ident.store_id),
        is_new_and_alone: false,
    })
}

/// An empty directory becomes that of a new member, which asks the cluster for an id.
fn joined(settings: &Settings, tls: &Tls, engines: &Engines) -> anyhow::Result<Identity> {
    let joined = join::ask(settings, tls)?;
    let identity = Identity {
        cluster_id: joined.cluster_id,
        store: joined.store,
        is_new_and_alone: false,
    };
    become_member(settings, engines, joined)?;
    Ok(identity)
}

/// This Store, the only one of a majority that is lost, becomes a cluster of its own.
pub(super) fn recover(settings: &Settings, engines: &Engines) -> anyhow::Result<()> {
    let options = PeerStorageOptions {
        durability: Durability::Synced,
        log_cache_bytes: 0,
        snapshot_dir: snapshot_dir(&settings.dir),
    };
    peer_storage::recover::recover(engines, FIRST_REGION, options, &random()?)?;
    tracing::warn!(
        "this node is a cluster of its own from now on: what only the lost nodes had is lost. Empty the directories of the \
         other nodes, and start them with --join"
    );
    Ok(())
}

/// Where snapshots are received.
pub(super) fn snapshot_dir(dir: &Path) -> PathBuf {
    dir.join("snapshots")
}

/// An empty directory becomes that of a new member, which the cluster has given an id.
pub(super) fn become_member(
    settings: &Settings,
    engines: &Engines,
    joined: Joined,
) -> anyhow::Result<()> {
    let ident = StoreIdent {
        format: 0,
        cluster_id: joined.cluster_id.to_vec().into(),
        store_id: joined.store.get(),
        birth: birth()?,
    };
    let region = Region {
        peers: Vec::new(),
        stores: joined.members,
        epoch: None,
        // Of nothing: the cluster's comes with the snapshot.
        ..first_region(settings, &[0; 16])
    };
    PeerStorage::bootstrap(engines, &ident, &region)?;
    tracing::info!(
        "joined the cluster as node {}: data arrives from the leader",
        joined.store
    );
    Ok(())
}

/// The seed of the hash tables whose order commands show; the same on every Store. Another one after a snapshot has made this
/// Store a member.
pub fn hash_seed(engines: &Engines) -> storage::Result<[u8; 16]> {
    let region = storage::peer_storage::bootstrap::region(engines, FIRST_REGION)?;
    sixteen(&region.hash_seed)
        .ok_or_else(|| storage::Error::corrupt("Region", "its hash seed has another length"))
}

fn sixteen(bytes: &[u8]) -> Option<[u8; 16]> {
    bytes.try_into().ok()
}

/// One Region over all slots, every Store a voter.
fn first_region(settings: &Settings, hash_seed: &[u8; 16]) -> Region {
    let stores = match settings.cluster_peers.as_slice() {
        [] => vec![settings.store_id()],
        peers => peers.iter().map(|peer| peer.store_id).collect(),
    };
    Region {
        id: FIRST_REGION.get(),
        start_slot: 0,
        end_slot: SLOT_COUNT.into(),
        epoch: Some(RegionEpoch {
            conf_ver: 1,
            version: 1,
        }),
        peers: stores
            .iter()
            .map(|store| Peer {
                id: store.get(),
                store_id: store.get(),
            })
            .collect(),
        hash_seed: hash_seed.to_vec().into(),
        stores: settings.cluster_peers.iter().map(Into::into).collect(),
        next_store_id: 0,
    }
}

/// Sixteen bytes that every Store of the cluster derives alike, and nobody without the secret.
fn derive(purpose: &str, settings: &Settings) -> [u8; 16] {
    let mut peers: Vec<String> = settings
        .cluster_peers
        .iter()
        .map(ToString::to_string)
        .collect();
    peers.sort();
    let mut hash = Sha256::new();
    for part in [purpose, settings.cluster_secret.expose(), &peers.join(",")] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    std::array::from_fn(|at| digest[at])
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}

/// A new Store's; 0 stands for those of versions that had none.
fn birth() -> anyhow::Result<u64> {
    Ok(random_u64()?.max(1))
}

/// A random number.
pub fn random_u64() -> anyhow::Result<u64> {
    Ok(u64::from_le_bytes(random()?))
}

/// Forty random hexadecimal digits.
pub fn random_hex() -> anyhow::Result<String> {
    Ok(random::<20>()?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{derive, random_hex};
    use crate::config::{Secret, Settings, peers};

    fn settings(peers: &str, secret: &str) -> Settings {
        let cluster_peers = peers::parse(&[peers.to_owned()]).expect("a list");
        Settings {
            cluster_peers,
            cluster_secret: Secret::new(secret),
            ..Settings::default()
        }
    }

    #[test]
    fn a_cluster_derives_the_same_on_every_node() {
        let one = derive("cluster id", &settings("1@a:1,2@b:1", "s"));
        assert_eq!(one, derive("cluster id", &settings("2@b:1,1@a:1", "s")));
        assert_ne!(one, derive("hash seed", &settings("1@a:1,2@b:1", "s")));
        assert_ne!(one, derive("cluster id", &settings("1@a:1,2@b:1", "other")));
        assert_ne!(one, derive("cluster id", &settings("1@a:1,2@c:1", "s")));
    }

    #[test]
    fn run_ids_differ() {
        let id = random_hex().expect("randomness");
        assert_eq!(id.len(), 40);
        assert_ne!(id, random_hex().expect("randomness"));
    }
}
