//! One connection, from its first byte to its close.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use resp::{Limits, Writer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::pipeline::Pipeline;
use super::round::{Round, note_bytes};
use crate::dispatch::Shared;
use crate::dispatch::stats::Tally;
use crate::session::{Client, Session};

/// A buffer of replies larger than this is given back when it has been sent.
const KEEP_BYTES: usize = 64 << 10;

/// Serves a connection until either side closes it.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    shared: Arc<Shared>,
    client: Arc<Client>,
    stream: S,
) {
    let id = client.id;
    let mut connection = Connection::new(shared, client, stream);
    if let Err(error) = connection.run().await {
        tracing::debug!(client = id, "connection closed: {error}");
    }
    connection.shared.clients.remove(id);
}

struct Connection<S> {
    shared: Arc<Shared>,
    session: Session,
    stream: S,
    pipeline: Pipeline,
    out: BytesMut,
    tally: Tally,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(shared: Arc<Shared>, client: Arc<Client>, stream: S) -> Self {
        let config = shared.config.load();
        let limits = Limits {
            max_bulk_len: config.proto_max_bulk_len_bytes as usize,
            query_buffer_limit: config.client_query_buffer_limit_bytes as usize,
            authenticated: config.requirepass.is_empty(),
            ..Limits::default()
        };
        let session = Session::new(client, !config.requirepass.is_empty());
        drop(config);
        let pipeline = Pipeline::new(limits);
        Self {
            shared,
            session,
            stream,
            pipeline,
            out: BytesMut::new(),
            tally: Tally::default(),
        }
    }

    async fn run(&mut self) -> io::Result<()> {
        let client = Arc::clone(&self.session.client);
        loop {
            let received = tokio::select! {
                biased;
                received = idle_limit(&self.shared, self.stream.read_buf(self.pipeline.space())) => received?,
                () = client.until_killed() => return Ok(()),
            };
            if received == 0 {
                return Ok(());
            }
            note_bytes(&self.shared, received, 0);
            loop {
                let parsed = self.parse();
                self.run_requests().await?;
                if let Err(error) = parsed {
                    if !error.is_silent() {
                        let text = format!("ERR {error}");
                        Writer::new(&mut self.out, self.session.protocol).error(&text);
                    }
                    self.flush().await?;
                    return self.stream.shutdown().await;
                }
                if self.session.closing || client.is_killed() {
                    return self.stream.shutdown().await;
                }
                let ran = self.pipeline.len() > 0;
                let more = self.pipeline.finish();
                client.note_round(self.tally.last_command(), self.pipeline.pending());
                if !ran || !more {
                    // What is left, if anything, is the beginning of a request whose rest has not arrived.
                    break;
                }
            }
        }
    }

    fn parse(&mut self) -> Result<(), resp::ProtocolError> {
        // Limits depend on whether a password was given: before that, one request at a time.
        let most = if self.session.authenticated {
            usize::MAX
        } else {
            1
        };
        self.pipeline.limits_mut().authenticated = self.session.authenticated;
        self.pipeline.parse(most)
    }

    /// Runs the parsed requests and sends their replies.
    async fn run_requests(&mut self) -> io::Result<()> {
        let mut at = 0;
        while at < self.pipeline.len() && !self.session.closing {
            let mut round = Round {
                shared: &self.shared,
                session: &mut self.session,
                pipeline: &self.pipeline,
                out: &mut self.out,
                tally: &mut self.tally,
            };
            at = round.run(at).await;
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.stream.write_all(&self.out).await?;
        note_bytes(&self.shared, 0, self.out.len());
        if self.out.capacity() > KEEP_BYTES {
            self.out = BytesMut::new();
        } else {
            self.out.clear();
        }
        Ok(())
    }
}

/// Waits no longer than `timeout` seconds for a client that says nothing; 0 is for ever.
async fn idle_limit(
    shared: &Shared,
    read: impl Future<Output = io::Result<usize>>,
) -> io::Result<usize> {
    match shared.config.load().timeout_seconds {
        0 => read.await,
        seconds => tokio::time::timeout(Duration::from_secs(seconds), read)
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "idle for too long"))),
    }
}
