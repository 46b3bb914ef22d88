//! One changed byte in any file of an engine but its journals, which `engines.rs` changes: what is read is right, or an error.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use storage::Error;
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{Engine, Reader};
use tempfile::TempDir;

/// Pairs of an ingestion: enough for several blocks.
const PAIRS: u32 = 400;
/// How many bytes of a file are changed, one at a time, unless the environment's DAMAGE_EVERY says every how many.
const CHANGES_PER_FILE: usize = 24;

type Pairs = BTreeMap<Bytes, Bytes>;

fn open(dir: &Path) -> storage::Result<LsmEngine> {
    LsmEngine::open(dir, LsmOptions::kv())
}

fn pair(number: u32, version: u32) -> (Bytes, Bytes) {
    let key = format!("key {number:06}");
    let value = format!(
        "value {number} of version {version}, {}",
        "x".repeat(number as usize % 90)
    );
    (key.into(), value.into())
}

/// Three tables, of which later ones hide and delete pairs of earlier ones. What is in them.
fn fill(dir: &Path) -> Pairs {
    let engine = open(dir).unwrap();
    let mut pairs = Pairs::new();
    for version in 0..3 {
        let records = (0..PAIRS)
            .filter(|number| number % (version + 1) == 0)
            .map(|number| {
                let (key, value) = pair(number, version);
                (key, (number % 7 != version).then_some(value))
            });
        let records: Vec<_> = records.collect();
        engine.ingest(&mut records.clone().into_iter()).unwrap();
        for (key, value) in records {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
    }
    pairs
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&path, target).unwrap();
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All that was read was right.
    Harmless,
    Refused,
    /// Some reads were errors, all others right.
    Reported,
}

fn is_report(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupt { .. } | Error::Io(_) | Error::Engine(_)
    )
}

fn check(dir: &Path, pairs: &Pairs) -> Result<Outcome, String> {
    let engine = match open(dir) {
        Ok(engine) => engine,
        Err(error) if is_report(&error) => return Ok(Outcome::Refused),
        Err(error) => return Err(format!("opening: {error}")),
    };
    let mut outcome = Outcome::Harmless;
    for number in 0..PAIRS + 20 {
        let (key, _) = pair(number, 0);
        match engine.get(&key) {
            Ok(value) if value.as_ref() == pairs.get(&key) => {}
            Ok(value) => return Err(format!("{key:?} is {value:?}")),
            Err(error) if is_report(&error) => outcome = Outcome::Reported,
            Err(error) => return Err(format!("{key:?}: {error}")),
        }
    }
    let mut expected = pairs.iter();
    for read in engine.scan(b"", b"") {
        match read {
            Ok((key, value)) if expected.next() == Some((&key, &value)) => {}
            Ok((key, value)) => return Err(format!("{key:?} is scanned as {value:?}")),
            Err(error) if is_report(&error) => return Ok(Outcome::Reported),
            Err(error) => return Err(format!("scan: {error}")),
        }
    }
    match expected.next() {
        None => Ok(outcome),
        Some((key, _)) => Err(format!("the scan ends before {key:?}")),
    }
}

#[test]
fn a_changed_byte_in_any_table_or_manifest_is_reported_and_never_served() {
    let original = TempDir::new().unwrap();
    let pairs = fill(original.path());
    for path in files(original.path())
        .iter()
        .filter(|path| is_journal(path))
    {
        let bytes = fs::read(path).unwrap();
        let written = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        fs::write(path, &bytes[..written + 4096]).unwrap();
    }
    let every: Option<usize> = std::env::var("DAMAGE_EVERY")
        .ok()
        .and_then(|every| every.parse().ok());
    let mut outcomes = BTreeMap::new();
    let mut failures = Vec::new();
    for path in files(original.path())
        .iter()
        .filter(|path| !is_journal(path))
    {
        let name = path.strip_prefix(original.path()).unwrap();
        let bytes = fs::read(path).unwrap();
        let step = every.unwrap_or(bytes.len() / CHANGES_PER_FILE).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let dir = TempDir::new().unwrap();
            copy(original.path(), dir.path());
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(dir.path().join(name), changed).unwrap();
            match catch_unwind(AssertUnwindSafe(|| check(dir.path(), &pairs))) {
                Ok(Ok(outcome)) => *outcomes.entry((name.to_owned(), outcome)).or_insert(0) += 1,
                Ok(Err(failure)) => failures.push(format!(
                    "{} at {at} of {}: {failure}",
                    name.display(),
                    bytes.len()
                )),
                Err(_) => failures.push(format!(
                    "{} at {at} of {}: panic",
                    name.display(),
                    bytes.len()
                )),
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures: {failures:#?}",
        failures.len()
    );
    let of_tables = |wanted: fn(Outcome) -> bool| -> usize {
        let tables = outcomes.iter().filter(|((name, outcome), _)| {
            name.components().any(|part| part.as_os_str() == "tables") && wanted(*outcome)
        });
        tables.map(|(_, count)| count).sum()
    };
    let (noticed, all) = (
        of_tables(|outcome| outcome != Outcome::Harmless),
        of_tables(|_| true),
    );
    assert!(
        noticed > all * 9 / 10,
        "{noticed} of {all} changes of tables are noticed"
    );
}
