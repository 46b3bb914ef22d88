//! Sorted sets that are only on disk answer every command that looks at their order as in memory, and are not loaded for it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::process::{Client, Server};

/// More than are loaded because somebody looks at some of them.
const MEMBERS: usize = 25_000;
/// So many members have the same score.
const PER_SCORE: usize = 10;
const COMMANDS: usize = 1000;

/// One set with scores, one whose members all have the same score.
fn fill(client: &mut Client) {
    for from in (0..MEMBERS).step_by(1000) {
        let (mut scored, mut equal) = (words("ZADD scored"), words("ZADD equal"));
        for number in from..from + 1000 {
            scored.extend([(number / PER_SCORE).to_string(), member(number)]);
            equal.extend(["0".to_owned(), member(number)]);
        }
        for command in [scored, equal] {
            assert_eq!(text(client, &command), "Integer(1000)");
        }
    }
}

/// In no order that numbers have.
fn member(number: usize) -> String {
    format!("m{}", number * 7919 % MEMBERS)
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

fn command(random: &mut ChaCha8Rng) -> String {
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
    ] {
        let replies = [&mut hot, &mut cold].map(|client| text(client, &words(stored)));
        assert_eq!(replies[0], replies[1], "{stored}");
    }
    assert_eq!(
        cold.info("stats", "objects_loaded"),
        loaded_before,
        "no whole set was loaded"
    );
    for key in ["scored", "equal", "first", "last", "some"] {
        for from in (0..MEMBERS).step_by(500) {
            let some = words(&format!("ZRANGE {key} {from} {} WITHSCORES", from + 499));
            let contents = [&mut hot, &mut cold].map(|client| text(client, &some));
            assert_eq!(contents[0], contents[1], "{key}");
        }
    }
}
