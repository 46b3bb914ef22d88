//! Large sorted sets.

use std::ops::Range;
use std::sync::Arc;

use super::Change;
use crate::types::edit::Edit;
use crate::types::kind::Encoding;
use crate::types::ranked::{self, Ranked, Ranking, order};
use crate::types::table::{HashRange, Step, Table};
use crate::types::{
    Draw, Elements, Large, Missing, MissingScores, check_len, count_absent, digest, split_key,
};
use crate::{Error, Result};

/// A large sorted set: each member in a table and, sharing its bytes, in a tree.
#[derive(Clone, Default)]
pub struct ZSetTree {
    pub(super) members: Table<Ranked>,
    pub(super) ranking: Ranking,
    /// Allocated by the table and by members.
    bytes: usize,
    /// Members that are only on disk: of a part.
    absent: Option<Box<Absent>>,
}

/// What a part knows of the members that it does not hold.
#[derive(Clone)]
struct Absent {
    /// How many there are, more than none.
    count: usize,
    /// Their scores, and where they stand.
    scores: MissingScores,
    /// None of them has one of these hashes.
    complete: Vec<HashRange>,
}

/// Counters that stand before the bytes of a shared member.
pub(super) const SHARED_BYTES: usize = 2 * size_of::<usize>();

impl ZSetTree {
    /// Of entries in order.
    pub(super) fn from_sorted(entries: Vec<Ranked>, hash: impl Fn(&[u8]) -> u32) -> Self {
        let mut tree = Self::default();
        for entry in &entries {
            tree.add(hash(&entry.member), entry.clone());
        }
        tree.ranking = Ranking::from_sorted(entries);
        tree
    }

    /// Adds a new member to the table only.
    fn add(&mut self, hash: u32, entry: Ranked) {
        self.bytes += entry.member.len() + SHARED_BYTES;
        let change = self.members.insert(hash, entry);
        self.bytes = self.bytes.wrapping_add_signed(change);
    }

    fn gather(elements: &mut Elements<'_>) -> Result<Self> {
        let mut tree = Self::default();
        let mut entries = Vec::new();
        for element in elements {
            let (key, value) = element?;
            let (hash, member) = split_key(&key)?;
            let score = score_of(&value)?;
            let member: Arc<[u8]> = member.into();
            let entry = Ranked { score, member };
            tree.add(hash, entry.clone());
            entries.push(entry);
        }
        entries.sort_unstable_by(|a, b| order(a.score, &a.member, b.score, &b.member));
        tree.ranking = Ranking::from_sorted(entries);
        Ok(tree)
    }

    pub(super) fn update(
        &mut self,
        member: &[u8],
        edit: &mut Edit<'_>,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Change {
        let hash = edit.hash(member);
        let Some(entry) = self.members.find_mut(hash, member) else {
            let Some(score) = decide(None) else {
                return Change::None;
            };
            edit.put_score(hash, member, score, None);
            let member: Arc<[u8]> = member.into();
            let entry = Ranked { score, member };
            self.ranking.insert(entry.clone());
            self.add(hash, entry);
            return Change::Added;
        };
        let old = entry.score;
        let Some(new) = decide(Some(old)).filter(|&new| new != old) else {
            return Change::None;
        };
        entry.score = new;
        edit.put_score(hash, member, new, Some(old));
        if let Some(mut entry) = self.ranking.remove(old, member) {
            entry.score = new;
            self.ranking.insert(entry);
        }
        Change::Moved
    }

    pub(super) fn remove(&mut self, member: &[u8], edit: &mut Edit<'_>) -> Option<f64> {
        let score = self.forget(member, edit)?;
        self.ranking.remove(score, member);
        Some(score)
    }

    pub(super) fn remove_at(&mut self, rank: usize, edit: &mut Edit<'_>) {
        if let Some(entry) = self.ranking.remove_at(rank - self.absent_before()) {
            self.forget(&entry.member, edit);
        }
    }

    /// Removes a member from the table only. Answers its score.
    fn forget(&mut self, member: &[u8], edit: &mut Edit<'_>) -> Option<f64> {
        let hash = edit.hash(member);
        let (entry, change) = self.members.remove(hash, member)?;
        self.bytes -= member.len() + SHARED_BYTES;
        self.bytes = self.bytes.wrapping_add_signed(change);
        edit.delete_score(hash, member, entry.score);
        Some(entry.score)
    }

    /// Members that only the disk has and that stand before those that are here.
    fn absent_before(&self) -> usize {
        self.absent
            .as_ref()
            .map_or(0, |absent| absent.scores.before)
    }

