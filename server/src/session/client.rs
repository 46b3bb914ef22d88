//! CLIENT: what a connection is, what others are, and ending them.
//!
//! | file | what it holds |
//! |---|---|
//! | `line` | the line that CLIENT LIST and CLIENT INFO show |
//! | `kill` | CLIENT KILL |

mod kill;
mod line;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use resp::Writer;

use super::{Client, Reads, ReplyMode, Session};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{SessionCommand, SessionHandler, Shared};

const ANY_TIME: Flags = Flags::LOADING.with(Flags::STALE);
const OWN: Flags = ANY_TIME.with(Flags::NOSCRIPT);
const OPERATORS: Flags = OWN.with(Flags::ADMIN);

/// The family.
pub static COMMANDS: &[SessionCommand] = &[row("client", -2, help).subcommands(&[
    row("client|capa", -3, capa).flags(OWN),
    row("client|getname", 2, getname).flags(OWN),
    row("client|help", 2, help).flags(ANY_TIME),
    row("client|id", 2, id).flags(OWN),
    row("client|info", 2, info).flags(OWN),
    row("client|kill", -3, kill::kill).flags(OPERATORS),
    row("client|list", -2, list).flags(OPERATORS),
    row("client|no-evict", 3, no_evict).flags(OPERATORS),
    row("client|no-touch", 3, no_touch).flags(OWN),
    row("client|reply", 3, reply).flags(OWN),
    row("client|setinfo", 4, setinfo).flags(OWN),
    row("client|setname", 3, setname).flags(OWN),
    row("client|staleness", 3, staleness).flags(OWN),
])];

const fn row(name: &'static str, arity: i32, handler: SessionHandler) -> SessionCommand {
    SessionCommand::new(name, arity, Group::Connection, handler)
}

/// CLIENT CAPA capability [capability ...], as Valkey has it: capabilities that are not known are passed over.
fn capa(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    for capability in args.rest() {
        session.redirects |= capability.eq_ignore_ascii_case(b"redirect");
    }
    out.ok();
    Ok(())
}

/// CLIENT STALENESS milliseconds | OFF: reads come from this Store's own memory, which must have been shown within so
/// many milliseconds to reflect everything acknowledged by then; else they are refused.
fn staleness(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    session.reads = if args.flag("OFF") {
        Reads::Leader
    } else {
        let bound_ms = u64::try_from(args.int()?).ok().filter(|bound| *bound > 0);
        let bound_ms = bound_ms.ok_or(CommandError::reply(
            "ERR the staleness must be a positive number of milliseconds, or OFF",
        ))?;
        Reads::Stale(Duration::from_millis(bound_ms))
    };
    out.ok();
    Ok(())
}

/// CLIENT GETNAME
fn getname(
    session: &mut Session,
    _: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    match session.client.names.read().name.as_str() {
        "" => out.null(),
        name => out.bulk(name.as_bytes()),
    }
    Ok(())
}

/// CLIENT ID
fn id(session: &mut Session, _: &Shared, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    out.integer(session.client.id as i64);
    Ok(())
}

/// CLIENT INFO
fn info(
    session: &mut Session,
    shared: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let line = line::of(&session.client, &shared.registry);
    out.verbatim("txt", format!("{line}\n").as_bytes());
    Ok(())
}

/// CLIENT LIST [TYPE NORMAL | MASTER | REPLICA | PUBSUB] [ID client-id [client-id ...]]
fn list(
    _: &mut Session,
    shared: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let shown = if args.is_empty() {
        shared.clients.all()
    } else if args.remaining() == 2 && args.flag("TYPE") {
        let class = Class::parse(args.bytes()?)?;
        let all = shared.clients.all();
        all.into_iter().filter(|_| class == Class::Normal).collect()
    } else if args.remaining() > 1 && args.flag("ID") {
        clients_of(args.rest(), shared)?
    } else {
        return Err(CommandError::SYNTAX);
    };
    let mut text = String::new();
    for client in shown {
        let _ = writeln!(text, "{}", line::of(&client, &shared.registry));
    }
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// The clients of these ids, in their order; ids of none are passed over.
fn clients_of(ids: &[&[u8]], shared: &Shared) -> CommandResult<Vec<Arc<Client>>> {
    let ids = ids
        .iter()
        .map(|id| parse_i64(id).ok_or(CommandError::reply("ERR Invalid client ID")))
        .collect::<CommandResult<Vec<_>>>()?;
    let ids = ids.into_iter().filter_map(|id| u64::try_from(id).ok());
    Ok(ids.filter_map(|id| shared.clients.get(id)).collect())
}

/// Redis's classes of clients. Every connection of a TinyKV is a normal one: nodes have links of their own, and nobody
/// subscribes yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Normal,
    Master,
    Replica,
    PubSub,
}

