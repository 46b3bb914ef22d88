//! Flat hashes of which some fields expire: field, value and expiry in turn. The earliest expiry comes first; fields that never
//! expire have 0 for it and come last. Byte for byte Redis's `listpackex`.

use super::is_over;
use crate::types::item::Item;
use crate::types::listpack::{self, Listpack, ListpackRef};

/// In place of the expiry of a field that never expires.
const NEVER: i64 = 0;

/// Entries of a field.
pub(super) const STEP: usize = 3;

/// Fields with values and expiries, in their order.
#[derive(Clone)]
pub(super) struct Triples<'a>(pub(super) listpack::Iter<'a>);

impl<'a> Iterator for Triples<'a> {
    type Item = (Item<'a>, Item<'a>, Option<u64>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?, expiry(self.0.next()?)))
    }
}

/// What an entry says of a field's expiry.
fn expiry(item: Item<'_>) -> Option<u64> {
    let at_ms = item.int().filter(|at_ms| *at_ms != NEVER)?;
    u64::try_from(at_ms).ok()
}

/// From field and value in turn.
pub(super) fn from_pairs(pairs: ListpackRef<'_>) -> Listpack {
    let mut triples = Listpack::new();
    let mut buffer = itoa::Buffer::new();
    let mut entries = pairs.iter();
    while let (Some(field), Some(value)) = (entries.next(), entries.next()) {
        triples.push_back(field.bytes(&mut buffer));
        triples.push_back(value.bytes(&mut buffer));
        push_expiry(&mut triples, None);
    }
    triples
}

fn push_expiry(triples: &mut Listpack, expire_at_ms: Option<u64>) {
    let mut buffer = itoa::Buffer::new();
    let at_ms = expire_at_ms.unwrap_or(NEVER as u64);
    triples.push_back(buffer.format(at_ms).as_bytes());
}

/// The field, value and expiry at byte offset `at`.
pub(super) fn triple(
    triples: ListpackRef<'_>,
    at: usize,
) -> Option<(Item<'_>, Item<'_>, Option<u64>)> {
    Triples(triples.iter_from(at)).next()
}

/// Sets a value; unless `keeps`, the field does not expire any more. True if the field is new at `now_ms`.
pub(super) fn set(
    triples: &mut Listpack,
    field: &[u8],
    value: &[u8],
    keeps: bool,
    now_ms: u64,
) -> bool {
    let found = triples.as_ref().find(field, STEP);
    let Some(at) = found else {
        insert(triples, field, value, None);
        return true;
    };
    let expire_at_ms = triple(triples.as_ref(), at).and_then(|(_, _, expire_at_ms)| expire_at_ms);
    let over = is_over(expire_at_ms, now_ms);
    if expire_at_ms.is_none() || (keeps && !over) {
        let mut entries = triples.as_ref().iter_from(at);
        entries.next();
        let at = entries.offset();
        triples.replace(at, value);
    } else {
        triples.remove(at, STEP);
        insert(triples, field, value, None);
    }
    over
}

/// Adds a field where its expiry belongs, behind those with the same.
fn insert(triples: &mut Listpack, field: &[u8], value: &[u8], expire_at_ms: Option<u64>) {
    let place = expire_at_ms.and_then(|expire_at_ms| {
        let mut walk = Triples(triples.as_ref().iter());
        loop {
            let at = walk.0.offset();
            let (_, _, other) = walk.next()?;
            if other.is_none_or(|other| other > expire_at_ms) {
                return Some((at, expire_at_ms));
            }
        }
    });
    match place {
        Some((at, expire_at_ms)) => {
            let at = triples.insert(at, field);
            let at = triples.insert(at, value);
            triples.insert(at, itoa::Buffer::new().format(expire_at_ms).as_bytes());
        }
        None => {
            triples.push_back(field);
            triples.push_back(value);
            push_expiry(triples, expire_at_ms);
        }
    }
}

/// Changes when the field at byte offset `at` expires.
pub(super) fn set_expiry(triples: &mut Listpack, at: usize, expire_at_ms: Option<u64>) {
    let Some((field, value, _)) = triple(triples.as_ref(), at) else {
        return;
    };
    let (field, value) = (field.to_vec(), value.to_vec());
    triples.remove(at, STEP);
    insert(triples, &field, &value, expire_at_ms);
}

/// How many fields have expired at `now_ms`: the first ones.
pub(super) fn count_over(triples: ListpackRef<'_>, now_ms: u64) -> usize {
    Triples(triples.iter())
        .take_while(|(_, _, expire_at_ms)| is_over(*expire_at_ms, now_ms))
        .count()
}

/// Removes up to `limit` fields that have expired at `now_ms`; answers how many.
pub(super) fn remove_over(triples: &mut Listpack, now_ms: u64, limit: usize) -> usize {
    let count = count_over(triples.as_ref(), now_ms).min(limit);
    let first = triples.as_ref().iter().offset();
    triples.remove(first, count * STEP);
    count
}

/// The earliest expiry.
#[inline]
pub(super) fn next_expiry(triples: ListpackRef<'_>) -> Option<u64> {
    Triples(triples.iter()).next()?.2
}

/// The latest expiry, if every field has one.
pub(super) fn last_expiry(triples: ListpackRef<'_>) -> Option<u64> {
    expiry(triples.iter().next_back()?)
}
