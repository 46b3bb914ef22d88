//! Which commands are over as soon as their arguments are looked at once. Any other one may take seconds on large collections,
//! and runs where it keeps only those waiting who need the data: a thread that also answers heartbeats must not
//! execute it, or its Store would lose its leadership over it.

use super::spec::{Flags, Spec};

/// Whether a command may take much longer than its arguments are long. `args` begins with the name.
pub fn takes_long(spec: &Spec, args: &[&[u8]]) -> bool {
    let behind_key = || args.get(2..).unwrap_or_default();
    if !spec.flags.has(Flags::FAST) {
        return !matches!(
            spec.name,
            "set"
                | "setex"
                | "psetex"
                | "mset"
                | "msetnx"
                | "del"
                | "geoadd"
                | "lmove"
                | "rpoplpush"
        );
    }
    match spec.name {
        // Another key gets the value: in another slot, each element of a large one has to be written again.
        "renamenx" | "move" => true,
        // A number of elements.
        "lpop" | "rpop" | "spop" | "zpopmin" | "zpopmax" => !behind_key().is_empty(),
        // As many pending entries as it says.
        "xautoclaim" => args.len() > 6,
        // Trims.
        "xadd" => behind_key()
            .iter()
            .take(2)
            .any(|arg| arg.eq_ignore_ascii_case(b"maxlen") || arg.eq_ignore_ascii_case(b"minid")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::takes_long;
    use crate::machine::{Lookup, data_commands};

    #[test]
    fn what_depends_on_the_size_of_a_collection_takes_long() {
        let is = |command: &str| {
            let args: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            match data_commands().find(&args) {
                Lookup::Found { command, .. } => takes_long(&command.spec, &args),
                _ => panic!("{command} is no data command"),
            }
        };
        let brief = [
            "set k v",
            "mset a 1 b 2",
            "del a b",
            "incr k",
            "lpush k a",
            "lpop k",
            "spop k",
            "hset k f v",
            "zadd k 1 m",
            "xadd k * f v",
            "xadd k nomkstream * f v",
            "xautoclaim k g c 0 0",
            "get k",
            "expire k 10",
        ];
        for command in brief {
            assert!(!is(command), "{command}");
        }
        let long = [
            "sunionstore a b c",
            "sort k store a",
            "lpop k 1000000",
            "spop k 1000000",
            "zpopmin k 1000000",
            "xadd k maxlen 0 * f v",
            "xautoclaim k g c 0 0 count 1000000",
            "xadd k nomkstream MINID 5 * f v",
            "rename a b",
            "renamenx a b",
            "copy a b",
            "move a 1",
            "lrem k 0 a",
            "ltrim k 0 1",
            "zremrangebyrank k 0 -1",
            "bitop and a b c",
            "setbit k 4294967295 1",
            "hgetall k",
            "keys *",
            "lrange k 0 -1",
        ];
        for command in long {
            assert!(is(command), "{command}");
        }
    }
}
