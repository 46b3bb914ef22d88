//! What clients had been told at a moment: their replies, as the recorder saw them leave.

use std::collections::{HashMap, HashSet};

use resp::FrameDecoder;

use super::log::{Event, Owner};

/// Replies to each client.
#[derive(Default)]
pub(crate) struct Acknowledged {
    connections: HashMap<Owner, Connection>,
    counts: HashMap<u64, u64>,
    failed: HashSet<u64>,
}

#[derive(Default)]
struct Connection {
    decoder: FrameDecoder,
    client: Option<u64>,
}

impl Acknowledged {
    pub(crate) fn happen(&mut self, event: &Event) {
        match event {
            Event::Send { connection, bytes } => self.sent(*connection, bytes),
            Event::Close { connection } => {
                self.connections.remove(connection);
            }
            _ => {}
        }
    }

    /// Commands of this client that were acknowledged so far.
    pub(crate) fn count(&self, client: u64) -> u64 {
        self.counts.get(&client).copied().unwrap_or(0)
    }

    /// Whether this client was told an error. Of its commands any may then have been executed.
    pub(crate) fn has_failed(&self, client: u64) -> bool {
        self.failed.contains(&client)
    }

    fn sent(&mut self, connection: Owner, bytes: &[u8]) {
        let connection = self.connections.entry(connection).or_default();
        connection.decoder.push(bytes);
        while let Some(frame) = connection.decoder.next_frame().expect("replies") {
            let label = frame
                .as_str()
                .and_then(|text| text.strip_prefix("powercut:"));
            if let Some(client) = label.and_then(|client| client.parse().ok()) {
                connection.client = Some(client);
            } else if let Some(client) = connection.client {
                if frame.is_error() {
                    self.failed.insert(client);
                }
                *self.counts.entry(client).or_default() += 1;
            }
        }
    }
}
