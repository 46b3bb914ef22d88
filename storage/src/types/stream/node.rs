//! Some consecutive entries of a stream, in Redis's own layout, in one listpack.
//!
//! First the master entry: number of entries, number of deleted ones, number of fields, the fields' names, 0. Then each
//! entry: flags (1: deleted, 2: it has the master's fields), milliseconds and count beyond the node's first id; with the
//! master's fields: the values; otherwise number of fields, and names and values in turn; at last how many elements that were.

use super::id::StreamId;
use crate::types::Item;
use crate::types::listpack::{self, Listpack, ListpackRef};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Byte offsets of a listpack's first two elements, both single bytes at first.
const LIVE_AT: usize = 6;

/// Entries from `first` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    first: StreamId,
    listpack: Listpack,
}

/// What stands before the entries.
struct Master<'a> {
    live: usize,
    deleted: usize,
    fields: usize,
    /// At the first field's name.
    names: listpack::Iter<'a>,
    /// At the first entry.
    entries: listpack::Iter<'a>,
}

/// An entry of a stream.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Number of fields.
    pub len: usize,
    /// Names that stand with the master; none: they stand with the values.
    names: Option<listpack::Iter<'a>>,
    values: listpack::Iter<'a>,
}

impl<'a> Entry<'a> {
    /// Names and values.
    pub fn fields(self) -> impl Iterator<Item = (Item<'a>, Item<'a>)> {
        let (mut names, mut values) = (self.names, self.values);
        (0..self.len).map_while(move |_| {
            let name = match &mut names {
                Some(names) => names.next()?,
                None => values.next()?,
            };
            Some((name, values.next()?))
        })
    }
}

/// Where an entry is that is to be deleted.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    at: usize,
    flags: i64,
}

/// An entry and where it is.
struct Placed<'a> {
    at: usize,
    flags: i64,
    entry: Entry<'a>,
}

