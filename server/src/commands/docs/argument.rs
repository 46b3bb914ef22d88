//! The arguments of a command, as COMMAND DOCS tells them and redis-cli hints at them.

/// An argument, or a group of them.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// What redis-cli shows instead of the name.
    pub shown_as: Option<&'static str>,
    /// The word before it, or the word that it is.
    pub token: Option<&'static str>,
    /// The version of Redis that had it first, if the command is older.
    pub since: Option<&'static str>,
    /// Since when it should not be used any more.
    pub deprecated_since: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// Its token is repeated with it.
    pub token_each: bool,
}

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub enum ArgumentKind {
    /// Any bytes.
    String,
    /// An integer.
    Integer,
    /// A floating-point number.
    Double,
    /// A key, and the number of its key specification.
    Key(usize),
    /// A glob pattern.
    Pattern,
    /// What keys are made of, and the number of their key specification.
    KeyPattern(usize),
    /// A Unix time.
    UnixTime,
    /// A word without a value.
    Token,
    /// One of several.
    OneOf(&'static [Argument]),
    /// Several that belong together.
    Block(&'static [Argument]),
}

impl ArgumentKind {
    /// As COMMAND DOCS names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key(_) => "key",
            Self::Pattern | Self::KeyPattern(_) => "pattern",
            Self::UnixTime => "unix-time",
            Self::Token => "pure-token",
            Self::OneOf(_) => "oneof",
            Self::Block(_) => "block",
        }
    }
}

impl Argument {
    const fn new(name: &'static str, kind: ArgumentKind) -> Self {
        Self {
            name,
            kind,
            shown_as: None,
            token: None,
            since: None,
            deprecated_since: None,
            optional: false,
            multiple: false,
            token_each: false,
        }
    }

    pub(super) const fn string(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::String)
    }

    pub(super) const fn integer(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Integer)
    }

    pub(super) const fn double(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Double)
    }

    pub(super) const fn key(name: &'static str, spec: usize) -> Self {
        Self::new(name, ArgumentKind::Key(spec))
    }

    pub(super) const fn pattern(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Pattern)
    }

    pub(super) const fn key_pattern(name: &'static str, spec: usize) -> Self {
        Self::new(name, ArgumentKind::KeyPattern(spec))
    }

    pub(super) const fn unix_time(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::UnixTime)
    }

    pub(super) const fn token(name: &'static str, token: &'static str) -> Self {
        Self::new(name, ArgumentKind::Token).after(token)
    }

    pub(super) const fn oneof(name: &'static str, arguments: &'static [Argument]) -> Self {
        Self::new(name, ArgumentKind::OneOf(arguments))
    }

    pub(super) const fn block(name: &'static str, arguments: &'static [Argument]) -> Self {
        Self::new(name, ArgumentKind::Block(arguments))
    }

    pub(super) const fn after(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    pub(super) const fn shown_as(mut self, text: &'static str) -> Self {
        self.shown_as = Some(text);
        self
    }

    pub(super) const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    pub(super) const fn deprecated_since(mut self, version: &'static str) -> Self {
        self.deprecated_since = Some(version);
        self
    }

    pub(super) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(super) const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }

    pub(super) const fn with_token_each(mut self) -> Self {
        self.token_each = true;
        self
    }

    /// The number of the key specification that it belongs to.
    pub fn key_spec(&self) -> Option<usize> {
        match self.kind {
            ArgumentKind::Key(spec) | ArgumentKind::KeyPattern(spec) => Some(spec),
            _ => None,
        }
    }

    /// The arguments that this one consists of.
    pub fn nested(&self) -> &'static [Argument] {
        match self.kind {
            ArgumentKind::OneOf(arguments) | ArgumentKind::Block(arguments) => arguments,
            _ => &[],
        }
    }

    /// This argument and all within it.
    pub fn with_nested(&self) -> Vec<&Argument> {
        std::iter::once(self)
            .chain(self.nested().iter().flat_map(Argument::with_nested))
            .collect()
    }

    /// The least number of words that it takes.
    pub fn least(&self) -> usize {
        if self.optional {
            return 0;
        }
        let value = match self.kind {
            ArgumentKind::Token => 0,
            ArgumentKind::OneOf(arguments) => {
                arguments.iter().map(Argument::least).min().unwrap_or(0)
            }
            ArgumentKind::Block(arguments) => arguments.iter().map(Argument::least).sum(),
            _ => 1,
        };
        value + usize::from(self.token.is_some())
    }

    /// True if it always takes the same number of words.
    pub fn is_fixed(&self) -> bool {
        let nested = self.nested();
        let same = match self.kind {
            ArgumentKind::OneOf(_) => nested
                .windows(2)
                .all(|pair| pair[0].least() == pair[1].least()),
            _ => true,
        };
        !self.optional && !self.multiple && same && nested.iter().all(Argument::is_fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::Argument;

    const EX: Argument = Argument::integer("seconds").after("EX");
    const NX: Argument = Argument::token("nx", "NX");

    #[test]
    fn counts_words() {
        static EITHER: [Argument; 2] = [EX, NX];
        assert_eq!((EX.least(), EX.is_fixed()), (2, true));
        assert_eq!((NX.least(), NX.is_fixed()), (1, true));
        assert_eq!(
            (NX.optional().least(), NX.optional().is_fixed()),
            (0, false)
        );
        let oneof = Argument::oneof("either", &EITHER);
        assert_eq!((oneof.least(), oneof.is_fixed()), (1, false));
        let block = Argument::block("both", &EITHER);
        assert_eq!((block.least(), block.is_fixed()), (3, true));
        assert_eq!(block.multiple().with_nested().len(), 3);
    }
}
