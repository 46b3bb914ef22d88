//! Counters for Prometheus, as a scraper gets them.

use std::io::{Read, Write};
use std::net::TcpStream;

use tests::process::{Server, free_port, until};

/// The answer to a request that asks for a path.
fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("an answer and its end");
    answer
}

#[test]
fn a_scraper_gets_counters() {
    let dir = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let options = [
        "--metrics-port",
        &port.to_string(),
        "--enable-debug-command",
        "yes",
    ];
    let server = Server::start(dir.path(), &options);
    server.client().call(&["SET", "k", "v"]).expect("a reply");
    server.client().call(&["DEBUG", "RELOAD"]).expect("a reply");
    until("a checkpoint is counted", || {
        let answer = get(port, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        body.contains("tinykv_checkpoint_seconds_count")
            .then_some(())
    });
    let answer = get(port, "/");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}
