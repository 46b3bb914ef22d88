//! Arguments of every kind: mostly right, often at an edge.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// Numbers at the edges of what is a number. None that makes a string of many megabytes of an offset.
const EDGES: &[&str] = &[
    "",
    "0",
    "-0",
    "+1",
    " 1",
    "1 ",
    "007",
    "-1",
    "2147483648",
    "-2147483649",
    "4294967296",
    "-4294967296",
    "9223372036854775807",
    "9223372036854775806",
    "-9223372036854775808",
    "-9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e3",
    "1.5",
    "0x10",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "+inf",
    "infinity",
    "1e400",
    "-1e400",
    "1e-400",
    "1e18",
    "-1e18",
    "x",
    "99999999999999999999999999999999",
];

/// Words that mean something somewhere.
const WORDS: &[&str] = &[
    "NX",
    "XX",
    "GT",
    "LT",
    "CH",
    "INCR",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "EX",
    "REPLACE",
    "LIMIT",
    "COUNT",
    "MATCH",
    "WITHSCORES",
    "WITHSCORE",
    "BYSCORE",
    "BYLEX",
    "REV",
    "STORE",
    "ASC",
    "ALPHA",
    "BY",
    "LEN",
    "ANY",
    "0",
    "1",
    "STREAMS",
    "MAXLEN",
    "JUSTID",
    "bogus",
    "=",
    "~",
    "$",
    ">",
    "*-*",
    "(",
    "[",
    "-",
    "+",
];

const STRING_KEYS: &[&str] = &["s1", "s2", "s3"];
const LIST_KEYS: &[&str] = &["l1", "l2"];
const HASH_KEYS: &[&str] = &["h1", "h2"];
const SET_KEYS: &[&str] = &["t1", "t2", "t3"];
const ZSET_KEYS: &[&str] = &["z1", "z2", "z3"];
const STREAM_KEYS: &[&str] = &["x1", "x2"];
const GEO_KEYS: &[&str] = &["g1", "g2"];
const LOG_KEYS: &[&str] = &["p1", "p2", "p3"];
const ODD_KEYS: &[&str] = &["", "n", "a key", "{t}1", "\u{0}\r\n\u{ff}"];
const ALL_KEYS: &[&[&str]] = &[
    STRING_KEYS,
    LIST_KEYS,
    HASH_KEYS,
    SET_KEYS,
    ZSET_KEYS,
    STREAM_KEYS,
    GEO_KEYS,
    ODD_KEYS,
];

/// Few, so that they meet.
const ELEMENTS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "f",
    "1",
    "2",
    "3",
    "-3",
    "70000",
    "",
    "05",
    "1.5",
    "5000000000",
    "-9223372036854775808",
    "9223372036854775807",
    "*",
    "\r\n",
];

/// Payloads kept for RESTORE.
const MAX_PAYLOADS: usize = 32;

/// What is drawn from, and what earlier commands left for later ones.
#[derive(Default)]
pub(crate) struct Arguments {
    payloads: Vec<Vec<u8>>,
    next_ms: u64,
}

impl Arguments {
    /// Keeps the payload that a DUMP answered.
    pub(crate) fn keep_payload(&mut self, payload: &[u8]) {
        if self.payloads.len() == MAX_PAYLOADS {
            self.payloads.remove(0);
        }
        self.payloads.push(payload.to_vec());
    }

