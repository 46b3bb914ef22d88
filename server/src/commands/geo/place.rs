//! Places one by one: GEOADD GEOPOS GEODIST GEOHASH.

use resp::{Protocol, Writer};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::zset::add::{Rules, add};
use super::super::zset::zset;
use super::cell::Point;
use super::shape::distance_m;
use super::{distance_text, place, point, unit};

/// Decimals of a coordinate.
const DECIMALS: usize = 17;

/// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]
pub(super) fn geoadd(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let mut rules = Rules::default();
    while rules.take_basic(args) {}
    if !args.remaining().is_multiple_of(3) || rules.check(1).is_err() {
        return Err(CommandError::SYNTAX);
    }
    let mut members = Vec::with_capacity(args.remaining() / 3);
    while !args.is_empty() {
        let point = point(args)?;
        members.push((point.score(), args.bytes()?));
    }
    if members.is_empty() {
        return Err(CommandError::SYNTAX);
    }
    add(ctx, key, rules, &members, out)
}

/// GEOPOS key [member [member ...]]
pub(super) fn geopos(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    for_each_place(ctx, args, out, |place, out| match place {
        Some(point) => write_point(point, out),
        None => out.null_array(),
    })
}

/// GEOHASH key [member [member ...]]
pub(super) fn geohash(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    for_each_place(ctx, args, out, |place, out| match place {
        Some(point) => out.bulk(&point.text()),
        None => out.null(),
    })
}

fn for_each_place(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
    write: impl Fn(Option<Point>, &mut Writer<'_>),
) -> CommandResult {
    let (key, members) = (args.bytes()?, args.rest());
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    out.array(members.len());
    for member in members {
        let hash = |member: &[u8]| ctx.view.element_hash(member);
        write(set.and_then(|set| place(set, member, hash)), out);
    }
    Ok(())
}

/// Both coordinates, with all their decimals.
pub(super) fn write_point(point: Point, out: &mut Writer<'_>) {
    out.array(2);
    for coordinate in [point.longitude, point.latitude] {
        let text = format!("{coordinate:.DECIMALS$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        match out.protocol() {
            Protocol::Resp2 => out.bulk(text.as_bytes()),
            Protocol::Resp3 => out.raw(format!(",{text}\r\n").as_bytes()),
        }
    }
}

/// GEODIST key member1 member2 [M | KM | FT | MI]
pub(super) fn geodist(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, from, to) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let unit_m = match args.rest() {
        [] => 1.0,
        [text] => unit(text)?,
        _ => return Err(CommandError::SYNTAX),
    };
    let object = ctx.view.lookup(key)?;
    let set = object.as_ref().map(zset).transpose()?;
    let hash = |member: &[u8]| ctx.view.element_hash(member);
    let places = set.and_then(|set| Some((place(set, from, hash)?, place(set, to, hash)?)));
    match places {
        Some((from, to)) => out.bulk(distance_text(distance_m(from, to) / unit_m).as_bytes()),
        None => out.null(),
    }
    Ok(())
}
