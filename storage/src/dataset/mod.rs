//! The Region's memory: databases, objects, expiry, the write set and its checkpoint.
//!
//! **What it is.** The working set as native structures, on which commands run, over the kv engine, which holds every
//! record durably as of the last checkpoint. Memory is a subset of the keys: objects that nobody uses are dropped when
//! there is not room for all, and come back when asked for. Counts of keys are exact per slot at all times, so it is
//! known when memory holds all keys of a slot ("complete"): then a miss costs no look at the disk.
//!
//! **A read** goes through a [`View`] under the shared lock: memory, else (slot not complete) the write set's deletions, else
//! the engine, inline; the key is noted, and [`Dataset::promote`] loads it later.
//!
//! **A write** happens only in a [`Txn`], which executes one log entry. It changes memory and puts the key's record into the
//! write set, coalesced. [`Dataset::freeze`] makes that a [`Checkpoint`], whose run ingests all records together with
//! RaftApplyState; until [`Dataset::checkpoint_done`] its objects stay in memory. The log is compacted behind it.
//!
//! **Order.** Keys lie in order of slot, then of a keyed hash, in memory and on disk alike. SCAN walks that order, so its
//! cursor is a position that nothing moves: every key that is there throughout a scan is given once.
//!
//! **Flush and swap** are O(1): FLUSHDB notes the log index before which records of the physical database are not there,
//! SWAPDB exchanges which physical databases two logical ones are.
//!
//! **Deterministic.** The same entries give the same state, digest and checkpoint; which objects are in memory, and when
//! they were used, is each replica's own and decides nothing.
//!
//! | module | what it holds |
//! |---|---|
//! | `position` | slot and hash of a key, and the order they make |
//! | `entry`, `access` | a key and its value in one allocation; when and how often it was used |
//! | `database` | the entries of a database, with counts and accounts |
//! | `collection` | large collections, whose elements have records of their own |
//! | `counts`, `expiry` | keys per slot; keys that expire, earliest first |
//! | `record`, `system` | the layout of records in the kv engine |
//! | `write_set`, `scored`, `asked`, `checkpoint` | what changed, and how it becomes durable |
//! | `cleanup` | the elements' records of collections that are gone |
//! | `cold`, `walk` | what is only on disk: lookups, loading, dropping; and the ordered walk over both |
//! | `part`, `preload` | point operations on large collections that are only on disk; loading all of one without the lock |
//! | `recall` | large collections that come back while others work on them |
//! | `nodes`, `expiries`, `ranks` | what parts are made of: nodes of lists and streams; fields by their times; members by their scores |
//! | `headroom` | room for what is about to be in memory |
//! | `sweep` | expired keys that are only on disk |
//! | `evict` | the keys that go when memory is full, if the operator allows it |
//! | `view`, `txn` | reads and writes |
//! | `warm` | fetching the memory of several keys at once |

mod access;
mod asked;
mod check;
mod checkpoint;
mod cleanup;
mod cold;
mod collection;
mod counts;
mod database;
mod entry;
mod evict;
mod expiries;
mod expiry;
mod headroom;
mod nodes;
mod object;
mod part;
mod position;
mod preload;
mod ranks;
mod recall;
mod record;
mod scored;
mod stats;
mod sweep;
mod system;
mod txn;
mod view;
mod walk;
mod warm;
mod write_set;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prost::Message;

pub use check::Checked;
pub use checkpoint::{Checkpoint, CheckpointDone, Obsolete};
pub use cleanup::{Cleanup, CleanupDone};
pub use database::Garbage;
pub use evict::{EvictionPolicy, Victim};
pub use headroom::Headroom;
pub use object::Object;
pub use part::{Afar, Looks, Members, Point, RankLooks, RankSpan, Search, Searched};
pub use position::slot_of;
pub use preload::{Cold, ColdKey, Loaded, Loan};
pub use recall::{Changes, Recalled};
pub use stats::DatasetStats;
pub use sweep::{SweepCursor, Swept};
pub use txn::{Event, Expiry, Txn};
pub use view::{ScannedKey, View};
pub use warm::{Ahead, Taken, WARM_KEYS};

use crate::engine::{Engine, Reader};
use crate::ids::{DB_COUNT, DbIndex, LogIndex, RegionId, Term};
use crate::proto::command::ExpiredKey;
use crate::proto::raft::ConfState;
use crate::proto::store::{RaftApplyState, Region};

use crate::types::KeyHasher;
use crate::{Error, Result, keys};

