//! One log entry as a value of the raft engine: type:u8, term:u64, context length:u32 (big endian), context, data.
//! The index is in the key. A fixed head instead of a message, because the payload is then copied exactly once and the
//! term is read without decoding. The engine checksums what it stores.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft::eraftpb::Entry;

use crate::ids::{LogIndex, Term};
use crate::proto::convert;
use crate::{Error, Result};

const HEAD_BYTES: usize = 1 + 8 + 4;

/// The value for `entry`.
pub(super) fn encode(entry: &Entry) -> Result<Bytes> {
    let context_length = u32::try_from(entry.context.len()).map_err(|_| {
        Error::corrupt(
            "log entry",
            format!("a context of {} bytes", entry.context.len()),
        )
    })?;
    let mut value = BytesMut::with_capacity(HEAD_BYTES + entry.context.len() + entry.data.len());
    value.put_u8(entry.entry_type as u8);
    value.put_u64(entry.term);
    value.put_u32(context_length);
    value.put_slice(&entry.context);
    value.put_slice(&entry.data);
    Ok(value.freeze())
}

/// The entry at `index`. Context and data share the value's memory.
pub(super) fn decode(index: LogIndex, mut value: Bytes) -> Result<Entry> {
    let (entry_type, term, context_length) = head(index, &mut value)?;
    if context_length > value.len() {
        return Err(short(index));
    }
    let context = value.split_to(context_length);
    Ok(Entry {
        entry_type: convert::entry_type(entry_type.into())?,
        term: term.get(),
        index: index.get(),
        data: value,
        context,
        ..Default::default()
    })
}

/// The term of the entry at `index`.
pub(super) fn term(index: LogIndex, mut value: Bytes) -> Result<Term> {
    head(index, &mut value).map(|(_, term, _)| term)
}

fn head(index: LogIndex, value: &mut Bytes) -> Result<(u8, Term, usize)> {
    if value.len() < HEAD_BYTES {
        return Err(short(index));
    }
    Ok((
        value.get_u8(),
        Term(value.get_u64()),
        value.get_u32() as usize,
    ))
}

fn short(index: LogIndex) -> Error {
    Error::corrupt("log entry", format!("entry {index} is too short"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raft::eraftpb::EntryType;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(
            kind in 0..3usize,
            term: u64,
            index: u64,
            data in prop::collection::vec(any::<u8>(), 0..64),
            context in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let types = [EntryType::EntryNormal, EntryType::EntryConfChange, EntryType::EntryConfChangeV2];
            let entry = Entry {
                entry_type: types[kind],
                term,
                index,
                data: data.into(),
                context: context.into(),
                ..Default::default()
            };
            let value = encode(&entry).unwrap();
            prop_assert_eq!(super::term(LogIndex(index), value.clone()).unwrap(), Term(term));
            prop_assert_eq!(decode(LogIndex(index), value.clone()).unwrap(), entry);
            for length in 0..value.len().min(HEAD_BYTES) {
                prop_assert!(decode(LogIndex(index), value.slice(..length)).is_err());
            }
        }

        #[test]
        fn hostile_bytes_do_not_panic(value in prop::collection::vec(any::<u8>(), 0..32)) {
            drop(decode(LogIndex(1), value.into()));
        }
    }
}
