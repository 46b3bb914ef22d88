//! Members by score, and among equal scores by their bytes: a B+tree whose inner nodes count what is below them, so that an
//! entry is found by its rank as fast as by its score (as in "Counted B-trees", S. Tatham).
//!
//! Leaves are arrays of a few hundred entries that grow by a little at a time: nearly all memory is entries. Iterating walks
//! from array to array by rank, so that no leaf has to know its neighbours.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::table::Keyed;

/// Entries of a leaf at most. Small in tests, so that few entries make deep trees.
const LEAF_MAX_ENTRIES: usize = if cfg!(test) { 8 } else { 256 };
/// Children of an inner node at most.
const MAX_CHILDREN: usize = if cfg!(test) { 5 } else { 64 };
/// A node with less than one in so many of these is merged with a neighbour.
const MERGE_BELOW: usize = 4;
/// A leaf that is full grows by one part in so many,
const GROWTH_PARTS: usize = 8;
/// and by so many entries at least.
const GROWTH_MIN_ENTRIES: usize = 16;
/// A leaf gives memory back when it uses less than one in so many of its places.
const SHRINK_BELOW: usize = 2;
/// Built at once, nodes are filled to so many parts of 8.
const BUILT_PARTS_OF_8: usize = 7;

/// A member and its score.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    /// Never NaN.
    pub(super) score: f64,
    /// Shared by the tree and the table of members.
    pub(super) member: Arc<[u8]>,
}

impl Ranked {
    /// True if it stands before `member` with `score`.
    #[inline]
    pub(super) fn is_before(&self, score: f64, member: &[u8]) -> bool {
        order(self.score, &self.member, score, member) == Ordering::Less
    }
}

impl Keyed for Ranked {
    #[inline]
    fn key(&self) -> &[u8] {
        &self.member
    }
}

