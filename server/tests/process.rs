//! The program as an operator meets it: its arguments, its file, its signals.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use common::{PATIENCE, free_port, until};
use resp::{Frame, FrameDecoder, encode_command};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tinykv-server"))
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().expect("it starts")
}

/// A running server; killed by its id when the test fails.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let port = free_port();
        let child = program()
            .args(args)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(dir.join("data"))
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        Self { child, port }
    }

    fn connect(&mut self) -> Client {
        let stream = until("the server accepts connections", || {
            assert!(
                self.child.try_wait().expect("its state").is_none(),
                "it stopped"
            );
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        Client {
            stream,
            decoder: FrameDecoder::new(),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        until("the server stops", || {
            self.child.try_wait().expect("its state")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended in a test that went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    stream: TcpStream,
    decoder: FrameDecoder,
}

impl Client {
    /// The reply; `None` when the server closed the connection instead.
    fn call(&mut self, words: &str) -> Option<Frame> {
        let args = words.split(' ').map(str::as_bytes).collect::<Vec<_>>();
        let mut request = bytes::BytesMut::new();
        encode_command(&args, &mut request);
        self.stream.write_all(&request).expect("sent");
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a reply") {
                return Some(frame);
            }
            let mut received = [0; 4096];
            match self.stream.read(&mut received) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&received[..count]),
                Err(error) => panic!("{words}: {error}"),
            }
        }
    }

    fn text(&mut self, words: &str) -> String {
        let frame = self.call(words).expect("a reply");
        match &frame {
            Frame::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| item.as_str().unwrap_or("?"))
                    .collect::<Vec<_>>();
                items.join(" ")
            }
            frame => frame
                .as_str()
                .map_or_else(|| format!("{frame:?}"), str::to_owned),
        }
    }
}

#[test]
fn help_version_and_refusals() {
    let help = run(&["--help"]);
    assert!(
        help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--cluster-peers")
    );
    assert!(String::from_utf8_lossy(&run(&["-v"]).stdout).starts_with("TinyKV server v="));
    let refused = run(&["--cluster-peers", "1@127.0.0.1:6379,2@127.0.0.1:6380"]);
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && reason.contains("node-id"),
        "{reason}"
    );
}

#[test]
fn a_port_that_is_taken_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let data = dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let refused = run(&["--port", &port, "--bind", "127.0.0.1", "--dir", data]);
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && reason.contains(&port),
        "{reason}"
    );
}

#[test]
fn a_configured_server_from_start_to_shutdown() {
    let dir = tempfile::tempdir().expect("a directory");
    let conf = dir.path().join("tinykv.conf");
    let (pid, log) = (dir.path().join("pid"), dir.path().join("log"));
    let text = format!(
        "# mine\ntimeout 0\npidfile {}\nlogfile {}\n",
        pid.display(),
        log.display()
    );
    fs::write(&conf, text).expect("written");
    let mut server = Server::start(dir.path(), &[conf.to_str().expect("UTF-8")]);
    let mut client = server.connect();

    assert_eq!(client.text("SET k v"), "OK");
    assert_eq!(client.text("CONFIG SET timeout 7 maxmemory 64mb"), "OK");
    assert_eq!(
        client.text("CONFIG SET timeout 8 nosuch 1"),
        "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"
    );
    assert_eq!(client.text("CONFIG GET timeout"), "timeout 7");
    assert_eq!(client.text("CONFIG REWRITE"), "OK");
    let rewritten = fs::read_to_string(&conf).expect("read");
    assert!(
        rewritten.starts_with("# mine\ntimeout 7\n") && rewritten.contains("maxmemory 64mb"),
        "{rewritten}"
    );
    assert!(
        client
            .text("DEBUG SLEEP 0")
            .starts_with("ERR DEBUG command not allowed.")
    );
    assert_eq!(client.text("WAIT 0 0"), "Integer(0)");
    let info = client.text("INFO server");
    assert!(
        info.contains("redis_version:7.2.") && info.contains(&format!("tcp_port:{}", server.port))
    );
    assert_eq!(
        fs::read_to_string(&pid).expect("read").trim(),
        server.child.id().to_string()
    );

    assert!(client.call("SHUTDOWN").is_none(), "it answers by closing");
    assert!(server.wait().success());
    assert!(!pid.exists());
    let log = fs::read_to_string(&log).expect("read");
    assert!(log.contains("SHUTDOWN by client"), "{log}");

    let mut server = Server::start(dir.path(), &["--loglevel", "warning"]);
    assert_eq!(server.connect().text("GET k"), "v");
}

#[test]
fn sigterm_stops_cleanly() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), &["--enable-debug-command", "local"]);
    let mut client = server.connect();
    assert_eq!(client.text("SET k v"), "OK");
    let before = client.text("DEBUG DIGEST");
    assert_eq!(client.text("DEBUG RELOAD"), "OK");
    assert_eq!(client.text("GET k"), "v");
    assert_eq!(client.text("DEBUG DIGEST"), before);
    let stopped = Command::new("kill")
        .arg(server.child.id().to_string())
        .status();
    assert!(stopped.expect("kill is there").success());
    assert!(server.wait().success());
}
