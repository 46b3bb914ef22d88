//! One node as a process: what was acknowledged is there after any end.

use bytes::BytesMut;
use resp::encode_command;
use rustix::process::Signal;
use tests::process::{Client, Load, Server, until};

#[test]
fn kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &["--checkpoint-size", "1mb"]);
    let mut verdicts = Vec::new();
    for cycle in 0..20 {
        let load = Load::start(4, &[server.port()], cycle);
        load.wait_for(500 + 400 * (cycle % 4));
        server.kill();
        verdicts.push(load.stop(cycle));
        server.start_again();
        server.wait_until_it_answers();
        let mut client = server.client();
        for verdict in &verdicts {
            verdict.check(&mut client);
        }
    }
}

#[test]
fn a_clean_end_keeps_everything_with_every_appendfsync() {
    for appendfsync in ["always", "everysec", "no"] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut server = Server::start(dir.path(), &["--appendfsync", appendfsync]);
        let load = Load::start(2, &[server.port()], 1);
        load.wait_for(1000);
        let verdict = load.stop(1);
        server.signal(Signal::TERM);
        assert!(server.wait().success(), "appendfsync {appendfsync}");
        server.start_again();
        server.wait_until_it_answers();
        verdict.check(&mut server.client());
    }
}

#[test]
fn a_killed_server_with_everysec_keeps_what_the_system_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &["--appendfsync", "everysec"]);
    let load = Load::start(2, &[server.port()], 2);
    load.wait_for(2000);
    server.kill();
    let verdict = load.stop(2);
    server.start_again();
    server.wait_until_it_answers();
    verdict.check(&mut server.client());
}

#[test]
fn every_database_expiry_and_large_value_survives() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &[]);
    let large = "v".repeat(20 << 20);
    let long_key = "k".repeat(100_000);
    let mut client = server.client();
    for db in 0..16 {
        assert_eq!(client.text(&["SELECT", &db.to_string()]), "OK");
        assert_eq!(client.text(&["SET", "db", &db.to_string()]), "OK");
        assert_eq!(
            client.text(&["SET", "soon", "x", "PXAT", "4102444800000"]),
            "OK"
        );
    }
    assert_eq!(client.text(&["SET", "large", &large]), "OK");
    assert_eq!(client.text(&["SET", &long_key, "long"]), "OK");
    server.kill();
    server.start_again();
    server.wait_until_it_answers();
    let mut client = server.client();
    for db in 0..16 {
        assert_eq!(client.text(&["SELECT", &db.to_string()]), "OK");
        assert_eq!(client.text(&["GET", "db"]), db.to_string());
        assert_eq!(client.text(&["PEXPIRETIME", "soon"]), "4102444800000");
    }
    assert_eq!(client.text(&["GET", "large"]).len(), large.len());
    assert_eq!(client.text(&["GET", &long_key]), "long");
    assert_eq!(client.text(&["DBSIZE"]), "4");
}

#[test]
fn a_directory_belongs_to_one_process_and_one_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &[]);
    let said = Server::refused(dir.path(), &[]);
    assert!(said.contains("in use by another process"), "{said}");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let peers = "1@127.0.0.1:7001,2@127.0.0.1:7002,3@127.0.0.1:7003";
    let said = Server::refused(
        dir.path(),
        &[
            "--node-id",
            "2",
            "--cluster-secret",
            "s",
            "--cluster-peers",
            peers,
        ],
    );
    assert!(said.contains("node"), "{said}");
}

#[test]
fn a_client_that_closes_its_side_gets_all_replies() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut client = server.client();
    let mut out = BytesMut::new();
    for number in 0..1000 {
        encode_command(&["SET", &format!("key:{number}"), "value"], &mut out);
        encode_command(&["INCR", "counter"], &mut out);
    }
    client.send(&out).expect("the server reads");
    client
        .stream()
        .shutdown(std::net::Shutdown::Write)
        .expect("it closes");
    for number in 1..=1000 {
        assert_eq!(client.reply().expect("a reply").as_str(), Some("OK"));
        assert_eq!(client.reply().expect("a reply").as_integer(), Some(number));
    }
    assert!(client.reply().is_err(), "the server closes too");
}

#[test]
fn clients_that_wait_hear_of_a_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &[]);
    let load = Load::start(8, &[server.port()], 3);
    load.wait_for(500);
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let verdict = load.stop(3);
    server.start_again();
    server.wait_until_it_answers();
    verdict.check(&mut server.client());
    until("the port accepts", || Client::connect(server.port()).ok());
}
