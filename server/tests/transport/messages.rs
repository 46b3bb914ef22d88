//! Raft messages: order, loss, reconnection.

use std::sync::Arc;
use std::time::Duration;

use server::transport::{StartError, Transport, TransportOptions};
use storage::ids::StoreId;
use tempfile::TempDir;

use crate::nodes::{Ports, Recorder, message, pair, until};
use crate::proxy::{Proxy, Rule};
use crate::wire::FOR_RAFT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_exchange_messages_of_any_size_in_order() {
    let (one, two) = pair(|_| ()).await;
    let count = 2000;
    let payload = |number: u64| vec![number as u8; if number % 100 == 7 { 300_000 } else { 20 }];
    for number in 0..count {
        one.send(&two, number, &payload(number));
        two.send(&one, number, b"");
    }
    for node in [&one, &two] {
        until("all messages", || {
            node.seen.raft.lock().len() as u64 == count
        })
        .await;
        assert_eq!(node.seen.numbers(), (0..count).collect::<Vec<_>>());
    }
    let received = two.seen.raft.lock();
    for (number, received) in (0..).zip(received.iter()) {
        assert_eq!(received, &message(one.id, two.id, number, &payload(number)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stores_reach_each_other() {
    let mut ports = Ports::bind(3).await;
    let mut nodes = Vec::new();
    for position in 0..3 {
        nodes.push(ports.start(position, |_| ()).await);
    }
    until("all are connected", || {
        nodes.iter().all(|node| node.is_connected())
    })
    .await;
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.id != from.id) {
            for number in 0..100 {
                from.send(to, from.id.get() * 1000 + number, b"payload");
            }
        }
    }
    for to in &nodes {
        until("200 messages", || to.seen.raft.lock().len() == 200).await;
        for from in nodes.iter().filter(|from| from.id != to.id) {
            let range = from.id.get() * 1000..from.id.get() * 1000 + 100;
            let numbers: Vec<_> = to
                .seen
                .numbers()
                .into_iter()
                .filter(|n| range.contains(n))
                .collect();
            assert_eq!(numbers, range.collect::<Vec<_>>());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_another_stores_name_or_for_another_store_is_dropped() {
    let (one, two) = pair(|_| ()).await;
    one.transport
        .send(two.id, message(StoreId(3), two.id, 1, b"forged"));
    one.transport
        .send(two.id, message(one.id, StoreId(3), 2, b"astray"));
    one.send(&two, 3, b"good");
    until("the good one", || !two.seen.raft.lock().is_empty()).await;
    assert_eq!(two.seen.numbers(), [3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_restarts_is_found_again() {
    let mut ports = Ports::bind(2).await;
    let one = ports.start(0, |_| ()).await;
    let two = ports.start(1, |_| ()).await;
    until("connected", || one.is_connected() && two.is_connected()).await;
    two.transport.shutdown().await;
    until("the loss is noticed", || !one.is_connected()).await;
    until("and reported", || {
        one.seen.unreachable.lock().contains(&two.id)
    })
    .await;
    until("nobody listens there", || {
        one.seen.gone.lock().contains(&two.id)
    })
    .await;
    ports.bind_again(1, &two.address).await;
    let again = ports.start(1, |_| ()).await;
    until("connected again", || {
        one.is_connected() && again.is_connected()
    })
    .await;
    one.send(&again, 7, b"welcome back");
    again.send(&one, 8, b"thank you");
    until("the message", || again.seen.numbers() == [7]).await;
    until("the other message", || one.seen.numbers() == [8]).await;
    assert!(two.seen.raft.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_drops_and_reports_and_never_blocks() {
    let mut ports = Ports::bind(2).await;
    let proxy = Proxy::to(&ports.addresses[1]).await;
    ports.addresses[1] = proxy.address.clone();
    let small = |options: &mut TransportOptions| {
        options.raft_queue_bytes = 1_000_000;
        options.silence_limit = Duration::from_secs(60);
    };
    let one = ports.start(0, |config| small(&mut config.options)).await;
    let two = ports.start(1, |config| small(&mut config.options)).await;
    until("connected", || one.is_connected() && two.is_connected()).await;
    proxy.set(
        FOR_RAFT,
        Rule {
            stalled: true,
            ..Rule::default()
        },
    );
    // Far more than queue, sockets and proxy hold; on this single thread it ends only if nothing waits for the peer.
    let count = 3000;
    let payload = vec![1; 100_000];
    for number in 0..count {
        one.send(&two, number, &payload);
    }
    until("the loss is reported", || {
        one.seen.unreachable.lock().contains(&two.id)
    })
    .await;
    assert!(one.is_connected(), "slow is not broken");
    proxy.set(FOR_RAFT, Rule::default());
    // Beyond the bound messages are lost, so this one is repeated, as Raft would.
    until("the link goes on", || {
        one.send(&two, count, b"last");
        two.seen.numbers().contains(&count)
    })
    .await;
    let numbers = two.seen.numbers();
    let kept = numbers.iter().filter(|number| **number < count).count() as u64;
    assert!(kept > 0 && kept < count, "{kept} of {count} kept");
    assert!(numbers.is_sorted(), "what arrives, arrives in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_falls_silent_is_given_up_and_found_again() {
    let mut ports = Ports::bind(2).await;
    let proxy = Proxy::to(&ports.addresses[1]).await;
    ports.addresses[1] = proxy.address.clone();
    let one = ports
        .start(0, |config| {
            config.options.silence_limit = Duration::from_millis(300)
        })
        .await;
    let two = ports.start(1, |_| ()).await;
    until("connected", || one.is_connected() && two.is_connected()).await;
    proxy.set(
        FOR_RAFT,
        Rule {
            black_hole: true,
            ..Rule::default()
        },
    );
    until("the silence is noticed", || !one.is_connected()).await;
    proxy.set(FOR_RAFT, Rule::default());
    until("connected again", || {
        one.send(&two, 1, b"after the silence");
        !two.seen.raft.lock().is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_at_shutdown_still_leaves() {
    let (one, two) = pair(|_| ()).await;
    for number in 0..100 {
        one.send(&two, number, b"last words");
    }
    one.transport.shutdown().await;
    until("all of it", || two.seen.raft.lock().len() == 100).await;
    one.send(&two, 100, b"too late");
    assert!(!one.transport.links().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_listens_nowhere() {
    let dir = TempDir::new().expect("a folder");
    let mut config = Ports::bind(1).await.config(0, &dir);
    config.secret.clear();
    for peers in [Vec::new(), config.peers.clone()] {
        config.peers = peers;
        let transport = Transport::start(config.clone(), Arc::new(Recorder::default()))
            .await
            .expect("started");
        assert_eq!(transport.local_address(), None);
        assert!(transport.links().is_empty());
        transport.send(StoreId(2), message(StoreId(1), StoreId(2), 1, b""));
        transport.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_refused_at_the_start() {
    let dir = TempDir::new().expect("a folder");
    let ports = Ports::bind(2).await;
    let good = ports.config(0, &dir);
    let start = |config| Transport::start(config, Arc::new(Recorder::default()));
    let mut config = good.clone();
    config.secret.clear();
    assert!(matches!(start(config).await, Err(StartError::NoSecret)));
    for address in [
        "localhost",
        "localhost:",
        ":7000",
        "localhost:70000",
        "localhost:0",
        "",
    ] {
        let mut config = good.clone();
        config.peers[1].1 = address.to_owned();
        assert!(
            matches!(start(config).await, Err(StartError::Peers(_))),
            "{address}"
        );
    }
    let mut config = good.clone();
    config.peers[1].0 = StoreId(0);
    assert!(matches!(start(config).await, Err(StartError::Peers(_))));
    let mut config = good.clone();
    config.listen = ports.addresses[1].parse().expect("an address");
    assert!(matches!(
        start(config).await,
        Err(StartError::Listen { .. })
    ));
    assert!(
        !format!("{good:?}").contains("secret"),
        "no secret in any log"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_member_tells_another_one_that_it_was_removed() {
    let mut ports = Ports::bind(3).await;
    let mut nodes = Vec::new();
    for position in 0..3 {
        nodes.push(ports.start(position, |_| ()).await);
    }
    let connected = || nodes.iter().all(|node| node.is_connected());
    until("all are connected", connected).await;
    let addresses: Vec<(StoreId, String)> = nodes
        .iter()
        .map(|node| (node.id, node.address.clone()))
        .collect();
    let (one, two, three) = (&nodes[0], &nodes[1], &nodes[2]);
    for node in [two, three] {
        node.transport.set_peers(&addresses, StoreId(4));
    }
    // The third is removed, and the first has not heard of it yet.
    three.transport.leave();
    until("the first has tried again", || {
        let links = one.transport.links();
        links
            .iter()
            .any(|link| link.store == three.id && link.dials_failed >= 3)
    })
    .await;
    assert!(
        !one.transport.is_expelled(),
        "by one that was removed itself"
    );
    // Now the first is removed, and hears it from a member.
    two.transport.set_peers(&addresses[1..], StoreId(4));
    until("the first knows", || one.transport.is_expelled()).await;
}
