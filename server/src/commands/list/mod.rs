//! Lists: elements by position. The table first; handlers by concern in the files below.

mod ends;
mod find;
mod moves;
mod position;

use resp::Writer;
use storage::dataset::Object;
use storage::types::{End, Item, ListRef};

use super::args::Args;
use super::context::WriteContext;
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Flags, Group, Keys};
use super::unchanged;

const LIST: Group = Group::List;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("llen", 2, LIST, Keys::FIRST, position::llen).fast(),
    DataCommand::read("lindex", 3, LIST, Keys::FIRST, position::lindex),
    DataCommand::read("lrange", 4, LIST, Keys::FIRST, position::lrange),
    DataCommand::read("lpos", -3, LIST, Keys::FIRST, find::lpos),
    DataCommand::write("lpush", -3, LIST, Keys::FIRST, ends::lpush)
        .deny_oom()
        .fast(),
    DataCommand::write("rpush", -3, LIST, Keys::FIRST, ends::rpush)
        .deny_oom()
        .fast(),
    DataCommand::write("lpushx", -3, LIST, Keys::FIRST, ends::lpushx)
        .probe(unchanged::NOTHING_TO_ADD_TO)
        .deny_oom()
        .fast(),
    DataCommand::write("rpushx", -3, LIST, Keys::FIRST, ends::rpushx)
        .probe(unchanged::NOTHING_TO_ADD_TO)
        .deny_oom()
        .fast(),
    DataCommand::write("lpop", -2, LIST, Keys::FIRST, ends::lpop)
        .probe(unchanged::NOTHING_TO_TAKE)
        .fast(),
    DataCommand::write("rpop", -2, LIST, Keys::FIRST, ends::rpop)
        .probe(unchanged::NOTHING_TO_TAKE)
        .fast(),
    DataCommand::write("lmpop", -4, LIST, Keys::counted_at(1), ends::lmpop)
        .flags(Flags::MOVABLEKEYS),
    DataCommand::write("lset", 4, LIST, Keys::FIRST, position::lset).deny_oom(),
    DataCommand::write("ltrim", 4, LIST, Keys::FIRST, position::ltrim),
    DataCommand::write("linsert", 5, LIST, Keys::FIRST, find::linsert).deny_oom(),
    DataCommand::write("lrem", 4, LIST, Keys::FIRST, find::lrem),
    DataCommand::write("lmove", 5, LIST, Keys::TWO, moves::lmove).deny_oom(),
    DataCommand::write("rpoplpush", 3, LIST, Keys::TWO, moves::rpoplpush).deny_oom(),
];

/// The list that an object is; another type is refused.
fn list<'o>(object: &'o Object<'_>) -> CommandResult<ListRef<'o>> {
    object.list().ok_or(CommandError::WRONG_TYPE)
}

/// The length of the list at `key`; none if there is none.
fn length(ctx: &mut WriteContext<'_, '_>, key: &[u8]) -> CommandResult<Option<usize>> {
    match ctx.txn.lookup(key)? {
        Some(object) => Ok(Some(list(&object)?.len())),
        None => Ok(None),
    }
}

/// An element as a bulk string.
fn write_item(item: Item<'_>, out: &mut Writer<'_>) {
    out.bulk(item.bytes(&mut itoa::Buffer::new()));
}

/// Takes LEFT or RIGHT.
fn end(args: &mut Args<'_>) -> CommandResult<End> {
    if args.flag("LEFT") {
        Ok(End::Head)
    } else if args.flag("RIGHT") {
        Ok(End::Tail)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// The name of the event after elements were added.
fn pushed(end: End) -> &'static str {
    match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    }
}

/// The name of the event after elements were taken.
fn popped(end: End) -> &'static str {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

/// Notes that elements were removed, and that the key is gone if it is.
fn notify_removal(ctx: &mut WriteContext<'_, '_>, event: &'static str, key: &[u8], left: usize) {
    ctx.txn.notify(event, key);
    if left == 0 {
        ctx.txn.notify("del", key);
    }
}

/// The half-open range of `len` elements that a first and a last index mean, both included, negative ones counted from the
/// end. Empty ranges are `None`.
fn resolve(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    (start <= stop && start < len).then(|| (start as usize, stop as usize + 1))
}

/// The place that an index means, negative ones counted from the end; none outside.
fn place(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 {
        index.checked_add(i64::try_from(len).ok()?)?
    } else {
        index
    };
    usize::try_from(at).ok().filter(|&at| at < len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_places() {
        assert_eq!(resolve(0, -1, 5), Some((0, 5)));
        assert_eq!(resolve(-3, 100, 5), Some((2, 5)));
        assert_eq!(resolve(i64::MIN, i64::MAX, 5), Some((0, 5)));
        assert_eq!(resolve(5, 9, 5), None);
        assert_eq!(resolve(3, 2, 5), None);
        assert_eq!(resolve(0, -1, 0), None);
        assert_eq!(resolve(0, i64::MIN, 5), None);
        assert_eq!((place(-1, 5), place(4, 5)), (Some(4), Some(4)));
        assert_eq!(
            (place(-6, 5), place(5, 5), place(i64::MIN, 5)),
            (None, None, None)
        );
    }
}
