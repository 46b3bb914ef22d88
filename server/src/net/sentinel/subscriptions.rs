//! The channels and patterns that a connection to the Sentinel port has subscribed to.

use std::collections::BTreeSet;

use resp::{Protocol, Writer};

use crate::commands::glob;

/// Most of both together; a client has no use for more.
const MAX_SUBSCRIPTIONS: usize = 1024;

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Channel,
    Pattern,
}

impl Subscriptions {
    /// Channels and patterns together.
    pub(super) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    fn of(&mut self, by: By) -> &mut BTreeSet<Vec<u8>> {
        match by {
            By::Channel => &mut self.channels,
            By::Pattern => &mut self.patterns,
        }
    }

    /// Adds, and confirms each. What is too many is not added, which its confirmation shows.
    pub(super) fn add(&mut self, by: By, names: &[Vec<u8>], out: &mut Writer<'_>) {
        let word = match by {
            By::Channel => "subscribe",
            By::Pattern => "psubscribe",
        };
        for name in names {
            if self.count() < MAX_SUBSCRIPTIONS {
                self.of(by).insert(name.clone());
            }
            confirm(word, Some(name), self.count(), out);
        }
    }

    /// Removes these, or all without any, and confirms each.
    pub(super) fn remove(&mut self, by: By, names: &[Vec<u8>], out: &mut Writer<'_>) {
        let word = match by {
            By::Channel => "unsubscribe",
            By::Pattern => "punsubscribe",
        };
        let names: Vec<Vec<u8>> = match names {
            [] => self.of(by).iter().cloned().collect(),
            names => names.to_vec(),
        };
        if names.is_empty() {
            confirm(word, None, self.count(), out);
        }
        for name in names {
            self.of(by).remove(&name);
            confirm(word, Some(&name), self.count(), out);
        }
    }

    /// Writes a message once for the channel and once for each pattern that it matches.
    pub(super) fn deliver(&self, channel: &str, text: &str, out: &mut Writer<'_>) {
        if self.channels.contains(channel.as_bytes()) {
            push(3, out);
            out.bulk(b"message");
            out.bulk(channel.as_bytes());
            out.bulk(text.as_bytes());
        }
        for pattern in &self.patterns {
            if glob::matches(pattern, channel.as_bytes()) {
                push(4, out);
                out.bulk(b"pmessage");
                out.bulk(pattern);
                out.bulk(channel.as_bytes());
                out.bulk(text.as_bytes());
            }
        }
    }
}

fn push(len: usize, out: &mut Writer<'_>) {
    match out.protocol() {
        Protocol::Resp2 => out.array(len),
        Protocol::Resp3 => out.push(len),
    }
}

fn confirm(word: &str, name: Option<&[u8]>, count: usize, out: &mut Writer<'_>) {
    push(3, out);
    out.bulk(word.as_bytes());
    match name {
        Some(name) => out.bulk(name),
        None => out.null(),
    }
    out.integer(count as i64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = BytesMut::new();
        write(&mut Writer::new(&mut out, Protocol::Resp2));
        String::from_utf8(out.to_vec()).expect("text")
    }

    #[test]
    fn a_message_reaches_channels_and_patterns() {
        let mut all = Subscriptions::default();
        let said = written(|out| all.add(By::Channel, &[b"+switch-master".to_vec()], out));
        assert_eq!(
            said,
            "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
        );
        written(|out| all.add(By::Pattern, &[b"+*".to_vec(), b"-*".to_vec()], out));
        assert_eq!(all.count(), 3);
        assert_eq!(
            written(|out| all.deliver("+switch-master", "m", out)),
            "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n\
             *4\r\n$8\r\npmessage\r\n$2\r\n+*\r\n$14\r\n+switch-master\r\n$1\r\nm\r\n"
        );
        written(|out| all.remove(By::Pattern, &[], out));
        assert_eq!(all.count(), 1);
        assert_eq!(written(|out| all.deliver("-odown", "m", out)), "");
        assert_eq!(
            written(|out| all.remove(By::Pattern, &[], out)),
            "*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:1\r\n"
        );
    }
}
