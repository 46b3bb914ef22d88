//! What the model of the data set holds at a key.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use storage::dataset::Object;
use storage::types::stream::{StreamId, StreamRef};
use storage::types::{Encoding, Kind};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    String(Vec<u8>, Encoding),
    Set(BTreeSet<Vec<u8>>),
    Hash(Fields),
    /// Scores by member.
    SortedSet(BTreeMap<Vec<u8>, i32>),
    List(VecDeque<Vec<u8>>),
    Stream(Log),
}

/// Names and values of an entry.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Entries and groups of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Log {
    pub(crate) entries: Vec<(StreamId, Pairs)>,
    pub(crate) last_id: StreamId,
    pub(crate) added: u64,
    pub(crate) groups: BTreeMap<Vec<u8>, Group>,
}

/// A group of consumers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) last_id: StreamId,
    pub(crate) entries_read: Option<u64>,
    /// Consumer, time and number of deliveries by id.
    pub(crate) pending: BTreeMap<StreamId, (Vec<u8>, u64, u64)>,
    /// When each was seen and got something.
    pub(crate) consumers: BTreeMap<Vec<u8>, (u64, Option<u64>)>,
}

impl Group {
    /// Notes a delivery to a consumer; true if the consumer is new.
    pub(crate) fn deliver(&mut self, consumer: u8, id: StreamId, now_ms: u64, count: u64) -> bool {
        self.last_id = id;
        self.entries_read = Some(count);
        self.pending.insert(id, (vec![consumer], now_ms, count));
        let seen = (now_ms, Some(now_ms));
        self.consumers.insert(vec![consumer], seen).is_none()
    }
}

impl Log {
    fn of(stream: StreamRef<'_>) -> Self {
        let entries = stream.entries(StreamId::MIN..=StreamId::MAX);
        let fields = |entry: storage::types::stream::Entry<'_>| {
            let fields = entry.fields();
            fields
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect()
        };
        let entries: Vec<_> = entries.map(|entry| (entry.id, fields(entry))).collect();
        assert_eq!(entries.len(), stream.len());
        let groups = stream.groups().map(|(name, group)| {
            let pending = group.pending.iter().map(|(&id, pending)| {
                let (consumer, known) = (&pending.consumer, &group.consumers[&pending.consumer]);
                assert!(known.pending.contains(&id));
                (id, (consumer.to_vec(), pending.delivered_ms, pending.count))
            });
            let pending: BTreeMap<_, _> = pending.collect();
            let of_all: usize = group
                .consumers
                .values()
                .map(|known| known.pending.len())
                .sum();
            assert_eq!(of_all, pending.len());
            let consumers = group.consumers.iter();
            let consumers =
                consumers.map(|(name, known)| (name.to_vec(), (known.seen_ms, known.active_ms)));
            let group = Group {
                last_id: group.last_id,
                entries_read: group.entries_read,
                pending,
                consumers: consumers.collect(),
            };
            (name.to_vec(), group)
        });
        Self {
            entries,
            last_id: stream.last_id(),
            added: stream.entries_added(),
            groups: groups.collect(),
        }
    }
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
            Self::List(_) => Kind::List,
            Self::Stream(_) => Kind::Stream,
        }
    }

    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            // A stream stays when its last entry goes.
            Self::String(..) | Self::Stream(_) => false,
            Self::List(elements) => elements.is_empty(),
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
        } else if let Some(list) = object.list() {
            let elements: VecDeque<_> = list.iter().map(|element| element.to_vec()).collect();
            assert_eq!(elements.len(), list.len());
            Self::List(elements)
        } else if let Some(stream) = object.stream() {
            Self::Stream(Log::of(stream))
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
