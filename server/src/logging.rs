//! The log: `tracing`, in lines for people, to standard output or `logfile`.
//!
//! `loglevel` keeps Redis's names: warning is tracing's WARN and above, notice INFO, verbose DEBUG, debug TRACE.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::{Config, LogLevel, Settings};

/// Starts logging for the process, and lets CONFIG SET loglevel change it.
///
/// An error says which file cannot be written.
pub fn start(config: &Config) -> Result<(), String> {
    let settings = config.load();
    let (subscriber, level) = subscriber(&settings, Output::open(&settings)?);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())?;
    config.on_set("loglevel", move |settings| {
        level
            .reload(filter(settings.loglevel))
            .map_err(|error| error.to_string())
    });
    Ok(())
}

type LevelHandle = reload::Handle<LevelFilter, Registry>;

fn subscriber<W>(
    settings: &Settings,
    writer: W,
) -> (
    impl tracing::Subscriber + Send + Sync + 'static,
    LevelHandle,
)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (level, handle) = reload::Layer::new(filter(settings.loglevel));
    let colours = settings.logfile.is_empty() && io::stdout().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    (Registry::default().with(lines.with_filter(level)), handle)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Nothing => LevelFilter::OFF,
    }
}

/// Where lines go. Each line is one write, so that lines of several threads do not mix and none waits in a buffer.
#[derive(Clone)]
enum Output {
    Stdout,
    File(Arc<File>),
}

impl Output {
    fn open(settings: &Settings) -> Result<Self, String> {
        if settings.logfile.is_empty() {
            return Ok(Self::Stdout);
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&settings.logfile);
        let file = file.map_err(|error| format!("logfile {}: {error}", settings.logfile))?;
        Ok(Self::File(Arc::new(file)))
    }
}

impl<'w> MakeWriter<'w> for Output {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => io::stdout().write(bytes),
            Self::File(file) => file.as_ref().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::File(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Lines {
        type Writer = Self;

        fn make_writer(&'w self) -> Self {
            self.clone()
        }
    }

    fn logged(level: LogLevel, act: impl FnOnce(&LevelHandle)) -> String {
        let lines = Lines::default();
        let settings = Settings {
            loglevel: level,
            logfile: "captured".to_owned(),
            ..Settings::default()
        };
        let (subscriber, handle) = subscriber(&settings, lines.clone());
        tracing::subscriber::with_default(subscriber, || act(&handle));
        String::from_utf8(lines.0.lock().clone()).expect("UTF-8")
    }

    #[test]
    fn a_level_hides_what_is_below_it_and_can_change() {
        let text = logged(LogLevel::Notice, |handle| {
            tracing::info!("one");
            tracing::debug!("two");
            handle.reload(filter(LogLevel::Verbose)).expect("reloaded");
            tracing::debug!("three");
            handle.reload(filter(LogLevel::Nothing)).expect("reloaded");
            tracing::error!("four");
        });
        let words = text
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap_or(""))
            .collect::<Vec<_>>();
        assert_eq!(words, ["one", "three"]);
    }

    #[test]
    fn a_log_file_is_appended_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        std::fs::write(&path, "before\n").expect("written");
        let logfile = path.to_str().expect("UTF-8").to_owned();
        let settings = Settings {
            logfile,
            ..Settings::default()
        };
        let (subscriber, _) = subscriber(&settings, Output::open(&settings).expect("opened"));
        tracing::subscriber::with_default(subscriber, || tracing::info!("after"));
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(
            text.starts_with("before\n") && text.contains("INFO after"),
            "{text}"
        );

        let settings = Settings {
            logfile: "/nonexistent/log".to_owned(),
            ..Settings::default()
        };
        assert!(Output::open(&settings).is_err_and(|error| error.contains("/nonexistent/log")));
    }
}
