//! What a stream is made of: XINFO.

use resp::Writer;
use storage::types::stream::{Consumer, Group, StreamId, StreamRef};

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};
use super::super::key::help as write_help;
use super::{elapsed_ms, no_group_of_key, stream as of_type, write_entries, write_entry, write_id};

/// Entries and pending entries that XINFO STREAM FULL shows unless it is told how many.
const DEFAULT_COUNT: usize = 10;

/// XINFO STREAM key [FULL [COUNT count]]
pub(super) fn stream(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let object = object.ok_or(CommandError::NO_SUCH_KEY)?;
    let stream = of_type(&object)?;
    let count = full(args)?;
    out.map(if count.is_some() { 9 } else { 10 });
    let mut number = |name: &str, number: u64| {
        out.bulk(name.as_bytes());
        out.integer(number as i64);
    };
    number("length", stream.len() as u64);
    number("radix-tree-keys", stream.nodes() as u64);
    number("radix-tree-nodes", stream.nodes() as u64 + 1);
    let mut id = |name: &str, id: StreamId| {
        out.bulk(name.as_bytes());
        write_id(id, out);
    };
    id("last-generated-id", stream.last_id());
    id("max-deleted-entry-id", stream.max_deleted_id());
    out.bulk(b"entries-added");
    out.integer(stream.entries_added() as i64);
    out.bulk(b"recorded-first-entry-id");
    write_id(stream.first_id(), out);
    match count {
        Some(count) => write_full(stream, count, out),
        None => write_ends(stream, out),
    }
    Ok(())
}

/// Takes `[FULL [COUNT count]]`; a count of 0 is any number.
fn full(args: &mut Args<'_>) -> CommandResult<Option<usize>> {
    let given = args.all().get(1).copied().unwrap_or_default();
    let refusal = || {
        CommandError::quoting([
            b"ERR unknown subcommand or wrong number of arguments for '",
            given,
            b"'. Try XINFO HELP.",
        ])
    };
    if args.is_empty() {
        return Ok(None);
    }
    if !args.flag("FULL") {
        return Err(refusal());
    }
    match args.remaining() {
        0 => Ok(Some(DEFAULT_COUNT)),
        2 if args.flag("COUNT") => Ok(Some(match usize::try_from(args.int()?) {
            Ok(0) => usize::MAX,
            Ok(count) => count,
            Err(_) => DEFAULT_COUNT,
        })),
        _ => Err(refusal()),
    }
}

fn write_ends(stream: StreamRef<'_>, out: &mut Writer<'_>) {
    out.bulk(b"groups");
    out.integer(stream.groups().len() as i64);
    let all = StreamId::MIN..=StreamId::MAX;
    for (name, entry) in [
        ("first-entry", stream.entries(all.clone()).next()),
        ("last-entry", stream.entries_back(all).next()),
    ] {
        out.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(entry, out),
            None => out.null(),
        }
    }
}

fn write_full(stream: StreamRef<'_>, count: usize, out: &mut Writer<'_>) {
    out.bulk(b"entries");
    write_entries(
        stream.entries(StreamId::MIN..=StreamId::MAX).take(count),
        out,
    );
    out.bulk(b"groups");
    out.array(stream.groups().len());
    for (name, group) in stream.groups() {
        out.map(7);
        write_group(stream, name, group, out);
        out.bulk(b"pel-count");
        out.integer(group.pending.len() as i64);
        out.bulk(b"pending");
        out.array(group.pending.len().min(count));
        for (&id, pending) in group.pending.iter().take(count) {
            out.array(4);
            write_id(id, out);
            out.bulk(&pending.consumer);
            out.integer(pending.delivered_ms as i64);
            out.integer(pending.count as i64);
        }
        out.bulk(b"consumers");
        out.array(group.consumers.len());
        for (name, consumer) in &group.consumers {
            write_consumer(name, consumer, group, count, out);
        }
    }
}

/// Name, last id, entries read and lag of a group.
fn write_group(stream: StreamRef<'_>, name: &[u8], group: &Group, out: &mut Writer<'_>) {
    out.bulk(b"name");
    out.bulk(name);
    out.bulk(b"last-delivered-id");
    write_id(group.last_id, out);
    write_progress(stream, group, out);
}

fn write_progress(stream: StreamRef<'_>, group: &Group, out: &mut Writer<'_>) {
    for (name, number) in [
        ("entries-read", group.entries_read),
        ("lag", stream.lag(group)),
    ] {
        out.bulk(name.as_bytes());
        match number {
            Some(number) => out.integer(number as i64),
            None => out.null(),
        }
    }
}

fn write_consumer(
    name: &[u8],
    consumer: &Consumer,
    group: &Group,
    count: usize,
    out: &mut Writer<'_>,
) {
    out.map(5);
    out.bulk(b"name");
    out.bulk(name);
    out.bulk(b"seen-time");
    out.integer(consumer.seen_ms as i64);
    out.bulk(b"active-time");
    out.integer(consumer.active_ms.map_or(-1, |at_ms| at_ms as i64));
    out.bulk(b"pel-count");
    out.integer(consumer.pending.len() as i64);
    out.bulk(b"pending");
    let pending = consumer.pending.iter().take(count);
    let (start, mut written) = (out.mark(), 0);
    for (&id, pending) in pending.filter_map(|id| group.pending.get_key_value(id)) {
        out.array(3);
        write_id(id, out);
        out.integer(pending.delivered_ms as i64);
        out.integer(pending.count as i64);
        written += 1;
    }
    out.array_since(start, written);
}

/// XINFO GROUPS key
pub(super) fn groups(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let object = object.ok_or(CommandError::NO_SUCH_KEY)?;
    let stream = of_type(&object)?;
    out.array(stream.groups().len());
    for (name, group) in stream.groups() {
        out.map(6);
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"consumers");
        out.integer(group.consumers.len() as i64);
        out.bulk(b"pending");
        out.integer(group.pending.len() as i64);
        out.bulk(b"last-delivered-id");
        write_id(group.last_id, out);
        write_progress(stream, group, out);
    }
    Ok(())
}

/// XINFO CONSUMERS key group
pub(super) fn consumers(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let object = ctx.view.lookup(key)?;
    let object = object.ok_or(CommandError::NO_SUCH_KEY)?;
    let group = of_type(&object)?.group(name);
    let group = group.ok_or_else(|| no_group_of_key(key, name))?;
    let now_ms = ctx.view.now_ms();
    out.array(group.consumers.len());
    for (name, consumer) in &group.consumers {
        out.map(4);
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"pending");
        out.integer(consumer.pending.len() as i64);
        out.bulk(b"idle");
        out.integer(elapsed_ms(now_ms, consumer.seen_ms) as i64);
        out.bulk(b"inactive");
        let inactive = consumer.active_ms.map(|at_ms| elapsed_ms(now_ms, at_ms));
        out.integer(inactive.map_or(-1, |ms| ms as i64));
    }
    Ok(())
}

/// XINFO HELP
pub(super) fn help(
    _: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    args.finish()?;
    let subcommands = [
        ("CONSUMERS <key> <group>", "Show the consumers of a group."),
        ("GROUPS <key>", "Show the groups of a stream."),
        (
            "STREAM <key> [FULL [COUNT <count>]]",
            "Show what a stream is made of.",
        ),
    ];
    write_help("XINFO", &subcommands, out);
    Ok(())
}
