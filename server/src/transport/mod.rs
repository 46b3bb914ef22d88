//! The links between Stores.
//!
//! Every Store listens on its peer port and dials every other Store. A connection carries one thing in one direction, so
//! that bulk never delays a heartbeat:
//!
//! | purpose | connections | dialer to acceptor | acceptor to dialer | beyond the bounds, or without a link |
//! |---|---|---|---|---|
//! | raft | one per peer, kept standing | raft messages, in order | pongs | dropped; [`Handler::unreachable`] |
//! | forward | one per peer, kept standing | requests with an id | answers, in any order | [`ForwardError::NotSent`] |
//! | snapshot | one per snapshot | the MsgSnapshot, chunks at a bounded rate | one acknowledgement | [`Handler::snapshot_sent`] with false |
//!
//! A message from the store thread goes into a queue and wakes the link's task, which encodes all that waits and writes
//! it with one system call; nothing lies between. What arrives is handed to the [`Handler`] by the task that read it.
//!
//! # The wire
//!
//! A frame is `kind u8 | length u32 | crc32 u32 | payload`, integers little endian, the checksum over the rest.
//!
//! | kind | payload | at most | why |
//! |---|---|---|---|
//! | A1 hello | `TINYKV`, version, purpose, cluster id, both store ids, nonce | 73 bytes, exactly | before authentication nothing is allocated |
//! | A2 challenge, A3 proof, A4 welcome | nonce, HMAC, HMAC | 32 bytes, exactly | the same |
//! | A5 refused | code, advice | 256 bytes | it is for a log line |
//! | B1 ping, B2 pong | nothing | 0 | |
//! | C1 raft | `RaftMessage` | 1 GiB | an entry may hold a batch of values of up to 512 MB |
//! | D1 request | id, `Request` | 1 GiB | the same |
//! | D2 answer | id, status, `RaftCmdResponse` or what the status needs | 1 GiB | the same |
//! | E1 begin | `RaftMessage` (MsgSnapshot) | 1 MiB | metadata only |
//! | E2 chunk | sequence, crc32, whether it is the last, bytes | 1 MiB | chunks have 512 KiB |
//! | E3 end | ok, text | 256 bytes | it is for a log line |
//!
//! An unknown or unexpected kind, a length beyond the kind's limit or a wrong checksum ends the connection. Buffers grow
//! with what has arrived, to at most twice that: a length alone moves nothing.
//!
//! # The handshake
//!
//! 1. The dialer sends hello: who it is, whom it wants, of which cluster, for which purpose, and 32 random bytes.
//! 2. The acceptor refuses another version, an unknown store id, its own id, or a hello meant for another Store; else it answers
//!    with 32 random bytes of its own.
//! 3. The dialer proves the cluster secret: HMAC-SHA256 over its role, the whole hello and the acceptor's nonce.
//! 4. The acceptor compares in constant time, refuses a dialer of another cluster (whose mistake it believes now:
//!    [`Handler::mistaken`]), and proves the secret in the same way in its own role.
//!
//! Both nonces make a recording worthless; role, store ids and purpose in the proof make it worthless elsewhere and in the
//! other direction. The caller proves first, so that the port tells strangers nothing to guess secrets with. What this
//! does not do: hide the traffic, or protect it from someone who can change packets after the handshake. That is what
//! `tls-cluster` is for ([`crate::tls`]); links without it belong on a network that is trusted that far, and the secret should
//! be long and random.
//!
//! With TLS, its handshake comes before the hello. The acceptor knows it by the first byte. One that must have TLS refuses a
//! plain hello with a code that makes a dialer with certificates come again with TLS, so that a cluster can be changed over node
//! by node; nothing ever falls back to a plain link.
//!
//! A handshake has [`TransportOptions::handshake_timeout`]; of the strangers under way only
//! [`TransportOptions::unauthenticated_connections`] may be there, beyond that the oldest goes. Every refusal leaves a
//! log line that says what to check (a flood of them is thinned out). A client of another protocol gets a line of text.
//!
//! # Life of a link
//!
//! The dialer pings every [`TransportOptions::ping_interval`]; whoever hears nothing for
//! [`TransportOptions::silence_limit`] gives the connection up, so that a peer that vanished without a word is noticed
//! long before TCP would. After a break the dialer waits, exponentially longer and with jitter, up to
//! [`TransportOptions::backoff_longest`], or until that peer dials us. An acceptor's newer connection of a peer and purpose
//! replaces the older. While there is no link, raft messages wait for the running attempt and are dropped when it fails.
//!
//! # Forwarding
//!
//! [`ForwardError`] says what may be done with a request; a write is never sent twice. `NotSent` is said only while the
//! last byte of its frame has not been given to the kernel: the queue was full, no link stood, or it broke before. The
//! overall time-out has the grain of the ping interval.
//!
//! Everything here is for a Store with peers. Without any there is no listener, no task, and nothing to send to.

