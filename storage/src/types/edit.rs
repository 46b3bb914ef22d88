//! What a change of a collection is told, and tells.

use super::hasher::KeyHasher;
use super::limits::Limits;

/// Given to every method that changes a collection: thresholds, the hash of elements, time, and where changed records go.
pub struct Edit<'e> {
    limits: &'e Limits,
    hasher: &'e KeyHasher,
    now_ms: u64,
    records: &'e mut dyn Records,
    changed: bool,
}

/// Where the records of a large collection's elements go.
pub(crate) trait Records {
    /// The collection has no records yet, or none that count any more: a new incarnation begins.
    fn begin(&mut self);
    /// An element's record. Its engine key is the incarnation, `hash` (big endian), `rest`.
    fn put(&mut self, hash: u32, rest: &[u8], value: &[&[u8]]);
    /// The element is gone.
    fn delete(&mut self, hash: u32, rest: &[u8]);
    /// A member's record, which is its score; `old` is the one that it had. On disk it is found by its score, too.
    fn put_score(&mut self, hash: u32, member: &[u8], score: f64, old: Option<f64>);
    /// The member, which had a score, is gone.
    fn delete_score(&mut self, hash: u32, member: &[u8], old: f64);
    /// The element expires at a time: a record besides its own, in the order of times.
    fn put_expiry(&mut self, at_ms: u64, hash: u32, rest: &[u8]);
    /// The element does not expire at that time any more.
    fn delete_expiry(&mut self, at_ms: u64, hash: u32, rest: &[u8]);
    /// The collection is flat again: no record counts any more.
    fn end(&mut self);
}

impl<'e> Edit<'e> {
    pub(crate) fn new(
        limits: &'e Limits,
        hasher: &'e KeyHasher,
        now_ms: u64,
        records: &'e mut dyn Records,
    ) -> Self {
        Self {
            limits,
            hasher,
            now_ms,
            records,
            changed: false,
        }
    }

    /// When flat becomes large.
    pub fn limits(&self) -> &'e Limits {
        self.limits
    }

    /// The keyed hash of an element, the same on all replicas.
    #[inline]
    pub fn hash(&self, element: &[u8]) -> u32 {
        self.hasher.hash(element)
    }

    /// The entry's time, in milliseconds of Unix time.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// True when something changed.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The flat representation changed, or what [`super::Large::meta`] says.
    pub(crate) fn changed(&mut self) {
        self.changed = true;
    }

    /// The collection becomes large; every element is to be [`Self::put`] next.
    pub(crate) fn begin(&mut self) {
        self.changed = true;
        self.records.begin();
    }

    /// The record of an element becomes `value`, its parts one behind the other.
    #[inline]
    pub(crate) fn put(&mut self, hash: u32, rest: &[u8], value: &[&[u8]]) {
        self.changed = true;
        self.records.put(hash, rest, value);
    }

    /// The record of an element goes.
    #[inline]
    pub(crate) fn delete(&mut self, hash: u32, rest: &[u8]) {
        self.changed = true;
        self.records.delete(hash, rest);
    }

    /// The score of a member becomes `score`; it was `old`.
    #[inline]
    pub(crate) fn put_score(&mut self, hash: u32, member: &[u8], score: f64, old: Option<f64>) {
        self.changed = true;
        self.records.put_score(hash, member, score, old);
    }

    /// A member that had a score goes.
    #[inline]
    pub(crate) fn delete_score(&mut self, hash: u32, member: &[u8], old: f64) {
        self.changed = true;
        self.records.delete_score(hash, member, old);
    }

    /// The expiry of an element becomes another one, or none.
    #[inline]
    pub(crate) fn expire(&mut self, hash: u32, rest: &[u8], old: Option<u64>, new: Option<u64>) {
        if old == new {
            return;
        }
        if let Some(at_ms) = old {
            self.records.delete_expiry(at_ms, hash, rest);
        }
        if let Some(at_ms) = new {
            self.records.put_expiry(at_ms, hash, rest);
        }
    }

    /// The collection becomes flat: none of its records counts any more.
    pub(crate) fn end(&mut self) {
        self.changed = true;
        self.records.end();
    }
}

