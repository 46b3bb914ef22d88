//! An open link: one socket, one task, reading and writing as either is possible.

use std::io;

use bytes::{Buf, Bytes};
use storage::ids::StoreId;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, Interval, MissedTickBehavior, interval, timeout};

use super::auth::{Purpose, Role};
use super::counters::ByteCounters;
use super::frame::{Frame, FrameError, FrameReader, Kind};
use super::outbox::Outbox;

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

/// An authenticated connection.
pub(super) struct Connection {
    pub(super) peer: StoreId,
    pub(super) out: Outbox,
    stream: TcpStream,
    reader: FrameReader,
    role: Role,
    liveness: Liveness,
    tick: Interval,
    last_tick: Instant,
    last_alive: Instant,
    bytes: ByteCounters,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
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
            stream,
            reader: FrameReader::default(),
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
        let backlog = self.out.has_remaining();
        let (mut read, mut write) = self.stream.split();
        tokio::select! {
            written = write.write_buf(&mut self.out), if backlog => {
                let written = written?;
                if written == 0 {
                    return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                }
                self.bytes.sent.increment(written as u64);
                // Progress of a backlog is a sign of life: the ping waits behind it. A socket that takes everything
                // at once tells nothing, it would do so for a dead peer too.
                if self.out.has_remaining() {
                    self.last_alive = Instant::now();
                }
                Ok(Step::Wrote)
            }
            count = read.read_buf(self.reader.space()), if may_read => {
                let count = count?;
                if count == 0 {
                    return Err(LinkError::Closed);
                }
                self.bytes.received.increment(count as u64);
                self.last_alive = Instant::now();
                Ok(Step::Read)
            }
            () = wake.notified() => Ok(Step::Woken),
            _ = self.tick.tick() => self.on_tick(may_read).map(|()| Step::Tick),
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
        while let Some(frame) = self.reader.next(accepts)? {
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
                self.stream.write_buf(&mut self.out).await?;
            }
            self.stream.shutdown().await?;
            let mut scratch = [0; 4096];
            while self.stream.read(&mut scratch).await? > 0 {}
            io::Result::Ok(())
        };
        // Best effort: who does not take it in time learns of the close instead.
        let _ = timeout(limit, talk).await;
    }
}
