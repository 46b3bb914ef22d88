//! Who belongs to the Region: a change of its members, from the request to the entry's effect.
//!
//! A Peer has the id of its Store: a Store has one Peer, and ids are not given twice. Raft's ConfState says who votes; the
//! Region's descriptor says who there is and where, and its `conf_ver` counts the changes. Both are functions of the log, and
//! take effect when the entry is handed over to be executed, in log order, on every replica.
//!
//! A new member joins as a learner, gets a snapshot, and is promoted by the leader when its log is nearly whole
//! ([`Peer::promote_learner`]). One change is under way at a time; a change of several members is joint, and Raft leaves the
//! joint configuration by itself.

use std::sync::Arc;

use prost::Message;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType};
use raft::{ProgressState, StateRole};
use storage::ids::{LogIndex, PeerId, StoreId};
use storage::proto::command::{
    MemberAction, MemberStep, MembershipChange, MembershipEntry, RaftCmdResponse,
};
use storage::proto::raft as proto;
use storage::proto::store::{Peer as RegionPeer, Region, StoreAddress};

use super::apply::{Callback, bind_resp_term};
use super::clock::Now;
use super::disk::DiskRoom;
use super::error::Error;
use super::peer::{Peer, Pending};

/// Entries that a learner may lack when it is promoted: it has them before an election could need it.
const PROMOTE_WITHIN_ENTRIES: u64 = 64;

/// What a committed entry makes of the configuration.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Raft's part.
    pub conf_state: proto::ConfState,
    /// Members and their addresses.
    pub region: Region,
    /// The Store of the first step, for the answer.
    pub store: StoreId,
}

/// A Store of the cluster, as the Region's descriptor has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The Store.
    pub store: StoreId,
    /// Where it is reached; empty, with ports 0, when only its own configuration says so.
    pub host: String,
    /// For clients.
    pub port: u16,
    /// For clients that use TLS; 0: nowhere.
    pub tls_port: u16,
    /// For Stores.
    pub bus_port: u16,
    /// It votes; otherwise it is a learner.
    pub voter: bool,
}

/// The members of the Region, ascending by Store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Counts the changes; greater is newer.
    pub conf_ver: u64,
    /// The members. Empty on a Store that has just joined and knows nothing yet.
    pub list: Vec<Member>,
    /// Where Stores are that a joining Store was told of.
    pub seeds: Vec<StoreAddress>,
    /// Ids from here on were never given to a Store.
    pub next_store: StoreId,
    /// A joint change is under way.
    pub is_joint: bool,
}

impl Members {
    /// Reads them from the descriptor and Raft's configuration.
    pub(super) fn of(region: &Region, conf: &ConfState) -> Self {
        let address = |id: u64| region.stores.iter().find(|store| store.store_id == id);
        let port = |port: u32| u16::try_from(port).unwrap_or(0);
        let member = |peer: &RegionPeer| {
            let address = address(peer.store_id).cloned().unwrap_or_default();
            Member {
                store: StoreId(peer.store_id),
                host: address.host,
                port: port(address.port),
                tls_port: port(address.tls_port),
                bus_port: port(address.bus_port),
                voter: conf.voters.contains(&peer.id) || conf.voters_outgoing.contains(&peer.id),
            }
        };
        let list: Vec<Member> = region.peers.iter().map(member).collect();
        let seeds = if list.is_empty() {
            region.stores.clone()
        } else {
            Vec::new()
        };
        Self {
            conf_ver: region.epoch.map_or(0, |epoch| epoch.conf_ver),
            list,
            seeds,
            next_store: StoreId(next_store_id(region)),
            is_joint: !conf.voters_outgoing.is_empty(),
        }
    }

    /// The member with this id.
    pub fn get(&self, store: StoreId) -> Option<&Member> {
        self.list.iter().find(|member| member.store == store)
    }

    /// True on a Store that knows the members and is none of them: it was removed.
    pub fn excludes(&self, store: StoreId) -> bool {
        !self.list.is_empty() && self.get(store).is_none()
    }
}

/// The first id that was never given.
fn next_store_id(region: &Region) -> u64 {
    let greatest = region.peers.iter().map(|peer| peer.store_id).max();
    region.next_store_id.max(greatest.map_or(0, |id| id + 1))
}

/// What a request comes to.
enum Plan {
    /// It is so already.
    Done(StoreId),
    /// To be proposed.
    Propose {
        changes: Vec<ConfChangeSingle>,
        stores: Vec<StoreAddress>,
        store: StoreId,
    },
}

