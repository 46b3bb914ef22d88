//! Places in sorted sets.

use super::{Argument, Doc, KeySpec};

const KEY: Argument = Argument::key("key", 0);
const UNIT: Argument = Argument::oneof(
    "unit",
    &[
        Argument::token("m", "M"),
        Argument::token("km", "KM"),
        Argument::token("ft", "FT"),
        Argument::token("mi", "MI"),
    ],
);
const ORDER: Argument = Argument::oneof(
    "order",
    &[
        Argument::token("asc", "ASC"),
        Argument::token("desc", "DESC"),
    ],
)
.optional();
const FROM: Argument = Argument::oneof(
    "from",
    &[
        Argument::string("member").after("FROMMEMBER"),
        Argument::block(
            "longitude_latitude",
            &[Argument::double("longitude"), Argument::double("latitude")],
        )
        .after("FROMLONLAT"),
    ],
);
const BY: Argument = Argument::oneof(
    "by",
    &[
        Argument::block(
            "circle",
            &[Argument::double("radius").after("BYRADIUS"), UNIT],
        ),
        Argument::block(
            "box",
            &[
                Argument::double("width").after("BYBOX"),
                Argument::double("height"),
                UNIT,
            ],
        ),
    ],
);
const COUNT: Argument = Argument::block(
    "count",
    &[
        Argument::integer("count").after("COUNT"),
        Argument::token("any", "ANY").optional(),
    ],
)
.optional();
const COUNT_OF_RADIUS: Argument = Argument::block(
    "count",
    &[
        Argument::integer("count").after("COUNT"),
        Argument::token("any", "ANY").since("6.2.0").optional(),
    ],
)
.optional();

/// In order of name.
pub(super) static DOCS: &[Doc] = &[
    Doc::new(
        "geoadd",
        "3.2.0",
        "Adds places to a sorted set, or moves them.",
    )
    .complexity("O(log(N))")
    .categories(&["@geo"])
    .keys(&[KeySpec::new(1, 0, 1, &["RW", "update"])])
    .arguments(&[
        KEY,
        Argument::oneof(
            "condition",
            &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
        )
        .since("6.2.0")
        .optional(),
        Argument::token("change", "CH").since("6.2.0").optional(),
        Argument::block(
            "longitude_latitude_member",
            &[
                Argument::double("longitude"),
                Argument::double("latitude"),
                Argument::string("member"),
            ],
        )
        .multiple(),
    ]),
    Doc::new("geodist", "3.2.0", "Tells how far apart two places are.")
        .complexity("O(1)")
        .categories(&["@geo"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            Argument::string("member1"),
            Argument::string("member2"),
            UNIT.optional(),
        ]),
    Doc::new("geohash", "3.2.0", "Tells the geohashes of places.")
        .complexity("O(1)")
        .categories(&["@geo"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::string("member").optional().multiple()]),
    Doc::new("geopos", "3.2.0", "Tells where places are.")
        .complexity("O(1)")
        .categories(&["@geo"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[KEY, Argument::string("member").optional().multiple()]),
    Doc::new(
        "georadius",
        "3.2.0",
        "Finds the places around a point, and may store them.",
    )
    .complexity("O(N+log(M))")
    .deprecated(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    )
    .categories(&["@geo"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RO", "access"]),
        KeySpec::behind("STORE", 6, &["OW", "update"]),
        KeySpec::behind("STOREDIST", 6, &["OW", "update"]),
    ])
    .arguments(&[
        KEY,
        Argument::double("longitude"),
        Argument::double("latitude"),
        Argument::double("radius"),
        UNIT,
        Argument::token("withcoord", "WITHCOORD").optional(),
        Argument::token("withdist", "WITHDIST").optional(),
        Argument::token("withhash", "WITHHASH").optional(),
        COUNT_OF_RADIUS,
        ORDER,
        Argument::key("key", 1).after("STORE").optional(),
        Argument::key("key", 2).after("STOREDIST").optional(),
    ]),
    Doc::new("georadius_ro", "3.2.10", "Finds the places around a point.")
        .complexity("O(N+log(M))")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")
        .categories(&["@geo"])
        .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
        .arguments(&[
            KEY,
            Argument::double("longitude"),
            Argument::double("latitude"),
            Argument::double("radius"),
            UNIT,
            Argument::token("withcoord", "WITHCOORD").optional(),
            Argument::token("withdist", "WITHDIST").optional(),
            Argument::token("withhash", "WITHHASH").optional(),
            COUNT_OF_RADIUS,
            ORDER,
        ]),
    Doc::new(
        "georadiusbymember",
        "3.2.0",
        "Finds the places around another, and may store them.",
    )
    .complexity("O(N+log(M))")
    .deprecated(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )
    .categories(&["@geo"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["RO", "access"]),
        KeySpec::behind("STORE", 5, &["OW", "update"]),
        KeySpec::behind("STOREDIST", 5, &["OW", "update"]),
    ])
    .arguments(&[
        KEY,
        Argument::string("member"),
        Argument::double("radius"),
        UNIT,
        Argument::token("withcoord", "WITHCOORD").optional(),
        Argument::token("withdist", "WITHDIST").optional(),
        Argument::token("withhash", "WITHHASH").optional(),
        COUNT,
        ORDER,
        Argument::key("key", 1).after("STORE").optional(),
        Argument::key("key", 2).after("STOREDIST").optional(),
    ]),
    Doc::new(
        "georadiusbymember_ro",
        "3.2.10",
        "Finds the places around another.",
    )
    .complexity("O(N+log(M))")
    .deprecated(
        "6.2.0",
        "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
    )
    .categories(&["@geo"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        Argument::string("member"),
        Argument::double("radius"),
        UNIT,
        Argument::token("withcoord", "WITHCOORD").optional(),
        Argument::token("withdist", "WITHDIST").optional(),
        Argument::token("withhash", "WITHHASH").optional(),
        COUNT,
        ORDER,
    ]),
    Doc::new(
        "geosearch",
        "6.2.0",
        "Finds the places within a circle or a box.",
    )
    .complexity("O(N+log(M))")
    .categories(&["@geo"])
    .keys(&[KeySpec::new(1, 0, 1, &["RO", "access"])])
    .arguments(&[
        KEY,
        FROM,
        BY,
        ORDER,
        COUNT,
        Argument::token("withcoord", "WITHCOORD").optional(),
        Argument::token("withdist", "WITHDIST").optional(),
        Argument::token("withhash", "WITHHASH").optional(),
    ]),
    Doc::new(
        "geosearchstore",
        "6.2.0",
        "Stores the places within a circle or a box.",
    )
    .complexity("O(N+log(M))")
    .categories(&["@geo"])
    .keys(&[
        KeySpec::new(1, 0, 1, &["OW", "update"]),
        KeySpec::new(2, 0, 1, &["RO", "access"]),
    ])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::key("source", 1),
        FROM,
        BY,
        ORDER,
        COUNT,
        Argument::token("storedist", "STOREDIST").optional(),
    ]),
];
