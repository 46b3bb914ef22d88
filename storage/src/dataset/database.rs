//! One physical database: what of it is in memory, how many keys it has, and what changed since the last checkpoint.

use super::access::Access;
use super::collection;
use super::counts::Counts;
use super::entry::{Entry, Flat};
use super::expiry::ExpiryIndex;
use super::position::Position;
use super::record::{ElementPlace, Head, PhysicalDb, RecordKey};
use super::write_set::{LARGE_BYTES, LargeValue, WriteSet};
use crate::ids::{LogIndex, SLOT_COUNT};
use crate::types::table::Table;

/// What a slot's entries are in.
pub(super) type SlotTable = Table<Entry>;

/// Objects of more elements are freed elsewhere: their garbage is worth a message.
const GARBAGE_MIN_ELEMENTS: usize = 64;

/// Invariants: memory holds a subset of the keys; a key whose record is in the write set or in the checkpoint under way,
/// and not as a deletion, is in memory; `counts` and `expiring` count all keys, in memory or not.
#[derive(Default)]
pub(super) struct Database {
    /// By slot; empty until the first key.
    slots: Vec<SlotTable>,
    pub(super) counts: Counts,
    /// Keys that have an expiry, in memory or not.
    pub(super) expiring: u64,
    pub(super) expiry: ExpiryIndex,
    /// Hashes in memory by when the first of their fields expires.
    pub(super) field_expiry: ExpiryIndex,
    /// Records on disk that were written before this entry are not there.
    pub(super) flushed_at: LogIndex,
    pub(super) write_set: WriteSet,
    /// Large collections that are gone since the last freeze, whose elements' records are not.
    pub(super) dead: Vec<ElementPlace>,
    /// Large objects that are gone, to be freed where it disturbs nobody.
    pub(super) discarded: Vec<Entry>,
    /// Entries in memory.
    pub(super) resident: u64,
    entry_bytes: usize,
    table_bytes: usize,
}

impl Database {
    #[inline]
    pub(super) fn slot(&self, slot: u16) -> Option<&SlotTable> {
        self.slots.get(usize::from(slot))
    }

    #[inline]
    fn slot_mut(&mut self, slot: u16) -> Option<&mut SlotTable> {
        self.slots.get_mut(usize::from(slot))
    }

    #[inline]
    pub(super) fn find(&self, at: Position, key: &[u8]) -> Option<&Entry> {
        self.slot(at.slot)?.find(at.hash, key)
    }

    /// True when every key of the slot is in memory: then a miss needs no look at the disk.
    #[inline]
    pub(super) fn is_complete(&self, slot: u16) -> bool {
        let count = self.counts.of(slot);
        count == 0 || self.slot(slot).map_or(0, SlotTable::len) == count as usize
    }

    /// True when every key is in memory.
    #[inline]
    pub(super) fn is_all_in_memory(&self) -> bool {
        self.resident == self.counts.total()
    }

    /// Bytes of memory: entries, tables, indexes and the write set.
    pub(super) fn memory_bytes(&self) -> usize {
        self.entry_bytes
            + self.table_bytes
            + self.slots.capacity() * size_of::<SlotTable>()
            + self.counts.memory_bytes()
            + self.expiry.memory_bytes()
            + self.field_expiry.memory_bytes()
            + self.write_set.memory_bytes()
    }

    /// Adds an entry whose key is not in memory. The key counts are the caller's business.
    pub(super) fn insert(&mut self, at: Position, entry: Entry) {
        if self.slots.is_empty() {
            self.slots
                .resize_with(usize::from(SLOT_COUNT), SlotTable::default);
        }
        self.expiry.update(None, entry.expire_at_ms(), at);
        self.field_expiry
            .update(None, entry.next_field_expiry_ms(), at);
        self.entry_bytes += entry.allocated_bytes();
        if let Some(slot) = self.slot_mut(at.slot) {
            let change = slot.insert(entry.hash(), entry);
            self.table_bytes = self.table_bytes.wrapping_add_signed(change);
            self.resident += 1;
        }
    }

    /// Takes an entry out of memory. The key counts are the caller's business.
    pub(super) fn take(&mut self, at: Position, key: &[u8]) -> Option<Entry> {
        let (entry, change) = self.slot_mut(at.slot)?.remove(at.hash, key)?;
        self.table_bytes = self.table_bytes.wrapping_add_signed(change);
        self.forget(at, &entry);
        Some(entry)
    }

