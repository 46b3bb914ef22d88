//! Whether two servers hold the same: every key with its type, expiry and value, and the value as each reads the other's payload.

use std::io;

use resp::Frame;
use tests::process::Client;

use crate::compare::{same, show};
use crate::grammar::Command;
use crate::servers::{call, run};

/// Databases that commands use.
const DATABASES: [&str; 3] = ["0", "1", "2"];

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
        for (client, other, name) in [
            (&mut *theirs, &our_payload, "redis"),
            (&mut *ours, &their_payload, "ours"),
        ] {
            // A digest says whether there is an expiry.
            let expires = their_answers[4 * at + 2]
                .as_integer()
                .is_some_and(|at_ms| at_ms > 0);
            let expire_at: &[u8] = if expires { b"32503680000000" } else { b"0" };
            let commands = [
                words(&[b"RESTORE", SCRATCH, expire_at, other, b"REPLACE", b"ABSTTL"]),
                words(&[b"DEBUG", b"DIGEST-VALUE", key, SCRATCH]),
                words(&[b"DEL", SCRATCH]),
            ];
            let replies = run(client, &commands)?;
            let equal = replies[1]
                .as_slice()
                .is_some_and(|digests| digests[0] == digests[1]);
            if replies[0].is_error() || !equal {
                return Ok(Some(format!(
                    "the value of {} is not the other's, as seen by {name}: {}, {}",
                    key.escape_ascii(),
                    show(&replies[0]),
                    show(&replies[1])
                )));
            }
        }
    }
    groups(ours, theirs, &our_keys)
}

/// What digests of streams leave out.
fn groups(ours: &mut Client, theirs: &mut Client, keys: &[Vec<u8>]) -> io::Result<Option<String>> {
    let questions: Vec<Command> = keys
        .iter()
        .flat_map(|key| {
            [
                words(&[b"XINFO", b"STREAM", key]),
                words(&[b"XPENDING", key, b"g"]),
                words(&[b"XPENDING", key, b"h"]),
            ]
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