/// How a data set is opened.
#[derive(Clone, Default)]
pub struct DatasetOptions {
    /// Memory above which cold objects are dropped, in bytes; 0: no limit.
    pub maxmemory_bytes: u64,
    /// Which keys are deleted when it is full.
    pub eviction: EvictionPolicy,
    /// Large collections of fewer elements are loaded even for a point operation.
    pub parts_from_elements: u64,
    /// Seeds the hash of keys. The same on all replicas, for the life of the Region.
    pub hash_seed: [u8; 16],
}

/// The Region's memory. See the module's page.
pub struct Dataset {
    region: RegionId,
    /// What is read: the engine itself, or a view of it.
    engine: Arc<dyn Reader>,
    /// The engine, unless this data set is one of [`Self::durable`].
    source: Option<Arc<dyn Engine>>,
    hasher: KeyHasher,
    maxmemory_bytes: u64,
    /// What the data may take of it: see [`Self::set_room`].
    room_bytes: u64,
    /// Of all that is asked for: see [`Headroom`].
    headroom: Arc<AtomicU64>,
    /// See [`DatasetOptions`].
    parts_from_elements: u64,
    eviction: evict::EvictionPolicy,
    recalls: recall::Recalls,
    /// The physical database of each logical one.
    mapping: [record::PhysicalDb; DB_COUNT as usize],
    /// By physical number.
    databases: [database::Database; DB_COUNT as usize],
    /// As of the last entry executed.
    applied: RaftApplyState,
    checkpoint_index: LogIndex,
    /// The newest check of this replica.
    checked: Option<Checked>,
    /// The Region, if it was changed since the last freeze.
    configured: Option<Region>,
    frozen: Option<Arc<checkpoint::Frozen>>,
    obsolete: Obsolete,
    /// Keys that readers found on disk.
    wanted: Mutex<Vec<cold::Wanted>>,
    warm_up: cold::WarmUp,
    hand: cold::Hand,
    garbage: Vec<Garbage>,
    cleaning: cleanup::Cleaning,
    /// A buffer that edits of flat collections use one after the other.
    scratch: Vec<u8>,
    events: Option<Vec<Event>>,
    counters: stats::Counters,
}

impl Dataset {
    /// Reads RaftApplyState and the system records of the Region from the kv engine. Its cost does not depend on the
    /// size of the data set: keys load when asked for, or by [`Self::load_next`].
    pub fn open(
        region: RegionId,
        engine: Arc<dyn Engine>,
        options: DatasetOptions,
    ) -> Result<Self> {
        let mut dataset = Self::read(
            region,
            Arc::clone(&engine) as Arc<dyn Reader>,
            KeyHasher::new(&options.hash_seed),
        )?;
        dataset.source = Some(engine);
        dataset.maxmemory_bytes = options.maxmemory_bytes;
        dataset.parts_from_elements = options.parts_from_elements;
        dataset.eviction = options.eviction;
        Ok(dataset)
    }

    /// The state as of the last checkpoint, for reading: a data set of its own, with nothing in memory, that nothing changes. It
    /// holds back the removal of old files.
    pub fn durable(&self) -> Result<Self> {
        let view = match &self.source {
            Some(engine) => engine.view(),
            None => Arc::clone(&self.engine),
        };
        Self::read(self.region, view, self.hasher.clone())
    }

    fn read(region: RegionId, engine: Arc<dyn Reader>, hasher: KeyHasher) -> Result<Self> {
        let applied = match engine.get(&keys::apply_state(region))? {
            Some(bytes) => RaftApplyState::decode(bytes)
                .map_err(|error| Error::corrupt("RaftApplyState", error.to_string()))?,
            None => RaftApplyState::default(),
        };
        let mut dataset = Self {
            region,
            engine,
            source: None,
            hasher,
            maxmemory_bytes: 0,
            room_bytes: u64::MAX,
            headroom: Arc::default(),
            parts_from_elements: 0,
            eviction: evict::EvictionPolicy::NoEviction,
            recalls: recall::Recalls::default(),
            mapping: std::array::from_fn(|number| record::PhysicalDb(number as u8)),
            databases: Default::default(),
            checkpoint_index: LogIndex(applied.applied_index),
            applied,
            checked: None,
            configured: None,
            frozen: None,
            obsolete: Obsolete::default(),
            wanted: Mutex::default(),
            warm_up: cold::WarmUp::default(),
            hand: cold::Hand::default(),
            garbage: Vec::new(),
            cleaning: cleanup::Cleaning::default(),
            scratch: Vec::new(),
            events: None,
            counters: stats::Counters::default(),
        };
        system::load(&mut dataset)?;
        let flushed_at = dataset
            .databases
            .each_ref()
            .map(|database| database.flushed_at);
        dataset.obsolete.set(&flushed_at);
        Ok(dataset)
    }

