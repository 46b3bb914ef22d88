//! Large hashes: fields with records of their own.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{EXPIRED_TRIES, is_over};
use crate::types::edit::Edit;
use crate::types::kind::Encoding;
use crate::types::table::{HashRange, Keyed, Step, Table};
use crate::types::{
    Draw, Elements, Large, Missing, MissingExpiries, check_len, count_absent, digest, split_key,
};
use crate::{Error, Result, prefetch};

/// Bytes that a field with an expiry costs in the index: 16 of time, hash and count, in nodes that are two thirds full or better.
const INDEX_ENTRY_BYTES: usize = 24;

/// A large hash.
#[derive(Clone, Default)]
pub struct HashTable {
    pub(super) fields: Table<Field>,
    /// Allocated by the table and by each field.
    bytes: usize,
    expiries: Expiries,
    /// Fields that are only on disk: of a part.
    absent: usize,
    /// And when they expire.
    absent_expiries: AbsentExpiries,
    /// None of them has one of these hashes.
    complete: Vec<HashRange>,
}

/// Fields of which only their times are known.
#[derive(Clone, Copy, Default)]
struct AbsentExpiries {
    fields: usize,
    times: Option<MissingExpiries>,
}

/// When fields expire, earliest first, with their hashes. Several fields of one hash that expire at the same time are counted.
#[derive(Clone, Default)]
struct Expiries {
    places: BTreeMap<(u64, u32), u32>,
    fields: usize,
}

impl Expiries {
    fn replace(&mut self, hash: u32, old: Option<u64>, new: Option<u64>) {
        if old == new {
            return;
        }
        if let Some(at_ms) = old {
            self.fields -= 1;
            if let Some(count) = self.places.get_mut(&(at_ms, hash)) {
                *count -= 1;
                if *count == 0 {
                    self.places.remove(&(at_ms, hash));
                }
            }
        }
        if let Some(at_ms) = new {
            self.fields += 1;
            *self.places.entry((at_ms, hash)).or_insert(0) += 1;
        }
    }

    fn memory_bytes(&self) -> usize {
        self.places.len() * INDEX_ENTRY_BYTES
    }
}

/// Twice the length of the field, and one if it expires, as varint; the expiry, if there is one; the field; the value.
#[derive(Clone)]
pub(super) struct Field(Box<[u8]>);

impl Field {
    fn new(field: &[u8], value: &[u8], expire_at_ms: Option<u64>) -> Self {
        let mut head = field.len() << 1 | usize::from(expire_at_ms.is_some());
        let expiry_bytes = if expire_at_ms.is_some() { 8 } else { 0 };
        let head_bytes = head.checked_ilog2().unwrap_or(0) as usize / 7 + 1;
        let total = head_bytes + expiry_bytes + field.len() + value.len();
        let mut bytes = Vec::with_capacity(total);
        while head >= 0x80 {
            bytes.push(head as u8 | 0x80);
            head >>= 7;
        }
        bytes.push(head as u8);
        if let Some(at_ms) = expire_at_ms {
            bytes.extend_from_slice(&at_ms.to_le_bytes());
        }
        bytes.extend_from_slice(field);
        bytes.extend_from_slice(value);
        Self(bytes.into())
    }

