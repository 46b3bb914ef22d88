//! The shapes that redis-cli and client libraries expect of COMMAND.

use bytes::BytesMut;
use resp::{Frame, FrameDecoder, Protocol, Writer};

use super::*;
use crate::{admin, session};

type Handler = fn(&Registry, &mut Args<'_>, &mut Writer<'_>) -> CommandResult;

fn registry() -> Registry {
    Registry::new(&session::FAMILIES, &admin::FAMILIES)
}

fn call(protocol: Protocol, handler: Handler, words: &[&str]) -> Result<Frame, String> {
    let mut all: Vec<&[u8]> = vec![b"command", b"sub"];
    all.extend(words.iter().map(|word| word.as_bytes()));
    let mut reply = BytesMut::new();
    handler(
        &registry(),
        &mut Args::of_subcommand(&all),
        &mut Writer::new(&mut reply, protocol),
    )
    .map_err(|error| error.to_string())?;
    let mut decoder = FrameDecoder::new();
    decoder.push(&reply);
    let frame = decoder.next_frame().expect("decodes").expect("complete");
    assert!(decoder.is_idle(), "one reply");
    Ok(frame)
}

/// The value of a name in a map, or in the array that RESP2 makes of it.
fn field(frame: &Frame, name: &str) -> Option<Frame> {
    let is_name = |key: &Frame| key.as_str() == Some(name);
    match frame {
        Frame::Map(pairs) => pairs
            .iter()
            .find(|(key, _)| is_name(key))
            .map(|(_, value)| value.clone()),
        Frame::Array(items) => items
            .chunks(2)
            .find(|pair| is_name(&pair[0]))
            .map(|pair| pair[1].clone()),
        _ => None,
    }
}

