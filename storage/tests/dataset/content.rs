//! What the model of the data set holds at a key.

use std::collections::{BTreeMap, BTreeSet};

use storage::dataset::Object;
use storage::types::{Encoding, Kind};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    String(Vec<u8>, Encoding),
    Set(BTreeSet<Vec<u8>>),
    Hash(Fields),
    /// Scores by member.
    SortedSet(BTreeMap<Vec<u8>, i32>),
}

/// Values and expiries by field.
pub(crate) type Fields = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

impl Content {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::String(..) => Kind::String,
            Self::Set(_) => Kind::Set,
            Self::Hash(_) => Kind::Hash,
            Self::SortedSet(_) => Kind::ZSet,
        }
    }

    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            Self::String(..) => false,
            Self::Set(members) => members.is_empty(),
            Self::Hash(fields) => fields.is_empty(),
            Self::SortedSet(scores) => scores.is_empty(),
        }
    }

    /// What is there of it at a time.
    pub(crate) fn at(mut self, now_ms: u64) -> Self {
        if let Self::Hash(fields) = &mut self {
            fields.retain(|_, (_, expire_at_ms)| expire_at_ms.is_none_or(|at_ms| now_ms <= at_ms));
        }
        self
    }

    pub(crate) fn of(object: &Object<'_>) -> Self {
        if let Some(set) = object.set() {
            let members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
            assert_eq!(members.len(), set.len());
            Self::Set(members.into_iter().collect())
        } else if let Some(hash) = object.hash() {
            let fields = hash.iter_expiring();
            let fields: Vec<_> = fields
                .map(|(field, value, at_ms)| (field.to_vec(), (value.to_vec(), at_ms)))
                .collect();
            assert_eq!(fields.len(), hash.len());
            Self::Hash(fields.into_iter().collect())
        } else if let Some(set) = object.zset() {
            let scores: Vec<_> = set
                .iter()
                .map(|(member, score)| (score as i32, member.to_vec()))
                .collect();
            assert!(scores.is_sorted());
            assert_eq!(scores.len(), set.len());
            Self::SortedSet(
                scores
                    .into_iter()
                    .map(|(score, member)| (member, score))
                    .collect(),
            )
        } else {
            Self::String(object.string().unwrap().into_owned(), object.encoding())
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) content: Content,
    pub(crate) expire_at_ms: Option<u64>,
}

impl Item {
    /// What is there of it at a time.
    pub(crate) fn at(self, now_ms: u64) -> Option<Self> {
        if self.expire_at_ms.is_some_and(|at_ms| now_ms > at_ms) {
            return None;
        }
        let content = self.content.at(now_ms);
        (!content.is_vacant()).then_some(Self { content, ..self })
    }
}
