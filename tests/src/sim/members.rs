//! Changes of members: new Stores, promotions, removals, joint changes; and what must hold of them at the end.

use server::raftstore::{Members, Proposal};
use storage::ids::StoreId;
use storage::proto::command::{MemberAction, MemberStep, MembershipChange, Request};
use storage::proto::store::StoreAddress;

use super::node::Node;
use super::world::World;

impl World {
    /// Ids of all Stores that there are, members or not.
    pub fn stores(&self) -> Vec<u64> {
        self.nodes.keys().map(|store| store.get()).collect()
    }

    /// A new Store with an empty disk, started as one that joins; its id. It is no member yet.
    pub fn spawn(&mut self) -> u64 {
        let id = self
            .nodes
            .keys()
            .next_back()
            .map_or(1, |last| last.get() + 1);
        let (store, retention) = (StoreId(id), self.options.log_retention_bytes);
        let node = Node::new(store, Vec::new(), retention, &mut self.rng);
        self.nodes.insert(store, node);
        self.restart(id);
        id
    }

    /// Asks `store` for a change of members, without waiting.
    pub fn change(&mut self, store: u64, steps: &[(MemberAction, u64)]) {
        tracing::info!(target: "sim", "{store} is asked for {steps:?}");
        let now = self.nodes[&StoreId(store)].now(self.time_ns);
        let step = |&(action, id): &(MemberAction, u64)| MemberStep {
            action: action.into(),
            store: Some(StoreAddress {
                store_id: id,
                host: format!("store-{id}"),
                port: 6379,
                bus_port: 16379,
                tls_port: 0,
            }),
        };
        let request = Request {
            membership: Some(MembershipChange {
                steps: steps.iter().map(step).collect(),
            }),
            ..Request::default()
        };
        let proposal = Proposal {
            header: None,
            request,
            // Whoever waits looks at the members.
            callback: Box::new(|_| {}),
        };
        if let Some(running) = self.node(store).running.as_mut() {
            running.peer.propose_raft_command(vec![proposal], now);
        }
        self.settle(StoreId(store));
    }

    /// Asks again and again until it is `done`: a change is refused while another one is under way, and by a leader that does
    /// not know yet who answers.
    ///
    /// # Panics
    /// When it is not done in time.
    pub fn change_until(
        &mut self,
        leader: u64,
        steps: &[(MemberAction, u64)],
        done: impl Fn(&Self) -> bool,
    ) {
        for _ in 0..100 {
            if done(self) {
                return;
            }
            self.change(leader, steps);
            self.run_ms(100);
        }
        panic!("{steps:?} is not done:\n{}", self.describe());
    }

    /// Who votes, as this Store knows it; nobody while it is down.
    pub fn voters(&self, store: u64) -> Vec<u64> {
        let members = self.members(store).unwrap_or_default();
        let voters = members.list.iter().filter(|member| member.voter);
        voters.map(|member| member.store.get()).collect()
    }

    /// The members as this Store knows them; none while it is down.
    pub fn members(&self, store: u64) -> Option<Members> {
        let running = self.nodes[&StoreId(store)].running.as_ref()?;
        Some(Members::clone(running.peer.members()))
    }

    /// The members of the newest configuration that any running Store has.
    pub(super) fn newest_members(&self) -> Members {
        let known = self
            .nodes
            .keys()
            .filter_map(|store| self.members(store.get()));
        known
            .max_by_key(|members| (members.conf_ver, members.list.len()))
            .unwrap_or_default()
    }

    /// The Stores of the newest configuration.
    pub(super) fn member_nodes(&self) -> Vec<&Node> {
        let members = self.newest_members();
        let nodes = self.nodes.values();
        nodes
            .filter(|node| members.get(node.store).is_some())
            .collect()
    }

    /// Removes the members that have lost their disk.
    pub(super) fn remove_lost(&mut self) {
        for _ in 0..100 {
            let members = self.member_nodes();
            let lost = members.iter().find(|node| node.is_lost);
            let Some(lost) = lost.map(|node| node.store.get()) else {
                return;
            };
            let leader = self.elect();
            self.change(leader, &[(MemberAction::Remove, lost)]);
            self.run_ms(200);
        }
        panic!(
            "seed {}: a Store that has lost its disk cannot be removed:\n{}",
            self.options.seed,
            self.describe()
        );
    }

    /// Waits until no change is under way and every learner has been promoted.
    pub(super) fn settle_members(&mut self) {
        self.run_until(
            60_000,
            "every member votes, and knows all others",
            |world| {
                let newest = world.newest_members();
                let same = |node: &&Node| world.members(node.store.get()).as_ref() == Some(&newest);
                !newest.is_joint
                    && newest.list.iter().all(|member| member.voter)
                    && world.member_nodes().iter().all(same)
            },
        );
    }
}
