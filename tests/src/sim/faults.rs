//! What a world does to its Stores, their clocks and their network.

use rand::Rng as _;
use server::raftstore::DiskRoom;
use storage::ids::StoreId;

use super::world::{Happening, TICK_MS, World};

impl World {
    /// kill -9 and a power cut at once.
    pub fn crash(&mut self, store: u64) {
        tracing::info!(target: "sim", "{store} crashes");
        self.nodes
            .get_mut(&StoreId(store))
            .expect("a Store of this world")
            .crash(&mut self.rng);
        self.drop_clients(StoreId(store));
        self.note_outcomes();
        for other in self.stores() {
            let cut = self.network.is_cut(StoreId(other), StoreId(store));
            if other != store && !cut {
                self.refuse(other, store);
            }
        }
    }

    /// Crashes, and its disk is lost: the next start finds an empty one.
    pub fn wipe(&mut self, store: u64) {
        if self.is_up(store) {
            self.crash(store);
        }
        tracing::info!(target: "sim", "the disk of {store} is lost");
        let node = self.nodes.get_mut(&StoreId(store));
        node.expect("a Store of this world")
            .replace_disk(&mut self.rng);
    }

    /// Why this Store has stopped by itself, if it has: it was told that its data is lost.
    pub fn refusal(&self, store: u64) -> Option<&str> {
        self.nodes[&StoreId(store)].refusal.as_deref()
    }

    /// True if this Store runs and takes part in Raft.
    pub fn is_admitted(&self, store: u64) -> bool {
        let running = self.nodes[&StoreId(store)].running.as_ref();
        running.is_some_and(|running| running.peer.is_admitted())
    }

    /// The power of this Store fails with the `nth` write to its disk from now, in the middle of whatever that belongs to.
    pub fn cut_power_at(&mut self, store: u64, nth: u64) {
        tracing::info!(target: "sim", "the power of {store} fails with write {nth}");
        self.node(store).fuse.set(nth);
    }

    /// `store` is told soon that the process of `gone` is, truly or not.
    pub fn refuse(&mut self, store: u64, gone: u64) {
        tracing::info!(target: "sim", "{store} is told that {gone} is gone");
        let after_ns = self.rng.random_range(100_000..60_000_000);
        self.schedule_own(StoreId(store), after_ns, Happening::Refused(StoreId(gone)));
    }

    /// Starts a Store on what its disk holds.
    pub fn restart(&mut self, store: u64) {
        tracing::info!(target: "sim", "{store} starts again");
        let (time_ns, sabotage) = (self.time_ns, self.options.sabotage);
        let path = self.snapshots.path().to_path_buf();
        if self.node(store).start(time_ns, &path, sabotage).is_err() {
            self.crash(store);
            return;
        }
        self.settle(StoreId(store));
        self.schedule_own(StoreId(store), TICK_MS * 1_000_000, Happening::Tick);
    }

    /// From now on the disk of this Store takes so long for everything. Nobody waits for it: only the measure changes.
    pub fn slow_disk(&mut self, store: u64, ms: u64) {
        self.node(store).disk_ns = ms * 1_000_000;
    }

    /// From now on snapshots are under way for so long at most.
    pub fn slow_snapshots(&mut self, ms: u64) {
        self.snapshot_ns = ms * 1_000_000;
    }

    /// Snapshots that were sent so far.
    pub fn snapshots_sent(&self) -> u64 {
        self.snapshots_sent
    }

    /// From now on (or no longer) the disk of this Store has no room for the log.
    pub fn fill_disk(&mut self, store: u64, full: bool) {
        self.node(store).raft.set_full(full);
    }

    /// From now on (or no longer) the disk of this Store, until it crashes, is nearly full.
    pub fn lower_disk(&mut self, store: u64, low: bool) {
        let room = if low { DiskRoom::Low } else { DiskRoom::Enough };
        let running = self.node(store).running.as_mut().expect("it runs");
        running.peer.set_room(room);
    }

    /// The next command that nobody waits for at this Store is lost on its way to the data.
    pub fn forget(&mut self, store: u64) {
        tracing::info!(target: "sim", "{store} is to forget a command");
        let node = self.node(store);
        node.is_wrong = true;
        node.running.as_mut().expect("it runs").forgets = true;
    }

    /// True while this Store runs.
    pub fn is_up(&self, store: u64) -> bool {
        self.nodes[&StoreId(store)].running.is_some()
    }

    /// SIGSTOP for `ms` milliseconds: nothing of this Store happens, but its clocks go on.
    pub fn pause(&mut self, store: u64, ms: u64) {
        tracing::info!(target: "sim", "{store} stands still for {ms} ms");
        let until = self.time_ns + ms * 1_000_000;
        self.node(store).paused_until_ns = until;
    }

    /// Sets this Store's wall clock off by so much more.
    pub fn jump_clock(&mut self, store: u64, ms: i64) {
        tracing::info!(target: "sim", "the clock of {store} jumps by {ms} ms");
        self.node(store).clock.wall_offset_ms += ms;
    }

    /// Messages from the first to the second are lost.
    pub fn cut(&mut self, from: u64, to: u64) {
        tracing::info!(target: "sim", "cut from {from} to {to}");
        self.network.cut(StoreId(from), StoreId(to));
    }

    /// Cuts this Store off from all others, both ways.
    pub fn isolate(&mut self, store: u64) {
        for other in self.stores() {
            self.cut(store, other);
            self.cut(other, store);
        }
    }

    /// From now on every message takes so long, and a little more, from one Store to another.
    pub fn lengthen_lines(&mut self, ms: u64) {
        self.network.line_ns = ms * 1_000_000;
    }

    /// Repairs every cut.
    pub fn heal(&mut self) {
        tracing::info!(target: "sim", "the network is whole");
        self.network.heal();
    }

    /// Asks the leader `store` to hand over to `to`.
    pub fn transfer(&mut self, store: u64, to: u64) {
        tracing::info!(target: "sim", "{store} is to hand over to {to}");
        let now = self.nodes[&StoreId(store)].now(self.time_ns);
        if let Some(running) = self.node(store).running.as_mut() {
            running.peer.transfer_leader_to(StoreId(to), now);
        }
        self.settle(StoreId(store));
    }

    /// The Store is to lead rather than those of a lower priority; at first all have 0.
    pub fn prefer(&mut self, store: u64, priority: i64) {
        tracing::info!(target: "sim", "{store} has priority {priority}");
        self.node(store).priority.set(priority);
    }

    /// From now on messages from the first to the second wait for [`World::release_one`].
    pub fn hold(&mut self, from: u64, to: u64) {
        tracing::info!(target: "sim", "messages from {from} to {to} are held");
        self.network.hold(StoreId(from), StoreId(to));
    }

    /// The oldest message that is held arrives; false if there is none.
    pub fn release_one(&mut self) -> bool {
        let Some((to, message)) = self.held.pop_front() else {
            return false;
        };
        self.deliver(to, message, None);
        self.settle(to);
        true
    }
}