fn words(frame: &Frame) -> Vec<String> {
    frame
        .as_slice()
        .expect("a list")
        .iter()
        .map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn docs_have_the_same_content_in_both_protocols() {
    let three = call(
        Protocol::Resp3,
        command_docs,
        &["SET", "nosuch", "config|set"],
    )
    .expect("answered");
    let two = call(
        Protocol::Resp2,
        command_docs,
        &["SET", "nosuch", "config|set"],
    )
    .expect("answered");
    assert!(matches!(&three, Frame::Map(pairs) if pairs.len() == 2));
    assert!(matches!(&two, Frame::Array(items) if items.len() == 4));
    for reply in [three, two] {
        let set = field(&reply, "set").expect("documented");
        assert_eq!(
            field(&set, "group").expect("a group").as_str(),
            Some("string")
        );
        assert!(
            field(&set, "summary")
                .expect("a summary")
                .as_str()
                .is_some_and(|text| text.ends_with('.'))
        );
        let arguments = field(&set, "arguments").expect("arguments");
        let key = &arguments.as_slice().expect("a list")[0];
        assert_eq!(field(key, "type").expect("a type").as_str(), Some("key"));
        assert!(field(&reply, "config|set").is_some());
    }
}

#[test]
fn docs_of_everything_name_every_command_once() {
    let Frame::Map(pairs) = call(Protocol::Resp3, command_docs, &[]).expect("answered") else {
        panic!("a map");
    };
    let Frame::Integer(commands) = call(Protocol::Resp3, count, &[]).expect("answered") else {
        panic!("a number");
    };
    assert_eq!(pairs.len() as i64, commands);
    let config = pairs
        .iter()
        .find(|(name, _)| name.as_str() == Some("config"))
        .expect("there");
    assert!(
        field(
            &field(&config.1, "subcommands").expect("has some"),
            "config|get"
        )
        .is_some()
    );
}

#[test]
fn info_has_ten_fields_or_is_null() {
    for (protocol, lists_are_sets) in [(Protocol::Resp2, false), (Protocol::Resp3, true)] {
        let reply =
            call(protocol, info, &["get", "nosuch", "config|get", "command"]).expect("answered");
        let rows = reply.as_slice().expect("a list");
        let get = rows[0].as_slice().expect("fields");
        assert_eq!(get.len(), 10);
        assert_eq!(
            (get[0].as_str(), get[1].as_integer()),
            (Some("get"), Some(2))
        );
        assert_eq!(matches!(get[2], Frame::Set(_)), lists_are_sets);
        assert_eq!(words(&get[2]), ["readonly", "fast"]);
        assert_eq!(words(&get[6]), ["@read", "@string", "@fast"]);
        assert!(rows[1].is_null());
        assert_eq!(
            rows[2].as_slice().expect("fields")[0].as_str(),
            Some("config|get")
        );
        let command = rows[3].as_slice().expect("fields");
        assert_eq!(command[9].as_slice().expect("subcommands").len(), 7);
    }
    let all = call(Protocol::Resp2, info, &[]).expect("answered");
    assert_eq!(
        all.as_slice().expect("a list").len(),
        registry().commands().count()
    );
}

#[test]
fn lists_with_and_without_a_filter() {
    let list = |words_of: &[&str]| call(Protocol::Resp3, list, words_of).map(|reply| words(&reply));
    assert_eq!(
        list(&[]).expect("answered").len(),
        registry().entries().len()
    );
    let config = list(&["filterby", "pattern", "CONFIG*"]).expect("answered");
    assert_eq!(config.len(), 6);
    assert!(
        list(&["filterby", "aclcat", "STRING"])
            .expect("answered")
            .contains(&"append".to_owned())
    );
    assert!(
        list(&["filterby", "aclcat", "nosuch"])
            .expect("answered")
            .is_empty()
    );
    assert!(
        list(&["filterby", "module", "x"])
            .expect("answered")
            .is_empty()
    );
    for wrong in [
        &["foo"][..],
        &["filterby"],
        &["filterby", "x", "y"],
        &["filterby", "module", "x", "y"],
    ] {
        assert_eq!(list(wrong).expect_err("refused"), "ERR syntax error");
    }
}

#[test]
fn keys_and_what_is_done_with_them() {
    let keys =
        |words_of: &[&str]| call(Protocol::Resp3, getkeys, words_of).map(|reply| words(&reply));
    assert_eq!(
        keys(&["mset", "a", "1", "b", "2"]),
        Ok(vec!["a".into(), "b".into()])
    );
    assert_eq!(keys(&["object", "encoding", "k"]), Ok(vec!["k".into()]));
    for (request, error) in [
        (&["nosuch", "x"][..], "ERR Invalid command specified"),
        (&["object", "nosuch", "x"], "ERR Invalid command specified"),
        (&["ping", "x"], "ERR The command has no key arguments"),
        (
            &["set", "a"],
            "ERR Invalid number of arguments specified for command",
        ),
    ] {
        assert_eq!(keys(request), Err(error.to_owned()), "{request:?}");
    }
    let reply = call(Protocol::Resp3, getkeysandflags, &["rename", "a", "b"]).expect("answered");
    let rows = reply.as_slice().expect("a list");
    let row = |nth: usize| rows[nth].as_slice().expect("a pair");
    assert_eq!(
        (row(0)[0].as_str(), words(&row(0)[1])),
        (
            Some("a"),
            vec!["RW".into(), "access".into(), "delete".into()]
        )
    );
    assert_eq!(
        (row(1)[0].as_str(), words(&row(1)[1])),
        (Some("b"), vec!["OW".into(), "update".into()])
    );
    for (request, flags) in [
        (&["set", "a", "get"][..], &["OW", "update"][..]),
        (
            &["set", "a", "1", "ex", "9", "GET"],
            &["RW", "access", "update"],
        ),
    ] {
        let reply = call(Protocol::Resp3, getkeysandflags, request).expect("answered");
        let pair = reply.as_slice().expect("a list")[0]
            .as_slice()
            .expect("a pair");
        assert_eq!(words(&pair[1]), flags, "{request:?}");
    }
}

#[test]
fn every_command_is_documented() {
    for entry in registry().entries() {
        // DEBUG's subcommands are not rows.
        assert!(
            docs::of(entry.spec.name).is_some(),
            "{} has no documentation",
            entry.spec.name
        );
    }
}
