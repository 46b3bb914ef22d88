//! `--import FILE`: loads an RDB file through the log, before clients are served.
//!
//! The file is read as a stream by a thread of its own. Its keys become ordinary commands, gathered into entries of about
//! `BATCH_BYTES`, one after the other: every Store of the Region executes them as it executes those of clients. A key with a
//! larger value becomes several commands. Of the file, a few batches and one key with its value are in memory at a time.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use resp::{Frame, FrameDecoder};
use storage::ids::{DB_COUNT, DbIndex};
use storage::proto::command::Request;
use storage::rdb::Value;
use storage::rdb::file::{FileKey, FilePart, FileReader};
use tokio::sync::{mpsc, oneshot};

use crate::dispatch::Shared;
use crate::dispatch::outcome::Failure;
use crate::machine::batch;

/// An entry's commands, before the last one that fits.
const BATCH_BYTES: usize = 1 << 20;

/// Batches that are read ahead.
const BATCHES_AHEAD: usize = 4;

/// Elements of a large value that one command takes.
const ELEMENTS: usize = 1024;

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

/// What came of the file.
#[derive(Clone, Copy, Default)]
struct Totals {
    keys: u64,
    expired: u64,
    skipped: u64,
}

/// Loads `file`. Refuses when there are keys already, unless `replace` is set: then keys of the file replace those of the same
/// name.
pub async fn run(shared: &Shared, file: &Path, replace: bool) -> anyhow::Result<()> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("cannot import {name}"))?;
    let size = opened.metadata()?.len();
    let reader = FileReader::new(BufReader::with_capacity(BUFFER_BYTES, opened));
    let reader = reader.with_context(|| format!("cannot import {name}"))?;
    tracing::info!(
        "importing {name}, RDB version {}, {size} bytes",
        reader.version()
    );
    settled(shared).await;
    if !replace && count_keys(shared) > 0 {
        bail!(
            "cannot import {name}: there are keys already. Start without --import to serve them, or with --import-replace yes \
             to add the file's keys to them"
        );
    }
    let (batches, mut arriving) = mpsc::channel(BATCHES_AHEAD);
    let now_ms = shared.router.now_ms();
    let thread = std::thread::Builder::new().name("import".to_owned());
    let thread = thread.spawn(move || {
        let feed = Feed {
            batches,
            batch: Batch::new(0),
            totals: Totals::default(),
            now_ms,
            replace,
        };
        feed.run(reader)
    })?;
    let mut shown = Instant::now();
    let mut commands = 0;
    while let Some(batch) = arriving.recv().await {
        commands += batch.keys.len();
        let position = batch.position;
        execute(shared, batch)
            .await
            .with_context(|| format!("the import of {name} stopped"))?;
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            let percent = 100 * position / size.max(1);
            tracing::info!("importing {name}: {percent} %, {commands} commands");
        }
    }
    let totals = thread
        .join()
        .map_err(|_| anyhow::anyhow!("the import's thread panicked"))?;
    let totals = totals.with_context(|| format!("the import of {name} stopped"))?;
    tracing::info!(
        "imported {name}: {} keys; {} had expired, {} other things were passed over",
        totals.keys,
        totals.expired,
        totals.skipped
    );
    Ok(())
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
                "the leader was lost, and some keys may or may not be there; begin again with --import-replace yes"
            ),
        }
    }
}

impl Batch {
    fn new(db: u32) -> Self {
        Self {
            db,
            commands: BytesMut::new(),
            keys: Vec::new(),
            position: 0,
        }
    }

    fn push(&mut self, key: &[u8], args: &[&[u8]]) {
        batch::push(&mut self.commands, args);
        self.keys.push(key.to_vec());
    }
}

/// The reading thread.
struct Feed {
    batches: mpsc::Sender<Batch>,
    batch: Batch,
    totals: Totals,
    /// What has expired by then is left out.
    now_ms: u64,
    replace: bool,
}

impl Feed {
    fn run<R: Read>(mut self, mut reader: FileReader<R>) -> anyhow::Result<Totals> {
        while let Some(part) = reader.next_part()? {
            match part {
                FilePart::Key(key) => {
                    if self.key(&key)?.is_none() {
                        // The other end has given up, and knows why.
                        return Ok(self.totals);
                    }
                }
                FilePart::Skipped(what) => {
                    self.totals.skipped += 1;
                    tracing::warn!("import: {what} is passed over");
                }
                FilePart::Aux(name, value) => {
                    tracing::debug!("import: {} {}", name.escape_ascii(), value.escape_ascii());
                }
                FilePart::Sizes(..) => {}
            }
            self.batch.position = reader.position();
        }
        let _ = self.hand_over(0);
        Ok(self.totals)
    }

