//! Three nodes, of which the leader is killed and started again all the while.
//!
//! Commands go through any node. Around a kill they go one by one, and of one whose outcome is unknown, because the connection broke or the
//! server says so, the data tells whether it was executed: it must be that of redis-server before the command, or after it. At the end all
//! three must have the same digest.

use std::io;
use std::time::Instant;

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use resp::Frame;
use tests::process::{Client, Cluster, until};

use crate::arguments::Arguments;
use crate::compare::{same, show};
use crate::grammar::{Command, Grammar};
use crate::servers::{Redis, call, run};
use crate::{Done, Options, state, text};

/// Commands that are sent at once while no node dies.
const PIPELINE: usize = 30;

/// Pipelines between two kills.
const PIPELINES: u32 = 20;

/// Commands sent one by one around a kill, and the one before which the leader is killed at the latest.
const AROUND_A_KILL: u32 = 60;
const LATEST_KILL: u32 = 30;

/// Longest delay of a kill after the command that it is to meet was sent.
const MAX_DELAY_US: u64 = 2_000;

/// How a command ended.
enum Outcome {
    Reply(Frame),
    Unknown,
}

struct World<'a> {
    cluster: Cluster,
    redis: Client,
    grammar: Grammar,
    arguments: Arguments,
    random: ChaCha8Rng,
    options: &'a Options,
    /// The node that commands go through, and the connection to it.
    through: (usize, Client),
    /// Reported so far.
    commands: usize,
    kills: usize,
    unknown: usize,
    executed: usize,
}

/// Runs until the count or the time is reached, or something differs.
pub(crate) fn fuzz(options: &Options) -> Done {
    let dir = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(&["--enable-debug-command", "yes"]);
    let redis = Redis::start(dir.path());
    let through = (0, cluster.nodes[0].client());
    let mut world = World {
        cluster,
        redis: Client::connect(redis.port).expect("redis-server accepts connections"),
        grammar: Grammar::new(),
        arguments: Arguments::default(),
        random: ChaCha8Rng::seed_from_u64(options.seed),
        options,
        through,
        commands: 0,
        kills: 0,
        unknown: 0,
        executed: 0,
    };
    let started = Instant::now();
    let mut result = Ok(());
    while result.is_ok()
        && world.commands < options.count
        && started.elapsed().as_secs() < options.seconds
    {
        result = world.round();
    }
    let result = result.and_then(|()| world.end());
    println!(
        "{} commands from seed {}, {} kills of the leader, {} commands with an unknown outcome, of which {} were executed, {:.0} s",
        world.commands,
        options.seed,
        world.kills,
        world.unknown,
        world.executed,
        started.elapsed().as_secs_f64()
    );
    if let Err(difference) = &result {
        println!("{difference}");
    }
    Done {
        commands: world.commands,
        differences: usize::from(result.is_err()),
    }
}

