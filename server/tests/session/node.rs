//! A server in a thread of this process, and clients of it.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use bytes::BytesMut;
use resp::{Frame, FrameDecoder, encode_command};
use server::config::source::{self, Invocation};
use tempfile::TempDir;

use super::common::{PATIENCE, free_port, until};

/// A running server. Dropped, it stops, and its directory is removed.
pub(crate) struct Node {
    pub(crate) port: u16,
    password: String,
    thread: Option<JoinHandle<anyhow::Result<server::server::End>>>,
    data: PathBuf,
    _directory: Option<TempDir>,
}

impl Node {
    /// A single node with these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut node = Self::start_in(&directory.path().join("data"), free_port(), options);
        node._directory = Some(directory);
        node
    }

    /// A node on a directory that outlives it.
    pub(crate) fn start_in(data: &Path, port: u16, options: &[&str]) -> Self {
        let port_option = port.to_string();
        let mut args: Vec<OsString> = ["--bind", "127.0.0.1", "--port", &port_option, "--dir"]
            .into_iter()
            .map(OsString::from)
            .collect();
        args.push(data.into());
        args.extend(options.iter().map(OsString::from));
        let Ok(Invocation::Serve(config)) = source::from_args(args) else {
            panic!("{options:?} are not options to serve with");
        };
        let password = options
            .windows(2)
            .find(|pair| pair[0] == "--requirepass")
            .map_or("", |pair| pair[1]);
        Self {
            port,
            password: password.to_owned(),
            thread: Some(std::thread::spawn(move || server::server::run(*config))),
            data: data.to_owned(),
            _directory: None,
        }
    }

    /// A connection, when the server accepts one.
    pub(crate) fn connect(&self) -> Client {
        let stream = until("the server accepts connections", || {
            let running = self
                .thread
                .as_ref()
                .is_some_and(|thread| !thread.is_finished());
            assert!(running, "the server on {} has stopped", self.data.display());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        Client::new(stream)
    }

    /// Stops it, as an operator does.
    pub(crate) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        until("the server stops", || {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let mut client = Client::new(stream);
                let auth = if self.password.is_empty() {
                    String::new()
                } else {
                    format!("AUTH {}\r\n", self.password)
                };
                client.send(format!("{auth}SHUTDOWN NOSAVE\r\n").as_bytes());
                client.rest();
            }
            thread.is_finished().then_some(())
        });
        let ended = thread.join();
        if !std::thread::panicking() {
            ended.expect("no panic").expect("a clean end");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client that sends what it is told, right or wrong.
pub(crate) struct Client {
    stream: TcpStream,
    decoder: FrameDecoder,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            decoder: FrameDecoder::new(),
        }
    }

    /// Its own address, as the server knows it.
    pub(crate) fn address(&self) -> String {
        self.stream.local_addr().expect("an address").to_string()
    }

    /// Sends bytes; an error means that the server has closed, which a later read tells.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next reply; `None` when the server has closed the connection.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a reply") {
                return Some(frame);
            }
            let mut received = [0; 64 << 10];
            match self.stream.read(&mut received) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&received[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    pub(crate) fn call_args(&mut self, args: &[&[u8]]) -> Option<Frame> {
        let mut request = BytesMut::new();
        encode_command(args, &mut request);
        self.send(&request);
        self.next()
    }

    /// The reply to a command whose words have no spaces.
    pub(crate) fn call(&mut self, words: &str) -> Frame {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.call_args(&args)
            .unwrap_or_else(|| panic!("{words}: closed"))
    }

    /// The same as text.
    pub(crate) fn text(&mut self, words: &str) -> String {
        show(&self.call(words))
    }

    /// Everything until the server closes, as it came.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        match self.stream.read_to_end(&mut received) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("not closed: {error}, after {}", received.escape_ascii())
            }
            _ => received,
        }
    }

    /// The value of a field of this client's line in CLIENT INFO.
    pub(crate) fn field(&mut self, name: &str) -> String {
        field(&self.text("CLIENT INFO"), name).to_owned()
    }
}

/// The value of a field in a line of CLIENT LIST.
pub(crate) fn field<'l>(line: &'l str, name: &str) -> &'l str {
    line.split_ascii_whitespace()
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// A reply as text: the words of an array with spaces between.
pub(crate) fn show(frame: &Frame) -> String {
    match frame {
        Frame::Array(items) | Frame::Set(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            items.join(" ")
        }
        Frame::Integer(number) => number.to_string(),
        Frame::Null | Frame::NullArray => "(nil)".to_owned(),
        frame => frame
            .as_str()
            .map_or_else(|| format!("{frame:?}"), str::to_owned),
    }
}
