//! Point operations on large collections that are only on disk: what a command says that it will look at is read, the rest
//! stays where it is.
//!
//! A command says so with [`Point`]s: its keys, and the members or fields that it names, or how far it looks into a list or
//! stream. When a key's collection is large and not in
//! memory, the command sees a part of it: a structure that holds these elements, and counts the others. Of a list or stream the
//! part always has the nodes at its ends, which are all that adding elements and counting them need. What changes goes
//! to the write set as it does for a collection in memory, so that records, replies and replicas are the same whether it was
//! in memory or not. From then on until the next checkpoint the newest record of a key that is not in memory may be in
//! the write set, or in the checkpoint under way: all reads of records ask there first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Dataset;
use super::collection::{self, Collected};
use super::nodes::{Nodes, PartNodes};
use super::position::Position;
use super::ranks::Effort;
pub use super::ranks::{RankLooks, RankSpan, Search, Searched};
use super::record::{self, ElementPlace, Incarnation, PhysicalDb, RecordKey, Stored};
use crate::Result;
use crate::types::stream::{Keep, Shape, StreamId};
use crate::types::table::HashRange;
use crate::types::{Draw, Drawn, Kind, Limits, ListEnds, split_key};

/// Larger collections are not loaded because of point operations: it would take tens of milliseconds under the lock.
pub(super) const LOADED_MAX_ELEMENTS: u64 = 20_000;
/// What an element takes in memory, about.
pub(super) const ELEMENT_BYTES: u64 = 128;
/// A collection that takes more than one part in so many of the memory is not loaded because of point operations either.
const LOADED_PARTS: u64 = 32;
/// And one that takes more than one part in so many not for the ranks of a few members.
const READ_PARTS: u64 = 2;

/// No more elements are read under the lock for a step of a walk: it takes a few milliseconds.
const WALKED_MAX: usize = 2048;

/// No more elements than these are drawn from a part: each takes a few reads.
const DRAWN_MAX: usize = 32;
/// Of a collection that memory has no room for; it may take tens of milliseconds.
const DRAWN_MAX_AFAR: usize = 128;
/// And no more places are looked at.
const DRAWN_MAX_WINDOWS: usize = 1024;

/// Elements that a command names.
pub type Members<'a> = SmallVec<[&'a [u8]; 4]>;

/// A key of a command and what it looks at there, besides how many elements there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// The key.
    pub key: &'a [u8],
    /// All that is looked at or changed.
    pub looks: Looks<Members<'a>>,
}

/// What of a collection a command looks at. What does not fit the type of the collection means nothing but its size.
#[derive(Clone, Debug, PartialEq)]
pub enum Looks<M = Vec<Box<[u8]>>> {
    /// These members or fields; of a list or stream, what adding elements looks at.
    Elements(M),
    /// About so many elements of a hash, set or sorted set that follow a cursor of a walk over them.
    Walk {
        /// The cursor, 0 at the start.
        cursor: u64,
        /// How many elements the walk asks for.
        count: usize,
    },
    /// Members of a sorted set by their order.
    Ranks(RankLooks),
    /// Elements of a hash, set or sorted set that are drawn at random.
    Draw(Drawn),
    /// Elements of a list from a first to a last position, negative ones counted from the end.
    Range {
        /// The first one.
        start: i64,
        /// The last one, included.
        stop: i64,
    },
    /// So many elements at either end of a list, which go.
    Take {
        /// At the first.
        head: usize,
        /// At the last.
        tail: usize,
    },
    /// What is outside of this range of a list, and goes.
    KeepRange {
        /// The first position that stays.
        start: i64,
        /// The last one, included.
        stop: i64,
    },
    /// The first entries of a stream with these ids, or the last.
    Entries {
        /// Which entries.
        ids: RangeInclusive<StreamId>,
        /// How many of them at most.
        count: usize,
        /// From the last on.
        backwards: bool,
    },
    /// These entries of a stream, which go.
    Delete(Vec<StreamId>),
    /// The first entries of a stream, which go, when one may have been added.
    KeepEntries {
        /// What stays.
        keep: Keep,
        /// How many go at most; 0: any number.
        limit: usize,
    },
}

impl<M> Looks<M> {
    /// Whether it takes a few reads of the disk only.
    pub fn is_small(&self) -> bool {
        match self {
            Self::Elements(_) => true,
            Self::Walk { count, .. } => *count <= WALKED_MAX,
            Self::Draw(drawn) => drawn.count() <= DRAWN_MAX,
            _ => false,
        }
    }
}

