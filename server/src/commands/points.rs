//! Which commands look only at the elements that they name, or at the ends of a list or stream: on a large collection that is only on disk, these are read, and
//! the rest of it stays there. See [`storage::dataset::Txn::focus`].

use smallvec::SmallVec;

/// The elements that a command names.
pub type Members<'a> = SmallVec<[&'a [u8]; 4]>;

/// The key of a command and the elements of its collection that it looks at, if these are all; `args` begins with the name. Whether
/// the arguments make sense is the command's business.
pub fn of<'a>(name: &str, args: &[&'a [u8]]) -> Option<(&'a [u8], Members<'a>)> {
    let (&key, rest) = args.get(1..)?.split_first()?;
    let members = match name {
        "hlen" | "scard" | "zcard" | "type" | "ttl" | "pttl" | "expiretime" | "pexpiretime" => {
            Members::new()
        }
        "llen" | "lpush" | "rpush" | "lpushx" | "rpushx" | "xlen" => Members::new(),
        // Behind an id there are no options.
        "xadd" if matches!(rest.first()?, [b'*' | b'0'..=b'9', ..]) => Members::new(),
        "hget" | "hexists" | "hstrlen" | "hsetnx" | "hincrby" | "hincrbyfloat" | "sismember"
        | "zscore" => rest.iter().take(1).copied().collect(),
        "hmget" | "hdel" | "sadd" | "srem" | "smismember" | "zmscore" | "zrem" => rest.into(),
        "hset" | "hmset" => rest.iter().step_by(2).copied().collect(),
        "zincrby" => rest.iter().skip(1).take(1).copied().collect(),
        "zadd" => {
            let pairs = rest.iter().skip_while(|arg| is_flag_of_zadd(arg));
            pairs.skip(1).step_by(2).copied().collect()
        }
        _ => return None,
    };
    Some((key, members))
}

fn is_flag_of_zadd(arg: &[u8]) -> bool {
    let flags: [&[u8]; 6] = [b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"];
    flags.iter().any(|flag| flag.eq_ignore_ascii_case(arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(command: &str) -> Option<Vec<String>> {
        let args: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let name = command.split(' ').next().unwrap_or_default();
        let text = |member: &&[u8]| String::from_utf8_lossy(member).into_owned();
        of(name, &args).map(|(key, members)| {
            assert_eq!(key, b"k");
            members.iter().map(text).collect()
        })
    }

    #[test]
    fn names_every_element_that_a_command_looks_at() {
        let is = |command, wanted: &[&str]| {
            assert_eq!(members(command).unwrap(), wanted, "{command}");
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
        is("rpush k a b", &[]);
        is("xadd k * maxlen 1", &[]);
        is("xadd k 5-1 a b", &[]);
        assert_eq!(members("xadd k maxlen 5 * a b"), None);
        assert_eq!(members("xadd k nomkstream * a b"), None);
        assert_eq!(members("hgetall k"), None);
        assert_eq!(members("get"), None);
    }
}