/// Which of two members stands first. The two zeros are equal.
#[inline]
pub(super) fn order(score: f64, member: &[u8], other_score: f64, other: &[u8]) -> Ordering {
    match score.partial_cmp(&other_score) {
        Some(Ordering::Less) => Ordering::Less,
        Some(Ordering::Greater) => Ordering::Greater,
        _ => member.cmp(other),
    }
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Ranking {
    root: Node,
    len: usize,
    /// Allocated by nodes, without the members themselves.
    bytes: usize,
}

#[derive(Clone)]
enum Node {
    Leaf(Vec<Ranked>),
    Inner(Box<Inner>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

/// Children with how many entries are below each. All entries of a child stand before the next child's bound, and none of the
/// next child's does; the first bound means nothing.
#[derive(Clone, Default)]
struct Inner {
    bounds: Vec<Ranked>,
    counts: Vec<usize>,
    children: Vec<Node>,
}

/// A node to stand at the right of another.
struct Sibling {
    bound: Ranked,
    count: usize,
    node: Node,
}

/// Where an entry is.
#[derive(Clone, Copy)]
enum Place<'a> {
    Rank(usize),
    Member(f64, &'a [u8]),
}

/// Whether a node is at an end of the whole tree, where entries in order arrive.
#[derive(Clone, Copy)]
struct Ends {
    first: bool,
    last: bool,
}

impl Ranking {
    /// A tree of entries that are in order already.
    pub(super) fn from_sorted(entries: Vec<Ranked>) -> Self {
        let len = entries.len();
        let mut bytes = 0;
        let root = build(entries, &mut bytes);
        Self { root, len, bytes }
    }

    /// Number of entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated, without the members.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an entry that is not there.
    pub(super) fn insert(&mut self, entry: Ranked) {
        let ends = Ends {
            first: true,
            last: true,
        };
        let sibling = self.root.insert(entry, ends, &mut self.bytes);
        if let Some(sibling) = sibling {
            let node = std::mem::take(&mut self.root);
            let mut root = Inner::default();
            let left = Sibling {
                bound: sibling.bound.clone(),
                count: self.len + 1 - sibling.count,
                node,
            };
            root.insert_child(0, left);
            root.insert_child(1, sibling);
            self.root = Node::Inner(Box::new(root));
            self.bytes += self.root.own_bytes();
        }
        self.len += 1;
    }

    /// Removes the entry of this member, whose score this is.
    pub(super) fn remove(&mut self, score: f64, member: &[u8]) -> Option<Ranked> {
        self.take(Place::Member(score, member))
    }

    /// Removes the entry at `rank`.
    pub(super) fn remove_at(&mut self, rank: usize) -> Option<Ranked> {
        self.take(Place::Rank(rank))
    }

    fn take(&mut self, place: Place<'_>) -> Option<Ranked> {
        let taken = self.root.take(place, &mut self.bytes)?;
        self.len -= 1;
        while let Node::Inner(inner) = &mut self.root
            && inner.children.len() == 1
            && let Some(only) = inner.children.pop()
        {
            self.bytes -= self.root.own_bytes();
            self.root = only;
        }
        Some(taken)
    }

    /// How many entries satisfy `before`, which those do that stand first, and no other.
    pub(super) fn count_while(&self, before: impl Fn(&Ranked) -> bool) -> usize {
        let (mut node, mut count) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => return count + entries.partition_point(before),
                Node::Inner(inner) => {
                    let at = inner.child_where(&before);
                    count += inner.counts.iter().take(at).sum::<usize>();
                    match inner.children.get(at) {
                        Some(child) => node = child,
                        None => return count,
                    }
                }
            }
        }
    }

    /// How many entries stand before this member.
    pub(super) fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.count_while(|entry| entry.is_before(score, member))
    }

    /// The entry at `rank`.
    pub(super) fn get(&self, rank: usize) -> Option<&Ranked> {
        let (entries, at) = self.leaf(rank)?;
        entries.get(at)
    }

    /// The leaf of the entry at `rank`, and its place there.
    fn leaf(&self, rank: usize) -> Option<(&[Ranked], usize)> {
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(entries) => return Some((entries, rank)),
                Node::Inner(inner) => {
                    let at = inner.child_at_rank(&mut rank);
                    node = inner.children.get(at)?;
                }
            }
        }
    }

    /// The entries of these ranks, from either end.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len);
        Iter {
            ranking: self,
            ranks: ranks.start.min(end)..end,
            front: &[],
            back: &[],
        }
    }
}

/// Entries of a range of ranks. See [`Ranking::range`].
#[derive(Clone)]
pub(super) struct Iter<'a> {
    ranking: &'a Ranking,
    ranks: Range<usize>,
    /// What is left of the leaf where the first of the range is; empty: to be looked up.
    front: &'a [Ranked],
    /// The same for the last.
    back: &'a [Ranked],
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Ranked;

    #[inline]
    fn next(&mut self) -> Option<&'a Ranked> {
        let rank = self.ranks.next()?;
        if self.front.is_empty() {
            let (entries, at) = self.ranking.leaf(rank)?;
            self.front = entries.get(at..)?;
        }
        let (first, rest) = self.front.split_first()?;
        self.front = rest;
        Some(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next_back()?;
        if self.back.is_empty() {
            let (entries, at) = self.ranking.leaf(rank)?;
            self.back = entries.get(..=at)?;
        }
        let (last, rest) = self.back.split_last()?;
        self.back = rest;
        Some(last)
    }
}