    /// Appends an argument of this kind; of some, several.
    ///
    /// # Panics
    /// Of an unknown kind.
    pub(crate) fn draw(&mut self, kind: &str, random: &mut ChaCha8Rng, out: &mut Vec<Vec<u8>>) {
        let argument = match kind {
            "k" => any_key(random),
            "ks" => key(STRING_KEYS, random),
            "kl" => key(LIST_KEYS, random),
            "kh" => key(HASH_KEYS, random),
            "kset" => key(SET_KEYS, random),
            "kz" => key(ZSET_KEYS, random),
            "kx" => key(STREAM_KEYS, random),
            "kg" => key(GEO_KEYS, random),
            "kp" => bytes(LOG_KEYS.choose(random).copied().unwrap_or("p1")),
            "ka" => key(
                if random.random_bool(0.7) {
                    ZSET_KEYS
                } else {
                    SET_KEYS
                },
                random,
            ),
            "kn" => key(
                [LIST_KEYS, SET_KEYS, ZSET_KEYS][random.random_range(0..3)],
                random,
            ),
            "lex" => bytes("lex"),
            "v" => value(random),
            "e" => element(random),
            "wide" => return wide(random, out),
            "long" => vec![b'x'; random.random_range(60..200)],
            "number" => number(random),
            "float" => float(random),
            "index" => index(random),
            "few" => bytes(
                ["0", "1", "2", "2", "2", "3", "-1", "9223372036854775807"]
                    .choose(random)
                    .copied()
                    .unwrap_or("2"),
            ),
            "all" => bytes(
                ["0", "100000", "100000", "4611686018427387903", "x"]
                    .choose(random)
                    .copied()
                    .unwrap_or("0"),
            ),
            "huge" => bytes(
                ["100000", "100000", "1000000000", "0", "-1", "x"]
                    .choose(random)
                    .copied()
                    .unwrap_or("100000"),
            ),
            "offset" => far(random, 200, 20_000),
            "bit" => far(random, 300, 100_000),
            "width" => bytes(
                [
                    "u1", "i1", "u7", "i8", "u12", "i16", "i33", "u63", "i64", "u64", "u0", "i65",
                    "x", "u",
                ]
                .choose(random)
                .copied()
                .unwrap_or("u8"),
            ),
            "bitpos" => bitpos(random),
            "score" => score(random),
            "scoreend" => [
                bytes(if random.random_bool(0.3) { "(" } else { "" }),
                score(random),
            ]
            .concat(),
            "lexend" => lexend(random),
            "id" => id(random),
            "idend" => idend(random),
            "next" => self.next_id(random),
            "group" => bytes(if random.random_bool(0.7) { "g" } else { "h" }),
            "consumer" => bytes(if random.random_bool(0.6) {
                "alice"
            } else {
                "bob"
            }),
            "lon" => coordinate(random, 180.0),
            "lat" => coordinate(random, 85.05),
            "size" => size(random),
            "unit" => bytes(
                ["m", "m", "km", "KM", "ft", "mi", "x"]
                    .choose(random)
                    .copied()
                    .unwrap_or("m"),
            ),
            "pattern" => bytes(
                [
                    "*", "s*", "?1", "[a-m]*", "*1", "\\*", "[^x]*", "", "**", "x[", "[z-a]?",
                ]
                .choose(random)
                .copied()
                .unwrap_or("*"),
            ),
            "getpattern" => bytes(
                [
                    "#", "s*", "*", "h*->a", "h1->*", "nosort", "x*", "*->", "->", "",
                ]
                .choose(random)
                .copied()
                .unwrap_or("#"),
            ),
            "type" => bytes(
                [
                    "string", "list", "hash", "set", "zset", "stream", "x", "STRING",
                ]
                .choose(random)
                .copied()
                .unwrap_or("list"),
            ),
            "cursor" => bytes(
                ["0", "0", "0", "x", "-1", "", "18446744073709551616", "0 "]
                    .choose(random)
                    .copied()
                    .unwrap_or("0"),
            ),
            "db" => bytes(
                ["0", "0", "1", "2", "16", "-1", "x", "3000000000"]
                    .choose(random)
                    .copied()
                    .unwrap_or("0"),
            ),
            "rel" => time(random, &["100000000", "200000000", "300000000000"]),
            "at" => time(random, &["32503680000", "32503680001", "4102444800"]),
            "atms" => time(
                random,
                &["32503680000000", "32503680000001", "4102444800000"],
            ),
            "ttl" => bytes(
                [
                    "0",
                    "0",
                    "0",
                    "0",
                    "32503680000000",
                    "-1",
                    "x",
                    "9223372036854775807",
                ]
                .choose(random)
                .copied()
                .unwrap_or("0"),
            ),
            "payload" => self.payload(random),
            _ => panic!("no argument is a {kind}"),
        };
        out.push(argument);
    }

    /// Ids that mostly grow.
    fn next_id(&mut self, random: &mut ChaCha8Rng) -> Vec<u8> {
        self.next_ms += random.random_range(0..3);
        let ms = self.next_ms;
        match random.random_range(0..4) {
            0 => format!("{}-{}", ms + 1, random.random_range(0..4)).into_bytes(),
            _ => format!("{ms}-*").into_bytes(),
        }
    }

    fn payload(&self, random: &mut ChaCha8Rng) -> Vec<u8> {
        let Some(payload) = self.payloads.choose(random) else {
            return value(random);
        };
        let mut payload = payload.clone();
        if random.random_bool(0.1) && !payload.is_empty() {
            let at = random.random_range(0..payload.len());
            payload[at] ^= 1 << random.random_range(0..8);
        }
        payload
    }
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn any_key(random: &mut ChaCha8Rng) -> Vec<u8> {
    let group = ALL_KEYS[random.random_range(0..ALL_KEYS.len())];
    bytes(group[random.random_range(0..group.len())])
}

/// Mostly a key of the right type.
fn key(group: &[&str], random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_bool(0.93) {
        true => bytes(group[random.random_range(0..group.len())]),
        false => any_key(random),
    }
}

fn integer(random: &mut ChaCha8Rng, least: i64, most: i64) -> Vec<u8> {
    random.random_range(least..=most).to_string().into_bytes()
}

/// Mostly near, sometimes far.
fn far(random: &mut ChaCha8Rng, near: i64, far: i64) -> Vec<u8> {
    let most = if random.random_bool(0.9) { near } else { far };
    integer(random, 0, most)
}

fn edge(random: &mut ChaCha8Rng) -> Vec<u8> {
    bytes(EDGES[random.random_range(0..EDGES.len())])
}

/// Something where anything may be.
pub(crate) fn hostile(command: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    loop {
        let argument = match random.random_range(0..4) {
            0 | 1 => edge(random),
            2 => value(random),
            _ => any_key(random),
        };
        // A bit far out makes a string of 256 MB.
        let far = command.to_ascii_uppercase().starts_with(b"SETBIT")
            || command.to_ascii_uppercase().starts_with(b"BITFIELD");
        if !(far && argument == b"2147483648") {
            return argument;
        }
    }
}

/// A word where none belongs.
pub(crate) fn stray_word(random: &mut ChaCha8Rng) -> Vec<u8> {
    bytes(WORDS[random.random_range(0..WORDS.len())])
}

fn value(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..12) {
        0..4 => number(random),
        4 | 5 => float(random),
        6 | 7 => edge(random),
        8 | 9 => (0..random.random_range(0..60))
            .map(|_| random.random())
            .collect(),
        10 => vec![b'y'; random.random_range(0..3000)],
        _ => element(random),
    }
}

