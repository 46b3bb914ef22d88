//! What other keys say of elements.

use storage::dataset::{Object, Txn, View};

use super::super::error::CommandResult;
use super::options::Pattern;

/// Where keys are looked up.
pub(super) enum Source<'s, 'a> {
    /// By a read.
    View(&'s View<'a>),
    /// Within an entry.
    Txn(&'s mut Txn<'a>),
}

impl Source<'_, '_> {
    /// Appends what `element` stands for to `out`. False if there is no such thing.
    pub(super) fn value(
        &mut self,
        pattern: &Pattern<'_>,
        element: &[u8],
        out: &mut Vec<u8>,
    ) -> CommandResult<bool> {
        let (before, after, field) = match *pattern {
            Pattern::Element => {
                out.extend_from_slice(element);
                return Ok(true);
            }
            Pattern::Nothing => return Ok(false),
            Pattern::Key {
                before,
                after,
                field,
            } => (before, after, field),
        };
        let key = [before, element, after].concat();
        match self {
            Self::View(view) => Ok(append(view, view.lookup(&key)?, field, out)),
            Self::Txn(txn) => {
                // Removes it if it has expired, and brings it into memory otherwise.
                txn.lookup(&key)?;
                let view = txn.view();
                Ok(append(&view, view.peek(&key)?, field, out))
            }
        }
    }
}

fn append(
    view: &View<'_>,
    object: Option<Object<'_>>,
    field: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(object) = object else {
        return false;
    };
    let Some(field) = field else {
        let Some(string) = object.string() else {
            return false;
        };
        out.extend_from_slice(&string);
        return true;
    };
    let hash = object.hash();
    let value = hash.and_then(|hash| hash.get(field, |field| view.element_hash(field)));
    let Some(value) = value else {
        return false;
    };
    out.extend_from_slice(value.bytes(&mut itoa::Buffer::new()));
    true
}
