//! Several Peers and the messages between them.

use std::collections::BTreeMap;

use raft::eraftpb::{Message, MessageType};
use raft::{SnapshotStatus, StateRole};
use storage::ids::{FIRST_REGION, LogIndex, Term};
use storage::snapshot::{ReceivedSnapshot, SnapshotReceiver, SnapshotSource};

use crate::node::{Disk, Node};

/// Rounds of messages after which a cluster that should be quiet is taken to be stuck.
const MAX_ROUNDS: usize = 1000;

pub(crate) struct Cluster {
    pub(crate) nodes: BTreeMap<u64, Node>,
}

impl Cluster {
    pub(crate) fn new(size: u64) -> Self {
        Self {
            nodes: (1..=size)
                .map(|id| (id, Node::start(Disk::bootstrapped(id, size))))
                .collect(),
        }
    }

    pub(crate) fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).unwrap()
    }

    pub(crate) fn elect(&mut self, id: u64) {
        let leader = self
            .nodes
            .values_mut()
            .find(|node| node.raw.raft.state == StateRole::Leader);
        match leader {
            Some(leader) => leader.raw.transfer_leader(id),
            None => self.node(id).raw.campaign().unwrap(),
        }
        self.settle();
        assert_eq!(self.node(id).raw.raft.state, StateRole::Leader);
    }

    pub(crate) fn put(&mut self, leader: u64, key: &str, value: &str) {
        self.node(leader).propose(key, value);
        self.settle();
    }

    /// Exchanges messages until there are none. Those to Peers that are not there are lost.
    pub(crate) fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let messages: Vec<Message> = self
                .nodes
                .values_mut()
                .flat_map(|node| node.work().unwrap())
                .collect();
            if messages.is_empty() {
                return;
            }
            for message in messages {
                self.deliver(message);
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Ticks of the leader until everything that its heartbeats cause is done.
    pub(crate) fn heartbeat(&mut self, leader: u64) {
        for _ in 0..3 {
            self.node(leader).raw.tick();
            self.settle();
        }
    }

    fn deliver(&mut self, message: Message) {
        let (from, to) = (message.from, message.to);
        if message.get_msg_type() == MessageType::MsgSnapshot {
            let index = LogIndex(message.get_snapshot().get_metadata().index);
            let source = self.node(from).store().snapshot_source(index).unwrap();
            let Some(receiver) = self.nodes.get_mut(&to) else {
                self.node(from)
                    .raw
                    .report_snapshot(to, SnapshotStatus::Failure);
                return;
            };
            let file = transfer(source, &receiver.disk);
            receiver.store_mut().receive(file);
            self.node(from)
                .raw
                .report_snapshot(to, SnapshotStatus::Finish);
        }
        if let Some(node) = self.nodes.get_mut(&to) {
            node.raw.step(message).unwrap();
        }
    }
}

/// Sends all chunks.
pub(crate) fn transfer(mut source: SnapshotSource, to: &Disk) -> ReceivedSnapshot {
    let metadata = source.metadata();
    let (index, term) = (LogIndex(metadata.index), Term(metadata.term));
    let mut receiver = SnapshotReceiver::create(to.dir.path(), FIRST_REGION, index, term).unwrap();
    while let Some(chunk) = source.next_chunk().unwrap() {
        receiver.accept(&chunk).unwrap();
    }
    receiver.finish().unwrap()
}
