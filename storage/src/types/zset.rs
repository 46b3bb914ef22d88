//! Sorted sets: members with scores, in order of scores and then of their bytes.

#[cfg(test)]
mod tests;
mod tree;

use std::ops::{Bound, Range};

use super::edit::Edit;
use super::item::Item;
use super::kind::{Encoding, Kind};
use super::listpack::{self, Listpack, ListpackRef};
use super::ranked::{self, Ranked, order};
use super::table::Keyed;
use super::{Collection, Large, Parts, score};
pub use tree::ZSetTree;
pub(crate) use tree::score_bounds_of_meta;

/// A sorted set. Flat: member and score in turn, in their order. No score is NaN.
pub enum SortedSet {
    /// Few short members.
    Listpack(Listpack),
    /// Anything else.
    Tree(Box<ZSetTree>),
}

/// A sorted set to read.
#[derive(Clone, Copy)]
pub enum SortedSetRef<'a> {
    /// Few short members.
    Listpack(ListpackRef<'a>),
    /// Anything else.
    Tree(&'a ZSetTree),
}

/// What [`SortedSet::update`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The member is new.
    Added,
    /// The member has another score.
    Moved,
}

/// An end of a range of members of equal scores, in order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberBound<'a> {
    /// Before all members.
    Lowest,
    /// This member and those on the range's side of it.
    Included(&'a [u8]),
    /// Those on the range's side of this member.
    Excluded(&'a [u8]),
    /// Behind all members.
    Highest,
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::Listpack(Listpack::new())
    }
}

impl SortedSet {
    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> SortedSetRef<'_> {
        match self {
            Self::Listpack(listpack) => SortedSetRef::Listpack(listpack.as_ref()),
            Self::Tree(tree) => SortedSetRef::Tree(tree),
        }
    }

    /// Gives `member` the score that `decide` answers, which is told the score that it has; none: leaves it as it is.
    pub fn update(
        &mut self,
        member: &[u8],
        edit: &mut Edit<'_>,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Change {
        let listpack = match self {
            Self::Tree(tree) => return tree.update(member, edit, decide),
            Self::Listpack(listpack) => listpack,
        };
        let at = listpack.as_ref().find(member, 2);
        let old = at.and_then(|at| score_at(listpack.as_ref(), at));
        let Some(new) = decide(old).filter(|&new| old != Some(new)) else {
            return Change::None;
        };
        let limits = edit.limits();
        if let Some(at) = at {
            listpack.remove(at, 2);
        } else if listpack.as_ref().len() / 2 >= limits.zset_max_listpack_entries
            || member.len() > limits.zset_max_listpack_value
        {
            self.enlarge(edit);
            return match self {
                Self::Tree(tree) => tree.update(member, edit, |_| Some(new)),
                Self::Listpack(_) => Change::None,
            };
        }
        insert_flat(listpack, member, new);
        edit.changed();
        at.map_or(Change::Added, |_| Change::Moved)
    }

    /// Gives `member` this score.
    pub fn insert(&mut self, member: &[u8], score: f64, edit: &mut Edit<'_>) -> Change {
        self.update(member, edit, |_| Some(score))
    }

    /// Says that so many members are about to be inserted.
    pub fn expect(&mut self, members: usize, edit: &mut Edit<'_>) {
        if members > edit.limits().zset_max_listpack_entries && matches!(self, Self::Listpack(_)) {
            self.enlarge(edit);
        }
    }

    /// Removes a member. Answers the score that it had.
    pub fn remove(&mut self, member: &[u8], edit: &mut Edit<'_>) -> Option<f64> {
        match self {
            Self::Listpack(listpack) => {
                let at = listpack.as_ref().find(member, 2)?;
                let score = score_at(listpack.as_ref(), at);
                listpack.remove(at, 2);
                edit.changed();
                score
            }
            Self::Tree(tree) => tree.remove(member, edit),
        }
    }

    /// Removes the members of these ranks. Answers how many.
    pub fn remove_ranks(&mut self, ranks: Range<usize>, edit: &mut Edit<'_>) -> usize {
        let len = self.as_ref().len();
        let end = ranks.end.min(len);
        let count = end.saturating_sub(ranks.start);
        if count == 0 {
            return 0;
        }
        match self {
            Self::Listpack(listpack) => {
                let at = listpack.as_ref().iter_at(ranks.start * 2).offset();
                listpack.remove(at, count * 2);
                edit.changed();
            }
            Self::Tree(tree) => {
                for _ in 0..count {
                    tree.remove_at(ranks.start, edit);
                }
            }
        }
        count
    }

    /// Becomes large.
    fn enlarge(&mut self, edit: &mut Edit<'_>) {
        if let Self::Listpack(listpack) = self {
            edit.begin();
            let pairs = SortedSetRef::Listpack(listpack.as_ref()).iter();
            let mut entries = Vec::with_capacity(pairs.len());
            let mut buffer = itoa::Buffer::new();
            for (member, score) in pairs {
                let member = member.bytes(&mut buffer);
                edit.put_score(edit.hash(member), member, score, None);
                entries.push(Ranked {
                    score,
                    member: member.into(),
                });
            }
            let tree = ZSetTree::from_sorted(entries, |member| edit.hash(member));
            *self = Self::Tree(Box::new(tree));
        }
    }
}

