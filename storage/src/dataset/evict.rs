//! Which keys go when memory is full and the operator allows it: the server is a cache then, in Redis's sense.
//!
//! The leader chooses victims among the keys in memory and proposes their deletion, so that all replicas delete the same. A
//! choice is among a sample, as in Redis, but of some hundred keys at a time.

use super::Dataset;
use super::entry::Entry;
use super::object::is_expired;
use super::position::Position;
use super::record::PhysicalDb;
use crate::ids::DbIndex;
use crate::random;

/// Keys that are compared; the worse half of them goes.
const SAMPLE_KEYS: usize = 256;

/// With a policy that evicts, memory may exceed its limit by one part in so many before objects are also dropped that are on
/// disk: on a follower that has less memory than its leader, or when nothing may be evicted.
pub(super) const SLACK_PARTS: u64 = 5;

/// A checkpoint starts when what waits for it takes one part in so many of the memory.
const CHECKPOINT_PARTS: u64 = 16;
/// But not for less.
const MIN_CHECKPOINT_BYTES: usize = 1 << 20;

/// `maxmemory-policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EvictionPolicy {
    /// No key is deleted to make room.
    #[default]
    NoEviction,
    /// The keys that were not used for longest.
    AllKeysLru,
    /// The keys that are used least often.
    AllKeysLfu,
    /// Any keys.
    AllKeysRandom,
    /// Of the keys that expire, those that were not used for longest.
    VolatileLru,
    /// Of the keys that expire, those that are used least often.
    VolatileLfu,
    /// Of the keys that expire, any.
    VolatileRandom,
    /// The keys that expire next.
    VolatileTtl,
}

impl EvictionPolicy {
    /// Whether keys are deleted to make room.
    pub fn evicts(self) -> bool {
        self != Self::NoEviction
    }

    /// Whether the keys go that are used least often.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::AllKeysLfu | Self::VolatileLfu)
    }

    /// Whether only keys that expire are.
    fn is_volatile(self) -> bool {
        matches!(
            self,
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl
        )
    }

    /// The greater, the sooner a key goes.
    fn badness(self, entry: &Entry, now_ms: u64, random: &mut u64) -> u64 {
        let access = entry.access();
        match self {
            Self::NoEviction => 0,
            Self::AllKeysLru | Self::VolatileLru => access.idle_ms(now_ms),
            Self::AllKeysLfu | Self::VolatileLfu => u64::from(u8::MAX - access.frequency(now_ms)),
            Self::AllKeysRandom | Self::VolatileRandom => random::next(random),
            Self::VolatileTtl => u64::MAX - entry.expire_at_ms().unwrap_or(u64::MAX),
        }
    }
}

/// A key to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The logical database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
    /// What it takes in memory.
    pub bytes: u64,
}

impl Dataset {
    /// Sets which keys are deleted when memory is full.
    pub fn set_eviction_policy(&mut self, policy: EvictionPolicy) {
        self.eviction = policy;
    }

    /// Which keys go when memory is full.
    pub(super) fn eviction_policy(&self) -> EvictionPolicy {
        self.eviction
    }

    /// Bytes by which memory exceeds its limit, if keys are to be evicted then; 0: all is well.
    pub fn bytes_to_evict(&self) -> u64 {
        if self.eviction.evicts() && self.maxmemory_bytes > 0 {
            self.bytes_to_weigh().saturating_sub(self.maxmemory_bytes)
        } else {
            0
        }
    }

    /// The memory that is compared with its limit. What waits to be written to disk counts for a quarter of the limit at most:
    /// deleting or dropping more would not make it less, and it is written soon ([`Self::checkpoint_bytes`]).
    pub(super) fn bytes_to_weigh(&self) -> u64 {
        let waiting = self.waiting_bytes();
        let counted = waiting.min(self.maxmemory_bytes / 4);
        self.memory_used() - waiting + counted
    }

    /// The size of the write set at which a checkpoint is due: `configured`, or less when memory is small.
    pub fn checkpoint_bytes(&self, configured: usize) -> usize {
        match self.maxmemory_bytes / CHECKPOINT_PARTS {
            0 => configured,
            part => configured.min((part as usize).max(MIN_CHECKPOINT_BYTES)),
        }
    }

    /// Keys whose deletion frees about `bytes`, or some of them: the worse half of a sample at most. None when no key may
    /// be deleted.
    pub fn victims(&mut self, bytes: u64, random: u64) -> Vec<Victim> {
        let (policy, now_ms, mut random) = (self.eviction, self.now_ms(), random);
        let places = if policy.is_volatile() {
            self.volatile_sample(&mut random)
        } else {
            self.next_sample().map_or_else(Vec::new, |(slots, _)| slots)
        };
        let candidates = places.iter().flat_map(|&(db, slot)| {
            let table = self.database(db).slot(slot);
            let entries = table.into_iter().flat_map(|table| table.iter());
            entries.map(move |entry| (db, entry))
        });
        let may_go = |entry: &Entry| !policy.is_volatile() || entry.expire_at_ms().is_some();
        let mut candidates: Vec<(u64, PhysicalDb, &Entry)> = candidates
            .filter(|(_, entry)| may_go(entry) && !is_expired(entry.expire_at_ms(), now_ms))
            .map(|(db, entry)| (policy.badness(entry, now_ms, &mut random), db, entry))
            .collect();
        candidates.sort_unstable_by(|(a, ..), (b, ..)| b.cmp(a));
        let most = candidates.len().div_ceil(2);
        let (mut victims, mut freed) = (Vec::new(), 0);
        for (_, db, entry) in candidates.into_iter().take(most) {
            if freed >= bytes {
                break;
            }
            let logical = self.mapping.iter().position(|&physical| physical == db);
            if let Some(logical) = logical {
                let bytes = entry.allocated_bytes() as u64;
                freed += bytes;
                victims.push(Victim {
                    db: DbIndex(logical as u8),
                    key: entry.key().into(),
                    bytes,
                });
            }
        }
        victims
    }

    /// The slots of keys that expire: those that do so first from a random time on, and of the next ones.
    fn volatile_sample(&self, random: &mut u64) -> Vec<(PhysicalDb, u16)> {
        let mut places = Vec::new();
        for (number, database) in (0..).zip(&self.databases) {
            let from = match self.eviction {
                EvictionPolicy::VolatileTtl => 0,
                _ => random::next(random),
            };
            let positions = database.expiry.sample(from, SAMPLE_KEYS);
            places.extend(positions.map(|Position { slot, .. }| (PhysicalDb(number), slot)));
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}
