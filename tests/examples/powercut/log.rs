//! What the recorder has written down: `tests/suites/faults/record.c`.

use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};

/// Bytes of a record before its own ones.
const HEAD_BYTES: usize = 48;

/// A process, and in it a thread or a descriptor.
pub(crate) type Owner = (u32, u64);

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Open {
        inode: u64,
        path: String,
        may_create: bool,
        empties: bool,
    },
    /// Content; `None`: zeros.
    Write {
        inode: u64,
        offset: u64,
        length: u64,
        bytes: Option<Bytes>,
    },
    Truncate {
        inode: u64,
        length: u64,
    },
    SyncBegin {
        inode: u64,
        thread: Owner,
    },
    SyncEnd {
        thread: Owner,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    MakeDir {
        path: String,
    },
    /// Bytes for a client.
    Send {
        connection: Owner,
        bytes: Bytes,
    },
    Close {
        connection: Owner,
    },
}

/// Everything in the log at `path`, in order. Whoever records was killed, so the last record may be incomplete.
///
/// # Panics
/// When something was recorded that this program does not know how to replay.
pub(crate) fn read(path: &Path) -> Arc<[Event]> {
    let mut log = Bytes::from(std::fs::read(path).expect("the log of the recorder"));
    let mut events = Vec::new();
    while log.len() >= HEAD_BYTES {
        let head = Head::take(&mut log);
        if log.len() < head.length {
            break;
        }
        let bytes = log.split_to(head.length);
        events.push(head.event(bytes));
    }
    events.into()
}

struct Head {
    kind: u32,
    length: usize,
    process: u32,
    thread: u32,
    file: u64,
    offset: u64,
    size: u64,
    flags: u64,
}

impl Head {
    fn take(log: &mut Bytes) -> Self {
        Self {
            kind: log.get_u32_le(),
            length: log.get_u32_le() as usize,
            process: log.get_u32_le(),
            thread: log.get_u32_le(),
            file: log.get_u64_le(),
            offset: log.get_u64_le(),
            size: log.get_u64_le(),
            flags: log.get_u64_le(),
        }
    }

    /// The numbers are those of `enum kind`.
    fn event(&self, bytes: Bytes) -> Event {
        let text = || String::from_utf8(bytes.to_vec()).expect("paths are UTF-8");
        let inode = self.file;
        let thread = (self.process, self.thread.into());
        let connection = (self.process, self.file);
        match self.kind {
            1 => Event::Open {
                inode,
                path: text(),
                may_create: self.flags & 1 != 0,
                empties: self.flags & 2 != 0,
            },
            2 | 3 => Event::Write {
                inode,
                offset: self.offset,
                length: self.size,
                bytes: (self.kind == 2).then_some(bytes),
            },
            4 => Event::Truncate {
                inode,
                length: self.size,
            },
            5 => Event::SyncBegin { inode, thread },
            6 => Event::SyncEnd { thread },
            7 => {
                let text = text();
                let (from, to) = text.split_once('\0').expect("two paths");
                Event::Rename {
                    from: from.to_owned(),
                    to: to.to_owned(),
                }
            }
            8 => Event::Unlink { path: text() },
            9 => Event::MakeDir { path: text() },
            10 => Event::Send { connection, bytes },
            11 => Event::Close { connection },
            other => panic!(
                "the recorder met what cannot be replayed: kind {other}, {}",
                self.file
            ),
        }
    }
}
