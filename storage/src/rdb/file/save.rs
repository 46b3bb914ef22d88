//! Writes a whole data set.

use std::io::{Seek, Write};
use std::ops::ControlFlow;

use super::{FileError, FileWriter};
use crate::Error;
use crate::dataset::Dataset;
use crate::ids::{DB_COUNT, DbIndex};

/// What a file tells of the server that wrote it.
#[derive(Clone, Debug)]
pub struct SaveFacts {
    /// The version of Redis that the server is compatible with.
    pub redis_version: String,
    /// Logical time in milliseconds of Unix time: what has expired by then is left out.
    pub now_ms: u64,
    /// Memory in use.
    pub memory_bytes: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Keys.
    pub keys: u64,
    /// Keys that had expired, and were left out.
    pub expired: u64,
}

/// Writes all databases of `dataset`; one key with its value is in memory at a time, besides what the data set itself holds.
/// The number of keys that the data set counts is compared with those found: a file that lacks any is an error.
pub fn save<W: Write + Seek>(
    dataset: &Dataset,
    facts: &SaveFacts,
    out: W,
) -> Result<(W, Saved), FileError> {
    let mut writer = FileWriter::new(out)?;
    for (name, value) in [
        ("redis-ver", facts.redis_version.clone()),
        ("redis-bits", usize::BITS.to_string()),
        ("ctime", (facts.now_ms / 1000).to_string()),
        ("used-mem", facts.memory_bytes.to_string()),
        ("aof-base", "0".to_owned()),
    ] {
        writer.aux(name.as_bytes(), value.as_bytes())?;
    }
    let mut saved = Saved::default();
    for db in (0..DB_COUNT).map(DbIndex) {
        save_database(dataset, db, facts.now_ms, &mut writer, &mut saved)?;
    }
    Ok((writer.finish()?, saved))
}

fn save_database<W: Write + Seek>(
    dataset: &Dataset,
    db: DbIndex,
    now_ms: u64,
    writer: &mut FileWriter<W>,
    saved: &mut Saved,
) -> Result<(), FileError> {
    let view = dataset.view(db, now_ms);
    if view.is_empty() {
        return Ok(());
    }
    writer.database(db.get(), view.len(), view.expires_len())?;
    let mut found = 0;
    let mut failure = None;
    view.for_each_value(|key, object| {
        found += 1;
        let Some(object) = object else {
            saved.expired += 1;
            return ControlFlow::Continue(());
        };
        if let Err(error) = writer.key(key, object) {
            failure = Some(error);
            return ControlFlow::Break(());
        }
        saved.keys += 1;
        ControlFlow::Continue(())
    })?;
    match failure {
        Some(error) => Err(error.into()),
        None if found != view.len() => Err(Error::corrupt(
            "database",
            format!("{found} of {} keys were found", view.len()),
        )
        .into()),
        None => Ok(()),
    }
}
