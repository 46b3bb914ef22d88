//! Elements that a command draws at random, and what it looks at for that. The numbers by which it draws follow from a seed, so what it will
//! look at is known before.

use std::collections::BTreeSet;

use super::table::{self, HashRange};
use crate::random;

/// A table draws an element by two numbers at a time, until one is accepted.
const NUMBERS_AT_ONCE: usize = 2;

/// Elements that a command draws at random.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    /// The beginning of the sequence of numbers by which they are drawn.
    pub(crate) seed: u64,
    /// How many, and what becomes of them.
    pub(crate) drawn: Drawn,
    /// The command's time.
    pub(crate) now_ms: u64,
}

/// How many elements a command draws, and what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// So many, each of which is taken out before the next one is drawn.
    Taken(usize),
    /// So many, some perhaps several times. They stay.
    Repeated(usize),
    /// As many as it takes until so many are different. They stay.
    Different(usize),
}

impl Drawn {
    /// How many the command gets.
    pub(crate) fn count(self) -> usize {
        let (Self::Taken(count) | Self::Repeated(count) | Self::Different(count)) = self;
        count
    }
}

/// The numbers by which elements are drawn.
pub(crate) struct Numbers {
    seed: u64,
    last: [u64; NUMBERS_AT_ONCE],
}

impl Numbers {
    /// Those of a command.
    pub(crate) fn of(draw: Draw) -> Self {
        Self {
            seed: draw.seed,
            last: [0; NUMBERS_AT_ONCE],
        }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.last.rotate_left(1);
        let next = random::next(&mut self.seed);
        self.last[NUMBERS_AT_ONCE - 1] = next;
        next
    }

    /// What [`super::Large::missing_for`] answers when the last numbers have met `missing`, in a table of `len` elements, and so many are
    /// still to be drawn: the hashes that these numbers point at, and as many of the next ones as it will take at least.
    pub(crate) fn missing(
        mut self,
        missing: HashRange,
        len: usize,
        to_draw: usize,
    ) -> Vec<HashRange> {
        if missing == HashRange::ALL {
            return vec![missing];
        }
        let mut numbers = self.last.to_vec();
        let others = to_draw.saturating_sub(1) * NUMBERS_AT_ONCE;
        numbers.extend(std::iter::repeat_with(|| self.next()).take(others));
        let ranges = numbers
            .into_iter()
            .map(|drawn| table::drawn_from(len, drawn));
        ranges.collect()
    }
}

impl Draw {
    /// What [`super::Large::missing_for`] answers of `len` elements that stay; `one` draws one by the numbers that it is given.
    pub(crate) fn missing_of<'t>(
        self,
        len: usize,
        mut one: impl FnMut(&mut dyn FnMut() -> u64) -> Result<Option<&'t [u8]>, HashRange>,
    ) -> Vec<HashRange> {
        let mut numbers = Numbers::of(self);
        let (mut draws, mut different) = (0, BTreeSet::new());
        loop {
            let got = match self.drawn {
                Drawn::Different(_) => different.len(),
                _ => draws,
            };
            let to_draw = self.drawn.count().saturating_sub(got);
            if to_draw == 0 {
                return Vec::new();
            }
            match one(&mut || numbers.next()) {
                Ok(Some(element)) => different.insert(element),
                Ok(None) => return Vec::new(),
                Err(missing) => return numbers.missing(missing, len, to_draw),
            };
            draws += 1;
        }
    }
}
