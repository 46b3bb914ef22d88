//! The sender's side: chunks read from a view.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use raft::eraftpb;
use xxhash_rust::xxh3::Xxh3;

use super::{CHUNK_BYTES, FORMAT, MAGIC, SnapshotChunk};
use crate::engine::Reader;
use crate::ids::{LogIndex, RegionId, Term};
use crate::proto::store::{PeerState, RaftApplyState, RegionLocalState, SnapshotHeader};
use crate::{Error, Result, keys};

/// A snapshot that can be sent, any number of times: a clone shares the view and has its own position in the stream.
/// As long as one exists, the engine keeps the files that the view needs.
#[derive(Clone)]
pub struct SnapshotSource {
    view: Arc<dyn Reader>,
    header: Arc<SnapshotHeader>,
    apply_state: Arc<RaftApplyState>,
    ranges: [(Bytes, Bytes); 2],
    position: Position,
}

#[derive(Clone)]
struct Position {
    stage: Stage,
    buffer: BytesMut,
    digest: Xxh3,
    records: u64,
    sequence: u64,
}

#[derive(Clone)]
enum Stage {
    Head,
    /// The next record is the first at or after `from` in the range with this number.
    Records {
        range: usize,
        from: Bytes,
    },
    Tail,
    Done,
}

impl SnapshotSource {
    /// The Region's state in `view`, which is a view of the kv engine. An error when the Region is not in a state to be
    /// sent: it must be Normal.
    pub fn new(view: Arc<dyn Reader>, region: RegionId) -> Result<Self> {
        let state = view.get(&keys::region_state(region))?.ok_or_else(|| {
            Error::corrupt(
                "RegionLocalState",
                format!("Region {region} is not in the engine"),
            )
        })?;
        let state = RegionLocalState::decode(state)
            .map_err(|error| Error::corrupt("RegionLocalState", error.to_string()))?;
        if state.state() != PeerState::Normal {
            return Err(Error::corrupt(
                "RegionLocalState",
                format!("a snapshot was asked for in state {:?}", state.state()),
            ));
        }
        let apply_state = view
            .get(&keys::apply_state(region))?
            .ok_or_else(|| Error::corrupt("RaftApplyState", format!("Region {region} has none")))?;
        let apply_state = RaftApplyState::decode(apply_state)
            .map_err(|error| Error::corrupt("RaftApplyState", error.to_string()))?;
        let descriptor = state.region.clone().unwrap_or_default();
        let ranges = super::file::ranges(&descriptor)?;
        let header = SnapshotHeader {
            format: FORMAT,
            region: state.region,
            apply_state: Some(apply_state.clone()),
        };
        Ok(Self {
            view,
            header: Arc::new(header),
            apply_state: Arc::new(apply_state),
            ranges,
            position: Position::start(),
        })
    }

    /// The last index whose effect is in the snapshot.
    pub fn index(&self) -> LogIndex {
        LogIndex(self.apply_state.applied_index)
    }

    /// The term of the entry at [`Self::index`].
    pub fn term(&self) -> Term {
        Term(self.apply_state.applied_term)
    }

    /// What raft needs to know of it.
    pub fn metadata(&self) -> eraftpb::SnapshotMetadata {
        super::file::metadata(&self.apply_state)
    }

    /// Back to the first chunk.
    pub fn restart(&mut self) {
        self.position = Position::start();
    }

    /// The next chunk; `None` after the last. After an error the stream cannot go on.
    pub fn next_chunk(&mut self) -> Result<Option<SnapshotChunk>> {
        while self.position.buffer.len() < CHUNK_BYTES {
            match self.position.stage.clone() {
                Stage::Head => self.head()?,
                Stage::Records { range, from } => self.records(range, from)?,
                Stage::Tail => self.tail(),
                Stage::Done => break,
            }
        }
        let position = &mut self.position;
        if position.buffer.is_empty() {
            return Ok(None);
        }
        let length = position.buffer.len().min(CHUNK_BYTES);
        let bytes = position.buffer.split_to(length).freeze();
        let last = matches!(position.stage, Stage::Done) && position.buffer.is_empty();
        let chunk = SnapshotChunk {
            sequence: position.sequence,
            crc32: crc32fast::hash(&bytes),
            bytes,
            last,
            percent: percent(&self.ranges, &position.stage),
        };
        position.sequence += 1;
        Ok(Some(chunk))
    }

