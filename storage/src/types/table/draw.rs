//! Entries drawn at random, the same by the same numbers on every replica.

use smallvec::SmallVec;

use super::{Keyed, Segment, Step, Table};
use crate::{prefetch, random};

/// A window of the hash space from which a random entry is drawn holds so many entries on average, at most, and half as many at least.
const WINDOW_ENTRIES: u64 = 48;
/// A window with more entries is drawn as if it had so many: of the fullest windows one in a hundred has, and a few more only.
const WINDOW_MAX_ENTRIES: usize = 64;
/// Pairs of windows tried before any is taken: more than a third of all windows are accepted.
const WINDOW_TRIES: usize = 100;

/// As many as are looked at together.
const USUAL_SEEDS: usize = 16;

/// The hashes from a first to a last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashRange {
    /// The first.
    pub first: u32,
    /// The last, included.
    pub last: u32,
}

impl HashRange {
    /// All hashes.
    pub const ALL: Self = Self {
        first: 0,
        last: u32::MAX,
    };

    /// Whether it has all hashes of another one.
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// How many windows the hash space is cut into: a power of two, so that a window is a part of one segment, or consists of few.
fn windows(len: usize) -> u64 {
    match len {
        ..=WINDOW_MAX_ENTRIES => 1,
        len => (len as u64)
            .div_ceil(WINDOW_ENTRIES)
            .next_power_of_two()
            .min(1 << 31),
    }
}

/// The one of so many windows that a number draws.
fn window(drawn: u64, windows: u64) -> HashRange {
    let width = (u64::from(u32::MAX) + 1) / windows;
    let first = (drawn >> 32) % windows * width;
    HashRange {
        first: first as u32,
        last: (first + width - 1) as u32,
    }
}

/// The hashes among which a number draws an entry of a table of `len`.
pub(crate) fn drawn_from(len: usize, drawn: u64) -> HashRange {
    window(drawn, windows(len))
}

impl<T> Table<T> {
    /// An entry drawn with equal chances from all; none of an empty table. The same numbers give the same entry on every
    /// replica, however its table came to be.
    ///
    /// One of the windows that the hash space is cut into is drawn until one is accepted, with a chance in proportion to the
    /// entries in it, then the one of them whose hash comes first in an order drawn at random. Each entry has the same chance but for
    /// `WINDOW_MAX_ENTRIES`, and for the few that share their whole hash with another; and only few are looked at.
    ///
    /// Of a part, a table that lacks `absent` entries, none of them with hashes that are `complete`: an error if others have to be looked
    /// at. The entry comes with its hash.
    pub fn draw(
        &self,
        absent: usize,
        complete: &[HashRange],
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Option<(u32, &T)>, HashRange>
    where
        T: Keyed,
    {
        let len = self.len() + absent;
        if len == 0 {
            return Ok(None);
        }
        let is_here = |hashes| absent == 0 || complete.iter().any(|range| range.covers(hashes));
        let windows = windows(len);
        for attempt in 1..=WINDOW_TRIES {
            // Two at once, because looking at one is mostly waiting for memory.
            let drawn = [random(), random()].map(|drawn| (drawn, window(drawn, windows)));
            if let Some((_, window)) = drawn.iter().find(|(_, window)| !is_here(*window)) {
                return Err(*window);
            }
            let looked = drawn.map(|(drawn, HashRange { first, last })| {
                let (chance, salt) = (
                    drawn as u32 as usize % WINDOW_MAX_ENTRIES,
                    drawn as u32 / WINDOW_MAX_ENTRIES as u32,
                );
                (chance, self.pick_between(first, last, salt))
            });
            for (chance, (count, hash)) in looked {
                let accepted = windows == 1 || chance < count;
                if count > 0 && (accepted || attempt == WINDOW_TRIES) {
                    let mut same: SmallVec<[&T; 1]> = self.with_hash(hash).collect();
                    same.sort_unstable_by_key(|entry| entry.key());
                    let nth = chance.checked_rem(same.len()).unwrap_or(0);
                    return Ok(same.get(nth).map(|entry| (hash, *entry)));
                }
            }
        }
        // As good as impossible: every window drawn was empty.
        if !is_here(HashRange::ALL) {
            return Err(HashRange::ALL);
        }
        let from = random() as u32;
        let found = [from, 0].into_iter().find_map(|from| {
            let (_, found) = self.scan(from, 1);
            found.first().copied()
        });
        let mut entries = self.segments_from(0).flat_map(Segment::hashed);
        Ok(entries.find(|(_, entry)| found.is_some_and(|found| std::ptr::eq(*entry, found))))
    }

    /// What [`Table::draw`] draws with the numbers from each of these seeds, if nothing changes in between. The waits for memory are
    /// shared, those for what the entries own included.
    pub fn draw_ahead(
        &self,
        absent: usize,
        complete: &[HashRange],
        seeds: &[u64],
    ) -> SmallVec<[(u32, &T); USUAL_SEEDS]>
    where
        T: Keyed,
    {
        let windows = windows(self.len() + absent);
        let first_two = |&(mut seed): &u64| [random::next(&mut seed), random::next(&mut seed)];
        let hashes: SmallVec<[u32; 2 * USUAL_SEEDS]> = seeds
            .iter()
            .flat_map(first_two)
            .map(|drawn| window(drawn, windows).first)
            .collect();
        for step in Step::TO_HASHES {
            hashes.iter().for_each(|&hash| self.prefetch(step, hash));
        }
        let draw = |&(mut seed): &u64| {
            let drawn = self.draw(absent, complete, &mut || random::next(&mut seed));
            drawn.ok().flatten()
        };
        let drawn: SmallVec<[_; USUAL_SEEDS]> = seeds.iter().filter_map(draw).collect();
        drawn.iter().for_each(|(_, entry)| prefetch::object(*entry));
        drawn.iter().for_each(|(_, entry)| entry.prefetch());
        drawn
    }

    /// How many entries have these hashes, and one of the hashes, which `salt` decides.
    fn pick_between(&self, first: u32, last: u32, salt: u32) -> (usize, u32) {
        let (mut count, mut least) = (0, u32::MAX);
        for segment in self.segments_between(first, last) {
            // Without a branch, so that the compiler turns it into vector instructions.
            for &hash in &segment.hashes {
                let within = hash.wrapping_sub(first) <= last - first;
                count += u32::from(within);
                least = least.min(scrambled(hash ^ salt) | if within { 0 } else { u32::MAX });
            }
        }
        (count as usize, unscrambled(least) ^ salt)
    }
}

/// Two odd factors, and what undoes a multiplication by them.
const FACTORS: [u32; 2] = [0x9e37_79b1, 0x85eb_ca6b];
const INVERSES: [u32; 2] = [inverse(FACTORS[0]), inverse(FACTORS[1])];

/// What `odd` multiplied by is 1, modulo 2^32, by Newton's iteration: each step doubles the bits that are right.
const fn inverse(odd: u32) -> u32 {
    let (mut found, mut right_bits) = (odd, 3);
    while right_bits < u32::BITS {
        found = found.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(found)));
        right_bits *= 2;
    }
    found
}

