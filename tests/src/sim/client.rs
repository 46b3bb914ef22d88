//! Clients of the simulated world: registers that are written, incremented and read, with a history of every answer.

use std::collections::BTreeMap;

use bytes::BytesMut;
use server::machine::batch;
use storage::proto::command::{RaftCmdResponse, Request};

use super::linearizable::{Event, Op, is_linearizable};

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// SET.
    Write(u64),
    /// GET.
    Read,
    /// INCR.
    Increment,
}

impl Client {
    pub(super) fn reads_only(self) -> bool {
        self == Self::Read
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// SET answered OK.
    Written,
    /// INCR answered this.
    Number(u64),
    /// GET answered this.
    Value(Option<u64>),
    /// Certainly not executed.
    Refused,
    /// May or may not have been executed.
    Unknown,
}

/// An operation that has not been answered.
#[derive(Clone, Copy, Debug)]
struct Open {
    key: u8,
    action: Client,
    invoked: u64,
}

/// Everything that clients asked and were told.
#[derive(Debug, Default)]
pub(super) struct History {
    next: u64,
    open: BTreeMap<u64, Open>,
    events: BTreeMap<u8, Vec<Event>>,
    outcomes: BTreeMap<u64, Outcome>,
    pub(super) acknowledged: u64,
}

impl History {
    pub(super) fn invoke(&mut self, key: u8, action: Client, now: u64) -> u64 {
        self.next += 1;
        self.open.insert(
            self.next,
            Open {
                key,
                action,
                invoked: now,
            },
        );
        self.next
    }

    /// Notes the outcome of an operation; a second outcome of the same operation is a bug of the server.
    pub(super) fn settle(&mut self, id: u64, outcome: Outcome, now: u64) {
        let Some(Open {
            key,
            action,
            invoked,
        }) = self.open.remove(&id)
        else {
            panic!("operation {id} was answered twice, now with {outcome:?}");
        };
        self.outcomes.insert(id, outcome);
        let (op, returned) = match (action, outcome) {
            (_, Outcome::Refused) | (Client::Read, Outcome::Unknown) => return,
            (Client::Write(value), Outcome::Written) => (Op::Write(value), Some(now)),
            (Client::Write(value), _) => (Op::Write(value), None),
            (Client::Increment, Outcome::Number(answer)) => {
                (Op::Increment(Some(answer)), Some(now))
            }
            (Client::Increment, _) => (Op::Increment(None), None),
            (Client::Read, Outcome::Value(value)) => (Op::Read(value), Some(now)),
            (Client::Read, other) => panic!("a read was answered {other:?}"),
        };
        self.acknowledged += u64::from(returned.is_some());
        self.events.entry(key).or_default().push(Event {
            op,
            invoked,
            returned,
        });
    }

    /// What was never answered has an unknown outcome.
    pub(super) fn settle_open(&mut self, now: u64) {
        for id in self.open.keys().copied().collect::<Vec<_>>() {
            self.settle(id, Outcome::Unknown, now);
        }
    }

    /// Number of operations so far.
    pub(super) fn asked(&self) -> u64 {
        self.next
    }

    /// How an operation ended, if it has.
    pub(super) fn outcome(&self, id: u64) -> Option<Outcome> {
        self.outcomes.get(&id).copied()
    }

    pub(super) fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// The keys whose history no single register explains.
    pub(super) fn contradictions(&self) -> Vec<u8> {
        let wrong = self
            .events
            .iter()
            .filter(|(_, events)| !is_linearizable(events));
        wrong.map(|(key, _)| *key).collect()
    }

    pub(super) fn events(&self, key: u8) -> &[Event] {
        self.events.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// The name of a register.
pub(super) fn key_name(key: u8) -> String {
    format!("register:{key}")
}

/// The request of a write; reads do not travel in the log.
pub(super) fn request(key: u8, action: Client) -> Request {
    let mut commands = BytesMut::new();
    let name = key_name(key);
    match action {
        Client::Write(value) => {
            change_collections(&mut commands, value);
            batch::push(
                &mut commands,
                &[b"SET", name.as_bytes(), value.to_string().as_bytes()],
            );
        }
        Client::Increment => batch::push(&mut commands, &[b"INCR", name.as_bytes()]),
        Client::Read => batch::push(&mut commands, &[b"GET", name.as_bytes()]),
    }
    Request {
        db: 0,
        protocol: 2,
        commands: commands.freeze(),
        ..Request::default()
    }
}

/// Changes of collections that travel with a write: their state is compared by digest, wherever it came from (log, snapshot,
/// checkpoint). A few of each, so that they become large, lose members at random, and go.
fn change_collections(commands: &mut BytesMut, value: u64) {
    let text = value.to_string();
    let text = text.as_bytes();
    let name = |kind: &str| format!("{kind}:{}", value % 3).into_bytes();
    let (list, set, hash) = (name("list"), name("set"), name("hash"));
    let (zset, stream) = (name("zset"), name("stream"));
    let member = (value % 37).to_string();
    let long = vec![b'x'; (value % 41) as usize * 10];
    batch::push(commands, &[b"RPUSH", &list, text, &long]);
    batch::push(commands, &[b"SADD", &set, text, &long, member.as_bytes()]);
    batch::push(
        commands,
        &[b"HSET", &hash, member.as_bytes(), text, text, &long],
    );
    batch::push(
        commands,
        &[b"ZADD", &zset, text, member.as_bytes(), b"1", text],
    );
    batch::push(
        commands,
        &[b"XADD", &stream, b"MAXLEN", b"~", b"20", b"*", text, &long],
    );
    batch::push(commands, &[b"XGROUP", b"CREATE", &stream, b"g", b"0"]);
    batch::push(
        commands,
        &[
            b"XREADGROUP",
            b"GROUP",
            b"g",
            member.as_bytes(),
            b"COUNT",
            b"2",
            b"STREAMS",
            &stream,
            b">",
        ],
    );
    match value % 13 {
        0 => batch::push(commands, &[b"DEL", &list, &hash, &zset, &stream]),
        1..4 => batch::push(commands, &[b"SPOP", &set]),
        4..6 => batch::push(commands, &[b"SPOP", &set, b"3"]),
        6 => batch::push(commands, &[b"RENAME", &set, b"set:other"]),
        7 => batch::push(commands, &[b"LPOP", &list, b"2"]),
        8 => batch::push(commands, &[b"HDEL", &hash, member.as_bytes()]),
        9 => batch::push(
            commands,
            &[b"SDIFFSTORE", b"difference", &set, b"set:other"],
        ),
        10 => batch::push(commands, &[b"LTRIM", &list, b"1", b"-2"]),
        11 => batch::push(commands, &[b"ZPOPMIN", &zset, b"3"]),
        12 => batch::push(
            commands,
            &[b"XAUTOCLAIM", &stream, b"g", b"other", b"0", b"0"],
        ),
        _ => {}
    }
}

/// What the reply to a write means: the last one, behind those of [`change_collections`].
pub(super) fn decode(response: &RaftCmdResponse) -> Outcome {
    let text = std::str::from_utf8(&response.replies).expect("a reply in ASCII");
    let last = text.trim_end().rsplit("\r\n").next();
    match last.unwrap_or_default() {
        "+OK" => Outcome::Written,
        number if number.starts_with(':') => {
            Outcome::Number(number[1..].parse().expect("a number"))
        }
        other => panic!("unexpected reply {other:?}"),
    }
}
