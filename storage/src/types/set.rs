//! Sets: members, each once.

use super::drawn::Numbers;
use super::edit::Edit;
use super::intset::{Intset, IntsetRef};
use super::item::Item;
use super::kind::{Encoding, Kind, parse_int};
use super::listpack::{self, Listpack, ListpackRef};
use super::table::{HashRange, Keyed, Step, Table};
use super::{
    Collection, Draw, Drawn, Elements, Large, Missing, Parts, check_len, count_absent, digest,
    split_key,
};
use crate::{Result, prefetch};

/// A set.
pub enum Set {
    /// Few members, all of them numbers, ascending.
    Intset(Intset),
    /// Few short members, in order of insertion.
    Listpack(Listpack),
    /// Anything else.
    Table(Box<SetTable>),
}

/// A set to read.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    /// Few members, all of them numbers, ascending.
    Intset(IntsetRef<'a>),
    /// Few short members, in order of insertion.
    Listpack(ListpackRef<'a>),
    /// Anything else.
    Table(&'a SetTable),
}

/// A large set.
#[derive(Clone, Default)]
pub struct SetTable {
    members: Table<Member>,
    /// Allocated by the table and by each member.
    bytes: usize,
    /// Members that are only on disk: of a part.
    absent: usize,
    /// None of them has one of these hashes.
    complete: Vec<HashRange>,
}

#[derive(Clone)]
struct Member(Box<[u8]>);

impl Keyed for Member {
    #[inline]
    fn key(&self) -> &[u8] {
        &self.0
    }

    #[inline]
    fn prefetch(&self) {
        prefetch::object(&*self.0);
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::Intset(Intset::default())
    }
}

impl Set {
    /// To read it.
    #[inline]
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Self::Intset(intset) => SetRef::Intset(intset.as_ref()),
            Self::Listpack(listpack) => SetRef::Listpack(listpack.as_ref()),
            Self::Table(table) => SetRef::Table(table),
        }
    }

    /// Says that these members are about to be added: what they will not fit becomes large at once, as in Redis, even if some
    /// of them are the same member.
    pub fn expect(&mut self, members: &[&[u8]], edit: &mut Edit<'_>) {
        let limits = edit.limits();
        let (numbers, any) = (
            limits.set_max_intset_entries,
            limits.set_max_listpack_entries,
        );
        let count = members.len();
        let is_number = || {
            members
                .first()
                .is_some_and(|first| parse_int(first).is_some())
        };
        match self {
            Self::Intset(intset) if intset.as_ref().is_empty() => {
                if is_number() && count <= numbers {
                    // An intset, until another member comes.
                } else if count <= any {
                    *self = Self::Listpack(Listpack::new());
                } else {
                    self.enlarge(edit);
                }
            }
            Self::Intset(_) if count > numbers => self.enlarge(edit),
            Self::Listpack(_) if count > any => self.enlarge(edit),
            _ => {}
        }
    }

    /// Adds a member. True if it was not there.
    pub fn insert(&mut self, member: &[u8], edit: &mut Edit<'_>) -> bool {
        let added = match self {
            Self::Intset(intset) => match parse_int(member) {
                Some(number) => {
                    let added = intset.insert(number);
                    if intset.as_ref().len() > edit.limits().set_max_intset_entries {
                        self.enlarge(edit);
                    }
                    added
                }
                None => {
                    self.widen(member, edit);
                    return self.insert(member, edit);
                }
            },
            Self::Listpack(listpack) => {
                let limits = edit.limits();
                if listpack.as_ref().find(member, 1).is_some() {
                    return false;
                }
                if listpack.as_ref().len() >= limits.set_max_listpack_entries
                    || member.len() > limits.set_max_listpack_value
                {
                    self.enlarge(edit);
                    return self.insert(member, edit);
                }
                listpack.push_back(member);
                true
            }
            Self::Table(table) => table.insert(member, edit),
        };
        if added {
            edit.changed();
        }
        added
    }

    /// Removes a member. True if it was there.
    pub fn remove(&mut self, member: &[u8], edit: &mut Edit<'_>) -> bool {
        let removed = match self {
            Self::Intset(intset) => parse_int(member).is_some_and(|number| intset.remove(number)),
            Self::Listpack(listpack) => match listpack.as_ref().find(member, 1) {
                Some(at) => {
                    listpack.remove(at, 1);
                    true
                }
                None => false,
            },
            Self::Table(table) => table.remove(member, edit),
        };
        if removed {
            edit.changed();
        }
        removed
    }

    /// An intset becomes what can hold `member`, which is no number: flat if it may be.
    fn widen(&mut self, member: &[u8], edit: &mut Edit<'_>) {
        let limits = edit.limits();
        let len = self.as_ref().len();
        let longest = self.longest();
        if len < limits.set_max_listpack_entries
            && member.len() <= limits.set_max_listpack_value
            && longest <= limits.set_max_listpack_value
        {
            self.become_listpack();
            edit.changed();
        } else {
            self.enlarge(edit);
        }
    }

    fn longest(&self) -> usize {
        self.as_ref().iter().map(Item::len).max().unwrap_or(0)
    }

    fn become_listpack(&mut self) {
        let mut listpack = Listpack::new();
        let mut buffer = itoa::Buffer::new();
        for member in self.as_ref().iter() {
            listpack.push_back(member.bytes(&mut buffer));
        }
        *self = Self::Listpack(listpack);
    }

    /// Becomes large.
    fn enlarge(&mut self, edit: &mut Edit<'_>) {
        let mut table = Box::<SetTable>::default();
        edit.begin();
        let mut buffer = itoa::Buffer::new();
        for member in self.as_ref().iter() {
            table.insert(member.bytes(&mut buffer), edit);
        }
        *self = Self::Table(table);
    }
}

