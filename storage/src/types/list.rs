//! Lists: elements by position.

use super::edit::Edit;
use super::item::Item;
use super::kind::{Encoding, Kind};
use super::limits::Limits;
use super::listpack::{self, Listpack, ListpackRef};
use super::quicklist::{MIN_ENTRY_BYTES, QuickList};
use super::{Collection, Parts};

/// Above this, a list whose directive bounds only the number of elements is large all the same, as in Redis.
const SAFE_BYTES: usize = 8192;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first element is there.
    Head,
    /// The last element is there.
    Tail,
}

/// A list.
pub enum List {
    /// Few short elements.
    Listpack(Listpack),
    /// Anything else.
    Quicklist(Box<QuickList>),
}

/// A list to read.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    /// Few short elements.
    Listpack(ListpackRef<'a>),
    /// Anything else.
    Quicklist(&'a QuickList),
}

impl Default for List {
    fn default() -> Self {
        Self::Listpack(Listpack::new())
    }
}

/// The most bytes and elements of a flat list.
struct Bounds {
    bytes: usize,
    elements: usize,
}

impl Bounds {
    fn of(limits: &Limits) -> Self {
        match limits.list_max_listpack_size {
            size @ 0.. => Self {
                bytes: SAFE_BYTES,
                elements: usize::try_from(size).unwrap_or(usize::MAX).max(1),
            },
            size => Self {
                // -1: 4 KB, -2: 8 KB, and so on to -5.
                bytes: 2048 << size.unsigned_abs().min(5),
                elements: usize::MAX,
            },
        }
    }
}

impl List {
    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> ListRef<'_> {
        match self {
            Self::Listpack(listpack) => ListRef::Listpack(listpack.as_ref()),
            Self::Quicklist(quicklist) => ListRef::Quicklist(quicklist),
        }
    }

    /// Says that elements of so many bytes are about to be added: a flat list that has no room for all becomes large first,
    /// as Redis's does before a command adds its arguments.
    pub fn expect(&mut self, elements: usize, bytes: usize, edit: &mut Edit<'_>) {
        if let Self::Listpack(listpack) = self {
            let bounds = Bounds::of(edit.limits());
            if listpack.size_bytes() + bytes > bounds.bytes
                || listpack.as_ref().len() + elements > bounds.elements
            {
                let flat = std::mem::take(listpack);
                *self = Self::Quicklist(Box::new(QuickList::of(flat.as_ref(), edit)));
            }
        }
    }

    /// Adds an element at an end. See [`Self::expect`].
    pub fn push(&mut self, end: End, element: &[u8], edit: &mut Edit<'_>) {
        match self {
            Self::Listpack(listpack) => {
                match end {
                    End::Head => listpack.push_front(element),
                    End::Tail => listpack.push_back(element),
                }
                edit.changed();
            }
            Self::Quicklist(quicklist) => quicklist.push(end, element, edit),
        }
    }

    /// Takes the element at an end. After the last of a command, [`Self::shrink`] is to be called.
    pub fn pop(&mut self, end: End, edit: &mut Edit<'_>) -> Option<Vec<u8>> {
        let last = match end {
            End::Head => 0,
            End::Tail => self.as_ref().len().checked_sub(1)?,
        };
        let element = self.as_ref().get(last)?.to_vec();
        self.remove_range(last, 1, edit);
        Some(element)
    }

    /// Replaces the element at `index`. False if there is none.
    pub fn set(&mut self, index: usize, element: &[u8], edit: &mut Edit<'_>) -> bool {
        if index >= self.as_ref().len() {
            return false;
        }
        match self {
            Self::Listpack(listpack) => {
                let at = listpack.as_ref().iter_at(index).offset();
                listpack.replace(at, element);
                edit.changed();
            }
            Self::Quicklist(quicklist) => quicklist.set(index, element, edit),
        }
        true
    }

    /// Inserts an element before the one at `index`, or at the end.
    pub fn insert(&mut self, index: usize, element: &[u8], edit: &mut Edit<'_>) {
        match self {
            Self::Listpack(listpack) => {
                let at = listpack.as_ref().iter_at(index).offset();
                listpack.insert(at, element);
                edit.changed();
            }
            Self::Quicklist(quicklist) => quicklist.insert(index, element, edit),
        }
    }

    /// Removes up to `count` elements from `index` on.
    pub fn remove_range(&mut self, index: usize, count: usize, edit: &mut Edit<'_>) {
        match self {
            Self::Listpack(listpack) => {
                let at = listpack.as_ref().iter_at(index).offset();
                listpack.remove(at, count);
                edit.changed();
            }
            Self::Quicklist(quicklist) => quicklist.remove_range(index, count, edit),
        }
    }

    /// Removes elements that are equal to `element`, at most `limit`, beginning at an end. Answers how many.
    pub fn remove_equal(
        &mut self,
        element: &[u8],
        from: End,
        limit: usize,
        edit: &mut Edit<'_>,
    ) -> usize {
        match self {
            Self::Listpack(listpack) => {
                let removed = remove_equal(listpack, element, from, limit);
                if removed > 0 {
                    edit.changed();
                }
                removed
            }
            Self::Quicklist(quicklist) => quicklist.remove_equal(element, from, limit, edit),
        }
    }

    /// After elements were removed: becomes flat when half of what a flat list may hold would do, as in Redis.
    pub fn shrink(&mut self, edit: &mut Edit<'_>) {
        self.flatten(2, edit);
    }

    /// After an element was replaced: becomes flat if it may be.
    pub fn settle(&mut self, edit: &mut Edit<'_>) {
        self.flatten(1, edit);
    }

    /// True of a part that is large however many of its elements are removed: others are absent.
    pub(crate) fn stays_large(part: &QuickList, limits: &Limits) -> bool {
        let bounds = Bounds::of(limits);
        let absent = part.absent();
        absent * MIN_ENTRY_BYTES > bounds.bytes || absent > bounds.elements
    }

    fn flatten(&mut self, divisor: usize, edit: &mut Edit<'_>) {
        if let Self::Quicklist(quicklist) = self {
            let bounds = Bounds::of(edit.limits());
            if quicklist.flat_bytes() <= bounds.bytes / divisor
                && quicklist.len() <= bounds.elements / divisor
            {
                let flat = quicklist.to_listpack();
                *self = Self::Listpack(flat);
                edit.end();
            }
        }
    }
}

