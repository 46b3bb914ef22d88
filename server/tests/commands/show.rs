//! Replies as lines of text.

use std::fmt::Write as _;

use resp::Frame;

/// A reply on one line, its kind recognizable.
pub(crate) fn show(frame: &Frame) -> String {
    match frame {
        Frame::Simple(text) => text.escape_ascii().to_string(),
        Frame::Error(text) | Frame::BulkError(text) => {
            format!("({})", String::from_utf8_lossy(text))
        }
        Frame::Integer(value) => value.to_string(),
        Frame::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Frame::Null => "nil".into(),
        Frame::NullArray => "nil array".into(),
        Frame::Double(value) => format!("{value} (double)"),
        Frame::Boolean(value) => value.to_string(),
        Frame::BigNumber(digits) => format!("{} (big)", String::from_utf8_lossy(digits)),
        Frame::Verbatim { format, text } => {
            format!(
                "{}:\"{}\"",
                String::from_utf8_lossy(format),
                text.escape_ascii()
            )
        }
        Frame::Array(items) => format!("[{}]", list(items)),
        Frame::Set(items) => format!("set[{}]", list(items)),
        Frame::Push(items) => format!("push[{}]", list(items)),
        Frame::Map(pairs) => format!("{{{}}}", map(pairs)),
        Frame::Attribute { pairs, reply } => format!("|{}| {}", map(pairs), show(reply)),
    }
}

fn list(items: &[Frame]) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn map(pairs: &[(Frame, Frame)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        let comma = if out.is_empty() { "" } else { ", " };
        let _ = write!(out, "{comma}{}: {}", show(name), show(value));
    }
    out
}