impl Node {
    /// Bytes allocated by the node, without its children and members.
    fn own_bytes(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.capacity() * size_of::<Ranked>(),
            Self::Inner(inner) => inner.own_bytes(),
        }
    }

    /// Entries of a leaf, children of an inner node.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(inner) => inner.children.len(),
        }
    }

    fn max_width(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_MAX_ENTRIES,
            Self::Inner(_) => MAX_CHILDREN,
        }
    }

    /// Adds an entry; what did not fit any more is the sibling.
    fn insert(&mut self, entry: Ranked, ends: Ends, bytes: &mut usize) -> Option<Sibling> {
        let before = self.own_bytes();
        let cut = match self {
            Self::Leaf(entries) => insert_into_leaf(entries, entry, ends),
            Self::Inner(inner) => inner.insert(entry, ends, bytes),
        };
        let sibling = cut.and_then(|cut| self.split_off(cut));
        let new = sibling.as_ref().map_or(0, |it| it.node.own_bytes());
        *bytes = *bytes + self.own_bytes() + new - before;
        sibling
    }

    /// Removes an entry.
    fn take(&mut self, place: Place<'_>, bytes: &mut usize) -> Option<Ranked> {
        let before = self.own_bytes();
        let taken = match self {
            Self::Leaf(entries) => take_from_leaf(entries, place),
            Self::Inner(inner) => inner.take(place, bytes),
        };
        *bytes = *bytes + self.own_bytes() - before;
        taken
    }

    /// Everything from `cut` on, which is neither the first nor beyond the last.
    fn split_off(&mut self, cut: usize) -> Option<Sibling> {
        match self {
            Self::Leaf(entries) => {
                let right = entries.split_off(cut);
                entries.shrink_to_fit();
                Some(Sibling {
                    bound: right.first()?.clone(),
                    count: right.len(),
                    node: Self::Leaf(right),
                })
            }
            Self::Inner(inner) => {
                let right = Inner {
                    bounds: inner.bounds.split_off(cut),
                    counts: inner.counts.split_off(cut),
                    children: inner.children.split_off(cut),
                };
                Some(Sibling {
                    bound: right.bounds.first()?.clone(),
                    count: right.counts.iter().sum(),
                    node: Self::Inner(Box::new(right)),
                })
            }
        }
    }

    /// Puts all of the next node, of the same height, behind what this one has.
    fn append(&mut self, next: Sibling) {
        match (self, next.node) {
            (Self::Leaf(entries), Self::Leaf(mut more)) => {
                entries.reserve_exact(more.len());
                entries.append(&mut more);
            }
            (Self::Inner(inner), Self::Inner(mut more)) => {
                if let Some(first) = more.bounds.first_mut() {
                    *first = next.bound;
                }
                inner.bounds.append(&mut more.bounds);
                inner.counts.append(&mut more.counts);
                inner.children.append(&mut more.children);
            }
            _ => debug_assert!(false, "all leaves are of the same depth"),
        }
    }
}

/// Adds an entry; answers where the leaf must be cut if it became too long. At an end of the tree, where more is likely to follow
/// in the same direction, the long part stays whole.
fn insert_into_leaf(entries: &mut Vec<Ranked>, entry: Ranked, ends: Ends) -> Option<usize> {
    let at = entries.partition_point(|other| other.is_before(entry.score, &entry.member));
    let len = entries.len();
    if len == entries.capacity() {
        entries.reserve_exact((len / GROWTH_PARTS).max(GROWTH_MIN_ENTRIES));
    }
    entries.insert(at, entry);
    if len < LEAF_MAX_ENTRIES {
        None
    } else if ends.last && at == len {
        Some(len)
    } else if ends.first && at == 0 {
        Some(1)
    } else {
        Some(entries.len() / 2)
    }
}

fn take_from_leaf(entries: &mut Vec<Ranked>, place: Place<'_>) -> Option<Ranked> {
    let at = match place {
        Place::Rank(rank) => rank,
        Place::Member(score, member) => {
            let at = entries.partition_point(|entry| entry.is_before(score, member));
            entries
                .get(at)
                .filter(|entry| entry.score == score && *entry.member == *member)?;
            at
        }
    };
    if at >= entries.len() {
        return None;
    }
    let taken = entries.remove(at);
    if entries.len() * SHRINK_BELOW < entries.capacity() {
        entries.shrink_to(entries.len() + entries.len() / GROWTH_PARTS);
    }
    Some(taken)
}

