//! Large lists: a deque of nodes, each a listpack of about a kilobyte, which is also a record on disk.
//!
//! A node has an id, and ids ascend: they are the nodes' order on disk. The first id is in the middle of all numbers, further
//! ones at the ends are [`ID_STEP`] apart, and a node that is split shares the gap behind it with its other half. Where
//! no gap is left, the nodes around get new ids.
//!
//! The list's own record tells the first and the last id, so that elements at the ends of a list that is only on disk can be
//! looked at, added and removed: nodes from one end on and from the other are a part of the list that counts the elements between
//! them, too, and otherwise behaves as if they were there.
//!
//! The record of the node that was changed last is put later: when another one changes, or by [`Large::write_unwritten`].

use std::collections::VecDeque;

use super::edit::Edit;
use super::kind::Encoding;
use super::list::{End, ListBackIter, ListIter, remove_equal};
use super::listpack::{self, Listpack, ListpackRef};
use super::{Elements, Large, Missing, check_len, count_absent, digest};
use crate::{Error, Result};

/// A node takes elements up to this; a larger element is alone in its node.
const NODE_BYTES: usize = 1024;
/// Nodes that take no more than this together are joined.
pub(crate) const JOINED_MAX_BYTES: usize = NODE_BYTES / 2;
const FIRST_ID: u64 = 1 << 63;
const ID_STEP: u64 = 1 << 24;
/// New ids are at least so far apart.
const MIN_GAP: u64 = 1 << 8;
/// Bytes of a listpack that are no entries.
const EMPTY_BYTES: usize = 7;
/// Bytes of the shortest entry.
pub(super) const MIN_ENTRY_BYTES: usize = 2;

/// A large list.
#[derive(Clone, Default)]
pub struct QuickList {
    nodes: VecDeque<Node>,
    /// The number of elements of each node: what [`Self::find`] walks over, many in a cache line.
    counts: VecDeque<u16>,
    len: usize,
    /// Allocated by the nodes' listpacks.
    bytes: usize,
    /// Bytes of all entries.
    entry_bytes: usize,
    /// The node that was changed last, whose record is still to be put: elements are often pushed one after the other.
    unwritten: Option<u64>,
    /// What a part does not have.
    absent: Option<Absent>,
}

/// Nodes in the middle of a list that are only on disk.
#[derive(Clone, Copy)]
struct Absent {
    elements: usize,
    /// The id of the first node behind them.
    before: u64,
}

/// What a list's own record tells of it.
pub(crate) struct ListEnds {
    /// Number of elements.
    pub(crate) len: usize,
    /// The keys of the first and of the last node.
    pub(crate) first: [u8; 8],
    pub(crate) last: [u8; 8],
}

impl ListEnds {
    /// None of a list that was written before records told it.
    pub(crate) fn of(meta: &[u8]) -> Option<Self> {
        let ([len, first, last], []) = meta.as_chunks::<8>() else {
            return None;
        };
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        (len > 0 && first <= last).then(|| Self {
            len,
            first: first.to_be_bytes(),
            last: last.to_be_bytes(),
        })
    }
}

/// Some consecutive elements.
#[derive(Clone)]
pub(super) struct Node {
    id: u64,
    listpack: Listpack,
}

impl Node {
    fn len(&self) -> usize {
        self.listpack.as_ref().len()
    }

    /// The elements.
    pub(super) fn entries(&self) -> listpack::Iter<'_> {
        self.listpack.as_ref().iter()
    }

    fn entry_bytes(&self) -> usize {
        self.listpack.size_bytes() - EMPTY_BYTES
    }

    fn has_room(&self, element: &[u8]) -> bool {
        self.listpack.as_ref().is_empty()
            || self.listpack.size_bytes() + Listpack::entry_bytes(element) <= NODE_BYTES
    }

    fn put(&self, edit: &mut Edit<'_>) {
        let (high, low) = split_id(self.id);
        edit.put(high, &low, &[self.listpack.as_ref().bytes()]);
    }

    fn delete(&self, edit: &mut Edit<'_>) {
        let (high, low) = split_id(self.id);
        edit.delete(high, &low);
    }
}

fn split_id(id: u64) -> (u32, [u8; 4]) {
    ((id >> 32) as u32, (id as u32).to_be_bytes())
}

