//! The dialing side of every link: connect, authenticate, drive, and after a break back off and begin again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use storage::ids::StoreId;
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Duration, Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::auth::{Purpose, Role};
use super::connection::{Connection, LinkError, Liveness};
use super::counters;
use super::directory::Directory;
use super::handshake::{self, HandshakeError, Identity};
use super::progress::Underway;
use super::snapshot_send::Pace;
use super::socket::LinkSocket;
use super::{Handler, TransportOptions};
use crate::tls::Tls;

/// An outage is logged when it begins, when its cause changes, and then only this often.
const REPEAT_LOG_AFTER: Duration = Duration::from_secs(30);

/// How long a closing link may go on writing what it holds.
pub(super) const FINISH_LIMIT: Duration = Duration::from_millis(200);

/// Addresses of one Store that are tried; the last of them gives way to what the Store says itself.
const MAX_ADDRESSES: usize = 4;

/// What all tasks of one transport share.
pub(super) struct Context {
    pub(super) identity: Identity,
    pub(super) options: TransportOptions,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) snapshot_dir: std::path::PathBuf,
    pub(super) tls: Arc<Tls>,
    /// Becomes true once, at shutdown.
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) tasks: Tasks,
    /// Shared by all snapshots that leave this Store.
    pub(super) pace: Pace,
    /// The other Stores.
    pub(super) directory: Directory,
    /// The snapshot that is on its way to this Store.
    pub(super) receiving: Underway,
}

impl Context {
    /// Ends when the transport shuts down.
    pub(super) async fn closing(&self) {
        // An error would mean that the sender is gone, but it lives in self.
        let _ = self.shutdown.subscribe().wait_for(|closing| *closing).await;
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.shutdown.borrow()
    }

    pub(super) fn liveness(&self) -> Liveness {
        Liveness {
            ping_interval: self.options.ping_interval,
            silence_limit: self.options.silence_limit,
        }
    }
}

/// Every task of a transport. Dropping it, or [`Tasks::end`], ends them.
#[derive(Debug)]
pub(super) struct Tasks {
    runtime: Handle,
    /// `None` after the end.
    set: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    /// For the runtime that this is called in.
    pub(super) fn new() -> Self {
        Self {
            runtime: Handle::current(),
            set: Mutex::new(Some(JoinSet::new())),
        }
    }

    /// From any thread. `None` after the end.
    pub(super) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        let mut set = self.set.lock();
        let set = set.as_mut()?;
        while set.try_join_next().is_some() {}
        Some(set.spawn_on(task, &self.runtime))
    }

    /// Waits until the tasks have ended by themselves, and after `limit` ends them.
    pub(super) async fn end(&self, limit: Duration) {
        let Some(mut set) = self.set.lock().take() else {
            return;
        };
        let all = async { while set.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            set.shutdown().await;
        }
    }

    /// Ends them at once.
    pub(super) fn abort(&self) {
        self.set.lock().take();
    }
}

/// Attempts to connect to a Store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dials {
    pub(super) oks: u64,
    pub(super) errors: u64,
    /// When the last one succeeded.
    pub(super) last_ok: Option<Instant>,
}

impl Dials {
    fn note_ok(&mut self) {
        self.oks += 1;
        self.last_ok = Some(Instant::now());
    }
}

/// Another Store, as one link sees it.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) store: StoreId,
    addresses: Mutex<Addresses>,
    /// Becomes true once, when the Store is no member any more.
    gone: watch::Sender<bool>,
    /// Whether the raft link to it stands.
    pub(super) connected: AtomicBool,
    /// What became of dialing it for the raft link.
    pub(super) dials: Mutex<Dials>,
    /// The Store has just dialed us, so dialing it is worth trying at once.
    pub(super) appeared: Notify,
    /// It has refused a connection without TLS.
    wants_tls: AtomicBool,
    /// The snapshot that is under way to it.
    pub(super) snapshot: Underway,
}