/// The score of the member at a byte offset.
fn score_at(listpack: ListpackRef<'_>, at: usize) -> Option<f64> {
    let mut entries = listpack.iter_from(at);
    entries.next();
    entries.next().map(score::of_item)
}

/// Puts a member that is not there where it belongs.
fn insert_flat(listpack: &mut Listpack, member: &[u8], score: f64) {
    let mut entries = listpack.as_ref().iter();
    let mut buffer = itoa::Buffer::new();
    let at = loop {
        let at = entries.offset();
        let (Some(other), Some(other_score)) = (entries.next(), entries.next()) else {
            break at;
        };
        let other = other.bytes(&mut buffer);
        if order(score::of_item(other_score), other, score, member).is_gt() {
            break at;
        }
    };
    let next = listpack.insert(at, member);
    score::with_item(score, |item| listpack.insert_item(next, item));
}

impl<'a> SortedSetRef<'a> {
    /// Number of members.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Listpack(listpack) => listpack.len() / 2,
            Self::Tree(tree) => tree.len(),
        }
    }

    /// True without members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// True of few short members.
    #[inline]
    pub fn is_flat(self) -> bool {
        matches!(self, Self::Listpack(_))
    }

    /// The score of `member`. `hash` is asked for the member's keyed hash only if that is needed.
    #[inline]
    pub fn score(self, member: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> Option<f64> {
        match self {
            Self::Listpack(listpack) => score_at(listpack, listpack.find(member, 2)?),
            Self::Tree(tree) => Some(tree.members.find(hash(member), member)?.score),
        }
    }

    /// How many members stand before `member`, and its score. `hash` as in [`Self::score`].
    pub fn rank(self, member: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> Option<(usize, f64)> {
        match self {
            Self::Listpack(_) => {
                let mut pairs = self.iter().enumerate();
                let (rank, (_, score)) = pairs.find(|(_, (other, _))| other.is(member))?;
                Some((rank, score))
            }
            Self::Tree(tree) => {
                let score = tree.members.find(hash(member), member)?.score;
                Some((tree.rank(score, member), score))
            }
        }
    }

    /// The ranks of members whose scores lie between two bounds. O(log n).
    pub fn ranks_by_score(self, min: Bound<f64>, max: Bound<f64>) -> Range<usize> {
        let start = match min {
            Bound::Included(min) => self.count_while(|score, _| score < min),
            Bound::Excluded(min) => self.count_while(|score, _| score <= min),
            Bound::Unbounded => 0,
        };
        let end = match max {
            Bound::Included(max) => self.count_while(|score, _| score <= max),
            Bound::Excluded(max) => self.count_while(|score, _| score < max),
            Bound::Unbounded => self.count_while(|_, _| true),
        };
        start..end.max(start)
    }

    /// The ranks of members between two bounds, if all scores are equal. O(log n).
    pub fn ranks_by_member(self, min: MemberBound<'_>, max: MemberBound<'_>) -> Range<usize> {
        let start = match min {
            MemberBound::Lowest => 0,
            MemberBound::Included(min) => self.count_while(|_, member| member < min),
            MemberBound::Excluded(min) => self.count_while(|_, member| member <= min),
            MemberBound::Highest => self.count_while(|_, _| true),
        };
        let end = match max {
            MemberBound::Lowest => 0,
            MemberBound::Included(max) => self.count_while(|_, member| member <= max),
            MemberBound::Excluded(max) => self.count_while(|_, member| member < max),
            MemberBound::Highest => self.count_while(|_, _| true),
        };
        start..end.max(start)
    }

    /// How many members satisfy `before`, which those do that stand first, and no other.
    fn count_while(self, before: impl Fn(f64, &[u8]) -> bool) -> usize {
        match self {
            Self::Listpack(_) => {
                let mut buffer = itoa::Buffer::new();
                self.iter()
                    .take_while(|(member, score)| before(*score, member.bytes(&mut buffer)))
                    .count()
            }
            Self::Tree(tree) => tree.count_while(|entry| before(entry.score, &entry.member)),
        }
    }

    /// All members with their scores, in order.
    pub fn iter(self) -> ZSetIter<'a> {
        self.range(0..usize::MAX)
    }

    /// The members of these ranks with their scores, from either end.
    pub fn range(self, ranks: Range<usize>) -> ZSetIter<'a> {
        let len = self.len();
        let end = ranks.end.min(len);
        let start = ranks.start.min(end);
        let source = match self {
            Self::Listpack(listpack) => {
                let mut entries = listpack.iter_at(start * 2);
                for _ in end * 2..len * 2 {
                    entries.next_back();
                }
                Source::Listpack(entries)
            }
            Self::Tree(tree) => Source::Tree(tree.range(start..end)),
        };
        ZSetIter {
            source,
            len: end - start,
        }
    }

    /// The members at these ranks, which were asked for together. None of a flat set.
    pub(crate) fn members_ahead(self, ranks: Range<usize>) -> impl Iterator<Item = &'a [u8]> {
        let entries = match self {
            Self::Listpack(_) => None,
            Self::Tree(tree) => Some(tree.range(ranks)),
        };
        let entries = entries.into_iter().flatten();
        entries.clone().for_each(Keyed::prefetch);
        entries.map(Keyed::key)
    }

    /// A member drawn with equal chances, and its score.
    pub fn random(self, random: &mut dyn FnMut() -> u64) -> Option<(Item<'a>, f64)> {
        match self {
            Self::Listpack(_) => {
                let rank = random().checked_rem(self.len() as u64)? as usize;
                self.range(rank..rank + 1).next()
            }
            Self::Tree(tree) => {
                let drawn = tree.draw(random);
                debug_assert!(drawn.is_ok(), "a part has what is drawn from it");
                drawn.ok().flatten().map(pair)
            }
        }
    }

    /// Walks on from a cursor (0: from the start) over about `count` members; answers the next cursor, 0 at the end. A flat
    /// sorted set is given whole.
    pub fn scan(self, cursor: u64, count: usize) -> (u64, Vec<(Item<'a>, f64)>) {
        match self {
            Self::Listpack(_) => (0, self.iter().collect()),
            Self::Tree(tree) => {
                let Ok(from) = u32::try_from(cursor) else {
                    return (0, Vec::new());
                };
                let (next, members) = tree.members.scan(from, count);
                let pairs = members.into_iter().map(pair);
                (next.map_or(0, u64::from), pairs.collect())
            }
        }
    }
}

