//! A port that speaks as Redis Sentinel does (`sentinel-port`), for clients that ask Sentinels where the master is.
//!
//! Every Store is a Sentinel of the others: it names the leader as the master `sentinel-master-name`, the other members as its
//! replicas, and publishes `+switch-master` when leadership changes. Nothing is decided here; Raft has decided. A question for
//! the master waits for a leader as long as a request would (`election-hold-ms`), and then is answered with the last one.
//!
//! | file | what it holds |
//! |---|---|
//! | [`connection`] | one connection of a client |
//! | [`commands`] | what it may ask |
//! | [`instances`] | masters, replicas and Sentinels as lists of fields |
//! | [`subscriptions`] | channels and patterns of a connection |

mod commands;
mod connection;
mod instances;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::listener;
use super::registered::Registered;
use crate::dispatch::Shared;
use crate::dispatch::members::{Member, Members};
use crate::session::Address;
use crate::tls;

/// Messages that a connection may be behind; one that is further behind misses the oldest.
const MAX_EVENTS: usize = 64;

/// How long a client may say nothing before it counts as one without TLS, which may stay silent.
const FIRST_BYTE_LIMIT: Duration = Duration::from_secs(10);

/// A message to subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    channel: &'static str,
    text: String,
    /// For subscribers that use TLS.
    tls_text: String,
}

/// Where clients find a Store.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    /// For clients that use TLS.
    tls_port: u16,
}

impl Place {
    fn of(member: &Member) -> Self {
        Self {
            host: member.host.clone(),
            port: member.port,
            tls_port: match member.tls_port {
                0 => member.port,
                port => port,
            },
        }
    }

    /// The port for one or the other.
    fn port(&self, is_tls: bool) -> u16 {
        if is_tls { self.tls_port } else { self.port }
    }

    /// `host port`, as events have it.
    fn text(&self, is_tls: bool) -> String {
        format!("{} {}", self.host, self.port(is_tls))
    }
}

/// What the connections share.
pub(super) struct Sentinel {
    shared: Arc<Shared>,
    /// Name of the one master.
    name: String,
    /// Where the last leader is.
    last: RwLock<Option<Place>>,
    events: broadcast::Sender<Event>,
}

impl Sentinel {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            name: shared.config.load().sentinel_master_name.clone(),
            last: RwLock::new(None),
            events: broadcast::Sender::new(MAX_EVENTS),
        }
    }

    /// `text` writes the message for subscribers with and without TLS.
    fn publish(&self, channel: &'static str, text: impl Fn(bool) -> String) {
        let event = Event {
            channel,
            text: text(false),
            tls_text: text(true),
        };
        tracing::debug!("{channel} {}", event.text);
        // Nobody may be there to hear it.
        let _ = self.events.send(event);
    }

    /// Publishes changes of leadership, for as long as it is polled and the Store runs.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut leaders = self.shared.router.subscribe_leader();
        loop {
            leaders.borrow_and_update();
            let members = Members::of(&self.shared);
            self.note(members.leader().map(Place::of));
            if leaders.changed().await.is_err() {
                return;
            }
        }
    }

    /// Publishes what `leader` changes.
    fn note(&self, leader: Option<Place>) {
        let last = self.last.read().clone();
        let name = &self.name;
        match (last, leader) {
            (Some(old), None) => {
                self.publish("+odown", |is_tls| {
                    format!("master {name} {}", old.text(is_tls))
                });
            }
            (Some(old), Some(new)) => {
                if old == new {
                    self.publish("-odown", |is_tls| {
                        format!("master {name} {}", new.text(is_tls))
                    });
                } else {
                    self.publish("+switch-master", |is_tls| {
                        format!("{name} {} {}", old.text(is_tls), new.text(is_tls))
                    });
                }
                *self.last.write() = Some(new);
            }
            (None, leader) => *self.last.write() = leader,
        }
    }

    /// Accepts connections, for as long as it is polled. A client with TLS is known by its first byte.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    listener::out_of_files(&error).await;
                    continue;
                }
            };
            let Some(stream) = listener::admit(&self.shared, stream, Some(from.ip()), true).await
            else {
                continue;
            };
            let Ok(address) = Address::of_tcp(&stream, from) else {
                continue;
            };
            tokio::spawn(Arc::clone(&self).serve(stream, address));
        }
    }
    async fn serve(self: Arc<Self>, stream: TcpStream, mut address: Address) {
        let mut first = [0];
        let peeked = stream.peek(&mut first);
        let begins = matches!(timeout(FIRST_BYTE_LIMIT, peeked).await, Ok(Ok(1)));
        address.is_tls = begins && first == [tls::FIRST_BYTE] && self.shared.tls.is_on();
        let is_tls = address.is_tls;
        let client = Registered::new(&self.shared, address);
        if !is_tls {
            connection::serve(self, client, stream).await;
        } else if let Some(stream) = listener::tls_stream(&client, stream).await {
            connection::serve(self, client, stream).await;
        }
    }
}
