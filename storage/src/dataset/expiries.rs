//! Large hashes of which some fields expire, while they are only on disk: the records of their times, in order, tell what a part
//! of one has to know of the fields that it does not hold.

use bytes::Bytes;

use super::nodes::{Nodes, PartNodes, PartRecords};
use super::object::is_expired;
use super::record::TIME_BYTES;
use crate::types::{MissingExpiries, expiry_bounds_of_meta, record_without_value};
use crate::{Error, Result};

/// Fields that have expired are counted one by one. Where they are more, all of the hash is read.
const PART_MAX_OVER: usize = 4096;

/// A time, and the key (hash and rest) of the field that expires then.
fn parse(key: &Bytes) -> Result<(u64, Bytes)> {
    match key.split_first_chunk::<TIME_BYTES>() {
        Some((time, field)) => Ok((u64::from_be_bytes(*time), key.slice_ref(field))),
        None => Err(Error::corrupt("expiry of a field", format!("{key:02x?}"))),
    }
}

impl Nodes<'_> {
    /// When fields expire, from the first or the last time on, with their keys. `meta` tells both times: what was removed before and
    /// behind them, often thousands of records, need not be looked through.
    fn expiries(&self, meta: &[u8], backwards: bool) -> impl Iterator<Item = Result<(u64, Bytes)>> {
        let walk = expiry_bounds_of_meta(meta).map(|(next, latest)| {
            let (from, behind) = (next.to_be_bytes(), latest.saturating_add(1).to_be_bytes());
            let place = self.place.expiries();
            Self { place, ..*self }.walk(&from, &behind, backwards)
        });
        walk.into_iter().flatten().map(|pair| parse(&pair?.0))
    }

    /// What is known of the expiries of fields that are not among `records`; an outer none if too many of them have expired at
    /// `now_ms`. They are counted only if somebody `counts` them.
    pub(super) fn missing_expiries(
        &self,
        meta: &[u8],
        records: &PartRecords,
        now_ms: u64,
        counts: bool,
    ) -> Result<Option<Option<MissingExpiries>>> {
        let is_missing = |found: &Result<(u64, Bytes)>| match found {
            Ok((_, field)) => !records.contains_key(field),
            Err(_) => true,
        };
        let (mut first, mut over) = (None, 0);
        for found in self.expiries(meta, false).filter(is_missing) {
            let (at_ms, _) = found?;
            first.get_or_insert(at_ms);
            if !counts || !is_expired(Some(at_ms), now_ms) {
                break;
            }
            over += 1;
            if over > PART_MAX_OVER {
                return Ok(None);
            }
        }
        let last = self.expiries(meta, true).find(is_missing).transpose()?;
        let times = first
            .zip(last)
            .map(|(first, (last, _))| MissingExpiries { first, last, over });
        Ok(Some(times))
    }

    /// The fields that have expired at `now_ms`, up to `limit`, the first ones first. Their values are not read: they are about to be
    /// removed, and reading thousands takes long.
    pub(super) fn expired_fields(
        &self,
        meta: &[u8],
        now_ms: u64,
        limit: usize,
    ) -> Result<PartNodes> {
        let mut found = PartNodes::default();
        for expiry in self.expiries(meta, false).take(limit) {
            let (at_ms, field) = expiry?;
            if !is_expired(Some(at_ms), now_ms) {
                break;
            }
            found.records.insert(field, record_without_value(at_ms));
        }
        Ok(found)
    }

    /// Whether more fields have expired at `now_ms` than a part counts.
    pub(super) fn has_many_over(&self, meta: &[u8], now_ms: u64) -> Result<bool> {
        let nth = self.expiries(meta, false).nth(PART_MAX_OVER).transpose()?;
        Ok(nth.is_some_and(|(at_ms, _)| is_expired(Some(at_ms), now_ms)))
    }
}
