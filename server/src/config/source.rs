//! Where values come from: files with `include`, standard input, the command line. Later ones win.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::directives::{self, Directive};
use super::settings::Settings;
use super::{Config, lines, redis_only};

/// How deep files may include each other; more is a circle.
const INCLUDE_DEPTH_MAX: usize = 16;

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Serve with this configuration.
    Serve(Box<Config>),
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Print `tinykv.conf`.
    DefaultConfig,
}

/// Why the server does not start; `Display` says where and what.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct ConfigError {
    origin: Origin,
    reason: String,
}

/// Where a directive was read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    CommandLine,
    File(PathBuf),
    Line {
        file: PathBuf,
        number: usize,
        text: String,
    },
    Together,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Line { file, number, text } => {
                write!(f, "{}, line {number}: '{text}'", file.display())
            }
            Self::Together => f.write_str("configuration"),
        }
    }
}

impl Origin {
    fn error(self, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            origin: self,
            reason: reason.into(),
        }
    }
}

/// One directive as given.
struct Assignment {
    name: String,
    words: Vec<String>,
    origin: Origin,
}

impl Assignment {
    fn is_in_file(&self) -> bool {
        matches!(self.origin, Origin::Line { .. })
    }
}

/// Reads the arguments after the program's name: `[file | -] [--name value...]... [-]`, as redis-server has them.
pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, ConfigError> {
    let args = args
        .into_iter()
        .map(OsString::into_string)
        .collect::<Result<Vec<_>, _>>();
    let args = args.map_err(|arg| Origin::CommandLine.error(format!("{arg:?} is not UTF-8")))?;
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["-h" | "--help"] => return Ok(Invocation::Help),
        ["-v" | "--version"] => return Ok(Invocation::Version),
        ["--default-config"] => return Ok(Invocation::DefaultConfig),
        _ => {}
    }
    let (file, options) = match args.split_first() {
        Some((first, rest)) if !first.starts_with('-') => (Some(absolute(first)?), rest),
        _ => (None, args.as_slice()),
    };
    let mut assignments = Vec::new();
    if let Some(file) = &file {
        read_file(file, 0, &mut assignments)?;
    }
    let stdin = options.iter().any(|option| option == "-");
    if stdin {
        let mut text = String::new();
        let name = PathBuf::from("standard input");
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Origin::File(name.clone()).error(error.to_string()))?;
        read_text(&name, &text, 0, &mut assignments)?;
    }
    read_options(options, &mut assignments)?;
    let (settings, notices) = settle(&assignments)?;
    settings
        .check()
        .map_err(|reason| Origin::Together.error(reason))?;
    Ok(Invocation::Serve(Box::new(Config::from_parts(
        settings, file, notices,
    ))))
}

fn absolute(file: &str) -> Result<PathBuf, ConfigError> {
    std::path::absolute(file).map_err(|error| Origin::File(file.into()).error(error.to_string()))
}

/// `--name value...`: the values reach up to the next word that begins with `--`.
fn read_options(options: &[String], assignments: &mut Vec<Assignment>) -> Result<(), ConfigError> {
    for option in options.iter().filter(|option| *option != "-") {
        if let Some(name) = option.strip_prefix("--").filter(|name| !name.is_empty()) {
            assignments.push(Assignment {
                name: name.to_owned(),
                words: Vec::new(),
                origin: Origin::CommandLine,
            });
        } else if let Some(last) = assignments
            .last_mut()
            .filter(|last| last.origin == Origin::CommandLine)
        {
            last.words.push(option.clone());
        } else {
            let text = format!(
                "'{option}' is not expected here; the configuration file comes first, then --name value (see --help)"
            );
            return Err(Origin::CommandLine.error(text));
        }
    }
    Ok(())
}

fn read_file(
    file: &Path,
    depth: usize,
    assignments: &mut Vec<Assignment>,
) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Origin::File(file.to_owned()).error(format!("cannot read the configuration file: {error}"))
    })?;
    read_text(file, &text, depth, assignments)
}

