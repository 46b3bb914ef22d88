//! Places: sorted sets whose scores are geohashes of 52 bits. The table first; handlers by concern in the files below.
//!
//! | module | what it holds |
//! |---|---|
//! | `cell` | points, and the cells that geohashes stand for |
//! | `shape` | circles and boxes on the globe: distances, and the cells that cover a shape |
//! | `place` | GEOADD GEOPOS GEODIST GEOHASH |
//! | `options` | arguments of searches |
//! | `search` | GEOSEARCH GEORADIUS and their kin |
//! | `points` | what searches look at, told from their arguments |

mod cell;
mod options;
mod place;
mod points;
mod search;
mod shape;

use storage::types::SortedSetRef;

use super::args::Args;
use super::error::{CommandError, CommandResult};
use super::number::parse_f64;
use super::spec::{DataCommand, Flags, Group, Keys, Words};
use cell::Point;
pub(super) use points::of as points_of;

const GEO: Group = Group::Geo;

/// Where GEORADIUS has the key that it stores its result at.
static BEHIND_CENTRE: Words = Words {
    from: 6,
    before_key: &["STORE", "STOREDIST"],
    before_others: &[],
};
/// The same of GEORADIUSBYMEMBER.
static BEHIND_MEMBER: Words = Words {
    from: 5,
    ..BEHIND_CENTRE
};
const AROUND_CENTRE: Keys = Keys::FIRST.and_behind(&BEHIND_CENTRE);
const AROUND_MEMBER: Keys = Keys::FIRST.and_behind(&BEHIND_MEMBER);

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("geopos", -2, GEO, Keys::FIRST, place::geopos),
    DataCommand::read("geodist", -4, GEO, Keys::FIRST, place::geodist),
    DataCommand::read("geohash", -2, GEO, Keys::FIRST, place::geohash),
    DataCommand::read("geosearch", -7, GEO, Keys::FIRST, search::geosearch),
    DataCommand::read("georadius_ro", -6, GEO, Keys::FIRST, search::georadius_ro),
    DataCommand::read(
        "georadiusbymember_ro",
        -5,
        GEO,
        Keys::FIRST,
        search::georadiusbymember_ro,
    ),
    DataCommand::write("geoadd", -5, GEO, Keys::FIRST, place::geoadd).deny_oom(),
    DataCommand::write("geosearchstore", -8, GEO, Keys::TWO, search::geosearchstore).deny_oom(),
    DataCommand::write("georadius", -6, GEO, AROUND_CENTRE, search::georadius)
        .or_read(stores, search::georadius_read)
        .deny_oom()
        .flags(Flags::MOVABLEKEYS),
    DataCommand::write(
        "georadiusbymember",
        -5,
        GEO,
        AROUND_MEMBER,
        search::georadiusbymember,
    )
    .or_read(stores, search::georadiusbymember_read)
    .deny_oom()
    .flags(Flags::MOVABLEKEYS),
];

/// Whether a GEORADIUS may store its result.
fn stores(args: &[&[u8]]) -> bool {
    let words = BEHIND_CENTRE.before_key;
    let is_store = |arg: &&[u8]| {
        words
            .iter()
            .any(|word| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    args.iter().skip(BEHIND_MEMBER.from).any(is_store)
}

/// Takes a longitude and a latitude.
fn point(args: &mut Args<'_>) -> CommandResult<Point> {
    let longitude = parse_f64(args.bytes()?).ok_or(CommandError::NOT_FLOAT)?;
    let latitude = parse_f64(args.bytes()?).ok_or(CommandError::NOT_FLOAT)?;
    let point = Point {
        longitude,
        latitude,
    };
    if point.is_valid() {
        Ok(point)
    } else {
        Err(CommandError::reply(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        )))
    }
}

/// The metres of a unit.
fn unit(text: &[u8]) -> CommandResult<f64> {
    let units = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    units
        .into_iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, metres)| metres)
        .ok_or_else(|| {
            CommandError::reply("ERR unsupported unit provided. please use M, KM, FT, MI")
        })
}

/// Where a member is.
fn place(set: SortedSetRef<'_>, member: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> Option<Point> {
    set.score(member, hash).map(Point::of_score)
}

/// A distance as it is answered: with four decimals.
fn distance_text(distance: f64) -> String {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    format!("{}.{:04}", scaled / 10_000, scaled % 10_000)
}

#[cfg(test)]
mod tests {
    use super::{distance_text, stores};

    #[test]
    fn distances_have_four_decimals() {
        for (distance, text) in [
            (0.0, "0.0000"),
            (0.000_06, "0.0001"),
            (0.000_04, "0.0000"),
            (166_274.151_56, "166274.1516"),
            (20_015_086.8, "20015086.8000"),
        ] {
            assert_eq!(distance_text(distance), text);
        }
    }

    #[test]
    fn words_that_store() {
        let args: Vec<&[u8]> = b"georadius k 1 2 3 m asc storedist d"
            .split(|byte| *byte == b' ')
            .collect();
        assert!(stores(&args) && !stores(&args[..7]));
    }
}
