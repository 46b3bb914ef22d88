//! When a flat collection becomes large.

use crate::proto::command as pb;

/// Redis's directives of the same names. They decide how a collection is represented, and so which member SPOP takes: the
/// leader stamps its own into every entry, and all replicas follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `hash-max-listpack-entries`: fields of a flat hash.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`: bytes of its longest field or value.
    pub hash_max_listpack_value: usize,
    /// `set-max-intset-entries`: members of an intset.
    pub set_max_intset_entries: usize,
    /// `set-max-listpack-entries`: members of a flat set that is not an intset.
    pub set_max_listpack_entries: usize,
    /// `set-max-listpack-value`: bytes of its longest member.
    pub set_max_listpack_value: usize,
    /// `zset-max-listpack-entries`: members of a flat sorted set.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`: bytes of its longest member.
    pub zset_max_listpack_value: usize,
    /// `list-max-listpack-size`: elements of a flat list; negative, -1 to -5: 4, 8, 16, 32, 64 KB.
    pub list_max_listpack_size: i64,
    /// `stream-node-max-bytes`: bytes of a stream's node; 0: any.
    pub stream_node_max_bytes: usize,
    /// `stream-node-max-entries`: entries of a stream's node; 0: any.
    pub stream_node_max_entries: usize,
}

impl Default for Limits {
    /// Those of Redis 7.2.
    fn default() -> Self {
        Self {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            list_max_listpack_size: -2,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
        }
    }
}

impl From<pb::Limits> for Limits {
    fn from(message: pb::Limits) -> Self {
        Self {
            hash_max_listpack_entries: message.hash_max_listpack_entries as usize,
            hash_max_listpack_value: message.hash_max_listpack_value as usize,
            set_max_intset_entries: message.set_max_intset_entries as usize,
            set_max_listpack_entries: message.set_max_listpack_entries as usize,
            set_max_listpack_value: message.set_max_listpack_value as usize,
            zset_max_listpack_entries: message.zset_max_listpack_entries as usize,
            zset_max_listpack_value: message.zset_max_listpack_value as usize,
            stream_node_max_bytes: message.stream_node_max_bytes as usize,
            stream_node_max_entries: message.stream_node_max_entries as usize,
            list_max_listpack_size: message.list_max_listpack_size,
        }
    }
}

impl From<Limits> for pb::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            hash_max_listpack_entries: limits.hash_max_listpack_entries as u64,
            hash_max_listpack_value: limits.hash_max_listpack_value as u64,
            set_max_intset_entries: limits.set_max_intset_entries as u64,
            set_max_listpack_entries: limits.set_max_listpack_entries as u64,
            set_max_listpack_value: limits.set_max_listpack_value as u64,
            zset_max_listpack_entries: limits.zset_max_listpack_entries as u64,
            zset_max_listpack_value: limits.zset_max_listpack_value as u64,
            stream_node_max_bytes: limits.stream_node_max_bytes as u64,
            stream_node_max_entries: limits.stream_node_max_entries as u64,
            list_max_listpack_size: limits.list_max_listpack_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_travel() {
        let limits = Limits {
            list_max_listpack_size: -5,
            stream_node_max_bytes: 7,
            ..Limits::default()
        };
        assert_eq!(Limits::from(pb::Limits::from(limits)), limits);
    }
}
