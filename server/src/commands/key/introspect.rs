//! How values are stored and used: OBJECT and MEMORY.

use resp::Writer;
use storage::dataset::Object;
use storage::types::{Encoding, parse_int};

use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};

/// Redis keeps one object for each integer below this, and tells that its references are too many to count.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;

/// Answers what `tell` finds out, or null without the key. No use of it.
fn about(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    tell: fn(&Object<'_>, &mut Writer<'_>),
) -> CommandResult {
    match ctx.view.peek(args.bytes()?)? {
        Some(object) => tell(&object, out),
        None => out.null(),
    }
    Ok(())
}

/// OBJECT ENCODING key
pub(super) fn encoding(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    about(ctx, args, out, |object, out| {
        out.bulk(object.encoding().name().as_bytes())
    })
}

/// OBJECT FREQ key: answered whatever the eviction policy is, because the counter is always kept.
pub(super) fn freq(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    about(ctx, args, out, |object, out| {
        out.integer(object.freq().into())
    })
}

/// OBJECT IDLETIME key
pub(super) fn idletime(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    about(ctx, args, out, |object, out| {
        out.integer((object.idle_ms() / 1000) as i64)
    })
}

/// OBJECT REFCOUNT key
pub(super) fn refcount(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    about(ctx, args, out, |object, out| {
        out.integer(references(object))
    })
}

fn references(object: &Object<'_>) -> i64 {
    let integer = object
        .string()
        .filter(|_| object.encoding() == Encoding::Int)
        .and_then(|text| parse_int(&text));
    if integer.is_some_and(|integer| SHARED_INTEGERS.contains(&integer)) {
        i32::MAX.into()
    } else {
        1
    }
}

/// MEMORY USAGE key [SAMPLES count]: exact, so the number of samples makes no difference.
pub(super) fn memory_usage(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    while !args.is_empty() {
        if !args.flag("SAMPLES") || args.is_empty() || args.int()? < 0 {
            return Err(CommandError::SYNTAX);
        }
    }
    match ctx.view.peek(key)? {
        Some(object) => out.integer(object.memory_bytes() as i64),
        None => out.null(),
    }
    Ok(())
}

/// OBJECT HELP
pub(super) fn object_help(
    _: &ReadContext<'_>,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    const SUBCOMMANDS: &[(&str, &str)] = &[
        (
            "ENCODING <key>",
            "The internal representation of the value.",
        ),
        (
            "FREQ <key>",
            "How often the key is used, on a logarithmic scale from 0 to 255.",
        ),
        ("IDLETIME <key>", "Seconds since the key was last used."),
        ("REFCOUNT <key>", "Number of references to the value."),
    ];
    help("OBJECT", SUBCOMMANDS, out);
    Ok(())
}

/// MEMORY HELP
pub(super) fn memory_help(
    _: &ReadContext<'_>,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    const SUBCOMMANDS: &[(&str, &str)] = &[(
        "USAGE <key> [SAMPLES <count>]",
        "Bytes of memory that the key and its value take.",
    )];
    help("MEMORY", SUBCOMMANDS, out);
    Ok(())
}

/// The reply of a container's HELP, in Redis's form.
pub(in crate::commands) fn help(
    container: &str,
    subcommands: &[(&str, &str)],
    out: &mut Writer<'_>,
) {
    out.array(1 + 2 * (subcommands.len() + 1));
    out.simple(&format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for (usage, explanation) in subcommands.iter().chain([&("HELP", "Print this help.")]) {
        out.simple(usage);
        out.simple(&format!("    {explanation}"));
    }
}
