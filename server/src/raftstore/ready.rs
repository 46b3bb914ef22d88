//! What Raft has decided: to be persisted, sent and applied, in an order that matters.

use raft::Ready;
use raft::eraftpb::{Entry, EntryType, Message};
use raft::prelude::MessageType;
use storage::ids::{LogIndex, Term};
use storage::proto::command::RaftMessage;
use storage::proto::store as pb;
use storage::snapshot::SnapshotSource;

use super::apply::{ApplyTask, CommittedEntry};
use super::clock::Now;
use super::disk::{DiskRoom, Unsaved};
use super::peer::{Peer, store_of};

/// Where a Peer's output goes. The store thread and the simulated world are its two implementations.
pub trait Outbox {
    /// Sends a message to another Store, or loses it: Raft tolerates both.
    fn send(&mut self, message: RaftMessage);
    /// Streams a snapshot, then delivers its `MsgSnapshot`; the driver reports the end by `Peer::report_snapshot`.
    fn send_snapshot(&mut self, message: RaftMessage, source: SnapshotSource);
    /// Hands committed entries to the apply worker without waiting for it.
    fn apply(&mut self, task: ApplyTask);
    /// The monotonic clock at this moment, in nanoseconds: to measure how long the disk takes.
    fn clock_ns(&self) -> u64;
    /// Returns when everything handed to the apply worker is executed and no checkpoint is under way: a snapshot is about
    /// to replace the kv engine's records.
    fn quiesce(&mut self);
    /// The kv engine now holds a snapshot: the Region's memory opens again from it.
    fn reopen(&mut self) -> storage::Result<()>;
}

impl Peer {
    /// Handles one Ready; false if there was none, or the disk has no room for it: then the next calls try it again. What is asked
    /// and answered about the founding leaves first.
    ///
    /// An error is fatal: what Raft believes to be on the disk may not be there, and nothing may be sent any more.
    pub fn handle_raft_ready(&mut self, now: Now, out: &mut dyn Outbox) -> storage::Result<bool> {
        self.settle_founding(out)?;
        if let Some(unsaved) = self
            .unsaved
            .take_if(|unsaved| now.monotonic_ns >= unsaved.retry_ns)
        {
            self.raw.raft.msgs.clear();
            let saved = self.save(unsaved.ready, true, now, out)?;
            if saved {
                tracing::info!("the disk has room again: the Raft log goes on");
            }
            return Ok(saved);
        }
        self.propose_held(now);
        if self.waits_for_room() {
            return Ok(false);
        }
        if !self.raw.has_ready() {
            return Ok(false);
        }
        let mut ready = self.raw.ready();
        // A leader's messages may leave before its own fsync: its vote for an entry is counted only after
        // `advance_append` (Raft thesis, section 10.2.1). Raft keeps everybody else's in `persisted_messages`.
        for message in ready.take_messages() {
            self.send(message, now, out);
        }
        self.on_read_states(ready.take_read_states());
        // These were persisted by an earlier Ready and committed since: they need not wait for this one's fsync.
        self.hand_over(ready.take_committed_entries(), now, out)?;
        let saved = self.save(ready, false, now, out)?;
        if !saved {
            tracing::error!(
                "the disk is full: the Raft log waits for room, and this node does not take part until there is. Reads go on \
                 where they can. Free space on it"
            );
        }
        Ok(saved)
    }

