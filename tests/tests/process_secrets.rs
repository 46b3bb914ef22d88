//! What is secret shows nowhere: not in the log, however much it tells, and in no answer that describes the server.

use tests::process::{Cluster, until};

const PASSWORD: &str = "pass-word-of-the-test";
const NEW_PASSWORD: &str = "another-pass-word-of-the-test";
const WRONG_PASSWORD: &str = "wrong-pass-word-of-the-test";
/// What [`Cluster`] gives its nodes.
const SECRET: &str = "secret of the tests";
const WRONG_SECRET: &str = "a guess at the secret";

const SECRETS: [&str; 5] = [PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, SECRET, WRONG_SECRET];

fn assert_silent(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} tells {secret:?}:\n{text}");
    }
}

#[test]
fn secrets_are_told_to_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let log = path.display().to_string();
    let mut cluster = Cluster::start(&["--loglevel", "debug", "--logfile", &log]);
    // One node guesses at the secret.
    cluster.nodes[2].kill();
    cluster.nodes[2].set_option("--cluster-secret", WRONG_SECRET);
    cluster.nodes[2].start_again();
    let mut told = String::new();
    for node in &cluster.nodes[..2] {
        let mut client = node.client();
        assert_eq!(
            client.text(&["CONFIG", "SET", "requirepass", PASSWORD]),
            "OK"
        );
        let mut other = node.client();
        assert!(
            other
                .text(&["AUTH", WRONG_PASSWORD])
                .starts_with("WRONGPASS")
        );
        assert!(
            other
                .text(&["AUTH", "default", WRONG_PASSWORD])
                .starts_with("WRONGPASS")
        );
        assert!(other.text(&["GET", "key"]).starts_with("NOAUTH"));
        assert_eq!(other.text(&["AUTH", PASSWORD]), "OK");
        let hello = other.call(&["HELLO", "3", "AUTH", "default", PASSWORD, "SETNAME", "name"]);
        told += &format!("{:?}", hello.expect("a reply"));
        assert_eq!(
            other.text(&["CONFIG", "SET", "requirepass", NEW_PASSWORD]),
            "OK"
        );
        // A mistake that is answered in words.
        told += &other.text(&[
            "CONFIG",
            "SET",
            "requirepass",
            PASSWORD,
            "no-such-directive",
            "1",
        ]);
        let mut late = node.client();
        assert_eq!(late.text(&["AUTH", NEW_PASSWORD]), "OK");
        for ask in [
            ["INFO", "EVERYTHING"],
            ["CLIENT", "LIST"],
            ["CLIENT", "INFO"],
            ["RAFT.INFO", ""],
            ["CLUSTER", "NODES"],
            ["CLUSTER", "INFO"],
            ["SLOWLOG", "GET"],
            ["LATENCY", "DOCTOR"],
        ] {
            let words: Vec<&str> = ask.into_iter().filter(|word| !word.is_empty()).collect();
            told += &format!("{:?}", late.call(&words).expect("a reply"));
        }
    }
    let read = || std::fs::read_to_string(&path).expect("a log");
    until("the wrong secret is in the log, without being told", || {
        read().contains("wrong cluster secret").then_some(())
    });
    drop(cluster);
    assert!(told.contains("tinykv_version"), "INFO was answered");
    assert_silent("an answer", &told);
    assert!(read().contains("DEBUG"), "the log tells much");
    assert_silent("the log", &read());
}
