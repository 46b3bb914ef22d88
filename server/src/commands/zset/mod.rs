//! Sorted sets: members with scores, in order of scores and then of their bytes. The table first; handlers by concern in the
//! files below.

pub(super) mod add;
mod algebra;
mod bounds;
mod draw;
mod member;
mod points;
mod pop;
mod query;
mod range;
mod remove;

pub(super) use points::of as points_of;
use resp::{Protocol, Writer};
use storage::dataset::Object;
use storage::types::{Item, SortedSetRef};

use super::context::WriteContext;
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Flags, Group, Keys};
use super::unchanged;

const ZSET: Group = Group::SortedSet;
/// Destination, number of keys, keys.
const STORED: Keys = Keys::FIRST.and_counted_at(2);
const COUNTED: Keys = Keys::counted_at(1);

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("zcard", 2, ZSET, Keys::FIRST, member::zcard).fast(),
    DataCommand::read("zscore", 3, ZSET, Keys::FIRST, member::zscore).fast(),
    DataCommand::read("zmscore", -3, ZSET, Keys::FIRST, member::zmscore).fast(),
    DataCommand::read("zrank", -3, ZSET, Keys::FIRST, member::zrank).fast(),
    DataCommand::read("zrevrank", -3, ZSET, Keys::FIRST, member::zrevrank).fast(),
    DataCommand::read("zcount", 4, ZSET, Keys::FIRST, member::zcount).fast(),
    DataCommand::read("zlexcount", 4, ZSET, Keys::FIRST, member::zlexcount).fast(),
    DataCommand::read("zscan", -3, ZSET, Keys::FIRST, member::zscan),
    DataCommand::read("zrandmember", -2, ZSET, Keys::FIRST, draw::zrandmember),
    DataCommand::read("zrange", -4, ZSET, Keys::FIRST, range::zrange),
    DataCommand::read("zrangebyscore", -4, ZSET, Keys::FIRST, range::zrangebyscore),
    DataCommand::read("zrangebylex", -4, ZSET, Keys::FIRST, range::zrangebylex),
    DataCommand::read("zrevrange", -4, ZSET, Keys::FIRST, range::zrevrange),
    DataCommand::read(
        "zrevrangebyscore",
        -4,
        ZSET,
        Keys::FIRST,
        range::zrevrangebyscore,
    ),
    DataCommand::read(
        "zrevrangebylex",
        -4,
        ZSET,
        Keys::FIRST,
        range::zrevrangebylex,
    ),
    DataCommand::read("zunion", -3, ZSET, COUNTED, algebra::zunion).flags(Flags::MOVABLEKEYS),
    DataCommand::read("zinter", -3, ZSET, COUNTED, algebra::zinter).flags(Flags::MOVABLEKEYS),
    DataCommand::read("zintercard", -3, ZSET, COUNTED, algebra::zintercard)
        .flags(Flags::MOVABLEKEYS),
    DataCommand::read("zdiff", -3, ZSET, COUNTED, algebra::zdiff).flags(Flags::MOVABLEKEYS),
    DataCommand::write("zadd", -4, ZSET, Keys::FIRST, add::zadd)
        .probe(unchanged::ALL_SCORES)
        .deny_oom()
        .fast(),
    DataCommand::write("zincrby", 4, ZSET, Keys::FIRST, add::zincrby)
        .deny_oom()
        .fast(),
    DataCommand::write("zrem", -3, ZSET, Keys::FIRST, remove::zrem)
        .probe(unchanged::NO_RANKED)
        .fast(),
    DataCommand::write(
        "zremrangebyrank",
        4,
        ZSET,
        Keys::FIRST,
        remove::zremrangebyrank,
    ),
    DataCommand::write(
        "zremrangebyscore",
        4,
        ZSET,
        Keys::FIRST,
        remove::zremrangebyscore,
    ),
    DataCommand::write(
        "zremrangebylex",
        4,
        ZSET,
        Keys::FIRST,
        remove::zremrangebylex,
    ),
    DataCommand::write("zpopmin", -2, ZSET, Keys::FIRST, pop::zpopmin)
        .probe(unchanged::NOTHING_TO_TAKE_OF_MANY)
        .fast(),
    DataCommand::write("zpopmax", -2, ZSET, Keys::FIRST, pop::zpopmax)
        .probe(unchanged::NOTHING_TO_TAKE_OF_MANY)
        .fast(),
    DataCommand::write("zmpop", -4, ZSET, COUNTED, pop::zmpop).flags(Flags::MOVABLEKEYS),
    DataCommand::write("zrangestore", -5, ZSET, Keys::TWO, range::zrangestore).deny_oom(),
    DataCommand::write("zunionstore", -4, ZSET, STORED, algebra::zunionstore)
        .deny_oom()
        .flags(Flags::MOVABLEKEYS),
    DataCommand::write("zinterstore", -4, ZSET, STORED, algebra::zinterstore)
        .deny_oom()
        .flags(Flags::MOVABLEKEYS),
    DataCommand::write("zdiffstore", -4, ZSET, STORED, algebra::zdiffstore)
        .deny_oom()
        .flags(Flags::MOVABLEKEYS),
];

/// The sorted set that an object is; another type is refused.
pub(super) fn zset<'o>(object: &'o Object<'_>) -> CommandResult<SortedSetRef<'o>> {
    object.zset().ok_or(CommandError::WRONG_TYPE)
}

/// A member as a bulk string.
fn write_item(item: Item<'_>, out: &mut Writer<'_>) {
    out.bulk(item.bytes(&mut itoa::Buffer::new()));
}

/// Opens an array of members. With scores RESP3 has pairs, RESP2 a flat list.
fn write_header(count: usize, with_scores: bool, out: &mut Writer<'_>) {
    let flat = with_scores && out.protocol() == Protocol::Resp2;
    out.array(if flat { 2 * count } else { count });
}

/// A member in an array of [`write_header`].
fn write_pair((member, score): (Item<'_>, f64), with_scores: bool, out: &mut Writer<'_>) {
    if with_scores && out.protocol() == Protocol::Resp3 {
        out.array(2);
    }
    write_item(member, out);
    if with_scores {
        out.double(score);
    }
}

/// Puts a sorted set in place of whatever is at `key`, its members in this order, notes it as `event`, and answers the number of members. Without members
/// the key goes.
pub(super) fn store(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    members: &[(f64, Vec<u8>)],
    event: &'static str,
    out: &mut Writer<'_>,
) -> CommandResult {
    let existed = ctx.txn.remove(key)?;
    if !members.is_empty() {
        ctx.txn.edit_zset(key, |set, edit| {
            set.expect(members.len(), edit);
            for (score, member) in members {
                set.insert(member, *score, edit);
            }
        })?;
        ctx.txn.notify(event, key);
    } else if existed {
        ctx.txn.notify("del", key);
    }
    out.integer(members.len() as i64);
    Ok(())
}
