//! Groups and their consumers: XGROUP.

use resp::Writer;
use storage::types::stream::StreamId;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::key::help as write_help;
use super::super::number::parse_i64;
use super::{look, no_group_of_key, parse};

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
                      option to create an empty stream automatically.";

/// Words of the longest XGROUP CREATE and XGROUP SETID that Redis accepts. It counts them only after it has looked at the key.
const MAX_CREATE_WORDS: usize = 8;
const MAX_SET_ID_WORDS: usize = 7;

/// The reply to an XGROUP whose subcommand does not take these arguments.
fn wrong_arguments(args: &Args<'_>) -> CommandError {
    let subcommand = args.all().get(1).copied().unwrap_or_default();
    CommandError::quoting([
        b"ERR unknown subcommand or wrong number of arguments for '",
        subcommand,
        b"'. Try XGROUP HELP.",
    ])
}

/// The options of XGROUP CREATE and XGROUP SETID.
fn options(args: &mut Args<'_>, creates: bool) -> CommandResult<(bool, Option<u64>)> {
    let (mut make, mut entries_read) = (false, None);
    while !args.is_empty() {
        if creates && args.flag("MKSTREAM") {
            make = true;
        } else if args.remaining() > 1 && args.flag("ENTRIESREAD") {
            let number = parse_i64(args.bytes()?).ok_or(CommandError::NOT_INTEGER)?;
            if number < -1 {
                return Err(CommandError::reply(
                    "ERR value for ENTRIESREAD must be positive or -1",
                ));
            }
            entries_read = u64::try_from(number).ok();
        } else {
            return Err(wrong_arguments(args));
        }
    }
    Ok((make, entries_read))
}

/// XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]
pub(super) fn create(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group, id) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let (make, entries_read) = options(args, true)?;
    let last = look(ctx, key, |stream| stream.last_id())?;
    if last.is_none() && !make {
        return Err(CommandError::reply(NO_KEY));
    }
    if args.all().len() > MAX_CREATE_WORDS {
        return Err(wrong_arguments(args));
    }
    let id = match id {
        b"$" => last.unwrap_or(StreamId::MIN),
        id => parse::id(id, 0)?,
    };
    let created = ctx.txn.edit_stream(key, |stream, edit| {
        stream.create_group(group, id, entries_read, edit)
    })?;
    if !created {
        return Err(CommandError::reply(
            "BUSYGROUP Consumer Group name already exists",
        ));
    }
    ctx.txn.notify("xgroup-create", key);
    out.ok();
    Ok(())
}

/// The last id of the stream at `key`, which must have the group.
fn last_id(ctx: &mut WriteContext<'_, '_>, key: &[u8], group: &[u8]) -> CommandResult<StreamId> {
    let found = look(ctx, key, |stream| {
        stream.group(group).map(|_| stream.last_id())
    })?;
    found
        .ok_or(CommandError::reply(NO_KEY))?
        .ok_or_else(|| no_group_of_key(key, group))
}

/// XGROUP SETID key group id | $ [ENTRIESREAD entries-read]
pub(super) fn set_id(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group, id) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let (_, entries_read) = options(args, false)?;
    let last = last_id(ctx, key, group)?;
    if args.all().len() > MAX_SET_ID_WORDS {
        return Err(wrong_arguments(args));
    }
    let id = match id {
        b"$" => last,
        id => parse::id_or_end(id, 0)?,
    };
    ctx.txn.edit_stream(key, |stream, edit| {
        stream.set_group(group, id, entries_read, edit);
    })?;
    ctx.txn.notify("xgroup-setid", key);
    out.ok();
    Ok(())
}

/// XGROUP DESTROY key group
pub(super) fn destroy(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group) = (args.bytes()?, args.bytes()?);
    look(ctx, key, |_| ())?.ok_or(CommandError::reply(NO_KEY))?;
    let gone = ctx
        .txn
        .edit_stream(key, |stream, edit| stream.destroy_group(group, edit))?;
    if gone {
        ctx.txn.notify("xgroup-destroy", key);
    }
    out.integer(gone.into());
    Ok(())
}

/// XGROUP CREATECONSUMER key group consumer
pub(super) fn create_consumer(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    last_id(ctx, key, group)?;
    let known = look(ctx, key, |stream| {
        let group = stream.group(group);
        group.is_some_and(|group| group.consumers.contains_key(consumer))
    })?;
    let created = known == Some(false);
    if created {
        ctx.txn.edit_stream(key, |stream, edit| {
            stream.see_consumer(group, consumer, edit.now_ms(), false, edit)
        })?;
        ctx.txn.notify("xgroup-createconsumer", key);
    }
    out.integer(created.into());
    Ok(())
}

/// XGROUP DELCONSUMER key group consumer
pub(super) fn delete_consumer(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    last_id(ctx, key, group)?;
    let pending = ctx.txn.edit_stream(key, |stream, edit| {
        stream.delete_consumer(group, consumer, edit)
    })?;
    if pending.is_some() {
        ctx.txn.notify("xgroup-delconsumer", key);
    }
    out.integer(pending.unwrap_or(0) as i64);
    Ok(())
}

/// XGROUP HELP
pub(super) fn help(
    _: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    args.finish()?;
    let subcommands = [
        (
            "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <entries-read>]",
            "Add a group that begins behind an entry.",
        ),
        (
            "CREATECONSUMER <key> <group> <consumer>",
            "Add a consumer to a group.",
        ),
        (
            "DELCONSUMER <key> <group> <consumer>",
            "Remove a consumer from a group.",
        ),
        ("DESTROY <key> <group>", "Remove a group."),
        (
            "SETID <key> <group> <id|$> [ENTRIESREAD <entries-read>]",
            "Set behind which entry a group goes on.",
        ),
    ];
    write_help("XGROUP", &subcommands, out);
    Ok(())
}
