//! The server under test and redis-server beside it.

use std::io;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

use bytes::BytesMut;
use resp::{Frame, encode_command};
use tests::process::{Client, free_port, until};

use crate::grammar::Command;

/// A redis-server of our own, stopped when dropped.
pub(crate) struct Redis {
    process: Child,
    pub(crate) port: u16,
}

impl Redis {
    /// # Panics
    /// Without redis-server on this machine.
    pub(crate) fn start(dir: &Path) -> Self {
        let port = free_port();
        let process = Process::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--enable-debug-command",
                "yes",
                "--loglevel",
                "warning",
            ])
            .args(["--port", &port.to_string()])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        until("redis-server answers", || {
            Client::connect(port).ok()?.call(&["PING"]).ok()
        });
        Self { process, port }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends all, then waits for all replies.
pub(crate) fn run(client: &mut Client, commands: &[Command]) -> io::Result<Vec<Frame>> {
    let mut out = BytesMut::new();
    for command in commands {
        encode_command(command, &mut out);
    }
    client.send(&out)?;
    commands.iter().map(|_| client.reply()).collect()
}

/// Sends one and waits.
pub(crate) fn call(client: &mut Client, words: &[&[u8]]) -> io::Result<Frame> {
    let mut out = BytesMut::new();
    encode_command(words, &mut out);
    client.send(&out)?;
    client.reply()
}
