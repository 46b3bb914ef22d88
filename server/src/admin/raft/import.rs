//! RAFT.IMPORT: an RDB file of this node into a cluster that serves.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::admin::answer::encode;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::config::Settings;
use crate::dispatch::{AdminCall, AdminFuture};
use crate::import;

/// RAFT.IMPORT file [REPLACE]: answers when every key of the file is there. Goes on when the client that asked is gone.
pub(super) fn import(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        let name = args.bytes()?;
        let replace = args.flag("REPLACE");
        if !args.is_empty() {
            return Err(CommandError::SYNTAX);
        }
        let path = path(&call.shared.config.snapshot(), name)?;
        let importing = call.shared.imports.begin(&String::from_utf8_lossy(name));
        let importing =
            importing.ok_or_else(|| CommandError::reply("ERR an import is under way already"))?;
        let (done, wait) = oneshot::channel();
        let shared = Arc::clone(&call.shared);
        tokio::task::spawn_local(async move {
            let result = import::run(&shared, &path, replace, importing).await;
            if let Err(error) = &result {
                tracing::warn!("RAFT.IMPORT: {error:#}");
            }
            // The connection may be gone by now.
            let _ = done.send(result);
        });
        let result = wait.await;
        let result = result.map_err(|_| CommandError::reply("ERR the server is stopping"))?;
        result.map_err(|error| CommandError::reply(format!("ERR {error:#}")))?;
        encode(&call, |out| {
            out.ok();
            Ok(())
        })
    })
}

/// The file in the data directory. Only there: whoever may send commands shall not read other files of the machine, nor learn
/// which there are.
fn path(settings: &Settings, name: &[u8]) -> CommandResult<PathBuf> {
    let name = std::str::from_utf8(name).ok();
    let name = name.filter(|name| !name.is_empty() && !name.contains(['/', '\\', '\0']));
    let name = name.ok_or_else(|| {
        CommandError::reply(
            "ERR RAFT.IMPORT takes the name of a file in the data directory (CONFIG GET dir), without a path",
        )
    })?;
    let path = settings.dir.join(name);
    if !path.is_file() {
        return Err(CommandError::reply(format!(
            "ERR there is no file {name} in the data directory of this node (CONFIG GET dir)"
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("data");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(dir.path().join("outside"), "").unwrap();
        std::fs::write(inner.join("dump.rdb"), "").unwrap();
        let settings = Settings {
            dir: inner.clone(),
            ..Settings::default()
        };
        let found = |name: &str| path(&settings, name.as_bytes()).ok();
        assert_eq!(found("dump.rdb"), Some(inner.join("dump.rdb")));
        let outside = dir.path().join("outside");
        for name in ["", ".", "..", "none", "../outside", "./dump.rdb", "a\0b"] {
            assert_eq!(found(name), None, "{name:?}");
        }
        assert_eq!(found(outside.to_str().unwrap()), None);
    }
}
