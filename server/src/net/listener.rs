//! Accepting connections and giving each to an I/O thread.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::connection;
use super::exporter::Exporter;
use super::registered::Registered;
use super::sentinel::Sentinel;
use crate::allocator;
use crate::config::Settings;
use crate::dispatch::shared::Stop;
use crate::dispatch::{Shared, gather};
use crate::session::Address;
use crate::session::clients::is_loopback;

/// Connections that may wait for one I/O thread to begin with them.
const MAX_HANDOVERS: usize = 1024;

/// How often a thread wakes that has nothing to do.
const WAKE_INTERVAL: Duration = Duration::from_secs(1);

/// How long connections may go on with what they were sent when the Store stops.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// How long a client may take for its TLS handshake.
const TLS_HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// The sockets that clients connect to, bound before anything is promised.
pub struct Listeners {
    tcp: Vec<std::net::TcpListener>,
    /// See [`crate::tls`].
    tls: Vec<std::net::TcpListener>,
    /// See [`super::sentinel`].
    sentinel: Vec<std::net::TcpListener>,
    unix: Option<std::os::unix::net::UnixListener>,
    /// See [`super::exporter`].
    exporter: Option<Exporter>,
}

impl Listeners {
    /// Binds everything that is configured. An address with `-` before it may be missing on this machine.
    pub fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let tcp = bind_all(settings.port, "--port", settings)?;
        let tls = bind_all(settings.tls.port, "--tls-port", settings)?;
        let sentinel = bind_all(settings.sentinel_port, "--sentinel-port", settings)?;
        let unix = (!settings.unixsocket.is_empty())
            .then(|| bind_unix(settings))
            .transpose()?;
        let metrics = bind_all(settings.metrics_port, "--metrics-port", settings)?;
        let exporter = (!metrics.is_empty())
            .then(|| Exporter::new(metrics))
            .transpose()?;
        Ok(Self {
            tcp,
            tls,
            sentinel,
            unix,
            exporter,
        })
    }

    /// The TCP addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp
            .iter()
            .chain(&self.tls)
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }
}

/// Listens at a port on every address of `bind`; `option` is what to change when that fails. Port 0 is none.
fn bind_all(
    port: u16,
    option: &str,
    settings: &Settings,
) -> anyhow::Result<Vec<std::net::TcpListener>> {
    let mut listeners = Vec::new();
    for host in settings.bind.iter().filter(|_| port != 0) {
        let (host, optional) = match host.strip_prefix('-') {
            Some(host) => (host, true),
            None => (host.as_str(), false),
        };
        match bind_tcp(host, port, settings) {
            Ok(listener) => listeners.push(listener),
            Err(error) if optional && is_unavailable(&error) => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "cannot listen on {host}:{port}; is another server using the port? Choose another with {option}"
                    )
                });
            }
        }
    }
    Ok(listeners)
}

fn is_unavailable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    )
}