impl Class {
    fn parse(name: &[u8]) -> CommandResult<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Self::Normal),
            b"master" => Ok(Self::Master),
            b"replica" | b"slave" => Ok(Self::Replica),
            b"pubsub" => Ok(Self::PubSub),
            _ => Err(CommandError::reply(format!(
                "ERR Unknown client type '{}'",
                String::from_utf8_lossy(name)
            ))),
        }
    }
}

/// CLIENT NO-EVICT ON | OFF
///
/// Noted and shown. TinyKV closes no connection to free memory, so every client is safe from it.
fn no_evict(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    switch(&session.client.no_evict, args, out)
}

/// CLIENT NO-TOUCH ON | OFF
fn no_touch(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    switch(&session.client.no_touch, args, out)
}

fn switch(flag: &AtomicBool, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let on = args.flag("ON");
    if !on && !args.flag("OFF") {
        return Err(CommandError::SYNTAX);
    }
    flag.store(on, Ordering::Relaxed);
    out.ok();
    Ok(())
}

/// CLIENT REPLY ON | OFF | SKIP: only ON is answered.
fn reply(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    if args.flag("ON") {
        session.reply = ReplyMode::On;
        out.ok();
    } else if args.flag("OFF") {
        session.reply = ReplyMode::Off;
    } else if args.flag("SKIP") {
        if session.reply != ReplyMode::Off {
            session.reply = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::SYNTAX);
    }
    Ok(())
}

/// CLIENT SETINFO LIB-NAME libname | LIB-VER libver
fn setinfo(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (option, value) = (args.bytes()?, args.bytes()?);
    let is_name = option.eq_ignore_ascii_case(b"lib-name");
    let option = String::from_utf8_lossy(option);
    if !is_name && !option.eq_ignore_ascii_case("lib-ver") {
        return Err(CommandError::reply(format!(
            "ERR Unrecognized option '{option}'"
        )));
    }
    let value = word(value).ok_or_else(|| {
        CommandError::reply(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        ))
    })?;
    let mut names = session.client.names.write();
    if is_name {
        names.library = value;
    } else {
        names.library_version = value;
    }
    out.ok();
    Ok(())
}

/// CLIENT SETNAME name; an empty name takes it away.
fn setname(
    session: &mut Session,
    _: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let name = name(args.bytes()?)?;
    session.client.names.write().name = name;
    out.ok();
    Ok(())
}

/// A client's name, if its characters are allowed.
pub(super) fn name(name: &[u8]) -> CommandResult<String> {
    word(name).ok_or(CommandError::reply(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

/// What CLIENT LIST can show without its lines falling apart.
fn word(text: &[u8]) -> Option<String> {
    let allowed = text.iter().all(|byte| (b'!'..=b'~').contains(byte));
    allowed.then(|| String::from_utf8_lossy(text).into_owned())
}

/// CLIENT HELP
fn help(_: &mut Session, _: &Shared, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    const LINES: &[&str] = &[
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CAPA <capability> [<capability> ...]",
        "    Tell what this client can do. REDIRECT: it follows redirects to the leader.",
        "GETNAME",
        "    Tell the name of this connection.",
        "ID",
        "    Tell the number of this connection.",
        "INFO",
        "    Tell the state of this connection.",
        "KILL <ip:port>",
        "    Close the connection from this address.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Close the connections for which all options hold:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      They come from this address.",
        "    * ID <client-id>",
        "      They have this number.",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      They were made to this address.",
        "    * MAXAGE <seconds>",
        "      They are at least so old.",
        "    * SKIPME (YES|NO)",
        "      Whether this connection is spared (default: yes).",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      They are of this type.",
        "    * USER <username>",
        "      They are authenticated as this user.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <client-id> [<client-id> ...]]",
        "    Tell the state of all or some connections.",
        "NO-EVICT (ON|OFF)",
        "    Whether this connection is spared when clients are closed to free memory.",
        "NO-TOUCH (ON|OFF)",
        "    Whether the commands of this connection leave the last use of keys as it was.",
        "REPLY (ON|OFF|SKIP)",
        "    Turn the replies to this connection on or off, or leave out the next one.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Note the name or the version of the client library.",
        "SETNAME <name>",
        "    Name this connection.",
        "STALENESS (<milliseconds>|OFF)",
        "    Read from this node's own memory, so many milliseconds old at most.",
        "HELP",
        "    Print this help.",
    ];
    out.array(LINES.len());
    for line in LINES {
        out.simple(line);
    }
    Ok(())
}
