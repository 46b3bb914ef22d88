//! Reads the running Store into [`Facts`].

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use storage::dataset::DatasetStats;

use super::facts::{Clients, CommandCounters, Counters, Database, Facts, Persistence};
use crate::admin::process;
use crate::admin::replicas::Replicas;
use crate::dispatch::Shared;
use crate::dispatch::members::Members;
use crate::raftstore::Status;

/// The facts of this moment.
pub fn facts(shared: &Shared) -> Facts {
    let settings = shared.config.snapshot();
    let raft = shared.router.status();
    let (data, is_checkpointing) = {
        let dataset = shared.machine.dataset().read();
        (dataset.stats(), dataset.is_checkpointing())
    };
    let saves = shared.saves.facts();
    let config_file = shared.config.file().map(|file| file.display().to_string());
    let unix_time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Facts {
        config_file: config_file.unwrap_or_default(),
        run_id: shared.run_id.clone(),
        unix_time_us: unix_time.as_micros() as u64,
        uptime_seconds: shared.started.elapsed().as_secs(),
        clients: Clients {
            connected: shared.clients.len() as u64,
            blocked: 0,
            memory_bytes: shared.clients.memory_bytes(),
        },
        peak_bytes: shared.stats.memory_peak_bytes.load(Ordering::Relaxed),
        memory: process::memory(),
        dataset_bytes: data.memory_bytes,
        persistence: Persistence {
            is_loading: is_loading(&raft),
            is_checkpointing,
            changes: data.changes.saturating_sub(saves.changes),
            last_checkpoint_seconds: shared.router.last_checkpoint_ms() / 1000,
            saves,
            imports: shared.imports.facts(),
        },
        counters: counters(shared, &data),
        cpu: process::cpu_times(),
        lease_ns: shared.router.lease().left_ns(),
        links: shared
            .transport()
            .map_or_else(Vec::new, |transport| transport.links()),
        receiving: shared
            .transport()
            .and_then(|transport| transport.receiving()),
        replicas: Replicas::of(&raft),
        master: shared.says_replica().then(|| master(shared)),
        store_id: shared.store,
        commands: commands(shared),
        errors: shared.stats.errors().into_iter().collect(),
        databases: databases(&data),
        raft,
        settings,
    }
}

/// Where the leader is; nowhere if it has just been lost.
fn master(shared: &Shared) -> (String, u16) {
    let members = Members::of(shared);
    members.leader().map_or_else(Default::default, |leader| {
        (leader.host.clone(), leader.port)
    })
}

/// Without a leader nothing can be answered: at a start until the first election, and while no majority is reachable.
fn is_loading(raft: &Status) -> bool {
    raft.leader.is_none()
}

fn counters(shared: &Shared, data: &DatasetStats) -> Counters {
    let stats = &shared.stats;
    let rates = stats.rates(Instant::now());
    Counters {
        connections_received: stats.connections_received.load(Ordering::Relaxed),
        commands_processed: stats.commands_processed.load(Ordering::Relaxed),
        net_input_bytes: stats.net_input_bytes.load(Ordering::Relaxed),
        net_output_bytes: stats.net_output_bytes.load(Ordering::Relaxed),
        rates,
        rejected_connections: stats.rejected_connections.load(Ordering::Relaxed),
        expired_keys: data.expired_keys,
        evicted_keys: data.evicted_keys,
        expired_subkeys: data.expired_fields,
        eviction_exceeded_ms: stats.eviction_exceeded_us.load(Ordering::Relaxed) / 1000,
        keyspace_hits: data.hits,
        keyspace_misses: data.misses,
        error_replies: stats.error_replies.load(Ordering::Relaxed),
        objects_loaded: data.loads,
        objects_dropped: data.dropped,
    }
}

fn commands(shared: &Shared) -> Vec<CommandCounters> {
    let figures = shared.registry.entries().iter().map(|entry| {
        let figures = shared.stats.command(entry.id);
        CommandCounters {
            name: entry.spec.name.to_owned(),
            calls: figures.calls,
            micros: figures.usec,
            rejected: figures.rejected,
            failed: figures.failed,
        }
    });
    figures
        .filter(|command| command.calls + command.rejected + command.failed > 0)
        .collect()
}

fn databases(data: &DatasetStats) -> Vec<Database> {
    let databases = data
        .keys
        .iter()
        .zip(&data.expires)
        .zip(&data.avg_ttl_ms)
        .enumerate();
    databases
        .filter(|(_, ((keys, _), _))| **keys > 0)
        .map(|(index, ((keys, expires), avg_ttl_ms))| Database {
            index: index as u8,
            keys: *keys,
            expires: *expires,
            avg_ttl_ms: *avg_ttl_ms,
        })
        .collect()
}