/// The id of the node with this key.
fn id_of(key: &[u8]) -> Result<u64> {
    let id = key.first_chunk().filter(|id| id.len() == key.len());
    id.map(|id| u64::from_be_bytes(*id))
        .ok_or_else(|| Error::corrupt("node of a list", format!("key {key:02x?}")))
}

/// Above so many nodes, room for more is made a quarter at a time, and what became empty is given back.
const MANY_NODES: usize = 1024;

/// Makes room in a full deque: twice as much while it is short; of a long one half may stay empty otherwise, which is 3 % of a list.
fn fit_for_one_more<T>(deque: &mut VecDeque<T>) {
    let len = deque.len();
    if len == deque.capacity() && len >= MANY_NODES {
        deque.reserve_exact(len / 4);
    }
}

/// Gives most of a deque's memory back when it has become nearly empty.
fn fit_fewer<T>(deque: &mut VecDeque<T>) {
    let capacity = deque.capacity();
    if capacity > MANY_NODES && deque.len() < capacity / 4 {
        deque.shrink_to(capacity / 2);
    }
}

/// Counts that are added up together when an element is looked for: enough to be added several at a time.
const ADDED_TOGETHER: usize = 64;

fn sum(counts: &[u16]) -> usize {
    counts.iter().map(|&count| u32::from(count)).sum::<u32>() as usize
}

/// In which of these nodes the element at `index` is, and where; or what is left of the index behind them.
fn find_forward(counts: &[u16], index: usize) -> std::result::Result<(usize, usize), usize> {
    let mut left = index;
    for (nth, chunk) in counts.chunks(ADDED_TOGETHER).enumerate() {
        let together = sum(chunk);
        if left >= together {
            left -= together;
            continue;
        }
        for (at, &count) in chunk.iter().enumerate() {
            let count = usize::from(count);
            if left < count {
                return Ok((nth * ADDED_TOGETHER + at, left));
            }
            left -= count;
        }
    }
    Err(left)
}

/// The same of the element that is the `behind`-th from the end, the last being the first.
fn find_backward(counts: &[u16], behind: usize) -> std::result::Result<(usize, usize), usize> {
    let mut left = behind;
    let mut end = counts.len();
    for chunk in counts.rchunks(ADDED_TOGETHER) {
        let together = sum(chunk);
        if left > together {
            left -= together;
            end -= chunk.len();
            continue;
        }
        for &count in chunk.iter().rev() {
            let count = usize::from(count);
            end -= 1;
            if left <= count {
                return Ok((end, count - left));
            }
            left -= count;
        }
    }
    Err(left)
}

impl QuickList {
    /// Of the elements of a flat list.
    pub(super) fn of(flat: ListpackRef<'_>, edit: &mut Edit<'_>) -> Self {
        let mut list = Self::default();
        let mut buffer = itoa::Buffer::new();
        for item in flat.iter() {
            list.push_in_memory(item.bytes(&mut buffer));
        }
        edit.begin();
        list.write_all(edit);
        list
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The nodes' elements, node by node.
    pub fn listpacks(&self) -> impl ExactSizeIterator<Item = ListpackRef<'_>> {
        self.nodes.iter().map(|node| node.listpack.as_ref())
    }

    /// Bytes that one listpack of all elements would take; of a part, at least.
    pub(super) fn flat_bytes(&self) -> usize {
        self.entry_bytes + EMPTY_BYTES + self.absent() * MIN_ENTRY_BYTES
    }

    /// Number of elements that a part does not have.
    pub(super) fn absent(&self) -> usize {
        self.absent.map_or(0, |absent| absent.elements)
    }

    /// All elements in one listpack.
    pub(super) fn to_listpack(&self) -> Listpack {
        let mut flat = Listpack::new();
        let mut buffer = itoa::Buffer::new();
        for item in self.nodes.iter().flat_map(Node::entries) {
            flat.push_back(item.bytes(&mut buffer));
        }
        flat
    }