fn pair(entry: &Ranked) -> (Item<'_>, f64) {
    (Item::Bytes(&entry.member), entry.score)
}

/// Members with scores, in order. See [`SortedSetRef::range`].
pub struct ZSetIter<'a> {
    source: Source<'a>,
    len: usize,
}

enum Source<'a> {
    Listpack(listpack::Iter<'a>),
    Tree(ranked::Iter<'a>),
}

impl<'a> Iterator for ZSetIter<'a> {
    type Item = (Item<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.source {
            Source::Listpack(entries) => (entries.next()?, score::of_item(entries.next()?)),
            Source::Tree(entries) => pair(entries.next()?),
        };
        self.len -= 1;
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl DoubleEndedIterator for ZSetIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let next = match &mut self.source {
            Source::Listpack(entries) => {
                let score = score::of_item(entries.next_back()?);
                (entries.next_back()?, score)
            }
            Source::Tree(entries) => pair(entries.next_back()?),
        };
        self.len -= 1;
        Some(next)
    }
}

impl ExactSizeIterator for ZSetIter<'_> {}

impl Collection for SortedSet {
    const KIND: Kind = Kind::ZSet;
    type Large = ZSetTree;
    type Ref<'a> = SortedSetRef<'a>;

    fn from_flat(_: Encoding, bytes: Vec<u8>) -> Self {
        Self::Listpack(Listpack::from_bytes(bytes))
    }

    fn from_large(large: Box<ZSetTree>) -> Self {
        Self::Tree(large)
    }

    fn into_parts(self) -> Parts<ZSetTree> {
        match self {
            Self::Listpack(listpack) => Parts::Flat(Encoding::Listpack, listpack.into_bytes()),
            Self::Tree(tree) => Parts::Large(tree),
        }
    }

    fn flat_ref(_: Encoding, bytes: &[u8]) -> SortedSetRef<'_> {
        SortedSetRef::Listpack(ListpackRef::new(bytes))
    }

    fn large_ref(large: &ZSetTree) -> SortedSetRef<'_> {
        SortedSetRef::Tree(large)
    }

    fn is_vacant(&self) -> bool {
        self.as_ref().is_empty()
    }
}