fn number(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..10) {
        0..7 => integer(random, -100, 100),
        7 => integer(random, i64::MIN, i64::MAX),
        8 => integer(random, -100_000, 100_000),
        _ => edge(random),
    }
}

fn float(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..10) {
        0..5 => format!(
            "{}",
            f64::from(random.random_range(-10_000..10_000))
                / 10_f64.powi(random.random_range(0..6))
        )
        .into_bytes(),
        5 | 6 => format!(
            "{}e{}",
            random.random_range(-1000..1000),
            random.random_range(-20..20)
        )
        .into_bytes(),
        7 => number(random),
        _ => edge(random),
    }
}

fn index(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..12) {
        0..8 => integer(random, -5, 12),
        8 | 9 => integer(random, -150, 300),
        10 => integer(random, -2, 2),
        _ => edge(random),
    }
}

fn element(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..8) {
        0..5 => bytes(ELEMENTS[random.random_range(0..ELEMENTS.len())]),
        5 | 6 => integer(random, 0, 40),
        _ => vec![b'x'; random.random_range(60..70)],
    }
}

/// As many as bring a collection to where it becomes large; an even number of them, so that they may be pairs.
fn wide(random: &mut ChaCha8Rng, out: &mut Vec<Vec<u8>>) {
    let pairs = random.random_range(50..300);
    let first = random.random_range(0..300);
    out.extend((first..first + 2 * pairs).map(|number: u32| number.to_string().into_bytes()));
}

fn bitpos(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..8) {
        0 => format!("#{}", random.random_range(0..20)).into_bytes(),
        1 => bytes(
            [
                "x",
                "-1",
                "#-1",
                "#",
                "#9223372036854775807",
                "9223372036854775807",
            ][random.random_range(0..6)],
        ),
        _ => integer(random, 0, 200),
    }
}

fn score(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..12) {
        0..8 => (f64::from(random.random_range(-40..40)) / 4.0)
            .to_string()
            .into_bytes(),
        8 | 9 => float(random),
        10 => bytes(
            ["inf", "-inf", "+inf", "0", "-0", "1e3", "1e20", "0.1"][random.random_range(0..8)],
        ),
        _ => edge(random),
    }
}

fn lexend(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..8) {
        0..5 => [
            bytes(if random.random_bool(0.5) { "[" } else { "(" }),
            element(random),
        ]
        .concat(),
        5 | 6 => bytes(if random.random_bool(0.5) { "-" } else { "+" }),
        _ => element(random),
    }
}

fn id(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..12) {
        0..7 => format!(
            "{}-{}",
            random.random_range(0..30),
            random.random_range(0..4)
        )
        .into_bytes(),
        7 | 8 => integer(random, 0, 30),
        9 => bytes("0"),
        10 => bytes(
            [
                "0-0",
                "18446744073709551615-18446744073709551615",
                "5-",
                "-",
                "+",
                "(2-1",
                "1-1-1",
                "-5",
                "18446744073709551616-0",
            ][random.random_range(0..9)],
        ),
        _ => edge(random),
    }
}

fn idend(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..6) {
        0 | 1 => bytes("-"),
        2 => bytes("+"),
        3 => [bytes("("), id(random)].concat(),
        _ => id(random),
    }
}

fn coordinate(random: &mut ChaCha8Rng, most: f64) -> Vec<u8> {
    match random.random_range(0..12) {
        0..7 => random.random_range(13.0..16.0_f64).to_string().into_bytes(),
        7..11 => random.random_range(-most..most).to_string().into_bytes(),
        _ => score(random),
    }
}

fn size(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..10) {
        0..6 => 10_f64
            .powf(random.random_range(0.0..7.5))
            .to_string()
            .into_bytes(),
        6..9 => integer(random, 0, 25_000),
        _ => score(random),
    }
}

/// So far away that both servers agree about it, or past.
fn time(random: &mut ChaCha8Rng, far: &[&str]) -> Vec<u8> {
    match random.random_range(0..10) {
        0..7 => bytes(far[random.random_range(0..far.len())]),
        7 => bytes("-5"),
        8 => bytes("0"),
        _ => {
            let edge = edge(random);
            // Soon is neither.
            let soon = std::str::from_utf8(&edge)
                .ok()
                .and_then(|text| text.trim().parse::<i64>().ok());
            if soon.is_some_and(|soon| (1..10_000).contains(&soon)) {
                bytes("x")
            } else {
                edge
            }
        }
    }
}