    /// The head, and what is behind it.
    #[inline]
    fn head(&self) -> (usize, &[u8]) {
        let (mut head, mut at) = (0usize, 0);
        for (shift, &byte) in self.0.iter().enumerate() {
            head |= usize::from(byte & 0x7f) << (7 * shift);
            at = shift + 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (head, self.0.get(at..).unwrap_or_default())
    }

    /// Field, value and expiry.
    #[inline]
    pub(super) fn parts(&self) -> (&[u8], &[u8], Option<u64>) {
        let (head, mut rest) = self.head();
        let mut expire_at_ms = None;
        if head & 1 != 0
            && let Some((at_ms, behind)) = rest.split_first_chunk()
        {
            expire_at_ms = Some(u64::from_le_bytes(*at_ms));
            rest = behind;
        }
        let (field, value) = rest.split_at_checked(head >> 1).unwrap_or((rest, &[]));
        (field, value, expire_at_ms)
    }

    fn value_mut(&mut self) -> &mut [u8] {
        let value_bytes = self.parts().1.len();
        let start = self.0.len() - value_bytes;
        self.0.get_mut(start..).unwrap_or_default()
    }

    /// Gives the field another value and expiry, in place where they fit. Answers by how much its bytes changed.
    fn replace(&mut self, field: &[u8], value: &[u8], expire_at_ms: Option<u64>) -> isize {
        let (_, old_value, old) = self.parts();
        if old_value.len() == value.len() && old == expire_at_ms {
            self.value_mut().copy_from_slice(value);
            return 0;
        }
        let before = self.memory_bytes();
        *self = Self::new(field, value, expire_at_ms);
        self.memory_bytes() as isize - before as isize
    }

    fn memory_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Keyed for Field {
    #[inline]
    fn key(&self) -> &[u8] {
        self.parts().0
    }

    #[inline]
    fn prefetch(&self) {
        prefetch::object(&*self.0);
    }
}

/// What stands before the value in a field's record: whether it expires, and when.
struct RecordHead([u8; 9], usize);

impl RecordHead {
    fn new(expire_at_ms: Option<u64>) -> Self {
        let mut bytes = [0; 9];
        let Some(at_ms) = expire_at_ms else {
            return Self(bytes, 1);
        };
        if let Some((flag, room)) = bytes.split_first_mut() {
            *flag = 1;
            room.copy_from_slice(&at_ms.to_le_bytes());
        }
        Self(bytes, 9)
    }

    fn bytes(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }

    /// Expiry and value of a record.
    fn parse(record: &[u8]) -> Result<(Option<u64>, &[u8])> {
        match record.split_first() {
            Some((0, value)) => Ok((None, value)),
            Some((1, rest)) => match rest.split_first_chunk() {
                Some((at_ms, value)) => Ok((Some(u64::from_le_bytes(*at_ms)), value)),
                None => Err(Error::corrupt("field of a hash", format!("{record:02x?}"))),
            },
            _ => Err(Error::corrupt("field of a hash", format!("{record:02x?}"))),
        }
    }
}

/// What stands in the record of a field that expires, with no value: enough to remove it.
pub(crate) fn record_without_value(expire_at_ms: u64) -> Bytes {
    Bytes::copy_from_slice(RecordHead::new(Some(expire_at_ms)).bytes())
}

impl HashTable {
    /// Sets a value; unless `keeps`, the field does not expire any more. True if the field is new at the entry's time.
    pub(super) fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        keeps: bool,
        edit: &mut Edit<'_>,
    ) -> bool {
        let hash = edit.hash(field);
        let Some(found) = self.fields.find_mut(hash, field) else {
            self.put(hash, field, value, None, edit);
            return true;
        };
        let old = found.parts().2;
        let is_new = is_over(old, edit.now_ms());
        let expire_at_ms = old.filter(|_| keeps && !is_new);
        edit.put(hash, field, &[RecordHead::new(expire_at_ms).bytes(), value]);
        edit.expire(hash, field, old, expire_at_ms);
        let change = found.replace(field, value, expire_at_ms);
        self.bytes = self.bytes.wrapping_add_signed(change);
        self.expiries.replace(hash, old, expire_at_ms);
        is_new
    }

    /// Sets value and expiry.
    pub(super) fn put(
        &mut self,
        hash: u32,
        field: &[u8],
        value: &[u8],
        expire_at_ms: Option<u64>,
        edit: &mut Edit<'_>,
    ) {
        edit.put(hash, field, &[RecordHead::new(expire_at_ms).bytes(), value]);
        let old = self.store(hash, field, value, expire_at_ms);
        edit.expire(hash, field, old, expire_at_ms);
    }

    /// Sets a field in memory only; answers when it expired before.
    fn store(
        &mut self,
        hash: u32,
        field: &[u8],
        value: &[u8],
        expire_at_ms: Option<u64>,
    ) -> Option<u64> {
        let Some(found) = self.fields.find_mut(hash, field) else {
            let added = Field::new(field, value, expire_at_ms);
            self.bytes += added.memory_bytes();
            let change = self.fields.insert(hash, added);
            self.bytes = self.bytes.wrapping_add_signed(change);
            self.expiries.replace(hash, None, expire_at_ms);
            return None;
        };
        let old = found.parts().2;
        let change = found.replace(field, value, expire_at_ms);
        self.bytes = self.bytes.wrapping_add_signed(change);
        self.expiries.replace(hash, old, expire_at_ms);
        old
    }

    /// Sets or clears the expiry of a field. True if the field is there.
    pub(super) fn set_expiry(
        &mut self,
        field: &[u8],
        expire_at_ms: Option<u64>,
        edit: &mut Edit<'_>,
    ) -> bool {
        let hash = edit.hash(field);
        let Some(value) = self
            .fields
            .find(hash, field)
            .map(|found| found.parts().1.to_vec())
        else {
            return false;
        };
        self.put(hash, field, &value, expire_at_ms, edit);
        true
    }

    /// Removes a field. True if it was there at the entry's time.
    pub(super) fn remove(&mut self, field: &[u8], edit: &mut Edit<'_>) -> bool {
        let hash = edit.hash(field);
        let Some((removed, change)) = self.fields.remove(hash, field) else {
            return false;
        };
        let expire_at_ms = removed.parts().2;
        self.bytes = (self.bytes - removed.memory_bytes()).wrapping_add_signed(change);
        self.expiries.replace(hash, expire_at_ms, None);
        edit.delete(hash, field);
        edit.expire(hash, field, expire_at_ms, None);
        !is_over(expire_at_ms, edit.now_ms())
    }

    fn gather(elements: &mut Elements<'_>) -> Result<Self> {
        let mut table = Self::default();
        for element in elements {
            let (key, record) = element?;
            let (hash, field) = split_key(&key)?;
            let (expire_at_ms, value) = RecordHead::parse(&record)?;
            table.store(hash, field, value, expire_at_ms);
        }
        Ok(table)
    }

    /// A field drawn at random, one that has expired, too; of a part, an error if it misses fields that have to be looked at.
    pub(super) fn draw(
        &self,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Option<&Field>, HashRange> {
        let drawn = self.fields.draw(self.absent, &self.complete, random)?;
        Ok(drawn.map(|(_, field)| field))
    }

    /// Removes up to `limit` fields that have expired at the entry's time, the earliest first; answers how many.
    pub(super) fn remove_over(&mut self, limit: usize, edit: &mut Edit<'_>) -> usize {
        for removed in 0..limit {
            let Some(field) = self.first_over(edit.now_ms()) else {
                return removed;
            };
            self.remove(&field, edit);
        }
        limit
    }

    /// The field that expired first; of several, the one that the index on disk has first.
    fn first_over(&self, now_ms: u64) -> Option<Vec<u8>> {
        let (&(at_ms, hash), _) = self.expiries.places.first_key_value()?;
        let expiry = Some(at_ms).filter(|at_ms| is_over(Some(*at_ms), now_ms))?;
        let fields = self.fields.with_hash(hash).map(Field::parts);
        let found = fields
            .filter(|(_, _, expire_at_ms)| *expire_at_ms == Some(expiry))
            .min_by_key(|(field, ..)| *field);
        debug_assert!(
            found.is_some(),
            "the index knows only fields that are there"
        );
        found.map(|(field, ..)| field.to_vec())
    }

    /// How many fields have expired at `now_ms`.
    #[inline]
    pub(super) fn count_over(&self, now_ms: u64) -> usize {
        match self.next_expiry() {
            Some(at_ms) if is_over(Some(at_ms), now_ms) => {
                let over = self.expiries.places.range(..(now_ms, 0));
                let over: usize = over.map(|(_, count)| *count as usize).sum();
                // A part is looked at only at the time for which it was made.
                over + self.absent_expiries.times.map_or(0, |times| times.over)
            }
            _ => 0,
        }
    }

    /// The earliest expiry.
    #[inline]
    pub(super) fn next_expiry(&self) -> Option<u64> {
        let own = self.expiries.places.first_key_value();
        let own = own.map(|(&(at_ms, _), _)| at_ms);
        match self.absent_expiries.times {
            None => own,
            Some(times) => Some(own.map_or(times.first, |own| own.min(times.first))),
        }
    }

    /// The latest expiry, if every field has one.
    pub(super) fn last_expiry(&self) -> Option<u64> {
        self.latest_expiry()
            .filter(|_| self.expiring() == self.len())
    }

    /// The latest expiry.
    fn latest_expiry(&self) -> Option<u64> {
        let own = self.expiries.places.last_key_value();
        let own = own.map(|(&(at_ms, _), _)| at_ms);
        own.max(self.absent_expiries.times.map(|times| times.last))
    }

    /// How many fields expire.
    fn expiring(&self) -> usize {
        self.expiries.fields + self.absent_expiries.fields
    }
}

impl Large for HashTable {
    const ENCODING: Encoding = Encoding::Hashtable;

    fn len(&self) -> usize {
        self.fields.len() + self.absent
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes + self.expiries.memory_bytes()
    }

    /// The number of fields; if some expire, how many, the earliest expiry, and the latest.
    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        if let (Some(next), Some(latest)) = (self.next_expiry(), self.latest_expiry()) {
            for number in [self.expiring() as u64, next, latest] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let table = Self::gather(elements)?;
        let told = numbers_of_meta(meta);
        check_len("hash", meta.get(..8).unwrap_or(meta), table.fields.len())?;
        let expiring = told.map_or(0, |told| told.expiring);
        if expiring != table.expiring() as u64 {
            return Err(Error::corrupt(
                "hash",
                format!(
                    "{} fields expire where its record says {expiring}",
                    table.expiring()
                ),
            ));
        }
        Ok(table)
    }

    fn load_part(
        meta: &[u8],
        elements: &mut Elements<'_>,
        missing: &Missing,
    ) -> Result<Option<Self>> {
        let mut table = Self::gather(elements)?;
        table.absent = count_absent("hash", meta, table.fields.len())?;
        let expiring = numbers_of_meta(meta).map_or(0, |told| told.expiring);
        let absent = usize::try_from(expiring)
            .ok()
            .and_then(|expiring| expiring.checked_sub(table.expiries.fields));
        let absent = absent.filter(|absent| (*absent > 0) == missing.expiries.is_some());
        let Some(fields) = absent else {
            return Err(Error::corrupt(
                "hash",
                format!(
                    "{expiring} fields expire, {} are here, of others {:?}",
                    table.expiries.fields, missing.expiries
                ),
            ));
        };
        table.absent_expiries = AbsentExpiries {
            fields,
            times: missing.expiries,
        };
        table.complete.clone_from(&missing.complete);
        Ok(Some(table))
    }

    fn missing_for(&self, draw: Draw) -> Vec<HashRange> {
        draw.missing_of(self.len(), |random| {
            for _ in 0..EXPIRED_TRIES {
                let Some(field) = self.draw(random)? else {
                    return Ok(None);
                };
                let (field, _, expire_at_ms) = field.parts();
                if !is_over(expire_at_ms, draw.now_ms) {
                    return Ok(Some(field));
                }
            }
            Err(HashRange::ALL)
        })
    }

    fn overlay(&mut self, field: &[u8], record: Option<&[u8]>, edit: &mut Edit<'_>) -> Result<()> {
        match record {
            Some(record) => {
                let (expire_at_ms, value) = RecordHead::parse(record)?;
                self.store(edit.hash(field), field, value, expire_at_ms);
            }
            None => {
                self.remove(field, edit);
            }
        }
        Ok(())
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for (field, value, expire_at_ms) in self.fields.iter().map(Field::parts) {
            let head = RecordHead::new(expire_at_ms);
            let hash = edit.hash(field);
            edit.put(hash, field, &[head.bytes(), value]);
            edit.expire(hash, field, None, expire_at_ms);
        }
    }

    #[inline]
    fn prefetch(&self, step: Step, hash: u32) {
        self.fields.prefetch(step, hash);
    }

    fn digest(&self) -> u64 {
        let fields = self.fields.iter().map(Field::parts);
        fields.fold(0, |sum, (field, value, expire_at_ms)| {
            // Two hashes, so that a byte that moves from field to value shows.
            let mixed = digest(field).rotate_left(32) ^ digest(value);
            let mixed = mixed ^ expire_at_ms.map_or(0, |at_ms| digest(&at_ms.to_le_bytes()));
            sum.wrapping_add(digest(&mixed.to_le_bytes()))
        })
    }
}

/// What the key's own record tells of fields that expire: see [`HashTable::meta`].
struct Told {
    fields: u64,
    expiring: u64,
    next: u64,
    latest: u64,
}

fn numbers_of_meta(meta: &[u8]) -> Option<Told> {
    let number = |nth: usize| {
        let bytes = meta.get(nth * size_of::<u64>()..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    };
    Some(Told {
        fields: number(0)?,
        expiring: number(1)?,
        next: number(2)?,
        latest: number(3)?,
    })
}

/// The earliest and the latest expiry of fields, as the key's own record tells; none if none has one.
pub(crate) fn expiry_bounds_of_meta(meta: &[u8]) -> Option<(u64, u64)> {
    numbers_of_meta(meta).map(|told| (told.next, told.latest))
}

/// The earliest expiry of fields, and the latest one if all have one, as the key's own record tells.
pub(crate) fn expiries_of_meta(meta: &[u8]) -> (Option<u64>, Option<u64>) {
    let Some(told) = numbers_of_meta(meta) else {
        return (None, None);
    };
    let last = (told.expiring == told.fields).then_some(told.latest);
    (Some(told.next), last)
}
