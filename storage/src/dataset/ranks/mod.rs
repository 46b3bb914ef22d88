//! The members of large sorted sets in their order, on disk: what parts of sorted sets are made of.
//!
//! A member has a record besides its own, whose engine key has the score and the member behind the incarnation of
//! [`record::ElementPlace::ranks`]. Commands do not write it: in memory the order is known, and ZADD would write three records in place of one.
//! Instead the write set notes which score a member had before its first change, and a checkpoint makes the records of both
//! scores of it. So on disk they always belong to the last checkpoint, and what has changed since stands where the changed
//! members' own records wait.

mod part;
mod search;

pub(super) use part::Effort;
pub use part::{RankLooks, RankSpan};
pub use search::{Search, Searched};

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Dataset;
use super::nodes::Nodes;
use super::record::{
    self, ELEMENT_HEAD_BYTES, ELEMENTS_PREFIX_BYTES, ElementPlace, LONG_MEMBER, RecordKey,
};
use super::scored::RankOrder;
use super::write_set::{FrozenSet, Scored};
use crate::engine::{Reader, Scan};
use crate::types::{KeyHasher, split_key};
use crate::{Error, Result};

/// In a record: the score is -0, which has the place of 0.
const NEGATIVE_ZERO: u8 = 1;

/// A place in the order of one set's members: what follows the incarnation in a key. A place need not be that of a member.
pub(super) type RankPlace = SmallVec<[u8; 32]>;

/// Scores in order as numbers in order; the two zeros are one.
fn sortable(score: f64) -> u64 {
    // Adding 0 makes -0 to 0.
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

fn score_of(sortable: u64) -> f64 {
    f64::from_bits(if sortable >> 63 == 0 {
        !sortable
    } else {
        sortable & !(1 << 63)
    })
}

/// The place before all members with this score, or its next greater one.
fn before_score(score: f64, next: bool) -> RankPlace {
    SmallVec::from_slice(&(sortable(score) + u64::from(next)).to_be_bytes())
}

/// The place of a member.
pub(super) fn place_of(score: f64, member: &[u8]) -> RankPlace {
    let mut place = before_score(score, false);
    place.extend_from_slice(member);
    place
}

/// Score and member of a record.
fn decode(key: &Bytes, value: &Bytes) -> Result<(f64, Bytes)> {
    let decode = || {
        let (_, rest) = key.split_at_checked(ELEMENTS_PREFIX_BYTES)?;
        let (score, member) = rest.split_first_chunk()?;
        let (&flags, mut rest) = value.split_first()?;
        let member = if flags & LONG_MEMBER == 0 {
            key.slice_ref(member)
        } else {
            let bytes = usize::try_from(record::take_varint(&mut rest)?).ok()?;
            let (member, sign) = rest.split_at_checked(bytes)?;
            rest = sign;
            value.slice_ref(member)
        };
        let score = score_of(u64::from_be_bytes(*score));
        Some((if rest.is_empty() { score } else { -score }, member))
    };
    decode().ok_or_else(|| Error::corrupt("rank of a member", format!("key {key:02x?}")))
}

impl<'a> Scored<'a> {
    /// The score now, and what the record has before it.
    fn now(&self) -> Option<(f64, &'a [u8])> {
        let (head, score) = self.value?.split_last_chunk()?;
        Some((f64::from_le_bytes(*score), head))
    }

    /// Score and member, unless it is gone.
    pub(super) fn ranked(&self) -> Option<(f64, &'a [u8])> {
        let (score, head) = self.now()?;
        let (&flags, mut rest) = head.split_first()?;
        if flags & LONG_MEMBER != 0 {
            record::take_varint(&mut rest)?;
            return Some((score, rest));
        }
        Some((score, self.key.get(ELEMENT_HEAD_BYTES..)?))
    }
}

/// The records by which a checkpoint changes the order on disk, sorted by key.
pub(super) struct RankRecords {
    /// Keys, each with its value behind it.
    bytes: Bytes,
    records: vec::IntoIter<RankRecord>,
}

#[derive(Clone, Copy)]
struct RankRecord {
    start: usize,
    key_bytes: u32,
    /// None: the key is to be deleted.
    value_bytes: Option<u32>,
}

impl RankRecords {
    /// Of what changed in some sets.
    pub(super) fn of(sets: &[FrozenSet]) -> Self {
        let mut bytes = Vec::new();
        let mut records = Vec::new();
        for scored in sets.iter().flat_map(FrozenSet::all_scored) {
            let now = scored.now();
            let has_moved = |was: f64| now.is_none_or(|(now, _)| sortable(now) != sortable(was));
            if let Some(was) = scored.was.filter(|&was| has_moved(was)) {
                records.push(RankRecord {
                    value_bytes: None,
                    ..append(&mut bytes, &scored, was)
                });
            }
            if let Some((score, head)) = now
                && scored.was.map(f64::to_bits) != Some(score.to_bits())
            {
                let mut record = append(&mut bytes, &scored, score);
                let sign: &[u8] = match score.is_sign_negative() && score == 0.0 {
                    true => &[NEGATIVE_ZERO],
                    false => &[],
                };
                bytes.extend_from_slice(head);
                bytes.extend_from_slice(sign);
                record.value_bytes = Some((head.len() + sign.len()) as u32);
                records.push(record);
            }
        }
        let key = |record: &RankRecord| bytes.get(record.keys()).unwrap_or_default();
        records.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        Self {
            bytes: bytes.into(),
            records: records.into_iter(),
        }
    }
}

/// Appends the key of a member's record with this score.
fn append(bytes: &mut Vec<u8>, scored: &Scored<'_>, score: f64) -> RankRecord {
    let start = bytes.len();
    let (elements, rest) = scored.key.split_at(ELEMENTS_PREFIX_BYTES);
    // An incarnation is even: the one behind it differs in the last bit.
    if let Some((last, others)) = elements.split_last() {
        bytes.extend_from_slice(others);
        bytes.push(last | 1);
    }
    bytes.extend_from_slice(&sortable(score).to_be_bytes());
    bytes.extend_from_slice(rest.get(size_of::<u32>()..).unwrap_or_default());
    RankRecord {
        start,
        key_bytes: (bytes.len() - start) as u32,
        value_bytes: None,
    }
}

impl RankRecord {
    fn keys(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.key_bytes as usize
    }
}

impl Iterator for RankRecords {
    type Item = (Bytes, Option<Bytes>);

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.records.next()?;
        let key = record.keys();
        let value = record
            .value_bytes
            .map(|bytes| self.bytes.slice(key.end..key.end + bytes as usize));
        Some((self.bytes.slice(key), value))
    }
}

