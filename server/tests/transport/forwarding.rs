//! Forwarded requests: answers in any order, and never a wrong word about what was sent.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use server::transport::{ForwardError, ForwardResult, TransportConfig};
use storage::ids::StoreId;
use storage::proto::command::{RaftCmdResponse, ResponseHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::nodes::{Node, Ports, bounded, echo, pair, request, until};
use crate::proxy::{Proxy, Rule};
use crate::wire::{FOR_FORWARDING, FORWARD_REQUEST, FORWARD_RESPONSE, Hello, PONG, Raw, frame};

/// Two Stores; what the first sends to the second passes the proxy.
async fn pair_with_proxy(change: impl Fn(&mut TransportConfig)) -> (Node, Node, Proxy) {
    let mut ports = Ports::bind(2).await;
    let proxy = Proxy::to(&ports.addresses[1]).await;
    ports.addresses[1] = proxy.address.clone();
    let (one, two) = (ports.start(0, &change).await, ports.start(1, &change).await);
    until("both are connected", || {
        one.is_connected() && two.is_connected()
    })
    .await;
    (one, two, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_of_any_size_are_answered() {
    let (one, two) = pair(|_| ()).await;
    *two.seen.on_forward.lock() = Some(Box::new(echo));
    let mut all = JoinSet::new();
    for number in 0..500usize {
        let transport = Arc::clone(&one.transport);
        all.spawn(async move {
            let commands =
                vec![number as u8; [1, 100, 10_000, 1_000_000][number % 4 * (number % 7 / 6)]];
            let response = transport
                .forward(StoreId(2), request(&commands))
                .await
                .expect("echo");
            assert_eq!((response.replies, response.db), (Bytes::from(commands), 1));
        });
    }
    bounded("all answers", all.join_all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_may_come_in_any_order() {
    let (one, two) = pair(|_| ()).await;
    let finished = Arc::new(Mutex::new(Vec::new()));
    let mut all = JoinSet::new();
    for number in 0..10u8 {
        let (transport, finished) = (Arc::clone(&one.transport), Arc::clone(&finished));
        all.spawn(async move {
            let response = transport
                .forward(StoreId(2), request(&[number]))
                .await
                .expect("echo");
            assert_eq!(response.replies, [number][..]);
            finished.lock().push(number);
        });
    }
    until("all have arrived", || two.seen.kept.lock().len() == 10).await;
    let mut kept = std::mem::take(&mut *two.seen.kept.lock());
    kept.sort_by_key(|(request, _)| request.commands[0]);
    for (count, (request, reply)) in kept.into_iter().rev().enumerate() {
        echo(request, reply);
        until("its answer", || finished.lock().len() == count + 1).await;
    }
    assert_eq!(*finished.lock(), (0..10).rev().collect::<Vec<_>>());
    bounded("all answers", all.join_all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_other_store_says_is_carried_back() {
    let (one, two) = pair(|_| ()).await;
    let refused = ForwardError::Refused {
        reason: "the epoch does not match".to_owned(),
    };
    let header = Some(ResponseHeader {
        term: 9,
        error: String::new(),
    });
    let answers = [
        Ok(RaftCmdResponse {
            header,
            replies: Bytes::from_static(b"+OK\r\n"),
            db: 4,
            store_id: 0,
        }),
        Err(ForwardError::NotLeader {
            leader: Some(StoreId(3)),
        }),
        Err(ForwardError::NotLeader { leader: None }),
        Err(ForwardError::Busy),
        Err(ForwardError::Full),
        Err(refused),
        Err(ForwardError::Unknown),
    ];
    for answer in answers {
        let given = answer.clone();
        *two.seen.on_forward.lock() = Some(Box::new(move |_, reply| reply(given.clone())));
        assert_eq!(one.forward(&two, b"x").await, answer);
    }
    // An answer that never comes because its promise was dropped.
    *two.seen.on_forward.lock() = Some(Box::new(|_, reply| drop(reply)));
    assert_eq!(one.forward(&two, b"x").await, Err(ForwardError::Unknown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_link_nothing_is_sent() {
    let mut ports = Ports::bind(2).await;
    ports.close(1);
    let one = ports.start(0, |_| ()).await;
    let forward = |to| one.transport.forward(to, request(b"x"));
    assert_eq!(
        bounded("an answer", forward(StoreId(2))).await,
        Err(ForwardError::NotSent)
    );
    until("an attempt has failed", || {
        !one.seen.unreachable.lock().is_empty()
    })
    .await;
    assert_eq!(
        bounded("an answer", forward(StoreId(2))).await,
        Err(ForwardError::NotSent)
    );
    assert_eq!(
        bounded("an answer", forward(StoreId(9))).await,
        Err(ForwardError::NotSent)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_at_the_very_start_waits_for_the_first_attempt() {
    let mut ports = Ports::bind(2).await;
    let one = ports.start(0, |_| ()).await;
    let asking = {
        let transport = Arc::clone(&one.transport);
        tokio::spawn(async move { transport.forward(StoreId(2), request(b"early")).await })
    };
    // The port is bound and calls wait in its backlog, so the first attempt succeeds whenever the Store starts.
    let two = ports.start(1, |_| ()).await;
    until("it has arrived", || !two.seen.kept.lock().is_empty()).await;
    let (request, reply) = two.seen.kept.lock().remove(0);
    echo(request, reply);
    assert!(bounded("its answer", asking).await.expect("joined").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_breaks_after_the_request_left_makes_its_outcome_unknown() {
    let (one, two, proxy) = pair_with_proxy(|_| ()).await;
    let asking = {
        let transport = Arc::clone(&one.transport);
        tokio::spawn(async move { transport.forward(StoreId(2), request(b"write")).await })
    };
    until("it has arrived", || two.seen.kept.lock().len() == 1).await;
    proxy.set(
        FOR_FORWARDING,
        Rule {
            closed: true,
            ..Rule::default()
        },
    );
    let outcome = bounded("an outcome", asking).await.expect("joined");
    assert_eq!(outcome, Err(ForwardError::Unknown));
    // The late answer disturbs nobody.
    let (late, reply) = two.seen.kept.lock().remove(0);
    echo(late, reply);
    proxy.set(FOR_FORWARDING, Rule::default());
    *two.seen.on_forward.lock() = Some(Box::new(echo));
    until_answered(&one, &two).await;
    assert_eq!(two.seen.kept.lock().len(), 0, "it was sent once");
}

/// After a break, requests are `NotSent` until the link stands again.
async fn until_answered(one: &Node, two: &Node) {
    bounded("the link stands again", async {
        loop {
            match one.forward(two, b"again").await {
                Ok(_) => break,
                Err(error) => assert_eq!(error, ForwardError::NotSent),
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Much more than sockets and proxy hold.
const LARGE_BYTES: usize = 64 << 20;

fn patient(config: &mut TransportConfig) {
    config.options.silence_limit = Duration::from_secs(3600);
    config.options.forward_queued_bytes = 2 * LARGE_BYTES;
    config.options.forward_timeout = Duration::from_secs(3600);
}

/// Runs a future up to where it waits: what it asks is in the queue then.
async fn begin<F: Future<Output = ForwardResult>>(mut asking: Pin<&mut F>) {
    tokio::select! {
        biased;
        result = &mut asking => panic!("answered at once: {result:?}"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_tells_apart_what_had_left_and_what_had_not() {
    let (one, two, proxy) = pair_with_proxy(patient).await;
    let mut small = pin!(one.forward(&two, b"small"));
    begin(small.as_mut()).await;
    until("the small one has arrived", || {
        two.seen.kept.lock().len() == 1
    })
    .await;
    let some = proxy.sent_bytes(FOR_FORWARDING) + 1_000_000;
    proxy.set(
        FOR_FORWARDING,
        Rule {
            stall_at: Some(some),
            ..Rule::default()
        },
    );
    let commands = vec![1; LARGE_BYTES];
    let mut large = pin!(one.forward(&two, &commands));
    begin(large.as_mut()).await;
    let mut behind = pin!(one.forward(&two, b"behind"));
    begin(behind.as_mut()).await;
    until("the large one is on its way", || {
        proxy.sent_bytes(FOR_FORWARDING) >= some
    })
    .await;
    proxy.set(
        FOR_FORWARDING,
        Rule {
            closed: true,
            ..Rule::default()
        },
    );
    assert_eq!(
        bounded("an outcome", small).await,
        Err(ForwardError::Unknown)
    );
    assert_eq!(
        bounded("an outcome", large).await,
        Err(ForwardError::NotSent)
    );
    assert_eq!(
        bounded("an outcome", behind).await,
        Err(ForwardError::NotSent)
    );
    proxy.set(FOR_FORWARDING, Rule::default());
    *two.seen.on_forward.lock() = Some(Box::new(echo));
    until_answered(&one, &two).await;
    assert_eq!(
        two.seen.kept.lock().len(),
        1,
        "what was not sent did not arrive"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partial_frame_is_never_executed() {
    let (one, two, proxy) = pair_with_proxy(|_| ()).await;
    *two.seen.on_forward.lock() = Some(Box::new(echo));
    assert!(one.forward(&two, b"x").await.is_ok());
    let sent = proxy.sent_bytes(FOR_FORWARDING);
    proxy.set(
        FOR_FORWARDING,
        Rule {
            cut_at: Some(sent + 500),
            ..Rule::default()
        },
    );
    let executed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&executed);
    *two.seen.on_forward.lock() = Some(Box::new(move |request, reply| {
        counter.fetch_add(1, Ordering::SeqCst);
        echo(request, reply);
    }));
    // The kernel took it whole, so nobody here can know that it was cut on the way.
    assert_eq!(
        one.forward(&two, &[1; 5000]).await,
        Err(ForwardError::Unknown)
    );
    assert_eq!(executed.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_in_time_is_given_up() {
    let (one, two) =
        pair(|config| config.options.forward_timeout = Duration::from_millis(200)).await;
    assert_eq!(
        bounded("the time-out", one.forward(&two, b"slow")).await,
        Err(ForwardError::Unknown)
    );
    // Its answer comes late, to nobody; the link goes on.
    let (late, reply) = two.seen.kept.lock().remove(0);
    echo(late, reply);
    *two.seen.on_forward.lock() = Some(Box::new(echo));
    assert_eq!(
        one.forward(&two, b"next").await.expect("echo").replies,
        b"next"[..]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_its_turn_too_long_was_not_sent() {
    let (one, two, proxy) = pair_with_proxy(|config| {
        patient(config);
        config.options.forward_timeout = Duration::from_millis(300);
    })
    .await;
    let some = proxy.sent_bytes(FOR_FORWARDING) + 1_000_000;
    proxy.set(
        FOR_FORWARDING,
        Rule {
            stall_at: Some(some),
            ..Rule::default()
        },
    );
    let commands = vec![1; LARGE_BYTES];
    let mut large = pin!(one.forward(&two, &commands));
    begin(large.as_mut()).await;
    let mut behind = pin!(one.forward(&two, b"behind"));
    begin(behind.as_mut()).await;
    // There is no calling back half a frame: it may still arrive, and here it does.
    assert_eq!(
        bounded("an outcome", large).await,
        Err(ForwardError::Unknown)
    );
    assert_eq!(
        bounded("an outcome", behind).await,
        Err(ForwardError::NotSent)
    );
    proxy.set(FOR_FORWARDING, Rule::default());
    until("the large one has arrived", || {
        two.seen.kept.lock().len() == 1
    })
    .await;
    *two.seen.on_forward.lock() = Some(Box::new(echo));
    assert_eq!(
        one.forward(&two, b"next").await.expect("echo").replies,
        b"next"[..]
    );
    assert_eq!(
        two.seen.kept.lock().len(),
        1,
        "the one behind it was never sent"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_what_may_be_in_flight_requests_wait_and_beyond_the_queue_they_are_not_sent() {
    let (one, two) = pair(|config| {
        patient(config);
        config.options.forward_in_flight = 1;
        config.options.forward_queued = 1;
    })
    .await;
    let mut first = pin!(one.forward(&two, b"1"));
    begin(first.as_mut()).await;
    until("the first is in flight", || two.seen.kept.lock().len() == 1).await;
    let mut second = pin!(one.forward(&two, b"2"));
    begin(second.as_mut()).await;
    assert_eq!(
        bounded("an answer", one.forward(&two, b"3")).await,
        Err(ForwardError::NotSent)
    );
    assert_eq!(two.seen.kept.lock().len(), 1);
    for asking in [first, second] {
        until("it has arrived", || two.seen.kept.lock().len() == 1).await;
        let (request, reply) = two.seen.kept.lock().remove(0);
        echo(request, reply);
        assert!(bounded("an answer", asking).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_everybody() {
    let (one, two) = pair(|config| config.options.forward_in_flight = 1).await;
    let mut first = pin!(one.forward(&two, b"1"));
    begin(first.as_mut()).await;
    until("the first is in flight", || two.seen.kept.lock().len() == 1).await;
    let mut second = pin!(one.forward(&two, b"2"));
    begin(second.as_mut()).await;
    bounded("shutdown", one.transport.shutdown()).await;
    assert_eq!(
        bounded("an outcome", first).await,
        Err(ForwardError::Unknown)
    );
    assert_eq!(
        bounded("an outcome", second).await,
        Err(ForwardError::NotSent)
    );
    let late = bounded("late", one.transport.forward(StoreId(2), request(&[4]))).await;
    assert_eq!(late, Err(ForwardError::NotSent));
}

/// Who asks and never listens is soon not read from any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_fetches_are_bounded() {
    let mut ports = Ports::bind(2).await;
    ports.close(0);
    let answer_bytes = 8 << 20;
    let node = ports
        .start(1, |config| {
            patient(config);
            config.options.forward_queued_bytes = answer_bytes;
        })
        .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    *node.seen.on_forward.lock() = Some(Box::new(move |request, reply| {
        counter.fetch_add(1, Ordering::SeqCst);
        let replies = Bytes::from(vec![0; answer_bytes]);
        reply(Ok(RaftCmdResponse {
            replies,
            db: request.db,
            ..RaftCmdResponse::default()
        }));
    }));
    let hello = Hello {
        purpose: FOR_FORWARDING,
        ..Hello::default()
    };
    let raw = Raw::authenticated(&node.address, &hello).await;
    let (mut answers, mut questions) = raw.stream.into_split();
    let total = 60;
    let asking = tokio::spawn(async move {
        for id in 0..total as u64 {
            // Field 3 of a Request, 100,000 bytes: one read brings no more than a few.
            let head = [&id.to_le_bytes()[..], &[0x1A, 0xA0, 0x8D, 0x06]].concat();
            let payload = [&head[..], &[0; 100_000]].concat();
            questions
                .write_all(&frame(FORWARD_REQUEST, &payload))
                .await
                .expect("written");
        }
        questions
    });
    until("some were asked", || asked.load(Ordering::SeqCst) >= 2).await;
    // Pongs are sent unasked when nothing is read, and are queued behind the answers: only answers are fetched here. Each
    // one that is fetched lets only a few more questions in.
    let mut head = [0; 9];
    for fetched in 0..total {
        let ahead = asked.load(Ordering::SeqCst) - fetched;
        assert!(ahead < 20, "{ahead} questions are ahead of the answers");
        loop {
            answers.read_exact(&mut head).await.expect("a frame");
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut payload = vec![0; length];
            answers.read_exact(&mut payload).await.expect("a payload");
            if head[0] == FORWARD_RESPONSE {
                break;
            }
            assert_eq!(head[0], PONG);
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), total);
    bounded("all asked", asking).await.expect("joined");
}
