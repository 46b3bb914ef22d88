//! What a command looks at of a sorted set by the order of its members, and the part that has it.

use std::ops::Bound;

use bytes::Bytes;

use super::search::Searched;
use super::{Order, RankPlace, RankWalk, Ranked, before_score, place_of};
use crate::Result;
use crate::dataset::nodes::{PartNodes, PartRecords, resolve};
use crate::dataset::part::elements_of;
use crate::dataset::record::{self, LONG_KEY_BYTES};
use crate::types::{MissingScores, score_bounds_of_meta};

/// So many are counted from one end before the other end is tried.
const NEAR_STEPS: usize = 1 << 10;

/// How much is done for a part at most: what takes more takes the whole set.
#[derive(Clone, Copy, Debug)]
pub(in crate::dataset) struct Effort {
    /// Members that the part has.
    pub(in crate::dataset) members: usize,
    /// Members that are counted or passed over.
    pub(in crate::dataset) steps: usize,
}

impl Effort {
    /// Under the Region's lock: it takes a few milliseconds.
    pub(in crate::dataset) const UNDER_LOCK: Self = Self {
        members: 4096,
        steps: 16 << 10,
    };
}

/// What a command looks at of a sorted set by the order of its members.
#[derive(Clone, Debug, PartialEq)]
pub enum RankLooks {
    /// The members of these ranks, negative ones counted from the end.
    Ranks {
        /// The first one.
        start: i64,
        /// The last one, included.
        stop: i64,
    },
    /// How many members stand before this one, and its score.
    RankOf(Box<[u8]>),
    /// How many members there are between two ends.
    Count(RankSpan),
    /// The first members between two ends, or the last.
    Span {
        /// Between which ends.
        span: RankSpan,
        /// How many of them at most.
        most: usize,
        /// From the last on.
        backwards: bool,
    },
    /// Some members by name, and those that a search finds.
    Search(Searched),
}

/// Two ends in the order of members.
#[derive(Clone, Debug, PartialEq)]
pub enum RankSpan {
    /// Scores.
    Scores(Bound<f64>, Bound<f64>),
    /// Members, where all have one score.
    Members(Bound<Box<[u8]>>, Bound<Box<[u8]>>),
}

/// Members of a part, in order.
type Members = Vec<(f64, Bytes)>;

impl PartNodes {
    /// Takes note of the scores of the members of a sorted set that the part does not have.
    pub(in crate::dataset) fn know_scores(&mut self, order: &Order<'_>, meta: &[u8]) -> Result<()> {
        let known = self.missing.scores.unwrap_or_default();
        let ends = order.missing_scores(meta, &self.records)?;
        self.missing.scores = ends.map(|(first, last)| MissingScores {
            first,
            last,
            ..known
        });
        Ok(())
    }
}

