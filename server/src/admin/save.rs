//! SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF: the data set as an RDB file, for redis-server and for backups that its tools read.
//!
//! Nothing here depends on such files. One holds the state as of a checkpoint that begins after the command arrived, read from a
//! view of the kv engine: no fork, no lock held, whatever is written meanwhile, and only one key and its value in memory at a
//! time. It is written beside its place, made durable, and moved there: the old file stays until the new one is complete.

use std::fs::{self, File};
use std::io::{BufWriter, IntoInnerError};
use std::path::Path;
use std::sync::Arc;

use resp::Writer;
use storage::dataset::Dataset;
use storage::paced::PacedFile;
use storage::rdb::file::{self, FileError, SaveFacts, Saved};
use tokio::sync::oneshot;

use super::answer::{encode, now};
use super::settle;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{Flags, Group};
use crate::dispatch::saves::Saving;
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture, Shared};
use crate::version::REDIS_VERSION;

/// What is written to the file at once.
const BUFFER_BYTES: usize = 256 << 10;

const UNDER_WAY: CommandError = CommandError::Reply(std::borrow::Cow::Borrowed(
    b"ERR Background save already in progress",
));

const SAVING: Flags = Flags::ADMIN
    .with(Flags::NOSCRIPT)
    .with(Flags::NO_ASYNC_LOADING);

/// The family.
pub static COMMANDS: &[AdminCommand] = &[
    AdminCommand::new("save", 1, Group::Server, save).flags(SAVING.with(Flags::NO_MULTI)),
    AdminCommand::new("bgsave", -1, Group::Server, bgsave).flags(SAVING),
    AdminCommand::new("bgrewriteaof", 1, Group::Server, bgrewriteaof).flags(SAVING),
    AdminCommand::new("lastsave", 1, Group::Server, |call| now(call, lastsave))
        .flags(Flags::LOADING.with(Flags::STALE))
        .fast(),
];

/// SAVE: answers when the file is there. Holds up this connection, and no other.
fn save(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let saving = call.shared.saves.begin().ok_or(UNDER_WAY)?;
        let (done, wait) = oneshot::channel();
        let write = prepare(&call.shared).await?;
        spawn(move || {
            let result = write.run(saving);
            // The connection may be gone by now.
            let _ = done.send(result);
        })?;
        let result = wait.await;
        let result = result.map_err(|_| CommandError::reply("ERR the server is stopping"))?;
        result.map_err(|error| CommandError::reply(format!("ERR {error}")))?;
        encode(&call, |out| {
            out.ok();
            Ok(())
        })
    })
}

/// BGSAVE [SCHEDULE]: answers at once.
fn bgsave(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        // There is nothing else in the background that a save would have to wait for.
        let _ = args.flag("SCHEDULE");
        if !args.is_empty() {
            return Err(CommandError::SYNTAX);
        }
        let saving = call.shared.saves.begin().ok_or(UNDER_WAY)?;
        let shared = Arc::clone(&call.shared);
        tokio::task::spawn_local(async move {
            let started = match prepare(&shared).await {
                Ok(write) => spawn(move || drop(write.run(saving))),
                Err(error) => Err(error),
            };
            if let Err(error) = started {
                tracing::warn!("BGSAVE did not begin: {error}");
            }
        });
        encode(&call, |out| {
            out.simple("Background saving started");
            Ok(())
        })
    })
}

/// BGREWRITEAOF: answers at once. What shortens Redis's append-only file does so to the raft log here: a checkpoint, behind which
/// the log can be compacted.
fn bgrewriteaof(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let shared = Arc::clone(&call.shared);
        tokio::task::spawn_local(async move {
            if let Err(error) = settle::checkpoint(&shared).await {
                tracing::warn!("BGREWRITEAOF: {error}");
            }
        });
        encode(&call, |out| {
            out.simple("Background append only file rewriting started");
            Ok(())
        })
    })
}

/// LASTSAVE: Unix time of the last complete file, or of the start.
fn lastsave(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    out.integer(call.shared.saves.facts().last_time_seconds as i64);
    Ok(())
}

pub(super) fn spawn(run: impl FnOnce() + Send + 'static) -> CommandResult {
    let thread = std::thread::Builder::new().name("rdb-save".to_owned());
    let spawned = thread.spawn(run);
    spawned
        .map(drop)
        .map_err(|error| CommandError::reply(format!("ERR no thread to save with: {error}")))
}

/// Everything that was acknowledged before, as of one moment.
pub(super) async fn prepare(shared: &Arc<Shared>) -> CommandResult<WholeSave> {
    settle::barrier(shared).await?;
    // Before the checkpoint: what changes during it may be missing from the file.
    let changes = shared.machine.dataset().read().stats().changes;
    settle::checkpoint(shared).await?;
    let dataset = shared.machine.dataset().read();
    let facts = SaveFacts {
        redis_version: REDIS_VERSION.to_owned(),
        now_ms: shared.router.now_ms(),
        memory_bytes: dataset.memory_used(),
    };
    Ok(WholeSave {
        dataset: dataset.durable()?,
        facts,
        changes,
        shared: Arc::clone(shared),
    })
}

/// A file to be written.
pub(super) struct WholeSave {
    dataset: Dataset,
    facts: SaveFacts,
    /// Changes of keys since the start that the file has.
    changes: u64,
    shared: Arc<Shared>,
}

impl WholeSave {
    fn run(self, saving: Saving) -> Result<(), String> {
        let settings = self.shared.config.snapshot();
        let path = settings.dir.join(&settings.dbfilename);
        let part = settings
            .dir
            .join(format!("temp-{}.rdb", std::process::id()));
        let result = self.write(&part).and_then(|saved| {
            fs::rename(&part, &path)?;
            File::open(&settings.dir)?.sync_all()?;
            Ok(saved)
        });
        match result {
            Ok(saved) => {
                tracing::info!("{} keys saved to {}", saved.keys, path.display());
                saving.succeeded(self.changes);
                Ok(())
            }
            Err(error) => {
                // It may never have been made.
                let _ = fs::remove_file(&part);
                tracing::warn!("cannot save to {}: {error}", path.display());
                Err(format!("cannot save: {error}"))
            }
        }
    }

    pub(super) fn write(&self, part: &Path) -> Result<Saved, FileError> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, PacedFile::new(File::create(part)?));
        let (out, saved) = file::save(&self.dataset, &self.facts, out)?;
        out.into_inner()
            .map_err(IntoInnerError::into_error)?
            .finish()?;
        Ok(saved)
    }
}
