//! SYNC and REPLCONF, as far as `redis-cli --rdb` speaks them: all data as an RDB file on the connection, which ends with it.
//!
//! A replica of Redis would want every later write too, which here only voters get; it says who it is by its port, and is refused.

use std::fs::{self, File};
use std::path::Path;

use bytes::BytesMut;
use resp::Writer;
use tokio::sync::oneshot;

use super::answer::now;
use super::save::{WholeSave, prepare, spawn};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture};

/// The family.
pub static COMMANDS: &[AdminCommand] = &[
    AdminCommand::new("replconf", -1, Group::Server, |call| now(call, replconf)).flags(
        Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(Flags::LOADING)
            .with(Flags::STALE)
            .with(Flags::ALLOW_BUSY),
    ),
    AdminCommand::new("sync", 1, Group::Server, sync).flags(
        Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(Flags::NO_ASYNC_LOADING)
            .with(Flags::NO_MULTI),
    ),
];

/// REPLCONF [option value ...]
fn replconf(call: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    while !args.is_empty() {
        let option = args.bytes()?.to_ascii_lowercase();
        let value = args.bytes().map_err(|_| CommandError::SYNTAX)?;
        match (option.as_slice(), value) {
            // What a connection can do, and that it wants the file alone: so it is.
            (b"capa", _) | (b"rdb-only", b"0" | b"1") | (b"rdb-filter-only", b"") => {}
            (b"rdb-filter-only", _) => {
                return Err(CommandError::reply("ERR only whole RDB files are sent"));
            }
            (b"listening-port" | b"ip-address", _) => {
                if let Some(client) = call.shared.clients.get(call.client_id) {
                    client.rdb.lock().is_replica = true;
                }
                return Err(CommandError::reply(
                    "ERR this server has no replicas of Redis's kind",
                ));
            }
            _ => {
                return Err(CommandError::quoting([
                    b"ERR Unrecognized REPLCONF option: ",
                    &option,
                ]));
            }
        }
    }
    out.ok();
    Ok(())
}

/// SYNC: the length of an RDB file, as of a string, and the file.
fn sync(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let client = call.shared.clients.get(call.client_id);
        let client = client.filter(|client| !client.rdb.lock().is_replica);
        let client = client.ok_or_else(|| {
            CommandError::reply(
                "ERR this server has no replicas of Redis's kind: SYNC sends a file, to redis-cli --rdb",
            )
        })?;
        let write = prepare(&call.shared).await?;
        let path = call
            .shared
            .config
            .snapshot()
            .dir
            .join(format!("temp-sync-{}.rdb", call.client_id));
        let (done, wait) = oneshot::channel();
        spawn(move || {
            // The connection may be gone by now.
            let _ = done.send(nameless(&write, &path));
        })?;
        let written = wait
            .await
            .map_err(|_| CommandError::reply("ERR the server is stopping"))?;
        let (file, len) = written
            .map_err(|error| CommandError::reply(format!("ERR cannot write the file: {error}")))?;
        client.rdb.lock().file = Some(file);
        Ok(BytesMut::from(format!("${len}\r\n").as_bytes()))
    })
}

/// Writes the file, and takes its name away: it is gone when the connection is. Its length in bytes.
fn nameless(write: &WholeSave, path: &Path) -> Result<(File, u64), String> {
    let opened = write
        .write(path)
        .map_err(|error| error.to_string())
        .and_then(|_| {
            let file = File::open(path).map_err(|error| error.to_string())?;
            let len = file.metadata().map_err(|error| error.to_string())?.len();
            Ok((file, len))
        });
    // It may never have been made.
    let _ = fs::remove_file(path);
    opened
}
