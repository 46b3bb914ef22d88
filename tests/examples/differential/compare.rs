//! When two replies say the same. Everything is compared as it is, but for what is listed here.

use resp::Frame;

use crate::consumers;
use crate::grammar::Command;

/// Commands whose replies have an order that means nothing.
const UNORDERED: &[&str] = &[
    "KEYS",
    "SMEMBERS",
    "SINTER",
    "SUNION",
    "SDIFF",
    "HGETALL",
    "HKEYS",
    "HVALS",
    "HRANDFIELD",
    "ZRANDMEMBER",
    "SRANDMEMBER",
    "SPOP",
];

/// Walks: unordered, and one that needs several steps goes its own way.
const WALKS: &[&str] = &["SCAN", "HSCAN", "SSCAN", "ZSCAN"];

/// Commands that draw: where there is a choice, only the number of elements is the same.
const DRAWS: &[&str] = &["HRANDFIELD", "ZRANDMEMBER", "SRANDMEMBER"];

/// Commands that answer times, which pass while the servers are asked one after the other.
const TIMES: &[&str] = &["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"];
pub(crate) const TIME_TOLERANCE: u64 = 20_000;

/// Errors that redis-server 7.0 words otherwise than 7.2, or does not know: how ours begin, and how its own reply does.
const REWORDED: &[(&str, &str)] = &[
    ("-ERR Unbalanced 'xread", "-ERR Unbalanced XREAD list"),
    (
        "-ERR value is out of range, value must between -9223372036854775807 and",
        "",
    ),
];

/// What SORT of numbers answers by chance in Redis: it takes the trace of a number out of range in an earlier command for its own.
const NOT_SORTABLE: &[u8] = b"ERR One or more scores can't be converted into double";

/// How many nodes Redis's own index of a stream has.
const OF_REDIS_ONLY: &[u8] = b"radix-tree-nodes";

/// Whether two replies to a command mean the same.
pub(crate) fn same(command: &Command, ours: &Frame, theirs: &Frame) -> bool {
    if ours == theirs {
        return true;
    }
    if let Frame::Error(text) = ours {
        let (ours, theirs) = (
            format!("-{}", String::from_utf8_lossy(text)),
            show(theirs).replace("\\'", "'"),
        );
        if REWORDED
            .iter()
            .any(|(our, their)| ours.starts_with(our) && theirs.starts_with(their))
        {
            return true;
        }
    }
    if let Some(same) = consumers::same(command, ours, theirs) {
        return same;
    }
    let name = command[0].to_ascii_uppercase();
    let name = std::str::from_utf8(&name).unwrap_or_default();
    if TIMES.contains(&name) {
        return match (ours.as_integer(), theirs.as_integer()) {
            (Some(ours), Some(theirs)) => {
                ours > 0 && theirs > 0 && ours.abs_diff(theirs) < TIME_TOLERANCE
            }
            _ => false,
        };
    }
    match name {
        // How a value is laid out in its payload depends on what came before; `state` compares what is in it.
        "DUMP" => return matches!((ours, theirs), (Frame::Bulk(_), Frame::Bulk(_))),
        // Small sets and lists are listpacks since Redis 7.2.
        // SORT makes a skip list of a small sorted set in Redis, here it only reads.
        "OBJECT"
            if ours.as_bytes() == Some(b"listpack") && theirs.as_bytes() == Some(b"skiplist") =>
        {
            return true;
        }
        // SDIFFSTORE in Redis may add all and then remove: what was too long for an intset on the way leaves its trace.
        "OBJECT" if ours.as_bytes() == Some(b"intset") => {
            return theirs.as_bytes() == Some(b"hashtable");
        }
        "OBJECT" => {
            return ours.as_bytes() == Some(b"listpack")
                && matches!(theirs.as_bytes(), Some(b"hashtable" | b"quicklist"));
        }
        // XAUTOCLAIM and XREADGROUP make the consumer even if they find nothing for it since Redis 7.2.
        "XGROUP" if command.len() == 5 && command[1].eq_ignore_ascii_case(b"CREATECONSUMER") => {
            return ours.as_integer() == Some(0) && theirs.as_integer() == Some(1);
        }
        // WITHSCORE came with Redis 7.2.
        "ZRANK" | "ZREVRANK" if command.len() == 4 => return true,
        _ => {}
    }
    if WALKS.contains(&name) {
        return same_walk(ours, theirs);
    }
    if DRAWS.contains(&name)
        && len(ours).is_some()
        && len(ours) == len(theirs)
        && is_choice(command)
    {
        return true;
    }
    if matches!(name, "SORT" | "SORT_RO")
        && theirs.is_error()
        && theirs.as_bytes() == Some(NOT_SORTABLE)
    {
        return ours.as_slice().is_some();
    }
    if matches!(name, "SORT" | "SORT_RO") && sorts_by_nothing(command) {
        return len(ours).is_some() && len(ours) == len(theirs);
    }
    if name.starts_with("GEO") && has_word(command, b"COUNT") {
        // Which of several at the same distance are the nearest depends on the order in which they came.
        return equal(ours, theirs, true) || (len(ours).is_some() && len(ours) == len(theirs));
    }
    let scores = name.starts_with('Z') || name.starts_with("GEO");
    let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
    if name == "XINFO" {
        forget_nodes(&mut ours);
        forget_nodes(&mut theirs);
    }
    if UNORDERED.contains(&name) {
        sort(&mut ours, scores);
        sort(&mut theirs, scores);
    }
    equal(&ours, &theirs, scores)
}