/// Removes entries that are equal to `element`, at most `limit`, beginning at an end.
pub(super) fn remove_equal(
    listpack: &mut Listpack,
    element: &[u8],
    from: End,
    limit: usize,
) -> usize {
    let wanted = Item::of(element);
    let mut offsets = Vec::new();
    let mut entries = listpack.as_ref().iter();
    loop {
        let at = entries.offset();
        match entries.next() {
            Some(item) if item == wanted => offsets.push(at),
            Some(_) => {}
            None => break,
        }
    }
    let count = offsets.len().min(limit);
    let chosen = match from {
        End::Head => offsets.get(..count),
        End::Tail => offsets.get(offsets.len() - count..),
    };
    // From the back, so that offsets stay right.
    for &at in chosen.unwrap_or_default().iter().rev() {
        listpack.remove(at, 1);
    }
    count
}

impl<'a> ListRef<'a> {
    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Listpack(listpack) => listpack.len(),
            Self::Quicklist(quicklist) => quicklist.len(),
        }
    }

    /// True without elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    pub fn get(self, index: usize) -> Option<Item<'a>> {
        self.iter_from(index).next()
    }

    /// All elements from `index` on.
    pub fn iter_from(self, index: usize) -> ListIter<'a> {
        match self {
            Self::Listpack(listpack) => ListIter {
                entries: listpack.iter_at(index),
                nodes: std::collections::vec_deque::Iter::default(),
            },
            Self::Quicklist(quicklist) => quicklist.iter_from(index),
        }
    }

    /// All elements.
    pub fn iter(self) -> ListIter<'a> {
        self.iter_from(0)
    }

    /// The elements from `index` on backwards.
    pub fn iter_back_from(self, index: usize) -> ListBackIter<'a> {
        match self {
            Self::Listpack(listpack) => {
                let mut entries = listpack.iter();
                let len = listpack.len();
                for _ in index.saturating_add(1)..len {
                    entries.next_back();
                }
                ListBackIter {
                    entries,
                    nodes: std::collections::vec_deque::Iter::default(),
                }
            }
            Self::Quicklist(quicklist) => quicklist.iter_back_from(index),
        }
    }
}

