//! Which commands look only at the elements that they name, near the ends of a list or stream, or at a few members of a sorted set by
//! their order: of a large collection that is only on disk, these are read, and the rest of it stays there. See [`storage::dataset::Txn::focus`].

use smallvec::{SmallVec, smallvec};
use storage::dataset::{Looks, Members, Point};
use storage::types::{Drawn, Limits};

use super::args::Args;
use super::error::CommandResult;
use super::number::parse_i64;
use super::scan;
use super::spec::{Group, Spec};
use super::{geo, stream, zset};

/// What a command looks at, key by key.
pub type Points<'a> = SmallVec<[Point<'a>; 1]>;

/// The keys of a command and what it looks at there, if that is not all; `args` begins with the name. Whether the arguments make
/// sense is the command's business.
pub fn of<'a>(name: &str, args: &[&'a [u8]], limits: &Limits) -> Option<Points<'a>> {
    let (&key, rest) = args.get(1..)?.split_first()?;
    let looks = match name {
        "exists" | "touch" => {
            let keys = args.iter().skip(1);
            return Some(keys.map(|key| Point::new(key, [])).collect());
        }
        "object|encoding" | "object|refcount" | "object|idletime" | "object|freq" => {
            return Some(smallvec![Point::new(rest.first()?, [])]);
        }
        "lpop" | "rpop" | "lmpop" | "lmove" | "rpoplpush" => return taken(name, key, rest),
        "smove" => {
            let (&to, members) = rest.split_first()?;
            let of = |key| Point::new(key, members.iter().take(1).copied());
            return Some(smallvec![of(key), of(to)]);
        }
        "hscan" | "sscan" | "zscan" => return walked(key, args),
        "spop" => drawn(rest),
        "srandmember" | "hrandfield" | "zrandmember" => shown(rest),
        "xread" => return stream::points_of_read(args),
        _ => match of_list(name, rest).or_else(|| stream::looks(name, args, limits)) {
            Some(looks) => looks,
            None => match named(name, rest) {
                Some(members) => Looks::Elements(members),
                None => return zset::points_of(name, args).or_else(|| geo::points_of(name, args)),
            },
        },
    };
    Some(smallvec![Point { key, looks }])
}

/// Whether a command may need all of a collection: its family works on collections, or on keys of any type, and it is none that
/// only removes or overwrites.
pub fn may_need_all(spec: &Spec) -> bool {
    let on_collections = matches!(
        spec.group,
        Group::List | Group::Hash | Group::Set | Group::SortedSet | Group::Stream | Group::Geo
    );
    let on_any = spec.group == Group::Generic
        && !matches!(spec.name, "del" | "unlink" | "exists" | "touch" | "type");
    on_collections || on_any
}

/// The place among a command's arguments of a key that it overwrites, whatever is there.
pub fn overwritten(spec: &Spec, args: &[&[u8]]) -> Option<usize> {
    match spec.name {
        "sdiffstore" | "sinterstore" | "sunionstore" | "zdiffstore" | "zinterstore"
        | "zunionstore" | "zrangestore" | "geosearchstore" => Some(1),
        "rename" => Some(2),
        // What is stored comes behind what is read.
        "sort" | "georadius" | "georadiusbymember" => spec.keys.positions(args).nth(1),
        _ => None,
    }
}

/// Whether a point of the command is never too much to be read from the disk under the lock. Of a hash it may be: when many of its
/// fields have expired, it takes all of it.
pub fn is_small(spec: &Spec, point: &Point<'_>) -> bool {
    let may_be_hash = matches!(spec.group, Group::Hash | Group::Generic);
    point.looks.is_small() && !may_be_hash
}

/// The members or fields that a command names.
fn named<'a>(name: &str, rest: &[&'a [u8]]) -> Option<Members<'a>> {
    Some(match name {
        "hlen" | "scard" | "zcard" | "type" | "ttl" | "pttl" | "expiretime" | "pexpiretime" => {
            Members::new()
        }
        "llen" | "lpush" | "rpush" | "lpushx" | "rpushx" | "xlen" | "xsetid" => Members::new(),
        "expire" | "pexpire" | "expireat" | "pexpireat" | "persist" => Members::new(),
        "hget" | "hexists" | "hstrlen" | "hsetnx" | "hincrby" | "hincrbyfloat" | "sismember"
        | "zscore" => rest.iter().take(1).copied().collect(),
        "hmget" | "hdel" | "sadd" | "srem" | "smismember" | "zmscore" | "zrem" | "geopos"
        | "geohash" => rest.into(),
        "geodist" => rest.iter().take(2).copied().collect(),
        "geoadd" => {
            let places = rest.iter().skip_while(|arg| is_flag_of_zadd(arg));
            places.skip(2).step_by(3).copied().collect()
        }
        "httl" | "hpttl" | "hexpiretime" | "hpexpiretime" | "hpersist" | "hexpire" | "hpexpire"
        | "hexpireat" | "hpexpireat" | "hgetex" | "hgetdel" => behind_fields(rest)?.collect(),
        "hsetex" => behind_fields(rest)?.step_by(2).collect(),
        "hset" | "hmset" => rest.iter().step_by(2).copied().collect(),
        "zincrby" => rest.iter().skip(1).take(1).copied().collect(),
        "zadd" => {
            let pairs = rest.iter().skip_while(|arg| is_flag_of_zadd(arg));
            pairs.skip(1).step_by(2).copied().collect()
        }
        _ => return None,
    })
}

