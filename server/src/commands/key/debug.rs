//! The subcommands of DEBUG that look at data. DEBUG itself belongs to administration, which calls these.

use std::fmt::Write as _;

use resp::Writer;
use sha2::{Digest, Sha256};
use storage::dataset::Object;
use storage::rdb;
use storage::types::stream::{Group as Consumers, StreamId, StreamRef};

use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{DataCommand, Group, Keys};

/// Rows named `debug|…`; not in the table of data commands.
pub static DEBUG: &[DataCommand] = &[
    DataCommand::read("debug|object", 3, Group::Server, Keys::NONE, object),
    DataCommand::read(
        "debug|digest-value",
        -2,
        Group::Server,
        Keys::NONE,
        digest_value,
    ),
];

/// Type, version and checksum, which a payload has around the value.
const PAYLOAD_FRAME_LEN: usize = 11;

/// Bytes of a digest, as long as those of Redis.
const DIGEST_LEN: usize = 20;

/// DEBUG OBJECT key: in Redis's form, but without an address, which is nobody's business.
fn object(ctx: &ReadContext<'_>, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let object = ctx
        .view
        .peek(args.bytes()?)?
        .ok_or(CommandError::NO_SUCH_KEY)?;
    let encoding = object.encoding().name();
    let payload = rdb::dump(&object);
    let serialized = payload.len().saturating_sub(PAYLOAD_FRAME_LEN);
    let idle_seconds = object.idle_ms() / 1000;
    let used_at = (ctx.view.now_ms() / 1000).saturating_sub(idle_seconds) & 0xff_ffff;
    out.simple(&format!(
        "Value at:0x0 refcount:1 encoding:{encoding} serializedlength:{serialized} lru:{used_at} \
         lru_seconds_idle:{idle_seconds}"
    ));
    Ok(())
}

/// DEBUG DIGEST-VALUE key [key ...]: equal for equal values with or without an expiry, whatever the representation; zero
/// without the key.
fn digest_value(ctx: &ReadContext<'_>, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let keys = args.rest();
    out.array(keys.len());
    for key in keys {
        let digest = ctx
            .view
            .peek(key)?
            .map_or([0; DIGEST_LEN], |object| digest(&object));
        let mut hex = String::with_capacity(2 * DIGEST_LEN);
        for byte in digest {
            let _ = write!(hex, "{byte:02x}");
        }
        out.simple(&hex);
    }
    Ok(())
}

type Digest20 = [u8; DIGEST_LEN];

fn digest(object: &Object<'_>) -> Digest20 {
    let mut content = [0; DIGEST_LEN];
    if let Some(string) = object.string() {
        content = digest_of(&[&string]);
    } else if let Some(list) = object.list() {
        // The order counts.
        for element in list.iter() {
            content = digest_of(&[&content, &element.to_vec()]);
        }
    } else if let Some(set) = object.set() {
        for member in set.iter() {
            mix(&mut content, digest_of(&[&member.to_vec()]));
        }
    } else if let Some(zset) = object.zset() {
        for (member, score) in zset.iter() {
            let scored = digest_of(&[&member.to_vec(), &score.to_bits().to_le_bytes()]);
            mix(&mut content, scored);
        }
    } else if let Some(hash) = object.hash() {
        for (field, value, at_ms) in hash.iter_expiring() {
            let at_ms = at_ms.unwrap_or(0).to_le_bytes();
            let field = digest_of(&[&field.to_vec(), &value.to_vec(), &at_ms]);
            mix(&mut content, field);
        }
    } else if let Some(stream) = object.stream() {
        content = digest_of_stream(stream);
    }
    let expires = u8::from(object.expire_at_ms().is_some());
    digest_of(&[&[object.kind() as u8, expires], &content])
}

/// Of entries in their order, what is known besides them, and groups; without consumers that have no entry (whether Redis makes
/// one when there is nothing for it depends on its version) and without times, which a payload does not hold exactly.
fn digest_of_stream(stream: StreamRef<'_>) -> Digest20 {
    let mut content = digest_of(&[
        &digest_of_id(stream.last_id()),
        &digest_of_id(stream.max_deleted_id()),
        &stream.entries_added().to_le_bytes(),
    ]);
    for entry in stream.entries(StreamId::MIN..=StreamId::MAX) {
        content = digest_of(&[&content, &digest_of_id(entry.id)]);
        for (name, value) in entry.fields() {
            content = digest_of(&[&content, &name.to_vec(), &value.to_vec()]);
        }
    }
    for (name, group) in stream.groups() {
        content = digest_of(&[&content, name, &digest_of_group(group)]);
    }
    content
}

fn digest_of_group(group: &Consumers) -> Digest20 {
    let read = group.entries_read.map(u64::to_le_bytes);
    let read = read.as_ref().map_or(&[][..], |read| read);
    let mut content = digest_of(&[&digest_of_id(group.last_id), read]);
    for (&id, pending) in &group.pending {
        let count = pending.count.to_le_bytes();
        content = digest_of(&[&content, &digest_of_id(id), &pending.consumer, &count]);
    }
    content
}

fn digest_of_id(id: StreamId) -> Digest20 {
    digest_of(&[&id.ms.to_le_bytes(), &id.seq.to_le_bytes()])
}

/// Of several pieces, of which it counts where one ends.
fn digest_of(pieces: &[&[u8]]) -> Digest20 {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_le_bytes());
        hash.update(piece);
    }
    let mut digest = [0; DIGEST_LEN];
    digest.copy_from_slice(&hash.finalize()[..DIGEST_LEN]);
    digest
}

/// Adds an element's digest to those of others: different elements never stand twice, and their order does not count.
fn mix(content: &mut Digest20, element: Digest20) {
    for (byte, more) in content.iter_mut().zip(element) {
        *byte ^= more;
    }
}
