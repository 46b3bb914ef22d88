//! What must hold between the positions of a log, checked when a Store opens and asserted on every change.

use crate::ids::LogIndex;

/// The positions of one Peer's log, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// Entries up to here were given up.
    pub truncated: LogIndex,
    /// The kv engine durably holds the state at this index.
    pub checkpoint: LogIndex,
    /// Executed.
    pub applied: LogIndex,
    /// Known to be on a majority.
    pub commit: LogIndex,
    /// The newest entry.
    pub last: LogIndex,
}

impl Positions {
    /// `truncated ≤ checkpoint ≤ applied ≤ commit ≤ last`; the error names the pair that is wrong.
    ///
    /// Entries may only be given up when their effect is durable, or replay has a hole; and nothing may be executed that
    /// is not committed, or committed that is not there.
    pub fn check(&self) -> Result<(), String> {
        let chain = [
            ("truncated index", self.truncated),
            ("checkpoint's applied index", self.checkpoint),
            ("applied index", self.applied),
            ("commit index", self.commit),
            ("last index", self.last),
        ];
        for pair in chain.windows(2) {
            if let [(low_name, low), (high_name, high)] = pair
                && low > high
            {
                return Err(format!("{low_name} {low} is above {high_name} {high}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violated_pair_is_named() {
        let good = [1, 2, 3, 4, 5];
        let positions = |values: [u64; 5]| {
            let [truncated, checkpoint, applied, commit, last] = values.map(LogIndex);
            Positions {
                truncated,
                checkpoint,
                applied,
                commit,
                last,
            }
        };
        assert_eq!(positions(good).check(), Ok(()));
        assert_eq!(positions([7; 5]).check(), Ok(()));
        for at in 0..4 {
            let mut bad = good;
            bad[at] = bad[at + 1] + 1;
            let message = positions(bad).check().unwrap_err();
            assert!(message.contains(&format!("{}", bad[at])), "{message}");
        }
    }
}
