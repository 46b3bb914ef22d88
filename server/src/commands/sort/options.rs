//! What is asked for.

use std::ops::Range;

use super::super::args::Args;
use super::super::error::{CommandError, CommandResult};

/// The options of SORT and SORT_RO.
pub(super) struct Options<'a> {
    /// What the elements are compared by; none: by themselves.
    pub(super) by: Option<Pattern<'a>>,
    /// False: they stay in the order that they have (BY a pattern without a star).
    pub(super) sorts: bool,
    pub(super) descending: bool,
    /// Compared as texts, not as numbers.
    pub(super) alpha: bool,
    start: i64,
    count: i64,
    /// What is answered of each element; empty: the element.
    pub(super) get: Vec<Pattern<'a>>,
    /// Where the result is to be stored.
    pub(super) store: Option<&'a [u8]>,
}

/// What an element stands for.
pub(super) enum Pattern<'a> {
    /// `#`: itself.
    Element,
    /// Without a star: nothing.
    Nothing,
    /// The string at a key, or a field of the hash at a key.
    Key {
        /// What the key begins with; the element follows.
        before: &'a [u8],
        /// What it ends with.
        after: &'a [u8],
        /// The field, behind `->`.
        field: Option<&'a [u8]>,
    },
}

impl<'a> Pattern<'a> {
    /// Redis's patterns are C strings: star and arrow count only before a zero byte.
    fn parse(pattern: &'a [u8]) -> Self {
        if pattern == b"#" {
            return Self::Element;
        }
        let zero = pattern.iter().position(|byte| *byte == 0);
        let text = &pattern[..zero.unwrap_or(pattern.len())];
        let Some(star) = text.iter().position(|byte| *byte == b'*') else {
            return Self::Nothing;
        };
        let arrow = text[star + 1..].windows(2).position(|two| two == b"->");
        // An arrow at the end is a part of the key.
        let arrow = arrow
            .map(|at| star + 1 + at)
            .filter(|at| at + 2 < text.len());
        Self::Key {
            before: &pattern[..star],
            after: &pattern[star + 1..arrow.unwrap_or(pattern.len())],
            field: arrow.map(|at| &pattern[at + 2..]),
        }
    }
}

impl<'a> Options<'a> {
    /// Takes all arguments behind the key.
    pub(super) fn parse(args: &mut Args<'a>, may_store: bool) -> CommandResult<Self> {
        let mut options = Self {
            by: None,
            sorts: true,
            descending: false,
            alpha: false,
            start: 0,
            count: -1,
            get: Vec::new(),
            store: None,
        };
        while !args.is_empty() {
            if args.flag("ASC") {
                options.descending = false;
            } else if args.flag("DESC") {
                options.descending = true;
            } else if args.flag("ALPHA") {
                options.alpha = true;
            } else if args.remaining() > 2 && args.flag("LIMIT") {
                (options.start, options.count) = (args.int()?, args.int()?);
            } else if may_store && args.flag("STORE") {
                options.store = Some(args.bytes()?);
            } else if args.flag("BY") {
                let by = Pattern::parse(args.bytes()?);
                options.sorts &= matches!(by, Pattern::Key { .. });
                options.by = Some(by);
            } else if args.flag("GET") {
                options.get.push(Pattern::parse(args.bytes()?));
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }

    /// What has no order of its own must be stored in one: that of its elements as texts.
    pub(super) fn sort_texts(&mut self) {
        (self.sorts, self.alpha, self.by) = (true, true, None);
    }

    /// Which of `len` elements in order are asked for.
    pub(super) fn window(&self, len: usize) -> Range<usize> {
        let within = |number: i64| usize::try_from(number.max(0)).map_or(len, |n| n.min(len));
        let start = within(self.start);
        let end = if self.count < 0 {
            len
        } else {
            len.min(start + within(self.count))
        };
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &str) -> CommandResult<String> {
        let all: Vec<&[u8]> = args.split(' ').map(str::as_bytes).collect();
        let options = Options::parse(&mut Args::new(&all), true)?;
        let Range { start, end } = options.window(10);
        Ok(format!("{} {start} {end}", options.sorts))
    }

    #[test]
    fn limits() {
        for (args, expected) in [
            ("sort", "true 0 10"),
            ("sort limit 2 3", "true 2 5"),
            ("sort limit 2 -1", "true 2 10"),
            ("sort limit -5 3", "true 0 3"),
            ("sort limit 9 3", "true 9 10"),
            ("sort limit 10 1", "true 10 10"),
            ("sort limit 20 1", "true 10 10"),
            (
                "sort limit 9223372036854775807 9223372036854775807",
                "true 10 10",
            ),
            ("sort limit 1 0 by x", "false 1 1"),
            ("sort by x by *", "false 0 10"),
        ] {
            assert_eq!(options(args).expect(args), expected, "{args}");
        }
        for args in [
            "sort limit 1",
            "sort limit 1 x",
            "sort by",
            "sort get",
            "sort store",
            "sort x",
        ] {
            assert!(options(args).is_err(), "{args}");
        }
    }

    #[test]
    fn patterns() {
        let parts = |pattern: &'static [u8]| match Pattern::parse(pattern) {
            Pattern::Element => "element".to_owned(),
            Pattern::Nothing => "nothing".to_owned(),
            Pattern::Key {
                before,
                after,
                field,
            } => format!(
                "{}|{}|{}",
                before.escape_ascii(),
                after.escape_ascii(),
                field.map_or("none".to_owned(), |field| field.escape_ascii().to_string())
            ),
        };
        for (pattern, expected) in [
            (&b"#"[..], "element"),
            (b"", "nothing"),
            (b"a", "nothing"),
            (b"*", "||none"),
            (b"a*b", "a|b|none"),
            (b"a*b*c", "a|b*c|none"),
            (b"a*b->f", "a|b|f"),
            (b"a*->f->g", "a||f->g"),
            (b"a*->", "a|->|none"),
            (b"a->b*c", "a->b|c|none"),
            (b"a\0*", "nothing"),
        ] {
            assert_eq!(parts(pattern), expected, "{}", pattern.escape_ascii());
        }
    }
}
