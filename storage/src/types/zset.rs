//! Sorted sets: members with scores, in order of scores and then of their bytes.

use std::ops::{Bound, Range};
use std::sync::Arc;

use super::edit::Edit;
use super::item::Item;
use super::kind::{Encoding, Kind};
use super::listpack::{self, Listpack, ListpackRef};
use super::ranked::{self, Ranked, Ranking, order};
use super::table::Table;
use super::{Collection, Elements, Large, Parts, check_len, digest, score, split_key};
use crate::{Error, Result};

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

/// A large sorted set: each member in a table and, sharing its bytes, in a tree.
#[derive(Clone, Default)]
pub struct ZSetTree {
    members: Table<Ranked>,
    ranking: Ranking,
    /// Allocated by the table and by members.
    bytes: usize,
}

/// Counters that stand before the bytes of a shared member.
const SHARED_BYTES: usize = 2 * size_of::<usize>();

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
            return self.enlarge(edit).update(member, edit, |_| Some(new));
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
    fn enlarge(&mut self, edit: &mut Edit<'_>) -> &mut ZSetTree {
        if let Self::Listpack(listpack) = self {
            edit.begin();
            let pairs = SortedSetRef::Listpack(listpack.as_ref()).iter();
            let mut entries = Vec::with_capacity(pairs.len());
            let mut buffer = itoa::Buffer::new();
            for (member, score) in pairs {
                let member = member.bytes(&mut buffer);
                edit.put(edit.hash(member), member, &[&score.to_le_bytes()]);
                entries.push(Ranked {
                    score,
                    member: member.into(),
                });
            }
            let tree = ZSetTree::from_sorted(entries, |member| edit.hash(member));
            *self = Self::Tree(Box::new(tree));
        }
        match self {
            Self::Tree(tree) => tree,
            Self::Listpack(_) => unreachable!("it has just become a tree"),
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
            Self::Tree(tree) => tree.ranking.len(),
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
                Some((tree.ranking.rank(score, member), score))
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
            Bound::Unbounded => self.len(),
        };
        start..end.max(start)
    }

    /// The ranks of members between two bounds, if all scores are equal. O(log n).
    pub fn ranks_by_member(self, min: MemberBound<'_>, max: MemberBound<'_>) -> Range<usize> {
        let start = match min {
            MemberBound::Lowest => 0,
            MemberBound::Included(min) => self.count_while(|_, member| member < min),
            MemberBound::Excluded(min) => self.count_while(|_, member| member <= min),
            MemberBound::Highest => self.len(),
        };
        let end = match max {
            MemberBound::Lowest => 0,
            MemberBound::Included(max) => self.count_while(|_, member| member <= max),
            MemberBound::Excluded(max) => self.count_while(|_, member| member < max),
            MemberBound::Highest => self.len(),
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
            Self::Tree(tree) => tree
                .ranking
                .count_while(|entry| before(entry.score, &entry.member)),
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
            Self::Tree(tree) => Source::Tree(tree.ranking.range(start..end)),
        };
        ZSetIter {
            source,
            len: end - start,
        }
    }

    /// A member drawn with equal chances, and its score; the same numbers give the same on every replica.
    pub fn random(self, random: &mut dyn FnMut() -> u64) -> Option<(Item<'a>, f64)> {
        let rank = random().checked_rem(self.len() as u64)? as usize;
        match self {
            Self::Listpack(_) => self.range(rank..rank + 1).next(),
            Self::Tree(tree) => tree.ranking.get(rank).map(pair),
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

impl ZSetTree {
    /// Of entries in order.
    fn from_sorted(entries: Vec<Ranked>, hash: impl Fn(&[u8]) -> u32) -> Self {
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

    fn update(
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
            edit.put(hash, member, &[&score.to_le_bytes()]);
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
        edit.put(hash, member, &[&new.to_le_bytes()]);
        if let Some(mut entry) = self.ranking.remove(old, member) {
            entry.score = new;
            self.ranking.insert(entry);
        }
        Change::Moved
    }

    fn remove(&mut self, member: &[u8], edit: &mut Edit<'_>) -> Option<f64> {
        let score = self.forget(member, edit)?;
        self.ranking.remove(score, member);
        Some(score)
    }

    fn remove_at(&mut self, rank: usize, edit: &mut Edit<'_>) {
        if let Some(entry) = self.ranking.remove_at(rank) {
            self.forget(&entry.member, edit);
        }
    }

    /// Removes a member from the table only. Answers its score.
    fn forget(&mut self, member: &[u8], edit: &mut Edit<'_>) -> Option<f64> {
        let hash = edit.hash(member);
        let (entry, change) = self.members.remove(hash, member)?;
        self.bytes -= member.len() + SHARED_BYTES;
        self.bytes = self.bytes.wrapping_add_signed(change);
        edit.delete(hash, member);
        Some(entry.score)
    }
}

impl Large for ZSetTree {
    const ENCODING: Encoding = Encoding::Skiplist;

    fn len(&self) -> usize {
        self.ranking.len()
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes + self.ranking.memory_bytes()
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.ranking.len() as u64).to_le_bytes());
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let mut tree = Self::default();
        let mut entries = Vec::new();
        for element in elements {
            let (key, value) = element?;
            let (hash, member) = split_key(&key)?;
            let score = <[u8; 8]>::try_from(&value[..]).map(f64::from_le_bytes);
            let score = score.ok().filter(|score| !score.is_nan());
            let score = score.ok_or_else(|| Error::corrupt("score", format!("{value:02x?}")))?;
            let member: Arc<[u8]> = member.into();
            let entry = Ranked { score, member };
            tree.add(hash, entry.clone());
            entries.push(entry);
        }
        entries.sort_unstable_by(|a, b| order(a.score, &a.member, b.score, &b.member));
        tree.ranking = Ranking::from_sorted(entries);
        check_len("sorted set", meta, tree.ranking.len())?;
        Ok(tree)
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for Ranked { score, member } in self.members.iter() {
            edit.put(edit.hash(member), member, &[&score.to_le_bytes()]);
        }
    }

    fn digest(&self) -> u64 {
        let members = self.members.iter();
        members.fold(0, |sum, Ranked { score, member }| {
            sum.wrapping_add(digest(&[&score.to_le_bytes(), &member[..]].concat()))
        })
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Limits, Recorder};

    /// Members and scores, in order. Scores are small whole numbers or infinite.
    type Model = Vec<(f64, Vec<u8>)>;

    fn contents(set: SortedSetRef<'_>) -> Model {
        let model: Model = set
            .iter()
            .map(|(member, score)| (score, member.to_vec()))
            .collect();
        let mut back: Model = set
            .iter()
            .rev()
            .map(|(member, score)| (score, member.to_vec()))
            .collect();
        back.reverse();
        assert_eq!(model, back);
        assert_eq!(model.len(), set.len());
        model
    }

    fn sorted(map: &BTreeMap<Vec<u8>, f64>) -> Model {
        let mut model: Model = map
            .iter()
            .map(|(member, score)| (*score, member.clone()))
            .collect();
        model.sort_by(|(a, x), (b, y)| a.partial_cmp(b).unwrap().then_with(|| x.cmp(y)));
        model
    }

    fn check_reads(set: SortedSetRef<'_>, model: &Model, recorder: &Recorder) {
        assert_eq!(&contents(set), model);
        for (rank, (score, member)) in model.iter().enumerate() {
            let hash = |member: &[u8]| recorder.hash(member);
            assert_eq!(set.score(member, hash), Some(*score));
            assert_eq!(set.rank(member, hash), Some((rank, *score)));
        }
        for (low, high) in [
            (-3.0, 2.0),
            (0.0, f64::INFINITY),
            (2.0, 1.0),
            (f64::NEG_INFINITY, 0.0),
        ] {
            let count = |within: &dyn Fn(f64) -> bool| {
                model.iter().filter(|(score, _)| within(*score)).count()
            };
            let ranks = set.ranks_by_score(Bound::Included(low), Bound::Excluded(high));
            assert_eq!(ranks.len(), count(&|score| low <= score && score < high));
            let ranks = set.ranks_by_score(Bound::Excluded(low), Bound::Included(high));
            assert_eq!(ranks.len(), count(&|score| low < score && score <= high));
            for (score, _) in &model[ranks] {
                assert!(low < *score && *score <= high);
            }
        }
        let (mut cursor, mut scanned) = (0, Vec::new());
        loop {
            let (next, found) = set.scan(cursor, 3);
            scanned.extend(
                found
                    .iter()
                    .map(|(member, score)| (*score, member.to_vec())),
            );
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        scanned.sort_by(|(a, x), (b, y)| a.partial_cmp(b).unwrap().then_with(|| x.cmp(y)));
        assert_eq!(&scanned, model);
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => (0i64..40).prop_map(|n| (n * n * n * 1000).to_string().into_bytes()),
            1 => (0u8..20).prop_map(|n| vec![n; usize::from(n)]),
        ]
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            9 => (-20i32..20).prop_map(|n| f64::from(n) / 4.0),
            1 => proptest::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY]),
        ]
    }

    proptest! {
        #[test]
        fn is_a_sorted_set_and_comes_back_from_its_records(
            steps in proptest::collection::vec((member(), score(), 0u8..8), 0..120), listpack in 0usize..30)
        {
            let limits = Limits {
                zset_max_listpack_entries: listpack, zset_max_listpack_value: 12, ..Limits::default()
            };
            let (mut set, mut recorder) = (SortedSet::default(), Recorder::new());
            let mut map: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
            for (member, score, action) in steps {
                match action {
                    0 => {
                        let removed = recorder.edit(&limits, |edit| set.remove(&member, edit));
                        prop_assert_eq!(removed, map.remove(&member));
                    }
                    1 => {
                        let model = sorted(&map);
                        let ranks = set.as_ref().ranks_by_score(Bound::Included(score), Bound::Included(score + 1.0));
                        for (_, member) in &model[ranks.clone()] {
                            map.remove(member);
                        }
                        let count = ranks.len();
                        let removed = recorder.edit(&limits, |edit| set.remove_ranks(ranks, edit));
                        prop_assert_eq!(removed, count);
                    }
                    _ => {
                        let old = map.insert(member.clone(), score);
                        let change = recorder.edit(&limits, |edit| set.insert(&member, score, edit));
                        let expected = match old {
                            None => Change::Added,
                            Some(old) if old == score => Change::None,
                            Some(_) => Change::Moved,
                        };
                        prop_assert_eq!(change, expected);
                    }
                }
                let model = sorted(&map);
                check_reads(set.as_ref(), &model, &recorder);
                match &set {
                    SortedSet::Tree(tree) => {
                        let mut meta = Vec::new();
                        tree.meta(&mut meta);
                        let loaded: ZSetTree = recorder.load(&meta).unwrap();
                        check_reads(SortedSetRef::Tree(&loaded), &model, &recorder);
                        prop_assert_eq!(loaded.digest(), tree.digest());
                    }
                    SortedSet::Listpack(pairs) => {
                        prop_assert!(pairs.as_ref().len() / 2 <= listpack);
                        prop_assert!(recorder.records().is_empty());
                    }
                }
            }
        }

        #[test]
        fn ranges_of_members(
            members in proptest::collection::btree_set("[a-d]{0,3}", 0..40), low in "[a-d]{0,3}", high in "[a-d]{0,3}",
            listpack in proptest::sample::select(vec![0usize, 100]))
        {
            use MemberBound::{Excluded, Highest, Included, Lowest};
            let limits = Limits { zset_max_listpack_entries: listpack, ..Limits::default() };
            let (mut set, mut recorder) = (SortedSet::default(), Recorder::new());
            for member in &members {
                recorder.edit(&limits, |edit| set.insert(member.as_bytes(), 1.0, edit));
            }
            let count = |within: &dyn Fn(&String) -> bool| members.iter().filter(|it| within(it)).count();
            let (set, low_bytes, high_bytes) = (set.as_ref(), low.as_bytes(), high.as_bytes());
            let ranks = set.ranks_by_member(Included(low_bytes), Included(high_bytes));
            prop_assert_eq!(ranks.len(), count(&|it| *it >= low && *it <= high));
            let ranks = set.ranks_by_member(Excluded(low_bytes), Excluded(high_bytes));
            prop_assert_eq!(ranks.len(), count(&|it| *it > low && *it < high));
            prop_assert_eq!(set.ranks_by_member(Lowest, Included(high_bytes)).len(), count(&|it| *it <= high));
            prop_assert_eq!(set.ranks_by_member(Included(low_bytes), Highest).len(), count(&|it| *it >= low));
            prop_assert_eq!(set.ranks_by_member(Highest, Lowest).len(), 0);
        }
    }

    #[test]
    fn a_flat_one_has_the_bytes_of_redis() {
        // From DUMP of redis-server 7.0.15: ZADD z 1 b 1 a 2.5 5 -3 c
        let limits = Limits::default();
        let mut set = SortedSet::default();
        Recorder::new().edit(&limits, |edit| {
            for (score, member) in [(1.0, "b"), (1.0, "a"), (2.5, "5"), (-3.0, "c")] {
                set.insert(member.as_bytes(), score, edit);
            }
        });
        let SortedSet::Listpack(listpack) = set else {
            panic!("few members");
        };
        let expected = [
            &[0x1f, 0, 0, 0, 8, 0][..],
            &[0x81, b'c', 2, 0xdf, 0xfd, 2],
            &[0x81, b'a', 2, 1, 1, 0x81, b'b', 2, 1, 1],
            &[5, 1, 0x83, b'2', b'.', b'5', 4, 0xff],
        ]
        .concat();
        let mut expected = expected;
        expected[0] = expected.len() as u8;
        assert_eq!(listpack.as_ref().bytes(), expected);
    }

    #[test]
    fn memory_is_that_of_its_parts() {
        let limits = Limits {
            zset_max_listpack_entries: 0,
            ..Limits::default()
        };
        let mut set = SortedSet::default();
        let mut recorder = Recorder::new();
        recorder.edit(&limits, |edit| {
            for n in 0..2000u32 {
                set.insert(&n.to_be_bytes(), f64::from(n % 7), edit);
            }
        });
        let SortedSet::Tree(tree) = &set else {
            panic!("not flat");
        };
        assert!(tree.memory_bytes() > 2000 * (2 * size_of::<Ranked>() + SHARED_BYTES + 4));
        recorder.edit(&limits, |edit| set.remove_ranks(0..2000, edit));
        let SortedSet::Tree(tree) = &set else {
            panic!("there is no way back");
        };
        assert!(tree.memory_bytes() < 20_000, "{}", tree.memory_bytes());
    }
}