fn bind_tcp(host: &str, port: u16, settings: &Settings) -> io::Result<std::net::TcpListener> {
    let host = match host {
        "*" => "0.0.0.0",
        "::*" => "::",
        host => host,
    };
    let address = (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(settings.tcp_backlog as i32)?;
    Ok(socket.into())
}

fn bind_unix(settings: &Settings) -> anyhow::Result<std::os::unix::net::UnixListener> {
    let path = &settings.unixsocket;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error)
                .with_context(|| format!("cannot replace the old Unix socket {path}"));
        }
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path)
        .with_context(|| format!("cannot listen on {path}"))?;
    if settings.unixsocketperm != 0 {
        std::fs::set_permissions(
            path,
            std::fs::Permissions::from_mode(settings.unixsocketperm),
        )?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A connection on its way to its thread.
struct Accepted {
    client: Registered,
    stream: Stream,
}

enum Stream {
    Tcp(std::net::TcpStream),
    Tls(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A thread without connections looks too whether it was asked to give memory back.
async fn wake_now_and_then() {
    let mut interval = tokio::time::interval(WAKE_INTERVAL);
    loop {
        interval.tick().await;
    }
}

/// The threads that serve connections.
pub struct IoThreads {
    senders: Vec<mpsc::Sender<Accepted>>,
    threads: Vec<JoinHandle<()>>,
}

impl IoThreads {
    /// Starts them.
    pub fn start(shared: &Arc<Shared>, count: usize) -> io::Result<Self> {
        let mut io_threads = Self {
            senders: Vec::new(),
            threads: Vec::new(),
        };
        for number in 0..count.max(1) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_park(|| {
                    gather::hand_over();
                    allocator::collect_if_asked();
                })
                .build()?;
            let (sender, receiver) = mpsc::channel(MAX_HANDOVERS);
            let shared = Arc::clone(shared);
            let thread = std::thread::Builder::new()
                .name(format!("io-{number}"))
                .spawn(move || {
                    let local = LocalSet::new();
                    local.spawn_local(wake_now_and_then());
                    local.block_on(&runtime, serve_all(shared, receiver));
                })?;
            io_threads.senders.push(sender);
            io_threads.threads.push(thread);
        }
        Ok(io_threads)
    }

    /// Accepts on all listeners until the future is dropped. Runs in any runtime.
    pub async fn accept(&self, shared: &Arc<Shared>, listeners: Listeners) -> anyhow::Result<()> {
        let mut accepting = tokio::task::JoinSet::new();
        let plain = listeners.tcp.into_iter().map(|listener| (listener, false));
        let tls = listeners.tls.into_iter().map(|listener| (listener, true));
        for (listener, is_tls) in plain.chain(tls) {
            let listener = TcpListener::from_std(listener)?;
            let (shared, senders) = (Arc::clone(shared), self.senders.clone());
            accepting.spawn(accept_tcp(shared, listener, is_tls, senders));
        }
        if !listeners.sentinel.is_empty() {
            let sentinel = Arc::new(Sentinel::new(shared));
            accepting.spawn(Arc::clone(&sentinel).watch());
            for listener in listeners.sentinel {
                let listener = TcpListener::from_std(listener)?;
                accepting.spawn(Arc::clone(&sentinel).accept(listener));
            }
        }
        if let Some(exporter) = listeners.exporter {
            for scrapers in exporter.serve()? {
                accepting.spawn(scrapers);
            }
        }
        if let Some(listener) = listeners.unix {
            let listener = UnixListener::from_std(listener)?;
            let (shared, senders) = (Arc::clone(shared), self.senders.clone());
            accepting.spawn(accept_unix(shared, listener, senders));
        }
        while let Some(ended) = accepting.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Ends the threads. Connections are closed where they are.
    pub fn stop(self) {
        drop(self.senders);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("an I/O thread panicked");
            }
        }
    }
}

/// One I/O thread: serves what it is given until the Store stops. Then connections end when they have answered what they were
/// sent, and what is left after a while is dropped.
async fn serve_all(shared: Arc<Shared>, mut accepted: mpsc::Receiver<Accepted>) {
    let mut stop = shared.stop.subscribe();
    let mut connections = JoinSet::new();
    loop {
        let next = tokio::select! {
            next = accepted.recv() => next,
            _ = stop.wait_for(|stop| *stop == Stop::Now) => None,
        };
        let Some(next) = next else { break };
        if let Err(error) = begin(next, &mut connections) {
            tracing::debug!("a connection could not be set up: {error}");
        }
        while connections.try_join_next().is_some() {}
    }
    for client in shared.clients.all() {
        client.finish();
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(FINISH_LIMIT, all).await.is_err() {
        tracing::info!("some connections had not finished and are closed");
    }
}

fn begin(accepted: Accepted, connections: &mut JoinSet<()>) -> io::Result<()> {
    let client = accepted.client;
    match accepted.stream {
        Stream::Tcp(stream) => {
            let stream = tcp_stream(&client, stream)?;
            connections.spawn_local(connection::serve(client, stream));
        }
        Stream::Tls(stream) => {
            let stream = tcp_stream(&client, stream)?;
            connections.spawn_local(async move {
                if let Some(stream) = tls_stream(&client, stream).await {
                    connection::serve(client, stream).await;
                }
            });
        }
        Stream::Unix(stream) => {
            let stream = UnixStream::from_std(stream)?;
            connections.spawn_local(connection::serve(client, stream));
        }
    }
    Ok(())
}

fn tcp_stream(client: &Registered, stream: std::net::TcpStream) -> io::Result<TcpStream> {
    let stream = TcpStream::from_std(stream)?;
    stream.set_nodelay(true)?;
    let seconds = client.shared().config.load().tcp_keepalive_seconds;
    if seconds > 0 {
        let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(seconds));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(stream)
}

/// Does the handshake; none if that fails, or nobody waits for it any more.
pub(super) async fn tls_stream(
    client: &Registered,
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    let address = &client.client().address.remote;
    let accepted = tokio::select! {
        accepted = timeout(TLS_HANDSHAKE_LIMIT, client.shared().tls.accept_client(stream)) => accepted,
        _ = client.client().until_done() => return None,
    };
    match accepted {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!("the TLS handshake with {address} failed: {error}");
            None
        }
        Err(_) => {
            tracing::debug!("no TLS handshake with {address} in time");
            None
        }
    }
}

async fn accept_tcp(
    shared: Arc<Shared>,
    listener: TcpListener,
    is_tls: bool,
    senders: Vec<mpsc::Sender<Accepted>>,
) {
    let mut turn = 0;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Who expects TLS cannot read why it is refused.
                let told = !is_tls;
                if let Some(stream) = admit(&shared, stream, Some(address.ip()), told).await
                    && let Ok(accepted) = accepted_tcp(&shared, stream, address, is_tls)
                {
                    hand_over(&senders, &mut turn, accepted).await;
                }
            }
            Err(error) => out_of_files(&error).await,
        }
    }
}

