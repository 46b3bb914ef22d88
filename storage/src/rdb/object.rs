//! Values in RDB's encoding: a type byte, then what the type says.
//!
//! | type | value |
//! |---|---|
//! | 0 | a string |
//! | 1, 2, 4 | a list, set, hash: number of elements (pairs), then as many strings |
//! | 3, 5 | a sorted set: number of members, then member and score; as text (3), as a double (5) |
//! | 9, 10, 12, 13 | a zipmap, ziplists of a list, sorted set, hash, as one string |
//! | 11 | an intset, as one string |
//! | 14, 18 | a list: number of nodes; each a ziplist (14), or a kind and an element or a listpack (18) |
//! | 16, 17, 20 | listpacks of a hash, sorted set, set |
//! | 15, 19, 21 | a stream: see `stream` |
//! | 24 | a hash whose fields may expire: the earliest expiry, number of fields, then expiry (beyond the earliest, and 1; 0: none), field, value |
//! | 25 | the same: the earliest expiry, a listpack of field, value, expiry (0: none) in turn |
//!
//! Written are 0, 2, 4, 5, 11, 16, 17, 18, 19, which every server from 7.0 on reads: a set that is a listpack here goes out member by
//! member. A hash with fields that expire goes out as 24, which servers from 7.4 on read.

use std::collections::BTreeSet;

use super::{old, stream, string};
use crate::dataset::Object;
use crate::rdb::value::{ExpiringField, Value};
use crate::types::listpack::ListpackRef;
use crate::types::{Encoding, HashRef, IntsetRef, Item, ListRef, SetRef, SortedSetRef};

pub(super) const STRING: u8 = 0;
pub(super) const LIST: u8 = 1;
pub(super) const SET: u8 = 2;
pub(super) const ZSET: u8 = 3;
pub(super) const HASH: u8 = 4;
pub(super) const ZSET_2: u8 = 5;
pub(super) const HASH_ZIPMAP: u8 = 9;
pub(super) const LIST_ZIPLIST: u8 = 10;
pub(super) const SET_INTSET: u8 = 11;
pub(super) const ZSET_ZIPLIST: u8 = 12;
pub(super) const HASH_ZIPLIST: u8 = 13;
pub(super) const LIST_QUICKLIST: u8 = 14;
pub(super) const HASH_LISTPACK: u8 = 16;
pub(super) const ZSET_LISTPACK: u8 = 17;
pub(super) const LIST_QUICKLIST_2: u8 = 18;
pub(super) const SET_LISTPACK: u8 = 20;
pub(super) const HASH_METADATA: u8 = 24;
pub(super) const HASH_LISTPACK_EX: u8 = 25;

/// The version that every server from 7.0 on reads.
pub(super) const COMMON: u16 = 10;
/// The version of 7.4.
pub(super) const WITH_EXPIRING_FIELDS: u16 = 12;

/// Kinds of nodes of a list.
const PLAIN: usize = 1;
const PACKED: usize = 2;

/// Appends type and value of an object; answers the version that a reader must know.
pub(super) fn write(out: &mut Vec<u8>, object: &Object<'_>) -> u16 {
    if let Some(value) = object.string() {
        out.push(STRING);
        string::write(out, &value);
    } else if let Some(list) = object.list() {
        write_list(out, list);
    } else if let Some(set) = object.set() {
        write_set(out, set);
    } else if let Some(zset) = object.zset() {
        write_zset(out, zset);
    } else if let Some(hash) = object.hash() {
        return write_hash(out, hash);
    } else if let Some(value) = object.stream() {
        stream::write(out, value);
    } else {
        unreachable!("an object is of one of these types");
    }
    COMMON
}

fn write_item(out: &mut Vec<u8>, item: Item<'_>) {
    string::write(out, item.bytes(&mut itoa::Buffer::new()));
}

fn write_list(out: &mut Vec<u8>, list: ListRef<'_>) {
    out.push(LIST_QUICKLIST_2);
    match list {
        ListRef::Listpack(listpack) => {
            string::write_length(out, 1);
            string::write_length(out, PACKED);
            string::write(out, listpack.bytes());
        }
        ListRef::Quicklist(quicklist) => {
            string::write_length(out, quicklist.listpacks().len());
            for listpack in quicklist.listpacks() {
                string::write_length(out, PACKED);
                string::write(out, listpack.bytes());
            }
        }
    }
}

fn write_set(out: &mut Vec<u8>, set: SetRef<'_>) {
    if let SetRef::Intset(intset) = set {
        out.push(SET_INTSET);
        string::write(out, &intset.to_bytes());
        return;
    }
    out.push(SET);
    string::write_length(out, set.len());
    for member in set.iter() {
        write_item(out, member);
    }
}

