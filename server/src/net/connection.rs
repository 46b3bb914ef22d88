//! One connection, from its first byte to its close.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use resp::{Limits, Writer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsStream;

use super::pipeline::Pipeline;
use super::registered::Registered;
use super::round::{Round, note_bytes};
use crate::config::Followed;
use crate::config::settings::Limit;
use crate::dispatch::Shared;
use crate::dispatch::stats::Tally;
use crate::session::{ReplyMode, Session};

/// A buffer of replies larger than this is given back when it has been sent.
const KEEP_BYTES: usize = 64 << 10;

/// Replies up to this do not count for `client-output-buffer-limit`: Redis has a fixed buffer of this size for each client,
/// which it does not count either.
const UNCOUNTED_BYTES: usize = 16 << 10;

/// How long a connection that was closed from here still reads, and drops what it reads: a socket that is closed with
/// unread input is reset, and the reset overtakes the last replies.
const LINGER: Duration = Duration::from_millis(500);

/// How many bytes it drops at most.
const LINGER_BYTES: usize = 16 << 20;

/// What a connection is made of.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// The system's socket below.
    fn socket(&self) -> BorrowedFd<'_>;
}

impl Socket for TcpStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Socket for UnixStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Socket for TlsStream<TcpStream> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.get_ref().0.as_fd()
    }
}

/// Serves a connection until either side closes it.
pub(super) async fn serve<S: Socket>(client: Registered, stream: S) {
    let id = client.client().id;
    let mut connection = Connection::new(&client, stream);
    let ended = connection.run().await;
    drop(client);
    match ended {
        Ok(End::ByClient | End::Idle) => {}
        Ok(End::ByServer) => connection.linger().await,
        Err(error) => tracing::debug!(client = id, "connection closed: {error}"),
    }
}

/// Who ended a connection.
enum End {
    ByClient,
    /// This side, with nothing to say and nothing to hear.
    Idle,
    ByServer,
}

struct Connection<S> {
    shared: Arc<Shared>,
    settings: Followed,
    session: Session,
    stream: S,
    pipeline: Pipeline,
    out: BytesMut,
    tally: Tally,
}

impl<S: Socket> Connection<S> {
    fn new(client: &Registered, stream: S) -> Self {
        let shared = Arc::clone(client.shared());
        let mut settings = shared.config.follow();
        let needs_password = !settings.load().requirepass.is_empty();
        Self {
            session: Session::new(Arc::clone(client.client()), needs_password),
            shared,
            settings,
            stream,
            pipeline: Pipeline::new(Limits::default()),
            out: BytesMut::new(),
            tally: Tally::default(),
        }
    }

    async fn run(&mut self) -> io::Result<End> {
        let client = Arc::clone(&self.session.client);
        loop {
            let limit_seconds = self.settings.load().timeout_seconds;
            let received = tokio::select! {
                biased;
                received = idle_limit(limit_seconds, self.stream.read_buf(self.pipeline.space())) => received?,
                gently = client.until_done() => {
                    return if gently { Ok(End::Idle) } else { Err(killed()) };
                }
            };
            if received == 0 {
                return Ok(End::ByClient);
            }
            note_bytes(&self.shared, received, 0);
            client.note_activity();
            loop {
                let parsed = self.parse();
                self.note_buffers();
                self.run_requests().await?;
                if self.session.closing {
                    return Ok(End::ByServer);
                }
                if let Err(error) = parsed {
                    self.write_protocol_error(&error);
                    self.flush().await?;
                    return Ok(End::ByServer);
                }
                let ran = self.pipeline.len() > 0;
                let more = self.pipeline.finish();
                self.note_buffers();
                if !ran || !more {
                    // What is left, if anything, is the beginning of a request whose rest has not arrived.
                    break;
                }
            }
        }
    }

    fn parse(&mut self) -> Result<(), resp::ProtocolError> {
        let config = self.settings.load();
        if !self.session.authenticated && config.requirepass.is_empty() {
            // The password was taken away since this client connected.
            self.session.authenticated = true;
        }
        let limits = self.pipeline.limits_mut();
        limits.max_bulk_len = config.proto_max_bulk_len_bytes as usize;
        limits.query_buffer_limit = config.client_query_buffer_limit_bytes as usize;
        limits.authenticated = self.session.authenticated;
        // These limits depend on whether a password was given: before that, one request at a time.
        let most = if self.session.authenticated {
            usize::MAX
        } else {
            1
        };
        self.pipeline.parse(most)
    }

