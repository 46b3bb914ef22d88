//! What a disk may hold: of every file and directory what is certainly there, and the changes that are not yet.
//!
//! A sync makes the changes of its file durable that were made before it began. POSIX promises no more; file systems with a
//! journal keep the order of all changes of names on top, and a sync of any file takes the earlier ones along. [`super::image`]
//! draws from both worlds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::path::Path;

use bytes::Bytes;

use super::content::Content;
use super::log::{Event, Owner};

/// The place of a file or directory in [`Disk::nodes`].
pub(crate) type Node = usize;

/// A change of a file's content.
#[derive(Clone)]
pub(crate) enum Change {
    /// `None`: zeros.
    Write(u64, u64, Option<Bytes>),
    Truncate(u64),
}

impl Change {
    pub(crate) fn apply(&self, content: &mut Content) {
        match self {
            Self::Write(offset, _, Some(bytes)) => content.write(*offset, bytes),
            Self::Write(offset, length, None) => content.write_zeros(*offset, *length),
            Self::Truncate(length) => content.truncate(*length),
        }
    }
}

#[derive(Default)]
pub(crate) struct FileState {
    pub(crate) synced: Content,
    /// By number, which counts all changes of the disk.
    pub(crate) pending: VecDeque<(u64, Change)>,
}

/// A name that appears, now stands for another file, or goes.
pub(crate) struct NameChange {
    /// A renaming is two of the same number.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) node: Option<Node>,
}

#[derive(Default)]
pub(crate) struct DirState {
    visible: BTreeMap<String, Node>,
    pub(crate) synced: BTreeMap<String, Node>,
    pub(crate) pending: VecDeque<NameChange>,
}

impl DirState {
    fn change(&mut self, number: u64, name: &str, node: Option<Node>) {
        set(&mut self.visible, name, node);
        self.pending.push_back(NameChange {
            number,
            name: name.to_owned(),
            node,
        });
    }
}

/// Makes `name` stand for `node`, or for nothing.
pub(crate) fn set(names: &mut BTreeMap<String, Node>, name: &str, node: Option<Node>) {
    match node {
        Some(node) => names.insert(name.to_owned(), node),
        None => names.remove(name),
    };
}

pub(crate) enum State {
    File(FileState),
    Dir(DirState),
}

/// A disk with one directory on it, which is node 0.
pub(crate) struct Disk {
    root: String,
    pub(crate) nodes: Vec<State>,
    by_inode: HashMap<u64, Node>,
    /// Of each thread's sync under way: what it syncs, and the changes made before.
    syncing: HashMap<Owner, (Node, u64)>,
    /// Changes so far.
    pub(crate) changes: u64,
    /// With a journal, changes of names up to here are durable.
    pub(crate) journaled: u64,
    /// Syncs do nothing: to see that this is noticed.
    ignores_syncs: bool,
}

impl Disk {
    /// A disk that has everything in the directory `root`, durably.
    pub(crate) fn load(root: &Path, ignores_syncs: bool) -> io::Result<Self> {
        let mut disk = Self {
            root: root.to_str().expect("UTF-8").to_owned(),
            nodes: Vec::new(),
            by_inode: HashMap::new(),
            syncing: HashMap::new(),
            changes: 0,
            journaled: 0,
            ignores_syncs,
        };
        disk.load_dir(root)?;
        Ok(disk)
    }

