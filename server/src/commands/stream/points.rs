//! What commands of streams look at, told from their arguments.

use storage::dataset::{Looks, Members, Point};
use storage::types::Limits;
use storage::types::stream::StreamId;

use super::super::args::Args;
use super::super::error::CommandResult;
use super::super::points::Points;
use super::parse;
use super::read;

/// The part of the stream at the key of a command that it looks at; none if that is all, or it is no such command.
pub(in super::super) fn looks<'a>(
    name: &str,
    args: &[&'a [u8]],
    limits: &Limits,
) -> Option<Looks<Members<'a>>> {
    let mut args = Args::new(args);
    args.bytes().ok()?;
    let found = match name {
        "xrange" => range(&mut args, false),
        "xrevrange" => range(&mut args, true),
        "xdel" => parse::ids(&mut args).map(Looks::Delete),
        "xadd" | "xtrim" => trimmed(&mut args, name == "xadd", limits),
        _ => return None,
    };
    // Wrong arguments are refused before the stream is looked at.
    Some(found.unwrap_or_else(|_| Looks::Elements(Members::new())))
}

fn range<'a>(args: &mut Args<'_>, backwards: bool) -> CommandResult<Looks<Members<'a>>> {
    let (first, second) = (args.bytes()?, args.bytes()?);
    let (start, end) = if backwards {
        (second, first)
    } else {
        (first, second)
    };
    let ids = parse::start(start)?..=parse::end(end)?;
    let mut count = usize::MAX;
    while args.flag("COUNT") {
        count = usize::try_from(args.int()?).unwrap_or(0);
    }
    Ok(Looks::Entries {
        ids,
        count,
        backwards,
    })
}

fn trimmed<'a>(
    args: &mut Args<'_>,
    is_add: bool,
    limits: &Limits,
) -> CommandResult<Looks<Members<'a>>> {
    let options = parse::options(args, is_add, limits)?;
    Ok(match options.keep {
        Some(keep) => Looks::KeepEntries {
            keep,
            limit: options.limit,
        },
        None => Looks::Elements(Members::new()),
    })
}

/// What XREAD looks at; none if its arguments are wrong.
pub(in super::super) fn points_of_read<'a>(args: &[&'a [u8]]) -> Option<Points<'a>> {
    let request = read::Request::parse(&mut Args::new(args), false).ok()?;
    // Keys, and then as many ids, are the last arguments.
    let keys = args.iter().skip(args.len() - 2 * request.ids.len());
    let wanted = keys.zip(request.ids);
    let points = wanted.map(|(key, id)| {
        let after = parse::id(id, 0).ok().and_then(StreamId::next);
        let looks = match after {
            Some(after) => Looks::Entries {
                ids: after..=StreamId::MAX,
                count: request.count,
                backwards: false,
            },
            None => Looks::Elements(Members::new()),
        };
        Point { key, looks }
    });
    Some(points.collect())
}