/// Where records go that are written already.
pub(crate) struct Discard;

impl Records for Discard {
    fn begin(&mut self) {}
    fn put(&mut self, _: u32, _: &[u8], _: &[&[u8]]) {}
    fn delete(&mut self, _: u32, _: &[u8]) {}
    fn put_score(&mut self, _: u32, _: &[u8], _: f64, _: Option<f64>) {}
    fn delete_score(&mut self, _: u32, _: &[u8], _: f64) {}
    fn put_expiry(&mut self, _: u64, _: u32, _: &[u8]) {}
    fn delete_expiry(&mut self, _: u64, _: u32, _: &[u8]) {}
    fn end(&mut self) {}
}

/// Keeps records as a disk would, for tests of types.
#[cfg(test)]
pub(crate) struct Recorder {
    hasher: KeyHasher,
    records: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
    /// When elements expire, with their hashes.
    pub(crate) expiries: std::collections::BTreeSet<(u64, u32, Vec<u8>)>,
}

#[cfg(test)]
impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            hasher: KeyHasher::new(&[9; 16]),
            records: std::collections::BTreeMap::new(),
            expiries: std::collections::BTreeSet::new(),
        }
    }

    /// Runs a change.
    pub(crate) fn edit<R>(
        &mut self,
        limits: &Limits,
        change: impl FnOnce(&mut Edit<'_>) -> R,
    ) -> R {
        self.edit_at(limits, 0, change)
    }

    /// Runs a change at a time.
    pub(crate) fn edit_at<R>(
        &mut self,
        limits: &Limits,
        now_ms: u64,
        change: impl FnOnce(&mut Edit<'_>) -> R,
    ) -> R {
        let hasher = self.hasher.clone();
        change(&mut Edit::new(limits, &hasher, now_ms, self))
    }

    /// The keyed hash of an element.
    pub(crate) fn hash(&self, element: &[u8]) -> u32 {
        self.hasher.hash(element)
    }

    /// What a load would read: keys without the incarnation, and values.
    pub(crate) fn records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = self.records.iter();
        pairs
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Builds a structure from the records as they are.
    pub(crate) fn load<L: super::Large>(&self, meta: &[u8]) -> crate::Result<L> {
        let mut elements = self
            .records()
            .into_iter()
            .map(|(key, value)| Ok((key.into(), value.into())));
        L::load(meta, &mut elements)
    }
}

#[cfg(test)]
impl Records for Recorder {
    fn begin(&mut self) {
        self.end();
    }

    fn put(&mut self, hash: u32, rest: &[u8], value: &[&[u8]]) {
        self.records
            .insert([&hash.to_be_bytes()[..], rest].concat(), value.concat());
    }

    fn delete(&mut self, hash: u32, rest: &[u8]) {
        let gone = self
            .records
            .remove(&[&hash.to_be_bytes()[..], rest].concat());
        assert!(gone.is_some(), "only what was put is deleted");
    }

    fn put_score(&mut self, hash: u32, member: &[u8], score: f64, old: Option<f64>) {
        let key = [&hash.to_be_bytes()[..], member].concat();
        let was = self.records.insert(key, score.to_le_bytes().to_vec());
        assert_eq!(
            was,
            old.map(|old| old.to_le_bytes().to_vec()),
            "the score before is known"
        );
    }

    fn delete_score(&mut self, hash: u32, member: &[u8], old: f64) {
        let was = self
            .records
            .remove(&[&hash.to_be_bytes()[..], member].concat());
        assert_eq!(
            was,
            Some(old.to_le_bytes().to_vec()),
            "the score before is known"
        );
    }

    fn put_expiry(&mut self, at_ms: u64, hash: u32, rest: &[u8]) {
        let is_new = self.expiries.insert((at_ms, hash, rest.to_vec()));
        assert!(is_new, "what is there is not put");
    }

    fn delete_expiry(&mut self, at_ms: u64, hash: u32, rest: &[u8]) {
        let was_there = self.expiries.remove(&(at_ms, hash, rest.to_vec()));
        assert!(was_there, "only what was put is deleted");
    }

    fn end(&mut self) {
        self.records.clear();
        self.expiries.clear();
    }
}