impl Peer {
    /// Proposes a change of members as an entry of its own. The caller has checked that this Peer may propose.
    pub(super) fn propose_membership(
        &mut self,
        change: &MembershipChange,
        callback: Callback,
        now: Now,
    ) {
        if !self.leads_with_all() {
            // The members may be others than it knows: whoever asks is held until it does.
            callback(Err(Error::ProposalDropped));
            return;
        }
        match self.plan(change) {
            Ok(Plan::Done(store)) => {
                let mut response = answer(store);
                bind_resp_term(&mut response, self.term());
                callback(Ok(response));
            }
            Ok(Plan::Propose {
                changes,
                stores,
                store,
            }) => {
                tracing::info!(%store, ?change, "a change of members is proposed");
                self.propose_changes(changes, stores, callback, now);
            }
            Err(reason) => callback(Err(Error::Refused { reason })),
        }
    }

    fn propose_changes(
        &mut self,
        changes: Vec<ConfChangeSingle>,
        stores: Vec<StoreAddress>,
        callback: Callback,
        now: Now,
    ) {
        let index = LogIndex(self.raw.raft.raft_log.last_index()).next();
        let context = MembershipEntry {
            header: Some(self.stamp(index, now)),
            stores,
        };
        let change = ConfChangeV2 {
            changes: changes.into(),
            ..ConfChangeV2::default()
        };
        let proposed = self
            .raw
            .propose_conf_change(context.encode_to_vec(), change);
        if proposed.is_err() {
            callback(Err(Error::ProposalDropped));
            return;
        }
        assert_eq!(
            self.raw.raft.raft_log.last_index(),
            index.get(),
            "Raft accepted a change of members without appending it"
        );
        self.pending.push_back(Pending {
            index,
            term: self.term(),
            callbacks: vec![callback],
        });
    }

    /// Whether the change may be made, and what it comes to. A refusal says what to do.
    fn plan(&self, change: &MembershipChange) -> Result<Plan, String> {
        if self.is_changing() {
            return Err(
                "another change of members is under way: try again when it is done".to_owned(),
            );
        }
        self.check_quorum_after(change)?;
        let (mut changes, mut stores, mut first) = (Vec::new(), Vec::new(), None);
        for step in &change.steps {
            let address = step.store.clone().unwrap_or_default();
            let (kind, store) = match step.action() {
                MemberAction::AddLearner => match self.place_for(&address)? {
                    Place::Taken(store) => return Ok(Plan::Done(store)),
                    Place::New(store) => {
                        stores.push(StoreAddress {
                            store_id: store.get(),
                            ..address
                        });
                        (ConfChangeType::AddLearnerNode, store)
                    }
                },
                MemberAction::AddVoter => {
                    let member = self.member(address.store_id)?;
                    if self.is_voter(member) {
                        return Ok(Plan::Done(member));
                    }
                    if !self.has_caught_up(member.get()) {
                        return Err(format!(
                            "node {member} has not caught up yet: it becomes a voter by itself when it has"
                        ));
                    }
                    (ConfChangeType::AddNode, member)
                }
                MemberAction::Remove => {
                    (ConfChangeType::RemoveNode, self.member(address.store_id)?)
                }
                MemberAction::SetAddress => {
                    let member = self.member(address.store_id)?;
                    if self.raw.store().region().stores.contains(&address) {
                        return Ok(Plan::Done(member));
                    }
                    stores.push(address);
                    let kind = if self.is_voter(member) {
                        ConfChangeType::AddNode
                    } else {
                        ConfChangeType::AddLearnerNode
                    };
                    (kind, member)
                }
            };
            first.get_or_insert(store);
            let mut single = ConfChangeSingle {
                node_id: store.get(),
                ..ConfChangeSingle::default()
            };
            single.set_change_type(kind);
            changes.push(single);
        }
        let store = first.ok_or("the change names no node")?;
        Ok(Plan::Propose {
            changes,
            stores,
            store,
        })
    }

    /// True while an entry that changes the configuration is not executed yet, or the configuration is joint.
    pub(super) fn is_changing(&self) -> bool {
        self.raw.raft.has_pending_conf()
            || !self.conf_state().voters_outgoing.is_empty()
            || !self.leads_with_all()
    }

    fn conf_state(&self) -> ConfState {
        self.raw.raft.prs().conf().to_conf_state()
    }

