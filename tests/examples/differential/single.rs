//! One node: rounds of random commands, sent in pipelines; a sequence that shows a difference is made as short as it can be.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tests::process::{Client, Server};

use crate::arguments::Arguments;
use crate::compare::{same, show};
use crate::grammar::{Command, Grammar};
use crate::servers::{Redis, call, run};
use crate::{Done, Options, state, text};

/// Commands that are sent at once.
const PIPELINE: usize = 40;

/// Pipelines of one round; a round begins with an empty data set.
const PIPELINES: usize = 10;

/// Longest time that making a sequence shorter may take.
const MINIMISING: Duration = Duration::from_secs(20);

/// Both servers, and how they are asked in this round.
struct Pair<'a> {
    ours: &'a Server,
    redis: &'a Redis,
    protocol: &'static [u8],
}

/// Where a sequence first shows a difference.
struct Difference {
    /// Commands up to it.
    after: usize,
    text: String,
    /// Differences of one kind have the same.
    kind: String,
}

impl Pair<'_> {
    fn connect(&self) -> io::Result<(Client, Client)> {
        let mut pair = (
            Client::connect(self.ours.port())?,
            Client::connect(self.redis.port)?,
        );
        for client in [&mut pair.0, &mut pair.1] {
            call(client, &[b"FLUSHALL"])?;
            call(client, &[b"HELLO", self.protocol])?;
        }
        Ok(pair)
    }

    /// Runs these on both; the replies of redis-server, or what differs.
    fn compare(
        &self,
        clients: &mut (Client, Client),
        commands: &[Command],
    ) -> Result<Vec<resp::Frame>, Difference> {
        let lost = |name: &str, error: io::Error| Difference {
            after: commands.len(),
            text: format!("{name}: the connection is lost: {error}"),
            kind: "connection".to_owned(),
        };
        let theirs = run(&mut clients.1, commands).map_err(|error| lost("redis", error))?;
        let ours = run(&mut clients.0, commands).map_err(|error| lost("ours", error))?;
        for (at, command) in commands.iter().enumerate() {
            if !same(command, &ours[at], &theirs[at]) {
                return Err(Difference {
                    after: at + 1,
                    text: format!(
                        "{}\n  ours:  {}\n  redis: {}",
                        text(command),
                        show(&ours[at]),
                        show(&theirs[at])
                    ),
                    kind: format!(
                        "{} {} {}",
                        text(&command[..1].to_vec()).to_uppercase(),
                        ours[at].is_error(),
                        theirs[at].is_error()
                    ),
                });
            }
        }
        Ok(theirs)
    }

    fn compare_state(
        &self,
        clients: &mut (Client, Client),
        after: usize,
    ) -> Result<(), Difference> {
        let difference = |text: String| Difference {
            after,
            kind: format!(
                "state {}",
                text.split(' ').take(6).collect::<Vec<_>>().join(" ")
            ),
            text,
        };
        match state::difference(&mut clients.0, &mut clients.1) {
            Ok(None) => Ok(()),
            Ok(Some(text)) => Err(difference(text)),
            Err(error) => Err(difference(format!("while states were compared: {error}"))),
        }
    }

    /// All of it again, from nothing.
    fn replay(&self, commands: &[Command]) -> Option<Difference> {
        let mut clients = self.connect().ok()?;
        let compared = self.compare(&mut clients, commands).map(drop);
        compared
            .and_then(|()| self.compare_state(&mut clients, commands.len()))
            .err()
    }

    /// Leaves out whatever is not needed for a difference of the same kind.
    fn minimise(
        &self,
        mut commands: Vec<Command>,
        kind: &str,
    ) -> (Vec<Command>, Option<Difference>) {
        let still = |commands: &[Command]| self.replay(commands).filter(|found| found.kind == kind);
        let Some(mut found) = still(&commands) else {
            return (commands, None);
        };
        let deadline = Instant::now() + MINIMISING;
        let mut chunk = commands.len() / 2;
        while chunk > 0 && Instant::now() < deadline {
            let mut at = 0;
            while at < commands.len() && Instant::now() < deadline {
                let end = (at + chunk).min(commands.len());
                let fewer = [&commands[..at], &commands[end..]].concat();
                match still(&fewer) {
                    Some(difference) => {
                        commands = fewer;
                        found = difference;
                    }
                    None => at = end,
                }
            }
            chunk /= 2;
        }
        (commands, Some(found))
    }
}

