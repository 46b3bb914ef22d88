//! Kinds of values: how each is read from words, checked, and written back. The texts of refusals are Redis's.

use super::lines;
use super::settings::Settings;

/// An enumeration with Redis's names, in the order in which Redis lists them in a refusal.
pub trait Choice: Copy + PartialEq + 'static {
    /// All names and values.
    const NAMES: &'static [(&'static str, Self)];

    /// The name of a value.
    fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, value)| *value == self)
            .map_or("", |(name, _)| name)
    }

    /// The value of a name, in any case.
    fn parse(text: &str) -> Result<Self, String> {
        let found = Self::NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names = Self::NAMES
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ");
            format!("argument(s) must be one of the following: {names}")
        })
    }
}

/// How the value of a directive is read and written. The functions reach its field of [`Settings`].
#[derive(Debug)]
pub enum Kind {
    /// `yes` or `no`.
    Bool {
        /// Reads the field.
        get: fn(&Settings) -> bool,
        /// Writes the field.
        set: fn(&mut Settings, bool),
    },
    /// A whole number.
    Int {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
        /// Reads the field.
        get: fn(&Settings) -> u64,
        /// Writes the field.
        set: fn(&mut Settings, u64),
    },
    /// A whole number that may be negative.
    Signed {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
        /// Reads the field.
        get: fn(&Settings) -> i64,
        /// Writes the field.
        set: fn(&mut Settings, i64),
    },
    /// A number of bytes; `k`, `m`, `g` are powers of 1000 and `kb`, `mb`, `gb` of 1024.
    Memory {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
        /// Reads the field.
        get: fn(&Settings) -> u64,
        /// Writes the field.
        set: fn(&mut Settings, u64),
    },
    /// File permissions.
    Octal {
        /// Reads the field.
        get: fn(&Settings) -> u32,
        /// Writes the field.
        set: fn(&mut Settings, u32),
    },
    /// Any text, or one that `set` checks: an enumeration, a path.
    Text {
        /// Reads the field.
        get: fn(&Settings) -> String,
        /// Writes the field.
        set: fn(&mut Settings, &str) -> Result<(), String>,
    },
    /// Several words with a form of their own; CONFIG SET gives them as one argument.
    Words {
        /// Reads the field as the words of one line.
        get: fn(&Settings) -> String,
        /// Writes the field.
        set: fn(&mut Settings, &[String]) -> Result<(), String>,
        /// Whether lines of a file add up; otherwise the last one counts.
        repeats: bool,
    },
    /// Redis's directive with the one value that is true of TinyKV.
    Fixed {
        /// The value.
        value: &'static str,
        /// Values that Redis knows besides; none: every other value is refused with `reason`.
        others: &'static [&'static str],
        /// Whether a file with one of the others is read all the same, with a notice: nothing is lost when it is not heeded.
        passed_over: bool,
        /// Why the others are refused, and what to do instead.
        reason: &'static str,
    },
}

impl Kind {
    /// Writes the field from the words of a line or of the command line.
    pub fn set(&self, settings: &mut Settings, words: &[String]) -> Result<(), String> {
        if let Self::Words { set, .. } = self {
            return set(settings, words);
        }
        let [value] = words else {
            return Err("wrong number of arguments".to_owned());
        };
        match self {
            Self::Bool { set, .. } => set(settings, parse_bool(value)?),
            Self::Int { min, max, set, .. } => set(settings, parse_int(value, *min, *max)?),
            Self::Signed { min, max, set, .. } => set(settings, parse_signed(value, *min, *max)?),
            Self::Memory { min, max, set, .. } => set(settings, parse_memory(value, *min, *max)?),
            Self::Octal { set, .. } => set(settings, parse_octal(value)?),
            Self::Text { set, .. } => set(settings, value)?,
            Self::Words { set, .. } => set(settings, words)?,
            Self::Fixed {
                value: only,
                others,
                reason,
                ..
            } => parse_fixed(value, only, others, reason)?,
        }
        Ok(())
    }

    /// Writes the field from the one argument of CONFIG SET.
    pub fn set_at_run_time(&self, settings: &mut Settings, value: &str) -> Result<(), String> {
        match self {
            Self::Words { set, .. } => {
                let words = value
                    .split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>();
                set(settings, &words)
            }
            _ => self.set(settings, &[value.to_owned()]),
        }
    }

    /// The value as CONFIG GET answers it.
    pub fn get(&self, settings: &Settings) -> String {
        match self {
            Self::Bool { get, .. } => (if get(settings) { "yes" } else { "no" }).to_owned(),
            Self::Signed { get, .. } => get(settings).to_string(),
            Self::Int { get, .. } | Self::Memory { get, .. } => get(settings).to_string(),
            Self::Octal { get, .. } => format!("{:o}", get(settings)),
            Self::Text { get, .. } => get(settings),
            Self::Words { get, .. } => get(settings),
            Self::Fixed { value, .. } => (*value).to_owned(),
        }
    }