/// Where the order of a sorted set's members is read.
pub(super) struct Order<'d> {
    pub(super) disk: &'d dyn Reader,
    pub(super) hasher: &'d KeyHasher,
    pub(super) place: ElementPlace,
    pub(super) changes: Changes<'d>,
}

/// Members' records that have changed since the last checkpoint.
pub(super) enum Changes<'d> {
    /// As they are now; none: the set has not changed.
    Live(Option<&'d Dataset>),
    /// As they were when it was noted that the set is to be read, by engine key.
    Noted(&'d BTreeMap<Bytes, Option<Bytes>>),
}

impl<'d> Nodes<'d> {
    /// The order of members, newest records first considered.
    pub(super) fn order(&self) -> Order<'d> {
        Order {
            disk: self.dataset.engine.as_ref(),
            hasher: &self.dataset.hasher,
            place: self.place,
            changes: Changes::Live(self.pending.then_some(self.dataset)),
        }
    }
}

impl Order<'_> {
    fn member_key<'m>(&self, member: &'m [u8]) -> RecordKey<'m> {
        RecordKey::element(self.hasher, self.place, self.hasher.hash(member), member)
    }

    /// The record of a member that has changed; an inner none: it is gone.
    fn changed(&self, member: &[u8]) -> Option<Option<Bytes>> {
        match self.changes {
            Changes::Live(None) => None,
            Changes::Live(Some(dataset)) => {
                dataset.pending_record(self.place.db, &self.member_key(member))
            }
            Changes::Noted(records) => records.get(&self.member_key(member).to_vec()[..]).cloned(),
        }
    }

    /// A member's record.
    fn record(&self, member: &[u8]) -> Result<Option<Bytes>> {
        match self.changed(member) {
            Some(record) => Ok(record),
            None => self.disk.get(&self.member_key(member).to_vec()),
        }
    }

    /// The members that have changed, as they are now, between two places, in order or in opposite order; not more than so many.
    fn changed_between(
        &self,
        (from, to): &(RankPlace, RankPlace),
        backwards: bool,
        most: usize,
    ) -> Result<Vec<Ranked>> {
        let mut found = Vec::new();
        if from >= to {
            return Ok(found);
        }
        match self.changes {
            Changes::Live(None) => {}
            Changes::Live(Some(dataset)) => {
                let (db, prefix) = (self.place.db, self.place.prefix());
                let write_set = &dataset.database(db).write_set;
                let mut take = |order: &RankOrder, counts: &dyn Fn(&[u8]) -> bool| {
                    let range = order.range::<RankPlace, _>(from..to);
                    let ranked = range.map(|(place, &score)| Ranked::new(place.clone(), score));
                    let counts = |ranked: &Ranked| counts(&ranked.member);
                    if backwards {
                        found.extend(ranked.rev().filter(counts).take(most));
                    } else {
                        found.extend(ranked.filter(counts).take(most));
                    }
                };
                write_set.in_order(&prefix, |order| take(order, &|_| true));
                let frozen = dataset.frozen.as_ref();
                if let Some(frozen) = frozen.and_then(|frozen| frozen.set(db)) {
                    let is_newest =
                        |member: &[u8]| write_set.pending(&self.member_key(member)).is_none();
                    frozen.in_order(&prefix, |order| take(order, &is_newest));
                }
            }
            Changes::Noted(records) => {
                for (key, value) in records {
                    let Some(value) = value else { continue };
                    let (key, value) = record::decode_element(key, value)?;
                    if let (Ok((_, member)), Some(score)) = (split_key(&key), value.first_chunk()) {
                        let score = f64::from_le_bytes(*score);
                        let place = place_of(score, member);
                        if (from..to).contains(&&place) {
                            found.push(Ranked::new(place, score));
                        }
                    }
                }
            }
        }
        found.sort_unstable_by(|a, b| {
            let order = a.place.cmp(&b.place);
            if backwards { order.reverse() } else { order }
        });
        found.truncate(most);
        Ok(found)
    }
}

