//! What a command answers when it refuses: Redis's exact texts, each in one place.

use std::borrow::Cow;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A deterministic error reply: the whole text with its code. Bytes, because it may repeat what a client sent.
    #[error("{}", String::from_utf8_lossy(.0))]
    Reply(Cow<'static, [u8]>),
    /// The engine failed: never a reply, the process stops.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// What every handler answers; the reply itself is in the writer.
pub type CommandResult<T = ()> = Result<T, CommandError>;

impl CommandError {
    /// An error reply with a text made for the occasion.
    pub fn reply(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Reply(match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// An error reply that repeats a client's own words, which may be any bytes, as far as Redis shows them: to the first
    /// zero byte.
    pub fn quoting<const N: usize>(parts: [&[u8]; N]) -> Self {
        let shown = parts.map(|part| part.split(|byte| *byte == 0).next().unwrap_or_default());
        Self::Reply(Cow::Owned(shown.concat()))
    }

    /// The arity of `name` (lower case, `container|subcommand` for subcommands) was violated.
    pub fn arity(name: &str) -> Self {
        Self::reply(format!(
            "ERR wrong number of arguments for '{name}' command"
        ))
    }

    /// `command` was given an expiry that is not positive or too far away.
    pub fn invalid_expire(command: &str) -> Self {
        Self::reply(format!("ERR invalid expire time in '{command}' command"))
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl CommandError {
            $($(#[$doc])* pub const $name: Self = Self::Reply(Cow::Borrowed($text.as_bytes()));)*
        }
    };
}

texts! {
    /// The key holds another type.
    WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// An option that does not exist, or options that exclude each other.
    SYNTAX = "ERR syntax error";
    /// Not an integer of 64 bits in canonical form.
    NOT_INTEGER = "ERR value is not an integer or out of range";
    /// Not a floating-point number.
    NOT_FLOAT = "ERR value is not a valid float";
    /// A sum that does not fit 64 bits.
    OVERFLOW = "ERR increment or decrement would overflow";
    /// A sum that is no longer a number.
    NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity";
    /// The key does not exist where it must.
    NO_SUCH_KEY = "ERR no such key";
    /// A string would grow beyond what a bulk string may be.
    STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    /// A negative offset where none is allowed.
    OFFSET_OUT_OF_RANGE = "ERR offset is out of range";
    /// The position of a bit that is not one, or lies beyond the longest string.
    BIT_OFFSET = "ERR bit offset is not an integer or out of range";
    /// A string that is not a HyperLogLog.
    NOT_HYPERLOGLOG = "WRONGTYPE Key is not a valid HyperLogLog string value.";
    /// A HyperLogLog whose registers make no sense.
    CORRUPT_HYPERLOGLOG = "INVALIDOBJ Corrupted HLL object detected";
    /// HINCRBY of a field that is no integer.
    HASH_NOT_INTEGER = "ERR hash value is not an integer";
    /// HINCRBYFLOAT of a field that is no number.
    HASH_NOT_FLOAT = "ERR hash value is not a float";
    /// A command on fields without `FIELDS` in its place.
    FIELDS_MISSING = "ERR Mandatory argument FIELDS is missing or not at the right position";
    /// Another number of fields than was announced.
    FIELDS_MISMATCH = "ERR The `numfields` parameter must match the number of arguments";
    /// HEXPIRE and its like with a number of fields that is not positive.
    NUMFIELDS = "ERR Parameter `numFields` should be greater than 0";
    /// Other commands on fields with such a number.
    NUMBER_OF_FIELDS = "ERR Number of fields must be a positive integer";
    /// A count that is negative, or not an integer.
    NOT_POSITIVE = "ERR value is out of range, must be positive";
    /// A number of keys that is not positive.
    NUMKEYS = "ERR numkeys should be greater than 0";
    /// More keys announced than there are arguments.
    TOO_FEW_KEYS = "ERR Number of keys can't be greater than number of args";
    /// More random elements than a reply may hold.
    REPLY_TOO_LONG = "ERR the reply would be longer than 512 MB";
    /// A LIMIT below 0.
    NEGATIVE_LIMIT = "ERR LIMIT can't be negative";
    /// An integer that is not a cursor.
    INVALID_CURSOR = "ERR invalid cursor";
    /// SELECT, MOVE, COPY or SWAPDB beyond the last database.
    DB_OUT_OF_RANGE = "ERR DB index is out of range";
    /// Memory is full and nothing may be deleted.
    OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
    /// The disk is nearly full. MISCONF is what Redis says when it cannot persist.
    DISK_FULL = "MISCONF The disk is nearly full: writes are refused until there is room. Reads go on, and deletions as long as they fit";
    /// RESTORE over a key without REPLACE.
    BUSY_KEY = "BUSYKEY Target key name already exists.";
    /// SORT of what is no number.
    NOT_SORTABLE = "ERR One or more scores can't be converted into double";
    /// Source and destination are the same.
    SAME_OBJECT = "ERR source and destination objects are the same";
}