/// From here on the connection counts for `maxclients`.
fn accepted_tcp(
    shared: &Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    is_tls: bool,
) -> io::Result<Accepted> {
    let mut address = Address::of_tcp(&stream, address)?;
    address.is_tls = is_tls;
    let stream = stream.into_std()?;
    Ok(Accepted {
        client: Registered::new(shared, address),
        stream: if is_tls {
            Stream::Tls(stream)
        } else {
            Stream::Tcp(stream)
        },
    })
}

async fn accept_unix(
    shared: Arc<Shared>,
    listener: UnixListener,
    senders: Vec<mpsc::Sender<Accepted>>,
) {
    let mut turn = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Some(stream) = admit(&shared, stream, None, true).await
                    && let Ok(accepted) = accepted_unix(&shared, stream)
                {
                    hand_over(&senders, &mut turn, accepted).await;
                }
            }
            Err(error) => out_of_files(&error).await,
        }
    }
}

fn accepted_unix(shared: &Arc<Shared>, stream: UnixStream) -> io::Result<Accepted> {
    let path = shared.config.load().unixsocket.clone();
    let address = Address {
        remote: format!("{path}:0"),
        local: format!("{path}:0"),
        is_local: true,
        is_unix: true,
        is_tls: false,
        file_descriptor: stream.as_raw_fd(),
    };
    Ok(Accepted {
        client: Registered::new(shared, address),
        stream: Stream::Unix(stream.into_std()?),
    })
}

/// Gives a connection to the next thread.
async fn hand_over(senders: &[mpsc::Sender<Accepted>], turn: &mut usize, accepted: Accepted) {
    *turn = (*turn + 1) % senders.len();
    if senders[*turn].send(accepted).await.is_err() {
        tracing::debug!("a connection arrived while the Store stops");
    }
}

/// Lets a connection in, or refuses it and, if it can be `told`, says why.
pub(super) async fn admit<S: tokio::io::AsyncWrite + Unpin>(
    shared: &Shared,
    mut stream: S,
    from: Option<IpAddr>,
    told: bool,
) -> Option<S> {
    shared
        .stats
        .connections_received
        .fetch_add(1, Ordering::Relaxed);
    let refusal = refusal(shared.clients.len() as u64, &shared.config.load(), from);
    let Some(text) = refusal else {
        return Some(stream);
    };
    shared
        .stats
        .rejected_connections
        .fetch_add(1, Ordering::Relaxed);
    if told {
        // The client may be gone; it is refused either way.
        let _ = stream.write_all(text.as_bytes()).await;
    }
    None
}

/// What a connection is told that may not stay; `from` is none for the Unix socket.
fn refusal(clients: u64, settings: &Settings, from: Option<IpAddr>) -> Option<&'static str> {
    if clients >= settings.maxclients {
        return Some("-ERR max number of clients reached\r\n");
    }
    let is_foreign = from.is_some_and(|address| !is_loopback(address));
    (settings.protected_mode && settings.requirepass.is_empty() && is_foreign).then_some(
        "-DENIED TinyKV is running in protected mode because protected mode is enabled and no password is set. In this \
         mode connections are only accepted from the loopback interface. To accept others, set a password with \
         requirepass, or disable protected mode with CONFIG SET protected-mode no from a loopback connection or with \
         --protected-mode no, if the network is trusted.\r\n",
    )
}

/// accept fails when no file descriptor is left: others must close first.
pub(super) async fn out_of_files(error: &io::Error) {
    tracing::warn!("cannot accept a connection: {error}");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::refusal;
    use crate::config::Settings;
    use crate::config::settings::Secret;

    fn refused(settings: &Settings, from: Option<&str>) -> bool {
        let from = from.map(|address| address.parse::<IpAddr>().expect("an address"));
        refusal(0, settings, from).is_some_and(|text| text.starts_with("-DENIED "))
    }

    #[test]
    fn protected_mode_lets_in_who_is_on_this_machine() {
        let mut settings = Settings::default();
        for near in [
            Some("127.0.0.1"),
            Some("127.9.9.9"),
            Some("::1"),
            Some("::ffff:127.0.0.1"),
            None,
        ] {
            assert!(!refused(&settings, near), "{near:?}");
        }
        for far in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(refused(&settings, Some(far)), "{far}");
        }
        settings.requirepass = Secret::new("p");
        assert!(!refused(&settings, Some("10.0.0.1")));
        settings.requirepass = Secret::default();
        settings.protected_mode = false;
        assert!(!refused(&settings, Some("10.0.0.1")));
    }

    #[test]
    fn the_number_of_clients_is_looked_at_first() {
        let settings = Settings::default();
        let text = refusal(settings.maxclients, &settings, None).expect("refused");
        assert_eq!(text, "-ERR max number of clients reached\r\n");
    }
}
