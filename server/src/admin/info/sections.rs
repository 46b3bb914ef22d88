//! The sections of INFO. A field has Redis's name where its meaning is Redis's; what TinyKV does not have is left out, or is
//! 0 where monitoring expects the field and 0 is true.

use super::facts::{CommandCounters, Facts};
use super::redisraft;
use super::text::Text;
use crate::admin::process;
use crate::config::kind::Choice;
use crate::config::peers;
use crate::dispatch::imports::ImportsFacts;
use crate::raftstore::EXPIRE_ROUNDS_PER_SECOND;
use crate::version::{REDIS_VERSION, TINYKV_VERSION};

/// One section.
#[derive(Debug)]
pub struct Section {
    /// As INFO's argument.
    pub name: &'static str,
    /// As the heading.
    pub title: &'static str,
    /// Whether INFO without arguments shows it.
    pub is_default: bool,
    /// Writes its lines.
    pub write: fn(&Facts, &mut Text),
}

/// All sections, in the order of the reply.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "server",
        title: "Server",
        is_default: true,
        write: server,
    },
    Section {
        name: "clients",
        title: "Clients",
        is_default: true,
        write: clients,
    },
    Section {
        name: "memory",
        title: "Memory",
        is_default: true,
        write: memory,
    },
    Section {
        name: "persistence",
        title: "Persistence",
        is_default: true,
        write: persistence,
    },
    Section {
        name: "stats",
        title: "Stats",
        is_default: true,
        write: stats,
    },
    Section {
        name: "replication",
        title: "Replication",
        is_default: true,
        write: replication,
    },
    Section {
        name: "cpu",
        title: "CPU",
        is_default: true,
        write: cpu,
    },
    Section {
        name: "modules",
        title: "Modules",
        is_default: true,
        write: |_, _| (),
    },
    Section {
        name: "commandstats",
        title: "Commandstats",
        is_default: false,
        write: commandstats,
    },
    Section {
        name: "errorstats",
        title: "Errorstats",
        is_default: true,
        write: errorstats,
    },
    Section {
        name: "cluster",
        title: "Cluster",
        is_default: true,
        write: cluster,
    },
    Section {
        name: "keyspace",
        title: "Keyspace",
        is_default: true,
        write: keyspace,
    },
    Section {
        name: "raft",
        title: "Raft",
        is_default: true,
        write: raft,
    },
];

/// Seconds of the last use of a key have 24 bits, here as in Redis.
const LRU_CLOCK_MASK: u64 = 0xff_ffff;

fn server(facts: &Facts, text: &mut Text) {
    text.field("redis_version", REDIS_VERSION);
    text.field("tinykv_version", TINYKV_VERSION);
    let is_cluster = facts.settings.cluster_enabled;
    text.field(
        "redis_mode",
        if is_cluster { "cluster" } else { "standalone" },
    );
    text.field("os", process::operating_system());
    text.field("arch_bits", usize::BITS);
    text.field("process_id", std::process::id());
    text.field("process_supervised", "no");
    text.field("run_id", &facts.run_id);
    text.field("tcp_port", facts.settings.client_port());
    text.field("server_time_usec", facts.unix_time_us);
    text.field("uptime_in_seconds", facts.uptime_seconds);
    text.field("uptime_in_days", facts.uptime_seconds / 86_400);
    text.field("hz", EXPIRE_ROUNDS_PER_SECOND);
    text.field("configured_hz", EXPIRE_ROUNDS_PER_SECOND);
    text.field(
        "lru_clock",
        (facts.unix_time_us / 1_000_000) & LRU_CLOCK_MASK,
    );
    let executable = std::env::current_exe().unwrap_or_default();
    text.field("executable", executable.display());
    text.field("config_file", &facts.config_file);
}

fn clients(facts: &Facts, text: &mut Text) {
    text.field("connected_clients", facts.clients.connected);
    text.field("maxclients", facts.settings.maxclients);
    text.field("blocked_clients", facts.clients.blocked);
    text.field("tracking_clients", 0);
}

