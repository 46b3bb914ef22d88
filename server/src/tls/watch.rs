//! Certificates are renewed while the server runs: their files are read again when they change.

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Tls, material};
use crate::config::Config;
use crate::config::tls::TlsSettings;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    /// None while the file is not there.
    state: Option<(SystemTime, u64, u64)>,
}

fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let state = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    material::files(settings)
        .into_iter()
        .map(|path| Stamp {
            state: state(&path),
            path,
        })
        .collect()
}

/// Looks at the files again and again. A certificate and its key are two files: while they do not match yet, what was in force
/// stays.
pub async fn keep_current(tls: &Tls, config: &Config) -> Infallible {
    let mut settings = config.load().tls.clone();
    let mut seen = stamps(&settings);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let current = config.load().tls.clone();
        let now = stamps(&current);
        if now == seen {
            continue;
        }
        // What CONFIG SET has changed is in force already.
        if current == settings {
            match tls.replace(&current) {
                Ok(()) => tracing::info!("the files of TLS have changed and are in force"),
                Err(error) => tracing::warn!(
                    "the files of TLS have changed and cannot be used; the former ones stay in force: {error}"
                ),
            }
        }
        (settings, seen) = (current, now);
    }
}
