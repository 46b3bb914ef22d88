//! What a client does: a fixed series of commands, so that the state after any number of them is known.

use std::collections::BTreeMap;

/// Keys of a client that are set, deleted and set again.
const KEYS: u64 = 40;
/// Fields of its hash.
const FIELDS: u64 = 15;
/// Elements of its list that are kept.
const ELEMENTS: usize = 30;
/// Commands in a round: of which the first counts.
pub(crate) const ROUND: u64 = 6;

/// One client's commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    pub(crate) client: u64,
    /// Length of the longest values.
    pub(crate) value_bytes: usize,
}

/// The data of one client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) strings: BTreeMap<String, String>,
    pub(crate) list: Vec<String>,
    pub(crate) hash: BTreeMap<String, String>,
}

impl Story {
    /// The label by which the recorder knows the client's connection, and this program its replies.
    pub(crate) fn label(&self) -> String {
        format!("powercut:{}", self.client)
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.client)
    }

    /// The names of all strings that there may be.
    pub(crate) fn strings(&self) -> Vec<String> {
        let keys = (0..KEYS).map(|key| self.key(&format!("key:{key}")));
        let others = ["count", "one", "other"].map(|name| self.key(name));
        keys.chain(others).collect()
    }

    /// The `nth` command.
    pub(crate) fn command(&self, nth: u64) -> Vec<String> {
        let (round, number) = (nth / ROUND, nth.to_string());
        let key = |name: &str| self.key(name);
        let of_round = key(&format!("key:{}", round * 7 % KEYS));
        match nth % ROUND {
            0 => vec!["INCR".into(), key("count")],
            1 => vec!["SET".into(), of_round, self.value(nth)],
            2 => vec!["RPUSH".into(), key("list"), number],
            3 => vec![
                "HSET".into(),
                key("hash"),
                format!("field:{}", round % FIELDS),
                self.value(nth),
            ],
            4 => vec![
                "MSET".into(),
                key("one"),
                number.clone(),
                key("other"),
                number,
            ],
            _ if round.is_multiple_of(5) => {
                vec!["DEL".into(), key(&format!("key:{}", round % KEYS))]
            }
            _ => vec![
                "LTRIM".into(),
                key("list"),
                format!("-{ELEMENTS}"),
                "-1".into(),
            ],
        }
    }

    /// What `count` commands lead to: the last rounds say it all.
    pub(crate) fn after(&self, count: u64) -> Data {
        let mut data = Data::default();
        let first = (count / ROUND).saturating_sub(2 * KEYS) * ROUND;
        for nth in first..count {
            let words = self.command(nth);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words[..] {
                ["INCR", key] => {
                    let number = nth / ROUND + 1;
                    data.strings.insert(key.to_owned(), number.to_string());
                }
                ["SET", key, value] => {
                    data.strings.insert(key.to_owned(), value.to_owned());
                }
                ["MSET", one, value, other, _] => {
                    data.strings.insert(one.to_owned(), value.to_owned());
                    data.strings.insert(other.to_owned(), value.to_owned());
                }
                ["RPUSH", _, element] => data.list.push(element.to_owned()),
                ["HSET", _, field, value] => {
                    data.hash.insert(field.to_owned(), value.to_owned());
                }
                ["DEL", key] => {
                    data.strings.remove(key);
                }
                ["LTRIM", ..] => {
                    let gone = data.list.len().saturating_sub(ELEMENTS);
                    data.list.drain(..gone);
                }
                _ => unreachable!("no client sends {words:?}"),
            }
        }
        data
    }

    /// Short ones and, one time in sixteen, long ones.
    fn value(&self, nth: u64) -> String {
        let drawn = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let longest = match drawn % 16 {
            0 => self.value_bytes,
            _ => self.value_bytes / 16,
        };
        let length = (drawn / 16) as usize % longest.max(1);
        format!("{nth}:{}", "x".repeat(length))
    }
}