fn read_text(
    file: &Path,
    text: &str,
    depth: usize,
    assignments: &mut Vec<Assignment>,
) -> Result<(), ConfigError> {
    for (position, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let origin = |text: &str| Origin::Line {
            file: file.to_owned(),
            number: position + 1,
            text: text.to_owned(),
        };
        let words = lines::split(line)
            .ok_or_else(|| origin(line).error("unbalanced quotes, or not UTF-8"))?;
        let Some((name, words)) = words.split_first() else {
            continue;
        };
        if !name.eq_ignore_ascii_case("include") {
            // The line's text stays out of errors of secrets: only the name is kept.
            assignments.push(Assignment {
                name: name.clone(),
                words: words.to_vec(),
                origin: origin(name),
            });
            continue;
        }
        if depth == INCLUDE_DEPTH_MAX {
            return Err(
                origin(line).error("files include each other too deeply; is there a circle?")
            );
        }
        for included in words {
            read_file(Path::new(included), depth + 1, assignments)
                .map_err(|error| origin(line).error(error.to_string()))?;
        }
    }
    Ok(())
}

/// What a file alone says, for CONFIG REWRITE.
pub(super) fn read_settings(file: &Path) -> Result<Settings, ConfigError> {
    let mut assignments = Vec::new();
    read_file(file, 0, &mut assignments)?;
    settle(&assignments).map(|(settings, _)| settings)
}

/// Defaults, then every assignment in order.
fn settle(assignments: &[Assignment]) -> Result<(Settings, Vec<String>), ConfigError> {
    let mut settings = Settings::default();
    let mut notices = Vec::new();
    let mut repeated = HashMap::new();
    for assignment in assignments {
        let Some(directive) = directives::lookup(&assignment.name) else {
            match redis_only::find(&assignment.name, &assignment.words) {
                Some(redis_only::Verdict::Ignored) => {
                    notices.push(format!(
                        "{}: TinyKV has no '{}'; it is ignored",
                        assignment.origin, assignment.name
                    ));
                    continue;
                }
                Some(redis_only::Verdict::Refused(advice)) => {
                    return Err(refuse(assignment, advice));
                }
                None => {
                    return Err(refuse(
                        assignment,
                        "no directive has this name; --help lists them",
                    ));
                }
            }
        };
        let words = gather(directive, assignment, &mut repeated);
        match directive.kind.set(&mut settings, &words) {
            Ok(()) => {}
            Err(reason) if assignment.is_in_file() && directive.kind.passes_over(&words) => {
                notices.push(format!(
                    "{}: '{}' is ignored: {reason}",
                    assignment.origin,
                    words.join(" ")
                ));
            }
            Err(reason) => return Err(refuse(assignment, &reason)),
        }
    }
    Ok((settings, notices))
}

/// The words of a directive so far, where lines add up; the command line starts anew.
fn gather(
    directive: &'static Directive,
    assignment: &Assignment,
    repeated: &mut HashMap<&'static str, (bool, Vec<String>)>,
) -> Vec<String> {
    // On a command line an empty value is easily lost: `--save` means `--save ""`.
    let no_words = assignment.words.is_empty() && assignment.origin == Origin::CommandLine;
    let words = if no_words && directive.kind.repeats() {
        vec![String::new()]
    } else {
        assignment.words.clone()
    };
    if !directive.kind.repeats() {
        return words;
    }
    let on_command_line = assignment.origin == Origin::CommandLine;
    let (was_on_command_line, all) = repeated.entry(directive.name).or_default();
    if on_command_line && !*was_on_command_line {
        all.clear();
        *was_on_command_line = true;
    }
    if words.iter().all(String::is_empty) {
        all.clear();
    }
    all.extend(words.into_iter().filter(|word| !word.is_empty()));
    all.clone()
}

fn refuse(assignment: &Assignment, reason: &str) -> ConfigError {
    match &assignment.origin {
        Origin::CommandLine => {
            Origin::CommandLine.error(format!("--{}: {reason}", assignment.name))
        }
        origin => origin.clone().error(reason),
    }
}
