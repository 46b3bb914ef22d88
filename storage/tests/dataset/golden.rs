//! The golden scripts beside the code, each run on the in-memory engine and on the LSM: both must give the same trace.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use goldenscript::{Command, Context, Runner};
use storage::dataset::{Checkpoint, Expiry, Txn};
use storage::ids::DbIndex;

use crate::support::Bench;

type Answer = Result<String, Box<dyn Error>>;

/// Of longer values only the beginning is shown.
const LONG_BYTES: usize = 40;

struct Script {
    bench: Bench,
    db: u8,
    under_way: Option<Checkpoint>,
}

/// Printable characters as they are, others as `\xNN`.
fn show(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|&byte| std::ascii::escape_default(byte))
        .map(char::from)
        .collect()
}

fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().map(|item| item + "\n").collect()
}

impl Script {
    fn new(bench: Bench) -> Self {
        Self {
            bench,
            db: 0,
            under_way: None,
        }
    }

    fn write<R: ToString>(
        &mut self,
        run: impl FnOnce(&mut Txn<'_>) -> storage::Result<R>,
    ) -> Answer {
        let db = self.db;
        Ok(self.bench.entry(db, run)?.to_string())
    }

    fn expiry(&self, command: &Command) -> Result<Expiry, Box<dyn Error>> {
        let mut args = command.consume_args();
        if args.take_key("keep").is_some() {
            return Ok(Expiry::Keep);
        }
        let in_ms = args.take_key("in").map(str::parse::<u64>).transpose()?;
        Ok(in_ms.map_or(Expiry::Clear, |in_ms| {
            Expiry::AtMs(self.bench.now_ms + in_ms)
        }))
    }

    fn read(&mut self, name: &str, key: &[u8]) -> Answer {
        let view = self.bench.view(self.db);
        let object = match name {
            "get" => view.lookup(key)?,
            _ => view.peek(key)?,
        };
        let Some(object) = object else {
            return Ok("none".into());
        };
        let value = object.string().unwrap_or_default();
        Ok(match name {
            "get" => show(&value),
            _ => {
                let expire = object
                    .expire_at_ms()
                    .map_or("never".into(), |at_ms| at_ms.to_string());
                format!(
                    "{} {} bytes={} expires={expire}",
                    object.kind().name(),
                    object.encoding().name(),
                    value.len()
                )
            }
        })
    }

    /// Everything in the engine, long values cut.
    fn records(&self) -> Answer {
        let mut out = String::new();
        for pair in self.bench.engine.scan(b"", b"") {
            let (key, value) = pair?;
            let shown = value.get(..LONG_BYTES).unwrap_or(&value);
            let rest = value.len() - shown.len();
            let more = if rest > 0 {
                format!(" and {rest} bytes more")
            } else {
                String::new()
            };
            writeln!(out, "{} = {}{more}", show(&key), show(shown))?;
        }
        Ok(out)
    }

    fn state(&self) -> Answer {
        let (dataset, view) = (&self.bench.dataset, self.bench.view(self.db));
        let stats = dataset.stats();
        Ok(format!(
            "keys={} expiring={} resident={} pending={} checkpoint={} digest={:016x}",
            view.len(),
            view.expires_len(),
            stats.resident,
            dataset.write_set_records(),
            dataset.checkpoint_index(),
            dataset.digest()?
        ))
    }

    fn maintain(&mut self, name: &str, number: u64) -> Answer {
        match name {
            "advance" => self.bench.now_ms += number,
            "freeze" => {
                self.under_way = self.bench.dataset.freeze();
                return Ok(self
                    .under_way
                    .as_ref()
                    .map_or("nothing".into(), |checkpoint| {
                        format!(
                            "index={} records={}",
                            checkpoint.index(),
                            checkpoint.records()
                        )
                    }));
            }
            "finish" => {
                let checkpoint = self.under_way.take().ok_or("freeze first")?;
                let done = checkpoint.run(&*self.bench.engine)?;
                self.bench.dataset.checkpoint_done(done);
            }
            "reopen" => {
                self.under_way = None;
                self.bench.reopen();
                self.bench.dataset.record_events(true);
            }
            "drop" => return Ok(format!("dropped={}", self.bench.dataset.drop_all_clean())),
            "load" => {
                return Ok(format!(
                    "more={}",
                    self.bench.dataset.load_next(number as usize)?
                ));
            }
            "promote" => {
                return Ok(format!(
                    "promoted={}",
                    self.bench.dataset.promote(number as usize)?
                ));
            }
            "expired" => {
                let keys = self
                    .bench
                    .dataset
                    .expired(self.bench.now_ms, number as usize);
                return Ok(lines(keys.iter().map(|key| {
                    format!("{} {} at {}", key.db, show(&key.key), key.expire_at_ms)
                })));
            }
            "events" => {
                let events = self.bench.dataset.take_events();
                return Ok(lines(events.iter().map(|event| {
                    format!("{} {} {}", event.kind, event.db, show(&event.key))
                })));
            }
            "db" => self.db = number as u8,
            _ => return Err(format!("unknown command {name}").into()),
        }
        Ok(String::new())
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Answer {
        let mut args = command.consume_args();
        let texts: Vec<&str> = std::iter::from_fn(|| args.next_pos()).collect();
        let text = |n: usize| texts.get(n).copied().unwrap_or_default().as_bytes();
        let number = |n: usize| texts.get(n).map_or(Ok(1000), |text| text.parse::<u64>());
        let to_db = command
            .consume_args()
            .take_key("db")
            .map(str::parse::<u8>)
            .transpose()?;
        let to_db = DbIndex(to_db.unwrap_or(self.db));
        match &*command.name {
            "set" => {
                let expiry = self.expiry(command)?;
                self.write(|txn| txn.set_string(text(0), text(1), expiry).map(|()| ""))
            }
            // A value of so many bytes.
            "fill" => {
                let value = vec![b'v'; number(1)? as usize];
                self.write(|txn| txn.set_string(text(0), &value, Expiry::Clear).map(|()| ""))
            }
            "append" => self.write(|txn| {
                txn.edit_string(text(0), |value| value.extend_from_slice(text(1)))
                    .map(|()| "")
            }),
            "remove" => self.write(|txn| txn.remove(text(0))),
            "expire" => match self.expiry(command)? {
                Expiry::AtMs(at_ms) => self.write(|txn| txn.set_expiry(text(0), Some(at_ms))),
                _ => self.write(|txn| txn.set_expiry(text(0), None)),
            },
            "remove_expired" => {
                let at_ms = number(1)?;
                self.write(|txn| txn.remove_expired(text(0), at_ms))
            }
            "rename" => self.write(|txn| txn.rename(text(0), text(1))),
            "copy" => self.write(|txn| txn.copy(text(0), text(1), to_db)),
            "move" => self.write(|txn| txn.move_to(text(0), to_db)),
            "flush" => self.write(|txn| {
                txn.flush_db();
                Ok("")
            }),
            "flush_all" => self.write(|txn| {
                txn.flush_all();
                Ok("")
            }),
            "swap" => {
                let (a, b) = (number(0)? as u8, number(1)? as u8);
                self.write(|txn| {
                    txn.swap_db(DbIndex(a), DbIndex(b));
                    Ok("")
                })
            }
            "scan" => {
                let (cursor, keys) = self
                    .bench
                    .view(self.db)
                    .scan(number(0)?, number(1)? as usize)?;
                Ok(lines(
                    keys.iter()
                        .map(|found| show(&found.key))
                        .chain([format!("next {cursor}")]),
                ))
            }
            name @ ("get" | "object") => self.read(name, text(0)),
            "records" => self.records(),
            "state" => self.state(),
            name => self.maintain(name, number(0)?),
        }
    }

    fn start_script(&mut self) -> Result<(), Box<dyn Error>> {
        self.bench.dataset.record_events(true);
        Ok(())
    }
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/dataset/scripts")
        .join(name);
    goldenscript::run(&mut Script::new(Bench::memory()), &path).expect("in memory");
    goldenscript::run(&mut Script::new(Bench::lsm()), &path).expect("on the LSM");
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        /// A script that no test runs proves nothing.
        #[test]
        fn every_script_is_run() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dataset/scripts");
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = entries.collect();
            names.sort();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

scripts!(checkpoint cold databases expiry strings);
