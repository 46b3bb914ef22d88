//! Streams: entries by ascending id, and groups of consumers. The table first; handlers by concern in the files below.

mod add;
mod claim;
mod group;
mod info;
mod parse;
mod points;
mod range;
mod read;

pub(super) use points::{looks, points_of_read};

use resp::Writer;
use storage::dataset::Object;
use storage::types::stream::{Entry, Group as ConsumerGroup, StreamId, StreamRef};

use super::context::WriteContext;
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Flags, Group, Keys};

const STREAM: Group = Group::Stream;
const HELP: Flags = Flags::LOADING.with(Flags::STALE);

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("xlen", 2, STREAM, Keys::FIRST, range::xlen).fast(),
    DataCommand::read("xrange", -4, STREAM, Keys::FIRST, range::xrange),
    DataCommand::read("xrevrange", -4, STREAM, Keys::FIRST, range::xrevrange),
    DataCommand::read("xread", -4, STREAM, Keys::streams_from(1), read::xread)
        .flags(Flags::BLOCKING.with(Flags::MOVABLEKEYS)),
    DataCommand::read("xpending", -3, STREAM, Keys::FIRST, claim::xpending),
    DataCommand::container("xinfo", STREAM, XINFO),
    DataCommand::write("xadd", -5, STREAM, Keys::FIRST, add::xadd)
        .deny_oom()
        .fast(),
    DataCommand::write("xtrim", -4, STREAM, Keys::FIRST, add::xtrim).probe(add::NOTHING_TO_TRIM),
    DataCommand::write("xdel", -3, STREAM, Keys::FIRST, add::xdel).fast(),
    DataCommand::write("xsetid", -3, STREAM, Keys::FIRST, add::xsetid)
        .deny_oom()
        .fast(),
    DataCommand::write(
        "xreadgroup",
        -7,
        STREAM,
        Keys::streams_from(4),
        read::xreadgroup,
    )
    .flags(Flags::BLOCKING.with(Flags::MOVABLEKEYS)),
    DataCommand::write("xack", -4, STREAM, Keys::FIRST, claim::xack).fast(),
    DataCommand::write("xclaim", -6, STREAM, Keys::FIRST, claim::xclaim).fast(),
    DataCommand::write("xautoclaim", -6, STREAM, Keys::FIRST, claim::xautoclaim).fast(),
    DataCommand::container("xgroup", STREAM, XGROUP),
];

static XINFO: &[DataCommand] = &[
    DataCommand::read("xinfo|stream", -3, STREAM, Keys::SECOND, info::stream),
    DataCommand::read("xinfo|groups", 3, STREAM, Keys::SECOND, info::groups),
    DataCommand::read("xinfo|consumers", 4, STREAM, Keys::SECOND, info::consumers),
    DataCommand::free("xinfo|help", 2, STREAM, info::help).flags(HELP),
];

static XGROUP: &[DataCommand] = &[
    DataCommand::write("xgroup|create", -5, STREAM, Keys::SECOND, group::create).deny_oom(),
    DataCommand::write("xgroup|setid", -5, STREAM, Keys::SECOND, group::set_id),
    DataCommand::write("xgroup|destroy", 4, STREAM, Keys::SECOND, group::destroy),
    DataCommand::write(
        "xgroup|createconsumer",
        5,
        STREAM,
        Keys::SECOND,
        group::create_consumer,
    )
    .deny_oom(),
    DataCommand::write(
        "xgroup|delconsumer",
        5,
        STREAM,
        Keys::SECOND,
        group::delete_consumer,
    ),
    DataCommand::free("xgroup|help", 2, STREAM, group::help).flags(HELP),
];

/// The stream that an object is; another type is refused.
fn stream<'o>(object: &'o Object<'_>) -> CommandResult<StreamRef<'o>> {
    object.stream().ok_or(CommandError::WRONG_TYPE)
}

/// Answers what `tell` finds in the stream at `key`; none without one.
fn look<R>(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    tell: impl FnOnce(StreamRef<'_>) -> R,
) -> CommandResult<Option<R>> {
    match ctx.txn.lookup(key)? {
        Some(object) => Ok(Some(tell(stream(&object)?))),
        None => Ok(None),
    }
}

/// An id as a bulk string.
fn write_id(id: StreamId, out: &mut Writer<'_>) {
    out.bulk(id.to_string().as_bytes());
}

/// An entry: its id, and names and values in turn.
fn write_entry(entry: Entry<'_>, out: &mut Writer<'_>) {
    let mut buffer = itoa::Buffer::new();
    out.array(2);
    write_id(entry.id, out);
    out.array(entry.len * 2);
    for (name, value) in entry.fields() {
        out.bulk(name.bytes(&mut buffer));
        out.bulk(value.bytes(&mut buffer));
    }
}

/// Entries as an array.
fn write_entries<'s>(entries: impl Iterator<Item = Entry<'s>>, out: &mut Writer<'_>) {
    let (start, mut count) = (out.mark(), 0);
    for entry in entries {
        write_entry(entry, out);
        count += 1;
    }
    out.array_since(start, count);
}

/// The refusal of a key or group that is not there.
fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::quoting([
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"'",
    ])
}

/// The refusal of a group that is not there, of a key that is.
fn no_group_of_key(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::quoting([
        b"NOGROUP No such consumer group '",
        group,
        b"' for key name '",
        key,
        b"'",
    ])
}

/// How many milliseconds ago a time was; 0 if it is still to come.
fn elapsed_ms(now_ms: u64, at_ms: u64) -> u64 {
    now_ms.saturating_sub(at_ms)
}

/// The consumers of a group that something is pending of.
fn busy_consumers(group: &ConsumerGroup) -> impl Iterator<Item = (&[u8], usize)> {
    let consumers = group.consumers.iter();
    consumers
        .filter(|(_, consumer)| !consumer.pending.is_empty())
        .map(|(name, consumer)| (&name[..], consumer.pending.len()))
}