fn is_choice(command: &Command) -> bool {
    let count = command
        .get(2)
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| text.parse::<i64>().ok());
    command.len() == 2 || count.is_some_and(|count| count < 100_000)
}

fn has_word(command: &Command, word: &[u8]) -> bool {
    command.iter().any(|arg| arg.eq_ignore_ascii_case(word))
}

/// SORT with BY and a pattern without a star keeps the order of what is sorted, and a set has none.
fn sorts_by_nothing(command: &Command) -> bool {
    command
        .windows(2)
        .any(|pair| pair[0].eq_ignore_ascii_case(b"BY") && !pair[1].contains(&b'*'))
}

fn same_walk(ours: &Frame, theirs: &Frame) -> bool {
    let (Some([our_cursor, our_items]), Some([their_cursor, their_items])) =
        (ours.as_slice(), theirs.as_slice())
    else {
        return false;
    };
    let goes_on = |cursor: &Frame| cursor.as_bytes() != Some(b"0");
    if goes_on(our_cursor) || goes_on(their_cursor) {
        return true;
    }
    let (mut our_items, mut their_items) = (our_items.clone(), their_items.clone());
    sort(&mut our_items, true);
    sort(&mut their_items, true);
    equal(&our_items, &their_items, true)
}

fn forget_nodes(frame: &mut Frame) {
    match frame {
        Frame::Map(pairs) => pairs.retain(|(name, _)| name.as_bytes() != Some(OF_REDIS_ONLY)),
        Frame::Array(items) => {
            if let Some(at) = items
                .iter()
                .position(|item| item.as_bytes() == Some(OF_REDIS_ONLY))
            {
                items.drain(at..(at + 2).min(items.len()));
            }
        }
        _ => {}
    }
}

fn len(frame: &Frame) -> Option<usize> {
    match frame {
        Frame::Bulk(_) => Some(1),
        _ => frame.as_slice().map(<[Frame]>::len),
    }
}

/// Brings what has no order into one; scores by what they mean.
fn sort(frame: &mut Frame, scores: bool) {
    let key = |item: &Frame| match number(item) {
        Some(score) if scores => format!("{score}"),
        _ => format!("{item:?}"),
    };
    match frame {
        Frame::Array(items) | Frame::Set(items) => {
            for item in items.iter_mut().filter(|_| scores) {
                if let Some(score) = number(item) {
                    *item = Frame::Bulk(score.to_string().into_bytes().into());
                }
            }
            items.sort_by_cached_key(|item| format!("{item:?}"));
        }
        Frame::Map(pairs) => pairs.sort_by_cached_key(|(name, value)| (key(name), key(value))),
        _ => {}
    }
}

fn number(frame: &Frame) -> Option<f64> {
    match frame {
        Frame::Bulk(_) => frame.as_str()?.parse().ok(),
        _ => None,
    }
}

/// Equal, and the text of a score may be that of any version: they are the same if they read back as the same number.
fn equal(ours: &Frame, theirs: &Frame, scores: bool) -> bool {
    match (ours, theirs) {
        (Frame::Array(ours), Frame::Array(theirs)) | (Frame::Set(ours), Frame::Set(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| equal(ours, theirs, scores))
        }
        (Frame::Map(ours), Frame::Map(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| {
                    equal(&ours.0, &theirs.0, scores) && equal(&ours.1, &theirs.1, scores)
                })
        }
        (Frame::Bulk(_), Frame::Bulk(_)) if scores => {
            let number = |frame: &Frame| frame.as_str().and_then(|text| text.parse::<f64>().ok());
            ours == theirs || number(ours).is_some_and(|score| number(theirs) == Some(score))
        }
        _ => ours == theirs,
    }
}

/// A reply to read.
pub(crate) fn show(frame: &Frame) -> String {
    match frame {
        Frame::Bulk(text) => format!("\"{}\"", text.escape_ascii()),
        Frame::Simple(text) => format!("+{}", text.escape_ascii()),
        Frame::Error(text) => format!("-{}", text.escape_ascii()),
        Frame::Array(items) => format!(
            "[{}]",
            items.iter().map(show).collect::<Vec<_>>().join(", ")
        ),
        Frame::Set(items) => format!(
            "set[{}]",
            items.iter().map(show).collect::<Vec<_>>().join(", ")
        ),
        other => format!("{other:?}"),
    }
}
