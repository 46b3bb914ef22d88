//! Stores for tests: a transport and a handler that remembers.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use server::transport::{
    ForwardError, ForwardReply, Handler, Transport, TransportConfig, TransportOptions,
};
use storage::ids::StoreId;
use storage::proto::command::{RaftCmdResponse, RaftMessage, Request};
use storage::proto::raft::Message;
use storage::proto::store::Peer;
use storage::snapshot::ReceivedSnapshot;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// Nothing here takes longer, however busy the machine is.
const BOUND: Duration = Duration::from_secs(30);

pub(crate) const SECRET: &[u8] = b"a cluster secret for the tests";
pub(crate) const CLUSTER: [u8; 16] = *b"the test cluster";

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Waits for a future.
pub(crate) async fn bounded<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(BOUND, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

type OnForward = Box<dyn Fn(Request, ForwardReply) + Send>;

/// Remembers what arrived. Forwarded requests go to a function that the test sets; until then they are kept unanswered.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) raft: Mutex<Vec<RaftMessage>>,
    pub(crate) unreachable: Mutex<Vec<StoreId>>,
    pub(crate) gone: Mutex<Vec<StoreId>>,
    pub(crate) received: Mutex<Vec<(RaftMessage, ReceivedSnapshot)>>,
    pub(crate) sent: Mutex<Vec<(StoreId, bool)>>,
    pub(crate) mistaken: Mutex<Vec<(StoreId, StoreId)>>,
    pub(crate) kept: Mutex<Vec<(Request, ForwardReply)>>,
    pub(crate) on_forward: Mutex<Option<OnForward>>,
}

impl Recorder {
    /// Numbers of the raft messages that arrived, in order.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.raft
            .lock()
            .iter()
            .map(|m| m.message.as_ref().expect("a message").index)
            .collect()
    }
}

impl Handler for Recorder {
    fn raft(&self, message: RaftMessage) {
        self.raft.lock().push(message);
    }

    fn unreachable(&self, store: StoreId) {
        self.unreachable.lock().push(store);
    }

    fn gone(&self, store: StoreId) {
        self.gone.lock().push(store);
    }

    fn forwarded(&self, request: Request, reply: ForwardReply) {
        match &*self.on_forward.lock() {
            Some(answer) => answer(request, reply),
            None => self.kept.lock().push((request, reply)),
        }
    }

    fn snapshot_received(&self, message: RaftMessage, file: ReceivedSnapshot) {
        self.received.lock().push((message, file));
    }

    fn unreadable(&self, error: &storage::Error) {
        panic!("a snapshot cannot be read: {error}");
    }

    fn mistaken(&self, by: StoreId, taken_for: StoreId) {
        self.mistaken.lock().push((by, taken_for));
    }

    fn snapshot_sent(&self, to: StoreId, ok: bool) {
        self.sent.lock().push((to, ok));
    }
}

/// Answers with the request's own bytes.
pub(crate) fn echo(request: Request, reply: ForwardReply) {
    reply(Ok(RaftCmdResponse {
        replies: request.commands,
        db: request.db,
        ..RaftCmdResponse::default()
    }));
}

/// A started Store.
pub(crate) struct Node {
    pub(crate) id: StoreId,
    pub(crate) transport: Arc<Transport>,
    pub(crate) seen: Arc<Recorder>,
    pub(crate) address: String,
    pub(crate) snapshots: TempDir,
}

impl Node {
    pub(crate) fn send(&self, to: &Node, number: u64, payload: &[u8]) {
        self.transport
            .send(to.id, message(self.id, to.id, number, payload));
    }

    pub(crate) async fn forward(
        &self,
        to: &Node,
        commands: &[u8],
    ) -> Result<RaftCmdResponse, ForwardError> {
        self.transport.forward(to.id, request(commands)).await
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.transport.links().iter().all(|link| link.connected)
    }
}