/// Runs rounds until the count or the time is reached.
pub(crate) fn fuzz(options: &Options) -> Done {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = Server::start(
        &dir.path().join("tinykv"),
        &["--appendfsync", "no", "--enable-debug-command", "yes"],
    );
    let redis = Redis::start(dir.path());
    let grammar = Grammar::new();
    let mut kinds = BTreeSet::new();
    let (started, mut done, mut round) = (Instant::now(), 0, options.seed);
    while done < options.count && started.elapsed().as_secs() < options.seconds {
        let pair = Pair {
            ours: &ours,
            redis: &redis,
            protocol: if round % 2 == 0 { b"2" } else { b"3" },
        };
        let (ran, failed) = one_round(&pair, &grammar, options, round);
        done += ran.len();
        if let Some(difference) = failed
            && kinds.insert(difference.kind.clone())
        {
            report(&pair, round, ran, difference);
            if kinds.len() >= options.differences {
                break;
            }
        }
        round += 1;
    }
    println!(
        "{done} commands, seeds {} to {}, {:.0} s, {} differences",
        options.seed,
        round,
        started.elapsed().as_secs_f64(),
        kinds.len()
    );
    Done {
        commands: done,
        differences: kinds.len(),
    }
}

/// The commands of a round up to the first difference, and it.
fn one_round(
    pair: &Pair<'_>,
    grammar: &Grammar,
    options: &Options,
    seed: u64,
) -> (Vec<Command>, Option<Difference>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut arguments = Arguments::default();
    let mut families = vec![0];
    families.extend((0..3).map(|_| {
        options
            .family
            .unwrap_or_else(|| random.random_range(1..grammar.len()))
    }));
    let mut clients = pair.connect().expect("both servers accept connections");
    let mut ran: Vec<Command> = Vec::new();
    for _ in 0..PIPELINES {
        let commands: Vec<Command> = (0..PIPELINE)
            .map(|_| {
                grammar.command(
                    families[random.random_range(0..families.len())],
                    &mut arguments,
                    &mut random,
                )
            })
            .collect();
        match pair.compare(&mut clients, &commands) {
            Ok(replies) => {
                for (command, reply) in commands.iter().zip(replies) {
                    if let (true, Some(payload)) =
                        (command[0].eq_ignore_ascii_case(b"DUMP"), reply.as_bytes())
                    {
                        arguments.keep_payload(payload);
                    }
                }
                ran.extend(commands);
            }
            Err(mut difference) => {
                ran.extend(commands.into_iter().take(difference.after));
                difference.after = ran.len();
                return (ran, Some(difference));
            }
        }
    }
    let failed = pair.compare_state(&mut clients, ran.len()).err();
    (ran, failed)
}

fn report(pair: &Pair<'_>, seed: u64, ran: Vec<Command>, difference: Difference) {
    let protocol = String::from_utf8_lossy(pair.protocol).into_owned();
    let (commands, again) = pair.minimise(ran, &difference.kind);
    println!("\nseed {seed}, RESP{protocol}: {}", difference.text);
    match again {
        Some(again) => println!(
            "  the shortest sequence found, {} commands: {}",
            commands.len(),
            again.text
        ),
        None => {
            println!("  which does not happen again from an empty data set; the last commands:")
        }
    }
    for command in &commands[commands.len().saturating_sub(30)..] {
        println!("    {}", text(command));
    }
}
