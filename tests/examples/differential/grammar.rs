//! What commands look like: a table of templates, and the commands that are drawn from it.
//!
//! A template is words: upper case stands for itself, lower case for a kind of argument (see `arguments`). `[…]` may be left out,
//! `(…|…)` is one of several, a `+` after either or after a word repeats it, one to five times.
//!
//! Not here, because redis-server 7.0, which we compare with, does not know them or answers by chance or by the clock: fields of
//! hashes that expire, ZRANK with WITHSCORE, MEMORY USAGE, OBJECT FREQ and IDLETIME, XADD with `*` for the time,
//! XINFO STREAM FULL, SPOP and draws of which there is a choice (a count that draws all is here), RANDOMKEY, SORT with
//! BY and ALPHA (equal weights come in any order), STOREDIST (the last digit is the mathematical library's), XSETID (7.2 checks
//! more). Golden scripts and models hold those.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::arguments::{self, Arguments};

/// A command: its name and its arguments.
pub(crate) type Command = Vec<Vec<u8>>;

/// A family of commands with its templates.
pub(crate) type Family = (&'static str, &'static [&'static str]);

/// Every template. One of the first family, over all types, is in every round.
pub(crate) const FAMILIES: &[Family] = &[
    (
        "keys",
        &[
            "DEL k+",
            "UNLINK k+",
            "EXISTS k+",
            "TYPE k",
            "TOUCH k+",
            "RENAME k k",
            "RENAMENX k k",
            "PERSIST k",
            "COPY k k [DB db] [REPLACE]",
            "MOVE k db",
            "SWAPDB db db",
            "SELECT db",
            "DBSIZE",
            "KEYS pattern",
            "EXPIRE k rel [(NX|XX|x)]",
            "PEXPIRE k rel [(NX|XX)+]",
            "EXPIREAT k at [(NX|XX|GT|LT)]",
            "PEXPIREAT k atms [(NX|XX|GT|LT)]",
            "TTL k",
            "PTTL k",
            "EXPIRETIME k",
            "PEXPIRETIME k",
            "OBJECT ENCODING k",
            "DUMP k",
            "DUMP k",
            "RESTORE k ttl payload [REPLACE] [ABSTTL] [(IDLETIME index|FREQ index)]",
            "RESTORE k ZERO payload REPLACE",
            "SCAN ZERO COUNT huge [MATCH pattern] [TYPE type]",
            "SCAN cursor COUNT huge",
            "SORT kn [(ASC|DESC)] [LIMIT index index] [ALPHA] [GET getpattern]+ [STORE k]",
            "SORT kn [BY getpattern] [LIMIT index index] [GET getpattern] [STORE k]",
            "SORT kn ALPHA [DESC] [LIMIT index index]",
            "SORT_RO kn [ALPHA] [LIMIT index index] [GET getpattern]",
            "FLUSHDB [(SYNC|ASYNC|x)]",
            "NOSUCH v+",
            "DEL k v",
            "TYPE v",
            "OBJECT v k",
        ],
    ),
    (
        "strings",
        &[
            "SET ks v [(NX|XX)] [GET] [(EX rel|PX rel|EXAT at|PXAT atms|KEEPTTL)]",
            "SET ks v",
            "SET ks number",
            "SETNX ks v",
            "SETEX ks rel v",
            "PSETEX ks rel v",
            "GET ks",
            "GETSET ks v",
            "GETDEL ks",
            "GETEX ks [(EX rel|PX rel|EXAT at|PXAT atms|PERSIST)]",
            "MGET k+",
            "MSET (ks v)+",
            "MSETNX (ks v)+",
            "APPEND ks v",
            "STRLEN ks",
            "INCR ks",
            "DECR ks",
            "INCRBY ks number",
            "DECRBY ks number",
            "INCRBYFLOAT ks float",
            "INCRBYFLOAT ks float",
            "GETRANGE ks index index",
            "SUBSTR ks index index",
            "SETRANGE ks offset v",
            "LCS ks ks [(LEN|IDX)] [MINMATCHLEN index] [WITHMATCHLEN]",
            "OBJECT ENCODING ks",
            "SET ks float",
            "STRLEN k",
            "MSET k+",
        ],
    ),
    (
        "bitmaps",
        &[
            "SETBIT ks bit (ONE|ZERO|index)",
            "SETBIT ks bit ONE",
            "GETBIT ks bit",
            "BITCOUNT ks",
            "BITCOUNT ks index index [(BYTE|BIT|x)]",
            "BITPOS ks (ONE|ZERO|index) [index]",
            "BITPOS ks (ONE|ZERO) index index [(BYTE|BIT)]",
            "BITOP (AND|OR|XOR) ks ks+",
            "BITOP NOT ks ks+",
            "BITFIELD ks (GET width bitpos|SET width bitpos number|INCRBY width bitpos number|OVERFLOW (WRAP|SAT|FAIL|x))+",
            "BITFIELD ks OVERFLOW (SAT|FAIL|WRAP) INCRBY width bitpos number SET width bitpos number",
            "BITFIELD_RO ks (GET width bitpos)+",
            "SET ks v",
            "GET ks",
            "SETRANGE ks offset v",
        ],
    ),
    (
        "hyperloglogs",
        &[
            "PFADD kp e+",
            "PFADD kp wide",
            "PFADD kp",
            "PFMERGE kp kp+",
            "PFCOUNT kp",
            "PFCOUNT kp kp+",
            "GET kp",
            "STRLEN kp",
            "SET kp v",
        ],
    ),
    (
        "lists",
        &[
            "LPUSH kl e+",
            "RPUSH kl e+",
            "LPUSHX kl e+",
            "RPUSHX kl e+",
            "RPUSH kl wide",
            "RPUSH kl long",
            "LPOP kl [index]",
            "RPOP kl [index]",
            "LMPOP few kl kl (LEFT|RIGHT) [COUNT index]",
            "LMPOP ONE kl (LEFT|RIGHT) [COUNT index]",
            "LLEN kl",
            "LRANGE kl index index",
            "LINDEX kl index",
            "LSET kl index e",
            "LINSERT kl (BEFORE|AFTER|x) e e",
            "LREM kl index e",
            "LTRIM kl index index",
            "LPOS kl e [RANK index] [COUNT index] [MAXLEN index]",
            "LMOVE kl kl (LEFT|RIGHT) (LEFT|RIGHT)",
            "RPOPLPUSH kl kl",
            "OBJECT ENCODING kl",
        ],
    ),
    (
        "hashes",
        &[
            "HSET kh (e e)+",
            "HSET kh (e v)+",
            "HSET kh wide",
            "HSET kh e long",
            "HMSET kh (e v)+",
            "HSETNX kh e v",
            "HGET kh e",
            "HMGET kh e+",
            "HGETALL kh",
            "HDEL kh e+",
            "HDEL kh wide",
            "HEXISTS kh e",
            "HLEN kh",
            "HSTRLEN kh e",
            "HKEYS kh",
            "HVALS kh",
            "HINCRBY kh e number",
            "HINCRBYFLOAT kh e float",
            "HRANDFIELD kh all [WITHVALUES]",
            "HSCAN kh cursor COUNT huge [MATCH pattern]",
            "HSCAN kh ZERO",
            "OBJECT ENCODING kh",
        ],
    ),
    (
        "sets",
        &[
            "SADD kset e+",
            "SADD kset number+",
            "SADD kset wide",
            "SADD kset long",
            "SREM kset e+",
            "SREM kset wide",
            "SMEMBERS kset",
            "SCARD kset",
            "SISMEMBER kset e",
            "SMISMEMBER kset e+",
            "SMOVE kset kset e",
            "SINTER kset+",
            "SUNION kset+",
            "SDIFF kset+",
            "SINTERSTORE kset kset+",
            "SUNIONSTORE kset kset+",
            "SDIFFSTORE kset kset+",
            "SINTERCARD few kset kset [LIMIT index]",
            "SINTERCARD ONE kset [LIMIT index]",
            "SPOP kset all",
            "SRANDMEMBER kset all",
            "SSCAN kset cursor COUNT huge [MATCH pattern]",
            "SSCAN kset ZERO",
            "OBJECT ENCODING kset",
        ],
    ),
    (
        "sorted sets",
        &[
            "ZADD kz (score e)+",
            "ZADD kz [(NX|XX)] [(GT|LT)] [CH] [INCR] (score e)+",
            "ZADD kz [NX] [XX] [GT] [LT] score e",
            "ZADD kz wide",
            "ZADD kz score long",
            "ZADD lex ZERO e",
            "ZADD lex ZERO e ZERO e ZERO e",
            "ZINCRBY kz score e",
            "ZREM kz e+",
            "ZREM lex e",
            "ZCARD kz",
            "ZSCORE kz e",
            "ZMSCORE kz e+",
            "ZRANK kz e",
            "ZREVRANK kz e",
            "ZCOUNT kz scoreend scoreend",
            "ZLEXCOUNT lex lexend lexend",
            "ZRANGE kz index index [REV] [WITHSCORES]",
            "ZRANGE kz scoreend scoreend BYSCORE [REV] [LIMIT index index] [WITHSCORES]",
            "ZRANGE lex lexend lexend BYLEX [REV] [LIMIT index index]",
            "ZRANGESTORE kz kz index index [REV]",
            "ZRANGESTORE kz kz scoreend scoreend BYSCORE [REV] [LIMIT index index]",
            "ZRANGEBYSCORE kz scoreend scoreend [WITHSCORES] [LIMIT index index]",
            "ZREVRANGEBYSCORE kz scoreend scoreend [WITHSCORES] [LIMIT index index]",
            "ZRANGEBYLEX lex lexend lexend [LIMIT index index]",
            "ZREVRANGEBYLEX lex lexend lexend [LIMIT index index]",
            "ZREVRANGE kz index index [WITHSCORES]",
            "ZREMRANGEBYRANK kz index index",
            "ZREMRANGEBYSCORE kz scoreend scoreend",
            "ZREMRANGEBYLEX lex lexend lexend",
            "ZPOPMIN kz [index]",
            "ZPOPMAX kz [index]",
            "ZMPOP few kz kz (MIN|MAX) [COUNT index]",
            "ZMPOP ONE kz (MIN|MAX) [COUNT index]",
            "ZRANDMEMBER kz all [WITHSCORES]",
            "(ZUNION|ZINTER) TWO ka ka [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX|x)] [WITHSCORES]",
            "ZUNION few ka ka [WITHSCORES]",
            "ZDIFF TWO ka ka [WITHSCORES]",
            "(ZUNIONSTORE|ZINTERSTORE) kz TWO ka ka [WEIGHTS score score] [AGGREGATE (SUM|MIN|MAX)]",
            "ZDIFFSTORE kz TWO ka ka",
            "ZINTERCARD TWO ka ka [LIMIT index]",
            "ZSCAN kz cursor COUNT huge [MATCH pattern]",
            "OBJECT ENCODING kz",
        ],
    ),
    (
        "streams",
        &[
            "XADD kx next (e e)+",
            "XADD kx next (e v)+",
            "XADD kx next e long",
            "XADD kx id (e e)+",
            "XADD kx [NOMKSTREAM] [(MAXLEN|MINID) [(=|~)] index [LIMIT index]] next e e",
            "XADD kx MINID [(=|~)] id next e e",
            "XLEN kx",
            "XRANGE kx idend idend [COUNT index]",
            "XREVRANGE kx idend idend [COUNT index]",
            "XREAD [COUNT index] STREAMS kx id",
            "XREAD [COUNT index] STREAMS kx kx id id",
            "XDEL kx id+",
            "XTRIM kx MAXLEN [(=|~)] index [LIMIT index]",
            "XTRIM kx MINID [(=|~)] id [LIMIT index]",
            "XGROUP CREATE kx group (id|$) [MKSTREAM] [ENTRIESREAD index]",
            "XGROUP SETID kx group (id|$) [ENTRIESREAD index]",
            "XGROUP DESTROY kx group",
            "XGROUP CREATECONSUMER kx group consumer",
            "XGROUP DELCONSUMER kx group consumer",
            "XREADGROUP GROUP group consumer [COUNT index] [NOACK] STREAMS kx >",
            "XREADGROUP GROUP group consumer [COUNT index] [NOACK] STREAMS kx id",
            "XREADGROUP GROUP group consumer STREAMS kx kx > >",
            "XACK kx group id+",
            "XPENDING kx group",
            "XPENDING kx group idend idend index [consumer]",
            "XPENDING kx group IDLE ZERO idend idend index [consumer]",
            "XCLAIM kx group consumer ZERO id+ [FORCE] [JUSTID] [IDLE index] [TIME at] [RETRYCOUNT index] [LASTID id]",
            "XAUTOCLAIM kx group consumer ZERO idend [COUNT index] [JUSTID]",
            "XINFO STREAM kx",
            "XINFO GROUPS kx",
            "XINFO CONSUMERS kx group",
        ],
    ),
    (
        "places",
        &[
            "GEOADD kg [(NX|XX)] [CH] (lon lat e)+",
            "GEOADD kg (lon lat e)+",
            "GEOPOS kg e+",
            "GEOPOS kg",
            "GEODIST kg e e [unit]",
            "GEOHASH kg e+",
            "GEOSEARCH kg (FROMLONLAT lon lat|FROMMEMBER e) (BYRADIUS size unit|BYBOX size size unit) [(ASC|DESC)] [COUNT index [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
            "GEOSEARCHSTORE kz kg (FROMLONLAT lon lat|FROMMEMBER e) (BYRADIUS size unit|BYBOX size size unit) [(ASC|DESC)] [COUNT index [ANY]]",
            "GEORADIUS kg lon lat size unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT index [ANY]] [(ASC|DESC)] [STORE kz]",
            "GEORADIUS_RO kg lon lat size unit [WITHCOORD] [WITHDIST] [COUNT index] [(ASC|DESC)]",
            "GEORADIUSBYMEMBER kg e size unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT index] [(ASC|DESC)] [STORE kz]",
            "GEORADIUSBYMEMBER_RO kg e size unit [WITHDIST] [COUNT index [ANY]]",
            "ZRANGE kg ZERO huge WITHSCORES",
        ],
    ),
];

/// Words that stand for numbers, because a template's words are in upper case.
const NUMBERS: &[(&str, &str)] = &[("ZERO", "0"), ("ONE", "1"), ("TWO", "2")];

/// Most repetitions of what a `+` follows.
const MAX_REPETITIONS: u32 = 5;

/// A command of more is one of a whole collection.
const MANY_ARGUMENTS: usize = 50;

/// A template, parsed.
enum Part {
    Word(&'static str),
    Kind(&'static str),
    Optional(Vec<Part>),
    OneOf(Vec<Vec<Part>>),
    Repeated(Box<Part>),
}

/// All templates of a family, parsed.
pub(crate) struct Grammar {
    families: Vec<(&'static str, Vec<Vec<Part>>)>,
}

impl Grammar {
    /// # Panics
    /// When the table is wrong.
    pub(crate) fn new() -> Self {
        let parse = |template: &&'static str| {
            let mut rest = *template;
            let parts = parse_parts(&mut rest);
            assert!(rest.is_empty(), "{template}: {rest} is left");
            parts
        };
        let families = FAMILIES
            .iter()
            .map(|(name, templates)| (*name, templates.iter().map(parse).collect()));
        Self {
            families: families.collect(),
        }
    }

    /// The number of families.
    pub(crate) fn len(&self) -> usize {
        self.families.len()
    }

    /// The place of the family of this name.
    pub(crate) fn family(&self, name: &str) -> Option<usize> {
        self.families.iter().position(|(of, _)| *of == name)
    }

    /// A command of a family, sometimes spoilt.
    pub(crate) fn command(
        &self,
        family: usize,
        arguments: &mut Arguments,
        random: &mut ChaCha8Rng,
    ) -> Command {
        let (_, templates) = &self.families[family];
        let template = &templates[random.random_range(0..templates.len())];
        let mut command = Vec::new();
        expand(template, arguments, random, &mut command);
        spoil(&mut command, random);
        tame(&mut command);
        command
    }
}

fn parse_parts(rest: &mut &'static str) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        *rest = rest.trim_start_matches(' ');
        let part = match rest.as_bytes().first() {
            None | Some(b']' | b')' | b'|') => return parts,
            Some(b'[') => {
                *rest = &rest[1..];
                let inner = parse_parts(rest);
                expect(rest, ']');
                Part::Optional(inner)
            }
            Some(b'(') => {
                let mut choices = Vec::new();
                while rest.starts_with(['(', '|']) {
                    *rest = &rest[1..];
                    choices.push(parse_parts(rest));
                }
                expect(rest, ')');
                Part::OneOf(choices)
            }
            Some(_) => {
                let end = rest
                    .find([' ', '[', ']', '(', ')', '|', '+'])
                    .unwrap_or(rest.len());
                let word = &rest[..end];
                *rest = &rest[end..];
                match word.bytes().all(|byte| byte.is_ascii_lowercase()) && word != "x" {
                    true => Part::Kind(word),
                    false => Part::Word(word),
                }
            }
        };
        let repeated = rest.starts_with('+');
        *rest = rest.strip_prefix('+').unwrap_or(rest);
        parts.push(if repeated {
            Part::Repeated(Box::new(part))
        } else {
            part
        });
    }
}

fn expect(rest: &mut &'static str, close: char) {
    *rest = rest
        .strip_prefix(close)
        .unwrap_or_else(|| panic!("{close} is missing before {rest}"));
}

fn expand(parts: &[Part], arguments: &mut Arguments, random: &mut ChaCha8Rng, out: &mut Command) {
    for part in parts {
        expand_part(part, arguments, random, out);
    }
}

fn expand_part(part: &Part, arguments: &mut Arguments, random: &mut ChaCha8Rng, out: &mut Command) {
    match part {
        Part::Word(word) => {
            let number = NUMBERS
                .iter()
                .find(|(name, _)| name == word)
                .map(|(_, digits)| *digits);
            out.push(number.unwrap_or(word).as_bytes().to_vec());
        }
        Part::Kind(kind) => arguments.draw(kind, random, out),
        Part::Optional(parts) if random.random_bool(0.4) => expand(parts, arguments, random, out),
        Part::Optional(_) => {}
        Part::OneOf(choices) => {
            let choice = &choices[random.random_range(0..choices.len())];
            expand(choice, arguments, random, out);
        }
        Part::Repeated(part) => {
            for _ in 0..random.random_range(1..=MAX_REPETITIONS) {
                expand_part(part, arguments, random, out);
            }
        }
    }
}

/// Makes one command in eight wrong, or at least strange: arguments lost, doubled, exchanged, or anything.
fn spoil(command: &mut Command, random: &mut ChaCha8Rng) {
    if random.random_bool(0.1) {
        command[0].make_ascii_lowercase();
    }
    if !random.random_bool(0.125) || command.len() < 2 {
        return;
    }
    let at = random.random_range(1..command.len());
    match random.random_range(0..6) {
        0 => drop(command.remove(at)),
        1 => command.insert(at, command[at].clone()),
        2 => {
            let next = 1 + at % (command.len() - 1);
            command.swap(at, next);
        }
        3 => command.insert(at, arguments::stray_word(random)),
        4 => command[at].make_ascii_lowercase(),
        _ => command[at] = arguments::hostile(&command[0], random),
    }
}

/// What would be answered by chance or by the clock, or never end.
fn tame(command: &mut Command) {
    let name = command[0].to_ascii_uppercase();
    tame_times(&name, command);
    let number = command
        .get(2)
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| text.parse::<i64>().ok());
    match name.as_slice() {
        b"SPOP"
            if command.len() == 2 || number.is_some_and(|count| (1..100_000).contains(&count)) =>
        {
            command.truncate(2);
            command.push(b"0".to_vec());
        }
        b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER"
            if number.is_some_and(|count| count < 0) =>
        {
            command[2] = b"-7".to_vec()
        }
        // Ranges by member mean something where all scores are equal, and nowhere else.
        b"ZADD" if command.get(1).is_some_and(|key| key == b"lex") => {
            for score in command.iter_mut().skip(2).step_by(2) {
                *score = b"0".to_vec();
            }
        }
        b"ZINCRBY" | b"GEOADD" if command.get(1).is_some_and(|key| key == b"lex") => {
            command[1] = b"z1".to_vec()
        }
        b"ZRANGE"
            if command
                .iter()
                .any(|word| word.eq_ignore_ascii_case(b"BYLEX")) =>
        {
            command[1] = b"lex".to_vec()
        }
        b"ZRANGEBYLEX" | b"ZREVRANGEBYLEX" | b"ZLEXCOUNT" | b"ZREMRANGEBYLEX"
            if command.len() > 1 =>
        {
            command[1] = b"lex".to_vec()
        }
        b"ZRANGESTORE" => command.retain(|word| !word.eq_ignore_ascii_case(b"BYLEX")),
        // A cursor that no step gave leads somewhere else on each.
        b"SCAN" => tame_cursor(&mut command[1..]),
        b"HSCAN" | b"SSCAN" | b"ZSCAN" if command.len() > 2 => tame_cursor(&mut command[2..]),
        // Of many members at once Redis 7.2 makes a large set at once, which keeps the sign of a zero.
        b"ZADD" if command.len() > MANY_ARGUMENTS => {
            for score in command.iter_mut().filter(|score| *score == b"-0") {
                *score = b"0".to_vec();
            }
        }
        // Of two relative times the later is that of the server that was asked later.
        b"EXPIRE" | b"PEXPIRE" => {
            command.retain(|word| {
                !word.eq_ignore_ascii_case(b"GT") && !word.eq_ignore_ascii_case(b"LT")
            });
        }
        // Redis 7.2 refuses the least integer, of which 7.0 takes the magnitude.
        b"LREM"
            if command
                .get(2)
                .is_some_and(|count| count == b"-9223372036854775808") =>
        {
            command[2] = b"-1".to_vec()
        }
        b"XADD" => {
            for argument in command.iter_mut().skip(2) {
                if argument == b"*" {
                    *argument = b"star".to_vec();
                }
            }
        }
        b"SORT" | b"SORT_RO" if command.iter().any(|word| word.eq_ignore_ascii_case(b"BY")) => {
            command.retain(|word| {
                !word.eq_ignore_ascii_case(b"ALPHA") && !word.eq_ignore_ascii_case(b"STORE")
            });
        }
        // Redis refuses to sort numbers by chance: after any command that read a number out of range.
        b"SORT"
            if command
                .iter()
                .any(|word| word.eq_ignore_ascii_case(b"STORE")) =>
        {
            command.insert(2, b"ALPHA".to_vec());
        }
        _ => {}
    }
}

/// Relative times may have come to where a time is from elsewhere: soon, a key would expire while the other server is asked.
fn tame_times(name: &[u8], command: &mut Command) {
    let is_time = |at: usize| match name {
        b"SETEX" | b"PSETEX" | b"EXPIRE" | b"PEXPIRE" | b"RESTORE" => at == 2,
        b"SET" | b"GETEX" => {
            let before = command.get(at.wrapping_sub(1));
            before.is_some_and(|word| {
                word.eq_ignore_ascii_case(b"EX") || word.eq_ignore_ascii_case(b"PX")
            })
        }
        _ => false,
    };
    let is_soon = |word: &Vec<u8>| {
        let text = String::from_utf8_lossy(word);
        let number = text.parse::<i64>();
        number.is_ok_and(|number| (1..10_000).contains(&number))
    };
    let soon = (1..command.len()).filter(|&at| is_time(at) && is_soon(&command[at]));
    for at in soon.collect::<Vec<usize>>() {
        command[at] = b"x".to_vec();
    }
}

fn tame_cursor(arguments: &mut [Vec<u8>]) {
    if let Some(cursor) = arguments.first_mut() {
        let text = String::from_utf8_lossy(cursor).into_owned();
        if text.parse::<i128>().is_ok_and(|number| number != 0) {
            *cursor = b"0".to_vec();
        }
    }
}