    fn forget(&mut self, at: Position, entry: &Entry) {
        self.entry_bytes -= entry.allocated_bytes();
        self.resident -= 1;
        self.expiry.update(entry.expire_at_ms(), None, at);
        self.field_expiry
            .update(entry.next_field_expiry_ms(), None, at);
    }

    /// Takes the entries of a slot out of memory that `goes`; answers how many.
    pub(super) fn drop_entries(
        &mut self,
        slot: u16,
        mut goes: impl FnMut(&WriteSet, &Entry) -> bool,
    ) -> usize {
        let mut dropped = Vec::new();
        let Some(table) = self.slots.get_mut(usize::from(slot)) else {
            return 0;
        };
        let change = table.extract(
            |_, entry| goes(&self.write_set, entry),
            |_, entry| dropped.push(entry),
        );
        self.table_bytes = self.table_bytes.wrapping_add_signed(change);
        for entry in &dropped {
            self.forget(
                Position {
                    slot,
                    hash: entry.hash(),
                },
                entry,
            );
        }
        let count = dropped.len();
        dropped.into_iter().for_each(|entry| self.discard(entry));
        count
    }

    /// Frees an entry that was taken out: here, or elsewhere if it takes long.
    pub(super) fn discard(&mut self, entry: Entry) {
        if let Some((_, object)) = entry.collected()
            && object.len() > GARBAGE_MIN_ELEMENTS
        {
            self.discarded.push(entry);
        }
    }

    /// Deletes a key that is in memory: entry, counts and record; the records of its elements go later.
    pub(super) fn erase(&mut self, record_key: &RecordKey<'_>, db: PhysicalDb, key: &[u8]) {
        let at = record_key.position;
        let Some(entry) = self.take(at, key) else {
            return;
        };
        self.counts.subtract(at.slot);
        self.count_expiring(entry.expire_at_ms(), None);
        self.write_set.delete(record_key);
        self.bury(db, at.slot, &entry);
        self.discard(entry);
    }

    /// Notes that the elements of an entry are gone.
    pub(super) fn bury(&mut self, db: PhysicalDb, slot: u16, entry: &Entry) {
        if let Some((incarnation, _)) = entry.collected() {
            self.dead.push(ElementPlace {
                slot,
                db,
                incarnation,
            });
        }
    }

    /// Changes an entry in memory, and keeps the accounts.
    #[inline]
    pub(super) fn update<R>(
        &mut self,
        at: Position,
        key: &[u8],
        change: impl FnOnce(&mut Entry) -> R,
    ) -> Option<R> {
        let entry = self
            .slots
            .get_mut(usize::from(at.slot))?
            .find_mut(at.hash, key)?;
        let (old_bytes, old_expire) = (entry.allocated_bytes(), entry.expire_at_ms());
        let old_fields = entry.next_field_expiry_ms();
        let result = change(entry);
        self.field_expiry
            .update(old_fields, entry.next_field_expiry_ms(), at);
        let (new_bytes, new_expire) = (entry.allocated_bytes(), entry.expire_at_ms());
        self.entry_bytes = self.entry_bytes + new_bytes - old_bytes;
        self.expiry.update(old_expire, new_expire, at);
        self.count_expiring(old_expire, new_expire);
        Some(result)
    }

    /// Changes a collection in memory, whose records go to the write set, and keeps the accounts.
    pub(super) fn edit<R>(
        &mut self,
        at: Position,
        key: &[u8],
        change: impl FnOnce(&mut Entry, &mut WriteSet, &mut Vec<ElementPlace>) -> R,
    ) -> Option<R> {
        let entry = self
            .slots
            .get_mut(usize::from(at.slot))?
            .find_mut(at.hash, key)?;
        let old_bytes = entry.allocated_bytes();
        let old_fields = entry.next_field_expiry_ms();
        let result = change(entry, &mut self.write_set, &mut self.dead);
        self.field_expiry
            .update(old_fields, entry.next_field_expiry_ms(), at);
        self.entry_bytes = self.entry_bytes + entry.allocated_bytes() - old_bytes;
        Some(result)
    }

