//! The members of large sorted sets in their order, on disk: what parts of sorted sets are made of.
//!
//! A member has a record besides its own, whose engine key has the score and the member behind the incarnation of
//! [`record::ElementPlace::ranks`]. Commands do not write it: in memory the order is known, and ZADD would write three records in place of one.
//! Instead the write set notes which score a member had before its first change, and a checkpoint makes the records of both
//! scores of it. So on disk they always belong to the last checkpoint, and what has changed since stands where the changed
//! members' own records wait.

mod part;

pub use part::{RankLooks, RankSpan};

use std::iter::Peekable;
use std::vec;

use bytes::Bytes;
use smallvec::SmallVec;

use super::nodes::Nodes;
use super::record::{self, ELEMENT_HEAD_BYTES, ELEMENTS_PREFIX_BYTES, LONG_MEMBER, RecordKey};
use super::write_set::{FrozenSet, Scored};
use crate::engine::Scan;
use crate::{Error, Result};

/// In a record: the score is -0, which has the place of 0.
const NEGATIVE_ZERO: u8 = 1;

/// A place in the order of one set's members: what follows the incarnation in a key. A place need not be that of a member.
type Place = SmallVec<[u8; 32]>;

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
fn before_score(score: f64, next: bool) -> Place {
    SmallVec::from_slice(&(sortable(score) + u64::from(next)).to_be_bytes())
}

/// The place of a member.
fn place_of(score: f64, member: &[u8]) -> Place {
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

impl Scored<'_> {
    /// The score now, and what the record has before it.
    fn now(&self) -> Option<(f64, &[u8])> {
        let (head, score) = self.value?.split_last_chunk()?;
        Some((f64::from_le_bytes(*score), head))
    }

    /// Score and member, unless it is gone.
    fn ranked(&self) -> Option<(f64, &[u8])> {
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

/// Members with their scores between two places, in order or in opposite order, each as it is now.
struct RankWalk<'n, 'd> {
    nodes: &'n Nodes<'d>,
    durable: Peekable<Durable<'d>>,
    /// Those that have changed since the last checkpoint.
    pending: Peekable<vec::IntoIter<(Place, f64, Bytes)>>,
    backwards: bool,
}

/// Records on disk, with their places.
struct Durable<'d>(Scan<'d>);

impl Iterator for Durable<'_> {
    type Item = Result<(Place, f64, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.next()?;
        Some(pair.and_then(|(key, value)| {
            let (score, member) = decode(&key, &value)?;
            Ok((place_of(score, &member), score, member))
        }))
    }
}

impl<'n, 'd> RankWalk<'n, 'd> {
    /// From the place `from` to before the place `to`. No more than `most` members will be asked for.
    fn new(nodes: &'n Nodes<'d>, from: &Place, to: &Place, backwards: bool, most: usize) -> Self {
        let prefix = nodes.place.ranks().prefix();
        let (start, end) = ([&prefix[..], from].concat(), [&prefix[..], to].concat());
        let engine = &nodes.dataset.engine;
        let durable = if from >= to {
            Box::new(std::iter::empty())
        } else if backwards {
            engine.scan_back(&start, &end)
        } else {
            engine.scan(&start, &end)
        };
        let mut pending = nodes.pending_ranks(from, to);
        let compare = |(a, ..): &(Place, f64, Bytes), (b, ..): &(Place, f64, Bytes)| {
            let order = a.cmp(b);
            if backwards { order.reverse() } else { order }
        };
        if pending.len() > most {
            pending.select_nth_unstable_by(most, compare);
            pending.truncate(most);
        }
        pending.sort_unstable_by(compare);
        Self {
            nodes,
            durable: Durable(durable).peekable(),
            pending: pending.into_iter().peekable(),
            backwards,
        }
    }
}

impl Iterator for RankWalk<'_, '_> {
    type Item = Result<(f64, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_durable = match (self.pending.peek(), self.durable.peek()) {
                (_, Some(Err(_))) | (None, _) => true,
                (Some(_), None) => false,
                (Some((pending, ..)), Some(Ok((durable, ..)))) => {
                    (durable < pending) != self.backwards
                }
            };
            if !is_durable {
                let (_, score, member) = self.pending.next()?;
                return Some(Ok((score, member)));
            }
            match self.durable.next()? {
                Err(error) => return Some(Err(error)),
                Ok((_, score, member)) => {
                    if !self.nodes.has_changed(&member) {
                        return Some(Ok((score, member)));
                    }
                }
            }
        }
    }
}

impl Nodes<'_> {
    /// Whether a member has changed since the last checkpoint.
    fn has_changed(&self, member: &[u8]) -> bool {
        let key = self.member_key(member);
        self.pending && self.dataset.pending_record(self.place.db, &key).is_some()
    }

    fn member_key<'m>(&self, member: &'m [u8]) -> RecordKey<'m> {
        let hasher = &self.dataset.hasher;
        RecordKey::element(hasher, self.place, hasher.hash(member), member)
    }

    /// The members that have changed since the last checkpoint, as they are now, and are between two places.
    fn pending_ranks(&self, from: &Place, to: &Place) -> Vec<(Place, f64, Bytes)> {
        if !self.pending {
            return Vec::new();
        }
        let (db, prefix) = (self.place.db, self.place.prefix());
        let write_set = &self.dataset.database(db).write_set;
        let frozen = self.dataset.frozen.as_ref();
        let frozen = frozen.and_then(|frozen| frozen.set(db));
        let frozen = frozen.into_iter().flat_map(|set| set.scored(&prefix));
        let newest = write_set.scored(&prefix).map(|scored| (scored, true));
        let mut found = Vec::new();
        for (scored, is_newest) in newest.chain(frozen.map(|scored| (scored, false))) {
            let Some((score, member)) = scored.ranked() else {
                continue;
            };
            let place = place_of(score, member);
            let counts = || is_newest || write_set.pending(&self.member_key(member)).is_none();
            if (from..to).contains(&&place) && counts() {
                found.push((place, score, Bytes::copy_from_slice(member)));
            }
        }
        found
    }
}