impl Inner {
    fn own_bytes(&self) -> usize {
        size_of::<Self>()
            + self.bounds.capacity() * size_of::<Ranked>()
            + self.counts.capacity() * size_of::<usize>()
            + self.children.capacity() * size_of::<Node>()
    }

    /// The child with the first entry that is not `before`.
    #[inline]
    fn child_where(&self, before: impl Fn(&Ranked) -> bool) -> usize {
        let bounds = self.bounds.get(1..).unwrap_or_default();
        bounds.partition_point(before)
    }

    /// The child where this member belongs.
    fn child_of(&self, score: f64, member: &[u8]) -> usize {
        self.child_where(|bound| {
            order(bound.score, &bound.member, score, member) != Ordering::Greater
        })
    }

    /// The child with the entry at `rank`, which becomes its rank there.
    #[inline]
    fn child_at_rank(&self, rank: &mut usize) -> usize {
        let mut at = 0;
        for &count in &self.counts {
            if *rank < count {
                break;
            }
            *rank -= count;
            at += 1;
        }
        at
    }

    /// Adds an entry; answers where this node must be cut if it became too wide.
    fn insert(&mut self, entry: Ranked, ends: Ends, bytes: &mut usize) -> Option<usize> {
        let at = self.child_of(entry.score, &entry.member);
        let ends = Ends {
            first: ends.first && at == 0,
            last: ends.last && at + 1 == self.children.len(),
        };
        let child = self.children.get_mut(at)?;
        let sibling = child.insert(entry, ends, bytes);
        let moved = sibling.as_ref().map_or(0, |sibling| sibling.count);
        if let Some(count) = self.counts.get_mut(at) {
            *count = *count + 1 - moved;
        }
        self.insert_child(at + 1, sibling?);
        (self.children.len() > MAX_CHILDREN).then_some(self.children.len() / 2)
    }

    fn take(&mut self, place: Place<'_>, bytes: &mut usize) -> Option<Ranked> {
        let (at, place) = match place {
            Place::Rank(mut rank) => (self.child_at_rank(&mut rank), Place::Rank(rank)),
            Place::Member(score, member) => (self.child_of(score, member), place),
        };
        let child = self.children.get_mut(at)?;
        let taken = child.take(place, bytes)?;
        let is_small = child.width() * MERGE_BELOW < child.max_width();
        if let Some(count) = self.counts.get_mut(at) {
            *count -= 1;
        }
        if is_small {
            self.merge(at.saturating_sub(1), bytes);
        }
        Some(taken)
    }

    /// Makes one child of the one at `at` and the next, or two of even width if one would be too wide.
    fn merge(&mut self, at: usize, bytes: &mut usize) {
        let Some(next) = self.remove_child(at + 1) else {
            return;
        };
        let (Some(child), Some(count)) = (self.children.get_mut(at), self.counts.get_mut(at))
        else {
            return;
        };
        *bytes -= child.own_bytes() + next.node.own_bytes();
        *count += next.count;
        child.append(next);
        let too_wide = child.width() > child.max_width();
        let cut = too_wide.then_some(child.width() / 2);
        let sibling = cut.and_then(|cut| child.split_off(cut));
        *bytes += child.own_bytes();
        if let Some(sibling) = sibling {
            *bytes += sibling.node.own_bytes();
            *count -= sibling.count;
            self.insert_child(at + 1, sibling);
        }
    }

    fn insert_child(&mut self, at: usize, child: Sibling) {
        self.bounds.insert(at, child.bound);
        self.counts.insert(at, child.count);
        self.children.insert(at, child.node);
    }

    fn remove_child(&mut self, at: usize) -> Option<Sibling> {
        (at < self.children.len()).then(|| Sibling {
            bound: self.bounds.remove(at),
            count: self.counts.remove(at),
            node: self.children.remove(at),
        })
    }
}

