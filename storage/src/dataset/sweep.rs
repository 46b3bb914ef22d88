//! Expired keys that are only on disk. Those in memory are known by their times; for these the records are walked.

use bytes::Bytes;

use super::Dataset;
use super::cold::Place;
use super::object::is_expired;
use super::position::Position;
use super::preload::ColdKey;
use super::record::{self, ParsedKey, PhysicalDb, RecordKey, Stored};
use crate::ids::{DB_COUNT, DbIndex, SLOT_COUNT};
use crate::proto::command::ExpiredKey;
use crate::{Error, Result, keys};

/// What beginning to read at another place costs, in records.
const SEEK_COST: usize = 16;

/// Where a sweep goes on. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepCursor(Place);

/// What a slice of a sweep found.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Where the next slice goes on; none at the end.
    pub next: Option<SweepCursor>,
    /// Keys that have expired; one that changes meanwhile is spared by [`super::Txn::remove_expired`].
    pub expired: Vec<ExpiredKey>,
    /// Large hashes among them of which some fields have expired: an entry removes a bounded number, and there may be more.
    pub partly: Vec<ColdKey>,
    /// Records looked at, and what seeking cost.
    pub cost: usize,
}

impl Dataset {
    /// True when some keys are only on disk.
    pub fn has_cold_keys(&self) -> bool {
        self.databases
            .iter()
            .any(|database| database.resident < database.counts.total())
    }

    /// Looks at about `budget` records on disk, of slots that are not wholly in memory, for keys that have expired at
    /// `now_ms`, and hashes of which fields have; of large ones, all fields.
    pub fn expired_on_disk(&self, from: SweepCursor, now_ms: u64, budget: usize) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut place = from.0;
        while swept.cost < budget {
            match self.next_incomplete(place) {
                Some(next) => place = self.sweep_from(next, now_ms, budget, &mut swept)?,
                None => return Ok(swept),
            }
        }
        swept.next = Some(SweepCursor(place));
        Ok(swept)
    }

    /// Walks records from a place on, until the budget is used or something can be left out; answers where to go on.
    fn sweep_from(
        &self,
        from: Place,
        now_ms: u64,
        budget: usize,
        swept: &mut Swept,
    ) -> Result<Place> {
        let start = record::prefix(PhysicalDb(from.db), from.position());
        let (_, end) = keys::data_records(0, SLOT_COUNT);
        let mut last = from;
        swept.cost += SEEK_COST;
        for pair in self.engine.scan(&start, &end) {
            let (key, value) = pair?;
            let ParsedKey::Meta { db, position, rest } = record::parse_key(&key)? else {
                // Elements stand after all keys of their slot and database.
                return Ok(last.next_database());
            };
            if db.0 >= DB_COUNT {
                return Err(Error::corrupt("record key", format!("database {}", db.0)));
            }
            let place = Place::of(db, position);
            let left_out = !place.is_with(last) && self.database(db).is_complete(position.slot);
            // Keys of one place are looked at together, or the next slice would not know where to go on.
            if left_out || (swept.cost >= budget && place != last) {
                return Ok(place);
            }
            last = place;
            swept.cost += 1;
            self.sweep_record(db, position, rest, &value, now_ms, swept)?;
        }
        Ok(Place::END)
    }

    fn sweep_record(
        &self,
        db: PhysicalDb,
        at: Position,
        rest: &[u8],
        value: &Bytes,
        now_ms: u64,
        swept: &mut Swept,
    ) -> Result<()> {
        let stored = Stored::decode(value)?;
        let over = |at_ms: &u64| is_expired(Some(*at_ms), now_ms);
        let own = stored.expire_at_ms.filter(over);
        let (next, last) = stored.field_expiries_ms();
        let Some(expire_at_ms) = own.or(next.filter(over)) else {
            return Ok(());
        };
        let key = stored.long_key.as_deref().unwrap_or(rest);
        let logical = self.mapping.iter().position(|&physical| physical == db);
        let is_cold = stored.index >= self.database(db).flushed_at
            && self.database(db).find(at, key).is_none()
            && !self.is_pending(db, &RecordKey::new(&self.hasher, db, at, key));
        let Some(logical) = logical.filter(|_| is_cold) else {
            return Ok(());
        };
        let whole = own.or(last.filter(over));
        if whole.is_none() && !stored.encoding.is_flat() {
            swept.partly.push(ColdKey {
                db: DbIndex(logical as u8),
                key: key.into(),
                looks: None,
            });
        }
        swept.expired.push(ExpiredKey {
            db: logical as u32,
            key: Bytes::copy_from_slice(key),
            expire_at_ms: whole.unwrap_or(expire_at_ms),
            fields: own.is_none(),
        });
        Ok(())
    }

    /// The large hash at a key, if it is only on disk and fields of it have expired at `now_ms`.
    pub fn expired_fields_on_disk(&self, key: &ColdKey, now_ms: u64) -> Result<Option<ExpiredKey>> {
        let (db, name) = (self.physical(key.db), &*key.key);
        let at = self.hasher.position(name);
        if !self.may_be_cold(db, at) || self.database(db).find(at, name).is_some() {
            return Ok(None);
        }
        let record_key = RecordKey::new(&self.hasher, db, at, name);
        let stored = self.read_cold(db, &record_key)?.filter(|stored| {
            !stored.encoding.is_flat() && !is_expired(stored.expire_at_ms, now_ms)
        });
        let next = stored.and_then(|stored| stored.field_expiries_ms().0);
        let expired = next.filter(|at_ms| is_expired(Some(*at_ms), now_ms));
        Ok(expired.map(|expire_at_ms| ExpiredKey {
            db: key.db.get().into(),
            key: Bytes::copy_from_slice(name),
            expire_at_ms,
            fields: true,
        }))
    }
}