impl World<'_> {
    /// Some pipelines through one node, then the death of the leader among single commands.
    fn round(&mut self) -> Result<(), String> {
        self.connect();
        for _ in 0..PIPELINES {
            let commands: Vec<Command> = (0..PIPELINE).map(|_| self.draw()).collect();
            let ours = run(&mut self.through.1, &commands)
                .map_err(|error| format!("while no node dies: {error}"))?;
            let theirs =
                run(&mut self.redis, &commands).map_err(|error| format!("redis: {error}"))?;
            self.commands += commands.len();
            for ((command, ours), theirs) in commands.iter().zip(&ours).zip(&theirs) {
                self.check(command, ours, theirs)?;
            }
        }
        let kill_at = self.random.random_range(0..LATEST_KILL);
        let leader = self.cluster.leader(None);
        for at in 0..AROUND_A_KILL {
            let command = self.draw();
            self.commands += 1;
            let kills = (at == kill_at).then_some(leader);
            match self.outcome(&command, kills)? {
                Outcome::Reply(ours) => {
                    let theirs = self.on_redis(&command)?;
                    self.check(&command, &ours, &theirs)?;
                }
                Outcome::Unknown => self.settle(&command)?,
            }
        }
        self.cluster.nodes[leader].start_again();
        self.cluster.nodes[leader].wait_until_it_answers();
        self.compare_data().map_or(Ok(()), Err)
    }

    /// A command, but none that selects a database: a new connection would have forgotten it.
    fn draw(&mut self) -> Command {
        loop {
            let family = match self.options.family {
                Some(family) if self.random.random_bool(0.7) => family,
                _ => self.random.random_range(0..self.grammar.len()),
            };
            let command = self
                .grammar
                .command(family, &mut self.arguments, &mut self.random);
            if !command[0].eq_ignore_ascii_case(b"SELECT") {
                return command;
            }
        }
    }

    fn connect(&mut self) {
        let nodes = &self.cluster.nodes;
        let random = &mut self.random;
        let ports: Vec<usize> = (0..nodes.len()).collect();
        self.through = until("a node accepts a connection", || {
            let &at = ports.choose(random)?;
            let mut client = Client::connect(nodes[at].port()).ok()?;
            // One that has just started knows no leader yet, and says so.
            let reply = client.call(&["EXISTS", "x"]).ok()?;
            (!reply.is_error()).then_some((at, client))
        });
    }

    /// Sends a command until it is certain that it was executed, or uncertain whether; with `kills`, that node dies meanwhile.
    fn outcome(&mut self, command: &Command, kills: Option<usize>) -> Result<Outcome, String> {
        let one = std::slice::from_ref(command);
        let delay_us = self.random.random_range(0..MAX_DELAY_US);
        let first = match kills {
            None => run(&mut self.through.1, one),
            Some(leader) => {
                self.kills += 1;
                let (node, client) = (&mut self.cluster.nodes[leader], &mut self.through.1);
                std::thread::scope(|scope| {
                    let asked = scope.spawn(|| run(client, one));
                    let until = Instant::now() + std::time::Duration::from_micros(delay_us);
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                    node.kill();
                    asked.join().expect("the client lives")
                })
            }
        };
        let mut replies = first;
        loop {
            let reply = match replies {
                Ok(mut replies) => replies.remove(0),
                Err(_) => {
                    self.connect();
                    return Ok(Outcome::Unknown);
                }
            };
            let begins = |code: &[u8]| {
                reply.is_error() && reply.as_bytes().unwrap_or_default().starts_with(code)
            };
            if begins(b"UNCERTAIN") {
                return Ok(Outcome::Unknown);
            }
            if !begins(b"TRYAGAIN") && !begins(b"CLUSTERDOWN") {
                return Ok(Outcome::Reply(reply));
            }
            replies = run(&mut self.through.1, one);
        }
    }

    /// Finds out whether a command was executed, and brings redis-server to the same.
    fn settle(&mut self, command: &Command) -> Result<(), String> {
        self.unknown += 1;
        let Some(without) = self.compare_data() else {
            return Ok(());
        };
        self.on_redis(command)?;
        self.executed += 1;
        match self.compare_data() {
            None => Ok(()),
            Some(with) => Err(format!(
                "{}: neither executed nor not executed\n not: {without}\n executed: {with}",
                text(command)
            )),
        }
    }

    fn on_redis(&mut self, command: &Command) -> Result<Frame, String> {
        let replies = run(&mut self.redis, std::slice::from_ref(command));
        replies
            .map(|mut replies| replies.remove(0))
            .map_err(|error| format!("redis: {error}"))
    }

    fn check(&mut self, command: &Command, ours: &Frame, theirs: &Frame) -> Result<(), String> {
        if let (true, Some(payload)) = (command[0].eq_ignore_ascii_case(b"DUMP"), theirs.as_bytes())
        {
            self.arguments.keep_payload(payload);
        }
        match same(command, ours, theirs) {
            true => Ok(()),
            false => Err(format!(
                "{}\n  ours:  {}\n  redis: {}",
                text(command),
                show(ours),
                show(theirs)
            )),
        }
    }

    /// How the data differs from redis-server's.
    fn compare_data(&mut self) -> Option<String> {
        let compared: io::Result<Option<String>> =
            state::difference(&mut self.through.1, &mut self.redis);
        compared.unwrap_or_else(|error| Some(format!("while data was compared: {error}")))
    }

    /// The data through each node, and the digest that each has of its own.
    fn end(&mut self) -> Result<(), String> {
        self.cluster.wait_until_all_have_everything();
        let mut digests = Vec::new();
        for at in 0..self.cluster.nodes.len() {
            self.through = (at, self.cluster.nodes[at].client());
            self.compare_data().map_or(Ok(()), Err)?;
        }
        self.cluster.wait_until_all_have_everything();
        for node in &self.cluster.nodes {
            digests.push(
                call(&mut node.client(), &[b"DEBUG", b"DIGEST"])
                    .map_err(|error| error.to_string())?,
            );
        }
        match digests
            .iter()
            .all(|digest| *digest == digests[0] && !digest.is_error())
        {
            true => Ok(()),
            false => Err(format!("digests of the three nodes: {digests:?}")),
        }
    }
}
