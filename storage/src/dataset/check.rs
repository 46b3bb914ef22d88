//! Whether replicas agree: digests that are the same on all of them at the same applied index.
//!
//! Comparing everything takes long, so each check is of some slots: of their keys, types, expiries and flat values. What it does
//! not look at, the elements of large collections, shows in the replies to writes, all of which are in one digest since the
//! Region began ([`Dataset::note_reply`]). Either differs only on a replica that has gone wrong.

use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Dataset;
use super::position::Position;
use super::walk::{self, Range};
use crate::ids::{DbIndex, LogIndex, SLOT_COUNT};
use crate::{Error, Result};

/// Keys after which a check ends, at the end of a slot: under a millisecond's worth in memory.
const KEYS: usize = 512;

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The entry that it was made at.
    pub index: LogIndex,
    /// Of the slots that were looked at, and of all replies to writes.
    pub digest: u64,
    /// The first slot that was not looked at; 0 after the last.
    pub next_slot: u16,
}

impl Dataset {
    /// Adds what a write has answered to the digest of all replies. Errors are left out: they change nothing, and their texts
    /// may differ between versions.
    pub fn note_reply(&mut self, reply: &[u8]) {
        self.applied.reply_digest = xxh3_64_with_seed(reply, self.applied.reply_digest);
    }

    /// Digests some slots from `from_slot` on, as of the entry at work.
    pub fn check(&mut self, from_slot: u16) -> Result<Checked> {
        let mut digest = self.applied.reply_digest;
        let (mut keys, mut bytes) = (0, Vec::new());
        let mut next_slot = 0;
        for slot in from_slot..SLOT_COUNT {
            if keys >= KEYS {
                next_slot = slot;
                break;
            }
            for (db, &physical) in (0..).map(DbIndex).zip(&self.mapping) {
                if self.used_slots(physical, slot).next() != Some(slot) {
                    continue;
                }
                let range = Range {
                    db: physical,
                    from: Position { slot, hash: 0 },
                    last_hash: u32::MAX,
                    now_ms: 0,
                    elements: false,
                };
                let _ = walk::walk_slot(self, range, |_, group| {
                    keys += group.len();
                    for found in group.iter() {
                        digest = digest.wrapping_add(walk::outline(db, found, &mut bytes));
                    }
                    ControlFlow::Continue(())
                })?;
            }
        }
        let checked = Checked {
            index: LogIndex(self.applied.applied_index),
            digest,
            next_slot,
        };
        self.checked = Some(checked);
        Ok(checked)
    }

    /// The newest check of this replica.
    pub fn checked(&self) -> Option<Checked> {
        self.checked
    }

    /// What a majority has found at `index`. An error, which is fatal, if this replica has found something else.
    pub fn judge(&self, index: LogIndex, digest: u64) -> Result<()> {
        match self.checked {
            Some(checked) if checked.index == index && checked.digest != digest => {
                Err(Error::corrupt(
                    "replica",
                    format!(
                        "the data of this node differs from that of a majority at log index {index}: digest {:016x}, theirs is \
                         {digest:016x}. Keep its directory for a report, and replace it: RAFT.NODE REMOVE its id on another \
                         node, then start it with --join and an empty dir",
                        checked.digest
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}