fn write_zset(out: &mut Vec<u8>, zset: SortedSetRef<'_>) {
    if let SortedSetRef::Listpack(listpack) = zset {
        out.push(ZSET_LISTPACK);
        string::write(out, listpack.bytes());
        return;
    }
    out.push(ZSET_2);
    string::write_length(out, zset.len());
    // Redis writes from the greatest on, so that loading always adds before the first.
    for (member, score) in zset.iter().rev() {
        write_item(out, member);
        out.extend_from_slice(&score.to_le_bytes());
    }
}

fn write_hash(out: &mut Vec<u8>, hash: HashRef<'_>) -> u16 {
    let expiries = hash.iter_expiring().filter_map(|(_, _, at_ms)| at_ms);
    if let Some(earliest_ms) = expiries.min() {
        write_expiring_hash(out, hash, earliest_ms);
        return WITH_EXPIRING_FIELDS;
    }
    if let Some((Encoding::Listpack, listpack)) = hash.flat() {
        out.push(HASH_LISTPACK);
        string::write(out, listpack.bytes());
        return COMMON;
    }
    out.push(HASH);
    string::write_length(out, hash.len());
    for (field, value) in hash.iter() {
        write_item(out, field);
        write_item(out, value);
    }
    COMMON
}

fn write_expiring_hash(out: &mut Vec<u8>, hash: HashRef<'_>, earliest_ms: u64) {
    out.push(HASH_METADATA);
    out.extend_from_slice(&earliest_ms.to_le_bytes());
    string::write_length(out, hash.len());
    for (field, value, expire_at_ms) in hash.iter_expiring() {
        let beyond = expire_at_ms.map_or(0, |at_ms| at_ms - earliest_ms + 1);
        string::write_length(out, beyond as usize);
        write_item(out, field);
        write_item(out, value);
    }
}

/// True of a type that [`read`] knows.
pub(super) fn is_known(kind: u8) -> bool {
    matches!(
        kind,
        STRING..=ZSET_2
            | HASH_ZIPMAP..=LIST_QUICKLIST
            | HASH_LISTPACK..=LIST_QUICKLIST_2
            | SET_LISTPACK
            | stream::STREAM
            | stream::STREAM_2
            | stream::STREAM_3
            | HASH_METADATA
            | HASH_LISTPACK_EX
    )
}

/// Takes a value of type `kind` off the front; none if it does not decode, or has no elements, or one twice.
pub(super) fn read(kind: u8, input: &mut &[u8]) -> Option<Value> {
    let value = match kind {
        STRING => return string::read(input).map(Value::String),
        LIST => Value::List(strings(input, 1)?),
        LIST_ZIPLIST => Value::List(old::ziplist(&string::read(input)?)?),
        LIST_QUICKLIST | LIST_QUICKLIST_2 => Value::List(nodes(kind, input)?),
        SET => Value::Set(strings(input, 1)?),
        SET_LISTPACK => Value::Set(listpack(&string::read(input)?)?),
        SET_INTSET => Value::Set(intset(&string::read(input)?)?),
        ZSET | ZSET_2 => Value::ZSet(scored(kind, input)?),
        ZSET_LISTPACK => Value::ZSet(with_scores(listpack(&string::read(input)?)?)?),
        ZSET_ZIPLIST => Value::ZSet(with_scores(old::ziplist(&string::read(input)?)?)?),
        HASH => Value::Hash(lasting(strings(input, 2)?)?),
        HASH_LISTPACK => Value::Hash(lasting(listpack(&string::read(input)?)?)?),
        HASH_ZIPLIST => Value::Hash(lasting(old::ziplist(&string::read(input)?)?)?),
        HASH_ZIPMAP => Value::Hash(lasting(old::zipmap(&string::read(input)?)?)?),
        HASH_METADATA => Value::Hash(expiring(input)?),
        HASH_LISTPACK_EX => Value::Hash(expiring_flat(input)?),
        stream::STREAM | stream::STREAM_2 | stream::STREAM_3 => {
            Value::Stream(Box::new(stream::read(kind, input)?))
        }
        _ => return None,
    };
    let sound = match &value {
        Value::String(_) | Value::Stream(_) => true,
        Value::List(elements) => !elements.is_empty(),
        Value::Set(members) => are_different(members.iter()),
        Value::ZSet(members) => {
            are_different(members.iter().map(|(member, _)| member))
                && !members.iter().any(|(_, score)| score.is_nan())
        }
        Value::Hash(fields) => are_different(fields.iter().map(|(field, _, _)| field)),
    };
    sound.then_some(value)
}

