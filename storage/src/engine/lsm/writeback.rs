//! Tables reach the disk while they are written, in small pieces.
//!
//! fjall writes a table and syncs it when it is whole: 16 MB at once, for which a disk takes 25 ms, and a sync of the log that comes
//! meanwhile waits behind it (22 ms instead of 0.5; with 50 pipelines that answer in step, a hundredth of all requests). So the
//! system is told early to write what is there, as RocksDB's `bytes_per_sync` does: the log's syncs find gaps, and the table's own has
//! little left to do. This is advice: nothing depends on it.

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Writeback;
#[cfg(target_os = "linux")]
pub(super) use linux::Writeback;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::fs::File;
    use std::mem::MaybeUninit;
    use std::num::NonZeroU64;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::thread::JoinHandle;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::fs::{Advice, fadvise};
    use rustix::io::Errno;

    /// The system is told after so many bytes: a few milliseconds' work of a disk.
    const PIECE_BYTES: u64 = 1 << 20;

    /// What is less than a page stays for the next time.
    const PAGE_BYTES: u64 = 4096;

    /// How often a table that is being written is looked at.
    const LOOK_INTERVAL: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 2_000_000,
    };

    /// Room for many events.
    const EVENTS_BYTES: usize = 4096;

    /// The thread that watches tables being written.
    pub(in super::super) struct Writeback {
        inotify: Arc<OwnedFd>,
        watches: Vec<i32>,
        thread: Option<JoinHandle<()>>,
    }

    impl Writeback {
        /// Watches the tables of all keyspaces under `dir`; `None` where the system gives no watch: users have a limited number.
        pub(in super::super) fn start(dir: &Path) -> Option<Self> {
            let started = Self::try_start(dir);
            started
                .inspect_err(|error| tracing::debug!("tables are not watched: {error}"))
                .ok()
        }

        fn try_start(dir: &Path) -> std::io::Result<Self> {
            let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
            let inotify = Arc::new(inotify::init(flags)?);
            let mut folders = BTreeMap::new();
            for keyspace in std::fs::read_dir(dir.join("keyspaces"))? {
                let tables = keyspace?.path().join("tables");
                let events = WatchFlags::CREATE | WatchFlags::CLOSE_WRITE | WatchFlags::DELETE;
                let watch = inotify::add_watch(&inotify, &tables, events);
                folders.insert(watch?, tables);
            }
            let watches = folders.keys().copied().collect();
            let tables = Tables {
                inotify: Arc::clone(&inotify),
                folders,
                growing: BTreeMap::new(),
            };
            let thread = std::thread::Builder::new()
                .name("writeback".to_owned())
                .spawn(move || tables.run())?;
            Ok(Self {
                inotify,
                watches,
                thread: Some(thread),
            })
        }
    }

    impl Drop for Writeback {
        fn drop(&mut self) {
            for watch in &self.watches {
                // The thread hears of it, and ends with the last one.
                let _ = inotify::remove_watch(&self.inotify, *watch);
            }
            if let Some(thread) = self.thread.take() {
                // A panic of the thread was reported when it happened.
                let _ = thread.join();
            }
        }
    }

    struct Tables {
        inotify: Arc<OwnedFd>,
        /// By watch.
        folders: BTreeMap<i32, PathBuf>,
        /// Tables that are being written, and how much of each the system was told to write.
        growing: BTreeMap<PathBuf, (File, u64)>,
    }

    impl Tables {
        fn run(mut self) {
            while !self.folders.is_empty() {
                let until = (!self.growing.is_empty()).then_some(&LOOK_INTERVAL);
                let mut ready = [PollFd::new(&self.inotify, PollFlags::IN)];
                match poll(&mut ready, until) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => {
                        return tracing::warn!("tables are not watched any more: {error}");
                    }
                }
                self.hear();
                for (file, told) in self.growing.values_mut() {
                    tell(file, told);
                }
            }
        }

        /// Takes the events that there are.
        fn hear(&mut self) {
            let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
            let inotify = Arc::clone(&self.inotify);
            let mut events = Reader::new(&*inotify, &mut buffer);
            while let Ok(event) = events.next() {
                if event.events().contains(ReadFlags::IGNORED) {
                    self.folders.remove(&event.wd());
                    continue;
                }
                let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name())
                else {
                    continue;
                };
                let path = folder.join(OsStr::from_bytes(name.to_bytes()));
                if event.events().contains(ReadFlags::CREATE) {
                    // It may be gone already.
                    if let Ok(file) = File::open(&path) {
                        self.growing.insert(path, (file, 0));
                    }
                } else {
                    self.growing.remove(&path);
                }
            }
        }
    }

    /// Lets the system begin to write what has come since the last time, if it is enough.
    fn tell(file: &File, told: &mut u64) {
        let Ok(metadata) = file.metadata() else {
            return;
        };
        let end = metadata.len() / PAGE_BYTES * PAGE_BYTES;
        let Some(more) = end
            .checked_sub(*told)
            .filter(|more| *more >= PIECE_BYTES)
            .and_then(NonZeroU64::new)
        else {
            return;
        };
        // What is dirty is written; only then, with the next such advice, would it leave the cache.
        let _ = fadvise(file, *told, Some(more), Advice::DontNeed);
        *told = end;
    }

    #[cfg(test)]
    mod tests {
        use std::io::Write as _;

        use super::*;

        #[test]
        fn tables_are_followed_while_they_are_written() {
            let dir = tempfile::tempdir().unwrap();
            let tables = dir.path().join("keyspaces/1/tables");
            std::fs::create_dir_all(&tables).unwrap();
            let writeback = Writeback::start(dir.path()).unwrap();
            let bytes = vec![7; PIECE_BYTES as usize + 1];
            for name in ["1", "2"] {
                let mut table = File::create(tables.join(name)).unwrap();
                for _ in 0..3 {
                    table.write_all(&bytes).unwrap();
                    table.sync_data().unwrap();
                }
                drop(table);
                let written = std::fs::read(tables.join(name)).unwrap();
                assert_eq!(written, bytes.repeat(3));
            }
            drop(writeback);
        }

        #[test]
        fn whole_pieces_are_told_of() {
            let mut file = tempfile::tempfile().unwrap();
            let mut told = 0;
            file.write_all(&vec![1; PIECE_BYTES as usize - 1]).unwrap();
            tell(&file, &mut told);
            assert_eq!(told, 0);
            file.write_all(&[1; 100]).unwrap();
            tell(&file, &mut told);
            assert_eq!(told, PIECE_BYTES);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::path::Path;

    /// Nothing: there is no such advice.
    pub(in super::super) struct Writeback;

    impl Writeback {
        pub(in super::super) fn start(_dir: &Path) -> Option<Self> {
            None
        }
    }
}
