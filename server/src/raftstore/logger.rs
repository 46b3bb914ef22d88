//! The `raft` crate logs through slog; this hands its lines to tracing.

use slog::{Drain, KV, Logger, Never, OwnedKVList, Record, Serializer};
use std::fmt::{Arguments, Write};

struct TracingDrain;

struct Fields(String);

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: slog::Key, value: &Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}").map_err(|_| slog::Error::Other)
    }
}

impl Drain for TracingDrain {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let enabled = match record.level() {
            slog::Level::Critical | slog::Level::Error => {
                tracing::enabled!(target: "raft", tracing::Level::ERROR)
            }
            slog::Level::Warning => tracing::enabled!(target: "raft", tracing::Level::WARN),
            slog::Level::Info => tracing::enabled!(target: "raft", tracing::Level::DEBUG),
            slog::Level::Debug | slog::Level::Trace => {
                tracing::enabled!(target: "raft", tracing::Level::TRACE)
            }
        };
        if !enabled {
            return Ok(());
        }
        let mut fields = Fields(record.msg().to_string());
        // Formatting into a String cannot fail, and a log line is no reason to stop.
        let _ = values.serialize(record, &mut fields);
        let _ = record.kv().serialize(record, &mut fields);
        let line = fields.0;
        match record.level() {
            slog::Level::Critical | slog::Level::Error => tracing::error!(target: "raft", "{line}"),
            slog::Level::Warning => tracing::warn!(target: "raft", "{line}"),
            // What raft calls information is one line per vote and per append conflict.
            slog::Level::Info => tracing::debug!(target: "raft", "{line}"),
            slog::Level::Debug | slog::Level::Trace => tracing::trace!(target: "raft", "{line}"),
        }
        Ok(())
    }
}

/// A slog logger whose lines go to tracing under the target `raft`.
pub(super) fn raft_logger() -> Logger {
    Logger::root(TracingDrain.fuse(), slog::o!())
}
