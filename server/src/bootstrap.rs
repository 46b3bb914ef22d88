//! What surrounds a serving process: refusing to die silently, the limit on open files, the pid file, signals.

use std::backtrace::Backtrace;
use std::fs;
use std::io;
use std::panic::PanicHookInfo;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Settings;

/// Files that a Store opens besides its clients' connections: two LSMs, peer links, the log.
const FILES_OF_ITS_OWN: u64 = 1024;

/// Makes every panic stop the process, after its message is in the log.
///
/// A thread that died alone would leave a Store that looks alive and does not apply, or one that answers after a failed
/// fsync. Stopping at once is what lets the other Stores take over.
pub fn abort_on_panic(settings: &Settings) {
    let to_file = !settings.logfile.is_empty();
    std::panic::set_hook(Box::new(move |info| {
        let text = crash_report(info, &Backtrace::force_capture());
        if to_file {
            eprintln!("{text}");
        }
        tracing::error!("{text}");
        std::process::abort();
    }));
}

fn crash_report(info: &PanicHookInfo<'_>, backtrace: &Backtrace) -> String {
    let thread = std::thread::current();
    format!(
        "TinyKV {} stopped itself: {info}\n\
         thread: {}\n\
         Acknowledged writes are safe. Start the server again; if it stops again, keep the directory `dir` as it is, and \
         report this text.\n{backtrace}",
        env!("CARGO_PKG_VERSION"),
        thread.name().unwrap_or("unnamed"),
    )
}

/// Raises the limit on open files as far as `maxclients` needs, and answers how many clients it allows for.
#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "getrlimit and setrlimit have no safe form in the standard library"
)]
pub fn raise_file_limit(maxclients: u64) -> u64 {
    let wanted = maxclients.saturating_add(FILES_OF_ITS_OWN);
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit that the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0
        || limit.rlim_cur >= wanted
    {
        return maxclients;
    }
    let raised = libc::rlimit {
        rlim_cur: wanted.min(limit.rlim_max),
        rlim_max: limit.rlim_max,
    };
    // SAFETY: `raised` is a valid rlimit; raising the soft limit up to the hard one needs no privilege.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
        limit = raised;
    }
    if limit.rlim_cur >= wanted {
        return maxclients;
    }
    limit
        .rlim_cur
        .saturating_sub(FILES_OF_ITS_OWN)
        .max(limit.rlim_cur / 2)
        .clamp(1, maxclients)
}

/// The file that names this process while it runs.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes it; `None` when no `pidfile` is configured.
    pub fn write(settings: &Settings) -> io::Result<Option<Self>> {
        if settings.pidfile.is_empty() {
            return Ok(None);
        }
        fs::write(&settings.pidfile, format!("{}\n", std::process::id()))?;
        Ok(Some(Self(PathBuf::from(&settings.pidfile))))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("pidfile {}: {error}", self.0.display());
        }
    }
}

/// Waits for SIGTERM or SIGINT, and answers its name. A second one while the server stops ends the process at once.
pub async fn stop_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!(
            "a second signal: stopping at once; the log is complete, and the next start replays it"
        );
        std::process::exit(1);
    });
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_lives_as_long_as_its_handle() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pid");
        let settings = Settings {
            pidfile: path.to_str().expect("UTF-8").to_owned(),
            ..Settings::default()
        };
        let file = PidFile::write(&settings).expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            format!("{}\n", std::process::id())
        );
        drop(file);
        assert!(!path.exists());
        assert!(
            PidFile::write(&Settings::default())
                .expect("nothing to do")
                .is_none()
        );
    }

    #[test]
    fn the_file_limit_allows_some_clients() {
        let allowed = raise_file_limit(100);
        assert!((1..=100).contains(&allowed), "{allowed}");
        assert!(raise_file_limit(u64::MAX) > 0);
    }
}
