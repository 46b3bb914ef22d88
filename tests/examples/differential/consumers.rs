//! Replies about consumer groups, where times pass while the servers are asked one after the other, and Redis 7.2 makes
//! consumers where 7.0 does not: XAUTOCLAIM and XREADGROUP make theirs even if they find nothing for it.

use resp::Frame;

use crate::compare::TIME_TOLERANCE;
use crate::grammar::Command;

/// Whether two replies say the same; none when the command is not one of these, or a reply is an error.
pub(crate) fn same(command: &Command, ours: &Frame, theirs: &Frame) -> Option<bool> {
    let (ours, theirs) = (ours.as_slice()?, theirs.as_slice()?);
    let is = |at: usize, word: &str| {
        let given = command.get(at);
        given.is_some_and(|given| given.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is(0, "XPENDING") && command.len() > 3 {
        return Some(same_pending(ours, theirs));
    }
    if is(0, "XINFO") && is(1, "GROUPS") {
        return Some(same_groups(ours, theirs));
    }
    (is(0, "XINFO") && is(1, "CONSUMERS")).then(|| same_consumers(ours, theirs))
}

/// Of entries: id, consumer, milliseconds since the delivery, number of deliveries.
fn same_pending(ours: &[Frame], theirs: &[Frame]) -> bool {
    let same_entry = |ours: &Frame, theirs: &Frame| match (ours.as_slice(), theirs.as_slice()) {
        (
            Some([id, consumer, since, count]),
            Some([their_id, their_consumer, their_since, their_count]),
        ) => {
            (id, consumer, count) == (their_id, their_consumer, their_count)
                && is_about(since, their_since)
        }
        _ => false,
    };
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(ours, theirs)| same_entry(ours, theirs))
}

fn same_groups(ours: &[Frame], theirs: &[Frame]) -> bool {
    let same_group = |ours: &Frame, theirs: &Frame| {
        let (ours, theirs) = (fields(ours), fields(theirs));
        ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(ours, theirs)| {
                let more = ours.0 == b"consumers" && ours.1.as_integer() >= theirs.1.as_integer();
                ours.0 == theirs.0 && (more || ours.1 == theirs.1)
            })
    };
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(ours, theirs)| same_group(ours, theirs))
}

/// Those of 7.0 are there, with as many entries and about as idle; others have no entries.
fn same_consumers(ours: &[Frame], theirs: &[Frame]) -> bool {
    let name = |consumer: &Frame| field(consumer, b"name");
    let none = Some(Frame::Integer(0));
    let known = |our: &Frame| theirs.iter().find(|their| name(their) == name(our));
    let agree = ours.iter().all(|our| match known(our) {
        None => field(our, b"pending") == none,
        Some(their) => {
            let idle = field(our, b"idle").zip(field(their, b"idle"));
            field(our, b"pending") == field(their, b"pending")
                && idle.is_some_and(|(ours, theirs)| is_about(&ours, &theirs))
        }
    });
    let there = |their: &Frame| ours.iter().any(|our| name(our) == name(their));
    agree && theirs.iter().all(there)
}

fn is_about(ours: &Frame, theirs: &Frame) -> bool {
    let times = ours.as_integer().zip(theirs.as_integer());
    times.is_some_and(|(ours, theirs)| ours.abs_diff(theirs) < TIME_TOLERANCE)
}

fn field(frame: &Frame, name: &[u8]) -> Option<Frame> {
    let fields = fields(frame).into_iter();
    let mut named = fields.filter(|(key, _)| key == name);
    named.next().map(|(_, value)| value)
}

/// Names and values: a map in RESP3, a flat array in RESP2.
fn fields(frame: &Frame) -> Vec<(Vec<u8>, Frame)> {
    let name = |frame: &Frame| frame.as_bytes().unwrap_or_default().to_vec();
    match frame {
        Frame::Map(pairs) => {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| (name(key), value.clone()))
                .collect()
        }
        _ => {
            let (pairs, _) = frame.as_slice().unwrap_or_default().as_chunks::<2>();
            pairs
                .iter()
                .map(|[key, value]| (name(key), value.clone()))
                .collect()
        }
    }
}
