//! An open link: one socket, one task, reading and writing as either is possible.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use storage::ids::StoreId;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWrite as _, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, Interval, MissedTickBehavior, interval, timeout};

use super::auth::{Purpose, Role};
use super::counters::ByteCounters;
use super::frame::{Frame, FrameError, FrameReader, Kind};
use super::outbox::Outbox;
use super::socket::LinkSocket;

/// Why an open link ended.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the peer closed the connection")]
    Closed,
    #[error("nothing heard for {0:?}")]
    Silent(Duration),
    #[error("replaced by a newer connection of the same peer")]
    Replaced,
    #[error("the node is no member any more")]
    Removed,
    #[error("this Store is shutting down")]
    Shutdown,
    #[error("{0}")]
    Snapshot(String),
}

/// What [`Connection::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bytes arrived: there may be frames.
    Read,
    /// Bytes left.
    Wrote,
    /// Somebody notified.
    Woken,
    /// A ping interval went by.
    Tick,
}

/// How a link notices that nobody is there any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liveness {
    pub(super) ping_interval: Duration,
    pub(super) silence_limit: Duration,
}

/// What was done at the socket: so many bytes.
enum Moved {
    Written(usize),
    Read(usize),
}

/// The socket, with what has been read of it.
struct Wire {
    socket: LinkSocket,
    reader: FrameReader,
    /// TLS may hold back some of what was written.
    unflushed: bool,
    /// Reading and writing take turns where both are possible.
    read_first: bool,
}

impl Wire {
    /// Writes what is in `out`, or reads. Each future is polled once and dropped, which loses nothing.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Outbox,
        may_read: bool,
    ) -> Poll<io::Result<Moved>> {
        if may_read && self.read_first {
            let read = self.poll_read(cx);
            if read.is_ready() {
                return read;
            }
        }
        if out.has_remaining() {
            let written = pin!(self.socket.write_buf(out)).poll(cx);
            if written.is_ready() {
                (self.unflushed, self.read_first) = (true, true);
                return written.map_ok(Moved::Written);
            }
        } else if self.unflushed {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {}
            }
        }
        if may_read && !self.read_first {
            return self.poll_read(cx);
        }
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        let read = pin!(self.socket.read_buf(self.reader.space())).poll(cx);
        if read.is_ready() {
            self.read_first = false;
        }
        read.map_ok(Moved::Read)
    }
}

/// An authenticated connection.
pub(super) struct Connection {
    pub(super) peer: StoreId,
    pub(super) out: Outbox,
    wire: Wire,
    role: Role,
    liveness: Liveness,
    tick: Interval,
    last_tick: Instant,
    last_alive: Instant,
    bytes: ByteCounters,
}

impl Connection {
    pub(super) fn new(
        socket: LinkSocket,
        peer: StoreId,
        role: Role,
        purpose: Purpose,
        liveness: Liveness,
    ) -> Self {
        let now = Instant::now();
        let mut tick = interval(liveness.ping_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        Self {
            peer,
            out: Outbox::default(),
            wire: Wire {
                socket,
                reader: FrameReader::default(),
                unflushed: false,
                read_first: false,
            },
            role,
            liveness,
            tick,
            last_tick: now,
            last_alive: now,
            bytes: ByteCounters::new(purpose),
        }
    }

    /// Waits until something can be done and does it: writes what is in `out`, reads unless told not to, or returns
    /// because of `wake` or the time. Safe to cancel.
    pub(super) async fn step(&mut self, wake: &Notify, may_read: bool) -> Result<Step, LinkError> {
        let Self {
            out,
            wire,
            tick,
            bytes,
            ..
        } = self;
        tokio::select! {
            moved = poll_fn(|cx| wire.poll(cx, out, may_read)) => match moved? {
                Moved::Written(0) => Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Moved::Read(0) => Err(LinkError::Closed),
                Moved::Written(count) => {
                    bytes.sent.increment(count as u64);
                    // Progress of a backlog is a sign of life: the ping waits behind it. A socket that takes everything
                    // at once tells nothing, it would do so for a dead peer too.
                    if out.has_remaining() {
                        self.last_alive = Instant::now();
                    }
                    Ok(Step::Wrote)
                }
                Moved::Read(count) => {
                    bytes.received.increment(count as u64);
                    self.last_alive = Instant::now();
                    Ok(Step::Read)
                }
            },
            () = wake.notified() => Ok(Step::Woken),
            _ = tick.tick() => self.on_tick(may_read).map(|()| Step::Tick),
        }
    }

    fn on_tick(&mut self, may_read: bool) -> Result<(), LinkError> {
        let now = Instant::now();
        // If this process stood still, the peer's words may lie unread; so they do while nobody reads.
        if now - self.last_tick > 2 * self.liveness.ping_interval || !may_read {
            self.last_alive = now;
        }
        self.last_tick = now;
        if now - self.last_alive > self.liveness.silence_limit {
            return Err(LinkError::Silent(self.liveness.silence_limit));
        }
        match self.role {
            Role::Dialer => self.out.push_with(Kind::Ping, Bytes::new(), |_| ()),
            // The dialer's pings lie unread: say so without being asked.
            Role::Acceptor if !may_read => self.out.push_with(Kind::Pong, Bytes::new(), |_| ()),
            Role::Acceptor => {}
        }
        Ok(())
    }

    /// The next whole frame of what has been read. Pings and pongs are answered here and not returned.
    pub(super) fn next(&mut self, accepts: &[Kind]) -> Result<Option<Frame>, LinkError> {
        while let Some(frame) = self.wire.reader.next(accepts)? {
            match frame.kind {
                Kind::Ping => self.out.push_with(Kind::Pong, Bytes::new(), |_| ()),
                Kind::Pong => {}
                _ => return Ok(Some(frame)),
            }
        }
        Ok(None)
    }

    /// Writes what is left and waits until the peer hangs up, within a bound, before the connection is closed on
    /// purpose: closing with unread bytes would reset it, and the last words might be lost.
    pub(super) async fn finish(&mut self, limit: Duration) {
        let talk = async {
            while self.out.has_remaining() {
                self.wire.socket.write_buf(&mut self.out).await?;
            }
            self.wire.socket.flush().await?;
            self.wire.socket.shutdown().await?;
            let mut scratch = [0; 4096];
            while self.wire.socket.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        // Best effort: who does not take it in time learns of the close instead.
        let _ = timeout(limit, talk).await;
    }
}
