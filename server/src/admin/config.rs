//! CONFIG: reads and changes the configuration.

use resp::Writer;

use super::answer::{self, subcommand_now};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::glob;
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{AdminCall, AdminCommand};

const ANY_TIME: Flags = Flags::LOADING.with(Flags::STALE);
const OPERATORS: Flags = ANY_TIME.with(Flags::ADMIN).with(Flags::NOSCRIPT);

/// The family.
pub static COMMANDS: &[AdminCommand] = &[AdminCommand::new("config", -2, Group::Server, |call| {
    subcommand_now(call, config_help)
})
.subcommands(&[
    AdminCommand::new("config|get", -3, Group::Server, |call| {
        subcommand_now(call, config_get)
    })
    .flags(OPERATORS),
    AdminCommand::new("config|set", -4, Group::Server, |call| {
        subcommand_now(call, config_set)
    })
    .flags(OPERATORS),
    AdminCommand::new("config|resetstat", 2, Group::Server, |call| {
        subcommand_now(call, config_resetstat)
    })
    .flags(OPERATORS),
    AdminCommand::new("config|rewrite", 2, Group::Server, |call| {
        subcommand_now(call, config_rewrite)
    })
    .flags(OPERATORS),
    AdminCommand::new("config|help", 2, Group::Server, |call| {
        subcommand_now(call, config_help)
    })
    .flags(ANY_TIME),
])];

/// CONFIG GET pattern [pattern ...]
fn config_get(call: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let patterns = args.rest();
    let lower = patterns
        .iter()
        .map(|pattern| pattern.to_ascii_lowercase())
        .collect::<Vec<_>>();
    let exact = patterns
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok())
        .collect::<Vec<_>>();
    let found = call.shared.config.get(&exact, |name| {
        lower
            .iter()
            .any(|pattern| glob::matches(pattern, name.as_bytes()))
    });
    out.map(found.len());
    for (name, value) in found {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    Ok(())
}

/// CONFIG SET parameter value [parameter value ...]
fn config_set(call: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let (pairs, []) = args.rest().as_chunks::<2>() else {
        return Err(CommandError::arity("config|set"));
    };
    // A value that is not UTF-8 is refused by name; an unknown name is told as it came.
    let texts = pairs
        .iter()
        .map(|[name, value]| {
            let name = String::from_utf8_lossy(name).into_owned();
            match std::str::from_utf8(value) {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(CommandError::reply(format!(
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - argument must be UTF-8 text"
                ))),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let pairs = texts
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect::<Vec<_>>();
    call.shared
        .config
        .set(&pairs)
        .map_err(|error| CommandError::reply(error.to_string()))?;
    let names = texts
        .iter()
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    tracing::info!("CONFIG SET by client {}: {names}", call.client_id);
    out.ok();
    Ok(())
}

/// CONFIG RESETSTAT
fn config_resetstat(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    call.shared.stats.reset();
    call.shared.machine.dataset().write().reset_stats();
    out.ok();
    Ok(())
}

/// CONFIG REWRITE
fn config_rewrite(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    call.shared.config.rewrite().map_err(|error| {
        tracing::warn!("CONFIG REWRITE: {error}");
        CommandError::reply(error.to_string())
    })?;
    tracing::info!("CONFIG REWRITE by client {}", call.client_id);
    out.ok();
    Ok(())
}

/// CONFIG HELP
fn config_help(_: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    answer::help(
        "CONFIG",
        &[
            (
                "GET <pattern> [<pattern> ...]",
                "Tell the directives whose names match, and their values.",
            ),
            (
                "SET <directive> <value> [<directive> <value> ...]",
                "Change directives, all or none.",
            ),
            ("RESETSTAT", "Set the counters of INFO back to zero."),
            (
                "REWRITE",
                "Write the configuration in force into the file that the server was started with.",
            ),
        ],
        out,
    );
    Ok(())
}
