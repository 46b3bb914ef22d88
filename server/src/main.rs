//! The TinyKV server.
fn main() {}