/// A raft message that carries a number and a payload.
pub(crate) fn message(from: StoreId, to: StoreId, number: u64, payload: &[u8]) -> RaftMessage {
    let peer = |store: StoreId| Peer {
        id: store.get(),
        store_id: store.get(),
    };
    RaftMessage {
        region_id: 1,
        from_peer: Some(peer(from)),
        to_peer: Some(peer(to)),
        message: Some(Message {
            index: number,
            context: payload.to_vec().into(),
            ..Message::default()
        }),
        ..RaftMessage::default()
    }
}

pub(crate) fn request(commands: &[u8]) -> Request {
    Request {
        db: 1,
        protocol: 2,
        commands: commands.to_vec().into(),
        ..Request::default()
    }
}

/// Time-outs short enough for tests, long enough for a busy machine.
pub(crate) fn options() -> TransportOptions {
    TransportOptions {
        ping_interval: Duration::from_millis(50),
        silence_limit: Duration::from_millis(1500),
        backoff_first: Duration::from_millis(5),
        backoff_longest: Duration::from_millis(50),
        snapshot_bytes_per_second: 0,
        ..TransportOptions::default()
    }
}

/// Bound ports, so that every Store can know the addresses of all before any starts.
pub(crate) struct Ports {
    listeners: Vec<Option<TcpListener>>,
    /// What each Store, by position, tells the others; a proxy's address may be put in its place.
    pub(crate) addresses: Vec<String>,
}

impl Ports {
    pub(crate) async fn bind(count: usize) -> Self {
        let mut ports = Self {
            listeners: Vec::new(),
            addresses: Vec::new(),
        };
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            ports
                .addresses
                .push(listener.local_addr().expect("bound").to_string());
            ports.listeners.push(Some(listener));
        }
        ports
    }

    pub(crate) fn config(&self, position: usize, snapshots: &TempDir) -> TransportConfig {
        let id = |position: usize| StoreId(position as u64 + 1);
        TransportConfig {
            store_id: id(position),
            cluster_id: CLUSTER,
            secret: SECRET.to_vec(),
            listen: "127.0.0.1:0".parse().expect("an address"),
            peers: self
                .addresses
                .iter()
                .cloned()
                .enumerate()
                .map(|(p, a)| (id(p), a))
                .collect(),
            next_store: StoreId(100),
            snapshot_dir: snapshots.path().to_owned(),
            tls: Arc::default(),
            options: options(),
        }
    }

    /// Starts the Store at `position`, whose id is one more.
    pub(crate) async fn start(
        &mut self,
        position: usize,
        change: impl FnOnce(&mut TransportConfig),
    ) -> Node {
        let snapshots = TempDir::new().expect("a folder");
        let mut config = self.config(position, &snapshots);
        change(&mut config);
        let listener = self.listeners[position].take().expect("not started yet");
        let address = listener.local_addr().expect("bound").to_string();
        let id = config.store_id;
        let seen = Arc::new(Recorder::default());
        let handler = Arc::clone(&seen);
        let transport = Transport::start_on(listener, config, handler)
            .await
            .expect("started");
        Node {
            id,
            transport,
            seen,
            address,
            snapshots,
        }
    }

    /// Binds the port of a Store that has been shut down.
    pub(crate) async fn bind_again(&mut self, position: usize, address: &str) {
        self.listeners[position] = Some(TcpListener::bind(address).await.expect("free again"));
    }

    /// A port on which nobody listens.
    pub(crate) fn close(&mut self, position: usize) {
        self.listeners[position] = None;
    }
}

/// Two connected Stores.
pub(crate) async fn pair(change: impl Fn(&mut TransportConfig)) -> (Node, Node) {
    let mut ports = Ports::bind(2).await;
    let (one, two) = (ports.start(0, &change).await, ports.start(1, &change).await);
    until("both are connected", || {
        one.is_connected() && two.is_connected()
    })
    .await;
    (one, two)
}
