//! Whether two servers hold the same: every key with its type, expiry and value, and the value as each reads the other's payload.

use std::io;

use resp::Frame;
use tests::process::Client;

use crate::compare::{same, show};
use crate::grammar::Command;
use crate::servers::{call, run};

/// Databases that commands use.
const DATABASES: [&str; 3] = ["0", "1", "2"];

/// Groups of streams that commands name.
const GROUPS: [&[u8]; 2] = [b"g", b"h"];

/// Where a payload of the other server is restored to be looked at.
const SCRATCH: &[u8] = b"\x01scratch";

fn words(words: &[&[u8]]) -> Command {
    words.iter().map(|word| word.to_vec()).collect()
}

/// The first difference. Both connections are in database 0 afterwards.
pub(crate) fn difference(ours: &mut Client, theirs: &mut Client) -> io::Result<Option<String>> {
    let mut found = None;
    for database in DATABASES {
        for client in [&mut *ours, &mut *theirs] {
            call(client, &[b"SELECT", database.as_bytes()])?;
        }
        found = in_database(ours, theirs)?.map(|text| format!("database {database}: {text}"));
        if found.is_some() {
            break;
        }
    }
    for client in [ours, theirs] {
        call(client, &[b"SELECT", b"0"])?;
    }
    Ok(found)
}

fn in_database(ours: &mut Client, theirs: &mut Client) -> io::Result<Option<String>> {
    let (our_keys, their_keys) = (keys(ours)?, keys(theirs)?);
    if our_keys != their_keys {
        let show = |keys: &[Vec<u8>]| {
            keys.iter()
                .map(|key| key.escape_ascii().to_string())
                .collect::<Vec<_>>()
        };
        return Ok(Some(format!(
            "keys\n  ours:  {:?}\n  redis: {:?}",
            show(&our_keys),
            show(&their_keys)
        )));
    }
    let questions: Vec<Command> = our_keys
        .iter()
        .flat_map(|key| {
            [
                words(&[b"TYPE", key]),
                words(&[b"OBJECT", b"ENCODING", key]),
                words(&[b"PEXPIRETIME", key]),
                words(&[b"DUMP", key]),
            ]
        })
        .collect();
    let (our_answers, their_answers) = (run(ours, &questions)?, run(theirs, &questions)?);
    for ((question, ours), theirs) in questions.iter().zip(&our_answers).zip(&their_answers) {
        if !same(question, ours, theirs) {
            return Ok(Some(differ(question, ours, theirs)));
        }
    }
    for (at, key) in our_keys.iter().enumerate() {
        let payload =
            |answers: &[Frame]| answers[4 * at + 3].as_bytes().unwrap_or_default().to_vec();
        let (our_payload, their_payload) = (payload(&our_answers), payload(&their_answers));
        if our_payload == their_payload {
            continue;
        }
        let value = Value {
            key,
            // A digest says whether there is an expiry.
            expires: their_answers[4 * at + 2].as_integer() > Some(0),
            is_sorted_set: their_answers[4 * at].as_bytes() == Some(b"zset"),
        };
        for (client, other, name) in [
            (&mut *theirs, &our_payload, "redis"),
            (&mut *ours, &their_payload, "ours"),
        ] {
            if let Some(text) = value.differs_from(other, client)? {
                return Ok(Some(format!(
                    "the value of {} is not the other's, as seen by {name}: {text}",
                    key.escape_ascii(),
                )));
            }
        }
    }
    groups(ours, theirs, &our_keys)
}

/// A value that both have, with payloads that differ.
struct Value<'a> {
    key: &'a [u8],
    expires: bool,
    is_sorted_set: bool,
}

impl Value<'_> {
    /// What a server that has it sees in the other one's payload, if that is another value.
    fn differs_from(&self, payload: &[u8], client: &mut Client) -> io::Result<Option<String>> {
        let expire_at: &[u8] = if self.expires {
            b"32503680000000"
        } else {
            b"0"
        };
        // In Redis, SORT makes a skiplist of a small sorted set, which then keeps the sign of a zero; a listpack does not. Here
        // SORT only reads. So sorted sets are compared by their scores, of which zero is one.
        let all =
            [self.key, SCRATCH].map(|key| words(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]));
        let looks = match self.is_sorted_set {
            true => all.to_vec(),
            false => vec![words(&[b"DEBUG", b"DIGEST-VALUE", self.key, SCRATCH])],
        };
        let mut commands = vec![words(&[
            b"RESTORE", SCRATCH, expire_at, payload, b"REPLACE", b"ABSTTL",
        ])];
        commands.extend(looks);
        commands.push(words(&[b"DEL", SCRATCH]));
        let replies = run(client, &commands)?;
        let alike = match (&replies[1], &replies[2]) {
            (own, other) if self.is_sorted_set => same(&commands[1], own, other),
            (digests, _) => digests.as_slice().is_some_and(|pair| pair[0] == pair[1]),
        };
        let differs = replies[0].is_error() || replies[1].is_error() || !alike;
        Ok(differs.then(|| {
            format!(
                "{}, {}, {}",
                show(&replies[0]),
                show(&replies[1]),
                show(&replies[2])
            )
        }))
    }
}

/// What Redis's digests of streams leave out.
fn groups(ours: &mut Client, theirs: &mut Client, keys: &[Vec<u8>]) -> io::Result<Option<String>> {
    let questions: Vec<Command> = keys
        .iter()
        .flat_map(|key| {
            [
                words(&[b"XINFO", b"STREAM", key]),
                words(&[b"XINFO", b"GROUPS", key]),
            ]
            .into_iter()
            .chain(GROUPS.iter().flat_map(|group| {
                [
                    words(&[b"XINFO", b"CONSUMERS", key, group]),
                    words(&[b"XPENDING", key, group]),
                    words(&[b"XPENDING", key, group, b"-", b"+", b"100000"]),
                ]
            }))
        })
        .collect();
    let (our_answers, their_answers) = (run(ours, &questions)?, run(theirs, &questions)?);
    let all = questions.iter().zip(&our_answers).zip(&their_answers);
    let mut differences = all.filter(|((question, ours), theirs)| !same(question, ours, theirs));
    Ok(differences
        .next()
        .map(|((question, ours), theirs)| differ(question, ours, theirs)))
}

fn differ(question: &Command, ours: &Frame, theirs: &Frame) -> String {
    format!(
        "{}\n  ours:  {}\n  redis: {}",
        crate::text(question),
        show(ours),
        show(theirs)
    )
}

fn keys(client: &mut Client) -> io::Result<Vec<Vec<u8>>> {
    let reply = call(client, &[b"KEYS", b"*"])?;
    let keys = reply.as_slice().unwrap_or_default().iter();
    let mut keys: Vec<Vec<u8>> = keys
        .map(|key| key.as_bytes().unwrap_or_default().to_vec())
        .collect();
    keys.sort();
    Ok(keys)
}