/// Where a Store may be, each `host:port`, resolved anew at every attempt: as the configuration says, as the cluster knows, as it
/// says itself. They are tried by turns; the handshake tells whether it is the right Store.
#[derive(Debug, Default)]
struct Addresses {
    /// Never empty.
    list: Vec<String>,
    current: usize,
}

impl Addresses {
    fn current(&self) -> &str {
        self.list.get(self.current).map_or("", String::as_str)
    }

    /// These instead, the present one first where it is among them.
    fn set(&mut self, list: &[String]) {
        let current = list.iter().position(|address| address == self.current());
        self.list = list.to_vec();
        self.current = current.unwrap_or(0);
    }

    /// Another one, to be tried next.
    fn add(&mut self, address: &str) {
        let known = self.list.iter().position(|known| known == address);
        self.current = known.unwrap_or_else(|| {
            self.list.truncate(MAX_ADDRESSES - 1);
            self.list.push(address.to_owned());
            self.list.len() - 1
        });
    }

    /// The next one, if this one is still the present one: several links may fail there.
    fn pass_over(&mut self, failed: &str) {
        if self.current() == failed {
            self.current = (self.current + 1) % self.list.len().max(1);
        }
    }
}

impl Remote {
    pub(super) fn new(store: StoreId, addresses: Vec<String>) -> Self {
        Self {
            store,
            addresses: Mutex::new(Addresses {
                list: addresses,
                current: 0,
            }),
            gone: watch::Sender::new(false),
            connected: AtomicBool::new(false),
            dials: Mutex::default(),
            appeared: Notify::new(),
            wants_tls: AtomicBool::new(false),
            snapshot: Underway::default(),
        }
    }

    /// `host:port` of its peer link, as it is tried now or was found.
    pub(super) fn address(&self) -> String {
        self.addresses.lock().current().to_owned()
    }

    /// From the next attempt on; a connection that stands is with the right Store and goes on.
    pub(super) fn set_addresses(&self, list: &[String]) {
        let mut addresses = self.addresses.lock();
        if addresses.list != list {
            addresses.set(list);
            drop(addresses);
            self.appeared.notify_waiters();
        }
    }

    /// The Store says itself where it is, which matters while it is not found.
    pub(super) fn add_address(&self, address: &str) {
        if self.connected.load(Ordering::Relaxed) {
            return;
        }
        let mut addresses = self.addresses.lock();
        if addresses.current() != address {
            addresses.add(address);
            drop(addresses);
            self.appeared.notify_waiters();
        }
    }

    /// Ends all connections with it.
    pub(super) fn remove(&self) {
        self.gone.send_replace(true);
    }

    /// Ends when the Store is no member any more.
    pub(super) async fn removed(&self) {
        // An error would mean that the sender is gone, but it lives in self.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    fn is_removed(&self) -> bool {
        *self.gone.borrow()
    }
}

/// Why there is no link.
#[derive(Debug, Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Connect(#[from] io::Error),
    #[error("no answer to the connection request in {0:?}")]
    TimedOut(Duration),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
}

