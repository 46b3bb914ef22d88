//! Which founders take part: a voter that has lost its disk must not come back as a voter that remembers nothing.
//!
//! The Stores of `cluster-peers` begin with the same first index and no entry, each on its own. One whose directory was lost looks
//! like one that starts for the first time, and would vote although it has forgotten what it had acknowledged. So a founder
//! neither votes, acknowledges nor campaigns before it is *admitted*, which happens once and is durable.
//!
//! Each Store draws a number when its directory is made, its *birth*. A founder that is not admitted asks the others; who is asked
//! remembers the birth, durably and for good, before it answers. An answer that tells of another birth proves that this Store's
//! data is lost: it stops, and says how to replace it. Of `n` founders, others must have remembered the birth:
//!
//! | who | how many | then this Store |
//! |---|---|---|
//! | any | ⌈n/2⌉ | was late |
//! | founders that are not admitted and know of no founding, or that have founded the cluster with this Store | ⌊n/2⌋ | founds the cluster, with them |
//!
//! The cluster is founded when all have answered, or after [`PATIENCE_ROUNDS`] without those that have not. Whom it was founded with
//! need not wait.
//!
//! A Store that has lost its disk finds ⌈n/2⌉ in no other way than with one of those that remember its first birth, because that
//! many and those of its first admission are more than the `n - 1` others. It finds ⌊n/2⌋ that take no part only among Stores that
//! nobody who takes part has ever reached, and these are then, with it, a majority that cannot know of the others. Of three, one of
//! them must never have been there, one be lost with its disk and one be unreachable; whoever wants to exclude that waits for all
//! when a cluster is founded.
//!
//! A Store that joins later is admitted from the beginning: it votes because the log says so, and ids are not given twice.

use std::collections::BTreeMap;

use storage::ids::{PeerId, StoreId};
use storage::proto::command::{FoundingMessage, RaftMessage};
use storage::proto::store::{FoundingState, StoreBirth};

use super::peer::{Peer, Step};
use super::ready::Outbox;

/// Ticks between two rounds of questions.
const ASK_TICKS: u32 = 5;

/// Rounds after which the cluster is founded without those that have not answered.
const PATIENCE_ROUNDS: u32 = 20;

/// Rounds after which an operator is told that others are missing, again and again.
const REMIND_ROUNDS: u32 = 100;

/// What one Store knows of the founding.
#[derive(Clone, Debug)]
pub(super) struct Founding {
    me: u64,
    /// All founders but this one; they matter until this Store is admitted, when no change of members is applied yet.
    others: Vec<u64>,
    state: FoundingState,
    /// It differs from what is on the disk.
    is_dirty: bool,
    /// What the others have answered last.
    heard: BTreeMap<u64, FoundingState>,
    /// To be sent when the state is durable: to whom, and whether it asks.
    outgoing: Vec<(u64, bool)>,
    wait_ticks: u32,
    rounds: u32,
    /// Who remembers another birth of this Store.
    refused_by: Option<u64>,
}

impl Founding {
    pub(super) fn new(
        me: StoreId,
        members: impl Iterator<Item = u64>,
        state: FoundingState,
    ) -> Self {
        Self {
            me: me.get(),
            others: members.filter(|store| *store != me.get()).collect(),
            state,
            is_dirty: false,
            heard: BTreeMap::new(),
            outgoing: Vec::new(),
            wait_ticks: 0,
            rounds: 0,
            refused_by: None,
        }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.state.admitted
    }

    /// One tick of a Store that is not admitted: asks the others now and then.
    pub(super) fn tick(&mut self) {
        if self.wait_ticks > 0 {
            self.wait_ticks -= 1;
            return;
        }
        self.wait_ticks = ASK_TICKS;
        self.rounds += 1;
        let questions = self.others.iter().map(|other| (*other, true));
        self.outgoing.extend(questions);
        if self.rounds.is_multiple_of(REMIND_ROUNDS) {
            tracing::warn!(
                "this node is new here and does not vote before enough of the nodes {:?} know it; nodes {:?} do so far. Start \
                 the others, or, if they were replaced, remove this node and let it join: RAFT.NODE REMOVE {} on a member, then \
                 --join host:port",
                self.others,
                self.knowing().collect::<Vec<_>>(),
                self.me
            );
        }
    }