impl<'a> Point<'a> {
    /// Of members or fields.
    pub fn new(key: &'a [u8], members: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            key,
            looks: Looks::Elements(members.into_iter().collect()),
        }
    }
}

/// What takes too long to be read under the lock, though it is not all of a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Afar {
    /// Members of a sorted set by their order.
    Ranks(RankLooks),
    /// See [`Looks::Walk`].
    Walk {
        /// The cursor.
        cursor: u64,
        /// How many elements are asked for.
        count: usize,
    },
}

/// A [`Point`] of a key that is only on disk.
#[derive(Clone, Debug)]
pub(super) struct Focus {
    pub(super) key: Box<[u8]>,
    looks: Looks,
    /// Of an entry at work: when a list becomes flat.
    limits: Limits,
    /// Of a command: where the numbers begin by which it draws.
    seed: u64,
}

impl Focus {
    pub(super) fn new(point: Point<'_>, limits: &Limits, seed: u64) -> Self {
        let looks = match point.looks {
            Looks::Elements(members) => {
                Looks::Elements(members.into_iter().map(Box::from).collect())
            }
            Looks::Walk { cursor, count } => Looks::Walk { cursor, count },
            Looks::Ranks(looks) => Looks::Ranks(looks),
            Looks::Draw(drawn) => Looks::Draw(drawn),
            Looks::Range { start, stop } => Looks::Range { start, stop },
            Looks::Take { head, tail } => Looks::Take { head, tail },
            Looks::KeepRange { start, stop } => Looks::KeepRange { start, stop },
            Looks::Entries {
                ids,
                count,
                backwards,
            } => Looks::Entries {
                ids,
                count,
                backwards,
            },
            Looks::Delete(ids) => Looks::Delete(ids),
            Looks::KeepEntries { keep, limit } => Looks::KeepEntries { keep, limit },
        };
        Self {
            key: point.key.into(),
            looks,
            limits: *limits,
            seed,
        }
    }

    /// What it looks at of a collection with this record, if that may be read without the lock.
    pub(super) fn afar(&self, stored: &Stored) -> Option<Afar> {
        match (&self.looks, stored.kind) {
            (Looks::Ranks(looks), Kind::ZSet) => Some(Afar::Ranks(looks.clone())),
            // Of a hash whose fields expire a part knows more than it is told there.
            (&Looks::Walk { cursor, count }, Kind::Hash | Kind::Set | Kind::ZSet)
                if count > WALKED_MAX && stored.field_expiries_ms().0.is_none() =>
            {
                Some(Afar::Walk { cursor, count })
            }
            _ => None,
        }
    }
}

impl PartNodes {
    /// Adds the elements with some hashes.
    fn complete(&mut self, nodes: &Nodes<'_>, hashes: HashRange) -> Result<()> {
        if self.missing.complete.contains(&hashes) {
            return Ok(());
        }
        for element in nodes.elements_from(hashes.first) {
            let (key, value) = element?;
            let (hash, _) = split_key(&key)?;
            if hash > hashes.last {
                break;
            }
            self.records.insert(key, value);
        }
        self.missing.complete.push(hashes);
        Ok(())
    }
}

/// Makes the part of what was found; none if all is needed to know what it has to know of the others.
fn load(
    nodes: &Nodes<'_>,
    stored: &Stored,
    meta: &[u8],
    found: &mut PartNodes,
    now_ms: u64,
) -> Result<Option<Collected>> {
    if stored.field_expiries_ms().0.is_some() {
        let Some(expiries) = nodes.missing_expiries(meta, &found.records, now_ms, true)? else {
            return Ok(None);
        };
        found.missing.expiries = expiries;
    }
    if stored.kind == Kind::ZSet {
        found.know_scores(&nodes.order(), meta)?;
    }
    found.load(stored.kind, meta)
}

/// The elements that a walk meets, all of a hash or none, and the first one behind them, by which the walk sees
/// that there are more.
pub(super) fn walked(
    elements: impl Iterator<Item = Result<(Bytes, Bytes)>>,
    count: usize,
) -> Result<PartNodes> {
    let mut found = PartNodes::default();
    let mut last = None;
    for element in elements {
        let (key, value) = element?;
        let hash = key.first_chunk::<4>().copied();
        let is_enough = found.records.len() >= count && hash != last;
        found.records.insert(key, value);
        if is_enough {
            break;
        }
        last = hash;
    }
    Ok(found)
}

