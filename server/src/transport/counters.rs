//! Counters, by the `metrics` crate: a recorder must be installed before the transport starts, else they count nowhere.
//!
//! | name | labels | counts |
//! |---|---|---|
//! | `tinykv_transport_sent_bytes`, `tinykv_transport_received_bytes` | purpose | bytes on open links |
//! | `tinykv_transport_messages_sent`, `tinykv_transport_messages_dropped` | store | raft messages |
//! | `tinykv_transport_forwarded` | store | requests forwarded |
//! | `tinykv_transport_connects` | store, purpose | links opened; from the second on, reconnections |
//! | `tinykv_transport_refused` | | connections turned away |

use metrics::{Counter, counter};
use storage::ids::StoreId;

use super::auth::Purpose;

/// Bytes of one connection's purpose.
pub(super) struct ByteCounters {
    pub(super) sent: Counter,
    pub(super) received: Counter,
}

impl ByteCounters {
    pub(super) fn new(purpose: Purpose) -> Self {
        Self {
            sent: counter!("tinykv_transport_sent_bytes", "purpose" => purpose.name()),
            received: counter!("tinykv_transport_received_bytes", "purpose" => purpose.name()),
        }
    }
}

/// Raft messages to one Store.
pub(super) struct MessageCounters {
    pub(super) sent: Counter,
    pub(super) dropped: Counter,
}

impl MessageCounters {
    pub(super) fn new(store: StoreId) -> Self {
        Self {
            sent: counter!("tinykv_transport_messages_sent", "store" => store.to_string()),
            dropped: counter!("tinykv_transport_messages_dropped", "store" => store.to_string()),
        }
    }
}

/// Requests forwarded to one Store.
pub(super) fn forwarded(store: StoreId) -> Counter {
    counter!("tinykv_transport_forwarded", "store" => store.to_string())
}

/// Links opened to one Store.
pub(super) fn connects(store: StoreId, purpose: Purpose) -> Counter {
    counter!("tinykv_transport_connects", "store" => store.to_string(), "purpose" => purpose.name())
}

/// Connections turned away.
pub(super) fn refused() -> Counter {
    counter!("tinykv_transport_refused")
}
