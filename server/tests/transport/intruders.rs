//! Whoever does not know the secret, or is not meant, gets nowhere.

use std::time::Duration;

use prost::Message;
use storage::ids::StoreId;
use tokio::net::TcpListener;

use crate::nodes::{Node, Ports, SECRET, bounded, message, pair, until};
use crate::proxy::Proxy;
use crate::wire::{
    CHALLENGE, FOR_FORWARDING, FOR_RAFT, FOR_SNAPSHOT, HELLO, Hello, PING, PONG, PROOF, RAFT,
    REFUSED, Raw, WELCOME, frame, proof,
};

/// Store 2, whose peer, Store 1, does not run.
async fn lonely() -> Node {
    let mut ports = Ports::bind(2).await;
    ports.close(0);
    ports.start(1, |_| ()).await
}

/// Reads the refusal and the close behind it.
async fn refusal(raw: &mut Raw) -> (u8, String) {
    let (kind, payload) = raw.frame().await.expect("a refusal");
    assert_eq!(kind, REFUSED);
    assert_eq!(raw.frame().await, None, "and then the end");
    (
        payload[0],
        String::from_utf8(payload[1..].to_vec()).expect("text"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_page_is_enough_to_connect() {
    let node = lonely().await;
    let mut raw = Raw::authenticated(&node.address, &Hello::default()).await;
    raw.write(&frame(PING, b"")).await;
    assert_eq!(raw.frame().await, Some((PONG, Vec::new())));
    let sent = message(StoreId(1), StoreId(2), 5, b"payload");
    raw.write(&frame(RAFT, &sent.encode_to_vec())).await;
    until("the message", || node.seen.numbers() == [5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_hellos_are_refused_with_what_to_check() {
    let node = lonely().await;
    let truth = Hello::default;
    let cases = [
        (
            Hello {
                magic: *b"TINIKV",
                ..truth()
            },
            1,
            "TinyKV peer",
        ),
        (
            Hello {
                version: 2,
                ..truth()
            },
            2,
            "same tinykv-server",
        ),
        (
            Hello {
                purpose: 9,
                ..truth()
            },
            2,
            "same tinykv-server",
        ),
        (Hello { from: 3, ..truth() }, 4, "no member"),
        (Hello { from: 2, ..truth() }, 5, "own node-id"),
        (Hello { to: 3, ..truth() }, 6, "another node id"),
    ];
    for (hello, code, advice) in cases {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(&frame(HELLO, &hello.bytes())).await;
        let (refused, text) = refusal(&mut raw).await;
        assert_eq!(refused, code, "{text}");
        assert!(text.contains(advice), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_cluster_is_refused_and_reported_once_it_has_proved_the_secret() {
    let node = lonely().await;
    let hello = Hello {
        cluster: [1; 16],
        to: 7,
        ..Hello::default()
    };
    let hello = hello.bytes();
    type Prove = fn(&[u8], &[u8]) -> Vec<u8>;
    let proofs: [(Prove, u8, usize); 2] = [
        (|_, _| vec![0; 32], 7, 0),
        (|hello, nonce| proof(SECRET, "dialer", hello, nonce), 3, 1),
    ];
    for (prove, code, reports) in proofs {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(&frame(HELLO, &hello)).await;
        let (kind, nonce) = raw.frame().await.expect("a challenge");
        assert_eq!(kind, CHALLENGE);
        raw.write(&frame(PROOF, &prove(&hello, &nonce))).await;
        assert_eq!(refusal(&mut raw).await.0, code);
        until("the report", || node.seen.mistaken.lock().len() == reports).await;
    }
    assert_eq!(*node.seen.mistaken.lock(), [(StoreId(1), StoreId(7))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_proof_is_refused() {
    let node = lonely().await;
    let hello = Hello::default().bytes();
    type Forge = fn(&[u8], &[u8]) -> Vec<u8>;
    let forgeries: [Forge; 5] = [
        |hello, nonce| proof(b"another secret", "dialer", hello, nonce),
        |hello, nonce| proof(SECRET, "acceptor", hello, nonce),
        |hello, _| proof(SECRET, "dialer", hello, &[0; 32]),
        |_, nonce| {
            let other = Hello {
                purpose: FOR_FORWARDING,
                ..Hello::default()
            };
            proof(SECRET, "dialer", &other.bytes(), nonce)
        },
        |_, _| vec![0; 32],
    ];
    for forge in forgeries {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(&frame(HELLO, &hello)).await;
        let (kind, nonce) = raw.frame().await.expect("a challenge");
        assert_eq!((kind, nonce.len()), (CHALLENGE, 32));
        raw.write(&frame(PROOF, &forge(&hello, &nonce))).await;
        // Sent at once, as by someone who hopes for a race.
        raw.write(&frame(
            RAFT,
            &message(StoreId(1), StoreId(2), 1, b"").encode_to_vec(),
        ))
        .await;
        let (code, text) = refusal(&mut raw).await;
        assert_eq!(code, 7, "{text}");
        assert!(text.contains("cluster-secret"), "{text}");
    }
    assert!(node.seen.raft.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_with_different_secrets_or_clusters_exchange_nothing() {
    for case in ["secret", "cluster"] {
        let mut ports = Ports::bind(2).await;
        let one = ports.start(0, |_| ()).await;
        let two = ports
            .start(1, |config| match case {
                "secret" => config.secret = b"not the same secret at all".to_vec(),
                _ => config.cluster_id = [1; 16],
            })
            .await;
        // Each has been turned away when it reports the other as unreachable.
        for (node, other) in [(&one, &two), (&two, &one)] {
            node.send(other, 1, b"never");
            let reports = || node.seen.unreachable.lock().len();
            until("two failed attempts", || reports() >= 2).await;
            assert!(!node.is_connected());
        }
        assert!(one.seen.raft.lock().is_empty() && two.seen.raft.lock().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_connection_is_worth_nothing() {
    let mut ports = Ports::bind(2).await;
    let proxy = Proxy::to(&ports.addresses[1]).await;
    ports.addresses[1] = proxy.address.clone();
    let one = ports.start(0, |_| ()).await;
    let two = ports.start(1, |_| ()).await;
    until("connected", || one.is_connected() && two.is_connected()).await;
    one.send(&two, 1, b"recorded");
    until("the message", || two.seen.numbers() == [1]).await;
    let recorded = proxy.recorded.lock().clone();
    let (_, bytes) = recorded
        .iter()
        .find(|(purpose, _)| *purpose == FOR_RAFT)
        .expect("recorded");
    let mut raw = Raw::connect(&two.address).await;
    raw.write(bytes).await;
    let (kind, _) = raw
        .frame()
        .await
        .expect("a challenge: anyone gets that far");
    assert_eq!(kind, CHALLENGE);
    assert_eq!(refusal(&mut raw).await.0, 7);
    assert_eq!(two.seen.numbers(), [1], "not a second time");
}

/// A Store that is fooled into dialing someone without the secret says nothing but its proof.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptor_without_the_secret_learns_nothing() {
    for welcome in ["invented", "reflected"] {
        let mut ports = Ports::bind(2).await;
        ports.close(1);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        ports.addresses[1] = listener.local_addr().expect("bound").to_string();
        let one = ports.start(0, |_| ()).await;
        one.transport.send(
            StoreId(2),
            message(one.id, StoreId(2), 1, b"secret payload"),
        );
        let (stream, _) = bounded("a caller", listener.accept())
            .await
            .expect("accepted");
        let mut raw = Raw { stream };
        let (kind, hello) = raw.frame().await.expect("a hello");
        assert_eq!((kind, hello.len()), (HELLO, 73));
        raw.write(&frame(CHALLENGE, &[5; 32])).await;
        let (kind, proof) = raw.frame().await.expect("a proof");
        assert_eq!(kind, PROOF);
        let answer = if welcome == "reflected" {
            proof
        } else {
            vec![1; 32]
        };
        raw.write(&frame(WELCOME, &answer)).await;
        assert_eq!(raw.rest().await, b"", "{welcome}: not a byte more");
    }
}

/// The caller's own hello sent back to it: it will not answer its own questions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reflected_hello_is_refused() {
    let mut ports = Ports::bind(2).await;
    ports.close(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    ports.addresses[1] = listener.local_addr().expect("bound").to_string();
    let one = ports.start(0, |_| ()).await;
    let (stream, _) = bounded("a caller", listener.accept())
        .await
        .expect("accepted");
    let mut caller = Raw { stream };
    let (_, hello) = caller.frame().await.expect("a hello");
    let mut back = Raw::connect(&one.address).await;
    back.write(&frame(HELLO, &hello)).await;
    assert_eq!(refusal(&mut back).await.0, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_other_protocols_get_a_line_of_text() {
    let node = lonely().await;
    let talks: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"PING\r\n",
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
        &[0; 5000],
    ];
    for talk in talks {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(talk).await;
        let rest = String::from_utf8(raw.rest().await).expect("text");
        assert!(
            rest.starts_with("-ERR ") && rest.ends_with("\r\n"),
            "{rest:?}"
        );
        assert!(rest.contains("TinyKV peers only"), "{rest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_and_oversized_handshakes_are_refused() {
    let node = lonely().await;
    let good = frame(HELLO, &Hello::default().bytes());
    let mut damaged = good.clone();
    damaged[40] ^= 1;
    let mut giant = good.clone();
    giant[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut short = good.clone();
    short[1..5].copy_from_slice(&3u32.to_le_bytes());
    for bad in [damaged, giant, short] {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(&bad).await;
        assert_eq!(refusal(&mut raw).await.0, 1);
    }
    // A proof that is something else.
    for answer in [frame(RAFT, b""), frame(PROOF, &[1; 31]), frame(0x77, b"")] {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(&good).await;
        assert_eq!(raw.frame().await.expect("a challenge").0, CHALLENGE);
        raw.write(&answer).await;
        assert_eq!(refusal(&mut raw).await.0, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authenticated_peer_is_held_to_the_frames_limits() {
    let node = lonely().await;
    let header = |kind: u8, length: u32| {
        let mut header = frame(kind, b"");
        header[1..5].copy_from_slice(&length.to_le_bytes());
        header
    };
    let mut damaged = frame(
        RAFT,
        &message(StoreId(1), StoreId(2), 1, b"x").encode_to_vec(),
    );
    *damaged.last_mut().expect("not empty") ^= 1;
    let cases = [
        (FOR_RAFT, header(RAFT, u32::MAX)),
        (FOR_RAFT, header(PING, 1)),
        (FOR_RAFT, frame(HELLO, &Hello::default().bytes())),
        (FOR_RAFT, frame(0x00, b"")),
        (FOR_RAFT, frame(RAFT, b"\xFF\xFF\xFF\xFF")),
        (FOR_RAFT, damaged),
        (FOR_FORWARDING, frame(RAFT, b"")),
        (
            FOR_FORWARDING,
            frame(crate::wire::FORWARD_REQUEST, b"short"),
        ),
        (FOR_SNAPSHOT, frame(RAFT, b"")),
    ];
    for (purpose, bad) in cases {
        let hello = Hello {
            purpose,
            ..Hello::default()
        };
        let mut raw = Raw::authenticated(&node.address, &hello).await;
        raw.write(&bad).await;
        let rest = raw.rest().await;
        let only_an_end = rest
            .first()
            .is_none_or(|kind| *kind == crate::wire::SNAPSHOT_END);
        assert!(only_an_end, "closed, at most with a reason: {rest:?}");
    }
    assert!(node.seen.raft.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_takes_its_time_is_ended() {
    let mut ports = Ports::bind(2).await;
    ports.close(0);
    let limit = Duration::from_millis(200);
    let node = ports
        .start(1, |config| config.options.handshake_timeout = limit)
        .await;
    let hello = frame(HELLO, &Hello::default().bytes());
    // Nothing at all, a beginning, everything but the proof: each is closed without anything more from us.
    for bytes in [&[][..], &hello[..1], &hello[..50], &hello[..]] {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(bytes).await;
        raw.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_strangers_keeps_no_peer_out() {
    let mut ports = Ports::bind(2).await;
    let node = ports
        .start(1, |config| {
            config.options.unauthenticated_connections = 8;
            config.options.handshake_timeout = Duration::from_secs(3600);
        })
        .await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let mut raw = Raw::connect(&node.address).await;
        raw.write(&frame(HELLO, &Hello::default().bytes())[..20])
            .await;
        crowd.push(raw);
    }
    let peer = ports.start(0, |_| ()).await;
    until("the peer is in", || peer.is_connected()).await;
    // All but the bound are gone, the oldest first.
    for raw in crowd.iter_mut().take(90) {
        assert_eq!(raw.rest().await, b"");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_connection_of_a_peer_replaces_the_older() {
    let node = lonely().await;
    let mut older = Raw::authenticated(&node.address, &Hello::default()).await;
    let nonce = [43; 32];
    let mut newer = Raw::authenticated(
        &node.address,
        &Hello {
            nonce,
            ..Hello::default()
        },
    )
    .await;
    assert_eq!(older.rest().await, b"");
    newer.write(&frame(PING, b"")).await;
    assert_eq!(newer.frame().await, Some((PONG, Vec::new())));
    // Another purpose is another connection.
    let forwarding = Hello {
        purpose: FOR_FORWARDING,
        ..Hello::default()
    };
    let mut other = Raw::authenticated(&node.address, &forwarding).await;
    for raw in [&mut newer, &mut other] {
        raw.write(&frame(PING, b"")).await;
        assert_eq!(raw.frame().await, Some((PONG, Vec::new())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intruders_do_not_disturb_a_standing_link() {
    let (one, two) = pair(|_| ()).await;
    for number in 0..50 {
        let mut raw = Raw::connect(&two.address).await;
        raw.write(&[number; 300]).await;
        one.send(&two, u64::from(number), b"");
    }
    until("all messages", || {
        two.seen.numbers() == (0..50).collect::<Vec<u64>>()
    })
    .await;
    assert!(one.is_connected() && two.is_connected());
}
