//! The chain of checks before every command. Their order is observable, and is Redis's (`processCommand`): a command that
//! does not exist is told so before a password is asked for, and a wrong number of arguments before that.

use super::eviction::is_out_of_memory;
use super::redirect;
use super::registry::{Entry, Found, Registry};
use super::shared::Shared;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::Flags;
use crate::session::Session;

/// Longest part of a client's own words that an error repeats.
const MAX_QUOTED: usize = 128;

/// The command that these arguments ask for, if this session may run it now, and the position of its first argument.
pub fn pass<'r>(
    shared: &'r Shared,
    session: &Session,
    args: &[&[u8]],
) -> CommandResult<(&'r Entry, usize)> {
    let (entry, first) = exists(&shared.registry, args)?;
    arity(entry, args)?;
    authenticated(entry, session)?;
    redirect::check(entry, shared, session, args)?;
    memory(entry, shared)?;
    disk(entry, shared)?;
    Ok((entry, first))
}

fn exists<'r>(registry: &'r Registry, args: &[&[u8]]) -> CommandResult<(&'r Entry, usize)> {
    match registry.find(args) {
        Found::Command(entry, first) => Ok((entry, first)),
        Found::Unknown => Err(unknown_command(args)),
        Found::UnknownSubcommand(container) => Err(unknown_subcommand(
            container.spec.name,
            args.get(1).copied().unwrap_or_default(),
        )),
    }
}

fn arity(entry: &Entry, args: &[&[u8]]) -> CommandResult {
    // The arity of a container says whether it is a command without a subcommand too, as COMMAND is.
    if entry.spec.accepts(args.len()) {
        Ok(())
    } else {
        Err(CommandError::arity(entry.spec.name))
    }
}

fn authenticated(entry: &Entry, session: &Session) -> CommandResult {
    if session.authenticated || entry.spec.flags.has(Flags::NO_AUTH) {
        Ok(())
    } else {
        Err(CommandError::reply("NOAUTH Authentication required."))
    }
}

fn memory(entry: &Entry, shared: &Shared) -> CommandResult {
    if entry.spec.flags.has(Flags::DENYOOM) && is_out_of_memory(shared) {
        Err(CommandError::OUT_OF_MEMORY)
    } else {
        Ok(())
    }
}

/// Commands that do not make the data larger may run: deleting is how a user makes room. Redis refuses all writes when it cannot
/// persist, because it does not know why.
fn disk(entry: &Entry, shared: &Shared) -> CommandResult {
    if entry.spec.flags.has(Flags::DENYOOM) && shared.router.is_low_on_disk() {
        Err(CommandError::DISK_FULL)
    } else {
        Ok(())
    }
}

/// As much as an error repeats; Redis's own strings end at a zero byte.
fn quote(text: &[u8], limit: usize) -> &[u8] {
    let text = &text[..text.len().min(limit)];
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The refusal of a command that does not exist.
pub fn unknown_command(args: &[&[u8]]) -> CommandError {
    let mut beginning = Vec::new();
    for arg in args.iter().skip(1) {
        if beginning.len() >= MAX_QUOTED {
            break;
        }
        let room = MAX_QUOTED - beginning.len();
        beginning.extend_from_slice(&[b"'", quote(arg, room), b"' "].concat());
    }
    let name = quote(args.first().copied().unwrap_or_default(), MAX_QUOTED);
    CommandError::quoting([
        b"ERR unknown command '",
        name,
        b"', with args beginning with: ",
        &beginning,
    ])
}

/// The refusal of a subcommand that `container` (lower case) does not have.
pub fn unknown_subcommand(container: &str, name: &[u8]) -> CommandError {
    let (name, container) = (quote(name, MAX_QUOTED), container.to_ascii_uppercase());
    CommandError::quoting([
        b"ERR unknown subcommand '",
        name,
        b"'. Try ",
        container.as_bytes(),
        b" HELP.",
    ])
}