mod auth;
mod connection;
mod counters;
mod directory;
mod forward;
mod forward_serve;
mod forward_wire;
mod frame;
mod handshake;
mod link;
mod listener;
mod options;
mod outbox;
mod progress;
mod raft_link;
mod snapshot_receive;
mod snapshot_send;
mod socket;
mod throttle;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::ids::StoreId;
use storage::proto::command::{RaftMessage, Request};
use storage::snapshot::{ReceivedSnapshot, SnapshotSource};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

pub use forward::{ForwardError, ForwardResult};
pub use options::{StartError, TransportConfig, TransportOptions};
pub use progress::SnapshotProgress;

use directory::{Directory, PeerLinks};
use handshake::Identity;
use link::{Context, Driver, Tasks};
use progress::Underway;
use snapshot_send::Pace;

/// Answers a forwarded request, from any thread. Dropped without being called, it answers [`ForwardError::Unknown`].
pub type ForwardReply = Box<dyn FnOnce(ForwardResult) + Send>;

/// What arrives. Called by the links' tasks, so nothing here may block.
pub trait Handler: Send + Sync + 'static {
    /// A raft message from a peer, in the order of its sending.
    fn raft(&self, message: RaftMessage);
    /// Messages to this Store were lost, or there is no link to it.
    fn unreachable(&self, store: StoreId);
    /// The host of this Store refuses connections, after one that stood has broken: its process is gone, or seems to be.
    fn gone(&self, store: StoreId);
    /// A peer forwards a request. If it was certainly not appended, say why with anything but `Unknown`.
    fn forwarded(&self, request: Request, reply: ForwardReply);
    /// A snapshot has arrived, verified and durable; step its MsgSnapshot.
    fn snapshot_received(&self, message: RaftMessage, file: ReceivedSnapshot);
    /// A snapshot that was sent is verified and durable over there (`ok`), or it did not arrive.
    fn snapshot_sent(&self, to: StoreId, ok: bool);
    /// The own data cannot be read for a snapshot: another Store must lead, with data that it can read.
    fn unreadable(&self, error: &storage::Error);
    /// A Store that knows the secret, of another cluster, takes this one for a member of that.
    fn mistaken(&self, by: StoreId, taken_for: StoreId);
}

/// The state of the link to one Store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// The other Store.
    pub store: StoreId,
    /// Its peer address, `host:port`.
    pub address: String,
    /// Whether our raft link to it stands.
    pub connected: bool,
    /// How often dialing it succeeded since this process started.
    pub dials_ok: u64,
    /// How often it failed.
    pub dials_failed: u64,
    /// How long ago it succeeded last.
    pub last_dial_ok: Option<Duration>,
    /// The snapshot that is on its way to it.
    pub snapshot: Option<SnapshotProgress>,
}

/// All links of one Store. Dropped, it ends them at once; [`Transport::shutdown`] is gentler.
pub struct Transport {
    context: Arc<Context>,
    local_address: Option<SocketAddr>,
}

impl Transport {
    /// Listens, begins to dial every peer, and returns at once. Must be called in a tokio runtime, which runs the links.
    pub async fn start(
        config: TransportConfig,
        handler: Arc<dyn Handler>,
    ) -> Result<Arc<Self>, StartError> {
        let listener = if config.listens() {
            let bound = TcpListener::bind(config.listen).await;
            Some(bound.map_err(|source| StartError::Listen {
                address: config.listen,
                source,
            })?)
        } else {
            None
        };
        Self::start_with(listener, config, handler)
    }

    /// Like [`Transport::start`] with a listener that is bound already; `config.listen` is not used.
    pub async fn start_on(
        listener: TcpListener,
        config: TransportConfig,
        handler: Arc<dyn Handler>,
    ) -> Result<Arc<Self>, StartError> {
        Self::start_with(Some(listener), config, handler)
    }

    fn start_with(
        listener: Option<TcpListener>,
        config: TransportConfig,
        handler: Arc<dyn Handler>,
    ) -> Result<Arc<Self>, StartError> {
        config.check()?;
        let options = config.options;
        let context = Arc::new(Context {
            identity: Identity {
                store_id: config.store_id,
                cluster_id: config.cluster_id,
                secret: config.secret,
            },
            handler,
            snapshot_dir: config.snapshot_dir,
            tls: config.tls,
            shutdown: watch::Sender::new(false),
            tasks: Tasks::new(),
            pace: Pace::new(options.snapshot_bytes_per_second),
            directory: Directory::default(),
            receiving: Underway::default(),
            options,
        });
        Directory::set(&context, &config.peers, config.next_store);
        let mut local_address = None;
        if let Some(listener) = listener {
            local_address = listener.local_addr().ok();
            info!(
                "listening for other nodes on {}",
                local_address.unwrap_or(config.listen)
            );
            context
                .tasks
                .spawn(listener::run(Arc::clone(&context), listener));
        }
        Ok(Arc::new(Self {
            context,
            local_address,
        }))
    }