    fn load_dir(&mut self, path: &Path) -> io::Result<Node> {
        let node = self.add(State::Dir(DirState::default()));
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().into_string().expect("UTF-8");
            let child = if entry.file_type()?.is_dir() {
                self.load_dir(&entry.path())?
            } else {
                let synced = Content::load(&entry.path())?;
                self.add(State::File(FileState {
                    synced,
                    pending: VecDeque::new(),
                }))
            };
            let dir = self.dir(node);
            dir.visible.insert(name.clone(), child);
            dir.synced.insert(name, child);
        }
        Ok(node)
    }

    /// The next thing happens, on this disk or another.
    pub(crate) fn happen(&mut self, event: &Event) {
        self.changes += 1;
        match event {
            Event::Open {
                inode,
                path,
                may_create,
                empties,
            } => self.open(*inode, path, *may_create, *empties),
            Event::Write {
                inode,
                offset,
                length,
                bytes,
            } => self.change(*inode, Change::Write(*offset, *length, bytes.clone())),
            Event::Truncate { inode, length } => self.change(*inode, Change::Truncate(*length)),
            Event::SyncBegin { inode, thread } => {
                if let Some(&node) = self.by_inode.get(inode) {
                    self.syncing.insert(*thread, (node, self.changes));
                }
            }
            Event::SyncEnd { thread } => self.synced(*thread),
            Event::Rename { from, to } => {
                let (Some((from_dir, from)), Some((to_dir, to))) =
                    (self.split(from), self.split(to))
                else {
                    return;
                };
                let number = self.changes;
                let node = self.dir(from_dir).visible.get(from).copied();
                assert!(node.is_some(), "{from} is renamed and was never made");
                self.dir(from_dir).change(number, from, None);
                self.dir(to_dir).change(number, to, node);
            }
            Event::Unlink { path } => self.name(path, |_| None),
            Event::MakeDir { path } => {
                self.name(path, |disk| Some(disk.add(State::Dir(DirState::default()))));
            }
            Event::Send { .. } | Event::Close { .. } => {}
        }
    }

    fn open(&mut self, inode: u64, path: &str, may_create: bool, empties: bool) {
        if may_create && self.find(path).is_none() {
            self.name(path, |disk| {
                Some(disk.add(State::File(FileState::default())))
            });
        }
        // What had this inode before is gone; another node's file may have it now, and its writes are none of this disk's.
        self.by_inode.remove(&inode);
        // Otherwise it is on another disk, or another thread has removed it meanwhile.
        let Some(node) = self.find(path) else {
            return;
        };
        self.by_inode.insert(inode, node);
        if empties {
            self.change(inode, Change::Truncate(0));
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        let Some(&node) = self.by_inode.get(&inode) else {
            return;
        };
        let number = self.changes;
        match &mut self.nodes[node] {
            State::File(file) => file.pending.push_back((number, change)),
            State::Dir(_) => panic!("a directory was written"),
        }
    }

    fn synced(&mut self, thread: Owner) {
        let Some((node, until)) = self.syncing.remove(&thread) else {
            return;
        };
        if self.ignores_syncs {
            return;
        }
        self.journaled = self.journaled.max(until);
        match &mut self.nodes[node] {
            State::File(file) => {
                while file
                    .pending
                    .front()
                    .is_some_and(|(number, _)| *number < until)
                {
                    if let Some((_, change)) = file.pending.pop_front() {
                        change.apply(&mut file.synced);
                    }
                }
            }
            State::Dir(dir) => {
                while dir
                    .pending
                    .front()
                    .is_some_and(|change| change.number < until)
                {
                    if let Some(change) = dir.pending.pop_front() {
                        set(&mut dir.synced, &change.name, change.node);
                    }
                }
            }
        }
    }

    fn add(&mut self, state: State) -> Node {
        self.nodes.push(state);
        self.nodes.len() - 1
    }

    fn dir(&mut self, node: Node) -> &mut DirState {
        match &mut self.nodes[node] {
            State::Dir(dir) => dir,
            State::File(_) => panic!("a file where a directory should be"),
        }
    }

    /// The path now stands for what `node` says.
    fn name(&mut self, path: &str, node: impl FnOnce(&mut Self) -> Option<Node>) {
        if let Some((dir, name)) = self.split(path) {
            let (node, number) = (node(self), self.changes);
            self.dir(dir).change(number, name, node);
        }
    }

    /// What a path stands for now, if that is on this disk.
    fn find(&self, path: &str) -> Option<Node> {
        let path = path.strip_prefix(&self.root)?;
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(0, |node, name| match &self.nodes[node] {
            State::Dir(dir) => dir.visible.get(name).copied(),
            State::File(_) => None,
        })
    }

    /// The directory of a path, and the name in it, if that is on this disk.
    fn split<'a>(&self, path: &'a str) -> Option<(Node, &'a str)> {
        let (dir, name) = path.rsplit_once('/')?;
        Some((self.find(dir)?, name))
    }
}
