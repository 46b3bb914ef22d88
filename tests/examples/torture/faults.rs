//! What is done to the nodes in one cycle: drawn from the seed.

use std::time::Duration;

use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::network::{Network, Rule};
use crate::nodes::Nodes;

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillLeader,
    KillOne,
    KillAll,
    PauseLeader,
    PauseOne,
    IsolateLeader,
    Split,
    OneWay,
    Delay,
    Lose,
    Transfer,
    Restart,
    Replace,
    Grow,
    Shrink,
}

/// How often each is drawn, of their sum. Those that need a whole cluster come alone.
const WEIGHTS: &[(Fault, u32)] = &[
    (Fault::KillLeader, 18),
    (Fault::KillOne, 12),
    (Fault::KillAll, 5),
    (Fault::PauseLeader, 10),
    (Fault::PauseOne, 8),
    (Fault::IsolateLeader, 10),
    (Fault::Split, 8),
    (Fault::OneWay, 8),
    (Fault::Delay, 10),
    (Fault::Lose, 10),
    (Fault::Transfer, 8),
    (Fault::Restart, 6),
    (Fault::Replace, 4),
    (Fault::Grow, 8),
    (Fault::Shrink, 8),
];

impl Fault {
    /// Those of one cycle, as far as the network can do them.
    pub(crate) fn draw(random: &mut ChaCha8Rng, network: &Network) -> Vec<Self> {
        let one = |random: &mut ChaCha8Rng| {
            let drawn = WEIGHTS.choose_weighted(random, |(_, weight)| *weight);
            match drawn.expect("there are some").0 {
                Self::Delay if !network.delays() => Self::Lose,
                fault => fault,
            }
        };
        let first = one(random);
        if first == Self::Replace {
            return vec![first];
        }
        let more = random.random_range(0..3);
        let mut all = vec![first];
        all.extend(
            (0..more)
                .map(|_| one(random))
                .filter(|fault| *fault != Self::Replace),
        );
        all
    }

    /// Does it. Returns when the nodes are as it left them; repairs come at the end of the cycle.
    pub(crate) fn strike(self, nodes: &mut Nodes, network: &Network, random: &mut ChaCha8Rng) {
        let alive = nodes.alive();
        let Some(&one) = alive.choose(random) else {
            return;
        };
        let leader = nodes.leader().unwrap_or(one);
        match self {
            Self::KillLeader => nodes.kill(leader),
            Self::KillOne => nodes.kill(one),
            Self::KillAll => alive.iter().for_each(|&place| nodes.kill(place)),
            Self::PauseLeader => nodes.pause(leader),
            Self::PauseOne => nodes.pause(one),
            Self::IsolateLeader => isolate(&[leader], nodes.count(), network),
            Self::Split => {
                let count = random.random_range(1..=nodes.count() / 2);
                let some: Vec<usize> = (0..nodes.count()).collect();
                let some: Vec<usize> = some.choose_multiple(random, count).copied().collect();
                isolate(&some, nodes.count(), network);
            }
            Self::OneWay => {
                // Half of the time the leader is at one end; a second cut may be anywhere.
                let from = if random.random_bool(0.5) { leader } else { one };
                let other = random.random_range(1..nodes.count());
                network.set(from, (from + other) % nodes.count(), CUT);
                if random.random_bool(0.5) {
                    let from = random.random_range(0..nodes.count());
                    let other = random.random_range(1..nodes.count());
                    network.set(from, (from + other) % nodes.count(), CUT);
                }
            }
            Self::Delay => {
                let delay = Duration::from_millis(random.random_range(1..60));
                for other in (0..nodes.count()).filter(|other| *other != one) {
                    let rule = Rule {
                        delay,
                        ..Rule::default()
                    };
                    network.set(one, other, rule);
                    network.set(other, one, rule);
                }
            }
            Self::Lose => {
                let rule = Rule {
                    lost_permille: random.random_range(1..50),
                    ..Rule::default()
                };
                for (from, to) in pairs(nodes.count()) {
                    network.set(from, to, rule);
                }
            }
            Self::Transfer => nodes.transfer(one),
            Self::Restart => {
                nodes.terminate(one);
                nodes.start_again(one);
            }
            Self::Replace => nodes.replace(one),
            Self::Grow => nodes.grow(one),
            Self::Shrink => nodes.shrink(),
        }
    }
}

const CUT: Rule = Rule {
    cut: true,
    delay: Duration::ZERO,
    lost_permille: 0,
};

/// Every two places, in both directions.
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let all = (0..count).flat_map(move |from| (0..count).map(move |to| (from, to)));
    all.filter(|(from, to)| from != to)
}

/// Nothing passes between these and the others, in either direction.
fn isolate(some: &[usize], count: usize, network: &Network) {
    for &inside in some {
        for outside in (0..count).filter(|place| !some.contains(place)) {
            network.set(inside, outside, CUT);
            network.set(outside, inside, CUT);
        }
    }
}