    fn member(&self, id: u64) -> Result<StoreId, String> {
        let is_member = self
            .raw
            .store()
            .region()
            .peers
            .iter()
            .any(|peer| peer.store_id == id);
        is_member
            .then_some(StoreId(id))
            .ok_or_else(|| format!("node {id} is not a member of this cluster"))
    }

    fn is_voter(&self, store: StoreId) -> bool {
        self.raw.raft.prs().conf().voters().contains(store.get())
    }

    /// Refuses what would leave too few voters that answer to go on.
    fn check_quorum_after(&self, change: &MembershipChange) -> Result<(), String> {
        let removed: Vec<u64> = change
            .steps
            .iter()
            .filter(|step| step.action() == MemberAction::Remove)
            .map(|step| step.store.as_ref().map_or(0, |store| store.store_id))
            .collect();
        if removed.is_empty() {
            return Ok(());
        }
        let me = self.config.peer.get();
        if removed.contains(&me) {
            return Err(format!(
                "node {me} leads: hand over first with RAFT.TRANSFER_LEADER, then remove it"
            ));
        }
        let voters = self.conf_state().voters;
        if !removed.iter().any(|id| voters.contains(id)) {
            return Ok(());
        }
        let left: Vec<u64> = voters
            .into_iter()
            .filter(|id| !removed.contains(id))
            .collect();
        let answers = |id: &&u64| self.answers(**id);
        let (answering, majority) = (left.iter().filter(answers).count(), left.len() / 2 + 1);
        if answering < majority {
            return Err(format!(
                "{} voters would be left, and only {answering} of them answer: writes would stop. Bring one back, or add \
                 a node, before you remove one",
                left.len()
            ));
        }
        Ok(())
    }

    /// The id for a new member at this address.
    fn place_for(&self, address: &StoreAddress) -> Result<Place, String> {
        if address.host.is_empty() || address.port == 0 || address.bus_port == 0 {
            return Err("the address of the new node is missing: host:port".to_owned());
        }
        let region = self.raw.store().region();
        let same = |store: &&StoreAddress| {
            (&store.host, store.bus_port) == (&address.host, address.bus_port)
        };
        if let Some(there) = region.stores.iter().find(same) {
            let progress = self.raw.raft.prs().get(there.store_id);
            let fresh = progress.is_some_and(|progress| progress.matched == 0);
            // It asked before, and did not hear or did not survive the answer.
            if fresh && !self.is_voter(StoreId(there.store_id)) && address.store_id == 0 {
                return Ok(Place::Taken(StoreId(there.store_id)));
            }
            return Err(format!(
                "node {} is at {}:{} already: remove it first with RAFT.NODE REMOVE {}",
                there.store_id, there.host, there.port, there.store_id
            ));
        }
        let next = next_store_id(region);
        match address.store_id {
            0 => Ok(Place::New(StoreId(next))),
            id if id >= next => Ok(Place::New(StoreId(id))),
            id => Err(format!(
                "node id {id} was given before, and ids are not given twice: use 0, and the cluster chooses"
            )),
        }
    }

    /// Whether a Store's log is nearly whole. One that has nothing yet could not even vote, and the others might need it to.
    pub(super) fn has_caught_up(&self, id: u64) -> bool {
        let raft = &self.raw.raft;
        raft.prs().get(id).is_some_and(|progress| {
            progress.state == ProgressState::Replicate
                && self.answers(id)
                && progress.matched + PROMOTE_WITHIN_ENTRIES >= raft.raft_log.last_index()
        })
    }

    /// Makes a voter of a learner whose log is nearly whole; one at a time.
    pub(super) fn promote_learner(&mut self, now: Now) {
        if !self.is_leader() || self.raw.raft.prs().conf().learners().is_empty() {
            return;
        }
        let mut learners = self.raw.raft.prs().conf().learners().iter().copied();
        let Some(id) = learners.find(|id| self.has_caught_up(*id)) else {
            return;
        };
        if self.is_changing() || self.stopped || self.room() < DiskRoom::Enough {
            return;
        }
        let step = MemberStep {
            action: MemberAction::AddVoter.into(),
            store: Some(StoreAddress {
                store_id: id,
                ..StoreAddress::default()
            }),
        };
        let promoted: Callback = Box::new(move |result| match result {
            Ok(_) => tracing::info!("node {id} has caught up and votes from now on"),
            Err(error) => tracing::info!("node {id} is not promoted yet: {error}"),
        });
        self.propose_membership(&MembershipChange { steps: vec![step] }, promoted, now);
    }

