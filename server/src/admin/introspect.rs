//! COMMAND: what the server can do, for client libraries and for redis-cli's hints. Everything comes from the registry's
//! rows and their documentation.

use resp::Writer;

use super::answer::{self, now, subcommand_now};
use crate::commands::args::Args;
use crate::commands::docs::{self, KeySpec};
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::glob;
use crate::commands::spec::{Flags, Group};
use crate::dispatch::registry::{Entry, Found, Registry, Runs};
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture, AdminHandler};

const ANY_TIME: Flags = Flags::LOADING.with(Flags::STALE);

/// The family.
pub static COMMANDS: &[AdminCommand] = &[AdminCommand::new("command", -1, Group::Server, |call| {
    now(call, |call, args, out| {
        info(&call.shared.registry, args, out)
    })
})
.flags(ANY_TIME)
.subcommands(&[
    row("command|count", 2, |call| answer(call, count)),
    row("command|docs", -2, |call| answer(call, command_docs)),
    row("command|getkeys", -3, |call| answer(call, getkeys)),
    row("command|getkeysandflags", -3, |call| {
        answer(call, getkeysandflags)
    }),
    row("command|help", 2, |call| answer(call, help)),
    row("command|info", -2, |call| answer(call, info)),
    row("command|list", -2, |call| answer(call, list)),
])];

const fn row(name: &'static str, arity: i32, handler: AdminHandler) -> AdminCommand {
    AdminCommand::new(name, arity, Group::Server, handler).flags(ANY_TIME)
}

/// These commands look at nothing but the registry.
fn answer(
    call: AdminCall,
    write: fn(&Registry, &mut Args<'_>, &mut Writer<'_>) -> CommandResult,
) -> AdminFuture {
    subcommand_now(call, |call, args, out| {
        write(&call.shared.registry, args, out)
    })
}

/// COMMAND, COMMAND INFO [name ...]
fn info(registry: &Registry, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    if args.is_empty() {
        out.array(registry.commands().count());
        registry.commands().for_each(|entry| write_info(entry, out));
        return Ok(());
    }
    let names = args.rest();
    out.array(names.len());
    for name in names {
        match registry.by_full_name(name) {
            Some(entry) => write_info(entry, out),
            None => out.null(),
        }
    }
    Ok(())
}

fn write_info(entry: &Entry, out: &mut Writer<'_>) {
    match entry.runs {
        Runs::Data(command) => docs::write_info(command, out),
        Runs::Session(command) => docs::write_info(command, out),
        Runs::Admin(command) => docs::write_info(command, out),
    }
}

/// COMMAND COUNT
fn count(registry: &Registry, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    out.integer(registry.commands().count() as i64);
    Ok(())
}

/// COMMAND DOCS [name ...]: names that no command has are passed over.
fn command_docs(registry: &Registry, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let entries: Vec<&Entry> = match args.rest() {
        [] => registry.commands().collect(),
        names => names
            .iter()
            .filter_map(|name| registry.by_full_name(name))
            .collect(),
    };
    out.map(entries.len());
    for entry in entries {
        out.bulk(entry.spec.name.as_bytes());
        match entry.runs {
            Runs::Data(command) => docs::write_docs(command, out),
            Runs::Session(command) => docs::write_docs(command, out),
            Runs::Admin(command) => docs::write_docs(command, out),
        }
    }
    Ok(())
}

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]
fn list(registry: &Registry, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let filter = filter(args)?;
    let matching = registry
        .entries()
        .iter()
        .filter(|entry| filter.accepts(entry))
        .collect::<Vec<_>>();
    out.array(matching.len());
    for entry in matching {
        out.bulk(entry.spec.name.as_bytes());
    }
    Ok(())
}

/// What COMMAND LIST is restricted to.
enum Filter {
    All,
    /// TinyKV has no modules.
    Module,
    Category(Vec<u8>),
    Pattern(Vec<u8>),
}

fn filter(args: &mut Args<'_>) -> CommandResult<Filter> {
    if args.is_empty() {
        return Ok(Filter::All);
    }
    if !args.flag("FILTERBY") {
        return Err(CommandError::SYNTAX);
    }
    let filter = if args.flag("MODULE") {
        args.bytes()?;
        Filter::Module
    } else if args.flag("ACLCAT") {
        Filter::Category(args.bytes()?.to_ascii_lowercase())
    } else if args.flag("PATTERN") {
        Filter::Pattern(args.bytes()?.to_ascii_lowercase())
    } else {
        return Err(CommandError::SYNTAX);
    };
    args.finish()?;
    Ok(filter)
}

