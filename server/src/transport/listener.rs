//! The accepting side of every link: a bounded number of strangers, one connection per peer and purpose.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use metrics::Counter;
use parking_lot::Mutex;
use storage::ids::StoreId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Duration, Instant, sleep, timeout};
use tracing::{debug, warn};

use super::auth::{Purpose, Role};
use super::connection::{Connection, LinkError};
use super::handshake::{self, HandshakeError};
use super::link::Context;
use super::socket::LinkSocket;
use super::throttle::LogThrottle;
use super::{counters, forward_serve, raft_link, snapshot_receive};
use crate::tls::{self, Tls};

/// Pause after accept fails (out of file descriptors, say), which repeats at once otherwise.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener's shared state.
struct Gate {
    context: Arc<Context>,
    /// Connections that have not proved anything yet, oldest first.
    strangers: Mutex<Strangers>,
    /// The connection that counts, for each peer and purpose.
    standing: Mutex<HashMap<(StoreId, Purpose), Arc<Notify>>>,
    refusals: LogThrottle,
    refused: Counter,
}

#[derive(Default)]
struct Strangers {
    last_number: u64,
    tasks: VecDeque<(u64, AbortHandle)>,
}

/// Accepts until shutdown.
pub(super) async fn run(context: Arc<Context>, listener: TcpListener) {
    let gate = Arc::new(Gate {
        context: Arc::clone(&context),
        strangers: Mutex::default(),
        standing: Mutex::default(),
        refusals: LogThrottle::default(),
        refused: counters::refused(),
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = context.closing() => return,
        };
        match accepted {
            Ok((stream, address)) => Gate::admit(&gate, stream, address),
            Err(error) => {
                gate.log_refusal(format_args!(
                    "cannot accept a connection from a peer: {error}"
                ));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Gate {
    /// Starts a connection's task. Beyond the bound the oldest stranger goes: a peer needs two round trips to become
    /// known, so whoever is oldest is the likeliest not to be one.
    fn admit(gate: &Arc<Self>, stream: TcpStream, address: SocketAddr) {
        let mut strangers = gate.strangers.lock();
        strangers.last_number += 1;
        let number = strangers.last_number;
        let task = Arc::clone(gate).serve(number, stream, address);
        let Some(task) = gate.context.tasks.spawn(task) else {
            return;
        };
        strangers.tasks.push_back((number, task));
        if strangers.tasks.len() > gate.context.options.unauthenticated_connections
            && let Some((_, oldest)) = strangers.tasks.pop_front()
        {
            oldest.abort();
            drop(strangers);
            gate.refused.increment(1);
            gate.log_refusal(format_args!(
                "too many unauthenticated connections to the peer port: the oldest is closed. Is something other than \
                 TinyKV nodes connecting to it?"
            ));
        }
    }

    /// No longer a stranger; false if it was sent away meanwhile.
    fn is_known(&self, number: u64) -> bool {
        let mut strangers = self.strangers.lock();
        let position = strangers
            .tasks
            .iter()
            .position(|(other, _)| *other == number);
        position
            .and_then(|position| strangers.tasks.remove(position))
            .is_some()
    }

    async fn serve(self: Arc<Self>, number: u64, stream: TcpStream, address: SocketAddr) {
        let context = &self.context;
        let greeted = self.greet(stream).await;
        if !self.is_known(number) {
            return;
        }
        match greeted {
            Ok((stream, peer, purpose)) => {
                // Without it messages are late, not wrong.
                if let Err(error) = stream.set_nodelay() {
                    debug!("cannot set TCP_NODELAY: {error}");
                }
                let mut connection =
                    Connection::new(stream, peer, Role::Acceptor, purpose, context.liveness());
                self.serve_peer(purpose, &mut connection).await;
            }
            Err(HandshakeError::Left) => {
                debug!("a connection from {address} was closed: this node was removed");
            }
            Err(HandshakeError::Io(error)) => {
                debug!("a connection from {address} ended before its handshake: {error}")
            }
            Err(error) => {
                self.refused.increment(1);
                if let HandshakeError::Mistaken { by, taken_for } = error {
                    context.handler.mistaken(by, taken_for);
                }
                self.log_refusal(format_args!(
                    "refused a connection from {address} to the peer port: {error}"
                ));
            }
        }
    }

    /// Does the handshakes: TLS's, if the other side begins it, and the peers'.
    async fn greet(
        &self,
        stream: TcpStream,
    ) -> Result<(LinkSocket, StoreId, Purpose), HandshakeError> {
        let context = &self.context;
        if context.directory.has_left() {
            return Err(HandshakeError::Left);
        }
        let limit = context.options.handshake_timeout;
        let secured = timeout(limit, secure(&context.tls, stream)).await;
        let mut socket = secured.unwrap_or(Err(HandshakeError::TimedOut))?;
        let is_peer = |store| context.directory.admits(store);
        let may_be_plain = matches!(socket, LinkSocket::Tls(_)) || !context.tls.links_must();
        let accepted =
            handshake::accept(&mut socket, &context.identity, is_peer, may_be_plain, limit).await;
        let (peer, purpose) = accepted?;
        Ok((socket, peer, purpose))
    }

    /// A peer's newer connection takes the place of its older one, which it has given up.
    async fn serve_peer(&self, purpose: Purpose, connection: &mut Connection) {
        let peer = connection.peer;
        let replaced = Arc::new(Notify::new());
        if let Some(older) = self
            .standing
            .lock()
            .insert((peer, purpose), Arc::clone(&replaced))
        {
            older.notify_one();
        }
        let remote = self.context.directory.get(peer).map(|links| links.remote);
        if purpose == Purpose::Raft
            && let Some(remote) = &remote
        {
            remote.appeared.notify_waiters();
        }
        let removed = async {
            match &remote {
                Some(remote) => remote.removed().await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            end = self.serve_purpose(purpose, connection) => end,
            () = replaced.notified() => LinkError::Replaced,
            () = removed => LinkError::Removed,
        };
        let mut standing = self.standing.lock();
        if standing
            .get(&(peer, purpose))
            .is_some_and(|current| Arc::ptr_eq(current, &replaced))
        {
            standing.remove(&(peer, purpose));
        }
        drop(standing);
        match end {
            // The peer sent what it must not: worth knowing.
            LinkError::Frame(error) => warn!(
                "closed the {} link from node {peer}: {error}",
                purpose.name()
            ),
            end => debug!("the {} link from node {peer} ended: {end}", purpose.name()),
        }
    }

    async fn serve_purpose(&self, purpose: Purpose, connection: &mut Connection) -> LinkError {
        match purpose {
            Purpose::Raft => raft_link::serve(&self.context, connection).await,
            Purpose::Forward => forward_serve::serve(&self.context, connection).await,
            Purpose::Snapshot => snapshot_receive::serve(&self.context, connection).await,
        }
    }

    fn log_refusal(&self, what: std::fmt::Arguments<'_>) {
        match self.refusals.allow(Instant::now()) {
            Some(0) => warn!("{what}"),
            Some(held_back) => warn!("{what} ({held_back} more of this kind were not logged)"),
            None => {}
        }
    }
}

/// Begins TLS where the other side does, and there are certificates.
async fn secure(tls: &Tls, stream: TcpStream) -> Result<LinkSocket, HandshakeError> {
    let mut first = [0];
    let begins = stream.peek(&mut first).await? > 0 && first == [tls::FIRST_BYTE];
    if !begins || !tls.links_can() {
        return Ok(LinkSocket::Plain(stream));
    }
    match tls.accept_link(stream).await {
        Ok(stream) => Ok(LinkSocket::Tls(Box::new(stream))),
        Err(error) => Err(HandshakeError::Tls(error)),
    }
}