    /// Runs the parsed requests and sends their replies.
    async fn run_requests(&mut self) -> io::Result<()> {
        let mut at = 0;
        while at < self.pipeline.len() && !self.session.closing {
            let client = Arc::clone(&self.session.client);
            let mut round = Round {
                shared: &self.shared,
                session: &mut self.session,
                pipeline: &self.pipeline,
                out: &mut self.out,
                tally: &mut self.tally,
                socket: self.stream.socket(),
            };
            at = tokio::select! {
                biased;
                at = round.run(at) => at,
                () = client.until_killed() => return Err(killed()),
            };
            if let Some(command) = self.tally.last_command() {
                client.note_command(command);
            }
            self.flush().await?;
            let file = client.rdb.lock().file.take();
            if let Some(file) = file {
                self.send_file(file).await?;
                self.session.closing = true;
            }
        }
        Ok(())
    }

    /// Sends a file as it is. It has just been written, so reading it does not wait for the disk.
    async fn send_file(&mut self, mut file: File) -> io::Result<()> {
        let client = Arc::clone(&self.session.client);
        let mut buffer = vec![0; KEEP_BYTES];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            tokio::select! {
                biased;
                written = self.stream.write_all(&buffer[..read]) => written?,
                () = client.until_killed() => return Err(killed()),
            }
            note_bytes(&self.shared, 0, read);
        }
    }

    fn write_protocol_error(&mut self, error: &resp::ProtocolError) {
        if !error.is_silent() && self.session.reply == ReplyMode::On {
            let text = format!("ERR {error}");
            Writer::new(&mut self.out, self.session.protocol).error(&text);
        }
    }

    /// Sends all replies. A client that is killed, or that lets too much wait, is not waited for.
    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let limit = self.settings.load().client_output_buffer_limit.normal;
        let client = &self.session.client;
        let mut sent = 0;
        let mut over_since = None;
        while sent < self.out.len() {
            let waiting = self.out.len() - sent;
            if sent == 0 && is_over(limit.hard_bytes, waiting) {
                return Err(self.over_limit("hard", waiting));
            }
            over_since =
                is_over(limit.soft_bytes, waiting).then(|| over_since.unwrap_or_else(Instant::now));
            client.note_output(waiting);
            let written = tokio::select! {
                biased;
                written = self.stream.write(&self.out[sent..]) => written?,
                () = client.until_killed() => return Err(killed()),
                () = soft_limit(over_since, limit) => return Err(self.over_limit("soft", waiting)),
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent += written;
        }
        // TLS may hold some of it back.
        tokio::select! {
            biased;
            flushed = self.stream.flush() => flushed?,
            () = client.until_killed() => return Err(killed()),
        }
        note_bytes(&self.shared, 0, sent);
        client.note_output(0);
        if self.out.capacity() > KEEP_BYTES {
            self.out = BytesMut::new();
        } else {
            self.out.clear();
        }
        Ok(())
    }

    fn over_limit(&self, which: &str, waiting: usize) -> io::Error {
        let client = &self.session.client;
        let (id, address) = (client.id, &client.address.remote);
        tracing::warn!(
            "client {id} at {address} is closed: {waiting} bytes wait for it, more than the {which} limit of \
             client-output-buffer-limit"
        );
        io::Error::other("client-output-buffer-limit")
    }

    fn note_buffers(&self) {
        self.session.client.note_input(
            self.pipeline.buffered(),
            self.pipeline.capacity(),
            self.pipeline.spans_bytes(),
        );
    }

    /// See [`LINGER`].
    async fn linger(&mut self) {
        let drained = async {
            self.stream.shutdown().await?;
            let mut dropped = 0;
            let mut buffer = BytesMut::with_capacity(KEEP_BYTES);
            while dropped < LINGER_BYTES {
                buffer.clear();
                match self.stream.read_buf(&mut buffer).await? {
                    0 => break,
                    read => dropped += read,
                }
            }
            io::Result::Ok(())
        };
        // However it ends, the connection is gone now.
        let _ = tokio::time::timeout(LINGER, drained).await;
    }
}

fn killed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "killed")
}

/// Whether so much waiting output exceeds a limit; 0 is none.
fn is_over(limit_bytes: u64, waiting: usize) -> bool {
    limit_bytes > 0 && waiting > UNCOUNTED_BYTES && waiting as u64 >= limit_bytes
}

/// Ready when the soft limit has been exceeded for too long.
async fn soft_limit(over_since: Option<Instant>, limit: Limit) {
    match over_since {
        Some(since) => {
            tokio::time::sleep_until(since + Duration::from_secs(limit.soft_seconds)).await
        }
        None => std::future::pending().await,
    }
}

/// Waits no longer than so many seconds for a client that says nothing (`timeout`); 0 is for ever.
async fn idle_limit(
    limit_seconds: u64,
    read: impl Future<Output = io::Result<usize>>,
) -> io::Result<usize> {
    match limit_seconds {
        0 => read.await,
        seconds => tokio::time::timeout(Duration::from_secs(seconds), read)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "idle for too long"))),
    }
}