    /// Index, term, configuration and logical time as of the last entry executed.
    pub fn apply_state(&self) -> &RaftApplyState {
        &self.applied
    }

    /// Executes the entry that changes the configuration. Both parts of it, Raft's and the Region's, are written by the next
    /// checkpoint, together with the records as of this index.
    pub fn configure(
        &mut self,
        index: LogIndex,
        term: Term,
        conf_state: ConfState,
        region: Region,
    ) {
        let now_ms = self.applied.now_ms;
        self.begin(index, term, now_ms, 0);
        self.applied.conf_state = Some(conf_state);
        self.configured = Some(region);
    }

    /// Whether an entry changed the configuration and no checkpoint was begun since: a new member waits for one.
    pub fn has_new_configuration(&self) -> bool {
        self.configured.is_some()
    }

    /// The greatest logical time applied, in milliseconds of Unix time.
    pub fn now_ms(&self) -> u64 {
        self.applied.now_ms
    }

    /// Reads database `db` at logical time `now_ms`: what expired before is not there.
    pub fn view(&self, db: DbIndex, now_ms: u64) -> View<'_> {
        View::new(self, db, now_ms)
    }

    /// Begins the execution of one log entry, in database 0. `index` must be the next one: a replica that skips an entry
    /// is not a replica. Logical time becomes the greater of `now_ms` and what it was; `seed` feeds [`Txn::random`].
    pub fn begin(&mut self, index: LogIndex, term: Term, now_ms: u64, seed: u64) -> Txn<'_> {
        assert_eq!(
            index.get(),
            self.applied.applied_index + 1,
            "entries are executed in order, each once"
        );
        self.applied.applied_index = index.get();
        self.applied.applied_term = term.get();
        self.applied.now_ms = self.applied.now_ms.max(now_ms);
        Txn::new(self, seed)
    }

    /// Keys in memory that have expired at `now_ms`, and hashes of which fields have, the earliest first, at most `limit`: what a
    /// leader proposes to delete. Keys that are only on disk are invisible from their time on; [`Self::expired_on_disk`] finds
    /// them.
    pub fn expired(&self, now_ms: u64, limit: usize) -> Vec<ExpiredKey> {
        let mut found: Vec<ExpiredKey> = Vec::new();
        for (db, &physical) in (0u32..).zip(&self.mapping) {
            let database = self.database(physical);
            let mut find = |index: &expiry::ExpiryIndex, fields: bool| {
                for (expire_at_ms, at) in index.expired(now_ms).take(limit) {
                    let slot = database.slot(at.slot).into_iter();
                    let expiring = slot
                        .flat_map(|slot| slot.with_hash(at.hash))
                        .filter(|entry| {
                            let own = if fields {
                                entry.next_field_expiry_ms()
                            } else {
                                entry.expire_at_ms()
                            };
                            own == Some(expire_at_ms)
                        });
                    found.extend(expiring.map(|entry| ExpiredKey {
                        db,
                        key: bytes::Bytes::copy_from_slice(entry.key()),
                        expire_at_ms,
                        fields,
                    }));
                }
            };
            find(&database.expiry, false);
            find(&database.field_expiry, true);
        }
        found.sort_by_key(|key| key.expire_at_ms);
        found.truncate(limit);
        found
    }

    /// Keeps events of keys from now on, or no more. They gather in [`Self::take_events`].
    pub fn record_events(&mut self, enabled: bool) {
        self.events = enabled.then(Vec::new);
    }

    /// The events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What flushes took out of memory, to be dropped where it disturbs nobody: another thread.
    pub fn take_garbage(&mut self) -> Vec<Garbage> {
        let mut garbage = std::mem::take(&mut self.garbage);
        for database in &mut self.databases {
            let discarded = std::mem::take(&mut database.discarded);
            if !discarded.is_empty() {
                garbage.push(Garbage::of(discarded));
            }
        }
        garbage
    }

    fn physical(&self, db: DbIndex) -> record::PhysicalDb {
        #[expect(
            clippy::indexing_slicing,
            reason = "a DbIndex above 15 is a caller's mistake that must not pass"
        )]
        self.mapping[usize::from(db.get())]
    }

    #[inline]
    fn database(&self, db: record::PhysicalDb) -> &database::Database {
        #[expect(
            clippy::indexing_slicing,
            reason = "physical numbers come from the mapping and are checked when read"
        )]
        &self.databases[usize::from(db.0)]
    }

    #[inline]
    fn database_mut(&mut self, db: record::PhysicalDb) -> &mut database::Database {
        #[expect(
            clippy::indexing_slicing,
            reason = "physical numbers come from the mapping and are checked when read"
        )]
        &mut self.databases[usize::from(db.0)]
    }
}
