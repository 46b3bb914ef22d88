//! Waiting for this Store's memory and disk, for commands that read all of it.

use tokio::sync::oneshot;

use crate::commands::error::{CommandError, CommandResult};
use crate::dispatch::Shared;
use crate::raftstore::Error;

/// Waits until this Store's memory has everything that was acknowledged.
pub(super) async fn barrier(shared: &Shared) -> CommandResult {
    let (done, wait) = oneshot::channel();
    shared.router.read_index(Box::new(move |result| {
        // The connection may be gone by now.
        let _ = done.send(result);
    }));
    finished(wait).await
}

/// Waits until the kv engine has everything that is in memory now.
pub(super) async fn checkpoint(shared: &Shared) -> CommandResult {
    let (done, wait) = oneshot::channel();
    shared.router.checkpoint(Box::new(move |result| {
        // The connection may be gone by now.
        let _ = done.send(result.map(drop));
    }));
    finished(wait).await
}

async fn finished(wait: oneshot::Receiver<Result<(), Error>>) -> CommandResult {
    match wait.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(CommandError::reply(format!("ERR {error}"))),
        Err(_) => Err(CommandError::reply("ERR the server is stopping")),
    }
}
