//! A majority is lost for good: what one Store has becomes a cluster of its own.

use prost::Message;
use raft::eraftpb::EntryType;

use super::{PeerStorage, PeerStorageOptions, entry};
use crate::engine::{Durability, Engines, WriteBatch};
use crate::ids::{LogIndex, RegionId};
use crate::proto::raft::ConfState;
use crate::proto::store::{
    FoundingState, Peer, PeerState, RaftApplyState, Region, RegionLocalState, StoreIdent,
};
use crate::{Error, Result, keys};

/// Makes this Store the only voter of a cluster with a new id, on the data and the log that it has. The whole log counts: what is
/// not known to be committed will be, because nobody is left to say otherwise. Safe to repeat after a crash, with any new id.
///
/// Changes of members in the log's tail were about Stores that are gone: they become empty entries. Ids that were given stay
/// given.
pub fn recover(
    engines: &Engines,
    region_id: RegionId,
    options: PeerStorageOptions,
    cluster_id: &[u8; 16],
) -> Result<()> {
    let storage = PeerStorage::open(engines.clone(), region_id, options)?;
    if storage.checkpoint_index() == LogIndex(0) {
        return Err(Error::corrupt(
            "Region",
            "this Store never got any data: there is nothing to recover",
        ));
    }
    let ident = engines.kv.get(&keys::store_ident())?;
    let ident = ident.ok_or_else(|| Error::corrupt("StoreIdent", "it is missing"))?;
    let ident = StoreIdent {
        cluster_id: cluster_id.to_vec().into(),
        ..decode(ident, "StoreIdent")?
    };
    let store = ident.store_id;

    let mut raft = WriteBatch::new();
    raft.put(keys::store_ident(), ident.encode_to_vec());
    let founding = FoundingState::first(&ident, &Region::default());
    raft.put(keys::founding_state(), founding.encode_to_vec());
    let start = keys::log_entry(region_id, storage.checkpoint_index().next());
    let end = keys::log_entry(region_id, storage.last_index().next());
    for pair in engines.raft.scan(&start, &end) {
        let (key, value) = pair?;
        let Some(index) = keys::parse_log_entry(region_id, &key) else {
            continue;
        };
        let mut found = entry::decode(index, value)?;
        if found.get_entry_type() != EntryType::EntryNormal {
            found.set_entry_type(EntryType::EntryNormal);
            found.data.clear();
            found.context.clear();
            raft.put(key, entry::encode(&found)?);
        }
    }
    engines.raft.write(raft, Durability::Synced)?;

    let mut region = storage.region().clone();
    region.next_store_id = region
        .peers
        .iter()
        .map(|peer| peer.store_id + 1)
        .fold(region.next_store_id, u64::max);
    region.peers = vec![Peer {
        id: store,
        store_id: store,
    }];
    region.stores.retain(|other| other.store_id == store);
    let mut epoch = region.epoch.unwrap_or_default();
    epoch.conf_ver += 1;
    region.epoch = Some(epoch);
    let state = RegionLocalState {
        state: PeerState::Normal.into(),
        region: Some(region),
        snapshot: None,
    };
    let applied = engines.kv.get(&keys::apply_state(region_id))?;
    let applied = applied.ok_or_else(|| Error::corrupt("RaftApplyState", "it is missing"))?;
    let applied = RaftApplyState {
        conf_state: Some(ConfState {
            voters: vec![store],
            ..ConfState::default()
        }),
        ..decode(applied, "RaftApplyState")?
    };
    let mut kv = WriteBatch::new();
    kv.put(keys::region_state(region_id), state.encode_to_vec());
    kv.put(keys::apply_state(region_id), applied.encode_to_vec());
    kv.put(keys::store_ident(), ident.encode_to_vec());
    engines.kv.write(kv, Durability::Synced)
}

fn decode<M: Message + Default>(bytes: bytes::Bytes, what: &'static str) -> Result<M> {
    M::decode(bytes).map_err(|error| Error::corrupt(what, error.to_string()))
}
