//! TLS for clients and between nodes, with processes.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use resp::Frame;
use rustix::process::Signal;
use tests::process::{Authority, Client, Cluster, Load, Server, free_port, until};
use tokio_rustls::rustls::ClientConfig;

const SECRET: [&str; 2] = ["--cluster-secret", "secret of the tests"];

fn options(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// A server with a TLS port, which shows a certificate of the authority.
struct TlsServer {
    server: Server,
    tls_port: u16,
}

impl TlsServer {
    fn start(dir: &Path, authority: &Authority, more: &[&str]) -> Self {
        let tls_port = free_port();
        let mut words = authority.write(&dir.join("tls"), "node").options();
        words.extend(["--tls-port".to_owned(), tls_port.to_string()]);
        words.extend(more.iter().map(ToString::to_string));
        Self {
            server: Server::start(&dir.join("data"), &options(&words)),
            tls_port,
        }
    }

    /// The reply to a command on a new connection; none if that is refused.
    fn ask(&self, config: &Arc<ClientConfig>, args: &[&str]) -> Option<Frame> {
        Client::connect_tls(self.tls_port, config)
            .and_then(|mut client| client.call(args))
            .ok()
    }

    fn serves(&self, config: &Arc<ClientConfig>) -> bool {
        self.ask(config, &["PING"])
            .is_some_and(|reply| reply.as_str() == Some("PONG"))
    }
}

#[test]
fn clients_are_served_when_their_certificate_is_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let (authority, other) = (Authority::new(), Authority::new());
    let node = TlsServer::start(dir.path(), &authority, &[]);
    let stranger = authority.stranger();
    let foreigner = authority.client_of(&other);
    let known = authority.client_of(&authority);
    assert!(node.serves(&known));
    assert!(!node.serves(&stranger) && !node.serves(&foreigner));
    // The client's part: it does not talk to a server of another authority.
    assert!(!node.serves(&other.client_of(&authority)));
    let mut plain = node.server.client();
    let mut set = |value: &str| plain.text(&["CONFIG", "SET", "tls-auth-clients", value]);
    assert_eq!(set("optional"), "OK");
    assert!(node.serves(&known) && node.serves(&stranger) && !node.serves(&foreigner));
    assert_eq!(set("no"), "OK");
    assert!(node.serves(&known) && node.serves(&stranger) && node.serves(&foreigner));
}

#[test]
fn large_values_and_long_pipelines_pass_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let node = TlsServer::start(dir.path(), &authority, &["--tls-protocols", "TLSv1.2"]);
    let known = authority.client_of(&authority);
    let mut client = Client::connect_tls(node.tls_port, &known).expect("served");
    let large: String = (0..3_000_000)
        .map(|at| char::from(b'a' + (at % 23) as u8))
        .collect();
    assert_eq!(client.text(&["SET", "large", &large]), "OK");
    assert!(client.text(&["GET", "large"]) == large);
    let mut pipeline = bytes::BytesMut::new();
    for at in 0..5000 {
        resp::encode_command(&["RPUSH", "list", &at.to_string()], &mut pipeline);
        resp::encode_command(&["LINDEX", "list", "-1"], &mut pipeline);
    }
    client.send(&pipeline).expect("sent");
    for at in 0..5000 {
        assert_eq!(client.reply().expect("a reply").as_integer(), Some(at + 1));
        let last = client.reply().expect("a reply");
        assert_eq!(last.as_str(), Some(at.to_string().as_str()));
    }
    assert_eq!(node.server.client().text(&["STRLEN", "large"]), "3000000");
}

#[test]
fn who_does_not_speak_tls_is_hung_up_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = TlsServer::start(dir.path(), &Authority::new(), &[]);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", node.tls_port)).expect("there");
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").expect("sent");
    let mut heard = Vec::new();
    // A reset is as good as an end.
    let _ = stream.read_to_end(&mut heard);
    assert!(!heard.windows(4).any(|part| part == b"PONG"));
}

#[test]
fn renewed_certificates_are_in_force_without_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (before, after) = (Authority::new(), Authority::new());
    let node = TlsServer::start(dir.path(), &before, &["--tls-auth-clients", "no"]);
    let mut standing = Client::connect_tls(node.tls_port, &before.stranger()).expect("served");
    assert!(!node.serves(&after.stranger()));
    let files = after.write(&dir.path().join("tls"), "node");
    until("the new certificate is shown", || {
        node.serves(&after.stranger()).then_some(())
    });
    assert!(!node.serves(&before.stranger()));
    assert_eq!(standing.text(&["PING"]), "PONG");
    // What cannot be used changes nothing.
    std::fs::write(&files.key, "no key").expect("written");
    let mut plain = node.server.client();
    let missing = dir.path().join("missing").display().to_string();
    let refusal = plain.text(&["CONFIG", "SET", "tls-ca-cert-file", &missing]);
    assert!(
        refusal
            .starts_with("ERR CONFIG SET failed (possibly related to argument 'tls-ca-cert-file')")
            && refusal.contains("Unable to update TLS configuration"),
        "{refusal}"
    );
    assert!(node.serves(&after.stranger()));
}

