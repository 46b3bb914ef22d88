//! The text form of INFO: `# Section`, then `name:value` lines, a blank line between sections.

use std::fmt::{Display, Write as _};

/// A text under construction.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Opens a section.
    pub fn section(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push_str("\r\n");
        }
        let _ = write!(self.0, "# {title}\r\n"); // writing to a String does not fail
    }

    /// Adds a line.
    pub fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Adds a number of bytes twice, the second time for people: `name:1048576`, `name_human:1.00M`.
    pub fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A number of bytes with two decimals and a unit, as Redis prints it.
pub fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64;
    let mut unit = 'B';
    for next in ['K', 'M', 'G', 'T', 'P'] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.2}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_fields() {
        let mut text = Text::default();
        text.section("One");
        text.bytes("used", 1536);
        text.section("Two");
        assert_eq!(
            text.finish(),
            "# One\r\nused:1536\r\nused_human:1.50K\r\n\r\n# Two\r\n"
        );
    }

    #[test]
    fn human_units() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (25_276_502_016, "23.54G"),
            (u64::MAX, "16384.00P"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
