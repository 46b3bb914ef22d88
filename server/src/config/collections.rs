//! The directives of [`storage::types::Limits`]: when a collection is no longer kept in one piece of memory.

use super::directives::Directive;
use super::kind::Kind;
use super::settings::Settings;

/// As Redis has it.
const LONG_MAX: u64 = i64::MAX as u64;

macro_rules! count_of {
    ($field:ident) => {
        Kind::Int {
            min: 0,
            max: LONG_MAX,
            get: |s: &Settings| s.limits.$field as u64,
            set: |s: &mut Settings, value| s.limits.$field = value as usize,
        }
    };
}

/// The rows.
pub const ROWS: &[Directive] = &[
    Directive::new(
        "hash-max-listpack-entries",
        "512",
        count_of!(hash_max_listpack_entries),
        "A hash of at most so many fields is kept in one piece. In a cluster, the leader's value of this and of the following \
         counts for all nodes.",
    )
    .aliases(&["hash-max-ziplist-entries"])
    .run_time(),
    Directive::new(
        "hash-max-listpack-value",
        "64",
        count_of!(hash_max_listpack_value),
        "And if none of its fields and values is longer than so many bytes.",
    )
    .aliases(&["hash-max-ziplist-value"])
    .run_time(),
    Directive::new(
        "list-max-listpack-size",
        "-2",
        Kind::Signed {
            min: i32::MIN as i64,
            max: i32::MAX as i64,
            get: |s: &Settings| s.limits.list_max_listpack_size,
            set: |s: &mut Settings, value| s.limits.list_max_listpack_size = value,
        },
        "A list of at most so many elements is kept in one piece; -1 to -5: of at most 4, 8, 16, 32, 64 KB.",
    )
    .aliases(&["list-max-ziplist-size"])
    .run_time(),
    Directive::new(
        "set-max-intset-entries",
        "512",
        count_of!(set_max_intset_entries),
        "A set of at most so many members, all of them integers, is kept as sorted numbers.",
    )
    .run_time(),
    Directive::new(
        "set-max-listpack-entries",
        "128",
        count_of!(set_max_listpack_entries),
        "A set of at most so many members is kept in one piece.",
    )
    .run_time(),
    Directive::new(
        "set-max-listpack-value",
        "64",
        count_of!(set_max_listpack_value),
        "And if none of its members is longer than so many bytes.",
    )
    .run_time(),
    Directive::new(
        "zset-max-listpack-entries",
        "128",
        count_of!(zset_max_listpack_entries),
        "A sorted set of at most so many members is kept in one piece.",
    )
    .aliases(&["zset-max-ziplist-entries"])
    .run_time(),
    Directive::new(
        "zset-max-listpack-value",
        "64",
        count_of!(zset_max_listpack_value),
        "And if none of its members is longer than so many bytes.",
    )
    .aliases(&["zset-max-ziplist-value"])
    .run_time(),
    Directive::new(
        "stream-node-max-bytes",
        "4096",
        Kind::Memory {
            min: 0,
            max: LONG_MAX,
            get: |s: &Settings| s.limits.stream_node_max_bytes as u64,
            set: |s: &mut Settings, value| s.limits.stream_node_max_bytes = value as usize,
        },
        "Entries of a stream are kept together in pieces of at most so many bytes; 0: any number.",
    )
    .run_time(),
    Directive::new(
        "stream-node-max-entries",
        "100",
        count_of!(stream_node_max_entries),
        "And of at most so many entries; 0: any number.",
    )
    .run_time(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_entries_that_name_none() {
        assert_eq!(
            Settings::default().limits,
            storage::types::Limits::default()
        );
    }
}