    /// How many members stand before `member`, which is here.
    pub(super) fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.absent_before() + self.ranking.rank(score, member)
    }

    /// See [`super::SortedSetRef::count_while`]. Of a part, those that are not here satisfy `before` when all here do that stand behind them.
    pub(super) fn count_while(&self, before: impl Fn(&Ranked) -> bool) -> usize {
        let here = self.ranking.count_while(before);
        match &self.absent {
            None => here,
            Some(absent) if here > 1 => here + absent.scores.before + absent.scores.behind_first,
            Some(absent) => here + absent.scores.before,
        }
    }

    /// The members of these ranks, which of a part are here.
    pub(super) fn range(&self, ranks: Range<usize>) -> ranked::Iter<'_> {
        let before = self.absent_before();
        self.ranking
            .range(ranks.start.saturating_sub(before)..ranks.end.saturating_sub(before))
    }

    /// A member drawn at random; of a part, an error if it misses members that have to be looked at.
    pub(super) fn draw(
        &self,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Option<&Ranked>, HashRange> {
        match &self.absent {
            None => {
                let rank = random().checked_rem(self.ranking.len() as u64);
                Ok(rank.and_then(|rank| self.ranking.get(rank as usize)))
            }
            Some(absent) => {
                let drawn = self.members.draw(absent.count, &absent.complete, random)?;
                Ok(drawn.map(|(_, member)| member))
            }
        }
    }

    /// The first and the last score.
    fn bounds(&self) -> Option<(f64, f64)> {
        let first = self.ranking.get(0).map(|entry| entry.score);
        let last = self.ranking.len().checked_sub(1);
        let last = last
            .and_then(|last| self.ranking.get(last))
            .map(|entry| entry.score);
        let here = first.zip(last);
        let absent = self
            .absent
            .as_ref()
            .map(|absent| (absent.scores.first, absent.scores.last));
        let both = here.into_iter().chain(absent);
        both.reduce(|(first, last), (other_first, other_last)| {
            (first.min(other_first), last.max(other_last))
        })
    }
}

/// The score that a member's record holds.
fn score_of(record: &[u8]) -> Result<f64> {
    let score = <[u8; 8]>::try_from(record).map(f64::from_le_bytes);
    let score = score.ok().filter(|score| !score.is_nan());
    score.ok_or_else(|| Error::corrupt("score", format!("{record:02x?}")))
}

/// The first and the last score, as a sorted set's own record tells.
pub(crate) fn score_bounds_of_meta(meta: &[u8]) -> Option<(f64, f64)> {
    let (first, rest) = meta.get(META_LEN_BYTES..)?.split_first_chunk()?;
    let last = rest.first_chunk()?;
    Some((f64::from_le_bytes(*first), f64::from_le_bytes(*last)))
}

/// What stands before the scores in a sorted set's own record.
const META_LEN_BYTES: usize = size_of::<u64>();

impl Large for ZSetTree {
    const ENCODING: Encoding = Encoding::Skiplist;

    fn len(&self) -> usize {
        self.ranking.len() + self.absent.as_ref().map_or(0, |absent| absent.count)
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes + self.ranking.memory_bytes()
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        if let Some((first, last)) = self.bounds() {
            // Of members with the scores 0 and -0, either may be the first.
            for score in [first, last] {
                out.extend_from_slice(&(score + 0.0).to_le_bytes());
            }
        }
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let tree = Self::gather(elements)?;
        let (len, _) = meta.split_at_checked(META_LEN_BYTES).unwrap_or_default();
        check_len("sorted set", len, tree.ranking.len())?;
        Ok(tree)
    }

    fn load_part(
        meta: &[u8],
        elements: &mut Elements<'_>,
        missing: &Missing,
    ) -> Result<Option<Self>> {
        let mut tree = Self::gather(elements)?;
        let count = count_absent("sorted set", meta, tree.ranking.len())?;
        if count == 0 {
            return Ok(Some(tree));
        }
        let Some(scores) = missing.scores else {
            return Err(Error::corrupt(
                "sorted set",
                format!("{count} members more than have scores"),
            ));
        };
        tree.absent = Some(Box::new(Absent {
            count,
            scores,
            complete: missing.complete.clone(),
        }));
        Ok(Some(tree))
    }

    fn missing_for(&self, draw: Draw) -> Vec<HashRange> {
        draw.missing_of(self.len(), |random| {
            Ok(self.draw(random)?.map(|entry| &entry.member[..]))
        })
    }

    fn overlay(&mut self, member: &[u8], record: Option<&[u8]>, edit: &mut Edit<'_>) -> Result<()> {
        // 0 and -0 are one score: the member would keep its sign.
        self.remove(member, edit);
        if let Some(record) = record {
            let score = score_of(record)?;
            self.update(member, edit, |_| Some(score));
        }
        Ok(())
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for Ranked { score, member } in self.members.iter() {
            edit.put_score(edit.hash(member), member, *score, None);
        }
    }

    #[inline]
    fn prefetch(&self, step: Step, hash: u32) {
        self.members.prefetch(step, hash);
    }

    fn digest(&self) -> u64 {
        let members = self.members.iter();
        members.fold(0, |sum, Ranked { score, member }| {
            sum.wrapping_add(digest(&[&score.to_le_bytes(), &member[..]].concat()))
        })
    }
}
