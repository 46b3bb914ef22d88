//! DEBUG: for developers and tests. Closed unless `enable-debug-command` opens it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use resp::{Protocol, Writer};

use super::answer::{self, encode};
use super::{populate, settle};
use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::key::DEBUG as OF_DATA;
use crate::commands::number::parse_i64;
use crate::commands::spec::{DataCommand, DataHandler, Flags, Group};
use crate::config::kind::memory_bytes;
use crate::config::settings::DebugAccess;
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture};

/// Longest DEBUG SLEEP, so that no number of seconds overflows.
const MAX_SLEEP_SECONDS: f64 = 86_400.0;

/// The family.
pub static COMMANDS: &[AdminCommand] = &[AdminCommand::new("debug", -2, Group::Server, debug)
    .flags(
        Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(Flags::LOADING)
            .with(Flags::STALE),
    )];

/// DEBUG subcommand [argument ...]
fn debug(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        if !is_allowed(&call) {
            return Err(CommandError::reply(
                "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
                 from a local connection, otherwise you need to set this option in the configuration file, and then \
                 restart the server.",
            ));
        }
        let args = call.slices();
        let name = args[1].to_ascii_lowercase();
        match (name.as_slice(), &args[2..]) {
            (b"sleep", [seconds]) => sleep(&call, seconds).await,
            (b"set-active-expire", [enabled]) => set_active_expire(&call, enabled),
            (b"log", [message]) => {
                tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(message));
                ok(&call)
            }
            (b"quicklist-packed-threshold", [size]) => packed_threshold(&call, size),
            (b"protocol", [kind]) => encode(&call, |out| protocol(kind, out)),
            (b"reload", options) => reload(&call, options).await,
            (b"loadaof", []) => reload(&call, &[]).await,
            (b"populate", args @ ([_] | [_, _] | [_, _, _])) => {
                populate::populate(&call, args).await?;
                ok(&call)
            }
            (b"digest", []) => digest(&call).await,
            (b"help", []) => encode(&call, |out| {
                help(out);
                Ok(())
            }),
            (name, _) => match of_data(name, args.len()) {
                Some(command) => read(&call, command).await,
                None => Err(CommandError::quoting([
                    b"ERR unknown subcommand or wrong number of arguments for '",
                    args[1],
                    b"'. Try DEBUG HELP.",
                ])),
            },
        }
    })
}

fn is_allowed(call: &AdminCall) -> bool {
    match call.shared.config.load().enable_debug_command {
        DebugAccess::No => false,
        DebugAccess::Local => call.is_local,
        DebugAccess::Yes => true,
    }
}

fn ok(call: &AdminCall) -> CommandResult<bytes::BytesMut> {
    encode(call, |out| {
        out.ok();
        Ok(())
    })
}

/// DEBUG SLEEP seconds: holds up this connection, and no other.
async fn sleep(call: &AdminCall, seconds: &[u8]) -> CommandResult<bytes::BytesMut> {
    // Redis reads what is not a number as 0.
    let seconds = std::str::from_utf8(seconds)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite())
        .unwrap_or(0.0);
    tokio::time::sleep(Duration::from_secs_f64(
        seconds.clamp(0.0, MAX_SLEEP_SECONDS),
    ))
    .await;
    ok(call)
}

/// DEBUG SET-ACTIVE-EXPIRE 0|1: whether this Store, while it leads, removes expired keys on its own.
fn set_active_expire(call: &AdminCall, enabled: &[u8]) -> CommandResult<bytes::BytesMut> {
    let enabled = parse_i64(enabled).unwrap_or(0) != 0;
    call.shared.active_expire.store(enabled, Ordering::Relaxed);
    ok(call)
}

/// DEBUG QUICKLIST-PACKED-THRESHOLD size: in Redis, from which size on an element of a list is alone in its node. Here every
/// element that is larger than a node is, on all replicas alike, so the size is only checked.
fn packed_threshold(call: &AdminCall, size: &[u8]) -> CommandResult<bytes::BytesMut> {
    const MOST_BYTES: u64 = (4 << 30) - (1 << 20);
    let size = std::str::from_utf8(size).ok().and_then(memory_bytes);
    if size.is_none_or(|size| size > MOST_BYTES) {
        return Err(CommandError::reply(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ));
    }
    ok(call)
}

/// DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE], DEBUG LOADAOF: writes a checkpoint, and forgets what is in memory; the next reads
/// come from disk. With NOSAVE there is no checkpoint, and what only memory has stays there: nothing that was acknowledged is
/// given up. The other two mean nothing, because what is read again is all there is.
async fn reload(call: &AdminCall, options: &[&[u8]]) -> CommandResult<bytes::BytesMut> {
    let is = |option: &[u8], name: &str| option.eq_ignore_ascii_case(name.as_bytes());
    let known = |option: &&[u8]| {
        ["MERGE", "NOFLUSH", "NOSAVE"]
            .iter()
            .any(|name| is(option, name))
    };
    if !options.iter().all(known) {
        return Err(CommandError::reply(
            "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
        ));
    }
    settle::barrier(&call.shared).await?;
    if !options.iter().any(|option| is(option, "NOSAVE")) {
        settle::checkpoint(&call.shared).await?;
    }
    let machine = &call.shared.machine;
    let dropped = {
        let mut dataset = machine.dataset().write();
        let dropped = dataset.drop_all_clean();
        machine.note_cold(&dataset);
        dropped
    };
    tracing::info!("DEBUG RELOAD: {dropped} objects dropped from memory");
    ok(call)
}

/// DEBUG DIGEST: of everything in all databases; equal on Stores that are equally far in the log.
async fn digest(call: &AdminCall) -> CommandResult<bytes::BytesMut> {
    settle::barrier(&call.shared).await?;
    let digest = call.shared.machine.dataset().read().digest()?;
    encode(call, |out| {
        out.simple(&format!("{digest:040x}"));
        Ok(())
    })
}

/// A subcommand that looks at data.
fn of_data(name: &[u8], argc: usize) -> Option<&'static DataCommand> {
    OF_DATA
        .iter()
        .find(|row| row.spec.last_name().as_bytes() == name && row.spec.accepts(argc))
}

async fn read(call: &AdminCall, command: &'static DataCommand) -> CommandResult<bytes::BytesMut> {
    let DataHandler::Read(handler) = command.handler else {
        return Err(CommandError::reply("ERR DEBUG does not write"));
    };
    settle::barrier(&call.shared).await?;
    let now_ms = call.shared.router.now_ms();
    let dataset = call.shared.machine.dataset().read();
    let context = ReadContext::new(dataset.view(call.db, now_ms), call.shared.random());
    encode(call, |out| {
        handler(&context, &mut Args::of_subcommand(&call.slices()), out)
    })
}

/// DEBUG PROTOCOL kind: a reply of each kind, for tests of clients.
fn protocol(kind: &[u8], out: &mut Writer<'_>) -> CommandResult {
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.integer(12345),
        b"double" => out.double(3.5),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|number| out.integer(number));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|number| out.integer(number));
        }
        b"map" => {
            out.map(3);
            for number in 0..3 {
                out.integer(number);
                out.boolean(number == 1);
            }
        }
        b"attrib" => {
            if out.attribute(1) {
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.integer(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" if out.protocol() == Protocol::Resp2 => {
            return Err(CommandError::reply(
                "ERR RESP2 is not supported by this command",
            ));
        }
        b"push" => {
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.integer(42);
            out.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => out.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        b"bignum" => out.big_number("1234567999999999999999999999999999999"),
        _ => {
            return Err(CommandError::reply(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

fn help(out: &mut Writer<'_>) {
    answer::help(
        "DEBUG",
        &[
            (
                "DIGEST",
                "Digest of all data; equal on nodes that are equally far in the log.",
            ),
            ("DIGEST-VALUE <key> [<key> ...]", "Digests of values."),
            ("LOADAOF", "As RELOAD."),
            ("LOG <message>", "Write a message to the log."),
            ("OBJECT <key>", "Describe the value of a key."),
            (
                "POPULATE <count> [<prefix> [<size>]]",
                "Set so many keys that are not there, to values of this size.",
            ),
            ("PROTOCOL <kind>", "Answer with a reply of this kind."),
            (
                "QUICKLIST-PACKED-THRESHOLD <size>",
                "Accepted for Redis's tests; changes nothing.",
            ),
            (
                "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
                "Write a checkpoint (not with NOSAVE), drop from memory what is on disk and read it again.",
            ),
            (
                "SET-ACTIVE-EXPIRE <0|1>",
                "Whether expired keys are removed that nobody asks for.",
            ),
            ("SLEEP <seconds>", "Hold up this connection."),
        ],
        out,
    );
}