impl<'a> SetRef<'a> {
    /// Number of members.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Intset(intset) => intset.len(),
            Self::Listpack(listpack) => listpack.len(),
            Self::Table(table) => table.len(),
        }
    }

    /// True without members.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// True of few short members, which have an order.
    #[inline]
    pub fn is_flat(self) -> bool {
        !matches!(self, Self::Table(_))
    }

    /// True if `member` is one. `hash` is asked for its keyed hash only if that is needed.
    #[inline]
    pub fn contains(self, member: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> bool {
        match self {
            Self::Intset(intset) => parse_int(member).is_some_and(|number| intset.contains(number)),
            Self::Listpack(listpack) => listpack.find(member, 1).is_some(),
            Self::Table(table) => table.members.find(hash(member), member).is_some(),
        }
    }

    /// All members, each once.
    pub fn iter(self) -> SetIter<'a> {
        SetIter(match self {
            Self::Intset(intset) => Source::Intset(intset, 0),
            Self::Listpack(listpack) => Source::Listpack(listpack.iter()),
            Self::Table(table) => Source::Table(Box::new(table.members.iter())),
        })
    }

    /// The `nth` member of a flat set; none of a large one, which has no order that lasts.
    pub fn nth_flat(self, nth: usize) -> Option<Item<'a>> {
        match self {
            Self::Intset(intset) => intset.get(nth).map(Item::Int),
            Self::Listpack(listpack) => listpack.get(nth),
            Self::Table(_) => None,
        }
    }

    /// A member drawn with equal chances; the same numbers give the same member on every replica.
    pub fn random(self, random: &mut dyn FnMut() -> u64) -> Option<Item<'a>> {
        match self {
            Self::Intset(_) | Self::Listpack(_) => {
                let nth = random().checked_rem(self.len() as u64)?;
                self.nth_flat(nth as usize)
            }
            Self::Table(table) => {
                let drawn = table.draw(random);
                debug_assert!(drawn.is_ok(), "a part has what is drawn from it");
                let (_, member) = drawn.ok().flatten()?;
                Some(Item::Bytes(&member.0))
            }
        }
    }

    /// The members that [`Self::random`] draws with the numbers from each of these seeds, if nothing changes in between, and their
    /// hashes; looked for together. None of a flat set.
    pub(crate) fn drawn_ahead(self, seeds: &[u64]) -> impl Iterator<Item = (u32, &'a [u8])> {
        let drawn = match self {
            Self::Intset(_) | Self::Listpack(_) => None,
            Self::Table(table) => {
                let (members, complete) = (&table.members, &table.complete);
                Some(members.draw_ahead(table.absent, complete, seeds))
            }
        };
        let drawn = drawn.into_iter().flatten();
        drawn.map(|(hash, member)| (hash, member.key()))
    }

    /// Walks on from a cursor (0: from the start) over about `count` members; answers the next cursor, 0 at the end. A
    /// flat set is given whole.
    pub fn scan(self, cursor: u64, count: usize) -> (u64, Vec<Item<'a>>) {
        match self {
            Self::Intset(_) | Self::Listpack(_) => (0, self.iter().collect()),
            Self::Table(table) => {
                let Ok(from) = u32::try_from(cursor) else {
                    return (0, Vec::new());
                };
                let (next, members) = table.members.scan(from, count);
                let items = members.into_iter().map(|member| Item::Bytes(&member.0));
                (next.map_or(0, u64::from), items.collect())
            }
        }
    }
}

/// Members, each once. See [`SetRef::iter`].
pub struct SetIter<'a>(Source<'a>);

