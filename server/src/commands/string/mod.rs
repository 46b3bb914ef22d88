//! Strings. The table first; handlers by concern in the files below.

mod count;
mod expiry;
mod get;
mod lcs;
mod range;
mod set;

pub(super) use expiry::{Unit, absolute_ms};

use std::borrow::Cow;

use storage::dataset::Object;
use storage::types::Kind;

use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Group, Keys};
use super::unchanged;

/// Longest string, as `proto-max-bulk-len` is by default: every replica must agree, so it is not configurable here.
pub(super) const MAX_STRING_BYTES: usize = 512 << 20;

const STRING: Group = Group::String;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("get", 2, STRING, Keys::FIRST, get::get).fast(),
    DataCommand::read("strlen", 2, STRING, Keys::FIRST, get::strlen).fast(),
    DataCommand::read("mget", -2, STRING, Keys::ALL, get::mget).fast(),
    DataCommand::read("getrange", 4, STRING, Keys::FIRST, range::getrange),
    DataCommand::read("substr", 4, STRING, Keys::FIRST, range::getrange),
    DataCommand::read("lcs", -3, STRING, Keys::TWO, lcs::lcs),
    DataCommand::write("set", -3, STRING, Keys::FIRST, set::set)
        .probe(unchanged::LOCK_IS_HELD)
        .deny_oom(),
    DataCommand::write("setnx", 3, STRING, Keys::FIRST, set::setnx)
        .probe(unchanged::KEY_IS_THERE)
        .deny_oom()
        .fast(),
    DataCommand::write("setex", 4, STRING, Keys::FIRST, set::setex).deny_oom(),
    DataCommand::write("psetex", 4, STRING, Keys::FIRST, set::psetex).deny_oom(),
    DataCommand::write("mset", -3, STRING, Keys::PAIRS, set::mset).deny_oom(),
    DataCommand::write("msetnx", -3, STRING, Keys::PAIRS, set::msetnx).deny_oom(),
    DataCommand::write("getset", 3, STRING, Keys::FIRST, set::getset)
        .deny_oom()
        .fast(),
    DataCommand::write("getdel", 2, STRING, Keys::FIRST, get::getdel)
        .probe(unchanged::NOTHING_TO_TAKE)
        .fast(),
    DataCommand::write("getex", -2, STRING, Keys::FIRST, get::getex).fast(),
    DataCommand::write("append", 3, STRING, Keys::FIRST, range::append)
        .deny_oom()
        .fast(),
    DataCommand::write("setrange", 4, STRING, Keys::FIRST, range::setrange).deny_oom(),
    DataCommand::write("incr", 2, STRING, Keys::FIRST, count::incr)
        .deny_oom()
        .fast(),
    DataCommand::write("decr", 2, STRING, Keys::FIRST, count::decr)
        .deny_oom()
        .fast(),
    DataCommand::write("incrby", 3, STRING, Keys::FIRST, count::incrby)
        .deny_oom()
        .fast(),
    DataCommand::write("decrby", 3, STRING, Keys::FIRST, count::decrby)
        .deny_oom()
        .fast(),
    DataCommand::write("incrbyfloat", 3, STRING, Keys::FIRST, count::incrbyfloat)
        .deny_oom()
        .fast(),
];

/// The text of a string object; another type is refused.
pub(super) fn text<'o>(object: &'o Object<'_>) -> CommandResult<Cow<'o, [u8]>> {
    match object.kind() {
        Kind::String => object.string().ok_or(CommandError::WRONG_TYPE),
        _ => Err(CommandError::WRONG_TYPE),
    }
}