/// Builds nodes level by level, each filled evenly.
fn build(entries: Vec<Ranked>, bytes: &mut usize) -> Node {
    let sizes = even_sizes(entries.len(), LEAF_MAX_ENTRIES * BUILT_PARTS_OF_8 / 8);
    let mut entries = entries.into_iter();
    let mut level: Vec<Sibling> = Vec::new();
    for size in sizes {
        let mut leaf = Vec::with_capacity(size);
        leaf.extend(entries.by_ref().take(size));
        if let Some(bound) = leaf.first().cloned() {
            let node = Node::Leaf(leaf);
            *bytes += node.own_bytes();
            level.push(Sibling {
                bound,
                count: size,
                node,
            });
        }
    }
    while level.len() > 1 {
        let sizes = even_sizes(level.len(), MAX_CHILDREN * BUILT_PARTS_OF_8 / 8);
        let mut below = level.into_iter();
        level = Vec::new();
        for size in sizes {
            let mut inner = Inner::default();
            for (at, child) in below.by_ref().take(size).enumerate() {
                inner.insert_child(at, child);
            }
            let count = inner.counts.iter().sum();
            if let Some(bound) = inner.bounds.first().cloned() {
                let node = Node::Inner(Box::new(inner));
                *bytes += node.own_bytes();
                level.push(Sibling { bound, count, node });
            }
        }
    }
    level.pop().map_or_else(Node::default, |root| root.node)
}

