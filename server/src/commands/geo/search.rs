//! Places around a point: GEOSEARCH GEOSEARCHSTORE GEORADIUS GEORADIUSBYMEMBER GEORADIUS_RO GEORADIUSBYMEMBER_RO.

use std::ops::Bound;

use resp::Writer;
use storage::dataset::{Object, View};
use storage::types::SortedSetRef;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::CommandResult;
use super::super::zset::{store, zset};
use super::cell::{Cell, Point};
use super::options::{Command, Options, Order, Store, Within};
use super::place::write_point;
use super::shape::Shape;
use super::{distance_text, place};

/// A place that was found.
struct Found {
    member: Vec<u8>,
    score: f64,
    point: Point,
    distance_m: f64,
}

/// How a command's arguments behind its key are read.
type Parse<'a, 'p> = dyn Fn(&mut Args<'a>, Within<'_>) -> CommandResult<Options<'a>> + 'p;

/// GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit [ASC | DESC]
/// [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
pub(super) fn geosearch(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, out, &|args, within| {
        Options::of_search(args, within, None)
    })
}

/// GEORADIUS_RO key longitude latitude radius unit [option ...]
pub(super) fn georadius_ro(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, out, &|args, within| {
        Options::of_radius(args, within, Command::RadiusRead)
    })
}

/// GEORADIUSBYMEMBER_RO key member radius unit [option ...]
pub(super) fn georadiusbymember_ro(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, out, &|args, within| {
        Options::of_radius_by_member(args, within, Command::RadiusRead)
    })
}

/// GEORADIUS where nothing is stored.
pub(super) fn georadius_read(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, out, &|args, within| {
        Options::of_radius(args, within, Command::Radius)
    })
}

/// GEORADIUSBYMEMBER where nothing is stored.
pub(super) fn georadiusbymember_read(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(ctx, args, out, &|args, within| {
        Options::of_radius_by_member(args, within, Command::Radius)
    })
}

/// GEOSEARCHSTORE destination source FROMMEMBER … [STOREDIST]
pub(super) fn geosearchstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let destination = args.bytes()?;
    answer_or_store(ctx, args, out, "geosearchstore", &|args, within| {
        Options::of_search(args, within, Some(destination))
    })
}

/// GEORADIUS key longitude latitude radius unit [option ...] [STORE key | STOREDIST key]
pub(super) fn georadius(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer_or_store(ctx, args, out, "georadiusstore", &|args, within| {
        Options::of_radius(args, within, Command::Radius)
    })
}

/// GEORADIUSBYMEMBER key member radius unit [option ...] [STORE key | STOREDIST key]
pub(super) fn georadiusbymember(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer_or_store(ctx, args, out, "georadiusstore", &|args, within| {
        Options::of_radius_by_member(args, within, Command::Radius)
    })
}

fn answer<'a>(
    ctx: &ReadContext<'_>,
    args: &mut Args<'a>,
    out: &mut Writer<'_>,
    parse: &Parse<'a, '_>,
) -> CommandResult {
    let object = ctx.view.lookup(args.bytes()?)?;
    let (options, found) = search(&ctx.view, object.as_ref(), args, parse)?;
    write(&options, found, out);
    Ok(())
}

fn answer_or_store<'a>(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'a>,
    out: &mut Writer<'_>,
    event: &'static str,
    parse: &Parse<'a, '_>,
) -> CommandResult {
    let key = args.bytes()?;
    // Removes what has expired, and brings the rest into memory, where the view finds it.
    ctx.txn.lookup(key)?;
    let (options, found) = {
        let view = ctx.txn.view();
        let object = view.peek(key)?;
        search(&view, object.as_ref(), args, parse)?
    };
    let Some(Store { key, distances }) = options.store else {
        write(&options, found, out);
        return Ok(());
    };
    let unit_m = options.shape().map_or(1.0, |shape| shape.unit_m);
    let score = |place: &Found| match distances {
        true => place.distance_m / unit_m,
        false => place.score,
    };
    let members: Vec<(f64, Vec<u8>)> = found
        .into_iter()
        .map(|place| (score(&place), place.member))
        .collect();
    store(ctx, key, &members, event, out)
}

/// Reads the arguments behind the key, and finds what they ask for.
fn search<'a>(
    view: &View<'_>,
    object: Option<&Object<'_>>,
    args: &mut Args<'a>,
    parse: &Parse<'a, '_>,
) -> CommandResult<(Options<'a>, Vec<Found>)> {
    let set = object.map(zset).transpose()?;
    let hash = |member: &[u8]| view.element_hash(member);
    let within = Within {
        exists: set.is_some(),
        place: &|member| place(set?, member, hash),
    };
    let options = parse(args, within)?;
    let found = match (set, options.shape()) {
        (Some(set), Some(shape)) => find(set, &shape, &options),
        _ => Vec::new(),
    };
    Ok((options, found))
}

fn find(set: SortedSetRef<'_>, shape: &Shape, options: &Options<'_>) -> Vec<Found> {
    let enough = options.enough().unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for cell in shape.cells() {
        if found.len() >= enough {
            break;
        }
        find_in_cell(set, cell, shape, enough, &mut found);
    }
    let order = match options.order {
        // The nearest ones are asked for, then.
        Order::Any if options.count > 0 && !options.any => Order::NearestFirst,
        order => order,
    };
    match order {
        Order::Any => {}
        Order::NearestFirst => found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
        Order::FarthestFirst => found.sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
    }
    if options.count > 0 {
        found.truncate(options.count);
    }
    found
}

fn find_in_cell(
    set: SortedSetRef<'_>,
    cell: Cell,
    shape: &Shape,
    enough: usize,
    found: &mut Vec<Found>,
) {
    let (min, max) = cell.scores();
    let ranks = set.ranks_by_score(Bound::Included(min), Bound::Excluded(max));
    for (member, score) in set.range(ranks) {
        let point = Point::of_score(score);
        if let Some(distance_m) = shape.distance_within_m(point) {
            found.push(Found {
                member: member.to_vec(),
                score,
                point,
                distance_m,
            });
        }
        if found.len() >= enough {
            return;
        }
    }
}

fn write(options: &Options<'_>, found: Vec<Found>, out: &mut Writer<'_>) {
    let unit_m = options.shape().map_or(1.0, |shape| shape.unit_m);
    let details = [options.with_distance, options.with_hash, options.with_point];
    let details = details.into_iter().filter(|asked| *asked).count();
    out.array(found.len());
    for place in found {
        if details > 0 {
            out.array(1 + details);
        }
        out.bulk(&place.member);
        if options.with_distance {
            out.bulk(distance_text(place.distance_m / unit_m).as_bytes());
        }
        if options.with_hash {
            out.integer(place.score as i64);
        }
        if options.with_point {
            write_point(place.point, out);
        }
    }
}
