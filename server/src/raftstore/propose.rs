//! From a client's batch to a Raft entry.

use prost::Message;
use storage::ids::{LogIndex, StoreId};
use storage::proto::command::{
    DeleteExpired, ExpiredKey, RaftCmdRequest, Request, RequestHeader, StateCheck,
};
use storage::proto::store as pb;

use super::apply::Callback;
use super::clock::Now;
use super::config::MAX_ENTRY_BYTES;
use super::disk::DiskRoom;
use super::error::{Error, Result};
use super::peer::{Peer, Pending, mix};

/// The context of an entry whose commands may take long: see [`CommittedEntry::takes_long`].
const TAKES_LONG: &[u8] = b"takes long";

/// Bytes of an entry besides its requests: more than the header ever takes.
const HEADER_BYTES: usize = 128;

/// One connection's batch, waiting to be proposed.
pub struct Proposal {
    /// For which Region, epoch and term it was made, if that matters; fields that are 0 or absent are not checked, those of the
    /// epoch neither.
    pub header: Option<Box<RequestHeader>>,
    /// The commands.
    pub request: Request,
    /// Told the outcome, exactly once.
    pub callback: Callback,
}

/// What the store thread does on behalf of the Region itself.
pub enum Work {
    /// Remove keys whose time has come.
    DeleteExpired(Vec<ExpiredKey>),
    /// Digest a part of the data, to compare the replicas.
    Check(StateCheck),
}

/// Entries on their way to a majority from which on proposals are held back, to share the next one. Two: while one makes
/// its round trip, the other gathers. A single node is never held up by this: its entries are committed when its own
/// fsync returns.
const MAX_GROUPS_IN_FLIGHT: u64 = 2;

/// Held bytes that are worth an entry of their own at once.
const GROUP_BYTES: usize = 64 << 10;

/// Proposals that wait for a group in flight to be committed.
#[derive(Default)]
pub(super) struct Held {
    proposals: Vec<Proposal>,
    bytes: usize,
}

impl Held {
    /// Refuses all of them: none was appended anywhere.
    pub(super) fn refuse(&mut self, error: &Error) {
        for proposal in std::mem::take(self).proposals {
            (proposal.callback)(Err(error.clone()));
        }
    }
}

/// Requests that become one entry.
#[derive(Default)]
struct Coalesced {
    requests: Vec<Request>,
    callbacks: Vec<Callback>,
    bytes: usize,
}

impl Peer {
    /// Proposes everything that waits, as few entries as `MAX_ENTRY_BYTES` allows; at once, or when a group in flight is
    /// committed ([`Peer::handle_raft_ready`] looks). Each proposal is checked then, and refused through its own callback.
    pub fn propose_raft_command(&mut self, proposals: Vec<Proposal>, now: Now) {
        self.held.bytes += proposals
            .iter()
            .map(|proposal| proposal.request.commands.len())
            .sum::<usize>();
        if self.held.proposals.is_empty() {
            self.held.proposals = proposals;
        } else {
            self.held.proposals.extend(proposals);
        }
        self.propose_held(now);
    }

    /// Proposes what is held, unless it is better off waiting for more.
    pub(super) fn propose_held(&mut self, now: Now) {
        if self.held.proposals.is_empty() {
            return;
        }
        let log = &self.raw.raft.raft_log;
        let in_flight = log.last_index() - log.committed;
        if self.is_leader() && in_flight >= MAX_GROUPS_IN_FLIGHT && self.held.bytes < GROUP_BYTES {
            return;
        }
        let proposals = std::mem::take(&mut self.held).proposals;
        self.propose_now(proposals, now);
    }

    fn propose_now(&mut self, proposals: Vec<Proposal>, now: Now) {
        // Nearly always they become one entry.
        let mut coalesced = Coalesced {
            requests: Vec::with_capacity(proposals.len()),
            callbacks: Vec::with_capacity(proposals.len()),
            bytes: 0,
        };
        for Proposal {
            header,
            request,
            callback,
        } in proposals
        {
            if let Err(error) = self.check_proposal(header.as_deref()) {
                callback(Err(error));
                continue;
            }
            if let Some(change) = &request.membership {
                // An entry of its own; those before it go first.
                self.propose_entry(std::mem::take(&mut coalesced), None, now);
                self.propose_membership(change, callback, now);
                continue;
            }
            let bytes = request.commands.len();
            if !coalesced.requests.is_empty() && coalesced.bytes + bytes > MAX_ENTRY_BYTES {
                self.propose_entry(std::mem::take(&mut coalesced), None, now);
            }
            coalesced.bytes += bytes;
            coalesced.requests.push(request);
            coalesced.callbacks.push(callback);
        }
        self.propose_entry(coalesced, None, now);
    }

    /// Proposes the Region's own work. Dropped silently when this Peer does not lead: whoever leads finds the same work.
    /// Answers the entry's index.
    pub fn propose_work(&mut self, work: Work, now: Now) -> Option<LogIndex> {
        if self.check_proposal(None).is_err() {
            return None;
        }
        let before = self.raw.raft.raft_log.last_index();
        self.propose_entry(Coalesced::default(), Some(work), now);
        let last = self.raw.raft.raft_log.last_index();
        (last > before).then_some(LogIndex(last))
    }

