//! Sorted sets that are only on disk answer every command that looks at their order, or for places, as in memory, and are not loaded for it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::process::{Client, Server};

/// More than are loaded because somebody looks at some of them.
const MEMBERS: usize = 25_000;
/// So many members have the same score.
const PER_SCORE: usize = 10;
const COMMANDS: usize = 1300;

/// One set with scores, one whose members all have the same score, one of places.
fn fill(client: &mut Client) {
    for from in (0..MEMBERS).step_by(1000) {
        let (mut scored, mut equal) = (words("ZADD scored"), words("ZADD equal"));
        let mut places = words("GEOADD places");
        for number in from..from + 1000 {
            scored.extend([(number / PER_SCORE).to_string(), member(number)]);
            equal.extend(["0".to_owned(), member(number)]);
            let (longitude, latitude) = place(number);
            places.extend([longitude, latitude, member(number)]);
        }
        for command in [scored, equal, places] {
            assert_eq!(text(client, &command), "Integer(1000)");
        }
    }
}

/// In no order that numbers have.
fn member(number: usize) -> String {
    format!("m{}", number * 7919 % MEMBERS)
}

/// Every second one on a grid of one degree, the others in a part of it.
fn place(number: usize) -> (String, String) {
    let (column, row) = (number * 131 % 360, number * 37 % 171);
    let (longitude, latitude) = (column as f64 - 180.0, row as f64 - 85.0);
    if number.is_multiple_of(2) {
        return (longitude.to_string(), latitude.to_string());
    }
    let (east, north) = (longitude / 90.0 + 13.0, latitude / 90.0 + 38.0);
    (format!("{east:.6}"), format!("{north:.6}"))
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn text(client: &mut Client, command: &[String]) -> String {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let reply = client.call(&command).expect("a reply");
    format!("{reply:?}")
}

/// A number that is most often near one end or the other, counted from there.
fn rank(random: &mut ChaCha8Rng) -> i64 {
    let near = if random.random_bool(0.8) { 30 } else { 2000 };
    random.random_range(-near..near)
}

fn score_end(random: &mut ChaCha8Rng, from: usize) -> (String, String) {
    let to = from + random.random_range(0..200);
    let open = |random: &mut ChaCha8Rng| if random.random_bool(0.3) { "(" } else { "" };
    let (min, max) = (open(random), open(random));
    (format!("{min}{from}"), format!("{max}{to}"))
}

fn member_ends(random: &mut ChaCha8Rng) -> (String, String) {
    // Members that begin like one of the first ten are thousands.
    let number = random.random_range(10..MEMBERS);
    let bracket = |random: &mut ChaCha8Rng| if random.random_bool(0.5) { "(" } else { "[" };
    let (min, max) = (bracket(random), bracket(random));
    let ends = (format!("{min}m{number}"), format!("{max}m{number}~"));
    match random.random_range(0..10) {
        0 => ("-".to_owned(), format!("{max}m1000")),
        1 => (format!("{min}m999"), "+".to_owned()),
        2 => ("+".to_owned(), "-".to_owned()),
        _ => ends,
    }
}

fn limit(random: &mut ChaCha8Rng) -> String {
    match random.random_bool(0.6) {
        true => {
            let (offset, count) = (random.random_range(-1..20), random.random_range(-1..20));
            format!(" LIMIT {offset} {count}")
        }
        false => String::new(),
    }
}

fn search(random: &mut ChaCha8Rng) -> String {
    let number = random.random_range(0..MEMBERS + 10);
    // So that no more are found than a part may have.
    let largest = if number.is_multiple_of(2) { 300 } else { 30 };
    let size = random.random_range(1..largest);
    let (longitude, latitude) = place(number);
    let one = member(number);
    let options = [
        "",
        " ASC",
        " DESC COUNT 5",
        " COUNT 3 ANY",
        " WITHDIST ASC",
        " WITHCOORD WITHHASH",
        " COUNT 0",
        " NONSENSE",
    ];
    let options = options[random.random_range(0..options.len())];
    match random.random_range(0..9) {
        0 => format!("GEOSEARCH places FROMMEMBER {one} BYRADIUS {size} km{options}"),
        1 => format!("GEOSEARCH places FROMMEMBER {one} BYBOX {size} {size} mi{options}"),
        2 => format!(
            "GEOSEARCH places FROMLONLAT {longitude} {latitude} BYRADIUS {size} km{options}"
        ),
        3 => format!("GEORADIUS places {longitude} {latitude} {size} km{options}"),
        4 => format!("GEORADIUSBYMEMBER places {one} {size} km{options}"),
        5 => format!("GEORADIUSBYMEMBER_RO places {one} {size}000 ft{options}"),
        6 => format!("GEORADIUS_RO places {longitude} {latitude} 0 m{options}"),
        7 => format!(
            "GEOADD places {longitude} {latitude} {}",
            member(number / 3)
        ),
        _ => format!("ZREM places {one}"),
    }
}

fn command(random: &mut ChaCha8Rng) -> String {
    if random.random_bool(0.25) {
        return search(random);
    }
    let from = random.random_range(0..MEMBERS / PER_SCORE);
    let (min, max) = score_end(random, from);
    let (low, high) = member_ends(random);
    let (start, stop) = match rank(random) {
        start @ ..-40 => (start, start + random.random_range(0..30)),
        start => (start, start.abs() + random.random_range(0..30)),
    };
    // Counted from the same end, so that not nearly all are asked for.
    let stop = if start < 0 && stop >= 0 { -1 } else { stop };
    let number = random.random_range(0..MEMBERS + 10);
    let one = member(number);
    let (limit, count) = (limit(random), random.random_range(0..5));
    let scores = if random.random_bool(0.5) {
        " WITHSCORES"
    } else {
        ""
    };
    match random.random_range(0..29) {
        0 => format!("ZRANGE scored {start} {stop}{scores}"),
        1 => format!("ZRANGE scored {start} {stop} REV{scores}"),
        2 => format!("ZREVRANGE scored {start} {stop}{scores}"),
        3 => format!("ZRANGE scored {min} {max} BYSCORE{limit}{scores}"),
        4 => format!("ZRANGE scored {max} {min} BYSCORE REV{limit}{scores}"),
        5 => format!("ZRANGEBYSCORE scored {min} {max}{scores}{limit}"),
        6 => format!("ZREVRANGEBYSCORE scored {max} {min}{scores}{limit}"),
        7 => format!("ZRANGEBYSCORE scored -inf +inf{scores} LIMIT {count} 10"),
        8 => format!("ZREVRANGEBYSCORE scored +inf -inf LIMIT {count} 10"),
        9 => format!("ZRANGEBYLEX equal {low} {high}{limit}"),
        10 => format!("ZREVRANGEBYLEX equal {high} {low}{limit}"),
        11 => format!("ZRANGE equal {low} {high} BYLEX{limit}"),
        12 => format!("ZLEXCOUNT equal {low} {high}"),
        13 => format!("ZCOUNT scored {min} {max}"),
        14 => format!("ZRANK scored {one}"),
        15 => format!("ZREVRANK scored {one} WITHSCORE"),
        16 => format!("ZRANK equal {one}"),
        17 => format!("ZPOPMIN scored {count}"),
        18 => format!("ZPOPMAX scored {count}"),
        19 => format!("ZMPOP 2 absent scored MAX COUNT {}", count + 1),
        20 => "ZPOPMIN equal".to_owned(),
        21 => format!("ZREMRANGEBYRANK scored {count} {}", count + 2),
        22 => format!("ZREMRANGEBYSCORE scored ({from} {}", from + 2),
        23 => format!("ZREMRANGEBYLEX equal [m{0} [m{0}~", number + 10),
        24 => format!("ZREM scored {one} {}", member(number / 2)),
        25 => format!(
            "ZADD scored CH {} {one} -5 {}",
            from + 1,
            member(number / 3)
        ),
        26 => format!("ZINCRBY scored -7.5 {one}"),
        27 => format!("ZADD equal 0 {one}"),
        _ => format!("ZADD scored NX {from} {one}"),
    }
}

#[test]
fn the_order_of_a_sorted_set_on_disk_is_that_in_memory() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    // So little that the sets do not come back however much they are used.
    let [hot, cold] = ["0", "20mb"]
        .map(|maxmemory| ["--enable-debug-command", "local", "--maxmemory", maxmemory]);
    let (hot, cold) = (
        Server::start(dirs[0].path(), &hot),
        Server::start(dirs[1].path(), &cold),
    );
    let (mut hot, mut cold) = (hot.client(), cold.client());
    fill(&mut hot);
    fill(&mut cold);
    let loaded_before = {
        assert_eq!(cold.text(&["DEBUG", "RELOAD"]), "OK");
        cold.info("stats", "objects_loaded")
    };
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for nth in 0..COMMANDS {
        let command = words(&command(&mut random));
        if nth % 50 == 49 {
            assert_eq!(cold.text(&["DEBUG", "RELOAD"]), "OK");
        }
        let replies = [&mut hot, &mut cold].map(|client| text(client, &command));
        assert_eq!(replies[0], replies[1], "{command:?}, the {nth}th");
    }
    for stored in [
        "ZRANGESTORE first scored 0 49",
        "ZRANGESTORE last scored 0 49 REV",
        "ZRANGESTORE some scored (700 730 BYSCORE LIMIT 5 99",
        "GEOSEARCHSTORE near places FROMLONLAT 13 38 BYRADIUS 20 km ASC COUNT 300",
        "GEORADIUS places 13.1 38.1 15 km STOREDIST far",
        "ZUNIONSTORE places 2 near far",
    ] {
        let replies = [&mut hot, &mut cold].map(|client| text(client, &words(stored)));
        assert_eq!(replies[0], replies[1], "{stored}");
    }
    assert_eq!(
        cold.info("stats", "objects_loaded"),
        loaded_before,
        "no whole set was loaded"
    );
    for key in ["scored", "equal", "places", "first", "last", "some"] {
        for from in (0..MEMBERS).step_by(500) {
            let some = words(&format!("ZRANGE {key} {from} {} WITHSCORES", from + 499));
            let contents = [&mut hot, &mut cold].map(|client| text(client, &some));
            assert_eq!(contents[0], contents[1], "{key}");
        }
    }
}
