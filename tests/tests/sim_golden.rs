//! Golden scripts of Raft scenarios in the simulated world: what each Store holds after every step, to be read and compared. Rules
//! that must hold whatever the order of events are asserted in `sim_scenarios.rs`.
//!
//! | command | |
//! |---|---|
//! | `world [retention=BYTES] [seed=N]` | three new Stores; the first command |
//! | `elect` | waits for a leader |
//! | `name NAME leader`, `name NAME not STORE…` | a name for a Store: that of the leader, or of the first that is none of those |
//! | `write`, `begin STORE KEY VALUE` | waits for the outcome, or does not |
//! | `read`, `peek STORE KEY` | linearizably, or what is in that Store's memory |
//! | `crash`, `restart`, `isolate`, `checkpoint STORE` | `crash` loses what was not synced |
//! | `cut FROM TO`, `heal`, `run MS`, `pause STORE MS`, `clock STORE MS`, `transfer STORE TO` | |
//! | `status` | of every Store: role, term, applied index, its log from the first to the last index |
//! | `converge` | everything works again, and all have the same; asserts that the history is linearizable |
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p tests --test sim_golden` writes them anew.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use tests::sim::{Client, Options, World};

type Answer = Result<String, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    world: Option<World>,
    names: BTreeMap<String, u64>,
}

/// The positional arguments of a command.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn of(args: &mut ArgumentConsumer<'a>) -> Self {
        Self(std::iter::from_fn(|| args.next_pos()).collect())
    }

    fn word(&self, at: usize) -> Result<&'a str, Box<dyn Error>> {
        let word = self.0.get(at).copied();
        word.ok_or_else(|| format!("argument {} is missing", at + 1).into())
    }

    fn number<T: std::str::FromStr<Err: Error + 'static>>(
        &self,
        at: usize,
    ) -> Result<T, Box<dyn Error>> {
        Ok(self.word(at)?.parse()?)
    }
}

impl Script {
    fn store(&self, word: &str) -> Result<u64, Box<dyn Error>> {
        let named = self.names.get(word).copied();
        named.map_or_else(|| Ok(word.parse()?), Ok)
    }

    fn name(&mut self, words: &Words<'_>) -> Answer {
        let store = match words.word(1)? {
            "leader" => self.world()?.leader().ok_or("nobody leads")?,
            _ => {
                let not = words.0.iter().skip(2).map(|word| self.store(word));
                let not = not.collect::<Result<Vec<u64>, _>>()?;
                let others = (1..=3).find(|store| !not.contains(store));
                others.ok_or("there are three Stores")?
            }
        };
        self.names.insert(words.word(0)?.to_owned(), store);
        Ok(format!("{} is {store}", words.word(0)?))
    }

    fn world(&mut self) -> Result<&mut World, Box<dyn Error>> {
        self.world.as_mut().ok_or_else(|| "begin with world".into())
    }

    fn status(&mut self) -> Answer {
        let world = self.world()?;
        let leader = world.leader();
        let mut out = String::new();
        for store in 1..=3 {
            if !world.is_up(store) {
                writeln!(out, "{store} down")?;
                continue;
            }
            let role = match leader == Some(store) {
                true => "leads  ",
                false => "follows",
            };
            writeln!(
                out,
                "{store} {role} term={} applied={} log={}..={}",
                world.term(store),
                world.applied(store),
                world.first_log_index(store),
                world.last_log_index(store)
            )?;
        }
        Ok(out)
    }
}

/// A register's value.
fn shown(value: Option<u64>) -> String {
    value.map_or("none".to_owned(), |value| value.to_string())
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Answer {
        let mut args = command.consume_args();
        let words = Words::of(&mut args);
        if command.name == "world" {
            let mut options = Options::new(1);
            if let Some(retention) = args.take_key("retention") {
                options.log_retention_bytes = retention.parse()?;
            }
            if let Some(seed) = args.take_key("seed") {
                options.seed = seed.parse()?;
            }
            self.world = Some(World::new(options));
            self.names.clear();
            return Ok(String::new());
        }
        match &*command.name {
            "name" => return self.name(&words),
            "status" => return self.status(),
            _ => {}
        }
        let first = words.0.first().map(|word| self.store(word));
        let second = words.0.get(1).map(|word| self.store(word));
        let store = || first.ok_or("which Store?")?;
        let world = self.world.as_mut().ok_or("begin with world")?;
        match &*command.name {
            "elect" => return Ok(format!("{} leads", world.elect())),
            "write" => {
                let action = Client::Write(words.number(2)?);
                let outcome = world.perform(store()?, words.number(1)?, action);
                return Ok(format!("write: {outcome:?}"));
            }
            "begin" => {
                let action = Client::Write(words.number(2)?);
                world.invoke(store()?, words.number(1)?, action);
            }
            "read" => {
                let value = world.read(store()?, words.number(1)?);
                return Ok(format!(
                    "read: {}",
                    value.map_or("refused".to_owned(), shown)
                ));
            }
            "peek" => {
                return Ok(format!(
                    "peek: {}",
                    shown(world.peek(store()?, words.number(1)?))
                ));
            }
            "crash" => world.crash(store()?),
            "restart" => world.restart(store()?),
            "isolate" => world.isolate(store()?),
            "checkpoint" => world.checkpoint(store()?),
            "cut" => world.cut(store()?, second.ok_or("to which Store?")??),
            "transfer" => world.transfer(store()?, second.ok_or("to which Store?")??),
            "pause" => world.pause(store()?, words.number(1)?),
            "clock" => world.jump_clock(store()?, words.number(1)?),
            "run" => world.run_ms(words.number(0)?),
            "heal" => world.heal(),
            "converge" => {
                world.converge();
                world.assert_linearizable();
            }
            other => return Err(format!("no command {other}").into()),
        }
        Ok(String::new())
    }
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/scripts")
        .join(name);
    goldenscript::run(&mut Script::default(), &path).expect("it can be read");
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        /// A script that no test runs proves nothing.
        #[test]
        fn every_script_is_run() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
            let entries = std::fs::read_dir(folder).expect("the folder is there");
            let names = entries.map(|entry| entry.expect("a file").file_name().into_string());
            let mut names: Vec<String> = names.collect::<Result<_, _>>().expect("text");
            names.sort();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

scripts!(clock crash divergent_log election partition read snapshot transfer);
