//! Glob patterns of KEYS, SCAN and CONFIG GET: `*`, `?`, `[a-z]`, `[^x]`, `\x`.

/// Stars that may be open at once. Redis gives up at a depth of 1000 of its recursion; going back to the last star only
/// (the earlier ones never need to move) makes the time at most quadratic, and no memory is used.
struct Resume {
    pattern: usize,
    text: usize,
}

/// True if the whole `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        // As in Redis, whose KEYS and SCAN take `*` alone for everything: no other pattern matches the empty text.
        return pattern.is_empty() || pattern == b"*";
    }
    let (mut p, mut t) = (0, 0);
    let mut resume: Option<Resume> = None;
    loop {
        if let Some(b'*') = pattern.get(p) {
            p += 1;
            resume = Some(Resume {
                pattern: p,
                text: t,
            });
            continue;
        }
        if t == text.len() && p == pattern.len() {
            return true;
        }
        let step = text.get(t).and_then(|&byte| one(pattern, p, byte));
        match (step, &mut resume) {
            (Some(next), _) => (p, t) = (next, t + 1),
            (
                None,
                Some(Resume {
                    pattern,
                    text: from,
                }),
            ) if *from < text.len() => {
                *from += 1;
                (p, t) = (*pattern, *from);
            }
            (None, _) => return false,
        }
    }
}

/// If the item of `pattern` at `at` matches `byte`: where the next item begins.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte),
        b'\\' if at + 1 < pattern.len() => (pattern.get(at + 1) == Some(&byte)).then_some(at + 2),
        literal => (literal == byte).then_some(at + 1),
    }
}

/// The same for a class whose first byte is at `at`. A class that is not closed ends with the pattern.
fn class(pattern: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match (pattern.get(at), pattern.get(at + 1), pattern.get(at + 2)) {
            (None, ..) => break,
            (Some(b']'), ..) => {
                at += 1;
                break;
            }
            (Some(b'\\'), Some(&escaped), _) => {
                found |= escaped == byte;
                at += 2;
            }
            (Some(&low), Some(b'-'), Some(&high)) => {
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                at += 3;
            }
            (Some(&single), ..) => {
                found |= single == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "abc"),
            ("h?llo", "hello"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-c]llo", "hbllo"),
            ("h[c-a]llo", "hbllo"),
            ("a\\*c", "a*c"),
            ("[\\]]", "]"),
            ("a*b*c", "aXbYbZc"),
            ("[abc", "b"),
            ("", ""),
            ("a\\", "a\\"),
        ] {
            assert!(
                matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} should match {text}"
            );
        }
        for (pattern, text) in [
            ("", "a"),
            ("**", ""),
            ("?", ""),
            ("h[ae]llo", "hillo"),
            ("h[^e]llo", "hello"),
            ("a\\*c", "abc"),
            ("a*b*c", "aXbYbZ"),
            ("[a-c]", "d"),
            ("abc", "ab"),
            ("ab", "abc"),
        ] {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern} should not match {text}"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let pattern = "a*".repeat(5_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(20_000).as_bytes()));
    }
}