enum Source<'a> {
    Intset(IntsetRef<'a>, usize),
    Listpack(listpack::Iter<'a>),
    Table(Box<dyn Iterator<Item = &'a Member> + 'a>),
}

impl<'a> Iterator for SetIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match &mut self.0 {
            Source::Intset(intset, nth) => {
                let number = intset.get(*nth)?;
                *nth += 1;
                Some(Item::Int(number))
            }
            Source::Listpack(members) => members.next(),
            Source::Table(members) => members.next().map(|member| Item::Bytes(&member.0)),
        }
    }
}

impl SetTable {
    fn gather(elements: &mut Elements<'_>) -> Result<Self> {
        let mut table = Self::default();
        for element in elements {
            let (key, _) = element?;
            let (hash, member) = split_key(&key)?;
            table.add(hash, member);
        }
        Ok(table)
    }

    /// A member drawn at random, and its hash; of a part, an error if it misses members that have to be looked at.
    fn draw(&self, random: &mut dyn FnMut() -> u64) -> Result<Option<(u32, &Member)>, HashRange> {
        self.members.draw(self.absent, &self.complete, random)
    }

    fn insert(&mut self, member: &[u8], edit: &mut Edit<'_>) -> bool {
        let hash = edit.hash(member);
        if self.members.find(hash, member).is_some() {
            return false;
        }
        edit.put(hash, member, &[]);
        self.add(hash, member);
        true
    }

    /// Adds a new member in memory only.
    fn add(&mut self, hash: u32, member: &[u8]) {
        let change = self.members.insert(hash, Member(member.into()));
        self.bytes = (self.bytes + member.len()).wrapping_add_signed(change);
    }

    fn remove(&mut self, member: &[u8], edit: &mut Edit<'_>) -> bool {
        let hash = edit.hash(member);
        let Some((removed, change)) = self.members.remove(hash, member) else {
            return false;
        };
        self.bytes = (self.bytes - removed.0.len()).wrapping_add_signed(change);
        edit.delete(hash, member);
        true
    }
}

impl Large for SetTable {
    const ENCODING: Encoding = Encoding::Hashtable;

    fn len(&self) -> usize {
        self.members.len() + self.absent
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let table = Self::gather(elements)?;
        check_len("set", meta, table.members.len())?;
        Ok(table)
    }

    fn load_part(
        meta: &[u8],
        elements: &mut Elements<'_>,
        missing: &Missing,
    ) -> Result<Option<Self>> {
        let mut table = Self::gather(elements)?;
        table.absent = count_absent("set", meta, table.members.len())?;
        table.complete.clone_from(&missing.complete);
        Ok(Some(table))
    }

    fn missing_for(&self, draw: Draw) -> Vec<HashRange> {
        let Drawn::Taken(taken) = draw.drawn else {
            return draw.missing_of(self.len(), |random| {
                Ok(self.draw(random)?.map(|(_, member)| &member.0[..]))
            });
        };
        let mut numbers = Numbers::of(draw);
        let mut rest = self.clone();
        for to_draw in (1..=taken).rev() {
            let (hash, member) = match rest.draw(&mut || numbers.next()) {
                Ok(Some((hash, member))) => (hash, member.0.clone()),
                Ok(None) => break,
                Err(missing) => return numbers.missing(missing, rest.len(), to_draw),
            };
            rest.members.remove(hash, &member);
        }
        Vec::new()
    }

    fn overlay(&mut self, member: &[u8], record: Option<&[u8]>, edit: &mut Edit<'_>) -> Result<()> {
        match record {
            Some(_) => self.insert(member, edit),
            None => self.remove(member, edit),
        };
        Ok(())
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for Member(member) in self.members.iter() {
            edit.put(edit.hash(member), member, &[]);
        }
    }

    #[inline]
    fn prefetch(&self, step: Step, hash: u32) {
        self.members.prefetch(step, hash);
    }

    fn digest(&self) -> u64 {
        let members = self.members.iter();
        members.fold(0, |sum, member| sum.wrapping_add(digest(&member.0)))
    }
}

impl Collection for Set {
    const KIND: Kind = Kind::Set;
    type Large = SetTable;
    type Ref<'a> = SetRef<'a>;

    fn from_flat(encoding: Encoding, bytes: Vec<u8>) -> Self {
        match encoding {
            Encoding::Intset => Self::Intset(Intset::from_bytes(bytes)),
            _ => Self::Listpack(Listpack::from_bytes(bytes)),
        }
    }

    fn from_large(large: Box<SetTable>) -> Self {
        Self::Table(large)
    }

    fn into_parts(self) -> Parts<SetTable> {
        match self {
            Self::Intset(intset) => Parts::Flat(Encoding::Intset, intset.into_bytes()),
            Self::Listpack(listpack) => Parts::Flat(Encoding::Listpack, listpack.into_bytes()),
            Self::Table(table) => Parts::Large(table),
        }
    }