    /// Adjusts the number of expiring keys for a key whose expiry was `old` and is `new`.
    #[inline]
    pub(super) fn count_expiring(&mut self, old: Option<u64>, new: Option<u64>) {
        self.expiring = self.expiring + u64::from(new.is_some()) - u64::from(old.is_some());
    }

    /// Adds a flat value that did not exist.
    pub(super) fn create_flat(&mut self, at: Position, key: &[u8], parts: Flat<'_>, now_ms: u64) {
        self.counts.add(at.slot);
        self.count_expiring(None, parts.expire_at_ms);
        self.insert(at, Entry::flat(at.hash, key, parts, Access::new(now_ms)));
    }

    /// Puts an entry in memory into the write set as it is now.
    pub(super) fn write_back(&mut self, record_key: &RecordKey<'_>, key: &[u8], index: LogIndex) {
        let at = record_key.position;
        let Some(entry) = self
            .slots
            .get(usize::from(at.slot))
            .and_then(|slot| slot.find(at.hash, key))
        else {
            debug_assert!(false, "only what is in memory is written back");
            return;
        };
        let head = head(entry, index);
        if let Some((incarnation, object)) = entry.collected() {
            let payload = collection::payload(incarnation, object);
            self.write_set.put(record_key, &[&head.encode(), &payload]);
            return;
        }
        let payload = entry.bytes();
        if payload.len() > LARGE_BYTES {
            self.write_set.put_large(record_key, key, payload.len());
        } else {
            self.write_set.put(record_key, &[&head.encode(), payload]);
        }
    }

    /// Puts a flat value of these parts into the write set; it is in memory already.
    #[inline]
    pub(super) fn write_flat(
        &mut self,
        record_key: &RecordKey<'_>,
        key: &[u8],
        parts: Flat<'_>,
        index: LogIndex,
    ) {
        if parts.value.len() > LARGE_BYTES {
            self.write_set.put_large(record_key, key, parts.value.len());
            return;
        }
        let head = Head {
            kind: parts.kind,
            encoding: parts.encoding,
            index,
            expire_at_ms: parts.expire_at_ms,
            key,
        };
        self.write_set
            .put(record_key, &[&head.encode(), parts.value]);
    }

    /// The head and bytes of a large value, to be kept by a checkpoint.
    pub(super) fn large_value(
        &self,
        at: Position,
        key: &[u8],
        index: LogIndex,
    ) -> Option<LargeValue> {
        let entry = self.find(at, key)?;
        Some(LargeValue {
            head: head(entry, index).encode(),
            bytes: entry.shared_bytes()?,
        })
    }

    /// Empties the database. What it held is answered, to be freed where it disturbs nobody.
    pub(super) fn flush(&mut self, index: LogIndex) -> Garbage {
        self.counts.clear();
        self.expiring = 0;
        self.flushed_at = index;
        // What was written of them before is hidden by the flush like everything else.
        self.dead.clear();
        self.resident = 0;
        self.entry_bytes = 0;
        self.table_bytes = 0;
        Garbage {
            _slots: std::mem::take(&mut self.slots),
            _expiry: std::mem::take(&mut self.expiry),
            _field_expiry: std::mem::take(&mut self.field_expiry),
            _write_set: std::mem::take(&mut self.write_set),
            _entries: std::mem::take(&mut self.discarded),
        }
    }
}

fn head(entry: &Entry, index: LogIndex) -> Head<'_> {
    Head {
        kind: entry.kind(),
        encoding: entry.encoding(),
        index,
        expire_at_ms: entry.expire_at_ms(),
        key: entry.key(),
    }
}

/// What a flush took out of memory, or large objects that are gone. Dropping it takes time in proportion to what it holds.
pub struct Garbage {
    _slots: Vec<SlotTable>,
    _expiry: ExpiryIndex,
    _field_expiry: ExpiryIndex,
    _write_set: WriteSet,
    _entries: Vec<Entry>,
}

impl Garbage {
    /// Of single objects.
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        Self {
            _slots: Vec::new(),
            _expiry: ExpiryIndex::default(),
            _field_expiry: ExpiryIndex::default(),
            _write_set: WriteSet::default(),
            _entries: entries,
        }
    }
}
