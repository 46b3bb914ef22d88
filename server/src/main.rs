//! The program `tinykv-server`: reads its arguments, starts the log, and serves until it is told to stop.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use server::allocator::{self, Mimalloc};
use server::bootstrap::{self, PidFile};
use server::config::Config;
use server::config::document;
use server::config::source::{self, Invocation};
use server::logging;
use server::server::End;

/// Chosen by measurement; see ARCHITECTURE.md. Without transparent huge pages: they kept a quarter more memory resident
/// after a million SETs, and made nothing faster.
#[global_allocator]
static ALLOCATOR: Mimalloc = Mimalloc;

fn main() -> ExitCode {
    allocator::set_up();
    match source::from_args(std::env::args_os().skip(1)) {
        Ok(Invocation::Help) => print!("{}", document::usage()),
        Ok(Invocation::DefaultConfig) => print!("{}", document::default_config()),
        Ok(Invocation::Version) => println!("TinyKV server v={}", env!("CARGO_PKG_VERSION")),
        Ok(Invocation::Serve(config)) => return serve(*config),
        Err(error) => return refuse(&error.to_string()),
    }
    ExitCode::SUCCESS
}

fn serve(config: Config) -> ExitCode {
    if let Err(error) = logging::start(&config) {
        return refuse(&error);
    }
    let settings = config.snapshot();
    bootstrap::abort_on_panic(&settings);
    tracing::info!(
        "TinyKV {} starts, process {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    for notice in config.notices() {
        tracing::warn!("{notice}");
    }
    let allowed = bootstrap::raise_file_limit(settings.maxclients);
    if allowed < settings.maxclients {
        tracing::warn!(
            "the limit on open files allows {allowed} clients, maxclients is {}: raise it with ulimit -n or LimitNOFILE",
            settings.maxclients
        );
    }
    let _pid_file = match PidFile::write(&settings) {
        Ok(file) => file,
        Err(error) => return refuse(&format!("pidfile {}: {error}", settings.pidfile)),
    };
    match server::server::run(config) {
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Restart) => refuse(&start_again()),
        Err(error) => {
            tracing::error!("cannot serve: {error:#}");
            refuse(&format!("{error:#}"))
        }
    }
}

/// Becomes a new process with the same arguments; returns why it could not.
fn start_again() -> String {
    let program = std::env::current_exe();
    let error = program.map(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .exec()
    });
    let error = error.unwrap_or_else(|error| error);
    format!("cannot start again by itself: {error}. Start it, and it goes on")
}

/// Says why on the terminal, wherever the log goes.
fn refuse(reason: &str) -> ExitCode {
    eprintln!("tinykv-server: {reason}");
    ExitCode::FAILURE
}
