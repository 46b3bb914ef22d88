//! The keys of a slot in order, those in memory and those only on disk merged.

use std::borrow::Cow;
use std::hash::Hasher;
use std::ops::ControlFlow;

use siphasher::sip::SipHasher13;

use super::Dataset;
use super::database::SlotTable;
use super::entry::Entry;
use super::object::Object;
use super::position::Position;
use super::record::{self, ParsedKey, PhysicalDb, RecordKey, Stored};
use crate::Result;
use crate::ids::DbIndex;

/// A key on the way, whether it has expired or not.
pub(super) struct Found<'a> {
    pub(super) key: Cow<'a, [u8]>,
    pub(super) object: Object<'a>,
}

/// Keys with the same hash, in order of their bytes.
pub(super) type Group<'a> = Vec<Found<'a>>;

/// Which keys of a slot to walk, and at what time.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) db: PhysicalDb,
    pub(super) from: Position,
    /// Included.
    pub(super) last_hash: u32,
    pub(super) now_ms: u64,
    /// Whether the elements of large collections that are only on disk are wanted.
    pub(super) elements: bool,
}

/// Gives `visit` the keys of one slot in ascending order of hashes, all keys of one hash together, until it breaks.
/// `visit` may take the keys.
pub(super) fn walk_slot<'a>(
    dataset: &'a Dataset,
    range: Range,
    mut visit: impl FnMut(u32, &mut Group<'a>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let database = dataset.database(range.db);
    let slot = database.slot(range.from.slot);
    let mut memory = slot
        .into_iter()
        .flat_map(|slot| in_memory(slot, range))
        .peekable();
    let mut disk = None;
    if !database.is_complete(range.from.slot) {
        disk = Some(Cold::new(dataset, range)?);
    }
    let mut group = Group::new();
    loop {
        let cold_hash = disk
            .as_ref()
            .and_then(|cold| cold.next.as_ref())
            .map(|(hash, _)| *hash);
        let Some(hash) = [memory.peek().map(|entry| entry.hash()), cold_hash]
            .into_iter()
            .flatten()
            .min()
        else {
            return Ok(ControlFlow::Continue(()));
        };
        group.clear();
        while let Some(entry) = memory.next_if(|entry| entry.hash() == hash) {
            group.push(Found {
                key: Cow::Borrowed(entry.key()),
                object: Object::memory(entry, range.now_ms),
            });
        }
        while let Some(cold) = &mut disk
            && let Some((_, found)) = cold.next.take_if(|(at, _)| *at == hash)
        {
            group.push(found);
            cold.advance()?;
        }
        if group.len() > 1 {
            group.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        }
        if visit(hash, &mut group).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// The entries of a slot in order of hashes, sorted segment by segment.
fn in_memory(slot: &SlotTable, range: Range) -> impl Iterator<Item = &Entry> {
    let hashes = range.from.hash..=range.last_hash;
    slot.segments_from(range.from.hash)
        .map_while(move |segment| {
            let mut entries: Vec<(u32, &Entry)> = segment
                .hashed()
                .filter(|(hash, _)| hashes.contains(hash))
                .collect();
            // A segment without a match ends the walk once the segments lie beyond the last hash.
            if entries.is_empty()
                && segment
                    .hashed()
                    .next()
                    .is_some_and(|(hash, _)| hash > range.last_hash)
            {
                return None;
            }
            entries.sort_unstable_by_key(|(hash, _)| *hash);
            Some(entries)
        })
        .flatten()
        .map(|(_, entry)| entry)
}

/// The keys of a slot that are only on disk, in order.
struct Cold<'a> {
    dataset: &'a Dataset,
    range: Range,
    scan: crate::engine::Scan<'a>,
    next: Option<(u32, Found<'a>)>,
}

impl<'a> Cold<'a> {
    fn new(dataset: &'a Dataset, range: Range) -> Result<Self> {
        let start = record::prefix(range.db, range.from);
        let slot = range.from.slot;
        let scan = match range.last_hash.checked_add(1) {
            Some(hash) => dataset
                .engine
                .scan(&start, &record::prefix(range.db, Position { slot, hash })),
            None => dataset
                .engine
                .scan(&start, &record::slot_end(range.db, slot)),
        };
        let mut cold = Self {
            dataset,
            range,
            scan,
            next: None,
        };
        cold.advance()?;
        Ok(cold)
    }

    fn object(&self, at: Position, stored: Stored) -> Result<Object<'a>> {
        let mut object = None;
        if self.range.elements && !stored.encoding.is_flat() {
            let (_, elements) = self
                .dataset
                .read_elements(self.range.db, at.slot, &stored)?;
            object = Some(elements);
        }
        Ok(Object::disk(stored, object, self.range.now_ms))
    }

    /// Finds the next key that is on disk, there, and not in memory.
    fn advance(&mut self) -> Result<()> {
        let Range { db, .. } = self.range;
        let database = self.dataset.database(db);
        self.next = None;
        for pair in &mut self.scan {
            let (engine_key, value) = pair?;
            let ParsedKey::Meta { position, rest, .. } = record::parse_key(&engine_key)? else {
                continue;
            };
            let mut stored = Stored::decode(&value)?;
            if stored.index < database.flushed_at {
                continue;
            }
            let key = stored.long_key.as_deref().unwrap_or(rest).to_vec();
            if database.find(position, &key).is_some() {
                continue;
            }
            let record_key = RecordKey::new(&self.dataset.hasher, db, position, &key);
            match self.dataset.pending_record(db, &record_key) {
                Some(Some(newer)) => stored = Stored::decode(&newer)?,
                Some(None) => continue,
                None => {}
            }
            let key = Cow::Owned(key);
            self.next = Some((
                position.hash,
                Found {
                    key,
                    object: self.object(position, stored)?,
                },
            ));
            break;
        }
        Ok(())
    }
}

/// The sum over all keys of a hash of database, key, type, encoding, expiry and value: it does not depend on what is in
/// memory, and needs no order.
pub(super) fn digest(dataset: &Dataset) -> Result<u64> {
    let mut digest = 0u64;
    let mut bytes = Vec::new();
    for (db, &physical) in (0..).map(DbIndex).zip(&dataset.mapping) {
        for slot in dataset.used_slots(physical, 0) {
            let from = Position { slot, hash: 0 };
            let range = Range {
                db: physical,
                from,
                last_hash: u32::MAX,
                now_ms: 0,
                elements: true,
            };
            let _ = walk_slot(dataset, range, |_, group| {
                for found in group.iter() {
                    digest = digest.wrapping_add(digest_of(db, found, &mut bytes));
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok(digest)
}

fn digest_of(db: DbIndex, found: &Found<'_>, bytes: &mut Vec<u8>) -> u64 {
    begin_digest(db, found, bytes);
    match found.object.collected() {
        Some(collected) => bytes.extend_from_slice(&collected.digest().to_le_bytes()),
        None => bytes.extend_from_slice(found.object.payload()),
    }
    end_digest(bytes)
}

/// The same without the elements of large collections.
pub(super) fn outline(db: DbIndex, found: &Found<'_>, bytes: &mut Vec<u8>) -> u64 {
    begin_digest(db, found, bytes);
    if found.object.encoding().is_flat() {
        bytes.extend_from_slice(found.object.payload());
    }
    end_digest(bytes)
}

fn begin_digest(db: DbIndex, found: &Found<'_>, bytes: &mut Vec<u8>) {
    let object = &found.object;
    bytes.clear();
    bytes.extend_from_slice(&[db.get(), object.kind().code(), object.encoding().code()]);
    record::put_varint(
        bytes,
        object
            .expire_at_ms()
            .map_or(0, |at_ms| at_ms.saturating_add(1)),
    );
    record::put_varint(bytes, found.key.len() as u64);
    bytes.extend_from_slice(&found.key);
}

fn end_digest(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}
