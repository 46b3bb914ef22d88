//! Three nodes in this process: pipelines through each of them.

use super::common::free_port;
use super::common::until;
use super::node::{Client, Node, show};

struct Trio {
    nodes: Vec<Node>,
    _directory: tempfile::TempDir,
}

impl Trio {
    /// Nodes that hold requests so long while nobody leads.
    fn start(hold_ms: u32) -> Self {
        let hold_ms = hold_ms.to_string();
        let directory = tempfile::tempdir().expect("a directory");
        let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
        let peers: Vec<String> = ports
            .iter()
            .zip(1..)
            .map(|((port, bus), id)| format!("{id}@127.0.0.1:{port}@{bus}"))
            .collect();
        let peers = peers.join(",");
        let nodes = ports.iter().zip(1..).map(|((port, _), id): (_, u32)| {
            let id = id.to_string();
            let options = [
                "--node-id",
                &id,
                "--cluster-peers",
                &peers,
                "--cluster-secret",
                "s",
                "--election-hold-ms",
                &hold_ms,
            ];
            Node::start_in(&directory.path().join(&id), *port, &options)
        });
        let nodes: Vec<Node> = nodes.collect();
        let trio = Self {
            nodes,
            _directory: directory,
        };
        for node in &trio.nodes {
            let mut client = node.connect();
            until("there is a leader", || {
                (client.text("SET ready 1") == "OK").then_some(())
            });
        }
        trio
    }

    /// The position of the leader's node.
    fn leader(&self) -> usize {
        until("a node leads", || {
            self.nodes.iter().position(|node| {
                node.connect()
                    .text("INFO raft")
                    .contains("raft_role:leader\r\n")
            })
        })
    }
}

/// A sequence of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A pipeline of writes, reads, session and admin commands, and the replies that it must get if it runs alone on its keys.
fn pipeline(
    numbers: &mut Numbers,
    name: &str,
    count: &mut u64,
    last: &mut String,
) -> (String, Vec<String>) {
    let (mut said, mut expected) = (String::new(), Vec::new());
    let mut silent = false;
    for _ in 0..numbers.below(60) + 1 {
        let (words, reply) = match numbers.below(9) {
            0 | 1 => {
                *count += 1;
                (format!("INCR {name}:c"), count.to_string())
            }
            2 => (
                format!("GET {name}:c"),
                if *count == 0 {
                    "(nil)".to_owned()
                } else {
                    count.to_string()
                },
            ),
            3 => {
                *last = format!("v{}", numbers.below(1000));
                (format!("SET {name}:s {last}"), "OK".to_owned())
            }
            4 => (
                format!("MGET {name}:s {name}:none"),
                format!("{last} (nil)"),
            ),
            5 => {
                let word = format!("e{}", numbers.below(1000));
                (format!("ECHO {word}"), word)
            }
            6 => (format!("LCS {name}:s {name}:s"), last.clone()),
            7 => ("WAIT 0 10".to_owned(), "?".to_owned()),
            _ => (
                "NOSUCH".to_owned(),
                "ERR unknown command 'NOSUCH', with args beginning with:".to_owned(),
            ),
        };
        match numbers.below(12) {
            0 if !silent => {
                said.push_str("CLIENT REPLY SKIP\r\n");
                said.push_str(&words);
                said.push_str("\r\n");
                continue;
            }
            1 if !silent => {
                said.push_str("CLIENT REPLY OFF\r\n");
                silent = true;
            }
            2 if silent => {
                said.push_str("CLIENT REPLY ON\r\n");
                expected.push("OK".to_owned());
                silent = false;
            }
            _ => {}
        }
        said.push_str(&words);
        said.push_str("\r\n");
        if !silent {
            expected.push(reply);
        }
    }
    said.push_str("CLIENT REPLY ON\r\n");
    expected.push("OK".to_owned());
    (said, expected)
}

/// Runs pipelines one after the other, split anywhere; every reply is at its place.
fn converse(client: &mut Client, name: &str, seed: u64, rounds: usize) {
    let mut numbers = Numbers(seed);
    let (mut count, mut last) = (0, "v".to_owned());
    client.call(&format!("SET {name}:s v"));
    for round in 0..rounds {
        let (said, expected) = pipeline(&mut numbers, name, &mut count, &mut last);
        let cut = numbers.below(said.len());
        client.send(&said.as_bytes()[..cut]);
        client.send(&said.as_bytes()[cut..]);
        for (at, expected) in expected.iter().enumerate() {
            let reply = show(&client.next().expect("a reply"));
            assert!(
                expected == "?" || reply.trim_end() == expected,
                "{name}, round {round}, reply {at}: {reply} instead of {expected} in\n{said}"
            );
        }
    }
    assert_eq!(client.text("PING"), "PONG", "no reply is left over");
}

