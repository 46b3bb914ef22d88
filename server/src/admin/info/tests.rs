//! The shape of INFO, as simple clients parse it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storage::ids::{LogIndex, StoreId, Term};

use super::facts::{Clients, CommandCounters, Counters, Database, Facts, Persistence};
use super::render;
use crate::admin::process;
use crate::admin::replicas::{Replicas, tests::three};
use crate::dispatch::imports::{ImportsFacts, Progress};
use crate::dispatch::saves::SavesFacts;
use crate::raftstore::Status;
use crate::transport::{LinkStatus, SnapshotProgress};

fn facts() -> Facts {
    let status = three();
    let raft = Status {
        term: Term(4),
        commit_index: LogIndex(9),
        last_index: LogIndex(10),
        ..status
    };
    Facts {
        replicas: Replicas::of(&raft),
        lease_ns: 300_000_000,
        links: vec![LinkStatus {
            store: StoreId(3),
            address: String::new(),
            connected: true,
            dials_ok: 2,
            dials_failed: 5,
            last_dial_ok: Some(Duration::from_secs(7)),
            snapshot: Some(SnapshotProgress {
                percent: 40,
                bytes: 1000,
            }),
        }],
        receiving: None,
        settings: Arc::default(),
        config_file: String::new(),
        run_id: "0".repeat(40),
        unix_time_us: (3 << 24 | 5) * 1_000_000,
        uptime_seconds: 90_000,
        clients: Clients {
            connected: 2,
            blocked: 0,
            memory_bytes: 3,
        },
        peak_bytes: 20,
        memory: process::memory(),
        dataset_bytes: 5,
        persistence: Persistence {
            is_loading: false,
            is_checkpointing: false,
            changes: 3,
            last_checkpoint_seconds: 7,
            saves: SavesFacts::default(),
            imports: ImportsFacts {
                current: Some(Progress {
                    file: "dump.rdb".to_owned(),
                    total_bytes: 200,
                    loaded_bytes: 50,
                    commands: 4,
                }),
                last: Some(Err("a reason".to_owned())),
            },
        },
        counters: Counters {
            commands_processed: 11,
            eviction_exceeded_ms: 12,
            ..Counters::default()
        },
        cpu: process::cpu_times(),
        raft,
        master: None,
        store_id: StoreId(1),
        commands: vec![CommandCounters {
            name: "config|get".into(),
            calls: 4,
            micros: 10,
            rejected: 1,
            failed: 2,
        }],
        errors: vec![("ERR".into(), 3)],
        databases: vec![Database {
            index: 9,
            keys: 2,
            expires: 1,
            avg_ttl_ms: 50,
        }],
    }
}

/// Sections and their fields, read as redis-cli and client libraries read them.
fn parse(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut section = None;
    for line in text.split("\r\n") {
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        if let Some(title) = line.strip_prefix("# ") {
            section = Some(sections.entry(title.to_owned()).or_default());
        } else if !line.is_empty() {
            let (name, value) = line.split_once(':').expect("name:value");
            let fields = section.as_mut().expect("a section before its fields");
            assert!(
                fields.insert(name.to_owned(), value.to_owned()).is_none(),
                "{name} twice"
            );
        }
    }
    sections
}

#[test]
fn the_default_sections() {
    let sections = parse(&render(&facts(), &[]));
    for title in [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Errorstats",
        "Cluster",
        "Keyspace",
        "Raft",
    ] {
        assert!(sections.contains_key(title), "{title}");
    }
    assert!(!sections.contains_key("Commandstats"));
    let field = |section: &str, name: &str| sections[section][name].clone();
    assert!(field("Server", "redis_version").starts_with("7.2."));
    assert_eq!(field("Server", "redis_mode"), "standalone");
    assert_eq!(field("Server", "uptime_in_days"), "1");
    assert_eq!(field("Server", "lru_clock"), "5");
    assert_eq!(field("Memory", "maxmemory_policy"), "noeviction");
    assert_eq!(field("Stats", "total_eviction_exceeded_time"), "12");
    assert_eq!(field("Persistence", "loading"), "0");
    assert_eq!(field("Persistence", "rdb_changes_since_last_save"), "3");
    assert_eq!(field("Replication", "role"), "master");
    assert_eq!(field("Replication", "connected_slaves"), "1");
    assert_eq!(
        field("Replication", "slave0"),
        "ip=10.0.0.2,port=6380,state=online,offset=7,lag=0"
    );
    assert_eq!(field("Keyspace", "db9"), "keys=2,expires=1,avg_ttl=50");
    assert_eq!(field("Errorstats", "errorstat_ERR"), "count=3");
    assert_eq!(field("Raft", "raft_role"), "leader");
    assert_eq!(field("Raft", "raft_commit_index"), "9");
    assert_eq!(
        field("Raft", "raft_peer1"),
        "node=2,match=7,lag=3,active=1,voter=1,snapshot=0"
    );
    assert_eq!(field("Raft", "raft_lease"), "valid");
    assert_eq!(field("Raft", "raft_lease_left_ms"), "300");
    assert_eq!(
        field("Raft", "raft_snapshot_sent0"),
        "node=3,percent=40,bytes=1000"
    );
}

#[test]
fn sections_by_name() {
    let titles = |wanted: &[&str]| {
        parse(&render(&facts(), wanted))
            .into_keys()
            .collect::<Vec<_>>()
    };
    assert_eq!(titles(&["SERVER", "cpu", "nosuch"]), ["CPU", "Server"]);
    assert_eq!(titles(&["nosuch"]), Vec::<String>::new());
    assert_eq!(titles(&["default"]), titles(&[]));
    assert_eq!(titles(&["everything"]).len(), 13);
    assert!(titles(&["all"]).contains(&"Commandstats".to_owned()));
    let text = render(&facts(), &["commandstats"]);
    assert_eq!(
        text,
        "# Commandstats\r\ncmdstat_config|get:calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=2\r\n"
    );
}

/// Libraries take these lines for another server: BullMQ and others look for them.
#[test]
fn no_line_claims_to_be_another_server() {
    let text = render(&facts(), &["everything"]);
    assert!(!text.contains("valkey_version") && !text.contains("dragonfly_version"));
}
