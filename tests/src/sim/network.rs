//! The simulated network: which messages arrive, and when.

use std::collections::BTreeSet;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use storage::ids::StoreId;

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Of 1000 messages, so many are lost.
    pub lost_permille: u32,
    /// Of 1000 messages, so many arrive twice.
    pub repeated_permille: u32,
    /// Of 1000 messages, so many are very late.
    pub late_permille: u32,
}

impl Weather {
    /// Nothing lost, everything within two milliseconds.
    pub const FAIR: Self = Self {
        lost_permille: 0,
        repeated_permille: 0,
        late_permille: 0,
    };
    /// What a swarm uses.
    pub const FOUL: Self = Self {
        lost_permille: 20,
        repeated_permille: 20,
        late_permille: 20,
    };
}

/// Links between Stores.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) weather: Weather,
    /// What every message takes at least, in nanoseconds.
    pub(super) line_ns: u64,
    /// One-way: messages from the first to the second are lost.
    cut: BTreeSet<(StoreId, StoreId)>,
    /// One-way: messages from the first to the second wait.
    held: BTreeSet<(StoreId, StoreId)>,
}

impl Network {
    pub(super) fn new(weather: Weather) -> Self {
        Self {
            weather,
            line_ns: 50_000,
            cut: BTreeSet::new(),
            held: BTreeSet::new(),
        }
    }

    pub(super) fn cut(&mut self, from: StoreId, to: StoreId) {
        self.cut.insert((from, to));
    }

    pub(super) fn hold(&mut self, from: StoreId, to: StoreId) {
        self.held.insert((from, to));
    }

    pub(super) fn is_held(&self, from: StoreId, to: StoreId) -> bool {
        self.held.contains(&(from, to))
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(super) fn is_cut(&self, from: StoreId, to: StoreId) -> bool {
        self.cut.contains(&(from, to))
    }

    /// After how many nanoseconds a message arrives: none, one or two times.
    pub(super) fn delays_ns(&self, from: StoreId, to: StoreId, rng: &mut ChaCha8Rng) -> Vec<u64> {
        if self.is_cut(from, to) || rng.random_ratio(self.weather.lost_permille, 1000) {
            return Vec::new();
        }
        let copies = 1 + usize::from(rng.random_ratio(self.weather.repeated_permille, 1000));
        (0..copies)
            .map(
                |_| match rng.random_ratio(self.weather.late_permille, 1000) {
                    true => rng.random_range(2_000_000..400_000_000),
                    false => self.line_ns + rng.random_range(0..1_950_000),
                },
            )
            .collect()
    }
}
