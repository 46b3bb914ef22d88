//! redis.conf's lines: words separated by blanks, with `"double"` quotes that know escapes and `'single'` ones that do not.

/// Splits a line into words. `None` when a quote is not closed or something follows a closing quote directly.
pub fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = word_of(rest, &mut word)?.trim_start();
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

/// Reads one word from the start of `text` into `word`, and answers what follows.
fn word_of<'a>(text: &'a str, word: &mut Vec<u8>) -> Option<&'a str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            b'"' => end_of_quote(bytes, double_quoted(bytes, at + 1, word)?)?,
            b'\'' => end_of_quote(bytes, single_quoted(bytes, at + 1, word)?)?,
            _ if byte.is_ascii_whitespace() => break,
            _ => {
                word.push(byte);
                at + 1
            }
        };
        if matches!(byte, b'"' | b'\'') {
            break;
        }
    }
    text.get(at..)
}

/// A closing quote ends the word.
fn end_of_quote(bytes: &[u8], at: usize) -> Option<usize> {
    bytes
        .get(at)
        .is_none_or(u8::is_ascii_whitespace)
        .then_some(at)
}

fn double_quoted(bytes: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                let next = *bytes.get(at + 1)?;
                if next == b'x'
                    && let Some(value) = hex(bytes.get(at + 2)).zip(hex(bytes.get(at + 3)))
                {
                    word.push(value.0 << 4 | value.1);
                    at += 4;
                    continue;
                }
                word.push(match next {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn single_quoted(bytes: &[u8], mut at: usize, word: &mut Vec<u8>) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            b'\'' => return Some(at + 1),
            b'\\' if bytes.get(at + 1) == Some(&b'\'') => {
                word.push(b'\'');
                at += 2;
            }
            byte => {
                word.push(byte);
                at += 1;
            }
        }
    }
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Writes one value so that [`split`] reads it back: in quotes only when it must be.
pub fn quote(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@,*+=%^~?!&$;()[]{}<>|".contains(c);
    if !value.is_empty() && !value.starts_with('#') && value.chars().all(plain) {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", c as u32)),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<String>> {
        split(line)
    }

    #[test]
    fn words_and_quotes() {
        let cases: [(&str, Option<&[&str]>); 12] = [
            ("", Some(&[])),
            ("  port\t6379  ", Some(&["port", "6379"])),
            (r#"save """#, Some(&["save", ""])),
            (
                r#"requirepass "a b\"c\\\x41\n""#,
                Some(&["requirepass", "a b\"c\\A\n"]),
            ),
            (
                r"requirepass 'a \n b\'c'",
                Some(&["requirepass", r"a \n b'c"]),
            ),
            (r#"a "\xzz""#, Some(&["a", "xzz"])),
            (r#"a "b"#, None),
            ("a 'b", None),
            (r#"a "b"c"#, None),
            (r#"a "\"#, None),
            (
                r#"dir "/var/lib/schlüssel""#,
                Some(&["dir", "/var/lib/schlüssel"]),
            ),
            (r#"a "\xff""#, None),
        ];
        for (line, expected) in cases {
            let expected = expected.map(|words| {
                words
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>()
            });
            assert_eq!(words(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(value in any::<String>()) {
            prop_assert_eq!(split(&format!("name {}", quote(&value))), Some(vec!["name".to_owned(), value]));
        }

        #[test]
        fn no_line_panics(line in any::<String>()) {
            let _ = split(&line);
        }
    }
}