    /// From now on these are the Stores of the cluster, each with the `host:port` of its peer link, or with several, which are
    /// tried by turns; this Store itself may be among them. Links to new ones begin, those to others end. Ids from `next_store` on are not known yet: a Store with one
    /// of them may connect, because this Store may be behind. From any thread.
    pub fn set_peers(&self, peers: &[(StoreId, String)], next_store: StoreId) {
        Directory::set(&self.context, peers, next_store);
    }

    /// A Store says where it is. That is tried first while it is not found, until [`Transport::set_peers`] is called the next time
    /// with other addresses.
    pub fn introduce(&self, store: StoreId, address: &str) {
        Directory::introduce(&self.context, store, address);
    }

    /// What all snapshots of this Store together may take from now on, in bytes per second; 0 means no limit.
    pub fn set_snapshot_rate(&self, bytes_per_second: u64) {
        self.context.pace.set(bytes_per_second);
    }

    /// This Store.
    pub fn store(&self) -> StoreId {
        self.context.identity.store_id
    }

    /// Where peers are accepted; `None` without a secret.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// Sends a raft message, from any thread, without blocking. It may be lost; Raft repeats what matters.
    pub fn send(&self, to: StoreId, message: RaftMessage) {
        match self.links_to(to) {
            Some(links) => links.raft.push(message),
            None => warn!("a raft message to node {to} is dropped: it is not a member"),
        }
    }

    /// Sends a snapshot on a connection of its own, from any thread. [`Handler::snapshot_sent`] tells the end. While one
    /// is under way to that Store another is not begun, and the end of the first is the answer for both.
    pub fn send_snapshot(&self, to: StoreId, message: RaftMessage, source: SnapshotSource) {
        let context = Arc::clone(&self.context);
        match self.links_to(to) {
            Some(links) => {
                let remote = Arc::clone(&links.remote);
                self.context
                    .tasks
                    .spawn(snapshot_send::send(context, remote, message, source));
            }
            None => {
                warn!("a snapshot to node {to} is not sent: it is not a member");
                self.context
                    .tasks
                    .spawn(async move { context.handler.snapshot_sent(to, false) });
            }
        }
    }

    /// Sends a request to another Store and waits for its answer, at most about
    /// [`TransportOptions::forward_timeout`]. Whoever drops the future before it is ready must take the outcome for
    /// unknown.
    pub async fn forward(&self, to: StoreId, request: Request) -> ForwardResult {
        match self.links_to(to) {
            Some(links) => links.forward.forward(request).await,
            None => Err(ForwardError::NotSent),
        }
    }

    /// The members refuse this Store, because it is none: it was removed.
    pub fn is_expelled(&self) -> bool {
        self.context.directory.is_expelled()
    }

    /// This Store was removed, and says goodbye to all.
    pub fn leave(&self) {
        Directory::leave(&self.context);
    }

    /// The links' state, ascending by store id.
    pub fn links(&self) -> Vec<LinkStatus> {
        let status = |links: &PeerLinks| {
            let dials = *links.remote.dials.lock();
            LinkStatus {
                store: links.remote.store,
                address: links.remote.address(),
                connected: links.remote.connected.load(Ordering::Relaxed),
                dials_ok: dials.oks,
                dials_failed: dials.errors,
                last_dial_ok: dials.last_ok.map(|at| at.elapsed()),
                snapshot: links.remote.snapshot.now(),
            }
        };
        self.context.directory.all().iter().map(status).collect()
    }

    /// The snapshot that is on its way to this Store.
    pub fn receiving(&self) -> Option<SnapshotProgress> {
        self.context.receiving.now()
    }

    /// Sends what is queued, within a bound, and ends every task. Requests that were not sent yet are answered `NotSent`,
    /// those that wait for their answer `Unknown`.
    pub async fn shutdown(&self) {
        self.context.shutdown.send_replace(true);
        self.context.tasks.end(link::FINISH_LIMIT * 5).await;
        // In case a task had to be ended before it could say so: nobody waits in a queue that nobody serves.
        for links in self.context.directory.all().iter() {
            links.raft.closed();
            links.forward.closed();
        }
    }

    fn links_to(&self, store: StoreId) -> Option<PeerLinks> {
        self.context.directory.get(store)
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.context.shutdown.send_replace(true);
        self.context.tasks.abort();
    }
}