    /// Another member asks or answers.
    fn on_message(&mut self, from: u64, message: FoundingMessage) {
        let theirs = message.state.unwrap_or_default();
        self.remember(from, &theirs);
        if message.asks {
            self.outgoing.push((from, false));
        }
        if self.state.admitted || !self.others.contains(&from) {
            return;
        }
        match theirs.birth_of(self.me) {
            Some(birth) if Some(birth) != self.birth() => self.refused_by = Some(from),
            _ => {
                if theirs.admitted && !self.is_among_founders(&theirs) {
                    self.is_dirty |= !std::mem::replace(&mut self.state.founded, true);
                }
                self.heard.insert(from, theirs);
                self.admit_if_known();
            }
        }
    }

    /// The births of Stores that were unknown so far: first that of the sender, which knows it best.
    fn remember(&mut self, from: u64, theirs: &FoundingState) {
        let own = theirs.births.iter().filter(|known| known.store_id == from);
        let others = theirs.births.iter().filter(|known| known.store_id != from);
        for known in own.chain(others) {
            if known.store_id != self.me && self.state.birth_of(known.store_id).is_none() {
                self.state.births.push(*known);
                self.is_dirty = true;
            }
        }
    }

    fn admit_if_known(&mut self) {
        let founders = self.others.len() + 1;
        let together: Vec<u64> = self
            .knowing()
            .filter(|other| self.founds_with(*other))
            .collect();
        let is_founded = self.heard.values().any(|it| self.is_among_founders(it));
        let all_answered = self.heard.len() == self.others.len();
        let may_found = is_founded || all_answered || self.rounds > PATIENCE_ROUNDS;
        if may_found && together.len() >= founders / 2 {
            let with = |store_id: u64| StoreBirth {
                store_id,
                birth: self.state.birth_of(store_id).unwrap_or_default(),
            };
            let own = std::iter::once(self.me);
            self.state.founders = own.chain(together.iter().copied()).map(with).collect();
            tracing::info!("this node and nodes {together:?} found the cluster");
        } else if self.knowing().count() < founders.div_ceil(2) {
            return;
        } else {
            tracing::info!("this node takes part from now on");
        }
        self.state.admitted = true;
        self.state.founded = false;
        self.is_dirty = true;
    }

    /// Those that remember this Store, and whose own birth nobody disputes.
    fn knowing(&self) -> impl Iterator<Item = u64> {
        let heard = self.heard.iter();
        heard
            .filter(|(other, theirs)| {
                theirs.birth_of(self.me) == self.birth() && self.is_undisputed(**other, theirs)
            })
            .map(|(other, _)| *other)
    }

    fn is_undisputed(&self, other: u64, theirs: &FoundingState) -> bool {
        let birth = theirs.birth_of(other);
        let mut all = self.heard.values().chain([&self.state]);
        all.all(|state| {
            state
                .birth_of(other)
                .is_none_or(|known| Some(known) == birth)
        })
    }

    /// Whether that Store has founded the cluster with this one, or may still.
    fn founds_with(&self, other: u64) -> bool {
        self.heard.get(&other).is_some_and(|theirs| {
            let is_new = !theirs.admitted && !theirs.founded && !self.state.founded;
            is_new || self.is_among_founders(theirs)
        })
    }

    fn is_among_founders(&self, theirs: &FoundingState) -> bool {
        let mut founders = theirs.founders.iter();
        founders.any(|founder| founder.store_id == self.me && Some(founder.birth) == self.birth())
    }

    fn birth(&self) -> Option<u64> {
        self.state.birth_of(self.me)
    }
}