impl Node {
    /// A node whose first entry will have this id and these fields.
    pub(super) fn new<'f>(first: StreamId, names: impl ExactSizeIterator<Item = &'f [u8]>) -> Self {
        let mut listpack = Listpack::new();
        push(&mut listpack, 0);
        push(&mut listpack, 0);
        push(&mut listpack, names.len() as i64);
        for name in names {
            listpack.push_back(name);
        }
        push(&mut listpack, 0);
        Self { first, listpack }
    }

    /// Of bytes that a node wrote.
    pub(super) fn from_bytes(first: StreamId, bytes: Vec<u8>) -> Self {
        Self {
            first,
            listpack: Listpack::from_bytes(bytes),
        }
    }

    /// Of bytes from elsewhere; none if they are no node whose first id this may be.
    pub(super) fn checked(first: StreamId, bytes: Vec<u8>) -> Option<Self> {
        ListpackRef::validate(&bytes)?;
        let node = Self::from_bytes(first, bytes);
        let master = node.master()?;
        let (mut live, mut deleted) = (0, 0);
        let (mut end, mut last) = (master.entries.offset(), None);
        for placed in node.placed() {
            let entry = placed.entry;
            // Flags are overwritten in place; ids ascend.
            let flag = node.listpack.as_ref().bytes().get(placed.at);
            if !flag.is_some_and(|flag| i64::from(*flag) == placed.flags && *flag <= 3)
                || entry.id < first
                || last.is_some_and(|last| entry.id <= last)
            {
                return None;
            }
            last = Some(entry.id);
            if placed.flags & DELETED == 0 {
                live += 1;
            } else {
                deleted += 1;
            }
            // What `placed` gives is there as a whole: its number of fields is no greater than the node.
            let mut rest = entry.values;
            for _ in 0..=(entry.len * (2 - usize::from(entry.names.is_some()))) {
                rest.next();
            }
            end = rest.offset();
        }
        let is_whole = end + 1 == node.listpack.as_ref().bytes().len();
        (last.is_some() && is_whole && (live, deleted) == (master.live, master.deleted))
            .then_some(node)
    }

    pub(super) fn first(&self) -> StreamId {
        self.first
    }

    pub(super) fn listpack(&self) -> ListpackRef<'_> {
        self.listpack.as_ref()
    }

    pub(super) fn capacity(&self) -> usize {
        self.listpack.capacity()
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.listpack.shrink_to_fit();
    }

    fn master(&self) -> Option<Master<'_>> {
        let mut entries = self.listpack.as_ref().iter();
        let mut number = || usize::try_from(entries.next()?.int()?).ok();
        let (live, deleted, fields) = (number()?, number()?, number()?);
        let names = entries.clone();
        for _ in 0..=fields {
            entries.next()?;
        }
        Some(Master {
            live,
            deleted,
            fields,
            names,
            entries,
        })
    }

    /// Entries that are there.
    pub(super) fn live(&self) -> usize {
        self.master().map_or(0, |master| master.live)
    }

    /// True if an entry of so many bytes should go into another node.
    pub(super) fn is_full_for(&self, bytes: usize, max_bytes: usize, max_entries: usize) -> bool {
        let master = self.master();
        let entries = master.map_or(0, |master| master.live + master.deleted);
        (max_bytes > 0 && self.listpack.size_bytes() + bytes >= max_bytes)
            || (max_entries > 0 && entries >= max_entries)
    }

    /// Adds an entry, whose id is the greatest.
    pub(super) fn append(&mut self, id: StreamId, fields: &[[&[u8]; 2]]) {
        let Some(master) = self.master() else {
            return;
        };
        let names = master.names.clone().take(master.fields);
        let same = master.fields == fields.len()
            && names.zip(fields).all(|(name, [other, _])| name.is(other));
        let live = master.live;
        let listpack = &mut self.listpack;
        push(listpack, if same { SAME_FIELDS } else { 0 });
        push(listpack, id.ms.wrapping_sub(self.first.ms) as i64);
        push(listpack, id.seq.wrapping_sub(self.first.seq) as i64);
        if !same {
            push(listpack, fields.len() as i64);
        }
        for [name, value] in fields {
            if !same {
                listpack.push_back(name);
            }
            listpack.push_back(value);
        }
        let own = if same {
            fields.len()
        } else {
            fields.len() * 2 + 1
        };
        push(listpack, own as i64 + 3);
        self.set_counts(live + 1, None);
    }

    fn set_counts(&mut self, live: usize, deleted: Option<usize>) {
        let mut buffer = itoa::Buffer::new();
        let next = self
            .listpack
            .replace(LIVE_AT, buffer.format(live).as_bytes());
        if let Some(deleted) = deleted {
            self.listpack
                .replace(next, buffer.format(deleted).as_bytes());
        }
    }

    fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        let first = self.first;
        let mut master = self.master();
        std::iter::from_fn(move || {
            let master = master.as_mut()?;
            let entries = &mut master.entries;
            let at = entries.offset();
            let flags = entries.next()?.int()?;
            let (ms, seq) = (entries.next()?.int()?, entries.next()?.int()?);
            let id = StreamId {
                ms: first.ms.wrapping_add(ms as u64),
                seq: first.seq.wrapping_add(seq as u64),
            };
            let same = flags & SAME_FIELDS != 0;
            let len = if same {
                master.fields
            } else {
                usize::try_from(entries.next()?.int()?).ok()?
            };
            let entry = Entry {
                id,
                len,
                names: same.then(|| master.names.clone()),
                values: entries.clone(),
            };
            let elements = if same { len } else { len.checked_mul(2)? };
            for _ in 0..=elements {
                entries.next()?;
            }
            Some(Placed { at, flags, entry })
        })
    }

    /// The entries that are there, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let live = self.placed().filter(|placed| placed.flags & DELETED == 0);
        live.map(|placed| placed.entry)
    }

    /// The last entry's id, deleted or not.
    pub(super) fn last(&self) -> StreamId {
        let ids = self.placed().map(|placed| placed.entry.id);
        ids.last().unwrap_or(self.first)
    }

    /// The entry of this id, if it is there.
    pub(super) fn mark_of(&self, id: StreamId) -> Option<Mark> {
        let mut placed = self.placed();
        let found = placed.find(|placed| placed.entry.id >= id)?;
        (found.entry.id == id && found.flags & DELETED == 0).then_some(Mark {
            at: found.at,
            flags: found.flags,
        })
    }

    /// Marks entries as deleted that `goes`, until it says to stop (none). Answers how many.
    pub(super) fn delete(&mut self, mut goes: impl FnMut(StreamId) -> Option<bool>) -> usize {
        let mut marks = Vec::new();
        for Placed { at, flags, entry } in self.placed() {
            if flags & DELETED != 0 {
                continue;
            }
            match goes(entry.id) {
                Some(true) => marks.push(Mark { at, flags }),
                Some(false) => {}
                None => break,
            }
        }
        self.delete_marked(&marks);
        marks.len()
    }

    /// Marks entries as deleted, which are there.
    pub(super) fn delete_marked(&mut self, marks: &[Mark]) {
        let mut buffer = itoa::Buffer::new();
        for &Mark { at, flags } in marks {
            // A flag is a single byte: offsets stay.
            self.listpack
                .replace(at, buffer.format(flags | DELETED).as_bytes());
        }
        let counts = self.master().map(|master| (master.live, master.deleted));
        if let (Some((live, deleted)), false) = (counts, marks.is_empty()) {
            self.set_counts(live - marks.len(), Some(deleted + marks.len()));
        }
    }
}

fn push(listpack: &mut Listpack, number: i64) {
    listpack.push_back(itoa::Buffer::new().format(number).as_bytes());
}
