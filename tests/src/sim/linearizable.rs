//! Is a history of one register linearizable? (Wing and Gong's search with Lowe's memory of visited states; "Testing for
//! linearizability", 2017.) The search knows nothing of how the history came about.

use std::collections::HashSet;

/// One operation on a register that holds a number or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Wrote this value.
    Write(u64),
    /// Read this value.
    Read(Option<u64>),
    /// Added one; `Some` is the value that was answered, `None` an unknown answer.
    Increment(Option<u64>),
}

/// An operation with the time between which it took effect, if it did.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What was done and answered.
    pub op: Op,
    /// When it was asked for.
    pub invoked: u64,
    /// When it was answered; `None` for an unknown outcome: at any later time, or never.
    pub returned: Option<u64>,
}

impl Op {
    /// The register after this operation on `state`, or `None` if its answer contradicts `state`.
    fn apply(self, state: Option<u64>) -> Option<Option<u64>> {
        match self {
            Self::Write(value) => Some(Some(value)),
            Self::Read(seen) => (seen == state).then_some(state),
            Self::Increment(answer) => {
                let next = state.unwrap_or(0) + 1;
                answer
                    .is_none_or(|answer| answer == next)
                    .then_some(Some(next))
            }
        }
    }
}

/// A set of small numbers.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bits(Vec<u64>);

impl Bits {
    fn flip(&mut self, at: usize) {
        self.0[at / 64] ^= 1 << (at % 64);
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }
}

/// True if some order of `events`, each at one moment between its invocation and its return, explains every answer.
/// Events of unknown outcome may be left out.
pub fn is_linearizable(events: &[Event]) -> bool {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.invoked);
    let known = events
        .iter()
        .filter(|event| event.returned.is_some())
        .count();
    let mut done = Bits(vec![0; events.len().div_ceil(64)]);
    let mut visited: HashSet<(Bits, Option<u64>)> = HashSet::new();
    let mut path: Vec<(usize, Option<u64>)> = Vec::new();
    let (mut state, mut from, mut linearized) = (None, 0, 0);
    while linearized < known {
        match next_step(&events, &mut done, state, from, &mut visited) {
            Some((at, after)) => {
                path.push((at, state));
                linearized += usize::from(events[at].returned.is_some());
                (state, from) = (after, 0);
            }
            None => {
                let Some((at, before)) = path.pop() else {
                    return false;
                };
                done.flip(at);
                linearized -= usize::from(events[at].returned.is_some());
                (state, from) = (before, at + 1);
            }
        }
    }
    true
}

/// The first event at or after `from` that may come next and leads to a state not visited before; it is marked done.
fn next_step(
    events: &[Event],
    done: &mut Bits,
    state: Option<u64>,
    from: usize,
    visited: &mut HashSet<(Bits, Option<u64>)>,
) -> Option<(usize, Option<u64>)> {
    // Whatever was invoked after the earliest return among the rest cannot come before it.
    let open = (0..events.len()).filter(|&at| !done.has(at));
    let horizon = open
        .filter_map(|at| events[at].returned)
        .min()
        .unwrap_or(u64::MAX);
    for (at, event) in events.iter().enumerate().skip(from) {
        if done.has(at) {
            continue;
        }
        if event.invoked > horizon {
            return None;
        }
        let Some(after) = event.op.apply(state) else {
            continue;
        };
        done.flip(at);
        if visited.insert((done.clone(), after)) {
            return Some((at, after));
        }
        done.flip(at);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Event, Op, is_linearizable};

    fn event(op: Op, invoked: u64, returned: impl Into<Option<u64>>) -> Event {
        Event {
            op,
            invoked,
            returned: returned.into(),
        }
    }

    #[test]
    fn accepts_what_one_register_could_have_done() {
        assert!(is_linearizable(&[]));
        assert!(is_linearizable(&[
            event(Op::Write(1), 0, 10),
            event(Op::Read(None), 1, 2),
            event(Op::Read(Some(1)), 3, 4),
            event(Op::Increment(Some(2)), 11, 12),
        ]));
        assert!(is_linearizable(&[
            event(Op::Write(1), 0, None),
            event(Op::Read(Some(1)), 50, 51)
        ]));
        assert!(is_linearizable(&[
            event(Op::Write(1), 0, None),
            event(Op::Read(None), 50, 51)
        ]));
    }

    #[test]
    fn refuses_stale_and_lost_and_invented_values() {
        assert!(
            !is_linearizable(&[event(Op::Write(1), 0, 1), event(Op::Read(None), 2, 3)]),
            "lost"
        );
        assert!(
            !is_linearizable(&[event(Op::Read(Some(7)), 2, 3)]),
            "invented"
        );
        let stale = [
            event(Op::Write(1), 0, 1),
            event(Op::Write(2), 2, 3),
            event(Op::Read(Some(1)), 4, 5),
        ];
        assert!(!is_linearizable(&stale), "stale");
        let back = [
            event(Op::Write(1), 0, 1),
            event(Op::Write(2), 2, 20),
            event(Op::Read(Some(2)), 3, 4),
            event(Op::Read(Some(1)), 5, 6),
        ];
        assert!(!is_linearizable(&back), "back in time");
        let twice = [
            event(Op::Increment(Some(1)), 0, 1),
            event(Op::Increment(Some(1)), 2, 3),
        ];
        assert!(!is_linearizable(&twice), "an increment lost");
    }
}
