//! Consumer groups: who has read what, and what was not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::id::StreamId;

/// A group of consumers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Tells its records from other groups'.
    pub(super) number: u64,
    /// The last entry that was delivered.
    pub last_id: StreamId,
    /// How many entries were ever delivered, if that is known.
    pub entries_read: Option<u64>,
    /// What was delivered and not acknowledged.
    pub pending: BTreeMap<StreamId, Pending>,
    /// By name.
    pub consumers: BTreeMap<Arc<[u8]>, Consumer>,
}

impl Group {
    /// A group without consumers.
    pub(crate) fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self {
            last_id,
            entries_read,
            ..Self::default()
        }
    }
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// To whom it was delivered last.
    pub consumer: Arc<[u8]>,
    /// When, in milliseconds of Unix time.
    pub delivered_ms: u64,
    /// How often.
    pub count: u64,
}

/// A consumer of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumer {
    /// When it last asked, in milliseconds of Unix time.
    pub seen_ms: u64,
    /// When it last got something; none: never.
    pub active_ms: Option<u64>,
    /// What was delivered to it and not acknowledged.
    pub pending: BTreeSet<StreamId>,
}