/// What stands behind the word FIELDS and their number.
fn behind_fields<'a>(rest: &[&'a [u8]]) -> Option<impl Iterator<Item = &'a [u8]>> {
    let at = rest
        .iter()
        .position(|arg| arg.eq_ignore_ascii_case(b"FIELDS"))?;
    Some(rest.get(at + 2..)?.iter().copied())
}

/// What SPOP takes. A wrong count is refused whatever the set has.
fn drawn<'a>(rest: &[&'a [u8]]) -> Looks<Members<'a>> {
    let count = match rest.first() {
        None => Some(1),
        Some(count) => parse_i64(count).and_then(|count| usize::try_from(count).ok()),
    };
    let wrong = || Looks::Elements(Members::new());
    count.map_or_else(wrong, |taken| Looks::Draw(Drawn::Taken(taken)))
}

/// What SRANDMEMBER and its kin show: elements with repetition if their number is negative.
fn shown<'a>(rest: &[&'a [u8]]) -> Looks<Members<'a>> {
    let count = rest.first().map_or(Some(1), |count| parse_i64(count));
    let magnitude = |count: i64| usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match count {
        None | Some(0) => Looks::Elements(Members::new()),
        Some(count) if count < 0 => Looks::Draw(Drawn::Repeated(magnitude(count))),
        Some(count) => Looks::Draw(Drawn::Different(magnitude(count))),
    }
}

/// Positions in a list.
fn of_list<'a>(name: &str, rest: &[&'a [u8]]) -> Option<Looks<Members<'a>>> {
    let number = |at: usize| parse_i64(rest.get(at)?);
    match name {
        "lindex" => Some(match number(0) {
            Some(at) => Looks::Range {
                start: at,
                stop: at,
            },
            None => Looks::Elements(Members::new()),
        }),
        "lrange" => Some(Looks::Range {
            start: number(0)?,
            stop: number(1)?,
        }),
        "ltrim" => Some(Looks::KeepRange {
            start: number(0)?,
            stop: number(1)?,
        }),
        _ => None,
    }
}