/// How many elements a record says that its collection has.
pub(super) fn elements_of(meta: &[u8]) -> u64 {
    meta.first_chunk().map_or(0, |len| u64::from_le_bytes(*len))
}

impl Dataset {
    /// The newest record with this key: of the write set, of the checkpoint under way, or on disk.
    pub(super) fn read_record(&self, db: PhysicalDb, key: &RecordKey<'_>) -> Result<Option<Bytes>> {
        match self.pending_record(db, key) {
            Some(record) => Ok(record),
            None => self.engine.get(&key.to_vec()),
        }
    }

    /// The record that waits to be written to disk under this key; an inner none: its deletion.
    pub(super) fn pending_record(
        &self,
        db: PhysicalDb,
        key: &RecordKey<'_>,
    ) -> Option<Option<Bytes>> {
        let written = self.database(db).write_set.get(key);
        written.or_else(|| self.frozen.as_ref()?.get(db, key))
    }

    /// Whether a collection is large enough that parts of it are read.
    pub(super) fn has_parts(&self, stored: &Stored) -> Result<bool> {
        if stored.encoding.is_flat() {
            return Ok(false);
        }
        let (_, meta) = collection::parse_payload(&stored.payload)?;
        Ok(elements_of(meta) >= self.parts_from_elements)
    }