/// `len` in as few parts as there must be of at most `max` each, none of which is more than 1 greater than another.
fn even_sizes(len: usize, max: usize) -> impl Iterator<Item = usize> {
    let parts = len.div_ceil(max);
    (0..parts).map(move |part| (len + part) / parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Ranking {
        /// Asserts all that is said about nodes.
        fn check(&self) {
            let mut bytes = 0;
            let (count, _) = self.root.check(None, None, true, &mut bytes);
            assert_eq!((count, bytes), (self.len, self.bytes));
        }
    }

    impl Node {
        /// Number of entries and height.
        fn check(
            &self,
            low: Option<&Ranked>,
            high: Option<&Ranked>,
            is_root: bool,
            bytes: &mut usize,
        ) -> (usize, usize) {
            *bytes += self.own_bytes();
            assert!(self.width() <= self.max_width());
            assert!(is_root || self.width() > 0);
            match self {
                Self::Leaf(entries) => {
                    assert!(
                        entries
                            .windows(2)
                            .all(|pair| pair[0].is_before(pair[1].score, &pair[1].member))
                    );
                    for entry in entries {
                        assert!(low.is_none_or(|low| !entry.is_before(low.score, &low.member)));
                        assert!(high.is_none_or(|high| entry.is_before(high.score, &high.member)));
                    }
                    (entries.len(), 0)
                }
                Self::Inner(inner) => {
                    let width = inner.children.len();
                    assert!(
                        width > 1 && inner.bounds.len() == width && inner.counts.len() == width
                    );
                    let mut heights = Vec::new();
                    for (at, child) in inner.children.iter().enumerate() {
                        let low = if at == 0 { low } else { inner.bounds.get(at) };
                        let high = inner.bounds.get(at + 1).or(high);
                        let (count, height) = child.check(low, high, false, bytes);
                        assert_eq!(count, inner.counts[at]);
                        heights.push(height);
                    }
                    assert!(heights.windows(2).all(|pair| pair[0] == pair[1]));
                    (inner.counts.iter().sum(), heights[0] + 1)
                }
            }
        }
    }

    type Model = Vec<(i32, Vec<u8>)>;

    fn entry((score, member): &(i32, Vec<u8>)) -> Ranked {
        Ranked {
            score: f64::from(*score),
            member: member[..].into(),
        }
    }

    fn pairs<'a>(entries: impl Iterator<Item = &'a Ranked>) -> Model {
        entries
            .map(|entry| (entry.score as i32, entry.member.to_vec()))
            .collect()
    }

    fn compare(ranking: &Ranking, model: &Model) {
        ranking.check();
        assert_eq!(&pairs(ranking.range(0..usize::MAX)), model);
        let mut back = pairs(ranking.range(0..model.len()).rev());
        back.reverse();
        assert_eq!(&back, model);
        for (rank, (score, member)) in model.iter().enumerate() {
            assert_eq!(ranking.rank(f64::from(*score), member), rank);
            assert_eq!(&*ranking.get(rank).unwrap().member, &member[..]);
        }
        assert!(ranking.get(model.len()).is_none());
    }

    fn pair() -> impl Strategy<Value = (i32, Vec<u8>)> {
        (-4..4, (0u16..200).prop_map(|n| n.to_be_bytes().to_vec()))
    }

    proptest! {
        #[test]
        fn is_a_sorted_sequence(
            start in proptest::collection::btree_set(pair(), 0..300),
            steps in proptest::collection::vec((pair(), 0u8..6, any::<usize>()), 0..150))
        {
            let mut model: Model = start.into_iter().collect();
            let mut ranking = Ranking::from_sorted(model.iter().map(entry).collect());
            compare(&ranking, &model);
            for (pair, action, number) in steps {
                match (action, model.binary_search(&pair)) {
                    (0..3, Err(at)) => {
                        ranking.insert(entry(&pair));
                        model.insert(at, pair);
                    }
                    (0..3, Ok(at)) => {
                        let taken = ranking.remove(f64::from(pair.0), &pair.1).unwrap();
                        prop_assert_eq!(&taken.member[..], &model.remove(at).1[..]);
                    }
                    (3, Err(_)) => prop_assert!(ranking.remove(f64::from(pair.0), &pair.1).is_none()),
                    _ if model.is_empty() => prop_assert!(ranking.remove_at(0).is_none()),
                    _ => {
                        let at = number % model.len();
                        let taken = ranking.remove_at(at).unwrap();
                        prop_assert_eq!(&taken.member[..], &model.remove(at).1[..]);
                    }
                }
                ranking.check();
            }
            compare(&ranking, &model);
            for from in 0..model.len() {
                let (mut both, to) = (ranking.range(from..model.len()), model.len());
                let front = pairs(both.by_ref().take((to - from) / 2));
                let mut back = pairs(both.rev());
                back.reverse();
                prop_assert_eq!(&[front, back].concat()[..], &model[from..]);
            }
        }
    }

    #[test]
    fn grows_and_shrinks_in_any_order() {
        let orders: [fn(u32) -> u32; 3] = [|n| n, |n| 4999 - n, |n| n * 2017 % 5000];
        for order in orders {
            for undo in orders {
                let mut ranking = Ranking::default();
                for n in (0..5000).map(order) {
                    ranking.insert(entry(&(n as i32, vec![7])));
                }
                ranking.check();
                assert!(ranking.range(0..5000).is_sorted_by_key(|entry| entry.score));
                for (left, n) in (0..5000).map(undo).enumerate() {
                    assert!(ranking.remove(f64::from(n), &[7]).is_some());
                    if left % 61 == 0 {
                        ranking.check();
                    }
                }
                assert_eq!((ranking.len(), ranking.memory_bytes()), (0, 0));
            }
        }
    }

    #[test]
    fn entries_in_order_fill_their_leaves() {
        let mut ranking = Ranking::default();
        for n in 0..1000 {
            ranking.insert(entry(&(n, Vec::new())));
        }
        let per_entry = ranking.memory_bytes() as f64 / 1000.0 / size_of::<Ranked>() as f64;
        // The small nodes of tests have a great share of inner ones.
        assert!(per_entry < 2.5, "{per_entry}");
    }
}
