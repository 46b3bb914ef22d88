//! Snapshots, the sending side: one connection for each, at a bounded rate, acknowledged at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BufMut};
use parking_lot::Mutex;
use prost::Message;
use storage::proto::command::RaftMessage;
use storage::snapshot::{SnapshotChunk, SnapshotSource};
use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Duration, Instant, sleep_until};
use tracing::{info, warn};

use super::auth::Purpose;
use super::connection::{Connection, LinkError, Step};
use super::frame::Kind;
use super::link::{Context, DialError, Remote, dial};

/// Chunks read ahead of the socket.
const READ_AHEAD_CHUNKS: usize = 2;

/// Unwritten bytes up to which another chunk is taken: enough that the socket never waits for the disk.
const BACKLOG_BYTES: usize = 256 * 1024;

/// Spaces out what all snapshots of this Store send.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: AtomicU64,
    next: Mutex<Instant>,
}

impl Pace {
    /// 0 means no limit.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: AtomicU64::new(bytes_per_second),
            next: Mutex::new(Instant::now()),
        }
    }

    /// From the next turn on.
    pub(super) fn set(&self, bytes_per_second: u64) {
        self.bytes_per_second
            .store(bytes_per_second, Ordering::Relaxed);
    }

    /// Takes a turn for that many bytes: they may go at the moment that is returned.
    fn reserve(&self, bytes: usize, now: Instant) -> Instant {
        let bytes_per_second = self.bytes_per_second.load(Ordering::Relaxed);
        if bytes_per_second == 0 {
            return now;
        }
        let mut next = self.next.lock();
        let turn = now.max(*next);
        *next = turn + Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64);
        turn
    }
}

/// Why a snapshot did not arrive.
#[derive(Debug, Error)]
enum SendError {
    #[error("{0}")]
    Dial(#[from] DialError),
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("cannot read it: {0}")]
    Source(#[from] storage::Error),
    #[error("the receiver could not take it: {0}")]
    Refused(String),
    #[error("the MsgSnapshot has {0} bytes, too many for a frame")]
    TooLarge(usize),
    #[error("this Store is shutting down")]
    Shutdown,
}

/// Sends one snapshot and tells the handler how it went. While one is under way to the same Store, another is not begun:
/// the end of the first is the answer for both.
pub(super) async fn send(
    context: Arc<Context>,
    remote: Arc<Remote>,
    message: RaftMessage,
    source: SnapshotSource,
) {
    if !remote.snapshot.begin() {
        return;
    }
    let store = remote.store;
    let index = source.index();
    info!("sending the snapshot of index {index} to node {store}");
    let result = tokio::select! {
        result = stream(&context, &remote, &message, source) => result,
        () = context.closing() => Err(SendError::Shutdown),
    };
    let bytes = remote.snapshot.end().bytes;
    match &result {
        Ok(()) => info!("node {store} has the snapshot of index {index}, {bytes} bytes"),
        Err(SendError::Source(error)) => context.handler.unreadable(error),
        Err(error) => warn!("the snapshot of index {index} did not reach node {store}: {error}"),
    }
    context.handler.snapshot_sent(store, result.is_ok());
}

async fn stream(
    context: &Context,
    remote: &Remote,
    message: &RaftMessage,
    source: SnapshotSource,
) -> Result<(), SendError> {
    let length = message.encoded_len();
    if length > Kind::SnapshotBegin.max_bytes() {
        return Err(SendError::TooLarge(length));
    }
    let mut connection = dial(context, remote, Purpose::Snapshot).await?;
    connection.out.push_message(Kind::SnapshotBegin, message);
    let wake = Arc::new(Notify::new());
    let mut chunks = read_ahead(source, Arc::clone(&wake));
    let mut turn: Option<(Instant, SnapshotChunk)> = None;
    loop {
        if turn.is_none()
            && connection.out.remaining() < BACKLOG_BYTES
            && let Ok(chunk) = chunks.try_recv()
        {
            let chunk = chunk?;
            turn = Some((
                context.pace.reserve(chunk.bytes.len(), Instant::now()),
                chunk,
            ));
        }
        if let Some((_, chunk)) = turn.take_if(|(at, _)| *at <= Instant::now()) {
            remote.snapshot.note(chunk.percent, chunk.bytes.len());
            push_chunk(&mut connection, chunk);
            continue;
        }
        let due = turn.as_ref().map(|(at, _)| *at);
        let step = tokio::select! {
            step = connection.step(&wake, true) => step?,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => continue,
        };
        if step == Step::Read
            && let Some(frame) = connection.next(&[Kind::SnapshotEnd, Kind::Pong])?
        {
            return match frame.payload.split_first() {
                Some((1, _)) => Ok(()),
                Some((_, text)) => Err(SendError::Refused(
                    String::from_utf8_lossy(text).into_owned(),
                )),
                None => Err(SendError::Refused(String::new())),
            };
        }
    }
}

fn push_chunk(connection: &mut Connection, chunk: SnapshotChunk) {
    connection
        .out
        .push_with(Kind::SnapshotChunk, chunk.bytes, |head| {
            head.put_u64_le(chunk.sequence);
            head.put_u32_le(chunk.crc32);
            head.put_u8(last_or_percent(chunk.last, chunk.percent));
        });
}

/// One byte for both: 1 for the last chunk, else 2 more than the percents.
fn last_or_percent(last: bool, percent: u8) -> u8 {
    if last { 1 } else { percent.min(100) + 2 }
}

/// Reads the source on a thread that may block; ends when the receiver is dropped.
fn read_ahead(
    mut source: SnapshotSource,
    wake: Arc<Notify>,
) -> mpsc::Receiver<Result<SnapshotChunk, storage::Error>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD_CHUNKS);
    tokio::task::spawn_blocking(move || {
        while let Some(chunk) = source.next_chunk().transpose() {
            let failed = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
            wake.notify_one();
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use tokio::time::{Duration, Instant};

    #[test]
    fn pace_gives_turns_at_the_rate_and_saves_none_up() {
        let pace = Pace::new(1000);
        let start = Instant::now() + Duration::from_secs(1);
        assert_eq!(pace.reserve(500, start), start);
        assert_eq!(pace.reserve(500, start), start + Duration::from_millis(500));
        assert_eq!(pace.reserve(1, start), start + Duration::from_secs(1));
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.reserve(1000, later), later);
        assert_eq!(pace.reserve(1, later), later + Duration::from_secs(1));
        pace.set(2000);
        let changed = later + Duration::from_secs(60);
        assert_eq!(pace.reserve(1000, changed), changed);
        assert_eq!(
            pace.reserve(1, changed),
            changed + Duration::from_millis(500)
        );
        assert_eq!(Pace::new(0).reserve(usize::MAX, start), start);
    }
}