    /// The value as a line of the file has it, after the directive's name.
    pub fn line_value(&self, settings: &Settings) -> String {
        match self {
            Self::Memory { get, .. } => format_memory(get(settings)),
            Self::Words { get, .. } => Some(get(settings))
                .filter(|words| !words.is_empty())
                .unwrap_or("\"\"".into()),
            _ => lines::quote(&self.get(settings)),
        }
    }

    /// Whether a line of a file with these words has another value than the only one, and is passed over.
    pub fn passes_over(&self, words: &[String]) -> bool {
        let Self::Fixed {
            others,
            passed_over: true,
            ..
        } = self
        else {
            return false;
        };
        matches!(words, [word] if others.iter().any(|other| other.eq_ignore_ascii_case(word)))
    }

    /// Whether lines of a file add up.
    pub fn repeats(&self) -> bool {
        matches!(self, Self::Words { repeats: true, .. })
    }
}

fn parse_bool(value: &str) -> Result<bool, String> {
    match value {
        value if value.eq_ignore_ascii_case("yes") => Ok(true),
        value if value.eq_ignore_ascii_case("no") => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

fn in_range(value: Option<u64>, min: u64, max: u64) -> Result<u64, String> {
    let within = value.filter(|value| (min..=max).contains(value));
    within.ok_or_else(|| format!("argument must be between {min} and {max} inclusive"))
}

fn parse_int(value: &str, min: u64, max: u64) -> Result<u64, String> {
    let number: i64 = value
        .parse()
        .map_err(|_| "argument couldn't be parsed into an integer".to_owned())?;
    in_range(u64::try_from(number).ok(), min, max)
}

fn parse_signed(value: &str, min: i64, max: i64) -> Result<i64, String> {
    let number: i64 = value
        .parse()
        .map_err(|_| "argument couldn't be parsed into an integer".to_owned())?;
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(format!(
            "argument must be between {min} and {max} inclusive"
        ))
    }
}

fn parse_memory(value: &str, min: u64, max: u64) -> Result<u64, String> {
    let bytes = memory_bytes(value).ok_or_else(|| "argument must be a memory value".to_owned())?;
    in_range(Some(bytes), min, max)
}

fn parse_octal(value: &str) -> Result<u32, String> {
    let bits = u32::from_str_radix(value, 8)
        .map_err(|_| "argument couldn't be parsed as an octal number".to_owned())?;
    if bits > 0o777 {
        return Err("argument must be between 0 and 777 inclusive".to_owned());
    }
    Ok(bits)
}

fn parse_fixed(value: &str, only: &str, others: &[&str], reason: &str) -> Result<(), String> {
    if value.eq_ignore_ascii_case(only) {
        return Ok(());
    }
    if others.is_empty() || others.iter().any(|other| other.eq_ignore_ascii_case(value)) {
        return Err(reason.to_owned());
    }
    if others == ["no"] || others == ["yes"] {
        return Err("argument must be 'yes' or 'no'".to_owned());
    }
    Err(format!(
        "argument(s) must be one of the following: {}, {only}",
        others.join(", ")
    ))
}

/// Reads `512mb`, `1g`, `100`.
pub fn memory_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit: u64 = match text.get(digits..)?.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1000 * 1000,
        "mb" => 1 << 20,
        "g" => 1000 * 1000 * 1000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Writes a number of bytes with the greatest unit that divides it.
pub fn format_memory(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("100b", Some(100)),
            ("1k", Some(1000)),
            ("1KB", Some(1024)),
            ("3Mb", Some(3 << 20)),
            ("2g", Some(2_000_000_000)),
            ("1gb", Some(1 << 30)),
            ("", None),
            ("mb", None),
            ("-1", None),
            ("1tb", None),
            ("1.5gb", None),
            ("99999999999gb", None),
        ] {
            assert_eq!(memory_bytes(text), bytes, "{text}");
        }
        for bytes in [
            0,
            1,
            1000,
            1024,
            1536,
            1 << 20,
            (1 << 30) + 1,
            5 << 30,
            u64::MAX,
        ] {
            assert_eq!(memory_bytes(&format_memory(bytes)), Some(bytes));
        }
        assert_eq!(format_memory(64 << 20), "64mb");
    }

    #[test]
    fn refusals_have_redis_texts() {
        assert_eq!(
            parse_bool("1").unwrap_err(),
            "argument must be 'yes' or 'no'"
        );
        assert_eq!(
            parse_int("abc", 0, 5).unwrap_err(),
            "argument couldn't be parsed into an integer"
        );
        assert_eq!(
            parse_int("-1", 0, 5).unwrap_err(),
            "argument must be between 0 and 5 inclusive"
        );
        assert_eq!(
            parse_int("6", 0, 5).unwrap_err(),
            "argument must be between 0 and 5 inclusive"
        );
        assert_eq!(
            parse_memory("1x", 0, 5).unwrap_err(),
            "argument must be a memory value"
        );
        assert_eq!(
            parse_octal("9").unwrap_err(),
            "argument couldn't be parsed as an octal number"
        );
    }
}