    fn key(&mut self, key: &FileKey) -> anyhow::Result<Option<()>> {
        let name = key.key.escape_ascii();
        let Ok(db) = u8::try_from(key.db).map(u32::from) else {
            bail!(
                "key \"{name}\" is in database {}; there are {DB_COUNT}",
                key.db
            );
        };
        if db >= DB_COUNT.into() {
            bail!("key \"{name}\" is in database {db}; there are {DB_COUNT}");
        }
        if key.expire_at_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            self.totals.expired += 1;
            return Ok(Some(()));
        }
        if self.batch.db != db && self.hand_over(db).is_none() {
            return Ok(None);
        }
        self.totals.keys += 1;
        if key.encoded_bytes() < BATCH_BYTES {
            self.restore(key);
            if self.batch.commands.len() < BATCH_BYTES {
                return Ok(Some(()));
            }
            return Ok(self.hand_over(db));
        }
        let value = key.value();
        let value = value.map_err(|error| anyhow::anyhow!("key \"{name}\": {error}"))?;
        Ok(self.large(key, &value))
    }

    /// One command for the whole key.
    fn restore(&mut self, key: &FileKey) {
        let payload = key.payload();
        let ttl = key.expire_at_ms.unwrap_or(0).to_string();
        let frequency = key.frequency.map(|frequency| frequency.to_string());
        let idle = key.idle_seconds.map(|seconds| seconds.to_string());
        let mut args: Vec<&[u8]> = vec![b"RESTORE", &key.key, ttl.as_bytes(), &payload, b"ABSTTL"];
        if self.replace {
            args.push(b"REPLACE");
        }
        match (&frequency, &idle) {
            (Some(frequency), _) => args.extend([b"FREQ", frequency.as_bytes()]),
            (None, Some(idle)) => args.extend([b"IDLETIME", idle.as_bytes()]),
            (None, None) => {}
        }
        self.batch.push(&key.key, &args);
    }

    /// A key whose value is larger than a batch: it grows, a command at a time. None when nobody takes them any more.
    fn large(&mut self, key: &FileKey, value: &Value) -> Option<()> {
        if matches!(value, Value::Stream(_)) {
            // Groups and what is pending cannot be told by commands piece by piece: it goes as a whole.
            self.restore(key);
            return self.hand_over(self.batch.db);
        }
        if self.replace {
            self.grow(&key.key, b"DEL", &[])?;
        }
        match value {
            Value::Stream(_) => {}
            Value::String(string) => self.grow(&key.key, b"SET", &[string])?,
            Value::List(elements) => {
                self.elements(&key.key, b"RPUSH", elements, |args, element| {
                    args.push(element.clone());
                })?
            }
            Value::Set(members) => self.elements(&key.key, b"SADD", members, |args, member| {
                args.push(member.clone());
            })?,
            Value::ZSet(members) => {
                self.elements(&key.key, b"ZADD", members, |args, (member, score)| {
                    args.extend([score.to_string().into_bytes(), member.clone()]);
                })?
            }
            Value::Hash(fields) => {
                self.elements(&key.key, b"HSET", fields, |args, (field, value, _)| {
                    args.extend([field.clone(), value.clone()]);
                })?;
                for (field, _, at_ms) in fields {
                    if let Some(at_ms) = at_ms {
                        let at_ms = at_ms.to_string().into_bytes();
                        let args = [&at_ms[..], b"FIELDS", b"1", field];
                        self.grow(&key.key, b"HPEXPIREAT", &args)?;
                    }
                }
            }
        }
        if let Some(at_ms) = key.expire_at_ms {
            self.grow(&key.key, b"PEXPIREAT", &[at_ms.to_string().as_bytes()])?;
        }
        Some(())
    }

    fn elements<E>(
        &mut self,
        key: &[u8],
        command: &[u8],
        elements: &[E],
        add: impl Fn(&mut Vec<Vec<u8>>, &E),
    ) -> Option<()> {
        let mut args: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        for (nth, element) in elements.iter().enumerate() {
            let known = args.len();
            add(&mut args, element);
            bytes += args[known..].iter().map(Vec::len).sum::<usize>();
            if args.len() >= ELEMENTS || bytes >= BATCH_BYTES || nth + 1 == elements.len() {
                let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                self.grow(key, command, &slices)?;
                args.clear();
                bytes = 0;
            }
        }
        Some(())
    }

    fn grow(&mut self, key: &[u8], command: &[u8], args: &[&[u8]]) -> Option<()> {
        self.batch.push(key, &[&[command, key], args].concat());
        if self.batch.commands.len() < BATCH_BYTES {
            return Some(());
        }
        self.hand_over(self.batch.db)
    }

    /// Passes the batch on, and begins one for `db`.
    fn hand_over(&mut self, db: u32) -> Option<()> {
        let next = Batch {
            position: self.batch.position,
            ..Batch::new(db)
        };
        let batch = std::mem::replace(&mut self.batch, next);
        if batch.keys.is_empty() {
            return Some(());
        }
        self.batches.blocking_send(batch).ok()
    }
}