impl Ranked {
    fn new(place: RankPlace, score: f64) -> Self {
        let member = place.get(size_of::<u64>()..).unwrap_or_default();
        Self {
            member: Bytes::copy_from_slice(member),
            place,
            score,
        }
    }
}

/// A member in its place.
struct Ranked {
    place: RankPlace,
    score: f64,
    member: Bytes,
}

/// Members between two places, in order or in opposite order, each as it is now.
struct RankWalk<'o, 'd> {
    order: &'o Order<'d>,
    durable: Peekable<Durable<'d>>,
    changed: Peekable<vec::IntoIter<Ranked>>,
    backwards: bool,
}

/// What is on disk.
struct Durable<'d>(Scan<'d>);

impl Iterator for Durable<'_> {
    type Item = Result<Ranked>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.next()?;
        Some(pair.and_then(|(key, value)| {
            let (score, member) = decode(&key, &value)?;
            Ok(Ranked {
                place: place_of(score, &member),
                score,
                member,
            })
        }))
    }
}

impl<'o, 'd> RankWalk<'o, 'd> {
    /// From the place `from` to before the place `to`. No more than `most` members will be asked for.
    fn new(
        order: &'o Order<'d>,
        span: &(RankPlace, RankPlace),
        backwards: bool,
        most: usize,
    ) -> Result<Self> {
        let (from, to) = span;
        let prefix = order.place.ranks().prefix();
        let (start, end) = ([&prefix[..], from].concat(), [&prefix[..], to].concat());
        let durable = if from >= to {
            Box::new(std::iter::empty())
        } else if backwards {
            order.disk.scan_back(&start, &end)
        } else {
            order.disk.scan(&start, &end)
        };
        let changed = order.changed_between(span, backwards, most)?;
        Ok(Self {
            order,
            durable: Durable(durable).peekable(),
            changed: changed.into_iter().peekable(),
            backwards,
        })
    }
}

impl Iterator for RankWalk<'_, '_> {
    type Item = Result<Ranked>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_durable = match (self.changed.peek(), self.durable.peek()) {
                (_, Some(Err(_))) | (None, _) => true,
                (Some(_), None) => false,
                (Some(changed), Some(Ok(durable))) => {
                    (durable.place < changed.place) != self.backwards
                }
            };
            if !is_durable {
                return self.changed.next().map(Ok);
            }
            match self.durable.next()? {
                Ok(found) if self.order.changed(&found.member).is_some() => {}
                found => return Some(found),
            }
        }
    }
}
