//! The first records of a Store, and whose directory it is.

use prost::Message;

use raft::eraftpb::HardState;

use super::{PeerStorage, encode_local_state};
use crate::engine::{Durability, Engine, Engines, WriteBatch};
use crate::ids::{LogIndex, RegionId, Term};
use crate::proto::raft::ConfState;
use crate::proto::store::{
    FoundingState, PeerState, RaftApplyState, Region, RegionLocalState, StoreIdent,
};
use crate::{Error, Result, keys};

/// The format of a Store's directories. Format 1, from before the first release, knew no times of fields in order, format 2 no members by score.
pub const STORE_FORMAT: u32 = 3;

/// The index at which a new cluster's log begins, without an entry: it stands for the founding configuration.
pub const FIRST_INDEX: LogIndex = LogIndex(1);

/// The term of [`FIRST_INDEX`].
pub const FIRST_TERM: Term = Term(1);

impl PeerStorage {
    /// Writes the first records of a Store that has one Region, log and data empty.
    ///
    /// A Store of a new cluster is given the Region with its peers, the same on all Stores: each becomes a voter, and the log
    /// begins after [`FIRST_INDEX`]. A Store that joins later is given the Region without peers: all its indexes are 0, and
    /// because no log has the entry of index 1, it gets a snapshot first, which tells it the configuration.
    /// Safe to repeat after a crash; on a Store that
    /// is already bootstrapped with the same `ident` it does nothing, with another it is [`Error::Foreign`]. The birth does not
    /// count: it is drawn anew at each attempt.
    pub fn bootstrap(engines: &Engines, ident: &StoreIdent, region: &Region) -> Result<()> {
        let ident = StoreIdent {
            format: STORE_FORMAT,
            ..ident.clone()
        };
        if Self::store_ident(engines)?.is_some() {
            return Self::check_ident(engines, &ident);
        }
        if let Some(started) = read_ident(engines.raft.as_ref())? {
            same_ident(&started, &ident)?;
        }
        let id = RegionId(region.id);
        let (index, term) = if region.peers.is_empty() {
            (LogIndex(0), Term(0))
        } else {
            (FIRST_INDEX, FIRST_TERM)
        };
        let hard_state = HardState {
            term: term.get(),
            commit: index.get(),
            ..Default::default()
        };
        let mut raft = WriteBatch::new();
        raft.put(keys::store_ident(), ident.encode_to_vec());
        raft.put(
            keys::raft_state(id),
            encode_local_state(&hard_state, (index, term), (index, term)),
        );
        let founding = FoundingState::first(&ident, region);
        raft.put(keys::founding_state(), founding.encode_to_vec());
        engines.raft.write(raft, Durability::Synced)?;

        let conf_state = ConfState {
            voters: region.peers.iter().map(|peer| peer.id).collect(),
            ..Default::default()
        };
        let apply_state = RaftApplyState {
            applied_index: index.get(),
            applied_term: term.get(),
            conf_state: Some(conf_state),
            ..Default::default()
        };
        let state = RegionLocalState {
            state: PeerState::Normal.into(),
            region: Some(region.clone()),
            snapshot: None,
        };
        // The kv engine comes last: a Store is bootstrapped when its ident is there.
        let mut kv = WriteBatch::new();
        kv.put(keys::region_state(id), state.encode_to_vec());
        kv.put(keys::apply_state(id), apply_state.encode_to_vec());
        kv.put(keys::store_ident(), ident.encode_to_vec());
        engines.kv.write(kv, Durability::Synced)
    }

    /// Who bootstrapped these engines; `None` when nobody did, or not to the end. [`Error::Foreign`] when the two do not
    /// belong together, [`Error::Format`] when a newer version wrote them.
    pub fn store_ident(engines: &Engines) -> Result<Option<StoreIdent>> {
        let Some(ident) = read_ident(engines.kv.as_ref())? else {
            return Ok(None);
        };
        match read_ident(engines.raft.as_ref())? {
            Some(raft) if raft == ident => Ok(Some(ident)),
            Some(raft) => Err(Error::Foreign(format!(
                "the kv directory belongs to store {}, the raft directory to store {} (or to another cluster): they do \
                 not belong together",
                ident.store_id, raft.store_id
            ))),
            None => Err(Error::Foreign(format!(
                "the raft directory of store {} is empty while its kv directory is not: its log is lost; remove both and \
                 let the Store join again",
                ident.store_id
            ))),
        }
    }

    /// [`Error::Foreign`] unless these engines were bootstrapped with this cluster and Store id.
    pub fn check_ident(engines: &Engines, expected: &StoreIdent) -> Result<()> {
        match Self::store_ident(engines)? {
            Some(found) => same_ident(&found, expected),
            None => Err(Error::Foreign(
                "the data directory is not bootstrapped".to_owned(),
            )),
        }
    }
}

fn read_ident(engine: &dyn Engine) -> Result<Option<StoreIdent>> {
    let Some(value) = engine.get(&keys::store_ident())? else {
        return Ok(None);
    };
    let ident = StoreIdent::decode(value)
        .map_err(|error| Error::corrupt("StoreIdent", error.to_string()))?;
    if ident.format > STORE_FORMAT {
        return Err(Error::Format {
            what: "the data directory",
            found: ident.format,
            known: STORE_FORMAT,
        });
    }
    if ident.format < STORE_FORMAT {
        return Err(Error::Foreign(format!(
            "the data directory has format {}, from before the first release, and this version reads format {STORE_FORMAT}: \
             save it as an RDB file with the tinykv-server that wrote it, and --import that into an empty directory",
            ident.format
        )));
    }
    Ok(Some(ident))
}

fn same_ident(found: &StoreIdent, expected: &StoreIdent) -> Result<()> {
    if found.store_id != expected.store_id {
        return Err(Error::Foreign(format!(
            "the data directory belongs to store {}, this is store {}: use another directory or the right node-id",
            found.store_id, expected.store_id
        )));
    }
    if found.cluster_id != expected.cluster_id {
        return Err(Error::Foreign(format!(
            "the data directory of store {} belongs to another cluster: use another directory",
            found.store_id
        )));
    }
    Ok(())
}

/// The Region as it is persisted; [`Error::Corrupt`] when there is none.
pub fn region(engines: &Engines, id: RegionId) -> Result<Region> {
    let value = engines.kv.get(&keys::region_state(id))?;
    let state = value.map(RegionLocalState::decode).transpose();
    let state = state.map_err(|error| Error::corrupt("RegionLocalState", error.to_string()))?;
    state
        .and_then(|state| state.region)
        .ok_or_else(|| Error::corrupt("RegionLocalState", format!("Region {id} is missing")))
}
