//! The Redis serialization protocol (RESP2 and RESP3), and nothing else: no commands, no sockets, no runtime.
//!
//! # A request, from bytes to arguments
//!
//! The connection owns one growing read buffer, one [`RequestParser`] and one [`Request`]. [`RequestParser::parse`] is given
//! the bytes that are not yet consumed and answers one of three things:
//!
//! - `Ok(Some(n))`: the first `n` bytes are one request. Its arguments are spans of the buffer, read with [`Request::arg`];
//!   nothing is copied. The caller runs it, drops the `n` bytes and calls again: so pipelining works. A request may be empty
//!   (`*0`, a negative count, an empty line); it has no reply and is skipped.
//! - `Ok(None)`: more bytes are needed. The parser remembers where it stopped, so a large argument that arrives in thousands of
//!   reads is looked at once. Until the next `Ok(Some(_))` the buffer may only grow at its end.
//! - `Err(ProtocolError)`: what follows cannot be understood. The text is what Redis sends, the connection is to be closed
//!   after it, and the parser must not be used again.
//!
//! What a peer can make us spend is bounded by [`Limits`]: an announced count or length reserves nothing, memory is a multiple of the
//! bytes that really arrived, and those are bounded by [`Limits::query_buffer_limit`].
//!
//! # A reply
//!
//! [`Writer`] appends replies to the connection's output buffer. Callers always speak RESP3 (maps, sets, doubles, booleans);
//! the writer lowers each kind to RESP2 when the connection asked for that, and is the only place that does:
//!
//! | written | RESP3 | RESP2 |
//! |---|---|---|
//! | map of n pairs | `%n` | array of 2n |
//! | set, push of n | `~n`, `>n` | array of n |
//! | double, big number, verbatim text | `,1.5` `(123` `=7…txt:abc` | bulk string |
//! | boolean | `#t` `#f` | integer 1, 0 |
//! | null, null array | `_` | `$-1`, `*-1` |
//! | attribute | `\|n` | nothing |
//!
//! # The client's side
//!
//! [`encode_command`] and [`FrameDecoder`] are for tests and for links between servers: the decoder understands every kind of both
//! versions and yields owned [`Frame`]s. Scalars are decoded by the `redis-protocol` crate.
//!
//! The request path is our own because it hands out spans instead of building frames; `benches/benches/resp.rs` compares the two.
//!
//! Rules that are not in the protocol's specification (<https://redis.io/docs/latest/develop/reference/protocol-spec/>) are those of Redis 7.2.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod command;
mod double;
mod error;
mod frame;
mod inline;
mod number;
mod request;
mod writer;

pub use command::encode_command;
pub use double::DoubleBuffer;
pub use error::ProtocolError;
pub use frame::{Frame, FrameDecoder, FrameError};
pub use request::{Limits, Request, RequestParser};
pub use writer::{Mark, Protocol, Writer};