/// `used_memory` is what is accounted for: the data set, whose part `maxmemory` limits, and clients' buffers. Caches of the
/// engines, the log's tail and what the allocator holds back are in `used_memory_rss` only, and so in
/// `mem_fragmentation_ratio`, which is one to the other as in Redis.
fn memory(facts: &Facts, text: &mut Text) {
    let memory = &facts.memory;
    let used = facts.dataset_bytes + facts.clients.memory_bytes;
    let peak = facts.peak_bytes.max(used);
    text.bytes("used_memory", used);
    text.bytes("used_memory_rss", memory.resident_bytes);
    text.bytes("used_memory_peak", peak);
    text.field("used_memory_peak_perc", percent(used, peak));
    text.field("used_memory_overhead", facts.clients.memory_bytes);
    text.field("used_memory_dataset", facts.dataset_bytes);
    text.field(
        "used_memory_dataset_perc",
        percent(facts.dataset_bytes, used),
    );
    text.field("mem_clients_normal", facts.clients.memory_bytes);
    text.bytes("total_system_memory", memory.system_bytes);
    text.bytes("maxmemory", facts.settings.maxmemory_bytes);
    text.field("maxmemory_policy", facts.settings.maxmemory_policy.name());
    let ratio = memory.resident_bytes as f64 / used.max(1) as f64;
    text.field("mem_fragmentation_ratio", format!("{ratio:.2}"));
    text.field("mem_allocator", "mimalloc");
    text.field("active_defrag_running", 0);
    text.field("block_cache_size", facts.settings.block_cache_size_bytes);
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// Redis's words for snapshots describe RDB files; those for the append-only file describe the raft log.
fn persistence(facts: &Facts, text: &mut Text) {
    let persistence = &facts.persistence;
    text.field("loading", u8::from(persistence.is_loading));
    text.field("async_loading", 0);
    text.field("rdb_changes_since_last_save", persistence.changes);
    let saves = &persistence.saves;
    let seconds = |seconds: Option<u64>| seconds.map_or(-1, |seconds| seconds as i64);
    text.field(
        "rdb_bgsave_in_progress",
        u8::from(saves.current_seconds.is_some()),
    );
    text.field("rdb_last_save_time", saves.last_time_seconds);
    text.field(
        "rdb_last_bgsave_status",
        if saves.failed { "err" } else { "ok" },
    );
    text.field("rdb_last_bgsave_time_sec", seconds(saves.last_seconds));
    text.field(
        "rdb_current_bgsave_time_sec",
        seconds(saves.current_seconds),
    );
    text.field("rdb_saves", saves.count);
    imports(&persistence.imports, text);
    text.field("aof_enabled", 1);
    text.field("aof_rewrite_in_progress", 0);
    text.field("aof_rewrite_scheduled", 0);
    text.field("aof_last_bgrewrite_status", "ok");
    text.field("aof_last_write_status", "ok");
    text.field("aof_current_size", facts.raft.log_bytes);
    text.field(
        "checkpoint_in_progress",
        u8::from(persistence.is_checkpointing),
    );
    text.field("checkpoint_last_time", persistence.last_checkpoint_seconds);
}

/// RDB files on their way into the log. The fields of progress are there while one is, like those of Redis's loading.
fn imports(imports: &ImportsFacts, text: &mut Text) {
    text.field("import_in_progress", u8::from(imports.current.is_some()));
    if let Some(progress) = &imports.current {
        text.field("import_file", &progress.file);
        text.field("import_total_bytes", progress.total_bytes);
        text.field("import_loaded_bytes", progress.loaded_bytes);
        text.field(
            "import_loaded_perc",
            percent(progress.loaded_bytes, progress.total_bytes),
        );
        text.field("import_commands", progress.commands);
    }
    match &imports.last {
        Some(Err(error)) => {
            text.field("import_last_status", "err");
            text.field("import_last_error", error);
        }
        Some(Ok(totals)) => {
            text.field("import_last_status", "ok");
            text.field("import_last_keys", totals.keys);
        }
        None => text.field("import_last_status", "ok"),
    }
}

fn stats(facts: &Facts, text: &mut Text) {
    let counters = &facts.counters;
    text.field("total_connections_received", counters.connections_received);
    text.field("total_commands_processed", counters.commands_processed);
    text.field("instantaneous_ops_per_sec", counters.rates.commands);
    text.field("total_net_input_bytes", counters.net_input_bytes);
    text.field("total_net_output_bytes", counters.net_output_bytes);
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    text.field(
        "instantaneous_input_kbps",
        kilobytes(counters.rates.input_bytes),
    );
    text.field(
        "instantaneous_output_kbps",
        kilobytes(counters.rates.output_bytes),
    );
    text.field("rejected_connections", counters.rejected_connections);
    text.field("expired_keys", counters.expired_keys);
    text.field("expired_subkeys", counters.expired_subkeys);
    text.field("evicted_keys", counters.evicted_keys);
    text.field("evicted_clients", 0);
    text.field(
        "total_eviction_exceeded_time",
        counters.eviction_exceeded_ms,
    );
    text.field("keyspace_hits", counters.keyspace_hits);
    text.field("keyspace_misses", counters.keyspace_misses);
    text.field("pubsub_channels", 0);
    text.field("pubsub_patterns", 0);
    text.field("latest_fork_usec", 0);
    text.field("total_error_replies", counters.error_replies);
    text.field("unexpected_error_replies", 0);
    text.field("objects_loaded", counters.objects_loaded);
    text.field("objects_dropped", counters.objects_dropped);
}

/// Offsets are log indexes.
fn replication(facts: &Facts, text: &mut Text) {
    if let Some((host, port)) = &facts.master {
        text.field("role", "slave");
        text.field("master_host", host);
        text.field("master_port", port);
        let link = if host.is_empty() { "down" } else { "up" };
        text.field("master_link_status", link);
        text.field("master_sync_in_progress", 0);
        text.field("slave_repl_offset", facts.raft.applied_index);
        text.field("slave_priority", 100);
        text.field("slave_read_only", 1);
        text.field("replica_announced", 1);
        text.field("connected_slaves", 0);
    } else {
        text.field("role", "master");
        text.field("connected_slaves", facts.replicas.connected);
    }
    for (number, replica) in facts.replicas.online.iter().enumerate() {
        let state = if replica.snapshot {
            "send_bulk"
        } else {
            "online"
        };
        let (host, port, offset) = (&replica.host, replica.port, replica.matched);
        text.field(
            &format!("slave{number}"),
            format!("ip={host},port={port},state={state},offset={offset},lag=0"),
        );
    }
    text.field("master_failover_state", "no-failover");
    text.field("master_repl_offset", facts.raft.commit_index);
    text.field("second_repl_offset", -1);
}

fn cpu(facts: &Facts, text: &mut Text) {
    text.field(
        "used_cpu_sys",
        format!("{:.6}", facts.cpu.system.as_secs_f64()),
    );
    text.field(
        "used_cpu_user",
        format!("{:.6}", facts.cpu.user.as_secs_f64()),
    );
    text.field("used_cpu_sys_children", "0.000000");
    text.field("used_cpu_user_children", "0.000000");
}

fn commandstats(facts: &Facts, text: &mut Text) {
    for CommandCounters {
        name,
        calls,
        micros,
        rejected,
        failed,
    } in &facts.commands
    {
        let each = *micros as f64 / (*calls).max(1) as f64;
        let value = format!(
            "calls={calls},usec={micros},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}"
        );
        text.field(&format!("cmdstat_{name}"), value);
    }
}

fn errorstats(facts: &Facts, text: &mut Text) {
    for (code, count) in &facts.errors {
        text.field(&format!("errorstat_{code}"), format!("count={count}"));
    }
}

/// Unless Redis Cluster's dialect is on, any client may use any Store.
fn cluster(facts: &Facts, text: &mut Text) {
    text.field("cluster_enabled", u8::from(facts.settings.cluster_enabled));
}

fn keyspace(facts: &Facts, text: &mut Text) {
    for database in &facts.databases {
        let value = format!(
            "keys={},expires={},avg_ttl={}",
            database.keys, database.expires, database.avg_ttl_ms
        );
        text.field(&format!("db{}", database.index), value);
    }
}

fn raft(facts: &Facts, text: &mut Text) {
    let raft = &facts.raft;
    text.field("raft_node_id", facts.store_id);
    text.field("raft_role", raft.role.name());
    redisraft::fields(facts, text);
    text.field("raft_term", raft.term);
    text.field(
        "raft_leader_id",
        raft.leader.map_or(0, |leader| leader.get()),
    );
    let (lease, left_ms) = match facts.lease_ns {
        0 => ("none", 0),
        u64::MAX => ("unlimited", 0),
        left_ns => ("valid", left_ns / 1_000_000),
    };
    text.field("raft_lease", lease);
    text.field("raft_lease_left_ms", left_ms);
    text.field("raft_voters", raft.voters);
    text.field("raft_members", raft.members.list.len());
    text.field("raft_conf_ver", raft.members.conf_ver);
    text.field("raft_joint", u8::from(raft.members.is_joint));
    for (number, member) in raft.members.list.iter().enumerate() {
        let value = format!(
            "node={},address={},voter={}",
            member.store,
            peers::host_port(&member.host, member.port),
            u8::from(member.voter)
        );
        text.field(&format!("raft_member{number}"), value);
    }
    text.field("raft_first_index", raft.first_index);
    text.field("raft_last_index", raft.last_index);
    text.field("raft_commit_index", raft.commit_index);
    text.field("raft_applied_index", raft.applied_index);
    text.field("raft_checkpoint_index", raft.checkpoint_index);
    text.field("raft_synced_index", raft.synced_index);
    text.field("raft_checked_index", raft.checked_index);
    text.field("raft_log_bytes", raft.log_bytes);
    for (number, peer) in raft.peers.iter().enumerate() {
        let value = format!(
            "node={},match={},lag={},active={},voter={},snapshot={}",
            peer.store,
            peer.matched,
            raft.last_index.get().saturating_sub(peer.matched.get()),
            u8::from(peer.active),
            u8::from(peer.voter),
            u8::from(peer.snapshot)
        );
        text.field(&format!("raft_peer{number}"), value);
    }
    let sent = facts
        .links
        .iter()
        .filter_map(|link| Some((link.store, link.snapshot?)));
    for (number, (store, progress)) in sent.enumerate() {
        let value = format!(
            "node={store},percent={},bytes={}",
            progress.percent, progress.bytes
        );
        text.field(&format!("raft_snapshot_sent{number}"), value);
    }
    if let Some(progress) = facts.receiving {
        let value = format!("percent={},bytes={}", progress.percent, progress.bytes);
        text.field("raft_snapshot_received", value);
    }
}
