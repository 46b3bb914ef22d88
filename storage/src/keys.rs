//! The layout of every key in the two engines. All integers are big endian, so that keys sort as numbers do.
//!
//! | key | value | engine | in snapshots |
//! |---|---|---|---|
//! | `00 01` | StoreIdent | both | no |
//! | `00 02` region:u64 `01` | RegionLocalState | kv | no (its Region travels in the header) |
//! | `00 02` region:u64 `02` | RaftApplyState | kv | no (travels in the header) |
//! | `00 02` region:u64 `03` name | a system record of the Region (counters, database mapping) | kv | yes |
//! | `00 03` region:u64 `01` | RaftLocalState | raft | no |
//! | `00 03` region:u64 `02` index:u64 | one log entry | raft | no |
//! | `00 04` | FoundingState | raft | no |
//! | `01` slot:u16 db:u8 … | data records; the part after the slot belongs to [`crate::dataset`] | kv | yes |
//!
//! A Region's records are those of its slots plus its system records: two ranges, [`system_records`] and
//! [`data_records`]. Nothing else may be written to the kv engine by a checkpoint, or a snapshot would miss it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{LogIndex, RegionId};

/// First byte of the records that belong to this Store or to a Region as a whole.
pub const LOCAL: u8 = 0x00;
/// First byte of data records.
pub const DATA: u8 = 0x01;

const STORE_IDENT: &[u8] = &[LOCAL, 0x01];
const FOUNDING_STATE: &[u8] = &[LOCAL, 0x04];
const REGION: u8 = 0x02;
const RAFT: u8 = 0x03;

const REGION_STATE: u8 = 0x01;
const APPLY_STATE: u8 = 0x02;
const SYSTEM: u8 = 0x03;

const RAFT_STATE: u8 = 0x01;
const LOG: u8 = 0x02;

/// Length of a key that names a Region and a kind: `00`, group, region, kind.
const REGION_KEY_BYTES: usize = 11;
const LOG_KEY_BYTES: usize = REGION_KEY_BYTES + 8;

/// StoreIdent, in both engines.
pub fn store_ident() -> Bytes {
    Bytes::from_static(STORE_IDENT)
}

/// FoundingState, in the raft engine.
pub fn founding_state() -> Bytes {
    Bytes::from_static(FOUNDING_STATE)
}

/// RegionLocalState, in the kv engine.
pub fn region_state(region: RegionId) -> Bytes {
    region_key(REGION, region, REGION_STATE, 0).freeze()
}

/// RaftApplyState, in the kv engine.
pub fn apply_state(region: RegionId) -> Bytes {
    region_key(REGION, region, APPLY_STATE, 0).freeze()
}

/// A record of the Region that belongs to no slot, in the kv engine.
pub fn system_record(region: RegionId, name: &[u8]) -> Bytes {
    let mut key = region_key(REGION, region, SYSTEM, name.len());
    key.put_slice(name);
    key.freeze()
}

/// All system records of the Region: `start <= key < end`.
pub fn system_records(region: RegionId) -> (Bytes, Bytes) {
    (
        region_key(REGION, region, SYSTEM, 0).freeze(),
        region_key(REGION, region, SYSTEM + 1, 0).freeze(),
    )
}

/// All data records of the slots `start <= slot < end`: `start <= key < end`. `end` may be 16384.
pub fn data_records(start_slot: u16, end_slot: u16) -> (Bytes, Bytes) {
    let key = |slot: u16| {
        let mut key = BytesMut::with_capacity(3);
        key.put_u8(DATA);
        key.put_u16(slot);
        key.freeze()
    };
    (key(start_slot), key(end_slot))
}

/// The slot of a key of data records.
pub fn slot_of_record(key: &[u8]) -> Option<u16> {
    let (kind, rest) = key.split_first()?;
    let slot = rest.first_chunk().filter(|_| *kind == DATA)?;
    Some(u16::from_be_bytes(*slot))
}

/// RaftLocalState, in the raft engine.
pub fn raft_state(region: RegionId) -> Bytes {
    region_key(RAFT, region, RAFT_STATE, 0).freeze()
}

/// One log entry, in the raft engine.
pub fn log_entry(region: RegionId, index: LogIndex) -> Bytes {
    let mut key = region_key(RAFT, region, LOG, 8);
    key.put_u64(index.get());
    key.freeze()
}

/// The index of a key made by [`log_entry`] for this Region.
pub fn parse_log_entry(region: RegionId, key: &[u8]) -> Option<LogIndex> {
    let (prefix, index) = key.split_at_checked(LOG_KEY_BYTES - 8)?;
    if prefix != region_key(RAFT, region, LOG, 0) {
        return None;
    }
    Some(LogIndex(u64::from_be_bytes(index.try_into().ok()?)))
}

fn region_key(group: u8, region: RegionId, kind: u8, more: usize) -> BytesMut {
    let mut key = BytesMut::with_capacity(REGION_KEY_BYTES + more);
    key.put_u8(LOCAL);
    key.put_u8(group);
    key.put_u64(region.get());
    key.put_u8(kind);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SLOT_COUNT;

    #[test]
    fn keys_sort_as_the_table_says() {
        let region = RegionId(7);
        let (system_start, system_end) = system_records(region);
        let (data_start, data_end) = data_records(0, SLOT_COUNT);
        let sorted = [
            store_ident(),
            region_state(region),
            apply_state(region),
            system_start.clone(),
            system_record(region, b"a"),
            system_record(region, b"b"),
            system_end,
            raft_state(region),
            log_entry(region, LogIndex(1)),
            log_entry(region, LogIndex(255)),
            log_entry(region, LogIndex(256)),
            log_entry(region, LogIndex(u64::MAX)),
            founding_state(),
            data_start,
            data_end,
        ];
        assert!(sorted.is_sorted());
        assert_eq!(log_entry(region, LogIndex(1)).len(), LOG_KEY_BYTES);
    }

    #[test]
    fn a_log_key_gives_its_index_back() {
        let region = RegionId(3);
        for index in [0, 1, 256, u64::MAX] {
            assert_eq!(
                parse_log_entry(region, &log_entry(region, LogIndex(index))),
                Some(LogIndex(index))
            );
        }
        assert_eq!(
            parse_log_entry(RegionId(4), &log_entry(region, LogIndex(1))),
            None
        );
        assert_eq!(parse_log_entry(region, &raft_state(region)), None);
        assert_eq!(parse_log_entry(region, b""), None);
    }
}
