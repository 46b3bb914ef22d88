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

use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::listener;
use super::registered::Registered;
use crate::dispatch::Shared;
use crate::dispatch::members::Members;
use crate::session::Address;

/// Messages that a connection may be behind; one that is further behind misses the oldest.
const MAX_EVENTS: usize = 64;

/// A message to subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    channel: &'static str,
    text: String,
}

/// What the connections share.
pub(super) struct Sentinel {
    shared: Arc<Shared>,
    /// Name of the one master.
    name: String,
    /// Host and port of the last leader.
    last: RwLock<Option<(String, u16)>>,
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

    fn publish(&self, channel: &'static str, text: String) {
        tracing::debug!("{channel} {text}");
        // Nobody may be there to hear it.
        let _ = self.events.send(Event { channel, text });
    }

    /// Publishes changes of leadership, for as long as it is polled and the Store runs.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut leaders = self.shared.router.subscribe_leader();
        loop {
            leaders.borrow_and_update();
            let members = Members::of(&self.shared);
            let leader = members
                .leader()
                .map(|leader| (leader.host.clone(), leader.port));
            self.note(leader);
            if leaders.changed().await.is_err() {
                return;
            }
        }
    }

    /// Publishes what `leader` changes.
    fn note(&self, leader: Option<(String, u16)>) {
        let last = self.last.read().clone();
        match (last, leader) {
            (Some((host, port)), None) => {
                self.publish("+odown", format!("master {} {host} {port}", self.name));
            }
            (Some((old_host, old_port)), Some((host, port))) => {
                let name = &self.name;
                if (&old_host, old_port) != (&host, port) {
                    self.publish(
                        "+switch-master",
                        format!("{name} {old_host} {old_port} {host} {port}"),
                    );
                } else {
                    self.publish("-odown", format!("master {name} {host} {port}"));
                }
                *self.last.write() = Some((host, port));
            }
            (None, leader) => *self.last.write() = leader,
        }
    }

    /// Accepts connections, for as long as it is polled.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    listener::out_of_files(&error).await;
                    continue;
                }
            };
            let Some(stream) = listener::admit(&self.shared, stream, Some(from.ip())).await else {
                continue;
            };
            let Ok(address) = Address::of_tcp(&stream, from) else {
                continue;
            };
            let client = Registered::new(&self.shared, address);
            tokio::spawn(connection::serve(Arc::clone(&self), client, stream));
        }
    }
}
