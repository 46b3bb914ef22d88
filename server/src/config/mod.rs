//! The configuration: one table of directives, and the values in force.
//!
//! [`directives`] is the table. A row serves reading `tinykv.conf` and the command line, CONFIG GET, SET and REWRITE, and
//! the text of `tinykv.conf` itself. [`Settings`] holds the parsed values, one typed field per row that has a value.
//!
//! The values in force are one immutable [`Settings`] behind an atomic pointer: [`Config::load`] takes no lock and sees all
//! values of one moment. CONFIG SET builds a changed copy, validates it as a whole, lets those who must act agree
//! ([`Config::on_set`]), and then exchanges the pointer.
//!
//! | module | what it holds |
//! |---|---|
//! | [`directives`], [`collections`], [`tls`] | the rows |
//! | [`accepted`] | rows on which nothing depends |
//! | `forms` | values with a form of their own: `save`, `client-output-buffer-limit` |
//! | [`kind`] | kinds of values: how each is read, checked and written |
//! | [`settings`] | the typed values and the check of them together |
//! | [`peers`] | the list of `cluster-peers` |
//! | [`lines`] | redis.conf's lines: splitting into words and quoting |
//! | [`source`] | files, `include`, the command line |
//! | [`rewrite`] | CONFIG REWRITE |
//! | [`document`] | the text of `tinykv.conf` and of `--help` |
//! | [`redis_only`] | Redis's directives that may stay in a file although they mean nothing here |

pub mod accepted;
pub mod collections;
pub mod directives;
pub mod document;
mod forms;
pub mod kind;
pub mod lines;
pub mod peers;
pub mod redis_only;
pub mod rewrite;
pub mod settings;
pub mod source;
pub mod tls;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache, Guard};
use parking_lot::Mutex;

use directives::Directive;
pub use peers::PeerAddress;
pub use settings::{AppendFsync, Limit, LogLevel, OutputLimits, Secret, Settings};

/// Called with the new values before they are in force; an error refuses the whole CONFIG SET.
pub type Hook = Box<dyn Fn(&Settings) -> Result<(), String> + Send + Sync>;

/// The configuration of a running Store.
pub struct Config {
    settings: Arc<ArcSwap<Settings>>,
    /// Serializes writers; readers never wait for it.
    hooks: Mutex<Vec<(&'static str, Hook)>>,
    file: Option<PathBuf>,
    notices: Vec<String>,
}

/// The values in force, of which the newest is at hand ([`Config::follow`]).
pub type Followed = Cache<Arc<ArcSwap<Settings>>, Arc<Settings>>;

/// Why CONFIG SET did nothing. `Display` is Redis's reply, with its code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No directive has this name.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    /// The directive exists, and the value or the moment is wrong.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Refused {
        /// The directive.
        name: &'static str,
        /// What to do instead.
        reason: String,
    },
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("settings", &self.load())
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    /// What a Store has that is started without file and arguments.
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Config {
    /// A configuration that no file stands behind, for tests and tools.
    pub fn new(settings: Settings) -> Self {
        Self::from_parts(settings, None, Vec::new())
    }

    fn from_parts(settings: Settings, file: Option<PathBuf>, notices: Vec<String>) -> Self {
        Self {
            settings: Arc::new(ArcSwap::from_pointee(settings)),
            hooks: Mutex::new(Vec::new()),
            file,
            notices,
        }
    }

    /// The values in force. Lock-free; keep the guard short, or take [`Config::snapshot`].
    pub fn load(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// The values in force, for who looks at them all the time: looking costs one comparison until they change.
    pub fn follow(&self) -> Followed {
        Cache::new(Arc::clone(&self.settings))
    }

    /// The values in force, to keep.
    pub fn snapshot(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The file that the Store was started with, absolute; CONFIG REWRITE writes it.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What the operator should know about the file and the arguments, to be logged once logging works.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Registers who must act when `name` is set at run time. The hook runs while nothing else can set, so it must not set.
    ///
    /// # Panics
    /// When no directive has this name.
    pub fn on_set(
        &self,
        name: &str,
        hook: impl Fn(&Settings) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let directive =
            directives::lookup(name).unwrap_or_else(|| panic!("no directive is named {name}"));
        self.hooks.lock().push((directive.name, Box::new(hook)));
    }

    /// CONFIG GET: names and values of the directives whose name satisfies `matches`, in the table's order.
    ///
    /// A hidden directive answers only to its exact name, which the caller passes in `exact`.
    pub fn get(
        &self,
        exact: &[&str],
        matches: impl Fn(&str) -> bool,
    ) -> Vec<(&'static str, String)> {
        let settings = self.load();
        let mut found = Vec::new();
        for directive in directives::all() {
            for name in std::iter::once(&directive.name).chain(directive.aliases) {
                let named = exact.iter().any(|exact| exact.eq_ignore_ascii_case(name));
                if named || (!directive.is_hidden() && matches(name)) {
                    found.push((*name, directive.kind.get(&settings)));
                }
            }
        }
        found
    }

    /// CONFIG SET: all pairs or none.
    pub fn set(&self, pairs: &[(&str, &str)]) -> Result<(), SetError> {
        let targets = resolve(pairs)?;
        let hooks = self.hooks.lock();
        let old = self.snapshot();
        let mut new = Settings::clone(&old);
        for (directive, value) in &targets {
            directive
                .kind
                .set_at_run_time(&mut new, value)
                .map_err(|reason| refused(directive, reason))?;
        }
        if let Some((directive, _)) = targets.first() {
            new.check().map_err(|reason| refused(directive, reason))?;
        }
        let concerned = || {
            hooks
                .iter()
                .filter(|(name, _)| targets.iter().any(|(directive, _)| directive.name == *name))
        };
        for (done, (name, hook)) in concerned().enumerate() {
            if let Err(reason) = hook(&new) {
                for (name, hook) in concerned().take(done) {
                    if let Err(again) = hook(&old) {
                        tracing::error!(
                            "CONFIG SET: the old value of {name} could not be restored: {again}"
                        );
                    }
                }
                return Err(SetError::Refused { name, reason });
            }
        }
        self.settings.store(Arc::new(new));
        Ok(())
    }
}

/// Finds every directive, and refuses what may not be set, before any value is looked at.
fn resolve<'a>(pairs: &[(&str, &'a str)]) -> Result<Vec<(&'static Directive, &'a str)>, SetError> {
    let mut targets: Vec<(&'static Directive, &'a str)> = Vec::with_capacity(pairs.len());
    let mut first_refusal = None;
    for (name, value) in pairs {
        let Some(directive) = directives::lookup(name) else {
            return Err(SetError::Unknown((*name).to_owned()));
        };
        if !directive.is_mutable() {
            first_refusal
                .get_or_insert_with(|| refused(directive, "can't set immutable config".to_owned()));
        } else if targets
            .iter()
            .any(|(other, _)| std::ptr::eq(*other, directive))
        {
            first_refusal
                .get_or_insert_with(|| refused(directive, "duplicate parameter".to_owned()));
        }
        targets.push((directive, value));
    }
    first_refusal.map_or(Ok(targets), Err)
}

fn refused(directive: &Directive, reason: String) -> SetError {
    SetError::Refused {
        name: directive.name,
        reason,
    }
}

#[cfg(test)]
mod tests;
