//! What this server says it is.

/// The version of Redis whose commands, replies and errors TinyKV follows. INFO and HELLO report it, and clients and
/// frameworks decide by it.
pub const REDIS_VERSION: &str = "7.2.4";

/// The version of TinyKV.
pub const TINYKV_VERSION: &str = env!("CARGO_PKG_VERSION");