    /// Elements from `index` on.
    pub(super) fn iter_from(&self, index: usize) -> ListIter<'_> {
        let (at, within) = self.find(index);
        let entries = match self.nodes.get(at) {
            Some(node) => node.listpack.as_ref().iter_at(within),
            None => ListpackRef::new(&[]).iter(),
        };
        let next = self.nodes.len().min(at + 1);
        ListIter {
            entries,
            nodes: self.nodes.range(next..),
        }
    }

    /// Elements from `index` on backwards.
    pub(super) fn iter_back_from(&self, index: usize) -> ListBackIter<'_> {
        let (at, within) = self.find(index.min(self.len.saturating_sub(1)));
        let entries = match self.nodes.get(at) {
            Some(node) => {
                let mut entries = node.entries();
                for _ in within + 1..node.len() {
                    entries.next_back();
                }
                entries
            }
            None => ListpackRef::new(&[]).iter(),
        };
        ListBackIter {
            entries,
            nodes: self.nodes.range(..at.min(self.nodes.len())),
        }
    }

    /// The node of the element at `index`, and its place in it. Behind the last: the number of nodes.
    fn find(&self, index: usize) -> (usize, usize) {
        if index >= self.len {
            return (self.nodes.len(), 0);
        }
        let (first, last) = self.counts.as_slices();
        let from_head = match self.absent {
            None => index <= self.len / 2,
            Some(absent) => {
                let head = self.nodes.partition_point(|node| node.id < absent.before);
                index
                    < self
                        .counts
                        .range(..head)
                        .map(|&count| usize::from(count))
                        .sum()
            }
        };
        if from_head {
            match find_forward(first, index) {
                Ok(found) => found,
                Err(left) => {
                    let (at, within) = find_forward(last, left).unwrap_or((last.len(), 0));
                    (first.len() + at, within)
                }
            }
        } else {
            match find_backward(last, self.len - index) {
                Ok((at, within)) => (first.len() + at, within),
                Err(left) => find_backward(first, left).unwrap_or((0, 0)),
            }
        }
    }

    pub(super) fn push(&mut self, end: End, element: &[u8], edit: &mut Edit<'_>) {
        let at = match end {
            End::Head => 0,
            End::Tail => self.nodes.len().saturating_sub(1),
        };
        if self
            .nodes
            .get(at)
            .is_none_or(|node| !node.has_room(element))
        {
            let at = match end {
                End::Head => 0,
                End::Tail => self.nodes.len(),
            };
            self.seal(at.saturating_sub(usize::from(end == End::Tail)));
            self.add_node(at, Listpack::new(), edit);
        }
        let at = match end {
            End::Head => 0,
            End::Tail => self.nodes.len() - 1,
        };
        self.change(at, edit, |listpack| match end {
            End::Head => listpack.push_front(element),
            End::Tail => listpack.push_back(element),
        });
    }

    pub(super) fn set(&mut self, index: usize, element: &[u8], edit: &mut Edit<'_>) {
        let (at, within) = self.find(index);
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let offset = node.listpack.as_ref().iter_at(within).offset();
        if node.len() == 1 || node.has_room(element) {
            self.change(at, edit, |listpack| {
                listpack.replace(offset, element);
            });
        } else {
            self.remove_range(index, 1, edit);
            self.insert(index, element, edit);
        }
    }

    pub(super) fn insert(&mut self, index: usize, element: &[u8], edit: &mut Edit<'_>) {
        if index == 0 {
            return self.push(End::Head, element, edit);
        }
        if index >= self.len {
            return self.push(End::Tail, element, edit);
        }
        let (mut at, mut within) = self.find(index);
        if within == 0
            && self
                .nodes
                .get(at - 1)
                .is_some_and(|node| node.has_room(element))
        {
            at -= 1;
            within = self.nodes.get(at).map_or(0, Node::len);
        } else if self
            .nodes
            .get(at)
            .is_some_and(|node| !node.has_room(element))
        {
            if within > 0 {
                self.split(at, within, edit);
                at += 1;
                within = 0;
            }
            // Between two nodes now: the one before, the one behind, or a new one.
            if self
                .nodes
                .get(at - 1)
                .is_some_and(|node| node.has_room(element))
            {
                at -= 1;
                within = self.nodes.get(at).map_or(0, Node::len);
            } else if self
                .nodes
                .get(at)
                .is_none_or(|node| !node.has_room(element))
            {
                self.add_node(at, Listpack::new(), edit);
            }
        }
        self.change(at, edit, |listpack| {
            let offset = listpack.as_ref().iter_at(within).offset();
            listpack.insert(offset, element);
        });
    }

    pub(super) fn remove_range(&mut self, index: usize, count: usize, edit: &mut Edit<'_>) {
        let (first, mut within) = self.find(index);
        let mut left = count.min(self.len.saturating_sub(index));
        let mut at = first;
        while left > 0 {
            let Some(node) = self.nodes.get(at) else {
                break;
            };
            let here = left.min(node.len() - within);
            left -= here;
            if here == node.len() {
                self.remove_node(at, edit);
                continue;
            }
            let offset = node.listpack.as_ref().iter_at(within).offset();
            self.change(at, edit, |listpack| listpack.remove(offset, here));
            at += 1;
            within = 0;
        }
        self.merge(first, edit);
    }

    pub(super) fn remove_equal(
        &mut self,
        element: &[u8],
        from: End,
        limit: usize,
        edit: &mut Edit<'_>,
    ) -> usize {
        let mut removed = 0;
        let mut at = match from {
            End::Head => 0,
            End::Tail => self.nodes.len().wrapping_sub(1),
        };
        while removed < limit
            && let Some(node) = self.nodes.get(at)
        {
            let before = self.nodes.len();
            if node.listpack.as_ref().find(element, 1).is_some() {
                let left = limit - removed;
                self.change(at, edit, |listpack| {
                    removed += remove_equal(listpack, element, from, left);
                });
                if self.nodes.get(at).is_some_and(|node| node.len() == 0) {
                    self.remove_node(at, edit);
                }
            }
            at = match from {
                // The next one has moved here.
                End::Head if self.nodes.len() < before => at,
                End::Head => at + 1,
                End::Tail => at.wrapping_sub(1),
            };
        }
        removed
    }

    /// Changes a node, and has its record put.
    fn change(&mut self, at: usize, edit: &mut Edit<'_>, change: impl FnOnce(&mut Listpack)) {
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        let (bytes, entry_bytes, len) = (node.listpack.capacity(), node.entry_bytes(), node.len());
        change(&mut node.listpack);
        self.bytes = self.bytes + node.listpack.capacity() - bytes;
        self.entry_bytes = self.entry_bytes + node.entry_bytes() - entry_bytes;
        self.len = self.len + node.len() - len;
        if let Some(count) = self.counts.get_mut(at) {
            *count = node.len() as u16;
        }
        edit.changed();
        let id = node.id;
        if self.unwritten != Some(id) {
            self.write_unwritten(edit);
            self.unwritten = Some(id);
        }
    }

    /// The node with this id. Those at the ends, or beside them, are nearly always meant; looking through a long list for them would wait
    /// for memory a dozen times.
    fn node(&self, id: u64) -> Option<&Node> {
        let ends = self.nodes.iter().rev().take(2);
        let mut ends = ends.chain(self.nodes.iter().take(2));
        ends.find(|node| node.id == id).or_else(|| {
            let at = self.nodes.binary_search_by_key(&id, |node| node.id);
            self.nodes.get(at.ok()?)
        })
    }

    /// Gives back what a node has allocated for growing, because it will not grow soon.
    fn seal(&mut self, at: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            let before = node.listpack.capacity();
            node.listpack.shrink_to_fit();
            self.bytes = self.bytes + node.listpack.capacity() - before;
        }
    }

    /// Adds a node before the one at `at`. Its record is to be written.
    fn add_node(&mut self, at: usize, listpack: Listpack, edit: &mut Edit<'_>) {
        let id = self.id_for(at, edit);
        self.account_for(id, at, listpack);
    }

    fn account_for(&mut self, id: u64, at: usize, listpack: Listpack) {
        let len = listpack.as_ref().len();
        let node = Node { id, listpack };
        self.len += len;
        self.bytes += node.listpack.capacity();
        self.entry_bytes += node.entry_bytes();
        fit_for_one_more(&mut self.nodes);
        fit_for_one_more(&mut self.counts);
        self.nodes.insert(at, node);
        self.counts.insert(at, len as u16);
    }

    fn remove_node(&mut self, at: usize, edit: &mut Edit<'_>) {
        if let Some(node) = self.nodes.remove(at) {
            self.counts.remove(at);
            self.len -= node.len();
            self.bytes -= node.listpack.capacity();
            self.entry_bytes -= node.entry_bytes();
            if self.unwritten == Some(node.id) {
                self.unwritten = None;
                node.put(edit);
            }
            node.delete(edit);
            fit_fewer(&mut self.nodes);
            fit_fewer(&mut self.counts);
        }
    }

    /// Moves the elements from `within` on into a new node behind.
    fn split(&mut self, at: usize, within: usize, edit: &mut Edit<'_>) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let mut entries = node.listpack.as_ref().iter_at(within);
        let offset = entries.offset();
        let (mut upper, mut buffer) = (Listpack::new(), itoa::Buffer::new());
        for item in &mut entries {
            upper.push_back(item.bytes(&mut buffer));
        }
        self.change(at, edit, |listpack| {
            listpack.remove(offset, usize::MAX);
            listpack.shrink_to_fit();
        });
        upper.shrink_to_fit();
        self.add_node(at + 1, upper, edit);
        if let Some(node) = self.nodes.get(at + 1) {
            node.put(edit);
        }
    }

    /// Joins the nodes before, at and behind a place, where two fit into one.
    fn merge(&mut self, at: usize, edit: &mut Edit<'_>) {
        for left in [at, at.saturating_sub(1)] {
            let pair = self.nodes.get(left).zip(self.nodes.get(left + 1));
            let Some((a, b)) = pair.filter(|(a, b)| {
                // Half full at most, or a removal and an insertion in turn would split and join for ever.
                a.listpack.size_bytes() + b.listpack.size_bytes() <= JOINED_MAX_BYTES
            }) else {
                continue;
            };
            let (mut joined, mut buffer) = (a.listpack.clone(), itoa::Buffer::new());
            for item in b.entries() {
                joined.push_back(item.bytes(&mut buffer));
            }
            self.remove_node(left + 1, edit);
            self.change(left, edit, |listpack| *listpack = joined);
        }
    }

    /// An id for a node before the one at `at`.
    fn id_for(&mut self, at: usize, edit: &mut Edit<'_>) -> u64 {
        loop {
            let before = at.checked_sub(1).and_then(|at| self.nodes.get(at));
            let behind = self.nodes.get(at);
            let id = match (before.map(|node| node.id), behind.map(|node| node.id)) {
                (None, None) => Some(FIRST_ID),
                (Some(id), None) => id.checked_add(ID_STEP),
                (None, Some(id)) => id.checked_sub(ID_STEP),
                (Some(low), Some(high)) => Some(low.midpoint(high)).filter(|&id| id > low),
            };
            match id {
                Some(id) => return id,
                None => self.renumber(at, edit),
            }
        }
    }

    /// Makes a gap before the node at `at`: spreads the ids of the nodes around evenly, of as few as have enough room.
    fn renumber(&mut self, at: usize, edit: &mut Edit<'_>) {
        self.write_unwritten(edit);
        let mut reach = 8;
        let (start, end, low, gap) = loop {
            let (start, end) = (at.saturating_sub(reach), (at + reach).min(self.nodes.len()));
            // The ids between which there is room; beyond the ends, a step for each node.
            let count = (end - start) as u64 + 1;
            let low = match start.checked_sub(1).and_then(|at| self.nodes.get(at)) {
                Some(node) => node.id,
                None => FIRST_ID.saturating_sub(count / 2 * ID_STEP),
            };
            let high = match self.nodes.get(end) {
                Some(node) => node.id,
                None => low.saturating_add((count + 1) * ID_STEP),
            };
            let whole = start == 0 && end == self.nodes.len();
            let gap = high.saturating_sub(low) / (count + 1);
            if gap >= MIN_GAP || whole {
                break (start, end, low, gap.max(1));
            }
            reach *= 2;
        };
        for node in self.nodes.range(start..end) {
            node.delete(edit);
        }
        for (nth, node) in (1..).zip(self.nodes.range_mut(start..end)) {
            node.id = low + nth * gap;
            node.put(edit);
        }
    }

    /// Takes in the records of nodes, in order.
    fn load_nodes(&mut self, elements: &mut Elements<'_>) -> Result<()> {
        for element in elements {
            let (key, bytes) = element?;
            self.account_for(
                id_of(&key)?,
                self.nodes.len(),
                Listpack::from_bytes(bytes.as_ref().into()),
            );
        }
        Ok(())
    }

    /// Adds an element at the end of a list that has no records yet.
    fn push_in_memory(&mut self, element: &[u8]) {
        let last = self.nodes.len().wrapping_sub(1);
        if self.nodes.back().is_none_or(|node| !node.has_room(element)) {
            self.seal(last);
            let id = match self.nodes.back() {
                Some(node) => node.id + ID_STEP,
                None => FIRST_ID,
            };
            self.account_for(id, self.nodes.len(), Listpack::new());
        }
        if let Some(node) = self.nodes.back_mut() {
            let (bytes, entry_bytes) = (node.listpack.capacity(), node.entry_bytes());
            node.listpack.push_back(element);
            self.len += 1;
            if let Some(count) = self.counts.back_mut() {
                *count += 1;
            }
            self.bytes = self.bytes + node.listpack.capacity() - bytes;
            self.entry_bytes = self.entry_bytes + node.entry_bytes() - entry_bytes;
        }
    }

    /// Panics unless accounts and order are right.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let sum = |f: fn(&Node) -> usize| self.nodes.iter().map(f).sum::<usize>();
        assert_eq!(self.len, sum(|node| node.entries().count()));
        assert_eq!(self.bytes, sum(|node| node.listpack.capacity()));
        assert_eq!(self.entry_bytes, sum(Node::entry_bytes));
        let lens = self.nodes.iter().map(Node::len);
        assert!(lens.eq(self.counts.iter().map(|&count| usize::from(count))));
        assert!(self.nodes.iter().is_sorted_by(|a, b| a.id < b.id));
        for node in &self.nodes {
            assert!(
                node.len() == 1 || (node.len() > 0 && node.listpack.size_bytes() <= NODE_BYTES)
            );
        }
    }
}

