//! The table against `tinykv.conf`; files and command lines; CONFIG GET, SET and REWRITE.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::source::{Invocation, from_args};
use super::*;

fn args(words: &[&str]) -> Vec<std::ffi::OsString> {
    words.iter().map(Into::into).collect()
}

fn configured(words: &[&str]) -> Config {
    match from_args(args(words)) {
        Ok(Invocation::Serve(config)) => *config,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn refusal(words: &[&str]) -> String {
    from_args(args(words))
        .map(|_| ())
        .expect_err("refused")
        .to_string()
}

fn value(config: &Config, name: &str) -> String {
    let found = config.get(&[name], |_| false);
    assert_eq!(found.len(), 1, "{name}");
    found[0].1.clone()
}

/// A file in a directory of its own.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("test.conf");
    fs::write(&path, text).expect("written");
    (dir, path.to_str().expect("UTF-8").to_owned())
}

#[test]
fn tinykv_conf_is_what_the_table_says() {
    let shipped = include_str!("../../../tinykv.conf");
    assert!(
        shipped == document::default_config(),
        "tinykv.conf and the table disagree: cargo run -- --default-config > tinykv.conf"
    );
}

#[test]
fn lines_of_tinykv_conf_are_wrapped() {
    let text = document::default_config();
    let (_, directives) = text.split_once("# ---- ").expect("sections");
    let long = directives.lines().find(|line| line.len() > 100);
    assert_eq!(long, None);
}

#[test]
fn tinykv_conf_documents_every_directive_with_its_default_and_nothing_else() {
    let shipped = include_str!("../../../tinykv.conf");
    let mut documented = Vec::new();
    let mut comment = 0;
    for line in shipped.lines() {
        match line.split(' ').next() {
            None | Some("") => comment = 0,
            Some(first) if first.starts_with('#') => comment += 1,
            Some(name) => {
                assert!(comment > 0, "{name} has no text");
                documented.push(
                    directives::lookup(name)
                        .unwrap_or_else(|| panic!("{name} is no directive"))
                        .name,
                );
            }
        }
    }
    assert_eq!(
        documented,
        directives::all().map(|row| row.name).collect::<Vec<_>>()
    );
    let (_dir, path) = file(shipped);
    assert_eq!(*configured(&[&path]).snapshot(), Settings::default());
}

#[test]
fn the_command_line_wins_over_the_file() {
    let (_dir, path) =
        file("port 7000\n# comment\n\ntimeout 5\nSAVE 900 1\nsave 300 10\nrequirepass \"a b\"\n");
    let config = configured(&[&path, "--port", "7001", "--bind", "127.0.0.1", "-::1"]);
    let settings = config.snapshot();
    assert_eq!((settings.port, settings.timeout_seconds), (7001, 5));
    assert_eq!(settings.bind, ["127.0.0.1", "-::1"]);
    assert_eq!(settings.save, [(900, 1), (300, 10)]);
    assert_eq!(settings.requirepass.expose(), "a b");
    assert_eq!(config.file(), Some(Path::new(&path)));
    assert!(configured(&[&path, "--save"]).snapshot().save.is_empty());
    assert_eq!(
        configured(&[&path, "--save", "60", "1"]).snapshot().save,
        [(60, 1)]
    );
}

#[test]
fn files_include_files() {
    let (dir, path) = file("");
    let other = dir.path().join("other.conf");
    fs::write(&other, "timeout 7\nport 7002\n").expect("written");
    fs::write(
        &path,
        format!("timeout 5\ninclude {}\nport 7003\n", other.display()),
    )
    .expect("written");
    let settings = configured(&[&path]).snapshot();
    assert_eq!((settings.timeout_seconds, settings.port), (7, 7003));

    fs::write(&other, format!("include {path}\n")).expect("written");
    assert!(refusal(&[&path]).contains("circle"));
    fs::write(&other, "timeout x\n").expect("written");
    let text = refusal(&[&path]);
    assert!(
        text.contains("line 2") || text.contains("other.conf, line 1"),
        "{text}"
    );
}

#[test]
fn a_refusal_names_the_place() {
    let (_dir, path) = file("port 1\n\nport abc\n");
    assert_eq!(
        refusal(&[&path]),
        format!("{path}, line 3: 'port': argument couldn't be parsed into an integer")
    );
    let (_dir, path) = file("requirepass \"secret\n");
    assert!(refusal(&[&path]).contains("unbalanced quotes"));
    assert!(refusal(&["/nonexistent/tinykv.conf"]).contains("cannot read"));
    assert!(refusal(&["--port"]).contains("--port: wrong number of arguments"));
    assert!(refusal(&["--port", "1", "2"]).contains("wrong number of arguments"));
    assert!(refusal(&["--nosuch", "1"]).contains("no directive has this name"));
    assert!(refusal(&["--tls-port", "1"]).contains("tls-cert-file and tls-key-file"));
    assert!(refusal(&["--daemonize", "yes"]).contains("systemd"));
    assert!(refusal(&["--databases", "32"]).contains("16 databases"));
    assert!(refusal(&["--port", "0"]).contains("nothing to listen on"));
    assert!(refusal(&["--heartbeat-interval-ms", "400"]).contains("at least 3 times"));
    assert!(refusal(&["-x"]).contains("not expected here"));
    assert!(refusal(&["--cluster-peers", "1@a:6379,2@b:6379"]).contains("node-id"));
}

#[test]
fn a_file_written_for_redis_is_read_with_notices() {
    let (_dir, path) = file("rdbcompression yes\nreplica-priority 100\nport 7000\n");
    let config = configured(&[&path]);
    assert_eq!(config.notices().len(), 2);
    assert!(config.notices()[0].contains("'rdbcompression'"));
}

/// What the redis.conf of Redis 7.0 and of Debian's package sets, comments aside, is no reason not to start.
#[test]
fn the_redis_conf_that_comes_with_redis_starts_the_server() {
    let (_dir, path) = file(
        "bind 127.0.0.1 -::1\nprotected-mode yes\nport 6379\ntcp-backlog 511\ntimeout 0\ntcp-keepalive 300\n\
         daemonize yes\npidfile /run/redis.pid\nloglevel notice\nlogfile /var/log/redis.log\ndatabases 16\n\
         always-show-logo no\nset-proc-title yes\nproc-title-template \"{title} {server-mode}\"\n\
         stop-writes-on-bgsave-error yes\nrdbcompression yes\nrdbchecksum yes\ndbfilename dump.rdb\n\
         rdb-del-sync-files no\ndir ./\nreplica-serve-stale-data yes\nreplica-read-only yes\n\
         repl-diskless-sync yes\nrepl-diskless-sync-delay 5\nrepl-diskless-sync-max-replicas 0\n\
         repl-diskless-load disabled\nrepl-disable-tcp-nodelay no\nreplica-priority 100\nacllog-max-len 128\n\
         lazyfree-lazy-eviction no\nlazyfree-lazy-expire no\nlazyfree-lazy-server-del no\nreplica-lazy-flush no\n\
         lazyfree-lazy-user-del no\nlazyfree-lazy-user-flush no\noom-score-adj no\noom-score-adj-values 0 200 800\n\
         disable-thp yes\nappendonly no\nappendfilename \"appendonly.aof\"\nappenddirname \"appendonlydir\"\n\
         appendfsync everysec\nno-appendfsync-on-rewrite no\nauto-aof-rewrite-percentage 100\n\
         auto-aof-rewrite-min-size 64mb\naof-load-truncated yes\naof-use-rdb-preamble yes\naof-timestamp-enabled no\n\
         slowlog-log-slower-than 10000\nslowlog-max-len 128\nlatency-monitor-threshold 0\n\
         notify-keyspace-events \"\"\nhash-max-listpack-entries 512\nhash-max-listpack-value 64\n\
         list-max-listpack-size -2\nlist-compress-depth 0\nset-max-intset-entries 512\n\
         zset-max-listpack-entries 128\nzset-max-listpack-value 64\nhll-sparse-max-bytes 3000\n\
         stream-node-max-bytes 4096\nstream-node-max-entries 100\nactiverehashing yes\n\
         client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit replica 256mb 64mb 60\n\
         client-output-buffer-limit pubsub 32mb 8mb 60\nhz 10\ndynamic-hz yes\naof-rewrite-incremental-fsync yes\n\
         rdb-save-incremental-fsync yes\njemalloc-bg-thread yes\n",
    );
    let config = configured(&[&path]);
    let notice = |name: &str| {
        let notices = config.notices().iter();
        notices.filter(|text| text.contains(name)).count()
    };
    for name in ["'daemonize'", "'appendonly'", "'slowlog-max-len'"] {
        assert_eq!(notice(name), 1, "{name}: {:?}", config.notices());
    }
    assert_eq!(value(&config, "appendonly"), "yes");
    assert_eq!(value(&config, "replica-read-only"), "yes");
    assert_eq!(value(&config, "slave-read-only"), "yes");
}

#[test]
fn the_one_argument_invocations() {
    for (words, expected) in [
        ("--help", "Help"),
        ("-h", "Help"),
        ("-v", "Version"),
        ("--version", "Version"),
        ("--default-config", "Def"),
    ] {
        let invocation = format!("{:?}", from_args(args(&[words])).expect("understood"));
        assert!(invocation.starts_with(expected), "{words}: {invocation}");
    }
}

#[test]
fn get_answers_patterns_and_hides_the_secret() {
    let config = Config::default();
    let names = |exact: &[&str], prefix: &str| {
        config
            .get(exact, |name| name.starts_with(prefix))
            .into_iter()
            .map(|(n, _)| n)
    };
    assert_eq!(
        names(&[], "tcp-").collect::<Vec<_>>(),
        ["tcp-backlog", "tcp-keepalive"]
    );
    assert!(names(&[], "").all(|name| name != "cluster-secret"));
    assert_eq!(
        names(&["CLUSTER-SECRET"], "none").collect::<Vec<_>>(),
        ["cluster-secret"]
    );
    assert_eq!(value(&config, "appendonly"), "yes");
    assert_eq!(value(&config, "databases"), "16");
    assert_eq!(value(&config, "proto-max-bulk-len"), "536870912");
    assert_eq!(value(&config, "save"), "");
    assert_eq!(
        value(&config, "client-output-buffer-limit"),
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
    );
    assert!(Path::new(&value(&config, "dir")).is_absolute());
}

#[test]
fn set_changes_all_or_nothing() {
    let config = Config::default();
    config
        .set(&[("timeout", "10"), ("MaxMemory", "100mb")])
        .expect("set");
    assert_eq!(
        (value(&config, "timeout"), value(&config, "maxmemory")),
        ("10".into(), "104857600".into())
    );
    let text = |pairs: &[(&str, &str)]| config.set(pairs).expect_err("refused").to_string();
    let failed = "ERR CONFIG SET failed (possibly related to argument";
    assert_eq!(
        text(&[("timeout", "20"), ("maxmemory", "1x")]),
        format!("{failed} 'maxmemory') - argument must be a memory value")
    );
    assert_eq!(value(&config, "timeout"), "10");
    assert_eq!(
        text(&[("timeout", "1"), ("timeout", "2")]),
        format!("{failed} 'timeout') - duplicate parameter")
    );
    assert_eq!(
        text(&[("port", "1")]),
        format!("{failed} 'port') - can't set immutable config")
    );
    assert_eq!(
        text(&[("port", "1"), ("Nosuch", "2")]),
        "ERR Unknown option or number of arguments for CONFIG SET - 'Nosuch'"
    );
    assert!(text(&[("appendonly", "no")]).contains("appendfsync"));
    assert_eq!(
        text(&[("appendonly", "x")]),
        format!("{failed} 'appendonly') - argument must be 'yes' or 'no'")
    );
    config
        .set(&[("appendonly", "yes"), ("save", "900 1 60 1000")])
        .expect("set");
    assert_eq!(value(&config, "save"), "900 1 60 1000");
    config.set(&[("save", "")]).expect("set");
    assert_eq!(value(&config, "save"), "");
    assert_eq!(
        text(&[("save", "1 a")]),
        format!("{failed} 'save') - Invalid save parameters")
    );
    config
        .set(&[("maxmemory-policy", "allkeys-lru")])
        .expect("set");
    assert_eq!(value(&config, "maxmemory-policy"), "allkeys-lru");
    assert!(
        text(&[("maxmemory-policy", "foo")]).contains("must be one of the following: volatile-lru")
    );
    assert_eq!(
        text(&[("appendfsync", "maybe")]),
        format!(
            "{failed} 'appendfsync') - argument(s) must be one of the following: everysec, always, no"
        )
    );
    config
        .set(&[("client-output-buffer-limit", "normal 1kb 2 3")])
        .expect("set");
    assert!(
        value(&config, "client-output-buffer-limit").starts_with("normal 1024 2 3 slave 268435456")
    );
}

#[test]
fn a_hook_that_refuses_undoes_those_before_it() {
    let config = Config::default();
    let seen = Arc::new(AtomicU64::new(0));
    let memory = Arc::clone(&seen);
    config.on_set("maxmemory", move |new| {
        memory.store(new.maxmemory_bytes, Ordering::Relaxed);
        Ok(())
    });
    config.on_set("loglevel", |_| Err("the log is stuck".to_owned()));
    config.set(&[("maxmemory", "5")]).expect("set");
    assert_eq!(seen.load(Ordering::Relaxed), 5);
    let error = config
        .set(&[("maxmemory", "7"), ("loglevel", "debug")])
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "ERR CONFIG SET failed (possibly related to argument 'loglevel') - the log is stuck"
    );
    assert_eq!(seen.load(Ordering::Relaxed), 5);
    assert_eq!(
        (value(&config, "maxmemory"), value(&config, "loglevel")),
        ("5".into(), "notice".into())
    );
}

