//! Random commands, valid and not, to tinykv-server and to redis-server: replies and data must be the same.
//!
//! ```sh
//! cargo run --release -p tests --example differential -- [--seed N] [--count N] [--seconds N] [--differences N] [--family NAME] [--cluster]
//! ```
//!
//! A round has its own seed, printed with a difference: `--seed` of it and `--count 1` repeat the round. `--family` draws only
//! commands of one family (see `grammar`) beside those over all types. With `--cluster` there are three nodes whose leader is killed and started
//! again all the while. `TINYKV_BIN` names the server to test; otherwise it is built.

mod arguments;
mod cluster;
mod compare;
mod consumers;
mod grammar;
mod servers;
mod single;
mod state;

use std::process::ExitCode;
use std::time::Duration;

use grammar::{Command, Grammar};

/// What to do, from the command line.
pub(crate) struct Options {
    seed: u64,
    /// Commands.
    count: usize,
    time: Duration,
    /// Kinds of differences after which it ends.
    differences: usize,
    family: Option<usize>,
    cluster: bool,
}

/// What was done.
pub(crate) struct Done {
    commands: usize,
    /// Kinds of differences, each of which was printed.
    differences: usize,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self {
            seed: 0,
            count: 100_000,
            time: Duration::MAX,
            differences: 1,
            family: None,
            cluster: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .unwrap_or_else(|| panic!("{word} needs a value"))
            };
            let number = |text: String| {
                text.parse::<u64>()
                    .unwrap_or_else(|_| panic!("{text} is not a number"))
            };
            match word.as_str() {
                "--seed" => options.seed = number(value()),
                "--count" => options.count = number(value()) as usize,
                "--seconds" => options.time = Duration::from_secs(number(value())),
                "--differences" => options.differences = number(value()) as usize,
                "--family" => {
                    let name = value();
                    options.family = Some(
                        Grammar::new()
                            .family(&name)
                            .unwrap_or_else(|| panic!("there is no family {name}")),
                    );
                }
                "--cluster" => options.cluster = true,
                _ => panic!("{word} is no option"),
            }
        }
        options
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.cluster {
        cluster::fuzz(&options)
    } else {
        single::fuzz(&options)
    };
    if done.commands < options.count && done.differences == 0 {
        println!(
            "{} commands were asked for: the time was too short",
            options.count
        );
    }
    if done.commands >= options.count && done.differences == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A command to read.
fn text(command: &Command) -> String {
    let quote = |word: &Vec<u8>| match word.iter().all(u8::is_ascii_graphic) && !word.is_empty() {
        true => String::from_utf8_lossy(word).into_owned(),
        false => format!("\"{}\"", word.escape_ascii()),
    };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}