impl Order<'_> {
    /// The members that a command looks at, and where they stand among the others; none if it takes more than this.
    pub(in crate::dataset) fn part(
        &self,
        meta: &[u8],
        looks: &RankLooks,
        effort: Effort,
    ) -> Result<Option<PartNodes>> {
        let Some((first, last)) = score_bounds_of_meta(meta) else {
            return Ok(None);
        };
        let len = usize::try_from(elements_of(meta)).unwrap_or(usize::MAX);
        let all = (before_score(first, false), before_score(last, true));
        match looks {
            &RankLooks::Ranks { start, stop } => {
                let Some((from, to)) = resolve(start, stop, len) else {
                    return Ok(Some(PartNodes::default()));
                };
                let backwards = to > len - from;
                let skipped = if backwards { len - to } else { from };
                let (most, passed) = (to - from, skipped.saturating_add(to - from));
                if most > effort.members || passed > effort.steps {
                    return Ok(None);
                }
                let members = self.members(&all, backwards, skipped, most)?;
                Ok(members.map(|members| self.part_of(&members, from, 0)))
            }
            RankLooks::RankOf(member) => self.rank_of(&all, member, len, effort.steps),
            RankLooks::Count(span) => match places(span, (first, last)) {
                Some((from, to)) => self.counted(&clamp(from, to, &all), effort.steps),
                None => Ok(None),
            },
            RankLooks::Span {
                span,
                most,
                backwards,
            } => {
                let Some((from, to)) = places(span, (first, last)) else {
                    return Ok(None);
                };
                let span = clamp(from, to, &all);
                let asked = (*most).min(effort.members + 1);
                let members = self.members(&span, *backwards, 0, asked)?;
                let members = members.filter(|members| members.len() <= effort.members);
                Ok(members.map(|members| self.part_of(&members, 0, 0)))
            }
            RankLooks::Search(searched) => self.found(&all, searched, effort),
        }
    }

    /// The first and the last score among the members that a part does not hold; none if there are no others. `meta` tells those
    /// of all.
    fn missing_scores(&self, meta: &[u8], held: &PartRecords) -> Result<Option<(f64, f64)>> {
        let Some((first, last)) = score_bounds_of_meta(meta) else {
            return Ok(None);
        };
        if elements_of(meta) == held.len() as u64 {
            return Ok(None);
        }
        let all = (before_score(first, false), before_score(last, true));
        let outermost = |end: f64, backwards: bool| -> Result<Option<f64>> {
            let score = |value: &Bytes| value.first_chunk().map(|score| f64::from_le_bytes(*score));
            if !held.values().any(|value| score(value) == Some(end)) {
                return Ok(Some(end));
            }
            for found in RankWalk::new(self, &all, backwards, held.len() + 1)? {
                let found = found?;
                if !held.contains_key(&self.element_key(&found.member)) {
                    return Ok(Some(found.score));
                }
            }
            Ok(None)
        };
        Ok(outermost(first, false)?.zip(outermost(last, true)?))
    }

    /// Hash and rest of a member's key.
    fn element_key(&self, member: &[u8]) -> Bytes {
        let hash = self.hasher.hash(member);
        [&hash.to_be_bytes()[..], member].concat().into()
    }

    /// Members of a span from one end on, in order; none if the order of some is not known.
    fn members(
        &self,
        span: &(RankPlace, RankPlace),
        backwards: bool,
        skipped: usize,
        most: usize,
    ) -> Result<Option<Members>> {
        let asked = skipped.saturating_add(most);
        let mut members = Members::new();
        let walk = RankWalk::new(self, span, backwards, asked)?.take(asked);
        for (nth, found) in walk.enumerate() {
            let found = found?;
            // Long ones lie in the order of what keys have of them.
            if found.member.len() >= LONG_KEY_BYTES {
                return Ok(None);
            }
            if nth >= skipped {
                members.push((found.score, found.member));
            }
        }
        if backwards {
            members.reverse();
        }
        Ok(Some(members))
    }

    /// A part of these members, before which so many others stand, and so many behind the first.
    fn part_of(&self, members: &[(f64, Bytes)], before: usize, behind_first: usize) -> PartNodes {
        let mut part = PartNodes::default();
        let records = members.iter();
        let records = records.map(|(score, member)| {
            let score = Bytes::copy_from_slice(&score.to_le_bytes());
            (self.element_key(member), score)
        });
        part.records.extend(records);
        part.missing.scores = Some(MissingScores {
            before,
            behind_first,
            ..MissingScores::default()
        });
        part
    }

    /// How many members are in a span; none if they are too many.
    fn count(
        &self,
        span: &(RankPlace, RankPlace),
        backwards: bool,
        most_steps: usize,
    ) -> Result<Option<usize>> {
        let mut count = 0;
        for found in RankWalk::new(self, span, backwards, most_steps.saturating_add(1))? {
            found?;
            count += 1;
            if count > most_steps {
                return Ok(None);
            }
        }
        Ok(Some(count))
    }

    /// The first and the last member of a span, and how many are between them.
    fn counted(
        &self,
        span: &(RankPlace, RankPlace),
        most_steps: usize,
    ) -> Result<Option<PartNodes>> {
        let Some(count) = self.count(span, false, most_steps)? else {
            return Ok(None);
        };
        let Some(mut members) = self.members(span, false, 0, 1)? else {
            return Ok(None);
        };
        if count > 1 {
            match self.members(span, true, 0, 1)? {
                Some(last) => members.extend(last),
                None => return Ok(None),
            }
        }
        let between = count.saturating_sub(members.len());
        Ok(Some(self.part_of(&members, 0, between)))
    }

    /// What a search finds, and the members that it names.
    fn found(
        &self,
        all: &(RankPlace, RankPlace),
        searched: &Searched,
        effort: Effort,
    ) -> Result<Option<PartNodes>> {
        let mut named = PartNodes::default();
        let mut around = None;
        for member in &searched.members {
            let Some(record) = self.record(member)? else {
                continue;
            };
            let (key, score) =
                record::decode_element(&self.member_key(member).to_vec().into(), &record)?;
            around = score.first_chunk().map(|score| f64::from_le_bytes(*score));
            named.records.insert(key, score);
        }
        let (mut found, mut steps) = (Members::new(), 0);
        let enough = searched.enough.unwrap_or(usize::MAX);
        'spans: for (min, max) in searched.by.spans(around) {
            let span = clamp(before_score(min, false), before_score(max, false), all);
            let left = (effort.steps - steps).saturating_add(1);
            for member in RankWalk::new(self, &span, false, left)? {
                let Ranked { score, member, .. } = member?;
                steps += 1;
                if steps > effort.steps || member.len() >= LONG_KEY_BYTES {
                    return Ok(None);
                }
                if !searched.by.finds(around, score) {
                    continue;
                }
                found.push((score, member));
                if found.len() > effort.members {
                    return Ok(None);
                }
                if found.len() >= enough {
                    break 'spans;
                }
            }
        }
        let mut part = self.part_of(&found, 0, 0);
        part.records.append(&mut named.records);
        Ok(Some(part))
    }

    /// A member, and how many stand before it.
    fn rank_of(
        &self,
        all: &(RankPlace, RankPlace),
        member: &[u8],
        len: usize,
        most_steps: usize,
    ) -> Result<Option<PartNodes>> {
        let Some(record) = self.record(member)? else {
            return Ok(Some(PartNodes::default()));
        };
        let score = record.split_last_chunk();
        let score = score.map(|(_, score)| f64::from_le_bytes(*score));
        let Some(score) = score.filter(|_| member.len() < LONG_KEY_BYTES) else {
            return Ok(None);
        };
        let at = place_of(score, member);
        let (front, back) = ((all.0.clone(), at.clone()), (at, all.1.clone()));
        for steps in [NEAR_STEPS.min(most_steps), most_steps] {
            let mut before = self.count(&front, false, steps)?;
            if before.is_none() {
                let from_it_on = self.count(&back, true, steps)?;
                before = from_it_on.and_then(|behind| len.checked_sub(behind));
            }
            if let Some(before) = before {
                let members = [(score, Bytes::copy_from_slice(member))];
                return Ok(Some(self.part_of(&members, before, 0)));
            }
        }
        Ok(None)
    }
}