#[test]
fn rewrite_keeps_comments_order_and_what_is_still_true() {
    let before = "# mine\nport 7000\n\nmaxmemory 1gb # not a comment\n";
    let (_dir, path) = file(before);
    assert!(refusal(&[&path]).contains("wrong number of arguments"));

    let before = "# mine\nport 7000\n\nclient-query-buffer-limit 1048576k\nTimeout 5\ntimeout 6\n# end\nrdbchecksum no\n";
    let (_dir, path) = file(before);
    let config = configured(&[&path]);
    config.rewrite().expect("written");
    assert_eq!(
        fs::read_to_string(&path).expect("read"),
        before,
        "nothing changed"
    );
    config
        .set(&[
            ("timeout", "9"),
            ("requirepass", "a \"b\""),
            ("save", "900 1 60 2"),
            ("maxmemory", "64mb"),
        ])
        .expect("set");
    config.rewrite().expect("written");
    let after = fs::read_to_string(&path).expect("read");
    assert_eq!(
        after,
        "# mine\nport 7000\n\nclient-query-buffer-limit 1048576k\ntimeout 9\n# end\nrdbchecksum no\n\
         # Generated by CONFIG REWRITE\nrequirepass \"a \\\"b\\\"\"\nsave 900 1 60 2\nmaxmemory 64mb\n"
    );
    assert_eq!(configured(&[&path]).snapshot(), config.snapshot());
    config.rewrite().expect("written");
    assert_eq!(
        fs::read_to_string(&path).expect("read"),
        after,
        "a second time changes nothing"
    );
}

#[test]
fn rewrite_is_not_overridden_by_an_include() {
    let (dir, path) = file("");
    let other = dir.path().join("other.conf");
    fs::write(&other, "timeout 7\n").expect("written");
    fs::write(&path, format!("timeout 5\ninclude {}\n", other.display())).expect("written");
    let config = configured(&[&path]);
    config.set(&[("timeout", "9")]).expect("set");
    config.rewrite().expect("written");
    assert_eq!(configured(&[&path]).snapshot().timeout_seconds, 9);
}

#[test]
fn rewrite_without_a_file() {
    let error = Config::default().rewrite().expect_err("refused");
    assert_eq!(
        error.to_string(),
        "ERR The server is running without a config file"
    );
}

#[cfg(unix)]
#[test]
fn rewrite_keeps_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, path) = file("requirepass x\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    let config = configured(&[&path]);
    config.set(&[("requirepass", "y")]).expect("set");
    config.rewrite().expect("written");
    assert_eq!(
        fs::metadata(&path).expect("there").permissions().mode() & 0o777,
        0o600
    );
}