/// True of at least one element, none twice.
fn are_different<'v>(elements: impl ExactSizeIterator<Item = &'v Vec<u8>>) -> bool {
    let count = elements.len();
    let different: BTreeSet<&Vec<u8>> = elements.collect();
    count > 0 && different.len() == count
}

/// A number of elements of so many strings each, and the strings.
fn strings(input: &mut &[u8], each: usize) -> Option<Vec<Vec<u8>>> {
    let count = string::read_length(input)?.checked_mul(each)?;
    // Each takes a byte at least: a number that the input cannot hold allocates nothing.
    if count > input.len() {
        return None;
    }
    (0..count).map(|_| string::read(input)).collect()
}

fn listpack(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let listpack = ListpackRef::validate(bytes)?;
    Some(listpack.iter().map(Item::to_vec).collect())
}

fn intset(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let members = IntsetRef::validate(bytes)?;
    Some(
        members
            .iter()
            .map(|number| Item::Int(number).to_vec())
            .collect(),
    )
}

/// The elements of a list's nodes.
fn nodes(kind: u8, input: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = string::read_length(input)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        if kind == LIST_QUICKLIST {
            elements.extend(old::ziplist(&string::read(input)?)?);
            continue;
        }
        match string::read_length(input)? {
            PLAIN => elements.push(string::read(input)?),
            PACKED => elements.extend(listpack(&string::read(input)?)?),
            _ => return None,
        }
    }
    Some(elements)
}

/// Members, each with its score.
fn scored(kind: u8, input: &mut &[u8]) -> Option<Vec<(Vec<u8>, f64)>> {
    let count = string::read_length(input)?;
    if count > input.len() {
        return None;
    }
    let mut members = Vec::new();
    for _ in 0..count {
        let member = string::read(input)?;
        let score = if kind == ZSET_2 {
            f64::from_le_bytes(*input.split_off(..8)?.first_chunk()?)
        } else {
            score_text(input)?
        };
        members.push((member, score));
    }
    Some(members)
}

/// A score as the oldest encoding has it: a length and a text, or one of three special lengths.
fn score_text(input: &mut &[u8]) -> Option<f64> {
    match *input.split_off_first()? {
        253 => Some(f64::NAN),
        254 => Some(f64::INFINITY),
        255 => Some(f64::NEG_INFINITY),
        len => parse_score(input.split_off(..usize::from(len))?),
    }
}

fn parse_score(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Members and scores that stand in turn.
fn with_scores(elements: Vec<Vec<u8>>) -> Option<Vec<(Vec<u8>, f64)>> {
    let pairs = pairs(elements)?.into_iter();
    pairs
        .map(|(member, score)| Some((member, parse_score(&score)?)))
        .collect()
}

/// Fields and values that stand in turn; none of them expires.
fn lasting(elements: Vec<Vec<u8>>) -> Option<Vec<ExpiringField>> {
    let pairs = pairs(elements)?.into_iter();
    Some(pairs.map(|(field, value)| (field, value, None)).collect())
}

/// Fields and values with expiries.
fn expiring(input: &mut &[u8]) -> Option<Vec<ExpiringField>> {
    let earliest_ms = u64::from_le_bytes(*input.split_off(..8)?.first_chunk()?);
    let count = string::read_length(input)?;
    if count > input.len() {
        return None;
    }
    let field = |input: &mut &[u8]| {
        let expire_at_ms = match string::read_length(input)? as u64 {
            0 => None,
            beyond => Some(earliest_ms.checked_add(beyond - 1)?),
        };
        Some((string::read(input)?, string::read(input)?, expire_at_ms))
    };
    (0..count).map(|_| field(input)).collect()
}

/// A listpack of fields, values and expiries.
fn expiring_flat(input: &mut &[u8]) -> Option<Vec<ExpiringField>> {
    input.split_off(..8)?;
    let bytes = string::read(input)?;
    let mut items = ListpackRef::validate(&bytes)?.iter();
    let mut fields = Vec::new();
    while let Some(field) = items.next() {
        let (value, expire_at_ms) = (items.next()?, items.next()?.int()?);
        let expire_at_ms = u64::try_from(expire_at_ms).ok()?;
        let expire_at_ms = Some(expire_at_ms).filter(|&at_ms| at_ms > 0);
        fields.push((field.to_vec(), value.to_vec(), expire_at_ms));
    }
    Some(fields)
}

/// Elements that stand in turn, two by two; none of an odd number.
fn pairs(elements: Vec<Vec<u8>>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut elements = elements.into_iter();
    let mut pairs = Vec::with_capacity(elements.len() / 2);
    while let Some(first) = elements.next() {
        pairs.push((first, elements.next()?));
    }
    Some(pairs)
}
