//! Snapshots, the receiving side: chunks go to a file on a thread that may block, the socket is served meanwhile.

use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use storage::ids::{LogIndex, RegionId, Term};
use storage::proto::command::RaftMessage;
use storage::snapshot::{ReceivedSnapshot, SnapshotChunk, SnapshotReceiver};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{info, warn};

use super::connection::{Connection, LinkError, Step};
use super::frame::{FrameError, Kind};
use super::link::{Context, FINISH_LIMIT};
use super::raft_link::is_between;

/// Chunks between socket and file. When they are full, nothing is read, and TCP slows the sender down.
const WAITING_CHUNKS: usize = 4;

/// A failure's text is cut to this.
const TEXT_MAX_BYTES: usize = 200;

/// Receives one snapshot, or fails to, and says so to the sender.
pub(super) async fn serve(context: &Context, connection: &mut Connection) -> LinkError {
    let result = tokio::select! {
        result = receive(context, connection) => result,
        () = context.closing() => Err(LinkError::Shutdown),
    };
    context.receiving.end();
    let peer = connection.peer;
    let text = match result {
        Ok((message, file)) => {
            info!(
                "received the snapshot of index {} from node {peer}",
                file.index()
            );
            context.handler.snapshot_received(message, file);
            String::new()
        }
        // Nobody is there to be told.
        Err(error @ (LinkError::Io(_) | LinkError::Closed | LinkError::Silent(_))) => return error,
        Err(error) => error.to_string(),
    };
    connection
        .out
        .push_with(Kind::SnapshotEnd, Bytes::new(), |head| {
            head.put_u8(u8::from(text.is_empty()));
            head.put_slice(&text.as_bytes()[..text.len().min(TEXT_MAX_BYTES)]);
        });
    connection.finish(FINISH_LIMIT).await;
    if text.is_empty() {
        LinkError::Closed
    } else {
        LinkError::Snapshot(text)
    }
}

async fn receive(
    context: &Context,
    connection: &mut Connection,
) -> Result<(RaftMessage, ReceivedSnapshot), LinkError> {
    let message = begin(context, connection).await?;
    let mut file = FileWorker::start(&context.snapshot_dir, &message)?;
    context.receiving.begin();
    loop {
        while file.offer_waiting()
            && let Some(frame) = connection.next(&[Kind::SnapshotChunk, Kind::Ping])?
        {
            let chunk = chunk(frame.payload)?;
            if context.receiving.note(chunk.percent, chunk.bytes.len()) {
                info!("{} % of the snapshot is here", chunk.percent);
            }
            file.waiting = Some(chunk);
        }
        if let Some(received) = file.outcome()? {
            return Ok((message, received));
        }
        connection.step(&file.wake, file.waiting.is_none()).await?;
    }
}

/// Waits for the frame that says which snapshot this is.
async fn begin(context: &Context, connection: &mut Connection) -> Result<RaftMessage, LinkError> {
    let nobody = Notify::new();
    loop {
        if connection.step(&nobody, true).await? != Step::Read {
            continue;
        }
        if let Some(frame) = connection.next(&[Kind::SnapshotBegin, Kind::Ping])? {
            let message = RaftMessage::decode(frame.payload)
                .map_err(|_| FrameError::Payload(Kind::SnapshotBegin))?;
            if !is_between(&message, connection.peer, context.identity.store_id) {
                return Err(LinkError::Snapshot(
                    "it is not from the sender to this node".to_owned(),
                ));
            }
            return Ok(message);
        }
    }
}

fn chunk(mut payload: Bytes) -> Result<SnapshotChunk, FrameError> {
    const FIXED_BYTES: usize = 8 + 4 + 1;
    if payload.len() < FIXED_BYTES {
        return Err(FrameError::Payload(Kind::SnapshotChunk));
    }
    let sequence = payload.get_u64_le();
    let crc32 = payload.get_u32_le();
    let (last, percent) = match payload.get_u8() {
        1 => (true, 100),
        more => (false, more.saturating_sub(2)),
    };
    Ok(SnapshotChunk {
        sequence,
        crc32,
        bytes: payload,
        last,
        percent,
    })
}

/// The thread that writes the file. When this is dropped early, it ends and removes what it wrote.
struct FileWorker {
    chunks: mpsc::Sender<SnapshotChunk>,
    /// A chunk for which there was no room.
    waiting: Option<SnapshotChunk>,
    outcome: oneshot::Receiver<Result<ReceivedSnapshot, storage::Error>>,
    /// Notified when there is room again and when there is an outcome.
    wake: Arc<Notify>,
}

impl FileWorker {
    fn start(dir: &Path, message: &RaftMessage) -> Result<Self, LinkError> {
        let metadata = message
            .message
            .as_ref()
            .and_then(|message| message.snapshot.as_ref())
            .and_then(|snapshot| snapshot.metadata.as_ref())
            .ok_or_else(|| LinkError::Snapshot("the message describes no snapshot".to_owned()))?;
        let (region, index, term) = (
            RegionId(message.region_id),
            LogIndex(metadata.index),
            Term(metadata.term),
        );
        let dir = dir.to_owned();
        let (chunks, taken) = mpsc::channel(WAITING_CHUNKS);
        let (tell, outcome) = oneshot::channel();
        let wake = Arc::new(Notify::new());
        let worker_wake = Arc::clone(&wake);
        tokio::task::spawn_blocking(move || {
            let result = SnapshotReceiver::create(&dir, region, index, term)
                .and_then(|receiver| write(receiver, taken, &worker_wake));
            // If nobody waits any more, the sender will not hear of success and sends again.
            let _ = tell.send(result);
            worker_wake.notify_one();
        });
        Ok(Self {
            chunks,
            waiting: None,
            outcome,
            wake,
        })
    }

    /// Hands the waiting chunk over; true if another may come.
    fn offer_waiting(&mut self) -> bool {
        let Some(chunk) = self.waiting.take() else {
            return true;
        };
        match self.chunks.try_send(chunk) {
            Ok(()) => true,
            Err(TrySendError::Full(chunk)) => {
                self.waiting = Some(chunk);
                false
            }
            // The outcome is there or about to be.
            Err(TrySendError::Closed(_)) => false,
        }
    }

    fn outcome(&mut self) -> Result<Option<ReceivedSnapshot>, LinkError> {
        match self.outcome.try_recv() {
            Ok(Ok(received)) => Ok(Some(received)),
            Ok(Err(error)) => {
                warn!("cannot take a snapshot: {error}");
                Err(LinkError::Snapshot(error.to_string()))
            }
            Err(oneshot::error::TryRecvError::Empty) => Ok(None),
            Err(oneshot::error::TryRecvError::Closed) => Err(LinkError::Snapshot(
                "the thread that writes the file is gone".to_owned(),
            )),
        }
    }
}

/// Runs on the file's thread.
fn write(
    mut receiver: SnapshotReceiver,
    mut taken: mpsc::Receiver<SnapshotChunk>,
    wake: &Notify,
) -> Result<ReceivedSnapshot, storage::Error> {
    while let Some(chunk) = taken.blocking_recv() {
        wake.notify_one();
        let last = chunk.last;
        receiver.accept(&chunk)?;
        if last {
            return receiver.finish();
        }
    }
    Err(storage::Error::corrupt("snapshot", "the stream broke"))
}
