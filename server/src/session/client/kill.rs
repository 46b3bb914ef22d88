//! CLIENT KILL.

use resp::Writer;

use super::Class;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;
use crate::dispatch::Shared;
use crate::session::{Client, Session};

/// The only user there is.
const USER: &[u8] = b"default";

/// Which connections to close: those for which everything that is given holds.
#[derive(Debug, Default)]
struct Filter {
    id: Option<u64>,
    address: Option<String>,
    local_address: Option<String>,
    class: Option<Class>,
    min_age_seconds: Option<u64>,
    spares_self: bool,
}

/// CLIENT KILL ip:port
///
/// CLIENT KILL [ID client-id | TYPE type | USER username | ADDR ip:port | LADDR ip:port | SKIPME YES|NO | MAXAGE seconds] ...
pub(super) fn kill(
    session: &mut Session,
    shared: &Shared,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    if args.remaining() == 1 {
        let filter = Filter {
            address: Some(text(args.bytes()?)),
            ..Filter::default()
        };
        return match close(&filter, session, shared) {
            0 => Err(CommandError::reply("ERR No such client")),
            _ => {
                out.ok();
                Ok(())
            }
        };
    }
    let filter = parse(args)?;
    out.integer(close(&filter, session, shared));
    Ok(())
}

fn parse(args: &mut Args<'_>) -> CommandResult<Filter> {
    let mut filter = Filter {
        spares_self: true,
        ..Filter::default()
    };
    while !args.is_empty() {
        if args.remaining() < 2 {
            return Err(CommandError::SYNTAX);
        }
        if args.flag("ID") {
            let id = parse_i64(args.bytes()?).and_then(|id| u64::try_from(id).ok());
            filter.id = Some(id.filter(|id| *id > 0).ok_or(CommandError::reply(
                "ERR client-id should be greater than 0",
            ))?);
        } else if args.flag("MAXAGE") {
            let age = parse_i64(args.bytes()?).ok_or(CommandError::reply(
                "ERR maxage is not an integer or out of range",
            ))?;
            let age = u64::try_from(age).ok().filter(|age| *age > 0);
            filter.min_age_seconds =
                Some(age.ok_or(CommandError::reply("ERR maxage should be greater than 0"))?);
        } else if args.flag("TYPE") {
            filter.class = Some(Class::parse(args.bytes()?)?);
        } else if args.flag("ADDR") {
            filter.address = Some(text(args.bytes()?));
        } else if args.flag("LADDR") {
            filter.local_address = Some(text(args.bytes()?));
        } else if args.flag("USER") {
            let user = args.bytes()?;
            if user != USER {
                return Err(CommandError::reply(format!(
                    "ERR No such user '{}'",
                    text(user)
                )));
            }
        } else if args.flag("SKIPME") {
            filter.spares_self = args.flag("YES");
            if !filter.spares_self && !args.flag("NO") {
                return Err(CommandError::SYNTAX);
            }
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    Ok(filter)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Closes what the filter matches; how many. The asking connection, if it is among them, gets its reply first.
fn close(filter: &Filter, session: &mut Session, shared: &Shared) -> i64 {
    let mut closed = 0;
    for client in shared.clients.all() {
        let is_self = client.id == session.client.id;
        if !filter.matches(&client) || (is_self && filter.spares_self) {
            continue;
        }
        closed += 1;
        if is_self {
            session.closing = true;
        } else {
            shared.clients.kill(&client);
        }
    }
    closed
}

impl Filter {
    fn matches(&self, client: &Client) -> bool {
        let is = |wanted: &Option<String>, given: &String| {
            wanted.as_ref().is_none_or(|wanted| wanted == given)
        };
        self.id.is_none_or(|id| id == client.id)
            && is(&self.address, &client.address.remote)
            && is(&self.local_address, &client.address.local)
            && self.class.is_none_or(|class| class == Class::Normal)
            && self
                .min_age_seconds
                .is_none_or(|seconds| client.age_seconds() >= seconds)
    }
}