/// The places of two ends; none if they are not known: members have an order of their own only where all scores are equal, and long ones
/// are not in it on disk.
fn places(span: &RankSpan, (first, last): (f64, f64)) -> Option<(RankPlace, RankPlace)> {
    Some(match span {
        RankSpan::Scores(min, max) => (
            match *min {
                Bound::Included(min) => before_score(min, false),
                Bound::Excluded(min) => before_score(min, true),
                Bound::Unbounded => before_score(first, false),
            },
            match *max {
                Bound::Included(max) => before_score(max, true),
                Bound::Excluded(max) => before_score(max, false),
                Bound::Unbounded => before_score(last, true),
            },
        ),
        RankSpan::Members(min, max) => {
            let is_short = |end: &Bound<Box<[u8]>>| match end {
                Bound::Included(member) | Bound::Excluded(member) => member.len() < LONG_KEY_BYTES,
                Bound::Unbounded => true,
            };
            if first != last || !is_short(min) || !is_short(max) {
                return None;
            }
            // One more zero byte is what comes next.
            let behind = |member: &[u8]| {
                let mut place = place_of(first, member);
                place.push(0);
                place
            };
            (
                match min {
                    Bound::Included(min) => place_of(first, min),
                    Bound::Excluded(min) => behind(min),
                    Bound::Unbounded => before_score(first, false),
                },
                match max {
                    Bound::Included(max) => behind(max),
                    Bound::Excluded(max) => place_of(first, max),
                    Bound::Unbounded => before_score(last, true),
                },
            )
        }
    })
}

/// Not beyond the first and the last member: there may be many deletions.
fn clamp(from: RankPlace, to: RankPlace, all: &(RankPlace, RankPlace)) -> (RankPlace, RankPlace) {
    (from.max(all.0.clone()), to.min(all.1.clone()))
}
