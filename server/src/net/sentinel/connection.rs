//! One connection to the Sentinel port. There are few, and they say little: each is a task of the main thread.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use resp::{Limits, Protocol, Writer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;

use super::subscriptions::Subscriptions;
use super::{Event, Sentinel, commands};
use crate::commands::error::CommandError;
use crate::net::pipeline::Pipeline;
use crate::net::registered::Registered;
use crate::session::{ReplyMode, Session};

/// Serves a connection until either side closes it.
pub(super) async fn serve(
    sentinel: Arc<Sentinel>,
    client: Registered,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
) {
    let needs_password = !sentinel.shared.config.load().requirepass.is_empty();
    let mut session = Session::new(Arc::clone(client.client()), needs_password);
    session.is_sentinel = true;
    let mut connection = Connection {
        sentinel,
        session,
        stream: Box::new(stream),
        pipeline: Pipeline::new(Limits::default()),
        out: BytesMut::new(),
        subscriptions: Subscriptions::default(),
    };
    if let Err(error) = connection.run().await {
        tracing::debug!("a connection to the Sentinel port is closed: {error}");
    }
}

/// Plain, or TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

pub(super) struct Connection {
    pub(super) sentinel: Arc<Sentinel>,
    pub(super) session: Session,
    stream: Box<dyn Stream>,
    pipeline: Pipeline,
    pub(super) out: BytesMut,
    pub(super) subscriptions: Subscriptions,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        let client = Arc::clone(&self.session.client);
        let mut events = self.sentinel.events.subscribe();
        while !self.session.closing {
            tokio::select! {
                biased;
                _ = client.until_done() => return Ok(()),
                received = self.stream.read_buf(self.pipeline.space()) => {
                    if received? == 0 {
                        return Ok(());
                    }
                    client.note_activity();
                    self.run_requests().await?;
                }
                event = events.recv() => match event {
                    Ok(event) => self.push(&event),
                    // The oldest are lost; what follows is not.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
            tokio::select! {
                _ = client.until_killed() => return Ok(()),
                written = self.stream.write_all(&self.out) => written?,
            }
            tokio::select! {
                _ = client.until_killed() => return Ok(()),
                flushed = self.stream.flush() => flushed?,
            }
            self.out.clear();
        }
        Ok(())
    }

    /// Runs everything that has arrived whole.
    async fn run_requests(&mut self) -> io::Result<()> {
        loop {
            let limits = self.pipeline.limits_mut();
            limits.authenticated = self.session.authenticated;
            // The limits depend on whether a password was given: one request at a time.
            let parsed = self.pipeline.parse(1);
            if self.pipeline.len() > 0 {
                let args: Vec<Vec<u8>> = self
                    .pipeline
                    .args(0)
                    .iter()
                    .map(|arg| arg.to_vec())
                    .collect();
                self.run_request(&args).await;
            }
            if let Err(error) = parsed {
                self.writer().error(&format!("ERR {error}"));
                self.session.closing = true;
                return Ok(());
            }
            let ran = self.pipeline.len() > 0;
            let more = self.pipeline.finish();
            if !ran || !more || self.session.closing {
                return Ok(());
            }
        }
    }

    async fn run_request(&mut self, args: &[Vec<u8>]) {
        let mark = self.out.len();
        if let Err(error) = commands::run(self, args).await {
            self.out.truncate(mark);
            match error {
                CommandError::Reply(text) => self.writer().error_bytes(&text),
                CommandError::Storage(error) => self.sentinel.shared.fatal(&error),
            }
        }
        if self.session.reply != ReplyMode::On && !self.session.reply.settle() {
            self.out.truncate(mark);
        }
    }

    pub(super) fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.out, self.session.protocol)
    }

    fn push(&mut self, event: &Event) {
        let mut out = Writer::new(&mut self.out, self.session.protocol);
        let text = match self.session.client.address.is_tls {
            true => &event.tls_text,
            false => &event.text,
        };
        self.subscriptions.deliver(event.channel, text, &mut out);
    }

    /// In RESP2 a subscriber can say little else.
    pub(super) fn only_subscribes(&self) -> bool {
        self.session.protocol == Protocol::Resp2 && self.subscriptions.count() > 0
    }
}
