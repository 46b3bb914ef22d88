//! The TinyKV server.

use std::process::ExitCode;

use server::config::document;
use server::config::source::{self, Invocation};

fn main() -> ExitCode {
    match source::from_args(std::env::args_os().skip(1)) {
        Ok(Invocation::Help) => print!("{}", document::usage()),
        Ok(Invocation::DefaultConfig) => print!("{}", document::default_config()),
        Ok(Invocation::Version) => println!("TinyKV server v={}", env!("CARGO_PKG_VERSION")),
        Ok(Invocation::Serve(_)) => {}
        Err(error) => {
            eprintln!("tinykv-server: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