/// Another order of the numbers, as good as random.
fn scrambled(number: u32) -> u32 {
    let mixed = number.wrapping_mul(FACTORS[0]);
    (mixed ^ (mixed >> 16)).wrapping_mul(FACTORS[1])
}

/// Undoes [`scrambled`].
fn unscrambled(number: u32) -> u32 {
    let mixed = number.wrapping_mul(INVERSES[1]);
    (mixed ^ (mixed >> 16)).wrapping_mul(INVERSES[0])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Entry, entry};
    use super::*;
    use crate::types::KeyHasher;

    fn draw<'t>(table: &'t Table<Entry>, state: &mut u64) -> Option<&'t Entry> {
        let drawn = table.draw(0, &[], &mut || random::next(state));
        drawn.expect("nothing is absent").map(|(_, entry)| entry)
    }

    #[test]
    fn random_entries_are_fair_and_do_not_depend_on_the_layout() {
        let hasher = KeyHasher::new(&[7; 16]);
        for len in [1u32, 2, 30, 700] {
            let mut table = Table::default();
            let mut other = Table::default();
            for n in 0..5000u32 {
                other.insert(hasher.hash(&n.to_le_bytes()), entry(&n.to_le_bytes()));
            }
            for n in (0..len).rev() {
                table.insert(hasher.hash(&n.to_le_bytes()), entry(&n.to_le_bytes()));
            }
            other.extract(
                |_, e| u32::from_le_bytes(*e.key().first_chunk().unwrap()) >= len,
                |_, _| (),
            );
            let mut counts = vec![0u32; len as usize];
            let mut state = 1u64;
            let mut twin = 1u64;
            for _ in 0..200 * len {
                let drawn = draw(&table, &mut state).unwrap();
                assert_eq!(Some(drawn), draw(&other, &mut twin));
                counts[u32::from_le_bytes(*drawn.key().first_chunk().unwrap()) as usize] += 1;
            }
            // Six standard deviations of a count of 200.
            assert!(
                counts.iter().all(|&count| (115..=285).contains(&count)),
                "{len}: {counts:?}"
            );
        }
        assert!(draw(&Table::default(), &mut 1).is_none());
    }

    #[test]
    fn what_is_drawn_ahead_is_what_is_drawn() {
        let hasher = KeyHasher::new(&[7; 16]);
        for len in [0u32, 1, 40, 5000] {
            let mut table = Table::default();
            for n in 0..len {
                table.insert(hasher.hash(&n.to_le_bytes()), entry(&n.to_le_bytes()));
            }
            let seeds: Vec<u64> = (0..20).collect();
            let ahead = table.draw_ahead(0, &[], &seeds);
            let one_by_one = seeds.iter().filter_map(|&(mut seed)| {
                let drawn = table.draw(0, &[], &mut || random::next(&mut seed));
                drawn.unwrap()
            });
            assert!(ahead.into_iter().eq(one_by_one));
        }
    }
}
