//! Values that travel: DUMP RESTORE.

use resp::Writer;
use storage::rdb;

use crate::commands::args::Args;
use crate::commands::context::{ReadContext, WriteContext};
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;

/// DUMP key
pub(super) fn dump(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    match ctx.view.lookup(args.bytes()?)? {
        Some(object) => {
            out.bulk(&rdb::dump(&object));
        }
        None => out.null(),
    }
    Ok(())
}

/// The options of RESTORE.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(args: &mut Args<'_>) -> CommandResult<Self> {
        let mut options = Self::default();
        while !args.is_empty() {
            if args.flag("REPLACE") {
                options.replace = true;
            } else if args.flag("ABSTTL") {
                options.absolute = true;
            } else if options.frequency.is_none() && args.remaining() > 1 && args.flag("IDLETIME") {
                let told = u64::try_from(args.int()?);
                let idle_seconds = told
                    .map_err(|_| CommandError::reply("ERR Invalid IDLETIME value, must be >= 0"))?;
                options.idle_seconds = Some(idle_seconds);
            } else if options.idle_seconds.is_none() && args.remaining() > 1 && args.flag("FREQ") {
                let told = u8::try_from(args.int()?);
                let frequency = told.map_err(|_| {
                    CommandError::reply("ERR Invalid FREQ value, must be >= 0 and <= 255")
                })?;
                options.frequency = Some(frequency);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

/// RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
pub(super) fn restore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, ttl, serialized) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let options = Options::parse(args)?;
    if !options.replace && ctx.txn.exists(key)? {
        return Err(CommandError::BUSY_KEY);
    }
    let ttl_ms = parse_i64(ttl).ok_or(CommandError::NOT_INTEGER)?;
    if ttl_ms < 0 {
        return Err(CommandError::reply("ERR Invalid TTL value, must be >= 0"));
    }
    let value = rdb::restore(serialized).map_err(|error| CommandError::reply(error.to_string()))?;
    let now_ms = ctx.txn.now_ms();
    let expire_at_ms = match ttl_ms {
        0 => None,
        at_ms if options.absolute => Some(at_ms as u64),
        // What overflows is past, as in Redis.
        ttl_ms => Some(u64::try_from(ttl_ms.wrapping_add(now_ms as i64)).unwrap_or(0)),
    };
    if expire_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
        if ctx.txn.remove(key)? {
            ctx.txn.notify("del", key);
        }
    } else {
        value.store(ctx.txn, key, expire_at_ms)?;
        if options.idle_seconds.is_some() || options.frequency.is_some() {
            let idle_ms = options
                .idle_seconds
                .map(|seconds| seconds.saturating_mul(1000));
            ctx.txn.pretend_use(key, idle_ms, options.frequency)?;
        }
        ctx.txn.notify("restore", key);
    }
    out.ok();
    Ok(())
}
