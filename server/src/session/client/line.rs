//! The line of one connection in CLIENT LIST and CLIENT INFO.

use std::sync::atomic::Ordering;

use crate::dispatch::registry::Registry;
use crate::session::Client;

/// Redis 7.2's fields in Redis's order. Fields of what TinyKV does not have are as they are for a client without it:
/// nothing subscribed, no MULTI, no tracking.
pub(super) fn of(client: &Client, registry: &Registry) -> String {
    let names = client.names.read().clone();
    let buffers = client.buffers();
    let command = client
        .last_command()
        .and_then(|id| registry.entries().get(id))
        .map_or("NULL", |entry| entry.spec.name);
    let fields: [(&str, &dyn std::fmt::Display); 30] = [
        ("id", &client.id),
        ("addr", &client.address.remote),
        ("laddr", &client.address.local),
        ("fd", &client.address.file_descriptor),
        ("name", &names.name),
        ("age", &client.age_seconds()),
        ("idle", &client.idle_seconds()),
        ("flags", &flags(client)),
        ("db", &client.db()),
        ("sub", &0),
        ("psub", &0),
        ("ssub", &0),
        ("multi", &-1),
        ("qbuf", &buffers.query),
        ("qbuf-free", &buffers.query_free),
        ("argv-mem", &buffers.arguments),
        ("multi-mem", &0),
        // There is one buffer of replies; it takes as much as waits in it.
        ("rbs", &buffers.output),
        ("rbp", &buffers.output_peak),
        ("obl", &buffers.output),
        ("oll", &0),
        ("omem", &buffers.output),
        ("tot-mem", &client.memory_bytes()),
        ("events", &if buffers.output > 0 { "rw" } else { "r" }),
        ("cmd", &command),
        ("user", &"default"),
        ("redir", &-1),
        ("resp", &client.protocol()),
        ("lib-name", &names.library),
        ("lib-ver", &names.library_version),
    ];
    let mut line = String::new();
    for (name, value) in fields {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&format!("{name}={value}"));
    }
    line
}

fn flags(client: &Client) -> String {
    let set = [
        (client.address.is_unix, 'U'),
        (client.no_evict.load(Ordering::Relaxed), 'e'),
        (client.no_touch.load(Ordering::Relaxed), 'T'),
    ];
    let flags: String = set
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, flag)| flag)
        .collect();
    if flags.is_empty() {
        "N".to_owned()
    } else {
        flags
    }
}
