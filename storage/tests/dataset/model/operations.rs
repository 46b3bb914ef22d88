//! The operations, and how they are drawn.

use proptest::prelude::*;

use super::DBS;
use super::sequences::{self, ListStep, StreamStep};

/// One entry of the log, or what a Store does on its own.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Set {
        db: u8,
        key: u8,
        size: usize,
        expiry: TestExpiry,
    },
    SetInt {
        db: u8,
        key: u8,
        value: i64,
    },
    Append {
        db: u8,
        key: u8,
        size: usize,
    },
    /// Adds members to a set, or removes them.
    Members {
        db: u8,
        key: u8,
        members: Vec<u16>,
        adds: bool,
    },
    /// Sets fields of a hash, or removes them.
    Fields {
        db: u8,
        key: u8,
        fields: Vec<(u8, u16)>,
        sets: bool,
    },
    /// Sets scores in a sorted set, or removes members.
    Scores {
        db: u8,
        key: u8,
        members: Vec<(u16, i32)>,
        sets: bool,
    },
    List {
        db: u8,
        key: u8,
        step: ListStep,
    },
    Stream {
        db: u8,
        key: u8,
        step: StreamStep,
    },
    /// Gives fields of a hash an expiry, or clears it.
    ExpireFields {
        db: u8,
        key: u8,
        fields: Vec<u8>,
        in_ms: Option<u64>,
    },
    Remove {
        db: u8,
        key: u8,
    },
    Expire {
        db: u8,
        key: u8,
        in_ms: Option<u64>,
    },
    Rename {
        db: u8,
        from: u8,
        to: u8,
    },
    Copy {
        db: u8,
        from: u8,
        to: u8,
        to_db: u8,
    },
    Move {
        db: u8,
        key: u8,
        to_db: u8,
    },
    FlushDb {
        db: u8,
    },
    FlushAll,
    Swap {
        a: u8,
        b: u8,
    },
    SetFlushSet {
        db: u8,
        key: u8,
    },
    Get {
        db: u8,
        key: u8,
    },
    Advance {
        by_ms: u64,
    },
    DeleteExpired,
    Freeze,
    Finish,
    DropCold {
        maxmemory: u64,
    },
    DropAll,
    LoadNext {
        budget: usize,
    },
    Promote,
    CleanUp,
    Reopen,
}

/// What setting a string does to the expiry.
#[derive(Clone, Copy, Debug)]
pub(super) enum TestExpiry {
    Clear,
    Keep,
    InMs(u64),
}

/// Any operation.
pub(super) fn op() -> impl Strategy<Value = Op> {
    let db = || 0..DBS;
    let key = || 0..24u8;
    let size = || prop_oneof![4 => 0..80usize, 1 => 900..1100usize, 1 => 4000..9000usize];
    let expiry = prop_oneof![
        3 => Just(TestExpiry::Clear),
        1 => Just(TestExpiry::Keep),
        2 => (0..400u64).prop_map(TestExpiry::InMs),
    ];
    prop_oneof![
        12 => (db(), key(), size(), expiry).prop_map(|(db, key, size, expiry)| Op::Set { db, key, size, expiry }),
        3 => (db(), key(), any::<i64>()).prop_map(|(db, key, value)| Op::SetInt { db, key, value }),
        4 => (db(), key(), size()).prop_map(|(db, key, size)| Op::Append { db, key, size }),
        6 => (db(), key(), proptest::collection::vec(0..60u16, 1..8), proptest::bool::weighted(0.7))
            .prop_map(|(db, key, members, adds)| Op::Members { db, key, members, adds }),
        6 => (db(), key(), proptest::collection::vec((0..12u8, 0..60u16), 1..8), proptest::bool::weighted(0.7))
            .prop_map(|(db, key, fields, sets)| Op::Fields { db, key, fields, sets }),
        6 => (db(), key(), proptest::collection::vec((0..40u16, -3..3i32), 1..8), proptest::bool::weighted(0.7))
            .prop_map(|(db, key, members, sets)| Op::Scores { db, key, members, sets }),
        6 => (db(), key(), proptest::collection::vec(0..12u8, 1..8), proptest::option::weighted(0.8, 0..300u64))
            .prop_map(|(db, key, fields, in_ms)| Op::ExpireFields { db, key, fields, in_ms }),
        8 => (db(), key(), sequences::list_step()).prop_map(|(db, key, step)| Op::List { db, key, step }),
        8 => (db(), key(), sequences::stream_step()).prop_map(|(db, key, step)| Op::Stream { db, key, step }),
        5 => (db(), key()).prop_map(|(db, key)| Op::Remove { db, key }),
        3 => (db(), key(), proptest::option::of(0..400u64)).prop_map(|(db, key, in_ms)| Op::Expire { db, key, in_ms }),
        3 => (db(), key(), key()).prop_map(|(db, from, to)| Op::Rename { db, from, to }),
        3 => (db(), key(), key(), db()).prop_map(|(db, from, to, to_db)| Op::Copy { db, from, to, to_db }),
        2 => (db(), key(), db()).prop_map(|(db, key, to_db)| Op::Move { db, key, to_db }),
        1 => db().prop_map(|db| Op::FlushDb { db }),
        1 => Just(Op::FlushAll),
        1 => (db(), db()).prop_map(|(a, b)| Op::Swap { a, b }),
        1 => (db(), key()).prop_map(|(db, key)| Op::SetFlushSet { db, key }),
        4 => (db(), key()).prop_map(|(db, key)| Op::Get { db, key }),
        2 => (0..200u64).prop_map(|by_ms| Op::Advance { by_ms }),
        1 => Just(Op::DeleteExpired),
        3 => Just(Op::Freeze),
        3 => Just(Op::Finish),
        2 => (0..20_000u64).prop_map(|maxmemory| Op::DropCold { maxmemory }),
        1 => Just(Op::DropAll),
        2 => (1..20usize).prop_map(|budget| Op::LoadNext { budget }),
        1 => Just(Op::Promote),
        1 => Just(Op::CleanUp),
        1 => Just(Op::Reopen),
    ]
}
