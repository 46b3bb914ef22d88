//! The keys in memory that expire, earliest first.

use std::collections::BTreeMap;

use super::position::Position;

/// Bytes that a key with an expiry costs here: 20 of key and count, in nodes that are two thirds full or better.
const ENTRY_BYTES: usize = 30;

/// Positions by expiry. Several keys at one position that expire at the same time are counted, not told apart.
#[derive(Default)]
pub(super) struct ExpiryIndex {
    positions: BTreeMap<(u64, Position), u32>,
    keys: u64,
    /// Sum of the expiries, for the average time to live.
    sum_ms: u128,
}

impl ExpiryIndex {
    pub(super) fn insert(&mut self, expire_at_ms: u64, position: Position) {
        *self.positions.entry((expire_at_ms, position)).or_insert(0) += 1;
        self.keys += 1;
        self.sum_ms += u128::from(expire_at_ms);
    }

    pub(super) fn remove(&mut self, expire_at_ms: u64, position: Position) {
        let place = (expire_at_ms, position);
        let Some(count) = self.positions.get_mut(&place) else {
            debug_assert!(false, "the index knows every key that expires");
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.positions.remove(&place);
        }
        self.keys -= 1;
        self.sum_ms -= u128::from(expire_at_ms);
    }

    /// Replaces one expiry of a key by another.
    #[inline]
    pub(super) fn update(&mut self, old: Option<u64>, new: Option<u64>, position: Position) {
        if old == new {
            return;
        }
        if let Some(at_ms) = old {
            self.remove(at_ms, position);
        }
        if let Some(at_ms) = new {
            self.insert(at_ms, position);
        }
    }

    /// The positions of keys that have expired at `now_ms`, earliest first.
    pub(super) fn expired(&self, now_ms: u64) -> impl Iterator<Item = (u64, Position)> {
        self.positions
            .keys()
            .take_while(move |(at_ms, _)| now_ms > *at_ms)
            .copied()
    }

    /// Up to `count` positions in order of their times: from a point on, which is `random` between the first and the last
    /// time, and round.
    pub(super) fn sample(&self, random: u64, count: usize) -> impl Iterator<Item = Position> {
        let first = self
            .positions
            .first_key_value()
            .map_or(0, |((at_ms, _), _)| *at_ms);
        let last = self
            .positions
            .last_key_value()
            .map_or(0, |((at_ms, _), _)| *at_ms);
        let from = match random {
            0 => first,
            random => first + random % (last - first + 1),
        };
        let start = (from, Position { slot: 0, hash: 0 });
        let behind = self.positions.range(start..);
        let before = self.positions.range(..start);
        let all = behind.chain(before).take(count);
        all.map(|((_, position), _)| *position)
    }

    /// Average time to live of the keys in memory that expire.
    pub(super) fn average_ttl_ms(&self, now_ms: u64) -> u64 {
        let average = self.sum_ms.checked_div(u128::from(self.keys)).unwrap_or(0);
        u64::try_from(average)
            .unwrap_or(u64::MAX)
            .saturating_sub(if self.keys == 0 { 0 } else { now_ms })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.positions.len() * ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_first_and_exact_under_changes() {
        let mut index = ExpiryIndex::default();
        let at = |hash| Position { slot: 1, hash };
        index.update(None, Some(300), at(1));
        index.update(None, Some(100), at(2));
        index.update(None, Some(100), at(2));
        index.update(None, Some(200), at(3));
        assert_eq!(index.average_ttl_ms(75), 100);
        index.update(Some(100), Some(50), at(2));
        let expired = |index: &ExpiryIndex, now| index.expired(now).collect::<Vec<_>>();
        assert_eq!(expired(&index, 200), [(50, at(2)), (100, at(2))]);
        assert_eq!(expired(&index, 201).len(), 3);
        index.update(Some(50), None, at(2));
        index.update(Some(100), None, at(2));
        index.update(Some(200), None, at(3));
        assert_eq!(expired(&index, 1000), [(300, at(1))]);
        index.update(Some(300), None, at(1));
        assert_eq!(
            (
                expired(&index, 1000).len(),
                index.average_ttl_ms(0),
                index.memory_bytes()
            ),
            (0, 0, 0)
        );
    }
}
