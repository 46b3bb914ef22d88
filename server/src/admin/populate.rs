//! DEBUG POPULATE: many keys with little typing, for tests.

use bytes::BytesMut;
use storage::proto::command::Request;
use tokio::sync::oneshot;

use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;
use crate::dispatch::AdminCall;
use crate::dispatch::outcome::{self, Failure};
use crate::machine::batch;

/// Commands of one batch take about so many bytes.
const BATCH_BYTES: usize = 256 << 10;

const DEFAULT_PREFIX: &[u8] = b"key";

/// POPULATE count [prefix [size]]: sets `prefix:0`, `prefix:1` and so on to `value:0`, `value:1` and so on, cut or filled up
/// with zeros to `size` bytes; keys that are there stay. Through the log, by the leader.
pub(super) async fn populate(call: &AdminCall, args: &[&[u8]]) -> CommandResult {
    let count = number(args.first())?;
    let prefix = args.get(1).copied().unwrap_or(DEFAULT_PREFIX);
    let size = args.get(2).map(|size| number(Some(size))).transpose()?;
    let longest = call.shared.config.load().proto_max_bulk_len_bytes;
    if size.is_some_and(|size| size > longest) {
        return Err(CommandError::NOT_INTEGER);
    }
    let mut commands = BytesMut::new();
    for at in 0..count {
        let key = [prefix, b":", at.to_string().as_bytes()].concat();
        let mut value = format!("value:{at}").into_bytes();
        if let Some(size) = size.filter(|size| *size > 0) {
            value.resize(size as usize, 0);
        }
        batch::push(&mut commands, &[b"SET", &key, &value, b"NX"]);
        if commands.len() >= BATCH_BYTES {
            propose(call, commands.split()).await?;
        }
    }
    if commands.is_empty() {
        return Ok(());
    }
    propose(call, commands).await
}

fn number(arg: Option<&&[u8]>) -> CommandResult<u64> {
    let number = arg.copied().and_then(parse_i64);
    let number = number.ok_or(CommandError::NOT_INTEGER)?;
    u64::try_from(number)
        .map_err(|_| CommandError::reply("ERR value is out of range, must be positive"))
}

/// Proposes a batch and waits until it is executed.
async fn propose(call: &AdminCall, commands: BytesMut) -> CommandResult {
    let request = Request {
        db: call.db.get().into(),
        protocol: 2,
        commands: commands.freeze(),
        takes_long: true,
        ..Request::default()
    };
    let (done, wait) = oneshot::channel();
    call.shared.router.propose(
        request,
        Box::new(move |outcome| {
            // The connection may be gone by now.
            let _ = done.send(outcome.map(drop));
        }),
    );
    match wait.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(CommandError::reply(outcome::text(&Failure::from(error)))),
        Err(_) => Err(CommandError::reply(outcome::text(&Failure::Unknown))),
    }
}