    /// The elements of a large collection that is only on disk.
    pub(super) fn nodes(
        &self,
        db: PhysicalDb,
        slot: u16,
        incarnation: Incarnation,
        stored: &Stored,
    ) -> Nodes<'_> {
        let place = ElementPlace {
            slot,
            db,
            incarnation,
        };
        Nodes {
            dataset: self,
            place,
            pending: stored.index > self.checkpoint_index,
        }
    }

    /// The part of a large collection that a command looks at, at a time; none if the collection is to be loaded instead. The caller
    /// has asked [`Self::has_parts`].
    pub(super) fn part_of(
        &self,
        db: PhysicalDb,
        slot: u16,
        stored: &Stored,
        focus: &Focus,
        now_ms: u64,
    ) -> Result<Option<(Incarnation, Collected)>> {
        let (incarnation, meta) = collection::parse_payload(&stored.payload)?;
        let nodes = self.nodes(db, slot, incarnation, stored);
        let place = nodes.place;
        let found = match stored.kind {
            Kind::List => match ListEnds::of(meta) {
                Some(ends) => nodes.of_list(&ends, &focus.looks)?,
                None => None,
            },
            Kind::Stream => match Shape::of(meta) {
                Some(shape) => nodes.of_stream(&shape, &focus.looks)?,
                None => None,
            },
            kind => Some(match &focus.looks {
                &Looks::Walk { cursor, count } => match u32::try_from(cursor) {
                    Ok(_) if count > WALKED_MAX => return Ok(None),
                    Ok(from) => walked(nodes.elements_from(from), count)?,
                    // No step gave it.
                    Err(_) => PartNodes::default(),
                },
                Looks::Ranks(looks) if kind == Kind::ZSet => {
                    match nodes.order().part(meta, looks, Effort::UNDER_LOCK)? {
                        Some(found) => found,
                        None => return Ok(None),
                    }
                }
                &Looks::Draw(drawn) => {
                    let draw = Draw {
                        seed: focus.seed,
                        drawn,
                        now_ms,
                    };
                    let drawn = self.drawn(&nodes, stored, meta, draw)?;
                    return Ok(drawn.map(|part| (incarnation, part)));
                }
                looks => self.named(place, looks)?,
            }),
        };
        let Some(mut found) = found else {
            return Ok(None);
        };
        let part = load(&nodes, stored, meta, &mut found, now_ms)?;
        let part = part.filter(|part| focus.looks.keeps_large(part, &focus.limits));
        Ok(part.map(|part| (incarnation, part)))
    }

    /// Whether so many elements are drawn from a part, unless many fields of the hash have expired.
    pub(super) fn may_draw(&self, meta: &[u8], drawn: Drawn) -> bool {
        let (count, elements) = (drawn.count(), elements_of(meta));
        // What takes all there are takes no part.
        let is_part = (count as u64) < elements;
        is_part
            && (count <= DRAWN_MAX
                || (count <= DRAWN_MAX_AFAR && !self.has_room_for(elements, READ_PARTS)))
    }

    /// The elements among which some are drawn.
    fn drawn(
        &self,
        nodes: &Nodes<'_>,
        stored: &Stored,
        meta: &[u8],
        draw: Draw,
    ) -> Result<Option<Collected>> {
        if !self.may_draw(meta, draw.drawn) {
            return Ok(None);
        }
        let mut found = PartNodes::default();
        while found.missing.complete.len() < DRAWN_MAX_WINDOWS {
            let Some(part) = load(nodes, stored, meta, &mut found, draw.now_ms)? else {
                return Ok(None);
            };
            let missing = part.missing_for(draw);
            if missing.is_empty() {
                return Ok(Some(part));
            }
            if missing.contains(&HashRange::ALL) {
                return Ok(None);
            }
            for hashes in missing {
                found.complete(nodes, hashes)?;
            }
        }
        Ok(None)
    }

    /// Fields that have expired of a large hash that is only on disk, up to `limit`.
    pub(super) fn expired_part(
        &self,
        db: PhysicalDb,
        slot: u16,
        stored: &Stored,
        now_ms: u64,
        limit: usize,
    ) -> Result<Option<(Incarnation, Collected)>> {
        let (incarnation, meta) = collection::parse_payload(&stored.payload)?;
        let nodes = self.nodes(db, slot, incarnation, stored);
        let mut found = nodes.expired_fields(meta, now_ms, limit)?;
        let expiries = nodes.missing_expiries(meta, &found.records, now_ms, false)?;
        found.missing.expiries = expiries.flatten();
        let part = found.load(stored.kind, meta)?;
        Ok(part.map(|part| (incarnation, part)))
    }

    /// The elements that a command names.
    fn named(&self, place: ElementPlace, looks: &Looks) -> Result<PartNodes> {
        let mut found = PartNodes::default();
        let Looks::Elements(members) = looks else {
            return Ok(found);
        };
        let members: BTreeSet<&[u8]> = members.iter().map(AsRef::as_ref).collect();
        for member in members {
            let hash = self.hasher.hash(member);
            let key = RecordKey::element(&self.hasher, place, hash, member);
            if let Some(value) = self.read_record(place.db, &key)? {
                let element = record::decode_element(&key.to_vec().into(), &value)?;
                found.records.extend([element]);
            }
        }
        Ok(found)
    }

    /// Notes that somebody found a collection on disk and looked at a part: it is loaded unless that takes too much. A larger one comes back
    /// when it is used much.
    pub(super) fn want_whole(&self, db: PhysicalDb, key: &[u8], stored: &Stored) {
        let Ok((_, meta)) = collection::parse_payload(&stored.payload) else {
            return;
        };
        let elements = elements_of(meta);
        if elements > LOADED_MAX_ELEMENTS {
            self.note_use_of_part(db, key, stored);
        } else if self.has_room_for(elements, LOADED_PARTS) {
            self.want(db, key);
        }
    }

    /// What is to be read without the lock, if the collection is so large that it is not loaded for that.
    pub(super) fn looks_afar(&self, stored: &Stored, focus: Option<&Focus>) -> Option<Afar> {
        let (_, meta) = collection::parse_payload(&stored.payload).ok()?;
        let focus = focus.filter(|_| !self.has_room_for(elements_of(meta), READ_PARTS))?;
        focus.afar(stored)
    }

    /// Whether a collection of so many elements takes less than one part in `parts` of the memory.
    pub(super) fn has_room_for(&self, elements: u64, parts: u64) -> bool {
        self.maxmemory_bytes == 0
            || elements.saturating_mul(ELEMENT_BYTES) < self.maxmemory_bytes / parts
    }

    /// The elements of a collection that is not in memory whose records wait to be written, by engine key; none: deleted.
    pub(super) fn pending_elements(
        &self,
        stored: &Stored,
        place: ElementPlace,
    ) -> BTreeMap<Bytes, Option<Bytes>> {
        let mut pending = BTreeMap::new();
        // Whoever changes an element writes the key's own record too.
        if stored.index <= self.checkpoint_index {
            return pending;
        }
        let prefix = place.prefix();
        if let Some(frozen) = &self.frozen {
            frozen.gather(place.db, &prefix, &mut pending);
        }
        self.database(place.db)
            .write_set
            .gather(&prefix, &mut pending);
        pending
    }

    /// True when a key at this place may be on disk only.
    pub(super) fn may_be_cold(&self, db: PhysicalDb, at: Position) -> bool {
        !self.database(db).is_complete(at.slot)
    }
}