impl Large for QuickList {
    const ENCODING: Encoding = Encoding::Quicklist;

    fn len(&self) -> usize {
        self.len
    }

    fn memory_bytes(&self) -> usize {
        let counts = self.counts.capacity() * size_of::<u16>();
        size_of::<Self>() + self.nodes.capacity() * size_of::<Node>() + counts + self.bytes
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len as u64).to_le_bytes());
        if let (Some(first), Some(last)) = (self.nodes.front(), self.nodes.back()) {
            out.extend_from_slice(&first.id.to_le_bytes());
            out.extend_from_slice(&last.id.to_le_bytes());
        }
    }

    fn load_part(
        meta: &[u8],
        elements: &mut Elements<'_>,
        missing: &Missing,
    ) -> Result<Option<Self>> {
        let mut list = Self::default();
        list.load_nodes(elements)?;
        let elements = count_absent("list", meta, list.len)?;
        if elements > 0 {
            let before = missing.gap.as_deref().map_or(Ok(u64::MAX), id_of)?;
            list.absent = Some(Absent { elements, before });
            list.len += elements;
        }
        Ok(Some(list))
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let mut list = Self::default();
        list.load_nodes(elements)?;
        check_len("list", meta.get(..8).unwrap_or(meta), list.len)?;
        Ok(list)
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for node in &self.nodes {
            node.put(edit);
        }
    }

    fn write_unwritten(&mut self, edit: &mut Edit<'_>) {
        let Some(id) = self.unwritten.take() else {
            return;
        };
        if let Some(node) = self.node(id) {
            node.put(edit);
        }
    }

    fn digest(&self) -> u64 {
        let mut buffer = itoa::Buffer::new();
        let items = self.nodes.iter().flat_map(Node::entries);
        items.fold(0, |sum: u64, item| {
            sum.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(digest(item.bytes(&mut buffer)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deques_fit_what_they_hold() {
        let mut deque = VecDeque::new();
        for number in 0..100_000 {
            fit_for_one_more(&mut deque);
            deque.push_back(number);
            let most = (deque.len() + deque.len() / 4 + 1).max(2 * MANY_NODES);
            assert!(deque.capacity() <= most, "{} of {number}", deque.capacity());
        }
        while deque.pop_front().is_some() {
            fit_fewer(&mut deque);
            let most = (4 * deque.len() + 4).max(MANY_NODES);
            assert!(
                deque.capacity() <= most,
                "{} of {}",
                deque.capacity(),
                deque.len()
            );
        }
    }
}
