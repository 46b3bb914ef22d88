//! Sets: members, each once. The table first; handlers by concern in the files below.

mod algebra;
mod draw;
mod member;

use resp::Writer;
use storage::dataset::Object;
use storage::types::{Item, SetRef};

use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Flags, Group, Keys};
use super::unchanged;

const SET: Group = Group::Set;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("scard", 2, SET, Keys::FIRST, member::scard).fast(),
    DataCommand::read("sismember", 3, SET, Keys::FIRST, member::sismember).fast(),
    DataCommand::read("smismember", -3, SET, Keys::FIRST, member::smismember).fast(),
    DataCommand::read("smembers", 2, SET, Keys::FIRST, member::smembers),
    DataCommand::read("sscan", -3, SET, Keys::FIRST, member::sscan),
    DataCommand::read("srandmember", -2, SET, Keys::FIRST, draw::srandmember),
    DataCommand::read("sinter", -2, SET, Keys::ALL, algebra::sinter),
    DataCommand::read(
        "sintercard",
        -3,
        SET,
        Keys::counted_at(1),
        algebra::sintercard,
    )
    .flags(Flags::MOVABLEKEYS),
    DataCommand::read("sunion", -2, SET, Keys::ALL, algebra::sunion),
    DataCommand::read("sdiff", -2, SET, Keys::ALL, algebra::sdiff),
    DataCommand::write("sadd", -3, SET, Keys::FIRST, member::sadd)
        .probe(unchanged::ALL_MEMBERS)
        .deny_oom()
        .fast(),
    DataCommand::write("srem", -3, SET, Keys::FIRST, member::srem)
        .probe(unchanged::NO_MEMBERS)
        .fast(),
    DataCommand::write("smove", 4, SET, Keys::TWO, member::smove).fast(),
    DataCommand::write("spop", -2, SET, Keys::FIRST, draw::spop)
        .probe(unchanged::NOTHING_TO_TAKE)
        .fast(),
    DataCommand::write("sinterstore", -3, SET, Keys::ALL, algebra::sinterstore).deny_oom(),
    DataCommand::write("sunionstore", -3, SET, Keys::ALL, algebra::sunionstore).deny_oom(),
    DataCommand::write("sdiffstore", -3, SET, Keys::ALL, algebra::sdiffstore).deny_oom(),
];

/// The set that an object is; another type is refused.
fn set<'o>(object: &'o Object<'_>) -> CommandResult<SetRef<'o>> {
    object.set().ok_or(CommandError::WRONG_TYPE)
}

/// A member as a bulk string.
fn write_item(item: Item<'_>, out: &mut Writer<'_>) {
    out.bulk(item.bytes(&mut itoa::Buffer::new()));
}
