//! How far a value reaches: what has to be known to take it out of a stream without decoding it.

use std::io::Read;

use super::FileError;
use super::source::Source;
use crate::rdb::{object, stream};

/// What an element is made of.
#[derive(Clone, Copy)]
enum Part {
    Length,
    String,
    /// A score as a double.
    Double,
    /// A score as text: a length of one byte, of which the three greatest stand for themselves.
    ScoreText,
}

/// What a value is made of.
struct Layout {
    /// Bytes before everything else.
    head_bytes: u64,
    /// Of each element after their number; none: the value is one string.
    elements: Option<&'static [Part]>,
}

fn layout(kind: u8) -> Option<Layout> {
    let (head_bytes, elements): (u64, Option<&'static [Part]>) = match kind {
        object::STRING
        | object::HASH_ZIPMAP
        | object::LIST_ZIPLIST
        | object::SET_INTSET
        | object::ZSET_ZIPLIST
        | object::HASH_ZIPLIST
        | object::HASH_LISTPACK
        | object::ZSET_LISTPACK
        | object::SET_LISTPACK => (0, None),
        object::LIST | object::SET | object::LIST_QUICKLIST => (0, Some(&[Part::String])),
        object::HASH => (0, Some(&[Part::String, Part::String])),
        object::ZSET => (0, Some(&[Part::String, Part::ScoreText])),
        object::ZSET_2 => (0, Some(&[Part::String, Part::Double])),
        object::LIST_QUICKLIST_2 => (0, Some(&[Part::Length, Part::String])),
        object::HASH_METADATA => (8, Some(&[Part::Length, Part::String, Part::String])),
        object::HASH_LISTPACK_EX => (8, None),
        _ => return None,
    };
    Some(Layout {
        head_bytes,
        elements,
    })
}

/// What a type is called that cannot be read; none of one that nobody knows.
pub(super) fn unsupported(kind: u8) -> Option<&'static str> {
    match kind {
        6 | 7 => Some("a value of a Redis module, which TinyKV does not have"),
        22 | 23 => Some("a hash in a format of a preview of Redis 7.4"),
        _ => None,
    }
}

/// Appends a value of type `kind` as it stands to `out`. False of a type whose extent is not known.
pub(super) fn copy<R: Read>(
    kind: u8,
    source: &mut Source<R>,
    out: &mut Vec<u8>,
) -> Result<bool, FileError> {
    if matches!(kind, stream::STREAM | stream::STREAM_2 | stream::STREAM_3) {
        copy_stream(kind, source, out)?;
        return Ok(true);
    }
    let Some(layout) = layout(kind) else {
        return Ok(false);
    };
    source.bytes(layout.head_bytes, out)?;
    let Some(parts) = layout.elements else {
        source.string(out)?;
        return Ok(true);
    };
    for _ in 0..source.length(out)? {
        for part in parts {
            match part {
                Part::Length => source.length(out).map(drop)?,
                Part::String => source.string(out)?,
                Part::Double => source.bytes(8, out)?,
                Part::ScoreText => {
                    let len = source.byte()?;
                    out.push(len);
                    source.bytes(if len < 253 { len.into() } else { 0 }, out)?;
                }
            }
        }
    }
    Ok(true)
}

/// See [`stream`].
fn copy_stream<R: Read>(
    kind: u8,
    source: &mut Source<R>,
    out: &mut Vec<u8>,
) -> Result<(), FileError> {
    const ID_BYTES: u64 = 16;
    const TIME_BYTES: u64 = 8;
    let (head, of_group, times) = match kind {
        stream::STREAM => (3, 2, 1),
        stream::STREAM_2 => (8, 3, 1),
        _ => (8, 3, 2),
    };
    for _ in 0..source.length(out)? {
        source.string(out)?;
        source.string(out)?;
    }
    for _ in 0..head {
        source.length(out)?;
    }
    for _ in 0..source.length(out)? {
        source.string(out)?;
        for _ in 0..of_group {
            source.length(out)?;
        }
        for _ in 0..source.length(out)? {
            source.bytes(ID_BYTES + TIME_BYTES, out)?;
            source.length(out)?;
        }
        for _ in 0..source.length(out)? {
            source.string(out)?;
            source.bytes(times * TIME_BYTES, out)?;
            let ids = source.length(out)?;
            source.bytes(ids.saturating_mul(ID_BYTES), out)?;
        }
    }
    Ok(())
}
