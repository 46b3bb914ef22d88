//! Members by score, and among equal scores by their bytes: a B+tree whose inner nodes count what is below them, so that an
//! entry is found by its rank as fast as by its score (as in "Counted B-trees", S. Tatham).
//!
//! Leaves are arrays of about a hundred entries that grow by a little at a time: nearly all memory is entries. Iterating walks
//! from array to array by rank, so that no leaf has to know its neighbours.

mod node;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::table::Keyed;
use crate::prefetch;
use node::{Ends, Inner, Node, Place, Sibling, build};

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

    #[inline]
    fn prefetch(&self) {
        prefetch::object(&*self.member);
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
