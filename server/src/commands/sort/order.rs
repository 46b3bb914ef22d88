//! The order: by numbers or by texts, of the elements or of what they stand for.
//!
//! What Redis leaves to the moment is fixed here, because all replicas must store the same: elements whose weights are the
//! same texts stay in the order in which they were collected.

use std::cmp::Ordering;
use std::ops::Range;

use storage::types::Item;

use super::super::error::{CommandError, CommandResult};
use super::super::number;
use super::options::Options;
use super::source::Source;

/// Where an element lies in [`Elements::bytes`].
type Span = Range<usize>;

/// Elements, one behind the other.
#[derive(Default)]
pub(super) struct Elements {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Elements {
    pub(super) fn push(&mut self, element: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(element);
        self.spans.push(start..self.bytes.len());
    }

    pub(super) fn extend<'i>(&mut self, items: impl Iterator<Item = Item<'i>>) {
        let mut buffer = itoa::Buffer::new();
        for item in items {
            self.push(item.bytes(&mut buffer));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| self.at(span))
    }

    fn at(&self, span: &Span) -> &[u8] {
        &self.bytes[span.clone()]
    }

    /// Puts the elements into the order of their bytes.
    pub(super) fn sort(&mut self) {
        let mut sorted = Self::default();
        let mut all: Vec<&[u8]> = self.iter().collect();
        all.sort_unstable();
        for element in all {
            sorted.push(element);
        }
        *self = sorted;
    }

    /// Puts the elements into the order that is asked for, and keeps only those that are asked for.
    pub(super) fn order(
        &mut self,
        options: &Options<'_>,
        source: &mut Source<'_, '_>,
    ) -> CommandResult {
        let directed = |ordering: Ordering| {
            if options.descending {
                ordering.reverse()
            } else {
                ordering
            }
        };
        let ends_at_zero = options.store.is_none();
        let window = options.window(self.len());
        let spans = if !options.alpha {
            let weighed = self.numbers(options, source)?;
            select(weighed, window, |(a, a_span), (b, b_span)| {
                let elements = || self.at(a_span).cmp(self.at(b_span));
                directed(
                    a.partial_cmp(b)
                        .unwrap_or(Ordering::Equal)
                        .then_with(elements),
                )
            })
        } else if options.by.is_some() {
            let mut texts = Self::default();
            let weighed = self.texts(options, source, &mut texts)?;
            // What has no weight comes first.
            let text = |span: &Option<Span>| {
                span.as_ref()
                    .map(|span| c_text(texts.at(span), ends_at_zero))
            };
            select(weighed, window, |(a, _), (b, _)| {
                directed(text(a).cmp(&text(b)))
            })
        } else {
            let weighed = self.spans.iter().map(|span| ((), span.clone())).collect();
            select(weighed, window, |(_, a), (_, b)| {
                let text = |span| c_text(self.at(span), ends_at_zero);
                directed(text(a).cmp(text(b)))
            })
        };
        self.spans = spans;
        Ok(())
    }

    fn numbers(
        &self,
        options: &Options<'_>,
        source: &mut Source<'_, '_>,
    ) -> CommandResult<Vec<(f64, Span)>> {
        let mut weighed = Vec::with_capacity(self.len());
        let mut value = Vec::new();
        for (element, span) in self.iter().zip(&self.spans) {
            let weight = match &options.by {
                None => number::parse_f64_in_range(element),
                Some(by) => {
                    value.clear();
                    if source.value(by, element, &mut value)? {
                        number::parse_f64_in_range(&value)
                    } else {
                        Some(0.0)
                    }
                }
            };
            let weight = weight.ok_or(CommandError::NOT_SORTABLE)?;
            weighed.push((weight, span.clone()));
        }
        Ok(weighed)
    }

    /// Adds the weights to `texts`.
    fn texts(
        &self,
        options: &Options<'_>,
        source: &mut Source<'_, '_>,
        texts: &mut Self,
    ) -> CommandResult<Vec<(Option<Span>, Span)>> {
        let mut weighed = Vec::with_capacity(self.len());
        let mut value = Vec::new();
        for (element, span) in self.iter().zip(&self.spans) {
            value.clear();
            let mut weight = None;
            if let Some(by) = &options.by
                && source.value(by, element, &mut value)?
            {
                let start = texts.bytes.len();
                texts.bytes.extend_from_slice(&value);
                weight = Some(start..texts.bytes.len());
            }
            weighed.push((weight, span.clone()));
        }
        Ok(weighed)
    }
}

/// The part of a text that counts: what is not stored Redis compares as strings of C, which end at a zero byte.
fn c_text(text: &[u8], ends_at_zero: bool) -> &[u8] {
    match text.iter().position(|&byte| byte == 0) {
        Some(end) if ends_at_zero => &text[..end],
        _ => text,
    }
}

/// Those of `window` when all are in order. Only they are put in order: the others are only told apart from them.
fn select<W>(
    mut weighed: Vec<(W, Span)>,
    window: Range<usize>,
    compare: impl Fn(&(W, Span), &(W, Span)) -> Ordering,
) -> Vec<Span> {
    if window.is_empty() {
        return Vec::new();
    }
    let compare = |a: &(W, Span), b: &(W, Span)| {
        let place = |span: &Span| (span.start, span.end);
        compare(a, b).then_with(|| place(&a.1).cmp(&place(&b.1)))
    };
    if window.end < weighed.len() {
        weighed.select_nth_unstable_by(window.end, compare);
        weighed.truncate(window.end);
    }
    if window.start > 0 {
        weighed.select_nth_unstable_by(window.start, compare);
    }
    let wanted = &mut weighed[window.start..];
    wanted.sort_unstable_by(compare);
    wanted.iter().map(|(_, span)| span.clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_window_of_what_sorting_all_gives(numbers in proptest::collection::vec(0_u8..20, 0..60),
                                              start in 0_usize..70, len in 0_usize..70) {
            let weighed: Vec<(u8, Span)> =
                numbers.iter().enumerate().map(|(at, number)| (*number, at..at + 1)).collect();
            let window = start.min(numbers.len())..(start + len).min(numbers.len());
            let mut sorted = weighed.clone();
            sorted.sort_by_key(|(number, _)| *number);
            let expected: Vec<Span> = sorted[window.clone()].iter().map(|(_, span)| span.clone()).collect();
            prop_assert_eq!(select(weighed, window, |a, b| a.0.cmp(&b.0)), expected);
        }
    }
}
