//! Reading hashes: HGET HMGET HGETALL HKEYS HVALS HEXISTS HLEN HSTRLEN HSCAN.

use resp::Writer;
use storage::types::{HashRef, Item};

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::CommandResult;
use super::super::scan::{Options, cursor};
use super::{hash, value};

/// HGET key field
pub(super) fn hget(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let object = ctx.view.lookup(key)?;
    let hash = object.as_ref().map(hash).transpose()?;
    write_value(hash.and_then(|hash| value(ctx, hash, field)), out);
    Ok(())
}

/// HMGET key field [field ...]
pub(super) fn hmget(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, fields) = (args.bytes()?, args.rest());
    let object = ctx.view.lookup(key)?;
    let hash = object.as_ref().map(hash).transpose()?;
    out.array(fields.len());
    for field in fields {
        write_value(hash.and_then(|hash| value(ctx, hash, field)), out);
    }
    Ok(())
}

fn write_value(value: Option<Item<'_>>, out: &mut Writer<'_>) {
    match value {
        Some(value) => write_item(value, out),
        None => out.null(),
    }
}

/// An element as a bulk string.
pub(super) fn write_item(item: Item<'_>, out: &mut Writer<'_>) {
    out.bulk(item.bytes(&mut itoa::Buffer::new()));
}

/// HGETALL key
pub(super) fn hgetall(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    with_all(ctx, args, |hash| {
        out.map(hash.map_or(0, HashRef::len));
        for (field, value) in hash.into_iter().flat_map(HashRef::iter) {
            write_item(field, out);
            write_item(value, out);
        }
    })
}

/// HKEYS key
pub(super) fn hkeys(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    with_all(ctx, args, |hash| {
        out.array(hash.map_or(0, HashRef::len));
        for (field, _) in hash.into_iter().flat_map(HashRef::iter) {
            write_item(field, out);
        }
    })
}

/// HVALS key
pub(super) fn hvals(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    with_all(ctx, args, |hash| {
        out.array(hash.map_or(0, HashRef::len));
        for (_, value) in hash.into_iter().flat_map(HashRef::iter) {
            write_item(value, out);
        }
    })
}

fn with_all(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    write: impl FnOnce(Option<HashRef<'_>>),
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    write(object.as_ref().map(hash).transpose()?);
    Ok(())
}

/// HEXISTS key field
pub(super) fn hexists(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let object = ctx.view.lookup(key)?;
    let hash = object.as_ref().map(hash).transpose()?;
    let there = hash.is_some_and(|hash| value(ctx, hash, field).is_some());
    out.integer(there.into());
    Ok(())
}

/// HLEN key
pub(super) fn hlen(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    with_all(ctx, args, |hash| {
        out.integer(hash.map_or(0, HashRef::len) as i64);
    })
}

/// HSTRLEN key field
pub(super) fn hstrlen(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, field) = (args.bytes()?, args.bytes()?);
    let object = ctx.view.lookup(key)?;
    let hash = object.as_ref().map(hash).transpose()?;
    let value = hash.and_then(|hash| value(ctx, hash, field));
    out.integer(value.map_or(0, Item::len) as i64);
    Ok(())
}

/// HSCAN key cursor [MATCH pattern] [COUNT count]
pub(super) fn hscan(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, cursor) = (args.bytes()?, cursor(args.bytes()?)?);
    let object = ctx.view.lookup(key)?;
    out.array(2);
    let Some(object) = &object else {
        // Redis does not look at the options then.
        out.bulk(b"0");
        out.array(0);
        return Ok(());
    };
    let hash = hash(object)?;
    let options = Options::of_elements(args)?;
    let (next, mut pairs) = hash.scan(cursor, options.count);
    pairs.retain(|(field, _)| options.admit(field.bytes(&mut itoa::Buffer::new())));
    out.bulk_integer(next as i64);
    out.array(2 * pairs.len());
    for (field, value) in pairs {
        write_item(field, out);
        write_item(value, out);
    }
    Ok(())
}