impl Filter {
    fn accepts(&self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Module => false,
            Self::Category(wanted) => docs::categories(entry.spec)
                .any(|category| category.trim_start_matches('@').as_bytes() == wanted),
            Self::Pattern(pattern) => glob::matches(pattern, entry.spec.name.as_bytes()),
        }
    }
}

/// COMMAND GETKEYS command [arg ...]
fn getkeys(registry: &Registry, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let request = args.rest();
    let (_, positions) = keys_of(registry, request)?;
    out.array(positions.len());
    for position in positions {
        out.bulk(request[position]);
    }
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS command [arg ...]
fn getkeysandflags(
    registry: &Registry,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let request = args.rest();
    let (entry, positions) = keys_of(registry, request)?;
    let specs = docs::of(entry.spec.name).map_or(&[][..], |doc| doc.keys);
    out.array(positions.len());
    for position in positions {
        let flags = specs
            .iter()
            .find(|spec| spans(spec, position, request.len()))
            .map_or(&[][..], |spec| flags_of(spec, request));
        out.array(2);
        out.bulk(request[position]);
        out.set(flags.len());
        for flag in flags {
            out.simple(flag);
        }
    }
    Ok(())
}

/// What is done to a key, where it depends on the arguments: SET reads its key only when asked to with GET, and BITFIELD
/// writes it only with a subcommand other than that.
fn flags_of(spec: &'static KeySpec, request: &[&[u8]]) -> &'static [&'static str] {
    if !spec.flags.contains(&"variable_flags") {
        return spec.flags;
    }
    if request[0].eq_ignore_ascii_case(b"bitfield") {
        let writes = request
            .iter()
            .any(|arg| arg.eq_ignore_ascii_case(b"set") || arg.eq_ignore_ascii_case(b"incrby"));
        return if writes {
            &["RW", "access", "update"]
        } else {
            &["RO", "access"]
        };
    }
    let reads = request
        .iter()
        .skip(3)
        .any(|arg| arg.eq_ignore_ascii_case(b"get"));
    if reads {
        &["RW", "access", "update"]
    } else {
        &["OW", "update"]
    }
}

/// Whether a key specification covers the argument at `position`.
fn spans(spec: &KeySpec, position: usize, argc: usize) -> bool {
    let first = i64::from(spec.index);
    if spec.unknown || (spec.keyword.is_some() && !spec.is_half()) {
        // Of the keys that only words among the arguments tell, it is the destination that is found.
        return spec.flags.contains(&"OW");
    }
    if spec.counted || spec.is_half() {
        return position as i64 > first;
    }
    let last = match spec.last {
        from_end @ ..0 => argc as i64 + i64::from(from_end),
        from_first => first + i64::from(from_first),
    };
    let position = position as i64;
    (first..=last).contains(&position) && (position - first) % i64::from(spec.step.max(1)) == 0
}

/// The command that `request` asks for, and the positions of its keys.
fn keys_of<'r>(
    registry: &'r Registry,
    request: &[&[u8]],
) -> CommandResult<(&'r Entry, Vec<usize>)> {
    let Found::Command(entry, _) = registry.find(request) else {
        return Err(CommandError::reply("ERR Invalid command specified"));
    };
    if entry.spec.keys.is_none() {
        return Err(CommandError::reply("ERR The command has no key arguments"));
    }
    if !entry.spec.accepts(request.len()) {
        return Err(CommandError::reply(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let positions = entry.spec.keys.positions(request).collect::<Vec<_>>();
    if positions.is_empty() {
        return Err(CommandError::reply(
            "ERR Invalid arguments specified for command",
        ));
    }
    Ok((entry, positions))
}

/// COMMAND HELP
fn help(_: &Registry, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    answer::help(
        "COMMAND",
        &[
            ("(no subcommand)", "Describe all commands for programs."),
            ("COUNT", "Count the commands."),
            (
                "DOCS [<command-name> ...]",
                "Document all or some commands.",
            ),
            ("GETKEYS <full-command>", "Find the keys in a command."),
            (
                "GETKEYSANDFLAGS <full-command>",
                "Find the keys in a command, and what is done with them.",
            ),
            (
                "INFO [<command-name> ...]",
                "Describe all or some commands for programs.",
            ),
            (
                "LIST [FILTERBY MODULE|ACLCAT|PATTERN <arg>]",
                "Name all or some commands.",
            ),
        ],
        out,
    );
    Ok(())
}

#[cfg(test)]
mod tests;
