//! Commands of operators: configuration, state, documentation, stopping. They see everything that is shared, may wait, and
//! never travel in a log entry.
//!
//! | module | what it holds |
//! |---|---|
//! | [`answer`] | from a handler that does not wait to an encoded reply |
//! | [`config`] | CONFIG |
//! | [`introspect`] | COMMAND |
//! | [`info`] | INFO |
//! | [`raft`] | RAFT.CLUSTER, RAFT.NODE, RAFT.INFO, RAFT.TRANSFER_LEADER, RAFT.IMPORT, RAFT.SNAPSHOT, RAFT.RECOVER, RAFT.DIGEST |
//! | [`replicas`] | the other voters, as INFO, ROLE and WAIT tell of them |
//! | [`replication`] | ROLE, WAIT |
//! | [`cluster`] | CLUSTER |
//! | [`save`] | SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF |
//! | [`server`] | TIME, SHUTDOWN, LOLWUT |
//! | [`debug`] | DEBUG |
//! | `settle` | waiting for memory and disk |
//! | [`process`] | what the operating system says of this process |

pub mod answer;
pub mod cluster;
pub mod config;
pub mod debug;
pub mod info;
pub mod introspect;
mod populate;
pub mod process;
pub mod raft;
pub mod replicas;
pub mod replication;
pub mod save;
pub mod server;
mod settle;
pub mod sync;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::{Config, collections, tls};
use crate::dispatch::{AdminCommand, Shared};
use crate::raftstore::{SharedLimits, SharedPriority};

/// The tables of admin commands.
pub static FAMILIES: [&[AdminCommand]; 10] = [
    config::COMMANDS,
    introspect::COMMANDS,
    info::COMMANDS,
    replication::COMMANDS,
    cluster::COMMANDS,
    server::COMMANDS,
    save::COMMANDS,
    sync::COMMANDS,
    debug::COMMANDS,
    raft::COMMANDS,
];

/// How often memory is looked at for its peak.
const PEAK_INTERVAL: Duration = Duration::from_millis(100);

/// Keeps the peak of used memory, for as long as it is polled.
pub async fn watch_memory_peak(shared: &Shared) -> Infallible {
    loop {
        tokio::time::sleep(PEAK_INTERVAL).await;
        // Under a writer that holds the lock the next look will do.
        let dataset = shared.machine.dataset().try_read();
        let Some(dataset_bytes) = dataset.map(|dataset| dataset.memory_used()) else {
            continue;
        };
        let used = dataset_bytes + shared.clients.memory_bytes();
        shared
            .stats
            .memory_peak_bytes
            .fetch_max(used, Ordering::Relaxed);
    }
}

/// Lets CONFIG SET take effect in the running Store.
pub fn install_hooks(shared: &Arc<Shared>, limits: &SharedLimits, priority: &SharedPriority) {
    let own = priority.clone();
    shared.config.on_set("leader-priority", move |settings| {
        own.set(settings.leader_priority.into());
        Ok(())
    });
    let links = Arc::downgrade(shared);
    shared
        .config
        .on_set("snapshot-max-bytes-per-second", move |settings| {
            let shared = links.upgrade();
            // Without links there is nobody to send to; they begin with the settings of that moment.
            if let Some(transport) = shared.as_ref().and_then(|shared| shared.transport()) {
                transport.set_snapshot_rate(settings.snapshot_max_bytes_per_second);
            }
            Ok(())
        });
    let dataset = Arc::clone(shared.machine.dataset());
    shared.config.on_set("maxmemory", move |settings| {
        dataset.write().set_maxmemory(settings.maxmemory_bytes);
        Ok(())
    });
    let dataset = Arc::clone(shared.machine.dataset());
    shared.config.on_set("maxmemory-policy", move |settings| {
        dataset
            .write()
            .set_eviction_policy(settings.maxmemory_policy);
        Ok(())
    });
    for row in collections::ROWS {
        let limits = limits.clone();
        shared.config.on_set(row.name, move |settings| {
            limits.set(settings.limits);
            Ok(())
        });
    }
    for row in tls::ROWS {
        let current = Arc::clone(&shared.tls);
        shared.config.on_set(row.name, move |settings| {
            current.replace(&settings.tls).map_err(|error| {
                tracing::warn!("CONFIG SET: {error}");
                format!("Unable to update TLS configuration: {error}")
            })
        });
    }
    keep_appendfsync(&shared.config);
}

/// The engines are opened for one of its modes, so only the mode in force may be set.
fn keep_appendfsync(config: &Config) {
    let in_force = config.load().appendfsync;
    config.on_set("appendfsync", move |settings| {
        if settings.appendfsync == in_force {
            Ok(())
        } else {
            Err("a running server cannot change it: set it in the file or on the command line, and restart".to_owned())
        }
    });
}

#[cfg(test)]
mod tests {
    use super::FAMILIES;
    use crate::commands::docs;

    /// Each line of the file: what Redis 7.2 tells of a command.
    #[test]
    fn rows_tell_what_redis_tells() {
        let join = |words: Vec<&str>| words.join(" ");
        let rows = FAMILIES.iter().copied().flatten();
        let redis_s = |row: &&super::AdminCommand| !row.spec.name.starts_with("raft.");
        for row in rows
            .filter(redis_s)
            .flat_map(|row| std::iter::once(row).chain(row.subcommands))
        {
            let spec = &row.spec;
            assert!(docs::of(spec.name).is_some(), "{}", spec.name);
            let ours = format!(
                "{} {} {} [{}] 0 0 0 [{}]",
                spec.name,
                spec.arity,
                spec.group.name(),
                join(spec.flags.names().collect()),
                join(docs::categories(spec).collect()),
            );
            let redis_s = include_str!("../commands/docs/facts.txt");
            assert!(redis_s.lines().any(|line| line == ours), "{ours}");
        }
    }
}
