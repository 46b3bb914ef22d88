//! PING ECHO HELLO AUTH SELECT QUIT RESET.

use resp::{Protocol, Writer};
use storage::ids::DbIndex;

use super::{Session, client};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::key::db_index;
use crate::commands::number::parse_i64;
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{SessionCommand, Shared};
use crate::version;

const ANY_TIME: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::FAST);
const BEFORE_AUTH: Flags = ANY_TIME
    .with(Flags::NOSCRIPT)
    .with(Flags::NO_AUTH)
    .with(Flags::ALLOW_BUSY);

/// The family.
pub static COMMANDS: &[SessionCommand] = &[
    SessionCommand::new("ping", -1, Group::Connection, ping).flags(Flags::FAST),
    SessionCommand::new("echo", 2, Group::Connection, echo).flags(ANY_TIME),
    SessionCommand::new("hello", -1, Group::Connection, hello).flags(BEFORE_AUTH),
    SessionCommand::new("auth", -2, Group::Connection, auth).flags(BEFORE_AUTH),
    SessionCommand::new("select", 2, Group::Connection, select).flags(ANY_TIME),
    SessionCommand::new("quit", -1, Group::Connection, quit).flags(BEFORE_AUTH),
    SessionCommand::new("reset", 1, Group::Connection, reset).flags(BEFORE_AUTH),
];

/// PING [message]
fn ping(_: &mut Session, _: &Shared, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    match args.rest() {
        [] => out.simple("PONG"),
        [message] => out.bulk(message),
        _ => return Err(CommandError::arity("ping")),
    }
    Ok(())
}

/// ECHO message
fn echo(_: &mut Session, _: &Shared, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    out.bulk(args.bytes()?);
    Ok(())
}

/// HELLO [protover [AUTH username password] [SETNAME clientname]]
fn hello(
    session: &mut Session,
    shared: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let protocol = match args.is_empty() {
        true => None,
        false => Some(protocol(args.bytes()?)?),
    };
    let (mut credentials, mut name) = (None, None);
    while !args.is_empty() {
        if args.remaining() > 2 && args.flag("AUTH") {
            credentials = Some((args.bytes()?, args.bytes()?));
        } else if args.remaining() > 1 && args.flag("SETNAME") {
            name = Some(client::name(args.bytes()?)?);
        } else {
            let option = String::from_utf8_lossy(args.bytes()?).into_owned();
            return Err(CommandError::reply(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
    }
    if let Some((user, password)) = credentials {
        authenticate(session, shared, user, password)?;
    }
    if !session.authenticated {
        return Err(CommandError::reply(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        session.client.names.write().name = name;
    }
    if let Some(protocol) = protocol {
        session.set_protocol(protocol);
        out.set_protocol(protocol);
    }
    greet(session, shared, out);
    Ok(())
}

fn protocol(version: &[u8]) -> CommandResult<Protocol> {
    match parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::reply("NOPROTO unsupported protocol version")),
        None => Err(CommandError::reply(
            "ERR Protocol version is not an integer or out of range",
        )),
    }
}

fn greet(session: &Session, shared: &Shared, out: &mut Writer<'_>) {
    out.map(if session.is_sentinel { 6 } else { 7 });
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(version::REDIS_VERSION.as_bytes());
    out.bulk(b"proto");
    out.integer(if session.protocol == Protocol::Resp3 {
        3
    } else {
        2
    });
    out.bulk(b"id");
    out.integer(session.client.id as i64);
    out.bulk(b"mode");
    out.bulk(if session.is_sentinel {
        b"sentinel"
    } else if shared.cluster_enabled {
        b"cluster"
    } else {
        b"standalone"
    });
    if !session.is_sentinel {
        out.bulk(b"role");
        out.bulk(if shared.says_replica() {
            b"replica"
        } else {
            b"master"
        });
    }
    out.bulk(b"modules");
    out.array(0);
}

/// AUTH [username] password
fn auth(
    session: &mut Session,
    shared: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (user, password) = match args.rest() {
        [password] => {
            if shared.config.load().requirepass.is_empty() {
                return Err(CommandError::reply(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                     configuration is correct?",
                ));
            }
            (&b"default"[..], *password)
        }
        [user, password] => (*user, *password),
        _ => return Err(CommandError::SYNTAX),
    };
    authenticate(session, shared, user, password)?;
    out.ok();
    Ok(())
}

/// The default user without `requirepass` accepts any password, as Redis's does.
fn authenticate(
    session: &mut Session,
    shared: &Shared,
    user: &[u8],
    password: &[u8],
) -> CommandResult {
    let config = shared.config.load();
    let expected = config.requirepass.expose().as_bytes();
    if user == b"default" && (expected.is_empty() || same(expected, password)) {
        session.authenticated = true;
        return Ok(());
    }
    Err(CommandError::reply(
        "WRONGPASS invalid username-password pair or user is disabled.",
    ))
}

/// Comparison whose time does not tell how much was right.
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differing = expected
        .iter()
        .zip(given)
        .fold(0, |differing, (a, b)| differing | (a ^ b));
    expected.len() == given.len() && differing == 0
}

/// SELECT index
fn select(
    session: &mut Session,
    shared: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let db = db_index(args)?;
    if shared.cluster_enabled && db != DbIndex(0) {
        return Err(CommandError::reply(
            "ERR SELECT is not allowed in cluster mode",
        ));
    }
    session.select(db);
    out.ok();
    Ok(())
}

/// QUIT
fn quit(
    session: &mut Session,
    _: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    session.closing = true;
    out.ok();
    Ok(())
}

/// RESET
fn reset(
    session: &mut Session,
    shared: &Shared,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    session.reset(!shared.config.load().requirepass.is_empty());
    out.set_protocol(session.protocol);
    out.simple("RESET");
    Ok(())
}
