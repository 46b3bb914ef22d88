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

use clap::Parser;
use grammar::{Command, Grammar};

/// Sends random commands to tinykv-server and to redis-server, and compares.
#[derive(Parser)]
pub(crate) struct Options {
    /// Of the first round; printed with a difference.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Commands.
    #[arg(long, default_value_t = 100_000)]
    count: usize,
    /// It ends after this time.
    #[arg(long, default_value_t = u64::MAX)]
    seconds: u64,
    /// Kinds of differences after which it ends.
    #[arg(long, default_value_t = 1)]
    differences: usize,
    /// Draws only commands of this family beside those over all types.
    #[arg(long, value_parser = family)]
    family: Option<usize>,
    /// Three nodes whose leader is killed and started again all the while.
    #[arg(long)]
    cluster: bool,
}

fn family(name: &str) -> Result<usize, String> {
    let family = Grammar::new().family(name);
    family.ok_or_else(|| "there is no such family".to_owned())
}

/// What was done.
pub(crate) struct Done {
    commands: usize,
    /// Kinds of differences, each of which was printed.
    differences: usize,
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
