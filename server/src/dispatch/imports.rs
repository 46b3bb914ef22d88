//! What is known of RDB files that this Store loads through the log: one at a time.

use std::sync::Arc;

use parking_lot::Mutex;

/// See the module's page.
#[derive(Debug, Default)]
pub struct Imports(Mutex<ImportsFacts>);

/// What INFO tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportsFacts {
    /// The import under way.
    pub current: Option<Progress>,
    /// What came of the last one; none before the first one.
    pub last: Option<Result<Totals, String>>,
}

/// How far an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The file.
    pub file: String,
    /// Bytes of the file.
    pub total_bytes: u64,
    /// Bytes of the file whose keys are there.
    pub loaded_bytes: u64,
    /// Commands that were executed.
    pub commands: u64,
}

/// What came of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Keys that are there now.
    pub keys: u64,
    /// Keys that had expired, and were left out.
    pub expired: u64,
    /// Functions and what modules wrote, which have no place here.
    pub skipped: u64,
}

/// An import under way. Dropped without [`Importing::end`] it has failed.
#[derive(Debug)]
pub struct Importing {
    imports: Arc<Imports>,
}

impl Imports {
    /// Begins an import; none while another one is under way.
    pub fn begin(self: &Arc<Self>, file: &str) -> Option<Importing> {
        let mut facts = self.0.lock();
        if facts.current.is_some() {
            return None;
        }
        facts.current = Some(Progress {
            file: file.to_owned(),
            ..Progress::default()
        });
        Some(Importing {
            imports: Arc::clone(self),
        })
    }

    /// The facts of this moment.
    pub fn facts(&self) -> ImportsFacts {
        self.0.lock().clone()
    }
}

impl Importing {
    /// The file has so many bytes.
    pub fn begin(&self, total_bytes: u64) {
        if let Some(progress) = &mut self.imports.0.lock().current {
            progress.total_bytes = total_bytes;
        }
    }

    /// Everything up to this byte of the file is there; it took so many commands more. Answers how many it took in all.
    pub fn advance(&self, loaded_bytes: u64, commands: u64) -> u64 {
        match &mut self.imports.0.lock().current {
            Some(progress) => {
                progress.loaded_bytes = loaded_bytes;
                progress.commands += commands;
                progress.commands
            }
            None => commands,
        }
    }

    /// Notes what came of it.
    pub fn end(self, result: &anyhow::Result<Totals>) {
        let result = result.as_ref();
        self.note(result.copied().map_err(|error| format!("{error:#}")));
    }

    fn note(&self, result: Result<Totals, String>) {
        let mut facts = self.imports.0.lock();
        if facts.current.take().is_some() {
            facts.last = Some(result);
        }
    }
}

impl Drop for Importing {
    fn drop(&mut self) {
        self.note(Err("it was broken off".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_import_at_a_time() {
        let imports = Arc::new(Imports::default());
        assert_eq!(imports.facts(), ImportsFacts::default());
        let importing = imports.begin("dump.rdb").expect("none is under way");
        assert!(imports.begin("other.rdb").is_none());
        importing.begin(100);
        assert_eq!(importing.advance(50, 3), 3);
        assert_eq!(importing.advance(60, 4), 7);
        let progress = imports.facts().current.expect("it is under way");
        assert_eq!((progress.loaded_bytes, progress.total_bytes), (60, 100));
        let totals = Totals {
            keys: 7,
            ..Totals::default()
        };
        importing.end(&Ok(totals));
        let facts = imports.facts();
        assert_eq!((facts.current, facts.last), (None, Some(Ok(totals))));
        drop(imports.begin("dump.rdb").expect("the other one has ended"));
        assert!(matches!(imports.facts().last, Some(Err(_))));
    }
}
