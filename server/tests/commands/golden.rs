//! Golden scripts: commands in, replies out, with controlled time. They lie beside the commands, in
//! `src/commands/scripts`; `UPDATE_GOLDENFILES=1` writes them anew.
//!
//! A line that begins with `>` is a command as one would type it into redis-cli; the others direct the test:
//!
//! | line | effect |
//! |---|---|
//! | `advance 1500` | the leader's clock goes on by so many milliseconds |
//! | `clock 1700000000000` | it shows this |
//! | `select 1` | the connection's database |
//! | `hello 3` | the connection's protocol |
//! | `expire` | one round of active expiry |
//! | `events` | what happened to keys since the last time |

use std::error::Error;
use std::path::{Path, PathBuf};

use goldenscript::{Argument, Command, Context};
use resp::{Limits, Request, RequestParser};

use super::cluster::{Cluster, Mode};
use super::show::show;

struct Script {
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

impl Script {
    fn new(mode: Mode) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            cluster: Cluster::new(mode, dir.path()),
            _dir: dir,
        }
    }

    fn direct(&mut self, word: &str, number: u64) -> Result<String, Box<dyn Error>> {
        let cluster = &mut self.cluster;
        match word {
            "advance" => cluster.now_ms += number,
            "clock" => cluster.now_ms = number,
            "select" => cluster.db = number as u32,
            "hello" => cluster.protocol = number as u32,
            "expire" => return Ok(format!("expire: {} keys\n", cluster.expire())),
            "events" => {
                let events = cluster.take_events();
                let lines = events.iter().map(|event| {
                    format!(
                        "{} of {} in {}\n",
                        event.kind,
                        event.key.escape_ascii(),
                        event.db
                    )
                });
                return Ok(lines.collect());
            }
            word => return Err(format!("unknown directive {word}").into()),
        }
        Ok(format!("{word} {number}\n"))
    }
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let word = command.name.as_str();
        if word.bytes().all(|byte| byte.is_ascii_lowercase()) && command.args.len() <= 1 {
            let number = match command.args.first() {
                Some(Argument::Positional(number)) => number.parse()?,
                Some(other) => return Err(format!("{other:?} is not a number").into()),
                None => 0,
            };
            return self.direct(word, number);
        }
        let args = words(word)?;
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        Ok(format!("{word} → {}\n", show(&self.cluster.run(&args))))
    }
}

/// The arguments of an inline command.
pub(crate) fn words(line: &str) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let line = format!("{line}\r\n").into_bytes();
    let mut request = Request::new();
    RequestParser::new(Limits::default())
        .parse(&line, &mut request)
        .map_err(|error| error.to_string())?;
    Ok(request.iter(&line).map(<[u8]>::to_vec).collect())
}

/// The scripts; those that look at what only memory knows (uses of keys, bytes) are named `memory_…`.
pub(crate) fn scripts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands/scripts");
    let mut paths: Vec<_> = dir
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {}", dir.display());
    // An empty script passes, whatever the commands do.
    for path in &paths {
        let len = path.metadata().unwrap().len();
        assert!(len > 0, "{} is empty", path.display());
    }
    paths
}

/// The name of a script.
pub(crate) fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

#[test]
fn scripts_on_memory() {
    for path in scripts() {
        goldenscript::run(&mut Script::new(Mode::Direct), path).unwrap();
    }
}

#[test]
fn scripts_across_checkpoints_and_reopenings_of_the_lsm_engine() {
    for path in scripts()
        .iter()
        .filter(|path| !name(path).starts_with("memory_"))
    {
        goldenscript::run(&mut Script::new(Mode::Reopened), path).unwrap();
    }
}
