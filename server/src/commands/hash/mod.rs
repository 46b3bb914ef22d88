//! Hashes: values by field. The table first; handlers by concern in the files below.

mod count;
mod draw;
mod expire;
mod expiring;
mod read;
mod write;

use storage::dataset::Object;
use storage::types::{HashRef, Item};

use super::context::{ReadContext, WriteContext};
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Group, Keys};
use super::unchanged;

const HASH: Group = Group::Hash;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("hget", 3, HASH, Keys::FIRST, read::hget).fast(),
    DataCommand::read("hmget", -3, HASH, Keys::FIRST, read::hmget).fast(),
    DataCommand::read("hgetall", 2, HASH, Keys::FIRST, read::hgetall),
    DataCommand::read("hkeys", 2, HASH, Keys::FIRST, read::hkeys),
    DataCommand::read("hvals", 2, HASH, Keys::FIRST, read::hvals),
    DataCommand::read("hexists", 3, HASH, Keys::FIRST, read::hexists).fast(),
    DataCommand::read("hlen", 2, HASH, Keys::FIRST, read::hlen).fast(),
    DataCommand::read("hstrlen", 3, HASH, Keys::FIRST, read::hstrlen).fast(),
    DataCommand::read("hscan", -3, HASH, Keys::FIRST, read::hscan),
    DataCommand::read("hrandfield", -2, HASH, Keys::FIRST, draw::hrandfield),
    DataCommand::read("httl", -5, HASH, Keys::FIRST, expire::httl).fast(),
    DataCommand::read("hpttl", -5, HASH, Keys::FIRST, expire::hpttl).fast(),
    DataCommand::read("hexpiretime", -5, HASH, Keys::FIRST, expire::hexpiretime).fast(),
    DataCommand::read("hpexpiretime", -5, HASH, Keys::FIRST, expire::hpexpiretime).fast(),
    DataCommand::write("hset", -4, HASH, Keys::FIRST, write::hset)
        .deny_oom()
        .fast(),
    DataCommand::write("hmset", -4, HASH, Keys::FIRST, write::hmset)
        .deny_oom()
        .fast(),
    DataCommand::write("hsetnx", 4, HASH, Keys::FIRST, write::hsetnx)
        .probe(unchanged::FIELD_IS_THERE)
        .deny_oom()
        .fast(),
    DataCommand::write("hdel", -3, HASH, Keys::FIRST, write::hdel)
        .probe(unchanged::NO_FIELDS)
        .fast(),
    DataCommand::write("hincrby", 4, HASH, Keys::FIRST, count::hincrby)
        .deny_oom()
        .fast(),
    DataCommand::write("hincrbyfloat", 4, HASH, Keys::FIRST, count::hincrbyfloat)
        .deny_oom()
        .fast(),
    DataCommand::write("hexpire", -6, HASH, Keys::FIRST, expire::hexpire)
        .deny_oom()
        .fast(),
    DataCommand::write("hpexpire", -6, HASH, Keys::FIRST, expire::hpexpire)
        .deny_oom()
        .fast(),
    DataCommand::write("hexpireat", -6, HASH, Keys::FIRST, expire::hexpireat)
        .deny_oom()
        .fast(),
    DataCommand::write("hpexpireat", -6, HASH, Keys::FIRST, expire::hpexpireat)
        .deny_oom()
        .fast(),
    DataCommand::write("hpersist", -5, HASH, Keys::FIRST, expire::hpersist).fast(),
    DataCommand::write("hgetex", -5, HASH, Keys::FIRST, expiring::hgetex).fast(),
    DataCommand::write("hgetdel", -5, HASH, Keys::FIRST, expiring::hgetdel).fast(),
    DataCommand::write("hsetex", -6, HASH, Keys::FIRST, expiring::hsetex)
        .deny_oom()
        .fast(),
];

/// The hash that an object is; another type is refused.
fn hash<'o>(object: &'o Object<'_>) -> CommandResult<HashRef<'o>> {
    object.hash().ok_or(CommandError::WRONG_TYPE)
}

/// The value of a field of a hash that a read looked up.
fn value<'o>(ctx: &ReadContext<'_>, hash: HashRef<'o>, field: &[u8]) -> Option<Item<'o>> {
    hash.get(field, |field| ctx.view.element_hash(field))
}

/// Gives `read` the hash at `key`, if there is one; another type is refused.
fn with_hash<R>(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    read: impl FnOnce(Option<HashRef<'_>>, &dyn Fn(&[u8]) -> u32) -> R,
) -> CommandResult<R> {
    // Brings it into memory, where the view finds it.
    if let Some(object) = ctx.txn.lookup(key)? {
        hash(&object)?;
    }
    let view = ctx.txn.view();
    let object = view.peek(key)?;
    let hash = object.as_ref().map(hash).transpose()?;
    Ok(read(hash, &|field| view.element_hash(field)))
}