    /// Lets a committed entry change the configuration. An error is fatal.
    pub(super) fn configure(&mut self, entry: &Entry, now: Now) -> storage::Result<Configuration> {
        let corrupt = |detail: String| {
            storage::Error::corrupt(
                "Raft entry",
                format!("a membership change at {}: {detail}", entry.index),
            )
        };
        if entry.get_entry_type() != EntryType::EntryConfChangeV2 {
            return Err(corrupt("of a kind that is never proposed".to_owned()));
        }
        let change = proto::ConfChangeV2::decode(entry.data.clone())
            .map_err(|error| corrupt(error.to_string()))?;
        let change = ConfChangeV2::try_from(change)?;
        let context = MembershipEntry::decode(entry.context.clone())
            .map_err(|error| corrupt(error.to_string()))?;
        let conf_state = self
            .raw
            .apply_conf_change(&change)
            .map_err(|error| corrupt(error.to_string()))?;
        self.step_down_when_removed();
        let region = changed(self.raw.store().region(), &conf_state, context.stores);
        self.raw.mut_store().set_configuration(
            LogIndex(entry.index),
            conf_state.clone(),
            region.clone(),
        );
        self.note_members();
        self.observe(now);
        self.publish_lease(now);
        tracing::info!(index = entry.index, ?conf_state, "the members have changed");
        Ok(Configuration {
            conf_state: conf_state.into(),
            region,
            store: StoreId(
                change
                    .get_changes()
                    .first()
                    .map_or(0, |first| first.node_id),
            ),
        })
    }

    /// A leader is never asked to remove itself, but it may have taken over from one that asked for its removal. Raft leaves it
    /// to us that it stops leading then.
    fn step_down_when_removed(&mut self) {
        let raft = &mut self.raw.raft;
        if raft.prs().get(self.config.peer.get()).is_none() && raft.state == StateRole::Leader {
            tracing::info!("the leader was removed: the others elect another one");
            raft.become_follower(raft.term, raft::INVALID_ID);
        }
    }

    /// The configuration in force is another one, or has been read.
    pub(super) fn note_members(&mut self) {
        self.members = Arc::new(Members::of(self.raw.store().region(), &self.conf_state()));
    }

    /// Who belongs to the Region.
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// Where this Store is, as the cluster knows.
    pub(super) fn own_address(&self) -> Option<&StoreAddress> {
        let stores = &self.raw.store().region().stores;
        stores
            .iter()
            .find(|store| store.store_id == self.config.store.get())
    }

    /// Counts the changes of members.
    pub fn conf_ver(&self) -> u64 {
        let epoch = self.raw.store().region().epoch;
        epoch.map_or(0, |epoch| epoch.conf_ver)
    }

    /// False on a Store that has joined and has no snapshot yet: it knows nobody, and believes whoever proves the secret.
    pub(super) fn knows_members(&self) -> bool {
        !self.raw.store().region().peers.is_empty()
    }

    /// Whether a message may come from this Peer: a member, or one that a newer configuration has.
    pub(super) fn may_hear(&self, from: PeerId, conf_ver: u64) -> bool {
        let region = self.raw.store().region();
        !self.knows_members()
            || region.peers.iter().any(|peer| peer.id == from.get())
            || conf_ver > self.conf_ver()
    }
}

/// Where a new member goes.
enum Place {
    New(StoreId),
    /// It is there already.
    Taken(StoreId),
}

/// The answer to a change of members.
pub(super) fn answer(store: StoreId) -> RaftCmdResponse {
    RaftCmdResponse {
        store_id: store.get(),
        ..RaftCmdResponse::default()
    }
}

/// The Region after a change: its peers are those of Raft's configuration.
fn changed(region: &Region, conf: &ConfState, stores: Vec<StoreAddress>) -> Region {
    let lists = [
        &conf.voters,
        &conf.voters_outgoing,
        &conf.learners,
        &conf.learners_next,
    ];
    let mut ids: Vec<u64> = lists.into_iter().flatten().copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut region = region.clone();
    region.next_store_id = next_store_id(&region).max(ids.last().map_or(0, |id| id + 1));
    region
        .stores
        .retain(|old| stores.iter().all(|new| new.store_id != old.store_id));
    region.stores.extend(stores);
    region.stores.retain(|store| ids.contains(&store.store_id));
    region.stores.sort_unstable_by_key(|store| store.store_id);
    region.peers = ids
        .iter()
        .map(|&id| RegionPeer { id, store_id: id })
        .collect();
    let mut epoch = region.epoch.unwrap_or_default();
    epoch.conf_ver += 1;
    region.epoch = Some(epoch);
    region
}
