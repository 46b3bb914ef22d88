//! Why a connection cannot go on.

use std::fmt;

/// A request that cannot be understood. The connection is closed after its text has been sent as an error reply.
///
/// Displays as Redis sends it after `-ERR `, for instance `Protocol error: invalid bulk length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(pub(crate) Violation);

impl ProtocolError {
    /// Whether Redis closes the connection without sending the text (only when the query buffer's limit is exceeded).
    pub fn is_silent(&self) -> bool {
        self.0 == Violation::QueryBufferLimit
    }
}

/// What was wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    MultibulkLength,
    UnauthenticatedMultibulkLength,
    MultibulkCountTooBig,
    ExpectedDollar(u8),
    BulkLength,
    UnauthenticatedBulkLength,
    BulkCountTooBig,
    InlineTooBig,
    UnbalancedQuotes,
    QueryBufferLimit,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Violation::MultibulkLength => "invalid multibulk length",
            Violation::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Violation::MultibulkCountTooBig => "too big mbulk count string",
            Violation::ExpectedDollar(byte) => {
                return write!(f, "expected '$', got '{}'", char::from(*byte));
            }
            Violation::BulkLength => "invalid bulk length",
            Violation::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Violation::BulkCountTooBig => "too big bulk count string",
            Violation::InlineTooBig => "too big inline request",
            Violation::UnbalancedQuotes => "unbalanced quotes in request",
            Violation::QueryBufferLimit => "query buffer limit exceeded",
        })
    }
}

impl From<Violation> for ProtocolError {
    fn from(violation: Violation) -> Self {
        ProtocolError(violation)
    }
}