/// Elements in order. See [`ListRef::iter_from`].
pub struct ListIter<'a> {
    pub(super) entries: listpack::Iter<'a>,
    pub(super) nodes: std::collections::vec_deque::Iter<'a, super::quicklist::Node>,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.entries.next() {
                return Some(item);
            }
            self.entries = self.nodes.next()?.entries();
        }
    }
}

/// Elements in opposite order. See [`ListRef::iter_back_from`].
pub struct ListBackIter<'a> {
    pub(super) entries: listpack::Iter<'a>,
    pub(super) nodes: std::collections::vec_deque::Iter<'a, super::quicklist::Node>,
}

impl<'a> Iterator for ListBackIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.entries.next_back() {
                return Some(item);
            }
            self.entries = self.nodes.next_back()?.entries();
        }
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;
    type Large = QuickList;
    type Ref<'a> = ListRef<'a>;

    fn from_flat(_: Encoding, bytes: Vec<u8>) -> Self {
        Self::Listpack(Listpack::from_bytes(bytes))
    }

    fn from_large(large: Box<QuickList>) -> Self {
        Self::Quicklist(large)
    }

    fn into_parts(self) -> Parts<QuickList> {
        match self {
            Self::Listpack(listpack) => Parts::Flat(Encoding::Listpack, listpack.into_bytes()),
            Self::Quicklist(quicklist) => Parts::Large(quicklist),
        }
    }

    fn flat_ref(_: Encoding, bytes: &[u8]) -> ListRef<'_> {
        ListRef::Listpack(ListpackRef::new(bytes))
    }

    fn large_ref(large: &QuickList) -> ListRef<'_> {
        ListRef::Quicklist(large)
    }

    fn is_vacant(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Large, Recorder};

    #[derive(Clone, Debug)]
    enum Step {
        Push(bool, Vec<Vec<u8>>),
        Pop(bool),
        Set(usize, Vec<u8>),
        Insert(usize, Vec<u8>),
        RemoveRange(usize, usize),
        RemoveEqual(Vec<u8>, bool, usize),
    }

    fn element() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (0u8..6).prop_map(|n| vec![b'a' + n; usize::from(n) * 20]),
            2 => (-3i64..200).prop_map(|n| (n * n * n).to_string().into_bytes()),
            1 => (0usize..3000).prop_map(|n| vec![b'x'; n]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let many = proptest::collection::vec(element(), 1..20);
        prop_oneof![
            6 => (any::<bool>(), many).prop_map(|(head, elements)| Step::Push(head, elements)),
            3 => any::<bool>().prop_map(Step::Pop),
            2 => (any::<usize>(), element()).prop_map(|(at, e)| Step::Set(at, e)),
            6 => (any::<usize>(), element()).prop_map(|(at, e)| Step::Insert(at, e)),
            2 => (any::<usize>(), 0usize..60).prop_map(|(at, n)| Step::RemoveRange(at, n)),
            1 => (element(), any::<bool>(), 0usize..5).prop_map(|(e, head, n)| Step::RemoveEqual(e, head, n)),
        ]
    }

    fn end(head: bool) -> End {
        if head { End::Head } else { End::Tail }
    }

    fn run(step: &Step, list: &mut List, model: &mut VecDeque<Vec<u8>>, edit: &mut Edit<'_>) {
        let len = model.len();
        match step {
            Step::Push(head, elements) => {
                let bytes = elements.iter().map(Vec::len).sum();
                list.expect(elements.len(), bytes, edit);
                for element in elements {
                    list.push(end(*head), element, edit);
                    match head {
                        true => model.push_front(element.clone()),
                        false => model.push_back(element.clone()),
                    }
                }
            }
            Step::Pop(head) => {
                let popped = list.pop(end(*head), edit);
                let expected = if *head {
                    model.pop_front()
                } else {
                    model.pop_back()
                };
                assert_eq!(popped, expected);
                list.shrink(edit);
            }
            Step::Set(at, element) if len > 0 => {
                list.expect(1, element.len(), edit);
                assert!(list.set(at % len, element, edit));
                model[at % len] = element.clone();
                list.settle(edit);
            }
            Step::Insert(at, element) => {
                list.expect(1, element.len(), edit);
                list.insert(at % (len + 1), element, edit);
                model.insert(at % (len + 1), element.clone());
            }
            Step::RemoveRange(at, count) => {
                let at = at % (len + 1);
                list.remove_range(at, *count, edit);
                model.drain(at..(at + count).min(len));
                list.shrink(edit);
            }
            Step::RemoveEqual(element, head, limit) => {
                let removed = list.remove_equal(element, end(*head), *limit, edit);
                let equal = model.iter().enumerate().filter(|(_, e)| *e == element);
                let mut places: Vec<usize> = equal.map(|(at, _)| at).collect();
                if !head {
                    places.reverse();
                }
                places.truncate(*limit);
                assert_eq!(removed, places.len());
                places.sort_unstable();
                for at in places.into_iter().rev() {
                    model.remove(at);
                }
                list.shrink(edit);
            }
            Step::Set(..) => {}
        }
    }

    /// As at the end of an entry.
    fn write_unwritten(list: &mut List, edit: &mut Edit<'_>) {
        if let List::Quicklist(quicklist) = list {
            quicklist.write_unwritten(edit);
        }
    }

    fn check(list: &List, model: &VecDeque<Vec<u8>>, recorder: Option<&Recorder>) {
        let list = list.as_ref();
        assert_eq!(list.len(), model.len());
        assert!(list.iter().map(Item::to_vec).eq(model.iter().cloned()));
        let last = model.len().saturating_sub(1);
        let backwards = list.iter_back_from(last).map(Item::to_vec);
        assert!(backwards.eq(model.iter().rev().cloned()));
        for at in [0, model.len() / 3, model.len() / 2, last, model.len()] {
            assert_eq!(list.get(at).map(Item::to_vec), model.get(at).cloned());
        }
        match list {
            ListRef::Quicklist(quicklist) => {
                let mut meta = Vec::new();
                quicklist.meta(&mut meta);
                quicklist.check();
                if let Some(recorder) = recorder {
                    let loaded: QuickList = recorder.load(&meta).unwrap();
                    let loaded_elements = ListRef::Quicklist(&loaded).iter().map(Item::to_vec);
                    assert!(loaded_elements.eq(model.iter().cloned()));
                    assert_eq!(loaded.digest(), quicklist.digest());
                }
            }
            ListRef::Listpack(_) => {
                assert!(recorder.is_none_or(|recorder| recorder.records().is_empty()))
            }
        }
    }

    proptest! {
        #[test]
        fn is_a_sequence_and_comes_back_from_its_records(
            steps in proptest::collection::vec(step(), 0..80), size in prop_oneof![Just(-2i64), Just(-1), Just(5)])
        {
            let limits = Limits { list_max_listpack_size: size, ..Limits::default() };
            let (mut list, mut recorder, mut model) = (List::default(), Recorder::new(), VecDeque::new());
            // Several commands to an entry.
            for (nth, step) in steps.iter().enumerate() {
                let is_last = nth % 3 == 0;
                recorder.edit(&limits, |edit| {
                    run(step, &mut list, &mut model, edit);
                    if is_last {
                        write_unwritten(&mut list, edit);
                    }
                });
                check(&list, &model, is_last.then_some(&recorder));
            }
        }
    }

    #[test]
    fn inserting_at_one_place_finds_room_for_ever() {
        let limits = Limits::default();
        let (mut list, mut recorder, mut model) =
            (List::default(), Recorder::new(), VecDeque::new());
        recorder.edit(&limits, |edit| {
            for n in 0..6000u32 {
                let element = format!("an element of some length, number {n:06}").into_bytes();
                list.expect(1, element.len(), edit);
                let at = model.len() / 2;
                list.insert(at, &element, edit);
                model.insert(at, element);
            }
            write_unwritten(&mut list, edit);
        });
        check(&list, &model, Some(&recorder));
    }

    #[test]
    fn becomes_large_when_redis_s_would_and_small_again() {
        let limits = Limits::default();
        let mut recorder = Recorder::new();
        recorder.edit(&limits, |edit| {
            let mut list = List::default();
            for _ in 0..8 {
                list.expect(1, 1000, edit);
                list.push(End::Tail, &[b'x'; 1000], edit);
            }
            assert!(matches!(list, List::Listpack(_)));
            list.expect(1, 1000, edit);
            list.push(End::Tail, &[b'x'; 1000], edit);
            assert!(matches!(list, List::Quicklist(_)));
            for left in [8, 7, 6, 5, 4] {
                list.pop(End::Head, edit);
                list.shrink(edit);
                assert_eq!(matches!(list, List::Listpack(_)), left <= 4, "{left}");
            }
        });
    }
}
