//! Members one by one: SADD SREM SMOVE SCARD SISMEMBER SMISMEMBER SMEMBERS SSCAN.

use resp::Writer;
use storage::types::SetRef;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::CommandResult;
use super::super::scan::{Options, cursor};
use super::{set, write_item};

/// SCARD key
pub(super) fn scard(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let set = object.as_ref().map(set).transpose()?;
    out.integer(set.map_or(0, SetRef::len) as i64);
    Ok(())
}

fn contains(ctx: &ReadContext<'_>, set: Option<SetRef<'_>>, member: &[u8]) -> bool {
    set.is_some_and(|set| set.contains(member, |member| ctx.view.element_hash(member)))
}

/// SISMEMBER key member
pub(super) fn sismember(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, member) = (args.bytes()?, args.bytes()?);
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(set).transpose()?;
    out.integer(contains(ctx, set, member).into());
    Ok(())
}

/// SMISMEMBER key member [member ...]
pub(super) fn smismember(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.rest());
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(set).transpose()?;
    out.array(members.len());
    for member in members {
        out.integer(contains(ctx, set, member).into());
    }
    Ok(())
}

/// SMEMBERS key
pub(super) fn smembers(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let set = object.as_ref().map(set).transpose()?;
    out.set(set.map_or(0, SetRef::len));
    for member in set.into_iter().flat_map(SetRef::iter) {
        write_item(member, out);
    }
    Ok(())
}

/// SSCAN key cursor [MATCH pattern] [COUNT count]
pub(super) fn sscan(
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
    let set = set(object)?;
    let options = Options::of_elements(args)?;
    let (next, mut members) = set.scan(cursor, options.count);
    members.retain(|member| options.admit(member.bytes(&mut itoa::Buffer::new())));
    out.bulk_integer(next as i64);
    out.array(members.len());
    for member in members {
        write_item(member, out);
    }
    Ok(())
}

/// SADD key member [member ...]
pub(super) fn sadd(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.rest());
    if let Some(object) = ctx.txn.lookup(key)? {
        set(&object)?;
    }
    let added = ctx.txn.edit_set(key, |set, edit| {
        set.expect(members, edit);
        let insert = |member: &&&[u8]| set.insert(member, edit);
        members.iter().filter(insert).count()
    })?;
    if added > 0 {
        ctx.txn.notify("sadd", key);
    }
    out.integer(added as i64);
    Ok(())
}

/// SREM key member [member ...]
pub(super) fn srem(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.rest());
    let Some(object) = ctx.txn.lookup(key)? else {
        out.integer(0);
        return Ok(());
    };
    set(&object)?;
    let removed = remove_all(ctx, key, members)?;
    out.integer(removed as i64);
    Ok(())
}

/// Removes members of the set at `key`, which is there; answers how many there were. The set goes with the last one.
fn remove_all(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    members: &[&[u8]],
) -> CommandResult<usize> {
    let (removed, emptied) = ctx.txn.edit_set(key, |set, edit| {
        let remove = |member: &&&[u8]| set.remove(member, edit);
        let removed = members.iter().filter(remove).count();
        (removed, set.as_ref().is_empty())
    })?;
    if removed > 0 {
        ctx.txn.notify("srem", key);
        if emptied {
            ctx.txn.notify("del", key);
        }
    }
    Ok(removed)
}

/// SMOVE source destination member
pub(super) fn smove(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (from, to, member) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let Some(source) = ctx.txn.lookup(from)? else {
        out.integer(0);
        return Ok(());
    };
    set(&source)?;
    if let Some(destination) = ctx.txn.lookup(to)? {
        set(&destination)?;
    }
    let moved = if from == to {
        let view = ctx.txn.view();
        let object = view.peek(from)?;
        let set = object.as_ref().map(set).transpose()?;
        set.is_some_and(|set| set.contains(member, |member| view.element_hash(member)))
    } else {
        remove_all(ctx, from, &[member])? > 0
    };
    if moved && from != to {
        let added = ctx.txn.edit_set(to, |set, edit| set.insert(member, edit))?;
        if added {
            ctx.txn.notify("sadd", to);
        }
    }
    out.integer(moved.into());
    Ok(())
}
