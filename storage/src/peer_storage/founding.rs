//! What must not be forgotten about who founded the cluster; what it is for is told by the module `founding` of the server's
//! `raftstore`.

use prost::Message;

use super::PeerStorage;
use crate::engine::{Durability, Engines, WriteBatch};
use crate::proto::store::{FoundingState, Region, StoreBirth, StoreIdent};
use crate::{Error, Result, keys};

impl FoundingState {
    /// Of a Store that was just made. One of several founders must be admitted first; one that is alone, or that joins and gets
    /// its vote from the log, is.
    pub(super) fn first(ident: &StoreIdent, region: &Region) -> Self {
        Self {
            admitted: region.peers.len() <= 1,
            births: vec![StoreBirth {
                store_id: ident.store_id,
                birth: ident.birth,
            }],
            ..Self::default()
        }
    }

    /// The birth of a Store, if it is known.
    pub fn birth_of(&self, store_id: u64) -> Option<u64> {
        let known = self.births.iter().find(|known| known.store_id == store_id);
        known.map(|known| known.birth)
    }
}

impl PeerStorage {
    /// As saved last.
    pub fn founding(&self) -> &FoundingState {
        &self.founding
    }

    /// Makes it durable.
    pub fn save_founding(&mut self, state: FoundingState) -> Result<()> {
        let mut batch = WriteBatch::new();
        batch.put(keys::founding_state(), state.encode_to_vec());
        self.engines.raft.write(batch, Durability::Synced)?;
        self.founding = state;
        Ok(())
    }
}

/// As it is persisted. A Store that an earlier version made has none: it takes part, as all members do that it knows.
pub(super) fn read(engines: &Engines, region: &Region) -> Result<FoundingState> {
    let Some(value) = engines.raft.get(&keys::founding_state())? else {
        let births = region.peers.iter().map(|peer| StoreBirth {
            store_id: peer.store_id,
            birth: 0,
        });
        return Ok(FoundingState {
            admitted: true,
            births: births.collect(),
            ..FoundingState::default()
        });
    };
    FoundingState::decode(value).map_err(|error| Error::corrupt("FoundingState", error.to_string()))
}