#[test]
fn a_server_does_not_start_with_half_of_what_tls_needs() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Authority::new().write(dir.path(), "node").options();
    let refusal = |words: &[&str]| Server::refused(&dir.path().join("data"), words);
    assert!(refusal(&["--tls-port", "1"]).contains("tls-cert-file and tls-key-file"));
    let mut all = options(&files);
    all.extend(["--tls-port", "1"]);
    assert!(refusal(&all[..2]).contains("belong together"));
    let no_authority: Vec<&str> = all[..4].iter().chain(&all[6..]).copied().collect();
    assert!(refusal(&no_authority).contains("tls-ca-cert-file or tls-ca-cert-dir"));
    assert!(refusal(&["--tls-key-file-pass", "x"]).contains("not encrypted"));
}

/// Options of a node whose links use TLS, with a certificate of the authority.
fn link_options(dir: &Path, authority: &Authority, tls_cluster: &str) -> Vec<String> {
    let mut words = authority.write(dir, "node").options();
    words.extend(["--tls-cluster".to_owned(), tls_cluster.to_owned()]);
    words
}

#[test]
fn nodes_join_and_replicate_over_tls() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let mut words = link_options(&dir.path().join("tls"), &authority, "yes");
    words.extend(SECRET.map(str::to_owned));
    let first = Server::start(&dir.path().join("first"), &options(&words));
    let through = format!("127.0.0.1:{}", first.port());
    let join = |name: &str, words: &[String]| {
        let mut words = options(words);
        words.extend(["--join", &through]);
        Server::start(&dir.path().join(name), &words)
    };
    let second = join("second", &words);
    let third = join("third", &words);
    until("three voters", || {
        (first.client().info("raft", "raft_voters") == "3").then_some(())
    });
    let load = Load::start(2, &[second.port(), third.port()], 3);
    load.wait_for(300);
    let verdict = load.stop(3);
    for node in [&first, &second, &third] {
        verdict.check(&mut node.client());
    }
}

#[test]
fn a_node_without_a_good_certificate_gets_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (authority, other) = (Authority::new(), Authority::new());
    let good = link_options(&dir.path().join("good"), &authority, "yes");
    let foreign = link_options(&dir.path().join("foreign"), &other, "yes");
    for (name, third) in [("foreign", foreign), ("plain", Vec::new())] {
        let ports = [free_port(), free_port(), free_port()];
        let peers = (1..)
            .zip(ports)
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"));
        let peers = peers.collect::<Vec<_>>().join(",");
        let start = |id: usize, words: &[String]| {
            let id_text = id.to_string();
            let mut words = options(words);
            words.extend(SECRET);
            words.extend(["--node-id", &id_text, "--cluster-peers", &peers]);
            Server::start_on(ports[id - 1], &dir.path().join(name).join(&id_text), &words)
        };
        let nodes = [start(1, &good), start(2, &good), start(3, &third)];
        let load = Load::start(2, &ports[..2], 7);
        load.wait_for(300);
        load.stop(7).check(&mut nodes[0].client());
        let last = |node: &Server| node.client().info("raft", "raft_last_index");
        let (first, outsider) = (last(&nodes[0]), last(&nodes[2]));
        assert!(first.parse::<u64>().expect("a number") > 10);
        assert!(
            outsider.parse::<u64>().expect("a number") <= 1,
            "{name}: {outsider}"
        );
    }
}

#[test]
fn a_cluster_is_changed_over_to_tls_node_by_node_under_load() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let words = link_options(&dir.path().join("tls"), &authority, "no");
    let mut cluster = Cluster::start(&options(&words));
    let load = Load::start(3, &cluster.ports(), 5);
    load.wait_for(200);
    for at in 0..3 {
        let node = &mut cluster.nodes[at];
        node.signal(Signal::TERM);
        node.wait();
        node.set_option("--tls-cluster", "yes");
        node.start_again();
        node.wait_until_it_answers();
        cluster.wait_until_all_have_everything();
        load.wait_for(100);
    }
    let verdict = load.stop(5);
    for node in &cluster.nodes {
        verdict.check(&mut node.client());
    }
}

#[test]
fn who_uses_tls_is_sent_to_tls_ports() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    let sentinel = free_port();
    let sentinel_text = sentinel.to_string();
    let more = [
        "--cluster-enabled",
        "yes",
        "--sentinel-port",
        &sentinel_text,
        "--tls-auth-clients",
        "no",
        "--cluster-announce-ip",
        "127.0.0.1",
    ];
    let node = TlsServer::start(dir.path(), &authority, &more);
    let stranger = authority.stranger();
    let port_of = |slots: &Frame| {
        let leader = &slots.as_slice().expect("slots")[0]
            .as_slice()
            .expect("a range")[2];
        leader.as_slice().expect("a node")[1]
            .as_integer()
            .expect("a port")
    };
    let slots = node.ask(&stranger, &["CLUSTER", "SLOTS"]).expect("slots");
    assert_eq!(port_of(&slots), i64::from(node.tls_port));
    let slots = node
        .server
        .client()
        .call(&["CLUSTER", "SLOTS"])
        .expect("slots");
    assert_eq!(port_of(&slots), i64::from(node.server.port()));
    let ask = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"];
    let master = |reply: &Frame| {
        let port = &reply.as_slice().expect("host and port")[1];
        port.as_str()
            .expect("a port")
            .parse::<u16>()
            .expect("a number")
    };
    let reply = Client::connect(sentinel).expect("there").call(&ask);
    assert_eq!(master(&reply.expect("a reply")), node.server.port());
    let mut client = Client::connect_tls(sentinel, &stranger).expect("served");
    assert_eq!(master(&client.call(&ask).expect("a reply")), node.tls_port);
}
