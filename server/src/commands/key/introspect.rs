//! How values are stored and used: OBJECT and MEMORY.

use resp::Writer;
use storage::dataset::Object;
use storage::types::{Encoding, parse_int};

use crate::commands::args::Args;
use crate::commands::context::ReadContext;
use crate::commands::error::{CommandError, CommandResult};

/// Redis keeps one object for each integer below this, and tells that its references are too many to count.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;

const NO_FREQUENCY: CommandError = CommandError::Reply(std::borrow::Cow::Borrowed(
    b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
policies at runtime LRU and LFU data will take some time to adjust.",
));
const NO_IDLE_TIME: CommandError = CommandError::Reply(std::borrow::Cow::Borrowed(
    b"ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at \
runtime LRU and LFU data will take some time to adjust.",
));

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

/// Answers how a value is used: how often, or when it was last. Redis knows only one of both at a time.
fn about_use(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    how_often: bool,
    tell: fn(&Object<'_>) -> i64,
) -> CommandResult {
    let Some(object) = ctx.view.peek(args.bytes()?)? else {
        out.null();
        return Ok(());
    };
    match (how_often, ctx.view.eviction_policy().is_lfu()) {
        (true, false) => Err(NO_FREQUENCY),
        (false, true) => Err(NO_IDLE_TIME),
        _ => {
            out.integer(tell(&object));
            Ok(())
        }
    }
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

/// OBJECT FREQ key: of an LFU policy only, as in Redis, though the counter is always kept.
pub(super) fn freq(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    about_use(ctx, args, out, true, |object| object.freq().into())
}

/// OBJECT IDLETIME key: not of an LFU policy.
pub(super) fn idletime(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    about_use(ctx, args, out, false, |object| {
        (object.idle_ms() / 1000) as i64
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
