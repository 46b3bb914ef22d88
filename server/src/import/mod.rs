//! Loads an RDB file through the log: `--import FILE` before clients are served, RAFT.IMPORT meanwhile.
//!
//! The file is read as a stream by a thread of its own. Its keys become ordinary commands, gathered into entries of about
//! `BATCH_BYTES`, one after the other: every Store of the Region executes them as it executes those of clients. A key with a
//! larger value becomes several commands (`feed`). Of the file, a few batches and one key with its value are in memory at a time.

mod feed;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use resp::{Frame, FrameDecoder};
use storage::ids::{DB_COUNT, DbIndex};
use storage::proto::command::Request;
use storage::rdb::file::FileReader;
use tokio::sync::{mpsc, oneshot};

use crate::dispatch::Shared;
use crate::dispatch::imports::{Importing, Totals};
use crate::dispatch::outcome::Failure;
use feed::Feed;

/// An entry's commands, before the last one that fits.
const BATCH_BYTES: usize = 1 << 20;

/// Batches that are read ahead.
const BATCHES_AHEAD: usize = 4;

/// What is read from the file at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Between two messages about progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Between two tries while no Store leads.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Commands for one database, and what they are for.
struct Batch {
    db: u32,
    commands: BytesMut,
    /// The key of each command.
    keys: Vec<Vec<u8>>,
    /// Of the file, read so far.
    position: u64,
}

/// Loads `file`, of which `importing` tells the progress. Refuses when there are keys already, unless `replace` is set: then keys
/// of the file replace those of the same name.
pub async fn run(
    shared: &Shared,
    file: &Path,
    replace: bool,
    importing: Importing,
) -> anyhow::Result<Totals> {
    let name = file.display();
    let result = load(shared, file, replace, &importing)
        .await
        .with_context(|| format!("cannot import {name}"));
    importing.end(&result);
    if let Ok(totals) = &result {
        tracing::info!(
            "imported {name}: {} keys; {} had expired, {} other things were passed over",
            totals.keys,
            totals.expired,
            totals.skipped
        );
    }
    result
}

async fn load(
    shared: &Shared,
    file: &Path,
    replace: bool,
    importing: &Importing,
) -> anyhow::Result<Totals> {
    let name = file.display();
    let opened = File::open(file)?;
    let size = opened.metadata()?.len();
    let reader = FileReader::new(BufReader::with_capacity(BUFFER_BYTES, opened))?;
    tracing::info!(
        "importing {name}, RDB version {}, {size} bytes",
        reader.version()
    );
    importing.begin(size);
    settled(shared).await;
    if !replace && count_keys(shared) > 0 {
        bail!(
            "there are keys already. Ask for replacement (--import-replace yes, RAFT.IMPORT with REPLACE) to add the file's \
             keys to them"
        );
    }
    let (batches, mut arriving) = mpsc::channel(BATCHES_AHEAD);
    let feed = Feed::new(batches, shared.router.now_ms(), replace);
    let thread = std::thread::Builder::new().name("import".to_owned());
    let thread = thread.spawn(move || feed.run(reader))?;
    let mut shown = Instant::now();
    while let Some(batch) = arriving.recv().await {
        let (position, commands) = (batch.position, batch.keys.len());
        execute(shared, batch).await?;
        let commands = importing.advance(position, commands as u64);
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            let percent = 100 * position / size.max(1);
            tracing::info!("importing {name}: {percent} %, {commands} commands");
        }
    }
    let ended = thread.join();
    ended.map_err(|_| anyhow::anyhow!("the import's thread panicked"))?
}

/// Waits until this Store's memory has everything that the Region has acknowledged.
async fn settled(shared: &Shared) {
    loop {
        let (done, wait) = oneshot::channel();
        shared.router.read_index(Box::new(move |result| {
            // Nobody waits any more when the server stops.
            let _ = done.send(result);
        }));
        if let Ok(Ok(())) = wait.await {
            return;
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

fn count_keys(shared: &Shared) -> u64 {
    let dataset = shared.machine.dataset().read();
    let databases = (0..DB_COUNT).map(DbIndex);
    databases.map(|db| dataset.view(db, 0).len()).sum()
}

/// Sends a batch to the leader, whoever that is, and looks at the replies.
async fn execute(shared: &Shared, batch: Batch) -> anyhow::Result<()> {
    let request = Request {
        db: batch.db,
        protocol: 2,
        commands: batch.commands.freeze(),
        takes_long: true,
        ..Request::default()
    };
    let replies = send(shared, &request).await?;
    let mut decoder = FrameDecoder::new();
    decoder.push(&replies);
    for key in &batch.keys {
        let reply = decoder.next_frame().ok().flatten();
        match reply.context("a reply is missing")? {
            Frame::Error(text) => bail!(
                "key \"{}\" of database {}: {}",
                key.escape_ascii(),
                batch.db,
                String::from_utf8_lossy(&text)
            ),
            _ => continue,
        }
    }
    Ok(())
}

async fn send(shared: &Shared, request: &Request) -> anyhow::Result<Bytes> {
    loop {
        let failure = match shared.router.leader() {
            Some(store) if store == shared.store => {
                let (done, wait) = oneshot::channel();
                let callback = Box::new(move |result| {
                    // Nobody waits any more when the server stops.
                    let _ = done.send(result);
                });
                shared.router.propose(request.clone(), callback);
                match wait.await.context("the server is stopping")? {
                    Ok(response) => return Ok(response.replies),
                    Err(error) => Failure::from(error),
                }
            }
            Some(store) => match shared.transport() {
                Some(transport) => match transport.forward(store, request.clone()).await {
                    Ok(response) => return Ok(response.replies),
                    Err(error) => Failure::from(error),
                },
                None => Failure::TryAgain { leader: None },
            },
            None => Failure::TryAgain { leader: None },
        };
        match failure {
            Failure::TryAgain { .. } => tokio::time::sleep(RETRY_INTERVAL).await,
            Failure::Refused(refusal) => bail!("the leader refused: {refusal:?}"),
            Failure::Unknown => bail!(
                "the leader was lost, and some keys may or may not be there: begin again, and ask for replacement"
            ),
        }
    }
}
