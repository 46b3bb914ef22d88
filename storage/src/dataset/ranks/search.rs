//! Searches for members of a sorted set by what their scores stand for, like places near a point.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// How members are searched for. `around` is the score of the last of the members that the command names, if that is there.
pub trait Search: Any + Debug + Send + Sync {
    /// Where they may be: spans of scores, the first one of each included and the last one not, in the order in which the command
    /// looks into them.
    fn spans(&self, around: Option<f64>) -> Vec<(f64, f64)>;

    /// Whether a member with this score, which is in one of the spans, is searched for.
    fn finds(&self, around: Option<f64>, score: f64) -> bool;

    /// Whether another search finds the same.
    fn is_same(&self, other: &dyn Search) -> bool;
}

/// What a command looks at of a sorted set that it searches.
#[derive(Clone, Debug)]
pub struct Searched {
    /// Members that it names.
    pub members: Vec<Box<[u8]>>,
    /// How it searches.
    pub by: Arc<dyn Search>,
    /// So many of the first that are found are enough; none: it looks at all.
    pub enough: Option<usize>,
}

impl PartialEq for Searched {
    fn eq(&self, other: &Self) -> bool {
        (&self.members, self.enough) == (&other.members, other.enough)
            && self.by.is_same(other.by.as_ref())
    }
}
