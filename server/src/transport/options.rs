//! What a transport is started with, and its limits.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storage::ids::StoreId;
use thiserror::Error;
use tracing::warn;

use super::forward::ForwardLimits;
use crate::tls::Tls;

/// A secret shorter than this can be guessed by whoever has watched one handshake.
const SECRET_ADVISED_BYTES: usize = 16;

/// Who this Store is and whom it talks to.
#[derive(Clone)]
pub struct TransportConfig {
    /// Own id.
    pub store_id: StoreId,
    /// The cluster's id, the same on all Stores.
    pub cluster_id: [u8; 16],
    /// The cluster secret, the same on all Stores; anything but empty.
    pub secret: Vec<u8>,
    /// Where to accept peers.
    pub listen: SocketAddr,
    /// Every Store of the cluster with the `host:port` of its peer link, or with several. This Store itself may be among them.
    pub peers: Vec<(StoreId, String)>,
    /// Ids from here on were never given: a Store with one of them may be a new member that this Store does not know yet.
    pub next_store: StoreId,
    /// Where received snapshots are written.
    pub snapshot_dir: PathBuf,
    /// With what links are encrypted, if they are.
    pub tls: Arc<Tls>,
    /// Time-outs and bounds.
    pub options: TransportOptions,
}

impl fmt::Debug for TransportConfig {
    /// Everything but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportConfig")
            .field("store_id", &self.store_id)
            .field("listen", &self.listen)
            .field("peers", &self.peers)
            .field("snapshot_dir", &self.snapshot_dir)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Time-outs and bounds of the links. The defaults are for a local network.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// For one attempt to connect. Short, because a lost first packet is only repeated after a second.
    pub connect_timeout: Duration,
    /// From connecting to being authenticated, on both sides.
    pub handshake_timeout: Duration,
    /// Between two pings; also the grain of other time-outs of a link.
    pub ping_interval: Duration,
    /// After this long without a word a connection counts as broken.
    pub silence_limit: Duration,
    /// The first wait before dialing again.
    pub backoff_first: Duration,
    /// The longest wait before dialing again.
    pub backoff_longest: Duration,
    /// Raft messages waiting for one peer; as many again may be about to be written. Beyond: dropped.
    pub raft_queue_messages: usize,
    /// Bytes of raft messages waiting for one peer; as many again may be about to be written. Beyond: dropped. A larger
    /// single message passes when it is alone.
    pub raft_queue_bytes: usize,
    /// Requests waiting to be forwarded to one peer. Beyond: `NotSent`.
    pub forward_queued: usize,
    /// Bytes of requests waiting to be forwarded to one peer (beyond: `NotSent`), and of answers waiting to be fetched by
    /// one peer (beyond: no more of its requests are read).
    pub forward_queued_bytes: usize,
    /// Requests forwarded to one peer and not answered yet. Beyond: they wait in the queue.
    pub forward_in_flight: usize,
    /// From forwarding a request to giving its answer up.
    pub forward_timeout: Duration,
    /// What all snapshots sent by this Store together may take; 0 means no limit.
    pub snapshot_bytes_per_second: u64,
    /// Connections accepted but not authenticated yet. Beyond: the oldest is closed.
    pub unauthenticated_connections: usize,
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            handshake_timeout: Duration::from_secs(3),
            ping_interval: Duration::from_millis(500),
            silence_limit: Duration::from_secs(3),
            backoff_first: Duration::from_millis(50),
            backoff_longest: Duration::from_secs(1),
            raft_queue_messages: 4096,
            raft_queue_bytes: 64 * 1024 * 1024,
            forward_queued: 16 * 1024,
            forward_queued_bytes: 64 * 1024 * 1024,
            forward_in_flight: 16 * 1024,
            forward_timeout: Duration::from_secs(10),
            snapshot_bytes_per_second: 16 * 1024 * 1024,
            unauthenticated_connections: 64,
        }
    }
}

impl TransportOptions {
    pub(super) fn forward_limits(&self) -> ForwardLimits {
        ForwardLimits {
            queued: self.forward_queued,
            queued_bytes: self.forward_queued_bytes,
            in_flight: self.forward_in_flight,
            timeout: self.forward_timeout,
        }
    }
}

/// Why a transport does not start. Says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The peer port cannot be had.
    #[error("cannot listen for peers on {address}: {source}; is another process using the port?")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Peers without a secret would accept anyone.
    #[error(
        "cluster-peers needs a cluster-secret: choose a long random one, the same on all nodes"
    )]
    NoSecret,
    /// Ids that cannot be told apart, or an address that is none.
    #[error("cluster-peers: {0}")]
    Peers(String),
}

impl TransportConfig {
    /// Whether other Stores may connect: whoever has a secret may be joined.
    pub(super) fn listens(&self) -> bool {
        !self.secret.is_empty()
    }

    /// Whether any Store but this one is listed.
    pub(super) fn has_peers(&self) -> bool {
        self.peers.iter().any(|(store, _)| *store != self.store_id)
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        if !self.has_peers() {
            return Ok(());
        }
        if self.secret.is_empty() {
            return Err(StartError::NoSecret);
        }
        if self.secret.len() < SECRET_ADVISED_BYTES {
            warn!(
                "cluster-secret has only {} bytes: {SECRET_ADVISED_BYTES} or more are safer",
                self.secret.len()
            );
        }
        for (store, address) in &self.peers {
            if store.get() == 0 {
                return Err(StartError::Peers("node ids start at 1".to_owned()));
            }
            let port = address
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty())
                .map(|(_, port)| port);
            if !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)) {
                return Err(StartError::Peers(format!(
                    "{address:?} of node {store} is not host:port"
                )));
            }
        }
        Ok(())
    }
}
