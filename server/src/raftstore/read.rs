//! ReadIndex: reads that wait for the leader's commit index, confirmed by a quorum, to be applied here.

use std::collections::VecDeque;

use raft::ReadState;
use storage::ids::LogIndex;

use super::apply::ReadCallback;
use super::error::Error;
use super::peer::Peer;

/// Ticks after which an unanswered round is asked again: a message of it may be lost.
const RETRY_TICKS: u32 = 4;

/// One round of ReadIndex that Raft has been asked for.
struct Round {
    id: u64,
    ticks: u32,
    callbacks: Vec<ReadCallback>,
}

/// Reads that wait. All that arrive before a round starts share it.
pub(super) struct Reads {
    /// Begins anywhere: the answer to a round of this Store's former process may still arrive.
    next_round: u64,
    waiting: Vec<ReadCallback>,
    rounds: Vec<Round>,
    /// Confirmed, until the index is applied here.
    confirmed: VecDeque<(LogIndex, Vec<ReadCallback>)>,
}

impl Reads {
    /// `first_round` is drawn anew by every process.
    pub(super) fn new(first_round: u64) -> Self {
        Self {
            next_round: first_round,
            waiting: Vec::new(),
            rounds: Vec::new(),
            confirmed: VecDeque::new(),
        }
    }

    /// Everything at or below `index` may be read.
    pub(super) fn on_applied(&mut self, index: LogIndex) {
        while self
            .confirmed
            .front()
            .is_some_and(|(needed, _)| *needed <= index)
        {
            for callback in self
                .confirmed
                .pop_front()
                .into_iter()
                .flat_map(|(_, callbacks)| callbacks)
            {
                callback(Ok(()));
            }
        }
    }

    /// Rounds of the former leader will not be answered: they start again.
    pub(super) fn on_leader_change(&mut self) {
        for round in self.rounds.drain(..) {
            self.waiting.extend(round.callbacks);
        }
    }

    pub(super) fn fail_all(&mut self, error: &Error) {
        self.on_leader_change();
        let confirmed = self
            .confirmed
            .drain(..)
            .flat_map(|(_, callbacks)| callbacks);
        for callback in self.waiting.drain(..).chain(confirmed) {
            callback(Err(error.clone()));
        }
    }

    fn confirm(&mut self, index: LogIndex, callbacks: Vec<ReadCallback>) {
        // Rounds may be answered out of order after a retry; the queue stays ordered by index.
        let at = self.confirmed.partition_point(|(other, _)| *other <= index);
        self.confirmed.insert(at, (index, callbacks));
    }
}

impl Peer {
    /// Calls back when this Peer's memory reflects everything that was acknowledged anywhere before this call.
    pub fn read_index(&mut self, callback: ReadCallback) {
        if self.stopped {
            callback(Err(Error::Stopped));
            return;
        }
        self.reads.waiting.push(callback);
    }

    /// Starts one round for everything that waits. Called by the driver after it has drained its inbox.
    pub fn flush_reads(&mut self) {
        if self.reads.waiting.is_empty() {
            return;
        }
        if self.raw.raft.leader_id == raft::INVALID_ID {
            let leaderless = Error::NotLeader { leader: None };
            for callback in self.reads.waiting.drain(..) {
                callback(Err(leaderless.clone()));
            }
            return;
        }
        if self.is_leader() && !self.raw.raft.commit_to_current_term() {
            // Raft drops the request until the first entry of the term is committed; `tick` comes back to it.
            return;
        }
        self.reads.next_round = self.reads.next_round.wrapping_add(1);
        let id = self.reads.next_round;
        let callbacks = std::mem::take(&mut self.reads.waiting);
        self.reads.rounds.push(Round {
            id,
            ticks: 0,
            callbacks,
        });
        let mut context = self.config.peer.get().to_be_bytes().to_vec();
        context.extend(id.to_be_bytes());
        self.raw.read_index(context);
    }

    pub(super) fn retry_reads(&mut self) {
        let mut again = Vec::new();
        self.reads.rounds.retain_mut(|round| {
            round.ticks += 1;
            let keep = round.ticks < RETRY_TICKS;
            if !keep {
                again.append(&mut round.callbacks);
            }
            keep
        });
        self.reads.waiting.append(&mut again);
        self.flush_reads();
    }

    pub(super) fn on_read_states(&mut self, states: Vec<ReadState>) {
        for state in states {
            let Some(id) = state
                .request_ctx
                .get(8..16)
                .and_then(|id| id.try_into().ok())
                .map(u64::from_be_bytes)
            else {
                continue;
            };
            if let Some(at) = self.reads.rounds.iter().position(|round| round.id == id) {
                let round = self.reads.rounds.swap_remove(at);
                self.reads.confirm(LogIndex(state.index), round.callbacks);
            }
        }
        self.reads.on_applied(self.applied);
    }
}
