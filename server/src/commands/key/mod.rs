//! Keys of any type, and whole databases. The table first; handlers by concern in the files below.

mod database;
mod debug;
mod dump;
mod exist;
mod expire;
mod introspect;
mod rename;
mod walk;

pub use debug::DEBUG;

pub(super) use introspect::help;

use storage::ids::{DB_COUNT, DbIndex};

use super::args::Args;
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Flags, Group, Keys};
use super::unchanged;

const KEY: Group = Group::Generic;
const SERVER: Group = Group::Server;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::write("del", -2, KEY, Keys::ALL, exist::del).probe(unchanged::NO_KEYS),
    DataCommand::write("unlink", -2, KEY, Keys::ALL, exist::del)
        .probe(unchanged::NO_KEYS)
        .fast(),
    DataCommand::read("exists", -2, KEY, Keys::ALL, exist::exists).fast(),
    DataCommand::read("type", 2, KEY, Keys::FIRST, exist::type_of).fast(),
    DataCommand::read("touch", -2, KEY, Keys::ALL, exist::touch).fast(),
    DataCommand::write("expire", -3, KEY, Keys::FIRST, expire::expire).fast(),
    DataCommand::write("pexpire", -3, KEY, Keys::FIRST, expire::pexpire).fast(),
    DataCommand::write("expireat", -3, KEY, Keys::FIRST, expire::expireat).fast(),
    DataCommand::write("pexpireat", -3, KEY, Keys::FIRST, expire::pexpireat).fast(),
    DataCommand::read("ttl", 2, KEY, Keys::FIRST, expire::ttl).fast(),
    DataCommand::read("pttl", 2, KEY, Keys::FIRST, expire::pttl).fast(),
    DataCommand::read("expiretime", 2, KEY, Keys::FIRST, expire::expiretime).fast(),
    DataCommand::read("pexpiretime", 2, KEY, Keys::FIRST, expire::pexpiretime).fast(),
    DataCommand::write("persist", 2, KEY, Keys::FIRST, expire::persist).fast(),
    DataCommand::write("rename", 3, KEY, Keys::TWO, rename::rename),
    DataCommand::write("renamenx", 3, KEY, Keys::TWO, rename::renamenx).fast(),
    DataCommand::write("copy", -3, KEY, Keys::TWO, rename::copy).deny_oom(),
    DataCommand::write("move", 3, KEY, Keys::FIRST, rename::move_key).fast(),
    DataCommand::read("keys", 2, KEY, Keys::NONE, walk::keys),
    DataCommand::read("scan", -2, KEY, Keys::NONE, walk::scan),
    DataCommand::read("randomkey", 1, KEY, Keys::NONE, walk::randomkey),
    DataCommand::read("dbsize", 1, SERVER, Keys::NONE, walk::dbsize).fast(),
    DataCommand::write("flushdb", -1, SERVER, Keys::NONE, database::flushdb),
    DataCommand::write("flushall", -1, SERVER, Keys::NONE, database::flushall),
    DataCommand::write("swapdb", 3, SERVER, Keys::NONE, database::swapdb).fast(),
    DataCommand::read("dump", 2, KEY, Keys::FIRST, dump::dump),
    DataCommand::write("restore", -4, KEY, Keys::FIRST, dump::restore).deny_oom(),
    DataCommand::container("object", KEY, OBJECT),
    DataCommand::container("memory", SERVER, MEMORY),
];

static OBJECT: &[DataCommand] = &[
    DataCommand::read(
        "object|encoding",
        3,
        KEY,
        Keys::SECOND,
        introspect::encoding,
    ),
    DataCommand::read("object|freq", 3, KEY, Keys::SECOND, introspect::freq),
    DataCommand::free("object|help", 2, KEY, introspect::object_help).flags(HELP),
    DataCommand::read(
        "object|idletime",
        3,
        KEY,
        Keys::SECOND,
        introspect::idletime,
    ),
    DataCommand::read(
        "object|refcount",
        3,
        KEY,
        Keys::SECOND,
        introspect::refcount,
    ),
];

static MEMORY: &[DataCommand] = &[
    DataCommand::free("memory|help", 2, SERVER, introspect::memory_help).flags(HELP),
    DataCommand::read(
        "memory|usage",
        -3,
        SERVER,
        Keys::SECOND,
        introspect::memory_usage,
    ),
];

const HELP: Flags = Flags::LOADING.with(Flags::STALE);

/// A database by its number, as SELECT, MOVE and COPY read it.
pub fn db_index(args: &mut Args<'_>) -> CommandResult<DbIndex> {
    let number = args.int()?;
    if i32::try_from(number).is_err() {
        let (least, greatest) = (i32::MIN, i32::MAX);
        let text = format!("ERR value is out of range, value must between {least} and {greatest}");
        return Err(CommandError::reply(text));
    }
    existing_db(number)
}

fn existing_db(number: i64) -> CommandResult<DbIndex> {
    let db = u8::try_from(number).ok().filter(|db| *db < DB_COUNT);
    db.map(DbIndex).ok_or(CommandError::DB_OUT_OF_RANGE)
}
