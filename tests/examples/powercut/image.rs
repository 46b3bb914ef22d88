//! What a power cut leaves of a disk, drawn at random.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rand::Rng as _;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::content::{BLOCK_BYTES, Content};
use super::disk::{Change, DirState, Disk, FileState, Node, State, set};

/// What of the changes of names that were not synced is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// Those up to one, of all directories: a file system with a journal.
    Journaled(u64),
    /// In each directory those up to one.
    InOrder,
    /// Any, but for those that rest on one that is not.
    Any,
}

/// A directory as it is found after the power cut.
pub(crate) struct Image {
    /// What was drawn of names.
    pub(crate) names: Names,
    /// Directories before what is in them.
    entries: Vec<(PathBuf, Option<Content>)>,
}

impl Image {
    pub(crate) fn draw(disk: &Disk, random: &mut ChaCha8Rng) -> Self {
        let names = match random.random_range(0..4) {
            0 | 1 => Names::Journaled(random.random_range(disk.journaled..=disk.changes)),
            2 => Names::InOrder,
            _ => Names::Any,
        };
        let mut image = Self {
            names,
            entries: Vec::new(),
        };
        image.draw_dir(disk, 0, &PathBuf::new(), names, random);
        image
    }

    /// Makes it in `dir`, which is emptied.
    pub(crate) fn store(&self, dir: &Path) -> io::Result<()> {
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(dir)?;
        for (path, content) in &self.entries {
            match content {
                Some(content) => content.store(&dir.join(path))?,
                None => fs::create_dir(dir.join(path))?,
            }
        }
        Ok(())
    }

    fn draw_dir(
        &mut self,
        disk: &Disk,
        node: Node,
        path: &Path,
        names: Names,
        random: &mut ChaCha8Rng,
    ) {
        let State::Dir(dir) = &disk.nodes[node] else {
            panic!("a file where a directory should be");
        };
        for (name, child) in names.draw(dir, random) {
            let path = path.join(name);
            match &disk.nodes[child] {
                State::File(file) => self.entries.push((path, Some(draw_content(file, random)))),
                State::Dir(_) => {
                    self.entries.push((path.clone(), None));
                    self.draw_dir(disk, child, &path, names, random);
                }
            }
        }
    }
}

impl Names {
    fn draw(self, dir: &DirState, random: &mut ChaCha8Rng) -> BTreeMap<String, Node> {
        let mut found = dir.synced.clone();
        let in_order = random.random_range(0..=dir.pending.len());
        let mut lost = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for (at, change) in dir.pending.iter().enumerate() {
            let is_there = match self {
                Self::Journaled(until) => change.number < until,
                // A renaming is not cut in two.
                Self::InOrder => at < in_order || kept.contains(&change.number),
                Self::Any => {
                    let of_renaming = || {
                        let same = dir.pending.iter();
                        same.filter(|other| other.number == change.number)
                    };
                    kept.contains(&change.number)
                        || (of_renaming().all(|other| !lost.contains(&other.name))
                            && random.random_bool(0.6))
                }
            };
            if is_there {
                kept.insert(change.number);
                set(&mut found, &change.name, change.node);
            } else {
                lost.insert(change.name.clone());
            }
        }
        found
    }
}

fn draw_content(file: &FileState, random: &mut ChaCha8Rng) -> Content {
    let pending: Vec<&Change> = file.pending.iter().map(|(_, change)| change).collect();
    let mut content = file.synced.clone();
    match random.random_range(0..6) {
        0 => {}
        1 => pending.iter().for_each(|change| change.apply(&mut content)),
        2 => {
            let count = random.random_range(0..=pending.len());
            pending[..count]
                .iter()
                .for_each(|change| change.apply(&mut content));
        }
        _ => content = draw_units(content, &pending, random),
    }
    content
}

/// Each sector, or each page, as it was at some time since the last sync; and the length too.
fn draw_units(synced: Content, pending: &[&Change], random: &mut ChaCha8Rng) -> Content {
    let unit_bytes = *[512, BLOCK_BYTES].choose(random).expect("two");
    let new = *[0.1, 0.5, 0.9, 0.98].choose(random).expect("four");
    let mut now = synced.clone();
    let mut lengths = vec![now.length()];
    // The changes that touch each unit.
    let mut touched: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, change) in pending.iter().enumerate() {
        for unit in units(change, &now, unit_bytes) {
            touched.entry(unit).or_default().push(at);
        }
        change.apply(&mut now);
        lengths.push(now.length());
    }
    let mut drawn: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (unit, changes) in touched {
        if random.random_bool(new) {
            let at = match random.random_bool(0.7) {
                true => changes[changes.len() - 1],
                false => *changes.choose(random).expect("it was touched"),
            };
            drawn.entry(at).or_default().push(unit);
        }
    }
    let length = *lengths.choose(random).expect("at least one");
    let mut now = synced.clone();
    let mut content = synced;
    for (at, change) in pending.iter().enumerate() {
        change.apply(&mut now);
        for unit in drawn.remove(&at).unwrap_or_default() {
            content.copy_from(&now, unit * unit_bytes, unit_bytes);
        }
    }
    content.truncate(length);
    content
}

fn units(change: &Change, before: &Content, unit_bytes: u64) -> Vec<u64> {
    match change {
        Change::Write(_, 0, _) => Vec::new(),
        Change::Write(offset, length, _) => {
            (offset / unit_bytes..=(offset + length - 1) / unit_bytes).collect()
        }
        Change::Truncate(length) => {
            let first = length / unit_bytes;
            let per_block = BLOCK_BYTES / unit_bytes;
            let blocks = before.blocks_from(*length);
            let all = blocks.flat_map(|block| block * per_block..(block + 1) * per_block);
            all.filter(|unit| *unit >= first).collect()
        }
    }
}
