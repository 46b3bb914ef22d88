//! CLIENT: what connections are told about each other, and ending them.

use super::common::until;
use super::node::{Client, Node, field};

/// The line of a client in another's CLIENT LIST.
fn line_of(observer: &mut Client, id: &str) -> Option<String> {
    let list = observer.text("CLIENT LIST");
    let mut lines = list.lines().filter(|line| field(line, "id") == id);
    lines.next().map(str::to_owned)
}

fn number(digits: &str) -> u64 {
    digits.parse().expect("a number")
}

#[test]
fn a_client_sees_itself_and_others() {
    let node = Node::start(&[]);
    let (mut one, mut other) = (node.connect(), node.connect());
    let id = one.text("CLIENT ID");
    assert!(number(&other.text("CLIENT ID")) > number(&id));
    assert_eq!(one.text("CLIENT SETNAME one"), "OK");
    assert_eq!(one.text("CLIENT SETINFO LIB-NAME lib"), "OK");
    assert_eq!(one.text("CLIENT SETINFO lib-ver 1.2"), "OK");
    assert_eq!(one.text("SELECT 5"), "OK");
    assert_eq!(one.text("CLIENT NO-TOUCH ON"), "OK");
    assert_eq!(one.text("CLIENT NO-EVICT ON"), "OK");
    one.call("HELLO 3");
    assert_eq!(one.text("GET k"), "(nil)");

    let line = line_of(&mut other, &id).expect("it is listed");
    let names: Vec<&str> = line
        .split(' ')
        .filter_map(|field| field.split_once('=').map(|(name, _)| name))
        .collect();
    assert_eq!(
        names.join(" "),
        "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll omem \
         tot-mem events cmd user redir resp lib-name lib-ver"
    );
    let expected = [
        ("addr", one.address().as_str()),
        ("laddr", format!("127.0.0.1:{}", node.port).as_str()),
        ("name", "one"),
        ("flags", "eT"),
        ("db", "5"),
        ("qbuf", "0"),
        ("argv-mem", "0"),
        ("omem", "0"),
        ("events", "r"),
        ("cmd", "get"),
        ("user", "default"),
        ("redir", "-1"),
        ("resp", "3"),
        ("lib-name", "lib"),
        ("lib-ver", "1.2"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    for (name, value) in expected {
        assert_eq!(field(&line, name), value, "{name} of {line}");
    }
    assert!(number(field(&line, "tot-mem")) > 100);
    assert_eq!(one.field("cmd"), "client|info");
    assert_ne!(one.field("qbuf"), "0");
    assert_eq!(
        other
            .text(&format!("CLIENT LIST ID 999999 {id}"))
            .lines()
            .count(),
        1
    );
    assert_eq!(other.text("CLIENT LIST TYPE normal").lines().count(), 2);

    // RESET keeps what is said of the library.
    assert_eq!(one.text("RESET"), "RESET");
    let line = one.text("CLIENT INFO");
    let kept = ["name", "flags", "db", "resp", "lib-name"].map(|name| field(&line, name));
    assert_eq!(kept, ["", "N", "0", "2", "lib"]);
    assert_eq!(
        one.text("CLIENT SETINFO lib-name a\u{1}b"),
        "ERR lib-name cannot contain spaces, newlines or special characters."
    );
    assert_eq!(
        one.text("CLIENT SETINFO lib-foo a"),
        "ERR Unrecognized option 'lib-foo'"
    );
}

#[test]
fn filters_of_kill_hold_together() {
    let node = Node::start(&[]);
    let (mut one, mut two, mut judge) = (node.connect(), node.connect(), node.connect());
    let (id, other_id) = (one.text("CLIENT ID"), two.text("CLIENT ID"));
    let (address, other_address) = (one.address(), two.address());
    let local = format!("127.0.0.1:{}", node.port);
    assert_eq!(
        judge.text(&format!("CLIENT KILL ID {id} ADDR {other_address}")),
        "0"
    );
    assert_eq!(
        judge.text(&format!("CLIENT KILL ID {id} MAXAGE 100000")),
        "0"
    );
    assert_eq!(
        judge.text(&format!("CLIENT KILL ID {id} TYPE replica")),
        "0"
    );
    assert_eq!(
        judge.text(&format!(
            "CLIENT KILL ID {id} LADDR {local} USER default TYPE normal"
        )),
        "1"
    );
    assert_eq!(one.next(), None);
    assert_eq!(line_of(&mut judge, &id), None, "gone at once");
    assert_eq!(
        judge.text(&format!("CLIENT KILL {address}")),
        "ERR No such client"
    );
    assert_eq!(two.text("PING"), "PONG");
    assert_eq!(judge.text(&format!("CLIENT KILL {other_address}")), "OK");
    assert_eq!(two.next(), None);
    assert_eq!(line_of(&mut judge, &other_id), None);
    // SKIPME is the default of the new form only.
    assert_eq!(judge.text("CLIENT KILL TYPE normal"), "0");
    let own = judge.address();
    assert_eq!(judge.text(&format!("CLIENT KILL {own}")), "OK");
    assert_eq!(judge.next(), None);
}

#[test]
fn a_client_that_waits_can_be_killed() {
    let node = Node::start(&[]);
    let (mut judge, mut waits, mut deaf) = (node.connect(), node.connect(), node.connect());
    let waiting_id = waits.text("CLIENT ID");
    waits.send(b"WAIT 7 0\r\n");
    until("it waits", || {
        let line = line_of(&mut judge, &waiting_id)?;
        (field(&line, "cmd") == "wait").then_some(())
    });
    assert_eq!(judge.text(&format!("CLIENT KILL ID {waiting_id}")), "1");
    assert_eq!(waits.next(), None);

    // One that does not read its replies: what fits the sockets is under way, the rest waits in the server.
    let deaf_id = deaf.text("CLIENT ID");
    let value = vec![b'v'; 16 << 20];
    assert_eq!(
        judge
            .call_args(&[b"SET", b"big", &value])
            .map(|frame| frame.is_error()),
        Some(false)
    );
    deaf.send(b"GET big\r\nPING\r\n");
    let line = until("it is being sent to", || {
        line_of(&mut judge, &deaf_id).filter(|line| field(line, "omem") != "0")
    });
    assert_eq!(field(&line, "events"), "rw");
    assert!(number(field(&line, "tot-mem")) > number(field(&line, "omem")));
    assert_eq!(judge.text(&format!("CLIENT KILL ID {deaf_id}")), "1");
    assert!(deaf.rest().len() < value.len());
}

#[test]
fn a_client_that_leaves_is_not_kept() {
    let node = Node::start(&[]);
    let mut judge = node.connect();
    for said in [
        "",
        "GET k\r\n",
        "*2\r\n$3\r\nGET\r\n$5\r\nk",
        "WAIT 7 0\r\n",
    ] {
        let mut leaves = node.connect();
        let id = leaves.text("CLIENT ID");
        leaves.send(said.as_bytes());
        drop(leaves);
        until("it is forgotten", || {
            line_of(&mut judge, &id).is_none().then_some(())
        });
    }
    assert!(
        judge
            .text("INFO clients")
            .contains("connected_clients:1\r\n")
    );
}

#[test]
fn no_touch_leaves_the_last_use_as_it_was() {
    let node = Node::start(&[]);
    let mut client = node.connect();
    client.call("SET k value");
    let dump = client
        .call("DUMP k")
        .as_bytes()
        .expect("a payload")
        .to_vec();
    let restore: [&[u8]; 7] = [
        b"RESTORE",
        b"k",
        b"0",
        &dump,
        b"REPLACE",
        b"IDLETIME",
        b"5000",
    ];
    let mut idle_after = |words: &str| {
        client.call_args(&restore).expect("restored");
        client.call(words);
        client
            .text("OBJECT IDLETIME k")
            .parse::<u64>()
            .expect("seconds")
            >= 5000
    };
    assert!(!idle_after("GET k"));
    assert!(idle_after("CLIENT NO-TOUCH ON"));
    for words in [
        "GET k",
        "MGET k a",
        "STRLEN k",
        "GETRANGE k 0 1",
        "GETEX k",
        "SETRANGE k 0 v",
    ] {
        // Some write the key anew, which is a use as in Redis; none of these does.
        assert!(
            idle_after(words) || words.starts_with("SETRANGE"),
            "{words}"
        );
    }
    assert!(!idle_after("TOUCH k"), "TOUCH is there to be a use");
    assert!(!{
        idle_after("CLIENT NO-TOUCH OFF");
        idle_after("GET k")
    });

    // Reads that travel with writes, too.
    client.call("CLIENT NO-TOUCH ON");
    client.call_args(&restore).expect("restored");
    client.send(b"SET other 1\r\nGET k\r\nGET k\r\n");
    for expected in ["OK", "value", "value"] {
        assert_eq!(
            client
                .next()
                .and_then(|frame| frame.as_str().map(str::to_owned)),
            Some(expected.to_owned())
        );
    }
    assert!(
        client
            .text("OBJECT IDLETIME k")
            .parse::<u64>()
            .expect("seconds")
            >= 5000
    );
}