impl DialError {
    /// Nobody listens there, and the host says so: the process is gone.
    fn is_refused_connection(&self) -> bool {
        matches!(self, Self::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// Connects and authenticates. After a failure the next attempt is made at the Store's next address.
pub(super) async fn dial(
    context: &Context,
    remote: &Remote,
    purpose: Purpose,
) -> Result<Connection, DialError> {
    let address = remote.address();
    let dialed = dial_at(context, remote, &address, purpose).await;
    if dialed.is_err() {
        remote.addresses.lock().pass_over(&address);
    }
    dialed
}

async fn dial_at(
    context: &Context,
    remote: &Remote,
    address: &str,
    purpose: Purpose,
) -> Result<Connection, DialError> {
    let limit = context.options.connect_timeout;
    let stream = timeout(limit, connect(address))
        .await
        .unwrap_or(Err(DialError::TimedOut(limit)))?;
    let mut socket = secure(context, remote, address, stream).await?;
    socket.set_nodelay()?;
    let greeted = handshake::dial(
        &mut socket,
        &context.identity,
        remote.store,
        purpose,
        context.options.handshake_timeout,
    );
    if let Err(error) = greeted.await {
        if error.is_for_tls() {
            remote.wants_tls.store(true, Ordering::Relaxed);
        }
        return Err(error.into());
    }
    counters::connects(remote.store, purpose).increment(1);
    Ok(Connection::new(
        socket,
        remote.store,
        Role::Dialer,
        purpose,
        context.liveness(),
    ))
}

/// Begins TLS where this Store or the other one wants it.
async fn secure(
    context: &Context,
    remote: &Remote,
    address: &str,
    stream: TcpStream,
) -> Result<LinkSocket, DialError> {
    let tls = &context.tls;
    let wanted = remote.wants_tls.load(Ordering::Relaxed) && tls.links_can();
    if !tls.links_must() && !wanted {
        return Ok(LinkSocket::Plain(stream));
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let limit = context.options.handshake_timeout;
    match timeout(limit, tls.dial_link(host, stream)).await {
        Ok(Ok(stream)) => Ok(LinkSocket::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(HandshakeError::Tls(error).into()),
        Err(_) => Err(HandshakeError::TimedOut.into()),
    }
}

async fn connect(address: &str) -> Result<TcpStream, DialError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in lookup_host(address).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// What a standing link does, and what happens while it does not stand.
pub(super) trait Driver: Send + Sync {
    const PURPOSE: Purpose;

    /// Uses the connection until it ends.
    fn drive(
        &self,
        context: &Context,
        connection: &mut Connection,
    ) -> impl Future<Output = LinkError> + Send;

    /// The connection has ended, or an attempt has failed: nothing can be sent until the next one succeeds.
    fn down(&self, context: &Context);

    /// The transport shuts down; the link ends.
    fn closed(&self);
}

/// Keeps one link standing until shutdown.
pub(super) async fn keep<D: Driver>(context: Arc<Context>, remote: Arc<Remote>, driver: Arc<D>) {
    let mut backoff = Backoff::new(&context.options);
    let mut outage = Outage::default();
    while !context.is_closing() && !remote.is_removed() {
        let attempt = tokio::select! {
            attempt = dial(&context, &remote, D::PURPOSE) => attempt,
            () = context.closing() => break,
            () = remote.removed() => break,
        };
        match attempt {
            Ok(mut connection) => {
                context.directory.note_expulsion(false);
                if D::PURPOSE == Purpose::Raft {
                    remote.dials.lock().note_ok();
                }
                outage.end::<D>(&remote);
                let since = Instant::now();
                let error = tokio::select! {
                    error = driver.drive(&context, &mut connection) => error,
                    () = remote.removed() => break,
                };
                if context.is_closing() {
                    break;
                }
                outage.begin::<D>(&remote, &format!("lost the connection: {error}"));
                if backoff.lived(since.elapsed()) {
                    driver.down(&context);
                    continue;
                }
            }
            Err(error) => {
                if D::PURPOSE == Purpose::Raft {
                    remote.dials.lock().errors += 1;
                }
                outage.begin::<D>(&remote, &error.to_string());
                if let DialError::Handshake(error) = &error {
                    // With TLS the next attempt may succeed.
                    let upgrades = error.is_for_tls() && context.tls.links_can();
                    if error.is_lasting() && !upgrades {
                        backoff.lengthen();
                    }
                    if error.is_expulsion() {
                        context.directory.note_expulsion(true);
                    }
                }
                if D::PURPOSE == Purpose::Raft && error.is_refused_connection() {
                    context.handler.gone(remote.store);
                }
            }
        }
        driver.down(&context);
        tokio::select! {
            () = sleep(backoff.next()) => {}
            () = remote.appeared.notified() => {}
            () = context.closing() => break,
            () = remote.removed() => break,
        }
    }
    remote.connected.store(false, Ordering::Relaxed);
    driver.closed();
}

/// Exponential back-off; the wait is drawn from the upper half of the current length, so that Stores that lost each other
/// together do not return together.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    longest: Duration,
    current: Duration,
}

impl Backoff {
    fn new(options: &TransportOptions) -> Self {
        Self {
            first: options.backoff_first,
            longest: options.backoff_longest,
            current: options.backoff_first,
        }
    }

    /// Only a connection that lasted starts the series over: a peer that accepts and hangs up is not courted. True if the next
    /// attempt is worth making at once.
    fn lived(&mut self, lifetime: Duration) -> bool {
        let lasted = lifetime >= self.longest / 4;
        if lasted {
            self.current = self.first;
        }
        lasted
    }

    fn lengthen(&mut self) {
        self.current = self.longest;
    }

    fn next(&mut self) -> Duration {
        let wait = self.current.mul_f64(0.5 + 0.5 * fraction());
        self.current = (self.current * 2).min(self.longest);
        wait
    }
}

/// A random number in 0..1; 1 if the system has no randomness, which only costs the jitter.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

/// Logs an outage without flooding. Only the raft link speaks up: the others share its fate.
#[derive(Debug, Default)]
struct Outage {
    logged: Option<(String, Instant)>,
}

impl Outage {
    fn begin<D: Driver>(&mut self, remote: &Remote, cause: &str) {
        let (store, address) = (remote.store, remote.address());
        if D::PURPOSE != Purpose::Raft {
            debug!(
                "no {} link to node {store} at {address}: {cause}",
                D::PURPOSE.name()
            );
            return;
        }
        remote.connected.store(false, Ordering::Relaxed);
        let known = self
            .logged
            .as_ref()
            .is_some_and(|(last, at)| last == cause && at.elapsed() < REPEAT_LOG_AFTER);
        if !known {
            warn!("cannot reach node {store} at {address}: {cause}; trying again");
            self.logged = Some((cause.to_owned(), Instant::now()));
        }
    }

    fn end<D: Driver>(&mut self, remote: &Remote) {
        if D::PURPOSE == Purpose::Raft {
            remote.connected.store(true, Ordering::Relaxed);
            info!("connected to node {} at {}", remote.store, remote.address());
            self.logged = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Addresses, Backoff, MAX_ADDRESSES};
    use crate::transport::TransportOptions;
    use tokio::time::Duration;

    #[test]
    fn backoff_grows_with_jitter_up_to_its_bound_and_starts_over_after_a_lasting_connection() {
        let options = TransportOptions {
            backoff_first: Duration::from_millis(10),
            backoff_longest: Duration::from_millis(35),
            ..TransportOptions::default()
        };
        let mut backoff = Backoff::new(&options);
        for length_ms in [10, 20, 35, 35] {
            let length = Duration::from_millis(length_ms);
            let wait = backoff.next();
            assert!(
                wait >= length / 2 && wait <= length,
                "{wait:?} of {length:?}"
            );
        }
        assert!(!backoff.lived(Duration::from_millis(8)));
        assert!(backoff.next() >= Duration::from_millis(17));
        assert!(backoff.lived(Duration::from_millis(9)));
        assert!(backoff.next() <= Duration::from_millis(10));
    }

    #[test]
    fn addresses_are_tried_by_turns_and_what_a_store_says_itself_first() {
        let mut addresses = Addresses::default();
        addresses.set(&["a:1", "b:1"].map(str::to_owned));
        assert_eq!(addresses.current(), "a:1");
        // Two links have failed at the same address: it is passed over once.
        addresses.pass_over("a:1");
        addresses.pass_over("a:1");
        assert_eq!(addresses.current(), "b:1");
        addresses.pass_over("b:1");
        assert_eq!(addresses.current(), "a:1");
        addresses.add("c:1");
        assert_eq!(addresses.current(), "c:1");
        addresses.set(&["b:1", "c:1"].map(str::to_owned));
        assert_eq!(addresses.current(), "c:1");
        for port in 2..9 {
            addresses.add(&format!("c:{port}"));
            assert_eq!(addresses.current(), format!("c:{port}"));
        }
        assert_eq!(addresses.list.len(), MAX_ADDRESSES);
    }
}
