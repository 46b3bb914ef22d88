//! Commands of places.

use proptest::prelude::*;

use super::zset::score;
use super::{Arguments, one_of, small};

/// Anywhere, often close together, sometimes nowhere.
fn place() -> BoxedStrategy<[Vec<u8>; 2]> {
    let bytes = |(longitude, latitude): (f64, f64)| {
        [longitude, latitude].map(|coordinate| coordinate.to_string().into_bytes())
    };
    prop_oneof![
        6 => ((-180_f64..180.0), (-85.05_f64..85.05)).prop_map(bytes),
        6 => ((13_f64..16.0), (36_f64..39.0)).prop_map(bytes),
        3 => ((-180_i32..=180), (-85_i32..=85)).prop_map(move |(x, y)| bytes((x.into(), y.into()))),
        1 => (score(), score()).prop_map(<[Vec<u8>; 2]>::from),
    ]
    .boxed()
}

/// Radius, width or height.
fn size() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        6 => (0_f64..7.5).prop_map(|power| 10_f64.powf(power).to_string().into_bytes()),
        2 => (0_i32..25_000).prop_map(|size| size.to_string().into_bytes()),
        1 => score(),
    ]
    .boxed()
}

/// Keys of their own: other commands would show distances with more digits than all versions of Redis agree about.
pub(super) fn geo_command() -> BoxedStrategy<Arguments> {
    let k = || one_of(&["geo", "geo", "geo", "geo2", "a"]);
    let m = || one_of(&["p", "q", "r", "s", "t", "u"]);
    let unit = || one_of(&["m", "m", "KM", "ft", "mi", "x"]);
    let add = (
        k(),
        prop::collection::vec(one_of(&["NX", "XX", "CH"]), 0..2),
        prop::collection::vec((place(), m()), 1..8),
    )
        .prop_map(|(key, flags, places)| {
            let places = places
                .into_iter()
                .flat_map(|([x, y], member)| [x, y, member])
                .collect();
            [vec![b"GEOADD".to_vec(), key], flags, places].concat()
        });
    let members = (
        one_of(&["GEOPOS", "GEOHASH"]),
        k(),
        prop::collection::vec(m(), 0..4),
    )
        .prop_map(|(name, key, members)| [vec![name, key], members].concat());
    let dist =
        (k(), m(), m(), prop::collection::vec(unit(), 0..2)).prop_map(|(key, from, to, unit)| {
            [vec![b"GEODIST".to_vec(), key, from, to], unit].concat()
        });
    let option = prop_oneof![
        6 => one_of(&["WITHCOORD", "withdist", "WITHHASH", "ASC", "desc", "ANY"]).prop_map(|word| vec![word]),
        2 => small().prop_map(|count| vec![b"COUNT".to_vec(), count]),
        1 => one_of(&["COUNT", "STOREDIST", "x"]).prop_map(|word| vec![word]),
        1 => (one_of(&["STORE", "STOREDIST"])).prop_map(|word| vec![word, b"geo3".to_vec()]),
    ];
    let options = prop::collection::vec(option, 0..4)
        .prop_map(|options| options.concat())
        .boxed();
    let from = prop_oneof![
        4 => place().prop_map(|[x, y]| vec![b"FROMLONLAT".to_vec(), x, y]),
        2 => m().prop_map(|member| vec![b"FROMMEMBER".to_vec(), member]),
    ];
    let by = prop_oneof![
        (size(), unit()).prop_map(|(radius, unit)| vec![b"BYRADIUS".to_vec(), radius, unit]),
        (size(), size(), unit()).prop_map(|(width, height, unit)| vec![
            b"BYBOX".to_vec(),
            width,
            height,
            unit
        ]),
    ];
    let search = (any::<bool>(), k(), from, by, options.clone()).prop_map(
        |(stores, key, from, by, options)| {
            let head = match stores {
                true => vec![b"GEOSEARCHSTORE".to_vec(), b"geo3".to_vec(), key],
                false => vec![b"GEOSEARCH".to_vec(), key],
            };
            [head, from, by, options].concat()
        },
    );
    let radius = (
        one_of(&["GEORADIUS", "GEORADIUS_RO"]),
        k(),
        place(),
        size(),
        unit(),
        options.clone(),
    )
        .prop_map(|(name, key, [x, y], size, unit, options)| {
            [vec![name, key, x, y, size, unit], options].concat()
        });
    let by_member = (
        one_of(&["GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"]),
        k(),
        m(),
        size(),
        unit(),
        options,
    )
        .prop_map(|(name, key, member, size, unit, options)| {
            [vec![name, key, member, size, unit], options].concat()
        });
    prop_oneof![
        4 => add,
        1 => members,
        1 => dist,
        4 => search.prop_filter("enough arguments", |args| args.len() > 7),
        2 => radius,
        2 => by_member,
        1 => Just(["ZRANGE", "geo3", "0", "-1"].map(|word| word.as_bytes().to_vec()).to_vec()),
    ]
    .boxed()
}