#[test]
fn pipelines_keep_their_order_on_every_node() {
    let trio = Trio::start(10_000);
    std::thread::scope(|scope| {
        for (number, node) in trio.nodes.iter().enumerate() {
            for nth in 0..2_u64 {
                let mut client = node.connect();
                scope.spawn(move || {
                    converse(
                        &mut client,
                        &format!("{number}-{nth}"),
                        number as u64 * 7 + nth,
                        40,
                    );
                });
            }
        }
    });
}

#[test]
fn a_follower_s_client_keeps_its_settings() {
    let trio = Trio::start(10_000);
    let expected: Vec<String> = ["OK", "OK", "v", "OK", "(nil)"].map(str::to_owned).to_vec();
    for node in &trio.nodes {
        let mut client = node.connect();
        client.send(b"SELECT 7\r\nSET k v\r\nGET k\r\nSELECT 8\r\nGET k\r\n");
        let replies: Vec<String> = (0..5)
            .map(|_| show(&client.next().expect("a reply")))
            .collect();
        assert_eq!(replies, expected);
        // RESP3 travels with the segment.
        client.call("HELLO 3");
        assert_eq!(client.call("GET none"), resp::Frame::Null);
        client.send(
            b"CLIENT REPLY OFF\r\nSELECT 7\r\nSET k w\r\nGET k\r\nCLIENT REPLY ON\r\nGET k\r\n",
        );
        assert_eq!(
            client.next().map(|frame| show(&frame)),
            Some("OK".to_owned())
        );
        assert_eq!(
            client.next().map(|frame| show(&frame)),
            Some("w".to_owned())
        );
    }
}

/// Reads that cannot be answered under the lease take another way; what is to be silent stays silent.
#[test]
fn without_a_majority_every_command_still_gets_one_answer_or_none() {
    let mut trio = Trio::start(50);
    let leader = trio.leader();
    let mut client = trio.nodes[leader].connect();
    for (number, node) in trio.nodes.iter_mut().enumerate() {
        if number != leader {
            node.stop();
        }
    }
    for _ in 0..3 {
        client.send(
            b"CLIENT REPLY SKIP\r\nGET ready\r\nECHO 1\r\nGET ready\r\nCLIENT REPLY SKIP\r\nSET ready 2\r\nCLIENT REPLY OFF\r\n\
              GET ready\r\nSET ready 3\r\nMGET ready ready\r\nCLIENT REPLY ON\r\nECHO 2\r\nSET ready 4\r\nGET ready\r\nECHO 3\r\n",
        );
        let replies: Vec<String> = (0..7)
            .map(|_| show(&client.next().expect("a reply")))
            .collect();
        for (at, expected) in [(0, "1"), (2, "OK"), (3, "2"), (6, "3")] {
            assert_eq!(replies[at], expected, "{replies:?}");
        }
        // A write may have been appended before leadership ended; then nobody can say what became of it.
        let read = &replies[1];
        assert!(
            read == "1" || read.starts_with("CLUSTERDOWN "),
            "{replies:?}"
        );
        for reply in &replies[4..6] {
            let known = ["CLUSTERDOWN ", "UNCERTAIN "];
            assert!(
                known.iter().any(|code| reply.starts_with(code)),
                "{replies:?}"
            );
        }
    }
}

/// Followers' clients go on through the loss of the leader; nothing is answered twice, and nothing not at all.
#[test]
fn the_loss_of_the_leader_costs_no_reply() {
    let mut trio = Trio::start(10_000);
    let leader = trio.leader();
    let clients: Vec<Client> = trio
        .nodes
        .iter()
        .enumerate()
        .filter(|(number, _)| *number != leader)
        .flat_map(|(_, node)| [node.connect(), node.connect()])
        .collect();
    let lost = &std::sync::Barrier::new(clients.len() + 1);
    std::thread::scope(|scope| {
        for (mut client, seed) in clients.into_iter().zip(100..) {
            scope.spawn(move || {
                let mut numbers = Numbers(seed);
                for round in 0..60 {
                    if round == 10 {
                        lost.wait();
                    }
                    let name = format!("{seed}");
                    let (said, expected) =
                        pipeline(&mut numbers, &name, &mut 0, &mut String::new());
                    client.send(said.as_bytes());
                    client.send(format!("ECHO end-{round}\r\n").as_bytes());
                    let replies: Vec<String> = (0..expected.len())
                        .map(|_| show(&client.next().expect("a reply")))
                        .collect();
                    let end = show(&client.next().expect("a reply"));
                    assert_eq!(end, format!("end-{round}"), "{said}\n{replies:?}");
                    for (reply, expected) in replies.iter().zip(&expected) {
                        let echoed = expected.starts_with('e') || expected == "OK" && reply == "OK";
                        assert!(!echoed || reply == expected, "{reply} for {expected}");
                    }
                }
            });
        }
        lost.wait();
        trio.nodes[leader].stop();
    });
}