    fn flat_ref(encoding: Encoding, bytes: &[u8]) -> SetRef<'_> {
        match encoding {
            Encoding::Intset => SetRef::Intset(IntsetRef::new(bytes)),
            _ => SetRef::Listpack(ListpackRef::new(bytes)),
        }
    }

    fn large_ref(large: &SetTable) -> SetRef<'_> {
        SetRef::Table(large)
    }

    fn is_vacant(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Limits, Recorder};

    type Model = BTreeSet<Vec<u8>>;

    fn contents(set: SetRef<'_>) -> Model {
        let members: Vec<_> = set.iter().collect();
        let model: Model = members.iter().map(|member| member.to_vec()).collect();
        assert_eq!(members.len(), model.len(), "each member once");
        model
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => (0i64..30).prop_map(|n| (n * n * n * 1000).to_string().into_bytes()),
            1 => (0u8..20).prop_map(|n| vec![n; usize::from(n)]),
        ]
    }

    proptest! {
        #[test]
        fn is_a_set_and_comes_back_from_its_records(
            steps in proptest::collection::vec((member(), 0u8..4), 0..60), intset in 0usize..8, listpack in 0usize..12)
        {
            let limits = Limits {
                set_max_intset_entries: intset, set_max_listpack_entries: listpack, set_max_listpack_value: 12,
                ..Limits::default()
            };
            let (mut set, mut recorder, mut model) = (Set::default(), Recorder::new(), Model::new());
            for (member, action) in steps {
                if action == 0 {
                    let removed = recorder.edit(&limits, |edit| set.remove(&member, edit));
                    prop_assert_eq!(removed, model.remove(&member));
                } else {
                    let added = recorder.edit(&limits, |edit| set.insert(&member, edit));
                    prop_assert_eq!(added, model.insert(member.clone()));
                }
                prop_assert_eq!(contents(set.as_ref()), model.clone());
                let found = set.as_ref().contains(&member, |member| recorder.hash(member));
                prop_assert_eq!(found, model.contains(&member));
                match &set {
                    Set::Table(table) => {
                        let mut meta = Vec::new();
                        table.meta(&mut meta);
                        let loaded: SetTable = recorder.load(&meta).unwrap();
                        prop_assert_eq!(contents(SetRef::Table(&loaded)), model.clone());
                        prop_assert_eq!(loaded.digest(), table.digest());
                    }
                    Set::Intset(set) => prop_assert!(set.as_ref().len() <= intset),
                    Set::Listpack(set) => prop_assert!(set.as_ref().len() <= listpack),
                }
            }
        }
    }

    #[test]
    fn encodings_are_redis_s() {
        let limits = Limits::default();
        let mut recorder = Recorder::new();
        recorder.edit(&limits, |edit| {
            let mut set = Set::default();
            for n in 0..512 {
                set.insert(n.to_string().as_bytes(), edit);
            }
            assert!(matches!(set, Set::Intset(_)));
            set.insert(b"512", edit);
            assert!(matches!(set, Set::Table(_)), "too many for a listpack, too");

            let mut set = Set::default();
            set.insert(b"1", edit);
            set.insert(b"a", edit);
            assert!(matches!(set, Set::Listpack(_)));
            set.remove(b"a", edit);
            assert!(matches!(set, Set::Listpack(_)), "there is no way back");
            set.insert(&[b'x'; 65], edit);
            assert!(matches!(set, Set::Table(_)));
        });
    }

    /// What SADD of so many members says before it adds them.
    #[test]
    fn what_is_expected_decides_as_in_redis() {
        let limits = Limits {
            set_max_intset_entries: 4,
            set_max_listpack_entries: 8,
            ..Limits::default()
        };
        let expected = |first: &[u8], count: usize, held: &[&[u8]]| {
            let mut set = Set::default();
            Recorder::new().edit(&limits, |edit| {
                for member in held {
                    set.insert(member, edit);
                }
                set.expect(&vec![first; count], edit);
            });
            match set {
                Set::Intset(_) => Encoding::Intset,
                Set::Listpack(_) => Encoding::Listpack,
                Set::Table(_) => Encoding::Hashtable,
            }
        };
        assert_eq!(expected(b"1", 4, &[]), Encoding::Intset);
        assert_eq!(expected(b"1", 5, &[]), Encoding::Listpack);
        assert_eq!(expected(b"1", 9, &[]), Encoding::Hashtable);
        assert_eq!(expected(b"a", 1, &[]), Encoding::Listpack);
        assert_eq!(expected(b"a", 9, &[]), Encoding::Hashtable);
        assert_eq!(expected(b"a", 4, &[b"1"]), Encoding::Intset);
        assert_eq!(expected(b"1", 5, &[b"1"]), Encoding::Hashtable);
        assert_eq!(expected(b"1", 8, &[b"a"]), Encoding::Listpack);
        assert_eq!(expected(b"1", 9, &[b"a"]), Encoding::Hashtable);
    }
}