impl Peer {
    /// Whether this Store takes part in Raft; see the module `founding`.
    pub fn is_admitted(&self) -> bool {
        self.founding.is_admitted()
    }

    /// Why this Store must stop: it was a founder before, and its data is lost.
    pub fn refusal(&self) -> Option<String> {
        let by = self.founding.refused_by?;
        let me = self.config.store;
        Some(format!(
            "node {by} knows node {me} with other data than this: its directory was lost or exchanged, and what it had \
             acknowledged with it. Bring the directory back, or replace the node: RAFT.NODE REMOVE {me} on a member, then \
             start it with an empty dir and --join host:port. If the cluster never held any data, empty the directories of all nodes"
        ))
    }

    /// A message about the founding.
    pub(super) fn step_founding(&mut self, message: RaftMessage) -> Step {
        let from = message.from_peer.unwrap_or_default();
        let conf_ver = message.epoch.map_or(0, |epoch| epoch.conf_ver);
        if from.store_id == 0 || !self.may_hear(PeerId(from.id), conf_ver) {
            return Step::Ignored("about the founding, from a Peer that is not a member");
        }
        if let Some(founding) = message.founding {
            self.founding.on_message(from.store_id, founding);
        }
        Step::Stepped
    }

    /// Makes durable what was heard, and only then tells it.
    pub(super) fn settle_founding(&mut self, out: &mut dyn Outbox) -> storage::Result<()> {
        if std::mem::take(&mut self.founding.is_dirty) {
            let state = self.founding.state.clone();
            self.raw.mut_store().save_founding(state)?;
        }
        for (to, asks) in std::mem::take(&mut self.founding.outgoing) {
            let founding = FoundingMessage {
                asks,
                state: Some(self.founding.state.clone()),
            };
            out.send(RaftMessage {
                founding: Some(founding),
                ..self.envelope(to)
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Founders by id. What one sends arrives at once, or is lost.
    #[derive(Clone)]
    struct Group {
        stores: BTreeMap<u64, Founding>,
        size: u64,
        births: u64,
    }

    impl Group {
        fn new(size: u64) -> Self {
            Self {
                stores: BTreeMap::new(),
                size,
                births: 0,
            }
        }

        /// Those of a cluster of this size that make a majority, admitted.
        fn founded(size: u64) -> Self {
            let mut group = Self::new(size);
            let founders: Vec<u64> = (1..=size / 2 + 1).collect();
            founders.iter().for_each(|id| group.start(*id));
            group.ask_on(&founders);
            assert_eq!(group.admitted(), founders);
            group
        }

        /// A Store starts with an empty directory.
        fn start(&mut self, id: u64) {
            self.births += 1;
            let own = StoreBirth {
                store_id: id,
                birth: self.births,
            };
            let state = FoundingState {
                births: vec![own],
                ..FoundingState::default()
            };
            let founding = Founding::new(StoreId(id), 1..=self.size, state);
            self.stores.insert(id, founding);
        }

        /// One asks those that are reachable, and hears what they answer.
        fn ask(&mut self, id: u64, reachable: &[u64]) {
            self.stores.get_mut(&id).expect("it runs").rounds += 1;
            for &other in reachable.iter().filter(|other| **other != id) {
                let question = FoundingMessage {
                    asks: true,
                    state: Some(self.stores[&id].state.clone()),
                };
                let asked = self.stores.get_mut(&other).expect("it runs");
                asked.on_message(id, question);
                let answer = FoundingMessage {
                    asks: false,
                    state: Some(asked.state.clone()),
                };
                let asking = self.stores.get_mut(&id).expect("it runs");
                asking.on_message(other, answer);
            }
        }

        /// These ask each other for longer than anybody is patient.
        fn ask_on(&mut self, up: &[u64]) {
            for _ in 0..PATIENCE_ROUNDS + 3 {
                for &id in up {
                    self.ask(id, up);
                }
            }
        }

        fn admitted(&self) -> Vec<u64> {
            let stores = self.stores.iter();
            let admitted = stores.filter(|(_, founding)| founding.is_admitted());
            admitted.map(|(id, _)| *id).collect()
        }
    }

    /// Every subset.
    fn subsets(of: &[u64]) -> impl Iterator<Item = Vec<u64>> {
        (0..1_usize << of.len()).map(move |chosen| {
            let places = of.iter().enumerate();
            let chosen = places.filter(|(at, _)| chosen >> at & 1 == 1);
            chosen.map(|(_, id)| *id).collect()
        })
    }

    #[test]
    fn any_majority_founds_a_cluster_and_no_minority_does() {
        for size in 2..=6 {
            let all: Vec<u64> = (1..=size).collect();
            for up in subsets(&all) {
                let mut group = Group::new(size);
                up.iter().for_each(|id| group.start(*id));
                group.ask_on(&up);
                if (up.len() as u64) <= size / 2 {
                    assert_eq!(group.admitted(), [0; 0], "{up:?} of {size}");
                    continue;
                }
                assert_eq!(group.admitted(), up, "of {size}");
                for id in all.iter().filter(|id| !up.contains(id)) {
                    group.start(*id);
                }
                group.ask_on(&all);
                assert_eq!(group.admitted(), all, "{up:?} were there first");
            }
        }
    }

    #[test]
    fn nobody_founds_a_cluster_in_a_hurry_without_the_others() {
        let mut group = Group::new(3);
        (1..=3).for_each(|id| group.start(id));
        group.ask(1, &[2]);
        assert_eq!(group.admitted(), [0; 0]);
        group.ask(1, &[2, 3]);
        assert_eq!(group.admitted(), [1]);
    }

    /// Whoever let it in, and whomever it reaches when its disk is lost.
    #[test]
    fn a_late_founder_that_has_lost_its_disk_is_not_admitted_again() {
        for size in 3..=6 {
            let founders: Vec<u64> = (1..=size / 2 + 1).collect();
            let late = size / 2 + 2;
            for known_to in subsets(&founders) {
                let mut group = Group::founded(size);
                group.start(late);
                group.ask(late, &known_to);
                let enough = known_to.len() as u64 >= size.div_ceil(2);
                assert_eq!(group.stores[&late].is_admitted(), enough, "{known_to:?}");
                if !enough {
                    continue;
                }
                ((late + 1)..=size).for_each(|id| group.start(id));
                let others: Vec<u64> = (1..=size).filter(|id| *id != late).collect();
                for reached in subsets(&others) {
                    let mut group = group.clone();
                    group.start(late);
                    for _ in 0..=PATIENCE_ROUNDS {
                        group.ask(late, &reached);
                    }
                    assert!(!group.stores[&late].is_admitted(), "{size}: {reached:?}");
                }
            }
        }
    }

    /// The late ones have been reached by somebody who takes part.
    #[test]
    fn late_founders_found_no_second_cluster_with_one_that_has_lost_its_disk() {
        for size in 3..=6 {
            let founders = size / 2 + 1;
            let mut group = Group::founded(size);
            let late: Vec<u64> = (founders + 1..=size).collect();
            for &id in &late {
                group.start(id);
                group.ask(id, &[1]);
            }
            group.start(founders);
            let mut up = late;
            up.push(founders);
            group.ask_on(&up);
            assert!(!group.stores[&founders].is_admitted(), "{size}");
            assert!(group.stores[&founders].refused_by.is_some(), "{size}");
        }
    }

    #[test]
    fn a_store_that_others_know_with_another_birth_does_not_count() {
        let mut group = Group::new(3);
        (1..=3).for_each(|id| group.start(id));
        group.ask(2, &[3]);
        group.start(2);
        group.ask(1, &[3]);
        group.ask(2, &[1]);
        let knowing: Vec<u64> = group.stores[&1].knowing().collect();
        assert_eq!(knowing, [3]);
        group.ask(2, &[3]);
        assert_eq!(group.stores[&2].refused_by, Some(3));
    }
}
