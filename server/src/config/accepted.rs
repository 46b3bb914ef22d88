//! Directives of Redis that tools set and read, and on which nothing depends here: they are shown as they were set.
//!
//! One belongs here only when a server that does not heed it keeps every promise that the value asks for.

use super::directives::Directive;
use super::kind::{Choice, Kind};
use super::settings::Settings;

/// As Redis has it.
const LONG_MAX: u64 = i64::MAX as u64;

/// The values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is documented by its row in this file"
)]
pub struct Accepted {
    pub list_compress_depth: u64,
    pub aof_use_rdb_preamble: bool,
    pub sanitize_dump_payload: Sanitize,
    pub maxmemory_samples: u64,
    pub busy_reply_threshold_ms: u64,
    pub tracking_table_max_keys: u64,
}

impl Default for Accepted {
    /// Redis's.
    fn default() -> Self {
        Self {
            list_compress_depth: 0,
            aof_use_rdb_preamble: true,
            sanitize_dump_payload: Sanitize::No,
            maxmemory_samples: 5,
            busy_reply_threshold_ms: 5000,
            tracking_table_max_keys: 1_000_000,
        }
    }
}

/// Whose payloads Redis looks into before it takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sanitize {
    /// Nobody's.
    No,
    /// Everybody's.
    Yes,
    /// Those of RESTORE.
    Clients,
}

impl Choice for Sanitize {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("no", Self::No),
        ("yes", Self::Yes),
        ("clients", Self::Clients),
    ];
}

macro_rules! count_of {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Int {
            min: $min,
            max: $max,
            get: |s: &Settings| s.accepted.$field,
            set: |s: &mut Settings, value| s.accepted.$field = value,
        }
    };
}

/// The rows.
pub const ROWS: &[Directive] = &[
    Directive::new(
        "list-compress-depth",
        "0",
        count_of!(list_compress_depth, 0, i32::MAX as u64),
        "Nothing is compressed; what is rarely used of a large data set leaves memory as a whole.",
    )
    .run_time(),
    Directive::new(
        "aof-use-rdb-preamble",
        "yes",
        Kind::Bool {
            get: |s: &Settings| s.accepted.aof_use_rdb_preamble,
            set: |s: &mut Settings, value| s.accepted.aof_use_rdb_preamble = value,
        },
        "There is no append-only file of Redis's form.",
    )
    .run_time(),
    Directive::new(
        "sanitize-dump-payload",
        "no",
        Kind::Text {
            get: |s: &Settings| s.accepted.sanitize_dump_payload.name().to_owned(),
            set: |s: &mut Settings, value| {
                s.accepted.sanitize_dump_payload = Sanitize::parse(value)?;
                Ok(())
            },
        },
        "Whatever it says, all of a payload is checked before it is taken.",
    )
    .run_time(),
    Directive::new(
        "maxmemory-samples",
        "5",
        count_of!(maxmemory_samples, 1, 256),
        "Whatever it says, some hundred keys are compared when one is to go.",
    )
    .run_time(),
    Directive::new(
        "busy-reply-threshold",
        "5000",
        count_of!(busy_reply_threshold_ms, 0, LONG_MAX),
        "There are no scripts yet that could run so long.",
    )
    .aliases(&["lua-time-limit"])
    .run_time(),
    Directive::new(
        "tracking-table-max-keys",
        "1000000",
        count_of!(tracking_table_max_keys, 0, LONG_MAX),
        "There is no CLIENT TRACKING yet, and no table.",
    )
    .run_time(),
    Directive::new(
        "replica-read-only",
        "yes",
        Kind::Fixed {
            value: "yes",
            others: &["no"],
            passed_over: true,
            reason: "a node that does not lead writes nothing by itself, and forwards what it is sent to the one that does",
        },
        "A node that does not lead writes nothing by itself, and forwards what it is sent to the one that does.",
    )
    .aliases(&["slave-read-only"])
    .run_time(),
];

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// What CONFIG SET accepts, CONFIG GET shows, by every name.
    #[test]
    fn values_are_shown_as_they_were_set() {
        let config = Config::default();
        for (name, value) in [
            ("list-compress-depth", "2"),
            ("aof-use-rdb-preamble", "no"),
            ("sanitize-dump-payload", "clients"),
            ("maxmemory-samples", "10"),
            ("lua-time-limit", "10"),
            ("busy-reply-threshold", "20"),
            ("tracking-table-max-keys", "1"),
        ] {
            config.set(&[(name, value)]).expect(name);
            assert_eq!(config.get(&[name], |_| false)[0].1, value, "{name}");
        }
        for (name, value) in [
            ("aof-use-rdb-preamble", "1"),
            ("sanitize-dump-payload", "maybe"),
            ("maxmemory-samples", "0"),
            ("replica-read-only", "no"),
        ] {
            config.set(&[(name, value)]).expect_err(name);
        }
    }
}
