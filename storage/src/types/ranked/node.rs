//! Nodes of the tree: leaves and inner nodes, how they split and merge, and how whole trees are built.

use std::cmp::Ordering;

use super::{Ranked, order};

/// Entries of a leaf at most: taking its first moves all others. Small in tests, so that few entries make deep trees.
const LEAF_MAX_ENTRIES: usize = if cfg!(test) { 8 } else { 128 };
/// Children of an inner node at most.
const MAX_CHILDREN: usize = if cfg!(test) { 5 } else { 64 };
/// A node with less than one in so many of these is merged with a neighbour.
const MERGE_BELOW: usize = 4;
/// A leaf that is full grows by one part in so many,
const GROWTH_PARTS: usize = 8;
/// and by so many entries at least.
const GROWTH_MIN_ENTRIES: usize = 8;
/// A leaf gives memory back when it uses less than one in so many of its places.
const SHRINK_BELOW: usize = 2;
/// Built at once, nodes are filled to so many parts of 8.
const BUILT_PARTS_OF_8: usize = 7;

#[derive(Clone)]
pub(super) enum Node {
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
pub(super) struct Inner {
    pub(super) bounds: Vec<Ranked>,
    pub(super) counts: Vec<usize>,
    pub(super) children: Vec<Node>,
}

/// A node to stand at the right of another.
pub(super) struct Sibling {
    pub(super) bound: Ranked,
    pub(super) count: usize,
    pub(super) node: Node,
}

/// Where an entry is.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Rank(usize),
    Member(f64, &'a [u8]),
}

/// Whether a node is at an end of the whole tree, where entries in order arrive.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Node {
    /// Bytes allocated by the node, without its children and members.
    pub(super) fn own_bytes(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.capacity() * size_of::<Ranked>(),
            Self::Inner(inner) => inner.own_bytes(),
        }
    }

    /// Entries of a leaf, children of an inner node.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(inner) => inner.children.len(),
        }
    }

    pub(super) fn max_width(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_MAX_ENTRIES,
            Self::Inner(_) => MAX_CHILDREN,
        }
    }

    /// Adds an entry; what did not fit any more is the sibling.
    pub(super) fn insert(
        &mut self,
        entry: Ranked,
        ends: Ends,
        bytes: &mut usize,
    ) -> Option<Sibling> {
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
    pub(super) fn take(&mut self, place: Place<'_>, bytes: &mut usize) -> Option<Ranked> {
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
    pub(super) fn own_bytes(&self) -> usize {
        size_of::<Self>()
            + self.bounds.capacity() * size_of::<Ranked>()
            + self.counts.capacity() * size_of::<usize>()
            + self.children.capacity() * size_of::<Node>()
    }

    /// The child with the first entry that is not `before`.
    #[inline]
    pub(super) fn child_where(&self, before: impl Fn(&Ranked) -> bool) -> usize {
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
    pub(super) fn child_at_rank(&self, rank: &mut usize) -> usize {
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
    pub(super) fn insert(&mut self, entry: Ranked, ends: Ends, bytes: &mut usize) -> Option<usize> {
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

    pub(super) fn take(&mut self, place: Place<'_>, bytes: &mut usize) -> Option<Ranked> {
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

    pub(super) fn insert_child(&mut self, at: usize, child: Sibling) {
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
pub(super) fn build(entries: Vec<Ranked>, bytes: &mut usize) -> Node {
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
