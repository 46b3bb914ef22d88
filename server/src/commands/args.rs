//! The argument cursor: handlers take their arguments one by one, and end with [`Args::finish`].

use super::error::{CommandError, CommandResult};
use super::number;

/// The arguments of one command, read from left to right. Argument 0 is the command's name.
pub struct Args<'a> {
    all: &'a [&'a [u8]],
    next: usize,
}

impl<'a> Args<'a> {
    /// A cursor at the first argument after the name.
    pub fn new(all: &'a [&'a [u8]]) -> Self {
        Self { all, next: 1 }
    }

    /// A cursor after the name of the command and of its subcommand.
    pub fn of_subcommand(all: &'a [&'a [u8]]) -> Self {
        Self { all, next: 2 }
    }

    /// Every argument, the name first.
    pub fn all(&self) -> &'a [&'a [u8]] {
        self.all
    }

    /// How many are left.
    pub fn remaining(&self) -> usize {
        self.all.len().saturating_sub(self.next)
    }

    /// True when none is left.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next argument without taking it.
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.all.get(self.next).copied()
    }

    /// Takes the next argument; a syntax error if there is none.
    pub fn bytes(&mut self) -> CommandResult<&'a [u8]> {
        let taken = self.peek().ok_or(CommandError::SYNTAX)?;
        self.next += 1;
        Ok(taken)
    }

    /// Takes the next `count` arguments; a syntax error if there are not so many.
    pub fn several(&mut self, count: usize) -> CommandResult<&'a [&'a [u8]]> {
        let rest = self.all.get(self.next..).unwrap_or(&[]);
        let taken = rest.get(..count).ok_or(CommandError::SYNTAX)?;
        self.next += count;
        Ok(taken)
    }

    /// Takes all that are left.
    pub fn rest(&mut self) -> &'a [&'a [u8]] {
        let rest = self.all.get(self.next..).unwrap_or(&[]);
        self.next = self.all.len();
        rest
    }

    /// Takes an integer of 64 bits.
    pub fn int(&mut self) -> CommandResult<i64> {
        number::parse_i64(self.bytes()?).ok_or(CommandError::NOT_INTEGER)
    }

    /// Takes the next argument if it is `word`, whatever its case.
    pub fn flag(&mut self, word: &str) -> bool {
        let found = self
            .peek()
            .is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        self.next += usize::from(found);
        found
    }

    /// A syntax error unless everything was taken.
    pub fn finish(&self) -> CommandResult {
        if self.is_empty() {
            Ok(())
        } else {
            Err(CommandError::SYNTAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_arguments_in_order() {
        let all: [&[u8]; 5] = [b"SET", b"k", b"nx", b"EX", b"10"];
        let mut args = Args::new(&all);
        assert_eq!(args.bytes().unwrap(), b"k");
        assert!(!args.flag("XX"));
        assert!(args.flag("NX"));
        assert!(args.finish().is_err());
        assert!(args.flag("EX"));
        assert_eq!(args.int().unwrap(), 10);
        args.finish().unwrap();
        let mut args = Args::new(&all);
        assert!(args.several(5).is_err());
        assert_eq!(args.several(2).unwrap(), &all[1..3]);
        assert_eq!(args.several(2).unwrap(), &all[3..]);
        assert_eq!(args.bytes().unwrap_err().to_string(), "ERR syntax error");
        assert!(args.rest().is_empty());
    }
}
