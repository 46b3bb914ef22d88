//! Large sorted sets.

use std::sync::Arc;

use super::Change;
use crate::types::edit::Edit;
use crate::types::kind::Encoding;
use crate::types::ranked::{Ranked, Ranking, order};
use crate::types::table::{Step, Table};
use crate::types::{Elements, Large, Missing, check_len, count_absent, digest, split_key};
use crate::{Error, Result};

/// A large sorted set: each member in a table and, sharing its bytes, in a tree.
#[derive(Clone, Default)]
pub struct ZSetTree {
    pub(super) members: Table<Ranked>,
    pub(super) ranking: Ranking,
    /// Allocated by the table and by members.
    bytes: usize,
    /// Members that are only on disk: of a part.
    absent: usize,
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

    pub(super) fn remove(&mut self, member: &[u8], edit: &mut Edit<'_>) -> Option<f64> {
        let score = self.forget(member, edit)?;
        self.ranking.remove(score, member);
        Some(score)
    }

    pub(super) fn remove_at(&mut self, rank: usize, edit: &mut Edit<'_>) {
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
        self.ranking.len() + self.absent
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes + self.ranking.memory_bytes()
    }

    fn meta(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
    }

    fn load(meta: &[u8], elements: &mut Elements<'_>) -> Result<Self> {
        let tree = Self::gather(elements)?;
        check_len("sorted set", meta, tree.ranking.len())?;
        Ok(tree)
    }

    fn load_part(meta: &[u8], elements: &mut Elements<'_>, _: &Missing) -> Result<Option<Self>> {
        let mut tree = Self::gather(elements)?;
        tree.absent = count_absent("sorted set", meta, tree.ranking.len())?;
        Ok(Some(tree))
    }

    fn write_all(&self, edit: &mut Edit<'_>) {
        for Ranked { score, member } in self.members.iter() {
            edit.put(edit.hash(member), member, &[&score.to_le_bytes()]);
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