    /// The second half of a Ready, which may have `waited` for room: makes it durable, and lets go what waits for that. False when
    /// the disk has no room.
    fn save(
        &mut self,
        mut ready: Ready,
        waited: bool,
        now: Now,
        out: &mut dyn Outbox,
    ) -> storage::Result<bool> {
        let installs = !ready.snapshot().is_empty();
        if installs {
            if self.disks.own_room() < DiskRoom::Enough {
                // A checkpoint under way may wait for room as well, and is waited for below.
                self.unsaved = Some(Unsaved::new(ready, now));
                return Ok(false);
            }
            out.quiesce();
        }
        let snapshot_index = LogIndex(ready.snapshot().get_metadata().index);
        if let Some(first) = ready.entries().first() {
            self.synced.on_append(LogIndex(first.index));
        }
        let before_ns = out.clock_ns();
        let saved = match self.raw.mut_store().save_ready_state(&mut ready) {
            Err(storage::Error::Full) => {
                self.unsaved = Some(Unsaved::new(ready, now));
                return Ok(false);
            }
            saved => saved?,
        };
        let persisted = ready.take_persisted_messages();
        if saved.synced && !installs {
            self.disks.note_ns(out.clock_ns().saturating_sub(before_ns));
        }
        if saved.synced {
            self.synced.on_saved(self.raw.store().last_index());
        }
        if installs {
            out.reopen()?;
        }
        // Only now: an acknowledgement or a vote must not leave before what it promises is on the disk.
        for message in persisted {
            self.send(message, now, out);
        }
        if waited {
            // Raft has heard of another leader or term since: what follows comes with the next Ready.
            let number = ready.number();
            self.raw.advance_append_async(ready);
            self.raw.on_persist_ready(number);
        } else {
            let mut light = self.raw.advance_append(ready);
            for message in light.take_messages() {
                self.send(message, now, out);
            }
            self.hand_over(light.take_committed_entries(), now, out)?;
        }
        if installs {
            self.installed(snapshot_index, now);
        }
        if let Some(task) = self.raw.mut_store().snapshot_needed() {
            // A view of the last checkpoint: its cost does not depend on the size of the data.
            let source = task.run()?;
            self.raw.mut_store().set_snapshot(source);
        }
        self.observe(now);
        Ok(true)
    }

    fn installed(&mut self, index: LogIndex, now: Now) {
        self.applied = index.max(self.applied);
        self.raw.advance_apply_to(index.get());
        self.note_members();
        self.reads.on_applied(self.applied);
        self.publish_lease(now);
    }

    fn send(&mut self, message: Message, now: Now, out: &mut dyn Outbox) {
        let to_store = store_of(message.to);
        let (probe_ns, probe_echo_ns) = self.stamps(&message, now);
        let snapshot = (message.get_msg_type() == MessageType::MsgSnapshot)
            .then(|| LogIndex(message.get_snapshot().get_metadata().index));
        let beats = message.get_msg_type() == MessageType::MsgHeartbeat;
        let from_address = beats.then(|| self.own_address().cloned()).flatten();
        let round_trip_us = match beats {
            true => self.election.round_trip_us(&self.voters()),
            false => 0,
        };
        let answers = message.get_msg_type() == MessageType::MsgHeartbeatResponse;
        let (checked_index, checked_digest) = if answers { self.found() } else { (0, 0) };
        let (synced_index, sync_wanted_index) = self.synced_stamps(message.get_msg_type());
        let envelope = RaftMessage {
            message: Some(message.into()),
            probe_ns,
            probe_echo_ns,
            from_address,
            round_trip_us,
            leader_priority: self.config.priority.get(),
            checked_index,
            checked_digest,
            persist_us: if answers { self.disks.own_us() } else { 0 },
            disk_low: answers && self.disks.own_room() < DiskRoom::Enough,
            synced_index: synced_index.get(),
            sync_wanted_index: sync_wanted_index.get(),
            ..self.envelope(to_store.get())
        };
        let Some(index) = snapshot else {
            out.send(envelope);
            return;
        };
        match self.raw.store().snapshot_source(index) {
            Some(source) => out.send_snapshot(envelope, source),
            // Replaced since Raft read its metadata: Raft asks again after the failure.
            None => self.report_snapshot(to_store, false),
        }
    }

    /// A message to this Peer, without content.
    pub(super) fn envelope(&self, to: u64) -> RaftMessage {
        RaftMessage {
            region_id: self.config.region.get(),
            from_peer: Some(pb::Peer {
                id: self.config.peer.get(),
                store_id: self.config.store.get(),
            }),
            to_peer: Some(pb::Peer {
                id: to,
                store_id: store_of(to).get(),
            }),
            epoch: self.raw.store().region().epoch,
            ..RaftMessage::default()
        }
    }

    fn hand_over(
        &mut self,
        entries: Vec<Entry>,
        now: Now,
        out: &mut dyn Outbox,
    ) -> storage::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut committed = Vec::with_capacity(entries.len());
        for entry in entries {
            let callbacks = self.take_callbacks(LogIndex(entry.index), Term(entry.term));
            let configuration = match entry.get_entry_type() {
                EntryType::EntryNormal => None,
                _ => Some(self.configure(&entry, now)?),
            };
            committed.push(CommittedEntry {
                entry,
                callbacks,
                configuration,
            });
        }
        out.apply(ApplyTask { entries: committed });
        Ok(())
    }
}
