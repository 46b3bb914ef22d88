//! What is deleted leaves the disk by itself, while nobody writes anything.

use std::path::Path;

use tests::process::{Client, Server, until};

/// Keys, or fields of the one hash.
const ITEMS: usize = 40_000;
const VALUE_BYTES: usize = 1000;
const PER_COMMAND: usize = 200;

/// Names, and values that do not compress.
struct Items {
    seed: u64,
}

impl Items {
    fn value(&mut self) -> String {
        let mut value = String::with_capacity(VALUE_BYTES);
        while value.len() < VALUE_BYTES {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            value.push(char::from(b'!' + (self.seed % 90) as u8));
        }
        value
    }

    /// Sends all of them behind `command`.
    fn load(&mut self, client: &mut Client, command: &[&str]) {
        for first in (0..ITEMS).step_by(PER_COMMAND) {
            let mut args: Vec<String> = command.iter().map(|arg| (*arg).to_owned()).collect();
            for nth in first..first + PER_COMMAND {
                args.extend([format!("item:{nth}"), self.value()]);
            }
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            run(client, &args);
        }
    }
}

fn run(client: &mut Client, args: &[&str]) -> String {
    let reply = client
        .call(args)
        .unwrap_or_else(|error| panic!("{}: {error}", args[0]));
    let reply = format!("{reply:?}");
    assert!(!reply.starts_with("Error"), "{}: {reply}", args[0]);
    reply
}

/// Bytes of the files below.
fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(file) if file.is_dir() => disk_bytes(&entry.path()),
        Ok(file) => file.len(),
        // It is gone by now.
        Err(_) => 0,
    });
    sizes.sum()
}

/// Loads by `command`, deletes by `deletion`, and waits until nearly all of it has left the disk.
fn leaves_the_disk(command: &[&str], deletion: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = ["--appendfsync", "no", "--checkpoint-interval-ms", "1000"];
    let server = Server::start(dir.path(), &options);
    let tables = dir.path().join("kv/keyspaces");
    let mut client = server.client();
    Items { seed: 42 }.load(&mut client, command);
    run(&mut client, &["SET", "stays", "here", "NX"]);
    run(&mut client, &["RAFT.SNAPSHOT"]);
    let full = disk_bytes(&tables);
    assert!(full > (ITEMS * VALUE_BYTES / 2) as u64, "{full} bytes");
    run(&mut client, deletion);
    until("the tables are nearly empty", || {
        (disk_bytes(&tables) < full / 10).then_some(())
    });
    let left = run(&mut client, &["EXISTS", "stays"]);
    let expected = if deletion[0] == "FLUSHALL" { "0" } else { "1" };
    assert!(left.contains(expected), "{left}");
}

#[test]
fn flushall_gives_the_disk_back_to_a_server_at_rest() {
    leaves_the_disk(&["MSET"], &["FLUSHALL"]);
}

#[test]
fn deleting_a_large_hash_gives_the_disk_back() {
    leaves_the_disk(&["HSET", "hash"], &["DEL", "hash"]);
}

#[test]
fn overwriting_a_large_hash_gives_the_disk_back() {
    leaves_the_disk(&["HSET", "stays"], &["SET", "stays", "v"]);
}