/// A walk over elements.
fn walked<'a>(key: &'a [u8], args: &[&'a [u8]]) -> Option<Points<'a>> {
    let mut args = Args::new(args);
    args.bytes().ok()?;
    let looks = match walk(&mut args) {
        Ok((cursor, count)) => Looks::Walk { cursor, count },
        // Wrong arguments are refused whatever the collection has.
        Err(_) => Looks::Elements(Members::new()),
    };
    Some(smallvec![Point { key, looks }])
}

/// The cursor, and the number of elements that are asked for.
fn walk(args: &mut Args<'_>) -> CommandResult<(u64, usize)> {
    let cursor = scan::cursor(args.bytes()?)?;
    Ok((cursor, scan::Options::of_elements(args)?.count))
}

/// Elements that go from the end of a list.
fn taken<'a>(name: &str, key: &'a [u8], rest: &[&'a [u8]]) -> Option<Points<'a>> {
    let count = |arg: &[u8]| usize::try_from(parse_i64(arg)?).ok();
    let from = |key: &'a [u8], head: usize, tail: usize| Point {
        key,
        looks: Looks::Take { head, tail },
    };
    match name {
        "lpop" | "rpop" => {
            let count = rest.first().map_or(Some(1), |arg| count(arg)).unwrap_or(0);
            let (head, tail) = if name == "lpop" {
                (count, 0)
            } else {
                (0, count)
            };
            Some(smallvec![from(key, head, tail)])
        }
        "lmpop" => {
            let (keys, options) = rest.split_at_checked(count(key)?)?;
            let (end, options) = options.split_first()?;
            let count = options.get(1).map_or(Some(1), |arg| count(arg))?;
            let is_head = end.eq_ignore_ascii_case(b"left");
            let (head, tail) = if is_head { (count, 0) } else { (0, count) };
            Some(keys.iter().map(|key| from(key, head, tail)).collect())
        }
        // Source and destination may be the same list.
        _ => Some(smallvec![from(key, 1, 1), Point::new(rest.first()?, [])]),
    }
}

fn is_flag_of_zadd(arg: &[u8]) -> bool {
    let flags: [&[u8]; 6] = [b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"];
    flags.iter().any(|flag| flag.eq_ignore_ascii_case(arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points<'a>(args: &[&'a [u8]]) -> Option<Points<'a>> {
        let name = std::str::from_utf8(args[0]).unwrap();
        of(name, args, &Limits::default())
    }

    fn split(command: &str) -> Vec<&[u8]> {
        command.split(' ').map(str::as_bytes).collect()
    }

    #[test]
    fn names_every_element_that_a_command_looks_at() {
        let is = |command: &str, wanted: &[&str]| {
            let members = wanted.iter().map(|member| member.as_bytes());
            let args = split(command);
            assert_eq!(
                points(&args).unwrap()[..],
                [Point::new(b"k", members)],
                "{command}"
            );
        };
        is("hlen k", &[]);
        is("hget k a", &["a"]);
        is("hmget k a b", &["a", "b"]);
        is("hset k a 1 b 2", &["a", "b"]);
        is("hincrby k a 1", &["a"]);
        is("zadd k NX CH 1 a 2 b", &["a", "b"]);
        is("zadd k 1 nx", &["nx"]);
        is("zincrby k 1 a", &["a"]);
        is("srem k a b", &["a", "b"]);
        is("geoadd k NX CH 1 2 a 3 4 b", &["a", "b"]);
        is("geopos k a b", &["a", "b"]);
        is("geodist k a b km", &["a", "b"]);
        is("hpttl k FIELDS 2 a b", &["a", "b"]);
        is("hexpire k 10 NX fields 1 a", &["a"]);
        is("hgetdel k FIELDS 1 a", &["a"]);
        is("hgetex k EX 10 FIELDS 2 a b", &["a", "b"]);
        is("hsetex k FNX PX 10 FIELDS 2 a 1 b 2", &["a", "b"]);
        is("rpush k a b", &[]);
        is("exists k", &[]);
        is("lindex k none", &[]);
        is("xadd k * maxlen 1", &[]);
        is("xadd k 5-1 a b", &[]);
        is("xadd k nomkstream * a b", &[]);
        assert_eq!(points(&[b"hgetall", b"k"]), None);
        assert_eq!(points(&[b"get"]), None);
    }

    /// The only point of a command looks at this.
    fn is(command: &'static str, wanted: Option<Looks<Members<'static>>>) {
        let args = split(command);
        let looks = points(&args).map(|points| points[0].looks.clone());
        assert_eq!(looks, wanted, "{command}");
    }

    #[test]
    fn a_walk_looks_at_what_it_asks_for() {
        let walk = |cursor, count| Some(Looks::Walk { cursor, count });
        let refused = || Some(Looks::Elements(Members::new()));
        is("hscan k 0", walk(0, 10));
        is("sscan k 77 match count count 20", walk(77, 20));
        is("zscan k 5 COUNT 3 COUNT 7", walk(5, 7));
        is("zscan k 0 count 1000000", walk(0, 1_000_000));
        is("hscan k 0 count -1", refused());
        is("hscan k 0 count", refused());
        is("hscan k none", refused());
        is("hscan k", refused());
    }

    #[test]
    fn what_is_drawn_is_counted() {
        let draw = |taken| Some(Looks::Draw(Drawn::Taken(taken)));
        is("spop k", draw(1));
        is("spop k 7", draw(7));
        is("spop k -1", Some(Looks::Elements(Members::new())));
        let different = |count| Some(Looks::Draw(Drawn::Different(count)));
        is("srandmember k", different(1));
        is("hrandfield k", different(1));
        is("zrandmember k 3", different(3));
        is("hrandfield k 3 withvalues", different(3));
        is("srandmember k -3", Some(Looks::Draw(Drawn::Repeated(3))));
        is("srandmember k 0", Some(Looks::Elements(Members::new())));
        is("srandmember k x", Some(Looks::Elements(Members::new())));
    }

    #[test]
    fn a_member_that_moves_is_looked_for_at_both_keys() {
        let args = split("smove a b m");
        let members = || [b"m".as_slice()];
        let wanted = [Point::new(b"a", members()), Point::new(b"b", members())];
        assert_eq!(points(&args).unwrap()[..], wanted);
    }

    #[test]
    fn tells_how_far_a_command_looks_into_a_list() {
        fn is<'a>(command: &'a str, wanted: &[(&'a str, Looks<Members<'a>>)]) {
            let args = split(command);
            let found = points(&args).unwrap();
            assert_eq!(found.len(), wanted.len(), "{command}");
            for (point, (key, looks)) in found.iter().zip(wanted) {
                assert_eq!(
                    (point.key, &point.looks),
                    (key.as_bytes(), looks),
                    "{command}"
                );
            }
        }
        let take = |head, tail| Looks::Take { head, tail };
        let none = || Looks::Elements(Members::new());
        is("lpop k", &[("k", take(1, 0))]);
        is("rpop k 12", &[("k", take(0, 12))]);
        is("rpop k x", &[("k", take(0, 0))]);
        is(
            "lmpop 2 a b RIGHT COUNT 3",
            &[("a", take(0, 3)), ("b", take(0, 3))],
        );
        is("rpoplpush a b", &[("a", take(1, 1)), ("b", none())]);
        is("lmove a a LEFT RIGHT", &[("a", take(1, 1)), ("a", none())]);
        is(
            "lrange k -3 -1",
            &[(
                "k",
                Looks::Range {
                    start: -3,
                    stop: -1,
                },
            )],
        );
        is(
            "ltrim k 0 9",
            &[("k", Looks::KeepRange { start: 0, stop: 9 })],
        );
    }
}