    /// Whether a request may be proposed here and now. Nothing has been appended when this refuses.
    fn check_proposal(&self, header: Option<&RequestHeader>) -> Result<()> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        let any = RequestHeader::default();
        let header = header.unwrap_or(&any);
        if header.region_id != 0 && header.region_id != self.config.region.get() {
            return Err(Error::RegionNotFound);
        }
        if !self.is_leader() {
            return Err(Error::NotLeader {
                leader: self.other_leader(),
            });
        }
        let epoch = self.raw.store().region().epoch.unwrap_or_default();
        if header.epoch.is_some_and(|made_for| !is_of(made_for, epoch)) {
            return Err(Error::EpochNotMatch);
        }
        if header.term != 0 && header.term != self.raw.raft.term {
            return Err(Error::NotLeader { leader: None });
        }
        // What deletes may still go when room is low; `dispatch::gates` refuses what does not.
        if self.room() == DiskRoom::None {
            return Err(Error::Full);
        }
        Ok(())
    }

    /// The leader that this Peer knows, unless it is itself.
    fn other_leader(&self) -> Option<StoreId> {
        self.leader_store()
            .filter(|&store| store != self.config.store)
    }

    fn propose_entry(&mut self, coalesced: Coalesced, work: Option<Work>, now: Now) {
        let (delete_expired, state_check) = match work {
            Some(Work::DeleteExpired(keys)) => (Some(DeleteExpired { keys }), None),
            Some(Work::Check(check)) => (None, Some(check)),
            None if coalesced.requests.is_empty() => return,
            None => (None, None),
        };
        let index = LogIndex(self.raw.raft.raft_log.last_index()).next();
        let takes_long = coalesced.requests.iter().any(|request| request.takes_long);
        let context = if takes_long {
            TAKES_LONG.to_vec()
        } else {
            Vec::new()
        };
        let data = RaftCmdRequest {
            header: Some(self.stamp(index, now)),
            requests: coalesced.requests,
            delete_expired,
            state_check,
        };
        let mut encoded = Vec::with_capacity(HEADER_BYTES + data.encoded_len());
        let outcome = match data.encode(&mut encoded) {
            Ok(()) => self
                .raw
                .propose(context, encoded)
                .map_err(|_| Error::ProposalDropped),
            // Encoding into a Vec fails only when the message does not fit the address space.
            Err(_) => Err(Error::Busy),
        };
        if let Err(error) = outcome {
            for callback in coalesced.callbacks {
                callback(Err(error.clone()));
            }
            return;
        }
        assert_eq!(
            self.raw.raft.raft_log.last_index(),
            index.get(),
            "Raft accepted a proposal without appending it"
        );
        if !coalesced.callbacks.is_empty() {
            self.pending.push_back(Pending {
                index,
                term: self.term(),
                callbacks: coalesced.callbacks,
            });
        }
    }

    /// The header of an entry: everything that its execution may know of the moment and of chance.
    pub(super) fn stamp(&mut self, index: LogIndex, now: Now) -> RequestHeader {
        RequestHeader {
            region_id: self.config.region.get(),
            peer: Some(pb::Peer {
                id: self.config.peer.get(),
                store_id: self.config.store.get(),
            }),
            epoch: self.raw.store().region().epoch,
            term: self.raw.raft.term,
            now_ms: self.time.at(now),
            seed: mix(mix(self.config.seed ^ index.get()) ^ self.raw.raft.term),
            limits: self.config.limits.message(),
        }
    }

    /// The callbacks that were proposed with the entry at (`index`, `term`). What was proposed at `index` in another term has lost its
    /// place to a committed entry: it never will be executed. What was proposed before `index` and was not taken then is
    /// behind a snapshot: its outcome is unknown to this Peer.
    pub(super) fn take_callbacks(
        &mut self,
        index: LogIndex,
        term: storage::ids::Term,
    ) -> Vec<Callback> {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some(pending) = self.pending.get(at) {
            if pending.index > index {
                at += 1;
                continue;
            }
            let Some(passed) = self.pending.remove(at) else {
                break;
            };
            if (passed.index, passed.term) == (index, term) {
                found = passed.callbacks;
                continue;
            }
            let error = if passed.index == index {
                Error::NotLeader {
                    leader: self.other_leader(),
                }
            } else {
                Error::StaleCommand
            };
            for callback in passed.callbacks {
                callback(Err(error.clone()));
            }
        }
        found
    }
}

/// Whether a request that was made for an epoch may run in this one.
fn is_of(made_for: pb::RegionEpoch, epoch: pb::RegionEpoch) -> bool {
    let same = |asked: u64, is: u64| asked == 0 || asked == is;
    same(made_for.version, epoch.version) && same(made_for.conf_ver, epoch.conf_ver)
}
