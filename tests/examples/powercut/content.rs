//! The content of a file, block by block.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

pub(crate) const BLOCK_BYTES: u64 = 4096;

type Block = [u8; BLOCK_BYTES as usize];

/// Blocks that are not there are zeros, as is everything behind the end.
#[derive(Clone, Default)]
pub(crate) struct Content {
    length: u64,
    blocks: BTreeMap<u64, Arc<Block>>,
}

impl Content {
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut content = Self {
            length: file.metadata()?.len(),
            blocks: BTreeMap::new(),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        content.write(0, &bytes);
        content
            .blocks
            .retain(|_, block| block.iter().any(|&byte| byte != 0));
        Ok(content)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.length = self.length.max(offset + bytes.len() as u64);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % BLOCK_BYTES) as usize;
            let count = (BLOCK_BYTES as usize - within).min(bytes.len() - done);
            self.block(at / BLOCK_BYTES)[within..within + count]
                .copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    pub(crate) fn write_zeros(&mut self, offset: u64, length: u64) {
        self.clear(offset, offset + length);
        self.length = self.length.max(offset + length);
    }

    pub(crate) fn truncate(&mut self, length: u64) {
        self.clear(length, u64::MAX);
        self.length = length;
    }

    /// Takes `count` bytes at `offset`, which lie in one block, from `other`.
    pub(crate) fn copy_from(&mut self, other: &Self, offset: u64, count: u64) {
        let within = (offset % BLOCK_BYTES) as usize;
        let range = within..within + count as usize;
        let block = self.block(offset / BLOCK_BYTES);
        match other.blocks.get(&(offset / BLOCK_BYTES)) {
            Some(from) => block[range.clone()].copy_from_slice(&from[range]),
            None => block[range].fill(0),
        }
    }

    /// The numbers of blocks from `offset` on that may hold something.
    pub(crate) fn blocks_from(&self, offset: u64) -> impl Iterator<Item = u64> {
        self.blocks
            .range(offset / BLOCK_BYTES..)
            .map(|(&number, _)| number)
    }

    /// Makes the file at `path`.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        for (&number, block) in &self.blocks {
            let offset = number * BLOCK_BYTES;
            let count = BLOCK_BYTES.min(self.length.saturating_sub(offset)) as usize;
            file.write_all_at(&block[..count], offset)?;
        }
        file.set_len(self.length)
    }

    fn block(&mut self, number: u64) -> &mut Block {
        let block = self
            .blocks
            .entry(number)
            .or_insert_with(|| Arc::new([0; BLOCK_BYTES as usize]));
        Arc::make_mut(block)
    }

    fn clear(&mut self, from: u64, to: u64) {
        let mut touched = Vec::new();
        for number in self.blocks_from(from) {
            if number * BLOCK_BYTES >= to {
                break;
            }
            touched.push(number);
        }
        for number in touched {
            let start = number * BLOCK_BYTES;
            if from <= start && start + BLOCK_BYTES <= to {
                self.blocks.remove(&number);
            } else {
                let first = from.saturating_sub(start) as usize;
                let last = (to - start).min(BLOCK_BYTES) as usize;
                self.block(number)[first..last].fill(0);
            }
        }
    }
}
