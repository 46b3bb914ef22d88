//! Three processes, and clients of other kinds of Redis high availability: Redis Cluster, replicas, redirects.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use resp::{Frame, encode_command};
use tests::process::{Client, Cluster, Server, free_port, until};

fn follower(leader: usize) -> usize {
    (leader + 1) % 3
}

/// The reply as one line of text, nested or not.
fn show(frame: &Frame) -> String {
    match frame {
        Frame::Array(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        frame => frame
            .as_str()
            .map(str::to_owned)
            .or_else(|| frame.as_integer().map(|number| number.to_string()))
            .unwrap_or_else(|| "(nil)".to_owned()),
    }
}

fn call(client: &mut Client, words: &str) -> String {
    let args: Vec<&str> = words.split(' ').collect();
    show(
        &client
            .call(&args)
            .unwrap_or_else(|error| panic!("{words}: {error}")),
    )
}

/// Sends all commands at once; the replies in order.
fn pipeline(client: &mut Client, commands: &[&str]) -> Vec<String> {
    let mut out = BytesMut::new();
    for words in commands {
        let args: Vec<&str> = words.split(' ').collect();
        encode_command(&args, &mut out);
    }
    client.send(&out).expect("sent");
    commands
        .iter()
        .map(|words| {
            show(
                &client
                    .reply()
                    .unwrap_or_else(|error| panic!("{words}: {error}")),
            )
        })
        .collect()
}

#[test]
fn a_cluster_s_clients_are_sent_to_the_leader() {
    let mut cluster = Cluster::start(&["--cluster-enabled", "yes"]);
    let leader = cluster.leader(None);
    let ports = cluster.ports();
    let moved = format!("MOVED 12182 127.0.0.1:{}", ports[leader]);
    let mut at_leader = cluster.nodes[leader].client();
    let mut elsewhere = cluster.nodes[follower(leader)].client();
    for (words, there, here) in [
        ("SET foo 1", "OK", moved.as_str()),
        ("GET foo", "1", &moved),
        ("MGET {foo}a foo", "[(nil) 1]", &moved),
        (
            "MGET foo bar",
            "CROSSSLOT Keys in request don't hash to the same slot",
            "CROSSSLOT Keys in request don't hash to the same slot",
        ),
        (
            "SELECT 1",
            "ERR SELECT is not allowed in cluster mode",
            "ERR SELECT is not allowed in cluster mode",
        ),
        ("SELECT 0", "OK", "OK"),
        (
            "SWAPDB 0 1",
            "ERR SWAPDB is not allowed in cluster mode",
            "ERR SWAPDB is not allowed in cluster mode",
        ),
        (
            "COPY foo {foo}b DB 3",
            "ERR Copying to another database is not allowed in cluster mode",
            "ERR Copying to another database is not allowed in cluster mode",
        ),
        ("CLUSTER KEYSLOT foo", "12182", "12182"),
        ("CLUSTER COUNTKEYSINSLOT 12182", "1", "1"),
        ("CLUSTER GETKEYSINSLOT 12182 10", "[foo]", "[foo]"),
        (
            "CLUSTER COUNTKEYSINSLOT 16384",
            "ERR Invalid slot",
            "ERR Invalid slot",
        ),
        ("ASKING", "OK", "OK"),
        ("DBSIZE", "1", "1"),
        (
            "GET",
            "ERR wrong number of arguments for 'get' command",
            "ERR wrong number of arguments for 'get' command",
        ),
    ] {
        assert_eq!(call(&mut at_leader, words), there, "{words}");
        assert_eq!(call(&mut elsewhere, words), here, "{words}, elsewhere");
    }
    assert!(call(&mut at_leader, "ROLE").starts_with("[master "));
    assert!(
        call(&mut elsewhere, "ROLE")
            .starts_with(&format!("[slave 127.0.0.1 {} connected ", ports[leader]))
    );
    assert_eq!(
        elsewhere.info("replication", "master_port"),
        ports[leader].to_string()
    );
    assert_eq!(at_leader.info("server", "redis_mode"), "cluster");
    assert_eq!(at_leader.info("cluster", "cluster_enabled"), "1");

    // Everyone tells the same, and after the loss of the leader the new one, without a moment of none.
    let slots = call(&mut elsewhere, "CLUSTER SLOTS");
    assert_eq!(slots, call(&mut at_leader, "CLUSTER SLOTS"));
    let name = call(&mut at_leader, "CLUSTER MYID");
    assert!(
        name.len() == 40
            && slots.starts_with(&format!(
                "[[0 16383 [127.0.0.1 {} {name} []]",
                ports[leader]
            )),
        "{slots}"
    );
    cluster.nodes[leader].kill();
    until("the survivors tell of a new leader", || {
        let slots = call(&mut elsewhere, "CLUSTER SLOTS");
        assert_ne!(slots, "[]", "the question waits for a leader");
        (!slots.starts_with(&format!("[[0 16383 [127.0.0.1 {} ", ports[leader]))).then_some(())
    });
    let next = cluster.leader(Some(leader));
    let mut at_next = cluster.nodes[next].client();
    assert_eq!(call(&mut at_next, "GET foo"), "1");
    until("it counts the lost one", || {
        let lost = call(
            &mut at_next,
            &format!("CLUSTER COUNT-FAILURE-REPORTS {name}"),
        );
        (lost == "1").then_some(())
    });
    assert_eq!(
        call(&mut at_next, &format!("CLUSTER REPLICAS {name}")),
        "ERR The specified node is not a master"
    );
}

#[test]
fn readonly_connections_read_what_was_just_acknowledged() {
    for options in [&["--cluster-enabled", "yes"][..], &[]] {
        let cluster = Cluster::start(options);
        let leader = cluster.leader(None);
        let mut writer = cluster.nodes[leader].client();
        let mut readers: Vec<Client> = cluster.nodes.iter().map(|node| node.client()).collect();
        for reader in &mut readers {
            assert_eq!(call(reader, "READONLY"), "OK");
        }
        for number in 0..100 {
            assert_eq!(call(&mut writer, &format!("SET key {number}")), "OK");
            for reader in &mut readers {
                assert_eq!(call(reader, "GET key"), number.to_string());
            }
        }
        let reader = &mut readers[follower(leader)];
        let written = call(reader, "SET key here");
        let expected = if options.is_empty() {
            "OK"
        } else {
            "MOVED 12539 "
        };
        assert!(written.starts_with(expected), "{written}");
        assert_eq!(call(reader, "READWRITE"), "OK");
        let read = call(reader, "GET key");
        let expected = if options.is_empty() {
            "here"
        } else {
            "MOVED 12539 "
        };
        assert!(read.starts_with(expected), "{read}");
    }
}

#[test]
fn stale_reads_keep_to_their_bound() {
    let mut cluster = Cluster::start(&["--election-hold-ms", "100"]);
    let leader = cluster.leader(None);
    let reader_at = follower(leader);
    let mut writer = cluster.nodes[leader].client();
    assert_eq!(call(&mut writer, "SET key value"), "OK");
    let mut reader = cluster.nodes[reader_at].client();
    assert!(call(&mut reader, "CLIENT STALENESS 0").starts_with("ERR the staleness must be"));
    assert_eq!(call(&mut reader, "CLIENT STALENESS 1500"), "OK");
    assert_eq!(call(&mut reader, "GET key"), "value");
    for at in (0..3).filter(|&at| at != reader_at) {
        cluster.nodes[at].kill();
    }
    // Alone it cannot show any more how old it is: the bound passes, and not a moment later it refuses.
    let alone = Instant::now();
    let mut served = 0;
    until("it refuses", || {
        let began = Instant::now();
        let reply = call(&mut reader, "GET key");
        if reply == "value" {
            assert!(began.duration_since(alone) < Duration::from_millis(1500));
            served += 1;
            return None;
        }
        assert!(reply.starts_with("MASTERDOWN "), "{reply}");
        Some(())
    });
    assert!(served > 0, "within the bound it serves");
    assert_eq!(call(&mut reader, "CLIENT STALENESS OFF"), "OK");
    assert!(call(&mut reader, "GET key").starts_with("CLUSTERDOWN "));
    for at in (0..3).filter(|&at| at != reader_at) {
        cluster.nodes[at].start_again();
    }
    assert_eq!(call(&mut reader, "CLIENT STALENESS 1500"), "OK");
    until("it serves again", || {
        (call(&mut reader, "GET key") == "value").then_some(())
    });
}

#[test]
fn who_can_follow_redirects_gets_them() {
    let cluster = Cluster::start(&[]);
    let leader = cluster.leader(None);
    let redirect = format!("REDIRECT 127.0.0.1:{}", cluster.ports()[leader]);
    let mut client = cluster.nodes[follower(leader)].client();
    assert_eq!(call(&mut client, "SET key 1"), "OK");
    assert_eq!(call(&mut client, "CLIENT CAPA other redirect"), "OK");
    assert_eq!(
        pipeline(&mut client, &["SET key 2", "PING", "GET key", "DBSIZE"]),
        [&redirect[..], "PONG", &redirect, &redirect]
    );
    assert_eq!(call(&mut client, "READONLY"), "OK");
    assert_eq!(
        pipeline(&mut client, &["GET key", "SET key 2"]),
        ["1", &redirect]
    );
    assert_eq!(call(&mut client, "RESET"), "RESET");
    assert_eq!(call(&mut client, "SET key 2"), "OK");
    let mut at_leader = cluster.nodes[leader].client();
    assert_eq!(
        pipeline(&mut at_leader, &["CLIENT CAPA redirect", "GET key"]),
        ["OK", "2"]
    );
    let disabled = "ERR This instance has cluster support disabled";
    assert_eq!(
        pipeline(&mut at_leader, &["CLUSTER INFO", "ASKING"]),
        [disabled, disabled]
    );
}

/// The leader's memory decides, through whatever node a command comes.
#[test]
fn a_full_leader_refuses_what_is_forwarded() {
    let cluster = Cluster::start(&["--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru"]);
    let leader = cluster.leader(None);
    let mut client = cluster.nodes[follower(leader)].client();
    let value = "v".repeat(100_000);
    assert_eq!(call(&mut client, "SET small 1"), "OK");
    until("memory is full", || {
        let number = rand::random::<u32>();
        let reply = call(&mut client, &format!("SET large:{number} {value}"));
        if reply == "OK" {
            return None;
        }
        assert_eq!(
            reply,
            "OOM command not allowed when used memory > 'maxmemory'."
        );
        Some(())
    });
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    // Memory that waits for the disk comes and goes; what needs none is never refused meanwhile.
    until("both writes are refused", || {
        // What has reached the disk makes room again, which this fills.
        let number = rand::random::<u32>();
        call(&mut client, &format!("SET large:{number} {value}"));
        let replies = pipeline(
            &mut client,
            &["SET a 1", "GET small", "DEL none", "SET b 1"],
        );
        assert_eq!(replies[1..3], ["1", "0"]);
        (replies[0] == oom && replies[3] == oom).then_some(())
    });
}

/// Three nodes and their clients are in `tests/suites/dialects.sh`.
#[test]
fn a_single_node_is_its_own_sentinel() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let options = ["--sentinel-port", &port.to_string()];
    let mut server = Server::start_on(free_port(), &dir.path().join("data"), &options);
    let mut client = Client::connect(port).expect("the Sentinel port");
    let master = format!("[127.0.0.1 {}]", server.port());
    for (words, reply) in [
        ("PING", "PONG"),
        ("SENTINEL get-master-addr-by-name mymaster", &master[..]),
        ("SENTINEL GET-MASTER-ADDR-BY-NAME other", "(nil)"),
        ("SENTINEL MASTER other", "ERR No such master with that name"),
        ("SENTINEL REPLICAS mymaster", "[]"),
        ("SENTINEL SENTINELS mymaster", "[]"),
        (
            "SENTINEL CKQUORUM mymaster",
            "OK 1 usable Sentinels. Quorum and failover authorization can be reached",
        ),
        (
            "SENTINEL MASTER",
            "ERR wrong number of arguments for 'sentinel|master' command",
        ),
        (
            "SENTINEL NONE",
            "ERR unknown subcommand 'NONE'. Try SENTINEL HELP.",
        ),
        ("ROLE", "[sentinel [mymaster]]"),
        ("CLIENT SETNAME me", "OK"),
        (
            "GET key",
            "ERR unknown command 'GET', with args beginning with: 'key' ",
        ),
        ("PSUBSCRIBE *", "[psubscribe * 1]"),
        ("PING", "[pong ]"),
        (
            "ROLE",
            "ERR Can't execute 'role': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        ),
        ("PUNSUBSCRIBE", "[punsubscribe * 0]"),
    ] {
        assert_eq!(call(&mut client, words), reply, "{words}");
    }
    let described = call(&mut client, "SENTINEL MASTERS");
    assert!(
        described.starts_with(&format!(
            "[[name mymaster ip 127.0.0.1 port {} runid ",
            server.port()
        )),
        "{described}"
    );
    // With a password the port asks for it too.
    server.kill();
    let server = Server::start_on(free_port(), &dir.path().join("other"), &options);
    let mut admin = server.client();
    assert_eq!(call(&mut admin, "CONFIG SET requirepass p"), "OK");
    let mut stranger = Client::connect(port).expect("the Sentinel port");
    assert_eq!(
        call(&mut stranger, "SENTINEL MASTERS"),
        "NOAUTH Authentication required."
    );
    assert_eq!(call(&mut stranger, "AUTH p"), "OK");
    assert!(call(&mut stranger, "SENTINEL MASTERS").starts_with("[[name "));
}
