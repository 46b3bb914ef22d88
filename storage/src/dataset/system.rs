//! The Region's system records: what the data set knows besides its keys. Written by every checkpoint.
//!
//! | name | value |
//! |---|---|
//! | `d` | format, then the physical database of each logical one, then per physical database: `flushed_at`, keys that expire |
//! | `n` db:u8 chunk:u8 | keys per slot of 128 slots; absent when all are 0 |
//! | `g` slot:u16 db:u8 incarnation:u64 | a large collection that is gone; its elements are to be deleted |

use bytes::Bytes;

use super::Dataset;
use super::cleanup;
use super::record::{PhysicalDb, put_varint, take_varint};
use crate::ids::{DB_COUNT, LogIndex, RegionId};
use crate::{Error, Result, keys};

const FORMAT: u8 = 1;
const STATE: &[u8] = b"d";
const COUNTS: u8 = b'n';

/// The state record and the changed counts of the data set, as key and value; no value: to be deleted.
pub(super) fn records(dataset: &mut Dataset) -> Vec<(Bytes, Option<Bytes>)> {
    let region = dataset.region;
    let mut records = vec![(
        keys::system_record(region, STATE),
        Some(encode_state(dataset)),
    )];
    for (number, database) in (0..).zip(&mut dataset.databases) {
        let dead = std::mem::take(&mut database.dead);
        for place in &dead {
            let name = cleanup::name(*place);
            records.push((keys::system_record(region, &name), Some(Bytes::new())));
        }
        dataset.cleaning.note(dead);
        for (chunk, counts) in database.counts.take_changed() {
            records.push((
                keys::system_record(region, &[COUNTS, number, chunk]),
                counts.map(Bytes::from),
            ));
        }
    }
    records
}

fn encode_state(dataset: &Dataset) -> Bytes {
    let mut bytes = vec![FORMAT];
    bytes.extend(dataset.mapping.iter().map(|physical| physical.0));
    for database in &dataset.databases {
        put_varint(&mut bytes, database.flushed_at.get());
        put_varint(&mut bytes, database.expiring);
    }
    bytes.into()
}

/// Reads what [`records`] wrote; nothing of a new Region.
pub(super) fn load(dataset: &mut Dataset) -> Result<()> {
    let engine = std::sync::Arc::clone(&dataset.engine);
    let region = dataset.region;
    let (start, end) = keys::system_records(region);
    for record in engine.scan(&start, &end) {
        let (key, value) = record?;
        match name(region, &key) {
            Some(STATE) => decode_state(dataset, &value)?,
            Some(&[COUNTS, db, chunk]) if db < DB_COUNT => dataset
                .database_mut(PhysicalDb(db))
                .counts
                .load_chunk(chunk, &value)
                .ok_or_else(|| {
                    Error::corrupt(
                        "slot counts",
                        format!("database {db}, chunk {chunk}: {value:02x?}"),
                    )
                })?,
            Some(note) if dataset.cleaning.load(note).is_some() => {}
            _ => {
                return Err(Error::corrupt(
                    "system record",
                    format!("unknown name in key {key:02x?}"),
                ));
            }
        }
    }
    Ok(())
}

fn name(region: RegionId, key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&*keys::system_record(region, b""))
}

fn decode_state(dataset: &mut Dataset, value: &[u8]) -> Result<()> {
    let corrupt = || Error::corrupt("data set state", format!("{value:02x?}"));
    let (&format, mut input) = value.split_first().ok_or_else(corrupt)?;
    if format != FORMAT {
        return Err(Error::Format {
            what: "data set state",
            found: format.into(),
            known: FORMAT.into(),
        });
    }
    for physical in &mut dataset.mapping {
        let (&number, rest) = input
            .split_first()
            .filter(|(number, _)| **number < DB_COUNT)
            .ok_or_else(corrupt)?;
        *physical = PhysicalDb(number);
        input = rest;
    }
    for database in &mut dataset.databases {
        database.flushed_at = LogIndex(take_varint(&mut input).ok_or_else(corrupt)?);
        database.expiring = take_varint(&mut input).ok_or_else(corrupt)?;
    }
    if input.is_empty() {
        Ok(())
    } else {
        Err(corrupt())
    }
}