    fn head(&mut self) -> Result<()> {
        let header = self.header.encode_to_vec();
        let length = u32::try_from(header.len())
            .map_err(|_| Error::corrupt("snapshot header", "too long"))?;
        let mut bytes = BytesMut::with_capacity(MAGIC.len() + 4 + header.len());
        bytes.put_slice(&MAGIC);
        bytes.put_u32_le(length);
        bytes.put_slice(&header);
        self.position.put(&bytes);
        self.position.stage = self.stage_of_range(0);
        Ok(())
    }

    fn stage_of_range(&self, range: usize) -> Stage {
        match self.ranges.get(range) {
            Some((start, _)) => Stage::Records {
                range,
                from: start.clone(),
            },
            None => Stage::Tail,
        }
    }

    fn records(&mut self, range: usize, from: Bytes) -> Result<()> {
        let Some((_, end)) = self.ranges.get(range) else {
            self.position.stage = Stage::Tail;
            return Ok(());
        };
        let view = Arc::clone(&self.view);
        for pair in view.scan(&from, end) {
            let (key, value) = pair?;
            let (key_length, value_length) = (record_length(&key)?, record_length(&value)?);
            let mut lengths = [0; 8];
            (&mut lengths[..]).put_u32_le(key_length);
            (&mut lengths[4..]).put_u32_le(value_length);
            let position = &mut self.position;
            position.put(&lengths);
            position.put(&key);
            position.put(&value);
            position.records += 1;
            if position.buffer.len() >= CHUNK_BYTES {
                // The successor of a key in byte order is the key with a zero behind it.
                let mut next = BytesMut::with_capacity(key.len() + 1);
                next.put_slice(&key);
                next.put_u8(0);
                position.stage = Stage::Records {
                    range,
                    from: next.freeze(),
                };
                return Ok(());
            }
        }
        self.position.stage = self.stage_of_range(range + 1);
        Ok(())
    }

    fn tail(&mut self) {
        let mut counted = [0; 12];
        (&mut counted[4..]).put_u64_le(self.position.records);
        self.position.put(&counted);
        let digest = self.position.digest.digest();
        self.position.buffer.put_u64_le(digest);
        self.position.stage = Stage::Done;
    }
}

impl Position {
    fn start() -> Self {
        Self {
            stage: Stage::Head,
            buffer: BytesMut::new(),
            digest: Xxh3::new(),
            records: 0,
            sequence: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.buffer.put_slice(bytes);
    }
}

/// How much of the stream is read, 0 to 100.
fn percent(ranges: &[(Bytes, Bytes); 2], stage: &Stage) -> u8 {
    let Stage::Records { range, from } = stage else {
        return if matches!(stage, Stage::Head) { 0 } else { 100 };
    };
    let [_, (start, end)] = ranges;
    let slot = |key: &Bytes| keys::slot_of_record(key).map_or(0, u64::from);
    let all = slot(end).saturating_sub(slot(start)).max(1);
    match range {
        0 => 0,
        _ => u8::try_from(slot(from).saturating_sub(slot(start)) * 100 / all)
            .unwrap_or(100)
            .min(99),
    }
}

fn record_length(bytes: &[u8]) -> Result<u32> {
    u32::try_from(bytes.len())
        .map_err(|_| Error::corrupt("record", format!("{} bytes long", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::{Stage, percent};
    use crate::ids::{FIRST_REGION, SLOT_COUNT};
    use crate::keys;

    #[test]
    fn the_slot_tells_how_far_a_stream_is() {
        let ranges = [
            keys::system_records(FIRST_REGION),
            keys::data_records(0, SLOT_COUNT),
        ];
        let at = |range: usize, slot: u16| {
            let (from, _) = keys::data_records(slot, SLOT_COUNT);
            percent(&ranges, &Stage::Records { range, from })
        };
        assert_eq!(percent(&ranges, &Stage::Head), 0);
        assert_eq!(at(0, 0), 0);
        assert_eq!(at(1, 0), 0);
        assert_eq!(at(1, SLOT_COUNT / 2), 50);
        assert_eq!(at(1, SLOT_COUNT - 1), 99);
        assert_eq!(percent(&ranges, &Stage::Tail), 100);
    }
}
