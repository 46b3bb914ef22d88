//! The framing of `Request.commands`: for each command `u32` number of arguments, then for each argument `u32` length and
//! bytes, all little endian. Made for one pass without allocation; the entry's checksum is the engine's.

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

/// The arguments of one command, the name first, as slices of the batch.
pub type Arguments<'a> = SmallVec<[&'a [u8]; 8]>;

/// Bytes that a command of these arguments takes.
pub fn size_bytes(args: &[&[u8]]) -> usize {
    4 + args.iter().map(|arg| 4 + arg.len()).sum::<usize>()
}

/// Adds a command.
pub fn push(out: &mut BytesMut, args: &[&[u8]]) {
    out.reserve(size_bytes(args));
    out.put_u32_le(args.len() as u32);
    for arg in args {
        out.put_u32_le(arg.len() as u32);
        out.put_slice(arg);
    }
}

/// The commands of a batch, in order.
pub fn iter(bytes: &[u8]) -> Batch<'_> {
    Batch { rest: bytes }
}

/// See [`iter`].
pub struct Batch<'a> {
    rest: &'a [u8],
}

impl<'a> Batch<'a> {
    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*number) as usize)
    }

    fn command(&mut self) -> Option<Arguments<'a>> {
        let count = self.number()?;
        let mut args = Arguments::new();
        for _ in 0..count {
            let len = self.number()?;
            let (arg, rest) = self.rest.split_at_checked(len)?;
            self.rest = rest;
            args.push(arg);
        }
        (!args.is_empty()).then_some(args)
    }
}

impl<'a> Iterator for Batch<'a> {
    type Item = storage::Result<Arguments<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let command = self.command();
        if command.is_none() {
            self.rest = &[];
        }
        Some(command.ok_or_else(|| {
            storage::Error::corrupt("batch of commands", "it ends within a command")
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_comes_out() {
        let mut bytes = BytesMut::new();
        push(&mut bytes, &[b"SET", b"k", b""]);
        push(&mut bytes, &[b"GET", b"k"]);
        let commands: Vec<_> = iter(&bytes)
            .map(|args| args.expect("whole").to_vec())
            .collect();
        assert_eq!(commands, [vec![&b"SET"[..], b"k", b""], vec![b"GET", b"k"]]);
    }

    #[test]
    fn anything_cut_short_is_corrupt() {
        let mut bytes = BytesMut::new();
        push(&mut bytes, &[b"SET", b"key", b"value"]);
        for len in 1..bytes.len() {
            let commands: Vec<_> = iter(&bytes[..len]).collect();
            assert!(commands.last().expect("one item").is_err(), "{len} bytes");
        }
        assert!(
            iter(&[0, 0, 0, 0]).next().expect("one item").is_err(),
            "a command without a name"
        );
        assert!(
            iter(&[255; 8]).next().expect("one item").is_err(),
            "a giant count allocates nothing"
        );
    }
}
